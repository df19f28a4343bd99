//! How many turns there were, how long they took, and where a slow one spent its time.

use std::time::{Duration, Instant};

use crate::rate::Window;

/// A turn that takes longer is worth a line in the log, one in a second.
const SLOW_TURN: Duration = Duration::from_millis(100);

/// The clockwork of the turns.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) turns: u64,
    pub(super) longest: Duration,
    began_at: Instant,
    lap_at: Instant,
    longest_lap: (Duration, &'static str),
    told: Window<1>,
}

/// A turn that was slow, and the phase that took most of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlowTurn {
    pub(super) took: Duration,
    pub(super) phase: &'static str,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            turns: 0,
            longest: Duration::ZERO,
            began_at: now,
            lap_at: now,
            longest_lap: (Duration::ZERO, ""),
            told: Window::default(),
        }
    }

    /// A turn begins, or rather its work: the waiting does not count.
    pub(super) fn begin(&mut self, now: Instant) {
        self.began_at = now;
        self.lap_at = now;
        self.longest_lap = (Duration::ZERO, "");
    }

    /// When the turn at hand began.
    pub(super) fn began_at(&self) -> Instant {
        self.began_at
    }

    /// A phase has ended.
    pub(super) fn lap(&mut self, phase: &'static str, now: Instant) {
        let took = now.saturating_duration_since(self.lap_at);
        self.longest_lap = self.longest_lap.max((took, phase));
        self.lap_at = now;
    }

    /// The turn has ended with its last phase. Tells if it was slow and that has not been told just before.
    pub(super) fn end(&mut self) -> Option<SlowTurn> {
        let took = self.lap_at.saturating_duration_since(self.began_at);
        self.turns += 1;
        self.longest = self.longest.max(took);
        let is_told = took >= SLOW_TURN && self.told.admits(self.lap_at);
        is_told.then_some(SlowTurn {
            took,
            phase: self.longest_lap.1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::outset;

    #[test]
    fn f027_a_slow_turn_is_told_with_its_phase_once_a_second() {
        let outset = outset();
        let at = |ms| outset + Duration::from_millis(ms);
        let mut meter = Meter::new(outset);
        let mut turn = |begin| {
            meter.begin(at(begin));
            meter.lap("read", at(begin + 20));
            meter.lap("flush", at(begin + 110));
            meter.end()
        };
        let slow = SlowTurn {
            took: Duration::from_millis(110),
            phase: "flush",
        };
        assert_eq!(turn(0), Some(slow));
        assert_eq!(turn(500), None);
        assert_eq!(turn(1200), Some(slow));
        assert_eq!(
            (meter.turns, meter.longest),
            (3, Duration::from_millis(110))
        );
        meter.begin(at(5000));
        meter.lap("read", at(5001));
        assert_eq!(meter.end(), None);
    }
}
