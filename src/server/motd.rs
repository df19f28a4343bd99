//! The message of the day: a file that newcomers are shown, read at the start and again when the operator asks.

use crate::file::read_regular;
use crate::settings::{Settings, SettingsError};

/// The file may have 16 KiB: every newcomer is sent all of it.
const BYTES_MAX: u64 = 16 * 1024;

/// The file, whole, or nothing where there is none.
///
/// # Errors
/// If the file cannot be read, is not a regular one, or is longer than 16 KiB; the message names it.
pub(super) fn read(settings: &Settings) -> Result<Vec<u8>, SettingsError> {
    let Some(path) = &settings.motd_file else {
        return Ok(Vec::new());
    };
    read_regular(path, BYTES_MAX).map_err(|error| {
        let path = path.display();
        SettingsError::Unreadable(format!("cannot read motd-file {path}: {error}"))
    })
}
