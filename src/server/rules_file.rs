//! The file of the rules: read at the start, and written anew behind each change.
//!
//! Operators may edit it meanwhile. A file that is not as it was is read first, and what was changed here is changed in
//! what it says now; one that cannot be understood is left alone. What cannot be written is in force all the same, and is
//! tried again every minute.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::file::read_regular;
use crate::hub::operators::outcome::Kept;
use crate::hub::rules::lines;
use crate::hub::rules::rule::Terms;
use crate::hub::Hub;
use crate::server::save::{save, Step};
use crate::settings::SettingsError;

/// The file may have 16 MiB: 10,000 rules with long reasons and comments.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What could not be written is tried again so often.
const RETRY: Duration = Duration::from_secs(60);

/// Where the rules are kept, if they are.
#[derive(Debug)]
pub(super) struct RulesFile {
    path: Option<PathBuf>,
    /// What the file held when it was last read or written.
    text: Vec<u8>,
    /// It could not be written, and is to be tried again at this time.
    retry_at: Option<Instant>,
    /// What became of the last change.
    kept: Kept,
    /// Lets steps of saving fail, for tests.
    #[cfg(test)]
    pub(super) failing: Option<Step>,
}

/// What a file says.
struct Content {
    bytes: Vec<u8>,
    rules: Vec<Terms>,
}

/// Why a file is not read.
enum Unread {
    /// It cannot be.
    Io(io::Error),
    /// Something in it is wrong.
    Wrong(String),
}

impl RulesFile {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        let kept = match path {
            Some(_) => Kept::Saved,
            None => Kept::UntilStop,
        };
        Self {
            path,
            text: Vec::new(),
            retry_at: None,
            kept,
            #[cfg(test)]
            failing: None,
        }
    }

    /// Reads the rules at the start; makes the file where there is none.
    ///
    /// # Errors
    /// If it cannot be read or made; a line that is wrong is a [`SettingsError`]. The message names the file.
    pub(super) fn begin<T>(&mut self, hub: &mut Hub<T>) -> io::Result<()> {
        let Some(path) = self.path.clone() else {
            return Ok(());
        };
        let explain = |error: io::Error| {
            let what = format!("bans-file {}: {error}", path.display());
            io::Error::new(error.kind(), what)
        };
        match read(&path) {
            Ok(Some(content)) => {
                hub.set_rules(content.rules);
                self.text = content.bytes;
            }
            Ok(None) => save(&path, b"", |step| self.allows(step)).map_err(explain)?,
            Err(Unread::Io(error)) => return Err(explain(error)),
            Err(Unread::Wrong(what)) => return Err(io::Error::other(SettingsError::Wrong(what))),
        }
        hub.keep_rules();
        Ok(())
    }

    /// Reads the file again, and lets its rules be those that are in force: of the old ones only what could not be saved
    /// stays beside them.
    ///
    /// # Errors
    /// If it cannot be read, or a line is wrong: then the old rules stay. The message names the file.
    pub(super) fn reload<T>(&mut self, hub: &mut Hub<T>, now: Instant) -> Result<(), String> {
        let Some(path) = self.path.clone() else {
            return Ok(());
        };
        match read(&path).map_err(Unread::shown)? {
            Some(content) => self.take_over(content, hub, now),
            // It is made anew with the next change.
            None => Ok(()),
        }
    }

    /// Writes the rules if they have changed, or could not be written before; and lets those be answered who changed
    /// them in the chat.
    pub(super) fn keep<T>(&mut self, hub: &mut Hub<T>, now: Instant) {
        let is_due = self.retry_at.is_some_and(|at| at <= now);
        if hub.take_rules_changed() || is_due {
            if let Some(path) = self.path.clone() {
                let written = self.write(&path, hub, now);
                self.note(&path, written, now);
            }
        }
        hub.note_saved(&self.kept, now);
    }

    /// What became of the last change.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// When it is to be tried again to write it.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    fn write<T>(&mut self, path: &Path, hub: &mut Hub<T>, now: Instant) -> Result<(), String> {
        hub.drop_old_rules();
        match read(path).map_err(Unread::shown)? {
            Some(content) if content.bytes != self.text => {
                info!("bans-file {} was changed, and is followed", path.display());
                self.take_over(content, hub, now)?;
            }
            Some(_) => {}
            // That somebody took it away lifts nothing.
            None => self.text.clear(),
        }
        let text = String::from_utf8_lossy(&self.text);
        let edited = lines::edit(&text, hub.rules().durable()).into_bytes();
        if edited != self.text {
            save(path, &edited, |step| self.allows(step)).map_err(|error| reason(&error))?;
            self.text = edited;
        }
        // What was done in here is in the file.
        hub.take_rules_changed();
        Ok(())
    }

    /// Follows what somebody else has made of the file, with what was changed here since.
    fn take_over<T>(
        &mut self,
        content: Content,
        hub: &mut Hub<T>,
        now: Instant,
    ) -> Result<(), String> {
        let before = lines::parse(&self.text).unwrap_or_default();
        let ours: Vec<Terms> = hub.rules().durable().cloned().collect();
        let wanted = lines::merge(&before, &ours, content.rules)?;
        hub.replace_rules(wanted, now);
        self.text = content.bytes;
        Ok(())
    }

    fn note(&mut self, path: &Path, written: Result<(), String>, now: Instant) {
        let path = path.display();
        match written {
            Ok(()) => {
                if self.retry_at.take().is_some() {
                    info!("bans-file {path} is saved again");
                }
                self.kept = Kept::Saved;
            }
            Err(why) => {
                warn!("bans-file {path} is not saved, trying again in a minute: {why}");
                self.retry_at = Some(now + RETRY);
                self.kept = Kept::NotSaved(why.into());
            }
        }
    }

    #[cfg(test)]
    fn allows(&self, step: Step) -> io::Result<()> {
        match self.failing {
            Some(failing) if failing == step => Err(io::Error::from_raw_os_error(
                rustix::io::Errno::NOSPC.raw_os_error(),
            )),
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

impl Unread {
    /// Why, as an operator is told.
    fn shown(self) -> String {
        match self {
            Self::Io(error) => reason(&error),
            Self::Wrong(what) => what,
        }
    }
}

/// What a file says; `None` if there is none.
fn read(path: &Path) -> Result<Option<Content>, Unread> {
    let bytes = match read_regular(path, BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Unread::Io(error)),
    };
    let wrong = |error: lines::WrongLine| Unread::Wrong(format!("{}, {error}", path.display()));
    let rules = lines::parse(&bytes).map_err(wrong)?;
    Ok(Some(Content { bytes, rules }))
}

/// What the system says, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}
