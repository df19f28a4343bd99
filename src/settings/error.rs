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
