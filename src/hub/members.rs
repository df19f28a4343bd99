//! Who is in a room, and how far the round has come in which they are told what was said.
//!
//! Invariant: of those who were here when the round began and still are, exactly those before `next` have been told.

use crate::hub::peer::SessionId;

/// Everybody who hears what is said.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// In no order, but for the round: it goes through them from the first to the last.
    ids: Vec<SessionId>,
    /// The place of the one who is told next.
    next: usize,
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn get(&self, place: u32) -> Option<SessionId> {
        self.ids.get(place as usize).copied()
    }

    /// Adds a member; gives its place, which it must keep.
    pub(super) fn enter(&mut self, id: SessionId) -> u32 {
        self.ids.push(id);
        self.ids.len() as u32 - 1
    }

    /// Removes the member at `place`, and says who has `moved` to which place for that.
    pub(super) fn leave(&mut self, place: u32, mut moved: impl FnMut(SessionId, u32)) {
        let mut gap = place as usize;
        if gap < self.next {
            // The gap must be closed by somebody who has been told, too, or she would be told twice or never.
            self.next -= 1;
            if gap != self.next {
                self.ids.swap(gap, self.next);
                moved(self.ids[gap], place);
                gap = self.next;
            }
        }
        self.ids.swap_remove(gap);
        if let Some(id) = self.ids.get(gap) {
            moved(*id, gap as u32);
        }
    }

    /// Whether the next one who is told is the first of a round.
    pub(super) fn is_round_over(&self) -> bool {
        self.next == 0
    }

    /// Whether the round has come to the member at `place`.
    pub(super) fn has_been_told(&self, place: u32) -> bool {
        (place as usize) < self.next
    }

    /// Goes on to the next one of the round; `None` once when it is over.
    pub(super) fn go_on(&mut self) -> Option<SessionId> {
        let id = self.ids.get(self.next).copied();
        self.next = if id.is_some() { self.next + 1 } else { 0 };
        id
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

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
            let mut told = BTreeSet::new();
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
                        told.remove(&id);
                        members.leave(place, |id, place| {
                            places.insert(id, place);
                        });
                    }
                    Step::GoOn => {
                        if let Some(id) = members.go_on() {
                            prop_assert!(told.insert(id), "{:?} is told twice", id);
                        } else {
                            let all: BTreeSet<SessionId> = places.keys().copied().collect();
                            prop_assert_eq!(&told, &all, "nobody is left out");
                            told.clear();
                        }
                    }
                }
                prop_assert_eq!(members.len(), places.len());
                prop_assert_eq!(members.is_round_over(), told.is_empty());
                for (id, place) in &places {
                    prop_assert_eq!(members.get(*place), Some(*id));
                    prop_assert_eq!(members.has_been_told(*place), told.contains(id));
                }
            }
        }
    }
}
