//! The servers under load, and what can be seen of them: one of our own in this process, or other processes from outside.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chatd::client::Target;
use chatd::server::{Process, Server, ShutdownHandle};
use chatd::settings::{Rate, Settings};

use crate::clock;
use crate::heap;
use crate::load::cores;
use crate::load::process::CoreTime;
use crate::options::Options;
use crate::server_log::SharedLog;

/// A server that has not reported by then does not.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The server must be at rest this long after the last client has left.
const REST_MAX: Duration = Duration::from_secs(5);

/// The states of `/proc/net/tcp` (the kernel's `tcp_states.h`).
const CLOSE_WAIT: &str = "08";

/// The server, or those that share a chat, and how they are watched.
#[derive(Debug)]
pub(crate) struct Subject {
    /// Where they listen.
    pub(crate) targets: Vec<Target>,
    own: Option<OwnServer>,
    /// The processes to look at; none: there is nothing to see.
    pids: Vec<u32>,
}

/// A server in a thread of this process.
#[derive(Debug)]
struct OwnServer {
    shutdown_handle: ShutdownHandle,
    thread: JoinHandle<io::Result<()>>,
    /// `/proc/PID/task/TID` of the thread.
    task: PathBuf,
    log: SharedLog,
}

/// What is held at one moment, by all processes together. `None` could not be seen.
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
    /// Starts a server, or finds those that are named.
    ///
    /// # Errors
    /// One line that says why there is none.
    pub(crate) fn new(options: &Options, targets: Vec<Target>) -> io::Result<Self> {
        if targets.is_empty() {
            return Self::start(options);
        }
        for pid in &options.pids {
            if Process::of(&pid.to_string()).descriptors.is_empty() {
                return Err(io::Error::other(format!(
                    "cannot look at the descriptors of process {pid}"
                )));
            }
        }
        Ok(Self {
            targets,
            own: None,
            pids: options.pids.clone(),
        })
    }

    /// Starts a server in this process.
    fn start(options: &Options) -> io::Result<Self> {
        let log = SharedLog::default();
        let level = env_logger::Env::default().default_filter_or("warn");
        let logger = env_logger::Builder::from_env(level).build();
        let next_level = logger.filter();
        log.install(logger, next_level).map_err(io::Error::other)?;
        let server = Server::bind(&settings(options)?)?;
        let (_, address) = server
            .addresses()
            .first()
            .ok_or_else(|| io::Error::other("the server listens nowhere"))?;
        let targets = vec![Target::resolve(&format!("wire://{address}"))?];
        let shutdown_handle = server.shutdown_handle();
        let core = cores::split();
        let (sender, task) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("chatd".to_owned())
            .spawn(move || serve(server, core, &sender))?;
        let own = OwnServer {
            shutdown_handle,
            thread,
            task: task.recv().map_err(io::Error::other)?,
            log,
        };
        Ok(Self {
            targets,
            own: Some(own),
            pids: vec![process::id()],
        })
    }

    /// What its log has told in this round; `None` if that cannot be seen.
    pub(crate) fn log(&self) -> Option<&SharedLog> {
        self.own.as_ref().map(|own| &own.log)
    }

    /// The servers in words.
    pub(crate) fn describe(&self) -> String {
        let of = |target: &Target| {
            let dialect = target.dialect();
            let addresses = target.addresses().iter();
            let addresses = addresses.map(|address| format!("{dialect}://{address}"));
            addresses.collect::<Vec<_>>().join(" ")
        };
        let addresses: Vec<String> = self.targets.iter().map(of).collect();
        let addresses = addresses.join(" ");
        let pids: Vec<String> = self.pids.iter().map(u32::to_string).collect();
        match (&self.own, &pids[..]) {
            (Some(_), _) => format!("a server of its own on {addresses}"),
            (None, []) => addresses,
            (None, [pid]) => format!("process {pid} on {addresses}"),
            (None, pids) => format!("processes {} on {addresses}", pids.join(" ")),
        }
    }

    /// How many processes are watched, or one.
    pub(crate) fn processes(&self) -> usize {
        self.pids.len().max(1)
    }

    /// What cannot be watched, if anything; a sentence.
    pub(crate) fn blind(&self) -> Option<&'static str> {
        if self.own.is_some() {
            return None;
        }
        Some(match (self.pids.len(), self.targets.len()) {
            (0, _) => {
                "Only the clients, and sockets in CLOSE_WAIT, are judged: no log can be seen from here, and without \
                 --pid no process."
            }
            (pids, targets) if pids < targets => {
                "No log can be seen from here: sessions, names, queued bytes and opens and closes there are not judged. \
                 Nor are processes without a --pid of their own."
            }
            _ => {
                "No log can be seen from here: sessions, names, queued bytes and opens and closes there are not judged."
            }
        })
    }

    /// What is held now.
    pub(crate) fn holdings(&self) -> Holdings {
        let processes = self.pids.iter().map(|pid| Process::of(&pid.to_string()));
        let each = processes.map(|process| Holdings::of(&process));
        let mut holdings = each.reduce(|all, one| all.with(&one)).unwrap_or_default();
        holdings.close_wait = self.close_wait();
        if let Some(own) = &self.own {
            let ask = || own.shutdown_handle.report().is_ok();
            if own.log.wait_for_report(ANSWER_MAX, ask) {
                let log = own.log.read();
                holdings.sessions = log.reported("sessions");
                holdings.names = log.reported("names");
                holdings.queued_bytes = log.reported("queued_bytes");
            }
            holdings.heap_bytes = heap::live_bytes();
        }
        holdings
    }

    /// Waits until as much is held as before, but for memory, or until it should be: gives what is held then.
    pub(crate) fn wait_for_rest(&self, before: &Holdings) -> Holdings {
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

    /// The CPU time of each server that is watched so far.
    pub(crate) fn cpu(&self) -> Option<Vec<Duration>> {
        let times: io::Result<Vec<_>> = match &self.own {
            Some(own) => CoreTime::of_thread(&own.task).map(|time| vec![time]),
            None if self.pids.is_empty() => return None,
            None => {
                let pids = self.pids.iter();
                pids.map(|pid| CoreTime::of_process(*pid)).collect()
            }
        };
        let times = times.ok()?;
        Some(times.into_iter().map(|time| time.ran).collect())
    }

    /// Ends a server of our own.
    ///
    /// # Errors
    /// If the server's loop failed or panicked.
    pub(crate) fn stop(self) -> io::Result<()> {
        let Some(own) = self.own else {
            return Ok(());
        };
        own.shutdown_handle.stop()?;
        let outcome = own.thread.join();
        outcome.unwrap_or_else(|_| Err(io::Error::other("the server has panicked")))
    }

    /// Sockets between the servers and their clients that one side has closed and the other has forgotten.
    fn close_wait(&self) -> Option<u64> {
        let addresses = self.targets.iter().flat_map(Target::addresses);
        let ports: Vec<String> = addresses
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

    /// What these and others hold together.
    fn with(&self, other: &Self) -> Self {
        let sum = |one: Option<u64>, other: Option<u64>| Some(one? + other?);
        Self {
            descriptors: sum(self.descriptors, other.descriptors),
            threads: sum(self.threads, other.threads),
            resident_bytes: sum(self.resident_bytes, other.resident_bytes),
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

/// Runs the server on its core, after telling which thread it has.
fn serve(mut server: Server, core: Option<usize>, sender: &Sender<PathBuf>) -> io::Result<()> {
    if let Some(core) = core {
        cores::stay_on(core)?;
    }
    // Where there is no such link, no CPU time is told.
    let task = fs::read_link("/proc/thread-self").unwrap_or_default();
    // The receiver waits for it.
    let _ = sender.send(PathBuf::from("/proc").join(task));
    server.run()
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
    limits.rooms_max = limits.rooms_max.max(options.rooms);
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
        let both = Holdings::of(&process).with(&Holdings::of(&process));
        assert_eq!((both.descriptors, both.threads), (Some(0), Some(2)));
        // One that has died is not taken for one that holds nothing.
        let one = Holdings::of(&process).with(&Holdings::default());
        assert_eq!(one, Holdings::default());
    }
}
