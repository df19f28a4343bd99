//! Who is in a room: how far each has heard it, what each does not hear, and how far the round has come in which they
//! are told what was said.
//!
//! Invariant: the first `untold` are those who were here when the round began and have not been told yet. Their number
//! only shrinks until it is over, so nobody waits for ever, however many come and go.

use crate::dialect::Encoding;
use crate::hub::room::feed::Cursor;
use crate::hub::room::presence::Announced;
use crate::id::SessionId;

/// What a room knows of one of those who hear it.
#[derive(Debug)]
pub(in crate::hub) struct Member {
    pub(in crate::hub) id: SessionId,
    /// In which bytes it hears the room.
    pub(in crate::hub) encoding: Encoding,
    /// How far it has heard the room.
    pub(in crate::hub) cursor: Cursor,
    /// How the others were told that it is here; `None` if they were not.
    pub(in crate::hub) announced: Option<Announced>,
    /// When it last said something, counted in things said; 0 for never. After four billion the count begins anew,
    /// and all that suffers is the order in which Tab offers names.
    pub(in crate::hub) spoke: u32,
}

/// Everybody who hears what is said.
#[derive(Debug, Default)]
pub(in crate::hub) struct Members {
    /// In no order, but for the round: it goes through them from the last of the untold to the first.
    list: Vec<Member>,
    untold: usize,
}

/// The place of a session that is in no room.
pub(in crate::hub) const NOWHERE: u32 = u32::MAX;

impl Members {
    pub(in crate::hub) fn len(&self) -> usize {
        self.list.len()
    }

    pub(in crate::hub) fn get(&self, place: u32) -> Option<&Member> {
        self.list.get(place as usize)
    }

    pub(in crate::hub) fn get_mut(&mut self, place: u32) -> Option<&mut Member> {
        self.list.get_mut(place as usize)
    }

    /// Where this session stands, if it hears the room.
    pub(super) fn find(&self, id: SessionId) -> Option<u32> {
        let place = self.list.iter().position(|member| member.id == id);
        place.map(|place| place as u32)
    }

    /// Adds a member, to whom nothing is to be told in this round; gives its place, which its session must keep.
    pub(super) fn enter(&mut self, member: Member) -> u32 {
        if self.list.len() < 2 {
            // Most rooms that people make are small.
            self.list.reserve_exact(1);
        }
        self.list.push(member);
        self.list.len() as u32 - 1
    }

    /// Removes the member at `place`, and says who has `moved` to which place for that.
    pub(super) fn leave(&mut self, place: u32, mut moved: impl FnMut(SessionId, u32)) -> Member {
        let mut gap = place as usize;
        if gap < self.untold {
            // The last of the untold closes the gap among them, and leaves another one behind them.
            self.untold -= 1;
            if gap != self.untold {
                self.list.swap(gap, self.untold);
                moved(self.list[gap].id, place);
                gap = self.untold;
            }
        }
        let member = self.list.swap_remove(gap);
        if self.list.len() < self.list.capacity() / 4 {
            self.list.shrink_to(2 * self.list.len());
        }
        if let Some(last) = self.list.get(gap) {
            moved(last.id, gap as u32);
        }
        member
    }

    /// Nobody has been told.
    pub(super) fn begin_round(&mut self) {
        self.untold = self.list.len();
    }

    /// Whether all have been told.
    pub(in crate::hub) fn is_round_over(&self) -> bool {
        self.untold == 0
    }

    /// Whether the member at `place` has been told, or came later.
    #[cfg(any(test, feature = "internals"))]
    pub(in crate::hub) fn has_been_told(&self, place: u32) -> bool {
        place as usize >= self.untold
    }

    /// Goes on to the next one of the round; `None` when it is over.
    pub(super) fn go_on(&mut self) -> Option<&mut Member> {
        self.untold = self.untold.checked_sub(1)?;
        Some(&mut self.list[self.untold])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::hub::room::feed::Feed;

    #[test]
    fn a_member_is_small() {
        assert!(size_of::<Member>() <= 40, "{}", size_of::<Member>());
    }

    fn member(slot: usize) -> Member {
        let encoding = Encoding::Telnet;
        Member {
            id: SessionId::new(slot, 1),
            encoding,
            cursor: Feed::default().cursor(encoding),
            announced: None,
            spoke: 0,
        }
    }

    #[test]
    fn a_round_ends_though_as_many_come_and_leave_as_are_told() {
        let mut members = Members::default();
        for slot in 0..10 {
            members.enter(member(slot));
        }
        members.begin_round();
        for slot in 0..10 {
            members.enter(member(10 + slot));
            let told = members.go_on().expect("somebody has not been told").id;
            assert!(told.slot < 10, "{told:?} came later");
            let place = members.list.iter().position(|member| member.id == told);
            members.leave(place.expect("it is here") as u32, |_, _| {});
        }
        assert!(members.is_round_over());
    }

    #[test]
    fn f128_memory_follows_those_who_are_here() {
        let mut members = Members::default();
        for slot in 0..10_000 {
            members.enter(member(slot));
        }
        for _ in 0..9_990 {
            members.leave(0, |_, _| {});
        }
        assert!(members.list.capacity() < 100);
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
                        places.insert(id, members.enter(member(slot)));
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
                            prop_assert!(members.go_on().is_none());
                            members.begin_round();
                            untold.extend(places.keys().copied());
                        } else {
                            let id = members.go_on().unwrap().id;
                            prop_assert!(untold.remove(&id), "{:?} was not to be told", id);
                        }
                    }
                }
                prop_assert_eq!(members.len(), places.len());
                prop_assert_eq!(members.is_round_over(), untold.is_empty());
                for (id, place) in &places {
                    prop_assert_eq!(members.get(*place).unwrap().id, *id);
                    prop_assert_eq!(members.has_been_told(*place), !untold.contains(id));
                }
            }
        }
    }
}
