//! The hub alone, without sockets.

mod bounds;
mod faults;
#[path = "../../../tests/support/random.rs"]
#[allow(dead_code, reason = "the simulation uses the rest")]
mod random;
mod world;
