//! Runs what was asked for, room by room and case by case.
//!
//! Attacks go to the server that was started here, and end with their case.

mod cases;
mod crowd;
mod everything;
mod kernel;
mod options;
mod pair;
mod report;
mod server;

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cases::{Case, TARGET};
use crowd::{Crowd, Member};
use options::Options;
use pair::{Pair, Way};
use report::{Heard, Row, HEAD};
use server::Server;

use crate::load::cores;
use crate::load::process::raise_descriptor_limit;

/// Each of the pairs says a line so often: less than `lines-per-second`, so that no line waits for that.
const PAIR_INTERVAL: Duration = Duration::from_millis(130);
/// Fewer where a line has very many hearers, so that the pairs are not an attack themselves.
const PAIR_INTERVAL_CROWDED: Duration = Duration::from_millis(250);
const CROWDED: usize = 10_000;
/// After something was done, the server is given this long to come to rest, at least and at most.
const REST_MIN: Duration = Duration::from_millis(200);
const REST_MAX: Duration = Duration::from_secs(10);
/// A room that has just been filled is given this long.
const SETTLE: Duration = Duration::from_secs(5);
/// The calm before the attacks is measured for so many times the time of a case.
const CALM_TIMES: u32 = 3;
/// Before everything at once.
const CALM_OF_EVERYTHING: Duration = Duration::from_secs(3);
/// Lines that are due in this first part of a case, of each second of it, are told of.
const LAST_DUE: Duration = Duration::from_millis(900);

/// Tells whether no line of a pair was lost.
pub(super) fn bench(arguments: &[String]) -> io::Result<bool> {
    let descriptors = raise_descriptor_limit();
    let options = Options::parse(arguments).map_err(io::Error::other)?;
    if let Some(help) = options.help {
        println!("{help}");
        return Ok(true);
    }
    let core = cores::split();
    eprintln!("{descriptors} descriptors; the server on core {core:?}, the load on another");
    println!("{HEAD}");
    let mut table = format!("{HEAD}\n");
    let (mut lost, mut holds) = (0, true);
    for members in &options.rooms {
        let mut room = Room::new(*members, core, &options)?;
        if options.is_everything {
            holds &= everything::run(&mut room, &options)?;
            continue;
        }
        for case in options.cases() {
            for attackers in &options.attackers {
                let row = room.suffer(case, *attackers, &options)?;
                lost += row.aloud.lost + row.private.lost;
                let line = row.markdown();
                println!("{line}");
                eprintln!("{}", row.remark());
                table += &line;
                table.push('\n');
            }
        }
    }
    if let Some(file) = &options.csv {
        fs::write(file, csv(&table))?;
    }
    if lost > 0 {
        println!("\nFAILED: {lost} lines of the pairs were lost");
    }
    Ok(lost == 0 && holds)
}

/// The same table with commas.
fn csv(table: &str) -> String {
    let rows = table.lines().filter(|line| !line.starts_with("|--"));
    rows.fold(String::new(), |text, line| {
        let line = line.trim_matches('|').trim().replace(',', "");
        text + &line.replace(" | ", ",") + "\n"
    })
}

/// A server with members who listen, and two pairs who talk.
struct Room {
    // Dropped in this order: those who are connected before the server.
    aloud: Pair,
    private: Pair,
    crowd: Crowd,
    _members: Vec<Arc<Member>>,
    server: Server,
    members: usize,
    /// CPU time of the server in a second without an attack.
    calm: Duration,
}

impl Room {
    fn new(members: usize, core: Option<usize>, options: &Options) -> io::Result<Self> {
        let server = Server::start(core)?;
        let mut crowd = Crowd::new(server.address)?;
        let (joined, _) = crowd.join(members)?;
        pair::send(&joined[0].stream, format!("/name {TARGET}\r\n").as_bytes())?;
        let interval = if members >= CROWDED {
            PAIR_INTERVAL_CROWDED
        } else {
            PAIR_INTERVAL
        };
        let aloud = Pair::start(&mut crowd, server.address, Way::Aloud, interval)?;
        let private = Pair::start(&mut crowd, server.address, Way::Privately, interval)?;
        let mut room = Self {
            aloud,
            private,
            crowd,
            _members: joined,
            server,
            members,
            calm: Duration::ZERO,
        };
        if !options.is_test {
            thread::sleep(SETTLE);
        }
        let calm = if options.is_everything {
            // It is compared with nothing: it only tells when the server is at rest.
            CALM_OF_EVERYTHING
        } else {
            options.time * CALM_TIMES
        };
        room.measure_calm(calm)?;
        Ok(room)
    }

    fn measure_calm(&mut self, time: Duration) -> io::Result<()> {
        let (began_at, before) = (Instant::now(), self.server.core_time()?);
        thread::sleep(time);
        let (took, spent) = (report::since(began_at), self.server.spent_since(before)?);
        self.calm = report::share(spent.ran, Duration::from_secs(1), took);
        let ended_at = Instant::now();
        let aloud = Heard::of(&self.aloud.samples(began_at, ended_at))?;
        let private = Heard::of(&self.private.samples(began_at, ended_at))?;
        let row = Row {
            case: "(calm)",
            members: self.members,
            attackers: 0,
            time: took,
            cpu: spent.ran,
            calm_cpu: spent.ran,
            waited: spent.waited,
            bytes: 0,
            requests: 0.0,
            closed: 0,
            slow_turns: Vec::new(),
            aloud,
            private,
        };
        println!("{}", row.markdown());
        eprintln!("{}", row.remark());
        Ok(())
    }

    /// Has a case attack, and tells what came of it.
    fn suffer(
        &mut self,
        case: &'static Case,
        attackers: usize,
        options: &Options,
    ) -> io::Result<Row> {
        let (joined, first) = self.crowd.join(attackers)?;
        let setup = case.setup();
        for member in &joined {
            pair::send(&member.stream, &setup)?;
        }
        self.rest(options)?;
        let kept_before = self.server.reported("input_bytes")?;
        self.rest(options)?;
        let slow_before = self.server.slow_turns()?.len();
        let (began_at, before) = (Instant::now(), self.server.core_time()?);
        let armed = joined.iter().enumerate();
        let armed = armed
            .map(|(number, member)| Attacker::new(Arc::clone(member), case.payload(number)))
            .collect();
        let written = attack(armed, began_at + options.time);
        let (time, spent) = (report::since(began_at), self.server.spent_since(before)?);
        let kept = self
            .server
            .reported("input_bytes")?
            .saturating_sub(kept_before);
        let sources: Vec<SocketAddr> = joined
            .iter()
            .filter_map(|member| member.stream.local_addr().ok())
            .collect();
        let untaken = kernel::untaken_bytes(self.server.address, &sources)?;
        // A line that was due at the very end would wait for the report.
        let ended_at = began_at + report::share(time, LAST_DUE, Duration::from_secs(1));
        let closed = joined.iter().filter(|member| member.is_gone()).count();
        self.crowd.leave(joined, first)?;
        let aloud = Heard::of(&self.aloud.samples(began_at, ended_at))?;
        let private = Heard::of(&self.private.samples(began_at, ended_at))?;
        let bytes = written.saturating_sub(untaken + kept);
        let unit = case.unit(0).len();
        let row = Row {
            case: case.name,
            members: self.members,
            attackers,
            time,
            cpu: spent.ran,
            calm_cpu: report::share(self.calm, time, Duration::from_secs(1)),
            waited: spent.waited,
            bytes,
            requests: bytes as f64 / unit as f64 * case.requests as f64,
            closed,
            slow_turns: self.server.slow_turns()?.split_off(slow_before),
            aloud,
            private,
        };
        self.rest(options)?;
        Ok(row)
    }

    /// Waits until the server does hardly more than in the calm, and the pairs wait for nothing, but not for ever.
    fn rest(&self, options: &Options) -> io::Result<()> {
        if options.is_test {
            return Ok(());
        }
        let deadline = Instant::now() + REST_MAX;
        loop {
            let before = self.server.core_time()?;
            thread::sleep(REST_MIN);
            let ran = self.server.spent_since(before)?.ran;
            let calm = report::share(self.calm, REST_MIN, Duration::from_secs(1));
            let is_calm = ran <= calm.mul_f64(1.3) + REST_MIN / 20;
            let are_on_time = self.aloud.is_on_time() && self.private.is_on_time();
            if is_calm && are_on_time || Instant::now() > deadline {
                return Ok(());
            }
        }
    }
}

/// One who sends the same over and over.
struct Attacker {
    member: Arc<Member>,
    payload: Vec<u8>,
    /// How much of it was sent.
    at: usize,
}

impl Attacker {
    fn new(member: Arc<Member>, payload: Vec<u8>) -> Self {
        let at = 0;
        Self {
            member,
            payload,
            at,
        }
    }
}

/// All send as fast as their sockets take it. Gives how many bytes that were.
fn attack(mut attackers: Vec<Attacker>, until: Instant) -> u64 {
    let mut written = 0;
    while Instant::now() < until {
        let mut is_idle = true;
        for attacker in &mut attackers {
            let Attacker {
                member,
                payload,
                at,
            } = attacker;
            if member.is_gone() {
                continue;
            }
            // An error says that it takes no more for now, or that the server has closed it, which the reader sees.
            if let Ok(taken) = (&member.stream).write(&payload[*at..]) {
                written += taken as u64;
                *at = (*at + taken) % payload.len();
                is_idle = false;
            }
        }
        if is_idle {
            thread::sleep(Duration::from_millis(1));
        }
    }
    written
}
