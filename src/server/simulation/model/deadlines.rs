//! The model in time: when a session may end by itself, when it must, and what the sockets took.

use std::collections::BTreeSet;
use std::time::Duration;

use super::input::{unasked, LINES_WAIT, ROOM_IS_SLOW};
use super::rooms::LOBBY;
use super::session::{Phase, Session};
use super::Model;
use crate::ledger::CloseReason;
use crate::server::simulation::network::SimulatedNetwork;

/// Deadlines of sessions are looked at together, at most this much late.
const TICK: Duration = Duration::from_millis(50);

/// More than this waits for a session that is behind.
const BEHIND_BYTES: usize = 64 * 1024;

impl Model {
    /// Tells the sums of joins, leaves and renames, once a turn and behind what was said.
    pub(super) fn tick(&mut self) {
        if std::mem::replace(&mut self.ticked, true) {
            return;
        }
        let rooms: Vec<u64> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.tell_sums(room);
        }
        self.end_rules();
    }

    fn tell_sums(&mut self, at: u64) {
        let now = self.now;
        let room = self.room_mut(at);
        let here = room.here.len();
        let (joined, left) = (room.joins.sum(now), room.leaves.sum(now));
        let renamed = room.renames.sum(now);
        if let Some(count) = joined {
            let line = format!("-- {count} more joined ({here} here)");
            self.announce(at, None, &line, &format!("CAME - {count} {here}"));
            self.hit(match at {
                LOBBY => "sum of joins",
                _ => "sum of joins elsewhere",
            });
        }
        if let Some(count) = left {
            let line = format!("-- {count} more left ({here} here)");
            self.announce(at, None, &line, &format!("WENT - {count} {here}"));
            self.hit("sum of leaves");
        }
        if let Some(count) = renamed {
            let names = if count == 1 { "name" } else { "names" };
            let line = format!("-- {count} changed their {names}");
            self.announce(at, None, &line, &format!("NOW - {count}"));
            self.hit("sum of renames");
        }
    }

    pub(super) fn begin_shutdown(&mut self) {
        self.going_down = true;
        if self.sessions.values().any(|it| !it.is_open()) {
            self.hit("second close does nothing");
        }
    }

    /// Nobody is told to be too slow or too silent who is not.
    pub(super) fn justify(&mut self, number: u64, reason: CloseReason) {
        let (limits, now) = (self.terms.limits, self.now);
        let it = &self.sessions[&number];
        let (_, most) = it.due.range();
        let passed = |since: Duration, limit| since + limit <= now;
        let has_memory_limit = self.has_memory_limit();
        let is_right = match reason {
            CloseReason::Idle => limits.idle.is_some_and(|idle| passed(it.heard_at, idle)),
            CloseReason::WriteStall => {
                let stall = limits.queue.stall;
                most > 0 && stall.is_some_and(|stall| passed(it.taken_at[0], stall))
            }
            _ if most > limits.queue.bytes_max => {
                self.hit("hard limit");
                true
            }
            _ => {
                let soft = it.above_soft[0];
                let is_long = soft.is_some_and(|since| passed(since, limits.queue.soft));
                self.hit(if is_long {
                    "soft limit"
                } else {
                    "memory limit"
                });
                is_long || has_memory_limit
            }
        };
        let it = &self.sessions[&number];
        assert!(
            is_right,
            "{number} is closed, {reason}, and due {most}: {it:?}"
        );
        let may_be_slow =
            reason == CloseReason::Idle || has_memory_limit || self.past.queue_lowered || !it.reads;
        assert!(may_be_slow, "{number} reads, but is closed, {reason}");
    }

    /// Takes over what the sockets took; gives whether anybody heard anything.
    pub(super) fn take(&mut self, network: &mut SimulatedNetwork) -> bool {
        let (now, queue) = (self.now, self.terms.limits.queue);
        let has_memory_limit = self.has_memory_limit();
        let (mut told, mut hits, mut keys) = (false, Vec::new(), Vec::new());
        for (number, it) in &mut self.sessions {
            let connection = &mut network.connections[it.client];
            let fresh = std::mem::take(&mut connection.fresh);
            let (_, most) = it.due.range();
            let passed = |since: Option<Duration>, limit: Option<Duration>| {
                let at = since.zip(limit).map(|(since, limit)| since + limit);
                at.is_some_and(|at| at <= now)
            };
            let is_slow = most > queue.bytes_max
                || passed(it.above_soft[0], Some(queue.soft))
                || passed(Some(it.taken_at[0]), queue.stall);
            let ends_slow = self.ending.contains(number)
                && matches!(
                    it.reason,
                    Some(CloseReason::SlowConsumer | CloseReason::WriteStall)
                );
            assert!(
                connection.tried_once_more == 0 || is_slow,
                "{number} is written to without an edge"
            );
            assert!(
                !ends_slow || connection.tried || has_memory_limit,
                "{number} is closed as slow, and no write was tried"
            );
            if connection.tried_once_more > 0 {
                let is_closed = ends_slow || !it.is_open();
                assert!(
                    is_closed || !fresh.is_empty() || connection.failed,
                    "{number} took nothing, and stays"
                );
                hits.push(if is_closed {
                    "one more write before a slow close"
                } else {
                    "saved by one more write"
                });
            }
            for (words, what) in [(LINES_WAIT, "lines wait"), (ROOM_IS_SLOW, "room behind")] {
                let line = unasked(it.dialect, words).into_bytes();
                if fresh.windows(line.len()).any(|it| it == line) {
                    hits.push(what);
                }
            }
            let waited = it.waits();
            let hopeless = it.is_hopeless() && !it.is_open();
            assert!(
                fresh.is_empty() || !hopeless,
                "{number} gets a byte too many"
            );
            if let Err(why) = it.due.take(&fresh) {
                panic!("{number} ({}) {why}", it.client);
            }
            keys.extend(it.secrets.hear(&fresh));
            told |= !fresh.is_empty();
            it.bytes_out += fresh.len();
            it.surely_waits = it.surely_waits.saturating_sub(fresh.len());
            if !fresh.is_empty() || !waited {
                it.taken_at[0] = now;
            }
            if !fresh.is_empty() {
                it.taken_at[1] = now;
            }
            it.blocked = connection.blocked;
            if connection.failed {
                it.dead = true;
                it.due.clear();
                it.surely_waits = 0;
            }
            if !it.blocked {
                // What it alone is told is with it by now.
                it.due.forget_doubts();
            }
        }
        self.learn_keys(keys);
        for what in hits {
            self.hit(what);
        }
        told
    }

    /// Sees that what waits is counted, bounded, and told in time.
    pub(super) fn look_at_queues(&mut self, queued_bytes: usize, told: bool) {
        let (now, queue) = (self.now, self.terms.limits.queue);
        let ranges = self.sessions.values().map(|it| it.due.range());
        let (fewest, most) = ranges.fold((0, 0), |sum, range| (sum.0 + range.0, sum.1 + range.1));
        assert!(
            queued_bytes <= most,
            "{queued_bytes} bytes wait, but {most} are due"
        );
        // Then all that is due waits in the queues, and nothing to be told.
        let is_exact = queued_bytes == fewest && fewest == most;
        let (mut waits, mut is_untold) = (false, false);
        for (number, it) in &mut self.sessions {
            let (fewest, most) = it.due.range();
            if is_exact {
                it.due.settle();
                if it.surely_waits == 0 {
                    it.taken_at[1] = now;
                }
                it.surely_waits = most;
            }
            for (since, bytes) in it.above_soft.iter_mut().zip([most, it.surely_waits]) {
                *since = (bytes > queue.bytes_soft).then(|| since.unwrap_or(now));
            }
            it.may_be_behind = most > BEHIND_BYTES && it.is_open();
            it.unheard &= fewest > 0 && !it.blocked && it.is_open();
            is_untold |= it.unheard;
            waits |= it.is_open() && fewest == 0 && !it.unheard;
            if it.phase == Phase::Draining && most > 0 {
                let ends_now = self.ending.contains(number);
                it.slow = [true, it.slow[1] || !ends_now];
            }
            let is_within = it.surely_waits <= queue.bytes_max || self.told_late;
            assert!(!it.is_open() || is_within, "{number} has too much");
            let hangs = !it.is_open() && it.is_hopeless();
            assert!(!hangs, "{number} is not freed: {it:?}");
        }
        if is_untold && self.said && !told {
            self.hit("flush put off");
        }
        if is_untold && waits && told {
            self.hit("only some are told");
        }
    }

    /// Whether more than a quarter of the listeners of a room may be behind, so that those who talk may have to wait: those of
    /// one address are one listener. That a session which takes next to nothing is not behind, the directed tests say.
    pub(super) fn room_may_be_behind(&self, room: u64) -> bool {
        let is_in = |it: &Session| it.is_open() && it.room == room;
        let open = || self.sessions.iter().filter(|(_, it)| is_in(it));
        let listener = |(number, it): (&u64, &Session)| match it.address {
            address if address.is_loopback() => (None, *number),
            address => (Some(address), 0),
        };
        let listeners: BTreeSet<_> = open().map(listener).collect();
        let slow = open().filter(|(_, it)| it.may_be_behind);
        let slow: BTreeSet<_> = slow.map(listener).collect();
        slow.len() * 4 > listeners.len()
    }

    /// Sees that nothing is late, and that the server wakes in time for what comes next. `timeout` is how long it would
    /// sleep from `now` on.
    pub(crate) fn check_deadlines(&self, now: Duration, timeout: Option<Duration>) {
        let wakes_at = timeout.map(|timeout| now + timeout);
        let sums = self.rooms.values();
        let sums = sums.flat_map(|it| [it.joins.due_at, it.leaves.due_at, it.renames.due_at]);
        for due_at in sums.flatten() {
            let is_in_time = wakes_at.is_some_and(|at| at <= due_at.max(now));
            assert!(
                is_in_time,
                "a sum is due at {due_at:?}, it wakes at {wakes_at:?}"
            );
        }
        for (number, it) in &self.sessions {
            let flows = it.due.range().0 == 0 || it.blocked;
            assert!(
                flows || timeout.is_some(),
                "{number} is due {:?} bytes and nothing will wake it",
                it.due.range()
            );
            let Some((deadline, what)) = self.deadline(it) else {
                continue;
            };
            let latest = deadline + TICK;
            assert!(latest > self.now, "{number}: {what} was at {deadline:?}");
            let is_in_time = wakes_at.is_some_and(|at| at <= latest.max(now));
            assert!(
                is_in_time,
                "{number}: {what} is at {deadline:?}, it wakes at {wakes_at:?}"
            );
        }
    }

    /// When a session ends by itself at the latest, if nothing is done.
    fn deadline(&self, it: &Session) -> Option<(Duration, &'static str)> {
        let queue = self.terms.limits.queue;
        if !it.is_open() {
            return Some((it.until, "the end of its time"));
        }
        let soft_at = it.above_soft[1].map(|since| (since + queue.soft, "the soft limit"));
        let stall = queue.stall.filter(|_| it.surely_waits > 0);
        let stall_at = stall.map(|stall| (it.taken_at[1] + stall, "the stall"));
        // A session whose input is paused is not silent meanwhile.
        let idle = self.terms.limits.idle.filter(|_| !self.past.paced);
        let idle_at = idle.map(|idle| (it.heard_at + idle, "the silence"));
        [soft_at, stall_at, idle_at].into_iter().flatten().min()
    }
}
