//! A list of sessions, which goes out a part a turn.
//!
//! First every slot is looked at for sessions that match, then these are told in the order of their numbers, if they
//! still match. So each is told at most once, however many come and go meanwhile, and no turn does more than its share.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::filter::Filter;
use crate::fields::Value;
use crate::hub::{Hub, Look, SessionId};

/// At most 4096 slots are looked at in a turn, for all operators together.
const TURN_SLOTS_MAX: usize = 4096;

/// At most 256 lines are told in a turn, to all operators together.
const TURN_LINES_MAX: usize = 256;

/// What may be done for lists in this turn.
#[derive(Debug)]
pub(in crate::server) struct Share {
    slots: usize,
    lines: usize,
}

impl Share {
    pub(in crate::server) fn of_a_turn() -> Self {
        Self {
            slots: TURN_SLOTS_MAX,
            lines: TURN_LINES_MAX,
        }
    }
}

/// A list that is being told.
#[derive(Debug)]
pub(in crate::server) struct Listing {
    filter: Filter,
    /// The first slot that was not looked at.
    slot: usize,
    /// Those who matched and were not told yet: 16 bytes each.
    found: BinaryHeap<Reverse<(u64, SessionId)>>,
    told: usize,
}

impl Listing {
    pub(in crate::server) fn new(filter: Filter) -> Self {
        Self {
            filter,
            slot: 0,
            found: BinaryHeap::new(),
            told: 0,
        }
    }

    /// Goes on within a share of the turn; adds lines to `out`. Gives how many there were when all are told.
    pub(in crate::server) fn go_on<T>(
        &mut self,
        hub: &Hub<T>,
        share: &mut Share,
        out: &mut String,
        now: Instant,
    ) -> Option<usize> {
        self.look_around(hub, share, now);
        if self.slot < hub.slots() {
            return None;
        }
        while share.lines > 0 {
            let Some(Reverse((_, id))) = self.found.pop() else {
                return Some(self.told);
            };
            if let Some(look) = hub
                .look_at(id, now)
                .filter(|look| self.filter.holds(id, look))
            {
                add_line(&look, out);
                self.told += 1;
                share.lines -= 1;
            }
        }
        None
    }

    /// Who comes later than this is not listed, or is found in a slot that was not looked at yet.
    fn look_around<T>(&mut self, hub: &Hub<T>, share: &mut Share, now: Instant) {
        let until = hub.slots().min(self.slot + share.slots);
        for (number, id) in hub.in_slots(self.slot..until) {
            let look = hub.look_at(id, now);
            if look.is_some_and(|look| self.filter.holds(id, &look)) {
                self.found.push(Reverse((number, id)));
            }
        }
        share.slots -= until.saturating_sub(self.slot);
        self.slot = self.slot.max(until);
    }
}

fn add_line(look: &Look<'_>, out: &mut String) {
    use std::fmt::Write;

    let name = look.name.to_string();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "id={} name={} room={} dialect={} from={} seconds={} silent={} state={} lines_in={} bytes_out={} queued={}",
        look.number,
        Value(&name),
        Value(look.room),
        look.dialect,
        look.from,
        look.age.as_secs(),
        look.silent.as_secs(),
        look.state.word(),
        look.lines_in,
        look.bytes_out,
        look.queued,
    );
}
