//! Handshakes: how many there are in a turn, and those that failed, told in one line a second, however many they are.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use log::info;

/// Why one fails whose address has enough of them.
pub(super) const CROWDING: &str = "per-address";

/// Why one fails whose address has begun too many of late.
pub(super) const CONNECTING: &str = "connect-rate";

/// At most 16 of those at the door shake hands in one turn …
const TURN_HANDSHAKES_MAX: usize = 16;

/// … and none once they took 5 ms, which is 16 with P-256, four with RSA of 2,048 bits, and one with 4,096.
const TURN_TIME_MAX: Duration = Duration::from_millis(5);

/// A line a second is told of them at most.
const PAUSE: Duration = Duration::from_secs(1);

/// What a turn has done of handshakes.
#[derive(Debug, Default)]
pub(super) struct Handshakes {
    count: usize,
    took: Duration,
}

impl Handshakes {
    /// Whether there are to be no more in this turn.
    pub(super) fn are_over(&self) -> bool {
        self.count >= TURN_HANDSHAKES_MAX || self.took >= TURN_TIME_MAX
    }

    /// One was gone on with, which took so long.
    pub(super) fn spend(&mut self, took: Duration) {
        self.count += 1;
        self.took += took;
    }
}

/// How many handshakes have failed since that was last told, by why they did.
#[derive(Debug, Default)]
pub(super) struct Failures {
    untold: BTreeMap<&'static str, u64>,
    told_at: Option<Instant>,
}

impl Failures {
    /// One has failed.
    pub(super) fn note(&mut self, why: &'static str) {
        *self.untold.entry(why).or_default() += 1;
    }

    /// When the next line is due; `None` if there is nothing to tell.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        if self.untold.is_empty() {
            return None;
        }
        Some(self.told_at.map_or(now, |told_at| told_at + PAUSE))
    }

    /// Tells of them in the log, if that is due.
    pub(super) fn tell(&mut self, now: Instant) {
        if let Some(line) = self.line(now) {
            info!("{line}");
        }
    }

    fn line(&mut self, now: Instant) -> Option<String> {
        if self.wake_at(now).is_none_or(|at| now < at) {
            return None;
        }
        self.told_at = Some(now);
        let untold = std::mem::take(&mut self.untold);
        let failed = crate::log::counted(untold.values().sum(), "handshake");
        let mut line = format!("tls: {failed} failed:");
        for (why, count) in untold {
            // Writing to a String cannot fail.
            let _ = write!(line, " {why}={count}");
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::outset;

    #[test]
    fn one_line_a_second_tells_of_all() {
        let (mut failures, now) = (Failures::default(), outset());
        assert_eq!((failures.line(now), failures.wake_at(now)), (None, None));
        failures.note("timeout");
        let told = Some("tls: 1 handshake failed: timeout=1".to_owned());
        assert_eq!(failures.line(now), told);
        for why in ["timeout", "alert", "timeout"] {
            failures.note(why);
        }
        let later = now + PAUSE;
        assert_eq!(failures.wake_at(now), Some(later));
        assert_eq!(failures.line(now + PAUSE / 2), None);
        let told = Some("tls: 3 handshakes failed: alert=1 timeout=2".to_owned());
        assert_eq!(failures.line(later), told);
        assert_eq!(failures.wake_at(later), None);
    }
}
