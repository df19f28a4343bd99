//! The file of the transcript: what people say in rooms without a key is appended to it, once at the end of a turn.
//!
//! It is written before anybody hears what was said, so that the death of the server takes no line back that somebody
//! has read. A disk that is full stops nobody: lines are lost then, and counted. Nothing waits for the disk but the
//! stop of the server.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use log::{info, warn};
use memchr::memchr_iter;

use crate::file::open_to_append;
use crate::hub::transcript::CUT_OFF;
use crate::hub::Hub;
use crate::log::counted;
use crate::settings::SettingsError;

/// At most this much of the end of the file is read at the start.
const READ_BACK_BYTES_MAX: u64 = 1024 * 1024;

/// While lines are lost their number is told so often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Where the transcript is written, if it is.
#[derive(Debug)]
pub(super) struct TranscriptFile {
    path: Option<PathBuf>,
    open: Option<OpenFile>,
    outage: Option<Outage>,
    /// Lines that were not written since the start.
    lost: u64,
    /// So many bytes are taken before the disk is full, for tests.
    #[cfg(test)]
    bytes_free: Option<usize>,
}

/// A file that is appended to.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    /// It ends with a part of a line.
    is_cut_off: bool,
}

/// The file cannot be written.
#[derive(Debug)]
struct Outage {
    /// Lines that were not written since it began …
    lost: u64,
    /// … and how many of them the operator was told of.
    told: u64,
    /// They are told of more at this time.
    tell_at: Instant,
}

impl TranscriptFile {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            open: None,
            outage: None,
            lost: 0,
            #[cfg(test)]
            bytes_free: None,
        }
    }

    /// Opens the file at the start, and makes it where there is none; gives the rooms of the hub their last lines back.
    ///
    /// # Errors
    /// If it cannot be opened, made or read, or is no regular file. The message names it.
    pub(super) fn begin<T>(&mut self, hub: &mut Hub<T>) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let explain = |error: io::Error| io::Error::new(error.kind(), named(path, &error));
        let open = OpenFile::open(path, true).map_err(explain)?;
        hub.restore(&last_lines(&open.file).map_err(explain)?);
        self.open = Some(open);
        hub.begin_transcript();
        Ok(())
    }

    /// Looks whether a server could start with this file; one that is not there would be made.
    ///
    /// # Errors
    /// If it cannot be opened, or is no regular file. The message names it.
    pub(super) fn check(path: &Path) -> Result<(), SettingsError> {
        match OpenFile::open(path, false) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(SettingsError::Unreadable(named(path, &error)))
            }
            _ => Ok(()),
        }
    }

    /// Opens the file anew, which somebody may have renamed. [`TranscriptFile::take_over`] lets it be written to.
    ///
    /// # Errors
    /// As at the start.
    pub(super) fn reopen(&self) -> Result<Option<OpenFile>, String> {
        let path = self.path.as_deref();
        path.map(|path| OpenFile::open(path, true).map_err(|error| named(path, &error)))
            .transpose()
    }

    /// Goes on with a file that was opened anew. What was said before goes to the old one.
    pub(super) fn take_over<T>(&mut self, open: Option<OpenFile>, hub: &mut Hub<T>, now: Instant) {
        self.write(hub, now);
        self.open = open;
    }

    /// Writes what was said since it was last called.
    pub(super) fn write<T>(&mut self, hub: &mut Hub<T>, now: Instant) {
        let Some(transcript) = hub.transcript() else {
            return;
        };
        if !transcript.text().is_empty() {
            self.append(transcript.text(), now);
            transcript.clear();
        }
        if let Some(outage) = &mut self.outage {
            outage.tell_if_due(now);
        }
    }

    /// Writes what is left, and sees to it that all is on the disk: the server stops.
    pub(super) fn finish<T>(&mut self, hub: &mut Hub<T>, now: Instant) {
        self.write(hub, now);
        if let Some(outage) = &self.outage {
            outage.tell();
        }
        if let Some(Err(error)) = self.open.take().map(|open| open.file.sync_all()) {
            warn!("transcript: cannot be saved: {}", reason(&error));
        }
    }

    /// Lines that were not written since the start.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// When there is something to be told of lines that are lost.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let outage = self.outage.as_ref();
        outage
            .filter(|outage| outage.lost > outage.told)
            .map(|outage| outage.tell_at)
    }

    /// Appends lines.
    fn append(&mut self, text: &[u8], now: Instant) {
        let (written, result) = self.write_all(text);
        // The line in which it ends is lost, and all behind it.
        let lost = lines(&text[written..]);
        self.lost += lost;
        match (result, &mut self.outage) {
            (Ok(()), _) => {
                if let Some(outage) = self.outage.take() {
                    info!(
                        "transcript: written again, {} lost",
                        counted(outage.lost, "line")
                    );
                }
            }
            (Err(_), Some(outage)) => outage.lost += lost,
            (Err(error), outage @ None) => {
                warn!(
                    "transcript: cannot write: {}; lines are lost",
                    reason(&error)
                );
                *outage = Some(Outage {
                    lost,
                    told: 0,
                    tell_at: now + TELL_EVERY,
                });
            }
        }
    }

    /// Ends the line that is cut off, if there is one, and writes the text; gives how much of it was taken.
    fn write_all(&mut self, text: &[u8]) -> (usize, io::Result<()>) {
        if self.open.as_ref().is_some_and(|open| open.is_cut_off) {
            let (_, result) = self.write_bytes(CUT_OFF);
            if result.is_err() {
                return (0, result);
            }
        }
        self.write_bytes(text)
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < bytes.len() {
            match self.write_some(&bytes[written..]) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(taken) => {
                    written += taken;
                    if let Some(open) = &mut self.open {
                        open.is_cut_off = bytes[written - 1] != b'\n';
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }

    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(open) = &mut self.open else {
            return Ok(bytes.len());
        };
        #[cfg(test)]
        if let Some(free) = &mut self.bytes_free {
            if *free == 0 {
                // ENOSPC, which has its number on every Unix.
                return Err(io::Error::from_raw_os_error(28));
            }
            let taken = open.file.write(&bytes[..bytes.len().min(*free)])?;
            *free -= taken;
            return Ok(taken);
        }
        open.file.write(bytes)
    }
}

impl OpenFile {
    fn open(path: &Path, make: bool) -> io::Result<Self> {
        let file = open_to_append(path, make)?;
        let mut last = [b'\n'];
        if let Some(before_the_last) = file.metadata()?.len().checked_sub(1) {
            // If it has become shorter, it was emptied.
            file.read_at(&mut last, before_the_last)?;
        }
        let is_cut_off = last != [b'\n'];
        Ok(Self { file, is_cut_off })
    }
}

impl Outage {
    fn tell_if_due(&mut self, now: Instant) {
        if self.lost > self.told && self.tell_at <= now {
            self.tell();
            self.told = self.lost;
            self.tell_at = now + TELL_EVERY;
        }
    }

    fn tell(&self) {
        warn!("transcript: {} lost", counted(self.lost, "line"));
    }
}

/// The whole lines in the last part of a file.
fn last_lines(mut file: &File) -> io::Result<Vec<u8>> {
    let from = file.metadata()?.len().saturating_sub(READ_BACK_BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(READ_BACK_BYTES_MAX).read_to_end(&mut text)?;
    let ends = |byte: &u8| *byte == b'\n';
    text.truncate(text.iter().rposition(ends).map_or(0, |last| last + 1));
    if from > 0 {
        let first = text.iter().position(ends).map_or(0, |first| first + 1);
        text.drain(..first);
    }
    Ok(text)
}

fn lines(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}

fn named(path: &Path, error: &io::Error) -> String {
    format!("transcript-file {}: {error}", path.display())
}

/// What the system says, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{symlink, PermissionsExt};

    use super::*;
    use crate::hub::transcript::Line;
    use crate::hub::Limits;
    use crate::test_clock::outset;
    use crate::test_folder::Folder;

    const LINE: &str = "2026-11-25T14:05:33Z lobby <ann> hello\n";

    /// A transcript in a folder of its own.
    struct Desk {
        folder: Folder,
        it: TranscriptFile,
        now: Instant,
    }

    impl Desk {
        /// Starts with a file that holds this.
        fn new(text: &[u8]) -> Self {
            let folder = Folder::new("transcript");
            fs::write(folder.path().join("said"), text).unwrap();
            Self::start(folder)
        }

        fn start(folder: Folder) -> Self {
            let mut it = TranscriptFile::new(Some(folder.path().join("said")));
            it.begin(&mut hub()).unwrap();
            let now = outset();
            Self { folder, it, now }
        }

        /// The server is killed and started anew.
        fn restart(self) -> Self {
            Self::start(self.folder)
        }

        /// This many lines are said in a turn.
        fn say(&mut self, lines: usize) {
            self.it.append(LINE.repeat(lines).as_bytes(), self.now);
        }

        fn bytes(&self) -> Vec<u8> {
            fs::read(self.folder.path().join("said")).unwrap()
        }

        /// How many lines can be read back, and how many others there are.
        fn read(&self) -> (usize, usize) {
            let bytes = self.bytes();
            let ended = bytes.strip_suffix(b"\n").unwrap();
            let (good, bad): (Vec<_>, Vec<_>) = ended
                .split(|byte| *byte == b'\n')
                .map(Line::read)
                .partition(Option::is_some);
            (good.len(), bad.len())
        }
    }

    fn hub() -> Hub<()> {
        Hub::new(Limits::WIDE)
    }

    #[test]
    fn a_disk_that_fills_at_any_byte_tears_no_line_and_all_that_is_lost_is_counted() {
        for free in 0..=3 * LINE.len() {
            let mut desk = Desk::new(b"");
            desk.it.bytes_free = Some(free);
            desk.say(2);
            desk.say(1);
            let whole = free / LINE.len();
            assert_eq!(desk.it.lost(), (3 - whole) as u64, "{free} bytes are free");
            assert_eq!(desk.it.outage.is_some(), whole < 3);
            desk.it.bytes_free = None;
            desk.say(1);
            assert!(desk.it.outage.is_none());
            let is_cut = whole < 3 && free % LINE.len() > 0;
            assert_eq!(desk.read(), (whole + 1, usize::from(is_cut)), "{free}");
        }
    }

    #[test]
    fn a_cut_that_can_not_be_ended_at_once_is_ended_later() {
        for more in 0..CUT_OFF.len() + LINE.len() {
            let mut desk = Desk::new(b"");
            desk.it.bytes_free = Some(5);
            desk.say(1);
            desk.it.bytes_free = Some(more);
            desk.say(1);
            desk.it.bytes_free = None;
            desk.say(1);
            assert_eq!(desk.it.lost(), 2);
            assert_eq!(desk.read().0, 1, "{more}");
        }
    }

    #[test]
    fn a_server_that_died_within_a_line_goes_on_behind_its_end() {
        for bytes in 0..=LINE.len() {
            let mut desk = Desk::new(&LINE.as_bytes()[..bytes]).restart();
            desk.say(1);
            let whole = usize::from(bytes == LINE.len());
            let cut = usize::from(bytes > 0) - whole;
            assert_eq!(desk.read(), (whole + 1, cut), "{bytes} bytes were written");
        }
    }

    #[test]
    fn losses_are_told_of_once_a_minute_while_there_are_more() {
        let mut desk = Desk::new(b"");
        desk.it.bytes_free = Some(0);
        assert_eq!(desk.it.wake_at(), None);
        desk.say(2);
        let (now, minute) = (desk.now, desk.now + TELL_EVERY);
        assert_eq!(desk.it.wake_at(), Some(minute));
        let outage = desk.it.outage.as_mut().unwrap();
        outage.tell_if_due(now);
        assert_eq!((outage.lost, outage.told), (2, 0));
        outage.tell_if_due(minute);
        assert_eq!((outage.lost, outage.told), (2, 2));
        assert_eq!(desk.it.wake_at(), None, "nothing is lost meanwhile");
        desk.now = minute;
        desk.say(1);
        assert_eq!(desk.it.wake_at(), Some(minute + TELL_EVERY));
    }

    #[test]
    fn what_was_said_before_it_was_opened_anew_stays_in_the_old_file() {
        let mut desk = Desk::new(b"");
        let [said, old] = ["said", "said.1"].map(|it| desk.folder.path().join(it));
        desk.say(1);
        fs::rename(&said, &old).unwrap();
        desk.say(1);
        let open = desk.it.reopen().unwrap();
        desk.say(1);
        desk.it.take_over(open, &mut hub(), outset());
        desk.say(1);
        assert_eq!(fs::read_to_string(&old).unwrap(), LINE.repeat(3));
        assert_eq!(fs::read_to_string(&said).unwrap(), LINE);
        let mode = fs::metadata(&said).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Truncated by somebody else: it is appended to.
        fs::write(&said, "").unwrap();
        desk.say(1);
        assert_eq!(fs::read_to_string(&said).unwrap(), LINE);
    }

    #[test]
    fn f132_what_is_no_regular_file_is_refused_and_not_waited_for() {
        let folder = Folder::new("transcript-kinds");
        let (pipe, link) = (folder.path().join("pipe"), folder.path().join("link"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        symlink("/dev/zero", &link).unwrap();
        for (path, what) in [
            (pipe.as_path(), "not a regular file"),
            (&link, "not a regular file"),
            (folder.path(), "Is a directory (os error 21)"),
            (
                &folder.path().join("no/said"),
                "No such file or directory (os error 2)",
            ),
        ] {
            let told = format!("transcript-file {}: {what}", path.display());
            let mut it = TranscriptFile::new(Some(path.to_owned()));
            assert_eq!(it.begin(&mut hub()).unwrap_err().to_string(), told);
            assert_eq!(it.reopen().unwrap_err(), told);
        }
        let absent = folder.path().join("absent");
        assert!(TranscriptFile::check(&absent).is_ok() && !absent.exists());
        assert!(TranscriptFile::check(&pipe).is_err());
    }

    #[test]
    fn at_most_the_last_megabyte_is_read_back_and_only_whole_lines() {
        let folder = Folder::new("transcript-tail");
        let path = folder.path().join("said");
        for (before, behind) in [(0, ""), (30_000, ""), (30_000, "2026-11-25T14")] {
            let text = LINE.repeat(before) + LINE + behind;
            fs::write(&path, &text).unwrap();
            let read = last_lines(&File::open(&path).unwrap()).unwrap();
            assert!(read.len() as u64 <= READ_BACK_BYTES_MAX);
            let most = (READ_BACK_BYTES_MAX as usize - behind.len()) / LINE.len();
            let expected = most.min(before + 1);
            assert!(read.len() / LINE.len() >= expected.saturating_sub(1).max(1));
            assert!(read.chunks(LINE.len()).all(|line| line == LINE.as_bytes()));
        }
        for text in ["", "x", &"x".repeat(2_000_000)] {
            fs::write(&path, text).unwrap();
            assert_eq!(last_lines(&File::open(&path).unwrap()).unwrap(), b"");
        }
    }
}
