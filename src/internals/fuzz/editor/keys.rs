//! Bytes to keys, told slowly: each sequence is read whole, over the whole stream.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    Character(char),
    Control(u8),
    Left,
    Right,
    Home,
    End,
    Up,
    Down,
    Delete,
    WordLeft,
    WordRight,
    PasteBegins,
    PasteEnds,
}

/// The keys, each with the number of bytes up to its end.
pub(super) fn keys(bytes: &[u8]) -> Vec<(Key, usize)> {
    let mut is_pasting = false;
    let mut found = Vec::new();
    for (key, at) in raw_keys(bytes) {
        match key {
            Key::PasteBegins => is_pasting = true,
            Key::PasteEnds => is_pasting = false,
            Key::Control(0x03) if is_pasting => {
                is_pasting = false;
                found.push((key, at));
            }
            Key::Control(b'\t') if is_pasting => found.push((Key::Character(' '), at)),
            Key::Character(_) | Key::Control(b'\r' | b'\n') => found.push((key, at)),
            _ if is_pasting => {}
            _ => found.push((key, at)),
        }
    }
    found
}

fn raw_keys(bytes: &[u8]) -> Vec<(Key, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            0x80.. => {
                let run = bytes[at..].iter().take_while(|byte| **byte >= 0x80).count();
                let mut text = &bytes[at..at + run];
                let introducer = text
                    .windows(2)
                    .position(|pair| pair[0] == 0xc2 && introduced_by(pair[1]).is_some());
                if let Some(place) = introducer {
                    text = &text[..place];
                }
                at += text.len();
                // At the end of all, half a character waits for its other half.
                let waits = at == bytes.len();
                let whole = if waits {
                    without_half_character(text)
                } else {
                    text
                };
                let characters = String::from_utf8_lossy(whole);
                found.extend(characters.chars().map(|c| (Key::Character(c), at)));
                if introducer.is_some() {
                    let letter = introduced_by(bytes[at + 1]).unwrap_or(b' ');
                    let (key, length) = sequence(&[&[letter], &bytes[at + 2..]].concat());
                    at += 1 + length;
                    found.extend(key.map(|key| (key, at)));
                }
            }
            0x1b => {
                let (key, length) = sequence(&bytes[at + 1..]);
                at += 1 + length;
                found.extend(key.map(|key| (key, at)));
            }
            b'\r' => {
                found.push((Key::Control(byte), at + 1));
                at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'\n' | 0)));
            }
            0x20..=0x7e => {
                at += 1;
                found.push((Key::Character(byte.into()), at));
            }
            _ => {
                at += 1;
                found.push((Key::Control(byte), at));
            }
        }
    }
    found
}

/// The byte that stands behind ESC for what U+0080 to U+009F say in one character.
fn introduced_by(second: u8) -> Option<u8> {
    let letter = second - 0x40;
    b"OPX[]^_".contains(&letter).then_some(letter)
}

fn without_half_character(text: &[u8]) -> &[u8] {
    for length in 1..=3.min(text.len()) {
        let (head, tail) = text.split_at(text.len() - length);
        let lacks = std::str::from_utf8(tail)
            .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none());
        if lacks {
            return head;
        }
    }
    text
}

/// What follows an ESC: a key, if it is one, and how many bytes belong to it.
fn sequence(bytes: &[u8]) -> (Option<Key>, usize) {
    let printable = bytes
        .iter()
        .take_while(|byte| (0x20..0x7f).contains(*byte))
        .count();
    let text = std::str::from_utf8(&bytes[..printable]).expect("ASCII");
    match text.chars().next() {
        Some('[') => control_sequence(&text[1..], &bytes[1..]),
        Some('O') => {
            let digits = |c: char| c.is_ascii_digit() || c == ';';
            let rest = text[1..].trim_start_matches(digits);
            let parameters = &text[1..text.len() - rest.len()];
            match rest.chars().next() {
                Some(last) => (single(parameters, last), parameters.len() + 2),
                None => (None, printable),
            }
        }
        Some(']' | 'P' | 'X' | '^' | '_') => (None, 1 + string(&bytes[1..])),
        _ => (None, printable.min(1)),
    }
}

/// How many bytes of a control string there are, with the BEL or U+009C that ends it.
fn string(bytes: &[u8]) -> usize {
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            0x07 => return at + 1,
            0x00..=0x1f | 0x7f => return at,
            0x9c if at > 0 && bytes[at - 1] == 0xc2 => return at + 1,
            _ => {}
        }
    }
    bytes.len()
}

/// What follows `ESC [`; `text` are the `bytes` up to the first that is not printable.
fn control_sequence(text: &str, bytes: &[u8]) -> (Option<Key>, usize) {
    if text.starts_with('[') {
        return (None, text.len().min(2) + 1);
    }
    if text.starts_with('M') {
        let place = bytes[1..].iter().take(3);
        let place = place.take_while(|byte| **byte >= 0x20 && **byte != 0x7f);
        return (None, 2 + place.count());
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let end = if text[digits..].starts_with('$') && digits > 0 {
        Some(digits)
    } else {
        text.find(|c| c >= '@')
    };
    match end {
        Some(end) => (named(&text[..end], text.as_bytes()[end].into()), end + 2),
        None => (None, text.len() + 1),
    }
}

fn single(parameters: &str, last: char) -> Option<Key> {
    let pad = "pqrstuvwxyjklmnoX "
        .chars()
        .zip("0123456789*+,-./= ".chars());
    if parameters.len() > 4 {
        return None;
    }
    if let Some((_, typed)) = pad.into_iter().find(|(key, _)| *key == last) {
        return Some(Key::Character(typed));
    }
    match last {
        'M' => Some(Key::Control(b'\r')),
        'I' => Some(Key::Control(b'\t')),
        'c' => Some(Key::WordRight),
        'd' => Some(Key::WordLeft),
        _ => named(parameters, last),
    }
}

fn named(parameters: &str, last: char) -> Option<Key> {
    if parameters.len() > 4 {
        return None;
    }
    match (parameters, last) {
        ("200", '~') => return Some(Key::PasteBegins),
        ("201", '~') => return Some(Key::PasteEnds),
        ("1" | "7", '~' | '$' | '^' | '@') => return Some(Key::Home),
        ("4" | "8", '~' | '$' | '^' | '@') => return Some(Key::End),
        ("3", '~') => return Some(Key::Delete),
        _ => {}
    }
    let held = match parameters.strip_prefix("1;").unwrap_or(parameters) {
        "" if parameters.is_empty() => 0,
        number => {
            let held = number.parse::<u8>().ok();
            held.filter(|held| (1..=16).contains(held))? - 1
        }
    };
    let by_word = held & 2 != 0 || held & 4 != 0;
    match last {
        'A' | 'a' => Some(Key::Up),
        'B' | 'b' => Some(Key::Down),
        'C' if by_word => Some(Key::WordRight),
        'D' if by_word => Some(Key::WordLeft),
        'C' | 'c' => Some(Key::Right),
        'D' | 'd' => Some(Key::Left),
        'H' => Some(Key::Home),
        'F' => Some(Key::End),
        _ => None,
    }
}
