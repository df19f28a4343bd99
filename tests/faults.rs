//! Faults that the server must stand: each test carries the numbers of its cases, which the table in
//! `faults/README.md` tells of.
//!
//! They run the real server over real sockets; what can only be shown at the level of the hub is tested there. A test
//! whose surroundings cannot be had (a network of its own, a program) is reported as ignored, never as passed.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines of tests are real time"
)]

/// Lists tests by their own names.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        &[$((stringify!($name), $name)),*]
    };
}

#[path = "faults/closing.rs"]
mod closing;
#[path = "faults/crowds.rs"]
mod crowds;
#[path = "faults/input.rs"]
mod input;
#[path = "faults/memory.rs"]
mod memory;
#[path = "faults/network.rs"]
mod network;
#[path = "faults/operations.rs"]
mod operations;
mod support;
#[path = "faults/table.rs"]
mod table;

use libtest_mimic::{Arguments, Trial};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

/// A test's name, and what it does.
type Test = (&'static str, fn());

fn main() {
    let mut arguments = Arguments::from_args();
    // The crowds of several tests at a time need more descriptors than some systems give at first.
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).expect("the soft limit may be raised");
    // They wait more than they work.
    arguments.test_threads.get_or_insert(6);
    let modules = [
        closing::TESTS,
        crowds::TESTS,
        input::TESTS,
        memory::TESTS,
        operations::TESTS,
        table::TESTS,
    ];
    let mut trials: Vec<Trial> = modules.concat().into_iter().map(trial).collect();
    trials.extend(network::trials());
    trials.extend(operations::trials());
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial((name, test): Test) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// A test that says itself whether it can be run.
fn trial_if(possible: bool, test: Test) -> Trial {
    trial(test).with_ignored_flag(!possible)
}
