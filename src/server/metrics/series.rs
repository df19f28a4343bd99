//! The series of a metric: their names, labels and values.

use std::fmt;
use std::time::Duration;

use crate::histogram::{Bound, Histogram};

/// Names and values that tell series of one metric apart.
pub(super) type Labels<'a> = &'a [(&'static str, &'static str)];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Seconds(Duration),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Seconds(time) => {
                let (seconds, micros) = (time.as_secs(), time.subsec_micros());
                let digits = format!("{seconds}.{micros:06}");
                f.write_str(digits.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

/// Takes the series of one metric.
pub(super) struct Series<'a> {
    pub(super) name: &'static str,
    /// Is called with the name of the series, its labels and its value.
    pub(super) take: &'a mut dyn FnMut(SeriesName, Labels<'_>, Value),
}

/// The name of the metric, and what stands behind it for a part of a histogram.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeriesName(&'static str, &'static str);

impl fmt::Display for SeriesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        f.write_str(self.1)
    }
}

impl Series<'_> {
    pub(super) fn add(&mut self, labels: Labels<'_>, value: Value) {
        (self.take)(SeriesName(self.name, ""), labels, value);
    }

    pub(super) fn count(&mut self, labels: Labels<'_>, count: u64) {
        self.add(labels, Value::Count(count));
    }

    pub(super) fn flag(&mut self, is_so: bool) {
        self.count(&[], u64::from(is_so));
    }

    /// One series for each value of a label.
    pub(super) fn counts(
        &mut self,
        label: &'static str,
        values: impl IntoIterator<Item = &'static str>,
        counts: &[u64],
    ) {
        for (value, count) in values.into_iter().zip(counts) {
            self.count(&[(label, value)], *count);
        }
    }

    pub(super) fn histogram<const N: usize>(&mut self, of: &Histogram<N>, bounds: &[Bound; N]) {
        let bucket = SeriesName(self.name, "_bucket");
        for (count, Bound(_, le)) in of.cumulative().into_iter().zip(bounds) {
            (self.take)(bucket, &[("le", le)], Value::Count(count));
        }
        (self.take)(bucket, &[("le", "+Inf")], Value::Count(of.count()));
        (self.take)(SeriesName(self.name, "_sum"), &[], Value::Seconds(of.sum()));
        (self.take)(
            SeriesName(self.name, "_count"),
            &[],
            Value::Count(of.count()),
        );
    }
}
