//! Who came, went and changed their name, told one by one as long as that is little, and summed up by the second when it is much.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::{Duration, Instant};

/// At most this many are told one by one in any second; the rest of that second is summed up at its end.
pub(super) const TOLD_MAX: usize = 10;

/// The span that a gate looks back.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// How the others are told that a member is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub) struct Announced {
    /// Counts the members of the room that were announced.
    pub(super) arrival: NonZeroU64,
    pub(super) told: Told,
    /// When those who keep a list were told of it, counted in such introductions; `None` if they were not.
    pub(in crate::hub) introduced: Option<NonZeroU32>,
}

/// Who hears that somebody comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Those who are told of many in a sum.
    Summed,
    /// Those who keep a list of who is there.
    OneByOne,
}

/// How one join, leave or rename is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// At once, by name.
    ByName,
    /// In the sum with this number.
    InSum(NonZeroU32),
}

/// Decides which joins (or leaves, or renames) are told at once and counts the others.
///
/// Invariants: `withheld` is 0 exactly if `due_at` is `None`; `told_at` is in order, and at most [`TOLD_MAX`] long. A quiet
/// room owns next to nothing for it.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// When those of the last second were told by name.
    told_at: Vec<Instant>,
    withheld: usize,
    due_at: Option<Instant>,
    /// How many sums have been told, so that a session can tell whether the one that counts it is still to come.
    sums: u32,
}

impl Gate {
    /// One more has come (or gone, or changed their name).
    pub(super) fn admit(&mut self, now: Instant) -> Told {
        let old = self.told_at.partition_point(|at| *at + SECOND <= now);
        self.told_at.drain(..old);
        if self.withheld == 0 && self.told_at.len() < TOLD_MAX {
            self.told_at.push(now);
            return Told::ByName;
        }
        self.withheld += 1;
        let full = self
            .told_at
            .first()
            .filter(|_| self.told_at.len() == TOLD_MAX);
        let full_until = full.map(|oldest| *oldest + SECOND);
        self.due_at.get_or_insert(full_until.unwrap_or(now));
        Told::InSum(self.sum())
    }

    /// Takes back one that was to be told in `told`; gives whether it had not been told yet.
    pub(super) fn retract(&mut self, told: Told) -> bool {
        let waits = told == Told::InSum(self.sum());
        if waits {
            self.withheld -= 1;
            if self.withheld == 0 {
                self.due_at = None;
                self.sums = self.sums.wrapping_add(1);
            }
        }
        waits
    }

    /// Whether `told` is still to come.
    pub(super) fn waits(&self, told: Told) -> bool {
        told == Told::InSum(self.sum())
    }

    /// The number of the sum that is to be told next.
    fn sum(&self) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(self.sums)
    }

    /// When the sum is to be told.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// The sum, if it is time to tell it.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<usize> {
        self.due_at.filter(|at| *at <= now)?;
        self.due_at = None;
        self.sums = self.sums.wrapping_add(1);
        Some(std::mem::take(&mut self.withheld))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::test_clock::outset;

    fn ms(outset: Instant, ms: u64) -> Instant {
        outset + Duration::from_millis(ms)
    }

    fn count_by_name(gate: &mut Gate, count: usize, now: Instant) -> usize {
        (0..count)
            .filter(|_| gate.admit(now) == Told::ByName)
            .count()
    }

    #[test]
    fn ten_by_name_and_the_rest_at_the_end_of_the_second() {
        let (mut gate, outset) = (Gate::default(), outset());
        assert_eq!(count_by_name(&mut gate, 47, outset), 10);
        assert_eq!(gate.due_at(), Some(ms(outset, 1000)));
        assert_eq!(gate.take_due(ms(outset, 999)), None);
        assert_eq!(gate.take_due(ms(outset, 1000)), Some(37));
        assert_eq!(gate.take_due(ms(outset, 2000)), None);
    }

    #[test]
    fn never_more_than_ten_in_any_second() {
        let (mut gate, outset) = (Gate::default(), outset());
        assert_eq!(count_by_name(&mut gate, 1, outset), 1);
        assert_eq!(count_by_name(&mut gate, 9, ms(outset, 900)), 9);
        assert_eq!(
            count_by_name(&mut gate, 3, ms(outset, 1100)),
            1,
            "the first one's second is over"
        );
        assert_eq!(gate.take_due(ms(outset, 1900)), Some(2));
    }

    #[test]
    fn order_is_kept_while_a_sum_is_due() {
        let (mut gate, outset) = (Gate::default(), outset());
        assert_eq!(count_by_name(&mut gate, 11, outset), 10);
        assert_eq!(
            count_by_name(&mut gate, 1, ms(outset, 1500)),
            0,
            "the sum was not told yet"
        );
        assert_eq!(gate.take_due(ms(outset, 1500)), Some(2));
        assert_eq!(count_by_name(&mut gate, 1, ms(outset, 1500)), 1);
    }

    #[test]
    fn who_goes_before_the_sum_is_not_in_it() {
        let (mut gate, outset) = (Gate::default(), outset());
        let told: Vec<Told> = (0..12).map(|_| gate.admit(outset)).collect();
        assert!(!gate.retract(told[0]));
        assert!(gate.retract(told[10]));
        assert!(gate.retract(told[11]));
        assert_eq!(gate.due_at(), None);
        assert_eq!(gate.take_due(ms(outset, 1000)), None);
        let later = gate.admit(outset);
        assert!(gate.waits(later));
        assert!(!gate.waits(told[11]), "its sum has been dropped");
    }
}
