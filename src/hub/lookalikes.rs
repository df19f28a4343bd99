//! Who or what holds which name, where no two names may look alike.
//!
//! Nothing that it answers depends on the order of a hash map: it finds, it never lists.
//!
//! Invariant: every key of every name held leads to its holder, and there is no other key.
//! Invariant: memory follows the number of names held, down as well as up.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::name::{Keys, NAME_BYTES_MAX};

/// What is left of a key: a name need not be kept twice. That two keys of all the names held at a time have the same
/// digest is less likely than a fault of the machine, and then a name that is free counts as taken.
type Digest = u64;

/// The keys of the names held.
#[derive(Debug)]
pub(super) struct LookAlikes<H> {
    /// One to three entries a name.
    holders: HashMap<Digest, H>,
    /// Makes digests of keys. It has a secret of its own, for people choose what is hashed.
    hasher: RandomState,
}

impl<H> Default for LookAlikes<H> {
    fn default() -> Self {
        Self {
            holders: HashMap::new(),
            hasher: RandomState::new(),
        }
    }
}

impl<H: Copy + PartialEq> LookAlikes<H> {
    /// Who holds the name that `text` spells, or what looks like it.
    pub(super) fn find(&self, text: &str) -> Option<H> {
        if text.len() > NAME_BYTES_MAX {
            return None;
        }
        // Two can be found when neither of their names is like the other but both are like `text`: then the one that is
        // spelled so is meant, not the one that looks so.
        Keys::of(text).iter().find_map(|key| self.holder(key))
    }

    /// All who hold a name that has one of these keys: a name can look like several, which do not look alike.
    pub(super) fn all(&self, keys: &Keys) -> Vec<H> {
        let mut holders: Vec<H> = Vec::new();
        for holder in keys.iter().filter_map(|key| self.holder(key)) {
            if !holders.contains(&holder) {
                holders.push(holder);
            }
        }
        holders
    }

    /// Who holds the name with this key.
    pub(super) fn holder(&self, key: &str) -> Option<H> {
        self.holders.get(&self.digest(key)).copied()
    }

    /// Gives a name with these keys, which nobody holds, to `holder`.
    pub(super) fn insert(&mut self, keys: &Keys, holder: H) {
        for key in keys.iter() {
            self.holders.insert(self.digest(key), holder);
        }
    }

    /// Makes the name with these keys free, if `holder` has it; gives whether it had.
    pub(super) fn remove(&mut self, keys: &Keys, holder: H) -> bool {
        let is_held = keys.iter().all(|key| self.holder(key) == Some(holder));
        if is_held {
            for key in keys.iter() {
                self.holders.remove(&self.digest(key));
            }
            self.shrink();
        }
        is_held
    }

    fn digest(&self, key: &str) -> Digest {
        self.hasher.hash_one(key)
    }

    /// Gives memory back when less than a quarter is in use, and then all but twice of what is, so that a name that comes
    /// and goes does not move the whole map each time. An empty one owns nothing.
    fn shrink(&mut self) {
        if self.holders.len() < self.holders.capacity() / 4 || self.holders.is_empty() {
            self.holders.shrink_to(2 * self.holders.len());
        }
    }
}

/// What invariants are about.
#[cfg(any(test, feature = "internals"))]
impl<H> LookAlikes<H> {
    /// How many keys lead to a holder.
    pub(super) fn len(&self) -> usize {
        self.holders.len()
    }

    /// How much memory is set aside, in keys.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.holders.capacity()
    }
}
