//! All sessions, found by ids that are never used again.

use std::ops::Range;

use slab::Slab;

use crate::hub::session::Session;
use crate::id::SessionId;

/// With no more slots than this none are given back.
const SLOTS_KEPT_MAX: usize = 1024;

/// The sessions that hold a slot.
#[derive(Debug)]
pub(super) struct Sessions<T> {
    slab: Slab<Session<T>>,
    serial: u32,
}

impl<T> Sessions<T> {
    pub(super) fn new() -> Self {
        Self {
            slab: Slab::new(),
            serial: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Adds the session that `make` gives for its id.
    pub(super) fn insert(&mut self, make: impl FnOnce(SessionId) -> Session<T>) -> &mut Session<T> {
        self.serial = self.serial.wrapping_add(1);
        let entry = self.slab.vacant_entry();
        let id = SessionId::new(entry.key(), self.serial);
        entry.insert(make(id))
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Session<T>> {
        self.get(id)?;
        self.slab.try_remove(id.slot())
    }

    /// Gives back the slots behind the last session where most of all slots are free. That may cost a look at all.
    pub(super) fn give_back_memory(&mut self) {
        if self.slab.capacity() > SLOTS_KEPT_MAX.max(4 * self.slab.len()) {
            self.slab.shrink_to_fit();
        }
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session<T>> {
        let session = self.slab.get(id.slot());
        session.filter(|session| session.id == id)
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session<T>> {
        let session = self.slab.get_mut(id.slot());
        session.filter(|session| session.id == id)
    }

    /// How many slots there are, free ones among them.
    pub(super) fn slots(&self) -> usize {
        self.slab.capacity()
    }

    /// The sessions in these slots.
    pub(super) fn in_slots(&self, slots: Range<usize>) -> impl Iterator<Item = &Session<T>> {
        slots.filter_map(|slot| self.slab.get(slot))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Session<T>> {
        self.slab.iter().map(|(_, session)| session)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Session<T>> {
        self.slab.iter_mut().map(|(_, session)| session)
    }
}
