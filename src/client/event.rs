//! What a client tells its program: what happened, how it ended, why something was not accepted.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::dialect::message::{Inexpressible, Message};

/// What happened to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The server has accepted the connection; with [`Options::reconnect`](crate::client::Options::reconnect), perhaps not for the first time.
    Connected,
    /// The server said something.
    Message(Message<'a>),
    /// The kernel has taken the last byte of the message that [`Connection::send`](crate::client::Connection::send) gave this number.
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
        /// The number of messages that were accepted and never written whole.
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
#[non_exhaustive]
pub enum Why {
    /// It was told to. All messages were written before, but for those that [`Leave::Reset`] cut off.
    Left,
    /// The server ended it.
    Ended,
    /// It broke.
    Broken(io::ErrorKind),
    /// No address of the server accepted it; this is the error of the last one.
    Unreachable(io::ErrorKind),
    /// It was told to leave, and [`Options::drain_max`](crate::client::Options::drain_max) was over before the server had taken everything.
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
#[non_exhaustive]
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
#[non_exhaustive]
pub enum SendError {
    /// [`WAITING_MAX`](crate::client::WAITING_MAX) messages wait already, or as many requests of other kinds. A message is counted, and in
    /// [`Connection::dropped`](crate::client::Connection::dropped) if that is kept; any other request is neither.
    Dropped,
    /// The client leaves or is closed.
    Closed,
    /// There is nothing in it.
    Empty,
    /// There is a line end in it.
    SeveralLines,
    /// It has more bytes than [`Options::words_bytes_max`](crate::client::Options::words_bytes_max).
    TooLong,
    /// The dialect has no such request.
    WrongDialect,
    /// Nobody can have such a name, or no room.
    MalformedName,
    /// It is not 1 to 64 characters without white space.
    MalformedKey,
    /// It is not 1 to 64 printable ASCII characters.
    MalformedToken,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dropped => "dropped: too many messages wait to be sent",
            Self::Closed => "the client is closed",
            Self::Empty => "there is nothing to send",
            Self::SeveralLines => "a message is one line",
            Self::TooLong => "the message is too long",
            Self::WrongDialect => "this dialect has no such request",
            Self::MalformedName => "nobody can have such a name",
            Self::MalformedKey => "a key is 1 to 64 characters without white space",
            Self::MalformedToken => "a token is 1 to 64 printable ASCII characters",
        })
    }
}

impl std::error::Error for SendError {}

impl From<Inexpressible> for SendError {
    fn from(why: Inexpressible) -> Self {
        match why {
            Inexpressible::NoSuchRequest => Self::WrongDialect,
            Inexpressible::MalformedName => Self::MalformedName,
            Inexpressible::MalformedKey => Self::MalformedKey,
            Inexpressible::MalformedToken => Self::MalformedToken,
        }
    }
}
