//! An IRC client's bytes: at the door, and then as a session, however they are cut into packets; and what it says, against
//! a reader that takes one character after the other.

use crate::dialect::Dialect;
use crate::dialect::{House, Opening, Preface};

use super::hygiene::clean;
use super::room::{Room, LINE_BYTES_MAX};

const INPUT_BYTES_MAX: usize = 1200;

/// How it comes in.
const COMES: &[u8] = b"NICK bob\r\nUSER bob 0 * :x\r\n";

/// The first byte says how long the packets are.
pub(super) fn check(input: &[u8]) {
    let Some((&first, bytes)) = input.split_first() else {
        return;
    };
    let bytes = &bytes[..bytes.len().min(INPUT_BYTES_MAX)];
    let packet = usize::from(first) + 1;
    assert_eq!(at_the_door(bytes, packet), at_the_door(bytes, 1));
    let (room, other) = (session(bytes, packet), session(bytes, 1));
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    assert_eq!(shown(room.answered()), shown(other.answered()));
    assert_eq!(
        shown(room.heard_by_person()),
        shown(other.heard_by_person())
    );
    assert_eq!(
        shown(room.heard_by_program()),
        shown(other.heard_by_program())
    );
    check_lines(room.answered());
    room.check_what_others_get();
    if let Some(said) = said(bytes) {
        assert_eq!(room.words_heard(), said);
    }
}

/// What a client is answered before it is a session, and whether it becomes one or goes.
fn at_the_door(bytes: &[u8], packet: usize) -> (String, bool, bool) {
    let house = House::default();
    let mut preface = Preface::of(Dialect::Irc).expect("it has a door");
    let (mut waiting, mut answered) = (Vec::new(), Vec::new());
    for packet in bytes.chunks(packet) {
        waiting.extend_from_slice(packet);
        let Some(asked) = preface.next(&mut waiting, &house, 6667) else {
            continue;
        };
        answered.extend_from_slice(&asked.answer.head);
        let goes = asked.answer.is_last || asked.rejected.is_some();
        if goes || asked.opening.is_some() {
            check_lines(&answered);
            let answered = answered.escape_ascii().to_string();
            return (answered, goes, asked.opening.is_some());
        }
    }
    check_lines(&answered);
    (answered.escape_ascii().to_string(), false, false)
}

fn session(bytes: &[u8], packet: usize) -> Room {
    let mut preface = Preface::of(Dialect::Irc).expect("it has a door");
    let asked = preface.next(&mut COMES.to_vec(), &House::default(), 6667);
    let opening: Option<Opening> = asked.and_then(|asked| asked.opening);
    let mut room = Room::opened(opening.expect("it has registered"), LINE_BYTES_MAX);
    // A first line of another protocol would be the end.
    room.hear(b"JOIN #lobby\r\n");
    for packet in bytes.chunks(packet) {
        room.hear(packet);
    }
    room
}

/// What a client gets is lines, none of them too long.
fn check_lines(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    for line in text.split_inclusive('\n') {
        let told = line.strip_suffix("\r\n").expect("whole lines");
        assert!(!told.contains(['\r', '\n']), "{line:?}");
        let untimed = match told.strip_prefix("@time=") {
            Some(timed) => timed.split_once(' ').expect("a line").1,
            None => told,
        };
        assert!(untimed.len() <= 510, "{line:?}");
        let begins = [":", "ERROR :", "PING :"];
        assert!(begins.iter().any(|it| untimed.starts_with(it)), "{line:?}");
    }
}

/// What it says in the lobby; `None` if it goes elsewhere meanwhile.
fn said(bytes: &[u8]) -> Option<Vec<String>> {
    let mut said = Vec::new();
    for line in lines(bytes) {
        let Ok(line) = String::from_utf8(line) else {
            continue;
        };
        let mut rest = &*line;
        let mut words = Vec::new();
        loop {
            rest = rest.trim_start_matches(' ');
            if rest.is_empty() {
                break;
            }
            if words.len() == 14 || !words.is_empty() && rest.starts_with(':') {
                words.push(rest.strip_prefix(':').unwrap_or(rest));
                break;
            }
            let end = rest.find(' ').unwrap_or(rest.len());
            words.push(&rest[..end]);
            rest = &rest[end..];
            let is_before = |word: &str, sign| words.len() == 1 && word.starts_with(sign);
            if words.first().is_some_and(|word| is_before(word, '@')) {
                words.clear();
                // Behind tags a source may stand.
                rest = rest.trim_start_matches(' ');
            }
            if words
                .first()
                .is_some_and(|word| words.len() == 1 && word.starts_with(':'))
            {
                words.clear();
            }
        }
        let verb = words.first().map(|verb| verb.to_ascii_uppercase());
        match verb.as_deref() {
            // Where it is then, and who it is, is another's to know.
            Some("JOIN" | "PART" | "QUIT") => return None,
            Some("PRIVMSG" | "NOTICE") => {}
            _ => continue,
        }
        let (Some(to), Some(text)) = (words.get(1), words.get(2)) else {
            continue;
        };
        let is_lobby = to.to_lowercase() == "#lobby";
        if is_lobby && text.len() <= LINE_BYTES_MAX {
            said.extend(spoken(text));
        }
    }
    Some(said)
}

fn spoken(text: &str) -> Option<String> {
    let (before, words) = match text.strip_prefix('\x01') {
        None => ("", text),
        Some(inside) => {
            let inside = inside.strip_suffix('\x01').unwrap_or(inside);
            ("/me ", inside.strip_prefix("ACTION ")?)
        }
    };
    let plain = clean(plain(words).as_bytes()).text;
    let has_words = !plain.trim().is_empty();
    has_words.then(|| format!("{before}{plain}"))
}

/// The text without formatting, one character after the other.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest: Vec<char> = text.chars().rev().collect();
    while let Some(c) = rest.pop() {
        let (is_digit, digits): (fn(&char) -> bool, _) = match c {
            '\x03' => (char::is_ascii_digit, 2),
            '\x04' => (char::is_ascii_hexdigit, 6),
            '\x02' | '\x0f' | '\x11' | '\x16' | '\x1d' | '\x1e' | '\x1f' => continue,
            other => {
                plain.push(other);
                continue;
            }
        };
        let drop_digits = |rest: &mut Vec<char>| {
            let mut count = 0;
            while count < digits && rest.last().is_some_and(is_digit) {
                rest.pop();
                count += 1;
            }
            count
        };
        if drop_digits(&mut rest) > 0 && rest.last() == Some(&',') {
            rest.pop();
            if drop_digits(&mut rest) == 0 {
                rest.push(',');
            }
        }
    }
    plain
}

/// The whole lines of a stream, cut at LF, CR LF, CR NUL and CR.
fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut found, mut line, mut last) = (Vec::new(), Vec::new(), None);
    for &byte in bytes {
        match (last.replace(byte), byte) {
            (Some(b'\r'), b'\n' | 0) => last = None,
            (_, b'\n' | b'\r') => found.push(std::mem::take(&mut line)),
            (_, byte) => line.push(byte),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// What lines are made of.
    const PARTS: &[&str] = &[
        "\r\n",
        "\n",
        "\r",
        "\r\0",
        " ",
        "  ",
        ":",
        " :",
        ",",
        "@a=b;c ",
        ":bob ",
        "#",
        "#lobby",
        "#games",
        "ann",
        "bob",
        "PRIVMSG ",
        "privmsg #lobby :",
        "NOTICE #lobby :",
        "PRIVMSG ann :",
        "JOIN #",
        "PART #",
        "NICK ",
        "USER ",
        "CAP ",
        "CAP REQ :",
        "CAP LS 302",
        "CAP END",
        "server-time",
        "echo-message",
        "-",
        "sasl",
        "WHO ",
        "WHOIS ",
        "NAMES ",
        "MODE ",
        "MODE #lobby ",
        "+i",
        "b",
        "KICK #lobby ",
        "TOPIC ",
        "AWAY ",
        "QUIT",
        "PING ",
        "PONG ",
        "LIST",
        "ISON ",
        "HELP ",
        "USERHOST ",
        "*",
        "?",
        "\u{1}",
        "\u{1}ACTION ",
        "\u{1}VERSION\u{1}",
        "\u{2}",
        "\u{3}",
        "\u{3}04,12",
        "\u{4}ff0000",
        "\u{f}",
        "12",
        ",1",
        "f",
        "罗永浩",
        "e\u{301}",
        "👩\u{200d}👧",
        "hello there",
        "/me ",
        "\0",
        "\u{7f}",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "chatd",
        "name ",
        "keep",
    ];

    proptest! {
        #[test]
        fn what_an_irc_client_sends_means_the_same_however_it_is_cut(
            packet in 0_u8..60,
            parts in vec(0..PARTS.len(), 0..80),
            (at, byte) in (0_usize..400, any::<u8>()),
        ) {
            let parts = parts.into_iter().map(|part| PARTS[part]);
            let mut input = vec![packet];
            input.extend_from_slice(parts.collect::<String>().as_bytes());
            if let Some(place) = input.get_mut(at + 1) {
                *place = byte;
            }
            check(&input);
        }
    }
}
