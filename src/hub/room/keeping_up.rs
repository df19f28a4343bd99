//! Whether those who hear a room keep up with what is said there; while many do not, talkers wait.
//!
//! A listener counts as slow that is slower than the room, not slower than a burst: a few talkers can say more within a
//! moment than an ordinary line carries. So lines cost time while more than a quarter of the listeners are behind, and
//! only a session that stays behind while the others have caught up comes to the limits of its own outbox, which closes
//! it; nobody is closed for what is counted here. An attacker cannot brake others: all sessions of one address count
//! once, a session that takes next to nothing is stalled and not slow, and no line costs more than a second.
//!
//! Invariant: a session that is counted as behind was so at the last look at its outbox, when that last grew or shrank.

use std::collections::BTreeMap;
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
    /// Each address is one listener. It is behind while one of its members is.
    addresses: Addresses,
    slow_addresses: usize,
    /// Those whose address is not counted: each is one listener.
    uncounted: Members,
    is_behind: bool,
}

/// Members by their address.
#[derive(Debug, Default)]
struct Addresses {
    /// The first of them: most rooms have no more. At most [`FEW`].
    few: Vec<(Prefix, Members)>,
    many: BTreeMap<Prefix, Members>,
}

/// So many addresses are kept in a list.
const FEW: usize = 8;

impl Addresses {
    fn len(&self) -> usize {
        self.few.len() + self.many.len()
    }

    /// Those of an address.
    fn of(&mut self, prefix: Prefix) -> &mut Members {
        let found = self.few.iter().position(|(known, _)| *known == prefix);
        let at = match found {
            Some(at) => at,
            None if self.few.len() == FEW || self.many.contains_key(&prefix) => {
                return self.many.entry(prefix).or_default();
            }
            None => {
                if self.few.is_empty() {
                    self.few.reserve_exact(1);
                }
                self.few.push((prefix, Members::default()));
                self.few.len() - 1
            }
        };
        &mut self.few[at].1
    }

    /// Forgets an address of which there is nobody.
    fn forget(&mut self, prefix: Prefix) {
        let before = self.few.len();
        self.few.retain(|(known, _)| *known != prefix);
        if self.few.len() == before {
            self.many.remove(&prefix);
        }
    }

    #[cfg(any(test, feature = "internals"))]
    fn values(&self) -> impl Iterator<Item = &Members> {
        let few = self.few.iter().map(|(_, members)| members);
        few.chain(self.many.values())
    }
}

/// How many there are, and how many of them are behind.
#[derive(Debug, Default)]
struct Members {
    all: u32,
    slow: u32,
}

impl KeepingUp {
    /// Somebody comes, who is not behind.
    pub(in crate::hub) fn enter(&mut self, prefix: Option<Prefix>) {
        match prefix {
            None => self.uncounted.all += 1,
            Some(prefix) => self.addresses.of(prefix).all += 1,
        }
        self.judge();
    }

    /// Somebody leaves, who is not behind: see [`KeepingUp::note`].
    pub(in crate::hub) fn leave(&mut self, prefix: Option<Prefix>) {
        match prefix {
            None => self.uncounted.all -= 1,
            Some(prefix) => {
                let members = self.addresses.of(prefix);
                members.all -= 1;
                if members.all == 0 {
                    self.addresses.forget(prefix);
                }
            }
        }
        self.judge();
    }

    /// Somebody is behind who was not, though they take what they can; or is no longer.
    pub(in crate::hub) fn note(&mut self, prefix: Option<Prefix>, is_slow: bool) {
        let members = match prefix {
            None => &mut self.uncounted,
            Some(prefix) => self.addresses.of(prefix),
        };
        let before = members.slow;
        members.slow = if is_slow { before + 1 } else { before - 1 };
        if prefix.is_some() {
            self.slow_addresses += usize::from(before == 0);
            self.slow_addresses -= usize::from(members.slow == 0);
        }
        self.judge();
    }

    fn judge(&mut self) {
        let slow = self.slow_addresses + self.uncounted.slow as usize;
        let listeners = self.addresses.len() + self.uncounted.all as usize;
        self.is_behind = slow * BEHIND_PART > listeners;
    }

    /// Whether talkers wait.
    pub(in crate::hub) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// How long a talker waits behind a line of this many bytes if the room is behind by then.
    pub(in crate::hub) fn line_costs(bytes: usize) -> Duration {
        let pieces = u32::try_from(bytes.div_ceil(LINE_BYTES).max(1)).unwrap_or(u32::MAX);
        LINE_COSTS.saturating_mul(pieces).min(LINE_COSTS_MAX)
    }

    /// How many sessions are counted, and how many of them as being behind.
    #[cfg(any(test, feature = "internals"))]
    pub(in crate::hub) fn count(&self) -> (usize, usize) {
        let counted = self.addresses.values().chain([&self.uncounted]);
        counted.fold((0, 0), |sum, members| {
            (sum.0 + members.all as usize, sum.1 + members.slow as usize)
        })
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
        let mut slow = 0;
        for (now_slow, is_behind) in [(2, false), (3, true), (2, false), (0, false), (8, true)] {
            (slow..now_slow).for_each(|number| keeping_up.note(prefix(number), true));
            (now_slow..slow).for_each(|number| keeping_up.note(prefix(number), false));
            assert_eq!(keeping_up.is_behind(), is_behind, "{now_slow} of 8");
            slow = now_slow;
        }
        // A member who comes or goes changes what a quarter is.
        (3..8).for_each(|number| keeping_up.note(prefix(number), false));
        (8..12).for_each(|number| keeping_up.enter(prefix(number)));
        assert!(!keeping_up.is_behind(), "3 of 12");
        keeping_up.leave(prefix(11));
        assert!(keeping_up.is_behind(), "3 of 11");
    }

    #[test]
    fn f122_a_line_costs_by_its_bytes_and_no_more_than_a_second() {
        let costs = [0, 1, 512, 513, 4096, usize::MAX].map(KeepingUp::line_costs);
        let expected = [250, 250, 250, 500, 1000, 1000].map(Duration::from_millis);
        assert_eq!(costs, expected);
    }

    #[test]
    fn f123_all_sessions_of_one_address_are_one_listener() {
        let mut keeping_up = KeepingUp::default();
        (0..100).for_each(|number| keeping_up.enter(prefix(number)));
        for _ in 0..64 {
            keeping_up.enter(prefix(500));
            keeping_up.note(prefix(500), true);
        }
        assert!(!keeping_up.is_behind());
        // Those of this machine are not counted by address.
        (0..40).for_each(|_| keeping_up.enter(None));
        (0..40).for_each(|_| keeping_up.note(None, true));
        assert!(keeping_up.is_behind());
        for (prefix, count) in [(None, 40), (prefix(500), 64)] {
            (0..count).for_each(|_| keeping_up.note(prefix, false));
            (0..count).for_each(|_| keeping_up.leave(prefix));
        }
        (0..100).for_each(|number| keeping_up.leave(prefix(number)));
        assert_eq!(keeping_up.count(), (0, 0));
        assert_eq!(
            (keeping_up.addresses.len(), keeping_up.slow_addresses),
            (0, 0)
        );
    }
}
