//! The file of kept names: read at the start, and written anew when names were kept, used or given up, but no oftener
//! than every ten seconds, so that no crowd of them makes the loop wait for a disk; and when the server stops.
//!
//! Operators may edit it meanwhile, as that of the rules.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::file::{changed_lines, read_again, read_regular, Seen};
use crate::hub::kept::lines::{self, WrongLine};
use crate::hub::kept::Kept;
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
        match read(path, b"")? {
            Seen::Other(bytes) => names_in(path, &bytes).map(drop),
            _ => Ok(()),
        }
    }

    /// Reads the names at the start; makes the file where there is none.
    ///
    /// # Errors
    /// If it cannot be read or made, or a line is wrong. The message names the file.
    pub(super) fn begin<T>(&mut self, hub: &mut Hub<T>) -> io::Result<()> {
        let Some(path) = self.path.clone() else {
            return Ok(());
        };
        match read(&path, &self.text).map_err(io::Error::other)? {
            Seen::Known => {}
            Seen::Other(bytes) => {
                hub.follow_names(&[], names_in(&path, &bytes).map_err(io::Error::other)?);
                self.text = bytes;
            }
            Seen::Absent => save(&path, b"", |step| self.allows(step)).map_err(|error| {
                let what = format!("names-file {}: {error}", path.display());
                io::Error::new(error.kind(), what)
            })?,
        }
        hub.keep_names();
        Ok(())
    }

    /// How the file was changed since it was read; `None` if there is no file, or it says what it said.
    ///
    /// # Errors
    /// If it cannot be read, or a line is wrong. The message names the file.
    pub(super) fn read_again<T>(&self, hub: &Hub<T>) -> Result<Option<Reread>, String> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        match read(path, &self.text).map_err(|error| error.to_string())? {
            Seen::Other(bytes) => self.understood(path, bytes, hub).map(Some),
            Seen::Known | Seen::Absent => Ok(None),
        }
    }

    /// What a file says that was changed. Only the lines that changed are understood.
    fn understood<T>(&self, path: &Path, bytes: Vec<u8>, hub: &Hub<T>) -> Result<Reread, String> {
        let (gone, new) = changed_lines(&self.text, &bytes);
        let new = lines::parse_some(new).map_err(|error| wrong_line(path, &error))?;
        // They were understood before.
        let gone = lines::parse_some(gone).unwrap_or_default();
        let gone: Vec<Kept> = gone.into_iter().map(|(_, kept)| kept).collect();
        let checked = hub.check_lines_of_names(&gone, &new);
        checked.map_err(|error| wrong_line(path, &error))?;
        let new = new.into_iter().map(|(_, kept)| kept).collect();
        Ok(Reread { bytes, gone, new })
    }

    /// Lets the names be kept that were read again.
    pub(super) fn follow<T>(&mut self, reread: Option<Reread>, hub: &mut Hub<T>) {
        if let Some(Reread { bytes, gone, new }) = reread {
            hub.follow_names(&gone, new);
            self.text = bytes;
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
        match read(path, &self.text).map_err(|error| error.to_string())? {
            Seen::Known => {}
            // That somebody took it away frees no name.
            Seen::Absent => {
                self.text.clear();
                hub.note_no_names_saved();
            }
            Seen::Other(bytes) => {
                let reread = self.understood(path, bytes, hub)?;
                info!("names-file {} was changed, and is followed", path.display());
                self.follow(Some(reread), hub);
            }
        }
        let text = String::from_utf8_lossy(&self.text);
        let (changed, new) = hub.unsaved_names();
        let edited = lines::edit(&text, changed, &new).into_bytes();
        if edited != self.text || self.failed {
            let saved = save(path, &edited, |step| self.allows(step));
            // Where only the folder failed, the file is ours all the same, and nobody has changed it.
            if saved.is_ok() || read_regular(path, BYTES_MAX).is_ok_and(|held| held == edited) {
                self.text = edited;
                hub.note_names_saved();
            }
            return saved.map_err(|error| reason(&error));
        }
        hub.note_names_saved();
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
pub(super) struct Reread {
    bytes: Vec<u8>,
    gone: Vec<Kept>,
    new: Vec<Kept>,
}

/// What a file says beside what is known of it.
fn read(path: &Path, known: &[u8]) -> Result<Seen, SettingsError> {
    read_again(path, BYTES_MAX, known).map_err(|error| {
        SettingsError::Unreadable(format!("names-file {}: {error}", path.display()))
    })
}

/// The names that a file says.
fn names_in(path: &Path, bytes: &[u8]) -> Result<Vec<Kept>, SettingsError> {
    lines::parse(bytes).map_err(|error| SettingsError::Wrong(wrong_line(path, &error)))
}

fn wrong_line(path: &Path, error: &WrongLine) -> String {
    format!("{}, {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::hub::Limits;
    use crate::test_clock::outset;
    use crate::test_folder::Folder;
    use crate::test_log;

    /// 2026-11-26, in seconds.
    const TODAY: u64 = 1_795_651_200;
    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    const STEPS: [Step; 5] = [
        Step::Create,
        Step::Write,
        Step::Sync,
        Step::Rename,
        Step::SyncFolder,
    ];

    struct Desk {
        folder: Folder,
        file: NamesFile,
        hub: Hub<()>,
        now: Instant,
    }

    impl Desk {
        fn new(text: &str) -> Self {
            let folder = Folder::new("names");
            fs::write(folder.path().join("names"), text).unwrap();
            Self::in_folder(folder).unwrap()
        }

        fn in_folder(folder: Folder) -> io::Result<Self> {
            test_log::begin();
            let mut hub = Hub::new(Limits::WIDE);
            hub.set_wall_clock(TODAY);
            let mut file = NamesFile::new(Some(folder.path().join("names")));
            file.begin(&mut hub)?;
            let now = outset();
            Ok(Self {
                folder,
                file,
                hub,
                now,
            })
        }

        fn restart(self) -> Self {
            Self::in_folder(self.folder).unwrap()
        }

        fn text(&self) -> String {
            fs::read_to_string(self.folder.path().join("names")).unwrap()
        }

        fn edit(&self, text: &str) {
            fs::write(self.folder.path().join("names"), text).unwrap();
        }

        /// A name is kept, and the turn ends.
        fn keep(&mut self, name: &str) {
            self.hub.keep_by_operator(name).unwrap();
            self.pass(0);
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
            self.file.keep(&mut self.hub, false, self.now);
        }

        fn kept(&self) -> Vec<&str> {
            let kept = self.hub.kept_after(0);
            kept.map(|(_, kept, _)| &*kept.name).collect()
        }
    }

    fn row(name: &str) -> String {
        format!("{name} sha256:{HEX} 2026-11-25\n")
    }

    fn names_in(text: &str) -> Vec<&str> {
        let names = text.lines().map(|line| line.split(' ').next().unwrap());
        names.collect()
    }

    #[test]
    fn the_first_change_is_written_at_once_and_others_ten_seconds_later() {
        let mut desk = Desk::in_folder(Folder::new("names-made")).unwrap();
        assert_eq!(desk.text(), "");
        desk.keep("ann");
        assert_eq!(names_in(&desk.text()), ["ann"]);
        let path = desk.folder.path().join("names");
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for name in ["bob", "eve"] {
            desk.keep(name);
        }
        assert_eq!(names_in(&desk.text()), ["ann"]);
        assert_eq!(desk.file.wake_at(&desk.hub), Some(desk.now + PAUSE));
        desk.pass(9);
        assert_eq!(names_in(&desk.text()), ["ann"]);
        desk.pass(1);
        assert_eq!(names_in(&desk.text()), ["ann", "bob", "eve"]);
        assert_eq!(desk.file.wake_at(&desk.hub), None, "nothing is to be done");
        desk.keep("fay");
        desk.file.keep(&mut desk.hub, true, desk.now);
        let text = desk.text();
        assert_eq!(names_in(&text), ["ann", "bob", "eve", "fay"], "it stops");
        assert!(
            text.lines().all(|line| line.ends_with(" 2026-11-26")),
            "{text}"
        );
        let again = desk.restart();
        assert_eq!(again.kept(), ["ann", "bob", "eve", "fay"]);
        assert_eq!(again.text(), text);
    }

    #[test]
    fn what_was_changed_by_hand_is_followed() {
        let mut desk = Desk::new(&format!("# ours\n{}{}", row("ann"), row("bob")));
        desk.edit(&format!("# ours\n{}# new\n{}", row("bob"), row("gil")));
        desk.keep("eve");
        assert_eq!(desk.kept(), ["bob", "eve", "gil"]);
        let text = desk.text();
        assert!(text.starts_with(&format!("# ours\n{}# new\n{}eve ", row("bob"), row("gil"))));
        desk.edit(&row("hal"));
        let reread = desk.file.read_again(&desk.hub).unwrap();
        desk.file.follow(reread, &mut desk.hub);
        assert_eq!(desk.kept(), ["hal"]);
        // Taken away, it frees no name, and is made again with the next change.
        fs::remove_file(desk.folder.path().join("names")).unwrap();
        desk.pass(60);
        desk.keep("ivy");
        assert_eq!(names_in(&desk.text()), ["hal", "ivy"]);
    }

    #[test]
    fn a_wrong_line_is_an_error_at_the_start_and_left_alone_later() {
        let wrong = format!("{}bob\n", row("ann"));
        let folder = Desk::new("").folder;
        fs::write(folder.path().join("names"), &wrong).unwrap();
        let path = folder.path().join("names");
        let error = NamesFile::check(&path).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        let what = "names, line 2: no sha256: and 64 digits behind bob";
        assert!(error.to_string().ends_with(what), "{error}");
        let error = Desk::in_folder(folder).err().unwrap();
        let inner = error
            .get_ref()
            .and_then(|it| it.downcast_ref::<SettingsError>());
        assert_eq!(inner.map(SettingsError::exit_status), Some(2));

        let mut desk = Desk::new(&row("ann"));
        desk.edit(&wrong);
        assert!(desk.file.read_again(&desk.hub).is_err());
        desk.keep("eve");
        assert_eq!(desk.text(), wrong);
        assert_eq!(desk.kept(), ["ann", "eve"]);
        desk.edit(&row("ann"));
        desk.pass(59);
        assert_eq!(desk.text(), row("ann"), "it is not time yet");
        desk.pass(1);
        assert_eq!(names_in(&desk.text()), ["ann", "eve"]);
    }

    /// Killed or failing at any step: the old names or the new ones are there, whole, and all are written later.
    #[test]
    fn whatever_step_fails_a_restart_finds_whole_names() {
        for step in STEPS {
            let mut desk = Desk::new(&row("ann"));
            desk.file.failing = Some(step);
            desk.keep("bob");
            let is_new = step == Step::SyncFolder;
            let found = names_in(&desk.text()).len();
            assert_eq!(found, 1 + usize::from(is_new), "{step:?}");
            desk.pass(60);
            desk.file.failing = None;
            desk.pass(60);
            assert_eq!(names_in(&desk.text()), ["ann", "bob"], "{step:?}");
            assert_eq!(desk.kept(), ["ann", "bob"], "{step:?}");
            let mut killed = Desk::new(&row("ann"));
            killed.file.failing = Some(step);
            killed.keep("bob");
            assert_eq!(killed.restart().kept().len(), 1 + usize::from(is_new));
        }
    }

    #[test]
    fn ten_thousand_names_are_read() {
        let all: String = (0..9_999).map(|n| row(&format!("n{n}x"))).collect();
        let mut desk = Desk::new(&all);
        assert_eq!(desk.kept().len(), 9_999);
        desk.keep("ann");
        assert_eq!(desk.text().lines().count(), 10_000);
    }
}
