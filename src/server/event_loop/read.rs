//! Reading: one read for each session that may have something to be read, and who is read first when many leave.

use std::time::Instant;

use super::EventLoop;
use crate::hub::{Ending, Next, SessionId, Then};
use crate::server::network::Network;
use crate::stream::{Read, Readiness};

/// At most this many sessions whose stream seems to have ended are read in one turn: freeing one costs the kernel more
/// than reading one.
const TURN_LEAVES_MAX: usize = 64;

/// At least this many of those who stay, and of those who leave, are read in every turn, even if there is no more room
/// in the feed: however much newcomers are told, others are heard, and however much is said, those who leave do leave.
const TURN_READS_MIN: usize = 8;

impl<N: Network> EventLoop<N> {
    /// Reads once from each session that is ready, as long as there is room in the feed, and from a few in any case.
    pub(super) fn read(&mut self, now: Instant) {
        // A session that goes from one list to the other has had its turn.
        let leaving = self.leaving.len().min(TURN_LEAVES_MAX);
        let ready = self.sort_ready(now);
        for read in 0..ready {
            if read >= TURN_READS_MIN && self.hub.has_done_enough() {
                break;
            }
            let next = self.ready.pop_front();
            self.read_next(next, now);
        }
        for read in 0..leaving {
            if read >= TURN_READS_MIN && self.hub.has_done_enough() {
                break;
            }
            let next = self.leaving.pop_front();
            self.read_next(next, now);
        }
    }

    /// Those who have said little are read before those who have said much, in the order in which they came; gives how
    /// many there are. Each of those who say much stays no longer behind others than these say little.
    fn sort_ready(&mut self, now: Instant) -> usize {
        let ready = self.ready.len();
        if ready > TURN_READS_MIN {
            let hub = &self.hub;
            let says_much = |id: &SessionId| hub.says_much(*id, now);
            self.ready.make_contiguous().sort_by_key(says_much);
        }
        ready
    }

    fn read_next(&mut self, next: Option<SessionId>, now: Instant) {
        let Some(id) = next else { return };
        self.read_session(id, now);
        self.put_back(id);
    }

    /// A session is to be read again if there may be more.
    pub(super) fn put_back(&mut self, id: SessionId) {
        let Some(carrier) = self.hub.transport(id) else {
            return;
        };
        let readiness = carrier.readiness;
        if readiness.is_readable() {
            self.enqueue(id, readiness.may_have_ended());
        }
    }

    /// Reads once from a session, or goes on with what was read before. It stays to be read while there may be more, of
    /// which no edge will tell.
    fn read_session(&mut self, id: SessionId, now: Instant) {
        let then = match self.hub.next(id, now) {
            None | Some(Next::Later) => return,
            Some(Next::Wait) => Then::Wait,
            Some(Next::Resume) => self.hub.resume(id, now),
            Some(Next::Read(carrier)) => {
                let Some(stream) = &mut carrier.stream else {
                    return;
                };
                let read = self.network.read(stream, &mut self.buffer);
                carrier.readiness.handle_read(read, self.buffer.len());
                #[cfg(feature = "tls")]
                self.note_held(id);
                match read {
                    Read::Bytes(length) => self.hub.handle_input(id, &self.buffer[..length], now),
                    #[cfg(feature = "tls")]
                    Read::Records { bytes, records } => {
                        self.hub.note_records(id, records, now);
                        self.hub.handle_input(id, &self.buffer[..bytes], now)
                    }
                    #[cfg(feature = "tls")]
                    Read::Truncated => {
                        self.hub.handle_truncation(id, now);
                        return self.let_go(id);
                    }
                    Read::Blocked => {
                        self.hub.handle_drained(id, now);
                        return self.let_go(id);
                    }
                    Read::Ended => {
                        self.hub.handle_eof(id, now);
                        return self.let_go(id);
                    }
                    Read::Broken(_) => {
                        self.hub.handle_reset(id, now);
                        return self.let_go(id);
                    }
                }
            }
        };
        self.follow(id, then, now);
    }

    /// Does what is to be done after the input of a session was passed on.
    pub(super) fn follow(&mut self, id: SessionId, then: Then, now: Instant) {
        let Some(carrier) = self.hub.transport(id) else {
            return;
        };
        match then {
            Then::Read => {}
            Then::Resume => _ = carrier.readiness.look(),
            Then::Wait => self.set_aside(id, now),
        }
    }

    /// Closes the broken connection of a session that waits for its page.
    fn let_go(&mut self, id: SessionId) {
        if !self.hub.is_absent(id) {
            return;
        }
        if let Some(carrier) = self.hub.transport(id) {
            carrier.readiness = Readiness::default();
            if let Some(stream) = carrier.stream.take() {
                self.network.close(stream, Ending::Orderly);
            }
        }
    }

    /// A session is on no list of those to be read any more, because it gets another connection.
    pub(super) fn unlist(&mut self, id: SessionId) {
        let carrier = self.hub.transport(id);
        if carrier.is_some_and(|carrier| carrier.readiness.is_readable()) {
            self.ready.retain(|listed| *listed != id);
            self.leaving.retain(|listed| *listed != id);
        }
    }

    /// What a paused session sent stays where it is, and its end may hide behind that.
    fn set_aside(&mut self, id: SessionId, now: Instant) {
        let Some(carrier) = self.hub.transport(id) else {
            return;
        };
        carrier.readiness.set_aside();
        if carrier.readiness.may_have_ended() {
            let Some(stream) = &mut carrier.stream else {
                return;
            };
            if self.network.is_broken(stream) {
                self.hub.handle_reset(id, now);
            } else {
                self.hub.handle_hangup(id, now);
            }
            self.let_go(id);
        }
    }

    /// Lets those be read again who were paused long enough.
    pub(super) fn resume(&mut self) {
        for id in self.hub.take_resumed() {
            let Some(carrier) = self.hub.transport(id) else {
                continue;
            };
            if carrier.readiness.go_on() {
                let may_have_ended = carrier.readiness.may_have_ended();
                self.enqueue(id, may_have_ended);
            }
        }
    }

    pub(super) fn enqueue(&mut self, id: SessionId, may_have_ended: bool) {
        let list = if may_have_ended {
            &mut self.leaving
        } else {
            &mut self.ready
        };
        list.push_back(id);
    }
}
