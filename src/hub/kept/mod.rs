//! Kept names: whose they are, by a key that the server has made. What is done with them is in `keeping`.
//!
//! A name is kept with all that looks like it. One that was not used for as long as the settings say is free again: that
//! is found when somebody wants it, so there is no timer.
//!
//! Invariants: `by_name` leads from each name of `by_number` to its number, and nothing else does; no two names that are
//! kept look alike.

pub(crate) mod key;
pub(crate) mod lines;

use std::collections::BTreeMap;

use crate::hub::lookalikes::LookAlikes;
use crate::name::{Keys, NAME_BYTES_MAX};
use crate::origin::Prefix;
use crate::when::Day;

use key::Digest;

/// At most three names are newly kept a day from one address.
const A_DAY_MAX: u8 = 3;

/// No more addresses are counted in a day: beyond that nobody keeps a name whose address is not known yet.
const ADDRESSES_MAX: usize = 10_000;

/// A name that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) name: Box<str>,
    pub(crate) digest: Digest,
    /// When it was last used.
    pub(crate) used: Day,
}

/// Which kept name: a number that is never another one's.
pub(crate) type Number = u64;

/// All names that are kept, in the order in which they were.
#[derive(Debug, Default)]
pub(in crate::hub) struct KeptNames {
    by_number: BTreeMap<Number, Kept>,
    by_name: LookAlikes<Number>,
    last: Number,
    /// On which day names were newly kept from which address, and how many.
    day: Day,
    today: BTreeMap<Prefix, u8>,
    /// What the file should hold has changed since this was last asked.
    changed: bool,
}

impl KeptNames {
    pub(in crate::hub) fn len(&self) -> usize {
        self.by_number.len()
    }

    /// All names that look like this one.
    pub(in crate::hub) fn all_like(&self, text: &str) -> Vec<Number> {
        if text.len() > NAME_BYTES_MAX {
            return Vec::new();
        }
        self.by_name.all(&Keys::of(text))
    }

    pub(in crate::hub) fn get(&self, number: Number) -> Option<&Kept> {
        self.by_number.get(&number)
    }

    /// The names that were kept behind this number, in their order.
    pub(in crate::hub) fn after(&self, number: Number) -> impl Iterator<Item = (Number, &Kept)> {
        let after = self.by_number.range(number.saturating_add(1)..);
        after.map(|(number, kept)| (*number, kept))
    }

    /// Keeps a name, which nobody has kept, nor one that looks like it.
    pub(in crate::hub) fn insert(&mut self, kept: Kept) -> Number {
        self.last += 1;
        self.by_name.insert(&Keys::of(&kept.name), self.last);
        self.by_number.insert(self.last, kept);
        self.changed = true;
        self.last
    }

    /// Keeps a name no more.
    pub(in crate::hub) fn remove(&mut self, number: Number) -> Option<Kept> {
        let kept = self.by_number.remove(&number)?;
        self.by_name.remove(&Keys::of(&kept.name), number);
        self.changed = true;
        Some(kept)
    }

    /// The name has another key from now on.
    pub(in crate::hub) fn set_key(&mut self, number: Number, digest: Digest, today: Day) {
        if let Some(kept) = self.by_number.get_mut(&number) {
            kept.digest = digest;
            kept.used = today;
            self.changed = true;
        }
    }

    /// The name is used today.
    pub(in crate::hub) fn note_used(&mut self, number: Number, today: Day) {
        if let Some(kept) = self.by_number.get_mut(&number).filter(|it| it.used < today) {
            kept.used = today;
            self.changed = true;
        }
    }

    /// Whether one more name may be newly kept today from this address; `None` is free of that.
    pub(in crate::hub) fn may_keep(&mut self, prefix: Option<Prefix>, today: Day) -> bool {
        if self.day != today {
            self.day = today;
            self.today.clear();
        }
        prefix.is_none_or(|prefix| match self.today.get(&prefix) {
            Some(count) => *count < A_DAY_MAX,
            None => self.today.len() < ADDRESSES_MAX,
        })
    }

    /// One more name was newly kept from this address.
    pub(in crate::hub) fn note_kept(&mut self, prefix: Option<Prefix>) {
        if let Some(prefix) = prefix {
            *self.today.entry(prefix).or_default() += 1;
        }
    }

    /// All of them, in their order.
    pub(in crate::hub) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.by_number.values()
    }

    /// Whether what the file is to hold has changed since this was last asked.
    pub(in crate::hub) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub(in crate::hub) fn has_changed(&self) -> bool {
        self.changed
    }

    /// Lets exactly these be kept, of which no two look alike. One that stays keeps its number, if its key is the same.
    pub(in crate::hub) fn replace(&mut self, wanted: Vec<Kept>) {
        let mut old = std::mem::take(&mut self.by_number);
        let mut by_name: BTreeMap<Box<str>, Number> = BTreeMap::new();
        for (number, kept) in &old {
            by_name.insert(kept.name.clone(), *number);
        }
        self.by_name = LookAlikes::default();
        for kept in wanted {
            let same = by_name.get(&kept.name).copied();
            let same = same.filter(|it| old.get(it).is_some_and(|old| old.digest == kept.digest));
            let number = same.unwrap_or_else(|| {
                self.last += 1;
                self.last
            });
            old.remove(&number);
            self.by_name.insert(&Keys::of(&kept.name), number);
            self.by_number.insert(number, kept);
        }
        self.changed = true;
    }

    /// Counts again what the table of names holds.
    ///
    /// # Panics
    /// If a name does not lead to its number, or something else leads anywhere.
    #[cfg(any(test, feature = "internals"))]
    pub(in crate::hub) fn check_invariants(&self) {
        let mut keys = 0;
        for (number, kept) in &self.by_number {
            assert_eq!(self.all_like(&kept.name), [*number], "{}", kept.name);
            keys += Keys::of(&kept.name).iter().count();
            assert!(*number <= self.last);
        }
        assert_eq!(keys, self.by_name.len(), "keys of kept names");
    }
}
