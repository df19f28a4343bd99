//! What is known of sessions whose connection is broken: data.

use std::time::Instant;

use crate::id::SessionId;
use crate::ledger::CloseReason;

/// A session without a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absence {
    /// When it is over.
    pub(super) until: Instant,
    pub(super) id: SessionId,
    /// The number of the session, which is another one when its page has come back.
    pub(super) number: u64,
    /// What it ends with then.
    pub(super) reason: CloseReason,
}

/// What a session has missed of its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missed {
    /// All: it is new.
    All,
    /// What was said behind this many lines; the last of it is shown.
    Since(u64),
    /// The same, and all of it is to be shown that is kept.
    AllSince(u64),
}
