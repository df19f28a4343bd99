//! What a page hears: one JSON object (RFC 8259) a text frame, its keys in the order of the contract.

use std::io::{self, Write};

use crate::dialect::event::{
    Arrived, Event, Farewell, Here, Listed, Moment, Note, Past, Presence, Reply, RoomList,
};
use crate::dialect::web::coming::PageKey;
use crate::dialect::web::frames::{push, Opcode};

/// At most this many bytes of lines of the past are in one frame, and a last line.
const OLD_BYTES_MAX: usize = 16 * 1024;

/// An object that is being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Object<'a> {
    /// Begins an object, which says first of what kind it is.
    fn begin(out: &'a mut Vec<u8>, kind: &str) -> Self {
        out.extend_from_slice(b"{\"t\":");
        push_text(out, kind);
        Self { out }
    }

    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(b",\"");
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn text(mut self, key: &str, text: &str) -> Self {
        push_text(self.key(key), text);
        self
    }

    fn number(mut self, key: &str, number: u64) -> Self {
        push_number(self.key(key), number);
        self
    }

    fn names<'n>(mut self, key: &str, names: impl Iterator<Item = Listed<'n>>) -> Self {
        let out = self.key(key);
        let mut separator = b'[';
        for listed in names {
            out.push(separator);
            separator = b',';
            push_text(out, &listed.name.text());
        }
        if separator == b'[' {
            out.push(b'[');
        }
        out.push(b']');
        self
    }

    fn end(self) {
        self.out.push(b'}');
    }
}

/// Adds a string: only `serde_json` escapes it, and behind that `<`, so that no part of it can be taken for markup.
fn push_text(out: &mut Vec<u8>, text: &str) {
    // Writing to a Vec cannot fail.
    let _ = serde_json::to_writer(Escaping(out), text);
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{number}");
}

/// Writes `<` in another way.
struct Escaping<'a>(&'a mut Vec<u8>);

impl Write for Escaping<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut parts = bytes.split(|byte| *byte == b'<');
        self.0.extend_from_slice(parts.next().unwrap_or_default());
        for part in parts {
            self.0.extend_from_slice(b"\\u003c");
            self.0.extend_from_slice(part);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Adds a frame with one object.
fn frame(out: &mut Vec<u8>, kind: &str, fill: impl FnOnce(Object<'_>) -> Object<'_>) {
    push(out, Opcode::Text, |out| {
        fill(Object::begin(out, kind)).end();
    });
}

/// Adds what the room hears, which was said at this moment.
pub(crate) fn encode_event(event: &Event<'_>, at: Moment, out: &mut Vec<u8>) {
    match *event {
        Event::Said { name, words } | Event::Noticed { name, words } => {
            said(out, "said", at, &name.text(), words);
        }
        Event::Did { name, words } => said(out, "did", at, &name.text(), words),
        Event::Presence(presence) => encode_presence(&presence, out),
        // `/who` tells it.
        Event::Operator { .. } => {}
        Event::Announced { before, words, .. } => note(out, &format!("{before}{words}")),
    }
}

fn said(out: &mut Vec<u8>, kind: &str, at: Moment, name: &str, words: &str) {
    frame(out, kind, |object| line(object, at, name, words));
}

fn line<'a>(object: Object<'a>, at: Moment, name: &str, words: &str) -> Object<'a> {
    object
        .number("i", at.number)
        .number("s", at.wall_seconds)
        .text("n", name)
        .text("x", words)
}

fn encode_presence(presence: &Presence<'_>, out: &mut Vec<u8>) {
    match *presence {
        Presence::Joined { name, here } => frame(out, "came", |object| {
            object.text("n", &name.text()).number("here", here as u64)
        }),
        Presence::Left { name, words, here } | Presence::Parted { name, words, here } => {
            frame(out, "went", |object| {
                let object = object.text("n", &name.text());
                let object = match words {
                    "" => object,
                    words => object.text("x", words),
                };
                object.number("here", here as u64)
            });
        }
        Presence::WentTo { name, to, here } => frame(out, "went", |object| {
            let object = object.text("n", &name.text()).text("to", to.text());
            object.number("here", here as u64)
        }),
        Presence::Renamed { from, to } => frame(out, "now", |object| {
            object.text("from", &from.text()).text("n", &to.text())
        }),
        Presence::MoreJoined { count, here } => more(out, "came", count, Some(here)),
        Presence::MoreLeft { count, here } => more(out, "went", count, Some(here)),
        Presence::MoreRenamed { count } => more(out, "now", count, None),
    }
}

fn more(out: &mut Vec<u8>, kind: &str, count: usize, here: Option<usize>) {
    frame(out, kind, |object| {
        let object = object.number("more", count as u64);
        match here {
            Some(here) => object.number("here", here as u64),
            None => object,
        }
    });
}

fn note(out: &mut Vec<u8>, words: &str) {
    frame(out, "note", |object| object.text("x", words));
}

/// Adds what this session alone is told; nothing where a page needs no word of it.
pub(super) fn encode_reply(reply: &Reply<'_>, out: &mut Vec<u8>) {
    match *reply {
        Reply::Arrived(ref arrived) => encode_arrival(arrived, out),
        Reply::Note(Note::YouAre(name)) => you(out, &name.text()),
        Reply::Note(Note::Named(name)) => {
            you(out, &name.text());
            note(out, &Note::Named(name).to_string());
        }
        Reply::Note(words) => note(out, &words.to_string()),
        Reply::Told { from, words, .. } => private(out, "told", &from.text(), words),
        Reply::YouTold { to, words } => private(out, "you-told", &to.text(), words),
        Reply::Here(ref here) => encode_here(here, out),
        Reply::Rooms(ref rooms) => encode_rooms(rooms, out),
        Reply::Refused(refusal) => {
            frame(out, "fail", |object| object.text("x", &refusal.to_string()));
        }
        Reply::Farewell(farewell) => encode_farewell(farewell, out),
        Reply::Gap => frame(out, "gap", |object| object),
        Reply::YouDid { .. } | Reply::Past(_) | Reply::Watching(_) => {}
    }
}

fn you(out: &mut Vec<u8>, name: &str) {
    frame(out, "you", |object| object.text("n", name));
}

fn private(out: &mut Vec<u8>, kind: &str, name: &str, words: &str) {
    frame(out, kind, |object| object.text("n", name).text("x", words));
}

/// Adds where the session is and who is there: when it has connected, and in another room.
fn encode_arrival(arrived: &Arrived<'_>, out: &mut Vec<u8>) {
    let here = &arrived.here;
    let names = here.listed.iter().copied();
    let (count, listening) = (here.count as u64, here.listening.unwrap_or(0) as u64);
    match arrived.first {
        None => frame(out, "room", |object| {
            object
                .text("room", arrived.room.text())
                .names("here", names)
                .number("n", count)
                .number("listening", listening)
        }),
        Some(first) => frame(out, "hi", |object| {
            object
                .text("you", &arrived.you.text())
                .text("room", arrived.room.text())
                .names("here", names)
                .number("n", count)
                .number("listening", listening)
                .text("run", &format!("{:016x}", first.run))
                .text("key", &PageKey(first.key).to_string())
        }),
    }
}

/// Adds a list of those who are here, or a part of it, as a sentence.
fn encode_here(here: &Here<'_>, out: &mut Vec<u8>) {
    if here.begins || !here.listed.is_empty() {
        note(out, &here.to_string());
    }
}

fn encode_rooms(rooms: &RoomList<'_>, out: &mut Vec<u8>) {
    if !rooms.listed.is_empty() {
        note(out, &rooms.to_string());
    }
}

fn encode_farewell(farewell: Farewell<'_>, out: &mut Vec<u8>) {
    if let Some(words) = farewell.words() {
        let words = words.strip_prefix("goodbye: ").unwrap_or(&words);
        frame(out, "bye", |object| object.text("x", words));
    }
}

/// Adds what was said before, in as many frames as it takes; one at least.
pub(super) fn encode_history<'a>(past: impl Iterator<Item = Past<'a>>, out: &mut Vec<u8>) {
    let mut past = past.peekable();
    loop {
        push(out, Opcode::Text, |out| {
            out.extend_from_slice(b"{\"t\":\"old\",\"lines\":[");
            let begin = out.len();
            while let Some(past) = past.next_if(|_| out.len() - begin < OLD_BYTES_MAX) {
                if out.len() > begin {
                    out.push(b',');
                }
                let kind = if past.acts { "did" } else { "said" };
                let at = Moment {
                    number: past.number,
                    wall_seconds: past.wall_seconds,
                };
                line(Object::begin(out, kind), at, past.name, past.words).end();
            }
            out.extend_from_slice(b"]}");
        });
        if past.peek().is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::name::Name;
    use crate::room_name::RoomName;

    fn object(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        let length = usize::from(out[1]);
        assert_eq!((out[0], out.len()), (0x81, 2 + length), "one short frame");
        String::from_utf8(out.split_off(2)).unwrap()
    }

    fn event(event: &Event<'_>) -> String {
        let at = Moment {
            number: 4711,
            wall_seconds: 1_795_647_048,
        };
        object(|out| encode_event(event, at, out))
    }

    #[test]
    fn what_is_said_reads_as_the_contract_says() {
        let name = &Name::parse("ann").unwrap();
        let words = "hello";
        assert_eq!(
            event(&Event::Said { name, words }),
            r#"{"t":"said","i":4711,"s":1795647048,"n":"ann","x":"hello"}"#
        );
        let words = "waves";
        assert_eq!(
            event(&Event::Did { name, words }),
            r#"{"t":"did","i":4711,"s":1795647048,"n":"ann","x":"waves"}"#
        );
        let words = "a \"b\" \\ <script> 老罗";
        assert_eq!(
            event(&Event::Said { name, words }),
            r#"{"t":"said","i":4711,"s":1795647048,"n":"ann","x":"a \"b\" \\ \u003cscript> 老罗"}"#
        );
    }

    #[test]
    fn presence_reads_as_the_contract_says() {
        let (ann, guest) = (&Name::parse("ann").unwrap(), &Name::guest(7));
        let games = &RoomName::parse("games").unwrap();
        let left = |words| Presence::Left {
            name: ann,
            words,
            here: 3,
        };
        let to = games;
        for (presence, expected) in [
            (
                Presence::Joined { name: ann, here: 4 },
                r#"{"t":"came","n":"ann","here":4}"#,
            ),
            (
                left("see you"),
                r#"{"t":"went","n":"ann","x":"see you","here":3}"#,
            ),
            (left(""), r#"{"t":"went","n":"ann","here":3}"#),
            (
                Presence::WentTo {
                    name: ann,
                    to,
                    here: 3,
                },
                r#"{"t":"went","n":"ann","to":"games","here":3}"#,
            ),
            (
                Presence::Renamed {
                    from: guest,
                    to: ann,
                },
                r#"{"t":"now","from":"guest7","n":"ann"}"#,
            ),
            (
                Presence::MoreJoined {
                    count: 37,
                    here: 412,
                },
                r#"{"t":"came","more":37,"here":412}"#,
            ),
            (
                Presence::MoreLeft {
                    count: 37,
                    here: 375,
                },
                r#"{"t":"went","more":37,"here":375}"#,
            ),
            (
                Presence::MoreRenamed { count: 37 },
                r#"{"t":"now","more":37}"#,
            ),
        ] {
            assert_eq!(event(&Event::Presence(presence)), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_and_has_no_markup(text: String) {
            let mut out = Vec::new();
            push_text(&mut out, &text);
            prop_assert!(!out.contains(&b'<'));
            prop_assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), Value::String(text));
        }

        #[test]
        fn the_past_comes_in_frames_of_a_bounded_size(lengths in prop::collection::vec(1_usize..4096, 0..60)) {
            let words: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
            let past = words.iter().enumerate().map(|(index, words)| Past {
                number: index as u64 + 1,
                wall_seconds: 7,
                name: "ann",
                acts: false,
                words,
            });
            let mut out = Vec::new();
            encode_history(past, &mut out);
            let (mut rest, mut read) = (&out[..], Vec::new());
            while let [0x81, length, tail @ ..] = rest {
                let (length, tail) = match length {
                    126 => (usize::from(u16::from_be_bytes([tail[0], tail[1]])), &tail[2..]),
                    short => (usize::from(*short), tail),
                };
                prop_assert!(length < OLD_BYTES_MAX + 4096 + 200);
                let frame: Value = serde_json::from_slice(&tail[..length]).unwrap();
                read.extend(frame["lines"].as_array().unwrap().iter().map(|line| line["x"].clone()));
                rest = &tail[length..];
            }
            prop_assert!(rest.is_empty());
            let expected: Vec<Value> = words.into_iter().map(Value::String).collect();
            prop_assert_eq!(read, expected);
        }
    }
}
