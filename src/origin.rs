//! Where a connection comes from.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The far end of a connection, as the log tells it.
///
/// A session keeps it, so it is small: a `SocketAddr` would take 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An address and a port.
    Inet {
        /// The bits of an IPv6 address, in which an IPv4 address is mapped (RFC 4291, section 2.5.5.2). The interface
        /// of a link-local address is not kept.
        address: [u8; 16],
        /// The port, in network order: so it takes no more than its bytes in a session.
        port: [u8; 2],
        /// An operator has freed the address of all limits by address.
        exempt: bool,
        /// What lies between.
        security: Security,
    },
    /// A process of this machine, over a Unix socket.
    Local,
}

/// Whether what passes can be read on the way. It takes no place where there is no TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Security {
    /// It can.
    #[default]
    Clear,
    #[cfg(feature = "tls")]
    Tls12,
    #[cfg(feature = "tls")]
    Tls13,
}

/// The field of the log, with a blank before it; nothing where there is no TLS.
impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear => "",
            #[cfg(feature = "tls")]
            Self::Tls12 => " tls=1.2",
            #[cfg(feature = "tls")]
            Self::Tls13 => " tls=1.3",
        })
    }
}

impl Origin {
    /// The prefix that it is counted under; `None` if it is exempt: from this machine, or freed by an operator.
    pub(crate) fn prefix(self) -> Option<Prefix> {
        match self {
            Self::Inet {
                address,
                exempt: false,
                ..
            } => Prefix::of(canonical(address)),
            Self::Inet { .. } | Self::Local => None,
        }
    }

    /// Its address; `None` for what comes over no network.
    pub(crate) fn address(self) -> Option<IpAddr> {
        match self {
            Self::Inet { address, .. } => Some(canonical(address)),
            Self::Local => None,
        }
    }

    /// The same, free of all limits by address.
    pub(crate) fn exempted(self) -> Self {
        match self {
            Self::Inet {
                address,
                port,
                security,
                ..
            } => Self::Inet {
                address,
                port,
                exempt: true,
                security,
            },
            Self::Local => Self::Local,
        }
    }

    /// The same, with this between.
    #[cfg(feature = "tls")]
    pub(crate) fn secured(mut self, by: Security) -> Self {
        if let Self::Inet { security, .. } = &mut self {
            *security = by;
        }
        self
    }

    /// What lies between.
    #[cfg(feature = "tls")]
    pub(crate) fn security(self) -> Security {
        match self {
            Self::Inet { security, .. } => security,
            Self::Local => Security::Clear,
        }
    }
}

fn canonical(address: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(address).to_canonical()
}

impl From<SocketAddr> for Origin {
    fn from(address: SocketAddr) -> Self {
        let bits = match address.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        Self::Inet {
            address: bits.octets(),
            port: address.port().to_be_bytes(),
            exempt: false,
            security: Security::Clear,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet { address, port, .. } => {
                let port = u16::from_be_bytes(*port);
                SocketAddr::new(canonical(*address), port).fmt(f)
            }
            Self::Local => f.write_str("local"),
        }
    }
}

/// What is counted as one place on the net: an IPv4 address, or 64 bits of an IPv6 address.
///
/// The first half is 0 for IPv4 and for no network that there is, for `::/8` is reserved (RFC 4291, section 2.4). An
/// `IpAddr` would take twice as much of each session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Prefix([u32; 2]);

impl Prefix {
    /// `None` for loopback, which is never counted.
    fn of(address: IpAddr) -> Option<Self> {
        let halves = match address {
            IpAddr::V4(address) => [0, address.into()],
            IpAddr::V6(address) => {
                let bits = u128::from(address);
                [(bits >> 96) as u32, (bits >> 64) as u32]
            }
        };
        (!address.is_loopback()).then_some(Self(halves))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(address: &str) -> Option<Prefix> {
        Origin::from(SocketAddr::new(address.parse().unwrap(), 1)).prefix()
    }

    #[test]
    fn f007_prefixes_are_addresses_or_networks_and_loopback_has_none() {
        assert_eq!(prefix("127.0.0.9"), None);
        assert_eq!(prefix("::1"), None);
        assert_eq!(prefix("::ffff:127.0.0.1"), None);
        assert_eq!(Origin::Local.prefix(), None);
        assert_eq!(prefix("::ffff:192.0.2.1"), prefix("192.0.2.1"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
        assert_eq!(prefix("2001:db8:1:2::1"), prefix("2001:db8:1:2:ffff::9"));
        assert_ne!(prefix("2001:db8:1:2::1"), prefix("2001:db8:1:3::1"));
    }

    #[test]
    fn the_log_tells_the_address_with_its_port() {
        let told = |text: &str| Origin::from(text.parse::<SocketAddr>().unwrap()).to_string();
        for text in ["127.0.0.1:51234", "[::1]:3333", "[2001:db8::7]:65535"] {
            assert_eq!(told(text), text);
        }
        assert_eq!(Origin::Local.to_string(), "local");
    }

    #[test]
    fn f133_an_address_of_ipv4_is_told_as_one_whatever_socket_it_came_by() {
        let by_either = ["192.0.2.1:1", "[::ffff:192.0.2.1]:1"].map(|text| {
            let address: SocketAddr = text.parse().unwrap();
            Origin::from(address)
        });
        assert_eq!(by_either[0], by_either[1]);
        assert_eq!(by_either[1].to_string(), "192.0.2.1:1");
    }

    #[test]
    fn a_session_keeps_it_in_little_room() {
        assert!(size_of::<Origin>() <= 20);
    }
}
