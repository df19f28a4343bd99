//! The whole server over real loopback sockets, measured against the floor.
//!
//! The **floor** is what the bare `send` calls cost: a program with one thread and epoll that reads all ready sockets and
//! then makes one `send` per peer with everything read in this turn. The server and the floor do the same work for the
//! same clients, one after the other within one run, each on one core with the load on another. Told are the server
//! process's CPU time per delivered line and the latency of a sample of the deliveries.
//!
//! ```text
//! cargo bench --bench loopback                          all, once
//! cargo bench --bench loopback -- --runs 3              medians of three runs
//! cargo bench --bench loopback -- crowd joining         only these
//! cargo bench --bench loopback -- --test                every one for a moment, at a tiny size
//! cargo bench --bench loopback -- --help
//! ```
//!
//! The tables go to standard output, and to `target/loopback.csv` and `target/loopback.svg`. `CHATD_BENCH_SERVER` names
//! another server binary than the one just built. The exit status is 1 when a line was lost, garbled or doubled, a
//! session was dropped, or something could not be measured; a figure over its bound is told, and is no failure.

#![forbid(unsafe_code)]
// The clock is what a bench is about.
#![allow(clippy::disallowed_methods)]

#[cfg(target_os = "linux")]
#[path = "../src/bin/chatload/load/mod.rs"]
mod load;
#[cfg(target_os = "linux")]
#[path = "loopback/mod.rs"]
mod loopback;
#[cfg(target_os = "linux")]
#[path = "support/process.rs"]
mod process;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    process::main("loopback", loopback::bench)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("loopback: reads CPU time and memory from /proc, so it measures on Linux only");
}
