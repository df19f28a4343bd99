//! Who holds which name.
//!
//! The roster knows ids and names; it must not know sessions, dialects or words for users. Nothing
//! that it answers depends on the order of a hash map: it finds, it never lists.
//!
//! Invariant: no two ids hold names that share a key, and so are alike.

use std::collections::BTreeMap;

use crate::hub::lookalikes::LookAlikes;
use crate::hub::SessionId;
use crate::name::{guest_number, Keys, Kind, Name};

/// The names held, each by one id; each id holds at most one name at a time.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// By their number, without a string: most sessions of a crowd never choose a name.
    guests: BTreeMap<u64, SessionId>,
    chosen: LookAlikes<SessionId>,
    /// How many names are in `chosen`.
    chosen_names: usize,
}

/// The name, or one too much like it, is held by somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken;

impl Roster {
    /// Gives `name` to `id`, which holds none.
    ///
    /// # Errors
    /// [`Taken`] if it is held already; nothing has changed then.
    pub(super) fn claim(&mut self, id: SessionId, name: &Name) -> Result<(), Taken> {
        match name.kind() {
            Kind::Guest(number) => {
                if self.guests.contains_key(&number) {
                    return Err(Taken);
                }
                self.guests.insert(number, id);
            }
            Kind::Chosen(text) => {
                let keys = Keys::of(text);
                if keys.iter().any(|key| self.chosen.holder(key).is_some()) {
                    return Err(Taken);
                }
                self.chosen_names += 1;
                self.chosen.insert(&keys, id);
            }
        }
        Ok(())
    }

    /// Makes `name`, as `id` has claimed it, free again. A name that `id` does not hold stays with
    /// its holder.
    pub(super) fn release(&mut self, id: SessionId, name: &Name) {
        match name.kind() {
            Kind::Guest(number) => {
                if self.guests.get(&number) == Some(&id) {
                    self.guests.remove(&number);
                }
            }
            Kind::Chosen(text) => {
                let is_held = self.chosen.remove(&Keys::of(text), id);
                self.chosen_names -= usize::from(is_held);
            }
        }
    }

    /// Gives `new` to `id` in place of `old`, which it holds. The two may be alike, so that people
    /// can change the case of their names.
    ///
    /// # Errors
    /// [`Taken`] if somebody else holds `new`; `id` holds `old` as before then.
    pub(super) fn rename(&mut self, id: SessionId, old: &Name, new: &Name) -> Result<(), Taken> {
        if !self.is_free_for(id, new) {
            return Err(Taken);
        }
        self.release(id, old);
        self.claim(id, new)
    }

    /// Who holds the name that `text` spells, in any case, or what looks like it.
    #[must_use]
    pub(super) fn find(&self, text: &str) -> Option<SessionId> {
        if let Some(number) = guest_number(text) {
            return self.guests.get(&number).copied();
        }
        self.chosen.find(text)
    }

    /// All who hold a name that looks like `name`.
    pub(super) fn all_like(&self, name: &Name) -> Vec<SessionId> {
        match name.kind() {
            Kind::Guest(number) => self.guests.get(&number).copied().into_iter().collect(),
            Kind::Chosen(text) => self.chosen.all(&Keys::of(text)),
        }
    }

    /// Those who have not chosen a name, in the order in which they came.
    pub(super) fn guests(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.guests.values().copied()
    }

    /// How many names are held.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.guests.len() + self.chosen_names
    }

    /// Counts again: compares the roster with all ids that hold a name, for simulations and tests.
    ///
    /// # Panics
    /// If the roster lacks one of them or knows of more.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn check_invariants<'a>(
        &self,
        holders: impl IntoIterator<Item = (SessionId, &'a Name)>,
    ) {
        let (mut guests, mut chosen_names, mut entries) = (0, 0, 0);
        for (id, name) in holders {
            match name.kind() {
                Kind::Guest(number) => {
                    guests += 1;
                    assert!(
                        self.guests.get(&number) == Some(&id),
                        "{name} is not with its holder"
                    );
                }
                Kind::Chosen(text) => {
                    chosen_names += 1;
                    for key in Keys::of(text).iter() {
                        entries += 1;
                        assert!(
                            self.chosen.holder(key) == Some(id),
                            "{name} ({key}) is not with its holder"
                        );
                    }
                }
            }
        }
        assert_eq!(guests, self.guests.len(), "guests held by nobody");
        assert_eq!(
            chosen_names, self.chosen_names,
            "the count of chosen names is wrong"
        );
        assert_eq!(entries, self.chosen.len(), "keys held by nobody");
    }

    /// Whether somebody is the guest of this number.
    pub(super) fn has_guest(&self, number: u64) -> bool {
        self.guests.contains_key(&number)
    }

    /// Whether nobody but `id` holds `name` or one like it.
    pub(super) fn is_free_for(&self, id: SessionId, name: &Name) -> bool {
        match name.kind() {
            Kind::Guest(number) => self.guests.get(&number).is_none_or(|holder| *holder == id),
            Kind::Chosen(text) => Keys::of(text)
                .iter()
                .all(|key| self.chosen.holder(key).is_none_or(|holder| holder == id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::GUEST_MAX;
    use proptest::prelude::*;

    fn id(slot: usize) -> SessionId {
        SessionId::new(slot, 0)
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn a_name_is_held_by_one_until_it_is_released() {
        let mut roster = Roster::default();
        assert_eq!(roster.len(), 0);
        assert_eq!(roster.claim(id(1), &name("paypal")), Ok(()));
        for alike in ["paypal", "PayPal", "paypaI", "раураl", "ｐａｙｐａｌ"] {
            assert_eq!(roster.claim(id(2), &name(alike)), Err(Taken), "{alike}");
            assert_eq!(roster.find(alike), Some(id(1)), "{alike}");
        }
        assert_eq!(roster.claim(id(1), &name("paypal")), Err(Taken));
        roster.release(id(2), &name("paypal"));
        assert_eq!(roster.find("paypal"), Some(id(1)));
        assert_eq!(roster.len(), 1);
        roster.release(id(1), &name("paypal"));
        assert_eq!(roster.find("paypal"), None);
        assert_eq!(roster.claim(id(2), &name("PAYPAL")), Ok(()));
    }

    #[test]
    fn anni_and_annl_may_both_be_here_but_not_with_a_capital_anni() {
        let mut roster = Roster::default();
        roster.claim(id(1), &name("anni")).unwrap();
        roster.claim(id(2), &name("annl")).unwrap();
        assert_eq!(roster.claim(id(3), &name("ANNI")), Err(Taken));
        // A name in capitals is found by its letters, not by their look.
        assert_eq!(
            (roster.find("ANNI"), roster.find("ANNL")),
            (Some(id(1)), Some(id(2)))
        );
        assert_eq!(
            roster.rename(id(1), &name("anni"), &name("ANNI")),
            Err(Taken)
        );
        roster.check_invariants([(id(1), &name("anni")), (id(2), &name("annl"))]);

        roster.release(id(2), &name("annl"));
        assert_eq!(roster.rename(id(1), &name("anni"), &name("ANNI")), Ok(()));
        assert_eq!(roster.len(), 1);
        assert_eq!(roster.claim(id(2), &name("annl")), Err(Taken));
        roster.check_invariants([(id(1), &name("ANNI"))]);
        assert_eq!(roster.rename(id(1), &name("ANNI"), &name("anni")), Ok(()));
        assert_eq!(roster.claim(id(2), &name("annl")), Ok(()));
    }

    #[test]
    fn guests_are_found_by_the_number_as_it_is_written() {
        let mut roster = Roster::default();
        for (slot, n) in [0, 7, GUEST_MAX].into_iter().enumerate() {
            roster.claim(id(slot), &Name::guest(n)).unwrap();
        }
        assert_eq!(roster.claim(id(2), &Name::guest(7)), Err(Taken));
        roster.release(id(2), &Name::guest(7));
        for text in ["guest7", "GUEST7", "Guest7"] {
            assert_eq!(roster.find(text), Some(id(1)));
        }
        assert_eq!(roster.find("guest0"), Some(id(0)));
        assert_eq!(roster.find("guest72057594037927935"), Some(id(2)));
        for text in [
            "guest007",
            "guest00",
            "guest+7",
            "guest-7",
            "guest 7",
            "guest7 ",
            "guest",
            "gues",
            "guest8",
            "",
            "7",
            "guest7x",
            "gueé",
            "guest18446744073709551616",
        ] {
            assert_eq!(roster.find(text), None, "{text:?}");
        }
        assert_eq!(roster.chosen.len(), 0);
    }

    #[test]
    fn renaming_is_all_or_nothing() {
        let mut roster = Roster::default();
        roster.claim(id(1), &Name::guest(1)).unwrap();
        roster.claim(id(2), &name("bob")).unwrap();
        assert_eq!(
            roster.rename(id(1), &Name::guest(1), &name("B0B")),
            Err(Taken)
        );
        roster.check_invariants([(id(1), &Name::guest(1)), (id(2), &name("bob"))]);
        assert_eq!(roster.rename(id(1), &Name::guest(1), &name("ann")), Ok(()));
        assert_eq!(roster.find("guest1"), None);
        assert_eq!(roster.rename(id(1), &name("ann"), &name("ann")), Ok(()));
        roster.check_invariants([(id(1), &name("ann")), (id(2), &name("bob"))]);
    }

    #[test]
    fn finding_takes_any_text() {
        let mut roster = Roster::default();
        roster.claim(id(1), &name("ann")).unwrap();
        for text in ["", " ", "\u{0}", "\u{200d}", "👍"] {
            assert_eq!(roster.find(text), None);
        }
        assert_eq!(roster.find(&"ﷺ".repeat(1_000_000)), None);
    }

    #[test]
    #[should_panic(expected = "guests held by nobody")]
    fn a_name_without_its_session_is_noticed() {
        let mut roster = Roster::default();
        roster.claim(id(1), &Name::guest(1)).unwrap();
        roster.check_invariants([]);
    }

    #[test]
    #[should_panic(expected = "ann (ann) is not with its holder")]
    fn a_session_without_its_name_is_noticed() {
        Roster::default().check_invariants([(id(1), &name("ann"))]);
    }

    #[test]
    fn memory_is_given_back() {
        let mut roster = Roster::default();
        let names: Vec<Name> = (0..5000).map(|n| name(&format!("name{n}"))).collect();
        for (slot, name) in names.iter().enumerate() {
            roster.claim(id(slot), name).unwrap();
        }
        for (slot, name) in names.iter().enumerate() {
            roster.release(id(slot), name);
            assert!(roster.chosen.capacity() <= 8 + 8 * roster.chosen.len());
        }
        assert_eq!(roster.len(), 0);
        assert_eq!(roster.chosen.capacity(), 0);
    }

    /// A person takes, changes or gives up a name, chosen among few, so that they often want the
    /// same.
    fn any_step() -> impl Strategy<Value = (usize, Option<Name>)> {
        let names: Vec<Name> = [
            "ann", "ANN", "anni", "ANNI", "annl", "ANNL", "аnn", "b0b", "bob", "ß", "SS", "β", "ı",
            "I", "1",
        ]
        .iter()
        .map(|text| name(text))
        .chain((0..3).map(Name::guest))
        .collect();
        (
            0..5_usize,
            prop::option::weighted(0.8, prop::sample::select(names)),
        )
    }

    proptest! {
        #[test]
        fn the_roster_does_what_comparing_with_everybody_would(steps in prop::collection::vec(any_step(), 0..60)) {
            let mut roster = Roster::default();
            let mut people: [Option<Name>; 5] = Default::default();
            for (person, wanted) in steps {
                let is_taken = wanted.as_ref().is_some_and(|wanted| {
                    people.iter().enumerate().any(|(other, held)| other != person && held.as_ref().is_some_and(|held| held.is_like(wanted)))
                });
                let result = match (people[person].clone(), &wanted) {
                    (None, Some(wanted)) => roster.claim(id(person), wanted),
                    (Some(held), Some(wanted)) => roster.rename(id(person), &held, wanted),
                    (Some(held), None) => {
                        roster.release(id(person), &held);
                        Ok(())
                    }
                    (None, None) => Ok(()),
                };
                prop_assert_eq!(result.is_err(), is_taken);
                if !is_taken {
                    people[person] = wanted;
                }
                roster.check_invariants(people.iter().enumerate().filter_map(|(person, name)| Some((id(person), name.as_ref()?))));
                prop_assert_eq!(roster.len(), people.iter().flatten().count());
                for (person, name) in people.iter().enumerate() {
                    if let Some(name) = name {
                        prop_assert_eq!(roster.find(&name.to_string()), Some(id(person)));
                    }
                }
            }
        }
    }
}
