//! chatd: a chat server in one thread and one event loop.
#![forbid(unsafe_code)]

pub mod dialect;
pub mod hub;
