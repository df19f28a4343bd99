//! The table of settings: one row for each, how a row takes its value, and what it fills.
//!
//! It must not know where a value was written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::one_line;
use super::listen::{Endpoint, ListenError};
use super::number::{
    bytes, count, length, milliseconds, milliseconds_of, or_zero, seconds, unless_zero, Range, DAY,
    HOUR, KIB, MIB, SECOND,
};
use super::values::{Change, Settings};
#[cfg(feature = "tls")]
use super::values::{TlsSettings, TlsVersion};
use crate::limits::Limits;
use crate::name::RoomName;
use crate::net::Net;

impl Default for Settings {
    /// What the table says.
    fn default() -> Self {
        let mut settings = Settings {
            listen: Vec::new(),
            sessions_max: None,
            sessions_per_address_max: None,
            connects_per_minute: None,
            exempt: Vec::new(),
            proxy_from: Vec::new(),
            send_buffer_bytes: None,
            motd_file: None,
            bans_file: None,
            names_file: None,
            transcript_file: None,
            rooms: Vec::new(),
            web_hosts: Vec::new(),
            #[cfg(feature = "tls")]
            tls: TlsSettings::default(),
            limits: Limits::default(),
        };
        for setting in TABLE {
            let applied = setting.apply(setting.default, &mut settings);
            debug_assert_eq!(applied, Ok(()), "the default of {}", setting.key);
        }
        settings
    }
}

/// The row whose default gives way where `queue-bytes-max` is lowered below it.
pub(super) const QUEUE_BYTES_SOFT: &str = "queue-bytes-soft";

/// The row that may be repeated; what `-l` sets.
pub(super) const LISTEN: &str = "listen";

/// The row of the rooms that are always there.
const ROOM: &str = "room";

/// The row of the names of the page.
const WEB_HOST: &str = "web-host";

/// At most this many names has the page.
const HOSTS_MAX: usize = 100;

/// At most this many rooms are always there.
const ROOMS_MAX: usize = 1000;

/// The row whose file is shown in the greeting.
pub(crate) const MOTD_FILE: &str = "motd-file";

/// Every setting, in the order in which they are listed.
pub(super) static TABLE: &[Setting] = &[
    Setting {
        key: LISTEN,
        default: "127.0.0.1:3333",
        meaning: "where to accept connections, the same as -l; may be repeated",
        change: Change::Start,
        kind: Kind::Listener,
    },
    number(
        "sessions-max",
        "auto",
        count(1, 1_000_000).zero_written("auto"),
        "the most sessions at a time; auto: what the descriptor limit allows, less 64",
        |settings, n| settings.sessions_max = unless_zero(length(n)),
        |settings| or_zero(settings.sessions_max),
    ),
    number(
        "sessions-per-address-max",
        "64",
        count(1, 1_000_000).zero_means("off"),
        "the most sessions from one IPv4 address or IPv6 /64; loopback is exempt",
        |settings, n| settings.sessions_per_address_max = unless_zero(n as u32),
        |settings| u64::from(settings.sessions_per_address_max.unwrap_or(0)),
    ),
    number(
        "connects-per-minute",
        "30",
        count(1, 1_000_000).zero_means("off"),
        "how often one IPv4 address or IPv6 /64 may connect, after a first burst of \
         sessions-per-address-max (64 if that is off)",
        |settings, n| settings.connects_per_minute = unless_zero(n as u32),
        |settings| u64::from(settings.connects_per_minute.unwrap_or(0)),
    ),
    nets(
        "exempt",
        "an address or net that is free of all limits by address, as loopback is; may be repeated",
        |settings| &mut settings.exempt,
        |settings| &settings.exempt,
    ),
    nets(
        "proxy-from",
        "front ends whose PROXY header is believed, beside loopback: an address or net; may be \
         repeated",
        |settings| &mut settings.proxy_from,
        |settings| &settings.proxy_from,
    ),
    number(
        "line-bytes-max",
        "4096",
        bytes(64, 64 * KIB),
        "longer lines are refused, never cut, and the session goes on",
        |settings, n| settings.limits.line_bytes_max = length(n),
        |settings| settings.limits.line_bytes_max as u64,
    ),
    number(
        "queue-bytes-max",
        "1m",
        bytes(KIB, 1024 * MIB),
        "unsent bytes of one session; above: closed, slow-consumer; at least 4 times \
         line-bytes-max",
        |settings, n| settings.limits.queue.bytes_max = length(n),
        |settings| settings.limits.queue.bytes_max as u64,
    ),
    number(
        QUEUE_BYTES_SOFT,
        "256k",
        bytes(KIB, 1024 * MIB),
        "above it for longer than queue-soft-seconds: closed, slow-consumer; at most \
         queue-bytes-max, to which the default gives way",
        |settings, n| settings.limits.queue.bytes_soft = length(n),
        |settings| settings.limits.queue.bytes_soft as u64,
    ),
    number(
        "queue-soft-seconds",
        "30",
        seconds(10, DAY),
        "how long a session may stay above queue-bytes-soft",
        |settings, n| settings.limits.queue.soft = Duration::from_millis(n),
        |settings| milliseconds_of(Some(settings.limits.queue.soft)),
    ),
    number(
        "stall-seconds",
        "30",
        seconds(10, DAY).zero_means("off"),
        "bytes wait, and none was taken for so long: closed, write-stall",
        |settings, n| settings.limits.queue.stall = unless_zero(n).map(Duration::from_millis),
        |settings| milliseconds_of(settings.limits.queue.stall),
    ),
    number(
        "send-buffer-bytes",
        "128k",
        bytes(2 * KIB, 64 * MIB).zero_means("the system's"),
        "SO_SNDBUF of each session",
        |settings, n| settings.send_buffer_bytes = unless_zero(length(n)),
        |settings| or_zero(settings.send_buffer_bytes),
    )
    .only_at_start(),
    number(
        "lines-per-second",
        "10",
        count(1, 1_000_000).zero_means("off"),
        "beyond it the session's input is paused, nothing is lost",
        |settings, n| settings.limits.line_rate.per_second = n as u32,
        |settings| u64::from(settings.limits.line_rate.per_second),
    ),
    number(
        "lines-burst",
        "40",
        count(1, 1_000_000).zero_means("off"),
        "lines at once before lines-per-second counts",
        |settings, n| settings.limits.line_rate.burst = n as u32,
        |settings| u64::from(settings.limits.line_rate.burst),
    ),
    number(
        "idle-seconds",
        "0",
        seconds(10, 365 * DAY).zero_means("off"),
        "nothing said or asked for so long (keepalives do not count): closed, idle",
        |settings, n| settings.limits.idle = unless_zero(n).map(Duration::from_millis),
        |settings| milliseconds_of(settings.limits.idle),
    ),
    number(
        "drain-seconds",
        "5",
        seconds(10, HOUR),
        "a closing session gets so long to take its last bytes",
        |settings, n| settings.limits.drain = Duration::from_millis(n),
        |settings| milliseconds_of(Some(settings.limits.drain)),
    ),
    number(
        "history-lines",
        "20",
        count(1, 1000).zero_means("off"),
        "how many of the last lines a newcomer and /history are shown",
        |settings, n| settings.limits.history_lines = length(n),
        |settings| settings.limits.history_lines as u64,
    ),
    Setting {
        key: ROOM,
        default: NONE,
        meaning: "a room that is always there, also empty; it has no key; may be repeated",
        change: Change::Now,
        kind: Kind::Rooms,
    },
    Setting {
        key: WEB_HOST,
        default: NONE,
        meaning: "a name under which people reach the page, with its port; without one: the listener's, 80 and 443; \
                  localhost and bare addresses always; may be repeated",
        change: Change::Now,
        kind: Kind::Hosts,
    },
    number(
        "web-history-lines",
        "200",
        count(1, 1000).zero_means("off"),
        "how many of a room's last lines are kept for browsers that come back, if that is more than history-lines",
        |settings, n| settings.limits.web_history_lines = length(n),
        |settings| settings.limits.web_history_lines as u64,
    ),
    number(
        "rooms-max",
        "200",
        count(1, 60_000).zero_means("only the lobby and those of room"),
        "the most rooms made by /join at a time",
        |settings, n| settings.limits.rooms_max = length(n),
        |settings| settings.limits.rooms_max as u64,
    ),
    Setting {
        key: MOTD_FILE,
        default: NONE,
        meaning: "shown in the greeting; a regular file of at most 16k, else an error at the start and a warning later",
        change: Change::Now,
        kind: Kind::File(
            |settings, path| settings.motd_file = path,
            |settings| settings.motd_file.as_deref(),
        ),
    },
    Setting {
        key: "bans-file",
        default: NONE,
        meaning: "where bans, mutes and forbidden names are kept; made if it is not there; none: they last until the server stops",
        change: Change::Start,
        kind: Kind::File(
            |settings, path| settings.bans_file = path,
            |settings| settings.bans_file.as_deref(),
        ),
    },
    Setting {
        key: "names-file",
        default: NONE,
        meaning: "where kept names are written; made if it is not there; none: they are kept until the server stops",
        change: Change::Start,
        kind: Kind::File(
            |settings, path| settings.names_file = path,
            |settings| settings.names_file.as_deref(),
        ),
    },
    number(
        "names-kept-max",
        "10000",
        count(1, 1_000_000).zero_means("off"),
        "the most names kept at a time; three a day from one IPv4 address or IPv6 /64",
        |settings, n| settings.limits.names_kept_max = length(n),
        |settings| settings.limits.names_kept_max as u64,
    ),
    number(
        "names-kept-days",
        "180",
        count(1, 36_500).zero_means("for ever"),
        "a kept name that was not used for so many days is free",
        |settings, n| settings.limits.names_kept_days = unless_zero(n).map(|days| days as u32),
        |settings| settings.limits.names_kept_days.map_or(0, u64::from),
    ),
    Setting {
        key: "transcript-file",
        default: NONE,
        meaning: "where what is said in rooms without a key is written, of which everybody is told; made if it is not there; \
                  the last lines are read back at the start",
        change: Change::Start,
        kind: Kind::File(
            |settings, path| settings.transcript_file = path,
            |settings| settings.transcript_file.as_deref(),
        ),
    },
    number(
        "pace-ms-max",
        "100",
        milliseconds(1, 10 * SECOND).zero_means("off"),
        "how long a line to a crowded room may wait to share its sends with others",
        |settings, n| settings.limits.pace_max = unless_zero(n).map(Duration::from_millis),
        |settings| milliseconds_of(settings.limits.pace_max),
    ),
    number(
        "memory-max",
        "256m",
        bytes(KIB, 65_536 * MIB),
        "all queues and buffers together; above: the session with the largest queue is closed, \
         slow-consumer; at least 4 times line-bytes-max",
        |settings, n| settings.limits.memory_max = length(n),
        |settings| settings.limits.memory_max as u64,
    ),
    #[cfg(feature = "tls")]
    Setting {
        key: "tls-cert",
        default: NONE,
        meaning: "where TLS is offered, the certificate and behind it its issuers, in PEM; read again by SIGHUP",
        change: Change::Now,
        kind: Kind::File(
            |settings, path| settings.tls.certificate = path,
            |settings| settings.tls.certificate.as_deref(),
        ),
    },
    #[cfg(feature = "tls")]
    Setting {
        key: "tls-key",
        default: NONE,
        meaning: "its private key, in PEM: PKCS#8, SEC1 or PKCS#1; read again by SIGHUP",
        change: Change::Now,
        kind: Kind::File(
            |settings, path| settings.tls.key = path,
            |settings| settings.tls.key.as_deref(),
        ),
    },
    #[cfg(feature = "tls")]
    Setting {
        key: "tls-min",
        default: "1.2",
        meaning: "the oldest TLS that is spoken: 1.2 or 1.3",
        change: Change::Now,
        kind: Kind::TlsVersion,
    },
];

/// How the keys of TLS begin, which are known to who built the program without it, too.
#[cfg(not(feature = "tls"))]
const TLS_KEYS: &str = "tls-";

/// What is answered to who wants TLS of a program that has none.
pub(crate) const NO_TLS: &str = "this chatd was built without tls";

/// One row of the table.
pub(super) struct Setting {
    pub(super) key: &'static str,
    /// As it would be given.
    pub(super) default: &'static str,
    /// One sentence or less, without its range, which the kind knows.
    meaning: &'static str,
    pub(super) change: Change,
    kind: Kind,
}

/// What values a setting takes, where they go, and how they are found there.
enum Kind {
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
    /// A version of TLS.
    #[cfg(feature = "tls")]
    TlsVersion,
}

/// What stands for nothing at all; a file of this name is reached as `./none`.
const NONE: &str = "none";

const fn number(
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

const fn nets(
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
    /// Whether this key is that of a row which only a program with TLS has.
    #[cfg(not(feature = "tls"))]
    pub(super) fn is_of_tls(key: &str) -> bool {
        key.starts_with(TLS_KEYS)
    }

    /// The row of a key.
    pub(super) fn of(key: &str) -> Option<&'static Self> {
        TABLE.iter().find(|setting| setting.key == key)
    }

    const fn only_at_start(mut self) -> Self {
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
            Kind::Number(..) | Kind::File(..) => {}
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
            Kind::File(..) | Kind::Listener | Kind::Nets(..) | Kind::Rooms | Kind::Hosts => {
                self.meaning.to_owned()
            }
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

impl Settings {
    /// The settings whose values are not the defaults: keys and values, in the order of the table. A value is one word,
    /// whatever was given: blanks and control characters are escaped.
    pub fn changed(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        let default = Self::default();
        TABLE.iter().filter_map(move |setting| {
            let value = setting.value(self);
            (value != setting.value(&default)).then(|| (setting.key, one_word(&value)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::number::Zero;
    use super::*;

    #[test]
    fn every_row_has_a_key_of_its_own_and_a_default_that_it_takes() {
        for (index, setting) in TABLE.iter().enumerate() {
            let first = TABLE.iter().position(|other| other.key == setting.key);
            assert_eq!(first, Some(index), "{} is there twice", setting.key);
            let mut settings = Settings::default();
            setting.begin(&mut settings);
            assert_eq!(setting.apply(setting.default, &mut settings), Ok(()));
            assert_eq!(settings, Settings::default(), "{}", setting.key);
            let told = setting.value(&settings);
            setting.begin(&mut settings);
            assert_eq!(setting.apply(&told, &mut settings), Ok(()));
            assert_eq!(settings, Settings::default(), "{told}");
        }
    }

    #[test]
    fn what_is_not_the_default_is_told_in_one_word_each() {
        assert_eq!(Settings::default().changed().next(), None);
        let mut settings = Settings::default();
        for (key, value) in [
            (LISTEN, "wire://[::1]:7"),
            ("sessions-max", "5"),
            ("lines-burst", "0"),
            ("stall-seconds", "0.5"),
            ("motd-file", "a b=\\\u{85}c"),
            ("memory-max", "1024k"),
        ] {
            let setting = TABLE.iter().find(|setting| setting.key == key).unwrap();
            setting.apply(value, &mut settings).unwrap();
        }
        let changed: Vec<_> = settings.changed().collect();
        let told = [
            (LISTEN, "telnet://127.0.0.1:3333,wire://[::1]:7"),
            ("sessions-max", "5"),
            ("stall-seconds", "0.5"),
            ("lines-burst", "0"),
            ("motd-file", r"a\x20b=\\\u{85}c"),
            ("memory-max", "1m"),
        ];
        assert_eq!(changed, told.map(|(key, value)| (key, value.to_owned())));
    }

    #[test]
    fn every_number_is_shown_as_it_is_read() {
        for setting in TABLE {
            let Kind::Number(range, ..) = &setting.kind else {
                continue;
            };
            let key = setting.key;
            assert!(0 < range.least && range.least < range.most, "{key}");
            for n in [range.least, range.least + 1, range.most - 1, range.most] {
                assert_eq!(range.read(&range.unit.show(n)), Ok(n), "{key}");
            }
            for n in [range.least - 1, range.most + 1] {
                let allowed = n == 0 && matches!(range.zero, Zero::Means(_));
                let taken = range.read(&range.unit.show(n));
                assert_eq!(taken.is_ok(), allowed, "{key}: {taken:?}");
            }
        }
    }
}
