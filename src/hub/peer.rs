//! One session as the hub sees it.

use std::time::{Duration, Instant};

use crate::dialect::{Dialect, Reader};
use crate::hub::bounds::Held;
use crate::hub::comforts::Comforts;
use crate::hub::feed::Cursor;
use crate::hub::presence::Told;
use crate::hub::Ending;
use crate::ledger::CloseReason;
use crate::name::Name;
use crate::outbox::Outbox;
use crate::rate::Bucket;

/// Names one session, and never another one: the slot is used again, the serial is not for a long time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId {
    pub(super) slot: u32,
    pub(super) serial: u32,
}

impl SessionId {
    const SLOT_BITS: u32 = usize::BITS / 2;

    /// More slots than this cannot be told apart in a [`SessionId::to_bits`].
    pub const SLOTS_MAX: usize = (1 << (Self::SLOT_BITS - 1)) - 1;

    pub(super) fn new(slot: usize, serial: u32) -> Self {
        Self {
            slot: slot as u32,
            serial: serial & Self::mask(),
        }
    }

    /// The id as one number, below `usize::MAX / 2`.
    #[must_use]
    pub fn to_bits(self) -> usize {
        (self.slot as usize) << Self::SLOT_BITS | self.serial as usize
    }

    /// The id that [`SessionId::to_bits`] made the number from.
    #[must_use]
    pub fn from_bits(bits: usize) -> Self {
        Self {
            slot: (bits >> Self::SLOT_BITS) as u32,
            serial: bits as u32 & Self::mask(),
        }
    }

    fn mask() -> u32 {
        u32::MAX >> (32 - Self::SLOT_BITS)
    }
}

/// Where a session is on its way, which goes in one direction only.
#[derive(Debug)]
pub(super) enum Phase {
    /// It hears and is heard.
    Open,
    /// It is on its way out.
    Closing(Box<Closing>),
}

/// How a session ends.
#[derive(Debug)]
pub(super) struct Closing {
    /// Why; the first reason stays.
    pub(super) reason: CloseReason,
    pub(super) stage: Stage,
    /// When it is over at the latest.
    pub(super) until: Instant,
}

/// How far a session is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// What was queued for it, and the farewell, goes out. `slow` if its socket did not take all of it at once.
    Draining { slow: bool },
    /// All is said; what it still sends is read and dropped, so many bytes so far. Closing a socket with unread
    /// input would throw away what its peer has not received yet. At the end of its time it meets with `ending`.
    Lingering { dropped: usize, ending: Ending },
    /// Nothing is left but to free it.
    Closed(Ending),
}

/// Whether the room knows of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It neither took a name nor spoke.
    Unknown,
    /// It did, as the `arrival`th, and that was told so.
    Joined { arrival: u64, told: Told },
}

/// The write side of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// It takes bytes as far as we know.
    Ready,
    /// The last write would have blocked, and no writable edge has come since.
    Blocked,
    /// It will never take a byte again.
    Dead,
}

/// A session.
///
/// Invariants: output that waits has a waker: what it alone is to hear, or an outbox that is not empty, implies `listed`
/// or [`Flow::Blocked`]; a dead write side has an empty outbox.
#[derive(Debug)]
pub(super) struct Peer<T> {
    pub(super) transport: T,
    pub(super) serial: u32,
    /// Where it stands in the room's list of members.
    pub(super) member: u32,
    pub(super) dialect: Dialect,
    pub(super) flow: Flow,
    /// It is on the flush list, once.
    pub(super) listed: bool,
    /// The stream that we read has ended.
    pub(super) ended: bool,
    /// Ctrl-C was pressed and no line came since. Between the keys of an editor, that is for the editor to know.
    pub(super) interrupted: bool,
    /// The last second of its life in which Are You There was answered, counted from 1; 0 for never. After 18 hours
    /// the count begins anew, and all that suffers is one answer in as many.
    pub(super) reassured: u16,
    /// The number that the ledger gave it.
    pub(super) number: u64,
    pub(super) phase: Phase,
    pub(super) standing: Standing,
    pub(super) name: Name,
    pub(super) reader: Reader,
    /// Input that was read but not understood yet, because it has been heard enough for this turn, or longer.
    pub(super) held: Option<Box<Held>>,
    /// What the hub's sum of input counts for it.
    pub(super) input_counted: u32,
    pub(super) cursor: Cursor,
    pub(super) outbox: Outbox,
    pub(super) opened_at: Instant,
    /// So many microseconds after `opened_at` something was last heard of it, or the pause behind that ends.
    pub(super) heard_micros: u64,
    /// What the lines that it may speak are taken from; its start is `opened_at`.
    pub(super) bucket: Bucket,
    pub(super) lines_in: u64,
    pub(super) bytes_out: u64,
    /// When it last said something, counted in things said; 0 for never. After four billion the count begins anew,
    /// and all that suffers is the order in which Tab offers names.
    pub(super) spoke: u32,
    /// What its person has set for herself; most have set nothing.
    pub(super) comforts: Option<Box<Comforts>>,
}

impl<T> Peer<T> {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// When something was last heard of it, or when the pause behind that ends.
    pub(super) fn heard_at(&self) -> Instant {
        self.opened_at + Duration::from_micros(self.heard_micros)
    }

    /// Something was heard of it, and nothing is read until `at`.
    pub(super) fn hear_until(&mut self, at: Instant) {
        self.heard_micros = at.saturating_duration_since(self.opened_at).as_micros() as u64;
    }

    /// How far it is on its way out; `None` if it is not.
    pub(super) fn stage(&self) -> Option<Stage> {
        match &self.phase {
            Phase::Open => None,
            Phase::Closing(closing) => Some(closing.stage),
        }
    }

    /// Its way out, if it is on it.
    pub(super) fn closing(&mut self) -> Option<&mut Closing> {
        match &mut self.phase {
            Phase::Open => None,
            Phase::Closing(closing) => Some(closing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_session_is_small() {
        // The kernel's side of a session costs kilobytes; ours must not show beside it.
        assert!(
            size_of::<Peer<[u32; 5]>>() <= 240,
            "{}",
            size_of::<Peer<[u32; 5]>>()
        );
    }

    #[test]
    fn ids_survive_the_way_through_a_number() {
        for (slot, serial) in [(0, 0), (5, 7), (SessionId::SLOTS_MAX, u32::MAX)] {
            let id = SessionId::new(slot, serial);
            assert_eq!(SessionId::from_bits(id.to_bits()), id);
            assert!(id.to_bits() <= usize::MAX / 2);
        }
    }
}
