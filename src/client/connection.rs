//! One client but for its socket: what it says and hears, how it leaves, and what becomes of it.
//!
//! It does no i/o by itself: what a program does with it only changes it, and [`drive`](super::drive) is how
//! [`Clients`](super::Clients) lends it its socket and tells it the time.
//!
//! Invariants: lines that wait have a waker: the write side is blocked or not connected yet, so that an edge comes, or
//! [`Connection::is_busy`] says that there is work without one; the phase goes one way, `Open -> Leaving -> Closed` or
//! `Open -> Closed`; `accepted = written + waiting + unsent` messages.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use crate::client::backoff::Backoff;
use crate::client::event::{Leave, SendError, Why};
use crate::client::id::ClientId;
use crate::client::options::{Options, Target};
use crate::client::queue::{Keyed, Outgoing, Queue, What};
use crate::client::unanswered::Unanswered;
use crate::dialect::line::LineBuffer;
use crate::dialect::message::{has_text, Ask, Message};
use crate::stream::Readiness;

/// A longer name cannot be one, and must not fill the lines of messages.
const NAME_BYTES_MAX: usize = 256;

/// What a connection has done, in numbers that only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that were established.
    pub connects: u64,
    /// Messages that [`Connection::send`] and [`Connection::tell`] accepted.
    pub accepted: u64,
    /// Those of them that the kernel has taken whole.
    pub written: u64,
    /// Those of them that were left over in the end.
    pub unsent: u64,
    /// Messages that were not accepted because too many waited.
    pub dropped: u64,
    /// What somebody said, told or did that was heard.
    pub heard: u64,
    /// Lines of the server that could not be understood.
    pub unknown: u64,
    /// Lines of the server that were too long.
    pub too_long: u64,
    /// Lines of the server that were not ended when the stream was.
    pub cut_off: u64,
    /// Bytes that were read.
    pub bytes_in: u64,
    /// Bytes that the kernel has taken.
    pub bytes_out: u64,
    /// Calls that read something.
    pub reads: u64,
    /// Calls that wrote something.
    pub writes: u64,
}

/// What was asked for last, on any connection, and is asked for again on the next one.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) name: Option<Keyed>,
    /// The room that it was in last, if that is not the lobby.
    pub(super) room: Option<Keyed>,
    /// To be told who comes and goes.
    pub(super) watch: bool,
}

/// Messages that are remembered; the oldest give way.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) sent: VecDeque<Box<str>>,
    pub(super) dropped: VecDeque<Box<str>>,
    pub(super) received: VecDeque<Message<'static>>,
}

/// On its way in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    Leaving {
        how: Leave,
        /// `None` until the clock is asked next.
        until: Option<Instant>,
        /// The stream was finished: half-closed.
        finished: bool,
    },
    Closed(Why),
}

/// How far the connection to the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// There is none. It is to be dialled at this time, or at once.
    Down(Option<Instant>),
    /// It is under way, at most until then.
    Dialing(Instant),
    /// It stands, since then.
    Up(Instant),
}

/// The write side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Ready,
    /// The last write would have blocked, and no writable edge has come since.
    Blocked,
    /// It will never take a byte again.
    Dead(io::ErrorKind),
}

/// One client, as [`Clients`](super::Clients) and handlers lend it.
#[derive(Debug)]
pub struct Connection {
    pub(super) id: ClientId,
    pub(super) target: Target,
    /// Which of its addresses is dialled.
    pub(super) address: usize,
    /// Its addresses were dialled before, and it may have others by now.
    pub(super) moved: bool,
    pub(super) options: Options,
    pub(super) backoff: Option<Backoff>,
    pub(super) phase: Phase,
    pub(super) link: Link,
    pub(super) flow: Flow,
    pub(super) readiness: Readiness,
    /// Nothing is to be read for now.
    pub(super) paused: bool,
    /// Its socket is to be closed with a reset.
    pub(super) abrupt: bool,
    pub(super) lines: LineBuffer,
    pub(super) queue: Queue,
    pub(super) unanswered: Unanswered,
    /// The name that the server has confirmed.
    pub(super) name: Box<str>,
    /// The name that messages carry, which the server does not believe.
    pub(super) asked_name: Box<str>,
    pub(super) wanted: Wanted,
    /// The room that it is in, as far as the server has said.
    pub(super) room: Box<str>,
    pub(super) counters: Counters,
    pub(super) memory: Option<Box<Memory>>,
    pub(super) local_address: Option<SocketAddr>,
    pub(super) heard_at: Option<Instant>,
    pub(super) written_at: Option<Instant>,
}

/// What a program does with it.
impl Connection {
    /// Says `words` to everybody else; gives the number of the message, which counts from 0. Words that begin with
    /// `/me ` are an action. They are written when the clients are polled next.
    ///
    /// # Errors
    /// If they are not accepted; a [`SendError::Dropped`] message is remembered if that was asked for.
    pub fn send(&mut self, words: &str) -> Result<u64, SendError> {
        self.check(words)?;
        self.check_room(words)?;
        let name = &self.asked_name;
        let line = self.line(Ask::Words { name, words })?;
        Ok(self.push_message(line, words, None))
    }

    /// Says `words` to one person only; gives the number of the message, counted with those of [`Connection::send`].
    /// Nothing in the words is a command.
    ///
    /// # Errors
    /// As [`Connection::send`]; and [`SendError::MalformedName`] if nobody can be called so.
    pub fn tell(&mut self, to: &str, words: &str) -> Result<u64, SendError> {
        self.check(words)?;
        self.check(to)?;
        let line = self.line(Ask::Tell { to, words })?;
        self.check_room(words)?;
        Ok(self.push_message(line, words, Some(to)))
    }

    /// Asks for a name. The server answers with [`Message::Named`], or with a [`Message::Refused`] whose request is
    /// [`Request::Name`](crate::client::Request::Name). After a reconnect the last name is asked for again before
    /// anything else.
    ///
    /// # Errors
    /// If the request is not accepted.
    pub fn set_name(&mut self, name: &str) -> Result<(), SendError> {
        self.ask_name(name, None)
    }

    pub(super) fn ask_name(&mut self, name: &str, key: Option<&str>) -> Result<(), SendError> {
        self.check(name)?;
        self.request(Ask::Name { name, key }, What::Name(Keyed::new(name, key)))?;
        self.asked_name = if name.len() <= NAME_BYTES_MAX {
            name.into()
        } else {
            Box::default()
        };
        Ok(())
    }

    /// Asks to be told who comes and goes, and what the server says unasked (as [`Message::Told`] by `chatd`), or no
    /// more. The server answers with [`Message::Watching`]. After a reconnect it is asked for again.
    ///
    /// # Errors
    /// If the request is not accepted: telnet has none, for there it is always told.
    pub fn watch(&mut self, on: bool) -> Result<(), SendError> {
        self.check_open()?;
        self.request(Ask::Watch(on), What::Watch(on))
    }

    /// Asks who is here. The server answers with a [`Message::Listed`] for each and one [`Message::Here`] behind them.
    ///
    /// # Errors
    /// If the request is not accepted: telnet has none.
    pub fn who(&mut self) -> Result<(), SendError> {
        self.check_open()?;
        self.request(Ask::Who, What::Who)
    }

    /// Asks the server for a sign of life: it sends `token` back as [`Message::Pong`], behind everything it said
    /// before.
    ///
    /// # Errors
    /// If the request is not accepted: telnet has none, and a token is 1 to 64 printable ASCII characters.
    pub fn ping(&mut self, token: &str) -> Result<(), SendError> {
        self.check(token)?;
        self.request(Ask::Ping(token), What::Ping)
    }

    /// Leaves in good order: [`Leave::Quit`].
    pub fn close(&mut self) {
        self.leave(Leave::Quit);
    }

    /// Leaves: the one door out. Safe at any moment. A second call does nothing, but that [`Leave::Reset`] cuts short
    /// what another one began.
    pub fn leave(&mut self, how: Leave) {
        match self.phase {
            Phase::Open => {}
            Phase::Leaving { .. } if how == Leave::Reset => {}
            Phase::Leaving { .. } | Phase::Closed(_) => return,
        }
        if how == Leave::Quit && self.phase == Phase::Open {
            // Every dialect has it.
            if let Ok(line) = self.line(Ask::Quit) {
                self.queue.push(line, What::Quit);
            }
        }
        if self.paused {
            self.resume_reading();
        }
        self.phase = Phase::Leaving {
            how,
            until: None,
            finished: false,
        };
    }

    /// Reads nothing more, so that the server must keep what it says, or lose patience. The end of the connection is
    /// then only seen if it is a reset; one that leaves reads what still comes and throws it away.
    pub fn pause_reading(&mut self) {
        self.paused = true;
    }

    /// Reads again.
    pub fn resume_reading(&mut self) {
        self.paused = false;
        // What edges told in the meantime is not known any more.
        self.readiness.look_for_end();
    }

    pub(super) fn check_open(&self) -> Result<(), SendError> {
        match self.phase {
            Phase::Open => Ok(()),
            _ => Err(SendError::Closed),
        }
    }

    pub(super) fn check(&self, words: &str) -> Result<(), SendError> {
        self.check_open()?;
        if words.is_empty() {
            return Err(SendError::Empty);
        }
        if words.contains(['\n', '\r']) {
            return Err(SendError::SeveralLines);
        }
        if words.len() > self.options.words_bytes_max {
            return Err(SendError::TooLong);
        }
        Ok(())
    }

    fn check_room(&mut self, words: &str) -> Result<(), SendError> {
        if self.queue.has_room(true) {
            return Ok(());
        }
        self.counters.dropped += 1;
        self.remember(|memory| &mut memory.dropped, || words.into());
        Err(SendError::Dropped)
    }

    /// The line that asks for this.
    pub(super) fn line(&self, ask: Ask<'_>) -> Result<Vec<u8>, SendError> {
        let mut line = Vec::new();
        self.target.dialect.encode_ask(ask, &mut line)?;
        Ok(line)
    }

    fn push_message(&mut self, line: Vec<u8>, words: &str, to: Option<&str>) -> u64 {
        let number = self.counters.accepted;
        self.counters.accepted += 1;
        let message = Outgoing {
            number,
            to: to.map(Into::into),
            words_bytes: words.len(),
            has_text: has_text(words, to.is_some()),
            kept: self.memory.as_ref().map(|_| words.into()),
        };
        self.queue.push(line, What::Message(message));
        number
    }

    pub(super) fn request(&mut self, ask: Ask<'_>, what: What) -> Result<(), SendError> {
        let line = self.line(ask)?;
        if !self.queue.has_room(false) {
            return Err(SendError::Dropped);
        }
        self.queue.push(line, what);
        Ok(())
    }

    pub(super) fn remember<T>(
        &mut self,
        log: impl FnOnce(&mut Memory) -> &mut VecDeque<T>,
        item: impl FnOnce() -> T,
    ) {
        if let Some(memory) = &mut self.memory {
            let log = log(memory);
            if log.len() == self.options.keep_max {
                log.pop_front();
            }
            log.push_back(item());
        }
    }
}

/// What a program can know of it.
impl Connection {
    /// Which of the clients it is.
    pub fn id(&self) -> ClientId {
        self.id
    }

    /// Whether it is connected now.
    pub fn is_connected(&self) -> bool {
        matches!(self.link, Link::Up(_))
    }

    /// Whether it was told to leave, or is closed.
    pub fn is_leaving(&self) -> bool {
        self.phase != Phase::Open
    }

    /// Whether it is done.
    pub fn is_closed(&self) -> bool {
        self.closed().is_some()
    }

    /// Why it ended, once it is done.
    pub fn closed(&self) -> Option<Why> {
        match self.phase {
            Phase::Closed(why) => Some(why),
            _ => None,
        }
    }

    /// Our own address of the last connection that stood.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local_address
    }

    /// The name that the server has confirmed last; empty before.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many messages wait to be written.
    pub fn waiting(&self) -> usize {
        self.queue.messages()
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// When bytes were read last. While a message is told of: when it was read.
    pub fn heard_at(&self) -> Option<Instant> {
        self.heard_at
    }

    /// When the kernel took bytes last. While [`Event::Written`](super::Event::Written) is told: when it took the message.
    pub fn written_at(&self) -> Option<Instant> {
        self.written_at
    }

    /// The last messages that the kernel has taken, oldest first, if they are kept.
    pub fn sent(&self) -> impl ExactSizeIterator<Item = &str> {
        let log = self.memory.as_ref().map(|memory| memory.sent.iter());
        log.unwrap_or_default().map(|words| &**words)
    }

    /// The last messages that were not accepted because too many waited, or that were left over in the end; oldest
    /// first, if they are kept.
    pub fn dropped(&self) -> impl ExactSizeIterator<Item = &str> {
        let log = self.memory.as_ref().map(|memory| memory.dropped.iter());
        log.unwrap_or_default().map(|words| &**words)
    }

    /// The last messages of other people, oldest first, if they are kept.
    pub fn received(&self) -> impl ExactSizeIterator<Item = &Message<'static>> {
        let log = self.memory.as_ref().map(|memory| memory.received.iter());
        log.unwrap_or_default()
    }
}
