//! How fast bytes become lines, and lines become what is said: the line buffer, telnet, hygiene, base64.
//!
//! The line buffer and hygiene are measured by themselves; telnet and base64 through a hub in which nobody listens, so
//! what is measured there is everything that happens to a line that comes in.
//!
//! ```text
//! cargo bench --bench framing
//! cargo bench --bench framing -- --profile-time 10 hygiene
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

use std::hint::black_box;

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;
use chatd::internals::bench::{clean, count_lines, Room};
use chatd::server::Dialect;
use criterion::{criterion_group, criterion_main, BenchmarkId, Criterion, Throughput};

/// What one read of the server brings at most.
const INPUT_BYTES: usize = 64 * 1024;
const LINE_BYTES_MAX: usize = 4096;

/// Bytes to lines, by the length of the lines and by how the bytes are cut.
fn lines(criterion: &mut Criterion) {
    for length in [16, 64, 512, 4096] {
        let mut group = criterion.benchmark_group(format!("framing/lines_of_{length}"));
        let input = repeated(&[&vec![b'x'; length][..], b"\r\n"].concat());
        group.throughput(Throughput::Bytes(input.len() as u64));
        for (cut, name) in [
            (INPUT_BYTES * 2, "whole"),
            (1460, "1460"),
            (7, "7"),
            (1, "1"),
        ] {
            group.bench_function(BenchmarkId::new("cut", name), |bencher| {
                bencher.iter(|| count_lines(black_box(&input), cut, LINE_BYTES_MAX));
            });
        }
        group.finish();
    }
}

/// What people type, through telnet.
fn telnet(criterion: &mut Criterion) {
    let cases: [(&str, &[u8]); 3] = [
        ("plain", b"what a person would type into a line of a chat\r\n"),
        ("doubled_iac", b"a byte \xff\xff that telnet has to double, and again \xff\xff\r\n"),
        // Do Not Echo, Will Window Size, a window, and No Operation.
        (
            "commands",
            b"\xff\xfe\x01text\xff\xfb\x1f between\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0 commands\xff\xf1\r\n",
        ),
    ];
    heard(criterion, "telnet", Dialect::Telnet, &cases);
}

/// What programs say, in base64.
fn wire(criterion: &mut Criterion) {
    let of_length = |length: usize| {
        let words = BASE64.encode(vec![b'x'; length]);
        format!("CHAT YW5u {words}\n").into_bytes()
    };
    let lines = [16, 128, 512, 4096].map(of_length);
    let [short, medium, long, longest] = &lines;
    let cases = [
        ("16", &short[..]),
        ("128", &medium[..]),
        ("512", &long[..]),
        ("4096", &longest[..]),
    ];
    heard(criterion, "base64", Dialect::Wire, &cases);
}

fn heard(criterion: &mut Criterion, name: &str, dialect: Dialect, cases: &[(&str, &[u8])]) {
    let mut group = criterion.benchmark_group(format!("framing/{name}"));
    for (case, line) in cases {
        let input = repeated(line);
        let mut room = Room::new();
        room.connect(dialect, false);
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(*case, |bencher| {
            bencher.iter(|| room.hear(0, black_box(&input)));
        });
        assert_eq!(room.open_sessions(), 1, "it was not dropped");
    }
    group.finish();
}

/// What may reach another person's terminal.
fn hygiene(criterion: &mut Criterion) {
    let cases: [(&str, Vec<u8>); 3] = [
        ("ascii", b"what a person would type into a line of a chat; ".repeat(10)),
        ("chinese", "聊天室里的人会打进来的一行字，".repeat(10).into_bytes()),
        (
            "hostile",
            b"\x1b[31mred\x1b]0;title\x07 \xe2\x80\xaegnp\xe2\x80\xac \xff\xfe\xc3 z\xcc\x81\xcc\x82\xcc\x83\xcc\x84 \x00\x9b".repeat(10),
        ),
    ];
    let mut group = criterion.benchmark_group("framing/hygiene");
    for (case, line) in cases {
        group.throughput(Throughput::Bytes(line.len() as u64));
        group.bench_function(case, |bencher| {
            bencher.iter(|| clean(black_box(&line)));
        });
    }
    group.finish();
}

/// As many whole lines as one read brings.
fn repeated(line: &[u8]) -> Vec<u8> {
    line.repeat((INPUT_BYTES / line.len()).max(1))
}

criterion_group! {
    name = benches;
    config = support::criterion();
    targets = lines, telnet, wire, hygiene
}
criterion_main!(benches);
