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
    /// Whether anything invisible or forbidden was taken out. Trimmed white space, a Tab that
    /// became a space, bytes that became U+FFFD and another spelling of the same character do not
    /// count.
    pub altered: bool,
}

/// Makes a line (without its line end) fit to be shown to others.
///
/// In this order: bytes that are not UTF-8 become U+FFFD; escape sequences (ECMA-48) are swallowed
/// whole, to the line's end if they do not end before; a Tab becomes a space; invisible and
/// forbidden characters go; the rest is put into NFC; of more than four characters in a row that
/// take no column the rest goes; white space is trimmed from both ends.
#[must_use]
pub(crate) fn clean(line: &[u8]) -> Clean<'_> {
    if is_printable_ascii(line) {
        if let Ok(text) = std::str::from_utf8(line) {
            let text = Cow::Borrowed(text.trim_matches(' '));
            return Clean {
                text,
                altered: false,
            };
        }
    }
    clean_slowly(&String::from_utf8_lossy(line))
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

/// What [`clean`] does to a line that is not plain ASCII.
fn clean_slowly<'a>(line: &str) -> Clean<'a> {
    let mut stripper = Stripper::default();
    let mut pile = Pile::default();
    let mut too_high = false;
    let mut allowed = String::with_capacity(line.len());
    allowed.extend(line.chars().filter_map(|c| stripper.strip(c)));
    let mut text = String::with_capacity(allowed.len());
    text.extend(allowed.nfc().filter(|&c| {
        let fits = pile.admits(c);
        too_high |= !fits;
        fits
    }));
    let mut altered = stripper.altered || too_high;

    text.truncate(text.trim_end().len());
    text.drain(..text.len() - text.trim_start().len());
    if !text.is_empty() && text.chars().all(is_blank) {
        altered = true;
        text = String::new();
    }
    Clean {
        text: Cow::Owned(text),
        altered,
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

/// Whether a character shows nothing by itself: white space, joiners, and the two letters that are
/// drawn as nothing.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_joiner_or_selector(c) || matches!(c, '\u{2800}' | '\u{1d159}')
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
            '\t' => Some(' '),
            c if is_forbidden(c) => None,
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
                b'\t' => ("a b".to_owned(), false),
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
            ("a\u{2028}b\u{2029}c\u{85}d", "abcd"),
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
        assert_clean("  a b  ", "a b", false);
        assert_clean("\u{3000}é\t", "é", false);
        assert_clean("\u{2800}x", "\u{2800}x", false);
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
        fn nothing_forbidden_passes(line in any_line()) {
            let clean = clean(&line);
            prop_assert!(!clean.text.chars().any(is_forbidden));
            prop_assert!(!clean.text.chars().any(char::is_control));
            prop_assert!(is_nfc(&clean.text));
            prop_assert!(clean.text.len() <= 3 * line.len());
            prop_assert_eq!(clean.text.trim(), &*clean.text);
        }

        #[test]
        fn cleaning_twice_is_cleaning_once(line in any_line()) {
            let once = clean(&line);
            let twice = clean(once.text.as_bytes());
            prop_assert_eq!(&once.text, &twice.text);
            prop_assert!(!twice.altered);
        }

        #[test]
        fn the_fast_path_agrees_with_the_slow_one(line in "[ -~\t]{0,200}") {
            prop_assert_eq!(clean(line.as_bytes()), clean_slowly(&line));
            let plain = line.replace('\t', " ");
            prop_assert!(matches!(clean(plain.as_bytes()).text, Cow::Borrowed(text) if text == plain.trim()));
        }

        #[test]
        fn printable_ascii_is_what_a_byte_by_byte_look_says(line in prop::collection::vec(0x1e..=0x80u8, 0..200)) {
            let slowly = line.iter().all(|&byte| byte == b' ' || byte.is_ascii_graphic());
            prop_assert_eq!(is_printable_ascii(&line), slowly);
        }

        #[test]
        fn valid_visible_text_keeps_every_character(line in "[a-zäéß老罗ไทย]{1,40}") {
            let expected: String = line.nfc().collect();
            prop_assert_eq!(clean(line.as_bytes()), Clean { text: Cow::Owned(expected), altered: false });
        }
    }
}
