//! What operators do to people: closing, muting, renaming, telling; and the rules that they make.
//!
//! Each thing that they ask for is a method of the hub that gives what came of it as data ([`outcome::Done`]) or why it was
//! refused ([`outcome::Denied`]); their English is in `words`, once for the operators' socket and for the chat.

mod chat;
mod lifting;
mod making;
pub(crate) mod outcome;
mod people;
mod words;
