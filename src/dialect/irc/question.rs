//! What only IRC clients ask.

/// A question that only IRC has: it is answered out of a [`Directory`](crate::dialect::directory::Directory).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Question<'a> {
    pub(super) query: Query,
    /// About whom or what; may be empty.
    pub(super) about: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Query {
    /// What a newcomer is told.
    Greeting,
    /// MODE of a room.
    ModeOfRoom,
    Topic,
    Who {
        operators: bool,
    },
    Whois,
    Names,
    List,
    Lusers,
    Motd,
    Ison,
    Userhost,
    /// The room is not the client's own: 403 if there is none, else this numeric.
    Outside(u16),
}

impl Question<'_> {
    /// What a newcomer is told.
    pub(crate) const GREETING: Self = Self {
        query: Query::Greeting,
        about: "",
    };
}
