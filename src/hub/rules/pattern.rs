//! Names that nobody may take: as they are, or all that begin, end or go on like one.
//!
//! They are compared like names are, by [`Keys`]: without regard to case, width or letters that look alike.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use crate::name::{is_of_a_name, Keys, NAME_BYTES_MAX, NAME_COLUMNS_MAX};

/// A pattern of fewer letters would meet too many who mean no harm.
const LETTERS_MIN: usize = 3;

/// Names like this: `spam`, `spam*`, `*spam`, `*spam*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Box<str>);

/// Where in a name the letters of a pattern stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// They are the name.
    Whole,
    Beginning,
    End,
    Anywhere,
}

/// The text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoPattern;

impl Display for NoPattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a pattern is at least {LETTERS_MIN} letters of a name, with * at its end or beginning"
        )
    }
}

impl FromStr for Pattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<Self, NoPattern> {
        let pattern = Self(text.into());
        let (core, _) = pattern.parts();
        let letters = core.chars().filter(|c| c.is_alphanumeric()).count();
        // A name has at most one character of its own a column, but for marks.
        let fits = core.len() <= NAME_BYTES_MAX && letters <= NAME_COLUMNS_MAX;
        let is_long_enough = |key: &str| key.chars().count() >= LETTERS_MIN;
        let keys = Keys::of(if fits { core } else { "" });
        let (mut all, mut any) = (keys.iter(), keys.iter());
        let is_one = letters >= LETTERS_MIN
            && is_of_a_name(core)
            && any.next().is_some()
            && all.all(is_long_enough);
        is_one.then_some(pattern).ok_or(NoPattern)
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// Its letters, and where they stand in a name.
    fn parts(&self) -> (&str, Place) {
        let text: &str = &self.0;
        let (text, ends_open) = text
            .strip_suffix('*')
            .map_or((text, false), |it| (it, true));
        let (core, begins_open) = text
            .strip_prefix('*')
            .map_or((text, false), |it| (it, true));
        let place = match (begins_open, ends_open) {
            (false, false) => Place::Whole,
            (false, true) => Place::Beginning,
            (true, false) => Place::End,
            (true, true) => Place::Anywhere,
        };
        (core, place)
    }

    /// Whether this one name is like it.
    pub(crate) fn fits(&self, name: &str) -> bool {
        self.fitting()(&Keys::of(name))
    }

    /// Tells whether a name with these keys is like this.
    pub(crate) fn fitting(&self) -> impl Fn(&Keys) -> bool {
        let (core, place) = self.parts();
        let own = Keys::of(core);
        let is_alike = move |name: &str| {
            own.iter().any(|own| match place {
                Place::Whole => name == own,
                Place::Beginning => name.starts_with(own),
                Place::End => name.ends_with(own),
                Place::Anywhere => name.contains(own),
            })
        };
        move |name| {
            let mut names = name.iter();
            names.any(&is_alike)
        }
    }
}

/// Patterns, found by the names that they forbid, however many there are: what a look-up costs depends on the name and
/// on the lengths of patterns that are in use, at most some thousand probes.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    whole: Letters,
    beginning: Letters,
    end: Letters,
    anywhere: Letters,
}

impl Patterns {
    pub(super) fn insert(&mut self, pattern: &Pattern, number: u64) {
        let (core, place) = pattern.parts();
        let letters = self.letters(place);
        Keys::of(core)
            .iter()
            .for_each(|key| letters.insert(key, number));
    }

    pub(super) fn remove(&mut self, pattern: &Pattern, number: u64) {
        let (core, place) = pattern.parts();
        let letters = self.letters(place);
        Keys::of(core)
            .iter()
            .for_each(|key| letters.remove(key, number));
    }

    pub(super) fn is_empty(&self) -> bool {
        let all = [&self.whole, &self.beginning, &self.end, &self.anywhere];
        all.iter().all(|letters| letters.by_key.is_empty())
    }

    /// The numbers of those that forbid a name with these keys, some of them more than once, in no order.
    pub(super) fn find(&self, name: &Keys) -> Vec<u64> {
        let mut found = Vec::new();
        for key in name.iter() {
            let mut add = |letters: &Letters, part: Option<&str>| {
                let numbers = part.and_then(|part| letters.by_key.get(part));
                found.extend(numbers.into_iter().flatten());
            };
            add(&self.whole, Some(key));
            for length in self.beginning.lengths.keys() {
                add(&self.beginning, key.get(..*length));
            }
            for length in self.end.lengths.keys() {
                let begin = key.len().checked_sub(*length);
                add(&self.end, begin.and_then(|begin| key.get(begin..)));
            }
            for length in self.anywhere.lengths.keys() {
                for begin in 0..(key.len() + 1).saturating_sub(*length) {
                    add(&self.anywhere, key.get(begin..begin + length));
                }
            }
        }
        found
    }

    /// The numbers of those that are written like this one, among others.
    pub(super) fn like(&self, pattern: &Pattern) -> &[u64] {
        let (core, place) = pattern.parts();
        let letters = match place {
            Place::Whole => &self.whole,
            Place::Beginning => &self.beginning,
            Place::End => &self.end,
            Place::Anywhere => &self.anywhere,
        };
        let keys = Keys::of(core);
        let key = keys.iter().next();
        key.and_then(|key| letters.by_key.get(key))
            .map_or(&[], Vec::as_slice)
    }

    fn letters(&mut self, place: Place) -> &mut Letters {
        match place {
            Place::Whole => &mut self.whole,
            Place::Beginning => &mut self.beginning,
            Place::End => &mut self.end,
            Place::Anywhere => &mut self.anywhere,
        }
    }
}

/// The keys of patterns whose letters stand in the same place of a name. Nothing depends on the order of the hash map.
///
/// Invariant: `lengths` counts the keys of `by_key` by their bytes.
#[derive(Debug, Default)]
struct Letters {
    by_key: HashMap<Box<str>, Vec<u64>>,
    lengths: BTreeMap<usize, usize>,
}

impl Letters {
    fn insert(&mut self, key: &str, number: u64) {
        let numbers = self.by_key.entry(key.into()).or_default();
        if numbers.is_empty() {
            *self.lengths.entry(key.len()).or_default() += 1;
        }
        numbers.push(number);
    }

    fn remove(&mut self, key: &str, number: u64) {
        let Some(numbers) = self.by_key.get_mut(key) else {
            return;
        };
        numbers.retain(|known| *known != number);
        if numbers.is_empty() {
            self.by_key.remove(key);
            if let Some(count) = self.lengths.get_mut(&key.len()) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&key.len());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse()
            .unwrap_or_else(|_| panic!("{text} is no pattern"))
    }

    #[track_caller]
    fn check(text: &str, forbidden: &[&str], allowed: &[&str]) {
        let mut patterns = Patterns::default();
        patterns.insert(&pattern(text), 7);
        for (names, is_forbidden) in [(forbidden, true), (allowed, false)] {
            for name in names {
                let keys = Keys::of(name);
                assert_eq!(
                    pattern(text).fitting()(&keys),
                    is_forbidden,
                    "{text} {name}"
                );
                assert_eq!(
                    !patterns.find(&keys).is_empty(),
                    is_forbidden,
                    "{text} {name}"
                );
            }
        }
    }

    #[test]
    fn patterns_are_compared_like_names() {
        check(
            "spam",
            &["spam", "SPAM", "ｓｐａｍ", "sраm"],
            &["spam4", "xspam", "spa"],
        );
        check(
            "spam*",
            &["spam", "spam4", "SPAMMER", "ѕраm-x"],
            &["xspam", "spa"],
        );
        check("*spam", &["spam", "no-spam", "NoSpAm"], &["spam4"]);
        check("*spam*", &["spam", "xspamx", "aspаmb"], &["spa", "s-pam"]);
        check("*-bot", &["news-bot", "NEWS-BOT"], &["newsbot", "bot"]);
        check("老罗的*", &["老罗的狗"], &["老罗"]);
    }

    #[test]
    fn a_pattern_has_three_letters_of_a_name() {
        for text in ["abc", "a1b*", "*a-b.c", "*老罗的*"] {
            assert_eq!(pattern(text).to_string(), text);
        }
        for wrong in [
            "",
            "*",
            "**",
            "***",
            "ab",
            "ab*",
            "a*b*c",
            "a*bc",
            "a b c",
            "-_.",
            "a,b,c",
            "**abc",
            "abc**",
            "x\u{200b}yz",
            "abc\n",
        ] {
            assert_eq!(wrong.parse::<Pattern>(), Err(NoPattern), "{wrong:?}");
        }
        assert!("x".repeat(24).parse::<Pattern>().is_ok());
        assert_eq!("x".repeat(25).parse::<Pattern>(), Err(NoPattern));
        assert_eq!(
            "ﷺﷺﷺﷺﷺ".parse::<Pattern>(),
            Err(NoPattern),
            "no name is so long"
        );
    }

    #[test]
    fn one_of_two_equal_patterns_stays_when_the_other_goes() {
        let mut patterns = Patterns::default();
        for number in [1, 2] {
            patterns.insert(&pattern("spam*"), number);
        }
        patterns.remove(&pattern("spam*"), 1);
        assert_eq!(patterns.find(&Keys::of("spam9")), [2]);
        patterns.remove(&pattern("SPAM*"), 2);
        assert!(patterns.find(&Keys::of("spam9")).is_empty());
        assert!(patterns.beginning.by_key.is_empty() && patterns.beginning.lengths.is_empty());
    }

    proptest! {
        #[test]
        fn the_table_finds_what_a_walk_finds(
            texts in prop::collection::vec("\\*?[aAlI1mrn0o]{3,6}\\*?", 0..8),
            name in "[aAlI1mrn0o]{1,9}",
        ) {
            let mut table = Patterns::default();
            for (number, text) in texts.iter().enumerate() {
                table.insert(&pattern(text), number as u64);
            }
            let keys = Keys::of(&name);
            let mut found = table.find(&keys);
            found.sort_unstable();
            found.dedup();
            let walked = texts.iter().enumerate();
            let walked = walked.filter(|(_, text)| pattern(text).fitting()(&keys));
            prop_assert_eq!(found, walked.map(|(number, _)| number as u64).collect::<Vec<_>>());
        }

        #[test]
        fn reading_a_pattern_never_panics(text in "\\*?\\PC{0,12}\\*?") {
            if let Ok(pattern) = text.parse::<Pattern>() {
                prop_assert!(!pattern.fitting()(&Keys::of("")));
            }
        }
    }
}
