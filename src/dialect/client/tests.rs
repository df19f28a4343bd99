//! What a client makes of a server's lines, and a server of the client's.

mod obeyed;

use std::borrow::Cow;
use std::time::Duration;

use proptest::prelude::*;

use crate::dialect::event::{
    Elsewhere, Event, Farewell, Foreign, Here, Listed, Note, Past, Presence, Reply, Scene, To,
};
use crate::dialect::input::{Context, Input};
use crate::dialect::line::Line;
use crate::dialect::message::{has_text, Ask, Inexpressible, Message, Reason, Refusal};
use crate::dialect::request::{self, Request};
use crate::dialect::{Codec, Dialect, Encoding};
use crate::hygiene;
use crate::ledger::CloseReason;
use crate::name::Name;
use crate::work::Work;

fn parse(dialect: Dialect, line: &[u8]) -> Option<Message<'static>> {
    let line = Line::Whole(Cow::Borrowed(line));
    let mut scratch = Vec::new();
    let message = dialect.parse_message(&line, &mut scratch);
    message.map(Message::into_owned)
}

#[test]
fn what_the_server_encodes_is_read_back() {
    let name = Name::parse("老罗").unwrap();
    for dialect in Dialect::OF_CLIENTS {
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
        let named = read_back(&|out| dialect.encode_reply(&Reply::Note(Note::YouAre(&name)), out));
        assert_eq!(named, Some(Message::Named("老罗".into())));
        let refusal = request::Refusal::NoText;
        let refused = read_back(&|out| dialect.encode_reply(&Reply::Refused(&refusal), out));
        assert_eq!(
            refused,
            Some(Message::Refused(Refusal::new("you have no text to send")))
        );
    }
}

#[test]
fn what_only_one_dialect_has_is_read_back() {
    for (line, message) in [
        (&b"PONG t0"[..], Message::Pong("t0".into())),
        (b"WATCH on", Message::Watching(true)),
        (b"WATCH off", Message::Watching(false)),
        (b"JOIN Z2FtZXM=", Message::Entered("games".into())),
        (
            b"ROOM Z2FtZXM= 4",
            Message::Room {
                name: "games".into(),
                here: 4,
            },
        ),
        (b"ROOMS 3", Message::Rooms(3)),
        (b"KEPT YW5u k7fq-2p9m", kept("k7fq-2p9m")),
        (b"UNKEPT YW5u", Message::KeptNoMore("ann".into())),
    ] {
        assert_eq!(parse(Dialect::Wire, line), Some(message));
    }
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
}

fn kept(key: &str) -> Message<'_> {
    Message::Kept {
        name: "ann".into(),
        key: key.into(),
    }
}

#[test]
fn rooms_and_kept_names_are_read_as_people_read_them() {
    let entered = |room: &'static str| Message::Entered(room.into());
    for (line, message) in [
        ("you left lobby and are in games", entered("games")),
        ("you left lobby and are in 老罗, a new room", entered("老罗")),
        (
            "you left lobby and are in den, a new room with a key",
            entered("den"),
        ),
        ("games is closed; you are in lobby", entered("lobby")),
        ("games is closed: too loud; you are in lobby", entered("lobby")),
        (
            "ann is yours: /name ann k7fq-2p9m takes it; write that down, it is shown once",
            kept("k7fq-2p9m"),
        ),
        (
            "ann is yours while this server runs: /name ann k7fq takes it; write that down, it is shown once",
            kept("k7fq"),
        ),
        ("ann is kept no more", Message::KeptNoMore("ann".into())),
    ] {
        let line = format!("-- {line}");
        assert_eq!(parse(Dialect::Telnet, line.as_bytes()), Some(message));
    }
    for note in [
        "you are in games",
        "you left lobby and are in games, and that is good",
        "you left lobby and are in no room",
        "the shop in games is closed; you are in lobby",
        "games is closed for good; you are in lobby",
        "ann is yours: /name bob k7fq takes it; write that down",
        "ann and bob is kept no more",
    ] {
        let line = format!("-- {note}");
        let expected = Some(Message::Note(note.into()));
        assert_eq!(parse(Dialect::Telnet, line.as_bytes()), expected);
    }
}

#[test]
fn who_comes_and_goes_is_read_back() {
    let (ann, bob) = (Name::parse("ann").unwrap(), Name::parse("37").unwrap());
    let last = "bob joined (3 here)";
    for (event, expected) in [
        (
            Presence::Joined {
                name: &bob,
                here: 4,
            },
            Message::Joined {
                name: "37".into(),
                here: 4,
            },
        ),
        (
            Presence::Left {
                name: &ann,
                words: "",
                here: 0,
            },
            Message::Left {
                name: "ann".into(),
                words: "".into(),
                here: 0,
            },
        ),
        (
            Presence::Left {
                name: &ann,
                words: last,
                here: 2,
            },
            Message::Left {
                name: "ann".into(),
                words: last.into(),
                here: 2,
            },
        ),
        (
            Presence::Renamed {
                from: &ann,
                to: &bob,
            },
            Message::Renamed {
                from: "ann".into(),
                to: "37".into(),
            },
        ),
        (
            Presence::MoreJoined { count: 37, here: 9 },
            Message::MoreJoined { count: 37, here: 9 },
        ),
        (
            Presence::MoreLeft { count: 37, here: 9 },
            Message::MoreLeft { count: 37, here: 9 },
        ),
        (
            Presence::MoreRenamed { count: 37 },
            Message::MoreRenamed { count: 37 },
        ),
        (
            Presence::MoreRenamed { count: 1 },
            Message::MoreRenamed { count: 1 },
        ),
    ] {
        let event = Event::Presence(event);
        let heard = |encoding: Encoding| {
            let mut out = Vec::new();
            encoding.encode_event(&event, &Scene::default(), &mut out);
            out
        };
        assert_eq!(heard(Encoding::Wire), b"", "{event:?}");
        let line = heard(Encoding::WireWatch);
        let told = parse(Dialect::Wire, line.strip_suffix(b"\n").unwrap());
        // Programs are not told last words.
        let without_words = match expected.clone() {
            Message::Left { name, here, .. } => Message::Left {
                name,
                words: "".into(),
                here,
            },
            expected => expected,
        };
        assert_eq!(told, Some(without_words), "{event:?}");
        let line = heard(Encoding::Telnet);
        let told = parse(Dialect::Telnet, line.strip_suffix(b"\r\n").unwrap());
        assert_eq!(told, Some(expected));
    }
    for note in [
        "bob is away: ann is now known as eve",
        "bob is away: (3 here)",
        "ann and bob joined (3 here)",
        "ann joined (many here)",
        "many more joined (3 here)",
        "all changed their names",
    ] {
        let line = format!("-- {note}");
        let expected = Some(Message::Note(note.into()));
        assert_eq!(parse(Dialect::Telnet, line.as_bytes()), expected);
    }
}

#[test]
fn every_farewell_is_a_goodbye() {
    for reason in CloseReason::ALL {
        let farewell = Farewell {
            reason,
            seconds: 600,
            foreign: Foreign::default(),
            elsewhere: Elsewhere::default(),
            until: None,
            why: "spam",
        };
        for dialect in Dialect::OF_CLIENTS {
            let mut out = Vec::new();
            dialect.encode_reply(&Reply::Farewell(farewell), &mut out);
            let words = farewell.words().filter(|_| !out.is_empty());
            let expected = words.map(|words| Message::Goodbye(words.into_owned().into()));
            let line = out.trim_ascii_end();
            assert_eq!(parse(dialect, line), expected, "{reason:?} in {dialect}");
        }
    }
}

#[test]
fn private_messages_are_read_back() {
    let ann = Name::parse("ann").unwrap();
    for words in ["psst", "/me waves", "/quit"] {
        let reply = Reply::Told {
            from: &ann,
            user: "",
            words,
            notice: false,
        };
        for dialect in Dialect::OF_CLIENTS {
            let mut out = Vec::new();
            dialect.encode_reply(&reply, &mut out);
            let told = Message::Told {
                name: "ann".into(),
                words: words.into(),
            };
            assert_eq!(parse(dialect, out.trim_ascii_end()), Some(told), "{words}");
        }
    }
}

#[test]
fn refusals_have_a_code_and_are_understood_without_one() {
    let taken = Message::Refused(Refusal::new("ann is taken"));
    for line in ["FAIL YW5uIGlzIHRha2Vu", "FAIL YW5uIGlzIHRha2Vu taken"] {
        assert_eq!(parse(Dialect::Wire, line.as_bytes()), Some(taken.clone()));
    }
    // The code counts, whatever the words.
    for (code, reason) in [
        ("nobody", Reason::Nobody),
        ("muted", Reason::Muted),
        ("key", Reason::Key),
        ("not-allowed", Reason::NameTaken),
        ("later", Reason::NameTaken),
    ] {
        let line = format!("FAIL YW5uIGlzIHRha2Vu {code}");
        match parse(Dialect::Wire, line.as_bytes()) {
            Some(Message::Refused(refusal)) => assert_eq!(refusal.reason, reason, "{code}"),
            message => panic!("{message:?}"),
        }
    }
    let goodbye = Some(Message::Goodbye("ann is taken".into()));
    assert_eq!(
        parse(Dialect::Wire, b"FAIL YW5uIGlzIHRha2Vu flood"),
        goodbye
    );
}

#[test]
fn what_the_server_says_unasked_is_for_programs_that_watch() {
    let told = |watching| {
        let mut codec = Codec::new(Dialect::Wire);
        codec.set_watching(watching);
        let mut out = Vec::new();
        for note in [Note::LinesWait, Note::Now] {
            codec.encode_reply(&Reply::Note(note), &To::default(), &mut out);
        }
        parse(Dialect::Wire, out.trim_ascii_end())
    };
    assert_eq!(told(false), None);
    let words = "slow down: your lines wait";
    let expected = Message::Told {
        name: "chatd".into(),
        words: words.into(),
    };
    assert_eq!(told(true), Some(expected));
}

#[test]
fn a_list_of_those_here_is_read_back_whatever_their_names_and_number() {
    // The base64 of this name is 5460, which is a number as well.
    let name = Name::parse("玴").unwrap();
    let listed = [Listed {
        name: &name,
        user: "",
        away: true,
        op: false,
        unreachable: false,
    }];
    for count in [0, 1, 100, 1000, 5460, 54_605_460, usize::MAX] {
        let mut out = Vec::new();
        let here = Here {
            room: None,
            count,
            begins: true,
            listed: &listed,
            unlisted: 0,
            listening: Some(1),
        };
        Dialect::Wire.encode_reply(&Reply::Here(here), &mut out);
        let lines = out.split_inclusive(|byte| *byte == b'\n');
        let read: Vec<_> = lines
            .map(|line| parse(Dialect::Wire, line.strip_suffix(b"\n").unwrap()).unwrap())
            .collect();
        assert_eq!(read, [Message::Listed("玴".into()), Message::Here(count)]);
    }
}

#[test]
fn what_was_said_before_is_a_note() {
    for acts in [false, true] {
        let mut out = Vec::new();
        let past = Past {
            number: 1,
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
    let is_unknown =
        |dialect, line: &[u8]| matches!(parse(dialect, line), Some(Message::Unknown(_)));
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
        b"WATCH",
        b"WATCH On",
        b"HERE",
        b"HERE +5",
        b"HERE YQ== 5",
        b"CAME YQ==",
        b"CAME YQ== x",
        b"CAME -",
        b"CAME - 5",
        b"CAME - 5 6 7",
        b"WENT - 5 +6",
        b"NOW YQ==",
        b"NOW YQ== YQ== YQ==",
        b"FAIL bm8= usage more",
        b"\xff\xfe",
        b" ",
    ] {
        assert!(is_unknown(Dialect::Wire, line), "{line:?}");
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
        assert!(is_unknown(Dialect::Telnet, line), "{line:?}");
    }
    assert_eq!(parse(Dialect::Wire, b""), None);
}

proptest! {
    #[test]
    fn no_line_of_a_server_panics_a_client(
        begin in prop::sample::select(vec![
            "CHAT ", "NAME ", "FAIL ", "TELL ", "HERE ", "CAME - ", "WENT ", "NOW ", "<", "* ", "[to ", "-- ", "-- you are ", "-- ann left: ", "!! ", "",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for dialect in Dialect::OF_CLIENTS {
            let line = [begin.as_bytes(), &rest].concat();
            prop_assert!(parse(dialect, &line).is_some() != line.is_empty());
        }
    }
}
