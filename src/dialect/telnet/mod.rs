//! The telnet dialect: people with telnet, `PuTTY` or nc.

pub(super) mod codec;
pub(crate) mod editor;
mod options;
mod protocol;
pub(super) mod text;
