//! The chat itself: sessions, names, the rooms, and what everybody is to hear.
//!
//! [`Hub<T>`] knows no socket, no clock, no randomness and no byte of any dialect. `T` is whatever carries a session's
//! bytes; it has no bound, so the compiler proves that the hub does nothing with it but keep it and lend it to the
//! caller's [`Sink`]. Time is an argument, and no order depends on a hash map. So partial writes, resets, stale ids and
//! leaps of the clock are ordinary inputs.
//!
//! # Its public face, in the order of a turn
//! | phase | calls |
//! |---|---|
//! | note | [`Hub::set_wall_clock`], [`Hub::handle_writable`] |
//! | accept | [`Hub::make_room`], [`Hub::connect`], [`Hub::former_session`], [`Hub::exchange`], [`Hub::refuse`], [`Hub::turn_away`] |
//! | read | [`Hub::next`] says what is to be done with a session: [`Hub::handle_input`], [`Hub::handle_eof`], [`Hub::handle_reset`], [`Hub::handle_drained`], [`Hub::resume`] or [`Hub::handle_hangup`] |
//! | operate | [`Hub::set_limits`], [`Hub::set_motd`], [`Hub::in_slots`], [`Hub::look_at`], [`Hub::who_is`] |
//! | tick | [`Hub::tick`], [`Hub::take_resumed`], [`Hub::shut_down`] |
//! | flush | [`Hub::flush`], [`Hub::cut_off`] |
//! | reap | [`Hub::reap`] |
//!
//! Monitoring asks for [`Hub::readings`]. Where several nodes share a chat, [`Hub::take_outgoing`] is what the others are
//! to be told, and [`Hub::relayed`] is the one way in for what comes back and for what comes from them.
//!
//! # One way out
//! [`Hub::close`] alone ends a session ([`Hub::begin_close`], without last words): it takes it out of the room, frees its
//! name, tells the others, and lets it drain or marks it closed. It never frees; [`Hub::reap`] alone does, at the end of the turn, when no id, event
//! or borrow of the turn is alive any more. Telling the others only adds to the feed, so however many leave at once,
//! nothing recurses.

mod abroad;
mod absences;
mod close;
mod commands;
mod completion;
mod core;
mod crossing;
mod directory;
mod first;
mod flush;
mod input;
#[cfg(any(test, feature = "internals"))]
mod invariants;
mod jobs;
mod keeping;
pub(crate) mod kept;
mod limits;
mod look;
mod lookalikes;
mod moves;
mod naming;
pub(crate) mod operators;
mod others;
mod pages;
mod prefs;
mod readings;
pub(crate) mod relayed;
mod replies;
mod returned;
mod room;
pub(crate) mod rooms;
mod roster;
pub(crate) mod rules;
mod session;
mod sessions;
mod sink;
#[cfg(test)]
mod tests;
pub(crate) mod transcript;
mod voice;
mod working_off;

use std::cmp::Reverse;
use std::time::Instant;

use crate::dialect::event::Elsewhere;
use crate::hygiene;
use crate::ledger::Ledger;

pub(crate) use crate::id::SessionId;
pub(crate) use crate::limits::Limits;
pub(crate) use close::Rejection;
pub(crate) use look::{Look, State};
pub(crate) use readings::{Readings, DELIVERY_BOUNDS};
pub(crate) use session::Ending;
pub(crate) use sink::Sink;

#[cfg(test)]
pub(crate) use tests::world;

use core::Core;
use session::{Session, Stage};
use sessions::Sessions;

/// What is to be done with a session that may have something to be read.
#[derive(Debug)]
pub(crate) enum Next<'a, T> {
    /// Read from it.
    Read(&'a mut T),
    /// Go on with what was read, by [`Hub::resume`].
    Resume,
    /// Nothing in this turn: it talks, and the room must be told first what was said.
    Later,
    /// Nothing, until it is among [`Hub::take_resumed`]. Its end may hide behind what it has sent.
    Wait,
}

/// What is to be done with a session after its input was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// Read on, if there may be more.
    Read,
    /// Call [`Hub::resume`] in the next turn, and read nothing before.
    Resume,
    /// Nothing, until it is among [`Hub::take_resumed`].
    Wait,
}

/// How many sessions are in which state, and what they hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Sessions that talk.
    pub open: usize,
    /// Sessions that take their last bytes.
    pub draining: usize,
    /// Sessions whose last bytes are read and dropped.
    pub lingering: usize,
    /// Names held, those of guests among them.
    pub names: usize,
    /// Those who were announced.
    pub here: usize,
    /// Bytes that wait for all sockets together.
    pub queued_bytes: usize,
    /// Bytes of input that wait to be understood, and of unfinished lines.
    pub input_bytes: usize,
}

/// The chat.
///
/// Invariants: opened = held in `sessions` + closed; open sessions, names in the roster and members of rooms are
/// the same, one to one.
#[derive(Debug)]
pub(crate) struct Hub<T> {
    sessions: Sessions<T>,
    core: Core,
}

impl<T> Hub<T> {
    /// An empty hub.
    #[must_use]
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            sessions: Sessions::new(),
            core: Core::new(limits),
        }
    }

    /// Tells the hub the time of day, in seconds since 1970 in UTC. It is only ever shown to people.
    pub(crate) fn set_wall_clock(&mut self, seconds: u64) {
        let is_set_back = seconds < self.core.wall_seconds;
        self.core.wall_seconds = seconds;
        if self.core.began == 0 {
            self.core.began = seconds;
        }
        self.core.rooms.set_wall_clock(seconds);
        if is_set_back && self.core.rules.reopen(seconds) {
            self.judge_all();
        }
    }

    /// Sets what newcomers are shown behind the greeting; it is made fit to be shown.
    pub(crate) fn set_motd(&mut self, text: &[u8]) {
        let lines = text.split(|byte| *byte == b'\n');
        let clean = lines.map(|line| hygiene::clean(line).text.into_owned());
        self.core.motd = clean.filter(|line| !line.is_empty()).collect();
    }

    /// Tells the hub where other dialects are spoken.
    pub(crate) fn set_elsewhere(&mut self, elsewhere: Elsewhere) {
        self.core.elsewhere = elsewhere;
    }

    /// The server is called this in IRC.
    pub(crate) fn set_irc_name(&mut self, name: &str) {
        self.core.rooms.set_server(name);
    }

    /// So many connections at the door say who they are.
    pub(crate) fn set_unregistered(&mut self, count: usize) {
        self.core.unregistered = count;
    }

    /// How many sessions hold a slot.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no session is left.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many sessions talk.
    #[must_use]
    pub(crate) fn open_sessions(&self) -> usize {
        self.core.rooms.totals().members + self.core.nowhere
    }

    /// The record of opens and closes.
    #[must_use]
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.core.ledger
    }

    /// Counts the sessions by their state.
    #[must_use]
    pub(crate) fn census(&self) -> Census {
        let mut census = Census {
            names: self.core.roster.len(),
            here: self.core.rooms.totals().here,
            queued_bytes: self.core.queued_bytes,
            input_bytes: self.core.input_bytes,
            ..Census::default()
        };
        for session in self.sessions.iter() {
            match session.stage() {
                None => census.open += 1,
                Some(Stage::Draining) => census.draining += 1,
                Some(Stage::Lingering { .. } | Stage::Closed(_)) => census.lingering += 1,
            }
        }
        census
    }

    /// What all queues and buffers hold together, in bytes.
    #[must_use]
    pub(crate) fn memory(&self) -> usize {
        let feed_bytes = self.core.rooms.totals().feed_bytes;
        self.core.queued_bytes + self.core.input_bytes + feed_bytes
    }

    /// What carries a session's bytes; `None` if the session is gone.
    pub(crate) fn transport(&mut self, id: SessionId) -> Option<&mut T> {
        self.session(id).map(|session| &mut session.transport)
    }

    /// Every session that holds a slot.
    pub(crate) fn ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.sessions.iter().map(|session| session.id)
    }

    /// Whether a session has used up more than half of what it may say and ask at once.
    pub(crate) fn says_much(&self, id: SessionId, now: Instant) -> bool {
        let session = self.sessions.get(id);
        session.is_some_and(|session| self.core.says_much(session, now))
    }

    /// Whether this turn has done its share of work, so that no more is to be read in it.
    #[must_use]
    pub(crate) fn has_done_enough(&self) -> bool {
        self.core.has_done_enough()
    }

    /// Whether some room has as much to tell as is good, so that no more of what others say is to be passed on.
    #[must_use]
    pub(crate) fn is_a_room_full(&self) -> bool {
        self.core.is_a_room_full()
    }

    /// The sessions whose pause has ended.
    pub(crate) fn take_resumed(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.core.resumed)
    }

    /// When there is something to be done, at the earliest: now, if something is to be flushed to some sessions alone,
    /// or sessions wait to be read again or to be freed.
    #[must_use]
    pub(crate) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let core = &self.core;
        let has_work = !core.flush_list.is_empty() || !core.jobs.is_empty();
        if has_work || !core.closed.is_empty() || !core.resumed.is_empty() {
            return Some(now);
        }
        let absence_ends_at = core.absences.front().map(|absence| absence.until);
        let pause_ends_at = core.pauses.peek().map(|Reverse((at, _))| *at);
        let rooms_wake_at = core.rooms.wake_at(|room| core.is_full(room), now);
        let deadlines = [
            core.wake_at,
            rooms_wake_at,
            pause_ends_at,
            core.rule_ends_at,
            absence_ends_at,
            core.keepalive_at,
        ];
        deadlines.into_iter().flatten().min()
    }

    fn session(&mut self, id: SessionId) -> Option<&mut Session<T>> {
        self.sessions.get_mut(id)
    }
}
