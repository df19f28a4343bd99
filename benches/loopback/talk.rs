//! Talking in a room: saying lines by a schedule, and seeing that everybody has had them.
//!
//! Every line ends in a mark that no other line has, so that counting deliveries is counting one byte, whatever frame a
//! server puts around it. A sample of the clients reads its lines in full, for latency and for wholeness. Lines carry
//! their number, and the latency of an open loop counts from when the line was *due*, not from when the load got to it.
//!
//! The CPU time of a server is taken between two moments at which nothing is under way.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::clients::{Client, Crowd, NAME_BYTES};
use super::server::{ServerProcess, Subject};
use super::workload::{Arrivals, Measured, Pace, Room, Talkers, Workload};
use crate::load::latency::Latencies;
use crate::load::process::CoreTime;

/// The last byte of each line's text.
const MARK: u8 = b'~';
/// The number at the beginning of each line.
const NUMBER_DIGITS: usize = 8;
/// What the lines are filled with.
const WORDS: &[u8] = b" the quick brown fox jumps over the lazy dog and says so to everybody";

/// About how many clients read their lines in full.
const SAMPLED_CLIENTS: usize = 32;
/// Before the measured time, as a share of it.
const WARM_UP_SHARE: f64 = 0.25;
/// When no delivery has come for this long, what is missing is lost.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// People who talk in a room.
pub(super) struct Talk<'a> {
    server: &'a ServerProcess,
    crowd: &'a mut Crowd,
    talkers: usize,
    schedule: Schedule,
    tally: Tally,
    /// When each line was due.
    due_at: Vec<Instant>,
    ear: Ear,
    /// What those have heard that read in full.
    latencies: Latencies,
    garbled: u64,
    line: Vec<u8>,
    /// The first line that counts, and what the server and the clock have spent on them.
    measured_from: u64,
    spent: CoreTime,
    elapsed: Duration,
}

impl<'a> Talk<'a> {
    pub(super) fn warmed_up(
        workload: &Workload,
        room: &'a mut Room,
        time: Duration,
    ) -> io::Result<Self> {
        let mut talk = Self::new(workload, room)?;
        talk.talk(time.mul_f64(WARM_UP_SHARE))?;
        talk.settle()?;
        talk.measured_from = talk.tally.said;
        Ok(talk)
    }

    fn new(workload: &Workload, room: &'a mut Room) -> io::Result<Self> {
        let clients = room.crowd.len();
        let frame_bytes = match room.server.subject {
            Subject::Floor => 0,
            Subject::Chatd => "<> ".len() + NAME_BYTES,
        };
        Ok(Self {
            server: &room.server,
            crowd: &mut room.crowd,
            talkers: match workload.talkers {
                Talkers::One => 1,
                Talkers::All => clients,
            },
            schedule: Schedule::new(workload.pace, workload.arrivals),
            tally: Tally::new(clients),
            due_at: Vec::new(),
            ear: Ear {
                stride: clients.div_ceil(SAMPLED_CLIENTS),
                line_bytes: frame_bytes + workload.line_bytes - 1,
                frame_bytes,
            },
            line: template(workload.line_bytes),
            measured_from: 0,
            spent: CoreTime::default(),
            elapsed: Duration::ZERO,
            latencies: Latencies::new()?,
            garbled: 0,
        })
    }

    /// Talks for `time`, from a moment when nothing is under way to another such one.
    pub(super) fn go_on(&mut self, time: Duration) -> io::Result<()> {
        if self.tally.in_flight() > 0 {
            return Ok(()); // Lines were lost already, so no moment is quiet any more.
        }
        let (before, began_at) = (self.server.core_time()?, Instant::now());
        self.talk(time)?;
        self.settle()?;
        let after = self.server.core_time()?;
        self.spent.ran += after.ran.saturating_sub(before.ran);
        self.spent.waited += after.waited.saturating_sub(before.waited);
        self.elapsed += began_at.elapsed();
        Ok(())
    }

    fn talk(&mut self, time: Duration) -> io::Result<()> {
        let began_at = Instant::now();
        self.schedule.restart(began_at);
        loop {
            let now = Instant::now();
            if now >= began_at + time || self.crowd.dropped > 0 {
                return Ok(());
            }
            while let Some(due_at) = self.schedule.next(now, self.tally.in_flight()) {
                self.say(due_at);
            }
            self.turn(self.schedule.patience(now))?;
        }
    }

    /// Waits until everybody has had everything, or nothing comes any more.
    fn settle(&mut self) -> io::Result<()> {
        let mut moved_at = Instant::now();
        let mut seen = self.tally.delivered;
        while self.tally.in_flight() > 0
            && moved_at.elapsed() < LOST_AFTER
            && self.crowd.dropped == 0
        {
            self.turn(Duration::from_millis(10))?;
            if self.tally.delivered != seen {
                seen = self.tally.delivered;
                moved_at = Instant::now();
            }
        }
        Ok(())
    }

    fn say(&mut self, due_at: Instant) {
        let number = self.tally.said;
        let talker = (number % self.talkers as u64) as usize;
        let digits = format!("{number:0NUMBER_DIGITS$}");
        self.line[..NUMBER_DIGITS].copy_from_slice(&digits.as_bytes()[..NUMBER_DIGITS]);
        self.due_at.push(due_at);
        self.tally.say(talker);
        self.crowd.client(talker).say(&self.line);
    }

    fn turn(&mut self, timeout: Duration) -> io::Result<()> {
        let (tally, ear, latencies) = (&mut self.tally, &self.ear, &mut self.latencies);
        let (due_at, measured_from) = (&self.due_at, self.measured_from);
        self.crowd.turn(timeout, |index, client, bytes| {
            tally.heard(index, memchr::memchr_iter(MARK, bytes).count());
            if !ear.is_sampled(index) {
                return;
            }
            let now = Instant::now();
            ear.hear(client, bytes, |number| {
                let due_at = number.and_then(|number| Some((number, *due_at.get(number)?)));
                match due_at {
                    None => self.garbled += 1,
                    Some((number, due_at)) if number as u64 >= measured_from => {
                        latencies.record(due_at, now);
                    }
                    Some(_) => {}
                }
            });
        })
    }

    pub(super) fn result(self) -> Measured {
        let lines = self.tally.said - self.measured_from;
        let deliveries = lines * (self.crowd.len() as u64 - 1);
        let faults: Vec<String> = [
            (self.tally.missing(), "deliveries lost"),
            (self.tally.too_many, "deliveries too many"),
            (self.garbled, "lines garbled"),
            (self.crowd.dropped as u64, "sessions dropped"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        let share = |time: Duration| time.as_secs_f64() / self.elapsed.as_secs_f64();
        let milliseconds = |share| self.latencies.quantile(share).as_secs_f64() * 1e3;
        Measured {
            lines,
            deliveries,
            cpu_ns: self.spent.ran.as_nanos() as f64 / deliveries.max(1) as f64,
            cpu_share: share(self.spent.ran),
            waited_share: share(self.spent.waited),
            p50_ms: milliseconds(0.5),
            p99_ms: milliseconds(0.99),
            fault: (!faults.is_empty()).then(|| faults.join(", ")),
        }
    }
}

/// Who has had how many of the lines said, and how many of these everybody has had.
///
/// A room has one order, so a client that has had `n` lines has had the first `n`. One's own lines count as had when they are
/// said, as they do not come back.
struct Tally {
    said: u64,
    delivered: u64,
    /// Lines that everybody has had.
    settled: u64,
    /// Of each client: how many it has had.
    had: Vec<u64>,
    /// How many clients have had `settled + i` lines.
    ///
    /// Invariant: sums up to the number of clients; has `said - settled + 1` places.
    clients_at: VecDeque<usize>,
    /// Deliveries of lines that nobody had said.
    too_many: u64,
}

impl Tally {
    fn new(clients: usize) -> Self {
        Self {
            said: 0,
            delivered: 0,
            settled: 0,
            had: vec![0; clients],
            clients_at: VecDeque::from([clients]),
            too_many: 0,
        }
    }

    fn in_flight(&self) -> u64 {
        self.said - self.settled
    }

    fn missing(&self) -> u64 {
        self.had.iter().map(|had| self.said - had).sum()
    }

    fn say(&mut self, talker: usize) {
        self.said += 1;
        self.clients_at.push_back(0);
        self.advance(talker, 1);
    }

    fn heard(&mut self, index: usize, lines: usize) {
        let due = self.said - self.had[index];
        let lines = lines as u64;
        self.too_many += lines.saturating_sub(due);
        self.delivered += lines;
        self.advance(index, lines.min(due));
    }

    fn advance(&mut self, index: usize, lines: u64) {
        let from = (self.had[index] - self.settled) as usize;
        self.had[index] += lines;
        self.clients_at[from] -= 1;
        self.clients_at[from + lines as usize] += 1;
        while self.clients_at.len() > 1 && self.clients_at[0] == 0 {
            self.clients_at.pop_front();
            self.settled += 1;
        }
    }
}

/// How some of the clients read their lines in full.
struct Ear {
    /// From one of them to the next.
    stride: usize,
    /// Of a whole line without its end, and of what the server puts before the text.
    line_bytes: usize,
    frame_bytes: usize,
}

impl Ear {
    /// The one who talks alone, the first, hears nothing.
    fn is_sampled(&self, index: usize) -> bool {
        index % self.stride == self.stride - 1
    }

    /// Reads on, and tells of each line that was said its number, or `None` if it is not whole.
    fn hear(&self, client: &mut Client, bytes: &[u8], mut heard: impl FnMut(Option<usize>)) {
        client.each_line(bytes, |_, line| {
            if line.last() != Some(&MARK) {
                return; // Presence, or the rest of a line from before.
            }
            let number = line
                .get(self.frame_bytes..self.frame_bytes + NUMBER_DIGITS)
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .and_then(|digits| digits.parse().ok());
            heard(number.filter(|_| line.len() == self.line_bytes));
        });
    }
}

/// When lines are due.
struct Schedule {
    pace: Pace,
    arrivals: Arrivals,
    next_at: Instant,
    /// Its seed is the same in every run.
    random: Rng,
}

impl Schedule {
    fn new(pace: Pace, arrivals: Arrivals) -> Self {
        Self {
            pace,
            arrivals,
            next_at: Instant::now(),
            random: Rng::with_seed(1),
        }
    }

    fn restart(&mut self, now: Instant) {
        self.next_at = now;
    }

    /// When the next line was due, if that is by now.
    fn next(&mut self, now: Instant, in_flight: u64) -> Option<Instant> {
        match self.pace {
            Pace::InFlight(most) => (in_flight < most).then_some(now),
            Pace::PerSecond(rate) => {
                let due_at = self.next_at;
                if due_at > now {
                    return None;
                }
                let gap = self.gap() / rate;
                self.next_at += Duration::from_secs_f64(gap);
                Some(due_at)
            }
        }
    }

    /// How long to wait for what comes. The poll counts in milliseconds, so the last one is spent awake.
    fn patience(&self, now: Instant) -> Duration {
        match self.pace {
            Pace::InFlight(_) => Duration::from_millis(10),
            Pace::PerSecond(_) => {
                let left = self.next_at.saturating_duration_since(now).as_millis() as u64;
                Duration::from_millis(left.min(10))
            }
        }
    }

    /// From one line to the next, in units of the mean.
    fn gap(&mut self) -> f64 {
        if self.arrivals == Arrivals::Even {
            return 1.0;
        }
        // The generator gives numbers from 0 up to below 1, and 0 has no logarithm.
        -(1.0 - self.random.f64()).ln()
    }
}

/// A line of `bytes` bytes in all, with zeros where its number will be.
fn template(bytes: usize) -> Vec<u8> {
    let mut line = vec![b'0'; NUMBER_DIGITS];
    line.extend(WORDS.iter().cycle().take(bytes - NUMBER_DIGITS - 2));
    line.extend([MARK, b'\n']);
    line
}
