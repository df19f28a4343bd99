//! chatload: many clients talk in the rooms of a chatd, and nothing may be lost or left over.
//!
//! ```text
//! options      what to do                  plan         who does what when, from a seed
//! subject      the server, and what it     crowd        the clients of a round, on one poll
//!              holds before and after      tally        who has heard what
//! server_log   its opens and closes        closed_loop  our opens and closes against the server's
//! verdict      why a round did not pass    report       text, JSON, CSV
//! progress     a bar or a line             heap         dhat, where it is built in
//! figures      how they are written        load         what the bench over loopback has as well
//! rooms        who belongs where
//! ```
//!
//! A round is: look at what the server holds, [`play`](crowd::Crowd::play), wait until it is at rest, look again.

#![forbid(unsafe_code)]

mod closed_loop;
mod crowd;
mod figures;
mod heap;
mod load;
mod options;
mod plan;
mod progress;
mod report;
mod rooms;
mod server_log;
mod subject;
mod tally;
mod verdict;

use std::env;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chatd::client::Target;

use closed_loop::ClosedLoop;
use crowd::Crowd;
use options::{Format, Options, Request};
use plan::Plan;
use progress::Progress;
use report::Report;
use server_log::SharedLog;
use subject::Subject;
use verdict::Round;

/// A target that does not answer by then is not there.
const PROBE_MAX: Duration = Duration::from_secs(3);
/// More than this no server says to somebody who leaves.
const PROBE_BYTES_MAX: u64 = 64 * 1024;
/// Descriptors that are not sockets of clients.
const SPARE_DESCRIPTORS: u64 = 64;
/// Wrong usage.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let options = match Options::parse(env::args_os().skip(1)) {
        Ok(Request::Run(options)) => options,
        Ok(Request::Print(text)) => return write(&text, true),
        Err(wrong) => return complain(&format!("{wrong}; --help lists the options"), USAGE),
    };
    let targets = options.targets.iter().map(|it| find(it, &options));
    let targets: Result<Vec<_>, _> = targets.collect();
    let targets = match targets {
        Ok(targets) => targets,
        Err((why, status)) => return complain(&why, status),
    };
    match run(&options, targets) {
        Ok((report, passed)) => write(&report, passed),
        Err(error) => complain(&error.to_string(), 1),
    }
}

/// Plays all rounds; gives the report, and whether they passed.
fn run(options: &Options, targets: Vec<Target>) -> io::Result<(String, bool)> {
    raise_descriptor_limit(options, targets.is_empty())?;
    let _profile = targets.is_empty().then(heap::Profile::begin);
    let plan = Plan::new(options);
    let mut progress = Progress::new(options.rounds, plan.messages(), clock());
    let subject = Subject::new(options, targets)?;
    let mut rounds: Vec<Round> = Vec::new();
    for number in 1..=options.rounds {
        progress.begin(number, clock());
        let crowd = || Crowd::new(options, &plan, &subject.targets, number);
        let mut round = play(number, &subject, crowd, &mut progress)?;
        round.judge(&rounds);
        rounds.push(round);
    }
    progress.end();
    let report = Report {
        options,
        address: subject.describe(),
        blind: subject.blind(),
        rounds: &rounds,
        ending: subject.stop(),
    };
    if options.format == Format::Csv {
        // It has no place for them.
        for fault in report.faults() {
            eprintln!("chatload: {fault}");
        }
    }
    Ok((report.show(), report.has_passed()))
}

fn play<'a>(
    number: u32,
    subject: &Subject,
    crowd: impl FnOnce() -> io::Result<Crowd<'a>>,
    progress: &mut Progress,
) -> io::Result<Round> {
    let before = subject.holdings();
    if let Some(log) = subject.log() {
        log.read().forget_sessions();
    }
    let cpu_before = subject.cpu();
    let (outcome, visits) = crowd()?.play(progress)?;
    let cpu = subject.cpu().zip(cpu_before);
    let after = subject.wait_for_rest(&before);
    let log = subject.log().map(SharedLog::read);
    Ok(Round {
        number,
        closed_loop: ClosedLoop::compare(&visits, log.as_deref()),
        outcome,
        cpu: cpu.map(|(after, before)| {
            let each = after.into_iter().zip(before);
            each.map(|(after, before)| after.saturating_sub(before))
                .collect()
        }),
        processes: subject.processes(),
        before,
        after,
        faults: Vec::new(),
    })
}

/// Whether this machine has the address: then it can be listened on.
fn is_own(address: IpAddr) -> bool {
    address.is_loopback() || TcpListener::bind((address, 0)).is_ok()
}

/// Finds the server that is named: on this machine, and listening.
///
/// # Errors
/// What to complain of, and the exit status: 2 if it must not be loaded, 1 if it is not there.
fn find(address: &str, options: &Options) -> Result<Target, (String, u8)> {
    let target = resolve(address, options).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => (error.to_string(), USAGE),
        _ => (error.to_string(), 1),
    })?;
    if let Some(far) = target.addresses().iter().find(|to| !is_own(to.ip())) {
        let far = far.ip();
        let why = format!("{address}: {far} is not this machine, and others are not to be loaded");
        return Err((why, USAGE));
    }
    let mut why = String::new();
    for to in target.addresses() {
        match TcpStream::connect_timeout(to, PROBE_MAX) {
            // The server writes that down as one more session.
            Ok(probe) => {
                take_leave(probe);
                return Ok(target.clone().at(*to));
            }
            Err(error) => why = error.to_string(),
        }
    }
    Err((format!("{address}: nobody is there: {why}"), 1))
}

/// The target, in TLS if its address says so.
#[cfg(feature = "tls")]
fn resolve(address: &str, options: &Options) -> io::Result<Target> {
    use std::fs;

    use chatd::client::Roots;

    let is_in_tls = address
        .split_once("://")
        .is_some_and(|(word, _)| word.ends_with('s'));
    match &options.roots {
        Some(file) if is_in_tls => {
            let of_file =
                |error: io::Error| io::Error::new(error.kind(), format!("{file}: {error}"));
            let roots = fs::read(file).and_then(|pem| Roots::from_pem(&pem));
            Target::resolve_in_tls(address, &roots.map_err(of_file)?)
        }
        None if is_in_tls => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{address}: --roots must name the certificates to trust"),
        )),
        _ => Target::resolve(address),
    }
}

/// The target.
#[cfg(not(feature = "tls"))]
fn resolve(address: &str, _: &Options) -> io::Result<Target> {
    Target::resolve(address)
}

/// Closes the connection and sees the server do the same, lest it is counted among what is held before the first round.
fn take_leave(probe: TcpStream) {
    // If it does not, the first round will tell.
    let _ = probe.shutdown(Shutdown::Write);
    let _ = probe.set_read_timeout(Some(PROBE_MAX));
    let _ = io::copy(&mut probe.take(PROBE_BYTES_MAX), &mut io::sink());
}

/// Each client has a descriptor, and its session another one where the server is in this process.
fn raise_descriptor_limit(options: &Options, server_is_here: bool) -> io::Result<()> {
    let sides = if server_is_here { 2 } else { 1 };
    let wanted = options.clients as u64 * sides + SPARE_DESCRIPTORS;
    let limit = load::process::raise_descriptor_limit();
    if limit < wanted {
        return Err(io::Error::other(format!(
            "{} clients need {wanted} descriptors, and the limit is {limit}",
            options.clients
        )));
    }
    Ok(())
}

fn write(text: &str, passed: bool) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) if passed => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => complain(&format!("cannot write the report: {error}"), 1),
    }
}

fn complain(what: &str, status: u8) -> ExitCode {
    eprintln!("chatload: {what}");
    ExitCode::from(status)
}

#[allow(
    clippy::disallowed_methods,
    reason = "the clock of the load test is asked here and nowhere else"
)]
fn clock() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn every_address_of_this_machine_is_its_own() {
        for own in ["127.0.0.1", "127.0.0.9", "0.0.0.0"] {
            assert!(is_own(own.parse().unwrap()), "{own}");
        }
        // An address for documentation (RFC 5737).
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
