//! Log lines for those who watch the log as it is written.
//!
//! Nothing waits for who watches: each has 64 KiB of lines that they have not taken yet, and what does not fit is
//! counted. Where several servers are in a process, their lines are in one log.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use log::{Level, LevelFilter};

/// Bytes of lines that may wait for one who watches.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// All who watch.
static WATCHES: Mutex<Vec<Arc<Mutex<Waiting>>>> = Mutex::new(Vec::new());

/// The highest level that any of them wants.
static WANTED: AtomicUsize = AtomicUsize::new(LevelFilter::Off as usize);

/// Who watches. Dropped, they do not any more.
#[derive(Debug)]
pub(crate) struct Watch(Arc<Mutex<Waiting>>);

#[derive(Debug)]
struct Waiting {
    /// Whole lines.
    lines: String,
    /// How many lines found no room behind these.
    missed: u64,
    /// They want lines up to this level, or, without one, what is logged.
    level: Option<LevelFilter>,
}

impl Watch {
    /// Begins to watch: every line up to `level`, or, without one, what is logged.
    pub(crate) fn begin(level: Option<LevelFilter>) -> Self {
        let waiting = Arc::new(Mutex::new(Waiting {
            lines: String::new(),
            missed: 0,
            level,
        }));
        let mut watches = lock(&WATCHES);
        watches.push(Arc::clone(&waiting));
        note_wanted(&watches);
        Self(waiting)
    }

    /// Whether there is something to be taken.
    pub(crate) fn has_lines(&self) -> bool {
        let waiting = lock(&self.0);
        !waiting.lines.is_empty() || waiting.missed > 0
    }

    /// Takes the lines that have come, and at their end how many were missed.
    pub(crate) fn take(&self) -> String {
        let mut waiting = lock(&self.0);
        let mut lines = std::mem::take(&mut waiting.lines);
        let missed = std::mem::take(&mut waiting.missed);
        if missed > 0 {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "missed={missed}");
        }
        lines
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watches = lock(&WATCHES);
        watches.retain(|watch| !Arc::ptr_eq(watch, &self.0));
        note_wanted(&watches);
    }
}

fn note_wanted(watches: &[Arc<Mutex<Waiting>>]) {
    let levels = watches.iter().filter_map(|watch| lock(watch).level);
    let wanted = levels.max().unwrap_or(LevelFilter::Off);
    WANTED.store(wanted as usize, Ordering::Relaxed);
    super::pass_what_is_wanted();
}

/// Whether a line of this level is wanted, be it logged or not.
pub(super) fn wants(level: Level) -> bool {
    level as usize <= WANTED.load(Ordering::Relaxed)
}

/// The most that somebody wants.
pub(super) fn wanted() -> LevelFilter {
    let wanted = WANTED.load(Ordering::Relaxed);
    let mut levels = LevelFilter::iter();
    levels
        .find(|level| *level as usize == wanted)
        .unwrap_or(LevelFilter::Off)
}

/// Tells all who watch of a line, which ends with a line end.
pub(super) fn tell(line: &str, level: Level, is_logged: bool) {
    for watch in &*lock(&WATCHES) {
        let mut waiting = lock(watch);
        if waiting.level.map_or(is_logged, |wanted| level <= wanted) {
            // What comes behind lines that were missed is not to stand before that.
            if waiting.missed > 0 || waiting.lines.len() + line.len() > WAITING_BYTES_MAX {
                waiting.missed += 1;
            } else {
                waiting.lines.push_str(line);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What all tests of this process tell is told to all who watch, so there is one test.
    #[test]
    fn who_watches_gets_what_they_want_and_is_told_what_they_miss() {
        let all = Watch::begin(Some(LevelFilter::Debug));
        let errors = Watch::begin(Some(LevelFilter::Error));
        let logged = Watch::begin(None);
        assert!(wants(Level::Debug) && !wants(Level::Trace));
        assert_eq!(wanted(), LevelFilter::Debug);
        tell("one\n", Level::Info, true);
        tell("two\n", Level::Debug, false);
        tell("three\n", Level::Trace, false);
        assert!(logged.has_lines());
        assert_eq!(logged.take(), "one\n");
        assert!(!logged.has_lines());
        assert_eq!(all.take(), "one\ntwo\n");
        assert!(!errors.has_lines());
        drop(all);
        assert_eq!(wanted(), LevelFilter::Error);
        drop(errors);
        assert!(!wants(Level::Error));

        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..100 {
            tell(&line, Level::Warn, true);
        }
        tell("short\n", Level::Warn, true);
        assert_eq!(logged.take(), line.repeat(64) + "missed=37\n");
        tell("short\n", Level::Warn, true);
        assert_eq!(logged.take(), "short\n");
        drop(logged);
        assert!(lock(&WATCHES).is_empty());
    }
}
