//! Who gives way where the door is full, and when newcomers wait instead.

use std::time::Instant;

#[cfg(feature = "tls")]
use super::handshake::HANDSHAKE_MIN;
use super::{Door, Stage, Waiting};
use crate::origin::Prefix;

impl<S> Waiting<S> {
    /// Whether a front end has not said yet for whom it comes.
    fn is_unnamed(&self) -> bool {
        matches!(self.stage, Stage::Proxy | Stage::Itself)
    }

    /// Whether it may be closed to make place: it was asked what it wants, and it is not our fault that it waits. Of who
    /// has just come it is not known yet what they have sent.
    fn may_give_way(&self, now: Instant) -> bool {
        let waits_for_us = self.readiness.is_readable() || self.is_put_off || self.came_at == now;
        match self.stage {
            Stage::Proxy | Stage::Itself => false,
            #[cfg(feature = "tls")]
            Stage::Hello | Stage::Handshake => !waits_for_us,
            Stage::Preface(_) => !waits_for_us,
            Stage::Over { .. } => true,
        }
    }

    /// Whether newcomers may push it out, and need not wait in the queue of its listener.
    fn had_its_time(&self, now: Instant) -> bool {
        #[cfg(feature = "tls")]
        if self.tls && now.saturating_duration_since(self.came_at) < HANDSHAKE_MIN {
            return false;
        }
        self.may_give_way(now)
    }
}

impl<S> Door<S> {
    /// Whether a listener is to accept no more for now. Where the door is full, the oldest gives way, but nobody whose
    /// request is to be answered, and no handshake before it had 1 s: a storm of clients that mean well is accepted as fast
    /// as it is served. Front ends that do not say for whom they come hold nobody back.
    pub(in crate::server) fn is_busy(&self, listener: usize, now: Instant) -> bool {
        if !self.is_full(listener) {
            return false;
        }
        let waiting = self.waiting.iter().map(|(_, waiting)| waiting);
        let of_it = || waiting.clone().filter(|it| it.listener == listener);
        of_it().any(|it| !it.is_unnamed()) && !of_it().any(|it| it.had_its_time(now))
    }

    /// The one at a listener that has waited longest for what a dialect asks, so that it may give way: who means well
    /// has asked long before 256 others come. Who has an answer to take goes last. With a prefix, of those who came from there.
    pub(in crate::server) fn oldest(
        &self,
        listener: usize,
        of: Option<Prefix>,
        now: Instant,
    ) -> Option<usize> {
        let waiting = self.waiting.iter();
        let idle = waiting.filter(|(_, it)| it.listener == listener && it.may_give_way(now));
        let meant = idle.filter(|(_, it)| of.is_none() || it.from.prefix() == of);
        let first = meant.min_by_key(|(_, it)| (!it.is_answered(), it.number));
        first.map(|(slot, _)| slot)
    }
}
