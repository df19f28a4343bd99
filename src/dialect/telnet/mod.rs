//! The telnet dialect: people with telnet, `PuTTY` or nc.
//!
//! | file | what |
//! |---|---|
//! | `codec` | the read side of one person: bytes in, requests out; it puts the others together |
//! | `protocol` | commands and subnegotiations, byte by byte |
//! | `options` | which options are on, and what is answered to a request for one |
//! | `editor` | the line editor, for clients that send every key by itself |
//! | `text` | what keys did to a line of the others, and how events read on a terminal |
//! | `fold`, `cluster` | lines folded to a window, and what takes how many columns |
//! | `steps` | counts for tests |

mod cluster;
pub(super) mod codec;
pub(crate) mod editor;
mod fold;
mod options;
mod protocol;
mod steps;
pub(super) mod text;
