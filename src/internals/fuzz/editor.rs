//! What a person types into the line editor, however it is cut into packets.

mod keys;

use crate::dialect::telnet::editor::{Editor, Outcome, Word};
use unicode_width::UnicodeWidthChar;

use super::hygiene::is_forbidden;
use keys::{keys, Key};

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
            before: self.line[..start].iter().collect(),
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
