//! The server under load, and what can be seen of it: one of our own in this process, or another process from outside.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chatd::client::Target;
use chatd::journal::Journal;
use chatd::server::{Dialect, Process, Server, ShutdownHandle};
use chatd::settings::{Rate, Settings};
use log::LevelFilter;

use crate::clock;
use crate::cores;
use crate::heap;
use crate::options::Options;
use crate::server_log::ServerLog;

/// Lines of one round that are kept at most: an open and a close of each client, and of those who come later.
const JOURNAL_LINES_MAX: usize = 200_000;
const JOURNAL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The server has so long to answer, and to come to rest after the last client has left.
const ANSWER_MAX: Duration = Duration::from_secs(5);
const REST_MAX: Duration = Duration::from_secs(5);

/// The states of `/proc/net/tcp` (the kernel's `tcp_states.h`).
const CLOSE_WAIT: &str = "08";

/// The server and how it is watched.
#[derive(Debug)]
pub(crate) struct Subject {
    /// Where it listens.
    pub(crate) target: Target,
    own: Option<OwnServer>,
    /// The process to look at; `None`: there is nothing to see.
    process: Option<String>,
    /// What its log has told in this round.
    pub(crate) log: ServerLog,
}

/// A server in a thread of this process.
#[derive(Debug)]
struct OwnServer {
    shutdown_handle: ShutdownHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
    /// `/proc/PID/task/TID` of the thread.
    task: PathBuf,
    journal: Journal,
}

/// What is held at one moment. `None` could not be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    pub(crate) descriptors: Option<u64>,
    pub(crate) threads: Option<u64>,
    pub(crate) sessions: Option<u64>,
    pub(crate) names: Option<u64>,
    pub(crate) queued_bytes: Option<u64>,
    pub(crate) close_wait: Option<u64>,
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) heap_bytes: Option<u64>,
}

impl Subject {
    /// Starts a server, or finds the one that is named.
    ///
    /// # Errors
    /// One line that says why there is none.
    pub(crate) fn new(options: &Options, target: Option<Target>) -> io::Result<Self> {
        let Some(target) = target else {
            let (own, address) = OwnServer::start(options)?;
            return Ok(Self {
                target: Target::new(Dialect::Wire, address),
                own: Some(own),
                process: Some("self".to_owned()),
                log: ServerLog::default(),
            });
        };
        let process = options.pid.map(|pid| pid.to_string());
        if let Some(pid) = &process {
            if Process::of(pid).descriptors.is_empty() {
                return Err(io::Error::other(format!(
                    "cannot look at the descriptors of process {pid}"
                )));
            }
        }
        Ok(Self {
            target,
            own: None,
            process,
            log: ServerLog::default(),
        })
    }

    /// Whether the server runs in this process.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The server in words.
    pub(crate) fn describe(&self) -> String {
        let addresses = self.target.addresses().iter();
        let addresses: Vec<String> = addresses
            .map(|address| format!("{}://{address}", self.target.dialect()))
            .collect();
        let addresses = addresses.join(" ");
        match (&self.own, &self.process) {
            (Some(_), _) => format!("a server of its own on {addresses}"),
            (None, Some(pid)) => format!("process {pid} on {addresses}"),
            (None, None) => addresses,
        }
    }

    /// What cannot be watched, if anything; a sentence.
    pub(crate) fn blind(&self) -> Option<&'static str> {
        match (&self.own, &self.process) {
            (Some(_), _) => None,
            (None, Some(_)) => Some(
                "Its log cannot be seen from here: sessions, names, queued bytes and its opens and closes are not \
                 judged.",
            ),
            (None, None) => Some(
                "Only the clients, and sockets in CLOSE_WAIT, are judged: its log cannot be seen from here, and without \
                 --pid nor can its process.",
            ),
        }
    }

    /// What is held now.
    pub(crate) fn holdings(&mut self) -> Holdings {
        let process = self.process.as_deref().map(Process::of);
        let mut holdings = process.map_or_else(Holdings::default, |of| Holdings::of(&of));
        holdings.close_wait = self.close_wait();
        if let Some(own) = &self.own {
            if own.ask_for_report(&mut self.log) {
                holdings.sessions = self.log.reported("sessions");
                holdings.names = self.log.reported("names");
                holdings.queued_bytes = self.log.reported("queued_bytes");
            }
            holdings.heap_bytes = heap::live_bytes();
        }
        holdings
    }

    /// Waits until as much is held as before, but for memory, or until it should be: gives what is held then.
    pub(crate) fn wait_for_rest(&mut self, before: &Holdings) -> Holdings {
        let give_up_at = clock() + REST_MAX;
        loop {
            let now = self.holdings();
            let at_rest = now.counts() == before.counts();
            if at_rest || clock() >= give_up_at {
                return now;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The CPU time of the server so far.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        if let Some(own) = &self.own {
            return ran(&own.task);
        }
        let process = self.process.as_ref()?;
        let tasks = fs::read_dir(format!("/proc/{process}/task")).ok()?;
        tasks.map(|task| ran(&task.ok()?.path())).sum()
    }

    /// Ends a server of our own; an error says that it ended badly.
    ///
    /// # Errors
    /// If the server's loop failed or panicked.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        match &mut self.own {
            Some(own) => own.stop(),
            None => Ok(()),
        }
    }

    /// Sockets between the server and its clients that one side has closed and the other has forgotten.
    fn close_wait(&self) -> Option<u64> {
        let ports: Vec<String> = self
            .target
            .addresses()
            .iter()
            .map(|address| format!(":{:04X}", address.port()))
            .collect();
        let mut found = None;
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            let Ok(table) = fs::read_to_string(table) else {
                continue;
            };
            let waiting = table.lines().filter(|line| {
                let mut fields = line.split_whitespace().skip(1);
                let (local, remote, state) = (fields.next(), fields.next(), fields.next());
                let ours = [local, remote]
                    .into_iter()
                    .flatten()
                    .any(|end| ports.iter().any(|port| end.ends_with(port)));
                ours && state == Some(CLOSE_WAIT)
            });
            *found.get_or_insert(0) += waiting.count() as u64;
        }
        found
    }
}

impl Holdings {
    /// What a process holds. One without a thread is none: the system tells nothing of it.
    fn of(process: &Process) -> Self {
        if process.threads == 0 {
            return Self::default();
        }
        Self {
            descriptors: Some(process.open_descriptors() as u64),
            threads: Some(process.threads as u64),
            resident_bytes: Some(process.resident_bytes),
            ..Self::default()
        }
    }

    /// What nobody but the server can tell.
    pub(crate) fn reported(&self) -> [Option<u64>; 3] {
        [self.sessions, self.names, self.queued_bytes]
    }

    /// What must be the same at rest: everything but memory, which allocators give back as they like.
    pub(crate) fn counts(&self) -> [(&'static str, Option<u64>); 6] {
        [
            ("descriptors", self.descriptors),
            ("threads", self.threads),
            ("sessions", self.sessions),
            ("names", self.names),
            ("queued bytes", self.queued_bytes),
            ("CLOSE_WAIT", self.close_wait),
        ]
    }

    /// Memory, in bytes.
    pub(crate) fn memory(&self) -> [(&'static str, Option<u64>); 2] {
        [("resident", self.resident_bytes), ("heap", self.heap_bytes)]
    }
}

impl OwnServer {
    fn start(options: &Options) -> io::Result<(Self, SocketAddr)> {
        let journal = Journal::new(LevelFilter::Info, JOURNAL_LINES_MAX, JOURNAL_BYTES_MAX);
        let level = env_logger::Env::default().default_filter_or("warn");
        let logger = env_logger::Builder::from_env(level).build();
        let next_level = logger.filter();
        journal
            .install(logger, next_level)
            .map_err(io::Error::other)?;
        let mut server = Server::bind(&settings(options)?)?;
        let (_, address) = *server
            .addresses()
            .first()
            .ok_or_else(|| io::Error::other("the server listens nowhere"))?;
        let shutdown_handle = server.shutdown_handle();
        let cores = cores::two();
        let (sender, task) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("chatd".to_owned())
            .spawn(move || {
                if let Some([core, _]) = cores {
                    cores::stay_on(core);
                }
                // Where there is no such link, no CPU time is told.
                let task = fs::read_link("/proc/thread-self").unwrap_or_default();
                let _ = sender.send(PathBuf::from("/proc").join(task));
                server.run()
            })?;
        if let Some([_, core]) = cores {
            cores::stay_on(core);
        }
        let own = Self {
            shutdown_handle,
            thread: Some(thread),
            task: task.recv().map_err(io::Error::other)?,
            journal,
        };
        Ok((own, address))
    }

    /// Brings the log up to date, ending in a report of now; gives whether that came.
    fn ask_for_report(&self, log: &mut ServerLog) -> bool {
        const LAST: &str = " report turns=";
        let mut collect = || {
            for line in self.journal.take_lines() {
                log.note(&line);
            }
        };
        collect();
        let asked = self.shutdown_handle.report().is_ok();
        let answered = asked
            && self.journal.wait_until(ANSWER_MAX, |lines| {
                lines.iter().any(|line| line.contains(LAST))
            });
        collect();
        answered
    }

    fn stop(&mut self) -> io::Result<()> {
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        self.shutdown_handle.stop()?;
        let outcome = thread.join();
        outcome.unwrap_or_else(|_| Err(io::Error::other("the server has panicked")))
    }
}

const MIB: usize = 1024 * 1024;

/// The settings of a server of our own: its own defaults, but nothing is said twice to newcomers, and nobody is paused
/// who is to talk faster than people do.
fn settings(options: &Options) -> io::Result<Settings> {
    let mut settings = Settings {
        listen: vec!["wire://127.0.0.1:0".parse().map_err(io::Error::other)?],
        ..Settings::default()
    };
    let limits = &mut settings.limits;
    limits.history_lines = 0;
    let rate = f64::from(limits.line_rate.per_second);
    if options.interval_min.as_secs_f64() * rate < 2.0 {
        limits.line_rate = Rate::UNLIMITED;
        // Then it is the clients, all in one thread, who may fall behind; that is not what is to be tested.
        if options.stall == 0 {
            limits.queue.bytes_max = 16 * MIB;
            limits.queue.bytes_soft = 16 * MIB;
            limits.memory_max = 2048 * MIB;
        }
    }
    Ok(settings)
}

/// How long a thread has run (the kernel's sched-stats.rst).
fn ran(task: &std::path::Path) -> Option<Duration> {
    let text = fs::read_to_string(task.join("schedstat")).ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_process_that_cannot_be_seen_nothing_is_told() {
        assert_eq!(Holdings::of(&Process::default()), Holdings::default());
        let process = Process {
            threads: 1,
            ..Process::default()
        };
        assert_eq!(Holdings::of(&process).descriptors, Some(0));
    }
}
