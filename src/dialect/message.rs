//! What a server says, as a client understands it: events and replies, read back from a dialect.

use std::borrow::Cow;

use crate::dialect::line::Line;
use crate::dialect::{text, wire, Dialect};
use crate::hygiene;

/// One line of a server, understood. It borrows from the bytes that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// Somebody said something.
    Said {
        /// Who said it.
        name: Cow<'a, str>,
        /// What was said.
        words: Cow<'a, str>,
    },
    /// Somebody did something (`/me`).
    Did {
        /// Who did it.
        name: Cow<'a, str>,
        /// What was done.
        words: Cow<'a, str>,
    },
    /// Somebody said something that nobody else hears. Only telnet has it.
    Told {
        /// Who said it.
        name: Cow<'a, str>,
        /// What was said.
        words: Cow<'a, str>,
    },
    /// The name that was asked for is taken.
    Named(Cow<'a, str>),
    /// The token of a `PING` came back. Only the wire dialect has it.
    Pong(Cow<'a, str>),
    /// A line could not be understood or obeyed, or the server says why it closes.
    Refused(Cow<'a, str>),
    /// Anything else that the server tells: a greeting, who came and went, what was said before. Only telnet has it.
    Note(Cow<'a, str>),
    /// A line that no chatd sends; what is not UTF-8 in it is U+FFFD.
    Unknown(Cow<'a, str>),
    /// A line that was longer than the client takes, and is gone; it had so many bytes.
    TooLong(usize),
}

impl Message<'_> {
    /// The same message, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Message<'static> {
        fn own(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        match self {
            Self::Said { name, words } => Message::Said {
                name: own(name),
                words: own(words),
            },
            Self::Did { name, words } => Message::Did {
                name: own(name),
                words: own(words),
            },
            Self::Told { name, words } => Message::Told {
                name: own(name),
                words: own(words),
            },
            Self::Named(name) => Message::Named(own(name)),
            Self::Pong(token) => Message::Pong(own(token)),
            Self::Refused(reason) => Message::Refused(own(reason)),
            Self::Note(text) => Message::Note(own(text)),
            Self::Unknown(line) => Message::Unknown(own(line)),
            Self::TooLong(bytes) => Message::TooLong(bytes),
        }
    }

    /// Understands a line of a server. `scratch` lends room for what has to be decoded. `None` is an empty line.
    pub(crate) fn parse<'a>(
        dialect: Dialect,
        line: &'a Line<'_>,
        scratch: &'a mut Vec<u8>,
    ) -> Option<Message<'a>> {
        let line: &[u8] = match line {
            Line::TooLong(bytes) => return Some(Message::TooLong(*bytes)),
            Line::Whole(line) if line.is_empty() => return None,
            Line::Whole(line) => line,
        };
        let understood = match dialect {
            Dialect::Telnet => text::parse_message(line),
            Dialect::Wire => wire::parse_message(line, scratch),
        };
        Some(understood.unwrap_or_else(|| Message::Unknown(String::from_utf8_lossy(line))))
    }
}

/// Adds the request for a name.
pub(crate) fn encode_name(dialect: Dialect, name: &str, out: &mut Vec<u8>) {
    match dialect {
        Dialect::Telnet => {
            // The server obeys keys, and one that erases the line would make a command of the rest. A name with one in it
            // is none, and nor is one with this.
            let name = name.replace(char::is_control, "\u{fffd}");
            text::encode_request("/name ", &name, out);
        }
        Dialect::Wire => wire::line(out, "NAME", &[name]),
    }
}

/// Adds the request to say `words`, which are one line, under `name`, which the server does not believe. To people's
/// dialect they go as a program's words are understood: no key in them is obeyed, and only `/me ` is a command.
pub(crate) fn encode_words(dialect: Dialect, name: &str, words: &str, out: &mut Vec<u8>) {
    match dialect {
        Dialect::Telnet => {
            // Cleaned here, for the server looks for a command behind what it takes off.
            let clean = hygiene::clean(words.as_bytes()).text;
            let acts = wire::action(&clean).is_some() || wire::is_bare_action(&clean);
            let escape = if clean.starts_with('/') && !acts {
                "/"
            } else {
                ""
            };
            text::encode_request(escape, &clean, out);
        }
        Dialect::Wire => wire::line(out, "CHAT", &[name, words]),
    }
}

/// Adds the request to close.
pub(crate) fn encode_quit(dialect: Dialect, out: &mut Vec<u8>) {
    match dialect {
        Dialect::Telnet => text::encode_request("/quit", "", out),
        Dialect::Wire => wire::line(out, "QUIT", &[]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use std::time::Duration;

    use crate::dialect::event::{Event, Note, Past, Reply, To};
    use crate::dialect::input::{Context, Input};
    use crate::dialect::request::{Refusal, Request};
    use crate::dialect::Codec;
    use crate::name::Name;

    fn parse(dialect: Dialect, line: &[u8]) -> Option<Message<'static>> {
        let line = Line::Whole(Cow::Borrowed(line));
        Message::parse(dialect, &line, &mut Vec::new()).map(Message::into_owned)
    }

    #[test]
    fn what_the_server_encodes_is_read_back() {
        let name = Name::parse("老罗").unwrap();
        for dialect in Dialect::ALL {
            let read_back = |encode: &dyn Fn(&mut Vec<u8>)| {
                let mut out = Vec::new();
                encode(&mut out);
                let line = out.strip_suffix(b"\n").unwrap();
                parse(dialect, line.strip_suffix(b"\r").unwrap_or(line))
            };
            let words = "a > b: <c>  é";
            let event = Event::Said { name: &name, words };
            assert_eq!(
                read_back(&|out| dialect.encode_event(&event, out)),
                Some(Message::Said {
                    name: "老罗".into(),
                    words: words.into()
                })
            );
            let event = Event::Did { name: &name, words };
            assert_eq!(
                read_back(&|out| dialect.encode_event(&event, out)),
                Some(Message::Did {
                    name: "老罗".into(),
                    words: words.into()
                })
            );
            let named =
                read_back(&|out| dialect.encode_reply(&Reply::Note(Note::YouAre(&name)), out));
            assert_eq!(named, Some(Message::Named("老罗".into())));
            let refusal = Refusal::NoText;
            let refused = read_back(&|out| dialect.encode_reply(&Reply::Refused(&refusal), out));
            assert_eq!(
                refused,
                Some(Message::Refused("you have no text to send".into()))
            );
        }
    }

    #[test]
    fn what_only_one_dialect_has_is_read_back() {
        assert_eq!(
            parse(Dialect::Wire, b"PONG t0"),
            Some(Message::Pong("t0".into()))
        );
        assert_eq!(
            parse(Dialect::Telnet, b"[ann] psst"),
            Some(Message::Told {
                name: "ann".into(),
                words: "psst".into()
            })
        );
        assert_eq!(
            parse(Dialect::Telnet, b"[to ann] psst"),
            Some(Message::Note("[to ann] psst".into()))
        );
        assert_eq!(
            parse(Dialect::Telnet, b"-- ann joined (4 here)"),
            Some(Message::Note("ann joined (4 here)".into()))
        );
    }

    #[test]
    fn what_was_said_before_is_a_note() {
        for acts in [false, true] {
            let mut out = Vec::new();
            let past = Past {
                wall_seconds: 14 * 3600 + 5 * 60,
                name: "ann",
                acts,
                words: "hello  there",
            };
            Dialect::Telnet.encode_reply(&Reply::Past(past), &mut out);
            let line = out.strip_suffix(b"\r\n").unwrap();
            let note = std::str::from_utf8(line).unwrap().to_owned();
            assert_eq!(
                parse(Dialect::Telnet, line),
                Some(Message::Note(note.into()))
            );
        }
    }

    #[test]
    fn only_one_word_is_a_name() {
        for text in ["you are welcome here", "you are ", "you are  ann"] {
            assert_eq!(
                parse(Dialect::Telnet, format!("-- {text}").as_bytes()),
                Some(Message::Note(text.into()))
            );
        }
    }

    #[test]
    fn rubbish_is_unknown() {
        for line in [
            &b"chat YQ== YQ=="[..],
            b"CHAT YQ==",
            b"CHAT YQ== YQ== YQ==",
            b"CHAT YQ YQ==",
            b"CHAT YQ==  YQ==",
            b"CHAT /w== YQ==",
            b"NAME",
            b"NAME !",
            b"FAIL",
            b"PONG",
            b"PONG a b",
            b"\xff\xfe",
            b" ",
        ] {
            assert!(
                matches!(parse(Dialect::Wire, line), Some(Message::Unknown(_))),
                "{line:?}"
            );
        }
        for line in [
            &b"<ann>hello"[..],
            b"hello",
            b"* ann",
            b"--",
            b"\xff",
            b"14:05 hello",
            b"14:05 14:05 <ann> hello",
            b"1405 <ann> hello",
            b"1x:05 <ann> hello",
        ] {
            assert!(
                matches!(parse(Dialect::Telnet, line), Some(Message::Unknown(_))),
                "{line:?}"
            );
        }
        assert_eq!(parse(Dialect::Wire, b""), None);
    }

    /// What the server understands of a line: an action or not, and its words.
    fn understood(dialect: Dialect, line: &[u8]) -> Result<(bool, String), Refusal> {
        let (mut input, mut text) = (line, String::new());
        let mut codec = Codec::new(dialect);
        let mut context = Context {
            age: Duration::ZERO,
            words_bytes_max: usize::MAX / 4,
            to: To::default(),
            lines_in: &mut 0,
            out: &mut Vec::new(),
        };
        let understood = match codec.next(&mut input, &mut text, &mut context) {
            Some(Input::Request(Request::Say(words))) => Ok((false, words.to_owned())),
            Some(Input::Request(Request::Act(words))) => Ok((true, words.to_owned())),
            Some(Input::Refused(refusal)) => Err(refusal),
            Some(Input::Nothing) => Err(Refusal::NoText),
            other => panic!("{other:?}"),
        };
        let next = codec.next(&mut input, &mut text, &mut context);
        assert_eq!(next, None, "more than one line");
        understood
    }

    fn reaches(dialect: Dialect, words: &str) -> Option<(bool, String)> {
        let mut line = Vec::new();
        encode_words(dialect, "ann", words, &mut line);
        match understood(dialect, &line) {
            Ok(reached) => Some(reached),
            Err(refusal) => {
                assert_eq!(refusal, Refusal::NoText);
                None
            }
        }
    }

    #[test]
    fn words_are_said_or_done_in_either_dialect() {
        for (words, acts, reached) in [
            ("hello", false, "hello"),
            ("/quit", false, "/quit"),
            ("//x", false, "//x"),
            ("/", false, "/"),
            ("1/2", false, "1/2"),
            ("/men", false, "/men"),
            ("/me waves", true, "waves"),
            (" /quit", false, "/quit"),
            ("\t/quit", false, "/quit"),
            ("\u{3000}/quit", false, "/quit"),
            ("\u{200b}/name x", false, "/name x"),
            ("\x1b[A/quit", false, "/quit"),
            ("\u{200b} //x", false, "//x"),
        ] {
            for dialect in Dialect::ALL {
                assert_eq!(
                    reaches(dialect, words),
                    Some((acts, reached.to_owned())),
                    "{words:?} in {dialect}"
                );
            }
        }
        // To a program no key is a command either: it does not type.
        for words in ["hi\x15/quit", "x\x7f/quit", "x\x08/quit", "/me x\x15/quit"] {
            assert_eq!(
                reaches(Dialect::Telnet, words),
                reaches(Dialect::Wire, words),
                "{words:?}"
            );
        }
        for dialect in Dialect::ALL {
            for words in ["/me", "/me  ", "/me\u{200b}"] {
                assert_eq!(reaches(dialect, words), None, "{words:?} in {dialect}");
            }
        }
    }

    #[test]
    fn a_name_is_taken_or_refused_and_never_obeyed() {
        for name in [
            "\x15/quit",
            "\x7f\x7f\x7f\x7f\x7f\x7f/quit",
            "\x08\x08\x08\x08\x08\x08/quit",
            "\0ann",
            "a\x1b[Ann",
        ] {
            let mut line = Vec::new();
            encode_name(Dialect::Telnet, name, &mut line);
            let refused = understood(Dialect::Telnet, &line);
            assert_eq!(refused, Err(Refusal::MalformedName), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn words_reach_the_server_as_they_are(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(vec![
                        "/", "/quit", "/me", "/me ", "me", " ", "\t", "\0", "\u{4}", "\u{8}", "\u{15}", "\u{7f}", "\u{1b}",
                        "\u{1b}[", "\u{1b}]", "\u{7}", "\u{200b}", "\u{200d}", "\u{3000}", "\u{a0}", "\u{301}", "\u{85}",
                    ]).prop_map(str::to_owned),
                    any::<char>().prop_filter("one line", |c| !matches!(c, '\n' | '\r')).prop_map(String::from),
                ],
                1..12,
            ),
        ) {
            let words = pieces.concat();
            prop_assert_eq!(reaches(Dialect::Telnet, &words), reaches(Dialect::Wire, &words));
        }

        #[test]
        fn no_line_of_a_server_panics_a_client(
            begin in prop_oneof![Just("CHAT "), Just("NAME "), Just("FAIL "), Just("<"), Just("* "), Just("[to "), Just("")],
            rest in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            for dialect in Dialect::ALL {
                let line = [begin.as_bytes(), &rest].concat();
                prop_assert!(parse(dialect, &line).is_some() != line.is_empty());
            }
        }
    }
}
