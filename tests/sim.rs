//! The hub over scripted sockets and a clock of the test's own.

#[path = "sim/directed.rs"]
mod directed;
#[path = "sim/transport.rs"]
mod transport;
