//! What a codec makes of the bytes of a session, and what it may know of the session for that.

use std::time::Duration;

use crate::dialect::event::{Foreign, To};
use crate::dialect::request::{Refusal, Request};
use crate::work::Work;

/// What a session was found to say or do. Each counts once against its line rate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input<'a> {
    /// A line that asks for something.
    Request(Request<'a>),
    /// A line that cannot be understood.
    Refused(Refusal),
    /// A line with nothing in it.
    Blank,
    /// The codec has answered by itself; the person who types asked for nothing.
    Answered,
    /// Tab behind a word, to be answered with `complete`.
    Complete(Word),
    /// A wish to leave that is no request: Ctrl-D, the second Ctrl-C.
    Leave,
    /// Another protocol is spoken.
    Foreign(Foreign),
    /// A line that never ends.
    Flood,
}

impl Input<'_> {
    /// How many bytes of words all others hear of it; `None` if they hear none.
    pub(crate) fn spoken_bytes(&self) -> Option<usize> {
        match self {
            Self::Request(Request::Say(words) | Request::Act(words)) => Some(words.len()),
            _ => None,
        }
    }

    /// How many lines it costs, by what it asks for.
    pub(crate) fn lines(&self) -> usize {
        match self {
            Self::Request(request) => request.lines(),
            _ => 1,
        }
    }
}

/// What stands between the last space and the cursor: the beginning of something that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// As typed, never empty.
    pub prefix: String,
    /// Nothing stands before it, so that it may be a command.
    pub is_at_line_start: bool,
    /// What stands before it.
    pub before: String,
}

/// What a codec may know of its session, and where it puts what it answers by itself.
pub(crate) struct Context<'a> {
    /// How old the session is.
    pub(crate) age: Duration,
    /// Words may have this many bytes.
    pub(crate) words_bytes_max: usize,
    /// Who hears what is answered.
    pub(crate) to: To,
    /// The room that it is in, if that is not the lobby.
    pub(crate) room: Option<&'a str>,
    /// How many lines the session has sent, blank and refused ones among them.
    pub(crate) lines_in: &'a mut u64,
    /// What the input makes the server do, beyond that its bytes are looked at once.
    pub(crate) work: &'a mut Work,
    /// For the session alone, at the place of the input in question: the protocol's own answers.
    pub(crate) out: &'a mut Vec<u8>,
}

impl Context<'_> {
    /// Whether this call has done what one session may make the server do at once. The rest of the input is for the
    /// next one.
    pub(crate) fn has_done_enough(&self) -> bool {
        *self.work >= Work::CALL_MAX
    }
}

/// What is to be done to find out whether a silent peer is still there. Times are since its session began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keepalive {
    /// Nothing before this time.
    Fine(Duration),
    /// It is to be asked, and looked at again at this time.
    Ask(Duration),
    /// It has gone: nothing was heard of it for so long.
    Over(Duration),
}
