//! What a server in this process logs of its sessions: opens, closes, and its report.
//!
//! A [`Recorder`] stands in front of the logger of this process: it reads every line of the server, and passes it on.
//! Only numbers are kept, those of one round, and the only sessions there are those of the load.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record, SetLoggerError};

/// The lines that are read have at least this level.
const LEVEL: LevelFilter = LevelFilter::Info;
/// The number with which the last line of a report begins.
const LAST_OF_REPORT: &str = "turns";

/// What was logged in one round.
#[derive(Debug, Default)]
pub(crate) struct ServerLog {
    /// The numbers of the sessions from each address, in the order of their opens.
    opens: HashMap<SocketAddr, Vec<u64>>,
    /// The reasons for which a session was closed: one, if all is well.
    closes: HashMap<u64, Vec<String>>,
    /// `key=value` of the last report.
    report: HashMap<String, u64>,
    /// How many reports have come.
    reports: u64,
}

/// The log of the server, which is written in its thread and looked at in ours. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedLog(Arc<(Mutex<ServerLog>, Condvar)>);

/// A logger that notes every line in a log and passes it on.
struct Recorder<L> {
    log: SharedLog,
    next: L,
}

impl ServerLog {
    /// Notes the text of a line.
    pub(crate) fn note(&mut self, text: &str) {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let pairs = || rest.split(' ').filter_map(|word| word.split_once('='));
        let value_of = |key: &str| pairs().find(|(other, _)| *other == key).map(|pair| pair.1);
        let id = || value_of("id")?.parse::<u64>().ok();
        match verb {
            "open" => {
                let from = value_of("from").and_then(|from| from.parse().ok());
                if let (Some(id), Some(from)) = (id(), from) {
                    self.opens.entry(from).or_default().push(id);
                }
            }
            "close" => {
                if let (Some(id), Some(reason)) = (id(), value_of("reason")) {
                    self.closes.entry(id).or_default().push(reason.to_owned());
                }
            }
            "report" => {
                let numbers =
                    pairs().filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?)));
                self.report.extend(numbers);
                self.reports += u64::from(value_of(LAST_OF_REPORT).is_some());
            }
            _ => {}
        }
    }

    /// Forgets the sessions, for the next round.
    pub(crate) fn forget_sessions(&mut self) {
        self.opens.clear();
        self.closes.clear();
    }

    /// A number of the last report.
    pub(crate) fn reported(&self, key: &str) -> Option<u64> {
        self.report.get(key).copied()
    }

    /// The sessions that were opened from an address, in order, each with the reasons for which it was closed.
    pub(crate) fn sessions_from(
        &self,
        address: SocketAddr,
    ) -> impl Iterator<Item = (u64, &[String])> {
        let opened = self.opens.get(&address).into_iter().flatten();
        opened.map(|id| (*id, self.closes.get(id).map_or(&[][..], Vec::as_slice)))
    }

    /// How many sessions were opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opens.values().map(|ids| ids.len() as u64).sum()
    }

    /// How often sessions were closed for each reason.
    pub(crate) fn closed(&self) -> BTreeMap<String, u64> {
        let mut reasons = BTreeMap::new();
        for reason in self.closes.values().flatten() {
            *reasons.entry(reason.clone()).or_default() += 1;
        }
        reasons
    }
}

impl SharedLog {
    /// Makes the logger of this process one that notes the lines here and passes them on to `next`, which lets
    /// `next_level` through.
    ///
    /// # Errors
    /// If the process has a logger already.
    pub(crate) fn install(
        &self,
        next: impl Log + 'static,
        next_level: LevelFilter,
    ) -> Result<(), SetLoggerError> {
        log::set_boxed_logger(Box::new(self.recorder(next)))?;
        log::set_max_level(LEVEL.max(next_level));
        Ok(())
    }

    fn recorder<L>(&self, next: L) -> Recorder<L> {
        let log = self.clone();
        Recorder { log, next }
    }

    /// What was logged so far. The server waits with its next line while it is looked at.
    pub(crate) fn read(&self) -> MutexGuard<'_, ServerLog> {
        self.0 .0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a report by `ask` and waits for it; gives whether it came within `timeout`.
    pub(crate) fn wait_for_report(&self, timeout: Duration, ask: impl FnOnce() -> bool) -> bool {
        let before = self.read().reports;
        if !ask() {
            return false;
        }
        let unchanged = |log: &mut ServerLog| log.reports == before;
        let waited = self
            .0
             .1
            .wait_timeout_while(self.read(), timeout, unchanged);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl<L: Log> Log for Recorder<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= LEVEL || self.next.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() <= LEVEL {
            self.log.read().note(&record.args().to_string());
            self.log.0 .1.notify_all();
        }
        self.next.log(record);
    }

    fn flush(&self) {
        self.next.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use log::Level;

    use super::*;

    #[test]
    fn opens_closes_and_reports_are_read() {
        let mut log = ServerLog::default();
        for line in [
            "open id=17 dialect=wire from=127.0.0.1:51234 sessions=12",
            "open id=18 dialect=wire from=127.0.0.1:51234 sessions=12",
            "close id=17 name=ann reason=quit seconds=12.3 lines_in=4 bytes_out=830 sessions=11",
            "report sessions=1 open=1 names=1 queued_bytes=77",
            "something else id=9",
        ] {
            log.note(line);
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 51234));
        let sessions: Vec<_> = log.sessions_from(address).collect();
        assert_eq!(sessions, [(17, &["quit".to_owned()][..]), (18, &[][..])]);
        assert_eq!(log.opened(), 2);
        assert_eq!(
            log.closed().into_iter().collect::<Vec<_>>(),
            [("quit".to_owned(), 1)]
        );
        assert_eq!(log.reported("queued_bytes"), Some(77));
        assert_eq!(log.reported("opens"), None);
        log.forget_sessions();
        assert_eq!(log.opened(), 0);
    }

    /// Sends on what it is given.
    struct Next(mpsc::Sender<String>);

    impl Log for Next {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.level() <= Level::Warn
        }

        fn log(&self, record: &Record<'_>) {
            self.0.send(record.args().to_string()).expect("a receiver");
        }

        fn flush(&self) {}
    }

    fn say(logger: &dyn Log, level: Level, text: &str) {
        let mut record = Record::builder();
        logger.log(&record.level(level).args(format_args!("{text}")).build());
    }

    #[test]
    fn every_line_is_passed_on_and_those_at_the_level_are_read() {
        let (sender, passed_on) = mpsc::channel();
        let log = SharedLog::default();
        let recorder = log.recorder(Next(sender));
        say(&recorder, Level::Info, "open id=1 from=127.0.0.1:1");
        say(&recorder, Level::Debug, "open id=2 from=127.0.0.1:1");
        assert_eq!(log.read().opened(), 1);
        assert_eq!(
            passed_on.try_iter().collect::<Vec<_>>(),
            ["open id=1 from=127.0.0.1:1", "open id=2 from=127.0.0.1:1"]
        );
        let enabled = [Level::Warn, Level::Info, Level::Debug]
            .map(|level| recorder.enabled(&Metadata::builder().level(level).build()));
        assert_eq!(enabled, [true, true, false]);
    }

    #[test]
    fn a_wait_ends_with_the_last_line_of_a_report() {
        // Long enough for any machine.
        const DEADLINE: Duration = Duration::from_secs(30);
        let (sender, _passed_on) = mpsc::channel();
        let log = SharedLog::default();
        let recorder = log.recorder(Next(sender));
        say(&recorder, Level::Info, "report turns=1");
        let (ask, questions) = mpsc::channel();
        let server = thread::spawn(move || {
            questions.recv().expect("somebody asks");
            say(&recorder, Level::Info, "report sessions=3 open=3");
            say(&recorder, Level::Info, "report turns=9 longest_turn_us=7");
        });
        assert!(log.wait_for_report(DEADLINE, || ask.send(()).is_ok()));
        server.join().expect("it does not panic");
        assert_eq!(log.read().reported("sessions"), Some(3));
        assert!(!log.wait_for_report(Duration::ZERO, || true));
        assert!(!log.wait_for_report(DEADLINE, || false));
    }
}
