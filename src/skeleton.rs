//! What a text looks like (UTS 39, section 4): two texts with one skeleton can be taken for each other.
//!
//! The tables are made from those of `unicode-security` when chatd is built, in a form that takes less room.

use unicode_normalization::UnicodeNormalization;

use tables::{ENDS, LETTERS, PLACES, TEXTS};

/// What `build.rs` has made.
#[allow(
    clippy::unreadable_literal,
    clippy::unicode_not_nfc,
    reason = "nobody reads them"
)]
mod tables {
    include!(concat!(env!("OUT_DIR"), "/prototypes.rs"));
}

/// The skeleton of a text.
pub(crate) fn skeleton(text: &str) -> impl Iterator<Item = char> + '_ {
    let looks = |letter: char| {
        let (prototype, itself) = match prototype(letter) {
            Some(prototype) => (prototype, None),
            None => ("", Some(letter)),
        };
        itself.into_iter().chain(prototype.chars())
    };
    text.chars().nfd().flat_map(looks).nfd()
}

/// As which text a letter is shown, if not as itself; nothing of some is.
fn prototype(letter: char) -> Option<&'static str> {
    let found = LETTERS.binary_search(&u32::from(letter)).ok()?;
    let place = usize::from(PLACES[found]);
    let begin = place.checked_sub(1).map_or(0, |before| ENDS[before]);
    Some(&TEXTS[usize::from(begin)..usize::from(ENDS[place])])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ours(text: &str) -> String {
        skeleton(text).collect()
    }

    fn theirs(text: &str) -> String {
        unicode_security::skeleton(text).collect()
    }

    #[test]
    fn each_letter_looks_as_the_standard_says() {
        for letter in '\0'..=char::MAX {
            let text = letter.to_string();
            assert_eq!(ours(&text), theirs(&text), "U+{:04X}", u32::from(letter));
        }
        assert_eq!(ours("p\u{430}yp\u{430}l"), "paypal");
    }

    proptest! {
        #[test]
        fn so_does_any_text(text in "\\PC{0,40}") {
            prop_assert_eq!(ours(&text), theirs(&text));
        }
    }
}
