//! A server as a process of its own: started on a core, listening, and ended for certain; and the bench as a program.
//!
//! Invariant: no server outlives the bench, whether it ends, panics or is killed: `Drop` ends the process, and the
//! launcher has the kernel do it where `Drop` does not run.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::process::{kill_process, set_parent_process_death_signal, Pid, Signal};

use crate::load::cores;
use crate::load::process::CoreTime;

/// The argument with which the bench starts itself to become a server: `--launch CPU PROGRAM ARGUMENT...`.
const LAUNCH_ARGUMENT: &str = "--launch";

const START_SECONDS_MAX: i64 = 10;

/// A server that listens on an address of the loopback range, which the kernel chose.
pub(crate) struct Process {
    pub(crate) child: Child,
    /// Kept open, so that the server never writes to a closed pipe.
    stdout: BufReader<ChildStdout>,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts it and waits until it listens, its standard error going to the file `log` in the directory in which
    /// cargo builds. Where the command comes from [`launcher`], the calling thread must live as long as the server.
    ///
    /// # Errors
    /// If it cannot be started, or does not say within 10 seconds where it listens; it is ended then.
    pub(crate) fn start(command: &mut Command, log: &str) -> io::Result<Self> {
        let log = target_path(log)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()?;
        let listening = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("no standard output"))
            .and_then(|stdout| {
                let mut stdout = BufReader::new(stdout);
                Ok((read_listening(&mut stdout, "telnet")?, stdout))
            });
        match listening {
            Ok((address, stdout)) => Ok(Self {
                child,
                stdout,
                address,
            }),
            Err(error) => {
                end(&mut child);
                let log = log.display();
                Err(io::Error::other(format!(
                    "it does not listen: {error} (see {log})"
                )))
            }
        }
    }

    /// Where the next of its listeners listens, at which this dialect is spoken.
    #[allow(dead_code, reason = "not every bench has several")]
    pub(crate) fn next_address(&mut self, dialect: &str) -> io::Result<SocketAddr> {
        read_listening(&mut self.stdout, dialect)
    }

    /// What all its threads have had of their core so far.
    pub(crate) fn core_time(&self) -> io::Result<CoreTime> {
        CoreTime::of_process(self.child.id())
    }

    /// Resident memory, in bytes.
    #[allow(dead_code, reason = "not every bench asks for it")]
    pub(crate) fn resident_bytes(&self) -> io::Result<u64> {
        match chatd::server::Process::of(&self.child.id().to_string()).resident_bytes {
            0 => Err(io::Error::other("the system tells no memory of the server")),
            bytes => Ok(bytes),
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// What `main` does for the bench of this name: `bench` with the arguments, unless it was started by [`launcher`].
pub(crate) fn main(name: &str, bench: impl FnOnce(&[String]) -> io::Result<bool>) -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let result = match arguments.peek().map(String::as_str) {
        Some(LAUNCH_ARGUMENT) => Err(launch(arguments.skip(1))),
        _ => bench(&arguments.collect::<Vec<_>>()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The bench itself, which becomes `program` on this core; the arguments of the program are to be added.
pub(crate) fn launcher(core: Option<usize>, program: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(LAUNCH_ARGUMENT);
    command.arg(core.map_or_else(|| "any".to_owned(), |core| core.to_string()));
    command.arg(program);
    Ok(command)
}

/// Becomes the program named by the arguments after `--launch`: on its core, and not outliving the bench. Returns only
/// when that fails.
fn launch(mut arguments: impl Iterator<Item = String>) -> io::Error {
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

/// The server that is measured: the one just built, or the one that `CHATD_BENCH_SERVER` names.
pub(crate) fn chatd_path() -> String {
    std::env::var("CHATD_BENCH_SERVER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_chatd").to_owned())
}

/// A file in the directory in which cargo builds.
pub(crate) fn target_path(file: &str) -> io::Result<PathBuf> {
    let directory = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    fs::create_dir_all(&directory)?;
    Ok(directory.join(file))
}

/// Waits for the line that tells the address.
fn read_listening(stdout: &mut BufReader<ChildStdout>, dialect: &str) -> io::Result<SocketAddr> {
    let limit = Timespec {
        tv_sec: START_SECONDS_MAX,
        tv_nsec: 0,
    };
    let is_there = !stdout.buffer().is_empty();
    let fds = &mut [PollFd::new(stdout.get_ref(), PollFlags::IN)];
    if !is_there && poll(fds, Some(&limit))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    line.trim_end()
        .strip_prefix(&format!("listening {dialect}://"))
        .and_then(|address| address.parse().ok())
        .ok_or_else(|| io::Error::other(format!("it said {line:?}")))
}

fn end(child: &mut Child) {
    // An error here says that it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}
