//! Several servers, one chat: what happens here is told to the other nodes through a log that an engine keeps (Redis
//! Streams), and heard by everybody when it comes back from there, in one order.
//!
//! No socket, no clock, no randomness: who drives it dials, reads, writes, and tells the time. Two connections: the *pen*
//! writes and looks things up, the *ear* does nothing but wait for the log.
//!
//! | what | where |
//! |---|---|
//! | the words of the engine, one connection | `resp`, `link` |
//! | what is told, as it stands in the log | `record` |
//! | what was said and has not come back; what has come before | `ring`, `numbers` |
//! | how it comes to know the engine and the others | `attach` |
//! | what the pen writes | `pen` |
//! | what the ear hears | `hearing` |
//! | who is alive | `leases` |

mod attach;
mod hearing;
mod leases;
mod link;
mod numbers;
mod pen;
pub(crate) mod record;
mod resp;
mod ring;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::fields::{Value, LOG_TARGET};

use attach::Attach;
use hearing::Id;
use leases::Node;
use link::{Answer, Due, Link, Step};
use record::{Digest, Entry, Event, NodeId, Who};
use ring::Ring;

/// The pen is silent if an answer takes longer than this.
const PEN_PATIENCE: Duration = Duration::from_secs(2);

/// A reading waits so long for something new in the log, in milliseconds …
const BLOCK_MS: u64 = 2000;
/// … so the ear is silent if an answer takes longer than this.
const EAR_PATIENCE: Duration = Duration::from_millis(BLOCK_MS + 1000);

/// Errors of the engine are written into the log at most this often.
const WARNED_APART: Duration = Duration::from_secs(60);

/// Of those who are dead at most so many are known, whose late records are dropped.
const DEAD_MAX: usize = 1000;

/// So many numbers of guests are taken at a time.
const GUESTS_BLOCK: u64 = 1000;

/// How the engine is reached and what it is to do.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How many sentinels are asked where the engine is; none: it is where it was said.
    pub(crate) sentinels: usize,
    /// What they call the engine.
    pub(crate) service: Box<str>,
    pub(crate) user: Option<Box<str>>,
    pub(crate) password: Option<Box<[u8]>>,
    /// Stands before each key.
    pub(crate) prefix: Box<str>,
    /// How many entries the log keeps.
    pub(crate) log_entries: usize,
    /// So long the engine may be silent before this node goes on alone.
    pub(crate) patience: Duration,
    /// So long a node may be silent before its people have left.
    pub(crate) lease: Duration,
    /// So much may wait for the engine, in bytes.
    pub(crate) queue_bytes_max: usize,
    /// What operators call this node.
    pub(crate) label: Box<str>,
}

/// One of the two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Line {
    /// Writes, and looks things up.
    Pen,
    /// Waits for the log.
    Ear,
}

impl Line {
    pub(crate) const ALL: [Self; 2] = [Self::Pen, Self::Ear];
}

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    /// To the engine, where the settings say.
    Engine,
    /// To this sentinel of those in the settings.
    Sentinel(usize),
    /// To where a sentinel says.
    Address { host: Box<str>, port: u16 },
}

/// Whether this node has the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Attached,
    /// The engine is silent since then: what is said waits.
    Waiting {
        since: Instant,
    },
    /// It was silent for too long: what is said is heard here.
    Alone,
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Waiting { .. } => "waiting",
            Self::Alone => "alone",
        }
    }
}

/// What the hub is to know, in the order in which it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Something comes from the log: of this node, or of its own people if that is `None`.
    Heard {
        node: Option<NodeId>,
        event: Event,
    },
    /// It is settled at all nodes what one of this node's own people is called.
    Settled(Who),
    /// All people of a node follow; who is not among them has left.
    RosterBegins(NodeId),
    Person(NodeId, Entry),
    RosterEnds(NodeId),
    /// All people of a node have left at once.
    NodeGone(NodeId),
    /// What was said before this node came, the oldest first, each with when, in seconds since 1970.
    Past(Vec<(Event, u64)>),
    /// So the engine's memory is called now: the digests of keys depend on it.
    Epoch(Box<str>),
    /// Guests have the numbers from here on: so many.
    Guests {
        first: u64,
        count: u64,
    },
    /// The others cannot be reached.
    Alone,
    /// They can again; so many lines never reached them.
    Back {
        lost_lines: u64,
    },
}

/// What is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// How long the last own event took to come back.
    pub(crate) lag: Duration,
    /// Events that were sent more than once.
    pub(crate) resent: u64,
    /// Events that came more than once.
    pub(crate) dropped_again: u64,
    /// Events that this node could not read.
    pub(crate) unread: u64,
    /// Nodes that this one has declared dead.
    pub(crate) verdicts: u64,
    /// Errors of the engine.
    pub(crate) errors: u64,
    /// Lines that never reached the others.
    pub(crate) lost_lines: u64,
}

/// What is due from the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Where the engine is.
    Master,
    /// What need only be no error.
    Done,
    Format,
    Epoch,
    LastRead,
    Oldest,
    Newest,
    Nodes,
    LeasesAtFirst,
    Leases,
    People,
    Past,
    Guests,
    /// An entry for a node was added, up to this number.
    AddedTo(NodeId, u64),
    EarEpoch,
    Read,
}

impl Due for Asked {
    fn entries_depth(self) -> Option<usize> {
        match self {
            Self::Read => Some(3),
            Self::LastRead | Self::Oldest | Self::Newest | Self::Past => Some(1),
            _ => None,
        }
    }
}

/// What chance is made of: `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

/// This node's side of the chat of several.
#[derive(Debug)]
pub(crate) struct Relay {
    options: Options,
    chance: Chance,
    node: NodeId,
    state: State,
    pen: Link<Asked>,
    ear: Link<Asked>,
    /// Connections that are to be closed.
    to_close: Vec<Line>,
    /// The sentinel that is asked next.
    sentinel: usize,
    /// Where a sentinel has said that the engine is.
    master: Option<(Box<str>, u16)>,
    attach: Attach,
    /// What the engine's memory was called when it was last looked at.
    epoch: Option<Box<str>>,
    /// Up to here the log was read; `None` before the first time.
    position: Option<Id>,
    /// The same of what goes to this node alone.
    position_to: Id,
    /// When the log may be read again.
    read_at: Instant,
    ring: Ring,
    own_numbers: numbers::Numbers,
    /// The people of this node of whom the others know, by their sessions.
    people: BTreeMap<u64, Entry>,
    /// Those of them whose entry in the hash is not as it was.
    changed: BTreeSet<u64>,
    /// Facts were given up, so that the others are to be told anew who is here.
    tells_all: bool,
    nodes: BTreeMap<NodeId, Node>,
    dead: VecDeque<NodeId>,
    leases: leases::Leases,
    news: VecDeque<News>,
    /// Whether the node goes down, and how far that is.
    leaving: Leaving,
    figures: Figures,
    /// Lines that never reached the others, since they were last told of.
    lost_lines: u64,
    warned_at: Option<Instant>,
}

/// How far this node is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    Stays,
    Says,
    Said,
    /// It has come back from the log.
    Gone,
}

impl Relay {
    /// A node that was never attached. `seed` is random.
    pub(crate) fn new(options: Options, seed: u64, now: Instant) -> Self {
        let mut chance = Chance(seed);
        let mut relay = Self {
            node: NodeId::new(chance.next()),
            chance,
            state: State::Waiting { since: now },
            pen: Link::new(now),
            ear: Link::new(now),
            to_close: Vec::new(),
            sentinel: 0,
            master: None,
            attach: Attach::default(),
            epoch: None,
            position: None,
            position_to: Id::default(),
            read_at: now,
            ring: Ring::default(),
            own_numbers: numbers::Numbers::default(),
            people: BTreeMap::new(),
            changed: BTreeSet::new(),
            tells_all: false,
            nodes: BTreeMap::new(),
            dead: VecDeque::new(),
            leases: leases::Leases::default(),
            news: VecDeque::new(),
            leaving: Leaving::Stays,
            figures: Figures::default(),
            lost_lines: 0,
            warned_at: None,
            options,
        };
        relay.say_up(now);
        relay
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn figures(&self) -> Figures {
        self.figures
    }

    /// How many other nodes are known.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many numbers of the others are waited for.
    pub(crate) fn missing(&self) -> usize {
        self.nodes.values().map(Node::missing).sum()
    }

    /// How many events wait to come back, and all that is kept of what was sent, in bytes.
    pub(crate) fn kept(&self) -> (usize, usize) {
        (self.ring.waiting(), self.ring.bytes())
    }

    /// What waits for the engine, in percent of what may.
    pub(crate) fn waiting_share(&self) -> usize {
        match self.state {
            // It is heard here at once.
            State::Alone => 0,
            _ => self.ring.waiting_bytes() * 100 / self.options.queue_bytes_max,
        }
    }

    /// What the hub is to know next.
    pub(crate) fn take_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// Whether the hub is to know something.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// A connection that is to be dialled, and where to.
    pub(crate) fn take_dial(&mut self, now: Instant) -> Option<(Line, To)> {
        let is_sentinel = self.options.sentinels > 0 && self.master.is_none();
        if self.pen.take_dial(now) {
            return Some((Line::Pen, self.place()));
        }
        if !is_sentinel && self.ear.take_dial(now) {
            return Some((Line::Ear, self.place()));
        }
        None
    }

    fn place(&self) -> To {
        match &self.master {
            _ if self.options.sentinels == 0 => To::Engine,
            None => To::Sentinel(self.sentinel),
            Some((host, port)) => To::Address {
                host: host.clone(),
                port: *port,
            },
        }
    }

    /// A connection that is to be closed.
    pub(crate) fn take_close(&mut self) -> Option<Line> {
        self.to_close.pop()
    }

    /// A connection has come about.
    pub(crate) fn handle_connected(&mut self, line: Line, now: Instant) {
        let is_sentinel = self.options.sentinels > 0 && self.master.is_none();
        self.link_of(line).note_connected(now);
        match line {
            Line::Pen if is_sentinel => {
                let service = self.options.service.clone();
                let words: [&[u8]; 3] =
                    [b"SENTINEL", b"get-master-addr-by-name", service.as_bytes()];
                self.pen.ask(Asked::Master, &words, now);
            }
            Line::Pen => {
                self.authenticate(line, now);
                self.begin_attach(now);
            }
            Line::Ear => self.authenticate(line, now),
        }
    }

    fn authenticate(&mut self, line: Line, now: Instant) {
        let Some(password) = self.options.password.clone() else {
            return;
        };
        let user = self.options.user.clone();
        let to = self.link_of(line);
        match &user {
            Some(user) => to.ask(Asked::Done, &[b"AUTH", user.as_bytes(), &password], now),
            None => to.ask(Asked::Done, &[b"AUTH", &password], now),
        }
    }

    /// A connection is closed, or did not come about.
    pub(crate) fn handle_lost(&mut self, line: Line, why: &str, now: Instant) {
        if !self.link_of(line).is_down() {
            self.lose(why, now);
            // It is closed already.
            self.to_close.retain(|closed| *closed != line);
        }
    }

    /// What was read from a connection.
    pub(crate) fn handle_input(&mut self, line: Line, bytes: &[u8], now: Instant) {
        self.link_of(line).push(bytes, now);
        while self.link_of(line).is_up() {
            let due = self.link_of(line).first_due();
            match self.link_of(line).step() {
                Ok(None) => return,
                Err(wrong) => return self.lose(&wrong.to_string(), now),
                Ok(Some(Step::Entry { stream, id, fields })) => {
                    self.handle_entry(due, &stream, &id, &fields, now);
                }
                Ok(Some(Step::Answer(_, Answer::Error(why)))) => {
                    self.figures.errors += 1;
                    return self.lose(&why, now);
                }
                Ok(Some(Step::Answer(due, answer))) => self.handle_answer(due, answer, now),
            }
        }
    }

    fn handle_answer(&mut self, due: Asked, answer: Answer, now: Instant) {
        match due {
            Asked::Done => {}
            Asked::Master => self.note_master(&answer, now),
            Asked::Guests => self.note_guests(&answer),
            Asked::AddedTo(node, number) => self.ring.note_taken(node, number),
            Asked::Leases => self.judge(&answer, now),
            Asked::EarEpoch => self.look_at_epoch(&answer, now),
            Asked::Read => self.note_read(now),
            _ => self.go_on_attaching(due, answer, now),
        }
    }

    /// A sentinel has said where the engine is, or that it does not know.
    fn note_master(&mut self, answer: &Answer, now: Instant) {
        let Answer::Many(texts) = answer else {
            return self.lose("a sentinel knows no such service", now);
        };
        let [Some(host), Some(port)] = &texts[..] else {
            return self.lose("a sentinel knows no such service", now);
        };
        let Ok(port) = port.parse() else {
            return self.lose("a sentinel gives no address", now);
        };
        self.master = Some((host.clone(), port));
        self.pen.dial_elsewhere(now);
        self.to_close.push(Line::Pen);
    }

    fn note_guests(&mut self, answer: &Answer) {
        let Answer::One(last) = answer else { return };
        if let Ok(last) = last.parse::<u64>() {
            let (first, count) = (last.saturating_sub(GUESTS_BLOCK) + 1, GUESTS_BLOCK);
            self.news.push_back(News::Guests { first, count });
        }
    }

    /// Asks for more numbers of guests. It is attached.
    pub(crate) fn want_guests(&mut self, now: Instant) {
        let (key, count) = (self.key("guests"), GUESTS_BLOCK.to_string());
        let words = [&b"INCRBY"[..], key.as_bytes(), count.as_bytes()];
        self.pen.ask(Asked::Guests, &words, now);
    }

    /// Both connections are given up, and dialled again after a while.
    fn lose(&mut self, why: &str, now: Instant) {
        if self.warned_at.is_none_or(|at| at + WARNED_APART <= now) {
            self.warned_at = Some(now);
            warn!("relay: {}", Value(why));
        }
        for line in Line::ALL {
            let chance = self.chance.next();
            let link = self.link_of(line);
            if !link.is_down() {
                link.note_lost(chance, now);
                self.to_close.push(line);
            }
        }
        if self.options.sentinels > 0 {
            self.master = None;
            self.sentinel = (self.sentinel + 1) % self.options.sentinels;
        }
        self.attach = Attach::default();
        self.ring.begin_again();
        if self.state == State::Attached {
            self.change_state(State::Waiting { since: now });
        }
    }

    fn change_state(&mut self, state: State) {
        if self.state.word() != state.word() {
            let nodes = self.nodes.len();
            info!(target: LOG_TARGET, "relay state={} node={} nodes={nodes}", state.word(), self.node);
        }
        self.state = state;
    }

    fn link_of(&mut self, line: Line) -> &mut Link<Asked> {
        match line {
            Line::Pen => &mut self.pen,
            Line::Ear => &mut self.ear,
        }
    }

    /// A key of the engine. The braces keep all keys in one slot of a cluster.
    fn key(&self, name: &str) -> String {
        format!("{{{}}}:{name}", self.options.prefix)
    }

    /// A key of a node.
    fn key_of(&self, kind: &str, node: NodeId) -> String {
        self.key(&format!("{kind}:{node}"))
    }

    /// Something happens here: it is told to all, and heard when it comes back. `digest` is that of the key of the room to
    /// which somebody goes.
    pub(crate) fn submit(&mut self, event: Event, digest: Option<Digest>, now: Instant) {
        self.note_fact(&event, digest);
        let is_alone = self.state == State::Alone;
        if is_alone {
            let event = event.clone();
            self.news.push_back(News::Heard { node: None, event });
        }
        self.ring.push(None, event, is_alone, now);
    }

    /// Something is for the people of one other node.
    pub(crate) fn submit_to(&mut self, node: NodeId, event: Event, now: Instant) {
        if self.nodes.contains_key(&node) {
            self.ring.push(Some(node), event, false, now);
        }
    }

    /// Keeps what the others know of this node's people.
    fn note_fact(&mut self, event: &Event, digest: Option<Digest>) {
        let session = match event {
            Event::Join { room, who } => {
                let before = self.people.get(&who.session);
                let away = before.and_then(|entry| entry.away.clone());
                let (who, room) = (who.clone(), room.clone());
                let entry = Entry {
                    who,
                    room,
                    digest,
                    away,
                };
                let session = entry.who.session;
                self.people.insert(session, entry);
                session
            }
            Event::Move { who, to, .. } => {
                let before = self.people.get(&who.session);
                let entry = Entry {
                    who: who.clone(),
                    room: to.clone(),
                    digest,
                    away: before.and_then(|entry| entry.away.clone()),
                };
                self.people.insert(who.session, entry);
                who.session
            }
            Event::Left { who, .. } => {
                self.people.remove(&who.session);
                who.session
            }
            Event::Name { who, .. } => {
                if let Some(entry) = self.people.get_mut(&who.session) {
                    entry.who.name = who.name.clone();
                }
                who.session
            }
            Event::Away { session, why } => {
                if let Some(entry) = self.people.get_mut(session) {
                    entry.away = Some(why.clone());
                }
                *session
            }
            Event::Back { session } => {
                if let Some(entry) = self.people.get_mut(session) {
                    entry.away = None;
                }
                *session
            }
            _ => return,
        };
        self.changed.insert(session);
    }

    /// This node says that it is there.
    fn say_up(&mut self, now: Instant) {
        let event = Event::Up {
            version: env!("CARGO_PKG_VERSION").into(),
            label: self.options.label.clone(),
        };
        // It is nothing that anybody here would hear.
        self.ring.push(None, event, true, now);
    }

    /// This node stops: all its people leave.
    pub(crate) fn leave(&mut self, now: Instant) {
        if self.leaving == Leaving::Stays {
            self.leaving = Leaving::Says;
            self.ring.push(None, Event::Down, true, now);
        }
    }

    /// Whether the others know that this node stops, or cannot be told.
    pub(crate) fn has_left(&self) -> bool {
        self.leaving == Leaving::Gone || self.state != State::Attached
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.pen.is_silent(PEN_PATIENCE, now) || self.ear.is_silent(EAR_PATIENCE, now) {
            self.lose("the engine is silent", now);
        }
        if let State::Waiting { since } = self.state {
            if since + self.options.patience <= now {
                self.go_on_alone(now);
            }
        }
        self.ring.forget_returned(now);
        match self.state {
            State::Attached => {
                self.renew_lease(now);
                self.read_on(now);
            }
            State::Waiting { .. } => {}
            State::Alone => {
                let given_up = self.ring.give_up(self.options.queue_bytes_max, now);
                self.note_given_up(&given_up);
            }
        }
    }

    /// The others cannot be reached: what waits is heard here now.
    fn go_on_alone(&mut self, now: Instant) {
        self.change_state(State::Alone);
        for event in self.ring.hear_alone() {
            self.news.push_back(News::Heard { node: None, event });
        }
        self.news.push_back(News::Alone);
        let given_up = self.ring.give_up(self.options.queue_bytes_max, now);
        self.note_given_up(&given_up);
    }

    fn note_given_up(&mut self, given_up: &[Event]) {
        let said = given_up.iter().filter(|event| event.is_said()).count();
        self.lost_lines += said as u64;
        self.figures.lost_lines += said as u64;
        self.tells_all |= said < given_up.len();
    }

    /// When something is to be done, if nothing comes before.
    pub(crate) fn wake_at(&self, now: Instant) -> Option<Instant> {
        if !self.news.is_empty() || !self.to_close.is_empty() {
            return Some(now);
        }
        let alone_at = match self.state {
            State::Waiting { since } => Some(since + self.options.patience),
            State::Alone => self.ring.oldest_at(),
            State::Attached => self.leases.due_at(),
        };
        let is_reading = self.ear.due() > 0 || self.state != State::Attached;
        let read_at = (!is_reading && self.ear.is_up()).then_some(self.read_at);
        let asks_sentinel = self.options.sentinels > 0 && self.master.is_none();
        let ear_at = self.ear.wake_at(EAR_PATIENCE);
        let ear_at = ear_at.filter(|_| !(asks_sentinel && self.ear.is_down()));
        let times = [alone_at, read_at, ear_at, self.pen.wake_at(PEN_PATIENCE)];
        times.into_iter().flatten().min()
    }
}
