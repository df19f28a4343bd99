//! Where to accept connections: the values of `-l` and of `listen`.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use super::number::is_digits;
use crate::dialect::{Dialect, UnknownDialect};

/// Where to accept connections, and in which dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken there.
    pub dialect: Dialect,
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// 0 takes a free one.
    pub port: u16,
}

impl Listen {
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

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dialect, host, port) = (self.dialect, &self.host, self.port);
        if host.contains(':') {
            write!(f, "{dialect}://[{host}]:{port}")
        } else {
            write!(f, "{dialect}://{host}:{port}")
        }
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let (dialect, address) = match text.split_once("://") {
            Some((word, address)) => (word.parse().map_err(|_| ListenError::Dialect)?, address),
            None => (Dialect::Telnet, text),
        };
        let (host, port) = address.rsplit_once(':').ok_or(ListenError::Form)?;
        let host = parse_host(host)?.to_owned();
        let port = is_digits(port).then(|| port.parse().ok()).flatten();
        let port = port.ok_or(ListenError::Port)?;
        Ok(Listen {
            dialect,
            host,
            port,
        })
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

/// What is wrong with a text that is to be a [`Listen`].
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
        }
    }

    #[test]
    fn an_address_resolves_to_itself() {
        for address in ["127.0.0.1:3333", "[::1]:0"] {
            let listen: Listen = address.parse().unwrap();
            assert_eq!(listen.resolve().unwrap(), [address.parse().unwrap()]);
        }
    }

    proptest! {
        #[test]
        fn no_listener_panics(text in any::<String>()) {
            if let Ok(listen) = text.parse::<Listen>() {
                prop_assert_eq!(listen.to_string().parse(), Ok(listen));
            }
        }
    }
}
