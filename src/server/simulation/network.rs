//! The simulated kernel of one server: listeners, descriptors, a list of what is ready, and signals.
//!
//! An event comes when something changes, never because something is so; what it tells is computed when it is taken.
//! Polling never waits: the test that drives the loop moves the clock, which several loops may share.

mod calls;
mod polling;
#[cfg(feature = "tls")]
mod secured;

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use slab::Slab;

use super::connection::{Connection, Got};
use super::trace::Trace;
use super::OPERATORS;
use crate::hub::{Ending, SessionId};
use crate::random::Random;
use crate::server::network::Wakeup;
use crate::test_clock::outset;

/// A server that is this much too late, or works as long, was no server for so long.
const LATE_MIN: Duration = Duration::from_secs(1);

/// How often each thing was hit.
pub(super) type Hits = BTreeMap<&'static str, u64>;

/// The time, shared by everything that lives in it.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    outset: Instant,
    elapsed: Rc<Cell<Duration>>,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            outset: outset(),
            elapsed: Rc::default(),
        }
    }

    /// That long after the beginning of the run.
    pub(super) fn at(&self, elapsed: Duration) -> Instant {
        self.outset + elapsed
    }

    /// Since the beginning of the run.
    pub(super) fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }

    pub(super) fn pass(&self, time: Duration) {
        self.elapsed.set(self.elapsed() + time);
    }

    /// Goes on to this time, unless it is over.
    pub(super) fn pass_until(&self, until: Duration) {
        self.elapsed.set(self.elapsed().max(until));
    }
}

/// What the server knows a connection by. The descriptor may have had another owner before.
#[derive(Debug)]
pub(in crate::server) struct Stream {
    descriptor: usize,
    client: usize,
}

/// What goes wrong at the server's calls. None does by itself.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Every accept fails so, and takes nothing off the queue.
    pub(super) shortage: Option<Errno>,
    /// The next accepts fail so; the newcomer is lost if the error is theirs.
    pub(super) passing: VecDeque<Errno>,
    /// How many of the next registrations fail.
    pub(super) registrations: u32,
    /// Percentages.
    pub(super) interrupted: usize,
    pub(super) short_writes: usize,
    pub(super) spurious: usize,
    pub(super) repeated_edges: usize,
    /// The next poll fails for good.
    pub(super) poll: bool,
}

/// Something that is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    Listener(usize),
    Stream(usize),
}

/// What the server did in a turn, by client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// It was told to stop.
    Stop,
    Accept(usize),
    /// The id is `None` if that failed.
    Register(usize, Option<SessionId>),
    Read(usize, Got),
    /// It asked for an error and there was one.
    Broken(usize),
    Finish(usize),
    Close(usize, Ending),
}

/// The server's side of the world.
pub(in crate::server) struct SimulatedNetwork {
    pub(super) clock: Clock,
    pub(super) random: Random,
    /// Of what the server gives out as keys.
    secrets: Random,
    pub(super) trace: Trace,
    pub(super) hits: Hits,
    /// What the time of day is ahead of the clock, in seconds.
    pub(super) wall_offset: u64,
    /// By client; none is ever removed.
    pub(super) connections: Vec<Connection>,
    pub(super) descriptors: Slab<usize>,
    /// At most this many descriptors.
    pub(super) descriptors_max: usize,
    /// Who waits to be accepted, by listener.
    pub(super) queues: Vec<VecDeque<usize>>,
    pub(super) listening: bool,
    /// Somebody else listens, too.
    pub(super) held_elsewhere: bool,
    edges: VecDeque<Source>,
    raised: HashSet<Source>,
    pub(super) signals: VecDeque<Wakeup>,
    /// Delivered by the next poll before anything else.
    pub(super) injected: VecDeque<Wakeup>,
    /// Ids of sessions that have gone.
    stale: VecDeque<SessionId>,
    pub(super) faults: Faults,
    pub(super) batch_max: usize,
    /// All clients speak TLS.
    #[cfg(feature = "tls")]
    pub(super) is_in_tls: bool,
    /// What going on with a handshake costs in time, and how often that was done.
    #[cfg(feature = "tls")]
    pub(super) handshake_cost: Duration,
    #[cfg(feature = "tls")]
    pub(super) handshakes: usize,
    /// What a write costs in time.
    pub(super) write_cost: Duration,
    pub(super) accepts: u64,
    /// What was done since the last poll, and how much moved by it.
    pub(super) acts: Vec<Act>,
    pub(super) moved: u64,
    /// When the turn at hand began.
    pub(super) turn_at: Duration,
    /// The same without what was left out until then: the time that the server goes by.
    pub(super) turn_time: Duration,
    /// Since when the server sleeps, and sees no time pass; `None` if it is awake.
    asleep_at: Option<Duration>,
    /// Time in which the server served nobody though it should have, and which nobody is to suffer for.
    left_out: Duration,
    idle_turns: u32,
}

impl SimulatedNetwork {
    pub(super) fn new(clock: Clock, seed: u64, listeners: usize) -> Self {
        Self {
            clock,
            random: Random::new(seed),
            secrets: Random::new(!seed),
            trace: Trace::default(),
            hits: Hits::new(),
            wall_offset: 1_700_000_000,
            connections: Vec::new(),
            descriptors: Slab::new(),
            descriptors_max: usize::MAX,
            queues: vec![VecDeque::new(); listeners],
            listening: true,
            held_elsewhere: false,
            edges: VecDeque::new(),
            raised: HashSet::new(),
            signals: VecDeque::new(),
            injected: VecDeque::new(),
            stale: VecDeque::new(),
            faults: Faults::default(),
            batch_max: 1024,
            #[cfg(feature = "tls")]
            is_in_tls: false,
            #[cfg(feature = "tls")]
            handshake_cost: Duration::ZERO,
            #[cfg(feature = "tls")]
            handshakes: 0,
            write_cost: Duration::ZERO,
            accepts: 0,
            acts: Vec::new(),
            moved: 0,
            turn_at: Duration::ZERO,
            turn_time: Duration::ZERO,
            asleep_at: None,
            left_out: Duration::ZERO,
            idle_turns: 0,
        }
    }

    pub(super) fn hit(&mut self, what: &'static str) {
        *self.hits.entry(what).or_default() += 1;
    }

    /// Whether a client came to the listener for operators.
    pub(super) fn is_operator(&self, client: usize) -> bool {
        self.connections[client].listener == OPERATORS
    }

    /// The turn is over.
    pub(super) fn fall_asleep(&mut self) {
        let now = self.clock.elapsed();
        self.leave_out(now.saturating_sub(self.turn_at));
        self.asleep_at = Some(now);
    }

    /// The time of the clock that the server sees.
    pub(super) fn seen_at(&self) -> Duration {
        self.asleep_at.unwrap_or_else(|| self.clock.elapsed())
    }

    /// The time that the server goes by.
    pub(super) fn server_time(&self) -> Duration {
        self.seen_at().saturating_sub(self.left_out)
    }

    fn leave_out(&mut self, late: Duration) {
        if late >= LATE_MIN {
            self.left_out += late;
            self.hit("time left out");
        }
    }

    /// A client asks for a connection.
    pub(super) fn connect(
        &mut self,
        listener: usize,
        from: SocketAddr,
        window: Option<usize>,
    ) -> usize {
        let client = self.connections.len();
        self.connections
            .push(Connection::new(listener, from, window));
        self.trace.note(format_args!(
            "{client} connects to {listener} from {from}, takes {window:?}"
        ));
        if self.listening {
            self.queues[listener].push_back(client);
            if self.queues[listener].len() == 1 || self.repeats() {
                self.raise(Source::Listener(listener));
            }
        } else {
            self.connections[client].close(Ending::Abrupt);
        }
        client
    }

    pub(super) fn deliver(&mut self, client: usize, bytes_max: usize) {
        let connection = &mut self.connections[client];
        let deliverable = connection.is_deliverable();
        let tells = connection.deliver(bytes_max);
        if tells || (deliverable && self.repeats()) {
            self.raise(Source::Stream(client));
        }
        self.moved += u64::from(deliverable);
    }

    pub(super) fn take(&mut self, client: usize, bytes_max: usize) {
        let takeable = self.connections[client].is_takeable();
        if self.connections[client].take(bytes_max) {
            self.hit("room again");
            self.raise(Source::Stream(client));
        }
        self.moved += u64::from(takeable);
    }

    pub(super) fn reset(&mut self, client: usize, loses_unread: bool) {
        self.trace.note(format_args!("{client} resets"));
        self.connections[client].reset(loses_unread);
        self.tell_of_break(client);
        self.moved += 1;
    }

    /// Tells of a break, which may have come without an edge.
    pub(super) fn tell_of_break(&mut self, client: usize) {
        if self.connections[client].is_broken() {
            self.raise(Source::Stream(client));
        }
    }

    /// Whether the next poll will tell of something.
    pub(super) fn has_events(&self) -> bool {
        !(self.injected.is_empty() && self.signals.is_empty() && self.edges.is_empty())
    }

    /// Linux also tells again of what has not changed, but nobody may rely on that.
    fn repeats(&mut self) -> bool {
        let chance = self.faults.repeated_edges;
        chance > 0 && self.random.percent(chance)
    }

    fn raise(&mut self, source: Source) {
        let registered = match source {
            Source::Listener(_) => self.listening,
            Source::Stream(client) => self.connections[client].owner().is_some(),
        };
        if registered && self.raised.insert(source) {
            self.edges.push_back(source);
        }
    }

    fn connection(&mut self, stream: &Stream) -> &mut Connection {
        assert_eq!(
            self.descriptors.get(stream.descriptor),
            Some(&stream.client),
            "a descriptor that belongs to somebody else"
        );
        &mut self.connections[stream.client]
    }

    fn interrupts(&mut self) -> bool {
        let chance = self.faults.interrupted;
        chance > 0 && self.random.percent(chance)
    }
}
