//! One run: a seed decides the limits, who comes, what they do and what befalls them. It ends with everything healed,
//! everybody gone and nothing left.

use std::collections::BTreeMap;
use std::time::Duration;

use chatd::dialect::Dialect;
use chatd::hub::{Limits, QueueLimits, Rate};
use chatd::ledger::CloseReason;

use crate::presence::Ms;
use crate::random::Random;
use crate::script::{any_line_end, wire_line_bytes_max, Author, Item, BURST_LINES, NAMES};
use crate::session::Phase;
use crate::trace::Trace;
use crate::transport::Failure;
use crate::world::World;

/// Deadlines are looked at together every 50 ms. As all times are multiples of that, none is ever late.
const GRID: Ms = 50;
const DAY: Ms = 24 * 60 * 60 * 1000;
/// No more than so many at a time, so that a list of all names is one line.
const CROWD_MAX: usize = 36;
/// More turns than any run needs until all is heard, or all are gone.
const TURNS_TO_END: usize = 2000;

/// How often each thing was hit.
pub(crate) type Hits = BTreeMap<&'static str, u64>;

/// How a client takes what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Temper {
    /// All of it.
    Eager,
    /// In small bites.
    Bites,
    /// Now and then.
    Sips,
    /// Not after the first few bytes.
    Never,
    /// Until it fails for good.
    Fails,
}

struct Run<'a> {
    world: World<'a>,
    author: Author,
    tempers: BTreeMap<u64, Temper>,
}

/// Runs one seed for so many steps.
pub(crate) fn simulate(seed: u64, steps: usize, trace: &mut Trace) -> Hits {
    let mut random = Random::new(seed);
    let limits = any_limits(&mut random);
    trace.note(format_args!("{limits:?}"));
    let author = Author::new(limits.line_bytes_max);
    let mut run = Run {
        world: World::new(limits, random, trace),
        author,
        tempers: BTreeMap::new(),
    };
    run.world.pass(0);
    if run.percent(30) {
        run.world.set_message(&["Be kind.", "Drink water."]);
    }
    let shutdown_at = run.within(0..=3 * steps);
    for step in 0..steps {
        let shuts_down = step == shutdown_at;
        run.step(shuts_down);
    }
    run.heal();
    run.clear_out();
    run.world.check_nothing_left();
    run.world.model.hits.clone()
}

fn any_limits(random: &mut Random) -> Limits {
    let line_bytes_max = random.pick(&[96, 200, 512]);
    let bytes_max = line_bytes_max * random.pick(&[10, 30, 120]);
    let seconds = |seconds: usize| Duration::from_secs(seconds as u64);
    Limits {
        line_bytes_max,
        queue: QueueLimits {
            bytes_max,
            bytes_soft: bytes_max / random.within(1..=8),
            soft: seconds(random.within(1..=10)),
            stall: random.percent(70).then(|| seconds(random.within(2..=30))),
        },
        // How fast sessions are heard, and what all of them hold together, is tried elsewhere.
        line_rate: Rate::UNLIMITED,
        memory_max: usize::MAX,
        idle: random.percent(40).then(|| seconds(random.within(10..=60))),
        drain: seconds(random.within(1..=5)),
        history_lines: random.pick(&[0, 3, 20]),
    }
}

/// What may happen in a step.
impl Run<'_> {
    fn within(&mut self, range: std::ops::RangeInclusive<usize>) -> usize {
        self.world.random.within(range)
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.world.random.percent(chance)
    }

    fn step(&mut self, shuts_down: bool) {
        self.world.trace.note(format_args!("--"));
        self.pass_time();
        self.wake_writers();
        self.let_in();
        self.let_talk();
        if self.percent(25) {
            self.strike();
        }
        let cuts_off = self.world.model.going_down && self.percent(10);
        self.world.turn(|world| {
            if shuts_down || cuts_off {
                world.shut_down();
            }
            if cuts_off {
                world.cut_off();
            }
        });
        if self.percent(10) {
            // The same moment twice does nothing twice.
            self.world.tick();
        }
    }

    fn pass_time(&mut self) {
        let step = match self.within(0..=99) {
            0..=39 => 0,
            40..=69 => GRID,
            70..=84 => 500,
            85..=92 => 1000,
            93..=97 => 5000,
            98 => 60_000,
            _ => {
                self.world.model.hit("leap of a day");
                DAY
            }
        };
        self.world.pass(step);
        let now = self.world.now;
        self.world.trace.note(format_args!("it is {now} ms"));
    }

    /// Makes room in sockets and passes on the edges for it, some of them late, some twice, some for nothing.
    fn wake_writers(&mut self) {
        for number in self.world.clients.keys().copied().collect::<Vec<_>>() {
            let sips = self.tempers[&number] == Temper::Sips && self.percent(40);
            let bytes = if sips { self.within(0..=600) } else { 0 };
            let is_blocked = self.world.read_some(number, bytes);
            let has_room = self.world.transport(number).room > 0;
            if (is_blocked && has_room && self.percent(70)) || self.percent(3) {
                self.world.make_writable(number);
                if self.percent(10) {
                    self.world.make_writable(number);
                }
            }
            if self.percent(3) {
                self.world.make_ready(number);
            }
        }
    }

    fn let_in(&mut self) {
        let space = CROWD_MAX.saturating_sub(self.world.clients.len());
        let wish = match self.within(0..=99) {
            0..=24 => 1,
            25..=29 => 3,
            30..=31 => 24,
            _ => 0,
        };
        let is_mass = wish > 3;
        for _ in 0..wish.min(space) {
            let dialect = self.any_dialect();
            if self.world.model.going_down {
                self.world.turn_away(dialect, CloseReason::Shutdown);
                continue;
            }
            let number = self.world.connect(dialect);
            self.give_temper(number);
            if is_mass {
                let words = self.author.words(&mut self.world.random);
                self.world.send(number, Item::Say(words), b"\n");
            }
        }
        if self.percent(4) && space > 0 {
            let dialect = self.any_dialect();
            let reason = self
                .world
                .random
                .pick(&[CloseReason::Full, CloseReason::PerAddress]);
            if self.percent(30) {
                self.world.turn_away(dialect, reason);
            } else if !self.world.model.going_down {
                let number = self.world.refuse(dialect, reason);
                self.give_temper(number);
            }
        }
    }

    fn any_dialect(&mut self) -> Dialect {
        if self.percent(70) {
            Dialect::Telnet
        } else {
            Dialect::Wire
        }
    }

    fn give_temper(&mut self, number: u64) {
        let (temper, room, bite) = match self.within(0..=99) {
            0..=44 => (Temper::Eager, usize::MAX, usize::MAX),
            45..=64 => (Temper::Bites, usize::MAX, self.within(1..=200)),
            65..=84 => (Temper::Sips, self.within(0..=400), self.within(1..=400)),
            85..=92 => (Temper::Never, self.within(0..=300), usize::MAX),
            _ => (Temper::Fails, usize::MAX, self.within(1..=2000)),
        };
        let fails_after = self.within(0..=3000);
        let failure = self.world.random.pick(&[Failure::Broken, Failure::Zero]);
        let interrupts = self.within(0..=20).saturating_sub(18);
        let transport = self.world.transport(number);
        (transport.room, transport.bite) = (room, bite);
        (transport.failure, transport.interrupts) = (failure, interrupts);
        if temper == Temper::Fails {
            transport.fails_after = fails_after;
        }
        self.world
            .trace
            .note(format_args!("{number} takes: {temper:?}, {room}, {bite}"));
        self.tempers.insert(number, temper);
    }

    fn let_talk(&mut self) {
        for number in self.world.talkers() {
            if !self.percent(25) {
                continue;
            }
            let items = match self.within(0..=199) {
                0 => BURST_LINES + self.within(0..=80),
                1..=49 => self.within(2..=8),
                _ => 1,
            };
            for _ in 0..items {
                let dialect = self.world.model.sessions[&number].dialect;
                let opened = self.world.model.opened;
                let item = if items >= BURST_LINES && self.percent(90) {
                    Item::Empty
                } else {
                    self.author.item(dialect, opened, &mut self.world.random)
                };
                self.send(number, item);
            }
        }
    }

    fn send(&mut self, number: u64, item: Item) {
        // A line end of one byte, and then an empty line, would be the two bytes of one line end.
        let line_end = match item {
            Item::Empty => b"\r\n",
            _ => any_line_end(&mut self.world.random),
        };
        self.world.send(number, item, line_end);
    }

    /// Something that does not happen every day.
    fn strike(&mut self) {
        let talkers = self.world.talkers();
        match self.within(0..=9) {
            0 if self.percent(30) => {
                for number in talkers {
                    if self.percent(60) {
                        self.leave(number);
                    }
                }
            }
            1..=2 => {
                if let Some(number) = self.anybody(&talkers) {
                    self.leave(number);
                }
            }
            3 => {
                let all: Vec<u64> = self.world.clients.keys().copied().collect();
                if let Some(number) = self.anybody(&all) {
                    self.world.break_off(number);
                }
            }
            4 => {
                if let Some(number) = self.anybody(&self.world.open()) {
                    let reasons = [CloseReason::Flood, CloseReason::WrongProtocol];
                    let first = self.world.random.pick(&reasons);
                    self.world.close(number, first);
                    self.world.close(number, CloseReason::Quit);
                }
            }
            5 => {
                let stale = self.world.stale.clone();
                for id in stale.into_iter().rev().take(5) {
                    self.world.disturb(id);
                }
            }
            6 => self.pass_name_on(&talkers),
            7 => self.fall_out(&talkers),
            _ => self.trouble_the_ending(),
        }
    }

    fn anybody(&mut self, among: &[u64]) -> Option<u64> {
        (!among.is_empty()).then(|| self.world.random.pick(among))
    }

    /// Somebody leaves, in one of the ways in which people do.
    fn leave(&mut self, number: u64) {
        let dialect = self.world.model.sessions[&number].dialect;
        let over = self.within(1..=100);
        match self.within(0..=5) {
            0 => {
                let words = self.author.last_words(&mut self.world.random);
                self.send(number, Item::Quit(words));
            }
            1 => self.world.break_off(number),
            2 if dialect == Dialect::Telnet => {
                for item in [Item::Interrupt, Item::Interrupt, Item::TimingMark] {
                    self.send(number, item);
                }
                let words = self.author.words(&mut self.world.random);
                self.send(number, Item::Say(words));
            }
            2 | 3 => self.world.end(number),
            4 => {
                let words = self.author.words(&mut self.world.random);
                self.world.send(number, Item::Say(words), b"");
                self.world.end(number);
            }
            _ => {
                let line_bytes_max = self.author.line_bytes_max;
                let most = match dialect {
                    Dialect::Telnet => line_bytes_max,
                    Dialect::Wire => wire_line_bytes_max(line_bytes_max),
                };
                self.world.send(number, Item::TooLong(most + over), b"");
                self.world.end(number);
            }
        }
    }

    /// One gives up a name, by going or by taking another one, and somebody else takes it in the same turn.
    fn pass_name_on(&mut self, talkers: &[u64]) {
        let named = |number: &u64| {
            let held = &self.world.model.sessions[number].name;
            NAMES.into_iter().find(|known| known.0 == held)
        };
        let holders: Vec<(u64, &str)> = talkers
            .iter()
            .filter_map(|number| Some((*number, named(number)?.0)))
            .collect();
        if holders.is_empty() {
            return;
        }
        let (holder, name) = self.world.random.pick(&holders);
        let Some(heir) = self.anybody(talkers).filter(|heir| *heir != holder) else {
            return;
        };
        if self.percent(60) {
            self.leave(holder);
        } else {
            let other = self.world.random.pick(&NAMES).0;
            self.send(holder, Item::Name(other));
        }
        self.send(heir, Item::Name(name));
    }

    /// One wants to hear nothing more of another one, who then says something, to all and to her alone. If it was so
    /// before, the other one goes with a last word, and the one who ignores turns to somebody else.
    fn fall_out(&mut self, talkers: &[u64]) {
        let mut people = talkers.to_vec();
        people.retain(|number| self.world.model.sessions[number].dialect == Dialect::Telnet);
        let (Some(one), Some(other)) = (self.anybody(&people), self.anybody(&people)) else {
            return;
        };
        let session = &self.world.model.sessions[&one];
        let (name, mut foes) = (session.name.clone(), session.comforts.ignored.clone());
        foes.retain(|foe| people.contains(foe) && *foe != other);
        let name_of_other = self.world.model.sessions[&other].name.clone();
        let words = self.author.words(&mut self.world.random);
        if let Some(foe) = self.anybody(&foes) {
            self.send(foe, Item::Say(words));
            self.leave(foe);
            self.send(one, Item::Ignored);
            self.send(one, Item::Ignore(name_of_other));
        } else if one != other {
            self.send(one, Item::Ignore(name_of_other));
            self.send(other, Item::Say(words.clone()));
            self.send(other, Item::Tell(name, words));
        }
    }

    /// Those who are ending send more, end or break.
    fn trouble_the_ending(&mut self) {
        let mut ending: Vec<u64> = self.world.clients.keys().copied().collect();
        ending.retain(|number| {
            let client = &self.world.clients[number];
            self.world.phase(*number) != Phase::Open && !client.ended && !client.broken
        });
        for number in ending {
            match self.within(0..=5) {
                0 => self.world.send_dregs(number, 70_000),
                1 => self.world.send_dregs(number, 100),
                2 => self.world.end(number),
                3 => self.world.break_off(number),
                _ => {}
            }
        }
    }
}

/// The end of a run.
impl Run<'_> {
    /// All sockets take all that they are given: whoever is still there gets all that it is due.
    fn heal(&mut self) {
        self.world.trace.note(format_args!("-- all heals"));
        self.world.cuts = false;
        self.world.paces = false;
        for _ in 0..TURNS_TO_END {
            for number in self.world.clients.keys().copied().collect::<Vec<_>>() {
                let transport = self.world.transport(number);
                transport.fails_after = usize::MAX;
                (transport.room, transport.bite) = (usize::MAX, usize::MAX);
                if transport.blocked {
                    self.world.make_writable(number);
                }
            }
            self.world.turn(|_| ());
            if self.world.has_nothing_to_read() {
                break;
            }
        }
        assert!(self.world.has_nothing_to_read(), "somebody is not heard");
        for (number, session) in &self.world.model.sessions {
            let due = session.due.len();
            assert_eq!(due, 0, "{number} is due more, but nothing is in the way");
        }
    }

    /// Everybody leaves, and all is as it was before.
    fn clear_out(&mut self) {
        self.world.trace.note(format_args!("-- all leave"));
        for number in self.world.talkers() {
            self.leave(number);
        }
        for _ in 0..TURNS_TO_END {
            self.world.pass(500);
            self.world.turn(|_| ());
            if self.world.is_empty() {
                return;
            }
        }
        panic!("somebody stays");
    }
}
