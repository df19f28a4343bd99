//! The telnet dialect: people with telnet, `PuTTY` or nc.

mod cluster;
pub(super) mod codec;
pub(crate) mod editor;
mod fold;
mod options;
mod protocol;
mod steps;
pub(super) mod text;
