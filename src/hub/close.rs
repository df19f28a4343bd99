//! Sessions come and go: the one way in and the one way out.
//!
//! Everything that ends a session ends in [`Hub::close`]: it bids the session farewell, takes it out of the room, frees
//! its name and tells the others. It never frees; [`Hub::reap`] alone does.

use std::collections::BinaryHeap;
use std::mem;
use std::time::{Duration, Instant};

use crate::dialect::event::{Farewell, First, Foreign, Note, Presence, Reply, To};
use crate::dialect::irc::question::Question;
use crate::dialect::{Codec, Dialect, Opening};
use crate::hub::absences::Missed;
use crate::hub::core::Core;
use crate::hub::rooms::RoomAt;
use crate::hub::session::{Closing, Ending, Phase, Session, Stage};
use crate::hub::Hub;
use crate::id::SessionId;
#[cfg(test)]
use crate::ledger::Entry;
use crate::ledger::{Close, CloseReason};
use crate::name::Name;
use crate::origin::Origin;
use crate::rate::Bucket;

/// A newcomer is told of at most this many other rooms.
const GREETING_ROOMS_MAX: usize = 10;

/// A session that was never announced makes place for a newcomer when it is this old.
const UNANNOUNCED_AGE_MIN: Duration = Duration::from_secs(10);

/// Why a newcomer is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// The reason, which its log lines tell.
    pub(crate) reason: CloseReason,
    /// In how many seconds it may come again, for [`CloseReason::ConnectRate`].
    pub(crate) seconds: u64,
}

impl From<CloseReason> for Rejection {
    fn from(reason: CloseReason) -> Self {
        Self { reason, seconds: 0 }
    }
}

/// Why a session ends, and what is said of that.
pub(super) struct Parting<'a> {
    pub(super) reason: CloseReason,
    /// Its last words to the others, which may be empty.
    pub(super) words: &'a str,
    /// In how many seconds it may come again, for [`CloseReason::ConnectRate`]; how long it was silent, for
    /// [`CloseReason::Idle`], if that is not since its last line.
    pub(super) seconds: u64,
    /// What it spoke, for [`CloseReason::WrongProtocol`].
    pub(super) foreign: Foreign,
    /// When the rule ends that keeps it out, in seconds since 1970; `None`: never.
    pub(super) until: Option<u64>,
    /// What an operator gave as the reason, which may be empty.
    pub(super) why: &'a str,
}

impl From<CloseReason> for Parting<'_> {
    fn from(reason: CloseReason) -> Self {
        Self {
            reason,
            words: match reason {
                CloseReason::Banned => "banned",
                CloseReason::Kicked => "kicked",
                CloseReason::NameTaken => "taken back",
                _ => "",
            },
            seconds: 0,
            foreign: Foreign::default(),
            until: None,
            why: "",
        }
    }
}

impl<T> Hub<T> {
    /// Takes in a session and greets it.
    pub(crate) fn connect(
        &mut self,
        transport: T,
        opening: impl Into<Opening>,
        from: Origin,
        now: Instant,
    ) -> SessionId {
        let opening = opening.into();
        let id = self.insert(transport, Codec::opened(&opening), from, now);
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return id;
        };
        if core.relayed.is_some() {
            session.name = Name::guest(core.next_guest(session.number));
        }
        // A guest's number is its own, so it is free.
        let claimed = core.roster.claim(id, &session.name);
        debug_assert_eq!(claimed, Ok(()));
        if session.codec.begins_nowhere() {
            core.nowhere += 1;
        } else {
            core.enter(session, RoomAt::LOBBY);
        }
        core.name_newcomer(session, &opening);
        core.most = core.most.max(core.rooms.totals().members + core.nowhere);
        if let Some(idle) = core.limits.idle {
            core.wake_by(now + idle);
        }
        self.greet(id, &opening, now);
        self.judge_newcomer(id, now);
        id
    }

    /// Takes in a session only to tell it why it cannot stay.
    pub(crate) fn refuse(
        &mut self,
        transport: T,
        dialect: Dialect,
        from: Origin,
        rejection: Rejection,
        now: Instant,
    ) -> SessionId {
        let id = self.insert(transport, Codec::new(dialect), from, now);
        let Self { sessions, core } = self;
        let Rejection { reason, seconds } = rejection;
        let (until, why) = core.keep_out(reason, from);
        let parting = Parting {
            seconds,
            until,
            why: &why,
            ..Parting::from(reason)
        };
        if let Some(session) = sessions.get_mut(id) {
            core.bid_farewell(session, &parting, now);
        }
        id
    }

    /// Writes down that somebody came and could not even be taken in to be told why; gives what to tell them.
    pub(crate) fn turn_away(
        &mut self,
        dialect: Dialect,
        from: Origin,
        rejection: Rejection,
    ) -> Vec<u8> {
        let Rejection { reason, seconds } = rejection;
        let sessions = self.sessions.len();
        let (until, why) = self.core.keep_out(reason, from);
        let number = self.core.note_open(dialect, from, sessions);
        let close = Close {
            id: number,
            name: &Name::guest(number),
            reason,
            from,
            lasted: Duration::ZERO,
            lines_in: 0,
            bytes_out: 0,
        };
        self.core.ledger.close(&close, sessions);
        let mut farewell = Vec::new();
        let reply = Reply::Farewell(Farewell {
            reason,
            seconds,
            foreign: Foreign::default(),
            elsewhere: self.core.elsewhere,
            until,
            why: &why,
        });
        dialect.encode_reply(&reply, &mut farewell);
        farewell
    }

    /// What a connection is told whose session goes on with another one.
    pub(crate) fn farewell_replaced(&self, dialect: Dialect) -> Vec<u8> {
        let mut farewell = Vec::new();
        let reply = Reply::Farewell(Farewell {
            reason: CloseReason::Replaced,
            seconds: 0,
            foreign: Foreign::default(),
            elsewhere: self.core.elsewhere,
            until: None,
            why: "",
        });
        Codec::new(dialect).encode_reply(&reply, &To::default(), &mut farewell);
        farewell
    }

    /// Closes the oldest session that was never announced, if it is old enough, so that a newcomer finds place.
    pub(crate) fn make_room(&mut self, now: Instant) -> bool {
        let rooms = &self.core.rooms;
        // Guests stand in the order in which they came, so if the first of these is too young, all are.
        let oldest = self.core.roster.guests().find_map(|id| {
            let session = self.sessions.get(id)?;
            let member = rooms.get(session.room).members.get(session.member)?;
            member.announced.is_none().then_some(session)
        });
        let age = |session: &Session<T>| now.saturating_duration_since(session.opened_at);
        let Some(id) = oldest
            .filter(|session| age(session) >= UNANNOUNCED_AGE_MIN)
            .map(|session| session.id)
        else {
            return false;
        };
        self.begin_close(id, CloseReason::Idle, now);
        true
    }

    /// Ends a session: the one way out. The first reason stays; a second call does nothing.
    pub(crate) fn begin_close(&mut self, id: SessionId, reason: CloseReason, now: Instant) {
        self.close(id, &reason.into(), now);
    }

    /// Ends all sessions, because the server goes down.
    pub(crate) fn shut_down(&mut self, now: Instant) {
        self.core.going_down = true;
        for id in self.ids().collect::<Vec<_>>() {
            self.begin_close(id, CloseReason::Shutdown, now);
        }
    }

    /// Ends what has begun to close and is not done yet, at once.
    pub(crate) fn cut_off(&mut self) {
        for id in self.ids().collect::<Vec<_>>() {
            self.free(id, Ending::Orderly);
        }
    }

    fn insert(&mut self, transport: T, codec: Codec, from: Origin, now: Instant) -> SessionId {
        let Self { sessions, core } = self;
        let number = core.note_open(codec.dialect(), from, sessions.len() + 1);
        let prefix = from.prefix();
        let session = sessions.insert(|id| Session::new(transport, id, number, from, codec, now));
        let owes_until = prefix.and_then(|prefix| core.debts.paid_at(prefix, now));
        if let Some(paid_at) = owes_until {
            session.bucket = Bucket::owing(paid_at, now);
            // It is not heard before it has paid: each connection would be worth a line otherwise.
            core.pause(session, now);
        }
        session.id
    }

    /// Tells a newcomer who they are, where, and who is there; and then what else they are to know.
    pub(super) fn greet(&mut self, id: SessionId, opening: &Opening, now: Instant) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        if !session.codec.is_for_people() {
            return;
        }
        if session.codec.begins_nowhere() {
            core.begin_keepalive(session, now);
            return self.answer_question(id, Question::GREETING, now);
        }
        let first = First {
            run: core.run,
            key: match opening {
                Opening::Plain(_) | Opening::Irc(_) => 0,
                Opening::Web(_) => core.name_page(session, now),
            },
        };
        self.tell_arrival(id, Some(first), now);
        let missed = match opening {
            Opening::Plain(_) | Opening::Irc(_) => Missed::All,
            Opening::Web(coming) => self.core.missed_by(coming),
        };
        if missed == Missed::All {
            self.tell_more(id, now);
        }
        self.tell_past(id, missed, now);
    }

    /// Tells a newcomer of other rooms, and what the operator wants everybody to know.
    fn tell_more(&mut self, id: SessionId, now: Instant) {
        let mut greeting = Vec::new();
        let Some(session) = self.sessions.get(id) else {
            return;
        };
        let to = session.to(self.core.wall_seconds);
        let mut add = |reply| session.codec.encode_reply(&reply, &to, &mut greeting);
        let rooms = &self.core.rooms;
        let (count, others) = (rooms.peopled(), rooms.listed().skip(1));
        let listed: Vec<_> = others
            .take(count.min(GREETING_ROOMS_MAX))
            .map(|(_, room)| room.listed_as())
            .collect();
        if count > 0 {
            let listed = &listed;
            add(Reply::Note(Note::MoreRooms { count, listed }));
        }
        if self.core.transcript.is_some() {
            add(Reply::Note(Note::Recorded));
        }
        for line in &self.core.motd {
            add(Reply::Note(Note::MessageOfTheDay(line)));
        }
        self.send(id, &mut greeting, now);
    }

    pub(super) fn close(&mut self, id: SessionId, parting: &Parting<'_>, now: Instant) {
        if !self.sessions.get(id).is_some_and(Session::is_open) {
            return;
        }
        self.unsort_name(id);
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        core.roster.release(id, &session.name);
        core.forget_page(session);
        core.give_up_kept(session);
        core.end_rules_of(session.number);
        session.long = None;
        if let Some(prefix) = session.prefix() {
            let paid_at = session.bucket.full_at(session.opened_at);
            core.debts.note(prefix, paid_at, now);
        }
        core.bid_farewell(session, parting, now);
        let name = session.name.clone();
        let (name, words) = (&name, parting.words);
        if self.core.relayed.is_some() {
            return self.leave_all(id, words);
        }
        let left = |here| Presence::Left { name, words, here };
        self.leave(id, left, now);
        let Self { sessions, core } = self;
        if let Some(session) = sessions.get_mut(id) {
            // It has been told all that it was to see in its own way.
            session.prefs = None;
            core.count_input(session);
        }
    }

    /// Nothing more is to be done for a session that is closing but to free it.
    pub(super) fn free(&mut self, id: SessionId, ending: Ending) {
        let Self { sessions, core } = self;
        if let Some(session) = sessions.get_mut(id) {
            core.finish_close(session, ending);
        }
    }

    /// Frees memory: who makes the others wait for most goes first.
    pub(super) fn enforce_memory_limit(&mut self, now: Instant) {
        if self.memory() <= self.core.limits.memory_max {
            return;
        }
        // Closing one leaves the queues of the others as they are: that it has gone waits in the feed.
        let weighed = self.sessions.iter().map(|session| {
            let weight = session.outbox.bytes() + session.input_bytes();
            (weight, session.id)
        });
        let mut heaviest: BinaryHeap<_> = weighed.filter(|(weight, _)| *weight > 0).collect();
        while self.memory() > self.core.limits.memory_max {
            let Some((_, id)) = heaviest.pop() else {
                return;
            };
            self.begin_close(id, CloseReason::SlowConsumer, now);
            let Self { sessions, core } = self;
            if let Some(session) = sessions.get_mut(id) {
                core.drop_output(session);
                core.drop_input(session);
                core.finish_close(session, Ending::Abrupt);
            }
        }
    }

    /// Frees the sessions that are closed and gives their transports back, each with where it came from.
    pub(crate) fn reap(&mut self, now: Instant, mut close: impl FnMut(T, Origin, Ending)) {
        let closed = mem::take(&mut self.core.closed);
        let some_leave = !closed.is_empty();
        for id in closed {
            let Self { sessions, core } = self;
            let Some(session) = sessions.remove(id) else {
                continue;
            };
            let Phase::Closing(closing) = &session.phase else {
                continue;
            };
            let Stage::Closed(ending) = closing.stage else {
                continue;
            };
            let waits = session.outbox.bytes();
            core.queued_bytes -= waits;
            core.input_bytes -= session.input_counted as usize;
            core.counts.note_gone(&session);
            core.ledger.close(
                &Close {
                    id: session.number,
                    name: &session.name,
                    reason: closing.reason,
                    from: session.from,
                    lasted: now.saturating_duration_since(session.opened_at),
                    lines_in: session.lines_in,
                    bytes_out: session.bytes_out,
                },
                sessions.len(),
            );
            let ending = if waits > 0 { Ending::Abrupt } else { ending };
            close(session.transport, session.from, ending);
        }
        if some_leave {
            self.sessions.give_back_memory();
        }
    }
}

impl Core {
    /// Tells a session why it ends, behind all that it is still to hear, and lets it drain.
    fn bid_farewell<T>(&mut self, session: &mut Session<T>, parting: &Parting<'_>, now: Instant) {
        let reason = parting.reason;
        self.drop_input(session);
        let hopeless = !session.is_reachable()
            || matches!(reason, CloseReason::Reset | CloseReason::WriteStall);
        if !hopeless {
            let silent = now.saturating_duration_since(session.heard_at());
            let seconds = match reason {
                CloseReason::Idle if parting.seconds == 0 => silent.as_secs(),
                _ => parting.seconds,
            };
            let farewell = Reply::Farewell(Farewell {
                reason,
                seconds,
                foreign: parting.foreign,
                elsewhere: self.elsewhere,
                until: parting.until,
                why: parting.why,
            });
            self.reply(session, &farewell, now);
            // Without a farewell, too, it still hears what was said before.
            let before = session.outbox.bytes();
            self.catch_up(session, now);
            self.queued_bytes += session.outbox.bytes() - before;
        }
        #[cfg(test)]
        self.ledger.diary.push(Entry::Ended {
            id: session.number,
            reason,
        });
        let until = now + self.limits.drain;
        session.phase = Phase::Closing(Box::new(Closing {
            reason,
            stage: Stage::Draining,
            until,
            ended: false,
            slow: false,
        }));
        if hopeless {
            self.finish_close(session, Ending::Orderly);
        } else {
            self.list(session);
            self.wake_by(until);
        }
    }
}
