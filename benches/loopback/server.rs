//! A server as a process of its own: started on a core, measured through `/proc`, and stopped for certain.
//!
//! Invariant: no server outlives the bench, whether it ends, panics or is killed: `Drop` ends the process, and the
//! launcher has the kernel do it where `Drop` does not run.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use chatd::server::Process;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::process::{kill_process, set_parent_process_death_signal, Pid, Signal};

use super::report::target_path;
use crate::load::cores;
use crate::load::process::CoreTime;

/// The argument with which the bench starts itself to become the floor.
pub(super) const FLOOR_ARGUMENT: &str = "--floor";
/// The argument with which the bench starts itself to become a server: `--launch CPU PROGRAM ARGUMENT...`.
pub(super) const LAUNCH_ARGUMENT: &str = "--launch";

const START_SECONDS_MAX: i64 = 10;
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
    child: Child,
    /// Kept open, so that the server never writes to a closed pipe.
    _stdout: ChildStdout,
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
        let bench = std::env::current_exe()?;
        let mut command = Command::new(&bench);
        command.arg(LAUNCH_ARGUMENT);
        command.arg(core.map_or_else(|| "any".to_owned(), |core| core.to_string()));
        match subject {
            Subject::Floor => command.arg(bench).arg(FLOOR_ARGUMENT),
            Subject::Chatd => command.arg(chatd_path()).args(chatd_arguments(extra)),
        };
        Self::spawn(&mut command, subject)
    }

    /// Starts chatd with nothing in between, to see how fast it is there.
    pub(super) fn start_bare(extra: &[String]) -> io::Result<Self> {
        let mut command = Command::new(chatd_path());
        Self::spawn(command.args(chatd_arguments(extra)), Subject::Chatd)
    }

    fn spawn(command: &mut Command, subject: Subject) -> io::Result<Self> {
        let log = File::create(target_path("loopback-server.log")?)?;
        let began_at = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| {
                io::Error::other(format!("cannot start {}: {error}", subject.name()))
            })?;
        let listening = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("no standard output"))
            .and_then(read_listening);
        let started_in = began_at.elapsed();
        match listening {
            Ok((address, stdout)) => Ok(Self {
                child,
                _stdout: stdout,
                address,
                subject,
                started_in,
            }),
            Err(error) => {
                end(&mut child);
                Err(io::Error::other(format!(
                    "{} does not listen: {error} (see target/loopback-server.log)",
                    subject.name()
                )))
            }
        }
    }

    /// What all its threads have had of their core so far.
    pub(super) fn core_time(&self) -> io::Result<CoreTime> {
        CoreTime::of_process(self.child.id())
    }

    /// CPU time of all its threads so far, user and system.
    pub(super) fn cpu(&self) -> io::Result<Duration> {
        self.core_time().map(|time| time.ran)
    }

    /// Resident memory, in bytes.
    pub(super) fn resident_bytes(&self) -> io::Result<u64> {
        match Process::of(&self.child.id().to_string()).resident_bytes {
            0 => Err(io::Error::other("the system tells no memory of the server")),
            bytes => Ok(bytes),
        }
    }

    /// Asks it to stop and waits for it; one that does not is killed, and that is an error.
    pub(super) fn stop(mut self) -> io::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
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

impl Drop for ServerProcess {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Becomes the program named by the arguments after `--launch`: on its core, and not outliving the bench. Returns only
/// when that fails.
pub(super) fn launch(mut arguments: impl Iterator<Item = String>) -> io::Error {
    let mut prepare = || -> io::Result<Command> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if let Some(Ok(core)) = arguments.next().map(|core| core.parse::<usize>()) {
            cores::stay_on(core)?;
        }
        let program = arguments.next().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(&mut arguments);
        Ok(command)
    };
    match prepare() {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    }
}

fn chatd_path() -> String {
    std::env::var("CHATD_BENCH_SERVER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_chatd").to_owned())
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

/// Waits for the line that tells the address.
fn read_listening(stdout: ChildStdout) -> io::Result<(SocketAddr, ChildStdout)> {
    let limit = Timespec {
        tv_sec: START_SECONDS_MAX,
        tv_nsec: 0,
    };
    if poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&limit))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut reader = BufReader::new(stdout);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let address = line
        .trim_end()
        .strip_prefix("listening telnet://")
        .and_then(|address| address.parse().ok())
        .ok_or_else(|| io::Error::other(format!("it said {line:?}")))?;
    Ok((address, reader.into_inner()))
}

fn end(child: &mut Child) {
    // An error here says that it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}
