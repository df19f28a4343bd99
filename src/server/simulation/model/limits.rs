//! The model when the settings change.

use std::time::Duration;

use super::Model;
use crate::hub::Limits;

/// What held at some time of the run. Something of it may be left: a close under way, the end of a pause.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Past {
    /// Sessions were heard at a limited rate.
    pub(super) paced: bool,
    /// Less may wait for a session than before, or not as long, so that who reads may be too slow as well.
    pub(super) queue_lowered: bool,
    /// The rate was another one.
    pub(super) rate_changed: bool,
}

impl Past {
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            paced: !limits.line_rate.is_unlimited(),
            ..Self::default()
        }
    }

    fn note(&mut self, before: &Limits, limits: &Limits) {
        self.paced |= Self::of(limits).paced;
        self.rate_changed |= before.line_rate != limits.line_rate;
        let (was, is) = (before.queue, limits.queue);
        let stall = |stall: Option<Duration>| stall.unwrap_or(Duration::MAX);
        self.queue_lowered |= is.bytes_max < was.bytes_max
            || is.bytes_soft < was.bytes_soft
            || is.soft < was.soft
            || stall(is.stall) < stall(was.stall);
    }
}

impl Model {
    /// Sessions may be closed for want of memory.
    pub(super) fn has_memory_limit(&self) -> bool {
        self.terms.limits.memory_max < usize::MAX
    }

    /// The limits that were planned hold from now on.
    pub(super) fn change_limits(&mut self) {
        let Some(terms) = self.planned.take() else {
            return;
        };
        let (limits, rooms) = (terms.limits, terms.rooms);
        let before = std::mem::replace(&mut self.terms, terms).limits;
        if before == limits {
            return;
        }
        self.set_permanent(rooms);
        self.hit("limits change");
        self.past.note(&before, &limits);
        if limits.memory_max < before.memory_max {
            self.hit("memory limit lowered");
        }
        for room in self.rooms.values_mut() {
            let is_forgotten = room.history.set_lines_max(limits.history_lines);
            *self.hits.entry("what was said is forgotten").or_default() += u64::from(is_forgotten);
        }
        if limits.queue != before.queue {
            // Since when more waits than may is counted by the new limits.
            for it in self.sessions.values_mut() {
                it.above_soft[1] = None;
            }
        }
        if limits.line_rate != before.line_rate {
            match (
                before.line_rate.is_unlimited(),
                limits.line_rate.is_unlimited(),
            ) {
                (true, false) => self.hit("rate on"),
                (false, true) => self.hit("rate off"),
                _ => self.hit("rate changed"),
            }
            // What is owed is owed at another rate. Of that the model knows nothing any more, but what comes now.
            self.debts.clear();
            for it in self.sessions.values_mut() {
                it.paid_at = Duration::ZERO;
            }
        }
    }
}
