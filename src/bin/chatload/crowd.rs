//! The clients of a round: they join, talk, hear and leave, all on one poll in this thread.

mod scene;

use std::io;
use std::mem;
use std::time::Duration;

use chatd::client::{self, ClientId, Clients, Connection, Target};

use crate::clock;
use crate::options::Options;
use crate::plan::{Agenda, Conduct, Deed, Plan};
use crate::progress::Progress;

pub(crate) use scene::{Ending, Outcome, Visit, QUANTILES};
use scene::{Scene, Words, ECHO_MAX};

/// How many join or leave together, where it is no storm.
const GROUP: usize = 50;
/// A group that has not joined by then is not waited for, and nobody else joins.
const JOIN_MAX: Duration = Duration::from_secs(30);
/// The longest time between two tellings of the progress.
const STEP_MAX: Duration = Duration::from_millis(100);
/// A client that stalls is to be a burden for the server, not for the kernel.
const STALLING_RECEIVE_BYTES: usize = 4096;
/// A trouble.
const UNSAID: &str = "a message that nobody was there to say";
/// Another one.
const UNDIALLED: &str = "a client that did not dial, for those before it did not join in time";

/// The clients of one round, and what is known of them.
pub(crate) struct Crowd<'a> {
    clients: Clients,
    targets: &'a [Target],
    storm: bool,
    join_max: Duration,
    scene: Scene<'a>,
}

impl<'a> Crowd<'a> {
    pub(crate) fn new(
        options: &Options,
        plan: &'a Plan,
        targets: &'a [Target],
        round: u32,
    ) -> io::Result<Self> {
        Ok(Self {
            clients: Clients::new()?,
            targets,
            storm: options.storm,
            join_max: JOIN_MAX,
            scene: Scene::new(plan, Words::new(round, options.message_bytes), clock())?,
        })
    }

    /// Plays the round, from the first who joins to the last who leaves; gives what came of it, and all connections.
    ///
    /// # Errors
    /// If the kernel does not let the clients wait.
    pub(crate) fn play(mut self, progress: &mut Progress) -> io::Result<(Outcome, Vec<Visit>)> {
        self.join(progress)?;
        let connected = self.scene.seats.iter().filter(|seat| seat.ready).count();
        self.talk(progress)?;
        let mut outcome = self.scene.outcome(connected);
        self.leave(progress)?;
        outcome.troubles = self.scene.troubles;
        Ok((outcome, self.scene.visits))
    }

    /// Everybody connects, takes a name and goes to their room, in groups or all at once. A group that is overdue is the last one: a server
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
        let plan = self.scene.plan;
        let mut agenda = plan.agenda();
        let began_at = clock();
        self.scene.began_at = began_at;
        self.scene.said_at = began_at;
        self.scene.heard_at = began_at;
        loop {
            let now = clock();
            let since = now.saturating_duration_since(began_at);
            while let Some((seat, deed)) = agenda.take_due(plan, since) {
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
                if scene.plan.seats[seat].conduct == Conduct::Aborting {
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
        Ok(())
    }

    fn is_here(&self, id: ClientId) -> bool {
        let connection = self.clients.connection(id);
        connection.is_some_and(|connection| !connection.is_closed())
    }

    fn dial(&mut self, seat: usize) {
        let Self { clients, scene, .. } = self;
        let stalls = scene.plan.seats[seat].conduct == Conduct::Stalling;
        let options = client::Options::default()
            .receive_buffer_bytes(stalls.then_some(STALLING_RECEIVE_BYTES));
        let ending = if stalls {
            Ending::Stalled
        } else {
            Ending::None
        };
        let target = &self.targets[scene.plan.rooms.server(seat)];
        let id = clients.dial(target, options);
        scene.seat(seat, id, ending);
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
        let targets = [Target::resolve(&format!("wire://{address}")).expect("an address")];
        let mut crowd = Crowd::new(&options, &plan, &targets, 1).expect("the system gives a poll");
        crowd.join_max = Duration::from_millis(1);
        crowd.join(&mut progress).expect("the kernel lets it wait");
        assert_eq!(crowd.scene.visits.len(), GROUP);
        let undialled = crowd.scene.troubles.get(UNDIALLED);
        assert_eq!(undialled, Some(&(120 - GROUP as u64)));
    }
}
