//! A client of chatd: dial, take a name, send, hear, close.
//!
//! A program with one client has a [`Client`] and a short loop; what was heard comes as an iterator, or to a handler
//! with [`Client::poll_with`]:
//!
//! ```no_run
//! use chatd::client::{Client, Options};
//!
//! let mut client = Client::dial("wire://127.0.0.1:3334", Options::default())?;
//! client.set_name("ann")?;
//! client.send("hello")?;
//! while !client.is_closed() {
//!     for event in client.poll(None)? {
//!         println!("{event:?}");
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Clients`] holds many of them on one poll in one thread:
//!
//! ```no_run
//! use chatd::client::{Clients, Event, Message, Options, Target};
//!
//! let target = Target::resolve("telnet://127.0.0.1:3333")?;
//! let mut clients = Clients::new()?;
//! for _ in 0..500 {
//!     clients.dial(&target, Options::default());
//! }
//! while clients.open() > 0 {
//!     clients.poll_with(None, |connection, event| {
//!         if let Event::Message(Message::Said { words, .. }) = event {
//!             if words == "go home" {
//!                 connection.close();
//!             }
//!         }
//!     })?;
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # The parts
//! [`Connection`] is all that a client is but for its socket: lines, queue, deadlines, counters. It does no i/o by
//! itself and asks no clock; what is sent waits in it until the next poll. [`Clients`] owns the sockets and mio's poll.
//!
//! # One door out
//! [`Connection::leave`] alone begins an end that is wished for, and the end is told by one [`Event::Closed`], whatever
//! came first: the wish, the server's end of the stream, an error or a deadline. Nothing is heard after a wish to
//! leave but what becomes of it. A server can say what it likes; that is counted or told of, and never a panic.

mod backoff;
mod clients;
mod connection;
mod queue;
#[cfg(test)]
mod transcripts;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::settings::Listen;

pub use crate::dialect::message::Message;
pub use crate::dialect::Dialect;
pub use backoff::Reconnect;
pub use clients::{ClientId, Clients};
pub use connection::{Connection, Counters};

/// At most so many messages wait to be sent; any more are dropped.
pub const WAITING_MAX: usize = 100;

/// Where a server listens: a dialect, and addresses that are tried in turn.
#[derive(Debug, Clone)]
pub struct Target {
    dialect: Dialect,
    addresses: Arc<[SocketAddr]>,
}

impl Target {
    /// Understands `DIALECT://HOST:PORT` (`telnet` where no dialect is given) and looks up the host, which blocks.
    ///
    /// # Errors
    /// If the text is not built so, or the name has no address; the message says which.
    pub fn resolve(address: &str) -> io::Result<Self> {
        let listen: Listen = address.parse().map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{address}: {error}"))
        })?;
        let addresses = listen
            .resolve()
            .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
        Ok(Self {
            dialect: listen.dialect,
            addresses: addresses.into(),
        })
    }

    /// A server whose address is known.
    #[must_use]
    pub fn new(dialect: Dialect, address: SocketAddr) -> Self {
        Self {
            dialect,
            addresses: [address].into(),
        }
    }

    /// The way of talking there.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Its addresses, at least one.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// So long is waited for one address to accept the connection.
    pub connect_max: Duration,
    /// So long may leaving take: what waits is written and the server closes, or the connection is cut off.
    pub drain_max: Duration,
    /// Words that are sent may have so many bytes, and names. Those that are heard may have three times as many, for a
    /// server that takes so many may lengthen them when it cleans them.
    pub words_bytes_max: usize,
    /// So many messages of each kind are remembered: sent, dropped and received. 0: none, they are only counted.
    pub keep_max: usize,
    /// `SO_RCVBUF`; `None`: what the system gives.
    pub receive_buffer_bytes: Option<usize>,
    /// Whether to dial again after a connection failed or broke.
    pub reconnect: Option<Reconnect>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_max: Duration::from_secs(10),
            drain_max: Duration::from_secs(5),
            words_bytes_max: 4096,
            keep_max: 0,
            receive_buffer_bytes: None,
            reconnect: None,
        }
    }
}

/// What happened to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// The server has accepted the connection; with [`Options::reconnect`], perhaps not for the first time.
    Connected,
    /// The server said something.
    Message(Message<'a>),
    /// The kernel has taken the last byte of the message that [`Connection::send`] gave this number.
    Written(u64),
    /// The connection failed or broke and is tried again. What was not written before waits on.
    Interrupted {
        /// What happened.
        why: Why,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The client is done; no event follows.
    Closed {
        /// Why it ended.
        why: Why,
        /// So many messages were accepted by [`Connection::send`] and never written whole.
        unsent: usize,
    },
}

impl Event<'_> {
    /// The same event, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Self::Connected => Event::Connected,
            Self::Message(message) => Event::Message(message.into_owned()),
            Self::Written(number) => Event::Written(number),
            Self::Interrupted { why, retry_in } => Event::Interrupted { why, retry_in },
            Self::Closed { why, unsent } => Event::Closed { why, unsent },
        }
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// It was told to. All messages were written before, but for those that [`Leave::Reset`] cut off.
    Left,
    /// The server ended it.
    Ended,
    /// It broke.
    Broken(io::ErrorKind),
    /// No address of the server accepted it; this is the error of the last one.
    Unreachable(io::ErrorKind),
    /// It was told to leave, and [`Options::drain_max`] was over before the server had taken everything.
    Overdue,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("left"),
            Self::Ended => f.write_str("ended by the server"),
            Self::Broken(kind) => write!(f, "broken: {kind}"),
            Self::Unreachable(kind) => write!(f, "unreachable: {kind}"),
            Self::Overdue => f.write_str("left, but not everything could be written in time"),
        }
    }
}

/// How to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leave {
    /// Write what waits, ask the server to close, and wait until it does.
    Quit,
    /// Write what waits, end the stream, and wait until the server does the same.
    HalfClose,
    /// At once and with a reset (linger 0). What waits is not sent, and what was written may not arrive.
    Reset,
}

/// Why words were not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// [`WAITING_MAX`] messages wait already, or as many requests of other kinds. A message is counted, and in
    /// [`Connection::dropped`] if that is kept; a request for a name or a `PING` is neither.
    Dropped,
    /// The client leaves or is closed.
    Closed,
    /// There is nothing in it.
    Empty,
    /// There is a line end in it.
    SeveralLines,
    /// It has more bytes than [`Options::words_bytes_max`].
    TooLong,
    /// The dialect has no such request, or not with such a token.
    WrongDialect,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dropped => "dropped: too many messages wait to be sent",
            Self::Closed => "the client is closed",
            Self::Empty => "there is nothing to send",
            Self::SeveralLines => "a message is one line",
            Self::TooLong => "the message is too long",
            Self::WrongDialect => "this dialect has no such request, or not with such a token",
        })
    }
}

impl std::error::Error for SendError {}

/// One client with a poll of its own.
#[derive(Debug)]
pub struct Client {
    clients: Clients,
    id: ClientId,
}

impl Client {
    /// Begins to connect to `DIALECT://HOST:PORT`. What comes of that is told by the first event.
    ///
    /// # Errors
    /// As [`Target::resolve`], or if the system gives no poll.
    pub fn dial(address: &str, options: Options) -> io::Result<Self> {
        let target = Target::resolve(address)?;
        let mut clients = Clients::new()?;
        let id = clients.dial(&target, options);
        Ok(Self { clients, id })
    }

    /// As [`Connection::set_name`].
    ///
    /// # Errors
    /// See there.
    pub fn set_name(&mut self, name: &str) -> Result<(), SendError> {
        self.connection_mut().set_name(name)
    }

    /// As [`Connection::send`].
    ///
    /// # Errors
    /// See there.
    pub fn send(&mut self, words: &str) -> Result<u64, SendError> {
        self.connection_mut().send(words)
    }

    /// As [`Connection::close`].
    pub fn close(&mut self) {
        self.connection_mut().close();
    }

    /// Whether it is done: [`Event::Closed`] was told.
    pub fn is_closed(&self) -> bool {
        self.connection().is_closed()
    }

    /// Writes what waits, and waits at most for `timeout` (`None`: for ever) until something happens; gives what did,
    /// which may be nothing. Of a closed client it gives nothing, at once.
    ///
    /// # Errors
    /// As [`Clients::poll_with`].
    pub fn poll(
        &mut self,
        timeout: Option<Duration>,
    ) -> io::Result<std::vec::IntoIter<Event<'static>>> {
        let mut events = Vec::new();
        self.poll_with(timeout, |_, event| events.push(event.into_owned()))?;
        Ok(events.into_iter())
    }

    /// As [`Client::poll`], with a handler, which may do to the connection what it likes.
    ///
    /// # Errors
    /// As [`Clients::poll_with`].
    pub fn poll_with(
        &mut self,
        timeout: Option<Duration>,
        handler: impl FnMut(&mut Connection, Event<'_>),
    ) -> io::Result<()> {
        self.clients.poll_with(timeout, handler)
    }

    /// All else that there is to know.
    pub fn connection(&self) -> &Connection {
        let connection = self.clients.connection(self.id);
        connection.unwrap_or_else(|| unreachable!("a client is never removed"))
    }

    /// All else that there is to do.
    pub fn connection_mut(&mut self) -> &mut Connection {
        let connection = self.clients.connection_mut(self.id);
        connection.unwrap_or_else(|| unreachable!("a client is never removed"))
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the clock of all clients is asked here and nowhere else"
)]
fn clock() -> Instant {
    Instant::now()
}
