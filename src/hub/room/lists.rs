//! Many short lists in one store. One that is empty costs its owner four bytes, and owns nothing.
//!
//! Invariant: each link belongs to one list; its links form a ring, of which the owner knows the last.

use slab::Slab;

/// The links of all lists.
#[derive(Debug)]
pub(super) struct Lists<T> {
    links: Slab<Link<T>>,
}

#[derive(Debug)]
struct Link<T> {
    value: T,
    /// The next one of the list; behind the last one comes the first.
    next: u32,
}

/// One list. Only who gives it to the store that it belongs to gets its own values.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    /// Its last link; `NONE` if it is empty.
    last: u32,
}

const NONE: u32 = u32::MAX;

impl List {
    pub(super) const EMPTY: Self = Self { last: NONE };

    pub(super) fn is_empty(self) -> bool {
        self.last == NONE
    }
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { links: Slab::new() }
    }
}

impl<T> Lists<T> {
    /// The length of all lists together.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    /// How many links there is memory for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.links.capacity()
    }

    /// The last value of a list.
    pub(super) fn last_mut(&mut self, list: List) -> Option<&mut T> {
        let link = self.links.get_mut(list.last as usize);
        link.map(|link| &mut link.value)
    }

    /// Adds a value at the end of a list.
    pub(super) fn push(&mut self, list: &mut List, value: T) {
        let key = self.links.vacant_key() as u32;
        // The new link takes the place of the last one before the first.
        let next = match self.links.get_mut(list.last as usize) {
            Some(link) => std::mem::replace(&mut link.next, key),
            None => key,
        };
        self.links.insert(Link { value, next });
        list.last = key;
    }

    /// Takes the first value of a list.
    pub(super) fn take_first(&mut self, list: &mut List) -> Option<T> {
        let first = self.links.get(list.last as usize)?.next;
        let Link { value, next } = self.links.remove(first as usize);
        match self.links.get_mut(list.last as usize) {
            Some(link) => link.next = next,
            None => list.last = NONE,
        }
        Some(value)
    }

    /// The values of a list.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn iter(&self, list: List) -> impl Iterator<Item = &T> {
        let first = self.links.get(list.last as usize).map(|link| link.next);
        let next = move |at: &u32| (*at != list.last).then(|| self.links[*at as usize].next);
        std::iter::successors(first, next).map(|at| &self.links[at as usize].value)
    }

    /// Gives back memory for more than about `bytes`, if it is not in use.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        if self.links.capacity() > bytes / size_of::<Link<T>>() {
            self.links.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_is_a_queue_of_its_own(
            steps in prop::collection::vec((0..4_usize, any::<bool>()), 1..200),
        ) {
            let mut lists = Lists::default();
            let mut each = [List::EMPTY; 4];
            let mut models: [VecDeque<usize>; 4] = Default::default();
            for (value, (whose, adds)) in steps.into_iter().enumerate() {
                let (list, model) = (&mut each[whose], &mut models[whose]);
                if adds {
                    lists.push(list, value);
                    model.push_back(value);
                } else {
                    prop_assert_eq!(lists.take_first(list), model.pop_front());
                }
                for (list, model) in each.iter().zip(&mut models) {
                    prop_assert!(lists.iter(*list).eq(model.iter()));
                    prop_assert_eq!(lists.last_mut(*list), model.back_mut());
                    prop_assert_eq!(list.is_empty(), model.is_empty());
                }
                prop_assert_eq!(lists.len(), models.iter().map(VecDeque::len).sum::<usize>());
            }
        }
    }

    #[test]
    fn links_are_used_again_and_given_back() {
        let (mut lists, mut list) = (Lists::default(), List::EMPTY);
        for value in 0..100_000_u64 {
            lists.push(&mut list, value);
            if value >= 1000 {
                assert_eq!(lists.take_first(&mut list), Some(value - 1000));
            }
        }
        assert_eq!(lists.len(), 1000);
        assert!(lists.links.capacity() < 3000);
        while lists.take_first(&mut list).is_some() {}
        lists.shrink_to(1024);
        assert_eq!(lists.links.capacity(), 0);
    }
}
