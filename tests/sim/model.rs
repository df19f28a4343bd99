//! Who must have received what, told by PROTOCOL.md and without a look at how the hub does it.
//!
//! Everything that is said goes into one log, in one order, each entry for everybody but its author or for one
//! alone. What a session is due is the log from its coming to its leaving. What all have heard is dropped.
//!
//! One thing is taken over from the hub, because no protocol says it: in which order a flush visits the sessions, first
//! those who hear something alone, then the untold of the round from the last to the first. In this order sessions end
//! that end in the same breath; deadlines are seen to in the order of slots.

use std::collections::{BTreeMap, BTreeSet};

use chatd::dialect::Dialect;
use chatd::hub::{Census, Ending, Limits};
use chatd::ledger::CloseReason;

use crate::comforts::History;
use crate::presence::{Ms, Telling};
use crate::script::{wire_line, Item, NAMES};
use crate::session::{Closing, Entry, Phase, Session, To};

/// A session that was told everything may send so much more.
const LINGER_BYTES_MAX: usize = 64 * 1024;
/// A turn takes so many lines of one session.
const TURN_LINES_MAX: usize = 64;
/// So much said is enough for one turn.
const TURN_SAID_BYTES_MAX: usize = 64 * 1024;

pub(crate) struct Model {
    pub(crate) limits: Limits,
    pub(crate) sessions: BTreeMap<u64, Session>,
    pub(crate) log: Vec<Entry>,
    /// Those with something to hear alone, and those in the room, in the order of a flush.
    pub(crate) wakers: Vec<u64>,
    pub(crate) members: Vec<u64>,
    /// So many of them have not been told in the round, and so long was the log when it began.
    pub(crate) untold: usize,
    pub(crate) round: usize,
    /// Those who took a name or spoke, in this order.
    pub(crate) here: Vec<u64>,
    pub(crate) joins: Telling,
    pub(crate) leaves: Telling,
    pub(crate) opened: u64,
    pub(crate) wall_seconds: u64,
    pub(crate) history: History,
    /// What newcomers are shown.
    pub(crate) message: Vec<String>,
    pub(crate) closed: BTreeMap<&'static str, u64>,
    pub(crate) going_down: bool,
    /// Kinds of name given up in this turn, to see that they are free in the same one.
    pub(crate) freed: BTreeSet<usize>,
    /// What was hit, by name.
    pub(crate) hits: BTreeMap<&'static str, u64>,
}

impl Model {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sessions: BTreeMap::new(),
            log: Vec::new(),
            wakers: Vec::new(),
            members: Vec::new(),
            untold: 0,
            round: 0,
            here: Vec::new(),
            joins: Telling::default(),
            leaves: Telling::default(),
            opened: 0,
            wall_seconds: 0,
            history: History::new(limits.history_lines),
            message: Vec::new(),
            closed: BTreeMap::new(),
            going_down: false,
            freed: BTreeSet::new(),
            hits: BTreeMap::new(),
        }
    }

    pub(crate) fn hit(&mut self, what: &'static str) {
        *self.hits.entry(what).or_default() += 1;
    }

    /// So many count as enough for one turn.
    pub(crate) fn has_said_enough(&self) -> bool {
        let bytes = self.log.iter().flat_map(|entry| &entry.bytes);
        let said: usize = bytes.map(Vec::len).sum();
        said >= TURN_SAID_BYTES_MAX.min(self.limits.queue.bytes_max / 4)
    }

    /// Things that were said to all, and that somebody hears.
    pub(crate) fn happenings(&self) -> impl Iterator<Item = &Entry> {
        self.log.iter().filter(|entry| {
            let is_for_all = matches!(entry.to, To::AllBut(_));
            is_for_all && entry.bytes.iter().any(|bytes| !bytes.is_empty())
        })
    }

    /// Whether there is something to tell to some alone.
    pub(crate) fn has_listed(&self) -> bool {
        !self.wakers.is_empty()
    }

    /// Whether all that waits for everybody is who came and went, and nobody has been told of it.
    pub(crate) fn only_presence_waits(&self) -> bool {
        self.untold == 0 && self.happenings().all(|entry| entry.is_presence)
    }

    pub(crate) fn has_closed(&self) -> bool {
        let mut sessions = self.sessions.values();
        sessions.any(|it| it.phase == Phase::Closed)
    }

    /// How things stand; how much input is kept is the hub's own affair.
    pub(crate) fn census(&self, input_bytes: usize) -> Census {
        let count = |phase| {
            self.sessions
                .values()
                .filter(|it| it.phase == phase)
                .count()
        };
        Census {
            input_bytes,
            open: count(Phase::Open),
            draining: count(Phase::Draining),
            lingering: count(Phase::Lingering) + count(Phase::Closed),
            names: count(Phase::Open),
            here: self.here.len(),
            queued_bytes: self.sessions.values().map(|it| it.due.len()).sum(),
        }
    }

    pub(crate) fn line_bytes_max(&self) -> usize {
        self.limits.line_bytes_max
    }

    pub(crate) fn it(&mut self, number: u64) -> &mut Session {
        self.sessions.get_mut(&number).expect("the model knows it")
    }
}

/// Who comes and goes.
impl Model {
    pub(crate) fn connect(&mut self, slot: usize, dialect: Dialect, now: Ms) -> u64 {
        let number = self.insert(slot, dialect, now);
        self.members.push(number);
        if dialect == Dialect::Telnet {
            let name = self.it(number).name.clone();
            let mut names = self.names_here();
            names.push(name.clone());
            let more = names.len().saturating_sub(20);
            let end = if more > 0 {
                self.hit("greeting leaves names out");
                format!(" and {more} more")
            } else {
                String::new()
            };
            let count = names.len();
            names.truncate(20);
            let list = names.join(", ");
            self.tell(number, &format!("-- Welcome to chatd. You are {name}: /name NAME changes that, /help lists the commands."));
            self.tell(number, &format!("-- {count} here: {list}{end}"));
            for line in self.message.clone() {
                self.tell(number, &format!("-- {line}"));
            }
            if !self.history.is_empty() {
                self.hit("newcomer is shown what was said");
                self.show_history(number);
            }
        }
        number
    }

    pub(crate) fn refuse(
        &mut self,
        slot: usize,
        dialect: Dialect,
        reason: CloseReason,
        now: Ms,
    ) -> u64 {
        let number = self.insert(slot, dialect, now);
        self.bid_farewell(number, reason, now);
        number
    }

    pub(crate) fn turn_away(&mut self, dialect: Dialect, reason: CloseReason) -> Vec<u8> {
        self.opened += 1;
        *self.closed.entry(reason.as_str()).or_default() += 1;
        farewell(dialect, reason, 0)
    }

    fn insert(&mut self, slot: usize, dialect: Dialect, now: Ms) -> u64 {
        self.opened += 1;
        let session = Session::new(self.opened, slot, dialect, self.log.len(), now);
        self.sessions.insert(self.opened, session);
        self.opened
    }

    pub(crate) fn close(&mut self, number: u64, reason: CloseReason, words: &str, now: Ms) {
        if self.sessions[&number].phase != Phase::Open {
            return self.hit("second close does nothing");
        }
        let place = self.members.iter().position(|member| *member == number);
        let mut place = place.expect("who is open is in the room");
        if place < self.untold {
            self.untold -= 1;
            self.members.swap(place, self.untold);
            place = self.untold;
            self.hit("leaves before being told in the round");
        }
        self.members.swap_remove(place);
        self.freed.extend(class_of(&self.sessions[&number].name));
        self.bid_farewell(number, reason, now);
        let was_here = self.here.contains(&number);
        self.here.retain(|here| *here != number);
        if !was_here || self.going_down {
            return;
        }
        if self.joins.forget(number) {
            return self.hit("came and went unseen");
        }
        if self.leaves.is_by_name(number, now) {
            let name = &self.sessions[&number].name;
            let here = self.here.len();
            let colon = if words.is_empty() { "" } else { ": " };
            let line = format!("-- {name} left{colon}{words} ({here} here)");
            self.announce(Some(number), &line);
        }
    }

    fn bid_farewell(&mut self, number: u64, reason: CloseReason, now: Ms) {
        let it = &self.sessions[&number];
        let farewell = farewell(it.dialect, reason, now - it.heard_at);
        self.tell_bytes(number, farewell);
        let until = now + ms(self.limits.drain);
        let left = self.log.len();
        let it = self.it(number);
        it.reason = Some(reason);
        it.until = until;
        it.left = Some(left);
        it.phase = Phase::Draining;
        if it.dead || matches!(reason, CloseReason::Reset | CloseReason::WriteStall) {
            it.phase = Phase::Closed;
        }
        self.hit(reason.as_str());
    }

    pub(crate) fn shut_down(&mut self, now: Ms) {
        self.going_down = true;
        for number in self.by_slot() {
            if self.sessions[&number].phase == Phase::Open {
                self.close(number, CloseReason::Shutdown, "", now);
            }
        }
    }

    pub(crate) fn cut_off(&mut self) {
        for it in self.sessions.values_mut() {
            if it.phase != Phase::Open {
                it.phase = Phase::Closed;
            }
        }
    }

    /// Takes out those who are closed.
    pub(crate) fn reap(&mut self, now: Ms) -> BTreeMap<u64, Closing> {
        self.freed.clear();
        let mut closings = BTreeMap::new();
        for (number, it) in &self.sessions {
            if let (Phase::Closed, Some(reason)) = (it.phase, it.reason) {
                *self.closed.entry(reason.as_str()).or_default() += 1;
                let ending = if it.due.is_empty() {
                    it.ending
                } else {
                    Ending::Abrupt
                };
                let closing = Closing {
                    name: it.name.clone(),
                    reason,
                    tenths: (now - it.opened_at) / 100,
                    lines_in: it.lines_in,
                    bytes_out: it.bytes_out as u64,
                    ending,
                };
                closings.insert(*number, closing);
            }
        }
        self.sessions.retain(|_, it| it.phase != Phase::Closed);
        closings
    }

    pub(crate) fn by_slot(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.sessions.keys().copied().collect();
        numbers.sort_by_key(|number| self.sessions[number].slot);
        numbers
    }
}

/// What the hub is told of sessions.
impl Model {
    pub(crate) fn input(&mut self, number: u64, bytes: usize, now: Ms) {
        let it = self.it(number);
        it.given += bytes;
        match it.phase {
            Phase::Open => self.understand(number, now),
            Phase::Draining | Phase::Closed => {}
            Phase::Lingering => {
                it.dropped += bytes;
                if it.dropped > LINGER_BYTES_MAX {
                    it.phase = Phase::Closed;
                    self.hit("linger ends by bytes");
                }
            }
        }
    }

    /// Takes what is complete, but not more than one turn takes.
    pub(crate) fn understand(&mut self, number: u64, now: Ms) {
        self.it(number).heard_at = now;
        // Ctrl-C is answered behind the timing mark that clients send after it.
        let mut interrupted = false;
        for _ in 0..TURN_LINES_MAX {
            while self.next_is(number, |item| !item.counts()) {
                let mark = self.take_next(number);
                self.obey(number, &mark, now);
            }
            if std::mem::take(&mut interrupted) {
                self.interrupt(number, now);
            }
            if self.sessions[&number].phase != Phase::Open {
                return;
            }
            if !self.next_is(number, |_| true) {
                let it = self.it(number);
                it.understood = it.given;
                return;
            }
            let item = self.take_next(number);
            if self.sessions[&number].dead && item.is_line() {
                self.hit("last lines of one who takes nothing");
            }
            match item {
                Item::Interrupt => interrupted = true,
                item => self.obey(number, &item, now),
            }
            if self.sessions[&number].phase != Phase::Open {
                return;
            }
            if self.has_said_enough() {
                self.hit("said enough");
                break;
            }
        }
        if interrupted {
            self.interrupt(number, now);
        }
        if self.has_carry(number) && !self.has_said_enough() {
            self.hit("more lines than a turn takes");
        }
    }

    /// Whether a thing of this kind is next and complete.
    fn next_is(&self, number: u64, is_meant: impl Fn(&Item) -> bool) -> bool {
        let it = &self.sessions[&number];
        let next = it.typed.front();
        next.is_some_and(|(at, item)| *at <= it.given && is_meant(item))
    }

    fn take_next(&mut self, number: u64) -> Item {
        let it = self.it(number);
        let (at, item) = it.typed.pop_front().expect("it was just looked at");
        it.understood = at;
        item
    }

    pub(crate) fn has_carry(&self, number: u64) -> bool {
        let it = &self.sessions[&number];
        it.phase == Phase::Open && it.given > it.understood
    }

    pub(crate) fn eof(&mut self, number: u64, now: Ms) {
        let it = self.it(number);
        it.ended = true;
        match it.phase {
            Phase::Open => {
                // Nothing but a last line without an end can be left.
                if let Some((_, item)) = it.typed.pop_front() {
                    let what = match item {
                        Item::TooLong(_) => "last line is too long",
                        _ => "last line without an end",
                    };
                    self.hit(what);
                    self.obey(number, &item, now);
                }
                let dead = self.sessions[&number].dead;
                let reason = if dead {
                    CloseReason::Reset
                } else {
                    CloseReason::Eof
                };
                if self.sessions[&number].phase == Phase::Open {
                    self.close(number, reason, "", now);
                }
            }
            Phase::Draining => self.hit("ended while draining"),
            Phase::Lingering => {
                it.phase = Phase::Closed;
                self.hit("linger ends by eof");
            }
            Phase::Closed => {}
        }
    }

    pub(crate) fn reset(&mut self, number: u64, now: Ms) {
        match self.sessions[&number].phase {
            Phase::Open => self.close(number, CloseReason::Reset, "", now),
            Phase::Draining => self.hit("reset while draining"),
            Phase::Lingering | Phase::Closed => {}
        }
        self.it(number).phase = Phase::Closed;
    }

    pub(crate) fn drained(&mut self, number: u64, now: Ms) {
        if self.sessions[&number].dead {
            self.reset(number, now);
        }
    }

    pub(crate) fn writable(&mut self, number: u64) {
        let it = self.it(number);
        if !it.dead && std::mem::take(&mut it.blocked) {
            self.wake(number);
        }
    }
}

/// The last thing that a session is told.
fn farewell(dialect: Dialect, reason: CloseReason, silent: Ms) -> Vec<u8> {
    let words = match reason {
        CloseReason::Quit => "goodbye".to_owned(),
        CloseReason::Shutdown => "goodbye: the server is going down".to_owned(),
        CloseReason::SlowConsumer | CloseReason::WriteStall => {
            "goodbye: too slow to keep up".to_owned()
        }
        CloseReason::Full => "goodbye: the server is full".to_owned(),
        CloseReason::PerAddress => "goodbye: too many connections from your address".to_owned(),
        CloseReason::Idle => format!("goodbye: nothing heard for {} s", silent / 1000),
        CloseReason::Flood => "goodbye: too much at once".to_owned(),
        CloseReason::WrongProtocol => "this is a chat in plain text".to_owned(),
        CloseReason::Reset | CloseReason::Eof => return Vec::new(),
    };
    match (dialect, reason) {
        (Dialect::Telnet, CloseReason::Quit | CloseReason::Shutdown) => {
            format!("-- {words}\r\n").into_bytes()
        }
        (Dialect::Wire, CloseReason::Quit) => Vec::new(),
        _ => refusal(dialect, &words),
    }
}

pub(crate) fn refusal(dialect: Dialect, words: &str) -> Vec<u8> {
    match dialect {
        Dialect::Telnet => format!("!! {words}\r\n"),
        Dialect::Wire => wire_line("FAIL", &[words]) + "\n",
    }
    .into_bytes()
}

/// What a chosen name shares with those that look like it.
pub(crate) fn class_of(name: &str) -> Option<usize> {
    let known = NAMES.iter().find(|known| known.0 == name);
    known.map(|known| known.1)
}

pub(crate) fn ms(duration: std::time::Duration) -> Ms {
    duration.as_millis() as Ms
}
