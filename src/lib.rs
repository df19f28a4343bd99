//! chatd: a chat server in one thread and one event loop.
#![forbid(unsafe_code)]

pub mod client;
pub mod diagnosis;
pub mod dialect;
pub mod hub;
pub mod journal;
pub mod ledger;
pub mod name;
mod outbox;
pub mod server;
pub mod settings;
mod socket;
pub mod stderr_log;
