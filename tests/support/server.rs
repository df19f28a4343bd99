//! The server as a process of its own, with its log.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::process::{kill_process, Pid, Signal};

use super::person::Person;
use super::DEADLINE;

/// A chatd under test. Dropped, it is killed; dropped by a failing test, it shows its log.
pub(crate) struct Server {
    child: Child,
    /// What it wrote to standard output.
    pub(crate) output: Lines,
    /// What it wrote to standard error.
    pub(crate) log: Lines,
}

impl Server {
    /// Starts a server on free ports of 127.0.0.1, one for people and one for programs, with settings `KEY=VALUE`,
    /// and waits until it accepts connections.
    ///
    /// Newcomers are shown no history and nobody is paused, unless the settings ask for it.
    #[track_caller]
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_by(&mut chatd(), settings)
    }

    /// The same with a log of all that there is, for tests of what it must not have.
    #[track_caller]
    pub(crate) fn start_traced(settings: &[&str]) -> Self {
        Self::start_by(chatd().env("RUST_LOG", "trace"), settings)
    }

    #[track_caller]
    fn start_by(command: &mut Command, settings: &[&str]) -> Self {
        command.args(["-l", "telnet://127.0.0.1:0", "-l", "wire://127.0.0.1:0"]);
        for setting in ["history-lines=0", "lines-per-second=0"]
            .iter()
            .chain(settings)
        {
            command.args(["-o", setting]);
        }
        let server = Self::spawn(command);
        server.output.wait_for("listening wire://");
        server
    }

    /// Starts `command`, which need not come to listen.
    #[track_caller]
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = Lines::collect(child.stdout.take().expect("it is piped"));
        let log = Lines::collect(child.stderr.take().expect("it is piped"));
        Self { child, output, log }
    }

    /// Where it listens for people.
    #[track_caller]
    pub(crate) fn telnet(&self) -> SocketAddr {
        self.address("telnet")
    }

    /// Where it listens for programs.
    #[track_caller]
    pub(crate) fn wire(&self) -> SocketAddr {
        self.address("wire")
    }

    /// Where it answers monitoring.
    #[track_caller]
    pub(crate) fn metrics(&self) -> SocketAddr {
        self.address("metrics")
    }

    /// Where it listens in this dialect, or what stands in its place.
    #[track_caller]
    pub(crate) fn address(&self, dialect: &str) -> SocketAddr {
        let prefix = format!("listening {dialect}://");
        let line = self.output.wait_for(&prefix);
        line[prefix.len()..].parse().expect("an address")
    }

    /// Connects a person, who has not read the greeting yet.
    #[track_caller]
    pub(crate) fn connect(&self) -> Person {
        Person::connect(self.telnet())
    }

    /// Connects a person, who has read the greeting and taken a name.
    #[track_caller]
    pub(crate) fn join(&self, name: &str) -> Person {
        let mut person = self.connect();
        person.skip_greeting();
        person.say(&format!("/name {name}"));
        person.skip_until(&format!("-- you are {name}"));
        person
    }

    /// Connects a program, which the server has taken in.
    #[track_caller]
    pub(crate) fn program(&self) -> Person {
        let mut program = Person::program(self.wire());
        program.expect_silence();
        program
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the server runs");
    }

    /// Lets it have descriptors with numbers below this one and no others.
    #[cfg(target_os = "linux")]
    pub(crate) fn limit_descriptors(&self, below: u64) {
        use rustix::process::{getrlimit, prlimit, Resource, Rlimit};

        let limit = Rlimit {
            current: Some(below),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        let limited = prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit);
        limited.expect("it may be lowered, and raised again");
    }

    /// Leaves it no descriptor for anything new: that would be the lowest number that is free.
    #[cfg(target_os = "linux")]
    pub(crate) fn leave_no_descriptor(&self) {
        let is_free = |number: &u64| {
            let entry = format!("/proc/{}/fd/{number}", self.pid());
            fs::symlink_metadata(entry).is_err()
        };
        let lowest = (0..1000).find(is_free);
        self.limit_descriptors(lowest.expect("it holds a few"));
    }

    /// What it says of itself when asked by SIGUSR1: every `key=value` of the report that is a number.
    #[track_caller]
    pub(crate) fn report(&self) -> BTreeMap<String, u64> {
        const LAST: &str = "report turns=";
        let before = self.log.matching(LAST).len();
        self.signal(Signal::USR1);
        self.log.wait_until("a report", |lines| {
            (lines.iter().filter(|line| line.contains(LAST)).count() > before).then_some(())
        });
        let reported = self.log.matching("report ");
        reported
            .iter()
            .flat_map(|line| line.split_whitespace())
            .filter_map(|word| word.split_once('='))
            .filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// Waits until it has exited and all it wrote is collected.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.output.wait_for_end();
        self.log.wait_for_end();
        self.child.wait().expect("it is our child")
    }

    /// Stops it by SIGTERM.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the server's log:\n{}", self.log.tail());
        }
    }
}

/// The command that runs the chatd of this build, with nothing of the environment that would change its log.
pub(crate) fn chatd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatd"));
    command.env_remove("RUST_LOG").env_remove("RUST_LOG_STYLE");
    command
}

/// The lines that a process has written, collected as they come.
pub(crate) struct Lines(Arc<(Mutex<Seen>, Condvar)>);

#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    pub(crate) fn collect(from: impl Read + Send + 'static) -> Self {
        let shared = Arc::new((Mutex::new(Seen::default()), Condvar::new()));
        let lines = Self(Arc::clone(&shared));
        thread::spawn(move || {
            let (seen, changed) = &*shared;
            let lock = || seen.lock().unwrap_or_else(PoisonError::into_inner);
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                lock().lines.push(line);
                changed.notify_all();
            }
            lock().ended = true;
            changed.notify_all();
        });
        lines
    }

    /// Waits for a line with `part` in it; gives the first one.
    #[track_caller]
    pub(crate) fn wait_for(&self, part: &str) -> String {
        self.wait_until(part, |lines| {
            lines.iter().find(|line| line.contains(part)).cloned()
        })
    }

    /// Waits for this many lines with `part` in them.
    #[track_caller]
    pub(crate) fn wait_for_count(&self, part: &str, count: usize) {
        self.wait_until(&format!("{count} times {part}"), |lines| {
            (lines.iter().filter(|line| line.contains(part)).count() >= count).then_some(())
        });
    }

    /// Waits until `look` finds something in the lines so far.
    #[track_caller]
    pub(crate) fn wait_until<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&[String]) -> Option<T>,
    ) -> T {
        self.wait(what, |seen| look(&seen.lines))
    }

    /// Waits until there are no more lines to come.
    #[track_caller]
    pub(crate) fn wait_for_end(&self) {
        self.wait("the end", |seen| seen.ended.then_some(()));
    }

    /// The lines so far with `part` in them.
    pub(crate) fn matching(&self, part: &str) -> Vec<String> {
        let mut lines = self.all();
        lines.retain(|line| line.contains(part));
        lines
    }

    /// The lines so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, mut look: impl FnMut(&Seen) -> Option<T>) -> T {
        let give_up_at = Instant::now() + DEADLINE;
        let mut seen = self.lock();
        loop {
            if let Some(found) = look(&seen) {
                return found;
            }
            let left = give_up_at.saturating_duration_since(Instant::now());
            if left.is_zero() || (seen.ended && look(&seen).is_none()) {
                drop(seen);
                panic!("no line came with: {what}\nbut:\n{}", self.tail());
            }
            seen = self.0 .1.wait_timeout(seen, left).expect("no poison").0;
        }
    }

    /// The last lines, for a failure's message.
    fn tail(&self) -> String {
        let lines = self.all();
        lines[lines.len().saturating_sub(100)..].join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0 .0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
