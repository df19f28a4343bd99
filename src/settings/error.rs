//! What is wrong with settings, or with a file that they name.

use std::error::Error;
use std::fmt;

/// Why the program does not run, as one clear line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsError {
    /// The command line or a line of the settings file is wrong.
    Wrong(String),
    /// The settings file cannot be read.
    Unreadable(String),
}

impl SettingsError {
    /// With what the program ends: 2 for wrong usage, 1 for what may be right another time.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            SettingsError::Wrong(_) => 2,
            SettingsError::Unreadable(_) => 1,
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (SettingsError::Wrong(line) | SettingsError::Unreadable(line)) = self;
        f.write_str(line)
    }
}

impl Error for SettingsError {}

/// Somebody else's text within a message of ours: on one line, and short enough to be read.
pub(super) fn one_line(text: &str) -> String {
    const CHARACTERS_MAX: usize = 200;
    let mut line = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == CHARACTERS_MAX {
            line.push('…');
            break;
        }
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}
