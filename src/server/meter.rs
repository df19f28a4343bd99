//! How many turns there were, how long they took, and where they spent their time.

use std::time::{Duration, Instant};

use crate::histogram::{Bound, Histogram};
use crate::rate::Window;

/// A turn that takes longer is worth a line in the log, one in a second.
const SLOW_TURN: Duration = Duration::from_millis(100);

/// The classes of [`Meter::took`].
pub(super) const TURN_BOUNDS: [Bound; 9] = [
    Bound(100, "0.0001"),
    Bound(250, "0.00025"),
    Bound(1_000, "0.001"),
    Bound(2_500, "0.0025"),
    Bound(10_000, "0.01"),
    Bound(25_000, "0.025"),
    Bound(100_000, "0.1"),
    Bound(250_000, "0.25"),
    Bound(1_000_000, "1"),
];

/// A part of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Note,
    Accept,
    Read,
    Tick,
    Flush,
    Reap,
    /// What is done for operators and for monitoring, the log among it.
    Operate,
}

impl Phase {
    /// All of them, in the order of their discriminants.
    pub(super) const ALL: [Self; 7] = [
        Self::Note,
        Self::Accept,
        Self::Read,
        Self::Tick,
        Self::Flush,
        Self::Reap,
        Self::Operate,
    ];

    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Accept => "accept",
            Self::Read => "read",
            Self::Tick => "tick",
            Self::Flush => "flush",
            Self::Reap => "reap",
            Self::Operate => "operate",
        }
    }
}

/// The clockwork of the turns.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) turns: u64,
    pub(super) longest: Duration,
    /// How long the turns took.
    pub(super) took: Histogram<{ TURN_BOUNDS.len() }>,
    /// How long each phase took, in all turns together.
    pub(super) phases: [Duration; Phase::ALL.len()],
    began_at: Instant,
    lap_at: Instant,
    longest_lap: (Duration, Phase),
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
            took: Histogram::default(),
            phases: [Duration::ZERO; Phase::ALL.len()],
            began_at: now,
            lap_at: now,
            longest_lap: (Duration::ZERO, Phase::Note),
            told: Window::default(),
        }
    }

    /// A turn begins, or rather its work: the waiting does not count.
    pub(super) fn begin(&mut self, now: Instant) {
        self.began_at = now;
        self.lap_at = now;
        self.longest_lap = (Duration::ZERO, Phase::Note);
    }

    /// When the turn at hand began.
    pub(super) fn began_at(&self) -> Instant {
        self.began_at
    }

    /// A phase has ended.
    pub(super) fn lap(&mut self, phase: Phase, now: Instant) {
        let took = now.saturating_duration_since(self.lap_at);
        self.phases[phase as usize] += took;
        self.longest_lap = self.longest_lap.max((took, phase));
        self.lap_at = now;
    }

    /// The turn has ended with its last phase. Tells if it was slow and that has not been told just before.
    pub(super) fn end(&mut self) -> Option<SlowTurn> {
        let took = self.lap_at.saturating_duration_since(self.began_at);
        self.turns += 1;
        self.longest = self.longest.max(took);
        self.took.add(took, &TURN_BOUNDS);
        let is_told = took >= SLOW_TURN && self.told.admits(self.lap_at);
        is_told.then_some(SlowTurn {
            took,
            phase: self.longest_lap.1.word(),
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
            meter.lap(Phase::Read, at(begin + 20));
            meter.lap(Phase::Flush, at(begin + 110));
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
        meter.lap(Phase::Read, at(5001));
        assert_eq!(meter.end(), None);
        assert_eq!(meter.took.cumulative(), [0, 0, 1, 1, 1, 1, 1, 4, 4]);
        assert_eq!(meter.took.sum(), Duration::from_millis(331));
        let told = [Phase::Read, Phase::Flush].map(|phase| meter.phases[phase as usize]);
        assert_eq!(told, [61, 270].map(Duration::from_millis));
    }

    #[test]
    fn phases_stand_at_their_own_index() {
        for (index, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, index);
        }
    }
}
