//! Several servers that share one chat through a real `redis-server`, where it is installed: what people see, and what
//! they see when the engine is killed, stopped, emptied, full or cut off, and when a server is.

mod support;

#[path = "relay/crowd.rs"]
mod crowd;
#[path = "relay/engine.rs"]
mod engine;
#[path = "relay/failing.rs"]
mod failing;
#[cfg(feature = "load")]
#[path = "relay/load.rs"]
mod load;
#[path = "relay/talking.rs"]
mod talking;

use libtest_mimic::{Arguments, Trial};
use support::programs::is_installed;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (name, test) in [
        ("two servers are one chat", talking::one_chat as fn()),
        ("rooms and keys are shared", talking::rooms_and_keys),
        ("private lines find their way", talking::private_lines),
        ("who is here is told at all servers", talking::who_is_here),
        ("every dialect hears the others", talking::every_dialect),
        (
            "who comes later finds all that is there",
            talking::who_comes_later,
        ),
        (
            "a name is one person's everywhere",
            talking::one_name_one_person,
        ),
        (
            "what an operator does to people is told",
            talking::operators,
        ),
        ("a server that stops says so", talking::a_server_stops),
        (
            "a server that is killed is gone after a lease",
            failing::a_server_is_killed,
        ),
        (
            "a server that was stopped comes back",
            failing::a_server_was_stopped,
        ),
        (
            "without an engine each is alone, and together again",
            failing::alone_and_back,
        ),
        (
            "names that were taken apart are settled",
            failing::names_are_settled,
        ),
        (
            "an engine that is missing at the start is no error",
            failing::missing_at_the_start,
        ),
        ("an engine that speaks rubbish is as none", failing::rubbish),
        (
            "a password and a user are what the engine wants",
            failing::password,
        ),
        ("an engine that is full is as none", failing::full),
        ("a failover is followed", failing::failover),
        ("all is heard once: nothing befalls", || crowd::run(&[])),
        (
            "all is heard once: the engine is killed, and keeps all",
            crowd::killed_with_log,
        ),
        (
            "all is heard once: the engine is killed, and keeps nothing",
            crowd::killed_empty,
        ),
        (
            "all is heard once: the engine is stopped for a moment",
            crowd::stopped_briefly,
        ),
        (
            "all is heard once: the engine is stopped for long",
            crowd::stopped_long,
        ),
        ("all is heard once: the engine is emptied", crowd::emptied),
        ("all is heard once: connections are cut", crowd::cut),
        ("all is heard once: a server is slow", crowd::slow_server),
        #[cfg(feature = "load")]
        (
            "a load over two servers hears all of its rooms",
            load::two_servers,
        ),
    ] {
        let run = move || {
            test();
            Ok(())
        };
        let is_missing = !is_installed("redis-server");
        trials.push(Trial::test(name, run).with_ignored_flag(is_missing));
    }
    libtest_mimic::run(&arguments, trials).exit();
}
