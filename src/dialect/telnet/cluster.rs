//! What a person takes for one character, and how many columns it may need.
//!
//! A cluster is a base with what follows it: zero-width characters, emoji skin tones, whatever stands behind
//! a zero-width joiner; two regional indicators make one flag. UAX #29 would join a letter with a mark that
//! has a column of its own (Hindi and Thai vowels): then Backspace would take a syllable that was typed, and is
//! drawn by terminals, as several characters.
//!
//! Two bounds see to it that no step looks further than 64 code points, whatever a line is made of: behind
//! `CODE_POINTS_MAX` that belong together, and behind `FLAGS_MAX` regional indicators in a row, each further one
//! counts by itself.
//!
//! Columns are those of a terminal that draws each code point by itself: an upper bound for those that join
//! them. They decide only where to cut, never where the cursor stands.

use unicode_width::UnicodeWidthChar;

use super::steps;

/// The longest emoji in use (a kiss of two people with skin tones) has ten.
const CODE_POINTS_MAX: usize = 16;
/// Regional indicators in a row that are paired off to flags.
const FLAGS_MAX: usize = 32;

const ZERO_WIDTH_JOINER: char = '\u{200d}';
/// Asks for the coloured form of the character before it, which newer terminals draw two columns wide.
const EMOJI_PRESENTATION: char = '\u{fe0f}';

/// Goes through a text from its front, code point by code point, and tells where clusters start.
///
/// After this many code points it knows as much as if it had come from the start of the text.
#[derive(Debug, Default, Clone, Copy)]
struct Walk {
    before: Option<char>,
    /// Regional indicators right before, as far as they count.
    flags: usize,
    /// Code points since the last cluster that started for another reason than the bound, as far as they count.
    length: usize,
}

impl Walk {
    const WARM_UP: usize = CODE_POINTS_MAX + FLAGS_MAX;

    /// A walk that stands at the byte `at`.
    fn at(text: &str, at: usize) -> Self {
        let mut walk = Self::default();
        walk.pass(text.get(back(text, at, Self::WARM_UP)..at).unwrap_or(""));
        walk
    }

    fn pass(&mut self, part: &str) {
        for c in part.chars() {
            self.step(c);
        }
    }

    /// Whether `c` starts a cluster.
    fn step(&mut self, c: char) -> bool {
        steps::count();
        let is_flag = is_regional_indicator(c);
        let joins = self.before.is_some_and(|before| {
            before == ZERO_WIDTH_JOINER
                || !c.is_ascii() && (c.width() == Some(0) || is_skin_tone(c))
                || is_flag && self.flags % 2 == 1 && self.flags < FLAGS_MAX
        });
        let starts = !joins || self.length >= CODE_POINTS_MAX;
        self.length = if joins {
            (self.length + 1).min(CODE_POINTS_MAX)
        } else {
            1
        };
        self.flags = if is_flag {
            (self.flags + 1).min(FLAGS_MAX)
        } else {
            0
        };
        self.before = Some(c);
        starts
    }
}

/// How many columns a code point takes behind another one.
type Columns = fn(Option<char>, char) -> usize;

/// The clusters of a text from a byte on, where one must start: the end of each, and how many columns it takes.
pub(super) struct Clusters<'a> {
    text: &'a str,
    at: usize,
    walk: Walk,
    columns: Columns,
}

impl<'a> Clusters<'a> {
    pub(super) fn new(text: &'a str, at: usize, columns: Columns) -> Self {
        Self {
            text,
            at,
            walk: Walk::at(text, at),
            columns,
        }
    }
}

impl Iterator for Clusters<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let mut columns = 0;
        for (offset, c) in self.text.get(self.at..)?.char_indices() {
            let mut walk = self.walk;
            if walk.step(c) && offset > 0 {
                self.at += offset;
                return Some((self.at, columns));
            }
            columns += (self.columns)(self.walk.before, c);
            self.walk = walk;
        }
        let is_left = self.at < self.text.len();
        self.at = self.text.len();
        is_left.then_some((self.at, columns))
    }
}

/// The start of the cluster that ends at the byte `at`, or `at` cuts; 0 at the start of the text.
pub(super) fn previous(text: &str, at: usize) -> usize {
    if is_plain(text, at) {
        return at - 1;
    }
    let begin = back(text, at, CODE_POINTS_MAX);
    let mut walk = Walk::at(text, begin);
    let mut start = 0;
    for (offset, c) in text.get(begin..at).unwrap_or("").char_indices() {
        if walk.step(c) {
            start = begin + offset;
        }
    }
    start
}

/// The end of the cluster that starts at the byte `at`, or `at` cuts; the length at the end of the text.
pub(super) fn next(text: &str, at: usize) -> usize {
    let mut walk = Walk::at(text, at);
    let mut after = text.get(at..).unwrap_or("").char_indices();
    if let Some((_, first)) = after.next() {
        walk.step(first);
    }
    after
        .find(|(_, c)| walk.step(*c))
        .map_or(text.len(), |(offset, _)| at + offset)
}

/// How many columns the bytes `from..to` of the text need at most.
pub(super) fn columns(text: &str, from: usize, to: usize) -> usize {
    let mut before = text.get(..from).and_then(|head| head.chars().next_back());
    let part = text.get(from..to).unwrap_or("");
    part.chars()
        .map(|c| {
            steps::count();
            char_columns(before.replace(c), c)
        })
        .sum()
}

/// How many columns a code point takes on most terminals.
pub(super) fn char_columns(before: Option<char>, c: char) -> usize {
    if widens(before, c) {
        1
    } else {
        c.width().unwrap_or(0)
    }
}

/// How many columns a code point takes where a terminal gives it most: some, set up for Chinese, Japanese or Korean,
/// draw Greek, Cyrillic and many signs two columns wide (UAX #11, ambiguous).
pub(super) fn char_columns_max(before: Option<char>, c: char) -> usize {
    if c.is_ascii() {
        return usize::from(!c.is_ascii_control());
    }
    let widest = c.width().max(c.width_cjk()).unwrap_or(0);
    widest
        .max(usize::from(widens(before, c)))
        .max(2 * usize::from(is_ambiguous_letter(c)))
}

/// What is ambiguous by `EastAsianWidth.txt` of Unicode, and not by `unicode_width`, which knows better than terminals
/// what is readable: letters, and signs that modify letters.
fn is_ambiguous_letter(c: char) -> bool {
    matches!(
        c,
        '\u{a8}' | '\u{aa}' | '\u{b4}' | '\u{b8}' | '\u{ba}' | '\u{c6}' | '\u{d0}' | '\u{d8}' | '\u{de}'..='\u{e1}' | '\u{e6}' | '\u{e8}'..='\u{ea}' | '\u{ec}'..='\u{ed}' | '\u{f0}' | '\u{f2}'..='\u{f3}' | '\u{f8}'..='\u{fa}' | '\u{fc}' | '\u{fe}' | '\u{101}' | '\u{111}' | '\u{113}' | '\u{11b}' | '\u{126}'..='\u{127}' | '\u{12b}' | '\u{131}'..='\u{133}' | '\u{138}' | '\u{13f}'..='\u{142}' | '\u{144}' | '\u{148}'..='\u{14b}' | '\u{14d}' | '\u{152}'..='\u{153}' | '\u{166}'..='\u{167}' | '\u{16b}' | '\u{1ce}' | '\u{1d0}' | '\u{1d2}' | '\u{1d4}' | '\u{1d6}' | '\u{1d8}' | '\u{1da}' | '\u{1dc}' | '\u{251}' | '\u{261}' | '\u{2c4}' | '\u{2c7}' | '\u{2c9}'..='\u{2cb}' | '\u{2cd}' | '\u{2d0}' | '\u{2d8}'..='\u{2db}' | '\u{2dd}' | '\u{2df}' | '\u{391}'..='\u{3a1}' | '\u{3a3}'..='\u{3a9}' | '\u{3b1}'..='\u{3c1}' | '\u{3c3}'..='\u{3c9}' | '\u{401}' | '\u{410}'..='\u{44f}' | '\u{451}' | '\u{207f}' | '\u{2113}' | '\u{2126}' | '\u{212b}'
    )
}

fn widens(before: Option<char>, c: char) -> bool {
    c == EMOJI_PRESENTATION && before.and_then(UnicodeWidthChar::width) == Some(1)
}

/// Whether a cluster starts at the byte `at`, or the text ends there.
pub(super) fn is_boundary(text: &str, at: usize) -> bool {
    let Some((_, tail)) = text.split_at_checked(at) else {
        return false;
    };
    tail.chars()
        .next()
        .is_none_or(|c| Walk::at(text, at).step(c))
}

/// Whether the byte before `at` is a cluster, as no more than two bytes show.
fn is_plain(text: &str, at: usize) -> bool {
    let before = text.as_bytes().get(at.saturating_sub(2)..at);
    before.is_some_and(|before| !before.is_empty() && before.is_ascii())
}

/// The place of at most this many code points before the byte `at`.
fn back(text: &str, at: usize, code_points: usize) -> usize {
    let before = text.get(..at).unwrap_or("");
    let mut starts = before.char_indices().rev().map(|(start, _)| start);
    starts
        .by_ref()
        .take(code_points)
        .inspect(|_| steps::count())
        .last()
        .unwrap_or(before.len())
}

fn is_skin_tone(c: char) -> bool {
    ('\u{1f3fb}'..='\u{1f3ff}').contains(&c)
}

fn is_regional_indicator(c: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let end = next(text, at);
            assert_eq!(
                previous(text, end),
                at,
                "{text:?} steps back as it steps on"
            );
            found.push(&text[at..end]);
            at = end;
        }
        found
    }

    #[test]
    fn what_looks_like_one_character_is_one() {
        for whole in [
            "a",
            "你",
            "e\u{301}",
            "นี้",
            "👍🏽",
            "👩‍👩‍👧‍👦",
            "👩🏽‍💻",
            "❤\u{fe0f}",
            "🇩🇪",
            "1\u{fe0f}\u{20e3}",
            "각",
        ] {
            assert_eq!(clusters(whole), [whole]);
            assert_eq!(clusters(&format!("a{whole}b")), ["a", whole, "b"]);
        }
    }

    #[test]
    fn neighbours_are_told_apart() {
        assert_eq!(clusters("🇩🇪🇫🇷🇬"), ["🇩🇪", "🇫🇷", "🇬"]);
        assert_eq!(clusters("สวัสดี"), ["ส", "วั", "ส", "ดี"]);
        assert_eq!(clusters("น้ำ"), ["น้", "ำ"]);
        assert_eq!(clusters("काम"), ["क", "ा", "म"]);
        assert_eq!(clusters("\u{301}a"), ["\u{301}", "a"]);
        assert_eq!(clusters("你👍👍🏽"), ["你", "👍", "👍🏽"]);
    }

    #[test]
    fn the_widest_is_what_any_terminal_takes() {
        let all = |text: &str| -> usize { text.chars().map(|c| char_columns_max(None, c)).sum() };
        assert_eq!(all("abc \r\n"), 4);
        assert_eq!(all("яΩé…“"), 10);
        assert_eq!(all("ыźø你"), 2 + 1 + 2 + 2);
        for c in '\0'..=char::MAX {
            let columns = char_columns_max(Some('x'), c);
            assert!(
                columns <= c.len_utf8(),
                "{c:?} has {columns} columns and fewer bytes"
            );
        }
    }

    #[test]
    fn f120_no_step_looks_far_and_both_ways_meet() {
        for part in [
            "🇩",
            "\u{301}",
            "\u{200d}",
            "👍🏽",
            "🇩\u{301}",
            "a\u{301}",
            "🇩🇪a",
        ] {
            let text = part.repeat(2_000);
            let found = clusters(&text);
            steps::take();
            let cut = found.iter().map(|cluster| cluster.chars().count()).max();
            assert!(cut <= Some(CODE_POINTS_MAX), "{part:?}");
            for at in [0, text.len() / 2, text.len()] {
                for look in [previous, next] {
                    look(&text, at);
                    assert!(
                        steps::take() <= 2 * (Walk::WARM_UP + CODE_POINTS_MAX),
                        "{part:?}"
                    );
                }
            }
            let forward = Clusters::new(&text, 0, char_columns).map(|(end, _)| end);
            let ends = found.iter().scan(0, |end, cluster| {
                *end += cluster.len();
                Some(*end)
            });
            assert!(forward.eq(ends), "{part:?}");
        }
    }

    #[test]
    fn columns_are_an_upper_bound() {
        let all = |text: &str| columns(text, 0, text.len());
        assert_eq!(all("abc"), 3);
        assert_eq!(all("你好"), 4);
        assert_eq!(all("ดี"), 1);
        assert_eq!(all("👍🏽"), 4);
        assert_eq!(all("❤\u{fe0f}"), 2);
        assert_eq!(all("👍\u{fe0f}"), 2);
        assert_eq!(
            columns("❤\u{fe0f}", 3, 6),
            1,
            "the character before the part counts"
        );
        assert_eq!(columns("abc", 2, 9), 0, "what is not there has no width");
    }
}
