//! Connections at the door that shake hands.

use std::mem;
use std::time::{Duration, Instant};

use super::{Door, Stage, Verdict, Waiting};
use crate::dialect::Preface;
use crate::origin::Security;

/// A connection has 10 s to shake hands.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A handshake that has taken 1 s gives way to others where the door is full: the slowest way around the earth takes less.
const HANDSHAKE_MIN: Duration = Duration::from_secs(1);

impl<S> Waiting<S> {
    /// Whether the next that is read of it belongs to its handshake.
    pub(in crate::server) fn is_shaking_hands(&self) -> bool {
        matches!(self.stage, Stage::Handshake)
    }

    /// It has gone, or its time is over, before it had shaken hands. Who has said nothing may be somebody who waits to be
    /// greeted.
    pub(super) fn judge_unsecured(&self, is_overdue: bool) -> Verdict {
        match self.stage {
            Stage::Handshake if is_overdue => Verdict::NoHandshake("timeout"),
            Stage::Handshake => Verdict::NoHandshake("hangup"),
            _ if is_overdue && self.is_answered() => Verdict::InClear,
            _ => Verdict::Over,
        }
    }

    /// It begins to shake hands; gives what was read of that.
    pub(in crate::server) fn begin_handshake(&mut self) -> Vec<u8> {
        self.stage = Stage::Handshake;
        mem::take(&mut self.bytes)
    }

    /// It has shaken hands, and has said this behind that; gives whether it is a session now.
    pub(in crate::server) fn end_handshake(
        &mut self,
        by: Security,
        said: &[u8],
        now: Instant,
    ) -> bool {
        self.security = by;
        self.bytes = said.to_vec();
        let Some((stage, patience)) = Stage::first(false, Preface::of(self.dialect)) else {
            return true;
        };
        (self.stage, self.until) = (stage, now + patience);
        false
    }
}

impl<S> Door<S> {
    /// Whether a listener in TLS is to accept no more for now. Where the door is full, the oldest gives way, but not
    /// before it had 1 s: a storm of clients that mean well is accepted as fast as it shakes hands.
    pub(in crate::server) fn is_busy(&self, listener: usize, now: Instant) -> bool {
        let may_go = |waiting: &Waiting<S>| {
            waiting.listener == listener
                && waiting.may_give_way()
                && now.saturating_duration_since(waiting.came_at) >= HANDSHAKE_MIN
        };
        self.is_full(listener) && !self.waiting.iter().any(|(_, waiting)| may_go(waiting))
    }
}
