//! Those who are here, in the order of their names, so that what a word may stand for is found without a look at all.
//!
//! Invariant: the names of the ids, in lower case, are in order.

use std::cmp::Ordering;

use crate::id::SessionId;
use crate::name::Name;

/// Ids by name. It knows no names: each call is told how to find them.
#[derive(Debug, Default)]
pub(in crate::hub) struct SortedNames {
    ids: Vec<SessionId>,
}

impl SortedNames {
    /// Adds somebody.
    pub(in crate::hub) fn insert<'a>(
        &mut self,
        id: SessionId,
        name: &Name,
        name_of: impl Fn(SessionId) -> Option<&'a Name>,
    ) {
        let at = self.place(name, name_of);
        if self.ids.is_empty() {
            // Most rooms that people make are small.
            self.ids.reserve_exact(1);
        }
        self.ids.insert(at, id);
    }

    /// Takes somebody out, who has this name, if they are there.
    pub(in crate::hub) fn remove<'a>(
        &mut self,
        id: SessionId,
        name: &Name,
        name_of: impl Fn(SessionId) -> Option<&'a Name>,
    ) {
        let at = self.place(name, name_of);
        if self.ids.get(at) == Some(&id) {
            self.ids.remove(at);
            if self.ids.len() < self.ids.capacity() / 4 {
                self.ids.shrink_to(2 * self.ids.len());
            }
        }
    }

    /// Those whose names begin with `prefix`, which is in lower case, or stand behind these.
    pub(in crate::hub) fn from<'a>(
        &self,
        prefix: &str,
        name_of: impl Fn(SessionId) -> Option<&'a Name>,
    ) -> &[SessionId] {
        &self.ids[self.position(prefix, name_of)..]
    }

    /// Where somebody of this name stands, or would.
    fn place<'a>(&self, name: &Name, name_of: impl Fn(SessionId) -> Option<&'a Name>) -> usize {
        self.position(&name.text().to_lowercase(), name_of)
    }

    fn position<'a>(&self, name: &str, name_of: impl Fn(SessionId) -> Option<&'a Name>) -> usize {
        self.ids.partition_point(|id| {
            let other = name_of(*id).map(|other| compare(other, name));
            other == Some(Ordering::Less)
        })
    }
}

/// Compares a name in lower case with a text that is.
fn compare(name: &Name, text: &str) -> Ordering {
    let name = name.text();
    let lower = name.chars().flat_map(char::to_lowercase);
    lower.cmp(text.chars())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_from_names_in_lower_case(
            steps in prop::collection::vec((any::<bool>(), "[abÄäβ]{1,3}"), 1..60),
        ) {
            let (mut sorted, mut names) = (SortedNames::default(), BTreeMap::new());
            let mut model: BTreeMap<String, SessionId> = BTreeMap::new();
            for (slot, (comes, text)) in steps.into_iter().enumerate() {
                let name = Name::parse(&text).unwrap();
                let key = name.text().to_lowercase();
                let id = SessionId::new(slot, 1);
                if comes && !model.contains_key(&key) {
                    names.insert(id, name.clone());
                    sorted.insert(id, &name, |id| names.get(&id));
                    model.insert(key, id);
                } else if let Some(id) = model.remove(&key) {
                    let name = names[&id].clone();
                    sorted.remove(id, &name, |id| names.get(&id));
                }
                prop_assert!(sorted.ids.iter().eq(model.values()));
                let from = sorted.from("ä", |id| names.get(&id));
                prop_assert!(from.iter().eq(model.range("ä".to_owned()..).map(|(_, id)| id)));
            }
        }
    }
}
