//! The line editor before a terminal as judge: whatever is typed, said by others or resized, the last row shows
//! the prompt and the visible part of the line with the cursor in its place, and all that was said stands above
//! it, whole and in order.
//!
//! What stands above is compared with a second terminal of the same size that is sent the texts alone.

mod chance;
mod keys;
mod row;

use super::{Editor, Outcome, Word};
use crate::internals::fuzz::editor::{self, Reference};
use proptest::prelude::*;
use std::num::NonZeroU16;
use unicode_width::UnicodeWidthChar;

const ROWS: u16 = 12;
const PROMPT: &str = "> ";

/// A person at a terminal, and the part of the server that owns the editor.
struct Desk {
    editor: Editor,
    screen: vt100::Parser,
    /// Is sent only what others say: the picture of what must stand above the row.
    above: vt100::Parser,
    columns: u16,
    /// The bytes of the last turn.
    drawn: Vec<u8>,
    lines: Vec<String>,
    interrupts: usize,
    has_quit: bool,
}

impl Desk {
    fn new(columns: u16) -> Self {
        Self::with_typed(columns, "", "")
    }

    /// The editor is switched on with something half typed and the client's own echo on the screen, which a
    /// message may have crossed.
    fn with_typed(columns: u16, typed: &str, crossing: &str) -> Self {
        let mut desk = Desk {
            editor: Editor::new(4096, typed.as_bytes()),
            screen: terminal(columns),
            above: terminal(columns),
            columns,
            drawn: Vec::new(),
            lines: Vec::new(),
            interrupts: 0,
            has_quit: false,
        };
        desk.screen.process(format!("{typed}{crossing}").as_bytes());
        if !crossing.is_empty() {
            desk.above.process(format!("{typed}{crossing}").as_bytes());
        }
        let mut out = Vec::new();
        desk.editor.resize(columns);
        desk.editor.draw(&mut out);
        desk.show(out);
        desk
    }

    /// One turn: a packet is read, and at its end everything that was said is written in one piece.
    fn turn(&mut self, mut packet: &[u8], said: &[&str]) {
        let mut out = Vec::new();
        let mut texts: Vec<String> = said.iter().map(ToString::to_string).collect();
        while let Some(outcome) = self.editor.input(&mut packet) {
            match outcome {
                Outcome::Line(line) => {
                    if !line.is_empty() {
                        texts.push(format!("<me> {line}"));
                    }
                    self.lines.push(line);
                }
                Outcome::TooLong(bytes) => texts.push(format!("!! too long: {bytes}")),
                Outcome::Complete(word) => self.editor.complete(&names_for(&word)),
                Outcome::Interrupt => {
                    self.interrupts += 1;
                    texts.push("-- Ctrl-C again, or /quit, to leave".into());
                }
                Outcome::Quit => {
                    self.has_quit = true;
                    texts.push("-- goodbye".into());
                }
            }
        }
        assert!(packet.is_empty(), "all that was typed is taken");
        if !texts.is_empty() {
            self.editor.erase(&mut out);
        }
        for text in &texts {
            out.extend_from_slice(format!("{text}\r\n").as_bytes());
            self.above
                .process(visible(&format!("{text}\r\n")).as_bytes());
        }
        if !self.has_quit {
            self.editor.draw(&mut out);
        }
        self.show(out);
    }

    fn types(&mut self, packet: impl AsRef<[u8]>) {
        self.turn(packet.as_ref(), &[]);
    }

    fn hears(&mut self, text: &str) {
        self.turn(b"", &[text]);
    }

    /// The window changes first, and tells the server then.
    fn resize(&mut self, columns: u16) {
        self.columns = columns;
        for terminal in [&mut self.screen, &mut self.above] {
            terminal.set_size(
                NonZeroU16::new(ROWS).unwrap(),
                NonZeroU16::new(columns).unwrap(),
            );
        }
        let mut out = Vec::new();
        self.editor.resize(columns);
        self.editor.draw(&mut out);
        self.show(out);
    }

    fn show(&mut self, out: Vec<u8>) {
        let text = std::str::from_utf8(&out).expect("only whole characters are sent");
        assert!(
            text.chars()
                .all(|c| !c.is_control() || "\r\n\x1b\x07".contains(c)),
            "{text:?}"
        );
        self.screen.process(visible(text).as_bytes());
        self.drawn = out;
    }

    /// Row and column, from 0.
    fn cursor(&self) -> (u16, u16) {
        self.screen.screen().cursor_position()
    }

    /// The row as one reads it, without the blanks at its end.
    fn row(&self) -> String {
        row_text(&self.screen, self.cursor().0, 0, self.columns)
            .trim_end()
            .to_owned()
    }

    #[track_caller]
    fn assert_row(&self, row: &str, cursor_column: u16) {
        assert_eq!((self.row().as_str(), self.cursor().1), (row, cursor_column));
        self.assert_texts_above();
    }

    /// Above the row stands what stands in the other terminal, and below it nothing.
    #[track_caller]
    fn assert_texts_above(&self) {
        let (row, _) = self.cursor();
        assert_eq!(
            row,
            self.above.screen().cursor_position().0,
            "{}",
            self.picture()
        );
        for above in 0..row {
            let expected = row_text(&self.above, above, 0, self.columns);
            assert_eq!(
                row_text(&self.screen, above, 0, self.columns),
                expected,
                "{}",
                self.picture()
            );
        }
        for below in row + 1..ROWS {
            assert_eq!(
                row_text(&self.screen, below, 0, self.columns).trim(),
                "",
                "{}",
                self.picture()
            );
        }
        assert!(!self.screen.screen().row_wrapped(row), "{}", self.picture());
    }

    /// The row shows a part of the text around the cursor, and as much of it as it can.
    #[track_caller]
    fn assert_shows(&self, text: &str, cursor: usize) {
        self.assert_texts_above();
        let picture = format!("of {text:?} at {cursor}\n{}", self.picture());
        let (row, column) = self.cursor();
        let room = usize::from(self.columns) - PROMPT.len() - 1;
        let shown = row_text(&self.screen, row, 0, self.columns);
        assert!(
            shown.ends_with(' '),
            "the last column is not empty {picture}"
        );
        let shown = shown.strip_prefix(PROMPT).expect("the prompt");
        let (cursor, text) = (visible(&text[..cursor]).len(), visible(text));

        let start = (0..=cursor)
            .filter(|&start| text.is_char_boundary(start))
            .find(|&start| {
                PROMPT.len() + columns(&text[start..cursor]) == usize::from(column)
                    && shown.starts_with(&text[start..cursor])
            })
            .unwrap_or_else(|| panic!("the cursor is not in its place {picture}"));
        let end = start + common_length(shown, &text[start..]);
        assert_eq!(
            shown[end - start..].trim(),
            "",
            "something else is shown {picture}"
        );

        let last = boundaries(&text[..cursor])
            .into_iter()
            .rev()
            .nth(1)
            .unwrap_or(0);
        if columns(&text) <= room {
            assert_eq!(start, 0, "all of it fits {picture}");
        } else if columns(&text[last..cursor]) <= room {
            assert!(
                start <= last,
                "what Backspace takes is not to be seen {picture}"
            );
        }
        let rest = &text[end..];
        let first = boundaries(rest).get(1).map_or("", |&end| &rest[..end]);
        let fits = columns(&text[start..end]) + columns(first) <= room;
        assert!(
            rest.trim().is_empty() || !fits,
            "{first:?} would fit {picture}"
        );
    }

    fn picture(&self) -> String {
        let drawn = String::from_utf8_lossy(&self.drawn);
        format!(
            "cursor {:?}, drawn {drawn:?}\n{}",
            self.cursor(),
            self.screen.screen().contents()
        )
    }
}

fn terminal(columns: u16) -> vt100::Parser {
    vt100::Parser::new(
        NonZeroU16::new(ROWS).unwrap(),
        NonZeroU16::new(columns).unwrap(),
        0,
    )
}

/// The judge does not draw U+FFFD at all; any other character of one column will do.
fn visible(text: &str) -> String {
    text.replace('\u{fffd}', "?")
}

/// The text between two columns of a row, a blank for each empty cell.
fn row_text(terminal: &vt100::Parser, row: u16, from: u16, to: u16) -> String {
    let mut text = String::new();
    for column in from..to {
        let cell = terminal.screen().cell(row, column).unwrap();
        if !cell.is_wide_continuation() {
            text.push_str(if cell.has_contents() {
                cell.contents()
            } else {
                " "
            });
        }
    }
    text
}

fn common_length(left: &str, right: &str) -> usize {
    left.chars()
        .zip(right.chars())
        .take_while(|(l, r)| l == r)
        .map(|(l, _)| l.len_utf8())
        .sum()
}

/// The columns that a terminal may need for the text.
fn columns(text: &str) -> usize {
    let mut before = None;
    let mut sum = 0;
    for c in text.chars() {
        let widens = c == '\u{fe0f}' && before == Some(1);
        before = c.width();
        sum += if widens { 1 } else { before.unwrap_or(0) };
    }
    sum
}

/// Where one may stand between what look like single characters, in bytes.
fn boundaries(text: &str) -> Vec<usize> {
    let characters: Vec<char> = text.chars().collect();
    let bytes = |at: usize| characters[..at].iter().map(|c| c.len_utf8()).sum();
    let found = editor::boundaries(&characters).into_iter();
    found.map(bytes).collect()
}

fn names_for(word: &Word) -> Vec<String> {
    let all: &[&str] = if word.is_at_line_start && word.prefix.starts_with('/') {
        &["/name", "/names", "/me", "/msg"]
    } else {
        &["ann", "anna", "安娜", "bob"]
    };
    all.iter()
        .filter(|name| name.starts_with(&word.prefix))
        .map(ToString::to_string)
        .collect()
}
