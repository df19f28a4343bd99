//! Kept names: whose they are, by a key that the server has made. What is done with them is in `keeping`.
//!
//! A name is kept with all that looks like it. One that was not used for as long as the settings say is free again: that
//! is found when somebody wants it, so there is no timer.
//!
//! Invariants: `by_name` leads from each name of `by_number` to its number, and nothing else does; no two names that are
//! kept look alike.

pub(crate) mod key;
pub(crate) mod lines;

use std::collections::{BTreeMap, HashMap};

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

/// What became of names: `None` is kept no more.
pub(crate) type ByName<'a> = BTreeMap<&'a str, Option<&'a Kept>>;

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
    /// The names of which the file says something else than it should, each with whether it says anything.
    unsaved: HashMap<Box<str>, bool>,
    /// What the file should hold has changed since it was last saved.
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
        self.changed = true;
        self.unsaved.entry(kept.name.clone()).or_insert(false);
        self.put_in(kept)
    }

    fn put_in(&mut self, kept: Kept) -> Number {
        self.last += 1;
        self.by_name.insert(&Keys::of(&kept.name), self.last);
        self.by_number.insert(self.last, kept);
        self.last
    }

    /// Keeps a name no more.
    pub(in crate::hub) fn remove(&mut self, number: Number) -> Option<Kept> {
        let kept = self.take_out(number)?;
        self.changed = true;
        if self.unsaved.get(&kept.name) == Some(&false) {
            self.unsaved.remove(&kept.name);
        } else {
            self.unsaved.insert(kept.name.clone(), true);
        }
        Some(kept)
    }

    fn take_out(&mut self, number: Number) -> Option<Kept> {
        let kept = self.by_number.remove(&number)?;
        self.by_name.remove(&Keys::of(&kept.name), number);
        Some(kept)
    }

    /// The name has another key from now on.
    pub(in crate::hub) fn set_key(&mut self, number: Number, digest: Digest, today: Day) {
        if let Some(kept) = self.by_number.get_mut(&number) {
            kept.digest = digest;
            kept.used = today;
            self.changed = true;
            self.unsaved.entry(kept.name.clone()).or_insert(true);
        }
    }

    /// The name is used today.
    pub(in crate::hub) fn note_used(&mut self, number: Number, today: Day) {
        if let Some(kept) = self.by_number.get_mut(&number).filter(|it| it.used < today) {
            kept.used = today;
            self.changed = true;
            self.unsaved.entry(kept.name.clone()).or_insert(true);
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

    /// Whether what the file should hold has changed since it was last saved.
    pub(in crate::hub) fn has_changed(&self) -> bool {
        self.changed
    }

    /// What is to be changed in the file: the names that it has, and new ones in their order.
    pub(in crate::hub) fn unsaved(&self) -> (ByName<'_>, Vec<&Kept>) {
        let (mut changed, mut new) = (ByName::new(), Vec::new());
        for (name, _) in self.unsaved.iter().filter(|(_, is_there)| **is_there) {
            changed.insert(name, None);
        }
        for kept in self.by_number.values() {
            match self.unsaved.get(&kept.name) {
                Some(true) => _ = changed.insert(&kept.name, Some(kept)),
                Some(false) => new.push(kept),
                None => {}
            }
        }
        (changed, new)
    }

    /// The file holds what it should.
    pub(in crate::hub) fn note_saved(&mut self) {
        self.unsaved.clear();
        self.changed = false;
    }

    /// The file holds nothing.
    pub(in crate::hub) fn note_nothing_saved(&mut self) {
        self.unsaved.clear();
        for kept in self.by_number.values() {
            self.unsaved.insert(kept.name.clone(), false);
        }
    }

    /// A name of the file that looks like this one, beside those of `gone`, which are in order and are taken out of it.
    pub(in crate::hub) fn like_in_file(&self, name: &str, gone: &[&str]) -> Option<&str> {
        let alike = self.all_like(name);
        let alike = alike.iter().filter_map(|it| self.by_number.get(it));
        let mut alike = alike.map(|kept| &*kept.name);
        alike.find(|name| {
            self.unsaved.get(*name) != Some(&false) && gone.binary_search(name).is_err()
        })
    }

    /// Follows a file out of which the lines of `gone` were taken and into which those of `new` were put, and whose names
    /// do not look alike. A name that was changed here and is not saved is as it is here, unless a new one looks like it. One
    /// that stays with its key keeps its number.
    pub(in crate::hub) fn follow(&mut self, gone: &[Kept], new: Vec<Kept>) {
        let mut stay: Vec<&str> = new.iter().map(|kept| &*kept.name).collect();
        stay.sort_unstable();
        let goes = |it: &&Kept| stay.binary_search(&&*it.name).is_err();
        for Kept { name, .. } in gone.iter().filter(goes) {
            let number = self.number_of(name);
            match (self.unsaved.contains_key(name), number) {
                (true, Some(_)) => _ = self.unsaved.insert(name.clone(), false),
                (true, None) => _ = self.unsaved.remove(name),
                (false, Some(number)) => _ = self.take_out(number),
                (false, None) => {}
            }
        }
        for kept in new {
            if let Some(is_there) = self.unsaved.get_mut(&kept.name) {
                *is_there = true;
                continue;
            }
            let old = self.number_of(&kept.name);
            let old = old.and_then(|number| self.by_number.get_mut(&number));
            if let Some(old) = old.filter(|old| old.digest == kept.digest) {
                old.used = kept.used;
                continue;
            }
            for number in self.all_like(&kept.name) {
                let other = self.take_out(number);
                other.map(|other| self.unsaved.remove(&other.name));
            }
            self.put_in(kept);
        }
    }

    /// The number of exactly this name.
    fn number_of(&self, name: &str) -> Option<Number> {
        let is_it = |number: &Number| {
            self.by_number
                .get(number)
                .is_some_and(|it| &*it.name == name)
        };
        self.all_like(name).into_iter().find(is_it)
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
        let unsaved = self.unsaved.iter();
        let absent = unsaved.filter(|(name, _)| self.number_of(name).is_none());
        assert!(absent.into_iter().all(|(_, is_in_file)| *is_in_file));
        assert_eq!(keys, self.by_name.len(), "keys of kept names");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::kept::key::Key;

    fn kept(name: &str, day: u32) -> Kept {
        let digest = Key::of_random(&[7; 32]).digest();
        Kept {
            name: name.into(),
            digest,
            used: Day(day),
        }
    }

    /// Names that a file holds.
    fn saved(names: &[&str]) -> KeptNames {
        let mut all = KeptNames::default();
        all.follow(&[], names.iter().map(|name| kept(name, 1)).collect());
        all.check_invariants();
        assert!(all.unsaved().1.is_empty() && !all.has_changed());
        all
    }

    fn use_today(all: &mut KeptNames, name: &str) {
        let number = all.number_of(name).unwrap();
        all.note_used(number, Day(2));
    }

    fn give_up(all: &mut KeptNames, name: &str) {
        let number = all.number_of(name).unwrap();
        all.remove(number);
    }

    fn names(all: &KeptNames) -> Vec<(&str, u32)> {
        let all = all.by_number.values();
        all.map(|kept| (&*kept.name, kept.used.0)).collect()
    }

    #[test]
    fn either_change_holds() {
        let mut all = saved(&["ann", "bob", "eve", "gil"]);
        use_today(&mut all, "ann");
        use_today(&mut all, "gil");
        give_up(&mut all, "bob");
        all.insert(kept("hal", 2));
        // They took eve and gil out, put fay in, and wrote ann and bob on another day.
        let gone = ["ann", "bob", "eve", "gil"].map(|name| kept(name, 1));
        let new = [kept("fay", 1), kept("bob", 3), kept("ann", 3)];
        all.follow(&gone, new.into());
        all.check_invariants();
        let expected = [("ann", 2), ("gil", 2), ("hal", 2), ("fay", 1)];
        assert_eq!(names(&all), expected);
        let (changed, new) = all.unsaved();
        let changed: Vec<(&str, bool)> = changed
            .into_iter()
            .map(|(name, kept)| (name, kept.is_some()))
            .collect();
        assert_eq!(changed, [("ann", true), ("bob", false)]);
        let new: Vec<&str> = new.into_iter().map(|kept| &*kept.name).collect();
        assert_eq!(new, ["gil", "hal"]);
    }

    #[test]
    fn a_line_may_not_look_like_another_one_of_the_file() {
        let mut all = saved(&["ann", "bob"]);
        all.insert(kept("eve", 2));
        let like = |gone: &[&'static str], name| {
            all.like_in_file(name, gone).unwrap_or_default().to_owned()
        };
        assert_eq!(like(&[], "АNN"), "ann");
        assert_eq!(like(&["ann"], "АNN"), "");
        assert_eq!(like(&["ann"], "bob"), "bob");
        assert_eq!(like(&[], "fay"), "");
        assert_eq!(like(&[], "EVE"), "", "it is not in the file");
        all.follow(&[], vec![kept("EVE", 1)]);
        all.check_invariants();
        assert_eq!(names(&all), [("ann", 1), ("bob", 1), ("EVE", 1)]);
    }

    #[test]
    fn a_name_that_comes_and_goes_unsaved_leaves_nothing() {
        let mut all = saved(&["ann"]);
        all.insert(kept("bob", 2));
        give_up(&mut all, "bob");
        assert_eq!(all.unsaved.len(), 0);
        give_up(&mut all, "ann");
        all.insert(kept("ann", 2));
        assert_eq!(all.unsaved().0.len(), 1, "its line has another day");
        all.note_nothing_saved();
        assert_eq!(all.unsaved().1.len(), 1);
        all.note_saved();
        assert_eq!(all.unsaved().1.len(), 0);
    }
}
