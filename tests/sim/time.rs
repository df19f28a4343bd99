//! The model in time: deadlines, and what a flush must have done with the sockets.

use std::collections::{BTreeMap, BTreeSet};

use chatd::hub::Ending;
use chatd::ledger::CloseReason;

use crate::model::{ms, Model};
use crate::presence::Ms;
use crate::session::{Phase, Session, Took};

/// A session that was told everything has so long to close its own side.
const LINGER: Ms = 1000;

impl Model {
    /// The first moment at which something is to happen by itself.
    pub(crate) fn deadline(&self) -> Option<Ms> {
        let sums = self.joins.due_at.into_iter().chain(self.leaves.due_at);
        let sessions = self.sessions.values().filter_map(|it| match it.phase {
            Phase::Open => self.overdue_at(it),
            Phase::Draining | Phase::Lingering => Some(it.until),
            Phase::Closed => None,
        });
        sessions.chain(sums).min()
    }

    fn overdue_at(&self, it: &Session) -> Option<Ms> {
        let waits = !it.due.is_empty();
        let stall = self.limits.queue.stall.filter(|_| waits);
        let soft_at = it
            .above_soft_since
            .filter(|_| waits)
            .map(|since| since + ms(self.limits.queue.soft));
        let stall_at = stall.map(|stall| it.taken_at + ms(stall));
        let idle_at = self.limits.idle.map(|idle| it.heard_at + ms(idle));
        soft_at.into_iter().chain(stall_at).chain(idle_at).min()
    }

    pub(crate) fn tick(&mut self, now: Ms) {
        let here = self.here.len();
        if let Some(count) = self.joins.sum(now) {
            self.announce(None, &format!("-- {count} more joined ({here} here)"));
            self.hit("sum of joins");
        }
        if let Some(count) = self.leaves.sum(now) {
            self.announce(None, &format!("-- {count} more left ({here} here)"));
            self.hit("sum of leaves");
        }
        for number in self.by_slot() {
            self.judge(number, now);
        }
    }

    /// Ends a session whose time is up.
    fn judge(&mut self, number: u64, now: Ms) {
        let limits = self.limits;
        let it = self.it(number);
        match it.phase {
            Phase::Open => {
                let too_much = it.due.len() > limits.queue.bytes_max;
                let much = it.due.len() > limits.queue.bytes_soft;
                it.above_soft_since = much.then(|| it.above_soft_since.unwrap_or(now));
                let passed = |since: Ms, limit| since + ms(limit) <= now;
                let long = it
                    .above_soft_since
                    .is_some_and(|since| passed(since, limits.queue.soft));
                let waits = !it.due.is_empty();
                let stall = limits.queue.stall.filter(|_| waits);
                let reason = if too_much || long {
                    CloseReason::SlowConsumer
                } else if stall.is_some_and(|stall| passed(it.taken_at, stall)) {
                    CloseReason::WriteStall
                } else if limits.idle.is_some_and(|idle| passed(it.heard_at, idle)) {
                    CloseReason::Idle
                } else {
                    return;
                };
                if reason == CloseReason::SlowConsumer {
                    self.hit(if too_much { "hard limit" } else { "soft limit" });
                }
                self.close(number, reason, "", now);
            }
            Phase::Draining | Phase::Lingering if it.until <= now => {
                let (what, is_safe) = match it.phase {
                    Phase::Draining => ("drain deadline", true),
                    // What a slow one was given may still be on its way, and a reset would throw that away.
                    _ => ("linger ends by time", !it.slow),
                };
                if is_safe {
                    it.ending = Ending::Abrupt;
                }
                it.phase = Phase::Closed;
                self.hit(what);
            }
            _ => {}
        }
    }

    /// What a flush to all must have done, if the sockets did `took`.
    pub(crate) fn flush(&mut self, took: &BTreeMap<u64, Took>, now: Ms) {
        let mut visits = if self.shared > 0 {
            self.members.clone()
        } else {
            Vec::new()
        };
        let wakers = std::mem::take(&mut self.wakers);
        let mut visited: BTreeSet<u64> = visits.iter().copied().collect();
        visits.extend(wakers.into_iter().filter(|number| visited.insert(*number)));
        let everybody: BTreeSet<u64> = self.sessions.keys().copied().collect();
        self.take(&everybody, took, now);
        self.log.clear();
        (self.shared, self.said, self.happenings) = (0, 0, 0);
        for it in self.sessions.values_mut() {
            it.came = 0;
            it.left = it.left.map(|_| 0);
        }
        self.end_flush(visits, took, now);
    }

    /// What a flush to those with something to hear alone must have done. The others hear of it later.
    pub(crate) fn flush_listed(&mut self, took: &BTreeMap<u64, Took>, now: Ms) {
        let visits = std::mem::take(&mut self.wakers);
        let visited = visits.iter().copied().collect();
        self.take(&visited, took, now);
        self.said = self.shared;
        for number in &visited {
            if let Some(it) = self.sessions.get_mut(number) {
                it.came = self.log.len();
                it.left = it.left.map(|_| it.came);
            }
        }
        self.end_flush(visits, took, now);
    }

    fn take(&mut self, listeners: &BTreeSet<u64>, took: &BTreeMap<u64, Took>, now: Ms) {
        let time = self.time();
        let mut unwanted = 0;
        for (number, it) in &mut self.sessions {
            let waited = !it.due.is_empty();
            if listeners.contains(number) {
                unwanted += it.hear(*number, &self.log, &time);
            }
            it.take(*number, &took[number], waited, now);
        }
        *self.hits.entry("unwanted line").or_default() += unwanted;
    }

    fn end_flush(&mut self, visits: Vec<u64>, took: &BTreeMap<u64, Took>, now: Ms) {
        for number in visits {
            self.follow_up(number, now);
        }
        for (number, it) in &self.sessions {
            assert_eq!(it.finished, took[number].finished, "{number} is finished");
            let is_within = it.due.len() <= self.limits.queue.bytes_max;
            assert!(
                it.phase != Phase::Open || is_within,
                "{number} has too much"
            );
        }
    }

    fn follow_up(&mut self, number: u64, now: Ms) {
        let Some(it) = self.sessions.get_mut(&number) else {
            return;
        };
        if it.phase == Phase::Draining {
            if it.dead || (it.ended && it.due.is_empty()) {
                it.phase = Phase::Closed;
            } else if it.due.is_empty() {
                it.phase = Phase::Lingering;
                it.finished = true;
                it.until = it.until.min(now + LINGER);
            } else {
                it.slow = true;
            }
        }
        if !it.due.is_empty() || it.phase != Phase::Open {
            self.judge(number, now);
        }
    }
}
