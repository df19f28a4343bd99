//! The settings with where each of them came from, so that they can be read again, and changed, while the server runs.
//!
//! The command line goes before the file, and what was set while the server runs goes before both. A setting that can
//! be changed only at the start keeps the value that it had then. Nothing here changes a [`Configuration`] in place: a
//! new one is made, and taken only if everything else that belongs to it is right as well.
//!
//! Invariant: a [`Configuration`] that [`parse`](super::parse) hands out, and each that comes of it, has every number
//! within the range that its row states, and passes `check_together`.

use std::fmt;
use std::path::Path;

use super::error::one_line;
use super::error::SettingsError;
use super::number::{show_bytes, MIB};
#[cfg(feature = "tls")]
use super::relay::Engine;
#[cfg(not(feature = "tls"))]
use super::row::NO_TLS;
use super::row::{one_word, Setting};
use super::table::{QUEUE_BYTES_SOFT, TABLE};
use super::values::{Change, Settings};
use crate::file::read_regular;

/// A settings file may have 1 MiB; a longer one is a mistake.
const FILE_BYTES_MAX: u64 = MIB;

/// A line grows on its way out: a name before it, base64 around it, U+FFFD for what was not UTF-8.
/// A queue with too little room for one would close everybody who is spoken to.
const LINES_IN_QUEUE_MIN: usize = 4;

/// The settings in force, and where each of them came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// What holds where nobody has said anything: the defaults, or what a program was given for them.
    given: Settings,
    file_name: Option<String>,
    file: Vec<Entry>,
    /// What the file said at the start, which goes on to hold for what can be changed only then.
    file_at_start: Vec<Entry>,
    command_line: Vec<Entry>,
    /// What was set while the server runs: each key at most once.
    set: Vec<Entry>,
    settings: Settings,
    /// The settings that wait for the next start, since the file was read again.
    waiting: Vec<&'static str>,
}

impl Configuration {
    /// Puts together the defaults, the file and the command line, which goes before it.
    pub(super) fn read(
        command_line: Vec<Entry>,
        file_name: Option<String>,
    ) -> Result<Self, SettingsError> {
        let file = read_entries(file_name.as_deref())?;
        let given = Settings::default();
        let settings = assemble(&given, &[&file, &command_line])?;
        Ok(Self {
            given,
            file_name,
            file_at_start: file.clone(),
            file,
            command_line,
            set: Vec::new(),
            settings,
            waiting: Vec::new(),
        })
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Reads the settings file again: gives what holds then.
    ///
    /// # Errors
    /// If the file cannot be read, a line of it is wrong, or it does not fit what was set.
    pub fn reread(&self) -> Result<Self, SettingsError> {
        let mut fresh = self.clone();
        fresh.file = read_entries(self.file_name.as_deref())?;
        fresh.take_force(&self.settings)?;
        Ok(fresh)
    }

    /// Sets `key` until the server stops: gives what holds then.
    ///
    /// # Errors
    /// If there is no such setting, it can be changed only at the start, or the value is refused as it would be then;
    /// the message names the key.
    pub fn with(&self, key: &str, value: &str) -> Result<Self, String> {
        let entry = Entry::new(key, value, None);
        match Setting::of(&entry.key).map(|setting| setting.change) {
            None => return Err(format!("no such setting: {}", one_line(&entry.key))),
            Some(Change::Start) => {
                return Err(format!("{} can be changed only at the start", entry.key));
            }
            Some(Change::Now) => {}
        }
        let mut fresh = self.clone();
        fresh.set.retain(|before| before.key != entry.key);
        fresh.set.push(entry);
        fresh
            .take_force(&self.settings)
            .map_err(|error| error.to_string())?;
        Ok(fresh)
    }

    /// Works out what is in force, where `before` was.
    fn take_force(&mut self, before: &Settings) -> Result<(), SettingsError> {
        let sources = [&self.file[..], &self.command_line, &self.set];
        let mut settings = assemble(&self.given, &sources)?;
        self.waiting.clear();
        for setting in TABLE {
            let waits = setting.change == Change::Start
                && setting.value(&settings) != setting.value(before);
            if waits {
                setting.copy(before, &mut settings);
                self.waiting.push(setting.key);
            }
        }
        self.settings = settings;
        Ok(())
    }

    /// The keys of those settings whose new values wait for the next start.
    pub fn waiting(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.waiting.iter().copied()
    }

    /// What is in force now and was not in force `before`, in the order of the table.
    pub fn changes_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = Changed> + 'a {
        TABLE
            .iter()
            .map(|setting| self.change_of(setting, before))
            .filter(|changed| changed.value != changed.was)
    }

    /// What became of one setting; `None` if there is no such key.
    #[must_use]
    pub fn change_since(&self, before: &Self, key: &str) -> Option<Changed> {
        Some(self.change_of(Setting::of(key)?, before))
    }

    fn change_of(&self, setting: &Setting, before: &Self) -> Changed {
        Changed {
            key: setting.key,
            value: setting.value(&self.settings),
            was: setting.value(&before.settings),
        }
    }

    /// Every setting, in the order of the table.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let default = Settings::default();
        TABLE.iter().map(move |setting| Row {
            key: setting.key,
            value: setting.value(&self.settings),
            default: setting.value(&default),
            from: self.source_of(setting),
            change: setting.change,
        })
    }

    fn source_of(&self, setting: &Setting) -> Source {
        let names = |entries: &[Entry]| entries.iter().any(|entry| entry.key == setting.key);
        let file = match setting.change {
            Change::Now => &self.file,
            Change::Start => &self.file_at_start,
        };
        let is_given = setting.value(&self.given) != setting.value(&Settings::default());
        if names(&self.set) {
            Source::Set
        } else if names(&self.command_line) || (is_given && !names(file)) {
            Source::Line
        } else if names(file) {
            Source::File
        } else {
            Source::Default
        }
    }
}

/// Settings that a program was not given by a command line count as if they were.
impl From<&Settings> for Configuration {
    fn from(settings: &Settings) -> Self {
        Self {
            given: settings.clone(),
            file_name: None,
            file: Vec::new(),
            file_at_start: Vec::new(),
            command_line: Vec::new(),
            set: Vec::new(),
            settings: settings.clone(),
            waiting: Vec::new(),
        }
    }
}

/// Where the value of a setting came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody has said anything.
    Default,
    /// The settings file.
    File,
    /// The command line, or the program that holds the server.
    Line,
    /// It was set while the server runs.
    Set,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Default => "default",
            Source::File => "file",
            Source::Line => "line",
            Source::Set => "set",
        })
    }
}

/// A setting as it is in force. Displayed, it is the fields `key= value= default= from= change=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub key: &'static str,
    /// Its value, as it would be given.
    pub value: String,
    /// Its default, as it would be given.
    pub default: String,
    /// Where the value came from.
    pub from: Source,
    /// When it can be changed.
    pub change: Change,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key, from, change, ..
        } = self;
        let (value, default) = (Field(&self.value), Field(&self.default));
        write!(
            f,
            "key={key} value={value} default={default} from={from} change={change}"
        )
    }
}

/// A value among fields: in quotes where it could not be told from them otherwise.
struct Field<'a>(&'a str);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = one_line(self.0);
        if text.is_empty() || text.contains([' ', '"', '=', '\\']) {
            let text = text.replace('\\', r"\\").replace('"', "\\\"");
            write!(f, "\"{text}\"")
        } else {
            f.write_str(&text)
        }
    }
}

/// A setting that has another value than before. Displayed, it is the fields of a line of the log: `KEY=VALUE was=OLD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its key.
    pub key: &'static str,
    /// Its value, as it would be given.
    pub value: String,
    /// The value that it had.
    pub was: String,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, value, was) = (self.key, one_word(&self.value), one_word(&self.was));
        write!(f, "{key}={value} was={was}")
    }
}

/// Puts settings together; a later source goes before an earlier one.
pub(super) fn assemble(given: &Settings, sources: &[&[Entry]]) -> Result<Settings, SettingsError> {
    let mut settings = given.clone();
    for entries in sources {
        // Values of a setting that may be repeated are not gathered from several places: those of the command line
        // replace those of the file, and those of the file replace the default.
        for setting in TABLE {
            if entries.iter().any(|entry| entry.key == setting.key) {
                setting.begin(&mut settings);
            }
        }
        for entry in *entries {
            entry.apply(&mut settings)?;
        }
    }
    let mut entries = sources.iter().copied().flatten();
    let is_default = given.limits.queue.bytes_soft == Settings::default().limits.queue.bytes_soft;
    if is_default && !entries.any(|entry| entry.key == QUEUE_BYTES_SOFT) {
        let queue = &mut settings.limits.queue;
        queue.bytes_soft = queue.bytes_soft.min(queue.bytes_max);
    }
    settings.check_together().map_err(SettingsError::Wrong)?;
    Ok(settings)
}

impl Settings {
    /// What no row can know of alone.
    pub(super) fn check_together(&self) -> Result<(), String> {
        let line = self.limits.line_bytes_max;
        let floor = line * LINES_IN_QUEUE_MIN;
        let soft = self.limits.queue.bytes_soft;
        let hard = self.limits.queue.bytes_max;
        let show = |size: usize| show_bytes(size as u64);
        for (key, limit) in [
            ("queue-bytes-max", hard),
            ("memory-max", self.limits.memory_max),
        ] {
            if limit < floor {
                let [limit, line, floor] = [limit, line, floor].map(show);
                return Err(format!(
                    "{key}: {limit} is too little for line-bytes-max {line}, at least {floor}"
                ));
            }
        }
        if soft > hard {
            let [soft, hard] = [soft, hard].map(show);
            return Err(format!(
                "{QUEUE_BYTES_SOFT}: {soft} is more than queue-bytes-max {hard}"
            ));
        }
        #[cfg(feature = "tls")]
        self.check_tls()?;
        Ok(())
    }
}

#[cfg(feature = "tls")]
impl Settings {
    /// A certificate is of no use without its key, a listener in TLS without both, and an engine in TLS without roots.
    fn check_tls(&self) -> Result<(), String> {
        if let (Some(engine @ Engine::Secured(_)), None) = (&self.relay.engine, &self.tls.roots) {
            return Err(format!("relay: {engine} needs tls-roots"));
        }
        match (&self.tls.certificate, &self.tls.key) {
            (Some(_), Some(_)) => return Ok(()),
            (Some(_), None) => return Err("tls-cert: there is no tls-key".to_owned()),
            (None, Some(_)) => return Err("tls-key: there is no tls-cert".to_owned()),
            (None, None) => {}
        }
        match self.listen.iter().find(|endpoint| endpoint.is_in_tls()) {
            None => Ok(()),
            Some(endpoint) => Err(format!("listen: {endpoint} needs tls-cert and tls-key")),
        }
    }
}

/// One `KEY=VALUE`, from wherever it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    key: String,
    value: String,
    /// The file and the line, for the message; `None`: the command line.
    place: Option<String>,
}

impl Entry {
    pub(super) fn new(key: &str, value: &str, place: Option<String>) -> Self {
        Entry {
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
            place,
        }
    }

    fn apply(&self, settings: &mut Settings) -> Result<(), SettingsError> {
        let applied = match Setting::of(&self.key) {
            Some(setting) => setting.apply(&self.value, settings),
            #[cfg(not(feature = "tls"))]
            None if Setting::is_of_tls(&self.key) => Err(NO_TLS.to_owned()),
            None => Err(format!(
                "no such setting: {}; see chatd --help",
                one_line(&self.key)
            )),
        };
        applied.map_err(|what| match &self.place {
            Some(place) => SettingsError::Wrong(format!("{place}: {what}")),
            None => SettingsError::Wrong(what),
        })
    }
}

/// The entries of the settings file, if there is one.
fn read_entries(name: Option<&str>) -> Result<Vec<Entry>, SettingsError> {
    let Some(name) = name else {
        return Ok(Vec::new());
    };
    let content = read_regular(Path::new(name), FILE_BYTES_MAX).map_err(|error| {
        let name = one_line(name);
        SettingsError::Unreadable(format!("settings file {name}: {error}"))
    })?;
    file_entries(name, &content)
}

/// The entries of a settings file: `KEY = VALUE` lines, between them comments and blank lines.
pub(super) fn file_entries(name: &str, content: &[u8]) -> Result<Vec<Entry>, SettingsError> {
    // Editors of another system begin a text with a byte order mark.
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut entries = Vec::new();
    for (index, line) in content.split(|&byte| byte == b'\n').enumerate() {
        let place = || format!("{}, line {}", one_line(name), index + 1);
        let wrong = |what: &str| SettingsError::Wrong(format!("{}: {what}", place()));
        let line = std::str::from_utf8(line).map_err(|_| wrong("not UTF-8"))?;
        // Trimming takes the CR of a CR LF as well.
        let said = line.split('#').next().unwrap_or_default().trim();
        if said.is_empty() {
            continue;
        }
        let (key, value) = said
            .split_once('=')
            .ok_or_else(|| wrong(&format!("{}: not KEY = VALUE", one_line(said))))?;
        entries.push(Entry::new(key, value, Some(place())));
    }
    Ok(entries)
}
