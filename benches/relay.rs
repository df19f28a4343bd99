//! What the way through the log costs when several servers share a chat, beside the bare engine and beside one server
//! alone, in one run.
//!
//! One person talks at one server and another listens at the other one. The **floor** is what the engine itself takes: one
//! plain socket appends every line with `XADD`, another one waits for it with `XREAD`. Beside them one server without
//! `relay` has both people. All do the same by turns. Told are how long a line takes from one to the other, and the CPU
//! time for each line: of the engine, and of each server.
//!
//! ```text
//! cargo bench --bench relay                 all
//! cargo bench --bench relay -- 10           as many seconds for each figure
//! cargo bench --bench relay -- --test       all for a moment
//! ```
//!
//! `CHATD_BENCH_SERVER` names another server binary than the one just built. The exit status is 1 when a line was lost or
//! something could not be measured, and when a ratio is above its bound. Where no `redis-server` is installed it says so,
//! and measures nothing.

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
#[path = "relay/mod.rs"]
mod relay;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    process::main("relay", relay::bench)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("relay: reads CPU time from /proc, so it measures on Linux only");
}
