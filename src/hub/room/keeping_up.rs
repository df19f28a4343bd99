//! Whether those who hear a room keep up with what is said there; while many do not, talkers wait.
//!
//! Who is slow is slower than the room, not slower than a burst: a few talkers can say more within a moment than an
//! ordinary line carries. So lines cost time while more than a quarter of the listeners are behind, and only a session
//! that stays behind while the others have caught up comes to the limits of its own outbox, which closes it; nobody is
//! closed for what is counted here. Nobody else's brake is in an attacker's hand: all sessions of one address count
//! once, a session that takes next to nothing is stalled and not slow, and no line costs more than a second.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::origin::Prefix;

/// A room is behind while more than one in this many of its listeners are.
const BEHIND_PART: usize = 4;

/// What a line costs its talker in a room that is behind, for every 512 bytes begun of it …
const LINE_COSTS: Duration = Duration::from_millis(250);
/// … but no more than this, so that nobody is slowed below a line a second by others.
const LINE_COSTS_MAX: Duration = Duration::from_secs(1);
const LINE_BYTES: usize = 512;

/// The listeners of a room, counted by address, and how many of them are behind.
#[derive(Debug, Default)]
pub(in crate::hub) struct KeepingUp {
    /// Members of each address.
    addresses: BTreeMap<Prefix, u32>,
    /// Members whose address is not counted: each is one listener.
    uncounted: usize,
    /// Who was seen to be slow in this round.
    slow_addresses: BTreeSet<Prefix>,
    slow_uncounted: usize,
    is_behind: bool,
    /// How often the room fell behind. So a talker is told once each time.
    times: u32,
}

impl KeepingUp {
    pub(super) fn enter(&mut self, prefix: Option<Prefix>) {
        match prefix {
            None => self.uncounted += 1,
            Some(prefix) => *self.addresses.entry(prefix).or_default() += 1,
        }
    }

    pub(super) fn leave(&mut self, prefix: Option<Prefix>) {
        let Some(prefix) = prefix else {
            self.uncounted -= 1;
            return;
        };
        if let Some(members) = self.addresses.get_mut(&prefix) {
            *members -= 1;
            if *members == 0 {
                self.addresses.remove(&prefix);
            }
        }
    }

    /// Somebody who was told in this round is behind, though they take what they can.
    pub(in crate::hub) fn note_slow(&mut self, prefix: Option<Prefix>) {
        match prefix {
            None => self.slow_uncounted += 1,
            Some(prefix) => _ = self.slow_addresses.insert(prefix),
        }
    }

    /// All have been told.
    pub(super) fn end_round(&mut self) {
        let slow = self.slow_addresses.len() + self.slow_uncounted;
        let listeners = self.addresses.len() + self.uncounted;
        self.slow_addresses.clear();
        self.slow_uncounted = 0;
        let was_behind = std::mem::replace(&mut self.is_behind, slow * BEHIND_PART > listeners);
        self.times = self
            .times
            .wrapping_add(u32::from(self.is_behind && !was_behind));
    }

    /// How often the room fell behind, if it is.
    pub(in crate::hub) fn behind(&self) -> Option<u32> {
        self.is_behind.then_some(self.times)
    }

    /// How long a talker waits behind a line of this many bytes; `None` if the room keeps up.
    pub(in crate::hub) fn line_costs(&self, bytes: usize) -> Option<Duration> {
        let pieces = u32::try_from(bytes.div_ceil(LINE_BYTES).max(1)).unwrap_or(u32::MAX);
        let costs = LINE_COSTS.saturating_mul(pieces).min(LINE_COSTS_MAX);
        self.is_behind.then_some(costs)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::origin::Origin;

    fn prefix(number: u32) -> Option<Prefix> {
        let address = Ipv4Addr::from(0x0a00_0000 + number);
        Origin::from(SocketAddr::from((address, 1))).prefix()
    }

    #[test]
    fn f122_a_room_is_behind_while_more_than_a_quarter_is() {
        let mut keeping_up = KeepingUp::default();
        (0..8).for_each(|number| keeping_up.enter(prefix(number)));
        for (slow, is_behind) in [(2, false), (3, true), (2, false), (0, false), (8, true)] {
            (0..slow).for_each(|number| keeping_up.note_slow(prefix(number)));
            keeping_up.end_round();
            assert_eq!(keeping_up.line_costs(1).is_some(), is_behind, "{slow} of 8");
        }
        assert_eq!(keeping_up.behind(), Some(2));
        assert_eq!(keeping_up.line_costs(1), Some(LINE_COSTS));
        assert_eq!(keeping_up.line_costs(512), Some(LINE_COSTS));
        assert_eq!(keeping_up.line_costs(513), Some(2 * LINE_COSTS));
        assert_eq!(keeping_up.line_costs(4096), Some(LINE_COSTS_MAX));
    }

    #[test]
    fn f123_all_sessions_of_one_address_are_one_listener() {
        let mut keeping_up = KeepingUp::default();
        (0..100).for_each(|number| keeping_up.enter(prefix(number)));
        for _ in 0..64 {
            keeping_up.enter(prefix(500));
            keeping_up.note_slow(prefix(500));
        }
        keeping_up.end_round();
        assert_eq!(keeping_up.line_costs(4096), None);
        // Those of this machine are not counted by address.
        (0..40).for_each(|_| keeping_up.enter(None));
        (0..40).for_each(|_| keeping_up.note_slow(None));
        keeping_up.end_round();
        assert!(keeping_up.line_costs(4096).is_some());
        (0..40).for_each(|_| keeping_up.leave(None));
        (0..64).for_each(|_| keeping_up.leave(prefix(500)));
        (0..100).for_each(|number| keeping_up.leave(prefix(number)));
        assert_eq!((keeping_up.addresses.len(), keeping_up.uncounted), (0, 0));
    }
}
