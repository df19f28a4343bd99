//! IRC clients (RFC 1459, RFC 2812, modern.ircdocs.horse): registration at the door, verbs up, messages and numerics down.
//!
//! All who hear a line share one encoding of it, or a second one with the time before it: no other capability changes what
//! a receiver is told.

mod answers;
mod asking;
pub(in crate::dialect) mod codec;
mod coming;
mod events;
mod format;
mod line;
mod lines;
pub(crate) mod question;
mod registration;
mod replies;
mod verbs;

pub(crate) use coming::Coming;
pub(in crate::dialect) use events::encode_event;
pub(crate) use lines::NAME;
pub(crate) use registration::Registration;

/// At most this many names are in the list that somebody gets where they come. Tests have smaller crowds.
pub(in crate::dialect) const GREETING_NAMES_MAX: usize = if cfg!(test) { 40 } else { 1000 };
