//! The certificate of listeners in TLS and its key: two files, read at the start and whenever the operator asks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use log::warn;

use crate::file::read_regular;
use crate::settings::{Settings, SettingsError, TlsVersion};
use crate::stream::tls::{Identity, Unfit};
use crate::when::Day;

/// A file may have 1 MiB; a chain has 10 kB.
const BYTES_MAX: u64 = 1024 * 1024;

/// So many days before a certificate ends that is worth a warning.
const WARNED_DAYS_BEFORE: [u64; 2] = [14, 1];
const DAY_SECONDS: u64 = 86_400;

/// Who may read the key beside its owner and group.
const OTHERS: u32 = 0o007;

/// The certificate that the settings name; `None` where they name none.
///
/// # Errors
/// If a file cannot be read, has nothing in it, or the key is not that of the certificate: `FILE: WHAT`.
pub(super) fn read(settings: &Settings) -> Result<Option<Identity>, SettingsError> {
    let (Some(certificate), Some(key)) = (&settings.tls.certificate, &settings.tls.key) else {
        return Ok(None);
    };
    let unreadable = |path: &Path, what: &dyn std::fmt::Display| {
        SettingsError::Unreadable(format!("{}: {what}", path.display()))
    };
    let read = |path: &Path| {
        let content = read_regular(path, BYTES_MAX);
        content.map_err(|error| unreadable(path, &error))
    };
    let at_least_13 = settings.tls.oldest == TlsVersion::V1_3;
    let identity = Identity::parse(&read(certificate)?, &read(key)?, at_least_13);
    identity.map(Some).map_err(|unfit| match unfit {
        Unfit::Certificate(what) => unreadable(certificate, &what),
        Unfit::Key(what) => unreadable(key, &what),
    })
}

/// The day of a moment.
pub(super) fn day(wall_seconds: u64) -> Day {
    Day::of(wall_seconds)
}

/// Warns of a certificate that ends within 14 days, or has ended; gives when it is to be warned of next.
pub(super) fn warn_of(identity: &Identity, settings: &Settings, wall_seconds: u64) -> Option<u64> {
    let path = settings.tls.certificate.as_ref()?.display();
    let (end, day) = (identity.ends_at, day(identity.ends_at));
    if end <= wall_seconds {
        warn!("tls: {path} ended on {day}");
        return None;
    }
    let warnings = WARNED_DAYS_BEFORE.map(|days| end.saturating_sub(days * DAY_SECONDS));
    if warnings[0] <= wall_seconds {
        warn!("tls: {path} ends on {day}");
    }
    let mut next = warnings.into_iter().chain([end]);
    next.find(|at| *at > wall_seconds)
}

/// Warns of a key that is not kept from others.
pub(super) fn warn_of_key(settings: &Settings) {
    if let Some(path) = &settings.tls.key {
        let mode = fs::metadata(path).map(|metadata| metadata.permissions().mode());
        if mode.is_ok_and(|mode| mode & OTHERS != 0) {
            warn!("tls: {} can be read by everybody", path.display());
        }
    }
}
