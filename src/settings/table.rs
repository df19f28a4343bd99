//! The table of settings: one row for each.
//!
//! It must not know where a value was written.

use std::time::Duration;

use super::number::{
    bytes, count, length, milliseconds, milliseconds_of, or_zero, seconds, unless_zero, DAY, HOUR,
    KIB, MIB, SECOND,
};
use super::row::{is_prefix, is_server_name, is_word, nets, number, one_word, Kind, Setting, NONE};
#[cfg(feature = "tls")]
use super::values::TlsSettings;
use super::values::{Change, RelaySettings, Settings};
use crate::dialect::irc;
use crate::limits::Limits;

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
            irc_name: "".into(),
            relay: RelaySettings::default(),
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
    Setting {
        key: "irc-name",
        default: irc::NAME,
        meaning: "the server's name for IRC clients, with a dot in it, for by that they tell servers from people",
        change: Change::Start,
        kind: Kind::Word {
            store: |settings, word| settings.irc_name = word.unwrap_or(irc::NAME).into(),
            stored: |settings| Some(&settings.irc_name),
            fits: is_server_name,
            what: "no server's name with a dot in it",
        },
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
    Setting {
        key: "relay",
        default: NONE,
        meaning: "the engine through which several servers share one chat: redis://HOST:PORT, redis-unix:///PATH or \
                  sentinel://HOST:PORT,.../SERVICE",
        change: Change::Start,
        kind: Kind::Engine,
    },
    Setting {
        key: "relay-user",
        default: NONE,
        meaning: "what the engine knows this server as",
        change: Change::Start,
        kind: Kind::Word {
            store: |settings, word| settings.relay.user = word.map(Into::into),
            stored: |settings| settings.relay.user.as_deref(),
            fits: is_word,
            what: "no name of a user",
        },
    },
    Setting {
        key: "relay-password-file",
        default: NONE,
        meaning: "where the password for the engine is: the first line of a regular file",
        change: Change::Start,
        kind: Kind::File(
            |settings, path| settings.relay.password_file = path,
            |settings| settings.relay.password_file.as_deref(),
        ),
    },
    Setting {
        key: "relay-prefix",
        default: "chatd",
        meaning: "stands before every key in the engine, which two chats may share: 1 to 64 letters, digits or - _ . :",
        change: Change::Start,
        kind: Kind::Word {
            store: |settings, word| settings.relay.prefix = word.unwrap_or(NONE).into(),
            stored: |settings| Some(&settings.relay.prefix),
            fits: is_prefix,
            what: "no prefix",
        },
    },
    number(
        "relay-lines",
        "10000",
        count(100, 10_000_000),
        "entries that the log in the engine keeps, about",
        |settings, n| settings.relay.log_entries = length(n),
        |settings| settings.relay.log_entries as u64,
    )
    .only_at_start(),
    number(
        "relay-patience-seconds",
        "5",
        seconds(100, HOUR),
        "the engine is silent so long: this server goes on alone",
        |settings, n| settings.relay.patience = Duration::from_millis(n),
        |settings| milliseconds_of(Some(settings.relay.patience)),
    )
    .only_at_start(),
    number(
        "relay-lease-seconds",
        "15",
        seconds(1000, HOUR),
        "a server is silent so long: its people have left",
        |settings, n| settings.relay.lease = Duration::from_millis(n),
        |settings| milliseconds_of(Some(settings.relay.lease)),
    )
    .only_at_start(),
    number(
        "relay-queue-bytes-max",
        "1m",
        bytes(64 * KIB, 1024 * MIB),
        "what may wait for the engine; at half of it talkers wait",
        |settings, n| settings.relay.queue_bytes_max = length(n),
        |settings| settings.relay.queue_bytes_max as u64,
    )
    .only_at_start(),
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
    #[cfg(feature = "tls")]
    Setting {
        key: "tls-roots",
        default: NONE,
        meaning: "where relay is rediss://HOST:PORT, the certificates that the engine's is trusted by, in PEM",
        change: Change::Start,
        kind: Kind::File(
            |settings, path| settings.tls.roots = path,
            |settings| settings.tls.roots.as_deref(),
        ),
    },
];

/// How the keys of TLS begin, which are known to who built the program without it, too.
#[cfg(not(feature = "tls"))]
const TLS_KEYS: &str = "tls-";

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
