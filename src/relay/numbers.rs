//! Which events of one node have come: what is sent twice is taken once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// At most so many numbers below the highest are waited for.
const MISSING_MAX: usize = 1000;

/// So long is a number waited for.
const MISSING_FOR: Duration = Duration::from_secs(60);

/// What becomes of an event with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It comes in its order.
    New,
    /// It comes, and some before it have not.
    Ahead,
    /// Later ones have come before it.
    Late,
    /// It has been here.
    Again,
}

/// The numbers of one node in one stream.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    highest: Option<u64>,
    /// Those below it that have not come, in their order, each with when that was seen.
    missing: VecDeque<(u64, Instant)>,
}

impl Numbers {
    /// An event with this number has come. Below the first one of a node nothing is missing.
    pub(crate) fn take(&mut self, number: u64, now: Instant) -> Turn {
        let Some(highest) = self.highest.filter(|highest| number <= *highest) else {
            let next = self.highest.map_or(number, |highest| highest + 1);
            // A gap of more than is waited for is not walked through.
            let first = next.max(number.saturating_sub(MISSING_MAX as u64));
            self.missing
                .extend((first..number).map(|missing| (missing, now)));
            while self.missing.len() > MISSING_MAX {
                self.missing.pop_front();
            }
            self.highest = Some(number);
            return if number == next {
                Turn::New
            } else {
                Turn::Ahead
            };
        };
        debug_assert!(number <= highest);
        let found = self
            .missing
            .binary_search_by_key(&number, |(missing, _)| *missing);
        let missing = found.ok().and_then(|index| self.missing.remove(index));
        match missing.map(|(_, since)| since) {
            Some(since) if now.saturating_duration_since(since) <= MISSING_FOR => Turn::Late,
            _ => Turn::Again,
        }
    }

    /// How many are waited for.
    pub(crate) fn missing(&self) -> usize {
        self.missing.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::outset;

    #[test]
    fn each_number_is_taken_once_and_a_gap_is_waited_for() {
        let (mut numbers, outset) = (Numbers::default(), outset());
        let mut take =
            |number, seconds| numbers.take(number, outset + Duration::from_secs(seconds));
        assert_eq!(take(7, 0), Turn::New);
        assert_eq!(take(7, 0), Turn::Again);
        assert_eq!(
            take(6, 0),
            Turn::Again,
            "nothing is missing below the first"
        );
        assert_eq!(take(10, 0), Turn::Ahead);
        assert_eq!(take(9, 1), Turn::Late);
        assert_eq!(take(9, 1), Turn::Again);
        assert_eq!(take(8, 61), Turn::Again, "it was waited for long enough");
        assert_eq!(take(11, 61), Turn::New);
        assert_eq!(numbers.missing(), 0);
    }

    #[test]
    fn a_great_gap_costs_no_more_than_is_waited_for() {
        let (mut numbers, outset) = (Numbers::default(), outset());
        assert_eq!(numbers.take(1, outset), Turn::New);
        assert_eq!(numbers.take(u64::MAX - 1, outset), Turn::Ahead);
        assert_eq!(numbers.missing(), MISSING_MAX);
        assert_eq!(numbers.take(u64::MAX - 2, outset), Turn::Late);
        assert_eq!(numbers.take(2, outset), Turn::Again);
        assert_eq!(numbers.take(u64::MAX, outset), Turn::New);
        assert_eq!(numbers.take(u64::MAX, outset), Turn::Again);
    }
}
