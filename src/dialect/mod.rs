//! Ways of talking: bytes to lines, lines to commands, events to bytes; one module for each way.
//!
//! Nothing here knows a socket, a clock or who else is connected.

mod client;
pub mod command;
pub mod editor;
pub mod event;
pub(crate) mod foreign;
pub mod line;
pub mod message;
mod negotiation;
mod reader;
pub(crate) mod telnet;
pub mod text;
pub(crate) mod wire;

use std::fmt;
use std::str::FromStr;

use event::{Event, Reply};
use line::Line;
use message::{Ask, Inexpressible, Message};

pub(crate) use reader::{Heard, Reader};

/// Which way of talking a listener offers and a session uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Plain lines for people with telnet or nc.
    Telnet,
    /// Commands with base64 fields for programs.
    Wire,
}

impl Dialect {
    /// How many dialects there are; `dialect as usize` is below it.
    pub const COUNT: usize = 2;

    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; Self::COUNT] = [Self::Telnet, Self::Wire];

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

    /// Adds what the room hears.
    pub(crate) fn encode_event(self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Telnet => text::encode_event(event, out),
            Self::Wire => wire::encode_event(event, out),
        }
    }

    /// Adds what one session is told.
    pub(crate) fn encode_reply(self, reply: &Reply<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Telnet => text::encode_reply(reply, out),
            Self::Wire => wire::encode_reply(reply, out),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_is_read_back_from_its_word() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
        }
        for other in ["", "Telnet", "irc", "wire "] {
            assert_eq!(other.parse::<Dialect>(), Err(UnknownDialect), "{other:?}");
        }
    }
}
