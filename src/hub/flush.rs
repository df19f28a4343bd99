//! The end of a turn: deadlines, and then what everybody is to hear goes out.
//!
//! A slow reader is closed here, in [`Hub::meet_deadline`], after one more try to write to it.

use std::cmp::Reverse;
use std::io::IoSlice;
use std::mem;
use std::time::{Duration, Instant};

use crate::hub::core::Core;
use crate::hub::room::feed::Part;
use crate::hub::room::pace::TURN_MAX;
use crate::hub::rooms::RoomAt;
use crate::hub::session::{Ending, Flow, Session, Stage};
use crate::hub::sink::Sink;
use crate::hub::Hub;
use crate::id::SessionId;
use crate::ledger::CloseReason;
use crate::work::Work;

/// A session that has nothing more to be told is given this long to close its own side.
const LINGER: Duration = Duration::from_secs(1);

/// Deadlines are looked at together and no more often than this: each is kept to about as much. Pauses are kept
/// exactly, on a list of their own.
const TICK: Duration = Duration::from_millis(50);

/// At most this many steps of one long reply are made in one turn; the rest waits for the next one.
const TURN_STEPS_MAX: usize = 4;

/// At most this many places for pauses are kept when there are none.
const PAUSES_KEPT_MAX: usize = 1024;

/// In a round at most this many are looked up at once, and then told one after the other: so the processor fetches together
/// what is kept of them, and need not wait for each behind a `send`, whose own data has driven it from the caches. The clock
/// is looked at between them.
const TOLD_TOGETHER_MAX: usize = 16;

/// At most this many slices go into one write.
const SLICES_MAX: usize = 16;

impl<T> Hub<T> {
    /// Does what is due: ends pauses and the sessions whose time is up, and tells the sums of joins and leaves.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.core.rooms.tick(now);
        self.end_pauses(now);
        self.end_rules(now);
        self.end_absences(now);
        self.keep_alive(now);
        self.work_off(now);
        if self.core.wake_at.is_none_or(|at| now < at) {
            return;
        }
        let Self { sessions, core } = self;
        let mut due = Vec::new();
        let mut next = None::<Instant>;
        for session in sessions.iter_mut() {
            match session.deadline(&core.limits, now) {
                Ok(at) => next = next.into_iter().chain(at).min(),
                // The flush tries to write once more, and closes it. If it does not, other deadlines are to be met.
                Err(CloseReason::SlowConsumer | CloseReason::WriteStall) if session.is_open() => {
                    core.list(session);
                    next = next.into_iter().chain([now]).min();
                }
                Err(_) => due.push(session.id),
            }
        }
        let rests_until = now + TICK;
        core.rests_until = Some(rests_until);
        core.wake_at = next.map(|at| at.max(rests_until));
        for id in due {
            self.meet_deadline(id, now);
        }
    }

    /// Ends the pauses that are over.
    fn end_pauses(&mut self, now: Instant) {
        let Self { sessions, core } = self;
        while let Some(Reverse((until, id))) = core.pauses.peek().copied() {
            if now < until {
                break;
            }
            core.pauses.pop();
            let pending = sessions.get_mut(id).and_then(|it| it.pending.as_mut());
            let ended = pending.and_then(|it| it.paused_until.take_if(|until| *until <= now));
            if ended.is_some() {
                core.resumed.push(id);
            }
        }
        let kept = core.pauses.capacity();
        if kept > PAUSES_KEPT_MAX && core.pauses.len() < kept / 4 {
            core.pauses
                .shrink_to(PAUSES_KEPT_MAX.max(2 * core.pauses.len()));
        }
    }

    /// Closes or frees a session whose time is up; else sees to it that its next deadline is met.
    fn meet_deadline(&mut self, id: SessionId, now: Instant) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        match session.deadline(&core.limits, now) {
            Ok(None) => {}
            Ok(Some(at)) => core.wake_by(at),
            Err(reason) => match session.closing() {
                None => self.begin_close(id, reason, now),
                Some(closing) => {
                    // A slow peer may still get from the kernel what it was given, and a reset would throw that away.
                    let has_taken_all = closing.stage != Stage::Draining;
                    let ending = if has_taken_all && closing.slow {
                        Ending::Orderly
                    } else {
                        Ending::Abrupt
                    };
                    core.finish_close(session, ending);
                }
            },
        }
    }

    /// Writes what waits: first to those for whom something waits that is theirs alone, then what was said to as many
    /// of each room as it is time for. One write for each session, with all that it has not heard yet.
    pub(crate) fn flush(&mut self, now: Instant, sink: &mut impl Sink<T>) {
        let mut unfinished = Vec::new();
        #[cfg(test)]
        self.core.ledger.note_work(self.core.work);
        self.core.work = Work::default();
        self.flush_listed(&mut unfinished, now, sink);
        self.core.private_bytes = 0;
        #[cfg(test)]
        self.core.ledger.note_flush_work(self.core.work);
        self.core.work = Work::default();
        self.tell_rooms(&mut unfinished, now, sink);
        for id in unfinished {
            self.follow_up(id, now, sink);
        }
        self.enforce_memory_limit(now);
    }

    /// Tells what was said in each room in which something was, to as many as it is time for. Where several wait, none
    /// has more than its share of a turn, and those for which there is no time are the first in the next one.
    fn tell_rooms(
        &mut self,
        unfinished: &mut Vec<SessionId>,
        now: Instant,
        sink: &mut impl Sink<T>,
    ) {
        let rooms = self.core.rooms.take_untold();
        let began = sink.spent();
        for (index, at) in rooms.iter().enumerate() {
            let before = sink.spent();
            if index > 0 && before.saturating_sub(began) >= TURN_MAX {
                return self.core.rooms.put_off(&rooms[index..]);
            }
            let (core, room) = (&self.core, self.core.rooms.get(*at));
            let (waiting, feed_bytes) = (room.waiting(core.is_full(room)), room.feed.len());
            let room = self.core.rooms.get_mut(*at);
            let most = room.pace.allows(waiting, now);
            let most = most.min(room.pace.share_of(rooms.len()));
            let needs_turns = waiting.is_some_and(|waiting| room.pace.needs_turns(waiting));
            if most > 0 {
                let speakers = if needs_turns {
                    self.tell_speakers(*at, unfinished, now, sink)
                } else {
                    0
                };
                let until = began + TURN_MAX;
                let told = speakers + self.go_round(*at, most, until, unfinished, now, sink);
                if told > 0 {
                    let took = sink.spent().saturating_sub(before);
                    let room = self.core.rooms.get_mut(*at);
                    room.pace.told(told, room.members.len(), took);
                }
            }
            let room = self.core.rooms.get_mut(*at);
            if room.feed.is_silent() {
                room.pace.allows(None, now);
            }
            self.core.rooms.note_told(*at, feed_bytes);
        }
    }

    /// Tells those who spoke last, in a room that is told in many turns: who talks with others does not wait until all
    /// are told who only listen. A session that has said much of late is told with these, so it keeps nobody from that.
    /// Gives how many were told.
    fn tell_speakers(
        &mut self,
        at: RoomAt,
        unfinished: &mut Vec<SessionId>,
        now: Instant,
        sink: &mut impl Sink<T>,
    ) -> usize {
        let Self { sessions, core } = self;
        let room = core.rooms.get(at);
        let is_told = |id: &SessionId| {
            let session = sessions.get(*id).filter(|session| session.room == at);
            session.is_some_and(|session| {
                room.has_news_for(*id, session.member) && !core.says_much(session, now)
            })
        };
        let told: Vec<SessionId> = room.speakers.iter().copied().filter(is_told).collect();
        for id in &told {
            if let Some(session) = sessions.get_mut(*id) {
                core.flush_session(session, unfinished, now, sink);
                if session.wants_more() {
                    core.list(session);
                }
            }
        }
        told.len()
    }

    fn flush_listed(
        &mut self,
        unfinished: &mut Vec<SessionId>,
        now: Instant,
        sink: &mut impl Sink<T>,
    ) {
        for _ in 0..TURN_STEPS_MAX {
            let Self { sessions, core } = self;
            let mut replying = Vec::new();
            for id in mem::take(&mut core.flush_list) {
                if let Some(session) = sessions.get_mut(id) {
                    core.flush_session(session, unfinished, now, sink);
                    if session.wants_more() {
                        replying.push(id);
                    }
                }
            }
            if replying.is_empty() {
                return;
            }
            let mut replying = replying.into_iter();
            while self.core.work < Work::TURN_MAX {
                let Some(id) = replying.next() else { break };
                self.go_on_replying(id, now);
            }
            if self.put_off(replying) {
                return;
            }
        }
    }

    /// Sees to it that these are the first to be flushed in the next turn; gives whether there are any.
    fn put_off(&mut self, ids: impl Iterator<Item = SessionId>) -> bool {
        let Self { sessions, core } = self;
        let before = core.flush_list.len();
        for id in ids {
            if let Some(session) = sessions.get_mut(id) {
                core.list(session);
            }
        }
        core.flush_list.rotate_left(before);
        before < core.flush_list.len()
    }

    /// Goes on with the round, and with the next one, until `most` were told something or everybody has heard all; or
    /// until the flush has taken this long, for what the last rounds took may be far from what this one takes.
    fn go_round(
        &mut self,
        at: RoomAt,
        most: usize,
        until: Duration,
        unfinished: &mut Vec<SessionId>,
        now: Instant,
        sink: &mut impl Sink<T>,
    ) -> usize {
        let Self { sessions, core } = self;
        let mut next = mem::take(&mut core.next);
        let (mut told, mut has_time) = (0, true);
        while has_time && told < most && !core.rooms.get(at).feed.is_silent() {
            core.rooms.get_mut(at).begin_round();
            while has_time && told < most {
                let at_most = TOLD_TOGETHER_MAX.min(most - told);
                core.rooms.get_mut(at).go_on(at_most, &mut next);
                if next.is_empty() {
                    break;
                }
                next.retain(|id| sessions.get(*id).is_some());
                for id in next.drain(..) {
                    let Some(session) = sessions.get_mut(id) else {
                        continue;
                    };
                    if core.flush_session(session, unfinished, now, sink) {
                        core.rooms.get_mut(at).note_told();
                        told += 1;
                    }
                    // It was tried once more and has taken all: the next step of its long reply is made in the next turn.
                    if session.wants_more() {
                        core.list(session);
                    }
                }
                has_time = sink.spent() < until;
            }
            if let Some(said_at) = core.rooms.get_mut(at).end_round() {
                let ends_at = now + sink.turn_took();
                let took = ends_at.saturating_duration_since(said_at);
                core.counts.note_delivery(took);
            }
        }
        core.next = next;
        told
    }

    /// Looks after a session that did not take everything, or that is on its way out.
    fn follow_up(&mut self, id: SessionId, now: Instant, sink: &mut impl Sink<T>) {
        let Self { sessions, core } = self;
        let Some(session) = sessions.get_mut(id) else {
            return;
        };
        let (is_dead, is_empty) = (session.flow == Flow::Dead, session.outbox.is_empty());
        if let Some(closing) = session.closing() {
            if closing.stage == Stage::Draining {
                if is_dead || (is_empty && closing.ended) {
                    if !is_dead {
                        sink.part(&mut session.transport);
                    }
                    return core.finish_close(session, Ending::Orderly);
                }
                if is_empty {
                    closing.stage = Stage::Lingering { dropped: 0 };
                    closing.until = closing.until.min(now + LINGER);
                    sink.finish(&mut session.transport);
                } else {
                    closing.slow = true;
                }
            }
        }
        let was_open = session.is_open();
        self.meet_deadline(id, now);
        if was_open {
            self.flush_farewell(id, now, sink);
        }
    }

    /// A session that was just closed for being slow is told so in the same turn, so that no further turn begins for that
    /// alone.
    fn flush_farewell(&mut self, id: SessionId, now: Instant, sink: &mut impl Sink<T>) {
        let Self { sessions, core } = self;
        let closing = sessions.get_mut(id).filter(|session| !session.is_open());
        let Some(session) = closing else { return };
        if core.flush_list.pop_if(|last| *last == id).is_some() {
            core.flush_session(session, &mut Vec::new(), now, sink);
            self.follow_up(id, now, sink);
        }
    }
}

impl Core {
    /// Writes to one session what waits for it, and behind that what it has not heard yet of its room. What its socket
    /// does not take stays in its outbox. Gives whether it was told something of the room.
    fn flush_session<T>(
        &mut self,
        session: &mut Session<T>,
        unfinished: &mut Vec<SessionId>,
        now: Instant,
        sink: &mut impl Sink<T>,
    ) -> bool {
        session.listed = false;
        if hears_at_once(session) && self.write_news(session, sink) {
            return true;
        }
        let queued_before = session.outbox.bytes();
        let mut parts = mem::take(&mut self.parts);
        self.collect(session, &mut parts);
        let told = !parts.is_empty();
        if !session.is_reachable() {
            session.outbox.clear();
        } else if session.codec.has_frame() {
            self.enqueue_framed(session, &parts, now);
        } else if session.outbox.is_empty() && session.view().is_none() {
            let written = self.write_parts(session, &mut parts, sink);
            self.enqueue(session, &parts[written..], now);
        } else {
            self.enqueue(session, &parts, now);
        }
        self.parts = parts;
        self.try_once_more(session, now);
        write_outbox(session, sink, now);
        if session.flow == Flow::Dead {
            session.outbox.clear();
        }
        self.queued_bytes = self.queued_bytes + session.outbox.bytes() - queued_before;
        if !session.outbox.is_empty() || !session.is_open() {
            unfinished.push(session.id);
        }
        let is_slow = session.is_open() && session.outbox.is_behind(now);
        self.note_slow(session, is_slow);
        told
    }

    /// Writes what a session has not heard of its room, where that lies in one piece; gives whether its socket has taken it
    /// whole. Nearly everybody is told in this way: the quickest one that there is.
    fn write_news<T>(&mut self, session: &mut Session<T>, sink: &mut impl Sink<T>) -> bool {
        let room = self.rooms.get_mut(session.room);
        let Some(member) = room.members.get_mut(session.member) else {
            return false;
        };
        let Some(news) = room.feed.news_for(member.encoding, member.cursor) else {
            return false;
        };
        let taken = session.write(&[IoSlice::new(news)], sink);
        member.cursor.advance(taken);
        taken == news.len()
    }

    /// No session is closed for being slow before one more write was tried in the same turn: its socket may have room
    /// of which no edge has told yet, as after a time in which we did not run.
    fn try_once_more<T>(&self, session: &mut Session<T>, now: Instant) {
        if session.flow == Flow::Blocked && session.is_open() && !session.outbox.is_empty() {
            let slow = session.outbox.deadline(&self.limits.queue, now).is_err();
            if slow {
                session.flow = Flow::Ready;
            }
        }
    }

    /// Puts what an editor draws around the parts: its row is off the screen while they are written.
    // Few have an editor, and the path of the others is shorter without this.
    #[inline(never)]
    fn enqueue_framed<T>(&mut self, session: &mut Session<T>, parts: &[Part], now: Instant) {
        Self::open_frame(session, !parts.is_empty(), now);
        self.enqueue(session, parts, now);
        if session.is_open() {
            let mut drawn = Vec::new();
            session.codec.end_frame(&mut drawn);
            session.outbox.push_copy(&drawn, now);
        }
    }

    /// Writes the parts as far as the socket takes them; gives the number of those that it took whole, and leaves the
    /// next one without what it took of it.
    fn write_parts<T>(
        &self,
        session: &mut Session<T>,
        parts: &mut [Part],
        sink: &mut impl Sink<T>,
    ) -> usize {
        let (feed, encoding) = (&self.room_of(session).feed, session.codec.encoding());
        let mut done = 0;
        while done < parts.len() && session.flow == Flow::Ready {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut filled = 0;
            for (slice, part) in slices.iter_mut().zip(&parts[done..]) {
                *slice = IoSlice::new(feed.bytes(encoding, *part));
                filled += 1;
            }
            let mut taken = session.write(&slices[..filled], sink);
            while let Some(part) = parts.get_mut(done).filter(|_| taken > 0) {
                let whole = taken >= part.len();
                let step = taken.min(part.len());
                part.advance(step);
                taken -= step;
                done += usize::from(whole);
            }
        }
        done
    }
}

/// Whether what is said to all can go to a session's socket as it is: nothing waits before it, and its person sees it as
/// everybody does.
fn hears_at_once<T>(session: &Session<T>) -> bool {
    session.flow == Flow::Ready
        && session.is_open()
        && session.outbox.is_empty()
        && !session.is_slow
        && session.view().is_none()
        && !session.codec.has_frame()
}

fn write_outbox<T>(session: &mut Session<T>, sink: &mut impl Sink<T>, now: Instant) {
    while !session.outbox.is_empty() && session.flow == Flow::Ready {
        let outbox = mem::take(&mut session.outbox);
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let filled = outbox.slices(&mut slices);
        let taken = session.write(&slices[..filled], sink);
        session.outbox = outbox;
        if taken > 0 {
            session.outbox.advance(taken, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::hub::tests::world::{limits, World};

    #[test]
    fn f126_whose_reply_was_put_off_is_served_before_those_who_had_a_step() {
        let mut world = World::new(limits());
        let [ann, bob, cat] = world.people(["ann", "bob", "cat"]);
        let Some(session) = world.hub.sessions.get_mut(ann) else {
            unreachable!()
        };
        world.hub.core.list(session);
        assert!(!world.hub.put_off([].into_iter()));
        assert!(world.hub.put_off([bob, cat].into_iter()));
        assert_eq!(world.hub.core.flush_list, [bob, cat, ann]);
    }
}
