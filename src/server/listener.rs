//! Sockets that listen: opened as the settings say, or handed on by a supervisor.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;

use rustix::io::Errno;
use socket2::SockRef;

use crate::server::socket_file::SocketFile;
use crate::settings::{Endpoint, Service};
use crate::stream;

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// In the network.
    Inet {
        /// What is offered there; not [`Service::Operators`].
        service: Service,
        /// The socket.
        socket: TcpListener,
    },
    /// A Unix socket, for operators.
    Operators(OperatorSocket),
}

/// A Unix socket that listens for operators.
#[derive(Debug)]
pub struct OperatorSocket {
    pub(super) socket: UnixListener,
    /// `None` if it is somebody else's, who has handed the socket on.
    pub(super) file: Option<SocketFile>,
}

/// A socket that somebody else has opened, whose file is theirs.
impl From<UnixListener> for OperatorSocket {
    fn from(socket: UnixListener) -> Self {
        let file = None;
        Self { socket, file }
    }
}

impl Listener {
    /// Opens the sockets of all endpoints, those for operators last: an operator who is answered finds a server that
    /// listens everywhere.
    pub(super) fn open_all(endpoints: &[Endpoint]) -> io::Result<Vec<Self>> {
        let explain = |endpoint: &Endpoint, error: io::Error| {
            let what = format!("cannot listen on {endpoint}: {error}");
            io::Error::new(error.kind(), what)
        };
        let mut resolved = Vec::new();
        for endpoint in endpoints {
            if let Endpoint::Inet { service, place } = endpoint {
                let addresses = place.resolve().map_err(|error| explain(endpoint, error))?;
                resolved.push((endpoint, *service, addresses));
            }
        }
        let all: Vec<_> = resolved
            .iter()
            .flat_map(|(_, _, all)| all)
            .copied()
            .collect();
        let mut listeners = Vec::new();
        for (endpoint, service, addresses) in resolved {
            let sockets =
                listen_on_all(&addresses, &all).map_err(|error| explain(endpoint, error))?;
            let opened = sockets.into_iter();
            listeners.extend(opened.map(|socket| Self::Inet { service, socket }));
        }
        for endpoint in endpoints {
            if let Endpoint::Operators(path) = endpoint {
                let opened = SocketFile::listen(path);
                let (socket, file) = opened.map_err(|error| explain(endpoint, error))?;
                let file = Some(file);
                listeners.push(Self::Operators(OperatorSocket { socket, file }));
            }
        }
        Ok(listeners)
    }

    /// Fails unless it listens.
    pub(super) fn check(&self) -> io::Result<()> {
        let (socket, descriptor) = match self {
            Self::Inet { socket, .. } => (SockRef::from(socket), socket.as_raw_fd()),
            Self::Operators(OperatorSocket { socket, .. }) => {
                (SockRef::from(socket), socket.as_raw_fd())
            }
        };
        if socket.is_listener()? {
            return Ok(());
        }
        let what = format!("descriptor {descriptor}, which was handed on, does not listen");
        Err(io::Error::other(what))
    }

    /// What is offered there.
    #[must_use]
    pub fn service(&self) -> Service {
        match self {
            Self::Inet { service, .. } => *service,
            Self::Operators(_) => Service::Operators,
        }
    }
}

/// Listens on all addresses that a name stands for (`localhost` for two, where there is IPv6), which are some of `all`
/// that are listened on. One that this machine does not have is a reason to stop only if it has none of them.
fn listen_on_all(addresses: &[SocketAddr], all: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut absent = None;
    for address in addresses {
        // Where nobody else has the port, `[::]` takes connections of both families.
        let has_port = |other: &SocketAddr| other.is_ipv4() && other.port() == address.port();
        let only_v6 = address.port() != 0 && all.iter().any(has_port);
        match stream::listen(*address, only_v6) {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_absent(&error) => absent = Some(error),
            Err(error) => return Err(error),
        }
    }
    match absent {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

/// Whether an address could not be listened on because this machine does not have it.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From a range that no machine has (RFC 5737).
    const ABSENT: &str = "203.0.113.7:0";

    fn listen(addresses: &[&str]) -> io::Result<usize> {
        let addresses = addresses.iter().map(|address| address.parse());
        let addresses: Vec<SocketAddr> = addresses.map(Result::unwrap).collect();
        listen_on_all(&addresses, &[]).map(|listeners| listeners.len())
    }

    #[test]
    fn one_of_the_addresses_of_a_name_may_be_absent() {
        assert_eq!(listen(&[ABSENT, "127.0.0.1:0"]).unwrap(), 1);
        assert_eq!(listen(&["127.0.0.1:0", ABSENT]).unwrap(), 1);
        let error = listen(&[ABSENT]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn f109_a_port_in_use_is_an_error_whatever_else_the_name_stands_for() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = other.local_addr().unwrap().to_string();
        let error = listen(&["127.0.0.2:0", &taken]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
