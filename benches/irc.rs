//! What the IRC dialect costs: a delivered line beside one in telnet, in one server, and a byte to a browser beside both;
//! and what IRC clients with nothing good in mind cost two others who talk.
//!
//! In one room there are people with telnet, in another one as many IRC clients, in a third as many browsers. They talk
//! by turns, so that all the CPU time of the server is of one of them, and what else the machine does meets all alike.
//! Then attackers do one thing each as fast as they may, under the default settings, and two talk in a room of their own.
//!
//! ```text
//! cargo bench --bench irc                    500 sessions of each, 64 attackers beside 1,000 people
//! cargo bench --bench irc -- cost attacks    only these
//! cargo bench --bench irc -- --test          for a moment, with few
//! ```
//!
//! `CHATD_BENCH_SERVER` names another server binary than the one just built. The exit status is 1 when something could not
//! be measured, a line was lost, or a bound does not hold: a line that is delivered in IRC, and a byte to a browser, costs
//! at most 1.1 times what it costs in telnet; beside attackers 99 in 100 lines of two others come within 50 ms.

#![forbid(unsafe_code)]
// The clock is what a bench is about.
#![allow(clippy::disallowed_methods)]

#[cfg(target_os = "linux")]
#[path = "irc/mod.rs"]
mod irc;
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
    process::main("irc", irc::bench)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("irc: reads CPU time from /proc, so it measures on Linux only");
}
