//! Who is in a room, and how far the round has come in which they are told what was said.
//!
//! Invariant: the first `untold` are those who were here when the round began and have not been told yet. Their number
//! only shrinks until it is over, so nobody waits for ever, whoever comes and goes.

use crate::hub::peer::SessionId;

/// Everybody who hears what is said.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// In no order, but for the round: it goes through them from the last of the untold to the first.
    ids: Vec<SessionId>,
    untold: usize,
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn get(&self, place: u32) -> Option<SessionId> {
        self.ids.get(place as usize).copied()
    }

    /// Adds a member, to whom nothing is to be told in this round; gives its place, which it must keep.
    pub(super) fn enter(&mut self, id: SessionId) -> u32 {
        self.ids.push(id);
        self.ids.len() as u32 - 1
    }

    /// Removes the member at `place`, and says who has `moved` to which place for that.
    pub(super) fn leave(&mut self, place: u32, mut moved: impl FnMut(SessionId, u32)) {
        let mut gap = place as usize;
        if gap < self.untold {
            // The last of the untold closes the gap among them, and leaves another one behind them.
            self.untold -= 1;
            if gap != self.untold {
                self.ids.swap(gap, self.untold);
                moved(self.ids[gap], place);
                gap = self.untold;
            }
        }
        self.ids.swap_remove(gap);
        if let Some(id) = self.ids.get(gap) {
            moved(*id, gap as u32);
        }
    }

    /// Nobody has been told.
    pub(super) fn begin_round(&mut self) {
        self.untold = self.ids.len();
    }

    /// Whether all have been told.
    pub(super) fn is_round_over(&self) -> bool {
        self.untold == 0
    }

    /// Whether the member at `place` has been told, or came later.
    pub(super) fn has_been_told(&self, place: u32) -> bool {
        place as usize >= self.untold
    }

    /// Goes on to the next one of the round; `None` when it is over.
    pub(super) fn go_on(&mut self) -> Option<SessionId> {
        self.untold = self.untold.checked_sub(1)?;
        Some(self.ids[self.untold])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_round_ends_though_as_many_come_and_leave_as_are_told() {
        let mut members = Members::default();
        for slot in 0..10 {
            members.enter(SessionId::new(slot, 1));
        }
        members.begin_round();
        for slot in 0..10 {
            members.enter(SessionId::new(10 + slot, 1));
            let told = members.go_on().expect("somebody has not been told");
            assert!(told.slot < 10, "{told:?} came later");
            let place = members.ids.iter().position(|id| *id == told);
            members.leave(place.expect("it is here") as u32, |_, _| {});
        }
        assert!(members.is_round_over());
    }

    #[derive(Debug, Clone)]
    enum Step {
        Enter,
        Leave(prop::sample::Index),
        GoOn,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => Just(Step::Enter),
            2 => any::<prop::sample::Index>().prop_map(Step::Leave),
            3 => Just(Step::GoOn),
        ]
    }

    proptest! {
        #[test]
        fn each_is_told_once_in_a_round_whoever_comes_and_goes(
            steps in prop::collection::vec(step(), 1..300),
        ) {
            let mut members = Members::default();
            let mut places = BTreeMap::new();
            let mut untold = BTreeSet::new();
            for (slot, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Enter => {
                        let id = SessionId::new(slot, 1);
                        places.insert(id, members.enter(id));
                    }
                    Step::Leave(_) if places.is_empty() => {}
                    Step::Leave(whose) => {
                        let id = *places.keys().nth(whose.index(places.len())).unwrap();
                        let place = places.remove(&id).unwrap();
                        untold.remove(&id);
                        members.leave(place, |id, place| {
                            places.insert(id, place);
                        });
                    }
                    Step::GoOn => {
                        if members.is_round_over() {
                            prop_assert_eq!(members.go_on(), None);
                            members.begin_round();
                            untold.extend(places.keys().copied());
                        } else {
                            let id = members.go_on().unwrap();
                            prop_assert!(untold.remove(&id), "{:?} was not to be told", id);
                        }
                    }
                }
                prop_assert_eq!(members.len(), places.len());
                prop_assert_eq!(members.is_round_over(), untold.is_empty());
                for (id, place) in &places {
                    prop_assert_eq!(members.get(*place), Some(*id));
                    prop_assert_eq!(members.has_been_told(*place), !untold.contains(id));
                }
            }
        }
    }
}
