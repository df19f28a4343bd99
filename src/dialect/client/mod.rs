//! The client's side of each dialect: what a client asks for into lines, and the lines of a server into messages.
//!
//! The server's sides are in the modules beside this one, and know nothing of it.

pub(super) mod telnet;
pub(super) mod wire;

#[cfg(test)]
mod tests;
