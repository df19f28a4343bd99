//! The line protocol of programs, with values in base64 (RFC 4648, section 4); `docs/wire.md` is for those who speak it.
//!
//! Fields are separated by exactly one space, so a line has one reading.

use std::fmt::Display;

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;

use crate::dialect::commands::is_key;
use crate::dialect::event::{Event, Here, Note, Presence, Reply, RoomList};
use crate::dialect::foreign::{self, Opening};
use crate::dialect::input::{Context, Input};
use crate::dialect::line::{Line, LineBuffer};
use crate::dialect::message::is_one_word;
use crate::dialect::request::{Refusal, Request};
use crate::hygiene;
use crate::ledger::CloseReason;
use crate::name::Name;
use crate::room_name::RoomName;

/// Words that begin so are an action, in both directions.
const ACTION: &str = "/me ";

/// Who says what the server says unasked; nobody else can have this name.
const SERVER: &str = "chatd";

/// What stands in place of a name in a sum.
const NOBODY: &str = "-";

/// The token of a `PING` has at most this many bytes.
const TOKEN_BYTES_MAX: usize = 64;

/// How the lines of a program are made.
const NAME: &str = "NAME B64(name) [KEY]";
const CHAT: &str = "CHAT B64(name) B64(words)";
const TELL: &str = "TELL B64(name) B64(words)";
const WATCH: &str = "WATCH on|off";
const WHO: &str = "WHO";
const JOIN: &str = "JOIN B64(room) [B64(key)]";
const ROOMS: &str = "ROOMS";
const KEEP: &str = "KEEP";
const UNKEEP: &str = "UNKEEP";
const PING: &str = "PING TOKEN";
const QUIT: &str = "QUIT";

/// How long a line may be so that its decoded words can be `words_bytes_max` long, with some room for a name.
pub(super) fn line_bytes_max(words_bytes_max: usize) -> usize {
    words_bytes_max.div_ceil(3) * 4 + 512
}

/// How long the line is that lists a name of this length.
pub(super) fn listed_bytes(name_bytes: usize) -> usize {
    "HERE \n".len() + name_bytes.div_ceil(3) * 4
}

/// What a program has sent and is not understood yet, and what it wants to hear.
#[derive(Debug, Default)]
pub(crate) struct Codec {
    opening: Opening,
    lines: LineBuffer,
    /// It hears who comes and goes, and what the server says unasked.
    watching: bool,
}

impl Codec {
    /// Takes bytes from `input` until they ask for something; `None` when they are used up. `scratch` lends room for
    /// the words of a request.
    pub(super) fn next<'a>(
        &mut self,
        input: &mut &[u8],
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Option<Input<'a>> {
        let line_bytes_max = line_bytes_max(context.words_bytes_max);
        let begun = *context.lines_in > 0;
        let foreign = (self.opening).judge(&self.lines, input, begun, line_bytes_max);
        if foreign.is_some() {
            return foreign;
        }
        let length = input.len();
        let line = self.lines.next(input, line_bytes_max, None);
        self.opening.handle_taken(length - input.len());
        let Some(line) = line else {
            return foreign::judge_unfinished(&self.lines, begun);
        };
        Some(understand(&line, line_bytes_max, scratch, context))
    }

    /// What the last line asks for, of a stream that has ended without a line end.
    pub(super) fn finish<'a>(
        &mut self,
        scratch: &'a mut String,
        context: &mut Context<'_>,
    ) -> Option<Input<'a>> {
        let line = self.lines.finish()?;
        let line_bytes_max = line_bytes_max(context.words_bytes_max);
        Some(understand(&line, line_bytes_max, scratch, context))
    }

    pub(super) fn is_watching(&self) -> bool {
        self.watching
    }

    pub(super) fn set_watching(&mut self, on: bool) {
        self.watching = on;
    }

    /// Adds what this session alone is told.
    pub(super) fn encode_reply(&self, reply: &Reply<'_>, out: &mut Vec<u8>) {
        match reply {
            Reply::Note(Note::YouAre(name) | Note::Named(name)) => {
                line(out, "NAME", &[&name.text()]);
            }
            Reply::Note(Note::RoomClosed { .. }) => {
                line(out, "JOIN", &[RoomName::lobby().text()]);
            }
            Reply::Note(Note::Moved { to, .. }) => line(out, "JOIN", &[to.text()]),
            Reply::Note(Note::Kept { name, key, .. }) => {
                line(out, "KEPT", &[&name.text()]);
                out.pop();
                push_field(out, key);
                out.push(b'\n');
            }
            Reply::Note(Note::KeptNoMore(name)) => line(out, "UNKEPT", &[&name.text()]),
            Reply::Note(note) if self.watching && note.is_unasked() => {
                line(out, "TELL", &[SERVER, &note.to_string()]);
            }
            Reply::Told { from, words, .. } => line(out, "TELL", &[&from.text(), words]),
            Reply::Here(here) => encode_here(here, out),
            Reply::Rooms(rooms) => encode_rooms(rooms, out),
            Reply::Watching(on) => {
                out.extend_from_slice(if *on { b"WATCH on\n" } else { b"WATCH off\n" });
            }
            Reply::Refused(refusal) => fail(out, refusal, refusal.code()),
            Reply::Farewell(farewell) if farewell.reason != CloseReason::Quit => {
                if let Some(words) = farewell.words() {
                    fail(out, words, farewell.reason.as_str());
                }
            }
            Reply::Arrived(_)
            | Reply::Gap
            | Reply::Farewell(_)
            | Reply::Note(_)
            | Reply::YouDid { .. }
            | Reply::YouTold { .. }
            | Reply::Past(_) => {}
        }
    }

    /// Bytes of input that are kept.
    pub(super) fn buffered(&self) -> usize {
        self.lines.partial().len()
    }

    /// Forgets the unfinished line.
    pub(super) fn clear(&mut self) {
        self.lines.clear();
    }
}

fn understand<'a>(
    line: &Line<'_>,
    line_bytes_max: usize,
    scratch: &'a mut String,
    context: &mut Context<'_>,
) -> Input<'a> {
    let line = match foreign::admit(line, context.lines_in, line_bytes_max, foreign::judge) {
        Ok(line) => line,
        Err(input) => return input,
    };
    if line.is_empty() {
        return Input::Blank;
    }
    match parse(line, context, scratch) {
        Ok(None) => Input::Answered,
        Ok(Some(request)) => Input::Request(request),
        Err(refusal) => Input::Refused(refusal),
    }
}

/// Understands a line. `None` is what was answered by itself.
fn parse<'a>(
    line: &[u8],
    context: &mut Context<'_>,
    scratch: &'a mut String,
) -> Result<Option<Request<'a>>, Refusal> {
    let mut fields = line.split(|byte| *byte == b' ');
    let verb = fields.next().unwrap_or_default();
    match (verb, [fields.next(), fields.next(), fields.next()]) {
        (b"NAME", [Some(name), key, None]) => {
            let usage = || Refusal::WireUsage(NAME);
            let name = decode(name).ok_or_else(usage)?;
            let key = key.map(|key| token_of(key).ok_or_else(usage)).transpose()?;
            let name = std::str::from_utf8(&name).map_err(|_| Refusal::MalformedName)?;
            let Some(key) = key else {
                return Ok(Some(Request::TakeName(Name::parse(name)?)));
            };
            scratch.clear();
            scratch.push_str(key);
            let name = Name::parse_kept(name)?;
            Ok(Some(Request::TakeKept { name, key: scratch }))
        }
        (b"NAME", _) => Err(Refusal::WireUsage(NAME)),
        // The server knows who speaks, so the name is not even decoded.
        (b"CHAT", [Some(_), Some(words), None]) => {
            let words = decode(words).ok_or(Refusal::WireUsage(CHAT))?;
            parse_words(&words, context.words_bytes_max, scratch).map(Some)
        }
        (b"CHAT", _) => Err(Refusal::WireUsage(CHAT)),
        (b"TELL", [Some(to), Some(words), None]) => {
            let to = decode(to).ok_or(Refusal::WireUsage(TELL))?;
            let words = decode(words).ok_or(Refusal::WireUsage(TELL))?;
            parse_private(&to, &words, context.words_bytes_max, scratch).map(Some)
        }
        (b"TELL", _) => Err(Refusal::WireUsage(TELL)),
        (b"WATCH", [Some(b"on"), None, None]) => Ok(Some(Request::Watch(true))),
        (b"WATCH", [Some(b"off"), None, None]) => Ok(Some(Request::Watch(false))),
        (b"WATCH", _) => Err(Refusal::WireUsage(WATCH)),
        (b"WHO", [None, None, None]) => Ok(Some(Request::Who(None))),
        (b"WHO", _) => Err(Refusal::WireUsage(WHO)),
        (b"JOIN", [Some(room), key, None]) => {
            let room = decode(room).ok_or(Refusal::WireUsage(JOIN))?;
            let key = match key {
                None => None,
                Some(key) => Some(decode(key).ok_or(Refusal::WireUsage(JOIN))?),
            };
            parse_join(&room, key.as_deref(), scratch).map(Some)
        }
        (b"JOIN", _) => Err(Refusal::WireUsage(JOIN)),
        (b"ROOMS", [None, None, None]) => Ok(Some(Request::Rooms)),
        (b"ROOMS", _) => Err(Refusal::WireUsage(ROOMS)),
        (b"KEEP", [None, None, None]) => Ok(Some(Request::Keep)),
        (b"KEEP", _) => Err(Refusal::WireUsage(KEEP)),
        (b"UNKEEP", [None, None, None]) => Ok(Some(Request::Unkeep)),
        (b"UNKEEP", _) => Err(Refusal::WireUsage(UNKEEP)),
        (b"PING", [Some(token), None, None]) => {
            let token = token_of(token).ok_or(Refusal::WireUsage(PING))?;
            context.out.extend_from_slice(b"PONG ");
            context.out.extend_from_slice(token.as_bytes());
            context.out.push(b'\n');
            Ok(None)
        }
        (b"PING", _) => Err(Refusal::WireUsage(PING)),
        (b"QUIT", [None, None, None]) => Ok(Some(Request::Quit(""))),
        (b"QUIT", _) => Err(Refusal::WireUsage(QUIT)),
        _ => Err(Refusal::NoSuchVerb),
    }
}

/// Understands the words of a program: to be said, or an action.
fn parse_words<'a>(
    words: &[u8],
    bytes_max: usize,
    scratch: &'a mut String,
) -> Result<Request<'a>, Refusal> {
    scratch.clear();
    clean_words(words, bytes_max, scratch)?;
    // Cleaning takes the space off an action without words, which must not become words itself.
    if scratch.is_empty() || is_bare_action(scratch) {
        return Err(Refusal::NoText);
    }
    Ok(match action(scratch) {
        Some(words) => Request::Act(words),
        None => Request::Say(scratch),
    })
}

/// Understands a private message, whose words are plain whatever they begin with.
fn parse_private<'a>(
    to: &[u8],
    words: &[u8],
    bytes_max: usize,
    scratch: &'a mut String,
) -> Result<Request<'a>, Refusal> {
    let name = hygiene::clean(to);
    // A name is never silently changed.
    if name.altered || !is_one_word(&name.text) {
        return Err(Refusal::MalformedName);
    }
    scratch.clear();
    scratch.push_str(&name.text);
    let name_bytes = scratch.len();
    clean_words(words, bytes_max, scratch)?;
    match scratch.split_at(name_bytes) {
        (_, "") => Err(Refusal::NoText),
        (to, words) => Ok(Request::Tell { to, words }),
    }
}

/// Understands where a program wants to go.
fn parse_join<'a>(
    room: &[u8],
    key: Option<&[u8]>,
    scratch: &'a mut String,
) -> Result<Request<'a>, Refusal> {
    let room = hygiene::clean(room);
    // A name is never silently changed.
    if room.altered || room.unreadable {
        return Err(Refusal::MalformedRoom);
    }
    let room = RoomName::parse(&room.text).map_err(|error| Refusal::of_room(&error))?;
    let key = match key {
        None => None,
        Some(key) => {
            let key = hygiene::clean(key);
            if key.unreadable || !is_key(&key.text) {
                return Err(Refusal::WireUsage(JOIN));
            }
            scratch.clear();
            scratch.push_str(&key.text);
            Some(scratch.as_str())
        }
    };
    Ok(Request::Join { room, key })
}

/// Adds words as everybody may see them.
fn clean_words(words: &[u8], bytes_max: usize, out: &mut String) -> Result<(), Refusal> {
    if words.len() > bytes_max {
        return Err(Refusal::LineTooLong {
            bytes: words.len(),
            bytes_max,
        });
    }
    if !is_one_line(words) {
        return Err(Refusal::SeveralLines);
    }
    out.push_str(&hygiene::clean(words).text);
    Ok(())
}

/// Tells words that are an action from words that are said.
pub(super) fn action(words: &str) -> Option<&str> {
    words.strip_prefix(ACTION).map(str::trim_start)
}

/// Whether the words, which are clean, are an action with nothing done.
pub(super) fn is_bare_action(words: &str) -> bool {
    words == ACTION.trim_end()
}

/// Adds what the room hears. Presence reaches only those who watch.
pub(super) fn encode_event(event: &Event<'_>, watching: bool, out: &mut Vec<u8>) {
    match *event {
        Event::Said { name, words } | Event::Noticed { name, words } => {
            line(out, "CHAT", &[&name.text(), words]);
        }
        Event::Did { name, words } => {
            line(out, "CHAT", &[&name.text(), &format!("{ACTION}{words}")]);
        }
        Event::Presence(presence) if watching => encode_presence(&presence, out),
        Event::Announced { before, words, .. } if watching => {
            line(out, "TELL", &[SERVER, &format!("{before}{words}")]);
        }
        Event::Presence(_) | Event::Operator { .. } | Event::Announced { .. } => {}
    }
}

/// Adds who came, went or has another name.
fn encode_presence(presence: &Presence<'_>, out: &mut Vec<u8>) {
    match *presence {
        Presence::Joined { name, here } => told(out, "CAME", &[&name.text()], &[here]),
        Presence::Left { name, here, .. }
        | Presence::Parted { name, here, .. }
        | Presence::WentTo { name, here, .. } => {
            told(out, "WENT", &[&name.text()], &[here]);
        }
        Presence::Renamed { from, to } => told(out, "NOW", &[&from.text(), &to.text()], &[]),
        Presence::MoreJoined { count, here } => told(out, "CAME", &[], &[count, here]),
        Presence::MoreLeft { count, here } => told(out, "WENT", &[], &[count, here]),
        Presence::MoreRenamed { count } => told(out, "NOW", &[], &[count]),
    }
}

/// Adds a line that tells of these names, or of a sum, and counts.
fn told(out: &mut Vec<u8>, verb: &str, names: &[&str], counts: &[usize]) {
    line(out, verb, names);
    out.pop();
    if names.is_empty() {
        push_field(out, NOBODY);
    }
    for count in counts {
        push_field(out, &count.to_string());
    }
    out.push(b'\n');
}

/// Adds those who are here, and behind the last of them how many there are.
fn encode_here(here: &Here<'_>, out: &mut Vec<u8>) {
    for listed in here.listed {
        line(out, "HERE", &[&listed.name.text()]);
    }
    if here.listening.is_some() {
        let mut count = here.count.to_string();
        // The digits of some numbers (5460) are the base64 of a name, so these have a zero before them.
        if is_name(count.as_bytes()) {
            count.insert(0, '0');
        }
        out.extend_from_slice(b"HERE");
        push_field(out, &count);
        out.push(b'\n');
    }
}

/// Adds rooms and how many are in each, and behind the last of them how many there are.
fn encode_rooms(rooms: &RoomList<'_>, out: &mut Vec<u8>) {
    for room in rooms.listed {
        line(out, "ROOM", &[room.name.text()]);
        out.pop();
        push_field(out, &room.here.to_string());
        out.push(b'\n');
    }
    if rooms.ends {
        out.extend_from_slice(b"ROOMS");
        push_field(out, &rooms.count.to_string());
        out.push(b'\n');
    }
}

/// Whether a field is the base64 of text, and so a name and no count.
pub(super) fn is_name(field: &[u8]) -> bool {
    decode(field).is_some_and(|name| std::str::from_utf8(&name).is_ok())
}

fn fail(out: &mut Vec<u8>, reason: impl Display, code: &str) {
    line(out, "FAIL", &[&reason.to_string()]);
    out.pop();
    push_field(out, code);
    out.push(b'\n');
}

/// Adds a field that is not base64.
fn push_field(out: &mut Vec<u8>, field: &str) {
    out.push(b' ');
    out.extend_from_slice(field.as_bytes());
}

/// Adds a line of a verb and its values.
pub(super) fn line(out: &mut Vec<u8>, verb: &str, values: &[&str]) {
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
pub(super) fn decode(value: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(value).ok()
}

/// The token of a `PING`, if it is one.
pub(super) fn token_of(token: &[u8]) -> Option<&str> {
    let fits =
        (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.iter().all(u8::is_ascii_graphic);
    fits.then(|| std::str::from_utf8(token).ok()).flatten()
}

/// Whether the words have no line end in them.
pub(super) fn is_one_line(words: &[u8]) -> bool {
    !words.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}
