//! Which client.

/// Names one client, and never another one: the slot is used again, the serial is not for a long time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    pub(super) slot: usize,
    pub(super) serial: u32,
}

impl ClientId {
    /// For tests with one client.
    #[cfg(test)]
    pub(super) fn any() -> Self {
        Self { slot: 0, serial: 0 }
    }

    /// A small number, that of no other client that is held at the same time: as long as none is removed they count
    /// from 0 in the order in which they were dialled.
    pub fn index(self) -> usize {
        self.slot
    }
}
