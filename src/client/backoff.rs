//! How long to wait before a server is dialled again: longer each time, and not the same for everybody.

use std::time::Duration;

use crate::client::options::Reconnect;

/// How often it failed, and how the dice lie.
#[derive(Debug)]
pub(super) struct Backoff {
    reconnect: Reconnect,
    failures: u32,
    random: u64,
}

impl Backoff {
    pub(super) fn new(reconnect: Reconnect) -> Self {
        Self {
            failures: 0,
            random: reconnect.seed,
            reconnect,
        }
    }

    /// A connection is lost that `lasted` this long.
    pub(super) fn handle_loss(&mut self, lasted: Duration) {
        if lasted >= self.reconnect.delay_max {
            self.failures = 0;
        }
    }

    /// How long to wait after one more failure; `None`: give up.
    pub(super) fn next_delay(&mut self) -> Option<Duration> {
        let Reconnect {
            delay_min,
            delay_max,
            failures_max,
            ..
        } = self.reconnect;
        let failures_before = self.failures;
        self.failures = self.failures.saturating_add(1);
        if failures_max.is_some_and(|max| self.failures >= max) {
            return None;
        }
        let doubled = 2_u32
            .checked_pow(failures_before)
            .and_then(|factor| delay_min.checked_mul(factor));
        let delay = doubled.map_or(delay_max, |delay| delay.min(delay_max));
        // The upper half of the bits is a fraction of 2^32.
        let fraction = (self.next_random() >> 32) as f64 / f64::from(u32::MAX);
        Some(delay.mul_f64(1.0 - fraction / 2.0))
    }

    /// Steele, Lea and Flood's `SplitMix64`: enough for spreading, and seeded with any number.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reconnect(seed: u64) -> Reconnect {
        Reconnect::default()
            .delays(Duration::from_millis(100), Duration::from_secs(1))
            .failures_max(40)
            .seed(seed)
    }

    fn delays(seed: u64) -> Vec<Duration> {
        let mut backoff = Backoff::new(reconnect(seed));
        std::iter::from_fn(|| backoff.next_delay()).collect()
    }

    #[test]
    fn waits_grow_up_to_the_most_and_are_shortened_by_up_to_a_half() {
        let delays = delays(1);
        assert_eq!(delays.len(), 39, "the 40th failure is the last");
        for (failure, delay) in delays.iter().enumerate() {
            let full = Duration::from_millis((100 << failure.min(10)).min(1000));
            assert!(
                (full / 2..=full).contains(delay),
                "{delay:?} after {failure} failures"
            );
        }
    }

    #[test]
    fn a_seed_gives_its_own_waits() {
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }

    #[test]
    fn a_connection_that_lasted_begins_anew() {
        let mut backoff = Backoff::new(reconnect(1));
        for _ in 0..5 {
            backoff.next_delay();
        }
        backoff.handle_loss(Duration::from_millis(999));
        assert!(backoff.next_delay() > Some(Duration::from_millis(100)));
        backoff.handle_loss(Duration::from_secs(1));
        assert!(backoff.next_delay() <= Some(Duration::from_millis(100)));
    }
}
