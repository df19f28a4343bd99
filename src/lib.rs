//! chatd: a chat server in one thread and one event loop.
//!
//! People reach it with telnet or nc, programs with a line protocol or with [`client`]. One loop owns every session;
//! what one says goes into one feed, from which the others are written; closing is decided in one place and carried
//! out in one place. So there is no thread, task, timer or channel that could be left over.
//!
//! # The map
//! | module | owns | must not know |
//! |---|---|---|
//! | [`server`] | the loop, the sockets, signals, who may come in | what is said |
//! | `hub` | sessions, names, the room, what everybody is to hear | sockets, the clock |
//! | `dialect` | bytes to lines to commands, events to bytes | who is connected |
//! | `name`, `hygiene`, `id`, `ledger`, `outbox`, `limits`, `rate`, `origin`, `stream` | one idea each | anything above |
//! | [`settings`] | one table of settings, for flags, file and help | what they are for |
//! | `report`, `log` | what an operator sees | |
//! | [`client`] | connections to such a server, many on one poll | the server |
//!
//! # A turn
//! `note -> accept -> read -> tick -> flush -> reap`, always in this order; see [`server`]. What people say is encoded
//! once into a feed for each dialect, and each session is written its slices of it, in the same turn or, in a crowded
//! room under load, in its turn of a round; see `hub`.
//!
//! # Invariants
//! - A session is announced at most once, reaped exactly once, and has one open and one close in the `ledger`.
//! - The first reason to close stays. A closed session gets no byte.
//! - No bytes without a waker: output that waits is on the flush list, or an edge will tell when it can go.
//! - Everything that a peer can make grow has a bound.
//!
//! `Hub::check_invariants` sweeps those of the hub, in tests.
//!
//! # What is public
//! [`server`], [`client`] and [`settings`]: to run a server in a process of one's own, to talk to one, and to say how it
//! is to be. All else is the inside, and changes as it likes.
#![forbid(unsafe_code)]

// Its tests call it by the name that those beside it do.
#[cfg(test)]
extern crate self as chatd;

pub mod client;
mod dialect;
mod hub;
mod hygiene;
mod id;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
#[doc(hidden)]
pub mod journal;
mod ledger;
mod limits;
mod log;
mod name;
mod origin;
mod outbox;
mod planted;
mod rate;
mod report;
pub mod server;
pub mod settings;
mod stream;
#[cfg(any(test, feature = "internals"))]
mod test_clock;
#[cfg(test)]
mod test_log;
