//! What the tests over real sockets share: the server as a process, people and programs who talk to it, and
//! conversations written as text.
//!
//! Nothing here sleeps to let things happen: every wait is for a condition, and fails at [`DEADLINE`] with what was
//! seen until then.

#![allow(dead_code, reason = "each test crate uses a part of it")]
#![allow(
    clippy::disallowed_methods,
    reason = "deadlines of tests are real time"
)]

pub(crate) mod browser;
pub(crate) mod http;
pub(crate) mod operator;
pub(crate) mod own_network;
pub(crate) mod person;
pub(crate) mod planted;
pub(crate) mod programs;
pub(crate) mod random;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod settings_table;
pub(crate) mod small_disk;
pub(crate) mod terminal;
pub(crate) mod transcript;
pub(crate) mod webdriver;

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Nothing that a test waits for takes so long, however loaded the machine is.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up_at = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < give_up_at, "never came true: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// How many TCP sockets with this local port there are in each state, as `/proc/net/tcp` has it (`01` is established,
/// `08` is `CLOSE_WAIT`). Each counts once: the kernel lists a socket twice while others come and go.
pub(crate) fn tcp_states(port: u16) -> BTreeMap<String, usize> {
    let local_end = format!(":{port:04X}");
    let mut state_of = BTreeMap::new();
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        let table = fs::read_to_string(table).unwrap_or_default();
        for line in table.lines().skip(1) {
            let mut fields = line.split_whitespace().skip(1).map(str::to_owned);
            if let (Some(local), Some(remote), Some(state)) =
                (fields.next(), fields.next(), fields.next())
            {
                if local.ends_with(&local_end) {
                    state_of.insert((local, remote), state);
                }
            }
        }
    }
    let mut states = BTreeMap::new();
    for state in state_of.into_values() {
        *states.entry(state).or_default() += 1;
    }
    states
}
