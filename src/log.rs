//! The log on standard error, which can neither stop nor flood the server.
//!
//! If a write waited for the reader of the log, a reader that stalls would stop every session; and many lines in a short
//! time would bury what matters. So lines wait in a buffer of 192 KiB, are written as the system takes them without
//! waiting, and at most 200 in any second: five hundred users who come at once are in the log, every one of them, within
//! some seconds. Lines that find no room are counted, and the count is logged behind those that found some. A report
//! that was asked for goes before lines that wait for their time; so do lines about operators, rules and abuse, of which
//! none is held back, however many there are: they are lost only when standard error takes nothing and 192 KiB wait for
//! it already.
//!
//! Where standard error is the journal, a line begins with its level as that reads it, and has no time of its own.
//!
//! What passes is decided by `RUST_LOG`, as `env_logger` reads it, and by the level that an operator sets meanwhile.

mod line;
mod watch;

use std::collections::VecDeque;
use std::env;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use log::{warn, Level, LevelFilter, Log, Metadata, Record, SetLoggerError};
use rustix::event::{poll, PollFd, PollFlags, Timespec};

use crate::fields;
use crate::rate::Window;
use crate::report;

use line::line;

pub(crate) use watch::Watch;

/// Bytes that may wait to be written: the lines of five hundred users who come, take a name and go at once.
const WAITING_BYTES_MAX: usize = 192 * 1024;

/// At most 200 lines are written in any second.
const SECOND_LINES_MAX: usize = 200;

/// What a pipe that is ready for writing takes without waiting (`PIPE_BUF` on Linux).
const PIPE_WRITE_BYTES_MAX: usize = 4096;
/// A terminal that is ready takes less.
const TERMINAL_WRITE_BYTES_MAX: usize = 256;

/// At the end of the process the log waits as long as its reader goes on to take some of it …
const LAST_READ_WITHIN: Duration = Duration::from_millis(100);
/// … and no longer than this.
const LAST_READS_MAX: Duration = Duration::from_secs(1);

/// What passes where `RUST_LOG` does not say.
const DEFAULT_LEVEL: &str = "info";

/// The name that the targets of all our records begin with.
const CRATE: &str = env!("CARGO_CRATE_NAME");

/// What is not held to the rate: a report, what operators do, rules and their end, and abuse, of which others read the
/// log to act on it.
const UNLIMITED_TARGETS: [&str; 2] = [report::LOG_TARGET, fields::LOG_TARGET];

/// The logger of the process, so that its level can be changed.
static INSTALLED: OnceLock<&StderrLog> = OnceLock::new();

/// Some of the log waits to be written.
static IS_BEHIND: AtomicBool = AtomicBool::new(false);

/// How many lines were lost, since there were too many …
static LOST_RATE: AtomicU64 = AtomicU64::new(0);
/// … and since standard error took none.
static LOST_BLOCKED: AtomicU64 = AtomicU64::new(0);

/// How many lines of the log are lost: because there were too many, and because standard error took none.
pub(crate) fn lost() -> (u64, u64) {
    let read = |lost: &AtomicU64| lost.load(Ordering::Relaxed);
    (read(&LOST_RATE), read(&LOST_BLOCKED))
}

/// Lets pass what is logged, and what somebody wants who watches.
fn pass_what_is_wanted() {
    if let Some(log) = INSTALLED.get() {
        log::set_max_level(watch::wanted().max(log.max_level()));
    }
}

/// Whether [`Log::flush`] is to be called again in a while, because something of the log still waits.
pub(crate) fn is_behind() -> bool {
    IS_BEHIND.load(Ordering::Relaxed)
}

/// Tells the level of the log, or sets it until the server stops: `error warn info debug trace`. What `RUST_LOG` says of
/// single modules goes on to hold. Gives `log level debug, was info`.
///
/// # Errors
/// If `word` is no level, or somebody else keeps the log.
pub(crate) fn level(word: Option<&str>) -> Result<String, String> {
    let log = INSTALLED.get();
    let log = log.ok_or_else(|| "the log is not kept by this server".to_owned())?;
    let Some(word) = word else {
        return Ok(format!("log level {}", in_words(log.level())));
    };
    let level = word.parse::<Level>();
    let level = level.map_err(|_| "usage: log [error|warn|info|debug|trace]".to_owned())?;
    let was = log.set_level(level);
    pass_what_is_wanted();
    let level = in_words(level.to_level_filter());
    Ok(format!("log level {level}, was {}", in_words(was)))
}

fn in_words(level: LevelFilter) -> String {
    level.as_str().to_ascii_lowercase()
}

/// The logger.
#[derive(Debug)]
pub struct StderrLog {
    /// What `RUST_LOG` says, as far as it could be understood.
    filters: String,
    filter: RwLock<env_logger::Logger>,
    /// What is wrong with `RUST_LOG`.
    complaint: Option<String>,
    queue: Mutex<Queue>,
}

impl StderrLog {
    /// A logger that lets pass what `RUST_LOG` says, or `info` and above where it says nothing that can be understood.
    #[must_use]
    pub fn from_env() -> Self {
        let wanted = env::var("RUST_LOG").unwrap_or_else(|_| DEFAULT_LEVEL.to_owned());
        // env_logger itself would write to standard error, and wait for its reader.
        let understood = env_filter::Builder::new().try_parse(&wanted).map(|_| ());
        let complaint = understood.err().map(|error| error.to_string());
        let filters = if complaint.is_some() {
            DEFAULT_LEVEL.to_owned()
        } else {
            wanted
        };
        let filter = env_logger::Builder::new().parse_filters(&filters).build();
        Self {
            filters,
            filter: RwLock::new(filter),
            complaint,
            queue: Mutex::default(),
        }
    }

    /// Warns of a `RUST_LOG` that could not be understood.
    pub fn warn_of_filter(&self) {
        if let Some(complaint) = &self.complaint {
            warn!("RUST_LOG is not followed: {complaint}");
        }
    }

    /// Makes this the logger of the process, for as long as that runs.
    ///
    /// # Errors
    /// If there is one already.
    pub fn install(self) -> Result<&'static Self, SetLoggerError> {
        let installed: &Self = Box::leak(Box::new(self));
        log::set_logger(installed)?;
        // There is one logger in a process, so nobody was here before.
        let _ = INSTALLED.set(installed);
        pass_what_is_wanted();
        Ok(installed)
    }

    /// The most that passes of anything.
    fn max_level(&self) -> LevelFilter {
        self.with_filter(env_logger::Logger::filter)
    }

    /// The most that passes of what no filter is for by itself.
    fn level(&self) -> LevelFilter {
        let of = |level| Metadata::builder().level(level).target(CRATE).build();
        let passes = |level: &Level| self.with_filter(|filter| filter.enabled(&of(*level)));
        let most = Level::iter().filter(passes).last();
        most.map_or(LevelFilter::Off, |level| level.to_level_filter())
    }

    /// Lets this level pass and those above it, but for what `RUST_LOG` says of single modules; gives the level before.
    fn set_level(&self, level: Level) -> LevelFilter {
        let was = self.level();
        let level = level.to_level_filter();
        let mut builder = env_logger::Builder::new();
        builder.parse_filters(&self.filters);
        let filter = builder
            .filter_level(level)
            .filter_module(CRATE, level)
            .build();
        *self.filter.write().unwrap_or_else(PoisonError::into_inner) = filter;
        was
    }

    fn with_filter<R>(&self, ask: impl FnOnce(&env_logger::Logger) -> R) -> R {
        ask(&self.filter.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes what is left before the process ends, and waits a moment for a reader that is slow.
    pub fn finish(&self) {
        let give_up_at = now() + LAST_READS_MAX;
        let stderr = Stream(io::stderr());
        self.with_queue(|queue, _| queue.rate = None);
        while is_behind()
            && now() < give_up_at
            && stderr.is_ready_within(LAST_READ_WITHIN).unwrap_or(false)
        {
            self.flush();
        }
    }

    fn with_queue(&self, act: impl FnOnce(&mut Queue, Instant)) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now();
        act(&mut queue, now);
        queue.write_out(&mut Stream(io::stderr()), now);
        IS_BEHIND.store(queue.is_behind(), Ordering::Relaxed);
        let Lost { rate, blocked } = queue.lost;
        LOST_RATE.store(rate, Ordering::Relaxed);
        LOST_BLOCKED.store(blocked, Ordering::Relaxed);
    }
}

impl Log for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.with_filter(|filter| filter.enabled(metadata)) || watch::wants(metadata.level())
    }

    fn log(&self, record: &Record<'_>) {
        let is_logged = self.with_filter(|filter| filter.matches(record));
        if !is_logged && !watch::wants(record.level()) {
            return;
        }
        let line = line(record.level(), record.args());
        watch::tell(&line, record.level(), is_logged);
        if is_logged {
            let is_unlimited = UNLIMITED_TARGETS.contains(&record.target());
            self.with_queue(|queue, now| {
                if is_unlimited {
                    queue.add_first(&line);
                } else {
                    queue.add(&line, now);
                }
            });
        }
    }

    fn flush(&self) {
        if is_behind() {
            self.with_queue(|_, _| {});
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a record can come at any time, and brings none"
)]
fn now() -> Instant {
    Instant::now()
}

/// Where the log goes.
trait Writer {
    /// Writes as much as goes without waiting; `WouldBlock` if that is nothing.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// Standard error, or standard output.
struct Stream<S>(S);

impl<S: io::Write + IsTerminal + AsFd> Stream<S> {
    /// Waits until it takes bytes or fails, at most for `timeout`.
    fn is_ready_within(&self, timeout: Duration) -> io::Result<bool> {
        let timeout = Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        Ok(poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], Some(&timeout))? > 0)
    }
}

impl<S: io::Write + IsTerminal + AsFd> Writer for Stream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_ready_within(Duration::ZERO)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let bytes_max = if self.0.is_terminal() {
            TERMINAL_WRITE_BYTES_MAX
        } else {
            PIPE_WRITE_BYTES_MAX
        };
        self.0.write(&bytes[..bytes.len().min(bytes_max)])
    }
}

/// Writes text to standard output or standard error, which the parent may have closed, filled or given to a reader that
/// does not read: it waits at most for a second.
///
/// # Errors
/// If not all of the text can be written.
pub fn print(stream: impl io::Write + IsTerminal + AsFd, text: &str) -> io::Result<()> {
    let mut stream = Stream(stream);
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => rest = &rest[taken..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !stream.is_ready_within(LAST_READS_MAX)? {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    stream.0.flush()
}

/// The lines that are not written yet, and the count of those that will not be.
///
/// Invariant: either buffer holds at most [`WAITING_BYTES_MAX`] bytes.
#[derive(Debug)]
struct Queue {
    /// What is to be written now: the rest of a line, and lines that wait for nothing but the writer.
    due: VecDeque<u8>,
    /// Lines that wait for their time.
    waiting: VecDeque<u8>,
    /// How many lines found no room because the writer took none …
    dropped: u64,
    /// … and how many because there were too many.
    suppressed: u64,
    /// The sums of both, for as long as the process runs.
    lost: Lost,
    /// How fast lines are written; `None` at the end, when all are.
    rate: Option<Window<SECOND_LINES_MAX>>,
}

/// How many lines were not written, by the cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Lost {
    rate: u64,
    blocked: u64,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            due: VecDeque::new(),
            waiting: VecDeque::new(),
            dropped: 0,
            suppressed: 0,
            lost: Lost::default(),
            rate: Some(Window::default()),
        }
    }
}

impl Queue {
    /// Adds a line behind all others. Once one has found no room, none is added before that has been told.
    fn add(&mut self, line: &str, now: Instant) {
        if !self.is_behind() && self.admits(now) {
            self.due.extend(line.as_bytes());
        } else if self.misses_lines() || !fits(&self.waiting, line) {
            self.miss();
        } else {
            // All at once: to grow by and by would take half as much again.
            self.waiting
                .reserve_exact(WAITING_BYTES_MAX - self.waiting.len());
            self.waiting.extend(line.as_bytes());
        }
    }

    /// Adds a line before those that wait for their time: one that is wanted most in the middle of a storm. It is lost
    /// only when the writer takes nothing.
    fn add_first(&mut self, line: &str) {
        if fits(&self.due, line) {
            self.due.extend(line.as_bytes());
        } else {
            self.miss();
        }
    }

    fn miss(&mut self) {
        // What is due stays only where the writer does not take it.
        if self.due.is_empty() {
            self.suppressed += 1;
            self.lost.rate += 1;
        } else {
            self.dropped += 1;
            self.lost.blocked += 1;
        }
    }

    fn misses_lines(&self) -> bool {
        self.dropped > 0 || self.suppressed > 0
    }

    fn is_behind(&self) -> bool {
        !self.due.is_empty() || !self.waiting.is_empty() || self.misses_lines()
    }

    fn write_out(&mut self, writer: &mut impl Writer, now: Instant) {
        while self.has_due(now) {
            let (first, _) = self.due.as_slices();
            match writer.write(first) {
                Ok(taken) => drop(self.due.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Nobody reads the log any more.
                Err(_) => (self.due, self.waiting) = Default::default(),
            }
        }
        self.due.shrink_to(PIPE_WRITE_BYTES_MAX);
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
    }

    /// Whether there is something to be written now: what is due already, or the next lines whose time has come, or
    /// behind the last one how many there were that are not written.
    fn has_due(&mut self, now: Instant) -> bool {
        if self.due.is_empty() && self.waiting.is_empty() {
            self.tell_missed();
        } else if self.due.is_empty() {
            self.take_lines(now);
        }
        !self.due.is_empty()
    }

    /// Takes the lines whose time has come, as many as are written at once.
    fn take_lines(&mut self, now: Instant) {
        while let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
            let fits = self.due.is_empty() || self.due.len() + end < PIPE_WRITE_BYTES_MAX;
            if !fits || !self.admits(now) {
                return;
            }
            self.due.extend(self.waiting.drain(..=end));
        }
    }

    /// Whether another line may be written now; if so, it is counted.
    fn admits(&mut self, now: Instant) -> bool {
        self.rate.as_mut().is_none_or(|rate| rate.admits(now))
    }

    fn tell_missed(&mut self) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped > 0 {
            let lines = counted(dropped, "line");
            self.tell(format_args!(
                "dropped {lines}, for standard error was blocked"
            ));
        }
        let suppressed = std::mem::take(&mut self.suppressed);
        if suppressed > 0 {
            let lines = counted(suppressed, "line");
            self.tell(format_args!("suppressed {lines}"));
        }
    }

    fn tell(&mut self, what: std::fmt::Arguments<'_>) {
        self.due.extend(line(Level::Warn, what).as_bytes());
    }
}

/// A number of things, each of which is `one`: `1 line`, `2 lines`.
pub(crate) fn counted(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}

fn fits(buffer: &VecDeque<u8>, line: &str) -> bool {
    buffer.len() + line.len() <= WAITING_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that takes this many bytes and no more.
    struct Taking(usize, Vec<u8>);

    impl Writer for Taking {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0).min(100);
            if taken == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.0 -= taken;
            self.1.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }
    }

    impl Taking {
        fn text(&self) -> String {
            String::from_utf8(self.1.clone()).unwrap()
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    fn queue() -> (Queue, Instant) {
        (Queue::default(), now())
    }

    #[test]
    fn what_a_stalled_reader_misses_is_counted_and_told() {
        let ((mut queue, outset), mut writer) = (queue(), Taking(0, Vec::new()));
        let line = format!("{}\n", "x".repeat(2047));
        // One line is due, and 96 more fit behind it.
        for _ in 0..1 + 96 + 36 {
            queue.add(&line, outset);
            queue.write_out(&mut writer, outset);
        }
        assert_eq!((queue.dropped, queue.suppressed), (36, 0));
        writer.0 = usize::MAX;
        queue.write_out(&mut writer, outset);
        assert!(!queue.is_behind());
        let text = writer.text();
        assert_eq!(text.matches(&line).count(), 1 + 96);
        assert!(
            text.ends_with("dropped 36 lines, for standard error was blocked\n"),
            "{text}"
        );
    }

    #[test]
    fn one_line_that_was_missed_is_told_in_the_singular() {
        let ((mut queue, outset), mut writer) = (queue(), Taking(usize::MAX, Vec::new()));
        (queue.dropped, queue.suppressed) = (1, 1);
        queue.write_out(&mut writer, outset);
        let text = writer.text();
        for told in [
            "dropped 1 line, for standard error was blocked\n",
            "suppressed 1 line\n",
        ] {
            assert!(text.contains(told), "{text}");
        }
    }

    #[test]
    fn lines_are_never_torn() {
        let ((mut queue, outset), mut writer) = (queue(), Taking(150, Vec::new()));
        queue.add(&format!("{}\n", "a".repeat(120)), outset);
        queue.add(&format!("{}\n", "b".repeat(120)), outset);
        queue.write_out(&mut writer, outset);
        queue.add_first("c\n");
        writer.0 = usize::MAX;
        queue.write_out(&mut writer, outset);
        assert_eq!(
            writer.text(),
            format!("{}\n{}\nc\n", "a".repeat(120), "b".repeat(120))
        );
    }

    #[test]
    fn in_any_second_200_lines_are_written_and_no_more() {
        let ((mut queue, outset), mut writer) = (queue(), Taking(usize::MAX, Vec::new()));
        for _ in 0..450 {
            queue.add("line\n", outset);
            queue.write_out(&mut writer, outset);
        }
        for (after, written) in [(0, 200), (999, 200), (1000, 400), (1999, 400), (2000, 450)] {
            queue.write_out(&mut writer, outset + SECOND * after / 1000);
            assert_eq!(writer.text(), "line\n".repeat(written), "after {after} ms");
        }
        assert!(!queue.is_behind());
    }

    #[test]
    fn too_many_lines_are_suppressed_and_counted() {
        let ((mut queue, mut now), mut writer) = (queue(), Taking(usize::MAX, Vec::new()));
        let line = format!("{}\n", "x".repeat(2047));
        // In a storm without end, too, it is told from time to time.
        for _ in 0..3 {
            let before = writer.text().len();
            for _ in 0..1000 {
                queue.add(&line, now);
                queue.write_out(&mut writer, now);
            }
            while queue.is_behind() {
                now += SECOND;
                queue.write_out(&mut writer, now);
            }
            let text = &writer.text()[before..];
            let written = text.matches(&line).count();
            let told = format!(" WARN suppressed {} lines\n", 1000 - written);
            assert_eq!(text.matches(" WARN ").count(), 1);
            assert!(text.ends_with(&told), "{text}");
            assert_eq!(written, SECOND_LINES_MAX + 96);
            now += SECOND;
        }
    }

    #[test]
    fn at_the_end_everything_is_written() {
        let ((mut queue, outset), mut writer) = (queue(), Taking(usize::MAX, Vec::new()));
        for _ in 0..500 {
            queue.add("line\n", outset);
        }
        queue.write_out(&mut writer, outset);
        assert!(queue.is_behind());
        queue.rate = None;
        queue.write_out(&mut writer, outset);
        assert_eq!(writer.text(), "line\n".repeat(500));
        assert!(!queue.is_behind());
    }

    #[test]
    fn what_was_asked_for_does_not_wait_for_its_time() {
        let ((mut queue, outset), mut writer) = (queue(), Taking(usize::MAX, Vec::new()));
        while queue.suppressed == 0 {
            queue.add("line\n", outset);
            queue.write_out(&mut writer, outset);
        }
        queue.add_first("report\n");
        queue.write_out(&mut writer, outset);
        assert!(writer.text().ends_with("line\nreport\n"));
    }

    #[test]
    fn what_operators_and_rules_do_is_not_held_to_the_rate() {
        let ((mut queue, outset), mut writer) = (queue(), Taking(usize::MAX, Vec::new()));
        for _ in 0..100_000 {
            queue.add("line\n", outset);
            queue.add_first("abuse\n");
            queue.write_out(&mut writer, outset);
        }
        assert_eq!(writer.text().matches("abuse\n").count(), 100_000);
        assert!(queue.lost.rate > 0);
        assert_eq!(queue.lost.blocked, 0);
    }

    #[test]
    fn even_what_is_not_held_to_the_rate_finds_an_end_where_nobody_reads() {
        let ((mut queue, outset), mut writer) = (queue(), Taking(0, Vec::new()));
        for _ in 0..100_000 {
            queue.add_first("abuse\n");
            queue.write_out(&mut writer, outset);
        }
        assert!(queue.due.len() <= WAITING_BYTES_MAX);
        let kept = queue.due.len() / "abuse\n".len();
        let blocked = 100_000 - kept as u64;
        assert_eq!(queue.lost, Lost { rate: 0, blocked });
        writer.0 = usize::MAX;
        queue.write_out(&mut writer, outset);
        let told = format!("dropped {blocked} lines, for standard error was blocked\n");
        assert!(writer.text().ends_with(&told), "{}", writer.text().len());
    }

    #[test]
    fn a_log_that_nobody_reads_any_more_is_not_kept() {
        struct Gone;
        impl Writer for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let (mut queue, outset) = queue();
        for _ in 0..100_000 {
            queue.add("line\n", outset);
            queue.write_out(&mut Gone, outset);
        }
        queue.write_out(&mut Gone, outset + SECOND);
        assert!(!queue.is_behind());
    }

    fn log_of(filters: &str) -> StderrLog {
        let filter = env_logger::Builder::new().parse_filters(filters).build();
        StderrLog {
            filters: filters.to_owned(),
            filter: RwLock::new(filter),
            complaint: None,
            queue: Mutex::default(),
        }
    }

    #[test]
    fn the_log_of_somebody_else_has_no_level_of_ours() {
        assert!(level(None).is_err() && level(Some("info")).is_err());
    }

    #[test]
    fn the_level_is_set_and_what_is_said_of_modules_goes_on_to_hold() {
        let passes = |log: &StderrLog, target, level| {
            log.enabled(&Metadata::builder().target(target).level(level).build())
        };
        let (hub, server) = ("chatd::hub::close", "chatd::server");
        let log = log_of("info,chatd::hub=trace");
        assert_eq!(log.level(), LevelFilter::Info);
        assert_eq!(log.set_level(Level::Warn), LevelFilter::Info);
        assert_eq!(log.set_level(Level::Error), LevelFilter::Warn);
        assert!(passes(&log, server, Level::Error) && !passes(&log, server, Level::Warn));
        assert!(passes(&log, hub, Level::Trace), "RUST_LOG says so");
        assert_eq!(log.max_level(), LevelFilter::Trace);

        for (filters, was) in [
            ("chatd=debug", LevelFilter::Debug),
            ("off", LevelFilter::Off),
            ("error,chatd=trace", LevelFilter::Trace),
            ("warn", LevelFilter::Warn),
        ] {
            let log = log_of(filters);
            assert_eq!(log.set_level(Level::Info), was, "{filters}");
            assert_eq!(log.level(), LevelFilter::Info, "{filters}");
            assert!(passes(&log, server, Level::Info), "{filters}");
            assert!(!passes(&log, server, Level::Debug), "{filters}");
        }
    }

    #[test]
    fn an_event_is_one_physical_line() {
        let text = line(Level::Info, "close name=a\nopen id=7\u{1b}[2J\u{85}");
        assert_eq!(text.matches(char::is_control).collect::<Vec<_>>(), ["\n"]);
        assert!(
            text.ends_with("INFO close name=a open id=7 [2J \n"),
            "{text}"
        );
    }
}
