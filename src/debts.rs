//! What addresses owe for what they did, also when they have gone, so that coming back gives no new allowance.
//!
//! Invariant: at most [`DEBTS_MAX`] addresses are remembered, none that has paid since the last time there was no place.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::origin::Prefix;
use crate::rate::Rate;

/// At most this many addresses are remembered, at 64 bytes or so. Then the one that owes least is forgotten.
const DEBTS_MAX: usize = 4096;

/// When each address has paid for what it did.
#[derive(Debug, Default)]
pub(crate) struct Debts {
    paid_at: BTreeMap<Prefix, Instant>,
}

impl Debts {
    /// This address owes something until `paid_at`.
    pub(crate) fn note(&mut self, prefix: Prefix, paid_at: Instant, now: Instant) {
        if paid_at <= now {
            return;
        }
        if self.paid_at.len() >= DEBTS_MAX && !self.paid_at.contains_key(&prefix) {
            self.make_place(now);
        }
        let known = self.paid_at.entry(prefix).or_insert(paid_at);
        *known = paid_at.max(*known);
    }

    /// When this address has paid; `None` if it owes nothing.
    pub(crate) fn paid_at(&self, prefix: Prefix, now: Instant) -> Option<Instant> {
        let paid_at = self.paid_at.get(&prefix).copied();
        paid_at.filter(|paid_at| *paid_at > now)
    }

    /// What is owed at the rate `from` is owed at the rate `to`.
    pub(super) fn change_rate(&mut self, from: Rate, to: Rate, now: Instant) {
        self.paid_at.retain(|_, paid_at| {
            let owed = paid_at.saturating_duration_since(now);
            *paid_at = now + from.convert(owed, to);
            *paid_at > now
        });
    }

    fn make_place(&mut self, now: Instant) {
        self.paid_at.retain(|_, paid_at| *paid_at > now);
        if self.paid_at.len() >= DEBTS_MAX {
            let least = self.paid_at.iter().min_by_key(|(_, paid_at)| **paid_at);
            if let Some(prefix) = least.map(|(prefix, _)| *prefix) {
                self.paid_at.remove(&prefix);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use super::*;
    use crate::origin::Origin;
    use crate::test_clock::outset;

    fn prefix(number: u32) -> Prefix {
        let address = Ipv4Addr::from(0x0a00_0000 + number);
        let origin = Origin::from(SocketAddr::from((address, 1)));
        origin.prefix().unwrap()
    }

    #[test]
    fn f124_what_an_address_owes_is_owed_until_it_is_paid() {
        let (mut debts, now) = (Debts::default(), outset());
        let at = |seconds| now + Duration::from_secs(seconds);
        debts.note(prefix(1), at(3), now);
        debts.note(prefix(1), at(2), now);
        assert_eq!(debts.paid_at(prefix(1), at(1)), Some(at(3)));
        assert_eq!(debts.paid_at(prefix(1), at(3)), None);
        assert_eq!(debts.paid_at(prefix(2), now), None);
        debts.note(prefix(2), now, now);
        assert_eq!(debts.paid_at.len(), 1);
    }

    #[test]
    fn f124_the_table_of_debts_is_bounded_and_forgets_the_least() {
        let (mut debts, now) = (Debts::default(), outset());
        let at = |millis| now + Duration::from_millis(millis);
        for number in 0..DEBTS_MAX as u32 + 100 {
            debts.note(prefix(number), at(1000 + u64::from(number)), now);
            assert!(debts.paid_at.len() <= DEBTS_MAX);
        }
        assert_eq!(debts.paid_at(prefix(99), now), None);
        assert!(debts.paid_at(prefix(100), now).is_some());
        // Those who have paid make place first.
        debts.note(prefix(1), at(9000), at(4000));
        assert!(debts.paid_at.len() < DEBTS_MAX);
    }
}
