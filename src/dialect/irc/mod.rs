//! IRC clients (RFC 1459, RFC 2812, modern.ircdocs.horse): registration at the door, verbs up, messages and numerics down.
//!
//! All who hear a line share one encoding of it, or a second one with the time before it: no other capability changes what
//! a receiver is told.

mod answers;
pub(in crate::dialect) mod codec;
mod events;
mod format;
mod line;
mod lines;
mod registration;
mod replies;
mod verbs;

pub(in crate::dialect) use events::encode_event;
pub(crate) use registration::Coming;
pub(in crate::dialect) use registration::Registration;
pub(crate) use verbs::Question;

/// What the server is called where nothing else is said.
pub(crate) const NAME: &str = "chatd.local";
