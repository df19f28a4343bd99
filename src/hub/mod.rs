//! The chat itself: sessions, names, the room, and what everybody is to hear.
//!
//! [`Hub<T>`] knows no socket, no clock and no randomness. `T` is whatever carries a session's bytes; it has no bound,
//! so the compiler proves that the hub does nothing with it but keep it and lend it to the caller's [`Sink`]. Time
//! is an argument, and no order depends on a hash map. So partial writes, resets, stale ids and leaps of the clock
//! are ordinary inputs.
//!
//! Who drives a hub does so in turns: [`Hub::connect`] newcomers, pass on what was read ([`Hub::handle_input`],
//! [`Hub::handle_eof`], [`Hub::handle_reset`]) and what became writable ([`Hub::handle_writable`]), then
//! [`Hub::tick`], [`Hub::flush`] or [`Hub::flush_some`], and [`Hub::reap`].
//!
//! # One door out
//! [`Hub::begin_close`] alone ends a session: it takes it out of the room, frees its name, tells the others, and lets
//! it drain or marks it closed. It never frees; [`Hub::reap`] alone does, at the end of the turn, when no id, event
//! or borrow of the turn is alive any more. Telling the others only adds to the feed, so however many leave at once,
//! nothing recurses.

mod arrivals;
mod bounds;
mod comforts;
mod door;
mod feed;
mod flush;
mod history;
mod input;
mod invariants;
mod lists;
mod members;
mod obey;
mod peer;
mod presence;
mod room;
mod roster;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::dialect::event::Reply;
use crate::dialect::{text, Dialect};
use crate::hygiene;
use crate::ledger::Ledger;

pub use crate::outbox::QueueLimits;
pub use bounds::LineRate;
pub use flush::Sink;
pub use peer::SessionId;

use peer::{Peer, Stage};
use room::Room;
use roster::Roster;

/// A feed of this size is told to all before more is read: it must fit into everybody's socket buffer.
const FEED_BYTES_MAX: usize = 64 * 1024;

/// The bounds that a hub keeps.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A longer line is refused.
    pub line_bytes_max: usize,
    /// What may wait for one session.
    pub queue: QueueLimits,
    /// How fast a session is heard; `None` for as fast as it sends.
    pub line_rate: Option<LineRate>,
    /// What all queues and buffers may hold together, in bytes.
    pub memory_max: usize,
    /// How long a session may be silent; `None` for ever.
    pub idle: Option<Duration>,
    /// How long a closing session gets to take its last bytes.
    pub drain: Duration,
    /// How many lines are kept for newcomers.
    pub history_lines: usize,
}

#[cfg(test)]
impl Limits {
    /// Few tests meet any of these, and those that mean to set it.
    pub(crate) const WIDE: Self = Self {
        line_bytes_max: 4096,
        queue: QueueLimits {
            bytes_max: 256 * 1024,
            bytes_soft: 64 * 1024,
            soft: Duration::from_secs(10),
            stall: None,
        },
        line_rate: None,
        memory_max: usize::MAX,
        idle: None,
        drain: Duration::from_secs(5),
        history_lines: 0,
    };
}

/// How a transport that [`Hub::reap`] gives back is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its peer has everything, or is to get it from the kernel.
    Orderly,
    /// By a reset. It did not take what waited for it in time, so the kernel need not keep that either; or it has
    /// taken everything but stays, as nc does, and a reset frees its person.
    Abrupt,
}

/// How many sessions are in which state, and what they hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Sessions that talk.
    pub open: usize,
    /// Sessions that take their last bytes.
    pub draining: usize,
    /// Sessions whose last bytes are read and dropped.
    pub lingering: usize,
    /// Names held, those of guests among them.
    pub names: usize,
    /// Those who are told of.
    pub here: usize,
    /// Bytes that wait for all sockets together.
    pub queued_bytes: usize,
    /// Bytes of input that wait to be understood, and of unfinished lines.
    pub input_bytes: usize,
}

/// The chat.
///
/// Invariants: opened = held in `peers` + closed; open sessions, names in the roster and members of the room are the
/// same, one to one; `queued_bytes` is the sum over all outboxes; every session that is paused is among `pauses`;
/// `wake_at` is not later than the first deadline or `rests_until`, whichever comes last.
#[derive(Debug)]
pub struct Hub<T> {
    limits: Limits,
    peers: Slab<Peer<T>>,
    serial: u32,
    roster: Roster<SessionId>,
    room: Room,
    ledger: Ledger,
    /// Sessions with something to be written, each once.
    flush_list: Vec<SessionId>,
    /// Sessions to be freed at the end of the turn.
    closed: Vec<SessionId>,
    queued_bytes: usize,
    /// Bytes of input that wait to be understood, and of unfinished lines, of all sessions.
    input_bytes: usize,
    /// Sessions whose pause has ended, to be read again.
    resumed: Vec<SessionId>,
    /// Whose pause ends when; some of them may have gone since. A pause is too short to look at all sessions for it.
    pauses: BinaryHeap<Reverse<(Instant, SessionId)>>,
    /// A lower bound of the first deadline of any session, but for pauses; not before `rests_until`.
    wake_at: Option<Instant>,
    /// All sessions were looked at a moment ago, and are not looked at again before this.
    rests_until: Option<Instant>,
    /// The server goes down: nobody is told who leaves, for all do.
    going_down: bool,
    /// How often anything was said, to tell who spoke last.
    speeches: u32,
    /// The time of day, as seconds since 1970 in UTC.
    wall_seconds: u64,
    /// What a newcomer is shown behind the greeting, as lines of the server.
    motd: Vec<u8>,
}

impl<T> Hub<T> {
    /// An empty hub.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            peers: Slab::new(),
            serial: 0,
            roster: Roster::default(),
            room: Room::new(limits.history_lines),
            ledger: Ledger::default(),
            flush_list: Vec::new(),
            closed: Vec::new(),
            queued_bytes: 0,
            input_bytes: 0,
            resumed: Vec::new(),
            pauses: BinaryHeap::new(),
            wake_at: None,
            rests_until: None,
            going_down: false,
            speeches: 0,
            wall_seconds: 0,
            motd: Vec::new(),
        }
    }

    /// Tells the hub the time of day, in seconds since 1970 in UTC. It is only ever shown to people.
    pub fn set_wall_clock(&mut self, seconds: u64) {
        self.wall_seconds = seconds;
    }

    /// Sets what newcomers are shown behind the greeting; it is made fit to be shown.
    pub fn set_motd(&mut self, text: &[u8]) {
        self.motd.clear();
        for line in text.split(|byte| *byte == b'\n') {
            let clean = hygiene::clean(line);
            if !clean.text.is_empty() {
                text::encode_reply(&Reply::Note(format_args!("{}", clean.text)), &mut self.motd);
            }
        }
    }

    /// How many sessions hold a slot.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether no session is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// How many sessions talk.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.room.members.len()
    }

    /// The record of opens and closes.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Counts the sessions by their state.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census {
            names: self.roster.len(),
            here: self.room.here(),
            queued_bytes: self.queued_bytes,
            input_bytes: self.input_bytes,
            ..Census::default()
        };
        for (_, peer) in &self.peers {
            match peer.stage() {
                None => census.open += 1,
                Some(Stage::Draining { .. }) => census.draining += 1,
                Some(Stage::Lingering { .. } | Stage::Closed(_)) => census.lingering += 1,
            }
        }
        census
    }

    /// What carries a session's bytes; `None` if the session is gone.
    pub fn transport(&mut self, id: SessionId) -> Option<&mut T> {
        self.peer(id).map(|peer| &mut peer.transport)
    }

    /// Every session that holds a slot.
    pub fn ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.peers
            .iter()
            .map(|(slot, peer)| SessionId::new(slot, peer.serial))
    }

    /// When [`Hub::tick`] has something to do, at the earliest.
    #[must_use]
    pub fn wake_at(&self) -> Option<Instant> {
        let pause_ends_at = self.pauses.peek().map(|Reverse((at, _))| *at);
        let deadlines = [self.wake_at, self.room.wake_at(), pause_ends_at];
        deadlines.into_iter().flatten().min()
    }

    /// Whether something is to be flushed to some sessions alone.
    #[must_use]
    pub fn has_listed(&self) -> bool {
        !self.flush_list.is_empty()
    }

    /// How many lines there are that not all have heard, or that were said while the round goes on.
    #[must_use]
    pub fn lines_waiting(&self) -> usize {
        self.room.feed.happenings()
    }

    /// Whether these lines tell of nothing but who came and went, and nobody is being told of them yet.
    #[must_use]
    pub fn only_presence_waits(&self) -> bool {
        self.room.members.is_round_over() && self.room.feed.is_presence_only()
    }

    /// Whether sessions wait to be freed.
    #[must_use]
    pub fn has_closed(&self) -> bool {
        !self.closed.is_empty()
    }

    /// Whether so much was said that it should be told to all before more is read.
    #[must_use]
    pub fn has_said_enough(&self) -> bool {
        self.room.feed.len() >= FEED_BYTES_MAX.min(self.limits.queue.bytes_max / 4)
    }
}

/// What a session alone is told, and its place on the lists.
impl<T> Hub<T> {
    fn peer_ref(&self, id: SessionId) -> Option<&Peer<T>> {
        let peer = self.peers.get(id.slot as usize);
        peer.filter(|peer| peer.serial == id.serial)
    }

    fn peer(&mut self, id: SessionId) -> Option<&mut Peer<T>> {
        self.peers
            .get_mut(id.slot as usize)
            .filter(|peer| peer.serial == id.serial)
    }

    fn reply(&mut self, id: SessionId, reply: &Reply<'_>) {
        self.say_alone(id, |dialect, out| dialect.encode_reply(reply, out));
    }

    fn note(&mut self, id: SessionId, text: fmt::Arguments<'_>) {
        self.reply(id, &Reply::Note(text));
    }

    /// Queues lines that one session alone hears, as it wants to see them.
    fn say_alone(&mut self, id: SessionId, write: impl FnOnce(Dialect, &mut Vec<u8>)) {
        let wall_seconds = self.wall_seconds;
        let Some(peer) = self.peer(id) else { return };
        let dialect = peer.dialect;
        let Some(view) = peer.comforts.as_deref().map(|comforts| comforts.view) else {
            return self.queue_alone(id, |out| write(dialect, out));
        };
        let mut lines = Vec::new();
        write(dialect, &mut lines);
        self.queue_alone(id, |out| view.show_own(&lines, wall_seconds, out));
    }

    /// Queues what the protocol below the text has to say.
    fn say_protocol(&mut self, id: SessionId, bytes: &mut Vec<u8>) {
        if !bytes.is_empty() {
            self.queue_alone(id, |out| out.append(bytes));
        }
    }

    /// Queues what one session alone hears. The one place where such output begins, so that it has a waker.
    fn queue_alone(&mut self, id: SessionId, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(peer) = self.peers.get_mut(id.slot as usize) else {
            return;
        };
        if peer.serial == id.serial {
            self.room
                .feed
                .say_alone(&mut peer.cursor, peer.dialect, write);
            self.list(id);
        }
    }

    /// Puts a session on the flush list.
    fn list(&mut self, id: SessionId) {
        if let Some(peer) = self.peer(id).filter(|peer| !peer.listed) {
            peer.listed = true;
            self.flush_list.push(id);
        }
    }

    fn wake_by(&mut self, at: Instant) {
        let at = self.rests_until.map_or(at, |until| until.max(at));
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}
