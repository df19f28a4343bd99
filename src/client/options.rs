//! What a client is told when it is made: where its server is, and how it behaves.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::dialect::Dialect;
use crate::settings::Listen;

/// Where a server listens: a dialect, and addresses that are tried in turn.
#[derive(Debug, Clone)]
pub struct Target {
    pub(super) dialect: Dialect,
    pub(super) addresses: Arc<[SocketAddr]>,
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

/// When to dial again.
#[derive(Debug, Clone)]
pub struct Reconnect {
    /// The wait after the first failure; it doubles with each further one …
    pub delay_min: Duration,
    /// … up to this. A connection that lasted so long makes the next failure the first one again.
    pub delay_max: Duration,
    /// So many failures one after the other end the client; `None`: it never gives up.
    pub failures_max: Option<u32>,
    /// Each wait is shortened by up to a half, so that those who lost a server together do not come back together.
    /// The same seed gives the same waits.
    pub seed: u64,
}

impl Default for Reconnect {
    /// From 0.2 s to 30 s, for ever, with a seed of its own.
    fn default() -> Self {
        Self {
            delay_min: Duration::from_millis(200),
            delay_max: Duration::from_secs(30),
            failures_max: None,
            seed: RandomState::new().hash_one(0),
        }
    }
}
