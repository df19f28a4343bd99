//! A line editor for telnet clients that send every key by itself.
//!
//! Owns the line being written, its history and what the person's terminal shows of it: one row with a prompt,
//! the last of the screen. Bytes typed go in; bytes to draw and whatever the person wants done come out. It must
//! not know sockets, negotiation (IAC is gone before), people's names or what a line means.
//!
//! Nothing is drawn while keys are taken: [`Editor::draw`] brings the screen up to date once, whatever was typed
//! since. So a turn costs what its bytes do, and one row.
//!
//! The owner keeps to three rules:
//! 1. All that was typed goes through [`Editor::input`], called again until it returns `None`.
//! 2. What others say is framed: [`Editor::erase`], the texts, [`Editor::draw`], in one write.
//! 3. `draw` is called at the end of a turn after `erase`, or when [`Editor::is_stale`], unless the session ends or the
//!    editor is put away. Both calls do nothing where there is nothing to do. Before the editor is put away: `erase`.
//!
//! ```text
//! let mut editor = Editor::new(4096, b"");
//! let mut screen = Vec::new();
//! editor.draw(&mut screen);
//! let mut typed = &b"hi\r\0"[..];
//! assert_eq!(editor.input(&mut typed), Some(Outcome::Line("hi".into())));
//! editor.erase(&mut screen);
//! screen.extend_from_slice(b"<ann> hi\r\n");
//! editor.draw(&mut screen);
//! assert_eq!(screen, b"\r> \x1b[K\r\x1b[J<ann> hi\r\n\r> \x1b[K");
//! ```
//!
//! Invariant: `is_drawn` says whether the cursor stands in a row that shows a line; if not, it stands at the start of
//! an empty row.

mod buffer;
mod history;
mod keys;
mod row;
#[cfg(test)]
mod tests;

pub(crate) use crate::dialect::input::Word;
pub(crate) use buffer::CHARACTERS_MAX;
pub(super) use row::is_sensible;

use crate::dialect::commands;
use buffer::Buffer;
use history::{History, Written};
use keys::{Decoder, Key};
use row::Row;

/// As many as anybody will step through with Tab.
const CANDIDATES_MAX: usize = 50;

const BELL: u8 = 0x07;

/// What a person wants done. The editor goes on behind it, with the bytes that are left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Enter: the line, perhaps empty.
    Line(String),
    /// Enter behind a line of which something was not taken and nothing was deleted since: it would have this many
    /// bytes. What was taken of it is the last line of the history, to be shortened.
    TooLong(usize),
    /// Tab behind a word: to be answered with [`Editor::complete`].
    Complete(Word),
    /// Ctrl-C on an empty line.
    Interrupt,
    /// Ctrl-D on an empty line, or Ctrl-C as the next key after an interrupt.
    Quit,
}

/// The line editor of one session.
#[derive(Debug)]
pub(crate) struct Editor {
    decoder: Decoder,
    buffer: Buffer,
    history: History,
    row: Row,
    is_drawn: bool,
    stale: Stale,
    /// The line is full and something was not taken. One bell a turn is enough.
    is_bell_due: bool,
    /// How many bytes were not taken since something was deleted. A line that lacks them is not the person's.
    lost: usize,
    completion: Option<Completion>,
    /// The last key was an interrupt.
    is_interrupted: bool,
}

/// What the screen does not show yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stale {
    Nothing,
    /// The end of the line, from this byte on; the cursor is behind it.
    Tail(usize),
    Row,
    /// The row, and what may stand below it: another line is begun, or the window may have wrapped the row.
    Rows,
    /// Everything: the person asks for a clean screen.
    Screen,
}

/// What another Tab goes on with.
#[derive(Debug)]
struct Completion {
    candidates: Vec<String>,
    chosen: usize,
    /// Where the one chosen begins; it ends at the cursor.
    start: usize,
}

impl Editor {
    /// An editor for lines of at most `line_bytes_max` bytes (and 2,000 characters) in a window of 80 columns.
    /// `typed` is what the person had half typed before: it is the beginning of the line.
    #[must_use]
    pub(crate) fn new(line_bytes_max: usize, typed: &[u8]) -> Self {
        let mut editor = Editor {
            decoder: Decoder::default(),
            buffer: Buffer::new(line_bytes_max),
            history: History::default(),
            row: Row::new(),
            is_drawn: false,
            stale: Stale::Nothing,
            is_bell_due: false,
            lost: 0,
            completion: None,
            is_interrupted: false,
        };
        editor.take_typed_blind(typed);
        editor
    }

    /// Takes keys from the front of the bytes until one of them has an outcome or they are used up. To be called again
    /// as long as there is an outcome.
    pub(crate) fn input(&mut self, bytes: &mut &[u8]) -> Option<Outcome> {
        while let Some(key) = self.decoder.next_key(bytes) {
            let outcome = self.press(key);
            if outcome.is_some() {
                return outcome;
            }
        }
        None
    }

    /// Follows the window's width; outside 8 to 1,000 columns it is taken for 80.
    pub(crate) fn resize(&mut self, columns: u16) {
        if self.row.resize(columns) && self.is_drawn {
            self.mark_stale(Stale::Rows);
        }
    }

    /// Lets the row begin with this word and `> `.
    pub(crate) fn set_prompt(&mut self, word: &str) {
        self.row.set_prompt(word);
        if self.is_drawn {
            self.mark_stale(Stale::Rows);
        }
    }

    /// The row in which the cursor stands is the editor's, with what was typed ahead in it.
    pub(crate) fn take_over_row(&mut self) {
        self.is_drawn = true;
        self.mark_stale(Stale::Rows);
    }

    /// What the line, the history and the names for Tab hold of memory, in bytes.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        let completion = self.completion.as_ref().map_or(0, Completion::bytes);
        self.buffer.bytes() + self.history.bytes() + completion
    }

    /// Forgets the line and the history, though the row may still be on the screen: it is only to be erased.
    pub(crate) fn forget(&mut self) {
        self.buffer.take();
        self.lost = 0;
        self.row.rewind();
        self.history = History::default();
        self.completion = None;
    }

    /// Answers [`Outcome::Complete`] with the names that fit, the best first: the first one and a space take the
    /// place of the word, and each further Tab that of the one before. Without any, Tab is a space.
    pub(crate) fn complete(&mut self, candidates: &[String]) {
        let mut candidates = candidates.to_vec();
        candidates.truncate(CANDIDATES_MAX);
        let start = self.buffer.word_start();
        match candidates.first() {
            None => self.insert(' '),
            Some(candidate) => {
                if self.put_candidate(start, candidate) && candidates.len() > 1 {
                    self.completion = Some(Completion {
                        candidates,
                        chosen: 0,
                        start,
                    });
                }
            }
        }
    }

    /// Whether the screen does not show yet what was typed.
    #[must_use]
    pub(crate) fn is_stale(&self) -> bool {
        self.is_bell_due || self.stale != Stale::Nothing
    }

    /// Makes the row empty, so that a text can take its place.
    pub(crate) fn erase(&mut self, out: &mut Vec<u8>) {
        self.make_place(out);
        if std::mem::take(&mut self.is_drawn) {
            Row::erase(out);
        }
        self.stale = Stale::Nothing;
        self.ring(out);
    }

    /// Brings the screen up to date; below the texts that were written since the row was erased.
    pub(crate) fn draw(&mut self, out: &mut Vec<u8>) {
        self.make_place(out);
        let (text, cursor) = (self.buffer.text(), self.buffer.cursor());
        let stale = std::mem::replace(&mut self.stale, Stale::Nothing);
        let is_shown = match stale {
            _ if !self.is_drawn => false,
            Stale::Nothing => true,
            Stale::Tail(from) => self.row.echo(text, from, out),
            Stale::Row | Stale::Rows | Stale::Screen => false,
        };
        if !is_shown {
            self.row.draw(text, cursor, out);
            self.is_drawn = true;
        }
        self.ring(out);
    }

    /// Clears what must be cleared beside the row.
    fn make_place(&mut self, out: &mut Vec<u8>) {
        match self.stale {
            Stale::Screen => Row::clear_screen(out),
            Stale::Rows => Row::erase(out),
            Stale::Nothing | Stale::Tail(_) | Stale::Row => return,
        }
        self.is_drawn = false;
    }

    fn ring(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.is_bell_due) {
            out.push(BELL);
        }
    }

    /// What was typed while the client still edited: nothing but text and what takes it back can be meant.
    fn take_typed_blind(&mut self, mut bytes: &[u8]) {
        while let Some(key) = self.decoder.next_key(&mut bytes) {
            match key {
                Key::Character(c) => self.insert(c),
                Key::Tab => self.insert(' '),
                Key::Backspace => self.delete_to(self.buffer.previous()),
                Key::KillToStart => self.delete_to(0),
                _ => {}
            }
        }
        // Nothing is on screen, so nothing is stale.
        self.stale = Stale::Nothing;
        self.is_bell_due = false;
    }

    fn press(&mut self, key: Key) -> Option<Outcome> {
        let completion = self.completion.take();
        let is_interrupted = std::mem::take(&mut self.is_interrupted);
        match key {
            Key::Character(c) => self.insert(c),
            Key::Enter => return Some(self.enter()),
            Key::Tab => return self.press_tab(completion),
            Key::Interrupt if self.buffer.is_empty() && !is_interrupted => {
                self.is_interrupted = true;
                return Some(Outcome::Interrupt);
            }
            Key::Interrupt | Key::DeleteOrQuit if self.buffer.is_empty() => {
                return Some(Outcome::Quit);
            }
            Key::Interrupt => {
                self.history.forget_place();
                self.buffer.take();
                self.show_line(0);
            }
            Key::Backspace => self.delete_to(self.buffer.previous()),
            Key::Delete | Key::DeleteOrQuit => self.delete_to(self.buffer.next()),
            Key::KillToStart => self.delete_to(0),
            Key::KillToEnd => self.delete_to(self.buffer.text().len()),
            Key::KillWord => self.delete_to(self.buffer.last_word_start()),
            Key::Left => self.move_to(self.buffer.previous()),
            Key::Right => self.move_to(self.buffer.next()),
            Key::Home => self.move_to(0),
            Key::End => self.move_to(self.buffer.text().len()),
            Key::WordLeft => self.move_to(self.buffer.last_word_start()),
            Key::WordRight => self.move_to(self.buffer.next_word_end()),
            Key::Up | Key::Down => self.recall(key == Key::Up),
            Key::Redraw => self.mark_stale(Stale::Screen),
        }
        None
    }

    /// Puts an older or newer line in the place of the one shown.
    fn recall(&mut self, older: bool) {
        let Self {
            history, buffer, ..
        } = self;
        let line = if older {
            history.older(|| Written {
                text: buffer.text().to_owned(),
                characters: buffer.characters(),
                lost: self.lost,
            })
        } else {
            history.newer()
        };
        let Some(line) = line else {
            return;
        };
        buffer.put(&line.text, line.characters);
        let lost = line.lost;
        self.show_line(lost);
    }

    fn enter(&mut self) -> Outcome {
        if self.is_drawn {
            self.mark_stale(Stale::Rows);
        }
        self.row.rewind();
        let characters = self.buffer.characters();
        let line = Written {
            text: self.buffer.take(),
            characters,
            lost: std::mem::take(&mut self.lost),
        };
        // A key is to be seen by nobody who comes to the keyboard later.
        if commands::has_key(&line.text) {
            self.history.forget_place();
        } else {
            self.history.push(&line);
        }
        if line.lost > 0 {
            return Outcome::TooLong(line.text.len() + line.lost);
        }
        Outcome::Line(line.text)
    }

    fn press_tab(&mut self, completion: Option<Completion>) -> Option<Outcome> {
        if let Some(mut completion) = completion {
            completion.chosen = (completion.chosen + 1) % completion.candidates.len();
            if let Some(candidate) = completion.candidates.get(completion.chosen) {
                self.put_candidate(completion.start, candidate);
            }
            self.completion = Some(completion);
            return None;
        }
        let start = self.buffer.word_start();
        let prefix = self.buffer.before_cursor().get(start..).unwrap_or("");
        if prefix.is_empty() {
            self.insert(' ');
            return None;
        }
        Some(Outcome::Complete(Word {
            prefix: prefix.to_owned(),
            is_at_line_start: start == 0,
            before: self.buffer.before_cursor()[..start].to_owned(),
        }))
    }

    /// Puts the name and a space between `start` and the cursor; false, and a bell, if it does not fit.
    fn put_candidate(&mut self, start: usize, candidate: &str) -> bool {
        let fits = self
            .buffer
            .replace(start..self.buffer.cursor(), &format!("{candidate} "));
        self.mark_row_stale(fits);
        self.is_bell_due |= !fits;
        fits
    }

    fn insert(&mut self, c: char) {
        let from = self.buffer.text().len();
        let was_at_end = self.buffer.is_at_end();
        if !self.buffer.insert(c) {
            self.is_bell_due = true;
            self.lost += c.len_utf8();
        } else if !was_at_end {
            self.mark_row_stale(true);
        } else if self.stale == Stale::Nothing {
            self.stale = Stale::Tail(from);
        }
    }

    fn delete_to(&mut self, other: usize) {
        let deletes = self.buffer.remove_to(other);
        if deletes {
            self.lost = 0;
        }
        self.mark_row_stale(deletes);
    }

    fn move_to(&mut self, cursor: usize) {
        let moves = self.buffer.move_to(cursor);
        self.mark_row_stale(moves);
    }

    /// Another line has taken the place of the one being written.
    fn show_line(&mut self, lost: usize) {
        self.lost = lost;
        self.row.rewind();
        self.mark_stale(Stale::Row);
    }

    fn mark_row_stale(&mut self, is_changed: bool) {
        if is_changed {
            self.mark_stale(Stale::Row);
        }
    }

    fn mark_stale(&mut self, stale: Stale) {
        self.stale = self.stale.max(stale);
    }
}

impl Completion {
    fn bytes(&self) -> usize {
        let names = self.candidates.iter().map(String::capacity);
        self.candidates.capacity() * size_of::<String>() + names.sum::<usize>()
    }
}
