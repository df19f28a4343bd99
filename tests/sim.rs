//! A seeded simulation of the hub: clients, sockets and the clock are scripted by chance, and a model that knows
//! nothing of the hub's workings says who must have received what.
//!
//! `CHATD_SIM_SEED` replays one seed and prints its last steps, `CHATD_SIM_SEEDS` and `CHATD_SIM_STEPS` widen the run.

#[path = "sim/comforts.rs"]
mod comforts;
#[path = "sim/compare.rs"]
mod compare;
#[path = "sim/directed.rs"]
mod directed;
#[path = "sim/model.rs"]
mod model;
#[path = "sim/presence.rs"]
mod presence;
#[path = "sim/random.rs"]
mod random;
#[path = "sim/run.rs"]
mod run;
#[path = "sim/script.rs"]
mod script;
#[path = "sim/session.rs"]
mod session;
#[path = "../src/test_log.rs"]
mod test_log;
#[path = "sim/time.rs"]
mod time;
#[path = "sim/trace.rs"]
mod trace;
#[path = "sim/transport.rs"]
mod transport;
#[path = "sim/words.rs"]
mod words;
#[path = "sim/world.rs"]
mod world;

use std::any::Any;
use std::env;
use std::panic::{catch_unwind, AssertUnwindSafe};

use run::{simulate, Hits};
use trace::Trace;

const SEEDS: u64 = 256;
const STEPS: u64 = 40;

/// What the seeds of a normal run hit at least once, all together.
const EXPECTED_HITS: [&str; 57] = [
    "quit",
    "eof",
    "reset",
    "slow-consumer",
    "hard limit",
    "soft limit",
    "write-stall",
    "idle",
    "flood",
    "full",
    "per-address",
    "shutdown",
    "wrong-protocol",
    "second close does nothing",
    "refused",
    "turned away",
    "slot used again",
    "stale id",
    "cut off",
    "leap of a day",
    "partial write",
    "interrupted write",
    "block",
    "write error",
    "last lines of one who takes nothing",
    "more lines than a turn takes",
    "said enough",
    "last line without an end",
    "last line is too long",
    "ended while draining",
    "reset while draining",
    "drain deadline",
    "linger ends by eof",
    "linger ends by bytes",
    "linger ends by time",
    "greeting leaves names out",
    "sum of joins",
    "sum of leaves",
    "came and went unseen",
    "name taken",
    "name freed and taken in one turn",
    "renamed",
    "action",
    "private",
    "private, to oneself",
    "programs hear nothing in private",
    "failed with nothing taken",
    "both dialects hear one line",
    "flush put off",
    "leaves before being told in the round",
    "only some are told",
    "newcomer is shown what was said",
    "unwanted line",
    "answered",
    "told of being away",
    "private, but ignored",
    "interrupted in earnest",
];

fn number_of(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={value} is no number")),
    )
}

/// Runs one seed; a failure says which, and what came before it.
fn run_seed(seed: u64, steps: u64) -> (Hits, (u64, u64)) {
    let mut trace = Trace::default();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        simulate(seed, steps as usize, &mut trace)
    }));
    match outcome {
        Ok(hits) => (hits, trace.digest()),
        Err(failure) => panic!(
            "{trace}CHATD_SIM_SEED={seed} CHATD_SIM_STEPS={steps} replays this: {}",
            words_of(&*failure)
        ),
    }
}

fn words_of(failure: &(dyn Any + Send)) -> &str {
    let text = failure.downcast_ref::<String>().map(String::as_str);
    text.or(failure.downcast_ref::<&str>().copied())
        .unwrap_or("it failed")
}

#[test]
fn everybody_gets_what_is_due_whatever_befalls() {
    let steps = number_of("CHATD_SIM_STEPS").unwrap_or(STEPS);
    if let Some(seed) = number_of("CHATD_SIM_SEED") {
        run_seed(seed, steps);
        return;
    }
    let seeds = number_of("CHATD_SIM_SEEDS").unwrap_or(SEEDS);
    let mut hits = Hits::new();
    for seed in 0..seeds {
        for (what, count) in run_seed(seed, steps).0 {
            *hits.entry(what).or_default() += count;
        }
    }
    println!("{hits:#?}");
    if seeds >= SEEDS && steps >= STEPS {
        let missed: Vec<&str> = EXPECTED_HITS
            .into_iter()
            .filter(|what| hits.get(what).is_none_or(|count| *count == 0))
            .collect();
        assert!(missed.is_empty(), "no seed hit {missed:?}");
    }
}

#[test]
fn a_seed_replays_the_same_steps() {
    let first = run_seed(7, STEPS);
    assert_eq!(first, run_seed(7, STEPS));
    assert_ne!(first.1, run_seed(8, STEPS).1);
    assert!(first.1 .0 > 100, "so few steps prove nothing");
}
