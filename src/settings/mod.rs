//! What the server may be told before it runs: the command line and the settings file.
//!
//! `TABLE` is the one place that knows which settings there are: `-o KEY=VALUE`, the file of
//! `-f`, the defaults, the text of `--help` and the list in the README are all read off it. A new
//! setting is a row of the table and the field that the row fills, in [`Settings`] or [`Limits`].
//!
//! This module must not know what the settings are used for, and it prints nothing: [`parse`] hands
//! back what to run or what to print. Where each value came from, and how it changes while the
//! server runs, is in [`Configuration`].

use std::ffi::OsStr;
use std::fmt::Write;

use getopts::Options;

pub use crate::dialect::web::{Authority, NoAuthority};
pub use crate::dialect::{Dialect, UnknownDialect};
pub use crate::limits::{Limits, QueueLimits};
pub use crate::net::{Net, NoNet};
pub use crate::rate::Rate;
pub use crate::room_name::RoomName;

use self::configuration::Entry;
use self::error::one_line;
pub use self::listen::{Endpoint, Listen, ListenError, Place, Service};
use self::row::Setting;
use self::table::{LISTEN, TABLE};

pub use self::configuration::{Changed, Configuration, Row, Source};
pub use self::error::SettingsError;
pub use self::relay::Engine;
pub use self::values::{Change, RelaySettings, Settings};
#[cfg(feature = "tls")]
pub use self::values::{TlsSettings, TlsVersion};

pub(crate) use self::row::NO_TLS;
pub(crate) use self::table::MOTD_FILE;

mod configuration;
mod error;
mod listen;
mod number;
mod relay;
mod row;
mod table;
mod values;

/// Columns of `--help`.
const HELP_COLUMNS: usize = 100;

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Serve with these settings.
    Run(Box<Configuration>),
    /// Say whether the server could be started with these settings, and do not start it.
    Check(Box<Configuration>),
    /// Write this text to standard output, as it is, and exit with status 0.
    Print(String),
}

/// Reads the command line, without the program's own name, and the settings file if it names one.
///
/// # Errors
/// Wrong usage, a setting that is unknown, malformed or out of range, or a settings file that
/// cannot be read.
pub fn parse(
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<Invocation, SettingsError> {
    let wrong_usage =
        |what: String| SettingsError::Wrong(format!("{}; see chatd --help", one_line(&what)));
    let matches = options()
        .parse(arguments)
        .map_err(|fail| wrong_usage(fail.to_string()))?;
    if matches.opt_present("help") {
        return Ok(Invocation::Print(help()));
    }
    if matches.opt_present("version") {
        let version = concat!("chatd ", env!("CARGO_PKG_VERSION"), "\n");
        return Ok(Invocation::Print(version.to_owned()));
    }
    if let Some(free) = matches.free.first() {
        return Err(wrong_usage(format!("unexpected argument: {free}")));
    }
    let mut command_line = Vec::new();
    for value in matches.opt_strs("listen") {
        command_line.push(Entry::new(LISTEN, &value, None));
    }
    for option in matches.opt_strs("option") {
        let (key, value) = option
            .split_once('=')
            .ok_or_else(|| wrong_usage(format!("-o {option}: not KEY=VALUE")))?;
        command_line.push(Entry::new(key, value, None));
    }
    let configuration = Configuration::read(command_line, matches.opt_str("file"))?;
    Ok(if matches.opt_present("test") {
        Invocation::Check(Box::new(configuration))
    } else {
        Invocation::Run(Box::new(configuration))
    })
}

/// The text of `--help`: usage, options and every setting, at most 100 columns wide, with a line
/// end last.
#[must_use]
pub fn help() -> String {
    let mut text = options().usage(USAGE) + ABOUT_SETTINGS;
    let mut rows = vec![("KEY", "DEFAULT", "MEANING (RANGE)".to_owned())];
    rows.extend(TABLE.iter().map(Setting::cells));
    let key_columns = rows.iter().map(|row| row.0.len()).max().unwrap_or(0) + 1;
    let default_columns = rows.iter().map(|row| row.1.len()).max().unwrap_or(0) + 1;
    let margin = 4 + key_columns + default_columns;
    for (key, default, meaning) in rows {
        let mut start = format!("    {key:key_columns$}{default:default_columns$}");
        for line in wrap(&meaning, HELP_COLUMNS - margin) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{start:margin$}{line}");
            start.clear();
        }
    }
    text
}

/// What stands before the options.
const USAGE: &str = "\
chatd: a chat server, reached with telnet or nc

Usage: chatd [-l [DIALECT://]HOST:PORT]... [-o KEY=VALUE]... [-f FILE] [-t] [-h] [-V]
       chatd ctl [-s PATH]... [COMMAND...]    talks to a running one, see chatd ctl --help";

/// What stands between the options and the settings.
const ABOUT_SETTINGS: &str = "
Settings, for -o KEY=VALUE or for a line KEY = VALUE in FILE, where # begins a comment. The
command line beats FILE, and a later value beats an earlier one. Sizes take k and m, seconds
may have a fraction. SIGHUP reads FILE and the files that it names again, and a few settings then
wait for the next start: chatd(1) says which.

";

fn options() -> Options {
    let mut options = Options::new();
    options
        .optmulti(
            "l",
            LISTEN,
            "accept connections there; DIALECT is telnet (if none is named), wire, http or irc; with +proxy behind it \
             connections come from a front end; \
             port 0 takes a free one; ops:///PATH is a Unix socket for operators, metrics://HOST:PORT \
             answers HTTP for monitoring; may be repeated",
            "[DIALECT://]HOST:PORT",
        )
        .optmulti("o", "option", "set KEY; may be repeated", "KEY=VALUE")
        .optopt("f", "file", "read settings from a file", "FILE")
        .optflag(
            "t",
            "test",
            "check the settings and the files that they name, and do not start",
        )
        .optflag("h", "help", "print this text")
        .optflag("V", "version", "print the version");
    options
}

/// Cuts a text between words into lines of at most `columns` bytes; a longer word has its own line.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::path::PathBuf;
    use std::time::Duration;

    use super::configuration::{assemble, file_entries};
    use super::*;

    const FILE_BYTES_MAX: usize = 1 << 20;

    fn run(arguments: &[&str]) -> Result<Settings, SettingsError> {
        match parse(arguments)? {
            Invocation::Run(configuration) => Ok(configuration.settings().clone()),
            other => panic!("{arguments:?} is {other:?}"),
        }
    }

    #[track_caller]
    fn printed(arguments: &[&str]) -> String {
        match parse(arguments) {
            Ok(Invocation::Print(text)) => text,
            other => panic!("{arguments:?} prints nothing, but is {other:?}"),
        }
    }

    /// The settings of a file with this content and these `-o` and `-l`, which stand before it.
    fn with_file(content: &str, command_line: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let command_line: Vec<_> = command_line
            .iter()
            .map(|(key, value)| Entry::new(key, value, None))
            .collect();
        let file = file_entries("chatd.conf", content.as_bytes())?;
        assemble(&Settings::default(), &[&file, &command_line])
    }

    /// A file that is there for one test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str, content: &[u8]) -> Self {
            let path =
                std::env::temp_dir().join(format!("chatd-settings-{}-{name}", std::process::id()));
            std::fs::write(&path, content).unwrap();
            Scratch(path)
        }

        fn name(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let expected = Settings {
            listen: vec!["telnet://127.0.0.1:3333".parse().unwrap()],
            sessions_max: None,
            sessions_per_address_max: Some(64),
            connects_per_minute: Some(30),
            exempt: Vec::new(),
            proxy_from: Vec::new(),
            send_buffer_bytes: Some(131_072),
            motd_file: None,
            bans_file: None,
            names_file: None,
            transcript_file: None,
            #[cfg(feature = "tls")]
            tls: TlsSettings::default(),
            rooms: Vec::new(),
            web_hosts: Vec::new(),
            irc_name: "chatd.local".into(),
            relay: RelaySettings {
                engine: None,
                user: None,
                password_file: None,
                prefix: "chatd".into(),
                log_entries: 10_000,
                patience: Duration::from_secs(5),
                lease: Duration::from_secs(15),
                queue_bytes_max: 1_048_576,
            },
            limits: Limits {
                web_history_lines: 200,
                pace_max: Some(Duration::from_millis(100)),
                line_bytes_max: 4096,
                queue: QueueLimits {
                    bytes_max: 1_048_576,
                    bytes_soft: 262_144,
                    soft: Duration::from_secs(30),
                    stall: Some(Duration::from_secs(30)),
                },
                line_rate: Rate {
                    per_second: 10,
                    burst: 40,
                },
                memory_max: 268_435_456,
                idle: None,
                drain: Duration::from_secs(5),
                history_lines: 20,
                rooms_max: 200,
                names_kept_max: 10_000,
                names_kept_days: Some(180),
            },
        };
        assert_eq!(Settings::default(), expected);
        assert_eq!(run(&[]), Ok(expected));
    }

    #[test]
    fn a_value_goes_into_its_field_in_its_unit() {
        let settings = run(&[
            "-osessions-max=1",
            "-osessions-per-address-max=2",
            "-oconnects-per-minute=7",
            "-oexempt=10.1.2.3/8",
            "-oexempt=::1",
            "-oproxy-from=192.0.2.7",
            "-oline-bytes-max=100",
            "-oqueue-bytes-max=16K",
            "-oqueue-bytes-soft=2k",
            "-oqueue-soft-seconds=0.05",
            "-ostall-seconds=1.5",
            "-osend-buffer-bytes=1M",
            "-olines-per-second=3",
            "-olines-burst=4",
            "-oidle-seconds=600",
            "-odrain-seconds=0.2",
            "-ohistory-lines=7",
            "-oroom=games",
            "-oroom=#Help",
            "-oweb-host=chat.example.org",
            "-oweb-host=[::1]:8080",
            "-oweb-history-lines=300",
            "-oirc-name=irc.example.org",
            "-orelay=redis-unix:///run/redis.sock",
            "-orelay-user=chatd",
            "-orelay-password-file=/etc/chatd.password",
            "-orelay-prefix=chat:2",
            "-orelay-lines=500",
            "-orelay-patience-seconds=2.5",
            "-orelay-lease-seconds=9",
            "-orelay-queue-bytes-max=64k",
            "-orooms-max=9",
            "-onames-kept-max=11",
            "-onames-kept-days=12",
            "-omotd-file=/etc/motd",
            "-opace-ms-max=25",
            "-omemory-max=1m",
        ]);
        let expected = Settings {
            listen: Settings::default().listen,
            sessions_max: Some(1),
            sessions_per_address_max: Some(2),
            connects_per_minute: Some(7),
            exempt: vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
            proxy_from: vec!["192.0.2.7".parse().unwrap()],
            send_buffer_bytes: Some(1_048_576),
            motd_file: Some(PathBuf::from("/etc/motd")),
            bans_file: None,
            names_file: None,
            transcript_file: None,
            #[cfg(feature = "tls")]
            tls: TlsSettings::default(),
            rooms: ["games", "Help"]
                .map(|it| RoomName::parse(it).unwrap())
                .into(),
            web_hosts: ["chat.example.org", "[::1]:8080"]
                .map(|it| it.parse().unwrap())
                .into(),
            irc_name: "irc.example.org".into(),
            relay: RelaySettings {
                engine: Some(Engine::Unix(PathBuf::from("/run/redis.sock"))),
                user: Some("chatd".into()),
                password_file: Some(PathBuf::from("/etc/chatd.password")),
                prefix: "chat:2".into(),
                log_entries: 500,
                patience: Duration::from_millis(2500),
                lease: Duration::from_secs(9),
                queue_bytes_max: 65_536,
            },
            limits: Limits {
                web_history_lines: 300,
                pace_max: Some(Duration::from_millis(25)),
                line_bytes_max: 100,
                queue: QueueLimits {
                    bytes_max: 16_384,
                    bytes_soft: 2048,
                    soft: Duration::from_millis(50),
                    stall: Some(Duration::from_millis(1500)),
                },
                line_rate: Rate {
                    per_second: 3,
                    burst: 4,
                },
                memory_max: 1_048_576,
                idle: Some(Duration::from_secs(600)),
                drain: Duration::from_millis(200),
                history_lines: 7,
                rooms_max: 9,
                names_kept_max: 11,
                names_kept_days: Some(12),
            },
        };
        assert_eq!(settings, Ok(expected));
    }

    #[test]
    fn every_option_that_the_help_names_is_one() {
        let help = help();
        let named = help.lines().filter_map(|line| line.strip_prefix("    -"));
        let named: Vec<_> = named
            .map(|line| line.split([',', ' ']).next().unwrap())
            .collect();
        assert_eq!(named, ["l", "o", "f", "t", "h", "V"]);
        for short in &named {
            assert!(USAGE.contains(&format!(" [-{short}")), "{short}");
        }
        for line in help.lines().filter_map(|line| line.strip_prefix("    -")) {
            let long = line.split_whitespace().nth(1).unwrap();
            let takes_none = ["print this", "the version", "check the"];
            let value = if takes_none.iter().any(|about| line.contains(about)) {
                ""
            } else {
                "="
            };
            let outcome = options().parse([format!("{long}{value}")]);
            assert!(outcome.is_ok(), "{long}: {outcome:?}");
        }
    }

    #[test]
    fn zero_switches_off_where_the_contract_says_so() {
        let off = [
            "sessions-per-address-max",
            "connects-per-minute",
            "stall-seconds",
            "send-buffer-bytes",
            "lines-per-second",
            "lines-burst",
            "idle-seconds",
            "history-lines",
            "web-history-lines",
            "rooms-max",
            "names-kept-max",
            "names-kept-days",
            "pace-ms-max",
        ];
        let no_number = [
            LISTEN,
            "exempt",
            "proxy-from",
            "room",
            "web-host",
            "irc-name",
            "motd-file",
            "bans-file",
            "names-file",
            "transcript-file",
            "relay",
            "relay-user",
            "relay-password-file",
            "relay-prefix",
            "tls-cert",
            "tls-key",
            "tls-min",
            "tls-roots",
        ];
        for setting in TABLE
            .iter()
            .filter(|setting| !no_number.contains(&setting.key))
        {
            let taken = setting.apply("0", &mut Settings::default());
            assert_eq!(
                taken.is_ok(),
                off.contains(&setting.key),
                "{}: {taken:?}",
                setting.key
            );
        }
        let arguments = off.map(|key| format!("-o{key}=0"));
        let settings = run(&arguments.each_ref().map(String::as_str)).unwrap();
        assert_eq!(settings.sessions_per_address_max, None);
        assert_eq!(settings.limits.queue.stall, None);
        assert_eq!(settings.send_buffer_bytes, None);
        assert_eq!(settings.limits.line_rate, Rate::UNLIMITED);
        assert_eq!(settings.limits.idle, None);
        assert_eq!(settings.limits.history_lines, 0);
        assert_eq!(settings.limits.pace_max, None);
    }

    #[test]
    fn what_is_wrong_on_the_command_line_is_named() {
        #[rustfmt::skip]
        let wrong: &[(&[&str], &str)] = &[
            (&["-x"], "Unrecognized option: 'x'; see chatd --help"),
            (&["--port=1"], "Unrecognized option: 'port'; see chatd --help"),
            (&["--a\nb"], "Unrecognized option: 'a\\nb'; see chatd --help"),
            (&["-l"], "Argument to option 'l' missing; see chatd --help"),
            (&["-fa", "-fb"], "Option 'file' given more than once; see chatd --help"),
            (&["--help=1"], "Option 'help' does not take an argument; see chatd --help"),
            (&["3333"], "unexpected argument: 3333; see chatd --help"),
            (&["-o", "idle-seconds"], "-o idle-seconds: not KEY=VALUE; see chatd --help"),
            (&["-o", "idle=5"], "no such setting: idle; see chatd --help"),
            (&["-o", "=5"], "no such setting: ; see chatd --help"),
            (&["-o", "idle-seconds="], "idle-seconds: no value given"),
            (&["-o", "motd-file="], "motd-file: no value given"),
            (&["-o", "sessions-max=many"], "sessions-max: many is not a whole number"),
            (&["-o", "sessions-max=-1"], "sessions-max: -1 is not a whole number"),
            (&["-o", "sessions-max=+1"], "sessions-max: +1 is not a whole number"),
            (&["-o", "sessions-max=1.5"], "sessions-max: 1.5 is not a whole number"),
            (&["-o", "sessions-max=0"], "sessions-max: 0 is out of range, auto, or 1 to 1000000"),
            (&["-o", "sessions-max=99999999999999999999999"],
                "sessions-max: 99999999999999999999999 is out of range, auto, or 1 to 1000000"),
            (&["-o", "line-bytes-max=5"], "line-bytes-max: 5 is out of range, 64 to 64k"),
            (&["-o", "line-bytes-max=4g"], "line-bytes-max: 4g is not a size, such as 4096, 64k or 16m"),
            (&["-o", "line-bytes-max=k"], "line-bytes-max: k is not a size, such as 4096, 64k or 16m"),
            (&["-o", "line-bytes-max=1\n2"], "line-bytes-max: 1\\n2 is not a size, such as 4096, 64k or 16m"),
            (&["-o", "memory-max=99999999999999999999m"],
                "memory-max: 99999999999999999999m is out of range, 1k to 65536m"),
            (&["-o", "stall-seconds=0.001"], "stall-seconds: 0.001 is out of range, 0: off, or 0.01 to 86400"),
            (&["-o", "stall-seconds=0.0001"],
                "stall-seconds: 0.0001 is not a number of seconds, such as 10 or 0.25"),
            (&["-o", "stall-seconds=1."], "stall-seconds: 1. is not a number of seconds, such as 10 or 0.25"),
            (&["-o", "stall-seconds=NaN"], "stall-seconds: NaN is not a number of seconds, such as 10 or 0.25"),
            (&["-o", "drain-seconds=0"], "drain-seconds: 0 is out of range, 0.01 to 3600"),
            (&["-o", "pace-ms-max=0.5"], "pace-ms-max: 0.5 is not a whole number of milliseconds"),
            (&["-o", "queue-bytes-max=8k"],
                "queue-bytes-max: 8k is too little for line-bytes-max 4k, at least 16k"),
            (&["-o", "memory-max=8k"], "memory-max: 8k is too little for line-bytes-max 4k, at least 16k"),
            (&["-o", "queue-bytes-soft=1025k"], "queue-bytes-soft: 1025k is more than queue-bytes-max 1m"),
            (&["-l", "3333"], "listen: 3333: not [DIALECT://]HOST:PORT"),
            (&["-l", ""], "listen: no value given"),
            (&["-l", ":3333"], "listen: :3333: not [DIALECT://]HOST:PORT"),
            (&["-l", "a b:1"], "listen: a b:1: not [DIALECT://]HOST:PORT"),
            (&["-l", "wire://a/b:1"], "listen: wire://a/b:1: not [DIALECT://]HOST:PORT"),
            (&["-l", "[::1:1"], "listen: [::1:1: not [DIALECT://]HOST:PORT"),
            (&["-l", "gopher://h:1"], "listen: gopher://h:1: no such dialect, there are telnet, wire, http and irc"),
            (&["-l", "::1:3333"],
                "listen: ::1:3333: an IPv6 address, and nothing else, is written in brackets"),
            (&["-l", "[h]:1"], "listen: [h]:1: an IPv6 address, and nothing else, is written in brackets"),
            (&["-l", "h:65536"], "listen: h:65536: a port is a number from 0 to 65535"),
            (&["-l", "h:+1"], "listen: h:+1: a port is a number from 0 to 65535"),
            (&["-l", "h:"], "listen: h:: a port is a number from 0 to 65535"),
        ];
        for (arguments, line) in wrong {
            let error = run(arguments).expect_err(line);
            assert_eq!(error.to_string(), *line, "{arguments:?}");
            assert_eq!(error.exit_status(), 2, "{arguments:?}");
        }
    }

    #[test]
    fn what_is_wrong_in_the_file_is_named_with_its_line() {
        let wrong = [
            (
                "\n# a\n\nline-bytes-max = 5\n",
                "line 4: line-bytes-max: 5 is out of range, 64 to 64k",
            ),
            ("idle-seconds 5", "line 1: idle-seconds 5: not KEY = VALUE"),
            ("idle-seconds = # 5", "line 1: idle-seconds: no value given"),
            (
                "idle-seconds = 1\r\nIdle-Seconds = 5",
                "line 2: no such setting: Idle-Seconds; see chatd --help",
            ),
            (
                "listen = gopher://h:1",
                "line 1: listen: gopher://h:1: no such dialect, there are telnet, wire, http and irc",
            ),
        ];
        for (content, line) in wrong {
            let error = with_file(content, &[]).expect_err(line);
            assert_eq!(error.to_string(), format!("chatd.conf, {line}"));
            assert_eq!(error.exit_status(), 2, "{line}");
        }
        let binary = Scratch::new("binary", b"idle-seconds = 5\nmotd-file = \xff\n");
        let error = run(&["-f", binary.name()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{}, line 2: not UTF-8", binary.name())
        );
        assert_eq!(error.exit_status(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_from_wrong_usage() {
        let error = run(&["-f", "/nowhere/chatd.conf"]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("settings file /nowhere/chatd.conf: "),
            "{error}"
        );
        assert_eq!(error.exit_status(), 1);

        let just_fits = Scratch::new("just-fits", &vec![b'#'; FILE_BYTES_MAX]);
        assert_eq!(run(&["-f", just_fits.name()]), Ok(Settings::default()));
        let too_long = Scratch::new("too-long", &vec![b'#'; FILE_BYTES_MAX + 1]);
        let error = run(&["-f", too_long.name()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("settings file {}: longer than 1m", too_long.name())
        );
        assert_eq!(error.exit_status(), 1);
    }

    #[test]
    fn a_file_may_have_comments_blank_lines_and_line_ends_of_either_kind() {
        let content = "\u{feff}# settings\r\n\r\n  idle-seconds=600 # ten minutes\r\n\
                       \tmotd-file =  a motd = b \n\
                       listen = wire://localhost:1\nlisten = [::]:2\ndrain-seconds = 0.2";
        let settings = with_file(content, &[]).unwrap();
        let expected = Settings {
            listen: vec![
                "wire://localhost:1".parse().unwrap(),
                "telnet://[::]:2".parse().unwrap(),
            ],
            motd_file: Some(PathBuf::from("a motd = b")),
            bans_file: None,
            transcript_file: None,
            limits: Limits {
                idle: Some(Duration::from_secs(600)),
                drain: Duration::from_millis(200),
                ..Settings::default().limits
            },
            ..Settings::default()
        };
        assert_eq!(settings, expected);
        assert_eq!(with_file("", &[]), Ok(Settings::default()));
    }

    #[test]
    fn the_command_line_goes_before_the_file_and_a_later_one_before_an_earlier_one() {
        let file = Scratch::new(
            "precedence",
            b"listen = h:1\nlisten = h:2\nlines-burst = 1\nlines-burst = 2\n",
        );
        let heard = |arguments: &[&str]| {
            let settings = run(arguments).unwrap();
            let port = |endpoint: &Endpoint| match endpoint {
                Endpoint::Inet { place, .. } => place.port,
                Endpoint::Operators(_) => panic!("{endpoint}"),
            };
            let ports: Vec<_> = settings.listen.iter().map(port).collect();
            (ports, settings.limits.line_rate.burst)
        };
        assert_eq!(heard(&["-f", file.name()]), (vec![1, 2], 2));
        assert_eq!(
            heard(&["-o", "lines-burst=3", "-f", file.name()]),
            (vec![1, 2], 3)
        );
        assert_eq!(
            heard(&[
                "-f",
                file.name(),
                "-o",
                "lines-burst=3",
                "-o",
                "lines-burst=4"
            ]),
            (vec![1, 2], 4)
        );
        assert_eq!(
            heard(&["-l", "h:7", "-f", file.name(), "--listen=h:8"]),
            (vec![7, 8], 2)
        );
        assert_eq!(
            heard(&["--option", "listen=h:9", "--file", file.name()]),
            (vec![9], 2)
        );
        assert_eq!(
            with_file("motd-file = x", &[("motd-file", "none")]),
            Ok(Settings::default())
        );
        assert_eq!(
            with_file("sessions-max = 5", &[("sessions-max", "auto")]),
            Ok(Settings::default())
        );
    }

    #[test]
    fn the_soft_limit_gives_way_only_where_nobody_has_set_it() {
        let settings = run(&["-o", "queue-bytes-max=16k"]).unwrap();
        let queue = settings.limits.queue;
        assert_eq!((queue.bytes_max, queue.bytes_soft), (16_384, 16_384));
        let error = with_file("queue-bytes-soft = 64k", &[("queue-bytes-max", "16k")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "queue-bytes-soft: 64k is more than queue-bytes-max 16k"
        );
        // The longest line fits the default queue.
        assert_eq!(
            run(&["-o", "line-bytes-max=64k"]).map(|settings| settings.limits.line_bytes_max),
            Ok(65_536)
        );
    }

    #[test]
    fn help_and_version_are_printed_whatever_else_is_asked_for() {
        let version = concat!("chatd ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!(printed(&["-V", "-o", "nonsense"]), version);
        assert_eq!(printed(&["--version"]), version);
        assert_eq!(printed(&["-h", "-V", "nonsense"]), help());
        assert_eq!(printed(&["--help"]), help());
    }

    #[test]
    fn help_tells_of_every_option_and_setting_and_fits_the_screen() {
        let help = help();
        for line in help.lines() {
            assert!(line.chars().count() <= HELP_COLUMNS, "{line}");
            assert_eq!(line, line.trim_end());
        }
        assert!(help.ends_with('\n') && !help.ends_with("\n\n"));
        for option in [
            "-l, --listen",
            "-o, --option",
            "-f, --file",
            "-t, --test",
            "-h, --help",
            "-V, --version",
        ] {
            assert!(help.contains(option), "{option}");
        }
        // Unwrapped, what the help says of a setting is what the README says of it.
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for (key, default, meaning) in TABLE.iter().map(Setting::cells) {
            assert!(
                words.contains(&format!("{key} {default} {meaning}")),
                "{key}"
            );
        }
    }

    /// Pieces that get past the first check more often than pure noise does.
    fn argument() -> impl Strategy<Value = String> {
        let keys =
            prop::sample::select(TABLE.iter().map(|setting| setting.key).collect::<Vec<_>>());
        let value = prop_oneof![
            "[0-9]{1,3}[kKmM]?",
            "[0-9]{0,25}[.]?[0-9]{0,4}[kKmM]?",
            "\\PC{0,12}",
            any::<String>()
        ];
        prop_oneof![
            (keys, value).prop_map(|(key, value)| format!("-o{key}={value}")),
            "-l((telnet|wire|\\PC{0,3})://)?(\\[?[a-z0-9:%.]{0,9}\\]?):[0-9]{0,6}",
            "-[-lohVtx]\\PC{0,12}",
        ]
    }

    #[track_caller]
    fn check_outcome(outcome: Result<Settings, SettingsError>) {
        match outcome {
            Ok(settings) => {
                assert_eq!(settings.check_together(), Ok(()));
                assert!(!settings.listen.is_empty());
                assert!(settings.limits.drain > Duration::ZERO);
            }
            Err(error) => {
                let line = error.to_string();
                assert!(
                    !line.is_empty() && !line.chars().any(char::is_control),
                    "{line:?}"
                );
                assert!(line.chars().count() < 600, "{line:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_command_line_panics(arguments in prop::collection::vec(argument(), 0..6)) {
            match parse(arguments) {
                Ok(Invocation::Run(configuration) | Invocation::Check(configuration)) => {
                    check_outcome(Ok(configuration.settings().clone()));
                }
                Ok(Invocation::Print(text)) => prop_assert!(text.ends_with('\n')),
                Err(error) => check_outcome(Err(error)),
            }
        }

        #[test]
        fn no_file_panics(
            lines in prop::collection::vec(argument(), 0..6),
            noise in any::<Vec<u8>>(),
        ) {
            let text = lines.join("\n").replace("-o", "").replace("-l", "listen=");
            for content in [text.as_bytes(), &[text.as_bytes(), &noise].concat()] {
                let entries = file_entries("a\nb", content);
                let given = Settings::default();
                check_outcome(entries.and_then(|file| assemble(&given, &[&file])));
            }
        }
    }
}
