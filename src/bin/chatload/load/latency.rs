//! Latencies, from the moment at which a line was due to that at which it was heard.
//!
//! They do not count from the moment at which a line was sent: if the load or the server falls behind, what had to wait
//! for it is not told of as fast.

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The longest that is told apart from longer ones: an hour, in microseconds.
const MICROSECONDS_MAX: u64 = 3_600_000_000;
const DIGITS: u8 = 3;

/// Latencies in microseconds, to three digits.
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> io::Result<Self> {
        let histogram = Histogram::new_with_bounds(1, MICROSECONDS_MAX, DIGITS);
        histogram.map(Self).map_err(io::Error::other)
    }

    pub(crate) fn record(&mut self, due_at: Instant, heard_at: Instant) {
        let latency = heard_at.saturating_duration_since(due_at);
        self.0.saturating_record(latency.as_micros() as u64);
    }

    /// That which this share of them does not exceed, 1.0 being the longest; 0 if there are none.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(share))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn quantiles_are_exact_to_three_digits() {
        // Here and not above, for the bench has no tests.
        use super::*;

        let mut latencies = Latencies::new().expect("the bounds are fit for a histogram");
        assert_eq!(latencies.quantile(0.5), Duration::ZERO);
        let due_at = crate::clock();
        for milliseconds in 1..=1000 {
            latencies.record(due_at, due_at + Duration::from_millis(milliseconds));
        }
        // Before it was due: that counts as at once.
        latencies.record(due_at + Duration::from_secs(1), due_at);
        for (share, milliseconds) in [(0.5, 500), (0.99, 990), (1.0, 1000)] {
            let quantile = latencies.quantile(share);
            let off_by = quantile.abs_diff(Duration::from_millis(milliseconds));
            assert!(off_by <= quantile / 1000, "{share}: {quantile:?}");
        }
    }
}
