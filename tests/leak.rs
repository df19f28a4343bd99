//! Nothing is left over: rounds of five hundred clients who leave in six ways, and every count back at rest.
//!
//! The real binary is looked at from outside, down to what is registered with epoll. A server inside this process has
//! its heap counted to the byte. And a leak that is planted must be found, or none of this would prove anything.
//!
//! The harness is not the usual one: the tests run one after the other, and what needs a C compiler can be reported
//! as ignored where there is none.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines of tests are real time"
)]

#[cfg(target_os = "linux")]
#[path = "leak/mod.rs"]
mod leak;
#[cfg(target_os = "linux")]
mod support;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    leak::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("what a process holds is read from /proc, so this is tested on Linux only");
}
