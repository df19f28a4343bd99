//! A simulation of the whole server but the kernel: the real loop over a simulated network.
//!
//! A seed decides the limits, who comes, what they do, and what befalls them and the kernel. After a time in which all
//! goes wrong nothing does any more, and all must come to rest: whoever stayed has heard everything, and in the end
//! nothing is left. What it must find lies in `tests/mutants/`.
//!
//! `CHATD_SIM_SEED` replays one seed, `CHATD_SIM_SEEDS` and `CHATD_SIM_STEPS` widen the run.

mod connection;
mod crowd;
mod directed;
mod judge;
mod network;
mod profile;
#[path = "../../../tests/sim/random.rs"]
mod random;
#[path = "../../../tests/sim/trace.rs"]
mod trace;

use std::any::Any;
use std::collections::BTreeMap;
use std::env;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::Duration;

use crate::ledger::CloseReason;
use crate::server::event_loop::EventLoop;
use crate::server::motd::MotdFile;

use crowd::{Crowd, SimulatedWorld, Stage, LISTENERS};
use network::{Faults, SimulatedNetwork};
use profile::Profile;

const SEEDS: u64 = 200;
const STEPS: u64 = 120;

/// More turns than any run needs.
const TURNS_MAX: usize = 200_000;

/// How often each thing was hit.
type Hits = BTreeMap<&'static str, u64>;

/// What the seeds of a normal run hit, all together, beside every reason to close.
const EXPECTED_HITS: [&str; 28] = [
    "leap of the clock",
    "accept: passing error",
    "accept: shortage",
    "register: fails",
    "read: interrupted",
    "read: end",
    "read: full buffer",
    "read: nothing",
    "read: reset",
    "broken while paused",
    "write: interrupted",
    "write: short",
    "write: blocks",
    "write: broken",
    "room again",
    "poll: interrupted",
    "spurious event",
    "stale event",
    "event told twice",
    "more is ready than a batch takes",
    "urgent data",
    "leap of the time of day",
    "accept: budget spent",
    "a round goes on",
    "turned away",
    "stopped: drained",
    "stopped: at once",
    "stopped: by the deadline",
];

/// A run under way.
struct Simulation {
    event_loop: EventLoop<SimulatedWorld>,
}

impl Simulation {
    fn new(seed: u64, steps: usize) -> Self {
        let mut random = random::Random::new(seed);
        let profile = Profile::any(&mut random, steps);
        let Profile {
            limits,
            admission,
            pace_max,
            ..
        } = profile;
        let mut network =
            SimulatedNetwork::new(random.next(), LISTENERS.len(), Crowd::new(profile, steps));
        if let Some(crowd) = &network.world {
            let profile = &crowd.profile;
            network.trace.note(format_args!("{profile:?}"));
            network.faults = Faults {
                short_writes: profile.short_writes,
                interrupted: profile.interrupted,
                spurious: profile.spurious,
                repeated_edges: profile.repeated_edges,
                ..Faults::default()
            };
            network.batch_max = profile.batch_max;
            network.write_cost = profile.write_cost;
            network.descriptors_max = profile.descriptors_max;
        }
        let event_loop = EventLoop::new(
            network,
            LISTENERS.to_vec(),
            limits,
            admission,
            pace_max,
            MotdFile(None),
        );
        Self {
            event_loop: event_loop.expect("no message is no error"),
        }
    }

    fn run(&mut self) {
        for _ in 0..TURNS_MAX {
            let goes_on = self.event_loop.turn().expect("no poll fails for good");
            self.check();
            if !goes_on {
                return self.stopped();
            }
            if self.event_loop.network().at_rest {
                self.rest();
            }
        }
        panic!("it does not come to an end");
    }

    /// What must be so after every turn.
    fn check(&mut self) {
        self.event_loop.check_invariants();
        let hub = self.event_loop.hub();
        let network = self.event_loop.network();
        let held = network.descriptors.len();
        assert_eq!(held, hub.len(), "descriptors and sessions");
        let registered = (network.connections.iter())
            .filter(|connection| connection.registered.is_some())
            .count();
        assert_eq!(registered, held, "registrations and descriptors");
        let opened = hub.ledger().opened();
        assert_eq!(opened, network.accepts, "opens and accepts");
        assert!(hub.memory() <= hub_memory_max(network), "memory");
        let in_a_round = hub.is_in_a_round();
        let accepts = network.accepts_of_turn;
        // Only when the door is closed all are taken in, to be told.
        assert!(
            accepts <= 64 || !network.listening,
            "{accepts} accepts in one turn"
        );
        let network = self.event_loop.network_mut();
        if accepts == 64 {
            network.hit("accept: budget spent");
        }
        if in_a_round {
            network.hit("a round goes on");
        }
    }

    fn rest(&mut self) {
        assert_eq!(
            self.event_loop.network().moved,
            0,
            "there was something to do, to which no edge and no timer led"
        );
        let stage = self
            .event_loop
            .network()
            .world
            .as_ref()
            .map(|crowd| crowd.stage);
        match stage {
            Some(Stage::Healing) => {
                self.judge(true);
                self.act(Crowd::leave_all);
            }
            Some(Stage::Leaving) => {
                self.judge(true);
                let hub = self.event_loop.hub();
                assert!(hub.is_empty(), "{} sessions stay", hub.len());
                assert_eq!(hub.memory(), 0, "memory at rest");
                self.act(|crowd, network| {
                    crowd.stage = Stage::Stopping;
                    crowd.stop(network);
                });
            }
            _ => panic!("nothing happens any more at {stage:?}"),
        }
    }

    fn stopped(&mut self) {
        self.judge(false);
        let hub = self.event_loop.hub();
        assert!(hub.is_empty(), "{} sessions at the end", hub.len());
        assert_eq!(
            hub.ledger().opened(),
            hub.ledger().closed(),
            "opens, closes"
        );
        let closes =
            CloseReason::ALL.map(|reason| (reason.as_str(), hub.ledger().closed_for(reason)));
        self.act(|crowd, network| {
            for (reason, count) in closes {
                *network.hits.entry(reason).or_default() += count;
            }
            let stopped_at = crowd.stopped_at.expect("somebody stopped it");
            let took = network.elapsed.saturating_sub(stopped_at);
            let most = crowd.profile.limits.drain + Duration::from_secs(1);
            assert!(took <= most, "stopping took {took:?}");
            let turned_away = |client: &&crowd::Client| client.number.is_some();
            let silent = (crowd.clients.iter().zip(&network.connections))
                .filter(|(client, connection)| {
                    turned_away(client) && !connection.ever_registered && connection.finished
                })
                .count();
            *network.hits.entry("turned away").or_default() += silent as u64;
            network.hit(if crowd.stops > 1 {
                "stopped: at once"
            } else if took >= crowd.profile.limits.drain {
                "stopped: by the deadline"
            } else {
                "stopped: drained"
            });
        });
    }

    fn act(&mut self, act: impl FnOnce(&mut Crowd, &mut SimulatedWorld)) {
        let network = self.event_loop.network_mut();
        if let Some(mut crowd) = network.world.take() {
            act(&mut crowd, network);
            network.world = Some(crowd);
        }
    }
}

fn hub_memory_max(network: &SimulatedWorld) -> usize {
    let crowd = network.world.as_ref();
    crowd.map_or(usize::MAX, |crowd| crowd.profile.limits.memory_max)
}

fn number_of(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

fn steps() -> u64 {
    number_of("CHATD_SIM_STEPS").unwrap_or(STEPS)
}

/// Runs one seed; gives what it hit and a digest of its trace, or how it failed.
fn try_seed(seed: u64) -> Result<(Hits, (u64, u64)), String> {
    let mut simulation = Simulation::new(seed, steps() as usize);
    let outcome = catch_unwind(AssertUnwindSafe(|| simulation.run()));
    let network = simulation.event_loop.network_mut();
    let trace = std::mem::take(&mut network.trace);
    match outcome {
        Ok(()) => Ok((std::mem::take(&mut network.hits), trace.digest())),
        Err(failure) => Err(format!(
            "{trace}CHATD_SIM_SEED={seed} CHATD_SIM_STEPS={} replays this: {}",
            steps(),
            words_of(&*failure)
        )),
    }
}

fn run_seed(seed: u64) -> (Hits, (u64, u64)) {
    try_seed(seed).unwrap_or_else(|failure| panic!("{failure}"))
}

fn words_of(failure: &(dyn Any + Send)) -> &str {
    let text = failure.downcast_ref::<String>().map(String::as_str);
    text.or(failure.downcast_ref::<&str>().copied())
        .unwrap_or("it failed")
}

#[test]
fn all_comes_to_rest_whatever_befalls_the_loop() {
    if let Some(seed) = number_of("CHATD_SIM_SEED") {
        run_seed(seed);
        return;
    }
    let seeds = number_of("CHATD_SIM_SEEDS").unwrap_or(SEEDS);
    let mut hits = Hits::new();
    for seed in 0..seeds {
        for (what, count) in run_seed(seed).0 {
            *hits.entry(what).or_default() += count;
        }
    }
    println!("{hits:#?}");
    if seeds >= SEEDS && steps() >= STEPS {
        let reasons = CloseReason::ALL.map(CloseReason::as_str);
        let missed: Vec<&str> = (EXPECTED_HITS.into_iter().chain(reasons))
            .filter(|what| hits.get(what).is_none_or(|count| *count == 0))
            .collect();
        assert!(missed.is_empty(), "no seed hit {missed:?}");
    }
}

#[test]
fn a_seed_of_the_loop_replays_the_same_steps() {
    let first = run_seed(7);
    assert_eq!(first, run_seed(7));
    assert_ne!(first.1, run_seed(8).1);
    assert!(first.1 .0 > 500, "so few steps prove nothing");
}
