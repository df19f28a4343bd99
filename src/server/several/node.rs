//! One of the servers: the chat itself and its relay, without a loop and sockets.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::engine::Engine;
use crate::hub::world::{limits, World};
use crate::hub::SessionId;
use crate::relay::place::Id;
use crate::relay::record::NodeId;
use crate::relay::{Line, Options, Relay, State};
use crate::server::exchange::Exchange;

/// The names that those who move about take in turn: fewer than they are.
const NAMES: [&str; 4] = ["zoe", "yan", "xia", "ZOE"];

/// The rooms that they go to.
const ROOMS: [&str; 3] = ["lobby", "games", "den"];

/// People at other servers: what each is called, and where they are.
pub(super) type People = BTreeMap<(NodeId, u64), String>;

/// Somebody who says numbered lines.
#[derive(Debug)]
struct Talker {
    id: SessionId,
    name: String,
    said: usize,
    heard: Vec<String>,
}

pub(super) struct Node {
    index: usize,
    world: World,
    outset: Instant,
    exchange: Exchange,
    connections: [Option<usize>; 2],
    talkers: Vec<Talker>,
    /// Who moves about and takes names.
    mover: Option<SessionId>,
    /// It does nothing until then.
    pub(super) stands_until: u64,
    last: BTreeMap<String, usize>,
}

impl Node {
    pub(super) fn new(
        index: usize,
        seed: u64,
        (patience, lease, log_entries): (Duration, Duration, usize),
    ) -> Self {
        let mut world = World::new(limits());
        let outset = world.now;
        let options = Options {
            log_entries,
            patience,
            lease,
            label: format!("node {index}").into(),
            ..Options::for_tests()
        };
        world.hub.set_seed([index as u8 + 1; 32]);
        world.hub.begin_relayed(lease);
        Self {
            index,
            outset,
            exchange: Exchange::new(Relay::new(options, seed, outset)),
            world,
            connections: [None; 2],
            talkers: Vec::new(),
            mover: None,
            stands_until: 0,
            last: BTreeMap::new(),
        }
    }

    /// One turn.
    pub(super) fn turn(&mut self, now: u64, engine: &mut Engine, chance: &mut fastrand::Rng) {
        if now < self.stands_until {
            return;
        }
        self.world.now = self.outset + Duration::from_millis(now);
        let at = self.world.now;
        let relay = &mut self.exchange.relay;
        for line in Line::ALL {
            let Some(connection) = self.connections[line as usize] else {
                continue;
            };
            let bytes = engine.give(connection, 1 + chance.usize(..4000));
            if !bytes.is_empty() {
                relay.handle_input(line, &bytes, at);
            } else if !engine.is_open(connection) {
                self.connections[line as usize] = None;
                relay.handle_lost(line, "cut", at);
            }
        }
        self.exchange.go_on(&mut self.world.hub, at);
        for id in self.world.hub.take_resumed() {
            let _ = self.world.hub.resume(id, at);
        }
        // What was just heard may have been answered.
        self.exchange.go_on(&mut self.world.hub, at);
        self.world.turn();
        self.world.check();
        let relay = &mut self.exchange.relay;
        for line in Line::ALL {
            if let Some(connection) = self.connections[line as usize] {
                let out = relay.output(line, at);
                // A socket may take a part.
                let taken = if chance.u8(..4) == 0 {
                    chance.usize(..=out.len())
                } else {
                    out.len()
                };
                engine.take(connection, &out[..taken]);
                out.drain(..taken);
            }
        }
        while let Some(line) = relay.take_close() {
            if let Some(connection) = self.connections[line as usize].take() {
                engine.close(connection);
            }
        }
        while let Some((line, _)) = relay.take_dial(at) {
            match engine.connect() {
                Some(connection) => {
                    self.connections[line as usize] = Some(connection);
                    relay.handle_connected(line, at);
                }
                None => relay.handle_lost(line, "nobody listens", at),
            }
        }
    }

    /// People come: so many who talk, and one who moves about.
    pub(super) fn people(&mut self, talkers: usize) {
        for number in 0..talkers {
            let id = self.world.connect();
            let name = format!("p{}{number}", self.index);
            self.world.say(id, &format!("/name {name}"));
            self.talkers.push(Talker {
                id,
                name,
                said: 0,
                heard: Vec::new(),
            });
        }
        let mover = self.world.connect();
        self.world.say(mover, &format!("/name m{}", self.index));
        self.mover = Some(mover);
    }

    /// Up to where this server has read the log, and who is at the others as it knows them.
    pub(super) fn seen(&self) -> Option<(Id, NodeId, People)> {
        let relay = &self.exchange.relay;
        let is_attached = relay.state() == State::Attached;
        let (position, own) = relay.position().filter(|_| is_attached)?;
        Some((position, own, self.world.hub.all_abroad()))
    }

    /// Who moves about says this.
    pub(super) fn mover_says(&mut self, line: &str) {
        if let Some(mover) = self.mover {
            self.world.read(mover);
            self.world.say(mover, line);
        }
    }

    /// All are here, and nothing of that is left to be read.
    pub(super) fn check_in(&mut self, count: usize) {
        assert_eq!(self.exchange.relay.state(), State::Attached);
        assert_eq!(self.roster().len(), count);
        for talker in &self.talkers {
            self.world.read(talker.id);
        }
    }

    /// Some say or do something.
    pub(super) fn act(&mut self, chance: &mut fastrand::Rng) {
        for index in 0..self.talkers.len() {
            self.listen(index);
            if chance.u8(..8) == 0 {
                self.speak(index);
            }
        }
        if let Some(mover) = self.mover.filter(|_| chance.u8(..20) == 0) {
            let line = match chance.u8(..6) {
                0..2 => format!("/name {}", NAMES[chance.usize(..NAMES.len())]),
                2..4 => format!("/join {}", ROOMS[chance.usize(..ROOMS.len())]),
                4 => "/away".to_owned(),
                _ => "/back".to_owned(),
            };
            self.world.read(mover);
            self.world.say(mover, &line);
        }
    }

    fn speak(&mut self, index: usize) {
        let talker = &mut self.talkers[index];
        let line = format!("{} {}", talker.name, talker.said);
        talker.said += 1;
        let id = talker.id;
        self.world.say(id, &line);
    }

    fn listen(&mut self, index: usize) {
        let lines = self.world.lines(self.talkers[index].id);
        let words = lines.iter().filter_map(|line| line.split_once("> "));
        let words = words.map(|(_, words)| words.to_owned());
        self.talkers[index].heard.extend(words);
    }

    /// What each has heard, but for last words.
    pub(super) fn heard(&mut self) -> Vec<(String, Vec<String>)> {
        let mut heard = Vec::new();
        for index in 0..self.talkers.len() {
            self.listen(index);
            let talker = &mut self.talkers[index];
            let lines = std::mem::take(&mut talker.heard);
            let (last, lines): (Vec<_>, Vec<_>) =
                lines.into_iter().partition(|line| line == "last");
            self.last.insert(talker.name.clone(), last.len());
            heard.push((talker.name.clone(), lines));
        }
        heard
    }

    /// How many lines each has said.
    pub(super) fn said(&self) -> Vec<(String, usize)> {
        let talkers = self.talkers.iter();
        talkers
            .map(|talker| (talker.name.clone(), talker.said))
            .collect()
    }

    /// All say their last words, when nothing fails any more.
    pub(super) fn say_last(&mut self) {
        for talker in &self.talkers {
            self.world.say(talker.id, "last");
        }
        if let Some(mover) = self.mover {
            self.world.read(mover);
            self.world.say(mover, "/leave");
        }
    }

    /// Those are heard by all others, whatever was before.
    pub(super) fn check_last(&mut self) {
        let others = self.talkers.len() * super::NODES - 1;
        for (name, count) in &self.last {
            assert_eq!(*count, others, "the last words that {name} hears");
        }
    }

    /// Who is in the lobby, by name.
    pub(super) fn roster(&mut self) -> Vec<String> {
        let id = self.talkers[0].id;
        self.listen(0);
        self.world.say(id, "/who");
        self.world.turn();
        let lines = self.world.lines(id);
        let list = lines.iter().find_map(|line| line.split_once(" here: "));
        let (_, names) = list.unwrap_or_else(|| panic!("{lines:?}"));
        let names = names
            .split(", ")
            .map(|name| name.trim_end_matches(" (away)").to_owned());
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names
    }
}
