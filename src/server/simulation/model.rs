//! Who must have received what, told by `docs/people.md`, `docs/wire.md` and `docs/limits.md` and without a look at how
//! the hub does it.
//!
//! The model is told what everybody types and, after each turn, what the server did at the network and in which order
//! it heard and ended sessions (the diary of the ledger). That order is all that it takes over; what comes of it, it
//! knows by itself: what is said to whom, who is let in, who must end or may, and what then is left.

mod comings;
mod deadlines;
mod due;
mod input;
mod jobs;
mod kept;
mod limits;
mod moderators;
mod operators;
mod orders;
mod prefs;
mod presence;
mod rooms;
pub(super) mod rules;
pub(super) mod rules_file;
mod session;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use self::comings::Registered;
use self::jobs::Job;
use self::kept::KeptNames;
use self::limits::Past;
use self::operators::Operators;
use self::rooms::{Room, LOBBY};
use self::rules::Rules;
use self::rules_file::RulesFile;
use self::session::{Ended, Session};
use super::connection::Got;
use super::network::{Act, Hits, SimulatedNetwork};
use super::script::typed::Typed;
use super::server::Terms;
use crate::hub::Census;
use crate::ledger::{CloseReason, Closed, Entry};

pub(super) use self::session::Phase;

#[allow(
    clippy::struct_excessive_bools,
    reason = "each is about something of its own"
)]
pub(super) struct Model {
    pub(super) terms: Terms,
    /// What is to hold from the middle of the next turn on.
    pub(super) planned: Option<Terms>,
    /// What held at some time, of which something may be left.
    past: Past,
    /// Those who hold a descriptor, by their number.
    pub(super) sessions: BTreeMap<u64, Session>,
    /// What each client types.
    pub(super) typed: Vec<Typed>,
    /// Why clients were closed.
    pub(super) reasons: BTreeMap<usize, CloseReason>,
    /// The rooms, by their number: the lobby is the first.
    rooms: BTreeMap<u64, Room>,
    /// How many rooms were ever made, or always there.
    rooms_ever: u64,
    pub(super) opened: u64,
    closed: BTreeMap<&'static str, u64>,
    /// The time of the turn.
    now: Duration,
    wall_seconds: u64,
    kept: KeptNames,
    pub(super) rules: Rules,
    /// In some runs there is one.
    pub(super) rules_file: Option<RulesFile>,
    /// What is being done to many, in the order in which it was begun.
    jobs: VecDeque<Job>,
    pub(super) operators: Operators,
    /// When each address has paid at the earliest for what its sessions said that have gone.
    debts: BTreeMap<IpAddr, Duration>,
    /// Until when the connections of each address count.
    connects: BTreeMap<IpAddr, Duration>,
    /// What the last one was told that connected too often.
    connect_seconds: u64,
    /// What newcomers are shown.
    pub(super) message: Vec<String>,
    /// How often the server was told to stop, and whether everybody has been told so.
    pub(super) stops: u32,
    pub(super) stopped_at: Option<Duration>,
    going_down: bool,
    /// Those who are told at the door that they cannot come in.
    turned_away: Vec<(u64, usize, CloseReason)>,
    // Of the turn at hand.
    diary: VecDeque<Entry>,
    closes: BTreeMap<u64, Closed>,
    /// The sums were told.
    ticked: bool,
    /// The files are written.
    is_saving: bool,
    /// Somebody was told something then, and only the next turn sees whether that is more than may wait.
    pub(super) told_late: bool,
    /// Something was said to somebody.
    said: bool,
    /// Kinds of name given up, to see that they are free in the same turn.
    freed: BTreeSet<usize>,
    /// Those who began to end.
    ending: BTreeSet<u64>,
    pub(super) hits: Hits,
}

impl Model {
    pub(super) fn new(terms: Terms) -> Self {
        let lobby = Room::lobby(terms.limits.history_lines);
        let rooms = terms.rooms;
        let mut model = Self {
            past: Past::of(&terms.limits),
            terms,
            planned: None,
            sessions: BTreeMap::new(),
            typed: Vec::new(),
            reasons: BTreeMap::new(),
            rooms: BTreeMap::from([(LOBBY, lobby)]),
            rooms_ever: LOBBY,
            opened: 0,
            closed: BTreeMap::new(),
            now: Duration::ZERO,
            wall_seconds: 0,
            kept: KeptNames::default(),
            rules: Rules::default(),
            rules_file: None,
            jobs: VecDeque::new(),
            operators: Operators::default(),
            debts: BTreeMap::new(),
            connects: BTreeMap::new(),
            connect_seconds: 0,
            message: Vec::new(),
            stops: 0,
            stopped_at: None,
            going_down: false,
            turned_away: Vec::new(),
            diary: VecDeque::new(),
            closes: BTreeMap::new(),
            ticked: false,
            is_saving: false,
            told_late: false,
            said: false,
            freed: BTreeSet::new(),
            ending: BTreeSet::new(),
            hits: Hits::new(),
        };
        model.set_permanent(rooms);
        model
    }

    fn hit(&mut self, what: &'static str) {
        *self.hits.entry(what).or_default() += 1;
    }

    fn line_bytes_max(&self) -> usize {
        self.terms.limits.line_bytes_max
    }

    fn it(&mut self, number: u64) -> &mut Session {
        self.sessions.get_mut(&number).expect("the model knows it")
    }

    /// Every key that was told, with the name that it was for.
    pub(super) fn keys(&self) -> Vec<(String, String)> {
        self.kept.keys()
    }

    /// The number of a client that is held, and its session.
    pub(super) fn of_client(&self, client: usize) -> Option<(u64, &Session)> {
        let mut sessions = self.sessions.iter();
        let found = sessions.find(|(_, it)| it.client == client);
        found.map(|(number, it)| (*number, it))
    }
}

/// A turn, as it was seen from outside.
impl Model {
    /// Does what the server did, and compares.
    pub(super) fn replay(
        &mut self,
        network: &mut SimulatedNetwork,
        diary: Vec<Entry>,
        census: Census,
    ) {
        self.begin_turn(network, diary);
        let acts = network.acts.clone();
        for (place, act) in acts.iter().enumerate() {
            self.see(*act, acts.get(place + 1), network);
        }
        while let Some(entry) = self.diary.pop_front() {
            self.follow(entry);
        }
        self.change_limits();
        self.tick();
        self.save_rules();
        let told = self.take(network);
        self.operators.take(network);
        for act in &acts {
            match *act {
                Act::Finish(client) if !network.is_operator(client) => self.finish(client),
                Act::Close(client, _) if network.is_operator(client) => {
                    self.operators.let_go(client);
                }
                Act::Close(client, ending) => self.free(client, ending),
                _ => {}
            }
        }
        self.compare(census);
        self.look_at_queues(census.queued_bytes, told);
    }

    fn begin_turn(&mut self, network: &SimulatedNetwork, diary: Vec<Entry>) {
        let before = self.time();
        let wall_before = self.wall_seconds;
        self.now = network.turn_time;
        self.wall_seconds = network.wall_offset + network.turn_at.as_secs();
        self.diary = diary.into();
        (self.ticked, self.said) = (false, false);
        (self.is_saving, self.told_late) = (false, false);
        self.freed.clear();
        self.ending.clear();
        if self.wall_seconds < wall_before {
            self.reopen_rules();
        }
        let time = self.time();
        if time != before {
            for it in self.sessions.values_mut() {
                let mut due = std::mem::take(&mut it.due);
                due.see(|public| it.show(public, &time));
                it.due = due;
            }
        }
    }

    /// What the server did before it heard anybody, or what it read.
    fn see(&mut self, act: Act, next: Option<&Act>, network: &SimulatedNetwork) {
        match act {
            Act::Stop => {
                self.stops += 1;
                self.stopped_at.get_or_insert(self.now);
            }
            Act::Accept(client) if network.is_operator(client) => {
                if self.operators.admit(client) {
                    self.hit("ninth operator");
                }
            }
            Act::Accept(client) => {
                let registered = match next {
                    Some(Act::Register(_, Some(id))) => Registered::As(*id),
                    Some(Act::Register(_, None)) => Registered::Failed,
                    _ => Registered::No,
                };
                self.admit(client, registered, &network.connections[client]);
            }
            Act::Read(client, _) if network.is_operator(client) => {}
            Act::Read(client, got) => self.read(client, got),
            Act::Broken(client) => self.read(client, Got::Reset),
            Act::Register(..) | Act::Finish(_) | Act::Close(..) => {}
        }
    }

    fn read(&mut self, client: usize, got: Got) {
        let (number, _) = self.of_client(client).expect("who is read is held");
        let now = self.now + self.token() * self.terms.limits.line_rate.burst.saturating_sub(1);
        let it = self.it(number);
        it.ended = match got {
            Got::Bytes(bytes) => {
                assert!(
                    it.paid_at <= now || !it.is_open() || it.given > 0,
                    "{number} is read before it has paid"
                );
                it.given += bytes;
                if it.phase == Phase::Lingering {
                    it.dropped += bytes;
                }
                return;
            }
            Got::End => Ended::Orderly,
            Got::Reset => Ended::Broken,
            Got::Nothing if it.dead => Ended::Drained,
            Got::Nothing => return,
        };
        match (it.phase, got) {
            (Phase::Draining, Got::End) => self.hit("ended while draining"),
            (Phase::Draining, Got::Reset) => self.hit("reset while draining"),
            _ => {}
        }
    }

    /// Takes over in which order the server heard and ended sessions.
    fn follow(&mut self, entry: Entry) {
        match entry {
            Entry::Heard { id, kept } => self.hear(id, kept),
            Entry::Ended { id, reason } => {
                self.diary.push_front(entry);
                self.prepare_end(id, reason);
                assert!(self.sessions[&id].is_open(), "{id} ends twice: {reason}");
                self.close(id, reason, "");
            }
            Entry::Closed(close) => {
                self.closes.insert(close.id, close);
            }
            Entry::Operated { by, line } => self.operate(&by, &line),
            Entry::WorkedOff { id } => self.work_off(id),
            Entry::RulesFollowed => self.follow_hand(),
            Entry::Saving => {
                self.change_limits();
                self.tick();
                self.is_saving = true;
            }
            Entry::Limits => {
                assert!(self.planned.is_some(), "nobody changed the limits");
                self.change_limits();
            }
        }
    }

    fn set_closes_aside(&mut self) {
        while let Some(Entry::Closed(close)) = self.diary.front().cloned() {
            self.closes.insert(close.id, close);
            self.diary.pop_front();
        }
    }

    /// The ledger says what the model knows.
    fn close_in_ledger(&mut self, number: u64, expected: &Closed) {
        self.set_closes_aside();
        let close = self.closes.remove(&number);
        assert_eq!(close.as_ref(), Some(expected), "the close of {number}");
        *self.closed.entry(expected.reason.as_str()).or_default() += 1;
    }

    fn compare(&mut self, census: Census) {
        let number_in = |phase| {
            let sessions = self.sessions.values();
            sessions.filter(|it| it.phase == phase).count()
        };
        let expected = Census {
            open: number_in(Phase::Open),
            draining: number_in(Phase::Draining),
            lingering: number_in(Phase::Lingering),
            names: number_in(Phase::Open),
            here: self.rooms.values().map(|room| room.here.len()).sum(),
            ..census
        };
        assert_eq!(census, expected);
        assert!(self.closes.is_empty(), "{:?} are freed", self.closes);
        let closed: u64 = self.closed.values().sum();
        assert_eq!(self.opened, closed + self.sessions.len() as u64);
    }

    /// How often sessions were closed for each reason.
    pub(super) fn closed_for(&self, reason: CloseReason) -> u64 {
        self.closed.get(reason.as_str()).copied().unwrap_or(0)
    }
}
