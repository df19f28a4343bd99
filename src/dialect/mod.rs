//! Ways of talking: bytes to lines, lines to commands, events to bytes; one module for each way.
//!
//! Nothing here knows a socket, a clock or who else is connected.

pub mod command;
pub mod editor;
pub mod event;
pub mod hygiene;
pub mod line;
pub(crate) mod telnet;
pub mod text;
pub(crate) mod wire;

use std::fmt;
use std::str::FromStr;

use event::{Event, Reply};
use line::{Line, LineBuffer};
use telnet::{Meaning, Telnet};

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

/// What a session was heard to say or do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// A line.
    Line(Line<'a>),
    /// Ctrl-C, sent as telnet's Interrupt Process. The line being typed is forgotten.
    Interrupt,
    /// Telnet's Are You There.
    AreYouThere,
    /// Ctrl-D on an empty line, or telnet's EOF: the person wants to leave.
    EndOfFile,
}

/// The read side of a session: bytes in, what was heard out, whatever the cutting into packets.
#[derive(Debug)]
pub(crate) struct Reader {
    lines: LineBuffer,
    telnet: Option<Telnet>,
}

impl Reader {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            lines: LineBuffer::default(),
            telnet: (dialect == Dialect::Telnet).then(Telnet::default),
        }
    }

    /// Takes bytes from `input` until something was heard, or gives `None` when they are used up. What the protocol
    /// below the text has to answer is added to `reply`.
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
        line_bytes_max: usize,
        reply: &mut Vec<u8>,
    ) -> Option<Heard<'a>> {
        let Some(telnet) = &mut self.telnet else {
            return self
                .lines
                .next(input, line_bytes_max, None)
                .map(Heard::Line);
        };
        loop {
            if telnet.expects_text() {
                if let Some(line) = self.lines.next(input, line_bytes_max, Some(telnet::IAC)) {
                    return Some(Heard::Line(line));
                }
            }
            let Some((&byte, rest)) = input.split_first() else {
                return text::asks_to_leave(self.lines.partial()).then(|| {
                    self.lines.clear();
                    Heard::EndOfFile
                });
            };
            *input = rest;
            match telnet.byte(byte, reply) {
                Meaning::Nothing => {}
                Meaning::Text(byte) => self.lines.push(&[byte], line_bytes_max),
                Meaning::Interrupt => {
                    self.lines.clear();
                    return Some(Heard::Interrupt);
                }
                Meaning::AreYouThere => return Some(Heard::AreYouThere),
                Meaning::EndOfFile => return Some(Heard::EndOfFile),
            }
        }
    }

    /// The last line of a stream that ended without a line end.
    pub(crate) fn finish(&mut self) -> Option<Line<'static>> {
        self.lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum Seen {
        Text(String),
        TooLong(usize),
        Interrupt,
        AreYouThere,
        EndOfFile,
    }

    fn line(line: Line<'_>) -> Seen {
        match line {
            Line::Whole(text) => Seen::Text(String::from_utf8_lossy(&text).into_owned()),
            Line::TooLong(bytes) => Seen::TooLong(bytes),
        }
    }

    /// What a telnet session hears and answers when `bytes` come in packets of at most `packet` bytes.
    fn hear(bytes: &[u8], packet: usize) -> (Vec<Seen>, Vec<u8>) {
        let (mut reader, mut seen, mut reply) =
            (Reader::new(Dialect::Telnet), Vec::new(), Vec::new());
        for mut input in bytes.chunks(packet) {
            while let Some(heard) = reader.next(&mut input, 20, &mut reply) {
                seen.push(match heard {
                    Heard::Line(heard) => line(heard),
                    Heard::Interrupt => Seen::Interrupt,
                    Heard::AreYouThere => Seen::AreYouThere,
                    Heard::EndOfFile => Seen::EndOfFile,
                });
            }
            assert!(input.is_empty());
        }
        seen.extend(reader.finish().map(line));
        (seen, reply)
    }

    #[test]
    fn every_dialect_is_read_back_from_its_word() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
        }
        for other in ["", "Telnet", "irc", "wire "] {
            assert_eq!(other.parse::<Dialect>(), Err(UnknownDialect), "{other:?}");
        }
    }

    fn hear_however_cut(bytes: &[u8]) -> (Vec<Seen>, Vec<u8>) {
        let whole = hear(bytes, usize::MAX);
        for packet in 1..=bytes.len() {
            assert_eq!(hear(bytes, packet), whole, "in packets of {packet}");
        }
        whole
    }

    fn text(text: &str) -> Seen {
        Seen::Text(text.into())
    }

    #[test]
    fn control_c_of_the_usual_client_is_an_interrupt_and_its_mark_is_answered() {
        let (seen, reply) = hear_however_cut(b"half\xff\xf4\xff\xfd\x06hello\r\n\xff\xfd\x06");
        assert_eq!(seen, [Seen::Interrupt, text("hello")]);
        assert_eq!(
            reply, b"\xff\xfb\x06\xff\xfb\x06",
            "every mark, each time anew"
        );
    }

    #[test]
    fn an_option_is_refused_once() {
        let (seen, reply) = hear_however_cut(
            b"\xff\xfd\x01a\xff\xfd\x01\xff\xfb\x01\xff\xfb\x01\xff\xfc\x05\xff\xfe\x05b\n",
        );
        assert_eq!(seen, [text("ab")]);
        assert_eq!(reply, b"\xff\xfc\x01\xff\xfe\x01");
    }

    #[test]
    fn plain_text_is_never_answered() {
        let (seen, reply) = hear_however_cut("你好 héllo\r\nplain\n".as_bytes());
        assert_eq!(seen, [text("你好 héllo"), text("plain")]);
        assert!(reply.is_empty());
    }

    #[test]
    fn commands_act_and_unknown_ones_vanish() {
        let (seen, _) = hear_however_cut(b"a\xff\xf6b\xff\xf1\xff\xf9\xff\x00c\xff\xffd\n\xff\xec");
        assert_eq!(
            seen,
            [Seen::AreYouThere, text("abc\u{fffd}d"), Seen::EndOfFile]
        );
    }

    #[test]
    fn erasing_commands_are_keys() {
        let (seen, _) = hear_however_cut(b"ab\xff\xf7c\xff\xf8d\n");
        assert_eq!(seen, [text("ab\x7fc\x15d")]);
    }

    #[test]
    fn subnegotiations_are_skipped() {
        let (seen, reply) = hear_however_cut(
            b"a\xff\xfa\x1f\x00\xff\xff\x00\x10\xff\xf0b\xff\xfa\x1f\x00\xff\x00\x10\xff\xf0c\n",
        );
        assert_eq!(seen, [text("abc")]);
        assert!(reply.is_empty());
    }

    #[test]
    fn an_endless_subnegotiation_does_not_swallow_the_connection() {
        let mut bytes = b"\xff\xfa\x1f".to_vec();
        bytes.extend([b'x'; 200]);
        bytes.extend(b"\nhello\n");
        let (seen, _) = hear_however_cut(&bytes);
        assert_eq!(seen.last(), Some(&text("hello")));
    }

    #[test]
    fn control_d_leaves_on_an_empty_line_only() {
        assert_eq!(hear(b"\x04", 1).0, [Seen::EndOfFile]);
        assert_eq!(hear(b"ab\x7f\x08\x04", 1).0, [Seen::EndOfFile]);
        assert_eq!(hear(b"a\x04\n", 1).0, [text("a\x04")]);
    }

    proptest! {
        #[test]
        fn any_cutting_is_heard_the_same(
            bytes in prop::collection::vec(
                prop_oneof![
                    Just(0xff), Just(0xf4), Just(0xfa), Just(0xf0), Just(0xfb), Just(0xfd), Just(0xfe), Just(6), Just(1),
                    Just(b'\r'), Just(b'\n'), Just(0), Just(b'x'), any::<u8>()
                ].prop_filter("Control-D is judged when the packet ends", |byte| *byte != 4),
                0..80,
            ),
            packet in 1_usize..8,
        ) {
            prop_assert_eq!(hear(&bytes, packet), hear(&bytes, usize::MAX));
        }
    }
}
