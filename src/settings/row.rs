//! One row of the table of settings: what values it takes, where they go, and how they are found there.

use std::path::{Path, PathBuf};

use super::error::one_line;
use super::listen::{Endpoint, ListenError};
use super::number::Range;
#[cfg(feature = "tls")]
use super::values::TlsVersion;
use super::values::{Change, Settings};
use crate::net::Net;
use crate::room_name::RoomName;

/// What is answered to who wants TLS of a program that has none.
pub(crate) const NO_TLS: &str = "this chatd was built without tls";

/// At most this many names has the page.
const HOSTS_MAX: usize = 100;

/// At most this many rooms are always there.
const ROOMS_MAX: usize = 1000;

/// One row of the table.
pub(super) struct Setting {
    pub(super) key: &'static str,
    /// As it would be given.
    pub(super) default: &'static str,
    /// One sentence or less, without its range, which the kind knows.
    pub(super) meaning: &'static str,
    pub(super) change: Change,
    pub(super) kind: Kind,
}

/// What values a setting takes, where they go, and how they are found there.
pub(super) enum Kind {
    /// A number, stored in the base unit of its range, with 0 for what that says of 0.
    Number(Range, fn(&mut Settings, u64), fn(&Settings) -> u64),
    /// A path, or [`NONE`].
    File(
        fn(&mut Settings, Option<PathBuf>),
        fn(&Settings) -> Option<&Path>,
    ),
    /// One more [`Endpoint`].
    Listener,
    /// One more [`Net`], or [`NONE`].
    Nets(fn(&mut Settings) -> &mut Vec<Net>, fn(&Settings) -> &[Net]),
    /// One more room, or [`NONE`].
    Rooms,
    /// One more name under which people reach the page, or [`NONE`].
    Hosts,
    /// One word, or [`NONE`] where that is the default; whether a word fits, and what it is called.
    Word {
        store: fn(&mut Settings, Option<&str>),
        stored: fn(&Settings) -> Option<&str>,
        fits: fn(&str) -> bool,
        what: &'static str,
    },
    /// Where the engine of several servers is, or [`NONE`].
    Engine,
    /// A version of TLS.
    #[cfg(feature = "tls")]
    TlsVersion,
}

/// What stands for nothing at all; a file of this name is reached as `./none`.
pub(super) const NONE: &str = "none";

/// Whether a server may be called so in IRC (RFC 2812, section 2.3.1: a host's name of at most 63 characters).
pub(super) fn is_server_name(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    (3..=63).contains(&text.len()) && text.contains('.') && text.bytes().all(is_fit)
}

/// Whether it can be one word of the engine's.
pub(super) fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether it can stand before a key: braces would be read as the part of it that counts.
pub(super) fn is_prefix(text: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(is_fit)
}

pub(super) const fn number(
    key: &'static str,
    default: &'static str,
    range: Range,
    meaning: &'static str,
    store: fn(&mut Settings, u64),
    stored: fn(&Settings) -> u64,
) -> Setting {
    Setting {
        key,
        default,
        meaning,
        change: Change::Now,
        kind: Kind::Number(range, store, stored),
    }
}

pub(super) const fn nets(
    key: &'static str,
    meaning: &'static str,
    list: fn(&mut Settings) -> &mut Vec<Net>,
    listed: fn(&Settings) -> &[Net],
) -> Setting {
    Setting {
        key,
        default: NONE,
        meaning,
        change: Change::Now,
        kind: Kind::Nets(list, listed),
    }
}

impl Setting {
    pub(super) const fn only_at_start(mut self) -> Self {
        self.change = Change::Start;
        self
    }

    /// Where it may be repeated, forgets what was given so far: who gives some gives all of them.
    pub(super) fn begin(&self, settings: &mut Settings) {
        match &self.kind {
            Kind::Listener => settings.listen.clear(),
            Kind::Nets(list, _) => list(settings).clear(),
            Kind::Rooms => settings.rooms.clear(),
            Kind::Hosts => settings.web_hosts.clear(),
            Kind::Number(..) | Kind::File(..) | Kind::Word { .. } | Kind::Engine => {}
            #[cfg(feature = "tls")]
            Kind::TlsVersion => {}
        }
    }

    /// Takes over the value that `from` holds for this row.
    pub(super) fn copy(&self, from: &Settings, to: &mut Settings) {
        match &self.kind {
            Kind::Number(_, store, stored) => store(to, stored(from)),
            Kind::File(store, stored) => store(to, stored(from).map(Path::to_owned)),
            Kind::Listener => to.listen.clone_from(&from.listen),
            Kind::Nets(list, listed) => *list(to) = listed(from).to_vec(),
            Kind::Rooms => to.rooms.clone_from(&from.rooms),
            Kind::Hosts => to.web_hosts.clone_from(&from.web_hosts),
            Kind::Word { store, stored, .. } => store(to, stored(from)),
            Kind::Engine => to.relay.engine.clone_from(&from.relay.engine),
            #[cfg(feature = "tls")]
            Kind::TlsVersion => to.tls.oldest = from.tls.oldest,
        }
    }

    /// Reads a value and puts it in its place; the error names the key.
    pub(super) fn apply(&self, value: &str, settings: &mut Settings) -> Result<(), String> {
        let key = self.key;
        if value.is_empty() {
            return Err(format!("{key}: no value given"));
        }
        match &self.kind {
            Kind::Number(range, store, _) => {
                let n = range
                    .read(value)
                    .map_err(|what| format!("{key}: {} {what}", one_line(value)))?;
                store(settings, n);
            }
            Kind::File(store, _) => {
                store(settings, (value != NONE).then(|| PathBuf::from(value)));
            }
            Kind::Listener => {
                let wrong = |error: ListenError| format!("{key}: {}: {error}", one_line(value));
                let endpoint: Endpoint = value.parse().map_err(wrong)?;
                if cfg!(not(feature = "tls")) && endpoint.is_in_tls() {
                    return Err(NO_TLS.to_owned());
                }
                settings.listen.push(endpoint);
            }
            #[cfg(feature = "tls")]
            Kind::TlsVersion => {
                settings.tls.oldest = match value {
                    "1.2" => TlsVersion::V1_2,
                    "1.3" => TlsVersion::V1_3,
                    _ => return Err(format!("{key}: {}: not 1.2 or 1.3", one_line(value))),
                }
            }
            Kind::Word { store, .. } if value == NONE => store(settings, None),
            Kind::Word {
                store, fits, what, ..
            } => {
                if !fits(value) {
                    return Err(format!("{key}: {}: {what}", one_line(value)));
                }
                store(settings, Some(value));
            }
            #[cfg(not(feature = "tls"))]
            Kind::Engine if value.starts_with("rediss:") => return Err(NO_TLS.to_owned()),
            Kind::Engine => {
                let wrong = |()| {
                    format!(
                        "{key}: {}: not redis://HOST:PORT, redis-unix:///PATH or \
                         sentinel://HOST:PORT,.../SERVICE",
                        one_line(value)
                    )
                };
                let is_none = value == NONE;
                settings.relay.engine = if is_none {
                    None
                } else {
                    Some(value.parse().map_err(wrong)?)
                };
            }
            Kind::Nets(..) | Kind::Rooms | Kind::Hosts if value == NONE => {}
            Kind::Hosts => {
                if settings.web_hosts.len() >= HOSTS_MAX {
                    return Err(format!("{key}: more than {HOSTS_MAX} of them"));
                }
                let wrong = |_| format!("{key}: {}: no host", one_line(value));
                settings.web_hosts.push(value.parse().map_err(wrong)?);
            }
            Kind::Rooms => {
                if settings.rooms.len() >= ROOMS_MAX {
                    return Err(format!("{key}: more than {ROOMS_MAX} of them"));
                }
                let wrong = |_| format!("{key}: {}: no name of a room", one_line(value));
                settings.rooms.push(RoomName::parse(value).map_err(wrong)?);
            }
            Kind::Nets(list, _) => {
                let wrong = |_| format!("{key}: {}: no address or net", one_line(value));
                list(settings).push(value.parse().map_err(wrong)?);
            }
        }
        Ok(())
    }

    /// The value that the settings hold for this row, as it would be given.
    pub(super) fn value(&self, settings: &Settings) -> String {
        match &self.kind {
            Kind::Number(range, _, stored) => range.show(stored(settings)),
            Kind::File(_, stored) => {
                stored(settings).map_or_else(|| NONE.to_owned(), |path| path.display().to_string())
            }
            Kind::Listener => joined(&settings.listen),
            Kind::Nets(_, listed) => joined_or_none(listed(settings)),
            Kind::Rooms => joined_or_none(&settings.rooms),
            Kind::Hosts => joined_or_none(&settings.web_hosts),
            Kind::Word { stored, .. } => stored(settings).unwrap_or(NONE).to_owned(),
            Kind::Engine => match &settings.relay.engine {
                Some(engine) => engine.to_string(),
                None => NONE.to_owned(),
            },
            #[cfg(feature = "tls")]
            Kind::TlsVersion => match settings.tls.oldest {
                TlsVersion::V1_2 => "1.2".to_owned(),
                TlsVersion::V1_3 => "1.3".to_owned(),
            },
        }
    }

    /// Key, default and meaning with the range, as they are listed.
    pub(super) fn cells(&self) -> (&'static str, &'static str, String) {
        let meaning = match &self.kind {
            Kind::Number(range, ..) => format!("{} ({range})", self.meaning),
            Kind::File(..)
            | Kind::Listener
            | Kind::Nets(..)
            | Kind::Rooms
            | Kind::Hosts
            | Kind::Word { .. }
            | Kind::Engine => self.meaning.to_owned(),
            #[cfg(feature = "tls")]
            Kind::TlsVersion => self.meaning.to_owned(),
        };
        (self.key, self.default, meaning)
    }
}

fn joined_or_none(values: &[impl ToString]) -> String {
    if values.is_empty() {
        NONE.to_owned()
    } else {
        joined(values)
    }
}

/// The values of a setting that may be repeated, as one.
fn joined(values: &[impl ToString]) -> String {
    let values = values.iter().map(ToString::to_string);
    values.collect::<Vec<_>>().join(",")
}

/// Text as the value of one field of a log line: without blanks, which end it.
pub(super) fn one_word(text: &str) -> String {
    let is_plain = |character: &char| !character.is_control() && !character.is_whitespace();
    text.chars().fold(String::new(), |mut word, character| {
        if is_plain(&character) && character != '\\' {
            word.push(character);
        } else if character == ' ' {
            word.push_str("\\x20");
        } else {
            word.extend(character.escape_default());
        }
        word
    })
}
