//! Who has registered at the door.

use crate::dialect::irc::lines::Caps;
use crate::name::Name;

/// Who has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Coming {
    pub(in crate::dialect::irc) server: Box<str>,
    /// What they want to be called.
    pub(crate) name: Name,
    pub(in crate::dialect::irc) user: Box<str>,
    pub(in crate::dialect::irc) real: Box<str>,
    pub(in crate::dialect::irc) caps: Caps,
}
