//! What TLS costs beside the same in clear, in one run: an idle session's memory, a delivered line, and many handshakes
//! while others talk; and what somebody can do with TLS who means harm.
//!
//! The server is a process of its own on one core, its clients are here on another. Told are the CPU time of the server
//! for each delivered line, resident memory for each session, and latencies.
//!
//! ```text
//! cargo bench --features tls --bench tls                    all
//! cargo bench --features tls --bench tls -- idle attacks    only these: idle, fan-out, storm, attacks
//! cargo bench --features tls --bench tls -- --test          all for a moment
//! ```
//!
//! `CHATD_BENCH_SERVER` names another server binary than the one just built. The exit status is 1 when something could not
//! be measured; a figure over its bar is told.

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
#[path = "tls/attacks.rs"]
mod attacks;
#[cfg(target_os = "linux")]
#[path = "tls/cost.rs"]
mod cost;
#[cfg(target_os = "linux")]
#[path = "tls/crowd.rs"]
mod crowd;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    process::main("tls", bench)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("tls: reads CPU time and memory from /proc, so it measures on Linux only");
}

#[cfg(target_os = "linux")]
fn bench(arguments: &[String]) -> std::io::Result<bool> {
    load::process::raise_descriptor_limit();
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let named: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let wants = |name: &str| named.is_empty() || named.contains(&name);
    let core = load::cores::split();
    if wants("idle") {
        cost::idle(core, if is_test { 20 } else { 1000 })?;
    }
    if wants("fan-out") {
        let (listeners, seconds) = if is_test { (20, 1) } else { (500, 6) };
        cost::fan_out(core, listeners, seconds)?;
    }
    if wants("storm") {
        cost::storm(core, if is_test { 20 } else { 1000 })?;
    }
    if wants("attacks") {
        attacks::all(core, if is_test { 1 } else { 4 })?;
    }
    Ok(true)
}
