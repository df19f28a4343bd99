//! The hub alone, without sockets.

mod bounds;
mod faults;
#[path = "../../../tests/sim/random.rs"]
mod random;
mod world;
