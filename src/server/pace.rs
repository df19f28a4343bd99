//! When a crowded room is flushed.
//!
//! A flush to five hundred people is five hundred `send` calls, whether they carry one line or ten. So when lines come
//! faster than they can be sent one by one they should share their sends. After flushes that took a time `t`, the
//! next one waits for `2 t`, so that sending takes a third of the core at most; and for less the more lines wait, for
//! then there is less to be won by waiting for another one. A line that comes after that time, as in a quiet or a small
//! room, is not delayed at all.

use std::time::{Duration, Instant};

/// Lines wait at most for so many times what the last flush took …
const WAIT_FLUSHES_MAX: u32 = 2;
/// … and for less if they are more than so many.
const FEW_LINES: u32 = 3;

/// A flush that took less is not worth waiting for: the timer itself is no finer.
const WORTH_WAITING: Duration = Duration::from_millis(1);

/// While many leave, presence waits at most so long for them to be gone.
const PRESENCE_WAITS: Duration = Duration::from_secs(1);

/// The pace of the flushes.
#[derive(Debug)]
pub(super) struct Pace {
    delay_max: Option<Duration>,
    /// What the last flush took, and the one before.
    took: [Duration; 2],
    ended_at: Option<Instant>,
    waits_since: Option<Instant>,
    somebody_left_at: Option<Instant>,
}

/// What waits to be flushed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    /// How many lines.
    pub(super) lines: usize,
    /// Whether they tell of nothing but who came and went.
    pub(super) is_presence: bool,
}

impl Pace {
    /// `delay_max` is the longest that a line may wait; `None` if it must not.
    pub(super) fn new(delay_max: Option<Duration>) -> Self {
        Self {
            delay_max,
            took: [Duration::ZERO; 2],
            ended_at: None,
            waits_since: None,
            somebody_left_at: None,
        }
    }

    /// Something waits, now or since before.
    pub(super) fn wait_from(&mut self, now: Instant) {
        self.waits_since.get_or_insert(now);
    }

    /// Somebody leaves.
    pub(super) fn see_leaving(&mut self, now: Instant) {
        self.somebody_left_at = Some(now);
    }

    /// When what waits is to be flushed.
    pub(super) fn due_at(&self, waiting: Waiting, now: Instant) -> Instant {
        let (Some(delay_max), Some(ended_at)) = (self.delay_max, self.ended_at) else {
            return now;
        };
        let [last, before] = self.took;
        if last < WORTH_WAITING {
            return now;
        }
        // One that was interrupted by something else does not tell what the next one will take.
        let took = last.min(before);
        let waits_since = self.waits_since.unwrap_or(now);
        let lines = u32::try_from(waiting.lines).unwrap_or(u32::MAX);
        let wait = took * WAIT_FLUSHES_MAX * FEW_LINES / lines.max(FEW_LINES);
        let due_at = (ended_at + wait).min(waits_since + delay_max);
        match self.somebody_left_at {
            // Who leaves seldom leaves alone, and those who leave need not be told who else does.
            Some(left_at) if waiting.is_presence => {
                let waits_until = waits_since + PRESENCE_WAITS;
                due_at.max(waits_until.min(left_at + delay_max))
            }
            _ => due_at,
        }
    }

    /// A flush to the whole room took from `began_at` to `ended_at`.
    pub(super) fn flushed(&mut self, began_at: Instant, ended_at: Instant) {
        self.took = [ended_at.saturating_duration_since(began_at), self.took[0]];
        self.ended_at = Some(ended_at);
        self.waits_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::outset;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn paced(took: Duration, delay_max: Option<Duration>) -> (Pace, Instant) {
        let (mut pace, began_at) = (Pace::new(delay_max), outset());
        pace.flushed(began_at, began_at + took);
        pace.flushed(began_at, began_at + took);
        (pace, began_at + took)
    }

    const fn chat(lines: usize) -> Waiting {
        Waiting {
            lines,
            is_presence: false,
        }
    }

    const fn presence(lines: usize) -> Waiting {
        Waiting {
            lines,
            is_presence: true,
        }
    }

    #[test]
    fn the_more_lines_wait_the_sooner_they_go() {
        let (pace, ended_at) = paced(ms(2), Some(ms(100)));
        for (lines, wait) in [(1, 4), (3, 4), (4, 3), (6, 2), (12, 1)] {
            assert_eq!(pace.due_at(chat(lines), ended_at), ended_at + ms(wait));
        }
    }

    #[test]
    fn one_slow_flush_is_no_reason_to_wait_longer() {
        let (mut pace, ended_at) = paced(ms(2), Some(ms(100)));
        for (took, wait) in [(30, 4), (2, 4), (10, 4), (8, 16)] {
            pace.flushed(ended_at, ended_at + ms(took));
            let ended_at = ended_at + ms(took);
            assert_eq!(pace.due_at(chat(1), ended_at), ended_at + ms(wait));
        }
    }

    #[test]
    fn a_line_waits_no_longer_than_it_may() {
        let (mut pace, ended_at) = paced(ms(80), Some(ms(100)));
        pace.wait_from(ended_at + ms(30));
        assert_eq!(pace.due_at(chat(1), ended_at + ms(30)), ended_at + ms(130));
        pace.wait_from(ended_at + ms(50));
        assert_eq!(pace.due_at(chat(2), ended_at + ms(50)), ended_at + ms(130));
        assert_eq!(pace.due_at(chat(6), ended_at + ms(50)), ended_at + ms(80));
    }

    #[test]
    fn small_rooms_and_those_who_switched_it_off_never_wait() {
        let now = outset();
        assert_eq!(Pace::new(Some(ms(100))).due_at(chat(1), now), now);
        let (mut pace, ended_at) = paced(Duration::from_micros(900), Some(ms(100)));
        pace.see_leaving(ended_at);
        assert_eq!(pace.due_at(presence(1), ended_at), ended_at);
        let (mut pace, ended_at) = paced(ms(80), None);
        pace.see_leaving(ended_at);
        assert_eq!(pace.due_at(presence(1), ended_at), ended_at);
    }

    #[test]
    fn presence_waits_for_those_who_leave_but_not_for_ever() {
        let (mut pace, ended_at) = paced(ms(0), Some(ms(100)));
        // A room that has just become large, and those who came leave again.
        pace.flushed(ended_at, ended_at + ms(2));
        let begins_at = ended_at + ms(5000);
        pace.wait_from(begins_at);
        for left in [0, 90, 180, 270, 360, 450] {
            let now = begins_at + ms(left);
            pace.see_leaving(now);
            assert_eq!(pace.due_at(presence(3), now), now + ms(100), "more leave");
            assert!(
                pace.due_at(chat(3), now) <= now,
                "chat does not wait for them"
            );
        }
        let late = begins_at + ms(950);
        pace.see_leaving(late);
        assert_eq!(pace.due_at(presence(3), late), begins_at + ms(1000));
    }
}
