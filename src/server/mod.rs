//! The loop and the sockets: the only code that knows mio.
//!
//! One turn is always `note -> accept -> read -> tick -> flush -> reap`, each phase over a snapshot of its work list:
//!
//! 1. **note**: events only set flags and push ids on lists. Nothing is done in reaction to an event.
//! 2. **accept**: what waits, up to a budget; the edge is remembered.
//! 3. **read**: one read for each ready session into one buffer that the loop owns, so that an idle session owns no
//!    read memory. What people say goes into the hub's feed.
//! 4. **tick**: deadlines. The clock was asked once, after the poll.
//! 5. **flush**: one write for each session whose turn it is to hear. In a quiet room that is everybody.
//! 6. **reap**: slots and descriptors are freed here and nowhere else.

mod admission;
mod event_loop;
mod kernel;
mod meter;
mod motd;
mod network;
#[cfg(test)]
mod simulation;

use std::io;
use std::net::{SocketAddr, TcpListener};

use log::warn;
use rustix::io::Errno;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use crate::settings::Settings;
use crate::stream;

use admission::AdmissionLimits;
use event_loop::EventLoop;
use kernel::Kernel;
use motd::MotdFile;

pub use crate::dialect::Dialect;
pub use crate::hub::Census;
pub use crate::ledger::CloseReason;
pub use crate::log::StderrLog;
pub use crate::report::{Process, Report};
pub use kernel::ShutdownHandle;

/// 64 descriptors are kept back for listeners, the log, and connections that are refused.
const RESERVED_DESCRIPTORS: u64 = 64;

/// A chat server, bound and ready to run.
pub struct Server {
    event_loop: EventLoop<Kernel>,
    addresses: Vec<(Dialect, SocketAddr)>,
}

impl Server {
    /// Listens on every address of the settings. From then on the kernel accepts connections, which are served as
    /// soon as [`Server::run`] is called.
    ///
    /// # Errors
    /// If an address cannot be resolved or listened on, or the message of the day cannot be read; the error names it.
    /// If the descriptor limit leaves none for sessions.
    pub fn bind(settings: &Settings) -> io::Result<Self> {
        let mut listeners = Vec::new();
        for listen in &settings.listen {
            let explain = |error: io::Error| {
                io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}"))
            };
            let addresses = listen.resolve().map_err(explain)?;
            let bound = listen_on_all(&addresses).map_err(explain)?;
            listeners.extend(bound.into_iter().map(|listener| (listen.dialect, listener)));
        }
        Self::new(settings, listeners, false)
    }

    /// Serves listeners that somebody else has opened and goes on to hold, whatever `settings.listen` says.
    ///
    /// # Errors
    /// If a listener cannot be used, or the message of the day cannot be read.
    pub fn adopt(settings: &Settings, listeners: Vec<(Dialect, TcpListener)>) -> io::Result<Self> {
        Self::new(settings, listeners, true)
    }

    fn new(
        settings: &Settings,
        listeners: Vec<(Dialect, TcpListener)>,
        held_elsewhere: bool,
    ) -> io::Result<Self> {
        let mut kernel = Kernel::new(held_elsewhere)?;
        let mut addresses = Vec::new();
        for (dialect, listener) in listeners {
            addresses.push((
                dialect,
                kernel.add_listener(listener, settings.send_buffer_bytes)?,
            ));
        }
        let admission = AdmissionLimits {
            sessions_max: sessions_max(settings.sessions_max)?,
            per_address_max: settings.sessions_per_address_max,
        };
        let dialects = addresses.iter().map(|(dialect, _)| *dialect).collect();
        let message = MotdFile(settings.motd_file.clone());
        let event_loop = EventLoop::new(kernel, dialects, settings.limits, admission, message)?;
        Ok(Self {
            event_loop,
            addresses,
        })
    }

    /// Where the server listens, with the real ports.
    #[must_use]
    pub fn addresses(&self) -> &[(Dialect, SocketAddr)] {
        &self.addresses
    }

    /// What stops this server from elsewhere.
    #[must_use]
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.event_loop.network().shutdown_handle()
    }

    /// Lets SIGTERM and SIGINT stop this server, SIGUSR1 write a report into the log, and SIGHUP read the message of
    /// the day again.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn handle_signals(&mut self) -> io::Result<()> {
        self.event_loop.network_mut().handle_signals()
    }

    /// Serves until the server is told to stop, and everybody has been told, or `drain-seconds` are over.
    ///
    /// # Errors
    /// If the kernel does not let the loop wait for events any more.
    pub fn run(&mut self) -> io::Result<()> {
        self.event_loop.run()
    }

    /// The state of the server.
    #[must_use]
    pub fn report(&self) -> Report {
        self.event_loop.report()
    }
}

/// Listens on all addresses that a name stands for (`localhost` for two, where there is IPv6). One that this machine does
/// not have is a reason to stop only if it has none of them.
fn listen_on_all(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut absent = None;
    for address in addresses {
        match stream::listen(*address) {
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

/// Raises the soft descriptor limit to the hard one where that is permitted; gives the soft limit from then on.
fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let mut current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current, ..limit }) {
        warn!("cannot raise the descriptor limit: {error}");
        current = limit.current;
    }
    current.unwrap_or(u64::MAX)
}

/// How many sessions the descriptor limit allows, at most as many as are `wanted`.
fn sessions_max(wanted: Option<usize>) -> io::Result<usize> {
    let limit = raise_descriptor_limit();
    let allowed = limit.saturating_sub(RESERVED_DESCRIPTORS);
    let allowed = usize::try_from(allowed).unwrap_or(usize::MAX);
    match wanted {
        _ if allowed == 0 => Err(io::Error::other(format!(
            "a descriptor limit of {limit} leaves none for sessions: {RESERVED_DESCRIPTORS} are kept back"
        ))),
        Some(wanted) if wanted > allowed => {
            warn!("sessions-max is lowered from {wanted} to {allowed}: the descriptor limit is {limit}");
            Ok(allowed)
        }
        Some(wanted) => Ok(wanted),
        None => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From a range that no machine has (RFC 5737).
    const ABSENT: &str = "203.0.113.7:0";

    fn listen(addresses: &[&str]) -> io::Result<usize> {
        let addresses = addresses.iter().map(|address| address.parse());
        let addresses: Vec<SocketAddr> = addresses.map(Result::unwrap).collect();
        listen_on_all(&addresses).map(|listeners| listeners.len())
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
