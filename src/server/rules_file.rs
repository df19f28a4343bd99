//! The file of the rules: read at the start, and written anew behind each change.
//!
//! Operators may edit it meanwhile. A file that is not as it was is read first, and what was changed here is changed in
//! what it says now; one that cannot be understood is left alone. What cannot be written is in force all the same, and is
//! tried again every minute.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::file::{changed_lines, read_again, read_regular, Seen};
use crate::hub::operators::outcome::Kept;
use crate::hub::rules::lines::{self, WrongLine};
use crate::hub::rules::rule::{Terms, RULES_MAX};
use crate::hub::Hub;
use crate::server::save::{reason, save, Step};
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
        match read_again(&path, BYTES_MAX, &self.text).map_err(explain)? {
            Seen::Known => {}
            Seen::Other(bytes) => {
                let rules = rules_in(&path, &bytes);
                hub.set_rules(rules.map_err(|what| io::Error::other(SettingsError::Wrong(what)))?);
                self.text = bytes;
            }
            Seen::Absent => save(&path, b"", |step| self.allows(step)).map_err(explain)?,
        }
        hub.keep_rules();
        Ok(())
    }

    /// Looks whether a server could start with this file; one that is not there would be made.
    ///
    /// # Errors
    /// If it cannot be read, or a line is wrong. The message names the file.
    pub(super) fn check(path: &Path) -> Result<(), SettingsError> {
        let seen = read_again(path, BYTES_MAX, b"").map_err(|error| {
            SettingsError::Unreadable(format!("bans-file {}: {error}", path.display()))
        })?;
        match seen {
            Seen::Other(bytes) => {
                let rules = rules_in(path, &bytes);
                rules.map(drop).map_err(SettingsError::Wrong)
            }
            _ => Ok(()),
        }
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
        match self.read_again(&path)? {
            Seen::Other(bytes) => self.take_over(&path, bytes, hub, now),
            // It is made anew with the next change.
            Seen::Known | Seen::Absent => Ok(()),
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
        match self.read_again(path)? {
            Seen::Other(bytes) => {
                info!("bans-file {} was changed, and is followed", path.display());
                self.take_over(path, bytes, hub, now)?;
            }
            Seen::Known => {}
            // That somebody took it away lifts nothing.
            Seen::Absent => {
                self.text.clear();
                hub.note_no_rules_saved();
            }
        }
        let text = String::from_utf8_lossy(&self.text);
        let rules = hub.rules();
        let edited = lines::edit(&text, rules.unsaved_ends(), rules.unsaved()).into_bytes();
        // What was not saved for sure is saved again, even if the file holds it.
        if edited != self.text || self.retry_at.is_some() {
            let saved = save(path, &edited, |step| self.allows(step));
            // Where only the folder failed, the file is ours all the same, and nobody has changed it.
            if saved.is_ok() || read_regular(path, BYTES_MAX).is_ok_and(|held| held == edited) {
                self.text = edited;
                hub.note_rules_saved();
            }
            return saved.map_err(|error| reason(&error));
        }
        hub.note_rules_saved();
        Ok(())
    }

    fn read_again(&self, path: &Path) -> Result<Seen, String> {
        read_again(path, BYTES_MAX, &self.text).map_err(|error| reason(&error))
    }

    /// Follows what somebody else has made of the file. Only the lines that changed are understood.
    fn take_over<T>(
        &mut self,
        path: &Path,
        bytes: Vec<u8>,
        hub: &mut Hub<T>,
        now: Instant,
    ) -> Result<(), String> {
        let (gone, new) = changed_lines(&self.text, &bytes);
        let new = lines::parse_some(new).map_err(|error| wrong_line(path, &error))?;
        // They were understood before.
        let gone = lines::parse_some(gone).unwrap_or_default();
        if hub.follow_rules(gone, new, now).is_err() {
            rules_in(path, &bytes)?;
            return Err(format!("more than {RULES_MAX} rules"));
        }
        self.text = bytes;
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

/// The rules that a file says, or what is wrong with it.
fn rules_in(path: &Path, bytes: &[u8]) -> Result<Vec<Terms>, String> {
    lines::parse(bytes).map_err(|error| wrong_line(path, &error))
}

fn wrong_line(path: &Path, error: &WrongLine) -> String {
    format!("{}, {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;
    use crate::hub::operators::outcome::{Asked, Done, Who};
    use crate::hub::Limits;
    use crate::test_clock::outset;
    use crate::test_folder::Folder;
    use crate::test_log;
    use crate::when::Span;

    /// 2026-11-26, in seconds.
    const TODAY: u64 = 1_795_651_200;

    /// A hub, the file of its rules, and the clocks of both.
    struct Desk {
        folder: Folder,
        file: RulesFile,
        hub: Hub<()>,
        now: Instant,
        wall_seconds: u64,
    }

    impl Desk {
        fn new(text: &str) -> Self {
            let folder = Folder::new("rules");
            fs::write(folder.path().join("bans"), text).unwrap();
            Self::in_folder(folder).unwrap()
        }

        fn in_folder(folder: Folder) -> io::Result<Self> {
            test_log::begin();
            let mut hub = Hub::new(Limits::WIDE);
            hub.set_wall_clock(TODAY);
            let mut file = RulesFile::new(Some(folder.path().join("bans")));
            file.begin(&mut hub)?;
            Ok(Self {
                folder,
                file,
                hub,
                now: outset(),
                wall_seconds: TODAY,
            })
        }

        /// The server has died and is started anew.
        fn restart(self) -> Self {
            Self::in_folder(self.folder).unwrap()
        }

        fn text(&self) -> String {
            fs::read_to_string(self.folder.path().join("bans")).unwrap()
        }

        fn edit(&self, text: &str) {
            fs::write(self.folder.path().join("bans"), text).unwrap();
        }

        fn ban(&mut self, address: &str, span: Span, reason: &str) -> Done {
            let who = Who::Address(address.parse().unwrap());
            let asked = Asked {
                who: &who,
                span,
                reason,
                by: "alice",
                force: false,
            };
            let done = self.hub.ban(&asked, self.now).unwrap();
            self.file.keep(&mut self.hub, self.now);
            done
        }

        fn lift(&mut self, number: u64) {
            self.hub.lift(number, "alice", self.now).unwrap();
            self.file.keep(&mut self.hub, self.now);
        }

        fn reload(&mut self) -> Result<(), String> {
            self.file.reload(&mut self.hub, self.now)
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
            self.wall_seconds += seconds;
            self.hub.set_wall_clock(self.wall_seconds);
            self.hub.tick(self.now);
            self.file.keep(&mut self.hub, self.now);
        }

        /// The targets of the rules that are in force.
        fn targets(&self) -> Vec<String> {
            let rules = self.hub.rules().after(0, self.wall_seconds);
            rules.map(|rule| rule.terms.target.to_string()).collect()
        }

        /// All rules, as the file has them.
        fn terms(&self) -> Vec<Terms> {
            let rules = self.hub.rules().after(0, 0);
            rules.map(|rule| rule.terms.clone()).collect()
        }

        fn not_saved(&self) -> Option<&str> {
            match self.file.kept() {
                Kept::NotSaved(why) => Some(why),
                _ => None,
            }
        }
    }

    const BAN: &str = "ban 198.51.100.7 forever by=alice at=2026-11-26T00:00:00Z spam\n";

    #[test]
    fn a_file_is_made_for_its_owner_alone_and_holds_each_change() {
        let folder = Folder::new("rules-made");
        let mut desk = Desk::in_folder(folder).unwrap();
        assert_eq!(desk.text(), "");
        desk.ban("198.51.100.7", Span::Forever, "spam");
        assert_eq!(desk.text(), BAN);
        let path = desk.folder.path().join("bans");
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        desk.ban("2001:db8::7", Span::Seconds(3600), "");
        let second = "ban 2001:db8::/64 2026-11-26T01:00:00Z by=alice at=2026-11-26T00:00:00Z\n";
        assert_eq!(desk.text(), format!("{BAN}{second}"));
        desk.lift(1);
        assert_eq!(desk.text(), second);
        let desk = desk.restart();
        assert_eq!(desk.targets(), ["2001:db8::/64"]);
        assert_eq!(desk.text(), second);
    }

    #[test]
    fn comments_order_and_what_was_written_by_hand_stay() {
        let text = "# the troll\n\nmute 198.51.100.9\n  # the advertiser\nname spam* forever no ads\r\nban 198.51.100.8";
        let mut desk = Desk::new(text);
        assert_eq!(desk.targets(), ["198.51.100.9", "spam*", "198.51.100.8"]);
        desk.ban("198.51.100.7", Span::Forever, "spam");
        assert_eq!(desk.text(), format!("{text}\n{BAN}"));
        desk.lift(2);
        let without = text.replace("name spam* forever no ads\r\n", "");
        assert_eq!(desk.text(), format!("{without}\n{BAN}"));
    }

    /// Both changes hold, whichever came first.
    #[test]
    fn what_was_changed_by_hand_is_followed_with_the_next_change() {
        let mut desk = Desk::new("ban 198.51.100.1\nban 198.51.100.2\n");
        desk.edit("ban 198.51.100.2\n# new\nban 198.51.100.3\n");
        desk.ban("198.51.100.7", Span::Forever, "spam");
        assert_eq!(
            desk.text(),
            format!("ban 198.51.100.2\n# new\nban 198.51.100.3\n{BAN}")
        );
        let targets = ["198.51.100.2", "198.51.100.7", "198.51.100.3"];
        assert_eq!(desk.targets(), targets);
        desk.edit("ban 198.51.100.4\n");
        desk.reload().unwrap();
        assert_eq!(desk.targets(), ["198.51.100.4"]);
    }

    #[test]
    fn a_file_that_was_taken_away_lifts_nothing_and_is_made_again() {
        let mut desk = Desk::new("ban 198.51.100.1\n");
        fs::remove_file(desk.folder.path().join("bans")).unwrap();
        desk.reload().unwrap();
        assert_eq!(desk.targets(), ["198.51.100.1"]);
        desk.ban("198.51.100.7", Span::Forever, "spam");
        assert_eq!(desk.text(), format!("ban 198.51.100.1 forever\n{BAN}"));
    }

    #[test]
    fn a_file_that_was_broken_by_hand_is_left_alone_until_it_is_mended() {
        let mut desk = Desk::new("ban 198.51.100.1\n");
        let broken = "ban 198.51.100.1\nban everybody\n";
        desk.edit(broken);
        desk.ban("198.51.100.7", Span::Forever, "spam");
        let why = desk.not_saved().unwrap().to_owned();
        assert!(
            why.ends_with("bans, line 2: no such address: everybody"),
            "{why}"
        );
        assert_eq!(desk.reload(), Err(why));
        assert_eq!(desk.text(), broken);
        assert_eq!(desk.targets(), ["198.51.100.1", "198.51.100.7"]);
        desk.edit("ban 198.51.100.1\n");
        desk.pass(59);
        assert!(desk.not_saved().is_some(), "it is not time yet");
        desk.pass(1);
        assert_eq!(desk.not_saved(), None);
        assert_eq!(desk.text(), format!("ban 198.51.100.1\n{BAN}"));
        let wrong = Desk::new("").folder;
        fs::write(wrong.path().join("bans"), broken).unwrap();
        let error = Desk::in_folder(wrong).err().unwrap();
        let inner = error
            .get_ref()
            .and_then(|it| it.downcast_ref::<SettingsError>());
        assert_eq!(inner.map(SettingsError::exit_status), Some(2));
    }

    /// Killed or failing at any step: the old rules or the new ones are there, whole, and what is in force is written
    /// a minute later, once.
    #[test]
    fn whatever_step_fails_a_restart_finds_whole_rules_and_a_minute_later_all() {
        let old = "# kept\nban 198.51.100.1\n";
        let new = format!("{old}{BAN}");
        for step in [
            Step::Create,
            Step::Write,
            Step::Sync,
            Step::Rename,
            Step::SyncFolder,
        ] {
            let mut desk = Desk::new(old);
            desk.file.failing = Some(step);
            desk.ban("198.51.100.7", Span::Forever, "spam");
            assert_eq!(desk.not_saved(), Some("no storage space"), "{step:?}");
            let is_new = step == Step::SyncFolder;
            assert_eq!(desk.text(), if is_new { &*new } else { old }, "{step:?}");
            assert_eq!(desk.targets().len(), 2, "it is in force all the same");
            desk.pass(60);
            assert!(desk.not_saved().is_some(), "{step:?}");
            desk.file.failing = None;
            desk.pass(60);
            assert_eq!(desk.not_saved(), None, "{step:?}");
            assert_eq!(desk.text(), new, "{step:?}");
            assert_eq!(desk.file.retry_at(), None);
            let again = desk.restart();
            assert_eq!(again.targets().len(), 2, "{step:?}");

            let mut killed = Desk::new(old);
            killed.file.failing = Some(step);
            killed.ban("198.51.100.7", Span::Forever, "spam");
            let again = killed.restart();
            assert_eq!(again.targets().len(), 1 + usize::from(is_new), "{step:?}");
        }
    }

    /// Our own file is no edit by hand, even if it is not known whether it would outlast a loss of power.
    #[test]
    fn a_folder_that_is_not_synced_makes_no_rule_twice() {
        let mut desk = Desk::new("");
        desk.file.failing = Some(Step::SyncFolder);
        desk.ban("198.51.100.7", Span::Forever, "spam");
        desk.lift(1);
        assert_eq!(desk.text(), "");
        desk.ban("198.51.100.7", Span::Forever, "spam");
        desk.file.failing = None;
        desk.pass(60);
        assert_eq!((desk.text(), desk.targets().len()), (BAN.to_owned(), 1));
    }

    #[test]
    fn a_rule_that_is_over_stays_in_the_file_for_a_day() {
        let mut desk = Desk::new("");
        desk.ban("198.51.100.1", Span::Seconds(60), "");
        desk.pass(60);
        assert_eq!(desk.targets(), [""; 0]);
        desk.pass(86_399);
        desk.ban("198.51.100.7", Span::Forever, "spam");
        assert_eq!(desk.text().lines().count(), 2, "{}", desk.text());
        desk.pass(1);
        desk.ban("198.51.100.8", Span::Forever, "spam");
        assert!(!desk.text().contains("198.51.100.1 "), "{}", desk.text());
    }

    #[test]
    fn ten_thousand_rules_are_read_and_one_more_is_wrong() {
        let rule = |n: usize| format!("ban 10.{}.{}.1\n", n / 256, n % 256);
        let all: String = (0..RULES_MAX).map(rule).collect();
        let mut desk = Desk::new(&all);
        assert_eq!(desk.targets().len(), RULES_MAX);
        desk.lift(1);
        desk.ban("198.51.100.7", Span::Forever, "spam");
        assert_eq!(desk.text(), all[rule(0).len()..].to_owned() + BAN);
        let before = desk.text();
        desk.edit(&(before + "ban 198.51.100.9\n"));
        assert!(desk.reload().is_err());
        assert_eq!(desk.targets().len(), RULES_MAX);
    }

    proptest! {
        /// Whatever an operator says of a rule, a restart finds it as it was.
        #[test]
        fn a_restart_finds_each_rule_as_it_was(reasons in prop::collection::vec(".{0,80}", 1..4), seconds in 1..=400_000_u64) {
            let mut desk = Desk::new("");
            for (number, reason) in reasons.iter().enumerate() {
                let span = if number % 2 == 0 { Span::Seconds(seconds) } else { Span::Forever };
                desk.ban(&format!("198.51.100.{number}"), span, reason);
            }
            let before = desk.terms();
            let text = desk.text();
            let desk = desk.restart();
            prop_assert_eq!(before, desk.terms());
            prop_assert_eq!(text, desk.text());
        }
    }
}
