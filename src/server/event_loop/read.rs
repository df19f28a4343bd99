//! Reading: one read for each session that may have something to be read, and who is read first when many leave.

use std::io;
use std::time::Instant;

use super::EventLoop;
use crate::hub::{Next, SessionId, Then};
use crate::planted::{planted, Bug};
use crate::server::network::Network;

/// At most 64 sessions whose stream seems to have ended are read in one turn: freeing one costs the kernel more than
/// reading one.
const TURN_LEAVES_MAX: usize = 64;

/// At least 8 of those who stay, and 8 of those who leave, are read in every turn, even if there is no more room in the
/// feed: however much newcomers are told, others are heard, and however much is said, those who leave do leave.
const TURN_READS_MIN: usize = 8;

impl<N: Network> EventLoop<N> {
    /// Reads once from each session that is ready, as long as there is room in the feed, and from a few in any case.
    pub(super) fn read(&mut self, now: Instant) {
        // Who goes from one list to the other has had its turn.
        let leaving = self.leaving.len().min(TURN_LEAVES_MAX);
        for read in 0..self.ready.len() {
            if read >= TURN_READS_MIN && self.hub.has_said_enough() {
                break;
            }
            let next = self.ready.pop_front();
            self.read_next(next, now);
        }
        for read in 0..leaving {
            if read >= TURN_READS_MIN && self.hub.has_said_enough() {
                break;
            }
            let next = self.leaving.pop_front();
            self.read_next(next, now);
        }
    }

    fn read_next(&mut self, next: Option<SessionId>, now: Instant) {
        let Some(id) = next else { return };
        let still_ready = self.read_session(id, now);
        let Some(carrier) = self.hub.transport(id) else {
            return;
        };
        carrier.ready = still_ready;
        let may_have_ended = carrier.may_have_ended;
        if still_ready {
            self.enqueue(id, may_have_ended);
        }
    }

    /// Reads once from a session, or goes on with what was read; gives whether there may be more, of which no edge will
    /// tell.
    fn read_session(&mut self, id: SessionId, now: Instant) -> bool {
        let (then, may_be_more) = match self.hub.next(id) {
            None => return false,
            Some(Next::Wait) => (Then::Wait, false),
            Some(Next::Resume) => (self.hub.resume(id, now), true),
            Some(Next::Read(carrier)) => {
                let read_on = carrier.may_have_ended || carrier.may_stop_short;
                match self.network.read(&mut carrier.stream, &mut self.buffer) {
                    Ok(0) => {
                        self.hub.handle_eof(id, now);
                        return false;
                    }
                    Ok(length) => {
                        let then = self.hub.handle_input(id, &self.buffer[..length], now);
                        // A short read has emptied the socket, unless its end is all that is left or it stopped at
                        // urgent data.
                        let full = length == self.buffer.len() && !planted(Bug::LostEdge);
                        (then, full || read_on)
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        carrier.may_have_ended = false;
                        carrier.may_stop_short = false;
                        self.hub.handle_drained(id, now);
                        return false;
                    }
                    Err(_) => {
                        self.hub.handle_reset(id, now);
                        return false;
                    }
                }
            }
        };
        match then {
            Then::Read => may_be_more,
            Then::Resume => true,
            Then::Wait => {
                self.look_for_hangup(id, now);
                false
            }
        }
    }

    /// What a paused session sent stays where it is, and its end may hide behind that.
    fn look_for_hangup(&mut self, id: SessionId, now: Instant) {
        let carrier = self.hub.transport(id);
        if let Some(carrier) = carrier.filter(|carrier| carrier.may_have_ended) {
            if self.network.is_broken(&mut carrier.stream) {
                self.hub.handle_reset(id, now);
            } else {
                self.hub.handle_hangup(id, now);
            }
        }
    }

    /// Lets those be read again who were paused long enough.
    pub(super) fn resume(&mut self) {
        for id in self.hub.take_resumed() {
            let Some(carrier) = self.hub.transport(id) else {
                continue;
            };
            if !std::mem::replace(&mut carrier.ready, true) {
                let may_have_ended = carrier.may_have_ended;
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
