//! What one request does to many, as data: the hub works it off some at a time.

use crate::hub::rooms::RoomId;
use crate::id::SessionId;
use crate::ledger::CloseReason;

/// Something that is done to each of some sessions.
#[derive(Debug)]
pub(super) struct Job {
    /// To whom it is still to be done, the next one last.
    pub(super) ids: Vec<SessionId>,
    pub(super) task: Task,
}

/// What is done to each.
#[derive(Debug)]
pub(super) enum Task {
    /// It is closed.
    Close {
        reason: CloseReason,
        until: Option<u64>,
        why: Box<str>,
    },
    /// It is judged anew whether it may be heard.
    Judge,
    /// An operator tells it this.
    Tell(Box<str>),
    /// It loses its name.
    MakeGuest,
    /// It is sent to the lobby, if it is still in this room, which an operator closes for this reason; that may be empty.
    SendToLobby { room: RoomId, why: Box<str> },
}
