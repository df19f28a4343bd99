//! One rule: what it is about, whom it is for, and how long.

use std::fmt::{self, Display, Formatter};

use crate::hub::rules::pattern::Pattern;
use crate::net::Net;

/// At most this many rules are kept.
pub(crate) const RULES_MAX: usize = 10_000;

/// Who made a rule is kept in at most this many bytes.
const BY_BYTES_MAX: usize = 64;

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Nobody comes in from the target.
    Ban,
    /// Sessions from the target hear and are not heard.
    Mute,
    /// Nobody takes such a name.
    Name,
}

impl Kind {
    /// All of them, in the order of their discriminants.
    pub(crate) const ALL: [Self; 3] = [Self::Ban, Self::Mute, Self::Name];

    /// The word for it in the file, in the log and in lists.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::Mute => "mute",
            Self::Name => "name",
        }
    }

    /// The kind that is called so.
    pub(super) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// What a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Everybody from there.
    Net(Net),
    /// One session, by the number that the ledger gave it; the rule ends with it.
    Session(u64),
    /// Names like this.
    Pattern(Pattern),
}

impl Display for Target {
    /// As lists and the log have it.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => net.fmt(f),
            Self::Session(number) => write!(f, "id={number}"),
            Self::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

/// What a rule says. Texts are clean; empty ones are not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    /// When it ends, in seconds since 1970; `None`: never.
    pub(crate) until: Option<u64>,
    /// Who made it, as one word.
    pub(crate) by: Box<str>,
    /// When it was made, in seconds since 1970.
    pub(crate) at: Option<u64>,
    /// The name that the one had for whom it was made.
    pub(crate) name: Box<str>,
    pub(crate) reason: Box<str>,
}

impl Terms {
    /// Whether it is in force.
    pub(crate) fn holds_at(&self, wall_seconds: u64) -> bool {
        self.until.is_none_or(|until| until > wall_seconds)
    }
}

/// A rule that was made.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Never used again while the server runs.
    pub(crate) number: u64,
    pub(crate) terms: Terms,
    /// How often it kept somebody from something.
    pub(crate) hits: u64,
    /// When it last did.
    pub(crate) last: Option<u64>,
}

/// Who makes a rule, as one word: what is not fit for one becomes `_`.
pub(crate) fn as_author(text: &str) -> Box<str> {
    let word: String = text
        .chars()
        .map(|c| match c {
            c if c.is_whitespace() || c.is_control() => '_',
            c => c,
        })
        .collect();
    let mut end = word.len().min(BY_BYTES_MAX);
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    word[..end].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_their_words() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
            assert_eq!(Kind::of(kind.word()), Some(kind));
        }
        assert_eq!(Kind::of("Ban"), None);
    }

    #[test]
    fn an_author_is_one_short_word() {
        assert_eq!(&*as_author("alice"), "alice");
        assert_eq!(&*as_author("a b\n\u{3000}c"), "a_b__c");
        assert_eq!(as_author(&"ü".repeat(40)).len(), 64);
        assert_eq!(as_author(&format!("x{}", "ü".repeat(40))).len(), 63);
    }
}
