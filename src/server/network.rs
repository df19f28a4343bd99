//! What the loop needs of the world: connections, edges, bytes and the time.
//!
//! The loop is written against [`Network`], so that it can be driven by the kernel or by a simulation of it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::hub::{Ending, SessionId};
use crate::origin::Origin;
use crate::relay::Line;
#[cfg(feature = "tls")]
use crate::stream::tls::{Handshake, Identity, Proof};
use crate::stream::{Edge, Read, Write};

/// What a stream belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// A session of the chat.
    Session(SessionId),
    /// The slot of a connection at the door: it is no session yet.
    Door(u32),
    /// The slot of a connection of an operator.
    Control(u32),
    /// The slot of a connection that asks for metrics.
    Monitor(u32),
    /// A connection to the engine that several servers share.
    Relay(Line),
}

/// Where a connection is made to.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Inet(SocketAddr),
    /// In TLS, if it proves who it is.
    #[cfg(feature = "tls")]
    Secured(SocketAddr, Proof),
    Path(PathBuf),
}

/// The process at the other end of a stream within this machine, as it was when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its user.
    pub(crate) uid: u32,
    /// Its number; 0 if it cannot be seen from here.
    pub(crate) pid: i32,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wakeup {
    /// A listener may have connections to accept.
    Listener(usize),
    /// A stream is worth looking at.
    Stream {
        /// Whose stream; it may be gone.
        owner: Owner,
        /// What may have changed.
        edge: Edge,
    },
    /// The server is to stop; for the second time, at once.
    Stop,
    /// A report is to be written into the log.
    Report,
    /// Files that may have changed are to be read again.
    Reload,
}

/// The outside of the loop. Edge-triggered: an event comes when something changes, and is not repeated.
pub(crate) trait Network {
    /// A connection.
    type Stream;

    /// The time, which never goes back.
    fn now(&self) -> Instant;

    /// The time of day, in seconds since 1970 in UTC, which may be anything.
    fn wall_seconds(&self) -> u64;

    /// Random bytes, which nobody can foresee.
    fn seed(&mut self) -> io::Result<[u8; 32]>;

    /// Waits for events, at most for `timeout` (`None`: for ever), and adds them to `events`.
    fn poll(&mut self, events: &mut Vec<Wakeup>, timeout: Option<Duration>) -> io::Result<()>;

    /// Takes a connection from a listener; `WouldBlock` when there is none.
    fn accept(&mut self, listener: usize) -> io::Result<(Self::Stream, Origin)>;

    /// Who is at the other end of a stream, where the kernel knows.
    fn peer(&self, stream: &Self::Stream) -> Option<Peer>;

    /// Begins to connect; [`Network::is_connected`] tells what comes of it.
    fn dial(&mut self, place: &Place) -> io::Result<Self::Stream> {
        let _ = place;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Whether a connection that was begun stands by now; an error says why it never will.
    fn is_connected(&mut self, stream: &mut Self::Stream) -> io::Result<bool> {
        let _ = stream;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Asks for the events of a stream, until it is closed or goes to another owner.
    fn register(&mut self, stream: &mut Self::Stream, owner: Owner) -> io::Result<()>;

    /// Asks for the events of a registered stream in the name of another owner. What is ready is told of again.
    fn hand_over(&mut self, stream: &mut Self::Stream, owner: Owner) -> io::Result<()>;

    /// Reads what is there.
    fn read(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> Read;

    /// Whether the connection has failed, if no read or write has told of that yet. It is told once.
    fn is_broken(&mut self, stream: &mut Self::Stream) -> bool;

    /// Writes what goes without waiting.
    fn write(&mut self, stream: &mut Self::Stream, slices: &[IoSlice<'_>]) -> Write;

    /// Tells the peer that nothing more will be written.
    fn finish(&mut self, stream: &mut Self::Stream);

    /// Closes a stream for good.
    fn close(&mut self, stream: Self::Stream, ending: Ending);

    /// Lets a stream speak TLS from now on, as this server; these bytes were read of it before.
    #[cfg(feature = "tls")]
    fn secure(
        &mut self,
        stream: &mut Self::Stream,
        identity: &Identity,
        http: bool,
        read: Vec<u8>,
    ) -> io::Result<()> {
        let _ = (stream, identity, http, read);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Goes on with the handshake of a stream; what comes behind it is in the buffer.
    #[cfg(feature = "tls")]
    fn shake_hands(&mut self, stream: &mut Self::Stream, buffer: &mut [u8]) -> Handshake {
        let _ = (stream, buffer);
        Handshake::Failed("no-tls")
    }

    /// Tells the peer in TLS that nothing more will be written, where that is spoken; the socket stays as it is.
    #[cfg(feature = "tls")]
    fn finish_tls(&mut self, stream: &mut Self::Stream) {
        let _ = stream;
    }

    /// Bytes that a stream keeps for its peer.
    #[cfg(feature = "tls")]
    fn held(&self, stream: &Self::Stream) -> usize {
        let _ = stream;
        0
    }

    /// Whether a write was blocked half-way, so that nothing else may be written before those bytes.
    #[cfg(feature = "tls")]
    fn is_stuck(&self, stream: &Self::Stream) -> bool {
        let _ = stream;
        false
    }

    /// Whether somebody else goes on listening when we stop, so that those who wait at the door are not ours to send
    /// away.
    fn keeps_listening(&self) -> bool {
        false
    }

    /// Closes all listeners but those that are `kept`.
    fn stop_listening(&mut self, kept: &[usize]);
}
