//! How a [`Connection`] is driven: the socket comes and goes, bytes pass, deadlines come.
//!
//! The owner of the socket asks [`Connection::wants_addresses`] (answered by [`Connection::handle_addresses`]) and
//! [`Connection::wants_dial`], says what came of it ([`Connection::handle_dialing`],
//! [`Connection::handle_unreachable`]), passes hints on ([`Connection::note`]), gives it its turns
//! ([`Connection::turn`]), and closes the socket when [`Connection::has_stream`] says so.

use std::borrow::Cow;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::client::backoff::Backoff;
use crate::client::connection::{Connection, Counters, Flow, Link, Phase, Wanted};
use crate::client::event::{Event, Leave, Why};
use crate::client::id::ClientId;
use crate::client::options::{Options, Target};
use crate::client::queue::{Outgoing, Queue, What};
use crate::client::unanswered::{Unanswered, LOBBY};
use crate::dialect::line::LineBuffer;
use crate::dialect::message::Message;
use crate::settings::Listen;
use crate::stream::{Edge, Read, Readiness, Socket, Write};

/// At most this many slices go into one write.
const SLICES_MAX: usize = 16;

/// Room in a line for what is not words: a name, marks, the server's notices.
const FRAME_BYTES_MAX: usize = 1024;

/// Words may come three times as long as they were sent, for the server cleans them, and normalizing spells some
/// characters as three.
const CLEANING_FACTOR: usize = 3;

/// Who hears of events.
pub(super) type Handler<'a> = dyn FnMut(&mut Connection, Event<'_>) + 'a;

/// Room that all connections of one poll share.
#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) input: Box<[u8]>,
    pub(super) scratch: Vec<u8>,
}

/// What drives it: the socket comes and goes.
impl Connection {
    pub(super) fn new(id: ClientId, target: &Target, options: Options) -> Self {
        Self {
            id,
            target: target.clone(),
            address: 0,
            moved: false,
            backoff: options.reconnect.clone().map(Backoff::new),
            memory: (options.keep_max > 0).then(Box::default),
            options,
            phase: Phase::Open,
            link: Link::Down(None),
            flow: Flow::Ready,
            readiness: Readiness::default(),
            paused: false,
            abrupt: false,
            lines: LineBuffer::default(),
            queue: Queue::default(),
            unanswered: Unanswered::default(),
            name: Box::default(),
            asked_name: Box::default(),
            room: LOBBY.into(),
            wanted: Wanted::default(),
            counters: Counters::default(),
            local_address: None,
            heard_at: None,
            written_at: None,
        }
    }

    /// What is to be looked up before an address can be dialled, if one is to be dialled now.
    pub(super) fn wants_addresses(&self, now: Instant) -> Option<Arc<Listen>> {
        let name = self.target.name.as_ref().filter(|_| self.moved);
        name.filter(|_| self.dials_at(now)).cloned()
    }

    /// The address to be dialled now, if one is.
    pub(super) fn wants_dial(&self, now: Instant) -> Option<SocketAddr> {
        if self.moved || !self.dials_at(now) {
            return None;
        }
        self.target.addresses.get(self.address).copied()
    }

    fn dials_at(&self, now: Instant) -> bool {
        let wanted = match self.phase {
            Phase::Open => true,
            Phase::Leaving { how, .. } => how != Leave::Reset && self.queue.messages() > 0,
            Phase::Closed(_) => false,
        };
        match self.link {
            Link::Down(at) => wanted && at.is_none_or(|at| at <= now),
            Link::Dialing(_) | Link::Up(_) => false,
        }
    }

    /// Whether it holds a socket; if not, a socket that it has had is to be closed.
    pub(super) fn has_stream(&self) -> bool {
        !matches!(self.link, Link::Down(_))
    }

    /// Whether a socket that is to be closed is to be reset.
    pub(super) fn is_abrupt(&self) -> bool {
        self.abrupt
    }

    /// Whether there is something to do of which no edge and no deadline will tell.
    pub(super) fn is_busy(&self) -> bool {
        let leaving = match self.phase {
            Phase::Closed(_) => return false,
            Phase::Leaving {
                how: Leave::Reset, ..
            }
            | Phase::Leaving { until: None, .. } => return true,
            Phase::Leaving { .. } => true,
            Phase::Open => false,
        };
        match self.link {
            Link::Down(at) => at.is_none(),
            Link::Dialing(_) => self.flow == Flow::Ready,
            Link::Up(_) => {
                let may_write = self.flow == Flow::Ready && self.queue.may_write();
                let reads = !self.paused || leaving || self.readiness.may_have_ended();
                may_write || (self.readiness.is_readable() && reads)
            }
        }
    }

    /// When [`Connection::tick`] or [`Connection::wants_dial`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let leave_at = match self.phase {
            Phase::Leaving { until, .. } => until,
            Phase::Closed(_) => return None,
            Phase::Open => None,
        };
        let link_at = match self.link {
            Link::Down(at) => at,
            Link::Dialing(until) => Some(until),
            Link::Up(_) => None,
        };
        leave_at.into_iter().chain(link_at).min()
    }

    /// The name was looked up; a failure counts as a failed attempt.
    pub(super) fn handle_addresses(
        &mut self,
        found: io::Result<Vec<SocketAddr>>,
        now: Instant,
        handler: &mut Handler<'_>,
    ) {
        match found {
            Ok(addresses) => {
                self.target.addresses = addresses.into();
                self.moved = false;
            }
            Err(error) => self.lose(Why::Unreachable(error.kind()), now, handler),
        }
    }

    /// A socket for it is under way.
    pub(super) fn handle_dialing(&mut self, now: Instant) {
        self.link = Link::Dialing(now + self.options.connect_max);
        self.flow = Flow::Blocked;
        self.lines = LineBuffer::default();
        self.readiness = Readiness::default();
        self.abrupt = false;
    }

    /// An address cannot be reached: the next one is tried, or that was all.
    pub(super) fn handle_unreachable(
        &mut self,
        kind: io::ErrorKind,
        now: Instant,
        handler: &mut Handler<'_>,
    ) {
        self.address += 1;
        if self.address < self.target.addresses.len() {
            self.link = Link::Down(None);
        } else {
            self.lose(Why::Unreachable(kind), now, handler);
        }
    }

    /// Notes what an event hints at.
    pub(super) fn note(&mut self, edge: Edge) {
        self.readiness.note(edge);
        // A handshake waits for what the server says.
        let is_answer = edge.readable && matches!(self.link, Link::Dialing(_));
        if (edge.writable || edge.closed || is_answer) && self.flow == Flow::Blocked {
            self.flow = Flow::Ready;
        }
    }

    /// Sees what became of dialling, does one read and the writes that go without waiting, each if there is reason for
    /// it, and what is due.
    pub(super) fn turn(
        &mut self,
        stream: Option<&mut impl Socket>,
        buffers: &mut Buffers,
        now: Instant,
        handler: &mut Handler<'_>,
    ) {
        if let Some(stream) = stream {
            self.establish(stream, now, handler);
            self.read(stream, buffers, now, handler);
            self.flush(stream, now, handler);
        }
        self.tick(now, handler);
    }

    /// Sees whether the connection stands, if it did not before.
    fn establish(&mut self, stream: &mut impl Socket, now: Instant, handler: &mut Handler<'_>) {
        if !matches!(self.link, Link::Dialing(_)) || self.flow == Flow::Blocked {
            return;
        }
        match stream.connected() {
            Ok(true) => {
                self.local_address = stream.local_address();
                self.link = Link::Up(now);
                self.address = 0;
                self.counters.connects += 1;
                handler(self, Event::Connected);
            }
            Ok(false) => self.flow = Flow::Blocked,
            Err(error) => self.handle_unreachable(error.kind(), now, handler),
        }
    }

    /// Reads once, if there may be something, and tells what was heard.
    fn read(
        &mut self,
        stream: &mut impl Socket,
        buffers: &mut Buffers,
        now: Instant,
        handler: &mut Handler<'_>,
    ) {
        if !self.is_connected() || !self.readiness.is_readable() {
            return;
        }
        if self.paused && self.phase == Phase::Open {
            self.look_for_reset(stream, now, handler);
            return;
        }
        let Buffers { input, scratch } = buffers;
        let read = stream.read(input);
        self.readiness.handle_read(read, input.len());
        match (read, self.flow) {
            #[cfg(feature = "tls")]
            (Read::Records { bytes: length, .. }, _) => {
                self.handle_input(&input[..length], scratch, now, handler);
            }
            (Read::Bytes(length), _) => self.handle_input(&input[..length], scratch, now, handler),
            (Read::Ended, _) => self.lose(Why::Ended, now, handler),
            #[cfg(feature = "tls")]
            (Read::Truncated, _) => self.lose(Why::Ended, now, handler),
            // Nothing more can be written, and all was read.
            (Read::Blocked, Flow::Dead(kind)) | (Read::Broken(kind), _) => {
                self.lose(Why::Broken(kind), now, handler);
            }
            (Read::Blocked, _) => {}
        }
    }

    fn handle_input(
        &mut self,
        bytes: &[u8],
        scratch: &mut Vec<u8>,
        now: Instant,
        handler: &mut Handler<'_>,
    ) {
        self.counters.reads += 1;
        self.counters.bytes_in += bytes.len() as u64;
        self.heard_at = Some(now);
        self.understand(bytes, scratch, handler);
    }

    /// Writes what waits, as far as the kernel takes it, and ends the stream where that is what remains to be done.
    fn flush(&mut self, stream: &mut impl Socket, now: Instant, handler: &mut Handler<'_>) {
        let resetting = matches!(
            self.phase,
            Phase::Leaving {
                how: Leave::Reset,
                ..
            }
        );
        if !self.is_connected() || resetting {
            return;
        }
        self.queue.stage(now);
        while self.flow == Flow::Ready && !self.queue.is_flushed() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let filled = self.queue.slices(&mut slices);
            match stream.write(&slices[..filled]) {
                Write::Taken(taken) => {
                    self.counters.writes += 1;
                    self.counters.bytes_out += taken as u64;
                    self.written_at = Some(now);
                    self.queue.advance(taken, now);
                    self.tell_written(handler);
                }
                Write::Blocked => self.flow = Flow::Blocked,
                Write::Broken(kind) => {
                    self.flow = Flow::Dead(kind);
                    // The server's last lines may still lie unread, and no edge may come for them.
                    self.readiness.look_for_end();
                }
            }
        }
        if let Phase::Leaving {
            how: Leave::HalfClose,
            finished: finished @ false,
            ..
        } = &mut self.phase
        {
            if self.queue.is_empty() {
                *finished = true;
                stream.finish();
            }
        }
    }

    /// Does what is due, and what a wish to leave asks for.
    fn tick(&mut self, now: Instant, handler: &mut Handler<'_>) {
        if let Phase::Leaving { how, until, .. } = &mut self.phase {
            let until = *until.get_or_insert(now + self.options.drain_max);
            if *how == Leave::Reset {
                self.abrupt = true;
                return self.finish(Why::Left, handler);
            }
            let nothing_to_say = self.queue.messages() == 0 && !self.is_connected();
            if nothing_to_say {
                return self.finish(Why::Left, handler);
            }
            if until <= now {
                self.abrupt = !self.queue.is_empty();
                let why = if self.abrupt { Why::Overdue } else { Why::Left };
                return self.finish(why, handler);
            }
        }
        match self.link {
            Link::Dialing(until) if until <= now => {
                self.handle_unreachable(io::ErrorKind::TimedOut, now, handler);
            }
            _ => {}
        }
    }

    /// One who reads nothing still sees a reset.
    fn look_for_reset(
        &mut self,
        stream: &mut impl Socket,
        now: Instant,
        handler: &mut Handler<'_>,
    ) {
        // Looked at once; a reset that is yet to come has an edge of its own.
        if !self.readiness.take_end() {
            return;
        }
        let dead = match self.flow {
            Flow::Dead(kind) => Some(kind),
            _ => stream.take_error(),
        };
        if let Some(kind) = dead {
            self.lose(Why::Broken(kind), now, handler);
        }
    }

    fn understand(&mut self, bytes: &[u8], scratch: &mut Vec<u8>, handler: &mut Handler<'_>) {
        let words_bytes_max = self.options.words_bytes_max * CLEANING_FACTOR;
        let line_bytes_max = self.target.dialect.line_bytes_max(words_bytes_max);
        let mut input = bytes;
        // Taken out, so that the handler can have all of `self`.
        let mut lines = std::mem::take(&mut self.lines);
        while self.phase == Phase::Open {
            let Some(line) = lines.next(&mut input, line_bytes_max + FRAME_BYTES_MAX, None) else {
                break;
            };
            let Some(mut message) = self.target.dialect.parse_message(&line, scratch) else {
                continue;
            };
            self.note_message(&mut message);
            handler(self, Event::Message(message));
        }
        self.lines = lines;
    }

    /// Takes from a message what the connection is to know, and adds what only it knows.
    fn note_message(&mut self, message: &mut Message<'_>) {
        match message {
            Message::Said { .. } | Message::Did { .. } | Message::Told { .. } => {
                self.counters.heard += 1;
                self.remember(
                    |memory| &mut memory.received,
                    || message.clone().into_owned(),
                );
            }
            Message::Named(name) => {
                self.name = Cow::clone(name).into();
                self.unanswered.handle_named();
            }
            Message::Entered(room) => self.handle_entered(room),
            Message::Rooms(_) => self.unanswered.handle_rooms(),
            Message::Kept { name, key } => self.handle_kept(name, Some(key)),
            Message::KeptNoMore(name) => self.handle_kept(name, None),
            Message::Pong(_) => self.unanswered.handle_pong(),
            Message::Watching(_) => self.unanswered.handle_watching(),
            Message::Here(_) => self.unanswered.handle_listed(),
            Message::Refused(refusal) => {
                refusal.request = self.unanswered.handle_refusal(refusal);
                self.handle_refusal(&refusal.request);
            }
            Message::Unknown(_) => self.counters.unknown += 1,
            Message::TooLong(_) => self.counters.too_long += 1,
            Message::Joined { .. }
            | Message::Left { .. }
            | Message::Renamed { .. }
            | Message::MoreJoined { .. }
            | Message::MoreLeft { .. }
            | Message::MoreRenamed { .. }
            | Message::Listed(_)
            | Message::Room { .. }
            | Message::Goodbye(_)
            | Message::Note(_) => {}
        }
    }

    fn tell_written(&mut self, handler: &mut Handler<'_>) {
        while let Some((what, line_bytes)) = self.queue.take_written() {
            self.unanswered.push(&what, line_bytes);
            match what {
                What::Ping
                | What::Who
                | What::Join(_)
                | What::Rooms
                | What::Keep(_)
                | What::Quit => {}
                What::Watch(on) => self.wanted.watch = on,
                What::Name(name) => self.wanted.name = Some(name),
                What::Message(Outgoing { number, kept, .. }) => {
                    self.counters.written += 1;
                    if let Some(words) = kept {
                        self.remember(|memory| &mut memory.sent, || words);
                    }
                    handler(self, Event::Written(number));
                }
            }
        }
    }

    /// The connection is lost, or could not be had: the client dials again, or that was the end.
    fn lose(&mut self, why: Why, now: Instant, handler: &mut Handler<'_>) {
        if let (Link::Up(since), Some(backoff)) = (self.link, &mut self.backoff) {
            backoff.handle_loss(now.saturating_duration_since(since));
        }
        self.counters.cut_off += u64::from(self.lines.finish().is_some());
        self.address = 0;
        let backoff = self.backoff.as_mut();
        let worth_it = self.phase == Phase::Open || self.queue.messages() > 0;
        let Some(retry_in) = backoff.filter(|_| worth_it).and_then(Backoff::next_delay) else {
            let all_done = self.is_leaving() && self.queue.is_empty();
            return self.finish(if all_done { Why::Left } else { why }, handler);
        };
        self.link = Link::Down(Some(now + retry_in));
        self.moved = self.target.name.is_some();
        self.unanswered.clear();
        self.rewind();
        handler(self, Event::Interrupted { why, retry_in });
    }

    /// The end, which is told once.
    fn finish(&mut self, why: Why, handler: &mut Handler<'_>) {
        self.phase = Phase::Closed(why);
        self.link = Link::Down(None);
        self.lines = LineBuffer::default();
        let mut unsent = 0;
        for message in self.queue.clear() {
            unsent += 1;
            if let Some(words) = message.kept {
                self.remember(|memory| &mut memory.dropped, || words);
            }
        }
        self.counters.unsent += unsent as u64;
        handler(self, Event::Closed { why, unsent });
    }
}
