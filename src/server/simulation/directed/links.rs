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
    web_history_lines: 0,
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
    rooms_max: 200,
    names_kept_max: 10_000,
    names_kept_days: Some(180),
    history_lines: 20,
    pace_max: Some(ms(100)),
};

/// How somebody talks: in which dialect, and in which words over and over again.
type Kind = (Dialect, &'static [u8]);

/// Each dialect with each payload.
static KINDS: [Kind; 6] = [
    (Dialect::Telnet, b"as"),
    (Dialect::Telnet, "\u{4f60}".as_bytes()),
    (Dialect::Telnet, b"x\xe4"),
    (Dialect::Wire, b"as"),
    (Dialect::Wire, "\u{4f60}".as_bytes()),
    (Dialect::Wire, b"x\xe4"),
];

/// A room: who talks, and how, and how wide everybody's line is.
#[derive(Debug, Clone, Copy)]
struct Room {
    talkers: usize,
    /// The talkers take turns with these.
    kinds: &'static [Kind],
    line_bytes: usize,
    /// In Mbit/s; 0: without a limit.
    link: usize,
    /// Readers who take next to nothing, all of one address.
    stalled: usize,
    /// How many bytes each of these takes in a second.
    stalled_bytes: usize,
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
    /// The kinds of the talkers.
    fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.kinds.iter().copied().cycle().take(self.talkers)
    }

    fn words(&self, payload: &[u8]) -> Vec<u8> {
        payload.repeat(self.line_bytes / payload.len())
    }

    /// A line as a talker sends it.
    fn line(&self, (dialect, payload): Kind) -> Vec<u8> {
        let words = self.words(payload);
        match dialect {
            Dialect::Telnet => [&words[..], b"\r\n"].concat(),
            Dialect::Wire => format!("CHAT eA== {}\n", BASE64.encode(words)).into_bytes(),
            other => unreachable!("nobody here speaks {other}"),
        }
    }

    /// Whether the link carries to a program one line a second of each talker, which nobody may take from them.
    fn can_be_carried(&self) -> bool {
        let heard = |(_, payload): Kind| {
            let words = self.words(payload);
            String::from_utf8_lossy(&words).len().div_ceil(3) * 4
        };
        let heard: usize = self.kinds().map(heard).sum();
        self.link == 0 || heard * 8 <= self.link * 1_000_000
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
        let talkers: Vec<(usize, Vec<u8>)> = self
            .kinds()
            .map(|kind| (connect(&mut bench, kind.0, window), self.line(kind)))
            .collect();
        readers.extend(talkers.iter().map(|(client, _)| client));
        let stalled: Vec<usize> = (0..self.stalled)
            .map(|_| bench.knock_from([10, 2, 0, 1], Some(WINDOW)))
            .collect();
        bench.settle();
        let mut lines = BTreeMap::new();
        let (mut screen, mut told_slow) = (String::new(), 0);
        let bytes_a_step = if self.link > 0 {
            self.link * 1250
        } else {
            usize::MAX
        };
        for step in 0..self.seconds * 100 {
            for (client, line) in &talkers {
                let connection = &mut bench.network().connections[*client];
                if connection.to_send.len() < line.len() {
                    connection.send(&line.repeat(1 + 16_384 / line.len()));
                }
                bench.network().deliver(*client, usize::MAX);
            }
            for client in &readers {
                bench.network().take(*client, bytes_a_step);
            }
            for client in stalled.iter().filter(|_| step % 100 == 0) {
                bench.network().take(*client, self.stalled_bytes);
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

#[test]
fn f122_nobody_is_closed_who_reads_at_the_rate_of_an_ordinary_line() {
    let mut told_slow = 0;
    for link in [1, 5, 20, 100, 0] {
        for talkers in [1, 4, 16, 64] {
            let room = |kinds| Room {
                talkers,
                kinds,
                line_bytes: 4090,
                link,
                stalled: 0,
                stalled_bytes: 0,
                seconds: if talkers == 64 { 2 } else { 4 },
            };
            let kinds = KINDS.chunks(1).enumerate();
            // On a wider line the kinds of words take turns.
            let of_one_kind = kinds
                .filter(|(number, _)| link == 1 || link == 5 || *number == (link + talkers) % 6);
            let of_all = (0, &KINDS[..]);
            for (_, kinds) in of_one_kind.chain([of_all]) {
                if room(kinds).can_be_carried() {
                    told_slow += room(kinds).check().told_slow;
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
            kinds: &KINDS[..1],
            line_bytes,
            link,
            stalled: 1,
            stalled_bytes: 0,
            seconds: 40,
        };
        let outcome = room.check();
        assert_eq!(outcome.stalled_closed, 1, "{room:?}: {:?}", outcome.reasons);
    }
}

#[test]
fn f123_stalled_readers_of_one_address_slow_nobody() {
    let of_stalled = [
        (64, 0, CloseReason::WriteStall),
        // The write that is tried before a close takes the few bytes for which there is room, so that is no stall; but
        // too much waits for too long.
        (64, 1, CloseReason::SlowConsumer),
        (1, 1, CloseReason::SlowConsumer),
        (1, 2048, CloseReason::SlowConsumer),
    ];
    for link in [20, 0] {
        for (stalled, stalled_bytes, reason) in of_stalled {
            let room = Room {
                talkers: 4,
                kinds: &KINDS[..1],
                line_bytes: 500,
                link,
                stalled,
                stalled_bytes,
                seconds: 60,
            };
            let outcome = room.check();
            assert_eq!(outcome.told_slow, 0, "{room:?}");
            assert_eq!(outcome.stalled_closed, stalled, "{room:?}");
            assert_eq!(outcome.reasons, vec![reason; stalled], "{room:?}");
            // Each says what it may say alone, but for the last line.
            let fewest = outcome.lines.values().min().copied().unwrap_or(0);
            assert!(fewest >= 40 + 10 * 60 - 2, "{:?}", outcome.lines);
        }
    }
}

/// Somebody who says much, and two who do not take it: a room that is behind.
fn behind() -> (Bench, usize, [usize; 2]) {
    let line_rate = Rate {
        per_second: 1000,
        burst: 1000,
    };
    let mut bench = Bench::with(
        Limits {
            line_rate,
            ..DEFAULTS
        },
        ADMISSION,
    );
    let talker = bench.join();
    let readers = [(); 2].map(|()| bench.join_with(Some(1000)));
    bench.settle();
    bench.screen(talker);
    bench.send(talker, ("x".repeat(4000) + "\n").repeat(60));
    bench.settle();
    let seen = bench.screen(talker);
    assert_eq!(seen, "-- the room is slow; your lines wait\r\n");
    (bench, talker, readers)
}

#[test]
fn f122_a_room_that_has_caught_up_is_slow_no_more() {
    let (mut bench, talker, readers) = behind();
    for _ in 0..7000 {
        bench.network().deliver(talker, usize::MAX);
        for reader in readers {
            bench.network().take(reader, usize::MAX);
        }
        bench.pass(ms(10));
    }
    assert_eq!(memory(bench.census()), 0);
    bench.screen(talker);
    for reader in readers {
        bench.screen(reader);
    }
    bench.send(talker, lines(3));
    bench.settle();
    assert_eq!(bench.screen(talker), "", "it is told nothing");
    bench.network().take(readers[0], usize::MAX);
    let heard = bench.screen(readers[0]);
    assert_eq!(heard.lines().count(), 3, "{heard}");
}
