//! Telling a supervisor that watches the server that it works (`sd_watchdog_enabled(3)`).
//!
//! What is told is that a turn has ended, so a loop that hangs is not told of. This alone wakes a server to which nothing
//! happens.

use std::env;
use std::process;
use std::time::{Duration, Instant};

use super::notify::notify;

/// A supervisor that wants to hear more often has made a mistake, and is told this often.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// When the supervisor is told next.
#[derive(Debug)]
pub(super) struct Watchdog {
    interval: Duration,
    due_at: Instant,
}

impl Watchdog {
    /// What the supervisor wants, if it watches this process.
    pub(super) fn from_env(now: Instant) -> Option<Self> {
        let number = |name| env::var(name).ok();
        Self::wanted(
            number("WATCHDOG_USEC").as_deref(),
            number("WATCHDOG_PID").as_deref(),
            now,
        )
    }

    fn wanted(micros: Option<&str>, pid: Option<&str>, now: Instant) -> Option<Self> {
        let micros = micros?.parse::<u64>().ok().filter(|micros| *micros > 0)?;
        let is_ours = |pid: &str| pid.parse() == Ok(process::id());
        let interval = (Duration::from_micros(micros) / 3).max(INTERVAL_MIN);
        pid.is_none_or(is_ours).then_some(Self {
            interval,
            due_at: now + interval,
        })
    }

    /// How long until the supervisor is to be told.
    pub(super) fn due_in(&self, now: Instant) -> Duration {
        self.due_at.saturating_duration_since(now)
    }

    /// A turn ends: tells the supervisor, if it is time.
    pub(super) fn end_turn(&mut self, now: Instant) {
        if self.due_in(now).is_zero() {
            self.due_at = now + self.interval;
            // One that takes nothing at the moment is told the next time; that there is none was said at the start.
            let _ = notify("WATCHDOG=1", Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::outset;

    #[test]
    fn only_who_is_watched_tells_and_every_third_of_the_time() {
        let now = outset();
        let interval = |micros, pid| {
            let watchdog = Watchdog::wanted(micros, pid, now);
            watchdog.map(|watchdog| watchdog.due_in(now))
        };
        let ours = process::id().to_string();
        let ten = Some(Duration::from_secs(10));
        assert_eq!(interval(Some("30000000"), None), ten);
        assert_eq!(interval(Some("30000000"), Some(&ours)), ten);
        assert_eq!(interval(Some("30000000"), Some("1")), None);
        assert_eq!(interval(Some("30000000"), Some("x")), None);
        for nothing in [None, Some(""), Some("0"), Some("-3"), Some("x")] {
            assert_eq!(interval(nothing, None), None, "{nothing:?}");
        }
        assert_eq!(interval(Some("1"), None), Some(INTERVAL_MIN));
        let most = interval(Some("18446744073709551615"), None);
        assert!(most > ten, "{most:?}");
    }

    #[test]
    fn it_is_told_at_the_end_of_the_turn_in_which_it_is_time() {
        let now = outset();
        let second = Duration::from_secs(1);
        let mut watchdog = Watchdog::wanted(Some("3000000"), None, now).unwrap();
        watchdog.end_turn(now + second / 2);
        assert_eq!(watchdog.due_in(now + second / 2), second / 2);
        watchdog.end_turn(now + 5 * second);
        assert_eq!(watchdog.due_in(now + 5 * second), second);
    }
}
