//! Spans and moments as operators write and read them.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY_SECONDS: u64 = 86_400;

/// The longest span that can be given, beside for ever: ten years.
const SPAN_SECONDS_MAX: u64 = 3650 * DAY_SECONDS;

/// The last second that a date of four digits can tell.
const MOMENT_SECONDS_MAX: u64 = 253_402_300_799;

/// The units of a span, the largest first, in seconds.
const UNITS: [(char, u64); 5] = [
    ('w', 7 * DAY_SECONDS),
    ('d', DAY_SECONDS),
    ('h', 3600),
    ('m', 60),
    ('s', 1),
];

/// How long something is to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    /// This many seconds, at least one and at most ten years.
    Seconds(u64),
    /// For ever.
    Forever,
}

impl Span {
    /// When it ends that begins at `wall_seconds`; `None`: never.
    pub(crate) fn until(self, wall_seconds: u64) -> Option<u64> {
        match self {
            Self::Seconds(seconds) => Some(wall_seconds.saturating_add(seconds)),
            Self::Forever => None,
        }
    }

    /// Whether it is longer than a day.
    pub(crate) fn is_longer_than_a_day(self) -> bool {
        !matches!(self, Self::Seconds(..=DAY_SECONDS))
    }
}

/// The text is no span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoSpan;

impl FromStr for Span {
    type Err = NoSpan;

    /// `90s`, `15m`, `2h30m`, `7d`, `4w`: each unit at most once, the largest first; or `forever`.
    fn from_str(text: &str) -> Result<Self, NoSpan> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let (mut rest, mut seconds, mut units) = (text, 0_u64, UNITS.iter());
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, behind) = rest.split_at(digits);
            let number: u64 = number.parse().map_err(|_| NoSpan)?;
            let unit = behind.chars().next().ok_or(NoSpan)?;
            // Those that were passed over cannot come any more.
            let (_, size) = units.find(|(known, _)| *known == unit).ok_or(NoSpan)?;
            let more = number.checked_mul(*size).ok_or(NoSpan)?;
            seconds = seconds.checked_add(more).ok_or(NoSpan)?;
            rest = &behind[unit.len_utf8()..];
        }
        match seconds {
            1..=SPAN_SECONDS_MAX => Ok(Self::Seconds(seconds)),
            _ => Err(NoSpan),
        }
    }
}

/// A moment as data has it (RFC 3339, in UTC, whole seconds), from seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) u64);

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds(time(self.0)).fmt(f)
    }
}

impl Moment {
    /// The moment that data has: a fraction of a second is left out.
    pub(crate) fn parse(text: &str) -> Option<u64> {
        let time = humantime::parse_rfc3339(text).ok()?;
        let since = time.duration_since(UNIX_EPOCH).ok()?;
        Some(since.as_secs())
    }
}

/// A day, as days since 1970 in UTC: `2026-11-25`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) u32);

impl Day {
    /// The day on which it is this late, in seconds since 1970.
    pub(crate) fn of(wall_seconds: u64) -> Self {
        Self((wall_seconds.min(MOMENT_SECONDS_MAX) / DAY_SECONDS) as u32)
    }

    /// The day that data has.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let seconds = Moment::parse(&format!("{text}T00:00:00Z"))?;
        // Nothing else is read as this day.
        Some(Self::of(seconds)).filter(|day| day.to_string() == text)
    }

    /// How many days it is behind another one; 0 if it is none.
    pub(crate) fn since(self, before: Self) -> u32 {
        self.0.saturating_sub(before.0)
    }
}

impl Display for Day {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let data = Moment(u64::from(self.0) * DAY_SECONDS).to_string();
        f.write_str(data.get(0..10).unwrap_or_default())
    }
}

/// The same as people read it: `2026-11-27 14:05 UTC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MomentForPeople(pub(crate) u64);

impl Display for MomentForPeople {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let data = Moment(self.0).to_string();
        let part = |range| data.get(range).unwrap_or_default();
        write!(f, "{} {} UTC", part(0..10), part(11..16))
    }
}

/// When something ends, as data has it: a moment, or `forever`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End(pub(crate) Option<u64>);

impl Display for End {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(until) => Moment(until).fmt(f),
            None => f.write_str("forever"),
        }
    }
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.min(MOMENT_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(text: &str) -> Option<u64> {
        match text.parse() {
            Ok(Span::Seconds(seconds)) => Some(seconds),
            Ok(Span::Forever) => Some(u64::MAX),
            Err(NoSpan) => None,
        }
    }

    #[test]
    fn a_day_is_read_back_from_what_it_prints() {
        for (day, text) in [
            (0, "1970-01-01"),
            (19_782, "2024-02-29"),
            (20_782, "2026-11-25"),
        ] {
            assert_eq!(Day(day).to_string(), text);
            assert_eq!(Day::parse(text), Some(Day(day)));
            assert_eq!(Day::of(u64::from(day) * DAY_SECONDS + 86_399), Day(day));
        }
        for text in [
            "",
            "2026-02-30",
            "2026-11-5",
            "1969-12-31",
            "2026-11-25T00:00:00Z",
            "x",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
        assert_eq!(Day(7).since(Day(5)), 2);
        assert_eq!(Day(5).since(Day(7)), 0);
    }

    #[test]
    fn spans_have_each_unit_once_and_the_largest_first() {
        for (text, seconds) in [
            ("90s", 90),
            ("15m", 900),
            ("2h30m", 9000),
            ("7d", 7 * DAY_SECONDS),
            ("4w", 28 * DAY_SECONDS),
            ("1w1d1h1m1s", 8 * DAY_SECONDS + 3661),
            ("1h0s", 3600),
            ("3650d", SPAN_SECONDS_MAX),
            ("forever", u64::MAX),
        ] {
            assert_eq!(span(text), Some(seconds), "{text}");
        }
        for wrong in [
            "",
            "2days",
            "2",
            "h",
            "1h1h",
            "30m2h",
            "1s1m",
            "-1h",
            "+1h",
            "1.5h",
            "1 h",
            "0s",
            "1H",
            "3650d1s",
            "522w",
            "Forever",
            "99999999999999999999s",
            "18446744073709551615w",
            "1µ",
            "１h",
        ] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn moments_read_as_data_and_for_people() {
        assert_eq!(Moment(1_795_788_345).to_string(), "2026-11-27T14:05:45Z");
        let told = MomentForPeople(1_795_788_345).to_string();
        assert_eq!(told, "2026-11-27 14:05 UTC");
        assert_eq!(Moment::parse("2026-11-27T14:05:45Z"), Some(1_795_788_345));
        assert_eq!(Moment::parse("2026-11-27T14:05:45.9Z"), Some(1_795_788_345));
        assert_eq!(Moment(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(End(None).to_string(), "forever");
        assert_eq!(End(Some(0)).to_string(), "1970-01-01T00:00:00Z");
        for wrong in [
            "",
            "2026-13-01T00:00:00Z",
            "2026-11-27",
            "1969-12-31T23:59:59Z",
            "14:05",
            "2d",
        ] {
            assert_eq!(Moment::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_span_begins_now() {
        assert_eq!(Span::Seconds(5).until(10), Some(15));
        assert_eq!(Span::Forever.until(10), None);
        assert!(!Span::Seconds(DAY_SECONDS).is_longer_than_a_day());
        assert!(Span::Seconds(DAY_SECONDS + 1).is_longer_than_a_day());
        assert!(Span::Forever.is_longer_than_a_day());
    }

    proptest! {
        #[test]
        fn moments_are_read_as_they_are_shown(seconds in 0..=MOMENT_SECONDS_MAX) {
            prop_assert_eq!(Moment::parse(&Moment(seconds).to_string()), Some(seconds));
        }

        #[test]
        fn reading_a_span_never_panics(text in "[0-9wdhms]{0,12}|\\PC{0,8}") {
            if let Some(seconds) = span(&text).filter(|seconds| *seconds != u64::MAX) {
                prop_assert!((1..=SPAN_SECONDS_MAX).contains(&seconds));
            }
        }
    }
}
