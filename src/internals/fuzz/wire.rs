//! A program's bytes: lines, fields and base64, however they are cut into packets.

use crate::dialect::Dialect;

use super::hygiene::clean;
use super::room::{Room, LINE_BYTES_MAX, REFERENCE_LINE_BYTES_MAX};

const INPUT_BYTES_MAX: usize = 1500;

/// So that the decoded words can be as long as a line, with some room for a name.
const WIRE_LINE_BYTES_MAX: usize = LINE_BYTES_MAX.div_ceil(3) * 4 + 512;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The first byte says how long the packets are.
pub(super) fn check(input: &[u8]) {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let bytes = &bytes[..bytes.len().min(INPUT_BYTES_MAX)];
    let mut room = Room::new(Dialect::Wire, LINE_BYTES_MAX);
    // A first line of another protocol would be the end.
    room.hear(b"PING begin\n");
    for packet in bytes.chunks(usize::from(first) + 1) {
        room.hear(packet);
    }
    room.check_what_others_get();

    let mut reference = Reference::new();
    for line in lines(bytes) {
        if reference.room.has_speaker() {
            reference.obey(&line);
        }
    }
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    assert_eq!(shown(room.answered()), shown(&reference.answers));
    assert_eq!(room.words_heard(), reference.said);
    assert_eq!(room.has_speaker(), reference.room.has_speaker());
    assert_eq!(
        shown(room.heard_by_person()),
        shown(reference.room.heard_by_person())
    );
    assert_eq!(
        shown(room.heard_by_program()),
        shown(reference.room.heard_by_program())
    );
}

/// The whole lines of a stream, cut at LF, CR LF, CR NUL and CR.
fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut line = Vec::new();
    let mut last = None;
    for &byte in bytes {
        match (last.replace(byte), byte) {
            (Some(b'\r'), b'\n' | 0) => last = None,
            (_, b'\n' | b'\r') => found.push(std::mem::take(&mut line)),
            (_, byte) => line.push(byte),
        }
    }
    found
}

/// What a program is answered, line by line; what is understood goes on to a second room in its plainest form.
struct Reference {
    room: Room,
    answers: Vec<u8>,
    said: Vec<String>,
}

impl Reference {
    fn new() -> Self {
        Self {
            room: Room::new(Dialect::Wire, REFERENCE_LINE_BYTES_MAX),
            answers: b"PONG begin\n".to_vec(),
            said: Vec::new(),
        }
    }

    fn obey(&mut self, line: &[u8]) {
        if line.len() > WIRE_LINE_BYTES_MAX {
            return self.fail_too_long(line.len(), WIRE_LINE_BYTES_MAX);
        }
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        match fields[..] {
            [b""] => {}
            [b"QUIT"] => self.pass_on("QUIT\n"),
            [b"QUIT", ..] => self.fail("usage: QUIT", "usage"),
            [b"PING", token] if is_token(token) => {
                self.answers.extend([b"PONG ", token, b"\n"].concat());
            }
            [b"PING", ..] => self.fail("usage: PING TOKEN", "usage"),
            [b"NAME", name] => match decode(name) {
                Some(name) => self.pass_on(&format!("NAME {}\n", encode(&name))),
                None => self.fail("usage: NAME B64(name) [KEY]", "usage"),
            },
            [b"NAME", name, key] => match decode(name).filter(|_| is_token(key)) {
                Some(name) => {
                    let key = String::from_utf8_lossy(key);
                    self.pass_on(&format!("NAME {} {key}\n", encode(&name)));
                }
                None => self.fail("usage: NAME B64(name) [KEY]", "usage"),
            },
            [b"NAME", ..] => self.fail("usage: NAME B64(name) [KEY]", "usage"),
            [b"KEEP"] => self.pass_on("KEEP\n"),
            [b"KEEP", ..] => self.fail("usage: KEEP", "usage"),
            [b"UNKEEP"] => self.pass_on("UNKEEP\n"),
            [b"UNKEEP", ..] => self.fail("usage: UNKEEP", "usage"),
            [b"CHAT", _, words] => match decode(words) {
                Some(words) => self.say(&words),
                None => self.fail("usage: CHAT B64(name) B64(words)", "usage"),
            },
            [b"CHAT", ..] => self.fail("usage: CHAT B64(name) B64(words)", "usage"),
            [b"TELL", to, words] => match (decode(to), decode(words)) {
                (Some(to), Some(words)) => self.tell(&to, &words),
                _ => self.fail("usage: TELL B64(name) B64(words)", "usage"),
            },
            [b"TELL", ..] => self.fail("usage: TELL B64(name) B64(words)", "usage"),
            [b"WATCH", b"on"] => self.pass_on("WATCH on\n"),
            [b"WATCH", b"off"] => self.pass_on("WATCH off\n"),
            [b"WATCH", ..] => self.fail("usage: WATCH on|off", "usage"),
            [b"WHO"] => self.pass_on("WHO\n"),
            [b"WHO", ..] => self.fail("usage: WHO", "usage"),
            _ => self.fail(
                "no such command: a line begins with NAME, CHAT, TELL, JOIN, ROOMS, KEEP, UNKEEP, WATCH, WHO, PING or QUIT",
                "unknown",
            ),
        }
    }

    fn say(&mut self, words: &[u8]) {
        if words.len() > LINE_BYTES_MAX {
            return self.fail_too_long(words.len(), LINE_BYTES_MAX);
        }
        if words.contains(&b'\n') || words.contains(&b'\r') {
            return self.fail("a message is one line; not sent", "several-lines");
        }
        let text = clean(words).text;
        let done = text.strip_prefix("/me ").map(str::trim_start);
        if ["", "/me"].contains(&&*text) {
            return self.fail("you have no text to send", "no-text");
        }
        self.said
            .push(done.map_or_else(|| text.clone(), |done| format!("/me {done}")));
        self.pass_on(&format!("CHAT AA== {}\n", encode(text.as_bytes())));
    }

    fn tell(&mut self, to: &[u8], words: &[u8]) {
        let to = clean(to);
        if to.altered || to.text.is_empty() || to.text.contains(char::is_whitespace) {
            let reason =
                "a name is 1 to 24 letters, digits or _ - . and begins with a letter or digit";
            return self.fail(reason, "malformed-name");
        }
        if words.len() > LINE_BYTES_MAX {
            return self.fail_too_long(words.len(), LINE_BYTES_MAX);
        }
        if words.contains(&b'\n') || words.contains(&b'\r') {
            return self.fail("a message is one line; not sent", "several-lines");
        }
        let text = clean(words).text;
        if text.is_empty() {
            return self.fail("you have no text to send", "no-text");
        }
        let [to, words] = [&to.text, &text].map(|text| encode(text.as_bytes()));
        self.pass_on(&format!("TELL {to} {words}\n"));
    }

    fn pass_on(&mut self, line: &str) {
        let before = self.room.answered().len();
        self.room.hear(line.as_bytes());
        self.answers.extend(&self.room.answered()[before..]);
    }

    fn fail(&mut self, reason: &str, code: &str) {
        let reason = encode(reason.as_bytes());
        self.answers
            .extend(format!("FAIL {reason} {code}\n").bytes());
    }

    fn fail_too_long(&mut self, bytes: usize, bytes_max: usize) {
        let reason = format!("line too long: {bytes} bytes, at most {bytes_max}; not sent");
        self.fail(&reason, "too-long");
    }
}

fn is_token(token: &[u8]) -> bool {
    !token.is_empty() && token.len() <= 64 && token.iter().all(|byte| (b'!'..=b'~').contains(byte))
}

/// Base64 bit by bit (RFC 4648, section 4).
fn encode(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let mut text: String = bits
        .chunks(6)
        .map(|six| {
            let value = (0..6).fold(0, |value, bit| value << 1 | six.get(bit).unwrap_or(&0));
            char::from(ALPHABET[usize::from(value)])
        })
        .collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// Only what [`encode`] would write is taken.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .iter()
        .take_while(|byte| **byte != b'=')
        .map(|byte| {
            ALPHABET
                .iter()
                .position(|known| known == byte)
                .map(|at| at as u8)
        })
        .collect::<Option<_>>()?;
    let bits: Vec<u8> = digits
        .iter()
        .flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1))
        .collect();
    let bytes: Vec<u8> = bits
        .chunks_exact(8)
        .map(|eight| eight.iter().fold(0, |byte, bit| byte << 1 | bit))
        .collect();
    (encode(&bytes).as_bytes() == text).then_some(bytes)
}
