//! The floor or chatd as a process of its own, measured through `/proc`.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::load::process::CoreTime;
use crate::process::{chatd_path, launcher, Process};

/// The argument with which the bench starts itself to become the floor.
pub(super) const FLOOR_ARGUMENT: &str = "--floor";

const STOP_SECONDS_MAX: u64 = 10;

/// What a server is started with beside its address: nothing is refused or held back, and nobody is dropped. All else
/// is as anybody would have it.
const CHATD_SETTINGS: [&str; 5] = [
    "lines-per-second=0",
    "sessions-per-address-max=0",
    "history-lines=0",
    "queue-bytes-max=4m",
    "queue-bytes-soft=4m",
];

/// Which of the two is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Floor,
    Chatd,
}

impl Subject {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Chatd => "chatd",
        }
    }
}

pub(super) struct ServerProcess {
    process: Process,
    pub(super) address: SocketAddr,
    pub(super) subject: Subject,
    /// From the start of the program until it said `listening`.
    pub(super) started_in: Duration,
}

impl ServerProcess {
    /// Starts it on its core, `extra` being further settings of chatd.
    pub(super) fn start(
        subject: Subject,
        core: Option<usize>,
        extra: &[String],
    ) -> io::Result<Self> {
        let program = match subject {
            Subject::Floor => std::env::current_exe()?.to_string_lossy().into_owned(),
            Subject::Chatd => chatd_path(),
        };
        let mut command = launcher(core, &program)?;
        match subject {
            Subject::Floor => command.arg(FLOOR_ARGUMENT),
            Subject::Chatd => command.args(chatd_arguments(extra)),
        };
        Self::spawn(&mut command, subject)
    }

    /// Starts chatd with nothing in between, to see how fast it is there.
    pub(super) fn start_bare(extra: &[String]) -> io::Result<Self> {
        let mut command = Command::new(chatd_path());
        Self::spawn(command.args(chatd_arguments(extra)), Subject::Chatd)
    }

    fn spawn(command: &mut Command, subject: Subject) -> io::Result<Self> {
        let began_at = Instant::now();
        let process = Process::start(command, "loopback-server.log").map_err(|error| {
            io::Error::other(format!("cannot start {}: {error}", subject.name()))
        })?;
        Ok(Self {
            started_in: began_at.elapsed(),
            address: process.address,
            process,
            subject,
        })
    }

    /// What all its threads have had of their core so far.
    pub(super) fn core_time(&self) -> io::Result<CoreTime> {
        self.process.core_time()
    }

    /// CPU time of all its threads so far, user and system.
    pub(super) fn cpu(&self) -> io::Result<Duration> {
        self.core_time().map(|time| time.ran)
    }

    /// Resident memory, in bytes.
    pub(super) fn resident_bytes(&self) -> io::Result<u64> {
        self.process.resident_bytes()
    }

    /// Asks it to stop and waits for it; one that does not is killed, and that is an error.
    pub(super) fn stop(mut self) -> io::Result<()> {
        self.process.signal(Signal::TERM)?;
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while Instant::now() < deadline {
            if let Some(status) = self.process.child.try_wait()? {
                // The floor knows no signals: it ends by this one.
                return if status.success() || self.subject == Subject::Floor {
                    Ok(())
                } else {
                    Err(io::Error::other(format!(
                        "{} ended with {status}",
                        self.subject.name()
                    )))
                };
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(io::Error::other(format!(
            "{} did not stop within {STOP_SECONDS_MAX} s of SIGTERM",
            self.subject.name()
        )))
    }
}

fn chatd_arguments(extra: &[String]) -> Vec<String> {
    let mut arguments = vec!["-l".to_owned(), "telnet://127.0.0.1:0".to_owned()];
    // The last one of a key is taken to win.
    let settings = CHATD_SETTINGS.iter().map(ToString::to_string);
    for setting in settings.chain(extra.iter().cloned()) {
        arguments.extend(["-o".to_owned(), setting]);
    }
    arguments
}
