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
//! # Names and refusals
//! Until a name is confirmed by [`Message::Named`] the server calls a client `guest1` or so. What the server does not do
//! comes as [`Message::Refused`], with a [`Reason`] and, as far as that can be told, the [`Request`] that was refused:
//!
//! ```
//! use chatd::client::{Message, Reason, Request};
//!
//! fn is_name_taken(message: &Message<'_>) -> bool {
//!     match message {
//!         Message::Refused(refusal) => {
//!             refusal.reason == Reason::NameTaken && matches!(refusal.request, Request::Name(_))
//!         }
//!         _ => false,
//!     }
//! }
//! ```
//!
//! A program hears who comes and goes, and asks who is here, after [`Client::watch`] and [`Client::who`]; over telnet it
//! hears the one always, and cannot ask for the other.
//!
//! # Rooms and kept names
//! A client is in one room at a time, at first in the `lobby`; [`Client::join`] goes to another. A name that
//! [`Connection::keep_name`] keeps is taken with its key, by [`Connection::take_name`]. A client that dials again
//! ([`Options::reconnect`]) comes back to its room under its name.
//!
//! # TLS
//! With the feature `tls`, a `Target` that was resolved by `Target::resolve_in_tls` is dialled in TLS, and must prove who
//! it is by `Roots` from a PEM file.
//!
//! The `examples` of the package are whole programs: a bot that greets, and one that bridges two rooms.
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
mod drive;
mod event;
mod id;
mod options;
mod queue;
mod rooms;
mod socket;
#[cfg(test)]
mod transcripts;
mod unanswered;

use std::io;
use std::time::Duration;

pub use crate::dialect::message::{Message, Reason, Refusal, Request};
pub use crate::dialect::Dialect;
#[cfg(feature = "tls")]
pub use crate::stream::tls::Roots;
pub use clients::Clients;
pub use connection::{Connection, Counters};
pub use event::{Event, Leave, SendError, Why};
pub use id::ClientId;
pub use options::{Options, Reconnect, Target};
pub use queue::WAITING_MAX;

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
        Self::dial_target(&Target::resolve(address)?, options)
    }

    /// As [`Client::dial`], to a server that was looked up.
    ///
    /// # Errors
    /// If the system gives no poll.
    pub fn dial_target(target: &Target, options: Options) -> io::Result<Self> {
        let mut clients = Clients::new()?;
        let id = clients.dial(target, options);
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

    /// As [`Connection::tell`].
    ///
    /// # Errors
    /// See there.
    pub fn tell(&mut self, to: &str, words: &str) -> Result<u64, SendError> {
        self.connection_mut().tell(to, words)
    }

    /// As [`Connection::watch`].
    ///
    /// # Errors
    /// See there.
    pub fn watch(&mut self, on: bool) -> Result<(), SendError> {
        self.connection_mut().watch(on)
    }

    /// As [`Connection::who`].
    ///
    /// # Errors
    /// See there.
    pub fn who(&mut self) -> Result<(), SendError> {
        self.connection_mut().who()
    }

    /// As [`Connection::join`].
    ///
    /// # Errors
    /// See there.
    pub fn join(&mut self, room: &str, key: Option<&str>) -> Result<(), SendError> {
        self.connection_mut().join(room, key)
    }

    /// As [`Connection::rooms`].
    ///
    /// # Errors
    /// See there.
    pub fn rooms(&mut self) -> Result<(), SendError> {
        self.connection_mut().rooms()
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
