//! What is told of each case.

use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

use super::pair::Sample;
use crate::load::latency::Latencies;

/// What became of the lines of a pair.
pub(super) struct Heard {
    pub(super) lines: usize,
    pub(super) lost: usize,
    p50: Duration,
    pub(super) p99: Duration,
    pub(super) longest: Duration,
}

impl Heard {
    pub(super) fn of(samples: &[Sample]) -> io::Result<Self> {
        let mut latencies = Latencies::new()?;
        let mut lost = 0;
        for (due_at, heard_at) in samples {
            match heard_at {
                Some(heard_at) => latencies.record(*due_at, *heard_at),
                None => lost += 1,
            }
        }
        Ok(Self {
            lines: samples.len(),
            lost,
            p50: latencies.quantile(0.5),
            p99: latencies.quantile(0.99),
            longest: latencies.quantile(1.0),
        })
    }

    fn cell(&self) -> String {
        if self.lines == self.lost {
            return "-".to_owned();
        }
        let [p50, p99, longest] = [self.p50, self.p99, self.longest].map(ms);
        format!("{p50} / {p99} / {longest}")
    }
}

/// What came out of one case.
pub(super) struct Row {
    pub(super) case: &'static str,
    pub(super) members: usize,
    pub(super) attackers: usize,
    pub(super) time: Duration,
    /// CPU time of the server, and how much of it its calm room would have had.
    pub(super) cpu: Duration,
    pub(super) calm_cpu: Duration,
    /// The server was ready to run, and something else had its core.
    pub(super) waited: Duration,
    pub(super) bytes: u64,
    pub(super) requests: f64,
    pub(super) closed: usize,
    pub(super) slow_turns: Vec<u64>,
    pub(super) aloud: Heard,
    pub(super) private: Heard,
}

pub(super) const HEAD: &str = "\
| case | room | attackers | kB/s | requests/s | CPU, % of a core | CPU ns/byte | CPU µs/request | in the room, ms p50 / p99 / max | by /msg, ms p50 / p99 / max | turns above 100 ms | closed | waited for its core, % |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

impl Row {
    /// CPU time that the attack has cost.
    fn attack_cpu(&self) -> Duration {
        self.cpu.saturating_sub(self.calm_cpu)
    }

    pub(super) fn markdown(&self) -> String {
        let seconds = self.time.as_secs_f64();
        let nanos = self.attack_cpu().as_nanos() as f64;
        let each = |count: f64, unit: f64| match count {
            0.0 => "-".to_owned(),
            count => significant(nanos / unit / count),
        };
        let waited = self.waited.as_secs_f64() / seconds * 100.0;
        let mut slow = self.slow_turns.len().to_string();
        if let Some(longest) = self.slow_turns.iter().max() {
            // Writing to a String cannot fail.
            let _ = write!(slow, " (to {longest} ms)");
        }
        format!(
            "| {} | {} | {} | {} | {} | {:.0} | {} | {} | {} | {} | {slow} | {} | {waited:.0} |",
            self.case,
            self.members,
            self.attackers,
            significant(self.bytes as f64 / 1000.0 / seconds),
            significant(self.requests / seconds),
            self.cpu.as_secs_f64() / seconds * 100.0,
            each(self.bytes as f64, 1.0),
            each(self.requests, 1000.0),
            self.aloud.cell(),
            self.private.cell(),
            self.closed,
        )
    }

    /// What else is to be told, on standard error.
    pub(super) fn remark(&self) -> String {
        format!(
            "{} {} {}: {} and {} lines of the pairs, {} lost",
            self.case,
            self.members,
            self.attackers,
            self.aloud.lines,
            self.private.lines,
            self.aloud.lost + self.private.lost,
        )
    }
}

/// Of a time between two moments, the share of a longer one.
pub(super) fn share(of: Duration, time: Duration, whole: Duration) -> Duration {
    of.mul_f64(time.as_secs_f64() / whole.as_secs_f64().max(f64::MIN_POSITIVE))
}

pub(super) fn since(began_at: Instant) -> Duration {
    Instant::now().saturating_duration_since(began_at)
}

fn ms(time: Duration) -> String {
    significant(time.as_secs_f64() * 1000.0)
}

/// To two or three digits.
fn significant(number: f64) -> String {
    if number < 0.95 {
        format!("{number:.2}")
    } else if number < 9.95 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}
