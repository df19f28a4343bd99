//! chatd: a chat server in one thread and one event loop.
//!
//! People reach it with telnet or nc, programs with a line protocol or with [`client`]. One loop owns every session;
//! what one says goes into one feed, from which the others are written; closing is decided in one place and carried
//! out in one place. So there is no thread, task, timer or channel that could be left over.
//!
//! # The map
//! Imports point only downward in this list, and no file uses one that uses it (`tests/tidy.rs`).
//!
//! | module | owns | must not know |
//! |---|---|---|
//! | [`server`] | the loop, the sockets, signals, who may come in | what is said |
//! | [`client`] | connections to such a server, many on one poll | the server |
//! | `log`, `report` | what an operator sees | |
//! | `hub` | sessions, names, the room, what everybody is to hear | sockets, the clock, bytes of a dialect |
//! | `relay` | what several servers that share a chat tell each other, through an engine | sockets, the clock, the hub |
//! | [`settings`] | one table of settings, for flags, file and help | what they are for |
//! | `dialect` | bytes to requests, events and replies to bytes | who is connected |
//! | the leaves, below | one idea each | anything above |
//!
//! | leaf | its idea |
//! |---|---|
//! | `outbox` | what a socket did not take, and when its reader is too slow |
//! | `limits` | how much sessions may use: what the settings fill in |
//! | `ledger` | opens and closes, counted and logged, and the reasons to close |
//! | `name` | which text is a name, and when two are too alike |
//! | `hygiene` | what may reach another person's terminal |
//! | `rate` | how often something may happen: the token bucket that lines are paid from |
//! | `work` | how much a session makes the server do, in units that are charged like lines |
//! | `net`, `when` | networks, and spans and moments of time, as operators write them |
//! | `fields` | `key=value` as the log and operators have it |
//! | `debts` | until when each address has paid for what it did |
//! | `origin` | where a connection comes from, and which address it counts for |
//! | `id` | which session, which person |
//! | `stream` | one socket and its readiness |
//! | `file` | a file that is read whole, up to a bound |
//! | `histogram` | how often something took how long |
//!
//! Beside the map stand `bin/chatload` (the load test, a program of its own) and `internals` (the door for fuzz targets
//! and benches). Where a single thing is done, and where a new one goes, is in `CONTRIBUTING.md`.
//!
//! # A turn
//! `note -> accept -> read -> operate -> tick -> flush -> reap`, always in this order; see [`server`]. What people say is
//! encoded once into the room's feed for each encoding that somebody hears, and each session is written its slices of
//! it, in the same turn or, in a crowded room under load, in its turn of a round.
//!
//! # Invariants
//! - A session is announced at most once, reaped exactly once, and has one open and one close in the ledger.
//! - The first reason to close stays. A closed session gets no byte.
//! - No bytes without a waker: output that waits is on the flush list, or an edge will tell when it can go.
//! - Everything that a peer can make grow has a bound.
//!
//! # What is public
//! [`server`], [`client`] and [`settings`]: to run a server in a process of one's own, to talk to one, and to say how it
//! is to be. All else is the inside, and changes as it likes.
#![forbid(unsafe_code)]

pub mod client;
mod debts;
mod dialect;
mod fields;
mod file;
mod histogram;
mod hub;
mod hygiene;
mod id;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod ledger;
mod limits;
mod log;
mod name;
mod net;
mod origin;
mod outbox;
#[cfg(test)]
#[path = "../tests/support/random.rs"]
mod random;
mod rate;
mod relay;
mod report;
mod room_name;
pub mod server;
pub mod settings;
mod skeleton;
mod stream;
#[cfg(any(test, feature = "internals"))]
mod test_clock;
#[cfg(test)]
mod test_folder;
#[cfg(test)]
mod test_log;
mod when;
mod work;
