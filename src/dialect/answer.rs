//! What is sent to a connection at the door, before it is a session.

use bytes::Bytes;

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) head: Vec<u8>,
    pub(crate) body: Bytes,
    /// Nothing else is said on this connection.
    pub(crate) is_last: bool,
}
