//! A client that talks as programs do (`docs/wire.md`).

use std::borrow::Cow;

use crate::dialect::message::{
    is_goodbye, may_be_key, may_be_name, Ask, Inexpressible, Message, Refusal,
};
use crate::dialect::wire;
use crate::ledger::CloseReason;

/// Adds the line that asks for this.
pub(in crate::dialect) fn encode(ask: Ask<'_>, out: &mut Vec<u8>) -> Result<(), Inexpressible> {
    match ask {
        Ask::Join { key, .. } | Ask::Name { key, .. } if !key.is_none_or(may_be_key) => {
            return Err(Inexpressible::MalformedKey);
        }
        Ask::Name { name, key: None } => wire::line(out, "NAME", &[name]),
        Ask::Name {
            name,
            key: Some(key),
        } => {
            // The key of a name stands there as it is.
            if !key.is_ascii() {
                return Err(Inexpressible::MalformedKey);
            }
            wire::line(out, "NAME", &[name]);
            out.pop();
            out.extend_from_slice(format!(" {key}\n").as_bytes());
        }
        Ask::Join { room, .. } if !may_be_name(room) => return Err(Inexpressible::MalformedName),
        Ask::Join { room, key: None } => wire::line(out, "JOIN", &[room]),
        Ask::Join {
            room,
            key: Some(key),
        } => wire::line(out, "JOIN", &[room, key]),
        Ask::Rooms => wire::line(out, "ROOMS", &[]),
        Ask::Keep(true) => wire::line(out, "KEEP", &[]),
        Ask::Keep(false) => wire::line(out, "UNKEEP", &[]),
        Ask::Words { name, words } => wire::line(out, "CHAT", &[name, words]),
        Ask::Tell { to, words } if may_be_name(to) => wire::line(out, "TELL", &[to, words]),
        Ask::Tell { .. } => return Err(Inexpressible::MalformedName),
        Ask::Watch(true) => out.extend_from_slice(b"WATCH on\n"),
        Ask::Watch(false) => out.extend_from_slice(b"WATCH off\n"),
        Ask::Who => wire::line(out, "WHO", &[]),
        Ask::Ping(token) => {
            let token = wire::token_of(token.as_bytes()).ok_or(Inexpressible::MalformedToken)?;
            out.extend_from_slice(format!("PING {token}\n").as_bytes());
        }
        Ask::Quit => wire::line(out, "QUIT", &[]),
    }
    Ok(())
}

/// Understands a line of a server. `scratch` holds what was decoded.
pub(in crate::dialect) fn parse<'a>(
    line: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Option<Message<'a>> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (verb, first) = (fields.next()?, fields.next()?);
    let rest = [fields.next(), fields.next(), fields.next()];
    Some(match (verb, first, rest) {
        (b"CHAT", name, [Some(words), None, None]) => {
            let (name, words) = two_texts(name, words, scratch)?;
            match wire::action(words) {
                Some(action) => Message::Did {
                    name: name.into(),
                    words: action.into(),
                },
                None => Message::Said {
                    name: name.into(),
                    words: words.into(),
                },
            }
        }
        (b"TELL", name, [Some(words), None, None]) => {
            let (name, words) = two_texts(name, words, scratch)?;
            Message::Told {
                name: name.into(),
                words: words.into(),
            }
        }
        (b"NAME", name, [None, None, None]) => Message::Named(text(name, scratch)?),
        (b"FAIL", words, [code, None, None]) => parse_fail(text(words, scratch)?, code),
        (b"PONG", token, [None, None, None]) => Message::Pong(wire::token_of(token)?.into()),
        (b"WATCH", b"on", [None, None, None]) => Message::Watching(true),
        (b"WATCH", b"off", [None, None, None]) => Message::Watching(false),
        (b"HERE", name, [None, None, None]) if wire::is_name(name) => {
            Message::Listed(text(name, scratch)?)
        }
        (b"HERE", count, [None, None, None]) => Message::Here(number(count)?),
        (b"JOIN", room, [None, None, None]) => Message::Entered(text(room, scratch)?),
        (b"ROOM", name, [Some(here), None, None]) => Message::Room {
            name: text(name, scratch)?,
            here: number(here)?,
        },
        (b"ROOMS", count, [None, None, None]) => Message::Rooms(number(count)?),
        (b"KEPT", name, [Some(key), None, None]) => Message::Kept {
            name: text(name, scratch)?,
            key: std::str::from_utf8(key).ok()?.into(),
        },
        (b"UNKEPT", name, [None, None, None]) => Message::KeptNoMore(text(name, scratch)?),
        (b"CAME" | b"WENT" | b"NOW", ..) => return parse_presence(verb, first, rest, scratch),
        _ => return None,
    })
}

/// Who came, went, or has another name.
fn parse_presence<'a>(
    verb: &[u8],
    first: &[u8],
    rest: [Option<&[u8]>; 3],
    scratch: &'a mut Vec<u8>,
) -> Option<Message<'a>> {
    Some(match (verb, first, rest) {
        (b"CAME", b"-", [Some(count), Some(here), None]) => Message::MoreJoined {
            count: number(count)?,
            here: number(here)?,
        },
        (b"CAME", name, [Some(here), None, None]) => Message::Joined {
            name: text(name, scratch)?,
            here: number(here)?,
        },
        (b"WENT", b"-", [Some(count), Some(here), None]) => Message::MoreLeft {
            count: number(count)?,
            here: number(here)?,
        },
        (b"WENT", name, [Some(here), None, None]) => Message::Left {
            name: text(name, scratch)?,
            words: "".into(),
            here: number(here)?,
        },
        (b"NOW", b"-", [Some(count), None, None]) => Message::MoreRenamed {
            count: number(count)?,
        },
        (b"NOW", from, [Some(to), None, None]) => {
            let (from, to) = two_texts(from, to, scratch)?;
            Message::Renamed {
                from: from.into(),
                to: to.into(),
            }
        }
        _ => return None,
    })
}

/// A refusal, or the farewell: then the code is the reason of the close.
fn parse_fail<'a>(words: Cow<'a, str>, code: Option<&[u8]>) -> Message<'a> {
    let code = code.and_then(|code| std::str::from_utf8(code).ok());
    let is_close = |code| CloseReason::ALL.iter().any(|known| known.as_str() == code);
    if is_goodbye(&words) || code.is_some_and(is_close) {
        return Message::Goodbye(words);
    }
    Message::Refused(Refusal::coded(words, code.unwrap_or_default()))
}

/// The text that a field stands for.
fn text<'a>(field: &[u8], scratch: &'a mut Vec<u8>) -> Option<Cow<'a, str>> {
    two_texts(field, b"", scratch).map(|(text, _)| text.into())
}

/// The texts that two fields stand for.
fn two_texts<'a>(
    first: &[u8],
    second: &[u8],
    scratch: &'a mut Vec<u8>,
) -> Option<(&'a str, &'a str)> {
    scratch.clear();
    wire::decode_into(first, scratch)?;
    let first_end = scratch.len();
    wire::decode_into(second, scratch)?;
    let (first, second) = scratch.split_at(first_end);
    let (first, second) = (std::str::from_utf8(first), std::str::from_utf8(second));
    Some((first.ok()?, second.ok()?))
}

/// A count.
fn number(field: &[u8]) -> Option<usize> {
    let digits = field.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(field).ok().filter(|_| digits);
    text.and_then(|text| text.parse().ok())
}
