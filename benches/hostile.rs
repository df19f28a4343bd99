//! What the worst neighbour can do: each thing that a session can send, as fast as the server takes it, beside others.
//!
//! Attackers send one request, or one class of bytes, over and over, in a room of members who only listen. Told are the
//! server's CPU time for each byte and each request that it took of them, what it took in a second, and the latency of
//! two pairs who talk meanwhile: one in the room, one by `/msg`. The server has its default settings; members and
//! attackers come from the loopback range, which `sessions-per-address-max` exempts, so nothing must be changed to
//! admit them.
//!
//! ```text
//! cargo bench --bench hostile                      all, in rooms of 10, 1,000 and 15,000 members
//! cargo bench --bench hostile -- --quick           rooms of 10 and 1,000, each case for a second
//! cargo bench --bench hostile -- --rooms 1000 who tab
//! cargo bench --bench hostile -- --everything      all at once for a minute, in a room of 15,000
//! cargo bench --bench hostile -- --test            every one for a moment, in a room of 5
//! cargo bench --bench hostile -- --help
//! ```
//!
//! The table goes to standard output and, with `--csv FILE`, to a file. `CHATD_BENCH_SERVER` names another server binary
//! than the one just built. The exit status is 1 when something could not be measured, or a line of one of the pairs was
//! lost, or when of what must hold with `--everything` something did not; no other figure is a failure.

#![forbid(unsafe_code)]
// The clock is what a bench is about.
#![allow(clippy::disallowed_methods)]

#[cfg(target_os = "linux")]
#[path = "hostile/mod.rs"]
mod hostile;
#[cfg(target_os = "linux")]
#[path = "../src/bin/chatload/load/mod.rs"]
mod load;
#[cfg(target_os = "linux")]
#[path = "support/process.rs"]
mod process;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    process::main("hostile", hostile::bench)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("hostile: reads CPU time and queues from /proc, so it measures on Linux only");
}
