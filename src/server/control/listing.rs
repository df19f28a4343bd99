//! A list, which goes out a part a turn: of sessions, rules, kept names or rooms.
//!
//! For sessions every slot is looked at first for those that match, then these are told in the order of their numbers, if
//! they still match. So each is told at most once, however many come and go meanwhile, and no turn does more than its
//! share.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write;
use std::time::Instant;

use super::filter::Filter;
use crate::fields::Value;
use crate::hub::kept::Kept;
use crate::hub::rules::pattern::Pattern;
use crate::hub::rules::rule::Rule;
use crate::hub::{Hub, Look, SessionId};
use crate::net::Net;
use crate::when::{End, Moment};

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
pub(in crate::server) enum Listing {
    Sessions(Sessions),
    Rules(Rules),
    Names(Names),
    Rooms(RoomList),
}

impl Listing {
    /// Those sessions of which all this holds.
    pub(in crate::server) fn sessions(filter: Filter) -> Self {
        Self::Sessions(Sessions {
            filter,
            slot: 0,
            found: BinaryHeap::new(),
            told: 0,
        })
    }

    /// The rules in force, or those that meet a network.
    pub(in crate::server) fn rules(net: Option<Net>) -> Self {
        Self::Rules(Rules {
            net,
            after: 0,
            told: 0,
        })
    }

    /// All rooms.
    pub(in crate::server) fn rooms() -> Self {
        Self::Rooms(RoomList { place: 0, told: 0 })
    }

    /// The names that are kept, or those that fit a pattern.
    pub(in crate::server) fn names(pattern: Option<Pattern>) -> Self {
        Self::Names(Names {
            pattern,
            after: 0,
            told: 0,
        })
    }

    /// Goes on within a share of the turn; adds lines to `out`. When all are told, gives how many there were, and what.
    pub(in crate::server) fn go_on<T>(
        &mut self,
        hub: &Hub<T>,
        share: &mut Share,
        out: &mut String,
        now: Instant,
    ) -> Option<(usize, &'static str)> {
        let (told, what) = match self {
            Self::Sessions(list) => (list.go_on(hub, share, out, now), "session"),
            Self::Rules(list) => (list.go_on(hub, share, out), "rule"),
            Self::Names(list) => (list.go_on(hub, share, out), "name"),
            Self::Rooms(list) => (list.go_on(hub, share, out), "room"),
        };
        told.map(|told| (told, what))
    }
}

/// Rules by their numbers.
#[derive(Debug)]
pub(in crate::server) struct Rules {
    net: Option<Net>,
    /// The number of the last one that was told.
    after: u64,
    told: usize,
}

impl Rules {
    fn go_on<T>(&mut self, hub: &Hub<T>, share: &mut Share, out: &mut String) -> Option<usize> {
        for rule in hub.rules_after(self.after, self.net) {
            if share.lines == 0 {
                return None;
            }
            add_rule(rule, out);
            self.after = rule.number;
            self.told += 1;
            share.lines -= 1;
        }
        Some(self.told)
    }
}

/// Rooms by their places.
#[derive(Debug)]
pub(in crate::server) struct RoomList {
    /// The first place that was not looked at.
    place: usize,
    told: usize,
}

impl RoomList {
    fn go_on<T>(&mut self, hub: &Hub<T>, share: &mut Share, out: &mut String) -> Option<usize> {
        for (place, room) in hub.rooms_from(self.place) {
            if share.lines == 0 {
                return None;
            }
            let has_key = if room.has_key { "yes" } else { "no" };
            let (name, people, lines) = (Value(room.name), room.people, room.lines);
            // Writing to a String cannot fail.
            let _ = writeln!(
                out,
                "room={name} people={people} key={has_key} lines={lines}"
            );
            self.place = place + 1;
            self.told += 1;
            share.lines -= 1;
        }
        Some(self.told)
    }
}

/// Kept names in the order in which they were.
#[derive(Debug)]
pub(in crate::server) struct Names {
    pattern: Option<Pattern>,
    /// The number of the last one that was looked at.
    after: u64,
    told: usize,
}

impl Names {
    fn go_on<T>(&mut self, hub: &Hub<T>, share: &mut Share, out: &mut String) -> Option<usize> {
        for (number, kept, holder) in hub.kept_after(self.after) {
            if share.lines == 0 {
                return None;
            }
            // To find that a name does not fit is as much work as to tell it.
            share.lines -= 1;
            self.after = number;
            let pattern = self.pattern.as_ref();
            if pattern.is_none_or(|pattern| pattern.fits(&kept.name)) {
                add_name(kept, holder, out);
                self.told += 1;
            }
        }
        Some(self.told)
    }
}

/// Sessions by their numbers.
#[derive(Debug)]
pub(in crate::server) struct Sessions {
    filter: Filter,
    /// The first slot that was not looked at.
    slot: usize,
    /// Those who matched and were not told yet: 16 bytes each.
    found: BinaryHeap<Reverse<(u64, SessionId)>>,
    told: usize,
}

impl Sessions {
    fn go_on<T>(
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
                add_session(&look, out);
                self.told += 1;
                share.lines -= 1;
            }
        }
        None
    }

    /// A session that comes later than this is not listed, or is found in a slot that was not looked at yet.
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

fn add_session(look: &Look<'_>, out: &mut String) {
    let name = look.name.to_string();
    let yes_no = |is_so| if is_so { "yes" } else { "no" };
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "id={} name={} room={} dialect={} from={} seconds={} silent={} state={} lines_in={} bytes_out={} queued={} \
         muted={} op={}",
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
        yes_no(look.muted),
        yes_no(look.op),
    );
}

fn add_name(kept: &Kept, holder: Option<u64>, out: &mut String) {
    let held = holder.map_or_else(String::new, |number| number.to_string());
    let (name, held) = (Value(&kept.name), Value(&held));
    // Writing to a String cannot fail.
    let _ = writeln!(out, "name={name} used={} held={held}", kept.used);
}

fn add_rule(rule: &Rule, out: &mut String) {
    let terms = &rule.terms;
    let moment = |at: Option<u64>| at.map_or_else(String::new, |at| Moment(at).to_string());
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "n={} kind={} target={} until={} hits={} last={} by={} at={} name={} reason={}",
        rule.number,
        terms.kind.word(),
        Value(&terms.target.to_string()),
        End(terms.until),
        rule.hits,
        Value(&moment(rule.last)),
        Value(&terms.by),
        Value(&moment(terms.at)),
        Value(&terms.name),
        Value(&terms.reason),
    );
}
