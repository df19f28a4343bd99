//! When a crowded room is flushed.
//!
//! A flush to five hundred people is five hundred `send` calls, whether they carry one line or ten. So when lines come
//! faster than they can be sent one by one they should share their sends. After a flush that took a time `t`, the
//! next one waits for `4 t / n`, where `n` is the number of lines that wait: a single line waits longest, and many
//! lines go at once, for then there is nothing left to be won by waiting. A line that comes after that time, as in a
//! quiet or a small room, is not delayed at all.

use std::time::{Duration, Instant};

/// A single line waits for so many times what the last flush took.
const PATIENCE: u32 = 4;

/// A flush that took less is not worth waiting for: the timer itself is no finer.
const WORTH_WAITING: Duration = Duration::from_millis(1);

/// While many leave, presence waits at most so long for them to be gone.
const PRESENCE_WAITS: Duration = Duration::from_secs(1);

/// The pace of the flushes.
#[derive(Debug)]
pub(super) struct Pace {
    delay_max: Option<Duration>,
    took: Duration,
    ended_at: Option<Instant>,
    waits_since: Option<Instant>,
}

impl Pace {
    /// `delay_max` is the longest that a line may wait; `None` if it must not.
    pub(super) fn new(delay_max: Option<Duration>) -> Self {
        Self {
            delay_max,
            took: Duration::ZERO,
            ended_at: None,
            waits_since: None,
        }
    }

    /// Something waits, now or since before.
    pub(super) fn wait_from(&mut self, now: Instant) {
        self.waits_since.get_or_insert(now);
    }

    /// When `lines` lines that wait are to be flushed. If they are `patient`, they can wait until others have left.
    pub(super) fn due_at(&self, lines: usize, patient: bool, now: Instant) -> Instant {
        let (Some(delay_max), Some(ended_at)) = (self.delay_max, self.ended_at) else {
            return now;
        };
        if patient {
            return self.waits_since.unwrap_or(now) + PRESENCE_WAITS;
        }
        if self.took < WORTH_WAITING {
            return now;
        }
        let lines = u32::try_from(lines).unwrap_or(u32::MAX).max(1);
        ended_at + (self.took * PATIENCE / lines).min(delay_max)
    }

    /// A flush to the whole room took from `began_at` to `ended_at`.
    pub(super) fn flushed(&mut self, began_at: Instant, ended_at: Instant) {
        self.took = ended_at.saturating_duration_since(began_at);
        self.ended_at = Some(ended_at);
        self.waits_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(
        clippy::disallowed_methods,
        reason = "an arbitrary outset for the test's own clock"
    )]
    fn outset() -> Instant {
        Instant::now()
    }

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn paced(took: Duration, delay_max: Option<Duration>) -> (Pace, Instant) {
        let (mut pace, began_at) = (Pace::new(delay_max), outset());
        pace.flushed(began_at, began_at + took);
        (pace, began_at + took)
    }

    #[test]
    fn the_more_lines_wait_the_sooner_they_go() {
        let (pace, ended_at) = paced(ms(2), Some(ms(100)));
        assert_eq!(pace.due_at(1, false, ended_at), ended_at + ms(8));
        assert_eq!(pace.due_at(2, false, ended_at), ended_at + ms(4));
        assert_eq!(pace.due_at(8, false, ended_at), ended_at + ms(1));
    }

    #[test]
    fn the_delay_has_a_bound() {
        let (pace, ended_at) = paced(ms(80), Some(ms(100)));
        assert_eq!(pace.due_at(1, false, ended_at), ended_at + ms(100));
    }

    #[test]
    fn small_rooms_and_those_who_switched_it_off_never_wait() {
        let now = outset();
        assert_eq!(Pace::new(Some(ms(100))).due_at(1, false, now), now);
        let (pace, ended_at) = paced(Duration::from_micros(900), Some(ms(100)));
        assert_eq!(pace.due_at(1, false, ended_at), ended_at);
        let (pace, ended_at) = paced(ms(80), None);
        assert_eq!(pace.due_at(1, true, ended_at), ended_at);
    }

    #[test]
    fn presence_waits_for_those_who_leave_but_not_for_ever() {
        let (mut pace, ended_at) = paced(ms(2), Some(ms(100)));
        let begins_at = ended_at + ms(5000);
        pace.wait_from(begins_at);
        pace.wait_from(begins_at + ms(500));
        assert_eq!(
            pace.due_at(3, true, begins_at + ms(500)),
            begins_at + ms(1000)
        );
        pace.flushed(begins_at, begins_at + ms(2));
        pace.wait_from(begins_at + ms(3000));
        assert_eq!(
            pace.due_at(3, true, begins_at + ms(3000)),
            begins_at + ms(4000)
        );
    }
}
