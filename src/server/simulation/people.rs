//! The people and programs at the other end: what they do while all goes wrong, while all heals, and as they leave.

mod claims;
mod operators;
mod travel;
mod trouble;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::connection::{Connection, End};
use super::model::{Model, Phase};
use super::network::{Faults, SimulatedNetwork};
use super::profile::Profile;
use super::script::typed::Typed;
use super::script::{any_line_end, wire_line_bytes_max, Author, Item, BURST_LINES};
use super::LISTENERS;
use crate::dialect::Dialect;
use crate::random::Random;
use crate::server::network::Wakeup;

/// At most this many who talk, so that there is much to be said to each other.
const TALKERS_MAX: usize = 30;
/// A session that never ends a line is cut off after 16 MiB.
const FLOOD_BYTES: usize = 17 * 1024 * 1024;
const FLOOD_STEP: usize = 32 * 1024;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a client is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Talks,
    /// It came with many others and says nothing.
    Lurks,
    /// It is an operator, and no session.
    Operates,
}

/// What a client is like.
#[derive(Debug)]
struct Person {
    dialect: Dialect,
    /// It does not read before all heals.
    never_reads: bool,
    role: Role,
    /// It sends a line without an end.
    is_flooding: bool,
    flooded: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// This many steps are left.
    Faults(usize),
    Healing,
    Leaving,
    Stopping,
}

/// Everybody, with the model that knows what they are due.
pub(super) struct People {
    pub(super) profile: Profile,
    pub(super) model: Model,
    pub(super) stage: Stage,
    pub(super) stops: u32,
    /// Decides apart from the network what people do.
    random: Random,
    author: Author,
    all: Vec<Person>,
    next_at: Duration,
}

impl People {
    pub(super) fn new(profile: Profile, random: Random, steps: usize) -> Self {
        let mut model = Model::new(profile.terms.clone());
        if profile.has_message {
            model.message = ["Be kind.", "Drink water."].map(str::to_owned).to_vec();
        }
        Self {
            model,
            stage: Stage::Faults(steps),
            stops: 0,
            random,
            author: Author::new(profile.terms.limits.line_bytes_max),
            all: Vec::new(),
            next_at: Duration::ZERO,
            profile,
        }
    }

    /// When somebody does something next; `None` if nobody will.
    pub(super) fn next_at(&self, network: &SimulatedNetwork) -> Option<Duration> {
        let moves = |(person, connection): (&Person, &Connection)| {
            connection.is_deliverable()
                || connection.is_takeable()
                || is_to_answer_end(connection)
                || person.floods(connection)
        };
        let goes_on = matches!(self.stage, Stage::Faults(_))
            || self.all.iter().zip(&network.connections).any(moves);
        goes_on.then_some(self.next_at)
    }

    pub(super) fn act(&mut self, network: &mut SimulatedNetwork) {
        match self.stage {
            Stage::Faults(0) => self.heal(network),
            Stage::Faults(left) => {
                self.stage = Stage::Faults(left - 1);
                self.step(network, left - 1);
            }
            _ => {
                for client in 0..self.all.len() {
                    self.flood(network, client);
                    network.deliver(client, 10_000);
                    network.take(client, usize::MAX);
                    answer_end(&mut network.connections[client]);
                }
                self.next_at = network.clock.elapsed() + Duration::from_millis(1);
            }
        }
    }

    pub(super) fn stop(&mut self, network: &mut SimulatedNetwork) {
        network.trace.note(format_args!("-- stop"));
        network.signals.push_back(Wakeup::Stop);
        self.stops += 1;
    }
}

/// The server said that no more comes, and its client has not said so yet.
fn is_to_answer_end(connection: &Connection) -> bool {
    connection.end == Some(End::Orderly) && !connection.has_ended() && !connection.is_over()
}

fn answer_end(connection: &mut Connection) {
    if is_to_answer_end(connection) {
        connection.end_sending();
    }
}

impl Person {
    /// Whether it never ends its line, has more of it, and room to send it.
    fn floods(&self, connection: &Connection) -> bool {
        self.is_flooding
            && self.flooded < FLOOD_BYTES
            && connection.to_send.len() < FLOOD_STEP
            && !connection.is_over()
    }
}

/// What single clients do.
impl People {
    /// Those who may still send something.
    fn talkers(&self, network: &SimulatedNetwork) -> Vec<usize> {
        let talks = |client: &usize| {
            let connection = &network.connections[*client];
            let held = self.model.of_client(*client);
            let is_open = held.is_none_or(|(_, it)| it.phase == Phase::Open);
            is_open
                && !connection.has_ended()
                && !connection.is_over()
                && connection.end.is_none()
                && !self.all[*client].is_flooding
                && self.all[*client].role != Role::Operates
        };
        (0..self.all.len()).filter(talks).collect()
    }

    fn connect(&mut self, network: &mut SimulatedNetwork, role: Role) {
        let random = &mut self.random;
        let listener = usize::from(random.percent(30));
        let address = if random.percent(40) {
            Ipv4Addr::LOCALHOST
        } else {
            Ipv4Addr::new(192, 0, 2, random.within(1..=6) as u8)
        };
        let from = SocketAddr::from((address, 1000 + self.all.len() as u16));
        let is_slow = random.percent(45);
        let window = is_slow.then(|| random.pick(&[100, 300, 1000, 4000]));
        let client = network.connect(listener, from, window);
        self.all.push(Person {
            dialect: LISTENERS[listener],
            never_reads: client.is_multiple_of(3),
            role,
            is_flooding: false,
            flooded: 0,
        });
        self.model.typed.push(Typed::default());
    }

    fn send(&mut self, network: &mut SimulatedNetwork, client: usize, item: Item) {
        // A line end of one byte, and then an empty line, would be the two bytes of one line end.
        let line_end = match item {
            Item::Empty => b"\r\n",
            _ => any_line_end(&mut self.random),
        };
        self.send_with(network, client, item, line_end);
    }

    fn send_with(
        &mut self,
        network: &mut SimulatedNetwork,
        client: usize,
        item: Item,
        line_end: &[u8],
    ) {
        let dialect = self.all[client].dialect;
        network
            .trace
            .note(format_args!("{client} sends {item:?} {line_end:?}"));
        let is_urgent = item == Item::DataMark;
        let bytes = self.model.typed[client].add(item, dialect, line_end);
        network.connections[client].send(&bytes);
        if is_urgent {
            network.connections[client].mark_urgent();
            network.hit("urgent data");
        }
    }

    fn send_words(&mut self, network: &mut SimulatedNetwork, client: usize) {
        let words = self.author.words(&mut self.random);
        self.send(network, client, Item::Say(words));
    }

    fn flood(&mut self, network: &mut SimulatedNetwork, client: usize) {
        let connection = &mut network.connections[client];
        let person = &mut self.all[client];
        if person.floods(connection) {
            connection.send(&vec![b'x'; FLOOD_STEP]);
            person.flooded += FLOOD_STEP;
            self.model.typed[client].add_dregs(FLOOD_STEP);
        }
    }

    /// Somebody leaves, in one of the ways in which people do.
    fn leave(&mut self, network: &mut SimulatedNetwork, client: usize) {
        let dialect = self.all[client].dialect;
        network.trace.note(format_args!("{client} leaves"));
        match self.random.within(0..=6) {
            0 | 1 => {
                let words = self.author.last_words(&mut self.random);
                self.send(network, client, Item::Quit(words));
            }
            2 => self.break_off(network, client, true),
            3 if dialect == Dialect::Telnet => {
                for item in [Item::Interrupt, Item::Interrupt, Item::TimingMark] {
                    self.send(network, client, item);
                }
                self.send_words(network, client);
            }
            4 => {
                let words = self.author.words(&mut self.random);
                self.send_with(network, client, Item::Say(words), b"");
                network.connections[client].end_sending();
            }
            5 => {
                let line_bytes_max = self.author.line_bytes_max;
                let most = match dialect {
                    Dialect::Telnet => line_bytes_max,
                    Dialect::Wire => wire_line_bytes_max(line_bytes_max),
                    other => unreachable!("nobody here speaks {other}"),
                };
                let over = self.random.within(1..=100);
                self.send_with(network, client, Item::TooLong(most + over), b"");
                network.connections[client].end_sending();
            }
            _ => network.connections[client].end_sending(),
        }
    }

    /// A connection breaks. What is under way is broken off between two lines, so that it is known what was heard.
    fn break_off(&mut self, network: &mut SimulatedNetwork, client: usize, tells: bool) {
        if self.all[client].is_flooding {
            return;
        }
        let typed = &self.model.typed[client];
        let connection = &mut network.connections[client];
        let arrived = connection.arrived();
        connection.force(typed.end_of(arrived) - arrived);
        let given = self.model.of_client(client).map_or(0, |(_, it)| it.given);
        let loses_unread = typed.end_of(given) == given && self.random.percent(50);
        if tells {
            network.reset(client, loses_unread);
        } else {
            network
                .trace
                .note(format_args!("{client} breaks, {loses_unread}"));
            network.connections[client].reset(loses_unread);
        }
    }
}

/// While all goes wrong.
impl People {
    fn step(&mut self, network: &mut SimulatedNetwork, left: usize) {
        for client in 0..self.all.len() {
            self.flood(network, client);
            if self.random.percent(60) {
                let bytes_max = self.random.pick(&[1, 7, 100, 3000, usize::MAX]);
                network.deliver(client, bytes_max);
            }
            if !self.all[client].never_reads && self.random.percent(40) {
                let bytes_max = self.random.within(0..=1500);
                network.take(client, bytes_max);
            }
            if self.random.percent(30) {
                answer_end(&mut network.connections[client]);
            }
        }
        let again = self.stops == 1 && self.profile.stops_twice && self.random.percent(20);
        if again || self.profile.stops_at == Some(left) {
            self.stop(network);
        }
        self.let_in(network);
        self.let_talk(network);
        match self.random.within(0..=9) {
            0..=2 => self.strike(network),
            3 | 4 => self.trouble(network),
            _ => {}
        }
        if self.random.percent(15) {
            self.travel(network);
        }
        if self.random.percent(15) {
            self.claim(network);
        }
        if self.random.percent(20) {
            self.moderate(network);
        }
        if self.profile.masses && self.random.percent(10) {
            self.send_masses(network);
        }
        if self.random.percent(2) {
            self.leap(network);
        }
        self.next_at = network.clock.elapsed() + self.gap();
    }

    /// The machine sleeps: all timers are late.
    fn leap(&mut self, network: &mut SimulatedNetwork) {
        let leap = self.random.pick(&[10, 60, DAY.as_secs()]);
        let leap = Duration::from_secs(leap);
        network.trace.note(format_args!("a leap of {leap:?}"));
        network.hit("leap of the clock");
        if leap == DAY {
            network.hit("leap of a day");
        }
        network.clock.pass(leap);
    }

    fn gap(&mut self) -> Duration {
        let random = &mut self.random;
        let gap_ms = match random.within(0..=99) {
            0..=39 => 0,
            40..=69 => random.within(1..=20),
            70..=89 => random.within(20..=300),
            _ => random.within(1_000..=3_000),
        };
        Duration::from_millis(gap_ms as u64)
    }

    fn let_in(&mut self, network: &mut SimulatedNetwork) {
        let (count, is_storm) = match self.random.within(0..=199) {
            0..=1 => (90, true),
            2..=9 => (5, false),
            10..=12 => (14, false),
            13..=49 => (1, false),
            _ => return,
        };
        let talkers = self.talkers(network);
        let talkers = talkers
            .iter()
            .filter(|client| self.all[**client].role == Role::Talks);
        if !is_storm && talkers.count() + count > TALKERS_MAX {
            return;
        }
        let role = if is_storm { Role::Lurks } else { Role::Talks };
        for _ in 0..count {
            self.connect(network, role);
            // More joins than ten in one second are told as a sum.
            if count == 14 {
                self.send_words(network, self.all.len() - 1);
            }
        }
    }

    fn let_talk(&mut self, network: &mut SimulatedNetwork) {
        for client in self.talkers(network) {
            if self.all[client].role == Role::Lurks || !self.random.percent(12) {
                continue;
            }
            let is_new = self.model.typed[client].is_new();
            if is_new && self.random.percent(2) {
                self.send_with(network, client, Item::Foreign, b"\r\n");
                continue;
            }
            if self.profile.floods && self.random.percent(2) {
                self.all[client].is_flooding = true;
                self.send_with(network, client, Item::Endless, b"");
                continue;
            }
            let count = match self.random.within(0..=199) {
                0..=1 => BURST_LINES + self.random.within(0..=80),
                2..=49 => self.random.within(2..=8),
                _ => 1,
            };
            self.say_much(network, client, count);
        }
    }

    /// Everybody who has said something before pastes long lines, or what is no line at all.
    fn send_masses(&mut self, network: &mut SimulatedNetwork) {
        let is_text = self.random.percent(60);
        for client in self.talkers(network) {
            let held = self.model.of_client(client);
            if held.is_none_or(|(_, it)| it.lines_in == 0) {
                continue;
            }
            if is_text {
                for _ in 0..4 {
                    let words = self.author.words(&mut self.random);
                    let room = self.author.line_bytes_max - 24 - words.len();
                    let words = words + &" z".repeat(room / 2);
                    self.send(network, client, Item::Say(words));
                }
                self.send(network, client, Item::Empty);
            } else {
                self.send(network, client, Item::TooLong(60_000));
            }
            network.deliver(client, usize::MAX);
        }
    }

    fn say_much(&mut self, network: &mut SimulatedNetwork, client: usize, count: usize) {
        let is_silent = count >= BURST_LINES && self.random.percent(50);
        for _ in 0..count {
            let item = if is_silent && self.random.percent(90) {
                Item::Empty
            } else {
                let dialect = self.all[client].dialect;
                self.author
                    .item(dialect, self.model.opened, &mut self.random)
            };
            self.send(network, client, item);
        }
    }
}

/// When all is well again.
impl People {
    fn heal(&mut self, network: &mut SimulatedNetwork) {
        network.trace.note(format_args!("-- all heals"));
        self.stage = Stage::Healing;
        self.next_at = network.clock.elapsed();
        network.faults = Faults::default();
        network.descriptors_max = usize::MAX;
        for client in 0..self.all.len() {
            network.tell_of_break(client);
        }
    }

    /// Everybody who stayed has heard all that they were due, and was heard.
    pub(super) fn check_all_is_heard(&mut self, network: &SimulatedNetwork) {
        self.model.operators.check_all_is_answered();
        self.model.check_jobs_are_done();
        for (number, it) in &self.model.sessions {
            assert!(it.is_open(), "{number} stays though it has ended");
            let due = it.due.range();
            assert_eq!(
                due,
                (0, 0),
                "{number} is due more, but nothing is in the way"
            );
            let is_done = self.model.typed[it.client].is_done();
            assert!(is_done, "what {number} said is lost");
        }
        for (client, connection) in network.connections.iter().enumerate() {
            let held =
                self.all[client].role == Role::Operates || self.model.of_client(client).is_some();
            let waits = !held && !connection.closed && !connection.is_over();
            assert!(!waits, "{client} waits at the door for ever");
        }
    }

    pub(super) fn leave_all(&mut self, network: &mut SimulatedNetwork) {
        network.trace.note(format_args!("-- all leave"));
        self.stage = Stage::Leaving;
        self.next_at = network.clock.elapsed();
        for client in self.talkers(network) {
            self.leave(network, client);
        }
        for client in self.operators(network) {
            network.connections[client].end_sending();
        }
    }
}
