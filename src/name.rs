//! What a person may be called, and when two names are too alike.
//!
//! A [`Name`] is valid because it exists: whoever has one need not check it. Who holds which name
//! is not known here, the roster does that with the keys of a name.
//!
//! Invariant: a chosen name is in NFC, takes 1 to 24 columns and at most 128 bytes, holds only
//! letters, marks, digits, `_`, `-` and `.`, begins with a letter or a digit, and can be printed
//! anywhere as it is.
//! Invariant: no chosen name can be mistaken for `guestN`, `server` or `chatd`.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

use unicode_normalization::char::is_combining_mark;
use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;
use unicode_width::UnicodeWidthStr;

use crate::hygiene::{is_forbidden, is_joiner_or_selector, Pile};

/// The widest name, in columns of a terminal.
pub(crate) const NAME_COLUMNS_MAX: usize = 24;

/// The longest name, in bytes of UTF-8: enough for 24 letters of any script with some marks.
/// Columns alone bound nothing, for marks and jamo take none.
pub(crate) const NAME_BYTES_MAX: usize = 128;

/// The name of a session: `guestN` until its person chooses one.
///
/// Equal names are spelled alike; whether two names may be held at once is another question, which
/// the roster answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Name(Kind);

/// The two kinds of name. Guests come in thousands and say nothing mostly, so theirs cost no
/// allocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Guest(u64),
    Chosen(Box<str>),
}

impl Name {
    /// The name of the `n`th connection until it chooses one: `guestN`.
    #[must_use]
    pub(crate) fn guest(n: u64) -> Name {
        Name(Kind::Guest(n))
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
        if !is_well_formed(&name) {
            return Err(NameError::Malformed);
        }
        if is_reserved(&name) {
            return Err(NameError::Reserved(name));
        }
        Ok(Name(Kind::Chosen(name)))
    }

    /// Appends the name to `out`.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        match &self.0 {
            // Writing to a `Vec` cannot fail.
            Kind::Guest(n) => _ = write!(out, "guest{n}"),
            Kind::Chosen(name) => out.extend_from_slice(name.as_bytes()),
        }
    }

    /// The name as text.
    #[must_use]
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match &self.0 {
            Kind::Guest(n) => Cow::Owned(format!("guest{n}")),
            Kind::Chosen(name) => Cow::Borrowed(name),
        }
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Guest(n) => write!(f, "guest{n}"),
            Kind::Chosen(name) => f.write_str(name),
        }
    }
}

/// Why a text is no name. `Display` gives the words for the person who asked, without the `!! `
/// before them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum NameError {
    /// It breaks the rules for names. The text itself may hold anything and must not be shown.
    Malformed,
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
            NameError::Reserved(name) => write!(f, "{name} is reserved"),
        }
    }
}

impl std::error::Error for NameError {}

/// What two names have in common if they are too alike: any key of the one is any key of the other.
///
/// One key is not enough. Capital `I` looks like small `l` but is the same letter as small `i`, and
/// `paypaI` is to be refused for the sake of `paypal` as `ANNI` is for the sake of `anni`; with a
/// single key `anni` and `annl` would be the same as well. Cost: a skeleton (UTS 39, section 4)
/// each; at most some 1.5 kB a key, for names made of ligatures.
#[derive(Debug)]
pub(crate) struct Keys {
    /// The name with case taken away first, so that spellings in another case share it.
    pub(crate) by_letter: Box<str>,
    /// The name as it looks, if that makes a difference.
    pub(crate) by_look: Option<Box<str>>,
}

impl Keys {
    /// The keys of a chosen name, or of what might be one.
    pub(crate) fn of(name: &str) -> Keys {
        let name: String = name.nfkc().collect();
        let folded: String = name.chars().flat_map(fold_case).collect();
        let by_letter = lowercase_skeleton(&folded);
        let by_look = Some(lowercase_skeleton(&name)).filter(|by_look| *by_look != by_letter);
        Keys { by_letter, by_look }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.by_letter).chain(self.by_look.as_deref())
    }
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
/// `O`.
fn lowercase_skeleton(text: &str) -> Box<str> {
    skeleton(text).flat_map(char::to_lowercase).collect()
}

/// Whether `name`, in NFC, keeps to the rules.
fn is_well_formed(name: &str) -> bool {
    let mut pile = Pile::default();
    // A vowel sign is "alphabetic" too, but nothing begins with it.
    name.chars()
        .next()
        .is_some_and(|c| c.is_alphanumeric() && !is_combining_mark(c))
        && name.chars().all(|c| may_be_in_name(c) && pile.admits(c))
        && name.len() <= NAME_BYTES_MAX
        && (1..=NAME_COLUMNS_MAX).contains(&name.width())
}

fn may_be_in_name(c: char) -> bool {
    (c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '_' | '-' | '.'))
        && !is_forbidden(c)
        && !is_joiner_or_selector(c)
}

/// Whether nobody may choose `name`, because it is or looks like the server's name or that of a
/// guest.
fn is_reserved(name: &str) -> bool {
    // Digits of other scripts look like other letters, but are read as digits.
    let before_digits = name.trim_end_matches(char::is_numeric);
    let is_guest_in_digits = before_digits.len() < name.len()
        && Keys::of(before_digits).iter().any(|key| key == "guest");
    is_guest_in_digits
        || Keys::of(name)
            .iter()
            .any(|key| matches!(key, "server" | "chatd") || is_guest_key(key))
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
        match (&self.0, &other.0) {
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
        ] {
            assert_eq!(Name::parse(text), Err(NameError::Malformed), "{text:?}");
        }
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
        for (letter, most) in [("a", 24), ("老", 12), ("ｶ", 24)] {
            assert!(Name::parse(&letter.repeat(most)).is_ok());
            assert_eq!(
                Name::parse(&letter.repeat(most + 1)),
                Err(NameError::Malformed)
            );
        }
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
    fn reserved_names_and_their_look_alikes_are_refused() {
        for text in [
            "guest7",
            "guest0",
            "guest007",
            "GUEST7",
            "Guest12",
            "guestl",
            "guestI",
            "guestO",
            "guest1O",
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
        ] {
            assert!(
                matches!(Name::parse(text), Err(NameError::Reserved(_))),
                "{text:?}: {:?}",
                Keys::of(text)
            );
        }
        for key in ["guest", "server", "chatd"] {
            assert_eq!(&*Keys::of(key).by_letter, key);
        }
        // The digits in the key of a guest are digits still, or the two letters that `is_guest_key`
        // takes.
        for n in 0..2000 {
            assert!(is_guest_key(&Keys::of(&format!("guest{n}")).by_letter));
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
    }

    #[test]
    fn guests_are_written_with_their_number() {
        for n in [0, 7, u64::MAX] {
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
    fn names_that_are_too_alike() {
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
        ] {
            assert!(!name(one).is_like(&name(other)), "{one} {other}");
        }
    }

    /// Exhaustive, because the tables of case and of compatibility were made by different people
    /// over forty years.
    #[test]
    fn every_letter_is_like_itself_in_another_case() {
        let likes = |one: &str, other: &str| Keys::of(one).meet(&Keys::of(other));
        for c in ('\0'..=char::MAX).filter(|&c| may_be_in_name(c)) {
            let text = c.to_string();
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
            assert!(likes(&text, &wide), "{c:?} {wide}");
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
                // Whoever prints a name need not clean it.
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
                        Err(NameError::Malformed) => {}
                    }
                }
            }
        }
    }
}
