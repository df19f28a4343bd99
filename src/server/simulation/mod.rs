//! The simulation of the whole server but the kernel: the real loop, and the hub in it, over a simulated network.
//!
//! A seed decides the limits, who comes, what they do, and what befalls them and the kernel. A model that knows nothing
//! of the hub's workings says after every turn who must have received what, who may end, and what is left. After a time
//! in which all goes wrong nothing does any more, and all must come to rest: those who stayed have heard everything, and
//! in the end nothing is left. What it must find lies in `tests/mutants/`.
//!
//! `CHATD_SIM_SEED` replays one seed and prints its last steps, `CHATD_SIM_SEEDS` and `CHATD_SIM_STEPS` widen the run.

#![allow(
    clippy::match_wildcard_for_single_variants,
    reason = "what is spoken by nobody here is one arm, however much that is"
)]

mod connection;
mod directed;
mod expected;
mod hand;
mod model;
mod network;
mod people;
mod profile;
mod script;
mod server;
mod trace;

use std::any::Any;
use std::env;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::time::Duration;

use crate::dialect::Dialect;
use crate::hub::Census;
use crate::ledger::{CloseReason, Ledger};
use crate::random::Random;
use crate::server::network::Wakeup;
use crate::settings::Settings;
use crate::work::Work;

use connection::End;
use expected::EXPECTED_HITS;
use hand::Hand;
use model::rules_file::RulesFile;
use network::{Act, Clock, Faults, Hits, SimulatedNetwork};
use people::{People, Stage};
use profile::Profile;
use server::Server;

/// The dialects of the listeners, by their number.
const LISTENERS: [Dialect; 2] = [Dialect::Telnet, Dialect::Wire];
/// The number of the one for operators, behind these.
const OPERATORS: usize = LISTENERS.len();
/// Those whose clients wait at the door first, behind that.
const DOORS: [Dialect; 2] = [Dialect::Irc, Dialect::Web];
const LISTENERS_ALL: usize = OPERATORS + 1 + DOORS.len();

/// What one session may make the server do in one call, and a last request with that.
const CALL_SHARE: Work = Work::CALL_MAX.times(2);
/// At least this many of those who stay, and of those who leave, are heard in a turn, whatever was done before.
const TURN_READS_MIN: usize = 2 * 8;
/// The bound of the work of one flush: a step of a list may be begun just before the budget is spent.
const FLUSH_WORK_MAX: Work = Work::TURN_MAX.plus(Work::CALL_MAX);
/// The bound of the work of one read phase.
const WORK_MAX: Work = Work::TURN_MAX.plus(CALL_SHARE.times(TURN_READS_MIN));

/// At most this much waits for one who does not read: what stops it, a part of a list or what one command is answered,
/// and what a socket of the simulation takes meanwhile.
const WAITING_MAX: usize = 2 * 64 * 1024;

const SEEDS: u64 = 200;
const STEPS: u64 = 120;

/// More turns than any run needs.
const TURNS_MAX: usize = 200_000;
/// When nothing is to happen for this long, all is at rest: longer than every deadline of a session that closes.
const QUIET: Duration = Duration::from_secs(12);

/// What newcomers are shown in some runs.
const MESSAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/server/simulation/motd.txt"
);

fn message(profile: &Profile) -> Option<PathBuf> {
    profile.has_message.then(|| MESSAGE.into())
}

/// What all queues and buffers hold together.
fn memory(census: Census) -> usize {
    census.queued_bytes + census.input_bytes
}

/// A run under way.
struct Simulation {
    server: Server,
    people: People,
    /// Decides how the settings change, in some runs.
    changes: Option<Random>,
    /// Edits the file of the rules, in some runs.
    hand: Option<Hand>,
    /// The file is as it should be.
    has_healed: bool,
}

impl Simulation {
    fn new(seed: u64, steps: usize) -> Self {
        let mut random = Random::new(seed);
        let profile = Profile::any(&mut random, steps);
        let mut network = SimulatedNetwork::new(Clock::new(), random.next(), LISTENERS_ALL);
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
        let hand = (seed % 4 == 2).then(|| Hand::new(Random::new(!seed)));
        let settings = Settings {
            motd_file: message(&profile),
            bans_file: hand.as_ref().map(Hand::path),
            ..profile.terms.settings()
        };
        let server = Server::with(network, &settings);
        let mut people = People::new(profile, random, steps);
        let path = settings.bans_file.map(|path| path.display().to_string());
        people.model.rules_file = path.map(RulesFile::new);
        Self {
            server,
            people,
            changes: seed.is_multiple_of(3).then(|| Random::new(!seed)),
            hand,
            has_healed: false,
        }
    }

    /// Somebody edits the file of the rules, now and then; when all heals it is mended, and read.
    fn edit_rules(&mut self) {
        let people = &mut self.people;
        let (Some(hand), 0) = (&mut self.hand, people.stops) else {
            return;
        };
        let (edit, calls) = match people.stage {
            Stage::Faults(_) if hand.is_at_work() => (Some(hand.edit()), hand.calls()),
            Stage::Healing if !self.has_healed => {
                self.has_healed = true;
                (hand.mend(), true)
            }
            _ => return,
        };
        let network = self.server.network();
        network
            .trace
            .note(format_args!("a hand at the rules: {edit:?}"));
        if let (Some(edit), Some(file)) = (edit, &mut people.model.rules_file) {
            file.note(edit);
        }
        if calls {
            network.signals.push_back(Wakeup::Reload);
        }
    }

    /// Lets other limits hold from the middle of the next turn on, now and then.
    fn change_settings(&mut self) {
        let people = &mut self.people;
        let may_change = matches!(people.stage, Stage::Faults(_)) && people.stops == 0;
        let Some(random) = self.changes.as_mut().filter(|_| may_change) else {
            return;
        };
        if random.percent(10) {
            let terms = people.profile.others(&people.model.terms, random);
            let event_loop = &mut self.server.event_loop;
            event_loop.plant(&Settings {
                motd_file: message(&people.profile),
                bans_file: self.hand.as_ref().map(Hand::path),
                ..terms.settings()
            });
            let trace = &mut event_loop.network_mut().trace;
            trace.note(format_args!("-- {terms:?}"));
            people.model.planned = Some(terms);
        }
    }

    fn run(&mut self) {
        for _ in 0..TURNS_MAX {
            let is_at_rest = self.wait();
            self.change_settings();
            self.edit_rules();
            let goes_on = self.server.turn();
            self.check();
            if !goes_on {
                return self.check_stop();
            }
            if is_at_rest {
                self.rest();
            }
        }
        panic!("it does not come to an end");
    }

    /// Lets time pass until the server has something to do; gives whether nothing will happen any more.
    fn wait(&mut self) -> bool {
        loop {
            let now = self.server.clock.elapsed();
            let acts_at = self.people.next_at(self.server.event_loop.network());
            if acts_at.is_some_and(|at| at <= now) {
                self.people.act(self.server.network());
                continue;
            }
            let wakes_at = self.server.wakes_at();
            if let Some(acts_at) = acts_at.filter(|at| wakes_at.is_none_or(|wakes| *at <= wakes)) {
                self.server.clock.pass_until(acts_at);
                continue;
            }
            let quiet_at = acts_at.map_or(now + QUIET, |_| Duration::MAX);
            let until = wakes_at.map_or(quiet_at, |at| at.min(quiet_at));
            self.server.clock.pass_until(until);
            return wakes_at.is_none_or(|at| at > quiet_at);
        }
    }

    /// What must be so after every turn.
    fn check(&mut self) {
        let event_loop = &mut self.server.event_loop;
        event_loop.check_invariants();
        let (census, diary) = (event_loop.census(), event_loop.take_diary());
        let held = event_loop.memory();
        let waiting = event_loop.waiting_for_operators();
        let (opened, timeout) = (event_loop.ledger().opened(), event_loop.timeout());
        let Ledger {
            work, flush_work, ..
        } = *event_loop.ledger();
        let closed = CloseReason::ALL.map(|reason| event_loop.ledger().closed_for(reason));
        let network = event_loop.network_mut();
        assert!(work <= WORK_MAX, "{work:?} in one turn");
        assert!(flush_work <= FLUSH_WORK_MAX, "{flush_work:?} in one flush");
        if work >= Work::TURN_MAX {
            network.hit("work budget carried over");
        }
        let accepts = network.acts.iter();
        let accepts = accepts.filter(|act| matches!(act, Act::Accept(_))).count();
        // Only when the door is closed all are taken in, to be told.
        let is_within = accepts <= 64 || !network.listening;
        assert!(is_within, "{accepts} accepts in one turn");
        if accepts == 64 {
            network.hit("accept: budget spent");
        }
        let model = &mut self.people.model;
        model.replay(network, diary, census);
        // What waits to be told to all counts, and nobody is closed for that alone.
        let is_within = held <= model.terms.limits.memory_max || memory(census) == 0;
        let is_within = is_within || model.told_late;
        assert!(is_within, "{held} bytes");
        assert_eq!(model.opened, opened, "opened");
        let accepts = opened + model.operators.accepted();
        assert_eq!(accepts, network.accepts, "opens and accepts");
        assert_eq!(
            CloseReason::ALL.map(|reason| model.closed_for(reason)),
            closed
        );
        let held = network.descriptors.len();
        let operators = model.operators.held();
        let is_within = waiting <= operators * WAITING_MAX;
        assert!(is_within, "{waiting} bytes for {operators} operators");
        assert_eq!(
            held,
            model.sessions.len() + operators,
            "descriptors and sessions"
        );
        let is_registered =
            |(_, client): &(usize, &usize)| network.connections[**client].registered.is_some();
        let registered = network.descriptors.iter().filter(is_registered).count();
        assert_eq!(
            registered,
            held - operators,
            "registrations and descriptors"
        );
        model.check_deadlines(network.server_time(), timeout);
    }

    fn rest(&mut self) {
        assert_eq!(
            self.server.network().moved,
            0,
            "there was something to do, to which no edge and no timer led"
        );
        self.people
            .check_all_is_heard(self.server.event_loop.network());
        if let Some(hand) = &self.hand {
            // Where the settings cannot be read again, nothing is.
            if self.server.event_loop.reload.is_good {
                self.people.model.check_rules_file(&hand.text());
            }
        }
        let network = self.server.event_loop.network_mut();
        match self.people.stage {
            Stage::Healing => self.people.leave_all(network),
            Stage::Leaving => {
                self.people.stage = Stage::Stopping;
                self.people.stop(network);
                self.check_nothing_left();
            }
            stage => panic!("nothing happens any more at {stage:?}"),
        }
    }

    /// Everything is back to what it was before anybody came.
    fn check_nothing_left(&mut self) {
        let event_loop = &mut self.server.event_loop;
        assert_eq!(event_loop.census(), Census::default());
        assert_eq!(event_loop.ledger().opened(), event_loop.ledger().closed());
        let operators = self.people.model.operators.held();
        assert_eq!(event_loop.network().descriptors.len(), operators);
    }

    fn check_stop(&mut self) {
        self.check_nothing_left();
        let people = &self.people;
        let drain = people.model.terms.limits.drain;
        let stopped_at = people.model.stopped_at.expect("somebody stopped it");
        let network = self.server.event_loop.network();
        let took = network.server_time().saturating_sub(stopped_at);
        assert!(
            took <= drain + Duration::from_secs(1),
            "stopping took {took:?}"
        );
        let network = self.server.event_loop.network_mut();
        network.hit(if people.stops > 1 {
            "stopped: at once"
        } else if took >= drain {
            "stopped: by the deadline"
        } else {
            "stopped: drained"
        });
        for (client, reason) in &people.model.reasons {
            let connection = &network.connections[*client];
            let reads = connection.window.is_none() && !connection.is_broken();
            let is_told = !matches!(reason, CloseReason::Reset | CloseReason::SlowConsumer);
            // A server that is stopped twice ends at once, without words.
            if reads && is_told && connection.ever_registered && people.stops < 2 {
                assert_eq!(
                    connection.end,
                    Some(End::Orderly),
                    "the end of {client}: {reason}"
                );
            }
        }
    }

    /// What was hit by all.
    fn take_hits(&mut self) -> Hits {
        let mut hits = std::mem::take(&mut self.server.network().hits);
        for (what, count) in &self.people.model.hits {
            *hits.entry(what).or_default() += count;
        }
        hits
    }
}

fn number_of(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={value} is no number")))
}

fn steps() -> u64 {
    number_of("CHATD_SIM_STEPS").unwrap_or(STEPS)
}

/// Runs one seed; gives what it hit and a digest of its trace. A failure says which seed it was, and what came before.
fn run_seed(seed: u64) -> (Hits, (u64, u64)) {
    let mut simulation = Simulation::new(seed, steps() as usize);
    let digest = run_to_its_end(seed, &mut simulation);
    (simulation.take_hits(), digest)
}

/// Runs it; gives a digest of its trace.
fn run_to_its_end(seed: u64, simulation: &mut Simulation) -> (u64, u64) {
    let outcome = catch_unwind(AssertUnwindSafe(|| simulation.run()));
    let trace = std::mem::take(&mut simulation.server.network().trace);
    if let Err(failure) = outcome {
        panic!(
            "{trace}CHATD_SIM_SEED={seed} CHATD_SIM_STEPS={} replays this: {}",
            steps(),
            words_of(&*failure)
        );
    }
    trace.digest()
}

fn words_of(failure: &(dyn Any + Send)) -> &str {
    let text = failure.downcast_ref::<String>().map(String::as_str);
    text.or(failure.downcast_ref::<&str>().copied())
        .unwrap_or("it failed")
}

#[test]
fn everybody_gets_what_is_due_and_all_comes_to_rest_whatever_befalls() {
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
        // Nobody in it has a page.
        let reasons = CloseReason::ALL.into_iter();
        let reasons = reasons.filter(|reason| *reason != CloseReason::Replaced);
        let reasons = reasons.map(CloseReason::as_str);
        let missed: Vec<&str> = (EXPECTED_HITS.iter().copied().chain(reasons))
            .filter(|what| hits.get(what).is_none_or(|count| *count == 0))
            .collect();
        assert!(missed.is_empty(), "no seed hit {missed:?}");
    }
}

/// The same people over TLS, where each has shaken hands.
#[cfg(feature = "tls")]
#[test]
fn everybody_gets_what_is_due_over_tls_whatever_befalls() {
    let seeds = match number_of("CHATD_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number_of("CHATD_SIM_SEEDS").unwrap_or(SEEDS / 4),
    };
    for seed in seeds {
        let mut simulation = Simulation::new(seed, steps() as usize);
        simulation.server.network().is_in_tls = true;
        run_to_its_end(seed, &mut simulation);
    }
}

#[test]
fn a_seed_replays_the_same_steps() {
    let first = run_seed(1);
    assert_eq!(first, run_seed(1));
    assert_ne!(first.1, run_seed(2).1);
    assert!(first.1 .0 > 500, "so few steps prove nothing");
}
