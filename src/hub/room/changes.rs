//! Those who have gone or have another name, of which those are still to be told who keep a list of who is there.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::dialect::event::Presence;
use crate::hub::room::presence::{Announced, SECOND, TOLD_MAX};
use crate::id::SessionId;
use crate::name::Name;

/// Somebody who is no more what the lists say.
#[derive(Debug)]
pub(super) struct Change {
    /// Their name in the lists.
    pub(super) listed: Name,
    pub(super) user: Box<str>,
    /// How the others were told that they are here.
    pub(super) announced: Announced,
    pub(super) what: What,
}

/// What is to be told of somebody.
#[derive(Debug)]
pub(super) enum What {
    /// They have gone.
    Gone {
        /// Their last words, which may be empty.
        words: Box<str>,
        /// They have left the server, and not only the room.
        quits: bool,
    },
    /// They are here, with another name.
    Renamed { id: SessionId, to: Name },
}

impl Change {
    /// Of somebody who has left so.
    pub(super) fn gone(left: &Presence<'_>, user: &str, announced: Announced) -> Option<Self> {
        let (name, words, quits) = match *left {
            Presence::Left { name, words, .. } => (name, words, true),
            Presence::Parted { name, words, .. } => (name, words, false),
            Presence::WentTo { name, .. } => (name, "", false),
            _ => return None,
        };
        let words = words.into();
        Some(Self {
            listed: name.clone(),
            user: user.into(),
            announced,
            what: What::Gone { words, quits },
        })
    }
}

/// What is still to be told, oldest first: at most [`TOLD_MAX`] changes in any second.
///
/// Invariants: `waiting` and `numbers` hold the same, each name once; `renamed` leads to each of those who have another
/// name; the first of `waiting` waits.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// When those of the last second were told.
    told_at: VecDeque<Instant>,
    /// In the order of their numbers, with a gap where one is no more to be told.
    waiting: VecDeque<Option<Change>>,
    /// The number of the first.
    first: u64,
    /// By names as those who keep a list compare them: without regard to the case of ASCII letters.
    numbers: HashMap<String, u64>,
    renamed: HashMap<SessionId, u64>,
}

impl Changes {
    /// Whether one more may be told at once; it counts as told then.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        while self.told_at.front().is_some_and(|at| *at + SECOND <= now) {
            self.told_at.pop_front();
        }
        let admits = self.waiting.is_empty() && self.told_at.len() < TOLD_MAX;
        if admits {
            self.told_at.push_back(now);
        }
        admits
    }

    /// Gives it back if it is to be told at once.
    pub(super) fn admit(&mut self, change: Change, now: Instant) -> Option<Change> {
        if self.admits(now) {
            return Some(change);
        }
        self.take_listed(&change.listed);
        let number = self.first + self.waiting.len() as u64;
        self.numbers.insert(folded(&change.listed), number);
        if let What::Renamed { id, .. } = change.what {
            self.renamed.insert(id, number);
        }
        self.waiting.push_back(Some(change));
        None
    }

    /// Those that wait, oldest first.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Change> {
        self.waiting.iter().flatten()
    }

    /// What waits of somebody who is here and has another name in the lists.
    pub(super) fn of(&self, id: SessionId) -> Option<&Change> {
        self.get(*self.renamed.get(&id)?)
    }

    /// What waits of somebody who has this name in the lists.
    pub(super) fn listed(&self, name: &Name) -> Option<&Change> {
        if self.waiting.is_empty() {
            return None;
        }
        self.get(*self.numbers.get(&folded(name))?)
    }

    /// The same is no more to be told.
    pub(super) fn take_listed(&mut self, name: &Name) -> Option<Change> {
        let number = *self.numbers.get(&folded(name))?;
        self.take(number)
    }

    /// What waits of somebody who is here and has another name in the lists is no more to be told.
    pub(super) fn take_of(&mut self, id: SessionId) -> Option<Change> {
        let number = *self.renamed.get(&id)?;
        self.take(number)
    }

    /// Something else is to be told, in its place, of somebody who is here and has another name in the lists. Gives it
    /// back if nothing is to be told of them.
    pub(super) fn replace(&mut self, id: SessionId, what: What) -> Option<What> {
        let number = self.renamed.get(&id).copied();
        let place = number.and_then(|number| self.place(number));
        let Some(change) = place.and_then(|at| self.waiting[at].as_mut()) else {
            return Some(what);
        };
        if matches!(what, What::Gone { .. }) {
            self.renamed.remove(&id);
        }
        change.what = what;
        None
    }

    /// When the next one is to be told.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let oldest = self.told_at.front().filter(|_| !self.waiting.is_empty());
        oldest.map(|at| *at + SECOND)
    }

    /// The next one, if it is time to tell it.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Change> {
        while self.told_at.front().is_some_and(|at| *at + SECOND <= now) {
            self.told_at.pop_front();
        }
        if self.told_at.len() >= TOLD_MAX {
            return None;
        }
        let change = self.take(self.first)?;
        self.told_at.push_back(now);
        Some(change)
    }

    fn place(&self, number: u64) -> Option<usize> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        Some(at).filter(|at| *at < self.waiting.len())
    }

    fn get(&self, number: u64) -> Option<&Change> {
        self.waiting[self.place(number)?].as_ref()
    }

    fn take(&mut self, number: u64) -> Option<Change> {
        let at = self.place(number)?;
        let change = self.waiting[at].take()?;
        while self.waiting.front().is_some_and(Option::is_none) {
            self.waiting.pop_front();
            self.first += 1;
        }
        self.numbers.remove(&folded(&change.listed));
        if let What::Renamed { id, .. } = change.what {
            self.renamed.remove(&id);
        }
        Some(change)
    }
}

fn folded(name: &Name) -> String {
    name.text().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::hub::room::presence::Told;
    use crate::test_clock::outset;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn id(number: usize) -> SessionId {
        SessionId::new(number, 1)
    }

    fn renamed(number: usize, from: &str, to: &str) -> Change {
        Change {
            listed: name(from),
            user: "telnet".into(),
            announced: Announced {
                arrival: NonZeroU64::MIN,
                told: Told::ByName,
                introduced: None,
            },
            what: What::Renamed {
                id: id(number),
                to: name(to),
            },
        }
    }

    fn gone() -> What {
        let (words, quits) = ("".into(), true);
        What::Gone { words, quits }
    }

    /// Ten were told of, and these wait.
    fn waiting(changes: impl IntoIterator<Item = Change>) -> (Changes, Instant) {
        let (mut these, now) = (Changes::default(), outset());
        assert_eq!((0..20).filter(|_| these.admits(now)).count(), TOLD_MAX);
        for change in changes {
            assert!(these.admit(change, now).is_none());
        }
        (these, now)
    }

    fn told(changes: &mut Changes, now: Instant) -> Vec<String> {
        let due = std::iter::from_fn(|| changes.take_due(now));
        due.map(|change| change.listed.text().into_owned())
            .collect()
    }

    #[test]
    fn ten_in_a_second_the_oldest_first() {
        let names = (0..12).map(|number| format!("a{number}"));
        let many = names
            .enumerate()
            .map(|(number, it)| renamed(number, &it, "b"));
        let (mut changes, now) = waiting(many);
        assert_eq!(changes.due_at(), Some(now + SECOND));
        assert!(told(&mut changes, now + SECOND / 2).is_empty());
        let first = told(&mut changes, now + SECOND);
        assert_eq!((first.len(), &*first[0], &*first[9]), (10, "a0", "a9"));
        assert_eq!(told(&mut changes, now + 2 * SECOND), ["a10", "a11"]);
        assert_eq!(changes.due_at(), None);
        assert!(changes.renamed.is_empty() && changes.numbers.is_empty());
    }

    #[test]
    fn who_has_gone_goes_in_the_place_of_their_new_name() {
        let (mut changes, now) = waiting([renamed(1, "ann", "anna"), renamed(2, "bob", "rob")]);
        assert!(changes.replace(id(3), gone()).is_some());
        assert!(changes.replace(id(1), gone()).is_none());
        assert!(changes.of(id(1)).is_none());
        assert!(changes.listed(&name("ANN")).is_some());
        assert_eq!(told(&mut changes, now + SECOND), ["ann", "bob"]);
    }

    #[test]
    fn what_was_told_before_waits_no_more() {
        let (mut changes, now) = waiting([renamed(1, "ann", "anna"), renamed(2, "bob", "rob")]);
        assert!(changes.take_of(id(2)).is_some());
        assert!(changes.take_of(id(2)).is_none());
        assert!(changes.take_listed(&name("Ann")).is_some());
        assert!(changes.take_listed(&name("ann")).is_none());
        assert!(told(&mut changes, now + SECOND).is_empty());
        assert!(changes.renamed.is_empty() && changes.numbers.is_empty());
    }
}
