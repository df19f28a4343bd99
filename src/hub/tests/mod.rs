//! The hub alone, without sockets, driven turn by turn: what people see goes to terminals that judge it.

#![allow(
    clippy::match_wildcard_for_single_variants,
    reason = "what is spoken by nobody here is one arm, however much that is"
)]

mod bounds;
mod clients;
mod commands;
mod editing;
mod faults;
mod history;
mod kept;
mod moderators;
mod muting;
mod negotiation;
mod operators;
mod others;
mod pages;
mod recording;
mod rooms;
mod screen;
mod seat;
mod watch;
pub(crate) mod world;
