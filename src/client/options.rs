//! What a client is told when it is made: where its server is, and how it behaves.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::dialect::Dialect;
use crate::settings::Listen;
#[cfg(feature = "tls")]
use crate::stream::tls::{Proof, Roots};

/// Where a server listens: a dialect, and addresses that are tried in turn.
///
/// A client that dials again ([`Options::reconnect`]) looks the host up again, because a server may have moved.
#[derive(Debug, Clone)]
pub struct Target {
    pub(super) dialect: Dialect,
    /// What is looked up before dialling again; `None` where that gives the same for ever.
    pub(super) name: Option<Arc<Listen>>,
    pub(super) addresses: Arc<[SocketAddr]>,
    /// What the server must prove that it is, if it is to speak TLS.
    #[cfg(feature = "tls")]
    pub(super) proof: Option<Proof>,
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
            .place
            .resolve()
            .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
        let is_address = listen.place.host.parse::<IpAddr>().is_ok();
        Ok(Self {
            dialect: listen.dialect,
            name: (!is_address).then(|| Arc::new(listen)),
            addresses: addresses.into(),
            #[cfg(feature = "tls")]
            proof: None,
        })
    }

    /// As [`Target::resolve`], for `telnets://HOST:PORT` and `wires://HOST:PORT`, which are the same dialects in TLS. The
    /// server must prove that it is HOST by a certificate for which one of `roots` stands.
    ///
    /// A server that does not, or speaks no TLS, is told of as
    /// [`Why::Unreachable`](crate::client::Why::Unreachable) with [`io::ErrorKind::InvalidData`].
    ///
    /// # Errors
    /// As [`Target::resolve`]; if the dialect is none in TLS; or if no certificate can name the host.
    #[cfg(feature = "tls")]
    pub fn resolve_in_tls(address: &str, roots: &Roots) -> io::Result<Self> {
        let invalid = |why: &str| {
            let text = format!("{address}: {why}");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        };
        let plain = address.split_once("s://");
        let (word, place) = plain.ok_or_else(|| invalid("not DIALECTs://HOST:PORT"))?;
        let mut target = Self::resolve(&format!("{word}://{place}"))?;
        let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
        target.proof = Some(Proof::new(roots, host)?);
        Ok(target)
    }

    /// A server whose address is known.
    #[must_use]
    pub fn new(dialect: Dialect, address: SocketAddr) -> Self {
        Self {
            dialect,
            name: None,
            addresses: [address].into(),
            #[cfg(feature = "tls")]
            proof: None,
        }
    }

    /// The same server at this address alone.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.name = None;
        self.addresses = [address].into();
        self
    }

    /// The way of talking there.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Its addresses, at least one, as they were when it was made.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// How a client behaves. Each method changes one thing of the defaults.
///
/// ```
/// use chatd::client::{Options, Reconnect};
///
/// let options = Options::default().reconnect(Reconnect::default()).keep_max(100);
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) connect_max: Duration,
    pub(super) drain_max: Duration,
    pub(super) words_bytes_max: usize,
    pub(super) keep_max: usize,
    pub(super) receive_buffer_bytes: Option<usize>,
    pub(super) reconnect: Option<Reconnect>,
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

impl Options {
    /// How long one address may take to accept the connection. Default: 10 s.
    #[must_use]
    pub fn connect_max(mut self, duration: Duration) -> Self {
        self.connect_max = duration;
        self
    }

    /// How long leaving may take: what waits is written and the server closes, or the connection is cut off. Default:
    /// 5 s.
    #[must_use]
    pub fn drain_max(mut self, duration: Duration) -> Self {
        self.drain_max = duration;
        self
    }

    /// How many bytes words or a name may have that are sent. Those that are heard may have three times as many, for a
    /// server that takes this many may lengthen them when it cleans them. Default: 4,096.
    #[must_use]
    pub fn words_bytes_max(mut self, bytes: usize) -> Self {
        self.words_bytes_max = bytes;
        self
    }

    /// How many messages of each kind are remembered: sent, dropped and received. Default: 0, they are only counted.
    #[must_use]
    pub fn keep_max(mut self, messages: usize) -> Self {
        self.keep_max = messages;
        self
    }

    /// `SO_RCVBUF`. Default: `None`, what the system gives.
    #[must_use]
    pub fn receive_buffer_bytes(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.receive_buffer_bytes = bytes.into();
        self
    }

    /// Whether to dial again after a connection failed or broke. Default: `None`, that is the end.
    ///
    /// A host that was given by name is looked up anew each time, within the poll, which blocks all clients of that
    /// poll for as long as the system's resolver takes (up to 30 s or so where it cannot be reached). A look-up that
    /// fails counts as a failed attempt.
    #[must_use]
    pub fn reconnect(mut self, reconnect: impl Into<Option<Reconnect>>) -> Self {
        self.reconnect = reconnect.into();
        self
    }
}

/// When to dial again. The wait after the first failure doubles with each further one, up to a most. Each wait is
/// shortened by up to a half, so that those who lost a server together do not come back together.
#[derive(Debug, Clone)]
pub struct Reconnect {
    pub(super) delay_min: Duration,
    pub(super) delay_max: Duration,
    pub(super) failures_max: Option<u32>,
    pub(super) seed: u64,
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            delay_min: Duration::from_millis(200),
            delay_max: Duration::from_secs(30),
            failures_max: None,
            seed: RandomState::new().hash_one(0),
        }
    }
}

impl Reconnect {
    /// The wait after the first failure, and the longest one. A connection that lasted as long as the longest wait makes
    /// the next failure the first one again. Default: 0.2 s to 30 s.
    #[must_use]
    pub fn delays(mut self, min: Duration, max: Duration) -> Self {
        self.delay_min = min;
        self.delay_max = max;
        self
    }

    /// How many failures one after the other end the client. Default: `None`, it never gives up.
    #[must_use]
    pub fn failures_max(mut self, failures: impl Into<Option<u32>>) -> Self {
        self.failures_max = failures.into();
        self
    }

    /// The same seed gives the same waits. Default: one of its own.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}
