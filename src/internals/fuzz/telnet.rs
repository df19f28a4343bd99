//! A person's bytes: telnet commands, line ends, keys and text, however they are cut into packets.
//!
//! What the bytes mean is told by the slow decoder and the slow hygiene. A second room is then given the same in the
//! plainest form, and in both everybody must have heard the same.

use crate::dialect::Dialect;

use super::decoded::{decode, Meant};
use super::hygiene::{clean, shows_nothing};
use super::room::{Room, LINE_BYTES_MAX, REFERENCE_LINE_BYTES_MAX};

/// Longer inputs find nothing that shorter ones do not.
const INPUT_BYTES_MAX: usize = 300;

const IAC: u8 = 0xff;

/// A client shows nothing until its mark is answered.
const TIMING_MARK: u8 = 6;

/// The first byte says how long the packets are, and whether the first line is one of ours.
pub(super) fn check(input: &[u8]) {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let bytes = &bytes[..bytes.len().min(INPUT_BYTES_MAX)];
    let packet = usize::from(first & 0x3f) + 1;
    let is_known = first & 0x40 == 0;
    check_effects(bytes, packet, is_known);
    if is_known {
        let (_, understood) = decode(bytes, packet);
        compare(&bytes[..understood], packet);
    }
}

/// What holds whatever the bytes mean.
fn check_effects(bytes: &[u8], packet: usize, is_known: bool) {
    let mut room = Room::new(Dialect::Telnet, LINE_BYTES_MAX);
    if is_known {
        room.hear(b"/who\n");
    }
    for packet in bytes.chunks(packet) {
        room.hear(packet);
    }
    room.end();
    room.check_what_others_get();
    // A client that neither speaks telnet nor asks for editing gets plain text.
    if !bytes.contains(&IAC) && !bytes.contains(&b'/') {
        let answered = room.answered();
        assert!(!answered.contains(&IAC) && !answered.contains(&0x1b));
        assert!(std::str::from_utf8(answered).is_ok());
    }
}

fn compare(bytes: &[u8], packet: usize) {
    let mut room = Room::new(Dialect::Telnet, LINE_BYTES_MAX);
    room.hear(b"/who\n");
    for packet in bytes.chunks(packet) {
        room.hear(packet);
    }
    let (meant, understood) = decode(bytes, packet);
    assert_eq!(understood, bytes.len());
    let mut reference = Room::new(Dialect::Telnet, REFERENCE_LINE_BYTES_MAX);
    reference.hear(b"/who\n");
    let mut said = Vec::new();
    let mut too_long = Vec::new();
    let mut marks = 0;
    let mut unreadable = false;
    for meant in meant {
        if !reference.has_speaker() {
            break;
        }
        match meant {
            Meant::Leave => reference.hear(&[IAC, 0xec]),
            Meant::Command(command) => {
                marks += usize::from(command == [IAC, 0xfd, TIMING_MARK]);
                reference.hear(&command);
            }
            Meant::TooLong(bytes) => {
                too_long.push(format!(
                    "!! line too long: {bytes} bytes, at most {LINE_BYTES_MAX}; not sent"
                ));
                reference.hear(&[b'x'; REFERENCE_LINE_BYTES_MAX + 1]);
                reference.hear(b"\n");
            }
            Meant::Line(line) => {
                let clean = clean(&line);
                unreadable |= clean.unreadable;
                said.extend(words_to_be_heard(&clean.text));
                // What alters nothing else tells that something was altered.
                let mark = if clean.altered { "\u{200b}" } else { "" };
                reference.hear(format!("{}{mark}\r\n", clean.text).as_bytes());
            }
        }
    }
    assert_eq!(room.has_speaker(), reference.has_speaker());
    assert_eq!(
        shown(room.heard_by_person()),
        shown(reference.heard_by_person())
    );
    assert_eq!(
        shown(room.heard_by_program()),
        shown(reference.heard_by_program())
    );
    let (mut told, told_too_long) = told(room.answered());
    let before = told.len();
    told.retain(|line| !without_time(line).starts_with("!! what you type is not UTF-8"));
    assert_eq!(before - told.len(), usize::from(unreadable));
    assert_eq!(told, told_to(&reference));
    let told_too_long: Vec<&str> = told_too_long
        .iter()
        .map(|line| without_time(line))
        .collect();
    assert_eq!(told_too_long, too_long);
    let answers = room.answered().windows(3);
    let answers = answers.filter(|answer| *answer == [IAC, 0xfb, TIMING_MARK]);
    let answered = answers.count();
    // Those right behind the Ctrl-C that ends the session are answered, too.
    assert!(answered == marks || (answered > marks && !room.has_speaker()));
    assert_eq!(room.words_heard(), said);
}

/// What others hear of a line that is no other command than `/me`.
fn words_to_be_heard(text: &str) -> Option<String> {
    let slashes = [
        '/',
        '\u{2044}',
        '\u{2215}',
        '\u{2571}',
        '\u{27cb}',
        '\u{29f8}',
        '\u{ff0f}',
        '\u{1f67c}',
    ];
    let words = text.trim_start_matches(shows_nothing);
    let blanks = &text[..text.len() - words.len()];
    match words.strip_prefix(slashes) {
        None => (!text.is_empty()).then(|| text.to_owned()),
        Some(said) if said.starts_with(slashes) => Some(format!("{blanks}{said}")),
        Some(command) => {
            let (word, rest) = command.split_once(char::is_whitespace)?;
            let rest = rest.trim_start();
            (word.eq_ignore_ascii_case("me") && !rest.is_empty()).then(|| format!("/me {rest}"))
        }
    }
}

/// The lines that a session was told, without telnet's answers, and apart from them those that were too long.
fn told(answered: &[u8]) -> (Vec<String>, Vec<String>) {
    let mut text = Vec::new();
    let mut rest = answered;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = match byte {
            // An answer is an option and what becomes of it.
            IAC => behind.get(2..).expect("whole answers"),
            byte => {
                text.push(byte);
                behind
            }
        };
    }
    let text = String::from_utf8(text).expect("UTF-8");
    text.split_inclusive("\r\n")
        .map(|line| line.strip_suffix("\r\n").expect("whole lines").to_owned())
        .partition(|line| !without_time(line).starts_with("!! line too long: "))
}

/// The line behind the time of day that `/time on` puts before it.
fn without_time(line: &str) -> &str {
    let (time, behind) = line.split_at_checked(6).unwrap_or(("", line));
    let is_time = time.ends_with(' ') && time.as_bytes().get(2) == Some(&b':');
    if is_time {
        behind
    } else {
        line
    }
}

fn told_to(reference: &Room) -> Vec<String> {
    told(reference.answered()).0
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
