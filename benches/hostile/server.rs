//! The server as a process of its own, with its default settings.
//!
//! Invariant: no server outlives the bench, whether it ends, panics or is killed: `Drop` ends the process, and the
//! launcher has the kernel do it where `Drop` does not run.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{kill_process, set_parent_process_death_signal, Pid, Signal};

use crate::load::cores;
use crate::load::process::CoreTime;

/// The argument with which the bench starts itself to become a server: `--launch CPU PROGRAM`.
pub(super) const LAUNCH_ARGUMENT: &str = "--launch";

/// A server that does not report within this time is not measured.
const REPORT_SECONDS_MAX: u64 = 30;

pub(super) struct Server {
    child: Child,
    /// Kept open, so that the server never writes to a closed pipe.
    _stdout: BufReader<ChildStdout>,
    log: PathBuf,
    pub(super) address: SocketAddr,
}

impl Server {
    /// Starts it on its core. The calling thread must live as long as the server.
    pub(super) fn start(core: Option<usize>) -> io::Result<Self> {
        let log = target_path("hostile-server.log")?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(LAUNCH_ARGUMENT)
            .arg(core.map_or_else(|| "any".to_owned(), |core| core.to_string()))
            .arg(server_path())
            .args(["-l", "telnet://127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = stdout.read_line(&mut line);
        let said = line.trim_end().strip_prefix("listening telnet://");
        let address = said.and_then(|address| address.parse().ok());
        let Some(address) = address else {
            end(&mut child);
            read?;
            let log = log.display();
            return Err(io::Error::other(format!(
                "the server said {line:?}, see {log}"
            )));
        };
        Ok(Self {
            child,
            _stdout: stdout,
            log,
            address,
        })
    }

    /// What all its threads have had of their core so far.
    pub(super) fn core_time(&self) -> io::Result<CoreTime> {
        CoreTime::of_process(self.child.id())
    }

    /// The same, since it was `before`.
    pub(super) fn spent_since(&self, before: CoreTime) -> io::Result<CoreTime> {
        let now = self.core_time()?;
        Ok(CoreTime {
            ran: now.ran.saturating_sub(before.ran),
            waited: now.waited.saturating_sub(before.waited),
        })
    }

    /// What a report tells of `key`, the sessions and the bytes they hold: it is asked for one.
    pub(super) fn reported(&self, key: &str) -> io::Result<u64> {
        let key = format!(" {key}=");
        let reports = || -> io::Result<Vec<u64>> {
            let log = fs::read_to_string(&self.log)?;
            let told = log.lines().filter_map(|line| {
                let (_, told) = line.split_once(" report")?;
                let (_, told) = told.split_once(&key)?;
                told.split(' ').next()?.parse().ok()
            });
            Ok(told.collect())
        };
        let before = reports()?.len();
        kill_process(Pid::from_child(&self.child), Signal::USR1)?;
        let deadline = Instant::now() + Duration::from_secs(REPORT_SECONDS_MAX);
        while Instant::now() < deadline {
            match reports()?.get(before) {
                Some(bytes) => return Ok(*bytes),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
        Err(io::Error::other("the server does not report"))
    }

    /// The most memory that it ever had resident, in bytes.
    pub(super) fn peak_bytes(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let told = status.lines().find_map(|line| {
            let kibibytes = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
            kibibytes.parse::<u64>().ok()
        });
        told.map(|kibibytes| kibibytes * 1024)
            .ok_or_else(|| io::Error::other("the system tells no memory of the server"))
    }

    /// How long each slow turn took that it has told of so far, in ms; it tells of one in a second at most.
    pub(super) fn slow_turns(&self) -> io::Result<Vec<u64>> {
        let log = fs::read_to_string(&self.log)?;
        let told = log.lines().filter_map(|line| {
            let (_, told) = line.split_once("slow turn: ")?;
            told.split_once(' ')?.0.parse().ok()
        });
        Ok(told.collect())
    }
}

impl Drop for Server {
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

fn server_path() -> String {
    std::env::var("CHATD_BENCH_SERVER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_chatd").to_owned())
}

/// A file in the directory in which cargo builds.
fn target_path(file: &str) -> io::Result<PathBuf> {
    let directory = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    fs::create_dir_all(&directory)?;
    Ok(directory.join(file))
}

fn end(child: &mut Child) {
    // An error here says that it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}
