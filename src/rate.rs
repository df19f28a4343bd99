//! How often something may happen: [`Bucket`] for what may come in bursts, [`Window`] for at most `N` in any second.
//!
//! A session pays for its lines, and for the work that they are, from one bucket; who charges it is the hub.

use std::time::{Duration, Instant};

/// The span that a [`Window`] looks back.
const SECOND: Duration = Duration::from_secs(1);

/// How fast a token bucket fills, and how many tokens it holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that come back in a second, at most a million; 0: no limit.
    pub per_second: u32,
    /// Tokens of a full bucket; 0: no limit.
    pub burst: u32,
}

impl Rate {
    /// No limit at all.
    pub const UNLIMITED: Self = Self {
        per_second: 0,
        burst: 0,
    };

    /// Whether no bucket of this rate is ever empty.
    #[must_use]
    pub fn is_unlimited(self) -> bool {
        self.per_second == 0 || self.burst == 0
    }

    /// How long a token takes to come back, in µs; not for a rate without a limit.
    fn token_micros(self) -> u64 {
        1_000_000 / u64::from(self.per_second)
    }

    /// What is owed as `owed` at this rate, at the rate `to`: as many tokens, but no more than a bucket of that rate
    /// holds, and what went beyond one of this. So a session that was let to owe much does not wait for all of it where
    /// buckets are small. Nothing is owed where either has no limit.
    pub(crate) fn convert(self, owed: Duration, to: Self) -> Duration {
        if self.is_unlimited() || to.is_unlimited() {
            return Duration::ZERO;
        }
        let [from_token, to_token] = [self, to].map(|rate| u128::from(rate.token_micros()));
        let owed = owed.as_micros();
        let beyond = owed.saturating_sub(from_token * u128::from(self.burst));
        let most = to_token * u128::from(to.burst) + beyond * to_token / from_token;
        let micros = most.min(owed * to_token / from_token);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// A token bucket, full at first. It is kept as one number, the time at which it is full again (GCRA, ITU-T I.371);
/// so a session that holds one needs no more than that.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    /// In µs after the `start` that each call is given.
    full_at_micros: u64,
}

impl Bucket {
    /// Takes `cost` thousandths of a token, more than there are if need be. If less than one token is left, gives the
    /// time at which there is one again. `start` is the same in every call and not after `now`.
    pub(crate) fn charge(
        &mut self,
        rate: Rate,
        cost: u64,
        start: Instant,
        now: Instant,
    ) -> Option<Instant> {
        if rate.is_unlimited() {
            return None;
        }
        let token_micros = rate.token_micros();
        let now_micros = now.saturating_duration_since(start).as_micros() as u64;
        let cost_micros = token_micros.saturating_mul(cost) / 1000;
        self.full_at_micros = self.full_at_micros.max(now_micros) + cost_micros;
        let all_but_one_micros = token_micros * u64::from(rate.burst - 1);
        let one_at_micros = self.full_at_micros.saturating_sub(all_but_one_micros);
        (one_at_micros > now_micros).then(|| start + Duration::from_micros(one_at_micros))
    }

    /// When it is full again; not after `now`, if it is.
    pub(crate) fn full_at(self, start: Instant) -> Instant {
        start + Duration::from_micros(self.full_at_micros)
    }

    /// Whether more than half of its tokens are gone; never where there is no limit.
    pub(crate) fn is_half_empty(self, rate: Rate, start: Instant, now: Instant) -> bool {
        let half_micros = rate.is_unlimited().then_some(u64::MAX);
        let half_micros =
            half_micros.unwrap_or_else(|| rate.token_micros() * u64::from(rate.burst) / 2);
        let now_micros = now.saturating_duration_since(start).as_micros() as u64;
        self.full_at_micros.saturating_sub(now_micros) > half_micros
    }

    /// Goes on with the rate `to` instead of `from`.
    pub(crate) fn change_rate(&mut self, from: Rate, to: Rate, start: Instant, now: Instant) {
        let owed = self.full_at(start).saturating_duration_since(now);
        *self = Self::owing(now + from.convert(owed, to), start);
    }

    /// A bucket that is full at this time.
    pub(crate) fn owing(full_at: Instant, start: Instant) -> Self {
        let owed = full_at.saturating_duration_since(start);
        Self {
            full_at_micros: owed.as_micros() as u64,
        }
    }
}

/// Lets at most `N` events pass in any second.
#[derive(Debug, Clone)]
pub(crate) struct Window<const N: usize> {
    /// When the last `N` passed: a ring, with the oldest at `next`.
    passed_at: [Option<Instant>; N],
    next: usize,
}

impl<const N: usize> Default for Window<N> {
    fn default() -> Self {
        Self {
            passed_at: [None; N],
            next: 0,
        }
    }
}

impl<const N: usize> Window<N> {
    /// Until when no more may pass; `None` if one may pass now.
    pub(crate) fn full_until(&self, now: Instant) -> Option<Instant> {
        let free_at = self.passed_at[self.next]? + SECOND;
        (free_at > now).then_some(free_at)
    }

    /// Whether one more may pass now; if so, it is counted.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        let admits = self.full_until(now).is_none();
        if admits {
            self.passed_at[self.next] = Some(now);
            self.next = (self.next + 1) % N;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_clock::outset;

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn a_bucket_is_half_empty_when_more_than_half_of_it_is_gone() {
        let rate = Rate {
            per_second: 10,
            burst: 40,
        };
        let (mut bucket, start) = (Bucket::default(), outset());
        bucket.charge(rate, 20_000, start, start);
        assert!(!bucket.is_half_empty(rate, start, start));
        bucket.charge(rate, 1_000, start, start);
        assert!(bucket.is_half_empty(rate, start, start));
        assert!(!bucket.is_half_empty(Rate::UNLIMITED, start, start));
        let later = start + micros(100_000);
        assert!(!bucket.is_half_empty(rate, start, later));
    }

    #[test]
    fn a_burst_passes_and_then_one_for_each_interval() {
        let rate = Rate {
            per_second: 10,
            burst: 3,
        };
        let (mut bucket, start) = (Bucket::default(), outset());
        assert_eq!(bucket.charge(rate, 1_000, start, start), None);
        assert_eq!(bucket.charge(rate, 1_000, start, start), None);
        let tenth = micros(100_000);
        assert_eq!(
            bucket.charge(rate, 1_000, start, start),
            Some(start + tenth)
        );
        let now = start + tenth;
        assert_eq!(bucket.charge(rate, 1_000, start, now), Some(now + tenth));
        // After a pause the bucket is full, and no fuller.
        let now = now + 1000 * tenth;
        assert_eq!(bucket.charge(rate, 3_000, start, now), Some(now + tenth));
        assert_eq!(
            bucket.charge(rate, 20_000, start, now),
            Some(now + 21 * tenth)
        );
    }

    #[test]
    fn what_is_owed_can_be_taken_over() {
        let rate = Rate {
            per_second: 10,
            burst: 3,
        };
        let (mut bucket, start) = (Bucket::default(), outset());
        assert!(bucket.full_at(start) <= start);
        bucket.charge(rate, 2_500, start, start);
        let full_at = start + micros(250_000);
        assert_eq!(bucket.full_at(start), full_at);
        let later = start + micros(50_000);
        let mut other = Bucket::owing(full_at, later);
        assert_eq!(other.full_at(later), full_at);
        let tenth = micros(100_000);
        assert_eq!(other.charge(rate, 500, later, later), Some(start + tenth));
        let paid = Bucket::owing(start, later);
        assert_eq!(paid.full_at(later), later);
    }

    #[test]
    fn a_rate_with_a_zero_is_no_limit() {
        let (mut bucket, start) = (Bucket::default(), outset());
        for (per_second, burst) in [(0, 0), (0, 5), (5, 0)] {
            let rate = Rate { per_second, burst };
            assert!(rate.is_unlimited());
            assert_eq!(bucket.charge(rate, u64::MAX, start, start), None);
        }
        let rate = Rate {
            per_second: 1,
            burst: 2,
        };
        assert_eq!(bucket.charge(rate, 1_000, start, start), None);
    }

    #[test]
    fn what_is_owed_is_owed_at_another_rate_and_no_more_than_its_bucket_holds() {
        let rate = |per_second, burst| Rate { per_second, burst };
        for (from, owed, to, expected) in [
            (rate(10, 40), 4000, rate(5, 40), 8000),
            (rate(10, 40), 4000, rate(20, 40), 2000),
            (rate(1, 1_000_000), 900_000_000, rate(10, 40), 4000),
            // One line more than there were.
            (rate(10, 40), 4100, rate(10, 2), 300),
            (rate(10, 40), 4100, Rate::UNLIMITED, 0),
            (Rate::UNLIMITED, 4100, rate(10, 40), 0),
            (rate(1, 1), 1000, rate(1_000_000, 1_000_000), 0),
        ] {
            let start = outset();
            let now = start + SECOND;
            let mut bucket = Bucket::owing(now + Duration::from_millis(owed), start);
            bucket.change_rate(from, to, start, now);
            let owes = bucket.full_at(start).saturating_duration_since(now);
            assert_eq!(owes.as_millis(), expected, "{from:?} {to:?}");
        }
    }

    #[test]
    fn one_in_a_second() {
        let (mut window, start) = (Window::<1>::default(), outset());
        let passed = [0, 999, 1000, 1001, 1999, 2000]
            .map(|ms| window.admits(start + Duration::from_millis(ms)));
        assert_eq!(passed, [true, false, true, false, false, true]);
        assert_eq!(
            window.full_until(start + 2 * SECOND),
            Some(start + 3 * SECOND)
        );
        assert_eq!(window.full_until(start + 3 * SECOND), None);
    }

    proptest! {
        #[test]
        fn a_bucket_is_tokens_that_come_back(
            per_second in 1..2000u32,
            burst in 1..50u32,
            charges in prop::collection::vec((0..200_000u64, 0..4u32), 1..100),
        ) {
            let (mut bucket, start) = (Bucket::default(), outset());
            // Tokens are counted in the time that they take to come back.
            let token = i64::from(1_000_000 / per_second);
            let full = token * i64::from(burst);
            let (mut tokens, mut now) = (full, start);
            for (after, cost) in charges {
                now += micros(after);
                tokens = full.min(tokens + after.cast_signed()) - token * i64::from(cost);
                let missing = u64::try_from(token - tokens).unwrap_or(0);
                let one_at = (missing > 0).then(|| now + micros(missing));
                prop_assert_eq!(bucket.charge(Rate { per_second, burst }, u64::from(cost) * 1000, start, now), one_at);
            }
        }

        #[test]
        fn a_window_lets_pass_what_is_not_too_much_for_any_second(
            steps in prop::collection::vec(0..600u64, 1..100),
        ) {
            let (mut window, mut now) = (Window::<3>::default(), outset());
            let mut passed: Vec<Instant> = Vec::new();
            for step in steps {
                now += Duration::from_millis(step);
                let last_second = passed.iter().filter(|at| **at + SECOND > now).count();
                let expected = last_second < 3;
                prop_assert_eq!(window.full_until(now).is_none(), expected);
                prop_assert_eq!(window.admits(now), expected);
                if expected {
                    passed.push(now);
                }
            }
        }
    }
}
