//! The loop and the sockets: the only code that knows mio.
//!
//! One turn is always `note -> accept -> read -> operate -> tick -> flush -> reap`, each phase over a snapshot of its
//! work list:
//!
//! 1. **note**: events only set flags and push ids on lists. Nothing is done in reaction to an event.
//! 2. **accept**: what waits, up to a budget; the edge is remembered.
//! 3. **read**: one read for each ready session into one buffer that the loop owns, so that an idle session owns no
//!    read memory. What people say goes into the hub's feed.
//! 4. **operate**: one command of each operator; files are read again, and settings change.
//! 5. **tick**: deadlines. The clock was asked once, after the poll.
//! 6. **flush**: one write for each session whose turn it is to hear. In a quiet room that is everybody.
//! 7. **reap**: slots and descriptors are freed here and nowhere else.

mod admission;
#[cfg(feature = "tls")]
mod certificate;
mod control;
mod door;
mod event_loop;
mod files;
#[cfg(feature = "tls")]
mod handshakes;
mod kernel;
mod listener;
mod meter;
mod metrics;
mod monitor;
mod motd;
mod names_file;
mod network;
mod notify;
mod proxy;
mod rules_file;
mod save;
mod signals;
#[cfg(test)]
mod simulation;
mod socket_file;
mod transcript;
mod watchdog;

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::process;
use std::time::Duration;

use log::{info, warn};
use rustix::io::Errno;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use crate::settings::{Configuration, Settings, SettingsError, NO_TLS};

use admission::AdmissionLimits;
use event_loop::EventLoop;
use files::Files;
use kernel::{Kernel, ListenAddress};
use names_file::NamesFile;
use notify::notify;
use rules_file::RulesFile;
use transcript::TranscriptFile;

pub use crate::dialect::Dialect;
pub use crate::hub::Census;
pub use crate::ledger::CloseReason;
pub use crate::log::{print, StderrLog};
pub use crate::report::{Process, Report, Usage};
pub use kernel::ShutdownHandle;
pub use listener::{Listener, OperatorSocket};
pub use signals::block_signals;

/// 64 descriptors are kept back for listeners, the log, and connections that are refused.
const RESERVED_DESCRIPTORS: u64 = 64;

/// A descriptor limit below this is worth a warning, unless `sessions-max` wants no more than it allows.
const DESCRIPTORS_LOW: u64 = 1024;

/// How long a supervisor whose queue is full is waited for when the server is ready.
const READY_PATIENCE: Duration = Duration::from_secs(1);

/// Looks at everything that a start with these settings looks at, but for the addresses: whether the files that they
/// name can be read, and what they say.
///
/// # Errors
/// What would be wrong at the start.
pub fn check(settings: &Settings) -> Result<(), SettingsError> {
    Files::read(settings)?;
    let (rules, names) = (
        settings.bans_file.as_deref(),
        settings.names_file.as_deref(),
    );
    rules.map_or(Ok(()), RulesFile::check)?;
    names.map_or(Ok(()), NamesFile::check)?;
    #[cfg(feature = "tls")]
    certificate::read(settings)?;
    files::relay_password(settings)?;
    let transcript = settings.transcript_file.as_deref();
    transcript.map_or(Ok(()), TranscriptFile::check)
}

/// A chat server, bound and ready to run.
pub struct Server {
    event_loop: EventLoop<Kernel>,
    listening: Vec<String>,
    addresses: Vec<(Dialect, SocketAddr)>,
}

impl Server {
    /// Listens on every address of the settings. From then on the kernel accepts connections, which are served as
    /// soon as [`Server::run`] is called.
    ///
    /// # Errors
    /// If an address cannot be resolved or listened on, or the message of the day cannot be read; the error names it.
    /// If the descriptor limit leaves none for sessions. A [`SettingsError`] stays one, inside.
    pub fn bind(settings: impl Into<Configuration>) -> io::Result<Self> {
        let configuration = settings.into();
        let listeners = Listener::open_all(&configuration.settings().listen)?;
        Self::new(configuration, listeners, false)
    }

    /// Serves listeners that somebody else has opened and goes on to hold, whatever `settings.listen` says.
    ///
    /// # Errors
    /// If a listener cannot be used, a socket that does not listen among them, or the message of the day cannot be read.
    pub fn adopt(settings: impl Into<Configuration>, listeners: Vec<Listener>) -> io::Result<Self> {
        listeners.iter().try_for_each(Listener::check)?;
        Self::new(settings.into(), listeners, true)
    }

    fn new(
        configuration: Configuration,
        listeners: Vec<Listener>,
        held_elsewhere: bool,
    ) -> io::Result<Self> {
        let settings = configuration.settings().clone();
        let descriptors = Descriptors::raise_limit();
        let allowed = descriptors.sessions_allowed()?;
        let sessions_max = AdmissionLimits::of(&settings, allowed).sessions_max;
        if cfg!(not(feature = "tls")) && listeners.iter().any(|it| it.service().is_in_tls()) {
            let what = SettingsError::Wrong(NO_TLS.to_owned());
            return Err(io::Error::other(what));
        }
        let mut kernel = Kernel::new(held_elsewhere)?;
        let mut services = Vec::new();
        let mut listening = Vec::new();
        let (mut addresses, mut places) = (Vec::new(), Vec::new());
        for listener in listeners {
            let service = listener.service();
            let address = kernel.add_listener(listener, settings.send_buffer_bytes)?;
            services.push(service);
            listening.push(format!("{service}://{address}"));
            let address = match address {
                ListenAddress::Inet(address) => Some(address),
                ListenAddress::Path(_) => None,
            };
            places.push(address);
            addresses.extend(service.dialect().zip(address));
        }
        let mut event_loop = EventLoop::new(kernel, services, configuration, allowed)?;
        event_loop.begin_relay()?;
        log_start(&settings, sessions_max, descriptors.limit);
        descriptors.warn(settings.sessions_max, sessions_max);
        event_loop.set_addresses(&places);
        Ok(Self {
            event_loop,
            listening,
            addresses,
        })
    }

    /// Where the server listens, with the real ports, as `DIALECT://HOST:PORT` and the like.
    #[must_use]
    pub fn listening(&self) -> &[String] {
        &self.listening
    }

    /// Where the chat is, in which dialect, with the real ports.
    #[must_use]
    pub fn addresses(&self) -> &[(Dialect, SocketAddr)] {
        &self.addresses
    }

    /// What stops this server from elsewhere.
    #[must_use]
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.event_loop.network().shutdown_handle()
    }

    /// Lets SIGTERM and SIGINT stop this server, SIGUSR1 write a report into the log, and SIGHUP read the settings file
    /// and the message of the day again, or, where standard error is a terminal, stop it: the window is closed.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn handle_signals(&mut self) -> io::Result<()> {
        self.event_loop.network_mut().handle_signals()
    }

    /// Tells the supervisor that started the process, if there is one, that the server accepts connections; and, if it
    /// wants that, again and again that the server works, as long as it runs.
    pub fn tell_ready(&mut self) {
        self.event_loop.begin_watchdog();
        if let Err(error) = notify("READY=1", READY_PATIENCE) {
            warn!("{error}");
        }
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

/// The first line of the log: the version, the process, the limits in force, and what is set otherwise than by default.
fn log_start(settings: &Settings, sessions_max: usize, descriptors: u64) {
    let mut line = format!(
        "start version={} pid={} sessions-max={sessions_max} descriptors={descriptors}",
        env!("CARGO_PKG_VERSION"),
        process::id()
    );
    for (key, value) in settings.changed() {
        if key != "sessions-max" {
            // Writing to a String cannot fail.
            let _ = write!(line, " {key}={value}");
        }
    }
    info!("{line}");
}

/// How many descriptors this process may have.
struct Descriptors {
    limit: u64,
    /// Why the soft limit could not be raised to the hard one.
    refused: Option<Errno>,
}

impl Descriptors {
    /// Raises the soft limit to the hard one where that is permitted.
    fn raise_limit() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let current = limit.maximum;
        let refused = setrlimit(Resource::Nofile, Rlimit { current, ..limit }).err();
        let in_force = refused.map_or(current, |_| limit.current);
        Self {
            limit: in_force.unwrap_or(u64::MAX),
            refused,
        }
    }

    /// How many sessions the limit allows.
    fn sessions_allowed(&self) -> io::Result<usize> {
        match self.limit.saturating_sub(RESERVED_DESCRIPTORS) {
            0 => Err(io::Error::other(format!(
                "a descriptor limit of {} leaves none for sessions: {RESERVED_DESCRIPTORS} are kept back",
                self.limit
            ))),
            allowed => Ok(usize::try_from(allowed).unwrap_or(usize::MAX)),
        }
    }

    /// Warns of a limit that is low: below what `wanted` takes, or, where nobody wants a number, below 1024.
    fn warn(&self, wanted: Option<usize>, sessions_max: usize) {
        let limit = self.limit;
        if let Some(error) = self.refused {
            warn!("cannot raise the descriptor limit: {error}");
        }
        match wanted {
            Some(wanted) if wanted > sessions_max => warn!(
                "sessions-max is lowered from {wanted} to {sessions_max}: the descriptor limit is {limit}"
            ),
            None if limit < DESCRIPTORS_LOW => {
                let sessions = crate::log::counted(sessions_max as u64, "session");
                warn!("the descriptor limit is {limit}: at most {sessions}");
            }
            _ => {}
        }
    }
}
