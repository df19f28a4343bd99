//! How this node comes to know the engine and the others: step by step, over the pen.
//!
//! First the format, the name of the engine's memory, and whether what was last read of the log is still there. Who comes
//! for the first time, or has lost something, then looks at all nodes and their people, behind a position of the log from
//! which it reads on: facts are set or taken away, so that applying one twice does nothing (Zulip's `register` works so).

use std::time::Instant;

use log::warn;

use crate::relay::data::{Asked, Attach, Debts, News, State};
use crate::relay::hearing;
use crate::relay::link::Answer;
use crate::relay::node::Relay;
use crate::relay::place::Id;
use crate::relay::record::{Entry, Event, NodeId};

/// What the data of this version looks like.
const FORMAT: &str = "1";

/// At most so many people are asked for at a time.
const PEOPLE_STEP: &str = "200";

/// At most so many entries of the log are looked through for what was said before …
const PAST_ENTRIES: &str = "1000";
/// … and at most so many events of them are kept.
const PAST_EVENTS_MAX: usize = 4000;

impl Relay {
    /// Asks for all that says how things stand.
    pub(super) fn begin_attach(&mut self, now: Instant) {
        self.attach = Attach {
            number: self.attach.number + 1,
            ..Attach::default()
        };
        let (format, epoch, log) = (self.key("format"), self.key("epoch"), self.key("log"));
        let lease = self.key_of("lease", self.node);
        let random = NodeId::new(self.chance.next()).to_string();
        let pen = &mut self.pen;
        let mut ask = |due, words: &[&str]| {
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            pen.ask(due, &words, now);
        };
        ask(Asked::Done, &["SET", &format, FORMAT, "NX"]);
        ask(Asked::Format, &["GET", &format]);
        ask(Asked::Done, &["SET", &epoch, &random, "NX"]);
        ask(Asked::Epoch, &["GET", &epoch]);
        ask(Asked::OwnLease, &["GET", &lease]);
        if let Some(position) = self.position.filter(|position| *position != Id::default()) {
            let position = position.to_string();
            ask(Asked::LastRead, &["XRANGE", &log, &position, &position]);
        }
        ask(Asked::Newest, &["XREVRANGE", &log, "+", "-", "COUNT", "1"]);
    }

    /// An entry of the log that was asked for.
    pub(super) fn handle_looked_up(&mut self, due: Asked, id: Id, fields: &[Box<[u8]>]) {
        match due {
            Asked::LastRead => self.attach.last_read_is_there = true,
            Asked::Newest => self.attach.newest = Some(id),
            Asked::Past => {
                let events = hearing::events(fields).rev();
                let events = events.filter_map(|event| Event::parse(event).ok());
                let said = events.filter(|event| matches!(event, Event::Say { .. }));
                let left = PAST_EVENTS_MAX.saturating_sub(self.attach.past.len());
                let said = said.take(left).map(|event| (event, id.seconds()));
                self.attach.past.extend(said);
            }
            _ => {}
        }
    }

    pub(super) fn go_on_attaching(&mut self, due: Asked, answer: Answer, now: Instant) {
        match (due, answer) {
            (Asked::Format, Answer::One(format)) if &*format == FORMAT => {}
            (Asked::Format, _) => self.lose("its data has another format", now),
            (Asked::Epoch, Answer::One(epoch)) => self.attach.epoch = Some(epoch),
            (Asked::Epoch, _) => self.lose("the engine's memory has no name", now),
            // A node that has looked at all people meanwhile has not seen those of this one.
            (Asked::OwnLease, Answer::Null) => self.debts.telling |= self.position.is_some(),
            (Asked::LastRead | Asked::OwnLease, _) => {}
            (Asked::Newest, _) => self.begin_roster(now),
            (Asked::Nodes, Answer::Many(texts)) => self.note_nodes(&texts, now),
            (Asked::LeasesAtFirst, Answer::Many(leases)) => {
                let alive = self.note_leases_at_first(&leases);
                self.attach.to_look_at = alive.into();
                self.look_at_next(now);
            }
            (Asked::People, Answer::Many(texts)) => self.note_people(&texts, now),
            (Asked::Past, _) => {
                let mut past = std::mem::take(&mut self.attach.past);
                past.reverse();
                // What was heard here meanwhile stands behind what was said before.
                if self.debts.past {
                    self.news.push_back(News::Past(past));
                }
                self.settle(now);
            }
            _ => self.lose("an answer is of another kind", now),
        }
    }

    /// All is known of the log: looks at the nodes, if there is need.
    fn begin_roster(&mut self, now: Instant) {
        // Whether the engine has lost it, or it was too old to be kept, facts were missed.
        let is_gone = |position: Id| position != Id::default() && !self.attach.last_read_is_there;
        let is_other_memory = self.epoch != self.attach.epoch;
        let has_lost = is_other_memory || self.position.is_some_and(is_gone);
        if is_other_memory {
            self.withheld_since = None;
            self.epoch.clone_from(&self.attach.epoch);
            self.news.extend(self.epoch.clone().map(News::Epoch));
        }
        if self.position.is_some() && has_lost {
            warn!("relay: the engine has lost something; it is told again");
            self.position = Some(Id::default());
            self.position_to = Id::default();
            self.ring.send_all_again();
            self.debts.roster = true;
            // What others have seen of the engine meanwhile may have been half of it.
            self.debts.telling = true;
        }
        self.end_alone(now);
        if self.debts.roster {
            self.ask_for_nodes("0", now);
        } else {
            self.settle(now);
        }
    }

    /// The others can be reached again, before anything is heard of them; not while the engine gives nothing back.
    pub(super) fn end_alone(&mut self, now: Instant) {
        if self.state == State::Alone && self.withheld_since.is_none() {
            let lost_lines = std::mem::take(&mut self.lost_lines);
            self.news.push_back(News::Back { lost_lines });
            self.change_state(State::Waiting { since: now });
        }
    }

    fn ask_for_nodes(&mut self, cursor: &str, now: Instant) {
        let key = self.key("nodes");
        let words = ["HSCAN", &key, cursor, "COUNT", PEOPLE_STEP].map(str::as_bytes);
        self.pen.ask(Asked::Nodes, &words, now);
    }

    fn note_nodes(&mut self, texts: &[Option<Box<str>>], now: Instant) {
        let (cursor, pairs) = hash_step(texts);
        for (node, label) in pairs {
            let node = NodeId::parse(node).filter(|node| *node != self.node);
            let node = node.filter(|node| !self.dead.contains(node) && self.may_know(*node));
            if let Some(node) = node {
                self.nodes.of(node).label = label.into();
            }
        }
        if cursor != "0" {
            return self.ask_for_nodes(cursor, now);
        }
        if !self.ask_for_leases(Asked::LeasesAtFirst, now) {
            self.look_at_next(now);
        }
    }

    /// Looks at the people of the next node; if there is none, at what was said before.
    fn look_at_next(&mut self, now: Instant) {
        if let Some(node) = self.attach.to_look_at.front().copied() {
            self.news.push_back(News::RosterBegins(node));
            return self.ask_for_people(node, "0", now);
        }
        if !self.debts.past {
            return self.settle(now);
        }
        let key = self.key("log");
        let words = ["XREVRANGE", &key, "+", "-", "COUNT", PAST_ENTRIES].map(str::as_bytes);
        self.pen.ask(Asked::Past, &words, now);
    }

    fn ask_for_people(&mut self, node: NodeId, cursor: &str, now: Instant) {
        let key = self.key_of("people", node);
        let words = ["HSCAN", &key, cursor, "COUNT", PEOPLE_STEP].map(str::as_bytes);
        self.pen.ask(Asked::People, &words, now);
    }

    fn note_people(&mut self, texts: &[Option<Box<str>>], now: Instant) {
        let Some(node) = self.attach.to_look_at.front().copied() else {
            return;
        };
        let (cursor, pairs) = hash_step(texts);
        for (session, value) in pairs {
            match Entry::parse(session, value) {
                Some(entry) => self.news.push_back(News::Person(node, entry)),
                None => self.figures.unread += 1,
            }
        }
        if cursor != "0" {
            return self.ask_for_people(node, cursor, now);
        }
        self.news.push_back(News::RosterEnds(node));
        self.attach.to_look_at.pop_front();
        self.look_at_next(now);
    }

    /// Tells the others who is here, and what they have not heard; from now on all is shared.
    fn settle(&mut self, now: Instant) {
        if self.debts.telling {
            self.tell_all(now);
        }
        let (nodes, node) = (self.key("nodes"), self.node.to_string());
        let label = self.options.label.clone();
        // Another node that looks at this node's people sees all of them or none.
        self.pen.ask(Asked::Done, &[b"MULTI"], now);
        let words = ["HSET", &nodes, &node, &label].map(str::as_bytes);
        self.pen.ask(Asked::Done, &words, now);
        let people = self.key_of("people", self.node);
        let words = ["DEL", &people].map(str::as_bytes);
        self.pen.ask(Asked::Done, &words, now);
        self.changed = self.people.keys().copied().collect();
        self.write_changed(now);
        self.begin_leases(now);
        self.pen.ask(Asked::Done, &[b"EXEC"], now);
        self.debts = Debts::default();
        // It may have given up the others since.
        self.end_alone(now);
        self.attach.is_done = true;
        // Who comes hears what is said from when they began to look.
        let newest = self.attach.newest.unwrap_or_default();
        self.position.get_or_insert(newest);
        self.note_attached();
        self.read_at = now;
        self.read_on(now);
    }

    /// All is shared, but with an engine that gives nothing back.
    pub(super) fn note_attached(&mut self) {
        if self.state != State::Alone {
            self.pen.note_success();
            self.ear.note_success();
            self.change_state(State::Attached);
        }
    }

    /// The others are told anew of all people of this node. Whom they know already they know then as well.
    fn tell_all(&mut self, now: Instant) {
        let mut events = Vec::new();
        for entry in self.people.values_mut() {
            entry.named = None;
            events.push(Event::Join {
                room: entry.room.clone(),
                who: entry.who.clone(),
                named: None,
            });
            if let Some(why) = &entry.away {
                let (session, why) = (entry.who.session, why.clone());
                events.push(Event::Away { session, why });
            }
        }
        for event in events {
            self.ring.push(None, event, true, now);
        }
        let sessions = self.people.keys();
        self.news
            .extend(sessions.map(|session| News::Unsettled(*session)));
    }
}

/// The cursor behind this part of a hash, and its pairs.
fn hash_step(texts: &[Option<Box<str>>]) -> (&str, impl Iterator<Item = (&str, &str)>) {
    let (cursor, rest) = match texts {
        [Some(cursor), rest @ ..] => (&**cursor, rest),
        _ => ("0", &[][..]),
    };
    let pairs = rest.chunks_exact(2);
    let pairs = pairs.filter_map(|pair| Some((pair[0].as_deref()?, pair[1].as_deref()?)));
    (cursor, pairs)
}
