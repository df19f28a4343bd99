//! The model in time: deadlines, and what a flush must have done with the sockets.

use std::collections::{BTreeMap, BTreeSet};

use chatd::hub::Ending;
use chatd::ledger::CloseReason;

use crate::model::{ms, Model};
use crate::presence::Ms;
use crate::session::{Phase, Session, To, Took};

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

    /// What a flush to the next `most` of the round must have done, if the sockets did `took`.
    pub(crate) fn flush(&mut self, most: usize, took: &BTreeMap<u64, Took>, now: Ms) {
        let waits = |(number, it): (&u64, &Session)| (!it.due.is_empty()).then_some(*number);
        let waited: BTreeSet<u64> = self.sessions.iter().filter_map(waits).collect();
        let mut visits = std::mem::take(&mut self.wakers);
        for number in &visits {
            self.hear(*number);
        }
        let mut told = 0;
        while told < most && self.happenings().next().is_some() {
            if self.untold == 0 {
                self.untold = self.members.len();
                self.round = self.log.len();
            }
            while told < most && self.untold > 0 {
                self.untold -= 1;
                let number = self.members[self.untold];
                if self.has_news_for(number) {
                    visits.push(number);
                    told += usize::from(self.hear(number));
                }
            }
            if self.untold == 0 {
                self.drop_heard(self.round);
            }
        }
        if self.happenings().next().is_none() {
            self.drop_heard(self.log.len());
        }
        // What some heard alone is of no use any more.
        for entry in &mut self.log {
            if matches!(entry.to, To::One(_)) {
                entry.bytes.iter_mut().for_each(Vec::clear);
            }
        }
        for (number, it) in &mut self.sessions {
            it.take(*number, &took[number], waited.contains(number), now);
        }
        self.end_flush(visits, took, now);
    }

    /// Whether something was said to all since a session was told.
    fn has_news_for(&self, number: u64) -> bool {
        let it = &self.sessions[&number];
        self.log[it.came..].iter().any(|entry| it.is_told(entry))
    }

    /// Adds what a session hears to what it is due; gives whether that is anything.
    fn hear(&mut self, number: u64) -> bool {
        let time = self.time();
        let Some(it) = self.sessions.get_mut(&number) else {
            return false;
        };
        let due = it.due.len();
        let unwanted = it.hear(number, &self.log, &time);
        let told = it.due.len() > due;
        *self.hits.entry("unwanted line").or_default() += unwanted;
        told
    }

    /// Drops the beginning of the log, which everybody has heard.
    fn drop_heard(&mut self, entries: usize) {
        for number in &self.members {
            let it = &self.sessions[number];
            let mut unheard = self.log[..entries].iter().skip(it.came);
            let unheard = unheard.any(|entry| it.is_told(entry));
            assert!(!unheard, "{number} has not heard what is dropped");
        }
        self.log.drain(..entries);
        for it in self.sessions.values_mut() {
            it.came = it.came.saturating_sub(entries);
            it.left = it.left.map(|left| left.saturating_sub(entries));
        }
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
