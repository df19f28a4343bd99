//! Browsers: a page over HTTP, and behind it a WebSocket (RFC 6455) with typed lines up and JSON down.
//!
//! One text frame is one object, and a server's frames are not masked, so all who hear a line share one encoding of it.

pub(in crate::dialect) mod codec;
mod coming;
pub(crate) mod frames;
mod head;
mod json;
mod page;
mod preface;

pub(crate) use coming::Coming;
#[cfg(test)]
pub(crate) use coming::PageKey;
pub use head::{Authority, NoAuthority};
pub(crate) use json::encode_event;
pub(crate) use page::Site;
pub(crate) use preface::answer;

pub(in crate::dialect) use preface::refuse;
