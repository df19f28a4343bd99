//! The loop in situations made by hand, filed by the numbers of the catalogue of faults (`tests/faults/README.md`).

mod accepting;
mod closing;
mod dialects;
mod hearing;
mod irc;
mod links;
mod lists;
mod monitoring;
mod operating;
mod pacing;
mod reading;
mod settings;
#[cfg(feature = "tls")]
mod shaking_hands;
mod work;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::network::{Clock, SimulatedNetwork};
use super::server::{Server, Terms};
use super::{memory, LISTENERS_ALL};
use crate::hub::{Census, Limits, SessionId};
use crate::ledger::{CloseReason, Entry};
use crate::limits::QueueLimits;
use crate::server::admission::AdmissionLimits;
use crate::server::network::{Network, Owner, Wakeup};
use crate::settings::Settings;
use crate::stream::Edge;

const LIMITS: Limits = Limits::WIDE;

const ADMISSION: AdmissionLimits = AdmissionLimits {
    sessions_max: 20_000,
    per_address_max: None,
    connects_per_minute: None,
    exempt: Vec::new(),
    proxy_from: Vec::new(),
};

/// A server whose world does what the test says, and nothing else.
struct Bench {
    server: Server,
    /// Everything that must hold is looked at after each turn.
    is_checked: bool,
    /// Why sessions were closed, in order.
    reasons: Vec<CloseReason>,
}

impl Bench {
    fn new() -> Self {
        Self::with(LIMITS, ADMISSION)
    }

    fn with(limits: Limits, admission: AdmissionLimits) -> Self {
        Self::paced(limits, admission, None)
    }

    fn paced(limits: Limits, admission: AdmissionLimits, pace_max: Option<Duration>) -> Self {
        let network = SimulatedNetwork::new(Clock::new(), 1, LISTENERS_ALL);
        let terms = Terms {
            limits: Limits { pace_max, ..limits },
            admission,
            rooms: &[],
        };
        Self {
            server: Server::new(network, &terms, None),
            is_checked: true,
            reasons: Vec::new(),
        }
    }

    /// One whose rules are kept in this file.
    fn keeping(bans_file: &Path) -> Self {
        let network = SimulatedNetwork::new(Clock::new(), 1, LISTENERS_ALL);
        let terms = Terms {
            limits: LIMITS,
            admission: ADMISSION,
            rooms: &[],
        };
        let settings = Settings {
            bans_file: Some(bans_file.to_owned()),
            ..terms.settings()
        };
        Self {
            server: Server::with(network, &settings),
            is_checked: true,
            reasons: Vec::new(),
        }
    }

    fn network(&mut self) -> &mut SimulatedNetwork {
        self.server.network()
    }

    /// Sets a setting, right behind a turn that something else was the reason for; gives its value as it was before.
    fn try_set(&mut self, key: &str, value: &str) -> Result<String, String> {
        self.network().signals.push_back(Wakeup::Listener(0));
        self.turn();
        let event_loop = &mut self.server.event_loop;
        let now = event_loop.network().now();
        let changed = event_loop.set(key, value, now)?;
        assert_eq!(changed.key, key);
        Ok(changed.was)
    }

    #[track_caller]
    fn set(&mut self, key: &str, value: &str) {
        if let Err(error) = self.try_set(key, value) {
            panic!("{error}");
        }
    }

    fn now(&self) -> Duration {
        self.server.clock.elapsed()
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

    /// One turn, as soon as there is a reason for it; gives whether there is to be another one.
    fn turn(&mut self) -> bool {
        if let Some(wakes_at) = self.server.wakes_at() {
            self.server.clock.pass_until(wakes_at);
        }
        let goes_on = self.server.turn();
        if self.is_checked {
            self.server.event_loop.check_invariants();
        }
        for entry in self.server.event_loop.take_diary() {
            if let Entry::Closed(close) = entry {
                self.reasons.push(close.reason);
            }
        }
        goes_on
    }

    /// Turns until nothing is to be done at this time.
    fn settle(&mut self) -> usize {
        let mut turns = 0;
        while self.server.wakes_at() == Some(self.now()) {
            self.turn();
            turns += 1;
            assert!(turns < 10_000, "it does not settle");
        }
        turns
    }

    /// Lets time pass, with all turns that it brings; gives how many.
    fn pass(&mut self, time: Duration) -> usize {
        let until = self.now() + time;
        let mut turns = self.settle();
        while self.server.wakes_at().is_some_and(|at| at <= until) {
            self.turn();
            turns += 1;
            assert!(turns < 10_000, "it spins");
        }
        self.server.clock.pass_until(until);
        turns
    }

    /// How much time has passed.
    fn since(&self, began_at: Duration) -> Duration {
        self.now().saturating_sub(began_at)
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
        self.network().injected.push_back(Wakeup::Stream {
            owner: Owner::Session(id),
            edge: Edge {
                readable,
                writable,
                closed,
                urgent,
            },
        });
    }

    fn reasons(&self) -> &[CloseReason] {
        &self.reasons
    }

    /// How long it would go on sleeping.
    fn timeout(&self) -> Option<Duration> {
        let timeout = self.server.event_loop.timeout()?;
        let wakes_at = self.server.event_loop.network().seen_at() + timeout;
        Some(wakes_at.saturating_sub(self.now()))
    }

    fn census(&self) -> Census {
        self.server.event_loop.census()
    }

    fn sessions(&self) -> usize {
        self.server.sessions()
    }

    fn opened(&self) -> u64 {
        self.server.event_loop.ledger().opened()
    }
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// `count` lines, each other than the others.
fn lines(count: usize) -> String {
    let lines: Vec<String> = (0..count).map(|line| format!("line {line}\n")).collect();
    lines.concat()
}
