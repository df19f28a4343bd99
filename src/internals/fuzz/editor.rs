//! What a person types into the line editor, however it is cut into packets.

use crate::dialect::telnet::editor::{Editor, Outcome, Word};
use unicode_width::UnicodeWidthChar;

use super::hygiene::is_forbidden;

const INPUT_BYTES_MAX: usize = 1000;
const LINE_BYTES_MAX: usize = 200;
const HISTORY_LINES_MAX: usize = 50;

/// The first bytes say how long the packets are, how wide the window is, and how much was typed before the editor came.
pub(super) fn check(input: &[u8]) {
    let [packet, columns, ahead, bytes @ ..] = input else {
        return;
    };
    let bytes = &bytes[..bytes.len().min(INPUT_BYTES_MAX)];
    let packet = usize::from(packet & 0x3f) + 1;
    let columns = u16::from(columns & 0x7f) + 8;
    let (ahead, typed) = bytes.split_at(usize::from(ahead & 0x1f).min(bytes.len()));

    let mut desk = Desk::new(columns, ahead);
    typed.chunks(packet).for_each(|packet| desk.turn(packet));
    let reference = reference_of(ahead, typed);
    if bytes.is_ascii() {
        desk.check_row(&reference);
    }
    // A line end shows what waits for its other half.
    desk.turn(b"\r");
    let reference = reference_of(ahead, &[typed, b"\r"].concat());
    assert_eq!(desk.outcomes, reference.outcomes);
}

/// What `typed` behind `ahead` comes to.
fn reference_of(ahead: &[u8], typed: &[u8]) -> Reference {
    let mut reference = Reference::new(LINE_BYTES_MAX, names_for);
    for (key, at) in keys(&[ahead, typed].concat()) {
        if at <= ahead.len() {
            reference.take_blind(key);
        } else {
            reference.press(key);
        }
    }
    reference
}

/// Names for Tab.
fn names_for(word: &Word) -> Vec<String> {
    let names = ["/me", "/msg", "ann", "anna", "安娜", "a\u{202e}b"];
    let fitting = names.iter().filter(|name| name.starts_with(&word.prefix));
    fitting.map(ToString::to_string).collect()
}

/// An editor at work, and the terminal that shows it.
struct Desk {
    editor: Editor,
    row: ScreenRow,
    columns: usize,
    outcomes: Vec<Outcome>,
}

impl Desk {
    fn new(columns: u16, ahead: &[u8]) -> Self {
        let mut desk = Self {
            editor: Editor::new(LINE_BYTES_MAX, ahead),
            row: ScreenRow::default(),
            columns: columns.into(),
            outcomes: Vec::new(),
        };
        let mut out = Vec::new();
        desk.editor.resize(columns);
        desk.editor.draw(&mut out);
        desk.row.show(&out);
        desk
    }

    fn turn(&mut self, mut packet: &[u8]) {
        let mut out = Vec::new();
        let before = self.outcomes.len();
        while let Some(outcome) = self.editor.input(&mut packet) {
            if let Outcome::Complete(word) = &outcome {
                self.editor.complete(&names_for(word));
            }
            self.outcomes.push(outcome);
        }
        assert!(packet.is_empty(), "all that was typed is taken");
        if self.outcomes.len() > before {
            self.editor.erase(&mut out);
            out.extend(b"-- done\r\n");
        }
        self.editor.draw(&mut out);
        if out.is_ascii() {
            self.row.show(&out);
        }
    }

    /// The row shows the line and the cursor's place in it, if all of it fits.
    fn check_row(&self, reference: &Reference) {
        let line: String = reference.line.iter().collect();
        if !line.is_ascii() || reference.has_shown_other_text() || line.len() + 3 > self.columns {
            return;
        }
        let shown = String::from_utf8_lossy(&self.row.cells);
        assert_eq!(shown.trim_end(), format!("> {line}").trim_end());
        assert_eq!(self.row.cursor, 2 + reference.cursor);
    }
}

/// The row of a terminal in which the cursor stands. It knows what the editor sends, and no more.
#[derive(Default)]
struct ScreenRow {
    cells: Vec<u8>,
    cursor: usize,
    saved: usize,
}

impl ScreenRow {
    fn show(&mut self, mut out: &[u8]) {
        while let Some((&first, rest)) = out.split_first() {
            out = rest;
            match first {
                b'\r' => self.cursor = 0,
                // All rows below are empty, as the row is the last one.
                b'\n' => self.cells.clear(),
                0x07 => {}
                0x1b => out = self.obey(rest),
                byte => {
                    assert!((b' '..=b'~').contains(&byte), "{byte:#x} is sent");
                    let cells = self.cells.len().max(self.cursor + 1);
                    self.cells.resize(cells, b' ');
                    self.cells[self.cursor] = byte;
                    self.cursor += 1;
                }
            }
        }
    }

    /// Does what a sequence asks for, behind its ESC; gives what follows it.
    fn obey<'a>(&mut self, out: &'a [u8]) -> &'a [u8] {
        let known: [&[u8]; 6] = [b"7", b"8", b"[H", b"[2J", b"[J", b"[K"];
        let sequence = known.into_iter().find(|known| out.starts_with(known));
        let sequence = sequence.unwrap_or_else(|| panic!("{} is sent", out.escape_ascii()));
        match sequence {
            b"7" => self.saved = self.cursor,
            b"8" => self.cursor = self.saved,
            b"[H" => self.cursor = 0,
            b"[2J" => self.cells.clear(),
            _ => self.cells.truncate(self.cursor),
        }
        &out[sequence.len()..]
    }
}

/// The line as it should be, told in the plainest way.
pub(crate) struct Reference {
    line_bytes_max: usize,
    names_for: fn(&Word) -> Vec<String>,
    line: Vec<char>,
    cursor: usize,
    /// How many bytes of the line were not taken since something was deleted.
    lost: usize,
    /// Each line with what was lost of it.
    history: Vec<(Vec<char>, usize)>,
    /// The line of the history that is shown, and what was being written when it was called for.
    place: Option<usize>,
    draft: (Vec<char>, usize),
    completion: Option<Completion>,
    is_interrupted: bool,
    outcomes: Vec<Outcome>,
}

struct Completion {
    start: usize,
    names: Vec<String>,
    chosen: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Key {
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

impl Reference {
    /// `names_for` answers Tab.
    pub(crate) fn new(line_bytes_max: usize, names_for: fn(&Word) -> Vec<String>) -> Self {
        Self {
            line_bytes_max,
            names_for,
            line: Vec::new(),
            cursor: 0,
            lost: 0,
            history: Vec::new(),
            place: None,
            draft: (Vec::new(), 0),
            completion: None,
            is_interrupted: false,
            outcomes: Vec::new(),
        }
    }

    /// Whether the terminal was shown what it was not given here.
    fn has_shown_other_text(&self) -> bool {
        let is_ascii = |(line, _): &(Vec<char>, usize)| line.iter().all(char::is_ascii);
        !self.history.iter().all(is_ascii)
            || !is_ascii(&self.draft)
            || self
                .outcomes
                .iter()
                .any(|outcome| matches!(outcome, Outcome::Complete(_)))
    }

    fn take_blind(&mut self, key: Key) {
        match key {
            Key::Character(c) => self.insert(c),
            Key::Control(b'\t') => self.insert(' '),
            Key::Control(0x08 | 0x7f | 0x15) => self.press(key),
            _ => {}
        }
    }

    fn press(&mut self, key: Key) {
        let completion = self.completion.take();
        let is_interrupted = std::mem::take(&mut self.is_interrupted);
        let end = self.line.len();
        match key {
            Key::Character(c) => self.insert(c),
            Key::Left | Key::Control(0x02) => self.cursor = self.left(),
            Key::Right | Key::Control(0x06) => self.cursor = self.right(),
            Key::Home | Key::Control(0x01) => self.cursor = 0,
            Key::End | Key::Control(0x05) => self.cursor = end,
            Key::WordLeft => self.cursor = self.last_word_start(),
            Key::WordRight => self.cursor = self.next_word_end(),
            Key::PasteBegins | Key::PasteEnds | Key::Control(0x0c) => {}
            Key::Up | Key::Control(0x10) => self.go_up(),
            Key::Down | Key::Control(0x0e) => self.go_down(),
            Key::Control(0x03) if self.line.is_empty() && !is_interrupted => {
                self.is_interrupted = true;
                self.outcomes.push(Outcome::Interrupt);
            }
            Key::Control(0x03 | 0x04) if self.line.is_empty() => self.outcomes.push(Outcome::Quit),
            Key::Control(0x03) => {
                self.place = None;
                self.show((Vec::new(), 0));
            }
            Key::Delete | Key::Control(0x04) => self.delete(self.cursor, self.right()),
            Key::Control(0x08 | 0x7f) => self.delete(self.left(), self.cursor),
            Key::Control(b'\t') => self.complete(completion),
            Key::Control(b'\r' | b'\n') => self.enter(),
            Key::Control(0x0b) => self.delete(self.cursor, end),
            Key::Control(0x15) => self.delete(0, self.cursor),
            Key::Control(0x17) => self.delete(self.last_word_start(), self.cursor),
            Key::Control(_) => {
                self.completion = completion;
                self.is_interrupted = is_interrupted;
            }
        }
    }

    /// Where the cluster before the cursor begins.
    fn left(&self) -> usize {
        let mut places = boundaries(&self.line).into_iter().rev();
        places.find(|at| *at < self.cursor).unwrap_or(0)
    }

    /// Where the cluster behind the cursor ends.
    fn right(&self) -> usize {
        let mut places = boundaries(&self.line).into_iter();
        places.find(|at| *at > self.cursor).unwrap_or(self.cursor)
    }

    /// Of a word of more than a hundred characters, only the last hundred count.
    fn last_word_start(&self) -> usize {
        let before = &self.line[..self.cursor];
        let last = before.iter().rposition(|c| !c.is_whitespace());
        let word = last.map_or(0, |last| word_start(&before[..=last]));
        word.max(self.cursor.saturating_sub(100))
    }

    fn next_word_end(&self) -> usize {
        let behind = &self.line[self.cursor..];
        let blanks = behind.iter().take_while(|c| c.is_whitespace()).count();
        let word = behind[blanks..].iter().take_while(|c| !c.is_whitespace());
        self.cursor + (blanks + word.count()).min(100)
    }

    fn insert(&mut self, c: char) {
        self.completion = None;
        let bytes: usize = self.line.iter().map(|c| c.len_utf8()).sum();
        if is_forbidden(c) {
            return;
        }
        if bytes + c.len_utf8() > self.line_bytes_max {
            self.lost += c.len_utf8();
            return;
        }
        self.line.insert(self.cursor, c);
        self.cursor += 1;
    }

    fn delete(&mut self, from: usize, to: usize) {
        if self.line.drain(from..to).len() > 0 {
            self.lost = 0;
        }
        self.cursor = from;
    }

    fn show(&mut self, (line, lost): (Vec<char>, usize)) {
        self.cursor = line.len();
        (self.line, self.lost) = (line, lost);
    }

    fn go_up(&mut self) {
        let place = self.place.unwrap_or(self.history.len());
        if place > 0 {
            if self.place.is_none() {
                self.draft = (self.line.clone(), self.lost);
            }
            self.place = Some(place - 1);
            self.show(self.history[place - 1].clone());
        }
    }

    fn go_down(&mut self) {
        let Some(place) = self.place else { return };
        self.place = Some(place + 1).filter(|next| *next < self.history.len());
        let line = self.place.map_or(&self.draft, |next| &self.history[next]);
        self.show(line.clone());
    }

    fn complete(&mut self, completion: Option<Completion>) {
        if let Some(mut completion) = completion {
            completion.chosen = (completion.chosen + 1) % completion.names.len();
            let name = completion.names[completion.chosen].clone();
            self.replace(completion.start, &name);
            self.completion = Some(completion);
            return;
        }
        let start = word_start(&self.line[..self.cursor]).max(self.cursor.saturating_sub(100));
        let prefix: String = self.line[start..self.cursor].iter().collect();
        if prefix.is_empty() {
            return self.insert(' ');
        }
        let word = Word {
            prefix,
            is_at_line_start: start == 0,
        };
        let names = (self.names_for)(&word);
        self.outcomes.push(Outcome::Complete(word));
        match names.first().cloned() {
            None => self.insert(' '),
            Some(name) => {
                if self.replace(start, &name) && names.len() > 1 {
                    self.completion = Some(Completion {
                        start,
                        names,
                        chosen: 0,
                    });
                }
            }
        }
    }

    /// Puts a name and a space between `start` and the cursor, if they fit.
    fn replace(&mut self, start: usize, name: &str) -> bool {
        let name = name.chars().chain([' ']).filter(|c| !is_forbidden(*c));
        let mut line = self.line.clone();
        line.splice(start..self.cursor, name);
        let fits = line.iter().collect::<String>().len() <= self.line_bytes_max;
        if fits {
            self.cursor = line.len() - (self.line.len() - self.cursor);
            self.line = line;
        }
        fits
    }

    fn enter(&mut self) {
        let line = std::mem::take(&mut self.line);
        let lost = std::mem::take(&mut self.lost);
        self.cursor = 0;
        self.place = None;
        let kept = (line.clone(), lost);
        if !line.iter().all(|c| c.is_whitespace()) && self.history.last() != Some(&kept) {
            self.history.push(kept);
            if self.history.len() > HISTORY_LINES_MAX {
                self.history.remove(0);
            }
        }
        let line: String = line.into_iter().collect();
        self.outcomes.push(match lost {
            0 => Outcome::Line(line),
            _ => Outcome::TooLong(line.len() + lost),
        });
    }
}

#[cfg(test)]
impl Reference {
    /// Takes whole keys.
    pub(crate) fn types(&mut self, text: &str) {
        for (key, _) in keys(text.as_bytes()) {
            self.press(key);
        }
    }

    /// The line that is written, and how many bytes of it stand before the cursor.
    pub(crate) fn line(&self) -> (String, usize) {
        let before: String = self.line[..self.cursor].iter().collect();
        (self.line.iter().collect(), before.len())
    }

    /// The lines that were entered.
    pub(crate) fn lines(&self) -> Vec<&str> {
        let lines = self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Line(line) => Some(line.as_str()),
            _ => None,
        });
        lines.collect()
    }
}

/// Where the characters without a space between them, up to the end, begin.
fn word_start(text: &[char]) -> usize {
    let space = text.iter().rposition(|c| c.is_whitespace());
    space.map_or(0, |at| at + 1)
}

/// Where one may stand between what look like single characters: of more than 16 that belong together, and of more than
/// 32 letters of flags in a row, each further one is one by itself.
pub(crate) fn boundaries(text: &[char]) -> Vec<usize> {
    let is_flag_letter = |c: char| ('🇦'..='🇿').contains(&c);
    let (mut found, mut begin) = (Vec::new(), 0);
    for (at, &c) in text.iter().enumerate() {
        let joins = c.width() == Some(0)
            || ('\u{1f3fb}'..='\u{1f3ff}').contains(&c)
            || (at > 0 && text[at - 1] == '\u{200d}');
        let letters = text[..at].iter().rev().take_while(|c| is_flag_letter(**c));
        let letters = letters.count();
        let ends_flag = is_flag_letter(c) && letters % 2 == 1 && letters < 32;
        if at == 0 || !(joins || ends_flag) {
            begin = at;
        }
        if at == begin || at - begin >= 16 {
            found.push(at);
        }
    }
    found.push(text.len());
    found
}

/// The keys, each with the number of bytes up to its end.
fn keys(bytes: &[u8]) -> Vec<(Key, usize)> {
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
