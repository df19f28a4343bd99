//! Several servers, one chat: what happens here is told to the other nodes through a log that an engine keeps (Redis
//! Streams), and heard by everybody when it comes back from there, in one order.
//!
//! No socket, no clock, no randomness: who drives it dials, reads, writes, and tells the time. Two connections: the *pen*
//! writes and looks things up, the *ear* does nothing but wait for the log.
//!
//! | what | where |
//! |---|---|
//! | what it keeps, and what it is asked for | `data`, `node` |
//! | the words of the engine, one connection | `resp`, `link` |
//! | what is told, as it stands in the log; which of two was first | `record`, `place` |
//! | something for each node | `by_node` |
//! | what was said and has not come back; what has come before | `ring`, `numbers` |
//! | how it comes to know the engine and the others | `attach` |
//! | what it says | `saying`, `pen` |
//! | what the ear hears | `hearing` |
//! | who is alive | `leases` |

mod attach;
mod by_node;
mod data;
mod hearing;
mod leases;
mod link;
mod node;
mod numbers;
mod pen;
pub(crate) mod place;
pub(crate) mod record;
mod resp;
mod ring;
mod saying;

pub(crate) use data::{Figures, Line, News, Options, State, To};
pub(crate) use node::Relay;
