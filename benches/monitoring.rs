//! What it costs to be asked: a scrape of all that is measured, a report, a rule and a reload where there are almost as many
//! rules as there may be, and a list that its reader takes slowly, beside many sessions.
//!
//! The server tells itself how long its loop worked for operators (`chatd_phase_seconds_total`), so what is measured is
//! the time that everybody else waited. People come from the loopback range, which no limit by address is for.
//!
//! ```text
//! cargo bench --bench monitoring                   beside 15,000 sessions
//! cargo bench --bench monitoring -- 1000           beside as many
//! cargo bench --bench monitoring -- --test         for a moment, beside 20
//! ```
//!
//! `CHATD_BENCH_SERVER` names another server binary than the one just built. The exit status is 1 when something could not
//! be measured, or when a scrape or a report takes 2 ms of the loop or more.

#![forbid(unsafe_code)]
// The clock is what a bench is about.
#![allow(clippy::disallowed_methods)]

#[cfg(target_os = "linux")]
#[path = "../src/bin/chatload/load/mod.rs"]
#[allow(dead_code, reason = "benches with a load use more of it")]
mod load;
#[cfg(target_os = "linux")]
#[path = "support/process.rs"]
#[allow(dead_code, reason = "the same")]
mod process;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    process::main("monitoring", monitoring::bench)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("monitoring: reads what is in the queues from /proc, so it measures on Linux only");
}

#[cfg(target_os = "linux")]
mod monitoring {
    use std::fs;
    use std::io::{self, BufRead, BufReader, Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::process::Signal;

    use crate::process::{chatd_path, launcher, target_path, Process};

    const SESSIONS: usize = 15_000;
    const TEST_SESSIONS: usize = 20;
    /// Each thing is asked for this often, and the dearest counts.
    const TIMES: usize = 10;
    /// There may be 10,000.
    const RULES: usize = 9_990;
    /// A scrape and a report may each take so much of the loop.
    const MOST: Duration = Duration::from_millis(2);
    /// What the slow reader takes of a list, in bytes, before each private line.
    const TAKEN_BYTES: usize = 100;
    const PATIENCE: Duration = Duration::from_secs(30);

    /// An operator, and what they are told.
    struct Operator(BufReader<UnixStream>);

    impl Operator {
        fn ask(&mut self, command: &str) -> io::Result<Vec<String>> {
            writeln!(self.0.get_mut(), "{command}")?;
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                if self.0.read_line(&mut line)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if line.starts_with("-- ") || line.starts_with("!! ") {
                    return Ok(lines);
                }
                lines.push(line.trim_end().to_owned());
            }
        }

        /// The value of a series.
        fn value(&mut self, series: &str) -> io::Result<f64> {
            let lines = self.ask("stats")?;
            let found = lines.iter().find_map(|line| line.strip_prefix(series));
            let value = found.and_then(|rest| rest.strip_prefix('=')?.parse().ok());
            value.ok_or_else(|| io::Error::other(format!("nothing is told of {series}")))
        }

        /// How long the loop has worked for operators.
        fn worked(&mut self) -> io::Result<Duration> {
            let seconds = self.value("chatd_phase_seconds_total{phase=operate}")?;
            Ok(Duration::from_secs_f64(seconds))
        }
    }

    /// A person who has a name.
    fn join(address: SocketAddr, name: &str) -> io::Result<TcpStream> {
        let mut person = TcpStream::connect(address)?;
        person.set_read_timeout(Some(PATIENCE))?;
        person.set_nodelay(true)?;
        person.write_all(format!("/name {name}\n").as_bytes())?;
        Ok(person)
    }

    /// The dearest of what `act` makes the loop work, asking for it included where that is by itself.
    fn dearest(
        operator: &mut Operator,
        mut act: impl FnMut(&mut Operator) -> io::Result<()>,
    ) -> io::Result<Duration> {
        let mut dearest = Duration::ZERO;
        for _ in 0..TIMES {
            let idle = operator.worked()?;
            // What it costs to ask how long it worked is in the difference, and is taken off.
            let asked = operator.worked()?;
            act(operator)?;
            let after = operator.worked()?;
            let asking = asked.saturating_sub(idle);
            dearest = dearest.max(after.saturating_sub(asked).saturating_sub(asking));
        }
        Ok(dearest)
    }

    /// How late private lines come while an operator takes a list of all sessions slowly: the median and the latest.
    fn beside_a_slow_reader(
        path: &str,
        [from, to]: [&mut TcpStream; 2],
        lines: usize,
    ) -> io::Result<[Duration; 2]> {
        let mut slow = UnixStream::connect(path)?;
        slow.write_all(b"sessions\n")?;
        let mut taken = [0; TAKEN_BYTES];
        let mut times = Vec::new();
        let mut got = vec![0; 64 * 1024];
        for number in 0..lines {
            slow.read_exact(&mut taken)?;
            let words = format!("psst{number}.");
            let begun = Instant::now();
            from.write_all(format!("/msg second {words}\n").as_bytes())?;
            let mut heard = Vec::new();
            while !String::from_utf8_lossy(&heard).contains(&words) {
                let bytes = to.read(&mut got)?;
                heard.extend_from_slice(&got[..bytes]);
            }
            times.push(begun.elapsed());
            // Within their ten lines a second.
            thread::sleep(Duration::from_millis(110));
        }
        times.sort_unstable();
        Ok([times[times.len() / 2], times[times.len() - 1]])
    }

    /// A file of so many rules that meet nobody.
    fn rules(count: usize) -> String {
        let rule = |n| {
            let (kind, high, low) = (["ban", "mute"][n % 2], n / 256, n % 256);
            format!("{kind} 10.{high}.{low}.0/24 forever by=alice at=2026-11-26T00:00:00Z spam\n")
        };
        (0..count).map(rule).collect()
    }

    pub(crate) fn bench(arguments: &[String]) -> io::Result<bool> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let is_test = arguments.contains(&"--test");
        let given = arguments.iter().find_map(|argument| argument.parse().ok());
        let sessions = given.unwrap_or(if is_test { TEST_SESSIONS } else { SESSIONS });
        let path = target_path("monitoring.sock")?.display().to_string();
        let mut command = launcher(None, &chatd_path())?;
        command.args(["-l", "telnet://127.0.0.1:0", "-l", &format!("ops://{path}")]);
        let bans = target_path("monitoring.bans")?;
        fs::write(&bans, rules(if is_test { TEST_SESSIONS } else { RULES }))?;
        command.args(["-o", &format!("bans-file={}", bans.display())]);
        let server = Process::start(&mut command, "monitoring-server.log")?;
        let begun = Instant::now();
        // It is made behind the other listeners.
        let stream = loop {
            match UnixStream::connect(&path) {
                Err(error) if begun.elapsed() > PATIENCE => return Err(error),
                Err(_) => thread::sleep(Duration::from_millis(10)),
                Ok(stream) => break stream,
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut operator = Operator(BufReader::new(stream));
        let mut pair = [
            join(server.address, "first")?,
            join(server.address, "second")?,
        ];
        let crowd = (2..sessions).map(|number| join(server.address, &format!("n{number}")));
        let crowd = crowd.collect::<io::Result<Vec<_>>>()?;
        while operator.value("chatd_present")? < sessions as f64 {
            thread::sleep(Duration::from_millis(100));
        }
        thread::sleep(Duration::from_secs(if is_test { 0 } else { 3 }));
        println!("beside {sessions} sessions, of the loop:");
        let scrape = dearest(&mut operator, |operator| operator.ask("metrics").map(drop))?;
        println!("  a scrape      {:8.3} ms", scrape.as_secs_f64() * 1e3);
        let log = target_path("monitoring-server.log")?;
        let reports = || -> io::Result<usize> {
            let log = fs::read_to_string(&log)?;
            Ok(log.matches(" report descriptors=").count())
        };
        let report = dearest(&mut operator, |_| {
            let before = reports()?;
            server.signal(Signal::USR1)?;
            while reports()? == before {
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        })?;
        println!("  a report      {:8.3} ms", report.as_secs_f64() * 1e3);
        let rule = dearest(&mut operator, |operator| {
            operator.ask("ban 198.51.100.7 1h spam")?;
            operator.ask("unban 198.51.100.7").map(drop)
        })?;
        let count = operator.ask("bans")?.len();
        println!("beside {count} rules in a file, of the loop:");
        println!(
            "  one more, and its end {:8.3} ms",
            rule.as_secs_f64() * 1e3
        );
        let reload = dearest(&mut operator, |operator| operator.ask("reload").map(drop))?;
        println!(
            "  a reload              {:8.3} ms",
            reload.as_secs_f64() * 1e3
        );
        let edited = dearest(&mut operator, |operator| {
            let text = fs::read_to_string(&bans)?;
            fs::write(&bans, text + "# by hand\n")?;
            operator.ask("reload").map(drop)
        })?;
        println!(
            "  a reload of a new file{:8.3} ms",
            edited.as_secs_f64() * 1e3
        );
        let lines = if is_test { 3 } else { 100 };
        let [first, second] = &mut pair;
        let [median, latest] = beside_a_slow_reader(&path, [first, second], lines)?;
        println!(
            "beside an operator who takes 1 kB/s of a list: a private line takes {:.3} ms, at most {:.3} ms",
            median.as_secs_f64() * 1e3,
            latest.as_secs_f64() * 1e3
        );
        drop(crowd);
        Ok(scrape < MOST && report < MOST)
    }
}
