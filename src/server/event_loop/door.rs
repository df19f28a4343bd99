//! The door: who must say first for whom they come or what they want, and how they become a session or go.

use std::io::IoSlice;
use std::time::Instant;

use log::{debug, info, warn};

use super::accept::{AtDoor, Newcomer};
use super::{Carrier, EventLoop, Shutdown};
use crate::dialect::{Answer, Opening};
use crate::hub::{Ending, Rejection, SessionId};
use crate::ledger::CloseReason;
use crate::origin::Origin;
use crate::server::admission::{CountedAs, Decision};
use crate::server::door::{Comer, Verdict, Waiting};
#[cfg(feature = "tls")]
use crate::server::handshakes::{Handshakes, CROWDING};
use crate::server::network::{Network, Owner};
use crate::stream::{Read, Readiness, Write};

/// At most 64 connections at the door are read in one turn.
const TURN_READS_MAX: usize = 64;

/// At most 16 of them are answered in one turn: a page is the work of many lines.
const TURN_ANSWERS_MAX: usize = 16;

/// What is left of a turn for those at the door.
pub(super) struct Budget {
    answers: usize,
    #[cfg(feature = "tls")]
    pub(super) handshakes: Handshakes,
}

impl<N: Network> EventLoop<N> {
    /// Somebody has connected who must say something first. Nothing is written to them before that.
    pub(super) fn receive_at_door(&mut self, mut stream: N::Stream, comer: Comer, now: Instant) {
        let Comer {
            from,
            dialect,
            listener,
            ..
        } = comer;
        #[cfg(feature = "tls")]
        if comer.tls && !comer.behind_proxy && self.is_crowding(from, 1) {
            self.tls.failures.note(CROWDING);
            return self.network.close(stream, Ending::Orderly);
        }
        self.make_place(listener, from, now);
        let sessions = self.hub.open_sessions() + self.door.len();
        let reason = if self.shutdown != Shutdown::Running {
            Some(CloseReason::Shutdown)
        } else if comer.behind_proxy && !self.admission.believes(from) {
            Some(CloseReason::WrongProtocol)
        } else if self.door.is_full(listener)
            || self.admission.is_full(sessions) && !self.hub.make_room(now)
        {
            Some(CloseReason::Full)
        } else {
            None
        };
        if let Some(reason) = reason {
            self.hub.turn_away(dialect, from, reason.into());
            return self.network.close(stream, Ending::Orderly);
        }
        let slot = self.door.vacant_slot();
        match self.network.register(&mut stream, Owner::Door(slot as u32)) {
            Ok(()) => self.door.enter(stream, comer, now),
            Err(error) => {
                warn!("cannot wait for events of a connection: {error}");
                self.network.close(stream, Ending::Orderly);
            }
        }
    }

    /// Where no more may wait, the one gives way that has waited longest, if it was asked what it wants. Where as many of
    /// one address wait as it may have sessions, that is one of them: else it could push out those of others. A front end
    /// comes for many.
    fn make_place(&mut self, listener: usize, from: Origin, now: Instant) {
        let most = self.admission.per_address_max();
        let prefix = self.admission.mark(from).prefix();
        let prefix = prefix.filter(|_| !self.admission.believes(from));
        let crowds = prefix.filter(|prefix| {
            most.is_some_and(|most| self.door.held_of(listener, *prefix) >= most as usize)
        });
        if crowds.is_none() && !self.door.is_full(listener) {
            return;
        }
        let oldest = self.door.oldest(listener, crowds, now);
        if let Some(waiting) = oldest.and_then(|slot| self.door.leave(slot)) {
            self.network.close(waiting.stream, Ending::Orderly);
        }
    }

    /// Reads once from each connection at the door that is ready, and goes on with those that may take more.
    pub(super) fn read_door(&mut self, now: Instant) {
        let mut budget = Budget {
            answers: TURN_ANSWERS_MAX,
            #[cfg(feature = "tls")]
            handshakes: Handshakes::default(),
        };
        for _ in 0..self.door.writable() {
            if let Some(slot) = self.door.next_writable() {
                self.go_on_at_door(slot, &mut budget, now);
            }
        }
        for _ in 0..self.door.ready().min(TURN_READS_MAX) {
            if self.hub.has_done_enough() {
                return;
            }
            if let Some(slot) = self.door.next_ready() {
                self.read_at_door(slot, &mut budget, now);
            }
        }
    }

    fn read_at_door(&mut self, slot: usize, budget: &mut Budget, now: Instant) {
        let Some(waiting) = self.door.get_mut(slot) else {
            return;
        };
        #[cfg(feature = "tls")]
        if waiting.is_shaking_hands() {
            self.shake_hands(slot, budget, now);
            return self.door.put_back(slot);
        }
        if waiting.is_busy() {
            return waiting.readiness.set_aside();
        }
        let read = self.network.read(&mut waiting.stream, &mut self.buffer);
        waiting.readiness.handle_read(read, self.buffer.len());
        match read {
            Read::Bytes(length) => {
                waiting.push(&self.buffer[..length]);
                self.judge_at_door(slot, budget, now);
            }
            #[cfg(feature = "tls")]
            Read::Records { bytes, .. } => {
                waiting.push(&self.buffer[..bytes]);
                self.judge_at_door(slot, budget, now);
            }
            #[cfg(feature = "tls")]
            Read::Truncated => return self.end_at_door(slot, &Verdict::Over, now),
            Read::Blocked => {}
            Read::Ended | Read::Broken(_) => {
                let verdict = waiting.judge_end(false);
                return self.end_at_door(slot, &verdict, now);
            }
        }
        self.door.put_back(slot);
    }

    /// Writes more of what a connection is answered, and looks at what it has asked for since.
    fn go_on_at_door(&mut self, slot: usize, budget: &mut Budget, now: Instant) {
        #[cfg(feature = "tls")]
        let is_listed = {
            let waiting = self.door.get_mut(slot);
            waiting.is_some_and(|waiting| waiting.readiness.is_readable())
        };
        if self.write_at_door(slot, now) {
            self.judge_at_door(slot, budget, now);
        }
        #[cfg(feature = "tls")]
        if !is_listed {
            let waiting = self.door.get_mut(slot);
            // A handshake that has begun is gone on with when it is read.
            if waiting.is_some_and(|waiting| waiting.is_shaking_hands()) {
                self.door.put_back(slot);
            }
        }
    }

    /// Gives whether the connection has taken all that it was answered, and is still there.
    pub(super) fn write_at_door(&mut self, slot: usize, now: Instant) -> bool {
        let Some(waiting) = self.door.get_mut(slot) else {
            return false;
        };
        let Ok(is_answered) = waiting.write(&mut self.network, now) else {
            self.end_at_door(slot, &Verdict::Over, now);
            return false;
        };
        is_answered
    }

    /// Judges what a connection has said, and answers it.
    pub(super) fn judge_at_door(&mut self, slot: usize, budget: &mut Budget, now: Instant) {
        loop {
            let Some(waiting) = self.door.get_mut(slot) else {
                return;
            };
            if budget.answers == 0 {
                return self.door.put_off(slot);
            }
            let asked = match waiting.judge(&self.house, now) {
                Verdict::Waits => return self.door.read_on(slot),
                Verdict::Asked(asked) => asked,
                #[cfg(feature = "tls")]
                Verdict::ShakesHands => return self.begin_handshake(slot, now),
                #[cfg(feature = "tls")]
                Verdict::InClear => return self.answer_in_clear(slot, now),
                verdict => return self.end_at_door(slot, &verdict, now),
            };
            budget.answers -= 1;
            let from = self.admission.client(waiting.from, &asked.forwarded);
            if self.hub.is_banned(from) {
                return self.turn_away_at_door(slot, from, CloseReason::Banned.into(), now);
            }
            if let Some(reason) = asked.rejected {
                return self.turn_away_at_door(slot, from, reason.into(), now);
            }
            if let Some(opening) = asked.opening {
                if let Err(refusal) = self.hub.may_come(&opening, from) {
                    let before = asked.answer.head;
                    waiting.refuse_name(&before, &refusal, now);
                    if !self.write_at_door(slot, now) {
                        return;
                    }
                    continue;
                }
                return self.open_at_door(slot, from, opening, &asked.answer, now);
            }
            waiting.answer(asked.answer, now);
            if !self.write_at_door(slot, now) {
                return;
            }
        }
    }

    /// A connection has asked to be a session: it is answered that it is one, unless it cannot come in.
    fn open_at_door(
        &mut self,
        slot: usize,
        from: Origin,
        opening: Opening,
        answer: &Answer,
        now: Instant,
    ) {
        let from = self.admission.mark(from);
        #[cfg(feature = "tls")]
        let from = match self.door.get_mut(slot) {
            Some(waiting) => from.secured(waiting.security),
            None => from,
        };
        let former = self.hub.former_session(&opening);
        if former.is_none() {
            match self.decide(from, now) {
                Decision::Admit => {}
                Decision::Refuse(rejection) | Decision::TurnAway(rejection) => {
                    return self.turn_away_at_door(slot, from, rejection, now);
                }
            }
        }
        let Some(mut waiting) = self.door.leave(slot) else {
            return;
        };
        self.hub.set_unregistered(self.door.registering());
        // It has taken all that it was answered before, so there is room for this.
        let slices = [IoSlice::new(&answer.head)];
        let is_told = answer.head.is_empty()
            || self.network.write(&mut waiting.stream, &slices) == Write::Taken(answer.head.len());
        if !is_told {
            return self.network.close(waiting.stream, Ending::Abrupt);
        }
        let newcomer = Newcomer {
            stream: waiting.stream,
            opening,
            from,
            at_door: Some(AtDoor {
                readiness: waiting.readiness,
                input: waiting.bytes,
            }),
        };
        match former {
            None => self.take_in(newcomer, Decision::Admit, now),
            Some(former) => self.exchange(former, newcomer, now),
        }
    }

    /// Tells a connection why it cannot come in.
    fn turn_away_at_door(&mut self, slot: usize, from: Origin, rejection: Rejection, now: Instant) {
        let Some(waiting) = self.door.get_mut(slot) else {
            return;
        };
        let head = self.hub.turn_away(waiting.dialect, from, rejection);
        let answer = Answer {
            head,
            is_last: true,
            ..Answer::default()
        };
        waiting.answer(answer, now);
        self.write_at_door(slot, now);
    }

    pub(super) fn end_at_door(&mut self, slot: usize, verdict: &Verdict, now: Instant) {
        let Some(waiting) = self.door.leave(slot) else {
            return;
        };
        match verdict {
            Verdict::Session => self.let_in(waiting, now),
            Verdict::Over => self.network.close(waiting.stream, Ending::Orderly),
            #[cfg(feature = "tls")]
            Verdict::NoHandshake(why) => {
                self.tls.failures.note(why);
                self.network.close(waiting.stream, Ending::Orderly);
            }
            _ => self.send_off(waiting),
        }
    }

    fn let_in(&mut self, waiting: Waiting<N::Stream>, now: Instant) {
        let from = self.admission.mark(waiting.from);
        #[cfg(feature = "tls")]
        let from = from.secured(waiting.security);
        let newcomer = Newcomer {
            stream: waiting.stream,
            opening: waiting.dialect.into(),
            from,
            at_door: Some(AtDoor {
                readiness: waiting.readiness,
                input: waiting.bytes,
            }),
        };
        self.admit(newcomer, now);
    }

    /// A page has come back: its session goes on with the new connection, and the former one is closed.
    fn exchange(&mut self, id: SessionId, newcomer: Newcomer<N::Stream>, now: Instant) {
        let Newcomer {
            stream,
            opening,
            from,
            at_door,
        } = newcomer;
        let carrier = Carrier {
            stream: Some(stream),
            admitted: true,
            readiness: Readiness::default(),
            #[cfg(feature = "tls")]
            held: 0,
        };
        self.unlist(id);
        let Some((former, former_from)) = self.hub.exchange(id, carrier, from, &opening, now)
        else {
            return;
        };
        let count = |from: Origin| CountedAs::of(true, from.prefix());
        self.admission.release(count(former_from));
        self.admission.hold(count(from));
        if let Some(mut stream) = former.stream {
            // Its page is told if it listens; nothing is kept for it.
            let farewell = self.hub.farewell_replaced(opening.dialect());
            #[cfg(feature = "tls")]
            let farewell = if self.network.is_stuck(&stream) {
                // What it was to hear before is thrown away.
                Vec::new()
            } else {
                farewell
            };
            if !farewell.is_empty() {
                let _ = self.network.write(&mut stream, &[IoSlice::new(&farewell)]);
            }
            self.network.finish(&mut stream);
            self.network.close(stream, Ending::Orderly);
        }
        self.begin_session(id, at_door, now);
    }

    /// Closes a connection that has not become a session, without a word.
    fn send_off(&mut self, waiting: Waiting<N::Stream>) {
        if waiting.is_silent() {
            debug!("a connection from {} said nothing", waiting.from);
        } else {
            let wrong = Rejection::from(CloseReason::WrongProtocol);
            self.hub.turn_away(waiting.dialect, waiting.from, wrong);
        }
        self.network.close(waiting.stream, Ending::Orderly);
    }

    /// Closes those whose time is over.
    pub(super) fn tick_door(&mut self, now: Instant) {
        while let Some(slot) = self.door.overdue(now) {
            let waiting = self.door.get_mut(slot);
            if let Some(waiting) = waiting.filter(|it| it.is_registering() && !it.is_silent()) {
                let from = waiting.from;
                let rejection = Rejection {
                    reason: CloseReason::Idle,
                    seconds: 30,
                };
                self.turn_away_at_door(slot, from, rejection, now);
                continue;
            }
            let waiting = self.door.get_mut(slot);
            let verdict = waiting.map_or(Verdict::Over, |waiting| waiting.judge_end(true));
            #[cfg(feature = "tls")]
            if let Verdict::InClear = verdict {
                self.answer_in_clear(slot, now);
                continue;
            }
            self.end_at_door(slot, &verdict, now);
        }
    }

    /// Closes all: the server stops.
    pub(super) fn close_door(&mut self) {
        let mut closed = 0;
        while let Some(waiting) = self.door.any().and_then(|slot| self.door.leave(slot)) {
            self.network.close(waiting.stream, Ending::Orderly);
            closed += 1;
        }
        if closed > 0 {
            info!("stopping: {closed} connections that were no sessions yet are closed");
        }
    }
}
