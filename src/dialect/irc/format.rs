//! What IRC puts into words, and how long a line may be: colours, actions, 512 bytes.

use std::borrow::Cow;

use unicode_normalization::char::is_combining_mark;

use crate::hygiene::is_joiner_or_selector;

/// What stands around what is no text.
const CTCP: char = '\x01';

/// What a line says that was written in IRC.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Spoken<'a> {
    Words(Cow<'a, str>),
    /// `/me`
    Action(Cow<'a, str>),
    /// A question to the other client, of which none is passed on.
    Ctcp,
}

/// Takes the text of a line apart.
pub(super) fn spoken(text: &str) -> Spoken<'_> {
    let Some(inside) = text.strip_prefix(CTCP) else {
        return Spoken::Words(without_formatting(text));
    };
    let inside = inside.strip_suffix(CTCP).unwrap_or(inside);
    match inside.strip_prefix("ACTION ") {
        Some(words) => Spoken::Action(without_formatting(words)),
        None => Spoken::Ctcp,
    }
}

/// The text without bold, colours and the like. The digits of a colour go with it, or they would stand in people's lines.
pub(super) fn without_formatting(text: &str) -> Cow<'_, str> {
    let is_mark =
        |c: char| matches!(c, '\x02'..='\x04' | '\x0f' | '\x11' | '\x16' | '\x1d'..='\x1f');
    if !text.contains(is_mark) {
        return Cow::Borrowed(text);
    }
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(is_mark) {
        plain.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        rest = match rest.as_bytes()[at] {
            0x03 => without_colour(behind, |c| c.is_ascii_digit(), 2),
            0x04 => without_colour(behind, |c| c.is_ascii_hexdigit(), 6),
            _ => behind,
        };
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// What stands behind a colour and, if there is one, the colour of its ground.
fn without_colour(text: &str, is_digit: fn(char) -> bool, digits_max: usize) -> &str {
    let count = |text: &str| {
        text.chars()
            .take(digits_max)
            .take_while(|c| is_digit(*c))
            .count()
    };
    let foreground = count(text);
    let rest = &text[foreground..];
    let ground = rest.strip_prefix(',').filter(|_| foreground > 0);
    match ground.map(|ground| (ground, count(ground))) {
        Some((ground, digits)) if digits > 0 => &ground[digits..],
        _ => rest,
    }
}

/// Cuts a text into pieces of at most this many bytes, none of which is empty, and that together are the text: behind
/// the last space of the last fifth, else between two characters, but never before a mark or beside a joiner.
pub(super) fn pieces(text: &str, bytes_max: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, behind) = rest.split_at(cut(rest, bytes_max));
        rest = behind;
        Some(piece)
    })
}

/// Where a text is cut.
fn cut(text: &str, bytes_max: usize) -> usize {
    if text.len() <= bytes_max {
        return text.len();
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let last_fifth = bytes_max - bytes_max / 5;
    if let Some(space) = text[..end].rfind(' ').filter(|at| *at >= last_fifth) {
        return space + 1;
    }
    let places = text[..end].char_indices().rev();
    let behind = text[end..].chars().next();
    let mut after = behind.map(|next| (end, next));
    for (at, c) in places {
        let is_torn = |next: char| {
            is_combining_mark(next) || is_joiner_or_selector(next) || is_joiner_or_selector(c)
        };
        match after {
            Some((place, next)) if !is_torn(next) => return place,
            _ => after = Some((at, c)),
        }
    }
    // Nothing but marks: it is cut somewhere, and goes on.
    end.max(text.chars().next().map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_go_with_their_digits() {
        for (text, plain) in [
            ("plain", "plain"),
            (
                "\x02bold\x02 \x1dit\x1d \x1fu\x1f \x1es\x1e \x11m\x11 \x16r\x16 \x0f.",
                "bold it u s m r .",
            ),
            ("\x034red\x03", "red"),
            ("\x0304,12x", "x"),
            ("\x03123", "3"),
            ("\x034,x", ",x"),
            ("\x03,4x", ",4x"),
            ("\x0304,1234", "34"),
            ("\x04ff0000red", "red"),
            ("\x04ff0000,00ff00green", "green"),
            ("\x04fg", "g"),
            ("\x03", ""),
            ("a\x03罗", "a罗"),
        ] {
            assert_eq!(without_formatting(text), plain, "{}", text.escape_default());
        }
    }

    #[test]
    fn of_what_is_no_text_only_actions_are_passed_on() {
        let words = |text| Spoken::Words(Cow::Borrowed(text));
        let action = |text| Spoken::Action(Cow::Borrowed(text));
        assert_eq!(spoken("/me x"), words("/me x"));
        assert_eq!(spoken("\x01ACTION waves\x01"), action("waves"));
        assert_eq!(spoken("\x01ACTION \x02waves"), action("waves"));
        for other in [
            "\x01VERSION\x01",
            "\x01",
            "\x01\x01",
            "\x01ACTION\x01",
            "\x01DCC SEND x",
        ] {
            assert_eq!(spoken(other), Spoken::Ctcp);
        }
    }

    #[test]
    fn lines_are_cut_at_spaces_and_between_characters() {
        let cut = |text, most| pieces(text, most).collect::<Vec<_>>();
        assert_eq!(cut("", 10), Vec::<&str>::new());
        assert_eq!(cut("0123456789", 10), ["0123456789"]);
        assert_eq!(cut("01234567 9x", 10), ["01234567 ", "9x"]);
        assert_eq!(cut("0123 567890", 10), ["0123 56789", "0"]);
        assert_eq!(cut("罗永浩罗", 10), ["罗永浩", "罗"]);
        // Not before a mark, nor beside a joiner.
        assert_eq!(cut("012345678e\u{301}", 10), ["012345678", "e\u{301}"]);
        assert_eq!(cut("01234👩\u{200d}👧", 12), ["01234", "👩\u{200d}👧"]);
        assert_eq!(
            cut("\u{301}\u{301}\u{301}", 4),
            ["\u{301}\u{301}", "\u{301}"]
        );
    }

    proptest! {
        #[test]
        fn pieces_are_short_and_together_the_text(
            text in "[a-z 罗\u{301}\u{200d}👧]{0,200}", most in 4_usize..60,
        ) {
            let cut: Vec<&str> = pieces(&text, most).collect();
            prop_assert!(cut.iter().all(|piece| !piece.is_empty() && piece.len() <= most));
            prop_assert_eq!(cut.concat(), text);
        }

        #[test]
        fn no_mark_is_left(text in "[\x00-\x1f0-9a-f,]{0,60}") {
            let plain = without_formatting(&text);
            let marks = "\x02\x03\x04\x0f\x11\x16\x1d\x1e\x1f";
            prop_assert!(!plain.contains(|c| marks.contains(c)));
        }
    }
}
