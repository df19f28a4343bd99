//! What a room may be called.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::name::{check_form, NameError, NAME_BYTES_MAX};

/// What a room is called: it has the form of a name. What nobody may be called a room may.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoomName(Box<str>);

impl RoomName {
    /// The name that `text` spells, with `#` before it or without.
    ///
    /// # Errors
    /// If it breaks the rules for names.
    pub(crate) fn parse(text: &str) -> Result<RoomName, NameError> {
        let text = without_hash(text);
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::Malformed);
        }
        let name: Box<str> = text.nfc().collect();
        check_form(&name)?;
        Ok(RoomName(name))
    }

    /// The room in which everybody is at first.
    pub(crate) fn lobby() -> RoomName {
        RoomName("lobby".into())
    }

    /// The name as text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a room is asked for, without the `#` that some put before it.
pub(crate) fn without_hash(text: &str) -> &str {
    text.strip_prefix('#').unwrap_or(text)
}
