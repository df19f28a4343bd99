//! How often something took how long, in a fixed number of classes.

use std::time::Duration;

/// The upper bound of a class, in µs, and how it is written in seconds.
#[derive(Debug)]
pub(crate) struct Bound(pub(crate) u32, pub(crate) &'static str);

/// What takes longer than the last bound is counted in the sum of all alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Histogram<const BOUNDS: usize> {
    /// How many were within this bound and not within the one before.
    within: [u64; BOUNDS],
    count: u64,
    sum: Duration,
}

impl<const BOUNDS: usize> Default for Histogram<BOUNDS> {
    fn default() -> Self {
        Self {
            within: [0; BOUNDS],
            count: 0,
            sum: Duration::ZERO,
        }
    }
}

impl<const BOUNDS: usize> Histogram<BOUNDS> {
    /// Counts one that took so long. The bounds are the same at each call, and ascend.
    pub(crate) fn add(&mut self, took: Duration, bounds: &[Bound; BOUNDS]) {
        let is_within = |bound: &Bound| took <= Duration::from_micros(bound.0.into());
        if let Some(class) = bounds.iter().position(is_within) {
            self.within[class] += 1;
        }
        self.count += 1;
        self.sum += took;
    }

    /// How many took at most as long as each of the bounds.
    pub(crate) fn cumulative(&self) -> [u64; BOUNDS] {
        let mut sum = 0;
        self.within.map(|count| {
            sum += count;
            sum
        })
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// How long all of them took together.
    pub(crate) fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: [Bound; 3] = [
        Bound(100, "0.0001"),
        Bound(1000, "0.001"),
        Bound(50_000, "0.05"),
    ];

    #[test]
    fn each_is_counted_at_its_bound_and_at_those_above() {
        let mut histogram = Histogram::default();
        for micros in [0, 100, 101, 1000, 50_000, 50_001] {
            histogram.add(Duration::from_micros(micros), &BOUNDS);
        }
        assert_eq!(histogram.cumulative(), [2, 4, 5]);
        assert_eq!(histogram.count(), 6);
        assert_eq!(histogram.sum(), Duration::from_micros(101_202));
    }

    #[test]
    fn none_is_within_any_bound_at_first() {
        assert_eq!(Histogram::<3>::default().cumulative(), [0; 3]);
    }
}
