//! What a person may be called, and when two names are too alike.
//!
//! A [`Name`] is valid because it exists: code that has one need not check it. Who holds which name
//! is not known here, the roster does that with the keys of a name.
//!
//! Invariant: a chosen name is in NFC, takes 1 to 24 columns and at most 128 bytes, holds only
//! letters, marks, digits, `_`, `-` and `.`, and the joiners and the tsek that some scripts cannot
//! do without, begins with a letter or a digit, and can be printed anywhere as it is.
//! Invariant: no chosen name can be mistaken for `guestN` or for one of the reserved names.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use unicode_normalization::char::is_combining_mark;
use unicode_normalization::UnicodeNormalization;
use unicode_security::mixed_script::AugmentedScriptSet;
use unicode_width::UnicodeWidthStr;

use crate::hygiene::{is_forbidden, is_joiner_or_selector, Pile};
use crate::skeleton::skeleton;

/// The widest name, in columns of a terminal.
pub(crate) const NAME_COLUMNS_MAX: usize = 24;

/// The longest name, in bytes of UTF-8: enough for 24 letters of any script with some marks.
/// Columns alone bound nothing, for marks and jamo take none.
pub(crate) const NAME_BYTES_MAX: usize = 128;

/// The longest name, in characters of its compatibility form: enough for 24 letters with two marks
/// each. Few ligatures that stand for a sentence (U+FDFA is 18 letters) are looked at.
const COMPATIBLE_CHARACTERS_MAX: usize = 72;

/// A mark below a letter that becomes a letter of its own where case is taken away (U+0345). Where a letter is made for
/// it, as in `ᾳ`, a name has that.
const LOOSE_IOTA: char = '\u{345}';

/// The keys of the names that nobody may choose, for they sound like somebody who runs the server: `server`,
/// `chatd`, `admin`, `administrator`, `root`, `system`, `operator`, `op`, `mod`, `moderator`; in small letters, in
/// capitals, and beginning with one. `m` looks like `rn`, and capital `I` like `l`.
const RESERVED_KEYS: [&str; 15] = [
    "admln",
    "admlnlstrator",
    "adrnin",
    "adrninistrator",
    "chatd",
    "mod",
    "moderator",
    "op",
    "operator",
    "rnod",
    "rnoderator",
    "root",
    "server",
    "system",
    "systern",
];

/// The name of a session: `guestN` until its person chooses one.
///
/// Equal names are spelled alike; whether two names may be held at once is another question, which
/// the roster answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Name(Kept);

/// How a name is kept: guests come in thousands, and most names are short, so theirs cost no allocation.
///
/// Invariant: what fits into `Short` is there.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Kept {
    /// A chosen name with zeros behind it; or, where the first byte is zero, the number of a guest, its highest byte first.
    Short([u8; SHORT_BYTES_MAX]),
    Long(Box<str>),
}

/// The longest name that costs no allocation, in bytes: a [`Name`] is two words.
const SHORT_BYTES_MAX: usize = 8;

/// The highest number of a guest: at a million connections a second it would be reached in two thousand years.
pub(crate) const GUEST_MAX: u64 = (1 << 56) - 1;

/// The two kinds of name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind<'a> {
    Guest(u64),
    Chosen(&'a str),
}

impl Name {
    /// The name of the `n`th connection until it chooses one: `guestN`. Behind [`GUEST_MAX`] all share a number.
    #[must_use]
    pub(crate) fn guest(n: u64) -> Name {
        Name(Kept::Short(n.min(GUEST_MAX).to_be_bytes()))
    }

    /// A name that keeps to the rules.
    fn chosen(name: Box<str>) -> Name {
        let mut short = [0; SHORT_BYTES_MAX];
        match short.get_mut(..name.len()) {
            Some(begin) => {
                begin.copy_from_slice(name.as_bytes());
                Name(Kept::Short(short))
            }
            None => Name(Kept::Long(name)),
        }
    }

    /// The name that `text` spells; `text` has no white space around it.
    ///
    /// # Errors
    /// A name that breaks the rules, or one that nobody may choose, is refused and never cut to
    /// fit.
    pub(crate) fn parse(text: &str) -> Result<Name, NameError> {
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::Malformed);
        }
        let name: Box<str> = text.nfc().collect();
        check_form(&name)?;
        if is_reserved(&name) {
            return Err(NameError::Reserved(name));
        }
        Ok(Name::chosen(name))
    }

    /// The same where an operator keeps a name, which may be one that nobody may choose but `guestN`.
    ///
    /// # Errors
    /// As for [`Name::parse`], but for the names of those who run the server.
    pub(crate) fn parse_kept(text: &str) -> Result<Name, NameError> {
        match Name::parse(text) {
            Err(NameError::Reserved(name)) if !is_guest(&name) => Ok(Name::chosen(name)),
            parsed => parsed,
        }
    }

    /// The name that somebody has whom another server knows: any that a server gives or lets be taken.
    pub(crate) fn parse_held(text: &str) -> Option<Name> {
        match guest_number(text) {
            Some(number) => (number <= GUEST_MAX).then(|| Name::guest(number)),
            None => Name::parse_kept(text).ok(),
        }
    }

    /// Whether nobody may choose it without a key.
    pub(crate) fn is_reserved(&self) -> bool {
        matches!(self.kind(), Kind::Chosen(name) if is_reserved(name))
    }

    /// Appends the name to `out`.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        match self.kind() {
            // Writing to a `Vec` cannot fail.
            Kind::Guest(n) => _ = write!(out, "guest{n}"),
            Kind::Chosen(name) => out.extend_from_slice(name.as_bytes()),
        }
    }

    /// The name as text.
    #[must_use]
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self.kind() {
            Kind::Guest(n) => Cow::Owned(format!("guest{n}")),
            Kind::Chosen(name) => Cow::Borrowed(name),
        }
    }

    pub(crate) fn kind(&self) -> Kind<'_> {
        match &self.0 {
            Kept::Short(number @ [0, ..]) => Kind::Guest(u64::from_be_bytes(*number)),
            Kept::Short(name) => {
                let end = name.iter().position(|byte| *byte == 0);
                let name = &name[..end.unwrap_or(SHORT_BYTES_MAX)];
                Kind::Chosen(str::from_utf8(name).unwrap_or_default())
            }
            Kept::Long(name) => Kind::Chosen(name),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Kind::Guest(n) => write!(f, "guest{n}"),
            Kind::Chosen(name) => f.write_str(name),
        }
    }
}

/// The number in `guestN`, in any case and with the digits that the server writes: `guest007` is
/// nobody.
pub(crate) fn guest_number(text: &str) -> Option<u64> {
    let (word, number) = text.split_at_checked("guest".len())?;
    let is_canonical = number == "0" || number.starts_with(|digit| matches!(digit, '1'..='9'));
    if !is_canonical || !word.eq_ignore_ascii_case("guest") {
        return None;
    }
    number.parse().ok()
}

/// Why a text is no name. `Display` gives the words for the person who asked, without the `!! `
/// before them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NameError {
    /// It breaks the rules for names. The text itself may hold anything and must not be shown.
    Malformed,
    /// It would keep to the rules if it were not this many columns wide: it has at most 24 letters,
    /// but some of them are wide.
    TooWide(usize),
    /// It keeps to the rules and can be shown, but is or looks like a name that nobody may choose.
    Reserved(Box<str>),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Malformed => write!(
                f,
                "a name is 1 to {NAME_COLUMNS_MAX} letters, digits or _ - . and begins with a letter or digit"
            ),
            NameError::TooWide(columns) => write!(
                f,
                "a name is 1 to {NAME_COLUMNS_MAX} columns wide, and this one is {columns}"
            ),
            NameError::Reserved(name) => write!(f, "{name} is reserved"),
        }
    }
}

impl std::error::Error for NameError {}

/// What two names have in common if they are too alike: any key of the one is any key of the other.
///
/// One key is not enough. Capital `I` looks like small `l` but is the same letter as small `i`, and
/// `paypaI` is to be refused for the sake of `paypal` as `ANNI` is for the sake of `anni`; with a
/// single key `anni` and `annl` would be the same as well. And `ſ` is the letter `s` but looks like
/// `f`. In every key marks are in one order, each once, and what shows nothing, or little, is left out:
/// joiners, the tsek, and marks of a script of which the name has no letter.
///
/// Cost: a skeleton (UTS 39, section 4) each, of at most 72 characters; most names need only one.
/// What is too long for a name has no key.
#[derive(Debug, Default)]
pub(crate) struct Keys([Option<Box<str>>; 3]);

impl Keys {
    /// The keys of a chosen name, or of what might be one: with case taken away first, so that
    /// spellings in another case share it; then of the compatibility form, and of the name itself, as
    /// they look, if that makes a difference.
    pub(crate) fn of(name: &str) -> Keys {
        let mut keys = Keys::default();
        let name = without_what_hides(name);
        let Some(form) = compatible(&name) else {
            return keys;
        };
        let folded: String = form.chars().flat_map(fold_case).collect();
        keys.add(lowercase_skeleton(&folded));
        if form != folded {
            keys.add(lowercase_skeleton(&form));
        }
        if name != form {
            keys.add(lowercase_skeleton(&name));
        }
        keys
    }

    fn add(&mut self, key: Box<str>) {
        let is_known = self.iter().any(|known| *known == *key);
        if let Some(place) = self.0.iter_mut().find(|place| place.is_none()) {
            *place = Some(key).filter(|_| !is_known);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|key| key.as_deref())
    }
}

/// The name without joiners, the tsek, and marks of a script of which the name has no letter: many
/// terminals show nothing of them, or a letter as if it had none.
fn without_what_hides(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        return Cow::Borrowed(name);
    }
    let scripts = |c: char| AugmentedScriptSet::for_char(c).base;
    let is_base = |c: &char| !is_combining_mark(*c) && !is_joiner_or_selector(*c);
    let mut letters: Vec<_> = name.nfc().filter(is_base).map(scripts).collect();
    let has_base = !letters.is_empty();
    letters.retain(|scripts| !scripts.is_common());
    // What several scripts use tells nothing, if there is anything else.
    if letters.iter().any(|scripts| scripts.len() == 1) {
        letters.retain(|scripts| scripts.len() == 1);
    }
    let belongs = |mark: char| {
        let mark = scripts(mark);
        let shares = |letter| !mark.intersection(letter).is_empty();
        let is_of_all = mark.is_common() || mark.is_inherited();
        !has_base || is_of_all || letters.iter().copied().any(shares)
    };
    let shows = |c: &char| {
        !is_tsek(*c) && !is_joiner_or_selector(*c) && (!is_combining_mark(*c) || belongs(*c))
    };
    name.nfc().filter(shows).collect()
}

/// The compatibility form (NFKC) of a text; `None` if that is too long for a name.
fn compatible(text: &str) -> Option<Cow<'_, str>> {
    if text.is_ascii() {
        return (text.len() <= COMPATIBLE_CHARACTERS_MAX).then_some(Cow::Borrowed(text));
    }
    let mut characters = text.nfkc();
    let form: String = characters
        .by_ref()
        .take(COMPATIBLE_CHARACTERS_MAX)
        .collect();
    characters.next().is_none().then_some(Cow::Owned(form))
}

/// Takes case away. Down, up and down again stands for Unicode's full case folding without its
/// table: the way up turns `ß` into `ss`, `ſ` into `s` and final sigma into sigma, and the first
/// way down lets capital `ẞ` take part in that. Letter by letter, because `str::to_lowercase` looks
/// at the end of words.
fn fold_case(c: char) -> impl Iterator<Item = char> {
    c.to_lowercase()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

/// The skeleton is lowered at the end because its own letters are of either case: that of `0` is
/// `O`. Then its marks are put into one order, each once behind its letter.
fn lowercase_skeleton(text: &str) -> Box<str> {
    let mut key = String::with_capacity(text.len());
    let mut marks: Vec<char> = Vec::new();
    let settle = |marks: &mut Vec<char>, key: &mut String| {
        marks.sort_unstable();
        marks.dedup();
        key.extend(marks.drain(..));
    };
    for c in skeleton(text).flat_map(char::to_lowercase) {
        if is_combining_mark(c) {
            marks.push(c);
        } else {
            settle(&mut marks, &mut key);
            key.push(look_alike(c));
        }
    }
    settle(&mut marks, &mut key);
    key.into()
}

/// What a character of a skeleton looks like that is no hyphen or dot of ours, but could be one: a high
/// line, a middle dot, the long sound of Katakana, which is confused with the Chinese one.
fn look_alike(c: char) -> char {
    match c {
        '\u{2c9}' | '\u{30fc}' | '\u{4e00}' | '\u{1173}' | '\u{3161}' | '\u{2cba}' | '\u{2cbb}'
        | '\u{a7f7}' => '-',
        '\u{b7}' => '.',
        c => c,
    }
}

/// Whether `name`, in NFC, keeps to the rules.
pub(crate) fn check_form(name: &str) -> Result<(), NameError> {
    let mut pile = Pile::default();
    let characters: Vec<char> = name.chars().collect();
    // A vowel sign is "alphabetic" too, but nothing begins with it.
    let begins = characters
        .first()
        .is_some_and(|c| c.is_alphanumeric() && !is_combining_mark(*c));
    let neighbours = |at: usize| {
        let before = at.checked_sub(1).and_then(|at| characters.get(at));
        (before.copied(), characters.get(at + 1).copied())
    };
    let is_made_well = characters
        .iter()
        .enumerate()
        .all(|(at, &c)| (may_be_in_name(c) || may_be_between(neighbours(at), c)) && pile.admits(c));
    let fits = name.len() <= NAME_BYTES_MAX && compatible(name).is_some();
    if !begins || !is_made_well || !fits {
        return Err(NameError::Malformed);
    }
    let letters = characters.iter().filter(|c| !is_combining_mark(**c));
    match name.width() {
        1..=NAME_COLUMNS_MAX => Ok(()),
        columns @ 1.. if letters.count() <= NAME_COLUMNS_MAX => Err(NameError::TooWide(columns)),
        _ => Err(NameError::Malformed),
    }
}

/// Whether every character of `text` may be in a name.
pub(crate) fn is_of_a_name(text: &str) -> bool {
    text.chars().all(may_be_in_name)
}

fn may_be_in_name(c: char) -> bool {
    (c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '_' | '-' | '.'))
        && !is_forbidden(c)
        && !is_joiner_or_selector(c)
        && c != LOOSE_IOTA
}

/// Whether `c` may stand between these two in a name, though it is no letter: a joiner between letters or marks
/// of a script that needs it, a tsek behind a Tibetan syllable.
fn may_be_between((before, after): (Option<char>, Option<char>), c: char) -> bool {
    let Some(before) = before else {
        return false;
    };
    match c {
        '\u{200c}' | '\u{200d}' => {
            let joined = joined_script(before);
            joined.is_some() && after.is_some_and(|after| joined_script(after) == joined)
        }
        c if is_tsek(c) => matches!(before, '\u{f00}'..='\u{fff}') && is_letter_or_mark(before),
        _ => false,
    }
}

/// The script of a letter or mark, if words of that script are spelled with joiners: where its block
/// begins.
fn joined_script(c: char) -> Option<u32> {
    if !is_letter_or_mark(c) {
        return None;
    }
    Some(match c {
        // Arabic with its supplements, for Persian and Urdu.
        '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{870}'..='\u{8ff}' => 0x600,
        '\u{700}'..='\u{74f}' => 0x700,
        // The scripts of India from Devanagari to Sinhala, 128 places each.
        '\u{900}'..='\u{dff}' => c as u32 & !0x7f,
        '\u{1000}'..='\u{109f}' => 0x1000,
        '\u{1780}'..='\u{17ff}' => 0x1780,
        '\u{1800}'..='\u{18af}' => 0x1800,
        _ => return None,
    })
}

fn is_letter_or_mark(c: char) -> bool {
    c.is_alphabetic() || is_combining_mark(c)
}

/// Whether it is what stands between two Tibetan syllables.
fn is_tsek(c: char) -> bool {
    matches!(c, '\u{f0b}' | '\u{f0c}')
}

/// Whether nobody may choose `name`, because it is or looks like the name of a guest or of somebody
/// who runs the server.
fn is_reserved(name: &str) -> bool {
    let keys = Keys::of(name);
    let is_listed = keys.iter().any(|key| RESERVED_KEYS.contains(&key));
    is_listed || is_guest(name)
}

/// Whether it could be mistaken for `guestN`.
fn is_guest(name: &str) -> bool {
    // Digits of other scripts look like other letters, but are read as digits.
    let before_digits = name.trim_end_matches(char::is_numeric);
    let has_digits = before_digits.len() < name.len();
    let is_guest_in_digits = || {
        let keys = Keys::of(before_digits);
        let is_guest = keys.iter().any(|key| key == "guest");
        is_guest
    };
    if has_digits && is_guest_in_digits() {
        return true;
    }
    // Without a digit `guesto` and `guestlol` are names like any.
    let may_be_guest = name.contains(char::is_numeric);
    let keys = Keys::of(name);
    let is_guest = may_be_guest && keys.iter().any(is_guest_key);
    is_guest
}

/// Whether a key is that of `guest` and digits; 0 and 1 have become `o` and `l` in it.
fn is_guest_key(key: &str) -> bool {
    key.strip_prefix("guest").is_some_and(|number| {
        !number.is_empty()
            && number
                .chars()
                .all(|c| c.is_numeric() || matches!(c, 'o' | 'l'))
    })
}

#[cfg(test)]
impl Name {
    /// Whether the two cannot be held by two people at once, because they differ in no more than
    /// case, width or letters that look alike.
    pub(crate) fn is_like(&self, other: &Name) -> bool {
        match (self.kind(), other.kind()) {
            (Kind::Guest(n), Kind::Guest(m)) => n == m,
            (Kind::Chosen(name), Kind::Chosen(other)) => Keys::of(name).meet(&Keys::of(other)),
            // Whatever looks like a guest is reserved.
            _ => false,
        }
    }
}

#[cfg(test)]
impl Keys {
    fn meet(&self, other: &Keys) -> bool {
        self.iter()
            .any(|key| other.iter().any(|theirs| theirs == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hygiene::clean;
    use proptest::prelude::*;

    #[track_caller]
    fn name(text: &str) -> Name {
        Name::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
    }

    #[test]
    fn a_name_is_two_words() {
        assert_eq!(size_of::<Name>(), 16);
    }

    #[test]
    fn a_short_name_costs_no_allocation() {
        for (text, is_short) in [
            ("a", true),
            ("ann-mari", true),
            ("ann-marie", false),
            ("小明", true),
            ("สมชาย", false),
        ] {
            let name = name(text);
            assert_eq!(matches!(name.0, Kept::Short(_)), is_short, "{text}");
            assert_eq!(name.kind(), Kind::Chosen(text));
        }
        for number in [0, 1, 255, 1 << 32, GUEST_MAX] {
            assert_eq!(Name::guest(number).kind(), Kind::Guest(number));
        }
        assert_eq!(Name::guest(u64::MAX), Name::guest(GUEST_MAX));
        assert_eq!(Name::parse_held("guest72057594037927936"), None);
    }

    #[test]
    fn friendly_names_are_kept_as_they_are() {
        for text in [
            "a",
            "7",
            "ann",
            "Ann_B-c.d",
            "x86",
            "guest",
            "guestbook",
            "guesty",
            "servers",
            "chat",
            "老罗",
            "สมชาย",
            "น้ำ",
            "नमस्ते",
            "हिन्दी",
            "محمد",
            "مُحَمَّد",
            "Nguyễn",
            "ß",
            "Ωμέγα",
            "שלום",
            "ကျော်",
            "张三丰",
            "한국어",
            "やまだ",
            "é",
            "Đặng",
            "٧seven",
            "Guesto",
            "guestlol",
            "guestbook7",
            "admins",
            "rooted",
            "modern",
            "opera",
            "systems",
            // Sinhala, Persian, Bengali, Tibetan.
            "ශ්‍රී",
            "می‌خواهم",
            "র‍্যাব",
            "བཀྲ་ཤིས་",
            "བོད་",
        ] {
            assert_eq!(name(text).to_string(), text);
        }
        assert_eq!(name("Nguye\u{302}\u{303}n").to_string(), "Nguyễn");
    }

    #[test]
    fn hostile_names_are_refused() {
        for text in [
            "",
            " ",
            " ann",
            "ann ",
            "an n",
            "-ann",
            ".ann",
            "_ann",
            "/ann",
            "*",
            "<ann>",
            "[ann]",
            "ann\n",
            "ann\0",
            "ann\x1b[2J",
            "a\u{202e}b",
            "a\u{200b}b",
            "a\u{200d}b",
            "a\u{200c}b",
            "ann\u{200d}",
            "\u{200d}ann",
            "می\u{200c}",
            "می\u{200c}\u{200c}خ",
            "می\u{200c}n",
            "م\u{200c}٧",
            "老\u{200d}罗",
            "ශ\u{200d}น",
            "a\u{f0b}",
            "\u{f0b}",
            "བོད\u{f0b}\u{f0b}",
            "\u{fdfa}\u{fdfa}\u{fdfa}\u{fdfa}\u{fdfa}\u{fdfa}\u{fdfa}\u{fdfa}",
            "a\u{fe0f}",
            "a\u{e0100}",
            "a\u{ad}b",
            "a\u{34f}b",
            "\u{3164}",
            "\u{ffa0}",
            "\u{115f}",
            "\u{1160}",
            "\u{2800}",
            "\u{e000}",
            "a\u{fffd}",
            "👍",
            "a👍",
            "\u{301}a",
            "\u{93e}a",
            "\u{1161}",
            "a\u{305}\u{305}\u{305}\u{305}\u{305}",
            "a,b",
            "a:b",
            "a\u{a0}b",
            "a\u{3000}b",
            "a\u{feff}",
            "a\u{2028}",
            "a\u{9b}",
            "\u{13441}",
            "ann\u{13441}",
            "ann\u{13442}",
            "ann\u{13440}",
            "ann\u{1107f}",
            "ann\u{16fe4}",
            "ann\u{1bc9d}",
            "ann\u{2d7f}",
            "ann\u{345}",
            "\u{3b2}\u{345}",
        ] {
            assert_eq!(Name::parse(text), Err(NameError::Malformed), "{text:?}");
        }
    }

    #[test]
    fn an_iota_below_is_part_of_the_letter_that_is_made_for_it() {
        let name = Name::parse("\u{3b1}\u{345}").unwrap();
        assert_eq!(name.text(), "\u{1fb3}");
    }

    #[test]
    fn every_ascii_character_in_both_places() {
        for c in '\0'..='\x7f' {
            let begins = c.is_ascii_alphanumeric();
            let follows = begins || "_-.".contains(c);
            assert_eq!(Name::parse(&format!("{c}x")).is_ok(), begins, "{c:?}");
            assert_eq!(Name::parse(&format!("x{c}x")).is_ok(), follows, "{c:?}");
        }
    }

    #[test]
    fn names_are_bounded_in_columns_and_bytes() {
        for (letter, most, error) in [
            ("a", 24, NameError::Malformed),
            ("老", 12, NameError::TooWide(26)),
            ("ｶ", 24, NameError::Malformed),
        ] {
            assert!(Name::parse(&letter.repeat(most)).is_ok());
            assert_eq!(Name::parse(&letter.repeat(most + 1)), Err(error));
        }
        assert_eq!(Name::parse(&"老".repeat(24)), Err(NameError::TooWide(48)));
        assert_eq!(Name::parse(&"老".repeat(25)), Err(NameError::Malformed));
        let marked = "b\u{305}\u{305}";
        assert!(Name::parse(&marked.repeat(24)).is_ok());
        let marked = "b\u{305}\u{305}\u{305}";
        assert!(Name::parse(&marked.repeat(18)).is_ok());
        assert_eq!(Name::parse(&marked.repeat(19)), Err(NameError::Malformed));
        // Some characters are longer in NFC than as they were typed: 72 bytes become 144.
        assert_eq!(
            Name::parse(&"\u{fb2c}".repeat(24)),
            Err(NameError::Malformed)
        );
    }

    #[test]
    fn f129_reserved_names_and_their_look_alikes_are_refused() {
        for text in [
            "guest7",
            "guest0",
            "guest007",
            "GUEST7",
            "Guest12",
            "guest1O",
            "guestO1",
            "ｇｕｅｓｔ７",
            "guеst7",
            "guest７",
            "guest٧",
            "gυеst٧",
            "guest໗",
            "ɡuest7",
            "guest\u{1d7d9}",
            "server",
            "Server",
            "SERVER",
            "ѕеrvеr",
            "ｓｅｒｖｅｒ",
            "chatd",
            "CHATD",
            "сhаtd",
            "𝐜𝐡𝐚𝐭𝐝",
            "admin",
            "Admin",
            "ADMlN",
            "аdmin",
            "adrnin",
            "Administrator",
            "root",
            "r00t",
            "System",
            "SYSTEM",
            "operator",
            "op",
            "0p",
            "OР",
            "mod",
            "M0D",
            "moderator",
            "admi\u{e34}n",
        ] {
            assert!(
                matches!(Name::parse(text), Err(NameError::Reserved(_))),
                "{text:?}: {:?}",
                Keys::of(text)
            );
        }
        assert_eq!(Keys::of("guest").iter().collect::<Vec<_>>(), ["guest"]);
        // The digits in the key of a guest are digits still, or the two letters that `is_guest_key`
        // takes.
        for n in 0..2000 {
            let keys = Keys::of(&format!("guest{n}"));
            assert!(keys.iter().any(is_guest_key));
        }
    }

    #[test]
    fn errors_say_it_in_the_words_of_the_protocol() {
        assert_eq!(
            NameError::Malformed.to_string(),
            "a name is 1 to 24 letters, digits or _ - . and begins with a letter or digit"
        );
        assert_eq!(
            Name::parse("Server").unwrap_err().to_string(),
            "Server is reserved"
        );
        assert_eq!(
            NameError::TooWide(26).to_string(),
            "a name is 1 to 24 columns wide, and this one is 26"
        );
    }

    #[test]
    fn guests_are_written_with_their_number() {
        for n in [0, 7, GUEST_MAX] {
            let guest = Name::guest(n);
            let mut out = b"<".to_vec();
            guest.write_to(&mut out);
            assert_eq!(out, format!("<guest{n}").into_bytes());
            assert_eq!(guest.to_string(), format!("guest{n}"));
            assert!(matches!(guest.kind(), Kind::Guest(_)));
            assert!(Name::parse(&guest.to_string()).is_err());
        }
        assert!(Name::guest(7).is_like(&Name::guest(7)));
        assert!(!Name::guest(7).is_like(&Name::guest(8)));
        assert!(!Name::guest(7).is_like(&name("seven")));
    }

    #[test]
    fn f129_names_that_are_too_alike() {
        for (one, other) in [
            ("ann", "ANN"),
            ("ANNI", "anni"),
            ("ANNI", "annl"),
            ("paypaI", "paypal"),
            ("рaypal", "paypal"),
            ("РАУРАL", "paypal"),
            ("paypa1", "paypal"),
            ("b0b", "bob"),
            ("ｂｏｂ", "BOB"),
            ("corn", "com"),
            ("straße", "STRASSE"),
            ("STRAẞE", "straße"),
            ("STRAẞE", "strasse"),
            ("Όσος", "ΌΣΟΣ"),
            ("ﬁn", "FIN"),
            ("café", "CAFE\u{301}"),
            ("Μαρία", "ΜΑΡΊΑ"),
            ("дмитрий", "ДМИТРИЙ"),
            ("ǅ", "ǆ"),
            ("ῳ\u{340}", "ὼΙ"),
            ("ῳ\u{305}", "ΩΙ\u{305}"),
            // Letters that look like another one than they stand for.
            ("ſred", "fred"),
            ("ſred", "sred"),
            ("ſRED", "Fred"),
            // Marks in another order, twice, or of a script that the name has no letter of.
            ("a\u{305}\u{302}b", "a\u{302}\u{305}b"),
            ("b\u{305}\u{305}", "b\u{305}"),
            ("é\u{301}", "é"),
            ("an\u{e34}n", "ann"),
            ("an\u{93e}n", "ann"),
            ("ann\u{651}", "ann"),
            ("a-1\u{e34}", "a-1"),
            ("12\u{e34}", "12"),
            // Hyphens and dots of other scripts.
            ("aー1", "a-1"),
            ("aｰ1", "a-1"),
            ("a一1", "a-1"),
            ("aㅡ1", "a-1"),
            ("aᐨ1", "a-1"),
            ("aᐧ1", "a.1"),
            ("a\u{640}1", "a_1"),
            ("a٠1", "a.1"),
            ("aꓸ1", "a.1"),
            ("a\u{1d16d}1", "a.1"),
            // Joiners and the tsek show little.
            ("می‌خواهم", "میخواهم"),
            ("ශ්‍රී", "ශ්රී"),
            ("བོད་", "བོད"),
        ] {
            assert!(
                name(one).is_like(&name(other)),
                "{one} {other} {:?} {:?}",
                Keys::of(one),
                Keys::of(other)
            );
        }
        for (one, other) in [
            ("anni", "annl"),
            ("ann", "anna"),
            ("ann", "ann."),
            ("cafe", "café"),
            ("老罗", "老王"),
            ("bob", "b-b"),
            ("a-1", "a.1"),
            ("हि", "ही"),
            ("น้ำ", "นำ"),
            ("sred", "fred"),
        ] {
            assert!(!name(one).is_like(&name(other)), "{one} {other}");
        }
    }

    #[test]
    fn the_keys_of_reserved_names_are_those_of_all_their_spellings() {
        let mut keys = Vec::new();
        for name in [
            "server",
            "chatd",
            "admin",
            "administrator",
            "root",
            "system",
            "operator",
            "op",
            "mod",
            "moderator",
        ] {
            let (first, rest) = name.split_at(1);
            let capital = first.to_uppercase() + rest;
            for spelling in [name, &name.to_uppercase(), &capital] {
                keys.extend(Keys::of(spelling).iter().map(str::to_owned));
            }
        }
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys, RESERVED_KEYS);
    }

    /// What is too long for a name costs no skeleton: U+FDFA is 18 letters.
    #[test]
    fn f119_what_is_too_long_for_a_name_has_no_key() {
        for text in ["\u{fdfa}".repeat(42), "a".repeat(73), "\u{fdfa}".repeat(5)] {
            assert_eq!(Keys::of(&text).iter().count(), 0, "{text}");
        }
        for text in ["\u{fdfa}".repeat(4), "a".repeat(72), "b\u{305}".repeat(36)] {
            let keys = Keys::of(&text);
            let longest = keys.iter().map(str::len).max();
            assert!(longest.is_some_and(|bytes| bytes <= 216), "{longest:?}");
        }
    }

    /// Exhaustive, because the tables of case and of compatibility were made by different people
    /// over forty years.
    #[test]
    fn every_letter_is_like_itself_in_another_case() {
        let likes = |one: &str, other: &str| Keys::of(one).meet(&Keys::of(other));
        for c in ('\0'..=char::MAX).filter(|&c| may_be_in_name(c)) {
            // No name begins with a mark.
            let before = if is_combining_mark(c) { "ω" } else { "" };
            let text = format!("{before}{c}");
            assert!(
                likes(&text, &text.to_uppercase()),
                "{c:?} {}",
                text.to_uppercase()
            );
            assert!(
                likes(&text, &text.to_lowercase()),
                "{c:?} {}",
                text.to_lowercase()
            );
            let wide: String = text.nfkc().collect();
            // Some stand for a mark behind a space, which is no name.
            let is_name = wide.chars().all(may_be_in_name);
            assert!(!is_name || likes(&text, &wide), "{c:?} {wide}");
        }
    }

    /// Letters of many scripts, and more often than chance has it those that cause trouble.
    fn any_name() -> impl Strategy<Value = String> {
        let letter = prop_oneof![
            4 => "[a-zA-Z0-9_.-]",
            2 => "[аеорсухАЕОРСУХіІіαοΟσςΣßẞſıİKÅﬁŉǰΐ]",
            1 => "[\u{300}-\u{345}\u{93e}\u{94d}\u{e31}]",
            1 => "[ａ-ｚＡ-Ｚ０-９]",
            2 => "\\p{L}",
            1 => "[\\p{M}\\p{Nd}]",
        ];
        prop::collection::vec(letter, 1..12).prop_map(|letters| letters.concat())
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in prop_oneof![any::<String>(), any_name()]) {
            if let Ok(name) = Name::parse(&text) {
                prop_assert!(matches!(name.kind(), Kind::Chosen(_)));
            }
        }

        #[test]
        fn a_parsed_name_is_printed_and_parsed_as_the_same(text in any_name()) {
            if let Ok(name) = Name::parse(&text) {
                let printed = name.to_string();
                let mut written = Vec::new();
                name.write_to(&mut written);
                prop_assert_eq!(written, printed.as_bytes());
                prop_assert_eq!(Name::parse(&printed), Ok(name.clone()));
                prop_assert!(name.is_like(&name));
                // A name can be printed without being cleaned.
                let clean = clean(printed.as_bytes());
                prop_assert_eq!((&*clean.text, clean.altered), (&*printed, false));
            }
        }

        #[test]
        fn likeness_goes_both_ways(one in any_name(), other in any_name()) {
            let (one, other) = (Keys::of(&one), Keys::of(&other));
            prop_assert_eq!(one.meet(&other), other.meet(&one));
        }

        #[test]
        fn names_in_another_case_are_alike(text in any_name()) {
            if let Ok(name) = Name::parse(&text) {
                // What is not normalized has no other case: a mark that is typed behind a letter with an iota below
                // it would stand on the large iota that comes of that.
                let text = name.text();
                for other in [text.to_uppercase(), text.to_lowercase()] {
                    match Name::parse(&other) {
                        Ok(other) => prop_assert!(name.is_like(&other), "{} {}", name, other),
                        Err(NameError::Reserved(other)) => prop_assert!(false, "{} {}", name, other),
                        // Some letters have another length in the other case.
                        Err(NameError::Malformed | NameError::TooWide(_)) => {}
                    }
                }
            }
        }
    }
}
