//! What the bench is asked to do.

use std::time::Duration;

use getopts::Matches;

use super::clients::CLIENTS_MAX;
use super::server::Subject;
use super::sessions::MEASUREMENTS;
use super::workload::{Arrivals, Pace, Workload, WORKLOADS};

/// Each of a tiny size, for a moment: whether the bench runs, not what it says.
const QUICK_CLIENTS: usize = 20;
const QUICK_TIME: Duration = Duration::from_millis(200);
const USUAL_TIME: Duration = Duration::from_secs(5);
/// Descriptors of the load that are not clients; the server keeps back as many.
const SPARE_DESCRIPTORS: u64 = 100;

pub(super) struct Options {
    names: Vec<String>,
    /// The measured time of each workload.
    pub(super) time: Duration,
    pub(super) runs: u64,
    clients: Option<usize>,
    /// How many clients the load can have at once.
    pub(super) clients_max: usize,
    in_flight: Option<u64>,
    arrivals: Arrivals,
    pub(super) subjects: Vec<Subject>,
    /// Further settings of chatd.
    pub(super) settings: Vec<String>,
    pub(super) is_quick: bool,
    /// To be told instead of measuring.
    pub(super) help: Option<String>,
}

impl Options {
    /// Reads the command line; an `Err` says what is wrong with it.
    pub(super) fn parse(arguments: &[String], descriptors: u64) -> Result<Self, String> {
        let grammar = grammar();
        let matches = grammar
            .parse(arguments)
            .map_err(|error| error.to_string())?;
        let known = |name: &String| {
            WORKLOADS.iter().any(|workload| workload.name == name)
                || MEASUREMENTS
                    .iter()
                    .any(|(measurement, _)| measurement == name)
        };
        if let Some(unknown) = matches.free.iter().find(|name| !known(name)) {
            return Err(format!("no such workload: {unknown}\n{}", usage(&grammar)));
        }
        let is_quick = matches.opt_present("test") || !matches.opt_present("bench");
        let time = match above_zero(&matches, "seconds")? {
            Some(seconds) => Duration::from_secs(seconds),
            None if is_quick => QUICK_TIME,
            None => USUAL_TIME,
        };
        let quick_clients = is_quick.then_some(QUICK_CLIENTS);
        Ok(Self {
            time,
            runs: above_zero(&matches, "runs")?.unwrap_or(1),
            clients: above_zero(&matches, "clients")?
                .map(|clients| clients as usize)
                .or(quick_clients),
            clients_max: CLIENTS_MAX.min(descriptors.saturating_sub(SPARE_DESCRIPTORS) as usize),
            in_flight: above_zero(&matches, "in-flight")?,
            arrivals: match matches.opt_str("arrivals").as_deref() {
                None | Some("even") => Arrivals::Even,
                Some("random") => Arrivals::Random,
                Some(other) => return Err(format!("--arrivals: not `even` or `random`: {other}")),
            },
            subjects: match matches.opt_str("only").as_deref() {
                None => vec![Subject::Floor, Subject::Chatd],
                Some("floor") => vec![Subject::Floor],
                Some("chatd") => vec![Subject::Chatd],
                Some(other) => return Err(format!("--only: not `floor` or `chatd`: {other}")),
            },
            settings: matches.opt_strs("o"),
            help: matches.opt_present("help").then(|| usage(&grammar)),
            names: matches.free,
            is_quick,
        })
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }

    /// The workloads asked for, as they are to be measured.
    pub(super) fn workloads(&self) -> Vec<Workload> {
        let asked_for = WORKLOADS
            .iter()
            .filter(|workload| self.wants(workload.name));
        asked_for
            .map(|workload| Workload {
                clients: self.clients(workload.clients),
                arrivals: self.arrivals,
                pace: match (workload.pace, self.in_flight) {
                    (Pace::InFlight(_), Some(lines)) => Pace::InFlight(lines),
                    (pace, _) => pace,
                },
                ..workload.clone()
            })
            .collect()
    }

    /// How many clients where a workload has `usual`: two at least, for one must hear, and no more than there may be
    /// descriptors.
    pub(super) fn clients(&self, usual: usize) -> usize {
        self.clients.unwrap_or(usual).min(self.clients_max).max(2)
    }
}

fn above_zero(matches: &Matches, key: &str) -> Result<Option<u64>, String> {
    match matches.opt_get(key) {
        Ok(Some(0)) => Err(format!("--{key} must be above 0")),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("--{key}: {error}")),
    }
}

fn grammar() -> getopts::Options {
    let mut options = getopts::Options::new();
    options
        .optopt("", "seconds", "measured time of each workload (5)", "S")
        .optopt("", "runs", "how often; told are the medians (1)", "N")
        .optopt("", "clients", "instead of each workload's own number", "N")
        .optopt(
            "",
            "in-flight",
            "lines of the whole room under way in closed loops (64)",
            "N",
        )
        .optopt(
            "",
            "arrivals",
            "lines of open loops come `even` (default) or `random`",
            "HOW",
        )
        .optopt("", "only", "measure only `floor` or only `chatd`", "WHICH")
        .optmulti("o", "", "a further setting of chatd", "KEY=VALUE")
        .optflag(
            "",
            "test",
            "each for a moment at a tiny size: whether it runs",
        )
        .optflag("", "bench", "passed by cargo; without it, as with --test")
        .optflag("h", "help", "this");
    options
}

fn usage(grammar: &getopts::Options) -> String {
    let sessions = MEASUREMENTS.iter().map(|(name, _)| *name);
    let names: Vec<&str> = WORKLOADS
        .iter()
        .map(|workload| workload.name)
        .chain(sessions)
        .collect();
    grammar.usage(&format!(
        "cargo bench --bench loopback -- [OPTIONS] [NAME]...\n\nNames: {}",
        names.join(" ")
    ))
}
