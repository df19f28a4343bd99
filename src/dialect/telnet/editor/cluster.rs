//! What a person takes for one character, and how many columns it may need.
//!
//! A cluster is a base with what follows it: zero-width characters, emoji skin tones, whatever stands behind
//! a zero-width joiner; two regional indicators make one flag. UAX #29 would join a letter with a mark that
//! has a column of its own (Hindi and Thai vowels): then Backspace would take a syllable that was typed, and is
//! drawn by terminals, as several characters.
//!
//! Columns are those of a terminal that draws each code point by itself: an upper bound for those that join
//! them. They decide only where to cut, never where the cursor stands.

use unicode_width::UnicodeWidthChar;

const ZERO_WIDTH_JOINER: char = '\u{200d}';
/// Asks for the coloured form of the character before it, which newer terminals draw two columns wide.
const EMOJI_PRESENTATION: char = '\u{fe0f}';

/// The start of the cluster that ends at the byte `at`, or `at` cuts; 0 at the start of the text.
pub(super) fn previous(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or("");
    before
        .char_indices()
        .rev()
        .map(|(start, _)| start)
        .find(|&start| is_boundary(text, start))
        .unwrap_or(0)
}

/// The end of the cluster that starts at the byte `at`, or `at` cuts; the length at the end of the text.
pub(super) fn next(text: &str, at: usize) -> usize {
    let after = text.get(at..).unwrap_or("");
    after
        .char_indices()
        .skip(1)
        .map(|(offset, _)| at + offset)
        .find(|&end| is_boundary(text, end))
        .unwrap_or(text.len())
}

/// How many columns the bytes `from..to` of the text need at most.
pub(super) fn columns(text: &str, from: usize, to: usize) -> usize {
    let mut before = text.get(..from).and_then(|head| head.chars().next_back());
    let part = text.get(from..to).unwrap_or("");
    part.chars()
        .map(|c| char_columns(before.replace(c), c))
        .sum()
}

fn char_columns(before: Option<char>, c: char) -> usize {
    let widens = c == EMOJI_PRESENTATION && before.and_then(UnicodeWidthChar::width) == Some(1);
    if widens {
        1
    } else {
        c.width().unwrap_or(0)
    }
}

/// Whether a cluster starts at the byte `at`, or the text ends there.
pub(super) fn is_boundary(text: &str, at: usize) -> bool {
    let Some((head, tail)) = text.split_at_checked(at) else {
        return false;
    };
    let (Some(before), Some(after)) = (head.chars().next_back(), tail.chars().next()) else {
        return true;
    };
    if before == ZERO_WIDTH_JOINER || after.width() == Some(0) || is_skin_tone(after) {
        return false;
    }
    let pairs = is_regional_indicator(before) && is_regional_indicator(after);
    // Flags are paired off from the start of their run.
    !pairs
        || head
            .chars()
            .rev()
            .take_while(|&c| is_regional_indicator(c))
            .count()
            % 2
            == 0
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
