//! What the load test is asked to do: the command line, read and checked.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::time::Duration;

use getopts::Matches;

use crate::load::options::{self, number};
use crate::rooms::Rooms;

/// More would not fit between one address and one port.
const CLIENTS_MAX: usize = 20_000;
/// Of one client in one round; [`Tally`](crate::tally::Tally) counts them in 15 bits.
const MESSAGES_MAX: u16 = 30_000;
/// A message must have room for what it says of itself; the server takes lines of 4,096 bytes.
const MESSAGE_BYTES: RangeInclusive<usize> = 48..=4096;
const INTERVAL_SECONDS: RangeInclusive<f64> = 0.001..=3600.0;
const ROUNDS_MAX: u32 = 1000;

/// The load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// `DIALECT://HOST:PORT` of servers that run already and share one chat; none: one of our own.
    pub(crate) targets: Vec<String>,
    /// The processes of these servers.
    pub(crate) pids: Vec<u32>,
    /// The file of the certificates that are trusted, for targets in TLS.
    pub(crate) roots: Option<String>,
    /// Clients at a time.
    pub(crate) clients: usize,
    /// Messages that each of them says in a round.
    pub(crate) messages: u16,
    /// Each client has an interval of its own between these.
    pub(crate) interval_min: Duration,
    pub(crate) interval_max: Duration,
    /// Bytes of each message.
    pub(crate) message_bytes: usize,
    /// Over this many rooms they are spread.
    pub(crate) rooms: usize,
    pub(crate) rounds: u32,
    pub(crate) seed: u64,
    /// How many of the clients never read.
    pub(crate) stall: usize,
    /// How many of the clients leave by a reset in the middle of a round.
    pub(crate) abort: usize,
    /// Half of the others leave in the middle of a round, and somebody else takes their place.
    pub(crate) churn: bool,
    /// All join at once and leave at once.
    pub(crate) storm: bool,
    pub(crate) format: Format,
}

/// How the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Csv,
}

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    Run(Options),
    /// Write this to standard output.
    Print(String),
}

impl Options {
    /// Reads the arguments behind the program's name.
    ///
    /// # Errors
    /// One line that says what is wrong with them.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
        let grammar = options::grammar(&OPTIONS);
        let matches = grammar
            .parse(arguments)
            .map_err(|error| error.to_string())?;
        if matches.opt_present("help") {
            return Ok(Request::Print(grammar.usage(BRIEF)));
        }
        let format = match (matches.opt_present("json"), matches.opt_present("csv")) {
            (false, false) => Format::Text,
            (true, false) => Format::Json,
            (false, true) => Format::Csv,
            (true, true) => return Err("--json and --csv: one of them".to_owned()),
        };
        let (interval_min, interval_max) = interval(&matches)?;
        let options = Self {
            targets: matches.free.clone(),
            pids: pids(&matches)?,
            roots: matches.opt_str("roots"),
            clients: number(&matches, "clients", 2..=CLIENTS_MAX)?.unwrap_or(500),
            messages: number(&matches, "messages", 1..=MESSAGES_MAX)?.unwrap_or(11),
            interval_min,
            interval_max,
            message_bytes: number(&matches, "message-bytes", MESSAGE_BYTES)?.unwrap_or(64),
            rooms: number(&matches, "rooms", 1..=CLIENTS_MAX)?.unwrap_or(1),
            rounds: number(&matches, "rounds", 1..=ROUNDS_MAX)?.unwrap_or(1),
            seed: number(&matches, "seed", 0..=u64::MAX)?.unwrap_or(1),
            stall: number(&matches, "stall", 0..=CLIENTS_MAX)?.unwrap_or(0),
            abort: number(&matches, "abort", 0..=CLIENTS_MAX)?.unwrap_or(0),
            churn: matches.opt_present("churn"),
            storm: matches.opt_present("storm"),
            format,
        };
        options.check_together()?;
        Ok(Request::Run(options))
    }

    fn check_together(&self) -> Result<(), String> {
        if let Some(target) = twice(&self.targets) {
            return Err(format!("the target {target} is there twice"));
        }
        if let Some(pid) = twice(&self.pids) {
            return Err(format!("--pid: {pid} is there twice"));
        }
        if self.roots.is_some() && cfg!(not(feature = "tls")) {
            return Err("--roots: this chatload was built without tls".to_owned());
        }
        let [pids, targets] = [self.pids.len(), self.targets.len()];
        if pids > 0 && targets == 0 {
            return Err("--pid: the server of our own is watched anyway; name a target".to_owned());
        }
        if pids > targets {
            return Err(format!(
                "--pid: {pids} processes are more than {}",
                counted(targets, "target")
            ));
        }
        if self.rooms > self.clients {
            return Err(format!(
                "--rooms: {} rooms are more than {} clients",
                self.rooms, self.clients
            ));
        }
        if !self.seating().reach_all_servers() {
            let [clients, rooms] = [self.clients, self.rooms];
            let rooms = counted(rooms, "room");
            return Err(format!(
                "--clients: {clients} in {rooms} are too few to come to {targets} targets"
            ));
        }
        if self.stall + self.abort + 2 > self.clients {
            return Err(format!(
                "--stall and --abort: of {} clients two must be left to talk",
                self.clients
            ));
        }
        Ok(())
    }

    /// Who belongs where.
    pub(crate) fn seating(&self) -> Rooms {
        Rooms::new(self.clients, self.rooms, self.targets.len())
    }
}

/// What stands in a list for the second time.
fn twice<T: PartialEq>(list: &[T]) -> Option<&T> {
    let mut items = list.iter().enumerate();
    let again = items.find(|(index, item)| list[..*index].contains(item));
    again.map(|(_, item)| item)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

const BRIEF: &str = "\
Usage: chatload [OPTIONS] [DIALECT://HOST:PORT]...

Lets many clients talk in one room or in several, checks that everybody hears everything that is said in their room once
and in order and nothing else, and that nothing is left over when they have gone. Without a target it starts a server of
its own in this process, on a free port. A target is wire:// or telnet://, on this machine only. Several targets share
one chat by a relay: one crowd comes to all of them, and everybody is to hear their room wherever the others are.

Exit status: 0 if every round passed, 1 if not, 2 for wrong usage. The report goes to standard output, progress and the
server's warnings to standard error.";

#[rustfmt::skip]
const OPTIONS: [(&str, &str, &str); 15] = [
    ("clients", "N", "clients at a time (500)"),
    ("messages", "N", "messages of each client in a round (11)"),
    ("interval", "MIN-MAX", "seconds between the messages of a client; each has its own interval between these, or all this one (1-3)"),
    ("message-bytes", "N", "bytes of each message (64)"),
    ("rooms", "N", "rooms over which the clients are spread, the lobby and others that they make; a client that hears another room than its own is a failure (1)"),
    ("rounds", "N", "rounds; the first warms up, and memory is judged from the third on (1)"),
    ("seed", "N", "the same seed gives the same intervals, and the same clients stall and leave (1)"),
    ("stall", "K", "how many of the clients say nothing and never read (0)"),
    ("abort", "K", "how many of the clients leave by a reset in the middle of a round (0)"),
    ("churn", "", "every other client leaves in the middle of a round, and another one takes its place and says the rest"),
    ("storm", "", "all clients join at once and leave at once"),
    ("pid", "PID...", "watch this process, which is the target, through /proc; of several targets, once for each"),
    ("roots", "FILE", "the certificates to trust, in PEM, for targets in TLS: wires:// or telnets:// (where chatload was built with tls)"),
    ("json", "", "write the report as JSON"),
    ("csv", "", "write the report as CSV, a line for each round"),
];

fn pids(matches: &Matches) -> Result<Vec<u32>, String> {
    let pid = |text: String| match text.parse() {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(format!("--pid: {text:?} is no number of a process")),
    };
    matches.opt_strs("pid").into_iter().map(pid).collect()
}

fn interval(matches: &Matches) -> Result<(Duration, Duration), String> {
    let text = matches
        .opt_str("interval")
        .unwrap_or_else(|| "1-3".to_owned());
    let seconds = |text: &str| {
        let seconds = text.parse().ok().filter(|n| INTERVAL_SECONDS.contains(n))?;
        Some(Duration::from_secs_f64(seconds))
    };
    let (min, max) = text.split_once('-').unwrap_or((&text, &text));
    match (seconds(min), seconds(max)) {
        (Some(min), Some(max)) if min <= max => Ok((min, max)),
        _ => Err(format!(
            "--interval: {text:?} is not like 1-3 or 0.02, seconds from {} to {}",
            INTERVAL_SECONDS.start(),
            INTERVAL_SECONDS.end()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Request, String> {
        Options::parse(arguments.split_whitespace().map(OsString::from))
    }

    #[track_caller]
    fn options(arguments: &str) -> Options {
        match parse(arguments) {
            Ok(Request::Run(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_story() {
        let options = options("");
        assert_eq!(
            (options.clients, options.messages, options.rooms),
            (500, 11, 1)
        );
        assert_eq!(
            (options.interval_min, options.interval_max),
            (Duration::from_secs(1), Duration::from_secs(3))
        );
        assert_eq!((options.targets.len(), options.pids.len()), (0, 0));
        assert_eq!(options.rounds, 1);
        assert_eq!(options.format, Format::Text);
    }

    #[test]
    fn intervals_may_be_fractions_and_may_be_one() {
        let range = options("--interval 0.02-0.06");
        assert_eq!(
            (range.interval_min, range.interval_max),
            (Duration::from_millis(20), Duration::from_millis(60))
        );
        let single = options("--interval 0.5");
        assert_eq!(single.interval_min, single.interval_max);
    }

    #[test]
    fn there_may_be_several_targets_and_a_process_of_each() {
        let options = options("wire://h:1 --pid 17 wire://h:2 --pid 4 telnet://h:3");
        assert_eq!(
            options.targets,
            ["wire://h:1", "wire://h:2", "telnet://h:3"]
        );
        assert_eq!(options.pids, [17, 4]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (arguments, name) in [
            ("--clients 1", "--clients"),
            ("--clients many", "--clients"),
            ("--messages 0", "--messages"),
            ("--interval 3-1", "--interval"),
            ("--interval 0", "--interval"),
            ("--interval nan", "--interval"),
            ("--message-bytes 10", "--message-bytes"),
            ("--rooms 0", "--rooms"),
            ("--rooms some", "--rooms"),
            ("--clients 10 --rooms 11", "--rooms"),
            ("--clients 10 --stall 5 --abort 4", "--stall"),
            ("--pid 1", "--pid"),
            ("--json --csv", "--csv"),
            ("--pid some wire://127.0.0.1:1", "--pid"),
            ("--pid 0 wire://127.0.0.1:1", "--pid"),
            ("--pid 1 --pid 2 wire://127.0.0.1:1", "--pid"),
            ("--pid 1 --pid 1 wire://h:1 wire://h:2", "1 is there twice"),
            ("wire://h:1 wire://h:2 wire://h:1", "wire://h:1 is there"),
            ("--clients 2 wire://h:1 wire://h:2 wire://h:3", "--clients"),
            (
                "--clients 3 --rooms 2 wire://h:1 wire://h:2 wire://h:3",
                "in 2 rooms",
            ),
            ("--nonsense", "nonsense"),
        ] {
            let error = parse(arguments).expect_err(arguments);
            assert!(error.contains(name), "{arguments}: {error}");
            assert!(!error.contains('\n'), "{arguments}: {error}");
        }
    }

    #[test]
    fn help_tells_of_every_option() {
        let Ok(Request::Print(help)) = parse("--help") else {
            panic!("no help");
        };
        for option in ["--stall", "--churn", "--csv", "Exit status"] {
            assert!(help.contains(option), "{option}");
        }
    }
}
