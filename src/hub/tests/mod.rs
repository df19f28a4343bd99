//! The hub alone, without sockets, driven turn by turn: what people see goes to terminals that judge it.

mod bounds;
mod clients;
mod commands;
mod editing;
mod faults;
mod history;
mod negotiation;
#[path = "../../../tests/support/random.rs"]
#[allow(dead_code, reason = "the simulation uses the rest")]
mod random;
mod screen;
mod seat;
pub(super) mod world;
