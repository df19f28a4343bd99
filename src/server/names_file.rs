//! The file of kept names: read at the start, and written anew when names were kept, used or given up, but no oftener
//! than every ten seconds, so that no crowd of them makes the loop wait for a disk; and when the server stops.
//!
//! Operators may edit it meanwhile, as that of the rules.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::file::read_regular;
use crate::hub::kept::{lines, Kept};
use crate::hub::Hub;
use crate::server::save::{reason, save, Step};
use crate::settings::SettingsError;

/// The file may have 16 MiB: 100,000 names with comments.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// At least so much time is between two writes.
const PAUSE: Duration = Duration::from_secs(10);

/// What could not be written is tried again so often.
const RETRY: Duration = Duration::from_secs(60);

/// Where names are kept, if they are.
#[derive(Debug)]
pub(super) struct NamesFile {
    path: Option<PathBuf>,
    /// What the file held when it was last read or written.
    text: Vec<u8>,
    /// It is not written before this.
    rests_until: Option<Instant>,
    /// It could not be written the last time.
    failed: bool,
    /// Lets steps of saving fail, for tests.
    #[cfg(test)]
    pub(super) failing: Option<Step>,
}

/// What a file says.
struct Content {
    bytes: Vec<u8>,
    names: Vec<Kept>,
}

impl NamesFile {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            text: Vec::new(),
            rests_until: None,
            failed: false,
            #[cfg(test)]
            failing: None,
        }
    }

    /// Looks whether a server could start with this file; one that is not there would be made.
    ///
    /// # Errors
    /// If it cannot be read, or a line is wrong. The message names the file.
    pub(super) fn check(path: &Path) -> Result<(), SettingsError> {
        read(path).map(drop)
    }

    /// Reads the names at the start; makes the file where there is none.
    ///
    /// # Errors
    /// If it cannot be read or made, or a line is wrong. The message names the file.
    pub(super) fn begin<T>(&mut self, hub: &mut Hub<T>) -> io::Result<()> {
        let Some(path) = self.path.clone() else {
            return Ok(());
        };
        match read(&path).map_err(io::Error::other)? {
            Some(content) => {
                hub.set_kept(content.names);
                self.text = content.bytes;
            }
            None => save(&path, b"", |step| self.allows(step)).map_err(|error| {
                let what = format!("names-file {}: {error}", path.display());
                io::Error::new(error.kind(), what)
            })?,
        }
        hub.take_names_changed();
        hub.keep_names();
        Ok(())
    }

    /// What the file says now, with what was changed here since it was read; `None` if there is no file.
    ///
    /// # Errors
    /// If it cannot be read, or a line is wrong. The message names the file.
    pub(super) fn read_again<T>(&self, hub: &Hub<T>) -> Result<Option<Reread>, String> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let content = read(path).map_err(|error| error.to_string())?;
        Ok(content.map(|content| {
            let before = lines::parse(&self.text).unwrap_or_default();
            let ours: Vec<Kept> = hub.kept().cloned().collect();
            let names = lines::merge(&before, &ours, content.names);
            let bytes = content.bytes;
            Reread(Content { bytes, names })
        }))
    }

    /// Lets the names be kept that were read again.
    pub(super) fn follow<T>(&mut self, reread: Option<Reread>, hub: &mut Hub<T>) {
        if let Some(Reread(content)) = reread {
            hub.set_kept(content.names);
            self.text = content.bytes;
        }
    }

    /// Writes the names if they have changed, and it is time; `is_last`: it is, for the server stops.
    pub(super) fn keep<T>(&mut self, hub: &mut Hub<T>, is_last: bool, now: Instant) {
        let rests = self.rests_until.is_some_and(|until| now < until) && !is_last;
        if rests || !(hub.have_names_changed() || self.failed) {
            return;
        }
        let Some(path) = self.path.clone() else {
            return;
        };
        let shown = path.display();
        match self.write(&path, hub) {
            Ok(()) => {
                if std::mem::take(&mut self.failed) {
                    info!("names-file {shown} is saved again");
                }
                self.rests_until = Some(now + PAUSE);
            }
            Err(why) => {
                warn!("names-file {shown} is not saved, trying again in a minute: {why}");
                self.failed = true;
                self.rests_until = Some(now + RETRY);
            }
        }
    }

    /// When it is to be written, at the latest.
    pub(super) fn wake_at<T>(&self, hub: &Hub<T>) -> Option<Instant> {
        let is_wanted = self.path.is_some() && (hub.have_names_changed() || self.failed);
        self.rests_until.filter(|_| is_wanted)
    }

    fn write<T>(&mut self, path: &Path, hub: &mut Hub<T>) -> Result<(), String> {
        match self.read_again(hub)? {
            Some(reread) if reread.0.bytes != self.text => {
                info!("names-file {} was changed, and is followed", path.display());
                self.follow(Some(reread), hub);
            }
            Some(_) => {}
            // That somebody took it away frees no name.
            None => self.text.clear(),
        }
        let text = String::from_utf8_lossy(&self.text);
        let edited = lines::edit(&text, hub.kept()).into_bytes();
        if edited != self.text || self.failed {
            let saved = save(path, &edited, |step| self.allows(step));
            // Where only the folder failed, the file is ours all the same, and nobody has changed it.
            if saved.is_ok() || read_regular(path, BYTES_MAX).is_ok_and(|held| held == edited) {
                self.text = edited;
            }
            saved.map_err(|error| reason(&error))?;
        }
        hub.take_names_changed();
        Ok(())
    }

    #[cfg(test)]
    fn allows(&self, step: Step) -> io::Result<()> {
        match self.failing {
            Some(failing) if failing == step => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    #[cfg(not(test))]
    #[allow(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "tests let it fail"
    )]
    fn allows(&self, _: Step) -> io::Result<()> {
        Ok(())
    }
}

/// What a file says that was read again.
pub(super) struct Reread(Content);

/// What a file says; `None` if there is none.
fn read(path: &Path) -> Result<Option<Content>, SettingsError> {
    let shown = path.display();
    let bytes = match read_regular(path, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(SettingsError::Unreadable(format!(
                "names-file {shown}: {error}"
            )))
        }
    };
    let names = lines::parse(&bytes);
    let names = names.map_err(|error| SettingsError::Wrong(format!("{shown}, {error}")))?;
    Ok(Some(Content { bytes, names }))
}
