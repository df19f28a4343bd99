//! What may reach another person's terminal.
//!
//! A terminal obeys some of the characters it is sent: it can be made to hide text, to show it in
//! another order, or to type an answer into its owner's session. So every line is cleaned once, on
//! its way in, by [`clean`], and nothing downstream has to think of it again. This module knows
//! characters; it must not know commands, names or sessions.
//!
//! Invariant: cleaned text is in NFC, holds no character that `is_forbidden` names, and is
//! unchanged by cleaning it again.
//! Invariant: the work is linear in the length of the line (`n log n` in a row of combining marks,
//! which must be sorted).

use std::borrow::Cow;

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::UnicodeNormalization;
use unicode_width::UnicodeWidthChar;

/// One line made fit to be shown to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Clean<'a> {
    /// What may be shown; borrowed from the line if that was printable ASCII. Empty if nothing of
    /// it can be seen. At most three times as long as the line, for U+FFFD is three bytes and
    /// normalising can spell one character as three.
    pub text: Cow<'a, str>,
    /// Whether anything invisible or forbidden was taken out. White space that was shortened, a Tab
    /// that became a space, bytes that became U+FFFD and another spelling of the same character do
    /// not count.
    pub altered: bool,
    /// Whether some bytes of the line were not UTF-8, so that nobody can read what was meant.
    pub unreadable: bool,
}

/// A run of blanks of any kind is at most this many columns wide, so that what follows it cannot be
/// pushed to where it looks like a line of its own.
const BLANK_COLUMNS_MAX: usize = 16;

/// Makes a line (without its line end) fit to be shown to others.
///
/// In this order: each run of bytes that are not UTF-8 becomes one U+FFFD; escape sequences
/// (ECMA-48) are swallowed whole, to the line's end if they do not end before; a Tab and every other
/// control that separates lines or words becomes a space; invisible and forbidden characters go;
/// the rest is put into NFC; of a run of blanks only 16 columns stay, and of a row of characters
/// that take no column only four; white space is trimmed from the end. At the beginning it stays:
/// pasted code keeps its indentation.
#[must_use]
pub(crate) fn clean(line: &[u8]) -> Clean<'_> {
    if is_printable_ascii(line) && !has_wide_gap(line) {
        if let Ok(text) = std::str::from_utf8(line) {
            let text = text.trim_end_matches(' ');
            return Clean {
                text: Cow::Borrowed(text),
                altered: false,
                unreadable: false,
            };
        }
    }
    match std::str::from_utf8(line) {
        Ok(line) => clean_slowly(line),
        Err(_) => Clean {
            unreadable: true,
            ..clean_slowly(&decode(line))
        },
    }
}

/// What the bytes spell in UTF-8, with one U+FFFD for each run of bytes that spell nothing.
///
/// One for each byte would let a line grow to three times its length on its way to everybody.
#[must_use]
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + char::REPLACEMENT_CHARACTER.len_utf8());
    let mut in_run = false;
    for chunk in bytes.utf8_chunks() {
        in_run &= chunk.valid().is_empty();
        text.push_str(chunk.valid());
        if !in_run && !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            in_run = true;
        }
    }
    Cow::Owned(text)
}

/// Whether every byte is in 0x20..=0x7e. A chunk is folded without an early exit, which lets the
/// compiler compare many bytes at once.
fn is_printable_ascii(line: &[u8]) -> bool {
    line.chunks(64).all(|chunk| {
        chunk.iter().fold(true, |printable, byte| {
            printable & (b' '..=b'~').contains(byte)
        })
    })
}

/// Whether a line of ASCII has more than 16 spaces in a row. Every such run covers a multiple of 17,
/// so only these bytes are looked at, and the neighbours of those that are a space.
fn has_wide_gap(line: &[u8]) -> bool {
    let step = BLANK_COLUMNS_MAX + 1;
    (BLANK_COLUMNS_MAX..line.len()).step_by(step).any(|at| {
        if line[at] != b' ' {
            return false;
        }
        let (before, after) = line.split_at(at);
        let spaces_after = after.iter().take_while(|byte| **byte == b' ').count();
        let spaces_before = before.iter().rev().take_while(|byte| **byte == b' ');
        spaces_after + spaces_before.count() > BLANK_COLUMNS_MAX
    })
}

/// What [`clean`] does to a line that is not plain ASCII.
fn clean_slowly<'a>(line: &str) -> Clean<'a> {
    let mut stripper = Stripper::default();
    let (mut gap, mut pile) = (Gap::default(), Pile::default());
    let mut too_high = false;
    let mut allowed = String::with_capacity(line.len());
    allowed.extend(line.chars().filter_map(|c| stripper.strip(c)));
    let mut text = String::with_capacity(allowed.len());
    text.extend(allowed.nfc().filter(|&c| {
        if is_plain(c) {
            (gap, pile) = (Gap::default(), Pile::default());
            return true;
        }
        let blank = is_blank(c);
        if blank && !gap.admits(c) {
            return false;
        }
        let fits = pile.admits(c);
        too_high |= !fits;
        if fits && blank {
            gap.widen(c);
        } else if fits {
            gap = Gap::default();
        }
        fits
    }));
    let mut altered = stripper.altered || too_high;

    text.truncate(text.trim_end().len());
    if text.chars().all(is_blank) {
        altered |= !text.trim_start().is_empty();
        text = String::new();
    }
    Clean {
        text: Cow::Owned(text),
        altered,
        unreadable: false,
    }
}

/// Whether a character may never reach others: controls, direction and other format controls, what
/// is invisible by its nature, private use and noncharacters.
///
/// Beside the joiners and U+FE00..=U+FE0F, which Persian, Indian scripts and emoji need, that is
/// all of Unicode's `Default_Ignorable_Code_Point`, and what arranges Egyptian hieroglyphs, with
/// their blanks, which Unicode calls letters.
pub(crate) fn is_forbidden(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{fdd0}'..='\u{fdef}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{13430}'..='\u{13442}'
            | '\u{13447}'..='\u{13455}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
            | '\u{f0000}'..='\u{10ffff}'
    ) || (c as u32) & 0xfffe == 0xfffe
}

/// Whether a character only changes how its neighbours look: the joiners, those of a single script
/// too, and the selectors of a form. Allowed in text, not in names.
pub(crate) fn is_joiner_or_selector(c: char) -> bool {
    matches!(
        c,
        '\u{200c}' | '\u{200d}' | '\u{2d7f}' | '\u{fe00}'
            ..='\u{fe0f}' | '\u{1107f}' | '\u{16fe4}' | '\u{1bc9d}'
    )
}

/// Whether a character is one that most lines are made of, takes columns and is no mark: it is not looked up.
fn is_plain(c: char) -> bool {
    matches!(c, '!'..='~' | '\u{4e00}'..='\u{9fff}')
}

/// Whether a character shows nothing by itself: white space, joiners, and the two letters that are
/// drawn as nothing.
pub(crate) fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_joiner_or_selector(c) || matches!(c, '\u{2800}' | '\u{1d159}')
}

/// Measures a run of blanks. A joiner neither widens nor ends it.
#[derive(Default)]
struct Gap {
    columns: usize,
}

impl Gap {
    /// Whether one more blank is not too many.
    fn admits(&self, blank: char) -> bool {
        self.columns + blank.width().unwrap_or(0) <= BLANK_COLUMNS_MAX
    }

    fn widen(&mut self, blank: char) {
        self.columns += blank.width().unwrap_or(0);
    }
}

/// Counts what is piled upon one column of the screen, so that a tower of marks cannot cover the
/// lines above.
///
/// A mark that has a column of its own does not add to a tower and begins a new one: `လျှော့` (a
/// common Burmese word) has five marks in a row, of which three take columns.
#[derive(Default)]
pub(crate) struct Pile {
    height: usize,
}

impl Pile {
    /// The tallest pile in everyday writing is three: Hebrew with points, Tibetan. Joiners and jamo
    /// count as well.
    const HEIGHT_MAX: usize = 4;

    /// Puts the next character of a text in NFC on the pile, or says that it would be too high.
    pub(crate) fn admits(&mut self, c: char) -> bool {
        // What has a combining class is cut as well even where it takes a column: if it were kept
        // behind something that was cut, the rest could be out of order and so no longer in NFC.
        if c.width() != Some(0) && canonical_combining_class(c) == 0 {
            self.height = 0;
            return true;
        }
        if self.height == Self::HEIGHT_MAX {
            return false;
        }
        self.height += 1;
        true
    }
}

/// Whether a character ends a line, a page or a field (Unicode's `Bidi_Class` B and S, VT and FF),
/// which is a space between two words of one line.
fn is_separator(c: char) -> bool {
    matches!(
        c,
        '\t'..='\r' | '\u{1c}'..='\u{1f}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// Takes escape sequences and forbidden characters out of a line, one character after the other.
#[derive(Default)]
struct Stripper {
    place: Place,
    altered: bool,
}

impl Stripper {
    fn strip(&mut self, c: char) -> Option<char> {
        let is_text;
        (self.place, is_text) = self.place.after(c);
        let kept = match c {
            _ if !is_text => None,
            c if is_forbidden(c) => is_separator(c).then_some(' '),
            c => Some(c),
        };
        self.altered |= kept.is_none();
        kept
    }
}

/// Where in a line we are, as far as escape sequences go (ECMA-48 section 5, and what xterm does
/// with what is broken off).
#[derive(Default, Clone, Copy)]
enum Place {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and intermediates, as in `ESC ( B`.
    Intermediate,
    /// Right after `ESC [`.
    ControlStart,
    /// In the parameters or intermediates of a control sequence.
    Control,
    /// After `ESC O`: one more character says which key it was.
    Key,
    /// In a control string (OSC, DCS, SOS, PM, APC), which BEL or ST ends. ST is ESC and a
    /// backslash, so ESC leaves it too.
    String,
}

impl Place {
    /// Where `c` leads, and whether `c` itself is text rather than part of a sequence.
    #[expect(
        clippy::match_same_arms,
        reason = "the arms are in the order of the places, as a table of states is read"
    )]
    fn after(self, c: char) -> (Place, bool) {
        let next = match (self, c) {
            (_, '\u{1b}') => Place::Escape,
            (_, '\u{8f}') => Place::Key,
            (_, '\u{9b}') => Place::ControlStart,
            (_, '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}') => Place::String,
            (Place::Text, _) => return (Place::Text, true),
            // CAN and SUB break off whatever it is.
            (_, '\u{18}' | '\u{1a}') => Place::Text,

            (Place::String, '\u{7}' | '\u{9c}') => Place::Text,
            (Place::String, _) => Place::String,

            (Place::Escape, '[') => Place::ControlStart,
            (Place::Escape, ']' | 'P' | 'X' | '^' | '_') => Place::String,
            (Place::Escape, 'O') => Place::Key,
            (Place::Escape | Place::Intermediate, ' '..='/') => Place::Intermediate,
            (Place::Escape | Place::Intermediate, '0'..='~') => Place::Text,

            // The Linux console sends `ESC [ [ A` for F1.
            (Place::ControlStart, '[') => Place::Key,
            (Place::ControlStart | Place::Control, ' '..='?') => Place::Control,
            (Place::ControlStart | Place::Control, '@'..='~') => Place::Text,
            (Place::Key, ' '..='~') => Place::Text,

            // Terminals obey other controls amid a sequence and then go on with it.
            (place, c) if c.is_control() => place,
            // No sequence holds such a character, so it was broken off and this is text again.
            _ => return (Place::Text, true),
        };
        (next, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_normalization::char::is_combining_mark;
    use unicode_normalization::is_nfc;

    #[track_caller]
    fn assert_clean(line: impl AsRef<[u8]>, text: &str, altered: bool) {
        let line = line.as_ref();
        let clean = clean(line);
        assert_eq!(
            (&*clean.text, clean.altered),
            (text, altered),
            "from {:?}",
            String::from_utf8_lossy(line)
        );
    }

    #[test]
    fn friendly_text_passes_unchanged() {
        for text in [
            "hello, world ~ {x}",
            "你好，老罗",
            "สวัสดีครับ น้ำ ที่นี่",
            "नमस्ते दुनिया क्‍ष",
            "السَّلامُ عَلَيْكُم",
            "می‌خواهم",
            "Tiếng Việt rất đẹp",
            "한국어 日本語 ｶﾞｷﾞ",
            "שָׁלוֹם",
            "လျှော့ချ ကျွန်ုပ်",
            "བསྒྲུབས་",
            "👩‍👩‍👧‍👦 🧔🏻‍♂️ ❤️ 1️⃣ 🇩🇪",
            "½ € “x” — ﬁ Å",
            "\u{fffd}",
        ] {
            assert_clean(text, text, false);
        }
    }

    #[test]
    fn every_ascii_byte() {
        for byte in 0..=0x7f {
            let (text, altered) = match byte {
                b'\t'..=b'\r' | 0x1c..=0x1f => ("a b".to_owned(), false),
                0x1b => ("a".to_owned(), true),
                b' '..=b'~' => (format!("a{}b", char::from(byte)), false),
                _ => ("ab".to_owned(), true),
            };
            assert_clean([b'a', byte, b'b'], &text, altered);
        }
    }

    #[test]
    fn escape_sequences_go_whole() {
        for sequence in [
            "\x1b[2J",
            "\x1b[38;5;1m",
            "\x1b[?25h",
            "\x1b[>0;1 q",
            "\x1b[c",
            "\x1bc",
            "\x1b7",
            "\x1bOA",
            "\x1b[[A",
            "\x1b(B",
            "\x1b#8",
            "\x1b %G",
            "\x1b]0;title\x07",
            "\x1b]10;?\x1b\\",
            "\x1b]8;;http://x/\u{9c}",
            "\x1bP+q544e\x1b\\",
            "\x1bXsos\x1b\\",
            "\x1b^pm\x1b\\",
            "\x1b_apc\x1b\\",
            "\u{9b}31m",
            "\u{9d}0;老罗\x07",
            "\u{90}x\u{9c}",
            "\u{98}x\u{9c}",
            "\u{9e}x\u{9c}",
            "\u{9f}x\u{9c}",
            "\u{8f}P",
            "\x1b\x1b[A",
            "\x1b[3\x1b[4m",
            "\x1b]0;x\x1b[0m",
            "\x1b]0;x\u{9b}0m",
            "\x1b[3\r1\tm",
            "\x1b[3\x18",
            "\x1b]x\x1a",
        ] {
            assert_clean(format!("é{sequence}z"), "éz", true);
            assert_clean(sequence, "", true);
        }
    }

    #[test]
    fn broken_off_sequences_end_where_text_begins_or_with_the_line() {
        assert_clean("a\x1b", "a", true);
        assert_clean("a\x1b[12;", "a", true);
        assert_clean("a\x1bO", "a", true);
        assert_clean("a\x1b]0;all of the rest", "a", true);
        assert_clean("a\x1b[1é", "aé", true);
        assert_clean("a\x1b老罗", "a老罗", true);
        assert_clean("a\x1b[\u{fffd}b", "a\u{fffd}b", true);
    }

    #[test]
    fn bytes_that_are_not_utf8_become_replacement_characters() {
        assert_clean(b"a\xffb", "a\u{fffd}b", false);
        assert_clean(b"a\xff\xfe\x80b\xc0c", "a\u{fffd}b\u{fffd}c", false);
        assert_clean(b"\xcf\xf0\xe8\xe2\xe5\xf2", "\u{fffd}", false);
        assert!(clean(b"\xcf\xf0\xe8\xe2\xe5\xf2").unreadable);
        assert!(!clean("\u{fffd}".as_bytes()).unreadable);
        assert_clean(b"\xe8\x80", "\u{fffd}", false);
        assert_clean(b"\x9b31m", "\u{fffd}31m", false);
        // An overlong NUL and a surrogate are not UTF-8 either.
        assert!(!clean(b"\xc0\x80\xed\xa0\x80").text.contains('\0'));
    }

    #[test]
    fn invisible_characters_go() {
        for (line, text) in [
            ("a\u{202e}dcb", "adcb"),
            ("\u{feff}a", "a"),
            ("a\u{200b}b\u{2060}c\u{ad}d", "abcd"),
            ("a\u{e0061}\u{e0100}b", "ab"),
            ("a\u{e000}\u{10fffd}\u{fdd0}\u{1ffff}\u{fffe}b", "ab"),
            ("\u{3164}\u{115f}\u{1160}\u{ffa0}", ""),
            (" \u{200d}\u{fe0f} \u{2800} ", ""),
            ("a\u{13430}\u{1343f}b\u{13440}\u{13455}c", "abc"),
            ("\u{13441} \u{13442}", ""),
            ("\u{1107f}\u{16fe4}\u{1bc9d}\u{2d7f}", ""),
        ] {
            assert_clean(line, text, true);
        }
    }

    #[test]
    fn a_line_without_anything_to_see_is_empty() {
        assert_clean("", "", false);
        assert_clean("    ", "", false);
        assert_clean("\t \u{3000}\u{a0}", "", false);
        assert_clean(" \u{200d}", "", true);
    }

    #[test]
    fn blanks_at_the_beginning_stay_and_those_at_the_end_go() {
        assert_clean("  a b  ", "  a b", false);
        assert_clean("\tif é {\t", " if é {", false);
        assert_clean("\u{3000}é\t", "\u{3000}é", false);
        assert_clean("\u{2800}x", "\u{2800}x", false);
    }

    #[test]
    fn what_separates_lines_or_words_is_a_space() {
        for separator in "\t\n\u{b}\u{c}\r\u{1c}\u{1d}\u{1e}\u{1f}\u{85}\u{2028}\u{2029}".chars() {
            assert_clean(format!("a{separator}b"), "a b", false);
            assert_clean(format!("é{separator}b{separator}"), "é b", false);
        }
    }

    #[test]
    fn f130_a_run_of_blanks_is_at_most_16_wide() {
        let sixteen = " ".repeat(16);
        for spaces in [0, 1, 15, 16, 17, 18, 33, 72, 1000] {
            let kept = " ".repeat(spaces.min(16));
            for (before, after) in [("", "x"), ("x", "y"), ("12345", "é"), ("é", "x z")] {
                let line = format!("{before}{}{after}", " ".repeat(spaces));
                assert_clean(line, &format!("{before}{kept}{after}"), false);
            }
        }
        assert_clean(
            "a".to_owned() + &"\t".repeat(40) + "b",
            &format!("a{sixteen}b"),
            false,
        );
        let wide = "\u{3000}".repeat(8);
        assert_clean(format!("a{wide}\u{3000}b"), &format!("a{wide}b"), false);
        assert_clean(
            format!("a{sixteen}\u{2800}\u{2003}b"),
            &format!("a{sixteen}b"),
            false,
        );
        // A joiner does not begin a new run.
        let joined = format!("a{sixteen}\u{200d}{sixteen}b");
        assert_clean(joined, &format!("a{sixteen}\u{200d}b"), false);
    }

    #[test]
    fn towers_of_marks_are_cut_at_four() {
        let tower = format!("x{}y", "\u{301}".repeat(1000));
        assert_clean(tower, "x\u{301}\u{301}\u{301}\u{301}y", true);
        // The first acute becomes part of the letter.
        assert_clean(
            "e\u{301}\u{302}\u{303}\u{304}\u{305}",
            "é\u{302}\u{303}\u{304}\u{305}",
            false,
        );
        // A joiner does not begin a new tower.
        let joined = format!("x{}y", "\u{301}\u{200d}".repeat(9));
        assert_clean(joined, "x\u{301}\u{200d}\u{301}\u{200d}y", true);
        // Were the last mark kept for its column, it would be out of order without the joiner.
        let spacing = format!("x{}\u{200d}\u{2d7f}y", "\u{301}".repeat(4));
        assert_clean(spacing, "x\u{301}\u{301}\u{301}\u{301}y", true);
        let jamo = format!("\u{1100}{}y", "\u{1175}".repeat(9));
        assert_clean(jamo, "기\u{1175}\u{1175}\u{1175}\u{1175}y", true);
    }

    /// Why cutting a pile leaves text in NFC: a character that is kept behind the cut never
    /// composes with one of the pile.
    #[test]
    fn no_character_with_a_column_composes_with_one_without() {
        for composite in '\0'..=char::MAX {
            let parts: Vec<char> = composite.nfd().collect();
            for pair in parts.windows(2) {
                let mut pile = Pile { height: 4 };
                assert!(
                    !pile.admits(pair[1]) || (Pile { height: 4 }).admits(pair[0]),
                    "{composite:?}"
                );
            }
        }
    }

    #[test]
    fn whatever_is_plain_takes_a_column_and_is_no_mark() {
        for c in ('\0'..=char::MAX).filter(|c| is_plain(*c)) {
            let columns = c.width().unwrap_or(0);
            let is_mark = canonical_combining_class(c) != 0 || is_combining_mark(c);
            assert!(columns > 0 && !is_mark && !is_blank(c), "{c:?}");
        }
    }

    /// Every character but the joiners and U+FE00..=U+FE0F that Unicode calls ignorable is
    /// forbidden: a skeleton is without them.
    #[test]
    fn whatever_is_ignorable_is_forbidden() {
        for c in '\0'..=char::MAX {
            let text = c.to_string();
            let ignorable = unicode_security::skeleton(&text).next().is_none();
            if ignorable && !is_joiner_or_selector(c) {
                assert!(is_forbidden(c), "{c:?}");
            }
        }
    }

    /// Whatever takes no column and is no mark is known here to be seen; all else is forbidden, or kept out of names.
    #[test]
    fn whatever_takes_no_column_is_seen_or_kept_out() {
        for c in '\0'..=char::MAX {
            let is_jamo = matches!(c, '\u{1161}'..='\u{11ff}' | '\u{d7b0}'..='\u{d7fb}');
            let is_sign_over_digits =
                matches!(c, '\u{605}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}');
            // Letters that stand on, under or before their neighbours.
            let is_small_letter = matches!(
                c,
                '\u{d4e}'
                    | '\u{a8fa}'
                    | '\u{111c2}'..='\u{111c3}'
                    | '\u{113d1}'
                    | '\u{1193f}'
                    | '\u{11941}'
                    | '\u{11a84}'..='\u{11a89}'
                    | '\u{11d46}'
                    | '\u{11f02}'
            );
            let is_seen = is_combining_mark(c) || is_jamo || is_sign_over_digits || is_small_letter;
            if c.width().unwrap_or(0) == 0 && !is_seen {
                assert!(is_forbidden(c) || is_joiner_or_selector(c), "{c:?}");
            }
        }
    }

    fn any_line() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            prop::collection::vec(any::<u8>(), 0..4),
            prop::sample::select(vec![
                "\x1b[",
                "\x1b]",
                "\x1b",
                "\u{9b}",
                "\x07",
                "\x1b\\",
                "m",
                "0;",
                " ",
                "\t",
                "a",
                "e",
                "\u{301}",
                "\u{327}",
                "\u{345}",
                "\u{200d}",
                "\u{fe0f}",
                "\u{1100}",
                "\u{1161}",
                "\u{11a8}",
                "가",
                "ो",
                "\u{9be}",
                "\u{9c7}",
                "\u{1b44}",
                "\u{302e}",
                "\u{1d165}",
                "\u{16d67}",
                "\u{16d63}",
                "\u{2028}",
                "        ",
                "\u{3000}",
                "\u{2800}",
                "\u{202e}",
                "\u{2126}",
                "\u{1fef}",
            ])
            .prop_map(|s| s.as_bytes().to_vec()),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Of the characters that Unicode calls format controls, only the joiners and those that are seen pass.
        #[test]
        fn format_controls_are_forbidden(
            control in "[\\p{Cf}--[\u{600}-\u{605}\u{6dd}\u{70f}\u{890}\u{891}\u{8e2}\u{200c}\u{200d}\u{110bd}\u{110cd}\u{e0000}-\u{e0fff}]]",
        ) {
            prop_assert!(control.chars().all(is_forbidden), "{control:?}");
        }

        #[test]
        fn a_run_of_bytes_that_are_not_utf8_is_one_character(line in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut expected = String::new();
            for chunk in String::from_utf8_lossy(&line).split_inclusive(char::REPLACEMENT_CHARACTER) {
                if chunk.len() > 3 || !expected.ends_with(char::REPLACEMENT_CHARACTER) || !chunk.ends_with(char::REPLACEMENT_CHARACTER) {
                    expected.push_str(chunk);
                }
            }
            prop_assert_eq!(decode(&line), expected);
        }

        #[test]
        fn nothing_forbidden_passes(line in any_line()) {
            let clean = clean(&line);
            prop_assert!(!clean.text.chars().any(is_forbidden));
            prop_assert!(!clean.text.chars().any(char::is_control));
            prop_assert!(is_nfc(&clean.text));
            prop_assert!(clean.text.len() <= 3 * line.len());
            prop_assert_eq!(clean.text.trim_end(), &*clean.text);
        }

        #[test]
        fn cleaning_twice_is_cleaning_once(line in any_line()) {
            let once = clean(&line);
            let twice = clean(once.text.as_bytes());
            prop_assert_eq!(&once.text, &twice.text);
            prop_assert!(!twice.altered);
        }

        #[test]
        fn the_fast_path_agrees_with_the_slow_one(line in "([ -~\t]{1,20} {0,40}){0,10}") {
            prop_assert_eq!(clean(line.as_bytes()), clean_slowly(&line));
            let plain = line.replace('\t', " ");
            let gap = plain.contains(&" ".repeat(17));
            prop_assert_eq!(has_wide_gap(plain.as_bytes()), gap);
            prop_assert!(gap || matches!(clean(plain.as_bytes()).text, Cow::Borrowed(text) if text == plain.trim_end()));
        }

        #[test]
        fn printable_ascii_is_what_a_byte_by_byte_look_says(line in prop::collection::vec(0x1e..=0x80u8, 0..200)) {
            let slowly = line.iter().all(|&byte| byte == b' ' || byte.is_ascii_graphic());
            prop_assert_eq!(is_printable_ascii(&line), slowly);
        }

        #[test]
        fn valid_visible_text_keeps_every_character(line in "[a-zäéß老罗ไทย]{1,40}") {
            let expected: String = line.nfc().collect();
            let expected = Clean { text: Cow::Owned(expected), altered: false, unreadable: false };
            prop_assert_eq!(clean(line.as_bytes()), expected);
        }
    }
}
