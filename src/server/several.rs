//! Several servers that share a chat, and an engine, all on one clock that the test moves: whatever befalls the engine, each
//! line is heard once by everybody, in one order where the engine has lost nothing, and all agree in the end on who is here.

mod engine;
mod node;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use engine::{Engine, Memory};
use node::{Node, People};

use crate::relay::place::Id;
use crate::relay::record::NodeId;

/// How many seeds are tried, unless `CHATD_SEEDS` says otherwise.
const SEEDS: u64 = 60;

/// How many servers there are.
const NODES: usize = 3;

/// How many people at each of them say numbered lines; some others move about.
const TALKERS: usize = 2;

/// What chance there is in a run: the same for the same seed.
struct Dice(fastrand::Rng);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0.usize(..most)
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

/// What may befall a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nobody is alone and nobody given up, and the engine keeps all.
    Exact,
    /// The same, and the engine loses what it can lose.
    Lossy,
    /// Servers are alone after half a second, and given up after one; the engine keeps all.
    Hasty,
    /// Nobody is alone and the engine keeps all, but servers are given up after a second.
    Condemned,
    /// All of that together.
    Worst,
}

/// Servers, the engine, and the time, in milliseconds.
struct Run {
    kind: Kind,
    dice: Dice,
    engine: Engine,
    nodes: Vec<Node>,
    now: u64,
    /// When the engine comes back, and with what.
    back_at: Option<(u64, Memory, u64)>,
    /// Who is where as the first server knew it that had read the log up to there.
    seen: BTreeMap<Id, (NodeId, People)>,
}

impl Run {
    fn new(kind: Kind, seed: u64) -> Self {
        let mut run = Self {
            kind,
            dice: Dice(fastrand::Rng::with_seed(seed)),
            engine: Engine::default(),
            nodes: Vec::new(),
            now: 0,
            back_at: None,
            seen: BTreeMap::new(),
        };
        for index in 0..NODES {
            let seed = run.dice.0.u64(..);
            let (patience, lease) = match kind {
                Kind::Hasty | Kind::Worst => (Duration::from_millis(500), Duration::from_secs(1)),
                Kind::Condemned => (Duration::from_secs(3600), Duration::from_secs(1)),
                Kind::Exact | Kind::Lossy => (Duration::from_secs(3600), Duration::from_secs(3600)),
            };
            // In the worst case, who was away for a while finds that what they would read next is gone.
            let log_entries = if kind == Kind::Worst { 30 } else { 10_000 };
            let limits = (patience, lease, log_entries);
            run.nodes.push(Node::new(index, seed, limits));
        }
        run
    }

    /// A moment passes.
    fn step(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        if let Some((at, memory, behind)) = self.back_at {
            if at <= self.now {
                self.engine.come_back(memory, behind);
                self.back_at = None;
            }
        }
        let first = self.dice.below(NODES);
        for turn in 0..NODES {
            let node = &mut self.nodes[(first + turn) % NODES];
            node.turn(self.now, &mut self.engine, &mut self.dice.0);
            let seen = node.seen();
            self.compare(seen);
            if self.dice.one_in(2) {
                self.engine.go_on(self.now);
            }
        }
        self.engine.go_on(self.now);
    }

    /// Of the people at a third server two servers know the same when they have read the same.
    fn compare(&mut self, seen: Option<(Id, NodeId, People)>) {
        let Some((position, own, people)) = seen.filter(|_| self.kind == Kind::Condemned) else {
            return;
        };
        let (first, known) = self
            .seen
            .entry(position)
            .or_insert_with(|| (own, people.clone()));
        let of_others = |people: &People| -> Vec<String> {
            let others = people
                .iter()
                .filter(|((node, _), _)| node != first && *node != own);
            others.map(|(_, person)| person.clone()).collect()
        };
        assert_eq!(
            of_others(&people),
            of_others(known),
            "who is at a third server, as {own} and {first} know it at {position}"
        );
    }

    /// All is quiet for so long.
    fn rest(&mut self, milliseconds: u64) {
        let until = self.now + milliseconds;
        while self.now < until {
            self.step(5);
        }
    }

    /// Something befalls the engine or a server.
    fn trouble(&mut self) {
        let now = self.now;
        match self.dice.below(8) {
            0 => self.engine.cut(),
            1 => self.engine.stands_until = now + self.dice.0.u64(50..4000),
            2 | 3 if self.back_at.is_none() => {
                self.engine.die();
                let memory = match (self.kind, self.dice.below(3)) {
                    (Kind::Exact | Kind::Hasty | Kind::Condemned, _) | (_, 0) => Memory::Whole,
                    (_, 1) => Memory::Empty,
                    _ => Memory::Without(self.dice.below(5)),
                };
                // A clock that is set back leaves ids behind those that were read, once all is gone.
                let behind = if memory == Memory::Empty {
                    self.dice.0.u64(..60_000)
                } else {
                    0
                };
                self.back_at = Some((now + self.dice.0.u64(10..1500), memory, behind));
            }
            4 if matches!(self.kind, Kind::Lossy | Kind::Worst) && !self.engine.is_down => {
                self.engine.empty();
            }
            5 => {
                let error = ["READONLY", "LOADING", "OOM", "NOAUTH", "MISCONF"][self.dice.below(5)];
                self.engine.errors = (1 + self.dice.below(3), error);
            }
            _ => {
                let most = if self.kind == Kind::Condemned {
                    4000
                } else {
                    700
                };
                let stands = self.dice.0.u64(20..most);
                let which = self.dice.below(NODES);
                self.nodes[which].stands_until = now + stands;
            }
        }
    }

    fn go(&mut self) {
        self.rest(200);
        for node in &mut self.nodes {
            node.people(TALKERS);
        }
        self.rest(500);
        for node in &mut self.nodes {
            node.check_in(NODES * (TALKERS + 1));
        }
        for _ in 0..400 {
            let milliseconds = self.dice.0.u64(1..12);
            self.step(milliseconds);
            for node in &mut self.nodes {
                node.act(&mut self.dice.0);
            }
            if self.dice.one_in(40) {
                self.trouble();
            }
        }
        self.engine.errors = (0, "");
        self.engine.stands_until = 0;
        self.rest(12_000);
        for node in &mut self.nodes {
            node.say_last();
        }
        self.rest(1_000);
    }

    /// What must hold in the end.
    fn check(&mut self) {
        let heard: Vec<_> = self.nodes.iter_mut().flat_map(Node::heard).collect();
        let said: BTreeMap<String, usize> = self.nodes.iter().flat_map(Node::said).collect();
        for (name, lines) in &heard {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for line in lines {
                *counts.entry(line).or_default() += 1;
            }
            for (line, count) in &counts {
                // A server that was given up cannot know what was heard of it before the engine lost that.
                let is_fine = *count == 1 || self.kind == Kind::Worst;
                assert!(is_fine, "{name} hears {line:?} again");
                assert!(
                    !line.starts_with(&format!("{name} ")),
                    "{name} hears themselves"
                );
            }
            for (author, count) in &said {
                let of_author = lines.iter().filter_map(|line| line.split_once(' '));
                let numbers = of_author.filter(|(who, _)| who == author);
                let numbers: Vec<usize> = numbers
                    .map(|(_, number)| number.parse().expect("a number"))
                    .collect();
                let all: Vec<usize> = (0..*count).collect();
                if author == name {
                    continue;
                }
                match self.kind {
                    Kind::Exact => assert_eq!(numbers, all, "what {name} hears of {author}"),
                    Kind::Lossy | Kind::Condemned => {
                        let mut sorted = numbers.clone();
                        sorted.sort_unstable();
                        assert_eq!(sorted, all, "what {name} hears of {author}");
                    }
                    // A server that was given up may be heard late, and what waited for too long never; nothing is heard twice.
                    Kind::Hasty | Kind::Worst => {}
                }
            }
        }
        if self.kind == Kind::Exact {
            for (first, lines) in &heard {
                for (second, others) in &heard {
                    let by_neither = |line: &&String| {
                        let author = line.split(' ').next();
                        author != Some(first) && author != Some(second)
                    };
                    let one: Vec<_> = lines.iter().filter(by_neither).collect();
                    let other: Vec<_> = others.iter().filter(by_neither).collect();
                    assert_eq!(one, other, "{first} and {second} hear another order");
                }
            }
        }
        let rosters: Vec<Vec<String>> = self.nodes.iter_mut().map(Node::roster).collect();
        for roster in &rosters {
            assert_eq!(*roster, rosters[0], "who is here, as two servers know it");
        }
        let mut names = rosters[0].clone();
        names.dedup();
        assert_eq!(names, rosters[0], "two people have one name");
        assert_eq!(names.len(), NODES * (TALKERS + 1), "{names:?}");
        for node in &mut self.nodes {
            node.check_last();
        }
    }
}

/// The seeds that are tried: as many as `CHATD_SEEDS` says, from `CHATD_SEED` on.
fn seeds() -> Range<u64> {
    let wanted = |name| {
        let text = std::env::var(name).ok()?;
        Some(text.parse().expect("a number"))
    };
    let first = wanted("CHATD_SEED").unwrap_or(0);
    first..first + wanted("CHATD_SEEDS").unwrap_or(SEEDS)
}

fn run(kind: Kind) {
    for seed in seeds() {
        let outcome = std::panic::catch_unwind(|| {
            let mut run = Run::new(kind, seed);
            run.go();
            run.check();
        });
        if let Err(panic) = outcome {
            eprintln!("{kind:?}, seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Two who took one name while their servers were apart, which then come at the same time.
fn run_of_names(seed: u64) {
    let mut run = Run::new(Kind::Hasty, seed);
    run.engine.die();
    run.rest(1000);
    for node in &mut run.nodes {
        node.people(1);
    }
    run.rest(200);
    for node in &mut run.nodes {
        node.mover_says("/name zoe");
    }
    let pause = run.dice.0.u64(1..2000);
    run.rest(pause);
    run.engine.come_back(Memory::Whole, 0);
    run.rest(5000);
    for node in &mut run.nodes {
        let roster = node.roster();
        let zoes = roster.iter().filter(|name| *name == "zoe").count();
        assert_eq!((zoes, roster.len()), (1, 2 * NODES), "{roster:?}");
    }
}

#[test]
fn of_those_who_took_one_name_apart_one_keeps_it() {
    for seed in seeds() {
        eprintln!("names, seed {seed}");
        run_of_names(seed);
    }
}

#[test]
fn all_hear_all_in_one_order_whatever_befalls_an_engine_that_keeps_all() {
    run(Kind::Exact);
}

#[test]
fn all_hear_all_once_whatever_an_engine_loses() {
    run(Kind::Lossy);
}

#[test]
fn who_is_given_up_is_so_in_one_place_of_the_log() {
    run(Kind::Condemned);
}

#[test]
fn servers_that_were_alone_or_given_up_find_together_again() {
    run(Kind::Hasty);
}

#[test]
fn whatever_befalls_all_agree_in_the_end() {
    run(Kind::Worst);
}
