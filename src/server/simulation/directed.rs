//! The loop in situations made by hand, filed by the numbers of the catalogue of faults (`tests/faults/README.md`).

mod accepting;
mod closing;
mod pacing;
mod reading;

use std::net::SocketAddr;
use std::time::Duration;

use super::crowd::LISTENERS;
use super::network::SimulatedNetwork;
use crate::hub::{Limits, QueueLimits, SessionId};
use crate::ledger::CloseReason;
use crate::server::admission::AdmissionLimits;
use crate::server::event_loop::EventLoop;
use crate::server::motd::MotdFile;
use crate::server::network::Wakeup;
use crate::test_log;

const LIMITS: Limits = Limits::WIDE;

const ADMISSION: AdmissionLimits = AdmissionLimits {
    sessions_max: 5000,
    per_address_max: None,
};

/// A loop whose world does what the test says, and nothing else.
struct Bench {
    event_loop: EventLoop<SimulatedNetwork<()>>,
}

impl Bench {
    fn new() -> Self {
        Self::with(LIMITS, ADMISSION)
    }

    fn with(limits: Limits, admission: AdmissionLimits) -> Self {
        Self::paced(limits, admission, None)
    }

    fn paced(limits: Limits, admission: AdmissionLimits, pace_max: Option<Duration>) -> Self {
        test_log::begin();
        let network = SimulatedNetwork::new(1, LISTENERS.len(), ());
        let (dialects, message) = (LISTENERS.to_vec(), MotdFile(None));
        let event_loop = EventLoop::new(
            network,
            dialects,
            Limits { pace_max, ..limits },
            admission,
            message,
        );
        Self {
            event_loop: event_loop.expect("no message is no error"),
        }
    }

    fn network(&mut self) -> &mut SimulatedNetwork<()> {
        self.event_loop.network_mut()
    }

    /// Somebody knocks, who is not accepted before the next turn.
    fn knock(&mut self) -> usize {
        self.knock_from([127, 0, 0, 1], None)
    }

    fn knock_from(&mut self, address: [u8; 4], window: Option<usize>) -> usize {
        let from = SocketAddr::from((address, 1));
        self.network().connect(0, from, window)
    }

    /// Somebody comes and has read the greeting.
    fn join(&mut self) -> usize {
        self.join_with(None)
    }

    fn join_with(&mut self, window: Option<usize>) -> usize {
        let client = self.knock_from([127, 0, 0, 1], window);
        self.settle();
        while self.network().connections[client].is_takeable() {
            self.network().take(client, usize::MAX);
            self.settle();
        }
        assert!(self.screen(client).starts_with("-- Welcome"));
        client
    }

    /// What a client sends arrives at once.
    fn send(&mut self, client: usize, bytes: impl AsRef<[u8]>) {
        self.network().connections[client].send(bytes.as_ref());
        self.network().deliver(client, usize::MAX);
    }

    /// A client sends nothing more.
    fn end(&mut self, client: usize) {
        self.network().connections[client].end_sending();
        self.network().deliver(client, usize::MAX);
    }

    /// One turn; gives whether there is to be another one.
    fn turn(&mut self) -> bool {
        let goes_on = self.event_loop.turn().expect("no poll fails for good");
        self.event_loop.check_invariants();
        goes_on
    }

    /// Turns until nothing is to be done at this time.
    fn settle(&mut self) -> usize {
        let mut turns = 0;
        while self.network().has_events() || self.event_loop.timeout() == Some(Duration::ZERO) {
            self.turn();
            turns += 1;
            assert!(turns < 10_000, "it does not settle");
        }
        turns
    }

    /// Lets time pass, with all turns that it brings; gives how many.
    fn pass(&mut self, time: Duration) -> usize {
        let until = self.network().elapsed + time;
        let mut turns = self.settle();
        while let Some(timeout) = self.event_loop.timeout() {
            if self.network().elapsed + timeout > until {
                break;
            }
            self.turn();
            turns += 1;
            assert!(turns < 10_000, "it spins");
        }
        let elapsed = self.network().elapsed;
        self.network().elapsed = elapsed.max(until);
        turns
    }

    /// How much time has passed.
    fn since(&mut self, began_at: Duration) -> Duration {
        self.network().elapsed.saturating_sub(began_at)
    }

    /// What a client has got since the last look.
    fn screen(&mut self, client: usize) -> String {
        let received = std::mem::take(&mut self.network().connections[client].received);
        String::from_utf8(received).expect("text")
    }

    fn id(&mut self, client: usize) -> SessionId {
        let registered = self.network().connections[client].registered;
        registered.expect("a session")
    }

    fn is_closed(&mut self, client: usize) -> bool {
        self.network().connections[client].closed
    }

    fn inject(&mut self, id: SessionId, [readable, writable, closed, urgent]: [bool; 4]) {
        self.network().injected.push_back(Wakeup::Session {
            id,
            edge: crate::stream::Edge {
                readable,
                writable,
                closed,
                urgent,
            },
        });
    }

    /// Why sessions were closed, in order.
    fn reasons(&self) -> Vec<CloseReason> {
        let closes = test_log::closes();
        assert_eq!(closes.len() as u64, self.event_loop.hub().ledger().closed());
        closes.iter().map(|close| close.reason).collect()
    }

    fn sessions(&self) -> usize {
        self.event_loop.hub().len()
    }

    fn opened(&self) -> u64 {
        self.event_loop.hub().ledger().opened()
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// `count` lines, each other than the others.
fn lines(count: usize) -> String {
    let lines: Vec<String> = (0..count).map(|line| format!("line {line}\n")).collect();
    lines.concat()
}
