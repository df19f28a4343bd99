//! What the clients of a round do and hear: who sits where, what was said and heard, and what went wrong.

use std::collections::BTreeMap;
use std::io;
use std::iter;
use std::mem;
use std::net::SocketAddr;
use std::process;
use std::time::{Duration, Instant};

use chatd::client::{
    ClientId, Connection, Event, Leave, Message, Refusal, Request, SendError, Why,
};

use crate::load::latency::Latencies;
use crate::plan::Plan;
use crate::rooms::{self, LOBBY};
use crate::tally::{Heard, Lost, Tally};

/// When all is said and nothing was heard for this long, what is missing is lost.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A client that left by a reset may still be heard for this long.
pub(super) const ECHO_MAX: Duration = Duration::from_millis(100);
/// Troubles.
const NOT_SAID: &str = "a message came that nobody had said";
const NOT_FOR_IT: &str = "a message came that was not for this client";
const MOVED: &str = "was sent to a room that it had not asked for";
/// The latencies that are told.
pub(crate) const QUANTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// One connection of the load.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    pub(crate) seat: usize,
    /// Our own address, if the connection ever stood.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) ending: Ending,
    /// The server has confirmed its name.
    pub(crate) named: bool,
    /// The room that it is in, as far as the server has said.
    pub(crate) room: usize,
    /// It has a name, is in the room of its seat, and may talk.
    pub(crate) seated: bool,
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
    pub(crate) lost: Lost,
    pub(crate) duplicated: u64,
    pub(crate) out_of_order: u64,
    /// How many were heard in a wrong room, and of the first one where it was said and where heard.
    pub(crate) leaked: u64,
    pub(crate) first_leak: Option<[usize; 2]>,
    /// Those of [`QUANTILES`], in microseconds.
    pub(crate) latency_us: [u64; QUANTILES.len()],
    /// From the beginning of the talk to the last delivery.
    pub(crate) talk: Duration,
    /// What went wrong at the clients, and how often.
    pub(crate) troubles: BTreeMap<String, u64>,
}

/// What the clients do and hear.
pub(super) struct Scene<'a> {
    pub(super) plan: &'a Plan,
    pub(super) words: Words,
    pub(super) tally: Tally,
    pub(super) latencies: Latencies,
    pub(super) seats: Vec<Seat>,
    /// By the index of the client, for none is removed.
    pub(super) visits: Vec<Visit>,
    /// Connections that are not seated or closed yet.
    pub(super) joining: usize,
    /// Seats that somebody else is to take.
    pub(super) vacant: Vec<usize>,
    pub(super) began_at: Instant,
    pub(super) said_at: Instant,
    pub(super) heard_at: Instant,
    pub(super) troubles: BTreeMap<String, u64>,
}

/// Who sits there now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seat {
    pub(super) client: Option<ClientId>,
    /// It has a name, is in its room, and may talk.
    pub(super) ready: bool,
    /// How many messages were due while nobody could say them.
    pub(super) owed: u16,
    /// When the client has left, another one is to come.
    pub(super) changes_hands: bool,
}

/// What messages look like: `RUN ROUND SEAT NUMBER xxx…`.
#[derive(Debug)]
pub(super) struct Words {
    /// `RUN ROUND `, unlike that of any other load and round.
    pub(super) prefix: String,
    pub(super) bytes: usize,
}

impl Words {
    pub(super) fn new(round: u32, bytes: usize) -> Self {
        let prefix = format!("{} {round} ", process::id());
        Self { prefix, bytes }
    }

    fn of(&self, seat: usize, number: u16) -> String {
        let mut words = format!("{}{seat} {number} ", self.prefix);
        words.extend(iter::repeat_n('x', self.bytes.saturating_sub(words.len())));
        words
    }

    /// The seat and the number, if these are words of this run and round.
    fn read(&self, words: &str) -> Option<(usize, u16)> {
        let mut fields = words.strip_prefix(&self.prefix)?.split(' ');
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    }
}

impl<'a> Scene<'a> {
    /// Before anybody has come.
    pub(super) fn new(plan: &'a Plan, words: Words, now: Instant) -> io::Result<Self> {
        Ok(Self {
            plan,
            words,
            tally: Tally::new(plan.seats.len(), plan.rooms),
            latencies: Latencies::new()?,
            seats: vec![Seat::default(); plan.seats.len()],
            visits: Vec::new(),
            joining: 0,
            vacant: Vec::new(),
            began_at: now,
            said_at: now,
            heard_at: now,
            troubles: BTreeMap::new(),
        })
    }
}

impl Scene<'_> {
    /// What has come of the round until now, but for the troubles.
    pub(super) fn outcome(&self, connected: usize) -> Outcome {
        let tally = &self.tally;
        Outcome {
            seats: self.seats.len(),
            connected,
            sent: tally.sent(),
            expected: tally.expected(),
            received: tally.received,
            lost: tally.lost(),
            duplicated: tally.duplicated,
            out_of_order: tally.out_of_order,
            leaked: tally.leaked,
            first_leak: tally.first_leak,
            latency_us: QUANTILES
                .map(|(_, share)| self.latencies.quantile(share).as_micros() as u64),
            talk: self.heard_at.saturating_duration_since(self.began_at),
            troubles: BTreeMap::new(),
        }
    }

    pub(super) fn visit(&mut self, id: ClientId) -> &mut Visit {
        &mut self.visits[id.index()]
    }

    fn trouble(&mut self, what: impl Into<String>) {
        self.troubles_with(what, 1);
    }

    pub(super) fn troubles_with(&mut self, what: impl Into<String>, count: u64) {
        if count > 0 {
            *self.troubles.entry(what.into()).or_default() += count;
        }
    }

    /// Somebody is on the way to a seat.
    pub(super) fn seat(&mut self, seat: usize, id: ClientId, ending: Ending) {
        self.visits.push(Visit {
            seat,
            address: None,
            ending,
            named: false,
            room: LOBBY,
            seated: false,
            closed: None,
        });
        self.seats[seat].client = Some(id);
        self.joining += 1;
    }

    /// Somebody leaves by our own doing.
    pub(super) fn depart(&mut self, connection: &mut Connection, ending: Ending) {
        let visit = self.visit(connection.id());
        visit.ending = ending;
        let seat = visit.seat;
        self.seats[seat].ready = false;
        connection.leave(match ending {
            Ending::Quit | Ending::None => Leave::Quit,
            Ending::Reset | Ending::Stalled => Leave::Reset,
        });
    }

    pub(super) fn say(&mut self, seat: usize, connection: &mut Connection) {
        let words = self.words.of(seat, self.tally.next_number(seat));
        self.tally.send(seat);
        match connection.send(&words) {
            Ok(_) => {}
            Err(error @ SendError::Dropped) => self.trouble(error.to_string()),
            Err(error) => self.trouble(format!("a message was not taken: {error}")),
        }
    }

    pub(super) fn handle(&mut self, connection: &mut Connection, event: Event<'_>) {
        match event {
            Event::Connected => self.ask(connection),
            Event::Message(Message::Said { words, .. }) => {
                let visit = self.visit(connection.id());
                let (seat, room) = (visit.seat, visit.room);
                self.hear(seat, room, &words, connection.heard_at());
            }
            Event::Message(Message::Named(_)) => {
                self.visit(connection.id()).named = true;
                self.take_seat(connection);
            }
            Event::Message(Message::Entered(room)) => self.enter(connection, &room),
            Event::Message(Message::Refused(refusal)) => self.be_refused(connection, &refusal),
            Event::Message(Message::Goodbye(words))
                if self.visit(connection.id()).ending != Ending::Stalled =>
            {
                self.trouble(format!("refused: {words}"));
            }
            Event::Message(Message::Unknown(_) | Message::TooLong(_)) => {
                self.trouble("a line of the server could not be understood");
            }
            Event::Closed { why, .. } => self.close(connection, why),
            _ => {}
        }
    }

    /// A name, and where it belongs.
    fn ask(&mut self, connection: &mut Connection) {
        let visit = self.visit(connection.id());
        visit.address = connection.local_address();
        let room = self.room_of(connection.id());
        let name = format!("load{}-{}", process::id(), connection.id().index());
        let mut asked = connection.set_name(&name);
        if let Some(room) = rooms::name(room) {
            asked = asked.and_then(|()| connection.join(&room, None));
        }
        if let Err(error) = asked {
            self.trouble(format!("no name or room could be asked for: {error}"));
        }
    }

    /// The room in which a client belongs.
    fn room_of(&self, id: ClientId) -> usize {
        self.plan.rooms.of(self.visits[id.index()].seat)
    }

    /// Words came, to a client that is in this room.
    fn hear(&mut self, receiver: usize, room: usize, words: &str, heard_at: Option<Instant>) {
        let Some((sender, number)) = self.words.read(words) else {
            return;
        };
        if sender >= self.seats.len() || number >= self.tally.next_number(sender) {
            return self.trouble(NOT_SAID);
        }
        match self.tally.hear(receiver, room, sender, number) {
            Heard::New => {}
            Heard::Own => return self.trouble(NOT_FOR_IT),
            Heard::Again | Heard::Leaked | Heard::Besides => return,
        }
        if let Some(heard_at) = heard_at {
            let due_at = self.began_at + self.plan.due(sender, number);
            self.latencies.record(due_at, heard_at);
            self.heard_at = heard_at;
        }
    }

    /// The server says that a client is in a room from now on.
    fn enter(&mut self, connection: &mut Connection, room: &str) {
        let own = self.room_of(connection.id());
        let is_own = rooms::name(own).is_some_and(|name| name == room);
        if !is_own {
            self.trouble(MOVED);
        }
        self.visit(connection.id()).room = if is_own { own } else { LOBBY };
        self.take_seat(connection);
    }

    /// A client that is refused the room in which it belongs does not stay.
    fn be_refused(&mut self, connection: &mut Connection, refusal: &Refusal<'_>) {
        if self.visit(connection.id()).ending == Ending::Stalled {
            return;
        }
        self.trouble(format!("refused: {refusal}"));
        if matches!(refusal.request, Request::Join(_)) {
            self.depart(connection, Ending::Quit);
        }
    }

    /// Sits down, as soon as it has a name and is where it belongs.
    fn take_seat(&mut self, connection: &mut Connection) {
        let room = self.room_of(connection.id());
        let visit = self.visit(connection.id());
        if !visit.named || visit.room != room || mem::replace(&mut visit.seated, true) {
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
            seated,
            ..
        } = *visit;
        if !seated {
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
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
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

    use super::*;
    use crate::clock;
    use crate::options::{Options, Request as Asked};

    /// What is found where four sit in two rooms, 0 and 2 in the lobby, each has said three messages, and these lines
    /// come besides what is to come: to whom, in which room, by whom, of which number.
    fn found(lines: &[(usize, usize, usize, u16)], kept_back: &[(usize, usize, u16)]) -> Outcome {
        let arguments = ["--clients", "4", "--rooms", "2"].map(OsString::from);
        let Ok(Asked::Run(options)) = Options::parse(arguments) else {
            panic!("wrong usage");
        };
        let plan = Plan::new(&options);
        let mut scene = Scene::new(&plan, Words::new(1, 48), clock()).expect("a histogram");
        (0..4).for_each(|seat| scene.tally.join(seat));
        for sender in 0..4 {
            (0..3).for_each(|_| scene.tally.send(sender));
            let mate = (sender + 2) % 4;
            for number in (0..3).filter(|number| !kept_back.contains(&(mate, sender, *number))) {
                scene.hear_line(mate, sender % 2, sender, number);
            }
        }
        for (receiver, room, sender, number) in lines {
            scene.hear_line(*receiver, *room, *sender, *number);
        }
        let mut outcome = scene.outcome(4);
        outcome.troubles = scene.troubles;
        outcome
    }

    impl Scene<'_> {
        fn hear_line(&mut self, receiver: usize, room: usize, sender: usize, number: u16) {
            let words = self.words.of(sender, number);
            self.hear(receiver, room, &words, Some(clock()));
        }
    }

    #[track_caller]
    fn assert_found(outcome: &Outcome, wrong: [u64; 4], troubles: &[(&str, u64)]) {
        let found = [
            outcome.lost.all,
            outcome.duplicated,
            outcome.out_of_order,
            outcome.leaked,
        ];
        assert_eq!(found, wrong, "lost, duplicated, out of order, leaked");
        let named = outcome.troubles.iter();
        let named: Vec<_> = named.map(|(what, count)| (&**what, *count)).collect();
        assert_eq!(named, troubles);
    }

    #[test]
    fn of_what_is_right_nothing_is_found() {
        let outcome = found(&[], &[]);
        assert_found(&outcome, [0; 4], &[]);
        assert_eq!((outcome.expected, outcome.received), (12, 12));
    }

    #[test]
    fn wrong_lines_are_found_each_for_what_it_is() {
        assert_found(&found(&[], &[(3, 1, 1)]), [1, 0, 0, 0], &[]);
        assert_found(&found(&[(3, 1, 1, 2)], &[]), [0, 1, 0, 0], &[]);
        assert_found(&found(&[(3, 1, 1, 1)], &[(3, 1, 1)]), [0, 0, 1, 0], &[]);
        let leak = found(&[(2, 0, 1, 2)], &[]);
        assert_found(&leak, [0, 0, 0, 1], &[]);
        assert_eq!(leak.first_leak, Some([1, 0]));
        // One that goes astray is missing where it should have come.
        assert_found(&found(&[(2, 0, 1, 2)], &[(3, 1, 2)]), [1, 0, 0, 1], &[]);
    }

    #[test]
    fn lines_that_nobody_said_are_found() {
        assert_found(&found(&[(2, 0, 0, 3)], &[]), [0; 4], &[(NOT_SAID, 1)]);
        assert_found(
            &found(&[(2, 0, 0, u16::MAX)], &[]),
            [0; 4],
            &[(NOT_SAID, 1)],
        );
        assert_found(&found(&[(2, 0, 4, 0)], &[]), [0; 4], &[(NOT_SAID, 1)]);
        assert_found(&found(&[(2, 0, 2, 0)], &[]), [0; 4], &[(NOT_FOR_IT, 1)]);
    }

    #[test]
    fn words_say_who_said_them_and_are_as_long_as_wanted() {
        let words = Words::new(3, 48);
        let run = process::id();
        let said = words.of(499, 10);
        assert_eq!(said.len(), 48);
        assert_eq!(words.read(&said), Some((499, 10)));
        for foreign in [
            String::new(),
            "hello".to_owned(),
            format!("{run} 2 499 10 xxx"),
            format!("{} 3 499 10 xxx", run + 1),
            format!("{run} 3 x 1"),
            format!("{run} 3 1"),
        ] {
            assert_eq!(words.read(&foreign), None, "{foreign:?}");
        }
    }
}
