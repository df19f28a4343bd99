//! Runs what was asked for: the floor and chatd one after the other, workload by workload, run by run.

mod clients;
mod floor;
mod options;
mod report;
mod server;
mod sessions;
mod talk;
mod workload;

use std::fs;
use std::io;

use options::Options;
use report::FanOut;
use server::Subject;
use sessions::{Figure, MEASUREMENTS};
use workload::{Conditions, Measured, Workload};

use crate::load::cores;
use crate::load::process::raise_descriptor_limit;

/// How many come, stay idle and go, where sessions as such are measured.
const SESSIONS: usize = 15_000;
/// A server that waits longer than this share of the time for its core was not alone there, and its latency says little.
const WAITED_SHARE_MAX: f64 = 0.05;

/// Tells whether all could be measured and nothing was lost.
pub(super) fn bench(arguments: &[String]) -> io::Result<bool> {
    if arguments
        .first()
        .is_some_and(|first| first == server::FLOOR_ARGUMENT)
    {
        return floor::run().map(|()| true);
    }
    let descriptors = raise_descriptor_limit();
    let options = Options::parse(arguments, descriptors).map_err(io::Error::other)?;
    if let Some(help) = options.help {
        println!("{help}");
        return Ok(true);
    }
    let server_core = cores::split();
    println!("{}", machine(server_core.is_some(), descriptors));
    let conditions = Conditions {
        server_core,
        settings: options.settings.clone(),
        time: options.time,
        clients_max: options.clients_max,
    };
    let mut fan_outs: Vec<FanOut> = options.workloads().map(FanOut::new).collect();
    let mut figures = Vec::new();
    let mut is_whole = true;
    let mut fail = |what: String| {
        is_whole = false;
        println!("FAILED: {what}");
    };
    for number in 1..=options.runs {
        eprintln!("run {number} of {}", options.runs);
        for fan_out in &mut fan_outs {
            let name = fan_out.workload.name;
            match fan_out.workload.measure(&options.subjects, &conditions) {
                Ok(measured) => fan_out.note(&options.subjects, measured, &mut fail),
                Err(error) => fail(format!("{name}, {error}")),
            }
        }
        figures.push(measure_sessions(&options, &conditions, &mut fail));
    }
    report::tell(&fan_outs, &figures, !options.is_quick)?;
    if !is_whole {
        println!("\nFAILED: see above; the figures of what failed are not to be trusted");
    }
    Ok(is_whole)
}

fn measure_sessions(
    options: &Options,
    conditions: &Conditions,
    fail: &mut impl FnMut(String),
) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (name, measurement) in MEASUREMENTS {
        if !options.subjects.contains(&Subject::Chatd) || !options.wants(name) {
            continue;
        }
        match measurement(conditions, options.clients(SESSIONS)) {
            Ok(more) => {
                eprintln!("  {name}: done");
                figures.extend(more);
            }
            Err(error) => fail(format!("{name}: {error}")),
        }
    }
    figures
}

impl FanOut {
    fn new(workload: Workload) -> Self {
        Self {
            workload,
            floor: Vec::new(),
            chatd: Vec::new(),
        }
    }

    /// Takes what came out in one run for each subject, and tells of it.
    fn note(
        &mut self,
        subjects: &[Subject],
        measured: Vec<Measured>,
        fail: &mut impl FnMut(String),
    ) {
        for (subject, measured) in subjects.iter().zip(measured) {
            let name = format!("{}, {}", self.workload.name, subject.name());
            eprintln!(
                "  {name}: {} lines, {} deliveries, {:.0} ns each, {:.0} % of a core, p50 {:.2} ms, p99 {:.2} ms",
                measured.lines,
                measured.deliveries,
                measured.cpu_ns,
                measured.cpu_share * 100.0,
                measured.p50_ms,
                measured.p99_ms
            );
            if measured.waited_share > WAITED_SHARE_MAX {
                println!(
                    "DISTURBED: {name}: something else had the server's core for {:.0} % of the time",
                    measured.waited_share * 100.0
                );
            }
            if let Some(fault) = &measured.fault {
                fail(format!("{name}: {fault}"));
            }
            match subject {
                Subject::Floor => self.floor.push(measured),
                Subject::Chatd => self.chatd.push(measured),
            }
        }
    }
}

/// On what the tables were measured.
fn machine(are_apart: bool, descriptors: u64) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, model)| model.trim());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let placement = if are_apart {
        "server on one core, load on another"
    } else {
        "server and load on the ONLY core: latencies say little"
    };
    format!(
        "{model}, Linux {}; {placement}; {descriptors} descriptors",
        kernel.trim()
    )
}
