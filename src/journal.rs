//! The log lines of this process kept in memory, beside those that go to another logger.
//!
//! A [`Journal`] is installed in front of a logger: every record is passed on, and its line is kept. It serves tests
//! and reports that want to know what was logged; where none is installed, none of this runs.
//!
//! Invariants: at most `lines_max` lines of together at most `bytes_max` bytes are kept, the last ones; one record is
//! one line.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record, SetLoggerError};

/// The last lines of the log. Clones are the same journal.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    level: LevelFilter,
    lines_max: usize,
    bytes_max: usize,
    kept: Mutex<Kept>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
}

/// A logger that writes into a [`Journal`] and passes on to another logger.
struct Recorder<L> {
    journal: Journal,
    next: L,
}

impl Journal {
    /// An empty journal that keeps the last `lines_max` lines, `bytes_max` bytes at most, of records at `level` or
    /// above. A line alone longer than `bytes_max` is cut.
    #[must_use]
    pub fn new(level: LevelFilter, lines_max: usize, bytes_max: usize) -> Self {
        Self(Arc::new(Shared {
            level,
            lines_max,
            bytes_max,
            kept: Mutex::default(),
            grown: Condvar::new(),
        }))
    }

    fn logger(&self, next: impl Log + 'static) -> Box<dyn Log> {
        Box::new(Recorder {
            journal: self.clone(),
            next,
        })
    }

    /// Makes the logger of this process one that writes into this journal and passes every record on to `next`, which
    /// has its own say about what it lets through: `next_level` at most (`env_logger::Logger::filter`).
    ///
    /// # Errors
    /// If the process has a logger already.
    pub fn install(
        &self,
        next: impl Log + 'static,
        next_level: LevelFilter,
    ) -> Result<(), SetLoggerError> {
        log::set_boxed_logger(self.logger(next))?;
        log::set_max_level(self.0.level.max(next_level));
        Ok(())
    }

    /// The lines that are kept, oldest first: `LEVEL target: text`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.kept().lines.iter().cloned().collect()
    }

    /// Takes the lines away, oldest first.
    #[must_use]
    pub fn take_lines(&self) -> Vec<String> {
        let mut kept = self.kept();
        kept.bytes = 0;
        kept.lines.drain(..).collect()
    }

    /// Waits until `condition` holds of the lines that are kept, at most for `timeout`; gives whether it did. It is
    /// asked at once, and again after each line; it must not log.
    #[must_use]
    pub fn wait_until(
        &self,
        timeout: Duration,
        mut condition: impl FnMut(&[String]) -> bool,
    ) -> bool {
        let mut holds = false;
        let wait = self
            .0
            .grown
            .wait_timeout_while(self.kept(), timeout, |kept| {
                holds = condition(kept.lines.make_contiguous());
                !holds
            });
        drop(wait.unwrap_or_else(PoisonError::into_inner));
        holds
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked while it looked at the lines has not harmed them.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, record: &Record<'_>) {
        let mut line = String::new();
        // A `String` takes everything; what a `Display` of the record's own fails to write is missing.
        let _ = write!(
            line,
            "{} {}: {}",
            record.level(),
            record.target(),
            record.args()
        );
        if line.contains(['\n', '\r']) {
            line = line.replace('\n', "\\n").replace('\r', "\\r");
        }
        let mut length = line.len().min(self.0.bytes_max);
        while !line.is_char_boundary(length) {
            length -= 1;
        }
        line.truncate(length);
        self.kept().push(line, self.0.lines_max, self.0.bytes_max);
        self.0.grown.notify_all();
    }
}

impl Kept {
    fn push(&mut self, line: String, lines_max: usize, bytes_max: usize) {
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.lines.len() > lines_max || self.bytes > bytes_max {
            let Some(oldest) = self.lines.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
        }
    }
}

impl<L: Log> Log for Recorder<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= self.journal.0.level || self.next.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if record.level() <= self.journal.0.level {
            self.journal.keep(record);
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

    /// Long enough for any machine.
    const DEADLINE: Duration = Duration::from_secs(30);

    /// Sends on what it is given.
    struct Next(Mutex<mpsc::Sender<String>>);

    impl Log for Next {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.level() <= Level::Warn
        }

        fn log(&self, record: &Record<'_>) {
            self.0
                .lock()
                .unwrap()
                .send(record.args().to_string())
                .unwrap();
        }

        fn flush(&self) {}
    }

    fn next() -> (Next, mpsc::Receiver<String>) {
        let (sender, receiver) = mpsc::channel();
        (Next(Mutex::new(sender)), receiver)
    }

    fn log(logger: &dyn Log, level: Level, text: &str) {
        logger.log(
            &Record::builder()
                .level(level)
                .target("chatd")
                .args(format_args!("{text}"))
                .build(),
        );
    }

    #[test]
    fn every_record_is_passed_on_and_those_at_the_level_are_kept() {
        let (next, passed_on) = next();
        let journal = Journal::new(LevelFilter::Info, 10, 1000);
        let logger = journal.logger(next);
        log(&*logger, Level::Info, "open id=1");
        log(&*logger, Level::Debug, "detail");
        log(&*logger, Level::Error, "two\r\nlines");
        assert_eq!(
            journal.lines(),
            ["INFO chatd: open id=1", "ERROR chatd: two\\r\\nlines"]
        );
        assert_eq!(
            passed_on.try_iter().collect::<Vec<_>>(),
            ["open id=1", "detail", "two\r\nlines"]
        );
    }

    #[test]
    fn what_either_wants_is_enabled() {
        for (level, wanted) in [
            (LevelFilter::Off, [true, false]),
            (LevelFilter::Info, [true, true]),
        ] {
            let logger = Journal::new(level, 10, 1000).logger(next().0);
            let enabled = [Level::Warn, Level::Info]
                .map(|level| logger.enabled(&Metadata::builder().level(level).build()));
            assert_eq!(enabled, wanted, "{level}");
        }
    }

    #[test]
    fn the_last_lines_are_kept() {
        let (next, _passed_on) = next();
        let journal = Journal::new(LevelFilter::Info, 3, 1000);
        let logger = journal.logger(next);
        for number in 0..10 {
            log(&*logger, Level::Info, &number.to_string());
        }
        assert_eq!(
            journal.lines(),
            ["INFO chatd: 7", "INFO chatd: 8", "INFO chatd: 9"]
        );
    }

    #[test]
    fn lines_that_were_taken_leave_their_room_to_others() {
        let (next, _passed_on) = next();
        let journal = Journal::new(LevelFilter::Info, 2, 30);
        let logger = journal.logger(next);
        for text in ["a", "b"] {
            log(&*logger, Level::Info, text);
        }
        assert_eq!(journal.take_lines(), ["INFO chatd: a", "INFO chatd: b"]);
        for text in ["c", "d"] {
            log(&*logger, Level::Info, text);
        }
        assert_eq!(journal.take_lines(), ["INFO chatd: c", "INFO chatd: d"]);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (next, _passed_on) = next();
        let journal = Journal::new(LevelFilter::Info, 1000, 30);
        let logger = journal.logger(next);
        log(&*logger, Level::Info, "a");
        log(&*logger, Level::Info, "b");
        assert_eq!(journal.lines().len(), 2);
        log(&*logger, Level::Info, &"é".repeat(100));
        assert_eq!(journal.lines(), [format!("INFO chatd: {}", "é".repeat(9))]);
        assert_eq!(journal.lines()[0].len(), 30);
        log(&*logger, Level::Info, "c");
        assert_eq!(journal.lines(), ["INFO chatd: c"]);
    }

    #[test]
    fn a_wait_ends_with_the_line_that_it_is_for() {
        let (next, _passed_on) = next();
        let journal = Journal::new(LevelFilter::Info, 10, 1000);
        let logger = journal.logger(next);
        let writer = thread::spawn(move || {
            for number in 0..10 {
                log(&*logger, Level::Info, &number.to_string());
            }
        });
        let ends_with_9 = |lines: &[String]| lines.last().is_some_and(|line| line.ends_with('9'));
        assert!(journal.wait_until(DEADLINE, ends_with_9));
        writer.join().unwrap();
        assert!(journal.wait_until(Duration::ZERO, ends_with_9));
        assert!(!journal.wait_until(Duration::ZERO, <[String]>::is_empty));
    }
}
