//! Where to accept connections, and for what: the values of `-l` and of `listen`.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use super::number::is_digits;
use crate::dialect::{Dialect, UnknownDialect};

/// What stands behind the word of a dialect that is spoken in TLS.
const IN_TLS: &str = "s";

/// What stands behind that where it is spoken behind a front end.
const BEHIND_PROXY: &str = "+proxy";

/// The word of the socket for operators, and that of monitoring.
const OPERATORS: &str = "ops";
const METRICS: &str = "metrics";

/// What is offered where no word says so.
const TELNET: Service = Service::Chat {
    dialect: Dialect::Telnet,
    tls: false,
    behind_proxy: false,
};

/// The path of a Unix socket may have 107 bytes (`unix(7)`, with the NUL behind them).
pub(super) const PATH_BYTES_MAX: usize = 107;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// 0 takes a free one.
    pub port: u16,
}

impl Place {
    /// The addresses that the host stands for: at least one. For a name the system's resolver is
    /// asked, which blocks.
    ///
    /// # Errors
    /// The name is unknown, or the resolver failed.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let addresses: Vec<_> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        if addresses.is_empty() {
            let kind = io::ErrorKind::NotFound;
            return Err(io::Error::new(kind, "the name has no address"));
        }
        Ok(addresses)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (&self.host, self.port);
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

impl FromStr for Place {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let (host, port) = text.rsplit_once(':').ok_or(ListenError::Form)?;
        let host = parse_host(host)?.to_owned();
        let port = is_digits(port).then(|| port.parse().ok()).flatten();
        let port = port.ok_or(ListenError::Port)?;
        Ok(Place { host, port })
    }
}

/// A dialect, and where it is spoken: `DIALECT://HOST:PORT`, or `HOST:PORT` for telnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken there.
    pub dialect: Dialect,
    /// Where.
    pub place: Place,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.dialect.scheme(), self.place)
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let (dialect, place) = match text.split_once("://") {
            Some((word, place)) => (word.parse().map_err(|_| ListenError::Dialect)?, place),
            None => (Dialect::Telnet, text),
        };
        let place = place.parse()?;
        Ok(Listen { dialect, place })
    }
}

/// What is offered to who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The chat.
    Chat {
        /// What is spoken there.
        dialect: Dialect,
        /// It is spoken in TLS: `DIALECTs`.
        tls: bool,
        /// It is reached through a front end, which says in a PROXY header who connects: `DIALECT+proxy`.
        behind_proxy: bool,
    },
    /// Control, for operators, over a Unix socket: `ops`.
    Operators,
    /// HTTP for monitoring: `metrics`.
    Metrics,
}

impl Service {
    /// The dialect of the chat there, if it is the chat.
    #[must_use]
    pub fn dialect(self) -> Option<Dialect> {
        match self {
            Service::Chat { dialect, .. } => Some(dialect),
            Service::Operators | Service::Metrics => None,
        }
    }

    /// Whether it is offered in TLS.
    #[must_use]
    pub fn is_in_tls(self) -> bool {
        matches!(self, Service::Chat { tls: true, .. })
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Service::Chat {
                dialect,
                tls,
                behind_proxy,
            } => {
                f.write_str(dialect.scheme())?;
                f.write_str(if *tls { IN_TLS } else { "" })?;
                f.write_str(if *behind_proxy { BEHIND_PROXY } else { "" })
            }
            Service::Operators => f.write_str(OPERATORS),
            Service::Metrics => f.write_str(METRICS),
        }
    }
}

impl FromStr for Service {
    type Err = UnknownDialect;

    fn from_str(word: &str) -> Result<Self, UnknownDialect> {
        match word {
            OPERATORS => return Ok(Service::Operators),
            METRICS => return Ok(Service::Metrics),
            _ => {}
        }
        let (word, behind_proxy) = match word.strip_suffix(BEHIND_PROXY) {
            Some(word) => (word, true),
            None => (word, false),
        };
        let in_tls = || {
            let dialect = word.strip_suffix(IN_TLS)?.parse().ok()?;
            Some((dialect, true))
        };
        let plain = word.parse().map(|dialect| (dialect, false));
        let (dialect, tls) = plain.or_else(|error| in_tls().ok_or(error))?;
        Ok(Service::Chat {
            dialect,
            tls,
            behind_proxy,
        })
    }
}

/// What is listened on, and for what: a value of `-l`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address of the network.
    Inet {
        /// What is offered there; never [`Service::Operators`].
        service: Service,
        /// Where.
        place: Place,
    },
    /// A Unix socket for operators, by its absolute path of at most 107 bytes: `ops:///PATH`.
    Operators(PathBuf),
}

impl Endpoint {
    /// Whether it is offered in TLS.
    #[must_use]
    pub fn is_in_tls(&self) -> bool {
        matches!(self, Endpoint::Inet { service, .. } if service.is_in_tls())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Inet { service, place } => write!(f, "{service}://{place}"),
            Endpoint::Operators(path) => write!(f, "{}://{}", Service::Operators, path.display()),
        }
    }
}

impl FromStr for Endpoint {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let (service, place) = match text.split_once("://") {
            Some((word, place)) => (word.parse().map_err(|_| ListenError::Dialect)?, place),
            None => (TELNET, text),
        };
        if service == Service::Operators {
            let is_path = place.starts_with('/') && !place.contains('\0');
            return (is_path && place.len() <= PATH_BYTES_MAX)
                .then(|| Endpoint::Operators(place.into()))
                .ok_or(ListenError::Path);
        }
        let place = place.parse()?;
        Ok(Endpoint::Inet { service, place })
    }
}

/// The host without the brackets that an IPv6 address has.
fn parse_host(text: &str) -> Result<&str, ListenError> {
    let is_plain = |text: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        !text.is_empty() && text.chars().all(known)
    };
    if let Some(rest) = text.strip_prefix('[') {
        let address = rest.strip_suffix(']').ok_or(ListenError::Form)?;
        // A link-local address may name its interface: `fe80::1%eth0`.
        let (bare, interface) = address.split_once('%').unwrap_or((address, "0"));
        let right = bare.parse::<Ipv6Addr>().is_ok() && is_plain(interface);
        return right.then_some(address).ok_or(ListenError::Brackets);
    }
    if text.contains(':') {
        return Err(ListenError::Brackets);
    }
    is_plain(text).then_some(text).ok_or(ListenError::Form)
}

/// What is wrong with a text that is to be a [`Listen`] or an [`Endpoint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenError {
    /// It is not built like one.
    Form,
    /// What stands before `://` is no dialect.
    Dialect,
    /// An IPv6 address without brackets, or brackets without an IPv6 address.
    Brackets,
    /// The port is no number from 0 to 65535.
    Port,
    /// The path of a Unix socket is not absolute, or too long.
    Path,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenError::Form => f.write_str("not [DIALECT://]HOST:PORT"),
            ListenError::Dialect => UnknownDialect.fmt(f),
            ListenError::Brackets => {
                f.write_str("an IPv6 address, and nothing else, is written in brackets")
            }
            ListenError::Port => f.write_str("a port is a number from 0 to 65535"),
            ListenError::Path => write!(
                f,
                "not {}:///PATH, with a path of at most {PATH_BYTES_MAX} bytes",
                Service::Operators
            ),
        }
    }
}

impl Error for ListenError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_listener_is_read_back_from_what_it_prints() {
        let listeners = [
            ("127.0.0.1:3333", "telnet://127.0.0.1:3333"),
            ("wire://localhost:0", "wire://localhost:0"),
            ("[::1]:65535", "telnet://[::1]:65535"),
            ("wire://[fe80::1%eth0]:1", "wire://[fe80::1%eth0]:1"),
        ];
        for (given, printed) in listeners {
            let listen: Listen = given.parse().unwrap();
            assert_eq!(listen.to_string(), printed);
            assert_eq!(printed.parse(), Ok(listen));
            let endpoint: Endpoint = given.parse().unwrap();
            assert_eq!(endpoint.to_string(), printed);
            assert_eq!(printed.parse(), Ok(endpoint));
        }
    }

    #[test]
    fn the_word_says_what_is_offered() {
        for printed in [
            "telnet+proxy://127.0.0.1:3333",
            "wire+proxy://[::]:1",
            "telnets://127.0.0.1:992",
            "wires+proxy://[::]:1",
            "https://localhost:443",
            "metrics://127.0.0.1:9333",
            "ops:///run/chatd/ops.sock",
        ] {
            let endpoint: Endpoint = printed.parse().unwrap();
            assert_eq!(endpoint.to_string(), printed);
        }
        let path = |bytes: usize| format!("ops:///{}", "x".repeat(bytes - 1));
        assert!(path(PATH_BYTES_MAX).parse::<Endpoint>().is_ok());
        for (text, error) in [
            (path(PATH_BYTES_MAX + 1).as_str(), ListenError::Path),
            ("ops://run/ops.sock", ListenError::Path),
            ("ops://", ListenError::Path),
            ("ops+proxy:///run/ops.sock", ListenError::Dialect),
            ("+proxy://h:1", ListenError::Dialect),
            ("metrics+proxy://h:1", ListenError::Dialect),
            ("telnetss://h:1", ListenError::Dialect),
            ("metricss://h:1", ListenError::Dialect),
            ("opss:///x", ListenError::Dialect),
            ("s://h:1", ListenError::Dialect),
            ("telnet+proxys://h:1", ListenError::Dialect),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
        }
        assert_eq!("ops:///x".parse::<Listen>(), Err(ListenError::Dialect));
    }

    #[test]
    fn an_address_resolves_to_itself() {
        for address in ["127.0.0.1:3333", "[::1]:0"] {
            let place: Place = address.parse().unwrap();
            assert_eq!(place.resolve().unwrap(), [address.parse().unwrap()]);
        }
    }

    proptest! {
        #[test]
        fn no_listener_panics(text in any::<String>()) {
            if let Ok(endpoint) = text.parse::<Endpoint>() {
                prop_assert_eq!(endpoint.to_string().parse(), Ok(endpoint));
            }
        }
    }
}
