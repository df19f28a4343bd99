//! What the bench is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use super::cases::{Case, CASES};
use crate::load::options::{self, number};

#[rustfmt::skip]
const OPTIONS: [(&str, &str, &str); 8] = [
    ("milliseconds", "MS", "measured time of each case (1500)"),
    ("rooms", "N,N", "members of the rooms (10,1000,15000)"),
    ("attackers", "N,N", "how many attack at once (1,64)"),
    ("csv", "FILE", "writes the table there, too"),
    ("quick", "", "rooms of 10 and 1,000, each case for a second"),
    ("everything", "", "all cases at once, for a minute in a room of 15,000: what must hold"),
    ("test", "", "each for a moment at a tiny size: whether it runs"),
    ("bench", "", "passed by cargo; without it, as with --test"),
];

pub(super) struct Options {
    names: Vec<String>,
    pub(super) time: Duration,
    pub(super) rooms: Vec<usize>,
    pub(super) attackers: Vec<usize>,
    pub(super) csv: Option<PathBuf>,
    pub(super) is_test: bool,
    /// All cases at once, instead of one after the other.
    pub(super) is_everything: bool,
    /// To be told instead of measuring.
    pub(super) help: Option<String>,
}

impl Options {
    /// Reads the command line; an `Err` says what is wrong with it.
    pub(super) fn parse(arguments: &[String]) -> Result<Self, String> {
        let grammar = options::grammar(&OPTIONS);
        let matches = grammar
            .parse(arguments)
            .map_err(|error| error.to_string())?;
        let known: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        let usage = grammar.usage(&format!(
            "cargo bench --bench hostile -- [OPTIONS] [NAME]...\n\nNames: {}",
            known.join(" ")
        ));
        let is_known = |name: &&String| known.contains(&name.as_str());
        if let Some(unknown) = matches.free.iter().find(|name| !is_known(name)) {
            return Err(format!("no such case: {unknown}\n{usage}"));
        }
        let is_test = matches.opt_present("test") || !matches.opt_present("bench");
        let is_everything = matches.opt_present("everything");
        let (rooms, attackers, milliseconds) = if is_everything {
            (vec![15_000], vec![64], 60_000)
        } else if is_test {
            (vec![5], vec![2], 20)
        } else if matches.opt_present("quick") {
            (vec![10, 1000], vec![1, 64], 1000)
        } else {
            (vec![10, 1000, 15_000], vec![1, 64], 1500)
        };
        let numbers = |key, usual| match matches.opt_str(key) {
            None => Ok(usual),
            Some(text) => text
                .split(',')
                .map(|number| number.parse().ok().filter(|number| *number > 0))
                .collect::<Option<Vec<usize>>>()
                .ok_or_else(|| format!("--{key}: {text:?} is no list of numbers above 0")),
        };
        let time = number(&matches, "milliseconds", 1..=60_000)?.unwrap_or(milliseconds);
        Ok(Self {
            time: Duration::from_millis(time),
            rooms: numbers("rooms", rooms)?,
            attackers: numbers("attackers", attackers)?,
            csv: matches.opt_str("csv").map(PathBuf::from),
            is_test,
            is_everything,
            help: matches.opt_present("help").then_some(usage),
            names: matches.free,
        })
    }

    pub(super) fn cases(&self) -> impl Iterator<Item = &'static Case> + '_ {
        let wants = |name| self.names.is_empty() || self.names.iter().any(|wanted| wanted == name);
        CASES.iter().filter(move |case| wants(case.name))
    }
}
