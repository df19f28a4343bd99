//! The files that the settings name, read together: where one of them is wrong, none is taken.

use crate::server::motd;
use crate::settings::{Settings, SettingsError};

/// What the files say. A further one is a field, and a line in [`Files::read`].
#[derive(Debug)]
pub(super) struct Files {
    /// The message of the day, as it stands in its file.
    pub(super) motd: Vec<u8>,
}

impl Files {
    /// Reads all of them.
    ///
    /// # Errors
    /// If one cannot be read, or says something wrong; the message names it.
    pub(super) fn read(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            motd: motd::read(settings)?,
        })
    }
}
