//! What a person has set: data, which lasts as long as their session.

use crate::dialect::event::To;
use crate::hub::room::feed::SaidLine;
use crate::id::{PersonId, SessionId};
use crate::name::Name;

/// What one person has set, or an operator of them.
#[derive(Debug, Default)]
pub(super) struct Prefs {
    /// They are away, for this reason, which may be empty.
    pub(super) away: Option<Box<str>>,
    /// Of these they hear nothing. Ids are never used again, so one who has gone stays harmless.
    pub(super) ignored: Vec<PersonId>,
    /// Who wrote to them privately last, and what they were called then.
    pub(super) last_teller: Option<(SessionId, Name)>,
    /// Without who comes and goes.
    pub(super) quiet: bool,
    /// With the time before each line, in minutes off UTC.
    pub(super) clock: Option<i16>,
    /// How many lines had been said in the lobby when they went to another room.
    pub(super) lobby_said: u64,
    /// The kept name that they have by right, by its number.
    pub(super) owned: Option<u64>,
    /// They are an operator in the chat, as an operator of the server has made them.
    pub(super) operator: bool,
    /// With a bell in each line that names them or is private.
    pub(super) bell: bool,
}

impl Prefs {
    /// Whether they see the feed otherwise than everybody.
    pub(super) fn has_view(&self) -> bool {
        self.quiet || self.clock.is_some() || self.bell || !self.ignored.is_empty()
    }

    /// What it holds on the heap, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let away = self.away.as_ref().map_or(0, |away| away.len());
        away + self.ignored.capacity() * size_of::<PersonId>()
    }

    /// How they want to read what the server says.
    pub(super) fn to(&self, wall_seconds: u64) -> To {
        To {
            clock: self.clock,
            bell: self.bell,
            wall_seconds,
            columns: None,
        }
    }

    /// Whether they want to hear this line.
    pub(super) fn wants(&self, line: &SaidLine<'_>) -> bool {
        let is_ignored = |author| self.ignored.contains(&author);
        !(line.author.is_some_and(is_ignored) || (self.quiet && line.is_presence))
    }

    /// Whether this line rings for the one who has this id and, in lower case, this name.
    pub(super) fn rings(&self, line: &SaidLine<'_>, id: SessionId, name: &str) -> bool {
        self.bell && line.author != Some(id.into()) && names(line.words_in_lower_case(), name)
    }
}

/// Whether these words have this name as a word of its own; both are in lower case.
fn names(words: &str, name: &str) -> bool {
    words.match_indices(name).any(|(at, _)| {
        let before = words[..at].chars().next_back();
        let after = words[at + name.len()..].chars().next();
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_as_a_word_of_its_own_only() {
        assert!(names("hi ann!", "ann"));
        assert!(names("老罗：hi", "老罗"));
        assert!(!names("the annual plan", "ann"));
        assert!(!names("hello", "ann"));
        assert!(names("nudges ann", "ann"));
        assert!(!names("", "ann"));
    }
}
