//! The three that are measured, the table, and the bounds.

mod engine;
mod talk;

use std::io;
use std::time::Duration;

use crate::load::latency::Latencies;
use crate::process::{chatd_path, launcher, Process};
use engine::Engine;
use talk::{join, Pair, Talk};

/// Nothing is refused or held back; all else is as anybody would have it.
const SETTINGS: [&str; 2] = ["lines-per-second=0", "history-lines=0"];

/// Each figure is measured for so long, …
const SECONDS: f64 = 6.0;
const TEST_SECONDS: f64 = 0.1;
/// … in so many pieces by turns.
const TURNS: u32 = 3;

/// A way to talk, and how much more the way through the log may cost.
struct Case {
    name: &'static str,
    talk: Talk,
    bounds: Bounds,
}

/// At most so many times what the floor or the server alone takes.
struct Bounds {
    /// The median of how long a line takes, as a ratio to the floor's.
    lag: f64,
    /// CPU time of the engine for each line, as a ratio to the floor's. Two servers read where the floor has one reader;
    /// for that they append once what was said in one turn.
    engine: f64,
    /// CPU time for each line of the server that has more to do, as a ratio to that of the server alone.
    server: f64,
}

const fn case(name: &'static str, lines: u64, [lag, engine, server]: [f64; 3]) -> Case {
    Case {
        name,
        talk: Talk {
            lines,
            per_second: 100,
            at_random: false,
        },
        bounds: Bounds {
            lag,
            engine,
            server,
        },
    }
}

/// Lines come a hundred times a second, alone or several in one turn.
const CASES: [Case; 4] = {
    // Many of them come while the servers rest from reading, which is for 5 ms.
    let mut at_random = case("1, at random", 1, [6.0, 2.0, 4.0]);
    at_random.talk.at_random = true;
    [
        case("1", 1, [4.0, 2.0, 4.0]),
        at_random,
        case("10", 10, [4.0, 1.5, 5.0]),
        case("50", 50, [4.0, 1.0, 7.0]),
    ]
};

/// What came out for one way to talk.
struct Measured {
    lines: u64,
    lags: Vec<Latencies>,
    engine: Duration,
    /// Of the server where it was said, and of the one where it was heard.
    servers: [Duration; 2],
}

impl Measured {
    fn new() -> Self {
        Self {
            lines: 0,
            lags: Vec::new(),
            engine: Duration::ZERO,
            servers: [Duration::ZERO; 2],
        }
    }

    /// In microseconds: the median over the turns of what this share of the lines took at most.
    fn lag(&self, share: f64) -> f64 {
        let mut lags: Vec<Duration> = self.lags.iter().map(|it| it.quantile(share)).collect();
        lags.sort_unstable();
        lags[lags.len() / 2].as_secs_f64() * 1e6
    }

    /// In microseconds.
    fn of_line(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.lines as f64
    }
}

/// Who says and hears lines, and the servers that take part.
struct Subject {
    pair: Pair,
    servers: Vec<Process>,
}

impl Subject {
    /// So many servers that share a chat, or one without `relay`.
    fn servers(count: usize, engine: Option<&Engine>) -> io::Result<Self> {
        let mut servers = Vec::new();
        for _ in 0..count {
            let mut command = launcher(None, &chatd_path())?;
            command.args(["-l", "telnet://127.0.0.1:0"]);
            for setting in SETTINGS {
                command.args(["-o", setting]);
            }
            if let Some(engine) = engine {
                command.args(["-o", &format!("relay=redis://{}", engine.address)]);
            }
            let log = format!("relay-server-{}.log", servers.len());
            servers.push(Process::start(&mut command, &log)?);
        }
        let last = servers.len() - 1;
        let mut pair = Pair {
            sayer: join(servers[0].address, "first")?,
            hearer: join(servers[last].address, "second")?,
            is_floor: false,
        };
        pair.meet()?;
        Ok(Self { pair, servers })
    }

    fn cpu(&self, engine: &Engine) -> io::Result<[Duration; 3]> {
        let mut cpu = [engine.cpu()?, Duration::ZERO, Duration::ZERO];
        for (cpu, server) in cpu[1..].iter_mut().zip(&self.servers) {
            *cpu = server.core_time()?.ran;
        }
        Ok(cpu)
    }

    fn measure(
        &mut self,
        talk: Talk,
        time: Duration,
        engine: &Engine,
        measured: &mut Measured,
    ) -> io::Result<()> {
        let before = self.cpu(engine)?;
        let (lines, lags) = self.pair.talk(talk, time)?;
        let after = self.cpu(engine)?;
        measured.lines += lines;
        measured.lags.push(lags);
        measured.engine += after[0].saturating_sub(before[0]);
        for (index, time) in measured.servers.iter_mut().enumerate() {
            *time += after[index + 1].saturating_sub(before[index + 1]);
        }
        Ok(())
    }
}

/// Tells what came out, and whether it is within its bounds.
fn tell(case: &Case, [floor, relay, alone]: &[Measured; 3]) -> bool {
    let engines = [floor, relay].map(|it| it.of_line(it.engine));
    let [said, heard] = relay.servers.map(|time| relay.of_line(time));
    let by_itself = alone.of_line(alone.servers[0]);
    let ratios = [
        relay.lag(0.5) / floor.lag(0.5),
        engines[1] / engines[0],
        said.max(heard) / by_itself,
    ];
    let Bounds {
        lag,
        engine,
        server,
    } = case.bounds;
    print!("{:<12}", case.name);
    for measured in [alone, floor, relay] {
        print!(" | {:>4.0} /{:>5.0}", measured.lag(0.5), measured.lag(0.99));
    }
    print!(" {:>5.2} <= {lag}", ratios[0]);
    let [bare, relayed] = engines;
    print!(
        " | {bare:>5.1} {relayed:>5.1} {:>5.2} <= {engine:<3}",
        ratios[1]
    );
    println!(
        " | {by_itself:>5.1} {said:>5.1} {heard:>5.1} {:>5.2} <= {server}",
        ratios[2]
    );
    let bounds = [lag, engine, server];
    ratios
        .iter()
        .zip(bounds)
        .all(|(ratio, bound)| *ratio <= bound)
}

pub(crate) fn bench(arguments: &[String]) -> io::Result<bool> {
    if !engine::is_installed() {
        println!("relay: ignored, for no {} is installed", engine::PROGRAM);
        return Ok(true);
    }
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let given = arguments.iter().find_map(|argument| argument.parse().ok());
    let seconds: f64 = given.unwrap_or(if is_test { TEST_SECONDS } else { SECONDS });
    let turns = if is_test { 1 } else { TURNS };
    let time = Duration::from_secs_f64(seconds / f64::from(turns));
    let engine = Engine::start()?;
    let floor = Subject {
        pair: Pair {
            sayer: engine.connect()?,
            hearer: engine.connect()?,
            is_floor: true,
        },
        servers: Vec::new(),
    };
    let relay = Subject::servers(2, Some(&engine))?;
    let mut subjects = [floor, relay, Subject::servers(1, None)?];
    println!("in microseconds, of a line of those that come at once, a hundred times a second:");
    println!("             | how long it takes, p50 / p99            | CPU of the engine       | CPU of the servers");
    println!("lines        | alone       | floor       | relay                  | floor relay             | alone  said heard");
    let mut all_within = true;
    for case in CASES {
        let mut measured = [(); 3].map(|()| Measured::new());
        for _ in 0..turns {
            for (subject, measured) in subjects.iter_mut().zip(&mut measured) {
                subject.measure(case.talk, time, &engine, measured)?;
            }
        }
        all_within &= tell(&case, &measured);
    }
    // A moment says nothing of speed.
    Ok(is_test || all_within)
}
