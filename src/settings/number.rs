//! The numbers among the settings: in which unit they are written and how far they go.
//!
//! Invariant: what `show` writes, `read` takes for the same number.

use std::fmt;
use std::time::Duration;

pub(super) const KIB: u64 = 1024;
pub(super) const MIB: u64 = 1024 * KIB;
/// Times are counted in milliseconds.
pub(super) const SECOND: u64 = 1000;
pub(super) const HOUR: u64 = 3600 * SECOND;
pub(super) const DAY: u64 = 24 * HOUR;

/// The numbers that a setting takes, both ends included.
pub(super) struct Range {
    pub(super) unit: Unit,
    pub(super) least: u64,
    pub(super) most: u64,
    pub(super) zero: Zero,
}

/// In what a number is written; what it is counted in follows.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    /// Pieces.
    Count,
    /// Bytes, with `k` and `m`.
    Bytes,
    /// Written in seconds with at most three decimals, counted in milliseconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// Whether a number that has no zero in its range may still be 0.
pub(super) enum Zero {
    Refused,
    /// Yes, and it means this.
    Means(&'static str),
    /// Yes, but it is written as this word.
    Written(&'static str),
}

pub(super) const fn count(least: u64, most: u64) -> Range {
    Range::new(Unit::Count, least, most)
}

pub(super) const fn bytes(least: u64, most: u64) -> Range {
    Range::new(Unit::Bytes, least, most)
}

/// Both ends in milliseconds.
pub(super) const fn seconds(least: u64, most: u64) -> Range {
    Range::new(Unit::Seconds, least, most)
}

pub(super) const fn milliseconds(least: u64, most: u64) -> Range {
    Range::new(Unit::Milliseconds, least, most)
}

impl Range {
    const fn new(unit: Unit, least: u64, most: u64) -> Self {
        let zero = Zero::Refused;
        Range {
            unit,
            least,
            most,
            zero,
        }
    }

    pub(super) const fn zero_means(mut self, meaning: &'static str) -> Self {
        self.zero = Zero::Means(meaning);
        self
    }

    pub(super) const fn zero_written(mut self, word: &'static str) -> Self {
        self.zero = Zero::Written(word);
        self
    }

    /// As `read` would take it.
    pub(super) fn show(&self, n: u64) -> String {
        match self.zero {
            Zero::Written(word) if n == 0 => word.to_owned(),
            _ => self.unit.show(n),
        }
    }

    /// The error says what is wrong with the value, without the value itself.
    pub(super) fn read(&self, value: &str) -> Result<u64, String> {
        if matches!(self.zero, Zero::Written(word) if word == value) {
            return Ok(0);
        }
        let Some(n) = self.unit.read(value) else {
            return Err(format!("is not {}", self.unit.form()));
        };
        let zero_allowed = matches!(self.zero, Zero::Means(_));
        if (self.least..=self.most).contains(&n) || (n == 0 && zero_allowed) {
            Ok(n)
        } else {
            Err(format!("is out of range, {self}"))
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.zero {
            Zero::Refused => {}
            Zero::Means(meaning) => write!(f, "0: {meaning}, or ")?,
            Zero::Written(word) => write!(f, "{word}, or ")?,
        }
        let [least, most] = [self.least, self.most].map(|end| self.unit.show(end));
        write!(f, "{least} to {most}")
    }
}

impl Unit {
    /// What a value looks like.
    fn form(self) -> &'static str {
        match self {
            Unit::Count => "a whole number",
            Unit::Bytes => "a size, such as 4096, 64k or 16m",
            Unit::Seconds => "a number of seconds, such as 10 or 0.25",
            Unit::Milliseconds => "a whole number of milliseconds",
        }
    }

    /// `None`: not of the form. A number too large to count is the largest there is, and so out of
    /// every range.
    fn read(self, text: &str) -> Option<u64> {
        match self {
            Unit::Count | Unit::Milliseconds => read_digits(text),
            Unit::Bytes => {
                let (digits, factor) = match text.strip_suffix(['k', 'K']) {
                    Some(digits) => (digits, KIB),
                    None => text
                        .strip_suffix(['m', 'M'])
                        .map_or((text, 1), |digits| (digits, MIB)),
                };
                Some(read_digits(digits)?.saturating_mul(factor))
            }
            Unit::Seconds => {
                let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
                // Three decimals and no more, so that nothing but 0 is ever taken for 0.
                if fraction.is_empty() || fraction.len() > 3 {
                    return None;
                }
                let milliseconds = read_digits(&format!("{fraction:0<3}"))?;
                let whole = read_digits(whole)?.saturating_mul(SECOND);
                Some(whole.saturating_add(milliseconds))
            }
        }
    }

    /// As `read` would take it.
    pub(super) fn show(self, n: u64) -> String {
        match self {
            Unit::Count | Unit::Milliseconds => n.to_string(),
            Unit::Bytes => show_bytes(n),
            Unit::Seconds if n.is_multiple_of(SECOND) => (n / SECOND).to_string(),
            Unit::Seconds => {
                let exact = format!("{}.{:03}", n / SECOND, n % SECOND);
                exact.trim_end_matches('0').to_owned()
            }
        }
    }
}

pub(super) fn show_bytes(n: u64) -> String {
    match n {
        // A multiple of everything.
        0 => "0".to_owned(),
        n if n.is_multiple_of(MIB) => format!("{}m", n / MIB),
        n if n.is_multiple_of(KIB) => format!("{}k", n / KIB),
        n => n.to_string(),
    }
}

/// Only digits make a number: no sign, no blank, no exponent.
fn read_digits(text: &str) -> Option<u64> {
    is_digits(text).then(|| text.parse().unwrap_or(u64::MAX))
}

pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// As a number is stored that may be off.
pub(super) fn or_zero(n: Option<usize>) -> u64 {
    n.unwrap_or(0) as u64
}

/// The same of a time.
pub(super) fn milliseconds_of(time: Option<Duration>) -> u64 {
    time.map_or(0, |time| time.as_millis() as u64)
}

/// A number that was stored so.
pub(super) fn unless_zero<N: Default + PartialEq>(n: N) -> Option<N> {
    (n != N::default()).then_some(n)
}

/// A number of bytes or pieces as a length; where memory cannot count so far, as far as it can.
pub(super) fn length(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_counted_in_its_base_unit() {
        let read = [
            (Unit::Count, "007", Some(7)),
            (Unit::Count, "1k", None),
            (Unit::Bytes, "0", Some(0)),
            (Unit::Bytes, "3", Some(3)),
            (Unit::Bytes, "3K", Some(3072)),
            (Unit::Bytes, "3m", Some(3_145_728)),
            (Unit::Bytes, "3km", None),
            (Unit::Bytes, "3 k", None),
            (Unit::Bytes, "18446744073709551615m", Some(u64::MAX)),
            (Unit::Seconds, "0.5", Some(500)),
            (Unit::Seconds, "0.05", Some(50)),
            (Unit::Seconds, "12.345", Some(12_345)),
            (Unit::Seconds, ".5", None),
            (Unit::Seconds, "5.", None),
            (Unit::Seconds, "5.1.2", None),
            (Unit::Seconds, "1e3", None),
            (Unit::Seconds, "18446744073709551615", Some(u64::MAX)),
            (Unit::Milliseconds, "25", Some(25)),
            (Unit::Milliseconds, "٣", None),
        ];
        for (unit, text, n) in read {
            assert_eq!(unit.read(text), n, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same_number(n in any::<u64>(), shift in 0..64) {
            let n = n >> shift;
            for unit in [Unit::Count, Unit::Bytes, Unit::Seconds, Unit::Milliseconds] {
                prop_assert_eq!(unit.read(&unit.show(n)), Some(n));
            }
        }
    }
}
