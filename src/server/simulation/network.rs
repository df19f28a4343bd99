//! The simulated kernel of the server: listeners, descriptors, a list of what is ready, signals and the clock.
//!
//! An event comes when something changes, never because something is so; what it tells is computed when it is taken.
//! The clients act when the server polls, as the clock allows, so the server never wakes up for nothing but what it
//! asked for: an edge, or the end of its timeout.

mod polling;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use slab::Slab;

use super::connection::Connection;
use super::random::Random;
use super::trace::Trace;
use super::Hits;
use crate::hub::{Ending, SessionId};
use crate::origin::Origin;
use crate::server::network::{Network, Wakeup};
use crate::stream::{Read, Write};
use crate::test_clock::outset;

/// What the server knows a connection by. The descriptor may have had another owner before.
#[derive(Debug)]
pub(super) struct Stream {
    descriptor: usize,
    client: usize,
}

/// Who acts on the other side.
pub(super) trait World: Sized {
    /// When it acts next; `None` when it has nothing more to do.
    fn next_at(&self, network: &SimulatedNetwork<Self>) -> Option<Duration>;

    /// Acts.
    fn act(&mut self, network: &mut SimulatedNetwork<Self>);

    /// A client was accepted.
    fn accepted(&mut self, network: &SimulatedNetwork<Self>, client: usize);
}

/// Nobody acts but the test itself.
impl World for () {
    fn next_at(&self, _: &SimulatedNetwork<Self>) -> Option<Duration> {
        None
    }

    fn act(&mut self, _: &mut SimulatedNetwork<Self>) {}

    fn accepted(&mut self, _: &SimulatedNetwork<Self>, _: usize) {}
}

/// What goes wrong at the server's calls. None does by itself.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Every accept fails so, and takes nothing off the queue.
    pub(super) shortage: Option<Errno>,
    /// The next accepts fail so; the newcomer is lost if the error is hers.
    pub(super) passing: VecDeque<Errno>,
    /// So many of the next registrations fail.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Listener(usize),
    Stream(usize),
}

/// What the server's side of the world is made of.
pub(super) struct SimulatedNetwork<W> {
    pub(super) random: Random,
    pub(super) trace: Trace,
    pub(super) hits: Hits,
    outset: Instant,
    pub(super) elapsed: Duration,
    pub(super) wall_seconds: u64,
    /// By client; none is ever removed.
    pub(super) connections: Vec<Connection>,
    pub(super) descriptors: Slab<usize>,
    /// At most so many descriptors.
    pub(super) descriptors_max: usize,
    /// Who waits to be accepted, by listener.
    pub(super) queues: Vec<VecDeque<usize>>,
    pub(super) listening: bool,
    /// Somebody else listens, too.
    pub(super) held_elsewhere: bool,
    edges: VecDeque<Edge>,
    pub(super) signals: VecDeque<Wakeup>,
    /// Delivered by the next poll before anything else.
    pub(super) injected: VecDeque<Wakeup>,
    /// Ids of sessions that have gone.
    stale: VecDeque<SessionId>,
    pub(super) faults: Faults,
    pub(super) batch_max: usize,
    /// What a write costs in time.
    pub(super) write_cost: Duration,
    pub(super) world: Option<W>,
    pub(super) accepts: u64,
    /// The last poll came to its end because nothing will ever happen.
    pub(super) at_rest: bool,
    quiet_since: Duration,
    /// How much moved since the last poll.
    pub(super) moved: u64,
    idle_turns: u32,
    /// The timeout of the last poll, and how many accepts came between two polls.
    pub(super) timeout: Option<Duration>,
    accepts_before: u64,
    pub(super) accepts_of_turn: u64,
    reads_of_turn: Vec<usize>,
}

impl<W: World> SimulatedNetwork<W> {
    pub(super) fn new(seed: u64, listeners: usize, world: W) -> Self {
        Self {
            random: Random::new(seed),
            trace: Trace::default(),
            hits: Hits::new(),
            outset: outset(),
            elapsed: Duration::ZERO,
            wall_seconds: 1_700_000_000,
            connections: Vec::new(),
            descriptors: Slab::new(),
            descriptors_max: usize::MAX,
            queues: vec![VecDeque::new(); listeners],
            listening: true,
            held_elsewhere: false,
            edges: VecDeque::new(),
            signals: VecDeque::new(),
            injected: VecDeque::new(),
            stale: VecDeque::new(),
            faults: Faults::default(),
            batch_max: 1024,
            write_cost: Duration::ZERO,
            world: Some(world),
            accepts: 0,
            at_rest: false,
            quiet_since: Duration::ZERO,
            moved: 0,
            idle_turns: 0,
            timeout: None,
            accepts_before: 0,
            accepts_of_turn: 0,
            reads_of_turn: Vec::new(),
        }
    }

    pub(super) fn hit(&mut self, what: &'static str) {
        *self.hits.entry(what).or_default() += 1;
    }

    /// A client asks for a connection.
    pub(super) fn connect(
        &mut self,
        listener: usize,
        from: SocketAddr,
        window: Option<usize>,
    ) -> usize {
        let client = self.connections.len();
        self.connections.push(Connection::new(from, window));
        self.trace
            .note(format_args!("{client} connects to {listener} from {from}"));
        if self.listening {
            self.queues[listener].push_back(client);
            if self.queues[listener].len() == 1 || self.repeats() {
                self.raise(Edge::Listener(listener));
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
            self.raise(Edge::Stream(client));
        }
        self.moved += u64::from(deliverable);
    }

    pub(super) fn take(&mut self, client: usize, bytes_max: usize) {
        let takeable = self.connections[client].is_takeable();
        if self.connections[client].take(bytes_max) {
            self.hit("room again");
            self.raise(Edge::Stream(client));
        }
        self.moved += u64::from(takeable);
    }

    pub(super) fn reset(&mut self, client: usize, loses_unread: bool) {
        self.trace.note(format_args!("{client} resets"));
        self.connections[client].reset(loses_unread);
        self.raise(Edge::Stream(client));
        self.moved += 1;
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

    fn raise(&mut self, edge: Edge) {
        let registered = match edge {
            Edge::Listener(_) => self.listening,
            Edge::Stream(client) => self.connections[client].registered.is_some(),
        };
        if registered && !self.edges.contains(&edge) {
            self.edges.push_back(edge);
        }
    }

    /// Who is read at the moment is read only because there was a reason to.
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

    fn read_once(&mut self, client: usize, buffer: &mut [u8]) -> io::Result<usize> {
        if self.interrupts() {
            self.hit("read: interrupted");
            return Err(ErrorKind::Interrupted.into());
        }
        // The world goes on while the server works.
        if self.faults.repeated_edges > 0 && self.random.percent(5) {
            self.deliver(client, 10);
        }
        let outcome = self.connections[client].read(buffer);
        self.trace.note(format_args!("{client} reads {outcome:?}"));
        match &outcome {
            Ok(0) => self.hit("read: end"),
            Ok(length) => {
                self.moved += 1;
                if *length == buffer.len() {
                    self.hit("read: full buffer");
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.hit("read: nothing"),
            Err(_) => self.hit("read: reset"),
        }
        outcome
    }

    fn write_once(&mut self, client: usize, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.interrupts() {
            self.hit("write: interrupted");
            return Err(ErrorKind::Interrupted.into());
        }
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let chance = self.faults.short_writes;
        let bite = if chance > 0 && self.random.percent(chance) {
            self.random.within(1..=offered.max(1))
        } else {
            usize::MAX
        };
        let connection = &mut self.connections[client];
        let outcome = connection.write(slices, bite);
        self.trace
            .note(format_args!("{client} is written {outcome:?} of {offered}"));
        match &outcome {
            Ok(taken) => {
                self.moved += 1;
                if *taken < offered {
                    self.hit("write: short");
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.hit("write: blocks"),
            Err(_) => {
                self.connections[client].told_of = true;
                self.hit("write: broken");
            }
        }
        outcome
    }
}

impl<W: World> Network for SimulatedNetwork<W> {
    type Stream = Stream;

    fn now(&self) -> Instant {
        self.outset + self.elapsed
    }

    fn wall_seconds(&self) -> u64 {
        self.wall_seconds
    }

    fn poll(&mut self, events: &mut Vec<Wakeup>, timeout: Option<Duration>) -> io::Result<()> {
        if self.faults.poll {
            return Err(ErrorKind::InvalidInput.into());
        }
        self.wait(events, timeout);
        Ok(())
    }

    fn accept(&mut self, listener: usize) -> io::Result<(Stream, Origin)> {
        assert!(self.listening, "accepts after it stopped to listen");
        if let Some(error) = self.faults.passing.pop_front() {
            self.hit("accept: passing error");
            // An error of the newcomer's own takes her off the queue.
            if error != Errno::INTR {
                if let Some(client) = self.queues[listener].pop_front() {
                    self.connections[client].close(Ending::Abrupt);
                }
            }
            self.trace.note(format_args!("accept: {error:?}"));
            return Err(error.into());
        }
        if self.queues[listener].is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let full = self.descriptors.len() >= self.descriptors_max;
        if let Some(error) = self.faults.shortage.or(full.then_some(Errno::MFILE)) {
            self.hit("accept: shortage");
            self.trace.note(format_args!("accept: {error:?}"));
            return Err(error.into());
        }
        let Some(client) = self.queues[listener].pop_front() else {
            return Err(ErrorKind::WouldBlock.into());
        };
        let descriptor = self.descriptors.insert(client);
        self.accepts += 1;
        self.moved += 1;
        self.trace
            .note(format_args!("{client} is accepted as {descriptor}"));
        if let Some(mut world) = self.world.take() {
            world.accepted(self, client);
            self.world = Some(world);
        }
        Ok((
            Stream { descriptor, client },
            self.connections[client].from.into(),
        ))
    }

    fn register(&mut self, stream: &mut Stream, id: SessionId) -> io::Result<()> {
        if self.faults.registrations > 0 {
            self.faults.registrations -= 1;
            self.hit("register: fails");
            let client = stream.client;
            self.trace
                .note(format_args!("{client} is not registered: no space"));
            return Err(Errno::NOSPC.into());
        }
        let client = stream.client;
        let connection = self.connection(stream);
        assert_eq!(connection.registered, None, "registered twice");
        connection.registered = Some(id);
        connection.ever_registered = true;
        self.raise(Edge::Stream(client));
        Ok(())
    }

    fn read(&mut self, stream: &mut Stream, buffer: &mut [u8]) -> Read {
        let client = stream.client;
        assert!(
            self.connection(stream).told_of,
            "{client} is read though nothing was told of it"
        );
        assert!(
            !self.reads_of_turn.contains(&client),
            "{client} is read twice in a turn"
        );
        self.reads_of_turn.push(client);
        Read::by(|| self.read_once(client, buffer))
    }

    fn is_broken(&mut self, stream: &mut Stream) -> bool {
        let broken = self.connection(stream).take_break();
        if broken {
            self.hit("broken while paused");
        }
        self.trace
            .note(format_args!("{} is broken: {broken}", stream.client));
        broken
    }

    fn write(&mut self, stream: &mut Stream, slices: &[IoSlice<'_>]) -> Write {
        let client = stream.client;
        self.connection(stream);
        self.elapsed += self.write_cost;
        Write::by(|| self.write_once(client, slices))
    }

    fn finish(&mut self, stream: &mut Stream) {
        let client = stream.client;
        self.connection(stream).finish();
        self.moved += 1;
        self.trace.note(format_args!("{client} is finished"));
    }

    fn close(&mut self, stream: Stream, ending: Ending) {
        let Stream { descriptor, client } = stream;
        let connection = self.connection(&stream);
        let registered = connection.registered;
        connection.close(ending);
        self.descriptors.remove(descriptor);
        self.edges.retain(|edge| *edge != Edge::Stream(client));
        self.moved += 1;
        if let Some(id) = registered {
            self.stale.push_back(id);
            self.stale.truncate(50);
        }
        self.trace
            .note(format_args!("{client} is closed, {ending:?}"));
    }

    fn keeps_listening(&self) -> bool {
        self.held_elsewhere
    }

    fn stop_listening(&mut self) {
        self.listening = false;
        self.edges.retain(|edge| matches!(edge, Edge::Stream(_)));
        if self.held_elsewhere {
            return;
        }
        let short =
            self.faults.shortage.is_some() || self.descriptors.len() >= self.descriptors_max;
        for client in self.queues.iter_mut().flat_map(std::mem::take) {
            assert!(short, "{client} waits at the door and is not told");
            self.connections[client].close(Ending::Abrupt);
        }
    }
}
