//! One of several servers: its connections, its state, and what it is asked for.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::fields::{Value, LOG_TARGET};
use crate::relay::by_node::ByNode;
use crate::relay::data::{
    Asked, Attach, Chance, Debts, Figures, Leases, Leaving, Line, News, Node, Options, State, To,
};
use crate::relay::link::{Answer, Link, Step};
use crate::relay::numbers::Numbers;
use crate::relay::place::Id;
use crate::relay::record::{Entry, NodeId};
use crate::relay::ring::Ring;

/// The pen is silent if an answer takes longer than this.
const PEN_PATIENCE: Duration = Duration::from_secs(2);

/// A reading waits so long for something new in the log, in milliseconds …
pub(super) const BLOCK_MS: u64 = 2000;
/// … so the ear is silent if an answer takes longer than this.
const EAR_PATIENCE: Duration = Duration::from_millis(BLOCK_MS + 1000);

/// Errors of the engine are written into the log at most this often.
const WARNED_APART: Duration = Duration::from_secs(60);

/// So many numbers of guests are taken at a time.
const GUESTS_BLOCK: u64 = 1000;

/// This node's side of the chat of several.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(super) options: Options,
    pub(super) chance: Chance,
    pub(super) node: NodeId,
    pub(super) state: State,
    pub(super) pen: Link<Asked>,
    pub(super) ear: Link<Asked>,
    /// Connections that are to be closed.
    pub(super) to_close: Vec<Line>,
    /// The sentinel that is asked next.
    pub(super) sentinel: usize,
    /// Where a sentinel has said that the engine is.
    pub(super) master: Option<(Box<str>, u16)>,
    pub(super) attach: Attach,
    pub(super) debts: Debts,
    /// What the engine's memory was called when it was last looked at.
    pub(super) epoch: Option<Box<str>>,
    /// Up to here the log was read; `None` before it was attached for the first time.
    pub(super) position: Option<Id>,
    /// The same of what goes to this node alone.
    pub(super) position_to: Id,
    /// When the log may be read again.
    pub(super) read_at: Instant,
    pub(super) ring: Ring,
    pub(super) own_numbers: Numbers,
    /// An entry is on its way.
    pub(super) is_adding: bool,
    /// The reading at hand is to bring something of the log behind this place: the engine has taken it.
    pub(super) owed_behind: Option<Id>,
    /// Since when the engine gives nothing back. What it takes then is heard here at once, until something comes back.
    pub(super) withheld_since: Option<Instant>,
    /// The people of this node of whom the others know, by their sessions.
    pub(super) people: HashMap<u64, Entry>,
    /// Those of them whose entry in the hash is not as it was.
    pub(super) changed: Vec<u64>,
    pub(super) nodes: ByNode<Node>,
    pub(super) dead: VecDeque<NodeId>,
    /// When the last verdict came, or was told again.
    pub(super) condemned_at: Option<Instant>,
    pub(super) leases: Leases,
    pub(super) news: VecDeque<News>,
    /// Whether the node goes down, and how far that is.
    pub(super) leaving: Leaving,
    pub(super) figures: Figures,
    /// Lines that never reached the others, since they were last told of.
    pub(super) lost_lines: u64,
    pub(super) warned_at: Option<Instant>,
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
            debts: Debts {
                roster: true,
                past: true,
                telling: false,
            },
            epoch: None,
            position: None,
            position_to: Id::default(),
            read_at: now,
            ring: Ring::default(),
            own_numbers: Numbers::default(),
            is_adding: false,
            owed_behind: None,
            withheld_since: None,
            people: HashMap::new(),
            changed: Vec::new(),
            nodes: ByNode::default(),
            dead: VecDeque::new(),
            condemned_at: None,
            leases: Leases::default(),
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

    /// Up to where the log was read, and what this node is called now.
    #[cfg(test)]
    pub(crate) fn position(&self) -> Option<(Id, NodeId)> {
        self.position.map(|position| (position, self.node))
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
        self.nodes.iter().map(|(_, node)| node.missing()).sum()
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

    /// A part of this is left for the next turn, before all else.
    pub(crate) fn put_back(&mut self, news: News) {
        self.news.push_front(news);
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

    pub(super) fn place(&self) -> To {
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

    pub(super) fn authenticate(&mut self, line: Line, now: Instant) {
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

    /// Something has come on a connection, and is not read now.
    pub(crate) fn put_off(&mut self, line: Line, now: Instant) {
        self.link_of(line).put_off(now);
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

    pub(super) fn handle_answer(&mut self, due: Asked, answer: Answer, now: Instant) {
        match due {
            Asked::Done => {}
            Asked::Master => self.note_master(&answer, now),
            Asked::Guests => self.note_guests(&answer),
            Asked::Added => self.is_adding = false,
            Asked::AddedTo(node, number) => {
                self.is_adding = false;
                self.ring.note_taken(node, number);
            }
            Asked::Leases => self.judge(&answer, now),
            Asked::EarEpoch => self.look_at_epoch(&answer, now),
            Asked::Read(_) => self.note_read(now),
            _ => self.go_on_attaching(due, answer, now),
        }
    }

    /// A sentinel has said where the engine is, or that it does not know.
    pub(super) fn note_master(&mut self, answer: &Answer, now: Instant) {
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

    pub(super) fn note_guests(&mut self, answer: &Answer) {
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
    pub(super) fn lose(&mut self, why: &str, now: Instant) {
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
        self.attach.is_done = false;
        self.is_adding = false;
        self.ring.begin_again();
        if self.state == State::Attached {
            self.change_state(State::Waiting { since: now });
        }
    }

    pub(super) fn change_state(&mut self, state: State) {
        if self.state.word() != state.word() {
            let nodes = self.nodes.len();
            info!(target: LOG_TARGET, "relay state={} node={} nodes={nodes}", state.word(), self.node);
        }
        self.state = state;
    }

    pub(super) fn link_of(&mut self, line: Line) -> &mut Link<Asked> {
        match line {
            Line::Pen => &mut self.pen,
            Line::Ear => &mut self.ear,
        }
    }

    /// A key of the engine. The braces keep all keys in one slot of a cluster.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{{{}}}:{name}", self.options.prefix)
    }

    /// A key of a node.
    pub(super) fn key_of(&self, kind: &str, node: NodeId) -> String {
        self.key(&format!("{kind}:{node}"))
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
        if self.attach.is_done {
            self.renew_lease(now);
            self.read_on(now);
        }
        if self.state == State::Alone {
            self.give_up(now);
        }
    }

    /// The others cannot be reached: what waits is heard here now.
    pub(super) fn go_on_alone(&mut self, now: Instant) {
        self.change_state(State::Alone);
        self.debts.past = false;
        for event in self.ring.hear_alone() {
            self.news.push_back(News::Heard { node: None, event });
        }
        self.news.push_back(News::Alone);
        self.give_up(now);
    }

    fn give_up(&mut self, now: Instant) {
        let (most, up) = (self.options.queue_bytes_max, self.up());
        let given_up = self.ring.give_up(most, &up, now);
        let said = given_up.iter().filter(|event| event.is_said()).count();
        self.lost_lines += said as u64;
        self.figures.lost_lines += said as u64;
        self.debts.telling |= said < given_up.len();
    }

    /// When something is to be done, if nothing comes before.
    pub(crate) fn wake_at(&self, now: Instant) -> Option<Instant> {
        if !self.news.is_empty() || !self.to_close.is_empty() {
            return Some(now);
        }
        let alone_at = match self.state {
            State::Waiting { since } => Some(since + self.options.patience),
            State::Alone => self.ring.oldest_at(),
            State::Attached => None,
        };
        let lease_at = self.leases.due_at().filter(|_| self.attach.is_done);
        let is_reading = self.ear.due() > 0 || !self.attach.is_done;
        let read_at = (!is_reading && self.ear.is_up()).then_some(self.read_at);
        let asks_sentinel = self.options.sentinels > 0 && self.master.is_none();
        let ear_at = self.ear.wake_at(EAR_PATIENCE);
        let ear_at = ear_at.filter(|_| !(asks_sentinel && self.ear.is_down()));
        let pen_at = self.pen.wake_at(PEN_PATIENCE);
        let times = [alone_at, lease_at, read_at, ear_at, pen_at];
        times.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
