//! Faults that tests plant into the server, to see that its simulation finds them.
//!
//! Where one can be planted, the code asks [`planted`]. Outside of unit tests that is the constant `false`, and
//! nothing of it is left in a build.

/// A fault that can be planted, one at a time and in one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A session is taken off the list of those to be read although a read filled the buffer.
    LostEdge,
    /// A session is found by its slot alone.
    NoSerialCheck,
    /// A session that has begun to close begins to close again.
    DoubleClose,
    /// A name stays with a session that has ended.
    NameKeptByTheDead,
    /// What a flush leaves in an outbox is not counted.
    UncountedQueueBytes,
    /// After an accept that failed for want of descriptors, no timer leads to the next one.
    ShortageWithoutTimer,
}

/// Whether this fault is planted.
#[cfg(not(test))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}

#[cfg(test)]
pub(crate) use by_tests::{plant, planted};

#[cfg(test)]
mod by_tests {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    pub(crate) fn planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// Plants a fault into what runs in this thread until the guard is dropped.
    #[must_use]
    pub(crate) fn plant(bug: Bug) -> Guard {
        PLANTED.set(Some(bug));
        Guard
    }

    /// Pulls the fault out again, also where a test fails.
    pub(crate) struct Guard;

    impl Drop for Guard {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }
}
