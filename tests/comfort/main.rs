//! Line editing and the commands that go with it, in a whole chat without sockets: the hub is driven turn by turn, its
//! clock is virtual, and what each person gets goes to a terminal that judges it.

mod chat;
mod clients;
mod commands;
mod history;
mod negotiation;
mod screen;
mod seat;
mod transcripts;
