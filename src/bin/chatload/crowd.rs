//! The clients of a round: they join, talk, hear and leave, all on one poll in this thread.
//!
//! Latency is told from the moment at which a message was due, not from that at which it was sent: if this thread or
//! the server falls behind, the messages that had to wait for it are not told of as fast ones.

use std::collections::BTreeMap;
use std::io;
use std::iter;
use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chatd::client::{
    self, ClientId, Clients, Connection, Event, Leave, Message, SendError, Target, Why,
};
use hdrhistogram::Histogram;

use crate::clock;
use crate::options::Options;
use crate::plan::{Agenda, Conduct, Deed, Plan};
use crate::progress::Progress;
use crate::tally::Tally;

/// So many join or leave together, where it is no storm.
const GROUP: usize = 50;
/// A group that has not joined by then is not waited for, and nobody else joins.
const JOIN_MAX: Duration = Duration::from_secs(30);
/// When all is said and nothing was heard for so long, what is missing is lost.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Who left by a reset may still be heard for so long.
const ECHO_MAX: Duration = Duration::from_millis(100);
/// The progress is told at least so often.
const STEP_MAX: Duration = Duration::from_millis(100);
/// Who stalls is to be a burden for the server, not for the kernel.
const STALLING_RECEIVE_BYTES: usize = 4096;
/// A trouble.
const UNSAID: &str = "a message that nobody was there to say";
/// Another one.
const UNDIALLED: &str = "a client that did not dial, for those before it did not join in time";
/// Latencies are counted in microseconds, up to an hour, to three digits.
const LATENCY_MAX: u64 = 3_600_000_000;

/// One connection of the load.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    seat: usize,
    id: ClientId,
    /// Our own address, if the connection ever stood.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) ending: Ending,
    /// The server has confirmed its name.
    named: bool,
    pub(crate) closed: Option<Why>,
}

/// How a connection ends, by our own doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Not at all yet: if it is closed now, somebody else did it.
    None,
    Quit,
    Reset,
    /// It never reads: the server may close it at any time, and it is reset in the end.
    Stalled,
}

/// What came of a round.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) seats: usize,
    /// How many seats were taken before the first word.
    pub(crate) connected: usize,
    pub(crate) sent: u64,
    pub(crate) expected: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) out_of_order: u64,
    pub(crate) latency: Latency,
    /// From the beginning of the talk to the last delivery.
    pub(crate) talk: Duration,
    /// What went wrong at the clients, and how often.
    pub(crate) troubles: BTreeMap<String, u64>,
}

/// Microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

/// The clients, and what is known of them.
pub(crate) struct Crowd {
    clients: Clients,
    target: Target,
    storm: bool,
    join_max: Duration,
    scene: Scene,
}

/// What the clients do and hear.
struct Scene {
    plan: Plan,
    words: Words,
    tally: Tally,
    latency: Histogram<u64>,
    seats: Vec<Seat>,
    visits: Vec<Visit>,
    /// By the index of the client.
    visit_of: Vec<usize>,
    /// Connections that are not named or closed yet.
    joining: usize,
    /// Seats that somebody else is to take.
    vacant: Vec<usize>,
    began_at: Instant,
    said_at: Instant,
    heard_at: Instant,
    troubles: BTreeMap<String, u64>,
}

/// Who sits there now.
#[derive(Debug, Clone, Copy, Default)]
struct Seat {
    client: Option<ClientId>,
    /// It has a name and may talk.
    ready: bool,
    /// How many messages were due while nobody could say them.
    owed: u16,
    /// When the client has left, another one is to come.
    changes_hands: bool,
}

/// What messages look like: `RUN ROUND SEAT NUMBER xxx…`.
#[derive(Debug)]
struct Words {
    run: u32,
    round: u32,
    bytes: usize,
}

#[cfg(test)]
impl Visit {
    pub(crate) fn of(address: SocketAddr, ending: Ending, closed: Option<Why>) -> Self {
        let mut nobody = Clients::new().expect("the system gives a poll");
        Self {
            seat: 0,
            id: nobody.dial(
                &Target::new(client::Dialect::Wire, address),
                client::Options::default(),
            ),
            address: Some(address),
            ending,
            named: true,
            closed,
        }
    }
}

impl Crowd {
    pub(crate) fn new(options: &Options, plan: Plan, target: Target) -> io::Result<Self> {
        let now = clock();
        Ok(Self {
            clients: Clients::new()?,
            target,
            storm: options.storm,
            join_max: JOIN_MAX,
            scene: Scene {
                words: Words {
                    run: std::process::id(),
                    round: 0,
                    bytes: options.message_bytes,
                },
                tally: Tally::new(&plan),
                latency: Histogram::new_with_bounds(1, LATENCY_MAX, 3).map_err(io::Error::other)?,
                seats: vec![Seat::default(); plan.seats.len()],
                plan,
                visits: Vec::new(),
                visit_of: Vec::new(),
                joining: 0,
                vacant: Vec::new(),
                began_at: now,
                said_at: now,
                heard_at: now,
                troubles: BTreeMap::new(),
            },
        })
    }

    /// Plays one round, from the first who joins to the last who leaves; gives what came of it, and all connections.
    ///
    /// # Errors
    /// If the kernel does not let the clients wait.
    pub(crate) fn play(
        &mut self,
        round: u32,
        progress: &mut Progress,
    ) -> io::Result<(Outcome, Vec<Visit>)> {
        self.scene.begin(round);
        self.join(progress)?;
        let ready = |seat: &&Seat| seat.ready;
        let connected = self.scene.seats.iter().filter(ready).count();
        self.talk(progress)?;
        let Scene {
            tally,
            latency,
            began_at,
            heard_at,
            ..
        } = &self.scene;
        let outcome = Outcome {
            seats: self.scene.seats.len(),
            connected,
            sent: tally.sent(),
            expected: tally.expected(),
            received: tally.received,
            lost: tally.lost(),
            duplicated: tally.duplicated,
            out_of_order: tally.out_of_order,
            latency: Latency {
                p50: latency.value_at_quantile(0.5),
                p99: latency.value_at_quantile(0.99),
                p999: latency.value_at_quantile(0.999),
                max: latency.max(),
            },
            talk: heard_at.saturating_duration_since(*began_at),
            troubles: BTreeMap::new(),
        };
        self.leave(progress)?;
        let troubles = mem::take(&mut self.scene.troubles);
        let visits = mem::take(&mut self.scene.visits);
        Ok((
            Outcome {
                troubles,
                ..outcome
            },
            visits,
        ))
    }

    /// Everybody connects and takes a name, in groups or all at once. A group that is overdue is the last one: a server
    /// that does not answer would keep each of them waiting.
    fn join(&mut self, progress: &mut Progress) -> io::Result<()> {
        let seats: Vec<usize> = (0..self.scene.seats.len()).collect();
        let group = if self.storm { seats.len() } else { GROUP };
        let mut undialled = seats.len();
        for group in seats.chunks(group) {
            undialled -= group.len();
            for seat in group {
                self.dial(*seat);
            }
            let give_up_at = clock() + self.join_max;
            while self.scene.joining > 0 && clock() < give_up_at {
                self.poll(STEP_MAX, progress)?;
            }
            if self.scene.joining > 0 {
                break;
            }
        }
        self.scene.troubles_with(UNDIALLED, undialled as u64);
        Ok(())
    }

    /// Everybody says what is due when it is due, until all is heard or given up.
    fn talk(&mut self, progress: &mut Progress) -> io::Result<()> {
        let mut agenda = self.scene.plan.agenda();
        let began_at = clock();
        self.scene.began_at = began_at;
        self.scene.said_at = began_at;
        self.scene.heard_at = began_at;
        loop {
            let now = clock();
            let since = now.saturating_duration_since(began_at);
            while let Some((seat, deed)) = agenda.take_due(&self.scene.plan, since) {
                self.carry_out(seat, deed, &mut agenda);
            }
            for seat in mem::take(&mut self.scene.vacant) {
                self.dial(seat);
            }
            let wait = match agenda.next_due() {
                Some(due) => due.saturating_sub(since).min(STEP_MAX),
                None if self.scene.is_over(now) => break,
                None => ECHO_MAX / 10,
            };
            self.poll(wait, progress)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, seat: usize, deed: Deed, agenda: &mut Agenda) {
        let Self { clients, scene, .. } = self;
        let client = scene.seats[seat].client;
        let connection = client.and_then(|id| clients.connection_mut(id));
        match (deed, connection) {
            (Deed::Say(_), Some(connection)) if scene.seats[seat].ready => {
                scene.said_at = clock();
                scene.say(seat, connection);
            }
            (Deed::Say(_), _) => scene.seats[seat].owed += 1,
            (Deed::Leave, None) => {}
            (Deed::Leave, Some(connection)) => {
                scene.tally.leave(seat);
                if matches!(scene.plan.seats[seat].conduct, Conduct::Aborting(_)) {
                    scene.tally.doubt(seat);
                    agenda.abandon(seat);
                    scene.depart(connection, Ending::Reset);
                } else {
                    scene.seats[seat].changes_hands = true;
                    scene.depart(connection, Ending::Quit);
                }
            }
        }
    }

    /// Everybody leaves, in groups or all at once, and is waited for.
    fn leave(&mut self, progress: &mut Progress) -> io::Result<()> {
        let owed = self.scene.seats.iter().map(|seat| u64::from(seat.owed));
        let owed = owed.sum();
        self.scene.troubles_with(UNSAID, owed);
        let ids: Vec<ClientId> = self
            .clients
            .iter()
            .filter(|connection| !connection.is_leaving())
            .map(Connection::id)
            .collect();
        let group = if self.storm { ids.len().max(1) } else { GROUP };
        for group in ids.chunks(group) {
            for id in group {
                let Self { clients, scene, .. } = self;
                if let Some(connection) = clients.connection_mut(*id) {
                    let ending = match scene.visit(*id).ending {
                        Ending::Stalled => Ending::Stalled,
                        _ => Ending::Quit,
                    };
                    scene.depart(connection, ending);
                }
            }
            while group.iter().any(|id| self.is_here(*id)) {
                self.poll(STEP_MAX, progress)?;
            }
        }
        while self.clients.open() > 0 {
            self.poll(STEP_MAX, progress)?;
        }
        for visit in &self.scene.visits {
            self.clients.remove(visit.id);
        }
        Ok(())
    }

    fn is_here(&self, id: ClientId) -> bool {
        let connection = self.clients.connection(id);
        connection.is_some_and(|connection| !connection.is_closed())
    }

    fn dial(&mut self, seat: usize) {
        let Self {
            clients,
            target,
            scene,
            ..
        } = self;
        let stalls = scene.plan.seats[seat].conduct == Conduct::Stalling;
        let id = clients.dial(
            target,
            client::Options {
                receive_buffer_bytes: stalls.then_some(STALLING_RECEIVE_BYTES),
                ..client::Options::default()
            },
        );
        scene.seat(seat, id, stalls);
    }

    /// Whatever is waited for, the progress is told meanwhile.
    fn poll(&mut self, timeout: Duration, progress: &mut Progress) -> io::Result<()> {
        let Self { clients, scene, .. } = self;
        clients.poll_with(Some(timeout), |connection, event| {
            scene.handle(connection, event);
        })?;
        progress.update(scene.tally.sent(), scene.tally.received, clock());
        Ok(())
    }
}

impl Words {
    fn of(&self, seat: usize, number: u16) -> String {
        let mut words = format!("{} {} {seat} {number} ", self.run, self.round);
        words.extend(iter::repeat_n('x', self.bytes.saturating_sub(words.len())));
        words
    }

    /// The seat and the number, if these are words of this run and round.
    fn read(&self, words: &str) -> Option<(usize, u16)> {
        let mut fields = words.split(' ');
        let (run, round) = (fields.next()?, fields.next()?);
        let ours = run.parse() == Ok(self.run) && round.parse() == Ok(self.round);
        if !ours {
            return None;
        }
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    }
}

impl Scene {
    fn begin(&mut self, round: u32) {
        self.words.round = round;
        self.tally.reset();
        self.latency.reset();
        self.seats.fill(Seat::default());
        self.joining = 0;
        self.vacant.clear();
    }

    fn visit(&mut self, id: ClientId) -> &mut Visit {
        &mut self.visits[self.visit_of[id.index()]]
    }

    fn trouble(&mut self, what: impl Into<String>) {
        self.troubles_with(what, 1);
    }

    fn troubles_with(&mut self, what: impl Into<String>, count: u64) {
        if count > 0 {
            *self.troubles.entry(what.into()).or_default() += count;
        }
    }

    /// Somebody is on the way to a seat.
    fn seat(&mut self, seat: usize, id: ClientId, stalls: bool) {
        let index = id.index();
        if self.visit_of.len() <= index {
            self.visit_of.resize(index + 1, 0);
        }
        self.visit_of[index] = self.visits.len();
        self.visits.push(Visit {
            seat,
            id,
            address: None,
            ending: if stalls {
                Ending::Stalled
            } else {
                Ending::None
            },
            named: false,
            closed: None,
        });
        self.seats[seat].client = Some(id);
        self.joining += 1;
    }

    /// Somebody leaves by our own doing.
    fn depart(&mut self, connection: &mut Connection, ending: Ending) {
        let visit = self.visit(connection.id());
        visit.ending = ending;
        let seat = visit.seat;
        self.seats[seat].ready = false;
        connection.leave(match ending {
            Ending::Quit | Ending::None => Leave::Quit,
            Ending::Reset | Ending::Stalled => Leave::Reset,
        });
    }

    fn say(&mut self, seat: usize, connection: &mut Connection) {
        let words = self.words.of(seat, self.tally.next_number(seat));
        self.tally.send(seat);
        match connection.send(&words) {
            Ok(_) => {}
            Err(error @ SendError::Dropped) => self.trouble(error.to_string()),
            Err(error) => self.trouble(format!("a message was not taken: {error}")),
        }
    }

    fn handle(&mut self, connection: &mut Connection, event: Event<'_>) {
        match event {
            Event::Connected => {
                let number = self.visit_of[connection.id().index()];
                let name = format!("load{}-{number}", self.words.run);
                self.visit(connection.id()).address = connection.local_address();
                if let Err(error) = connection.set_name(&name) {
                    self.trouble(format!("no name could be asked for: {error}"));
                }
            }
            Event::Message(Message::Said { words, .. }) => self.hear(connection, &words),
            Event::Message(Message::Named(_)) => self.take_seat(connection),
            Event::Message(Message::Refused(reason)) => {
                if self.visit(connection.id()).ending != Ending::Stalled {
                    self.trouble(format!("refused: {reason}"));
                }
            }
            Event::Message(Message::Unknown(_) | Message::TooLong(_)) => {
                self.trouble("a line of the server could not be understood");
            }
            Event::Closed { why, .. } => self.close(connection, why),
            Event::Message(_) | Event::Written(_) | Event::Interrupted { .. } => {}
        }
    }

    fn hear(&mut self, connection: &Connection, words: &str) {
        let id = connection.id();
        let receiver = self.visit(id).seat;
        if !self.seats[receiver].ready {
            // What a newcomer is shown of the past.
            return;
        }
        let Some((sender, number)) = self.words.read(words) else {
            return;
        };
        if sender >= self.seats.len() || sender == receiver {
            return self.trouble("a message came that was not for this client");
        }
        if !self.tally.hear(receiver, sender, number) {
            return;
        }
        if let Some(heard_at) = connection.heard_at() {
            let due_at = self.began_at + self.plan.due(sender, number);
            let latency = heard_at.saturating_duration_since(due_at);
            self.latency.saturating_record(latency.as_micros() as u64);
            self.heard_at = heard_at;
        }
    }

    fn take_seat(&mut self, connection: &mut Connection) {
        let visit = self.visit(connection.id());
        if mem::replace(&mut visit.named, true) {
            return;
        }
        let seat = visit.seat;
        let stalls = visit.ending == Ending::Stalled;
        self.joining -= 1;
        self.seats[seat].ready = true;
        if stalls {
            return connection.pause_reading();
        }
        self.tally.join(seat);
        for _ in 0..mem::take(&mut self.seats[seat].owed) {
            self.say(seat, connection);
        }
    }

    fn close(&mut self, connection: &Connection, why: Why) {
        let visit = self.visit(connection.id());
        visit.closed = Some(why);
        let Visit {
            seat,
            ending,
            named,
            ..
        } = *visit;
        if !named {
            self.joining -= 1;
        }
        match ending {
            Ending::None => {
                self.tally.leave(seat);
                self.seats[seat] = Seat::default();
                self.trouble(format!("lost its connection: {why}"));
            }
            Ending::Quit => {
                if why != Why::Left {
                    self.trouble(format!("could not leave in good order: {why}"));
                }
                if mem::take(&mut self.seats[seat].changes_hands) {
                    self.vacant.push(seat);
                }
            }
            Ending::Reset | Ending::Stalled => {}
        }
    }

    /// Whether all that is to be heard was heard, or will not come any more.
    fn is_over(&mut self, now: Instant) -> bool {
        let silence = now.saturating_duration_since(self.heard_at.max(self.said_at));
        if silence >= SILENCE_MAX {
            return true;
        }
        let settled = self.joining == 0 && self.vacant.is_empty();
        settled && self.tally.is_complete() && silence >= ECHO_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::net::TcpListener;

    use super::*;
    use crate::options::Request;

    #[test]
    fn who_is_overdue_is_waited_for_once() {
        // The kernel connects whom it does not even accept.
        let mute = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = mute.local_addr().expect("it is bound");
        let arguments = ["--clients", "120"].map(OsString::from);
        let Ok(Request::Run(options)) = Options::parse(arguments) else {
            panic!("wrong usage");
        };
        let plan = Plan::new(&options);
        let mut progress = Progress::new(1, plan.messages(), clock());
        let target = Target::new(client::Dialect::Wire, address);
        let mut crowd = Crowd::new(&options, plan, target).expect("the system gives a poll");
        crowd.join_max = Duration::from_millis(1);
        crowd.scene.begin(1);
        crowd.join(&mut progress).expect("the kernel lets it wait");
        assert_eq!(crowd.scene.visits.len(), GROUP);
        let undialled = crowd.scene.troubles.get(UNDIALLED);
        assert_eq!(undialled, Some(&(120 - GROUP as u64)));
    }

    #[test]
    fn words_say_who_said_them_and_are_as_long_as_wanted() {
        let words = Words {
            run: 77,
            round: 3,
            bytes: 48,
        };
        let said = words.of(499, 10);
        assert_eq!(said.len(), 48);
        assert_eq!(words.read(&said), Some((499, 10)));
        for foreign in [
            "",
            "hello",
            "77 2 499 10 xxx",
            "78 3 499 10 xxx",
            "77 3 x 1",
            "77 3 1",
        ] {
            assert_eq!(words.read(foreign), None, "{foreign:?}");
        }
    }
}
