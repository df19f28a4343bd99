//! The log on standard error, which can neither stop nor flood the server.
//!
//! A log reader that stalls would stop every session if a write to it waited. So lines are kept in a bounded buffer,
//! and as much of it is written as the system takes without waiting; what finds no room is counted, and the count is
//! logged when there is room again. Many lines in a short time are cut short, too, with a line that says how many
//! were suppressed; a report that was asked for is not.
//!
//! What passes is decided by `RUST_LOG`, as `env_logger` reads it.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use log::{Level, Log, Metadata, Record, SetLoggerError};
use rustix::event::{poll, PollFd, PollFlags, Timespec};

use crate::diagnosis;

/// So much may wait for the reader of the log.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// In the long run so many lines a second are written …
const LINES_PER_SECOND: u32 = 200;
/// … and so many at once before that counts: five hundred people who come and go are a thousand lines, and every one
/// of them is wanted.
const LINES_BURST: u32 = 1500;

/// A pipe that is ready for writing takes so much without waiting (`PIPE_BUF` on Linux).
const PIPE_WRITE_BYTES_MAX: usize = 4096;
/// A terminal that is ready takes less.
const TERMINAL_WRITE_BYTES_MAX: usize = 256;

/// At the end of the process the log waits for its reader as long as he goes on to take some of it …
const LAST_READ_WITHIN: Duration = Duration::from_millis(100);
/// … and no longer than this.
const LAST_READS_MAX: Duration = Duration::from_secs(1);

/// Some of the log waits to be written, or to be told how much was not.
static IS_BEHIND: AtomicBool = AtomicBool::new(false);

/// Whether [`Log::flush`] is to be called again in a while, because standard error has not taken everything.
pub(crate) fn is_behind() -> bool {
    IS_BEHIND.load(Ordering::Relaxed)
}

/// The logger.
#[derive(Debug)]
pub struct StderrLog {
    filter: env_logger::Logger,
    sink: Mutex<Sink>,
}

impl StderrLog {
    /// A logger that lets pass what `RUST_LOG` says, or `info` and above.
    #[must_use]
    pub fn from_env() -> Self {
        let level = env_logger::Env::default().default_filter_or("info");
        let filter = env_logger::Builder::from_env(level).build();
        Self {
            filter,
            sink: Mutex::new(Sink::new(now())),
        }
    }

    /// Makes this the logger of the process, for as long as that runs.
    ///
    /// # Errors
    /// If there is one already.
    pub fn install(self) -> Result<&'static Self, SetLoggerError> {
        let installed: &Self = Box::leak(Box::new(self));
        log::set_logger(installed)?;
        log::set_max_level(installed.filter.filter());
        Ok(installed)
    }

    /// Writes what is left before the process ends, and waits a moment for a reader who is slow.
    pub fn finish(&self) {
        let give_up_at = now() + LAST_READS_MAX;
        self.with_sink(|sink, _| sink.tell_missed());
        while is_behind()
            && now() < give_up_at
            && Stderr::is_ready_within(LAST_READ_WITHIN).unwrap_or(false)
        {
            self.with_sink(|sink, _| sink.tell_missed());
        }
    }

    fn with_sink(&self, act: impl FnOnce(&mut Sink, Instant)) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut sink, now());
        sink.write_out(&mut Stderr);
        IS_BEHIND.store(sink.is_behind(), Ordering::Relaxed);
    }
}

impl Log for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.filter.matches(record) {
            let line = line(record.level(), record.args());
            let asked_for = record.target() == diagnosis::LOG_TARGET;
            self.with_sink(|sink, now| {
                if asked_for {
                    sink.add_always(&line, now);
                } else {
                    sink.add(&line, now);
                }
            });
        }
    }

    fn flush(&self) {
        if is_behind() {
            self.with_sink(Sink::catch_up);
        }
    }
}

/// One physical line an event: the time, the level, the event.
fn line(level: Level, event: impl std::fmt::Display) -> String {
    let time = humantime::format_rfc3339_millis(wall_clock());
    let event = event.to_string().replace(char::is_control, " ");
    format!("{time} {level} {event}\n")
}

#[allow(
    clippy::disallowed_methods,
    reason = "the log has stamps, which only people read"
)]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

#[allow(
    clippy::disallowed_methods,
    reason = "a record can come at any time, and brings none"
)]
fn now() -> Instant {
    Instant::now()
}

/// Where the log goes.
trait Reader {
    /// Writes as much as goes without waiting; `WouldBlock` if that is nothing.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

struct Stderr;

impl Stderr {
    /// Waits at most so long until standard error takes bytes or fails.
    fn is_ready_within(timeout: Duration) -> io::Result<bool> {
        let timeout = Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        };
        let stderr = io::stderr();
        Ok(poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&timeout))? > 0)
    }
}

impl Reader for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !Self::is_ready_within(Duration::ZERO)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut stderr = io::stderr().lock();
        let bytes_max = if stderr.is_terminal() {
            TERMINAL_WRITE_BYTES_MAX
        } else {
            PIPE_WRITE_BYTES_MAX
        };
        stderr.write(&bytes[..bytes.len().min(bytes_max)])
    }
}

/// The buffer and the counts.
#[derive(Debug)]
struct Sink {
    waiting: VecDeque<u8>,
    /// Lines that found no room.
    dropped: u64,
    /// Lines beyond the rate.
    suppressed: u64,
    /// What was added is paid for until then, at the rate.
    paid_until: Instant,
}

impl Sink {
    fn new(now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            dropped: 0,
            suppressed: 0,
            paid_until: now,
        }
    }

    fn add(&mut self, line: &str, now: Instant) {
        let interval = Duration::from_secs(1) / LINES_PER_SECOND;
        let paid_until = self.paid_until.max(now) + interval;
        if paid_until > now + interval * LINES_BURST {
            self.suppressed += 1;
            return;
        }
        self.paid_until = paid_until;
        self.add_always(line, now);
    }

    /// Adds a line that somebody has asked for: a report in the middle of a storm is when it is wanted most.
    fn add_always(&mut self, line: &str, now: Instant) {
        self.catch_up(now);
        self.push(line);
    }

    /// Tells what was suppressed as soon as there is room for other lines, and what was dropped as soon as there is
    /// room at all.
    fn catch_up(&mut self, now: Instant) {
        let interval = Duration::from_secs(1) / LINES_PER_SECOND;
        if self.paid_until + interval * LINES_PER_SECOND <= now + interval * LINES_BURST {
            self.tell_suppressed();
        }
        self.tell_dropped();
    }

    /// Tells what was suppressed whether or not other lines may follow, for none will.
    fn tell_missed(&mut self) {
        self.tell_dropped();
        self.tell_suppressed();
    }

    fn tell_suppressed(&mut self) {
        let count = self.suppressed;
        if count == 0 {
            return;
        }
        let line = line(Level::Warn, format_args!("suppressed {count} lines"));
        // Were the line dropped, it would count for one.
        if self.has_room(&line) {
            self.suppressed = 0;
            self.push(&line);
        }
    }

    fn tell_dropped(&mut self) {
        if self.dropped > 0 && self.waiting.is_empty() {
            let count = std::mem::take(&mut self.dropped);
            self.push(&line(
                Level::Warn,
                format_args!("dropped {count} lines, for standard error was blocked"),
            ));
        }
    }

    fn push(&mut self, line: &str) {
        if self.has_room(line) {
            self.waiting.extend(line.as_bytes());
        } else {
            self.dropped += 1;
        }
    }

    fn has_room(&self, line: &str) -> bool {
        self.waiting.len() + line.len() <= WAITING_BYTES_MAX
    }

    fn write_out(&mut self, reader: &mut impl Reader) {
        while !self.waiting.is_empty() {
            let (first, _) = self.waiting.as_slices();
            match reader.write(first) {
                Ok(taken) => drop(self.waiting.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Nobody reads the log any more.
                Err(_) => self.waiting = VecDeque::new(),
            }
        }
        self.waiting.shrink_to(PIPE_WRITE_BYTES_MAX);
    }

    fn is_behind(&self) -> bool {
        !self.waiting.is_empty() || self.dropped > 0 || self.suppressed > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that takes so many bytes and no more.
    struct Taking(usize, Vec<u8>);

    impl Reader for Taking {
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

    #[test]
    fn what_a_stalled_reader_misses_is_counted_and_told() {
        let outset = now();
        let (mut sink, mut reader) = (Sink::new(outset), Taking(0, Vec::new()));
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..100 {
            sink.add(&line, outset);
            sink.write_out(&mut reader);
        }
        assert_eq!((sink.waiting.len(), sink.dropped), (WAITING_BYTES_MAX, 36));
        reader.0 = usize::MAX;
        sink.write_out(&mut reader);
        assert!(sink.is_behind(), "the count is still to be told");
        sink.catch_up(outset);
        sink.write_out(&mut reader);
        assert!(!sink.is_behind());
        let text = reader.text();
        assert_eq!(text.matches(&line).count(), 64);
        assert!(
            text.ends_with("dropped 36 lines, for standard error was blocked\n"),
            "{text}"
        );
    }

    #[test]
    fn lines_are_never_torn() {
        let outset = now();
        let (mut sink, mut reader) = (Sink::new(outset), Taking(150, Vec::new()));
        sink.add(&format!("{}\n", "a".repeat(120)), outset);
        sink.add(&format!("{}\n", "b".repeat(120)), outset);
        sink.write_out(&mut reader);
        reader.0 = usize::MAX;
        sink.write_out(&mut reader);
        assert_eq!(
            reader.text(),
            format!("{}\n{}\n", "a".repeat(120), "b".repeat(120))
        );
    }

    #[test]
    fn too_many_lines_are_suppressed_and_counted() {
        let outset = now();
        let (mut sink, mut reader) = (Sink::new(outset), Taking(usize::MAX, Vec::new()));
        let burst = LINES_BURST as usize;
        for _ in 0..burst + 300 {
            sink.add("line\n", outset);
            sink.write_out(&mut reader);
        }
        assert_eq!(reader.text().matches("line\n").count(), burst);
        assert!(sink.is_behind());
        let later = outset + Duration::from_secs(1);
        sink.catch_up(later);
        sink.add("after\n", later);
        sink.write_out(&mut reader);
        let text = reader.text();
        assert!(text.ends_with("suppressed 300 lines\nafter\n"), "{text}");
    }

    #[test]
    fn the_count_of_suppressed_lines_waits_for_room() {
        let outset = now();
        let (mut sink, mut reader) = (Sink::new(outset), Taking(0, Vec::new()));
        sink.waiting.resize(WAITING_BYTES_MAX, b'x');
        sink.suppressed = 7;
        sink.tell_missed();
        assert_eq!((sink.suppressed, sink.dropped), (7, 0));
        reader.0 = usize::MAX;
        sink.write_out(&mut reader);
        sink.tell_missed();
        sink.write_out(&mut reader);
        assert!(reader.text().ends_with(" WARN suppressed 7 lines\n"));
        assert!(!sink.is_behind());
    }

    #[test]
    fn what_was_asked_for_is_never_suppressed() {
        let outset = now();
        let (mut sink, mut reader) = (Sink::new(outset), Taking(usize::MAX, Vec::new()));
        for _ in 0..LINES_BURST + 300 {
            sink.add("line\n", outset);
        }
        sink.add_always("report\n", outset);
        sink.add("line\n", outset);
        sink.write_out(&mut reader);
        assert!(reader.text().ends_with("line\nreport\n"));
    }

    #[test]
    fn an_event_is_one_physical_line() {
        let text = line(Level::Info, "close name=a\nopen id=7\u{1b}[2J\u{85}");
        assert_eq!(text.matches(char::is_control).collect::<Vec<_>>(), ["\n"]);
        assert!(
            text.ends_with(" INFO close name=a open id=7 [2J \n"),
            "{text}"
        );
    }
}
