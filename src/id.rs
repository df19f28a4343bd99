//! What names a session, and a person who may have left.

/// Names one session, and never another one: the slot is used again, the serial is not for a long time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId {
    pub(crate) slot: u32,
    pub(crate) serial: u32,
}

impl SessionId {
    const SLOT_BITS: u32 = usize::BITS / 2;

    /// What the slots have of those who are at another node.
    const ABROAD: u32 = 1 << 31;

    /// More slots than this cannot be told apart in a [`SessionId::to_bits`].
    pub(crate) const SLOTS_MAX: usize = (1 << (Self::SLOT_BITS - 1)) - 1;

    pub(crate) fn new(slot: usize, serial: u32) -> Self {
        Self {
            slot: slot as u32,
            serial: serial & Self::mask(),
        }
    }

    /// Where the session lies in its slab, if it is still there.
    pub(crate) fn slot(self) -> usize {
        self.slot as usize
    }

    /// The id as one number, below `usize::MAX / 2`.
    #[must_use]
    pub(crate) fn to_bits(self) -> usize {
        (self.slot as usize) << Self::SLOT_BITS | self.serial as usize
    }

    /// The id that [`SessionId::to_bits`] made the number from.
    #[must_use]
    pub(crate) fn from_bits(bits: usize) -> Self {
        Self {
            slot: (bits >> Self::SLOT_BITS) as u32,
            serial: bits as u32 & Self::mask(),
        }
    }

    /// Names somebody who has a session at another node, by their place in a list: no session has such a slot.
    pub(crate) fn abroad(index: usize, serial: u32) -> Self {
        Self {
            slot: Self::ABROAD | index as u32,
            serial,
        }
    }

    /// Their place in that list; `None` if it names a session here.
    pub(crate) fn index_abroad(self) -> Option<usize> {
        (self.slot & Self::ABROAD != 0).then_some((self.slot & !Self::ABROAD) as usize)
    }

    fn mask() -> u32 {
        u32::MAX >> (32 - Self::SLOT_BITS)
    }
}

/// Names a person: the author of a line, somebody who is ignored, the last who wrote privately. They may have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PersonId(SessionId);

impl PersonId {
    /// Somebody who never had a session here: who wrote before the server was started.
    pub(crate) fn former() -> Self {
        Self(SessionId {
            slot: u32::MAX,
            serial: 0,
        })
    }

    /// The session that they have, or had, here.
    pub(crate) fn session(self) -> SessionId {
        self.0
    }
}

impl From<SessionId> for PersonId {
    fn from(id: SessionId) -> Self {
        Self(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_the_way_through_a_number() {
        for (slot, serial) in [(0, 0), (5, 7), (SessionId::SLOTS_MAX, u32::MAX)] {
            let id = SessionId::new(slot, serial);
            assert_eq!(SessionId::from_bits(id.to_bits()), id);
            assert!(id.to_bits() <= usize::MAX / 2);
        }
    }
}
