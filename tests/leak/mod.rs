mod crowd;
mod heap;
mod inside;
mod outside;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

use crate::support::planted;
use crowd::Watched;
use inside::Inside;
use outside::Outside;

/// What was counted, by name.
type Counts = BTreeMap<String, u64>;

/// Limits so small that a client is soon too slow, and a farewell that nobody takes is soon given up.
const SETTINGS: [&str; 7] = [
    "history-lines=0",
    "lines-per-second=0",
    "send-buffer-bytes=4k",
    "queue-bytes-max=64k",
    "queue-bytes-soft=64k",
    "pace-ms-max=0",
    "drain-seconds=0.2",
];

pub(crate) fn main() -> ExitCode {
    // A server inside has as many descriptors as its clients.
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).expect("the soft limit may be raised");
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let leak = planted::leak();
    let trials = vec![
        trial("everything_is_given_back", everything_is_given_back),
        trial(
            "the_heap_is_the_same_to_the_byte",
            the_heap_is_the_same_to_the_byte,
        ),
        trial("a_planted_leak_is_found", {
            let leak = leak.clone();
            move || a_planted_leak_is_found(&leak.expect("not run without one"))
        })
        .with_ignored_flag(leak.is_none()),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

fn everything_is_given_back() {
    let server = Outside::start(crate::support::server::chatd());
    crowd::warm_up(&server);
    let rest = server.rest();
    assert_eq!(rest["threads"], 1);
    // Two listeners, the waker, the signals.
    assert_eq!(rest["registered with epoll"], 4);
    for round in 1..=3 {
        crowd::play(&server);
        let differences = crowd::differences_at_rest(&server, &rest);
        assert_eq!(differences, Vec::<String>::new(), "after round {round}");
    }
}

fn a_planted_leak_is_found(leak: &Path) {
    let server = Outside::start(planted::leaking_chatd(leak));
    crowd::warm_up(&server);
    let rest = server.rest();
    crowd::play(&server);
    let differences = crowd::differences_at_rest(&server, &rest);
    for name in ["descriptors", "registered with epoll"] {
        assert!(
            differences.iter().any(|found| found.starts_with(name)),
            "{name} is not among {differences:?}"
        );
    }
}

fn the_heap_is_the_same_to_the_byte() {
    let server = Inside::start();
    crowd::warm_up(&server);
    let rest = server.rest();
    let mut levels = Vec::new();
    for round in 1..=3 {
        crowd::play(&server);
        let differences = crowd::differences_at_rest(&server, &rest);
        assert_eq!(differences, Vec::<String>::new(), "after round {round}");
        crowd::wait_for_quiet(&server);
        levels.push(heap::live_at_rest());
    }
    // The first round may still teach vectors how long they have to be.
    let grown = heap::differences(&levels[1], &levels[2]);
    assert_eq!(grown, Vec::<String>::new(), "from round 2 to round 3");
}
