//! The door: who must say first for whom it comes, and how it becomes a session or goes.

use std::time::Instant;

use log::{debug, info, warn};

use super::accept::{AtDoor, Newcomer};
use super::{EventLoop, Shutdown};
use crate::dialect::Dialect;
use crate::hub::{Ending, Rejection};
use crate::ledger::CloseReason;
use crate::origin::Origin;
use crate::server::door::{Verdict, Waiting};
use crate::server::network::{Network, Owner};
use crate::stream::Read;

/// At most 64 connections at the door are read in one turn.
const TURN_READS_MAX: usize = 64;

impl<N: Network> EventLoop<N> {
    /// A front end has connected. Nothing is written to it before it has said for whom.
    pub(super) fn receive_at_door(
        &mut self,
        mut stream: N::Stream,
        listener: usize,
        dialect: Dialect,
        from: Origin,
        now: Instant,
    ) {
        let sessions = self.hub.open_sessions() + self.door.len();
        let reason = if self.shutdown != Shutdown::Running {
            Some(CloseReason::Shutdown)
        } else if !self.admission.believes(from) {
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
            Ok(()) => self.door.enter(stream, from, dialect, listener, now),
            Err(error) => {
                warn!("cannot wait for events of a connection: {error}");
                self.network.close(stream, Ending::Orderly);
            }
        }
    }

    /// Reads once from each connection at the door that is ready.
    pub(super) fn read_door(&mut self, now: Instant) {
        for _ in 0..self.door.ready().min(TURN_READS_MAX) {
            if self.hub.has_done_enough() {
                return;
            }
            if let Some(slot) = self.door.next_ready() {
                self.read_at_door(slot, now);
            }
        }
    }

    fn read_at_door(&mut self, slot: usize, now: Instant) {
        let Some(waiting) = self.door.get_mut(slot) else {
            return;
        };
        let read = self.network.read(&mut waiting.stream, &mut self.buffer);
        waiting.readiness.handle_read(read, self.buffer.len());
        let verdict = match read {
            Read::Bytes(length) => waiting.judge(&self.buffer[..length]),
            Read::Blocked => Verdict::Waits,
            Read::Ended | Read::Broken(_) => Verdict::Wrong,
        };
        if verdict == Verdict::Waits {
            return self.door.put_back(slot);
        }
        let Some(waiting) = self.door.leave(slot) else {
            return;
        };
        match verdict {
            Verdict::Session(from) => self.let_in(waiting, from, now),
            _ => self.send_off(waiting),
        }
    }

    fn let_in(&mut self, waiting: Waiting<N::Stream>, from: Origin, now: Instant) {
        let newcomer = Newcomer {
            stream: waiting.stream,
            dialect: waiting.dialect,
            from: self.admission.mark(from),
            at_door: Some(AtDoor {
                readiness: waiting.readiness,
                input: waiting.bytes,
            }),
        };
        self.admit(newcomer, now);
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
            if let Some(waiting) = self.door.leave(slot) {
                self.send_off(waiting);
            }
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
