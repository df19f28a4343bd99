//! The line protocol of programs: `NAME`, `CHAT`, `PING` and `QUIT`, with values in base64 (RFC 4648, section 4).
//!
//! Fields are separated by exactly one space, so a line has one reading.

use std::fmt::Display;

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;

use crate::dialect::command::{Refusal, WireUsage};
use crate::dialect::event::{Event, Reply};
use crate::ledger::CloseReason;
use crate::name::Name;

/// Words that begin so are an action, in both directions.
const ACTION: &str = "/me ";

/// The token of a `PING` is at most so long.
const TOKEN_BYTES_MAX: usize = 64;

/// What a program asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// Take this name; it is not known yet whether it is one.
    Name(Vec<u8>),
    /// Say these words, which are not clean yet, to everybody else.
    Chat(Vec<u8>),
    /// Answer with this token.
    Ping(&'a str),
    /// Close.
    Quit,
}

/// How long a line may be so that its decoded words can be `words_bytes_max` long, with some room for a name.
pub(super) fn line_bytes_max(words_bytes_max: usize) -> usize {
    words_bytes_max.div_ceil(3) * 4 + 512
}

/// Understands a line. `None` is an empty line.
///
/// # Errors
/// A [`Refusal`] says what is wrong with it.
pub(crate) fn parse(line: &[u8]) -> Result<Option<Request<'_>>, Refusal> {
    if line.is_empty() {
        return Ok(None);
    }
    let mut fields = line.split(|byte| *byte == b' ');
    let verb = fields.next().unwrap_or_default();
    let arguments = [fields.next(), fields.next(), fields.next()];
    let (request, usage) = match (verb, arguments) {
        (b"NAME", [Some(name), None, None]) => (decode(name).map(Request::Name), WireUsage::Name),
        (b"NAME", _) => (None, WireUsage::Name),
        // The server knows who speaks, so the name is not even decoded.
        (b"CHAT", [Some(_), Some(words), None]) => {
            (decode(words).map(Request::Chat), WireUsage::Chat)
        }
        (b"CHAT", _) => (None, WireUsage::Chat),
        (b"PING", [Some(token), None, None]) => {
            (token_of(token).map(Request::Ping), WireUsage::Ping)
        }
        (b"PING", _) => (None, WireUsage::Ping),
        (b"QUIT", [None, None, None]) => (Some(Request::Quit), WireUsage::Quit),
        (b"QUIT", _) => (None, WireUsage::Quit),
        _ => return Err(Refusal::NoSuchVerb),
    };
    request.map(Some).ok_or(Refusal::WireUsage(usage))
}

/// Tells words that are an action from words that are said.
pub(crate) fn action(words: &str) -> Option<&str> {
    words.strip_prefix(ACTION).map(str::trim_start)
}

/// Whether the words, which are clean, are an action with nothing done.
pub(crate) fn is_bare_action(words: &str) -> bool {
    words == ACTION.trim_end()
}

/// Adds what the room hears. Presence does not reach programs.
pub(crate) fn encode_event(event: &Event<'_>, out: &mut Vec<u8>) {
    match *event {
        Event::Said { name, words } => chat(out, name, words),
        Event::Did { name, words } => chat(out, name, &format!("{ACTION}{words}")),
        Event::Joined { .. }
        | Event::Left { .. }
        | Event::Renamed { .. }
        | Event::MoreJoined { .. }
        | Event::MoreLeft { .. } => {}
    }
}

/// Adds what one session is told.
pub(crate) fn encode_reply(reply: &Reply<'_>, out: &mut Vec<u8>) {
    match reply {
        Reply::YouAre(name) => line(out, "NAME", &[&name.text()]),
        Reply::Pong(token) => out.extend_from_slice(format!("PONG {token}\n").as_bytes()),
        Reply::Refused(refusal) => fail(out, refusal),
        Reply::Farewell(farewell) if farewell.reason != CloseReason::Quit => {
            if let Some(words) = farewell.words() {
                fail(out, words);
            }
        }
        Reply::Farewell(_)
        | Reply::Welcome(_)
        | Reply::YouDid { .. }
        | Reply::Told { .. }
        | Reply::YouTold { .. }
        | Reply::Help(_)
        | Reply::Note(_) => {}
    }
}

fn chat(out: &mut Vec<u8>, name: &Name, words: &str) {
    line(out, "CHAT", &[&name.text(), words]);
}

fn fail(out: &mut Vec<u8>, reason: impl Display) {
    line(out, "FAIL", &[&reason.to_string()]);
}

/// Adds a line of a verb and its values.
pub(crate) fn line(out: &mut Vec<u8>, verb: &str, values: &[&str]) {
    out.extend_from_slice(verb.as_bytes());
    for value in values {
        out.push(b' ');
        encode(value.as_bytes(), out);
    }
    out.push(b'\n');
}

/// Adds the base64 of `bytes`, without an allocation of its own.
fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = BASE64.encode_slice(bytes, &mut out[start..]);
    debug_assert_eq!(
        written,
        Ok(out.len() - start),
        "there is room for all of it"
    );
}

/// Adds the bytes that a value stands for; `None` if it is not base64 with padding.
pub(super) fn decode_into(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    BASE64.decode_vec(value, out).ok()
}

/// The bytes that a value stands for; `None` if it is not base64 with padding.
pub(crate) fn decode(value: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(value).ok()
}

/// The token of a `PING`, if it is one.
pub(super) fn token_of(token: &[u8]) -> Option<&str> {
    let fits =
        (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.iter().all(u8::is_ascii_graphic);
    fits.then(|| std::str::from_utf8(token).ok()).flatten()
}

/// Whether the words have no line end in them.
pub(crate) fn is_one_line(words: &[u8]) -> bool {
    !words.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}
