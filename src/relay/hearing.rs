//! What the ear hears: the log, and what is for this node alone.

use std::str;
use std::time::{Duration, Instant};

use crate::relay::data::{Asked, Leaving, News, State};
use crate::relay::link::Answer;
use crate::relay::node::{Relay, BLOCK_MS};
use crate::relay::numbers::Turn;
use crate::relay::place::Id;
use crate::relay::record::{Event, NodeId, Unread};

/// So long at least lies between two readings, so that the engine has less to do: who writes much reads much at once …
const REST: Duration = Duration::from_millis(5);
/// … and so long where there are more nodes than this.
const LONG_REST: Duration = Duration::from_millis(20);
const MANY_NODES: usize = 20;

/// At most this many other nodes are known; what a further one says is not read.
pub(super) const NODES_MAX: usize = 1000;

/// Of those who are dead at most so many are known, whose late records are dropped.
const DEAD_MAX: usize = 1000;

/// At most so many entries are read at once.
const ENTRIES_MAX: &str = "64";

/// The value of a field that stands before the events.
fn value<'a>(fields: &'a [Box<[u8]>], name: &[u8]) -> Option<&'a str> {
    let mut pairs = fields.chunks_exact(2);
    let pair = pairs.find(|pair| *pair[0] == *name)?;
    str::from_utf8(&pair[1]).ok()
}

/// The events of an entry, in their order.
pub(super) fn events(fields: &[Box<[u8]>]) -> impl DoubleEndedIterator<Item = &[u8]> {
    let pairs = fields.chunks_exact(2);
    pairs.filter(|pair| *pair[0] == *b"e").map(|pair| &*pair[1])
}

impl Relay {
    /// Waits for what comes next, if it is time.
    pub(super) fn read_on(&mut self, now: Instant) {
        let is_due = self.ear.is_up() && self.ear.due() == 0 && self.read_at <= now;
        let Some(position) = self.position.filter(|_| is_due && self.attach.is_done) else {
            return;
        };
        let (epoch, log, to) = (
            self.key("epoch"),
            self.key("log"),
            self.key_of("to", self.node),
        );
        self.ear
            .ask(Asked::EarEpoch, &[b"GET", epoch.as_bytes()], now);
        let (block, position) = (BLOCK_MS.to_string(), position.to_string());
        let position_to = self.position_to.to_string();
        let words = [
            "XREAD",
            "COUNT",
            ENTRIES_MAX,
            "BLOCK",
            &block,
            "STREAMS",
            &log,
            &to,
            &position,
            &position_to,
        ];
        let is_owed = !self.is_adding && self.ring.is_owed();
        self.owed_behind = self.position.filter(|_| is_owed);
        let due = Asked::Read(self.attach.number);
        self.ear.ask(due, &words.map(str::as_bytes), now);
    }

    /// A reading is over.
    pub(super) fn note_read(&mut self, now: Instant) {
        if self.owed_behind.is_some() && self.owed_behind == self.position {
            return self.note_withheld(now);
        }
        let is_crowd = self.nodes.len() > MANY_NODES;
        self.read_at = now + if is_crowd { LONG_REST } else { REST };
    }

    /// The engine has taken something, and now it has nothing. After a while nobody here waits for it any more.
    fn note_withheld(&mut self, now: Instant) {
        let since = *self.withheld_since.get_or_insert(now);
        if since + self.options.patience <= now {
            self.lose("the engine gives nothing back of what it takes", now);
            if let State::Waiting { .. } = self.state {
                self.change_state(State::Waiting { since });
            }
        }
    }

    /// The engine gives back what it takes.
    fn note_given_back(&mut self, now: Instant) {
        if self.withheld_since.take().is_some() {
            self.end_alone(now);
            self.note_attached();
        }
    }

    /// What the engine's memory is called, as the ear sees it before each reading: emptying it breaks no connection
    /// (redis/redis#5625).
    pub(super) fn look_at_epoch(&mut self, answer: &Answer, now: Instant) {
        let is_same = matches!(answer, Answer::One(epoch) if Some(epoch) == self.epoch.as_ref());
        if !is_same && self.attach.is_done {
            // What the ear reads now is of a log that begins anew; it is read again from its beginning.
            self.withheld_since = None;
            self.end_alone(now);
            self.change_state(State::Waiting { since: now });
            self.begin_attach(now);
        }
    }

    /// An entry of a stream has come.
    pub(super) fn handle_entry(
        &mut self,
        due: Option<Asked>,
        stream: &str,
        id: &str,
        fields: &[Box<[u8]>],
        now: Instant,
    ) {
        let Some(id) = Id::parse(id) else {
            return self.lose("an entry without a place", now);
        };
        match due {
            // It was asked for at a place from which nothing is read any more.
            Some(Asked::Read(attach)) if attach != self.attach.number || !self.attach.is_done => {}
            Some(Asked::Read(_)) if stream == self.key("log") => {
                self.position = Some(id);
                self.hear(id, fields, now);
            }
            Some(Asked::Read(_)) => {
                self.position_to = id;
                self.hear_alone_for(fields, now);
            }
            Some(due) => self.handle_looked_up(due, id, fields),
            None => {}
        }
    }

    /// Who sent an entry, and the number of its first event.
    fn author(&mut self, fields: &[Box<[u8]>]) -> Option<(NodeId, u64)> {
        let node = value(fields, b"n").and_then(NodeId::parse);
        let first = value(fields, b"s").and_then(|first| first.parse().ok());
        let author = node.zip(first);
        if author.is_none() {
            self.figures.unread += 1;
        }
        author
    }

    /// Hears an entry of the log.
    fn hear(&mut self, place: Id, fields: &[Box<[u8]>], now: Instant) {
        let Some((node, first)) = self.author(fields) else {
            return;
        };
        if self.dead.contains(&node) {
            return self.condemn_again(node, now);
        }
        let mut is_ahead = false;
        for (number, event) in (first..).zip(events(fields)) {
            let turn = if node == self.node {
                self.hear_own(place, number, event, now)
            } else {
                self.hear_other((node, place), number, event, now)
            };
            is_ahead |= turn == Turn::Ahead;
        }
        if is_ahead {
            // The log has gone on without this node for longer than it keeps anything.
            self.debts.roster = true;
            self.lose("a part of the log was missed", now);
        }
    }

    /// Something that this node has sent has come back.
    fn hear_own(&mut self, place: Id, number: u64, event: &[u8], now: Instant) -> Turn {
        self.note_given_back(now);
        let turn = self.own_numbers.take(number, now);
        if turn == Turn::Again {
            self.figures.dropped_again += 1;
            self.ring.note_returned(number);
            return turn;
        }
        let sent = self.ring.note_returned(number);
        let was_heard = sent.is_some_and(|sent| sent.was_heard);
        if let Some(sent) = sent {
            self.figures.lag = sent.age(now);
        }
        let Ok(event) = Event::parse(event) else {
            self.figures.unread += 1;
            return turn;
        };
        if let Event::Join { who, .. } | Event::Name { who, .. } = &event {
            self.settle_name(who, place);
        }
        match event {
            Event::Up { .. } => {}
            Event::Down => self.leaving = Leaving::Gone,
            Event::Dead(node) => self.bury(node, now),
            // Late or not: somebody here waits for it. Of what others have missed of it they are told anew.
            _ if was_heard => {}
            event => self.news.push_back(News::Heard { node: None, event }),
        }
        turn
    }

    fn hear_other(
        &mut self,
        (node, place): (NodeId, Id),
        number: u64,
        event: &[u8],
        now: Instant,
    ) -> Turn {
        if !self.may_know(node) {
            self.figures.unread += 1;
            return Turn::Again;
        }
        let turn = self.nodes.of(node).take(number, now);
        if turn == Turn::Again {
            self.figures.dropped_again += 1;
            return turn;
        }
        match Event::parse(event) {
            // What others rely on is true in its order only.
            Ok(event) if turn == Turn::Late && !event.is_said() => {}
            Ok(Event::Up { label, .. }) => self.nodes.of(node).label = label,
            Ok(Event::Down) => self.forget(node),
            Ok(Event::Dead(dead)) => self.bury(dead, now),
            Err(Unread::Unknown | Unread::Malformed)
            | Ok(Event::Message { .. } | Event::Gone { .. }) => self.figures.unread += 1,
            Ok(mut event) => {
                if let Event::Join { named, .. } | Event::Name { named, .. } = &mut event {
                    named.get_or_insert(place);
                }
                let node = Some(node);
                self.news.push_back(News::Heard { node, event });
            }
        }
        turn
    }

    /// Whether a node is known, or may become so.
    pub(super) fn may_know(&mut self, node: NodeId) -> bool {
        self.nodes.len() < NODES_MAX || self.nodes.get_mut(node).is_some()
    }

    /// A node speaks that all hold for dead. What it had sent before it read the verdict comes within a lease; later, the
    /// verdict has never reached it.
    fn condemn_again(&mut self, node: NodeId, now: Instant) {
        if self
            .condemned_at
            .is_none_or(|at| at + self.options.lease <= now)
        {
            self.condemned_at = Some(now);
            self.ring.push(None, Event::Dead(node), true, now);
        }
    }

    /// Hears an entry that is for this node alone.
    fn hear_alone_for(&mut self, fields: &[Box<[u8]>], now: Instant) {
        let Some((node, first)) = self.author(fields) else {
            return;
        };
        if self.nodes.get_mut(node).is_none() {
            return;
        }
        for (number, event) in (first..).zip(events(fields)) {
            let turn = self.nodes.of(node).take_private(number, now);
            if turn == Turn::Again {
                self.figures.dropped_again += 1;
                continue;
            }
            match Event::parse(event) {
                Ok(event @ (Event::Message { .. } | Event::Gone { .. })) => {
                    let node = Some(node);
                    self.news.push_back(News::Heard { node, event });
                }
                _ => self.figures.unread += 1,
            }
        }
    }

    /// A node is gone: its people have left.
    fn forget(&mut self, node: NodeId) {
        if self.nodes.remove(node) {
            self.ring.forget_node(node);
            self.news.push_back(News::NodeGone(node));
        }
    }

    /// A verdict has come, which takes effect in this place at all nodes.
    fn bury(&mut self, node: NodeId, now: Instant) {
        self.condemned_at = Some(now);
        if node == self.node {
            return self.begin_anew(now);
        }
        self.forget(node);
        if !self.dead.contains(&node) {
            if self.dead.len() == DEAD_MAX {
                self.dead.pop_front();
            }
            self.dead.push_back(node);
        }
        let (nodes, node) = (self.key("nodes"), node.to_string());
        let words = ["HDEL", &nodes, &node].map(str::as_bytes);
        self.pen.ask(Asked::Done, &words, now);
    }

    /// The others hold this node for dead. Under another name it sends what has not come back, and its people join again.
    fn begin_anew(&mut self, now: Instant) {
        if self.leaving != Leaving::Stays {
            return;
        }
        self.dead.push_back(self.node);
        self.node = NodeId::new(self.chance.next());
        self.own_numbers = super::numbers::Numbers::default();
        self.position_to = Id::default();
        self.ring.renumber();
        self.say_up(now);
        // As for who comes: what this node says of itself in the engine is under its name. It has no lease yet, so that it
        // tells of all its people.
        self.change_state(State::Waiting { since: now });
        self.begin_attach(now);
    }
}
