//! One simulated TCP connection: what either side has given to its kernel, and what the kernels make of it.

use std::io::IoSlice;
use std::net::SocketAddr;

use crate::hub::{Ending, SessionId};
use crate::server::network::Owner;
#[cfg(feature = "tls")]
use crate::stream::tls::{tests::peer::Peer, Tls};
use crate::stream::Edge;

/// At most this much lies unread in the server's kernel; the rest stays with the client.
const INBOX_BYTES_MAX: usize = 128 * 1024;

/// How a client was told that no more comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Orderly,
    Reset,
}

/// What a read of the server gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Got {
    Bytes(usize),
    Nothing,
    End,
    Reset,
}

/// Whether a connection broke, as the server's kernel sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Break {
    No,
    /// The next call is told.
    Fresh,
    Told,
}

/// Bytes in the order in which they came, taken from the front.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    bytes: Vec<u8>,
    start: usize,
}

impl Pipe {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.start > 64 * 1024 || self.is_empty() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn take(&mut self, length: usize) -> &[u8] {
        let from = self.start;
        self.start += length.min(self.len());
        &self.bytes[from..self.start]
    }

    fn clear(&mut self) {
        self.start = self.bytes.len();
    }
}

/// TLS between both ends, who have shaken hands.
#[cfg(feature = "tls")]
#[derive(Debug)]
pub(super) struct Secured {
    pub(super) tls: Tls,
    pub(super) peer: Peer,
}

/// Both ends of a connection, and both kernels between them. What a server must never do to one fails the test.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about a connection"
)]
pub(super) struct Connection {
    pub(super) listener: usize,
    pub(super) from: SocketAddr,
    pub(super) registered: Option<SessionId>,
    /// The slot that it has as an operator's.
    pub(super) control: Option<u32>,
    /// The slot that it has at the door.
    pub(super) door: Option<u32>,
    pub(super) ever_registered: bool,
    /// The server has let go of it.
    pub(super) closed: bool,
    /// Some event told of it, or a write failed: the server has a reason to read it.
    pub(super) told_of: bool,
    // From the client to the server.
    /// What the client has sent and the server's kernel has not received.
    pub(super) to_send: Pipe,
    /// Where urgent bytes stand, counted from the first byte ever sent.
    urgent_at: Vec<u64>,
    sent: u64,
    arrived: u64,
    read: u64,
    inbox: Pipe,
    end_wanted: bool,
    end_arrived: bool,
    broken: Break,
    // From the server to the client.
    /// How much the server's kernel takes for a client that does not read; `None` for one that always reads.
    pub(super) window: Option<usize>,
    outbox: Pipe,
    /// A write found no room: there is an edge when there is some.
    no_space: bool,
    /// A write would have blocked, and no event was delivered since.
    pub(super) blocked: bool,
    /// It was written to in this turn, and how often that without an event.
    pub(super) tried: bool,
    pub(super) tried_once_more: u32,
    pub(super) finished: bool,
    /// What the server's kernel took since the model looked last, and whether a write failed for good.
    pub(super) fresh: Vec<u8>,
    pub(super) failed: bool,
    /// What lies between, if that is TLS.
    #[cfg(feature = "tls")]
    pub(super) secured: Option<Box<Secured>>,
    /// What the client has got.
    pub(super) received: Vec<u8>,
    pub(super) end: Option<End>,
}

impl Connection {
    /// What its events belong to, if it was asked for them.
    pub(super) fn owner(&self) -> Option<Owner> {
        let control = self.control.map(Owner::Control);
        let other = control.or(self.door.map(Owner::Door));
        self.registered.map(Owner::Session).or(other)
    }
}

/// The client's side.
impl Connection {
    pub(super) fn new(listener: usize, from: SocketAddr, window: Option<usize>) -> Self {
        Self {
            listener,
            from,
            registered: None,
            control: None,
            door: None,
            ever_registered: false,
            closed: false,
            told_of: false,
            to_send: Pipe::default(),
            urgent_at: Vec::new(),
            sent: 0,
            arrived: 0,
            read: 0,
            inbox: Pipe::default(),
            end_wanted: false,
            end_arrived: false,
            broken: Break::No,
            window,
            outbox: Pipe::default(),
            no_space: false,
            blocked: false,
            tried: false,
            tried_once_more: 0,
            finished: false,
            fresh: Vec::new(),
            failed: false,
            #[cfg(feature = "tls")]
            secured: None,
            received: Vec::new(),
            end: None,
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        if !self.end_wanted && !self.is_over() {
            self.sent += bytes.len() as u64;
            self.to_send.put(bytes);
        }
    }

    /// Marks the last byte that was sent as urgent.
    pub(super) fn mark_urgent(&mut self) {
        if self.sent > self.arrived {
            self.urgent_at.push(self.sent - 1);
        }
    }

    /// The client sends nothing more.
    pub(super) fn end_sending(&mut self) {
        self.end_wanted = true;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.end_wanted
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken != Break::No
    }

    /// Whether the connection has come to its end from the client's point of view.
    pub(super) fn is_over(&self) -> bool {
        self.end == Some(End::Reset) || self.is_broken() || (self.closed && self.end.is_some())
    }

    /// Whether something is under way to the server.
    pub(super) fn is_deliverable(&self) -> bool {
        let room = self.inbox.len() < INBOX_BYTES_MAX;
        !self.is_over()
            && ((room && !self.to_send.is_empty())
                || (self.to_send.is_empty() && self.end_wanted && !self.end_arrived))
    }

    /// Lets at most this many bytes arrive, and the end behind them; gives whether the server's kernel must tell of it.
    pub(super) fn deliver(&mut self, bytes_max: usize) -> bool {
        if !self.is_deliverable() {
            return false;
        }
        if self.closed {
            // Bytes for nobody are answered with a reset.
            if self.to_send.is_empty() {
                self.end_arrived = true;
            } else {
                self.to_send.clear();
                self.outbox.clear();
                self.end = Some(End::Reset);
            }
            return false;
        }
        let was_empty = self.inbox.is_empty();
        let length = bytes_max
            .min(self.to_send.len())
            .min(INBOX_BYTES_MAX - self.inbox.len());
        let had_urgent = self.next_urgent().is_some();
        self.inbox.put(self.to_send.take(length));
        self.arrived += length as u64;
        let ends = self.to_send.is_empty() && self.end_wanted && !self.end_arrived;
        self.end_arrived |= ends;
        let is_urgent = !had_urgent && self.next_urgent().is_some();
        (was_empty && length > 0) || ends || is_urgent
    }

    /// How many bytes of the client have arrived.
    pub(super) fn arrived(&self) -> usize {
        self.arrived as usize
    }

    /// Lets this many bytes more arrive, whether there is room or not.
    pub(super) fn force(&mut self, bytes: usize) {
        if !self.closed {
            self.inbox.put(self.to_send.take(bytes));
            self.arrived += bytes as u64;
        }
    }

    /// The client resets the connection; what it sent before stays to be read, or is lost.
    pub(super) fn reset(&mut self, loses_unread: bool) {
        self.broken = Break::Fresh;
        self.end_wanted = true;
        self.to_send.clear();
        self.outbox.clear();
        if loses_unread {
            self.inbox.clear();
            self.urgent_at.clear();
        }
    }

    /// The client reads; gives whether the server's kernel must tell that there is room again.
    pub(super) fn take(&mut self, bytes_max: usize) -> bool {
        let length = bytes_max.min(self.outbox.len());
        self.received.extend_from_slice(self.outbox.take(length));
        if self.outbox.is_empty() && self.finished && self.end.is_none() {
            self.end = Some(End::Orderly);
        }
        let tells = self.no_space && self.has_room();
        self.no_space &= !tells;
        tells
    }

    pub(super) fn is_takeable(&self) -> bool {
        !self.outbox.is_empty()
    }
}

/// The server's side.
impl Connection {
    /// Linux tells of room only when there is a good part of the buffer, see `sk_stream_is_writeable`.
    fn has_room(&self) -> bool {
        self.window
            .is_none_or(|window| (window - self.outbox.len()) * 3 >= window)
    }

    /// Where the next urgent byte stands that has arrived and is not read.
    fn next_urgent(&self) -> Option<u64> {
        let at = self.urgent_at.iter().copied().find(|at| *at >= self.read);
        at.filter(|at| *at < self.arrived)
    }

    /// What an event tells of it at this time.
    pub(super) fn edge(&self) -> Edge {
        Edge {
            readable: !self.inbox.is_empty() || self.end_arrived || self.is_broken(),
            writable: self.has_room() || self.is_broken(),
            closed: self.end_arrived || self.is_broken(),
            urgent: self.next_urgent().is_some(),
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Got {
        let mut length = buffer.len().min(self.inbox.len());
        // A read stops in front of urgent data, unless it begins with it.
        if let Some(at) = self.urgent_at.iter().find(|at| **at > self.read) {
            length = length.min((at - self.read) as usize);
        }
        if length > 0 {
            buffer[..length].copy_from_slice(self.inbox.take(length));
            self.read += length as u64;
            return Got::Bytes(length);
        }
        if self.take_break() {
            return Got::Reset;
        }
        match self.broken {
            Break::Fresh | Break::Told => Got::End,
            Break::No if self.end_arrived => Got::End,
            Break::No => Got::Nothing,
        }
    }

    /// Whether it was reset and nobody has been told.
    pub(super) fn take_break(&mut self) -> bool {
        let fresh = self.broken == Break::Fresh;
        if fresh {
            self.broken = Break::Told;
        }
        fresh
    }

    /// Takes at most `bite` bytes: 0 if there is no room, `None` if it broke.
    pub(super) fn write(&mut self, slices: &[IoSlice<'_>], bite: usize) -> Option<usize> {
        assert!(!self.finished, "written to behind the last byte");
        assert!(!self.failed, "written to after it failed");
        let again = std::mem::take(&mut self.blocked);
        self.tried = true;
        self.tried_once_more += u32::from(again);
        // It may be told something alone, and something of the room.
        assert!(
            self.tried_once_more <= 2,
            "written to again without an edge"
        );
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        assert!(offered > 0, "written nothing");
        if self.take_break() || self.is_broken() {
            self.failed = true;
            return None;
        }
        let room = self
            .window
            .map_or(usize::MAX, |window| window - self.outbox.len());
        if room == 0 {
            self.no_space = true;
            self.blocked = true;
            return Some(0);
        }
        let taken = offered.min(room).min(bite.max(1));
        self.no_space |= taken == room && taken < offered;
        let mut left = taken;
        for slice in slices {
            let step = left.min(slice.len());
            self.outbox.put(&slice[..step]);
            self.fresh.extend_from_slice(&slice[..step]);
            left -= step;
        }
        if self.window.is_none() {
            self.take(usize::MAX);
        }
        Some(taken)
    }

    pub(super) fn finish(&mut self) {
        assert!(!self.finished, "finished twice");
        self.finished = true;
        self.take(0);
    }

    pub(super) fn close(&mut self, ending: Ending) {
        self.closed = true;
        self.registered = None;
        self.control = None;
        self.door = None;
        self.finished = true;
        if ending == Ending::Abrupt || !self.inbox.is_empty() {
            // A socket that is closed with unread input resets its connection, too.
            self.outbox.clear();
            self.end.get_or_insert(End::Reset);
        }
        self.take(0);
    }
}
