//! Talkers and readers over links of a given width, with the settings that a server has by itself: nobody is closed, or
//! slowed, for what others say who takes what an ordinary line carries.

use std::collections::BTreeMap;

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;
use memchr::memmem;

use super::*;
use crate::dialect::Dialect;
use crate::rate::Rate;

const STEP: Duration = ms(10);
/// `send-buffer-bytes`: what the kernel takes for a client that does not read.
const WINDOW: usize = 128 * 1024;
const READERS: usize = 5;

/// The defaults, as the README lists them.
const DEFAULTS: Limits = Limits {
    line_bytes_max: 4096,
    queue: QueueLimits {
        bytes_max: 1 << 20,
        bytes_soft: 1 << 18,
        soft: Duration::from_secs(30),
        stall: Some(Duration::from_secs(30)),
    },
    line_rate: Rate {
        per_second: 10,
        burst: 40,
    },
    memory_max: 256 << 20,
    idle: None,
    drain: Duration::from_secs(5),
    history_lines: 20,
    pace_max: Some(ms(100)),
};

const PAYLOADS: [&[u8]; 3] = [b"as", "\u{4f60}".as_bytes(), b"x\xe4"];

/// A room: who talks, in which dialect and in which words, and how wide everybody's line is.
#[derive(Debug, Clone, Copy)]
struct Room {
    talkers: usize,
    dialect: Dialect,
    payload: &'static [u8],
    line_bytes: usize,
    /// In Mbit/s; 0: without a limit.
    link: usize,
    /// Readers who take nothing, all of one address.
    stalled: usize,
    seconds: u64,
}

/// What became of a room.
struct Outcome {
    /// Lines that were heard of each talker.
    lines: BTreeMap<String, u64>,
    /// How many people were closed who take what they can.
    closed: usize,
    stalled_closed: usize,
    reasons: Vec<CloseReason>,
    /// How many were told that the room is slow.
    told_slow: usize,
}

impl Room {
    /// A line as a talker sends it.
    fn line(&self) -> Vec<u8> {
        let words = self.payload.repeat(self.line_bytes / self.payload.len());
        match self.dialect {
            Dialect::Telnet => [&words[..], b"\r\n"].concat(),
            Dialect::Wire => format!("CHAT eA== {}\n", BASE64.encode(words)).into_bytes(),
        }
    }

    /// Whether a program is sure to keep up with one line a second of each talker, which nobody may take from them: the
    /// link carries them, and half a queue holds one of each, for they may be said at once before the room is behind.
    fn can_be_carried(&self) -> bool {
        let words = self.payload.repeat(self.line_bytes / self.payload.len());
        let heard = String::from_utf8_lossy(&words).len().div_ceil(3) * 4 * self.talkers;
        let is_carried = self.link == 0 || heard * 8 <= self.link * 1_000_000;
        is_carried && heard <= DEFAULTS.queue.bytes_max / 2
    }

    fn run(self) -> Outcome {
        let mut bench = Bench::paced(DEFAULTS, ADMISSION, DEFAULTS.pace_max);
        bench.is_checked = false;
        let mut count = 0_u16;
        let mut connect = |bench: &mut Bench, dialect: Dialect, window| {
            count += 1;
            let [high, low] = count.to_be_bytes();
            let from = SocketAddr::from(([10, 1, high, low], 1));
            bench.network().connect(dialect as usize, from, window)
        };
        let window = (self.link > 0).then_some(WINDOW);
        let witness = connect(&mut bench, Dialect::Telnet, None);
        let mut readers = Vec::new();
        for _ in 0..READERS {
            readers.push(connect(&mut bench, Dialect::Telnet, window));
            readers.push(connect(&mut bench, Dialect::Wire, window));
        }
        let talkers: Vec<usize> = (0..self.talkers)
            .map(|_| connect(&mut bench, self.dialect, window))
            .collect();
        readers.extend(&talkers);
        let stalled: Vec<usize> = (0..self.stalled)
            .map(|_| bench.knock_from([10, 2, 0, 1], Some(WINDOW)))
            .collect();
        bench.settle();
        let (line, mut lines) = (self.line(), BTreeMap::new());
        let (mut screen, mut told_slow) = (String::new(), 0);
        let bytes_a_step = if self.link > 0 {
            self.link * 1250
        } else {
            usize::MAX
        };
        for _ in 0..self.seconds * 100 {
            for client in &talkers {
                let connection = &mut bench.network().connections[*client];
                if connection.to_send.len() < line.len() {
                    connection.send(&line.repeat(1 + 16_384 / line.len()));
                }
                bench.network().deliver(*client, usize::MAX);
            }
            for client in &readers {
                bench.network().take(*client, bytes_a_step);
            }
            bench.pass(STEP);
            screen += &bench.screen(witness);
            while let Some(end) = screen.find('\n') {
                let name = screen[..end]
                    .strip_prefix('<')
                    .and_then(|line| line.split_once('>'));
                if let Some((name, _)) = name {
                    *lines.entry(name.to_owned()).or_default() += 1;
                }
                screen.drain(..=end);
            }
            for connection in &mut bench.network().connections {
                let told = memmem::find(&connection.fresh, b"room is slow");
                told_slow += usize::from(told.is_some());
                connection.fresh.clear();
                connection.received.clear();
            }
        }
        let mut closed = |clients: &[usize]| {
            clients
                .iter()
                .filter(|client| {
                    bench.network().connections[**client].finished || bench.is_closed(**client)
                })
                .count()
        };
        let (closed, stalled_closed) = (closed(&readers), closed(&stalled));
        Outcome {
            lines,
            closed,
            stalled_closed,
            reasons: bench.reasons,
            told_slow,
        }
    }

    /// Nobody is closed who takes what the link carries, and nobody is slowed below a line a second.
    fn check(self) -> Outcome {
        let outcome = self.run();
        assert_eq!(outcome.closed, 0, "{self:?}: {:?}", outcome.reasons);
        let talkers = outcome.lines.len();
        assert_eq!(talkers, self.talkers, "{self:?}: not everybody was heard");
        let fewest = outcome.lines.values().min().copied().unwrap_or(0);
        // The last line, and the first step, may not be over.
        assert!(fewest + 2 >= self.seconds, "{self:?}: {:?}", outcome.lines);
        outcome
    }
}

/// Each dialect with each payload.
fn kinds() -> impl Iterator<Item = (usize, Dialect, &'static [u8])> {
    let kinds = LISTENERS
        .into_iter()
        .flat_map(|dialect| PAYLOADS.map(|payload| (dialect, payload)));
    kinds
        .enumerate()
        .map(|(number, (dialect, payload))| (number, dialect, payload))
}

#[test]
fn f122_nobody_is_closed_who_reads_at_the_rate_of_an_ordinary_line() {
    let mut told_slow = 0;
    for link in [1, 5, 20, 100, 0] {
        for talkers in [1, 4, 16, 64] {
            for (number, dialect, payload) in kinds() {
                // On a wider line the kinds of words take turns.
                if link != 1 && link != 5 && number % 6 != (link + talkers) % 6 {
                    continue;
                }
                let room = Room {
                    talkers,
                    dialect,
                    payload,
                    line_bytes: 4090,
                    link,
                    stalled: 0,
                    seconds: if talkers == 64 { 2 } else { 4 },
                };
                if room.can_be_carried() {
                    told_slow += room.check().told_slow;
                }
            }
        }
    }
    assert!(told_slow > 0, "no room was ever behind");
}

#[test]
fn f123_one_stalled_reader_is_closed_as_ever_and_the_others_are_not() {
    for (link, talkers, line_bytes) in [(1, 16, 500), (5, 16, 500), (100, 4, 500), (0, 4, 500)] {
        let room = Room {
            talkers,
            dialect: Dialect::Telnet,
            payload: PAYLOADS[0],
            line_bytes,
            link,
            stalled: 1,
            seconds: 40,
        };
        let outcome = room.check();
        assert_eq!(outcome.stalled_closed, 1, "{room:?}: {:?}", outcome.reasons);
    }
}

#[test]
fn f123_stalled_readers_of_one_address_slow_nobody() {
    for link in [20, 0] {
        let room = |stalled| Room {
            talkers: 4,
            dialect: Dialect::Telnet,
            payload: PAYLOADS[0],
            line_bytes: 500,
            link,
            stalled,
            seconds: 40,
        };
        let outcome = room(64).check();
        assert_eq!(outcome.told_slow, 0, "with {link} Mbit/s");
        assert_eq!(outcome.stalled_closed, 64, "{:?}", outcome.reasons);
        // Each says what it may say alone, but for the last line.
        let fewest = outcome.lines.values().min().copied().unwrap_or(0);
        assert!(fewest >= 40 + 10 * 40 - 2, "{:?}", outcome.lines);
    }
}
