//! The files that the settings name, read together: where one of them is wrong, none is taken.

use crate::file::read_regular;
use crate::server::motd;
use crate::settings::{Settings, SettingsError};
#[cfg(feature = "tls")]
use crate::stream::tls::Roots;

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

/// A password may have 4 KiB.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// The password for the engine that several servers share: the first line of its file. `None` where there is none.
///
/// # Errors
/// If the file cannot be read, is not a regular one, or is too long; the message names it, and nothing of what it says.
pub(super) fn relay_password(settings: &Settings) -> Result<Option<Box<[u8]>>, SettingsError> {
    let Some(path) = &settings.relay.password_file else {
        return Ok(None);
    };
    let read = read_regular(path, PASSWORD_BYTES_MAX).map_err(|error| {
        let path = path.display();
        SettingsError::Unreadable(format!("cannot read relay-password-file {path}: {error}"))
    })?;
    let line = read.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(Some(line.strip_suffix(b"\r").unwrap_or(line).into()))
}

/// Certificates may have 1 MiB, as all that a system trusts has.
#[cfg(feature = "tls")]
const ROOTS_BYTES_MAX: u64 = 1024 * 1024;

/// The certificates that the engine's is trusted by; `None` where there is no file of them.
///
/// # Errors
/// If the file cannot be read, or there is no certificate in it; the message names it.
#[cfg(feature = "tls")]
pub(super) fn relay_roots(settings: &Settings) -> Result<Option<Roots>, SettingsError> {
    let Some(path) = &settings.tls.roots else {
        return Ok(None);
    };
    let read = read_regular(path, ROOTS_BYTES_MAX);
    let roots = read.and_then(|pem| Roots::from_pem(&pem));
    roots.map(Some).map_err(|error| {
        let path = path.display();
        SettingsError::Unreadable(format!("{path}: {error}"))
    })
}
