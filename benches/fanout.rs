//! What one delivered line costs the hub and its feed, without any socket: one person talks in a room of fake sockets.
//!
//! ```text
//! cargo bench --bench fanout
//! cargo bench --bench fanout -- --profile-time 10 1000_sessions/128      a flamegraph under target/criterion
//! ```

#![forbid(unsafe_code)]
// The clock is what a bench is about.
#![allow(clippy::disallowed_methods)]
#![allow(
    missing_docs,
    reason = "criterion's macros make functions that cannot have docs"
)]

#[path = "support/mod.rs"]
mod support;

use chatd::internals::bench::Room;
use chatd::server::Dialect;
use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};

/// Lines that are said in one turn.
const LINES: usize = 16;
/// In the rooms where some lag, every tenth does.
const LAGGING: usize = 10;
/// The first session talks.
const TALKER: usize = 0;

fn fanout(criterion: &mut Criterion) {
    for (lagging, who) in [(false, "all_quick"), (true, "a_tenth_lags")] {
        for sessions in [10, 100, 1000, 10_000] {
            let mut group = criterion.benchmark_group(format!("fanout/{who}/{sessions}_sessions"));
            for bytes in [16, 128, 512] {
                let deliveries = LINES * (sessions - 1);
                group.throughput(Throughput::Elements(deliveries as u64));
                group.bench_function(BenchmarkId::from_parameter(bytes), |bencher| {
                    let mut room = room(sessions, lagging);
                    let input = lines(bytes);
                    bencher.iter(|| {
                        room.unblock();
                        room.hear(TALKER, &input);
                    });
                    assert_eq!(room.open_sessions(), sessions, "nobody was dropped");
                    assert!(room.bytes_taken() > 0);
                });
            }
            group.finish();
        }
    }
}

fn room(sessions: usize, lagging: bool) -> Room {
    let mut room = Room::new();
    for number in 0..sessions {
        let lags = lagging && number % LAGGING == LAGGING - 1;
        room.connect(Dialect::Telnet, lags);
    }
    // The greetings, and that the first one is here.
    room.hear(TALKER, b"hello\r\n");
    for _ in 0..64 {
        room.unblock();
        room.flush();
    }
    room
}

fn lines(bytes: usize) -> Vec<u8> {
    let line = format!("{}\r\n", "x".repeat(bytes));
    line.repeat(LINES).into_bytes()
}

criterion_group! {
    name = benches;
    config = support::criterion();
    targets = fanout
}
criterion_main!(benches);
