//! What the bench is asked to do.

use std::time::Duration;

use super::clients::CLIENTS_MAX;
use super::server::Subject;
use super::sessions::MEASUREMENTS;
use super::workload::{Arrivals, Pace, Workload, WORKLOADS};
use crate::load::options::{self, number};

#[rustfmt::skip]
const OPTIONS: [(&str, &str, &str); 8] = [
    ("seconds", "S", "measured time of each workload (5)"),
    ("runs", "N", "how often; told are the medians (1)"),
    ("clients", "N", "instead of each workload's own number"),
    ("in-flight", "N", "lines of the whole room under way in closed loops (64)"),
    ("arrivals", "HOW", "lines of open loops come `even` (default) or `random`"),
    ("only", "WHICH", "measure only `floor` or only `chatd`"),
    ("test", "", "each for a moment at a tiny size: whether it runs"),
    ("bench", "", "passed by cargo; without it, as with --test"),
];

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
        let mut grammar = options::grammar(&OPTIONS);
        grammar.optmulti("o", "", "a further setting of chatd", "KEY=VALUE");
        let matches = grammar
            .parse(arguments)
            .map_err(|error| error.to_string())?;
        let known: Vec<&str> = names().collect();
        let usage = grammar.usage(&format!(
            "cargo bench --bench loopback -- [OPTIONS] [NAME]...\n\nNames: {}",
            known.join(" ")
        ));
        if let Some(unknown) = matches
            .free
            .iter()
            .find(|name| !known.contains(&name.as_str()))
        {
            return Err(format!("no such workload: {unknown}\n{usage}"));
        }
        let above_zero = |key| number(&matches, key, 1..=u64::MAX);
        let is_quick = matches.opt_present("test") || !matches.opt_present("bench");
        let usual_time = if is_quick { QUICK_TIME } else { USUAL_TIME };
        let quick_clients = is_quick.then_some(QUICK_CLIENTS);
        Ok(Self {
            time: above_zero("seconds")?.map_or(usual_time, Duration::from_secs),
            runs: above_zero("runs")?.unwrap_or(1),
            clients: number(&matches, "clients", 1..=CLIENTS_MAX)?.or(quick_clients),
            clients_max: CLIENTS_MAX.min(descriptors.saturating_sub(SPARE_DESCRIPTORS) as usize),
            in_flight: above_zero("in-flight")?,
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
            help: matches.opt_present("help").then_some(usage),
            names: matches.free,
            is_quick,
        })
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }

    /// The workloads asked for, as they are to be measured.
    pub(super) fn workloads(&self) -> impl Iterator<Item = Workload> + '_ {
        let asked_for = WORKLOADS
            .iter()
            .filter(|workload| self.wants(workload.name));
        asked_for.map(|workload| Workload {
            clients: self.clients(workload.clients),
            arrivals: self.arrivals,
            pace: match (workload.pace, self.in_flight) {
                (Pace::InFlight(_), Some(lines)) => Pace::InFlight(lines),
                (pace, _) => pace,
            },
            ..workload.clone()
        })
    }

    /// How many clients where a workload has `usual`: two at least, for one must hear, and no more than there may be
    /// descriptors.
    pub(super) fn clients(&self, usual: usize) -> usize {
        self.clients.unwrap_or(usual).min(self.clients_max).max(2)
    }
}

/// Of all that can be measured.
fn names() -> impl Iterator<Item = &'static str> {
    let workloads = WORKLOADS.iter().map(|workload| workload.name);
    workloads.chain(MEASUREMENTS.iter().map(|(name, _)| *name))
}
