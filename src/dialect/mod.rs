//! Ways of talking: bytes to requests, events and replies to bytes; one module for each way.
//!
//! Nothing here knows a socket, a clock or who else is connected. This file has the only matches on a dialect.

mod client;
pub(crate) mod commands;
pub(crate) mod event;
mod foreign;
pub(crate) mod input;
pub(crate) mod line;
pub(crate) mod message;
pub(crate) mod request;
pub(crate) mod telnet;
pub(crate) mod wire;
mod words;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use event::{Elsewhere, Event, Reply, To};
use input::{Context, Input};
use line::Line;
use message::{Ask, Inexpressible, Message};
use telnet::text;

/// Which way of talking a listener offers and a session uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Plain lines for people with telnet or nc.
    Telnet,
    /// Commands with base64 fields for programs.
    Wire,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Telnet, Self::Wire];

    /// The word that stands for it in `-l`, in `listening` lines and in the log.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Telnet => "telnet",
            Self::Wire => "wire",
        }
    }

    /// How long a line may be so that the words in it can be `words_bytes_max` long.
    pub(crate) fn line_bytes_max(self, words_bytes_max: usize) -> usize {
        match self {
            Self::Telnet => words_bytes_max,
            Self::Wire => wire::line_bytes_max(words_bytes_max),
        }
    }

    /// Adds what one session of this dialect is told that has no codec any more, or none yet.
    pub(crate) fn encode_reply(self, reply: &Reply<'_>, out: &mut Vec<u8>) {
        Codec::new(self).encode_reply(reply, &To::default(), out);
    }
}

#[cfg(test)]
impl Dialect {
    /// Adds what the room hears in this dialect.
    pub(crate) fn encode_event(self, event: &Event<'_>, out: &mut Vec<u8>) {
        Codec::new(self).encoding().encode_event(event, out);
    }
}

impl Elsewhere {
    /// Where each dialect is spoken: at its first listener.
    pub(crate) fn of(listeners: &[(Dialect, SocketAddr)]) -> Self {
        let port = |wanted| {
            let first = listeners.iter().find(|(dialect, _)| *dialect == wanted);
            first.map(|(_, address)| address.port())
        };
        Self {
            wire: port(Dialect::Wire),
            irc: None,
        }
    }
}

/// What is said to all is encoded once for each of these that somebody hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Telnet,
    /// Of programs that hear what is said.
    Wire,
    /// Of programs that hear who comes and goes, too.
    WireWatch,
}

impl Encoding {
    /// How many there are; `encoding as usize` is below it.
    pub(crate) const COUNT: usize = 3;

    /// All of them, in the order of their discriminants.
    pub(crate) const ALL: [Self; Self::COUNT] = [Self::Telnet, Self::Wire, Self::WireWatch];

    /// Adds what the room hears. Gives where the words begin in what was added, if a view may look at them; else 0.
    pub(crate) fn encode_event(self, event: &Event<'_>, out: &mut Vec<u8>) -> usize {
        match self {
            Self::Telnet => text::encode_event(event, out),
            Self::Wire | Self::WireWatch => {
                wire::encode_event(event, self == Self::WireWatch, out);
                0
            }
        }
    }
}

/// One session's side of its dialect: what was read and is not understood yet, and how it is answered.
#[derive(Debug)]
pub(crate) enum Codec {
    Telnet(telnet::codec::Codec),
    Wire(wire::Codec),
}

impl Codec {
    pub(crate) fn new(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Telnet => Self::Telnet(telnet::codec::Codec::default()),
            Dialect::Wire => Self::Wire(wire::Codec::default()),
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Telnet(_) => Dialect::Telnet,
            Self::Wire(_) => Dialect::Wire,
        }
    }

    /// In which bytes the session hears what is said to all.
    pub(crate) fn encoding(&self) -> Encoding {
        match self {
            Self::Telnet(_) => Encoding::Telnet,
            Self::Wire(codec) if codec.is_watching() => Encoding::WireWatch,
            Self::Wire(_) => Encoding::Wire,
        }
    }

    /// Whether somebody reads what the server says: the greeting, and who it was that wrote to them.
    pub(crate) fn is_for_people(&self) -> bool {
        matches!(self, Self::Telnet(_))
    }

    /// Whether the session hears its own lines like those of others.
    pub(crate) fn hears_own(&self) -> bool {
        matches!(self, Self::Telnet(codec) if codec.is_editing())
    }

    /// To how many columns what the session reads is folded; `None` if the width of its window is not known.
    pub(crate) fn fold_columns(&self) -> Option<u16> {
        match self {
            Self::Telnet(codec) => codec.fold_columns(),
            Self::Wire(_) => None,
        }
    }

    /// Takes bytes from `input` until they ask for something; `None` when they are used up, or were enough work for one
    /// call. `scratch` lends room for the words of a request.
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &[u8],
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Option<Input<'a>> {
        match self {
            Self::Telnet(codec) => codec.next(input, scratch, context),
            Self::Wire(codec) => codec.next(input, scratch, context),
        }
    }

    /// To be called when no more input is looked at for now: what waited for the next input is done.
    pub(crate) fn settle<'a>(&mut self, context: &mut Context<'_>) -> Option<Input<'a>> {
        match self {
            Self::Telnet(codec) => codec.settle(context),
            Self::Wire(_) => None,
        }
    }

    /// What the last line asks for, of a stream that has ended without a line end.
    pub(crate) fn finish<'a>(
        &mut self,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Option<Input<'a>> {
        match self {
            Self::Telnet(codec) => codec.finish(scratch, context),
            Self::Wire(codec) => codec.finish(scratch, context),
        }
    }

    /// Adds what this session alone is told.
    pub(crate) fn encode_reply(&self, reply: &Reply<'_>, to: &To, out: &mut Vec<u8>) {
        match self {
            Self::Telnet(_) => text::encode_reply(reply, to, out),
            Self::Wire(codec) => codec.encode_reply(reply, out),
        }
    }

    /// How many bytes a name takes in a list of those who are here, or a little more.
    pub(crate) fn listed_bytes(&self, name_bytes: usize) -> usize {
        match self {
            Self::Telnet(_) => name_bytes + 2,
            Self::Wire(_) => wire::listed_bytes(name_bytes),
        }
    }

    /// Bytes of input that are kept.
    pub(crate) fn buffered(&self) -> usize {
        match self {
            Self::Telnet(codec) => codec.buffered(),
            Self::Wire(codec) => codec.buffered(),
        }
    }

    /// Forgets the input that is kept.
    pub(crate) fn clear(&mut self) {
        match self {
            Self::Telnet(codec) => codec.clear(),
            Self::Wire(codec) => codec.clear(),
        }
    }

    /// The person wants line editing, or wants it no more.
    pub(crate) fn set_editing(&mut self, on: bool, context: &mut Context<'_>) {
        if let Self::Telnet(codec) = self {
            codec.set_editing(on, context);
        }
    }

    /// The program wants to hear of presence, or no more; [`Codec::encoding`] is another one then.
    pub(crate) fn set_watching(&mut self, on: bool) {
        if let Self::Wire(codec) = self {
            codec.set_watching(on);
        }
    }

    /// The session is in this room from now on; `None`: in the lobby.
    pub(crate) fn set_room(&mut self, room: Option<&str>) {
        if let Self::Telnet(codec) = self {
            codec.set_room(room);
        }
    }

    /// Answers [`Input::Complete`] with what the word may stand for, the best first.
    pub(crate) fn complete(&mut self, candidates: &[String]) {
        if let Self::Telnet(codec) = self {
            codec.complete(candidates);
        }
    }

    /// Whether texts must be framed: [`Codec::begin_frame`], the texts, [`Codec::end_frame`], with nothing between.
    pub(crate) fn has_frame(&self) -> bool {
        matches!(self, Self::Telnet(codec) if codec.has_frame())
    }

    /// Whether a frame has something to draw, even without texts.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self, Self::Telnet(codec) if codec.is_stale())
    }

    /// Makes place on the screen if texts follow.
    pub(crate) fn begin_frame(&mut self, texts_follow: bool, out: &mut Vec<u8>) {
        if let Self::Telnet(codec) = self {
            codec.begin_frame(texts_follow, out);
        }
    }

    /// Adds what stands behind the texts.
    pub(crate) fn end_frame(&mut self, out: &mut Vec<u8>) {
        if let Self::Telnet(codec) = self {
            codec.end_frame(out);
        }
    }
}

/// Adds what stands before each line that `to` is told, and the line, folded to the window of `to`; with a bell if
/// `rings`. Only people have a view.
pub(crate) fn encode_viewed(to: &To, line: &[u8], rings: bool, out: &mut Vec<u8>) {
    text::encode_viewed(to, line, rings, out);
}

/// What a client says and hears.
impl Dialect {
    /// Understands a line of a server. `scratch` lends room for what has to be decoded. `None` is an empty line.
    pub(crate) fn parse_message<'a>(
        self,
        line: &'a Line<'_>,
        scratch: &'a mut Vec<u8>,
    ) -> Option<Message<'a>> {
        let line: &[u8] = match line {
            Line::TooLong(bytes) => return Some(Message::TooLong(*bytes)),
            Line::Whole(line) if line.is_empty() => return None,
            Line::Whole(line) => line,
        };
        let understood = match self {
            Self::Telnet => client::telnet::parse(line),
            Self::Wire => client::wire::parse(line, scratch),
        };
        Some(understood.unwrap_or_else(|| Message::Unknown(String::from_utf8_lossy(line))))
    }

    /// Adds the line of a client that asks for this.
    ///
    /// # Errors
    /// If it cannot be asked for so; then nothing is added.
    pub(crate) fn encode_ask(self, ask: Ask<'_>, out: &mut Vec<u8>) -> Result<(), Inexpressible> {
        match self {
            Self::Telnet => client::telnet::encode(ask, out),
            Self::Wire => client::wire::encode(ask, out),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        let known = Dialect::ALL
            .into_iter()
            .find(|dialect| dialect.word() == text);
        known.ok_or(UnknownDialect)
    }
}

/// The word is not that of any dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDialect;

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = Dialect::ALL.map(Dialect::word);
        write!(f, "no such dialect, there are {}", words.join(" and "))
    }
}

impl std::error::Error for UnknownDialect {}
