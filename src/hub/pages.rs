//! Pages whose connection breaks, and that come back.
//!
//! Their session stays for a while, with its name and its room, and takes the new connection: nobody else hears of it.

use std::mem;
use std::time::{Duration, Instant};

use crate::dialect::event::Reply;
use crate::dialect::input::Keepalive;
use crate::dialect::web::Coming;
use crate::dialect::{Codec, Opening};
use crate::hub::absences::{Absence, Missed};
use crate::hub::close::Parting;
use crate::hub::core::Core;
use crate::hub::session::{Flow, Session};
use crate::hub::Hub;
use crate::id::SessionId;
use crate::ledger::{Close, CloseReason};
use crate::origin::Origin;

/// A page has this long to come back.
const ABSENCE_MAX: Duration = Duration::from_secs(30);

/// Keepalives are looked at no more often than this.
const KEEPALIVE_TICK: Duration = Duration::from_secs(1);

/// A half of the key of a page leads to its session, which has the whole one.
fn half(key: u128) -> u64 {
    key as u64
}

impl<T> Hub<T> {
    /// The session that a page which opens its socket had before, if that is still there.
    pub(crate) fn former_session(&self, opening: &Opening) -> Option<SessionId> {
        let Opening::Web(coming) = opening else {
            return None;
        };
        let key = coming.key?.0;
        let id = self.core.pages.get(&half(key))?;
        let session = self.sessions.get(*id)?;
        let is_it = session.is_open() && session.codec.page() == Some(key);
        is_it.then_some(*id)
    }

    /// Whether a session has no connection, and what carried it is to be closed.
    pub(crate) fn is_absent(&self, id: SessionId) -> bool {
        let session = self.sessions.get(id);
        session.is_some_and(|session| session.flow == Flow::Absent)
    }

    /// A page has come back: its session goes on with `transport`. Gives what carried it before, where it came from, and
    /// what is to be said there.
    pub(crate) fn exchange(
        &mut self,
        id: SessionId,
        transport: T,
        from: Origin,
        opening: &Opening,
        now: Instant,
    ) -> Option<(T, Origin)> {
        let Self { sessions, core } = self;
        let count = sessions.len();
        let session = sessions.get_mut(id)?;
        core.note_slow(session, false);
        core.drop_output(session);
        core.drop_input(session);
        core.forget_page(session);
        session.long = None;
        session.flow = Flow::Ready;
        let former = mem::replace(&mut session.transport, transport);
        core.counts.note_gone(session);
        core.ledger.close(
            &Close {
                id: session.number,
                name: &session.name,
                reason: CloseReason::Replaced,
                from: session.from,
                lasted: now.saturating_duration_since(session.opened_at),
                lines_in: mem::take(&mut session.lines_in),
                bytes_out: mem::take(&mut session.bytes_out),
            },
            count - 1,
        );
        let number = core.note_open(opening.dialect(), from, count);
        core.rules.renumber_session(session.number, number);
        session.number = number;
        let former_from = mem::replace(&mut session.from, from);
        session.codec = Codec::opened(opening);
        session.hear_until(now);
        let (prefixes, encoding) = (
            (former_from.prefix(), from.prefix()),
            session.codec.encoding(),
        );
        let place = session.member;
        core.rooms.change(session.room, |room| {
            room.keeping_up.leave(prefixes.0);
            room.keeping_up.enter(prefixes.1);
            // What was said meanwhile it is shown as what was said before.
            room.change_encoding(place, encoding);
        });
        core.count_input(session);
        core.judge(session, now);
        self.greet(id, opening, now);
        Some((former, former_from))
    }

    /// Tells a session what was said before where it is.
    pub(super) fn tell_past(&mut self, id: SessionId, missed: Missed, now: Instant) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        let history = &core.room_of(session).history;
        let (lines, since) = match missed {
            Missed::AllSince(since) if history.has_all_since(since) => (usize::MAX, since),
            Missed::AllSince(_) => {
                core.reply(session, &Reply::Gap, now);
                (core.limits.history_lines, 0)
            }
            Missed::Since(since) => (core.limits.history_lines, since),
            Missed::All => (core.limits.history_lines, 0),
        };
        let history = &core.room_of(session).history;
        let is_news = !history.is_empty() && history.said() > since && lines > 0;
        if is_news || session.codec.keeps_list() {
            core.show_history(session, lines, since, now);
        }
    }

    /// The connection of a session is broken. If its page may come back, it stays for a while; else it is closed.
    pub(super) fn lose(&mut self, id: SessionId, reason: CloseReason, now: Instant) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        let stays = session.is_open() && session.codec.comes_back() && !core.going_down;
        if !stays {
            return self.begin_close(id, reason, now);
        }
        if session.flow == Flow::Absent {
            return;
        }
        core.note_slow(session, false);
        core.drop_output(session);
        core.drop_input(session);
        session.long = None;
        session.flow = Flow::Absent;
        let until = now + ABSENCE_MAX;
        core.absences.push_back(Absence {
            until,
            id,
            number: session.number,
            reason,
        });
    }

    /// Closes the sessions whose pages have not come back.
    pub(super) fn end_absences(&mut self, now: Instant) {
        while let Some(absence) = self.core.absences.front().copied() {
            if now < absence.until {
                return;
            }
            self.core.absences.pop_front();
            let session = self.sessions.get(absence.id);
            let is_same = |it: &Session<T>| it.number == absence.number && it.flow == Flow::Absent;
            if session.is_some_and(is_same) {
                self.begin_close(absence.id, absence.reason, now);
            }
        }
    }

    /// Asks those who were silent for long whether they are there, and closes those who did not answer.
    pub(super) fn keep_alive(&mut self, now: Instant) {
        let Self { sessions, core } = self;
        if core.keepalive_at.is_none_or(|at| now < at) {
            return;
        }
        let (mut over, mut next) = (Vec::new(), None::<Instant>);
        for session in sessions.iter_mut() {
            if !session.is_open() || !session.is_reachable() {
                continue;
            }
            let age = now.saturating_duration_since(session.opened_at);
            let at = match session.codec.keep_alive(age) {
                None => continue,
                Some(Keepalive::Fine(at)) => at,
                Some(Keepalive::Ask(at)) => {
                    core.send(session, now, |_, session, out| session.codec.ask(out));
                    at
                }
                Some(Keepalive::Over(silent)) => {
                    over.push((session.id, silent));
                    continue;
                }
            };
            next = next.into_iter().chain([session.opened_at + at]).min();
        }
        core.keepalive_at = next.map(|at| at.max(now + KEEPALIVE_TICK));
        for (id, silent) in over {
            let parting = Parting {
                seconds: silent.as_secs(),
                ..Parting::from(CloseReason::Idle)
            };
            self.close(id, &parting, now);
        }
    }
}

impl Core {
    /// What a page has missed since it was here, if it was.
    pub(super) fn missed_by(&self, coming: &Coming) -> Missed {
        match (coming.run, coming.heard) {
            (Some(run), Some(heard)) if run == self.run => Missed::AllSince(heard),
            (None, None) => Missed::All,
            // Whatever it has heard is of another run.
            _ => Missed::AllSince(u64::MAX),
        }
    }

    /// Gives a page what takes its session back; what it had before is void.
    pub(super) fn name_page<T>(&mut self, session: &mut Session<T>, now: Instant) -> u128 {
        self.forget_page(session);
        let key = self.seed.bits();
        session.codec.set_page(key);
        self.pages.insert(half(key), session.id);
        self.begin_keepalive(session, now);
        key
    }

    /// Asks a session from now on whether it is still there when it was silent for long.
    pub(super) fn begin_keepalive<T>(&mut self, session: &mut Session<T>, now: Instant) {
        let age = now.saturating_duration_since(session.opened_at);
        session.codec.hear(age);
        if let Some(Keepalive::Fine(at)) = session.codec.keep_alive(age) {
            let at = session.opened_at + at;
            self.keepalive_at = Some(self.keepalive_at.map_or(at, |earlier| earlier.min(at)));
        }
    }

    /// Nothing takes this session back any more.
    pub(super) fn forget_page<T>(&mut self, session: &Session<T>) {
        if let Some(key) = session.codec.page() {
            self.pages.remove(&half(key));
            if self.pages.len() < self.pages.capacity() / 8 {
                self.pages.shrink_to_fit();
            }
        }
    }
}
