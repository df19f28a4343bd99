//! Who is here, in the order in which they came.
//!
//! Invariants: the entries are in the order of their numbers; the first is of somebody who is here, and of all of them at
//! most [`GAPS_SPARE`] more than half are of people who have gone.

use std::collections::VecDeque;
use std::num::NonZeroU64;

use crate::id::SessionId;

/// At most this many gaps are left open, beside as many as there are people.
const GAPS_SPARE: usize = 32;

/// Stands where somebody has gone; no session has this slot ([`SessionId::SLOTS_MAX`]).
const GONE: SessionId = SessionId {
    slot: u32::MAX,
    serial: 0,
};

/// A list. Who comes is added at its end, and who goes leaves a gap until there are too many of them: a tree would take
/// twice the memory for each of those who are here.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    entries: VecDeque<(u64, SessionId)>,
    last: u64,
    here: usize,
}

impl Arrivals {
    /// How many are here.
    pub(super) fn len(&self) -> usize {
        self.here
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = SessionId> + '_ {
        let ids = self.entries.iter().map(|(_, id)| *id);
        ids.filter(|id| *id != GONE)
    }

    /// Those who came behind this arrival, with theirs.
    pub(super) fn after(&self, arrival: u64) -> impl Iterator<Item = (u64, SessionId)> + '_ {
        let begin = self.entries.partition_point(|entry| entry.0 <= arrival);
        let entries = self.entries.range(begin..).copied();
        entries.filter(|(_, id)| *id != GONE)
    }

    /// Adds somebody; gives the number of their arrival.
    pub(super) fn add(&mut self, id: SessionId) -> NonZeroU64 {
        let number = NonZeroU64::MIN.saturating_add(self.last);
        self.last = number.get();
        if self.entries.is_empty() {
            // Most rooms that people make are small.
            self.entries.reserve_exact(1);
        }
        self.entries.push_back((self.last, id));
        self.here += 1;
        number
    }

    /// Removes the member that came with this number, if it is still here.
    pub(super) fn remove(&mut self, arrival: u64) {
        let found = self.entries.binary_search_by_key(&arrival, |entry| entry.0);
        let Some(id) = found.ok().map(|at| &mut self.entries[at].1) else {
            return;
        };
        if std::mem::replace(id, GONE) == GONE {
            return;
        }
        self.here -= 1;
        while self.entries.front().is_some_and(|(_, id)| *id == GONE) {
            self.entries.pop_front();
        }
        if self.entries.len() > 2 * self.here + GAPS_SPARE {
            self.entries.retain(|(_, id)| *id != GONE);
            self.entries.shrink_to(2 * self.here);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_from_arrivals_to_ids(
            steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..400),
        ) {
            let (mut arrivals, mut model) = (Arrivals::default(), BTreeMap::new());
            for (slot, (comes, whose)) in steps.into_iter().enumerate() {
                if comes {
                    let id = SessionId::new(slot, 1);
                    model.insert(arrivals.add(id).get(), id);
                } else if arrivals.last > 0 {
                    // Some have gone already.
                    let arrival = 1 + whose.index(arrivals.last as usize) as u64;
                    arrivals.remove(arrival);
                    model.remove(&arrival);
                }
                prop_assert_eq!(arrivals.len(), model.len());
                prop_assert!(arrivals.iter().eq(model.values().copied()));
                prop_assert!(arrivals.entries.len() <= 2 * model.len() + GAPS_SPARE);
                prop_assert_ne!(arrivals.entries.front().map(|(_, id)| *id), Some(GONE));
            }
        }
    }

    #[test]
    fn memory_follows_those_who_are_here() {
        let mut arrivals = Arrivals::default();
        for slot in 0..10_000 {
            arrivals.add(SessionId::new(slot, 1));
        }
        // All but some in the middle.
        for arrival in (1..=5_000).chain(5_011..=10_000) {
            arrivals.remove(arrival);
        }
        assert_eq!(arrivals.len(), 10);
        assert!(arrivals.entries.capacity() < 200);
    }
}
