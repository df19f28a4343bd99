//! What happens, before a dialect has put it into bytes.

use std::borrow::Cow;
use std::fmt;

use crate::dialect::command::{Refusal, Usage};
use crate::ledger::CloseReason;
use crate::name::Name;

/// What everybody in the room hears, but for whoever caused it.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// Somebody said something.
    Said {
        /// Who said it.
        name: &'a Name,
        /// What was said.
        words: &'a str,
    },
    /// Somebody did something (`/me`).
    Did {
        /// Who did it.
        name: &'a Name,
        /// What was done.
        words: &'a str,
    },
    /// Somebody is here who was not told of before.
    Joined {
        /// Who came.
        name: &'a Name,
        /// How many are here now.
        here: usize,
    },
    /// Somebody who was told of has gone.
    Left {
        /// Who went.
        name: &'a Name,
        /// Her last words; may be empty.
        words: &'a str,
        /// How many are here now.
        here: usize,
    },
    /// Somebody who was told of has another name.
    Renamed {
        /// The name up to now.
        from: &'a Name,
        /// The name from now on.
        to: &'a Name,
    },
    /// So many joined within one second, beyond those told of by name.
    MoreJoined {
        /// How many joined.
        count: usize,
        /// How many are here now.
        here: usize,
    },
    /// So many left within one second, beyond those told of by name.
    MoreLeft {
        /// How many left.
        count: usize,
        /// How many are here now.
        here: usize,
    },
}

impl Event<'_> {
    /// Whether it tells of who is here, and not of what was said.
    #[must_use]
    pub fn is_presence(&self) -> bool {
        !matches!(self, Self::Said { .. } | Self::Did { .. })
    }
}

/// What one session alone is told.
#[derive(Debug, Clone, Copy)]
pub enum Reply<'a> {
    /// The first line to a newcomer.
    Welcome(&'a Name),
    /// The name that was asked for is taken.
    YouAre(&'a Name),
    /// Your own copy of what you did.
    YouDid {
        /// Your name.
        name: &'a Name,
        /// What you did.
        words: &'a str,
    },
    /// Somebody told you something that nobody else hears.
    Told {
        /// Who told you.
        from: &'a Name,
        /// What she told you.
        words: &'a str,
    },
    /// Your own copy of what you told somebody.
    YouTold {
        /// Whom you told it.
        to: &'a Name,
        /// What you told.
        words: &'a str,
    },
    /// How a command is called.
    Help(&'a Usage),
    /// The server's own words.
    Note(fmt::Arguments<'a>),
    /// The answer to a program's `PING`.
    Pong(&'a str),
    /// A line could not be understood or obeyed.
    Refused(&'a Refusal),
    /// The last words before the server closes.
    Farewell(Farewell),
}

/// Why the server says goodbye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Farewell {
    /// Why the session ends.
    pub reason: CloseReason,
    /// How many seconds of silence end a session, for [`CloseReason::Idle`].
    pub idle_seconds: u64,
}

impl Farewell {
    /// What is said, if anything is.
    #[must_use]
    pub fn words(self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(match self.reason {
            CloseReason::Quit => "goodbye",
            CloseReason::Shutdown => "goodbye: the server is going down",
            CloseReason::SlowConsumer | CloseReason::WriteStall => "goodbye: too slow to keep up",
            CloseReason::Full => "goodbye: the server is full",
            CloseReason::PerAddress => "goodbye: too many connections from your address",
            CloseReason::Idle => {
                return Some(Cow::Owned(format!(
                    "goodbye: nothing heard for {} s",
                    self.idle_seconds
                )))
            }
            CloseReason::Flood => "goodbye: too much at once",
            CloseReason::WrongProtocol => "goodbye: this is a chat in plain text",
            // Nobody is there to hear it, or she ended her stream herself.
            CloseReason::Reset | CloseReason::Eof => return None,
        }))
    }

    /// Whether it tells of something that went wrong.
    #[must_use]
    pub fn is_error(self) -> bool {
        !matches!(self.reason, CloseReason::Quit | CloseReason::Shutdown)
    }
}
