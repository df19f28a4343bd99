//! The line editor before a terminal as judge: whatever is typed, said by others or resized, the last row shows
//! the prompt and the visible part of the line with the cursor in its place, and all that was said stands above
//! it, whole and in order.
//!
//! What stands above is compared with a second terminal of the same size that is sent the texts alone.

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

#[test]
fn a_message_stands_above_the_half_typed_line() {
    let mut desk = Desk::new(50);
    desk.types("I was just about to say 你好");
    desk.hears("<bob> hello everybody, here is news");
    desk.assert_row("> I was just about to say 你好", 30);
    desk.turn(
        "吗朋友们 and a line that is longer than the window".as_bytes(),
        &[
            "<bob> 第二条消息：这一条消息也比窗口宽，所以终端会自己换行，没有问题。",
            "<eve> third",
        ],
    );
    desk.assert_texts_above();
    assert!(
        desk.row().ends_with("is longer than the window"),
        "{}",
        desk.row()
    );
    desk.types("\x1b[HX\x1b[C\x1b[C\x7f");
    desk.assert_row("> XIwas just about to say 你好吗朋友们 and a line", 4);
    desk.resize(30);
    desk.assert_row("> XIwas just about to say 你", 4);
    desk.types("\r\0");
    desk.assert_row(">", 2);
    assert_eq!(
        desk.lines,
        ["XIwas just about to say 你好吗朋友们 and a line that is longer than the window"]
    );
}

#[test]
fn many_messages_of_a_turn_need_one_redraw() {
    let mut desk = Desk::new(80);
    desk.types("half");
    desk.turn(b" a word", &["<bob> 1", "<bob> 2", "<bob> 3"]);
    assert_eq!(
        desk.drawn,
        b"\r\x1b[J<bob> 1\r\n<bob> 2\r\n<bob> 3\r\n\r> half a word\x1b[K"
    );
    desk.assert_row("> half a word", 13);
}

#[test]
fn typing_at_the_end_sends_the_character_and_nothing_else() {
    let mut desk = Desk::new(20);
    for (typed, echo) in [
        ("a", "a"),
        ("你", "你"),
        ("bc", "bc"),
        ("\x1b[C", ""),
        ("\x05", ""),
        ("\x1b[3~", ""),
    ] {
        desk.types(typed);
        assert_eq!(desk.drawn, echo.as_bytes());
    }
    desk.types("x\x7f");
    assert_eq!(desk.drawn, "\r> a你bc\x1b[K".as_bytes());
}

#[test]
fn what_was_typed_before_the_editor_came_is_the_beginning_of_the_line() {
    let mut desk = Desk::with_typed(50, "hello w你or", "");
    desk.assert_row("> hello w你or", 13);
    desk.hears("<bob> after");
    desk.types("ld\r\0");
    assert_eq!(desk.lines, ["hello w你orld"]);

    let blind = b"drop\x15a\tx\x7f\x1b[Ab\xe4\xbd";
    let mut editor = Editor::new(4096, blind);
    let outcome = editor.input(&mut &b"\xa0\r"[..]);
    assert_eq!(
        outcome,
        Some(Outcome::Line("a b你".into())),
        "half a character goes on, too"
    );
}

#[test]
fn a_message_that_crosses_the_type_ahead_leaves_it_whole() {
    // 200 ms away: the client's echo and the message share a row, and the redraw comes below it.
    let mut desk = Desk::with_typed(50, "hello w你or", "<bob> crossing message\r\n");
    desk.assert_row("> hello w你or", 13);
    desk.types("ld");
    desk.assert_row("> hello w你orld", 15);
}

#[test]
fn keys_that_wait_for_a_slow_round_trip_arrive_in_one_packet() {
    let mut desk = Desk::new(40);
    desk.turn(b"helo\x1b[Dl\x05 bob\r\0and mo", &["<bob> meanwhile"]);
    desk.types("re\x17all\x01\x1b[3~A");
    assert_eq!(desk.lines, ["hello bob"]);
    desk.assert_row("> And all", 3);
}

#[test]
fn keys_do_what_they_say() {
    for (typed, line) in [
        ("abc\x02\x02\x04", "ac"),
        ("abc\x01\x1b[3~", "bc"),
        ("abc\x01\x0b", ""),
        ("one two\x02\x02\x15", "wo"),
        ("one two  \x17x", "one x"),
        ("你好\x7f吗", "你吗"),
        ("ab\x1bOHx\x1b[Fy\x1b[1~\x06\x06z\x1b[4~!", "xazby!"),
        ("ดี\x7fx", "x"),
        ("a👩‍👩‍👧‍👦b\x02\x08", "ab"),
        ("a👩‍👩‍👧‍👦b\x01\x06\x04", "ab"),
        ("a👍🏽b\x02\x02\x04", "ab"),
        ("🇩🇪🇫🇷\x02\x08", "🇫🇷"),
        ("a\x1bbc", "ac"),
        ("one two\x1b[1;5Db", "one btwo"),
        ("one two \x01\x1b[1;5C!", "one! two "),
        ("a\x00b\x1ac\x13", "abc"),
        ("a\u{202e}\u{200b}\u{85}b", "ab"),
        ("x\x03y", "y"),
    ] {
        let mut desk = Desk::new(80);
        desk.types(typed);
        desk.types("\r");
        assert_eq!(desk.lines, [line], "{typed:?}");
    }
}

#[test]
fn lines_come_back_from_the_history() {
    let mut desk = Desk::new(40);
    desk.types("one\r\ntwo\r\n\r\nthree\r\n");
    desk.types("half\x1b[A\x10\x1bOA\x1bOA");
    desk.assert_row("> one", 5);
    desk.types("\x0e\x1b[B\x1b[B\x1b[B");
    desk.assert_row("> half", 6);
    desk.types("\x03\x10\x10!\r");
    assert_eq!(desk.lines, ["one", "two", "", "three", "two!"]);
    desk.types("\x10\x0e");
    desk.assert_row(">", 2);
}

#[test]
fn every_outcome_leaves_the_terminal_in_order() {
    let mut desk = Desk::new(40);
    desk.types("abc\x03");
    desk.assert_row(">", 2);
    assert_eq!(desk.interrupts, 0);
    desk.types("\x03");
    assert_eq!(desk.interrupts, 1);
    desk.assert_row(">", 2);
    desk.types("x\x03\x03");
    assert_eq!((desk.interrupts, desk.has_quit), (2, false));
    desk.types("x\x7f\x1b[3~");
    assert!(!desk.has_quit, "only Ctrl-D ends it");
    desk.types("x\x7f\x04");
    assert!(desk.has_quit);
    desk.assert_row("", 0);
}

#[test]
fn ctrl_l_leaves_the_row_alone_on_a_clean_screen() {
    let mut desk = Desk::new(40);
    desk.hears("<bob> hello");
    desk.types("half\x0c");
    desk.above = terminal(40);
    desk.assert_row("> half", 6);
}

#[test]
fn tab_completes_and_goes_round() {
    let mut desk = Desk::new(40);
    desk.types("/na\t");
    desk.assert_row("> /name", 8);
    desk.types("\t");
    desk.assert_row("> /names", 9);
    desk.types("\t");
    desk.assert_row("> /name", 8);
    desk.types("\x15/msg b\t");
    desk.assert_row("> /msg bob", 11);
    desk.types("\tx\t");
    desk.assert_row("> /msg bob  x", 14);
    desk.types("\x15\x0ba an there\x02\x02\x02\x02\x02\x02\t\t");
    desk.assert_row("> a anna  there", 9);
    desk.types("\x06\x02\t");
    desk.assert_row("> a anna   there", 10);
    desk.types("\x15\x0b安\t\t");
    desk.assert_row("> 安娜", 8);
}

#[test]
fn a_full_line_rings_once_a_packet_and_keeps_what_it_has() {
    let line = format!("{}你", "x".repeat(1_999));
    let mut desk = Desk::new(40);
    desk.types("x".repeat(1_999));
    desk.types("你你你");
    assert_eq!(desk.drawn.split(|&byte| byte == 7).count(), 2, "one bell");
    desk.assert_shows(&line, line.len());
    desk.types("\x01/\t");
    assert_eq!(
        desk.drawn,
        [b"\r> \x1b7", "x".repeat(37).as_bytes(), b"\x1b[K\x1b8\x07"].concat()
    );
    desk.types("\x05\x7f\r");
    assert_eq!(desk.lines, ["x".repeat(1_999)]);
}

#[test]
fn a_line_of_which_something_was_not_taken_is_not_sent() {
    let cut = "x".repeat(2_000);
    let mut desk = Desk::new(40);
    desk.types("x".repeat(2_500));
    for keys in ["\r", "\x10\r", "draft\x10\x0e\x15\x10 \x02\r"] {
        desk.types(keys);
        let bytes = if keys.contains(' ') { 2_501 } else { 2_500 };
        desk.assert_texts_above();
        assert!(
            desk.screen
                .screen()
                .contents()
                .contains(&format!("!! too long: {bytes}\n")),
            "{}",
            desk.picture()
        );
        assert_eq!(desk.lines, [""; 0], "{keys:?}");
        desk.assert_row(">", 2);
    }
    desk.types("hi\r\x10\x10\x7f\r");
    assert_eq!(desk.lines, ["hi", &cut[1..]], "it can be shortened");

    // An older line is whole, and the one being written still is not when it comes back.
    let mut desk = Desk::new(40);
    desk.types("hi\r");
    desk.types("y".repeat(2_001));
    desk.types("\x10\r");
    assert_eq!(desk.lines, ["hi", "hi"]);
    desk.types("y".repeat(2_001));
    desk.types("\x10\x0e\r");
    assert_eq!(desk.lines.len(), 2);
    desk.types("z".repeat(2_001));
    desk.types("\x03bye\r");
    assert_eq!(desk.lines, ["hi", "hi", "bye"]);

    let mut desk = Desk::new(40);
    desk.editor = Editor::new(8, b"typed before");
    desk.types("\r");
    assert_eq!(desk.lines, [""; 0]);
}

#[test]
fn a_name_that_does_not_fit_rings_and_changes_nothing() {
    let mut desk = Desk::new(40);
    desk.editor = Editor::new(8, b"hello an");
    desk.types("\t");
    assert_eq!(desk.drawn, b"\r> hello an\x1b[K\x07");
    desk.types("\r");
    assert_eq!(desk.lines, ["hello an"]);
}

#[test]
fn a_paste_is_drawn_once_and_typing_costs_little() {
    let mut desk = Desk::new(80);
    desk.types("ab\x02");
    desk.types("x".repeat(1_900));
    assert!(desk.drawn.len() < 100, "{} bytes", desk.drawn.len());

    let mut desk = Desk::new(80);
    let mut bytes = 0;
    for _ in 0..2_000 {
        desk.types("x");
        bytes += desk.drawn.len();
    }
    assert!(bytes < 4 * 2_000, "{bytes} bytes for 2,000 keys");
}

#[test]
fn pasted_lines_are_sent_one_by_one() {
    let mut desk = Desk::new(40);
    desk.types("one\r\ntwo\nthree\r\0fo");
    assert_eq!(desk.lines, ["one", "two", "three"]);
    desk.assert_row("> fo", 4);
}

#[test]
fn a_new_line_is_shown_from_its_own_start() {
    for shift in 0..3 {
        let mut desk = Desk::new(24);
        desk.types("a line that has scrolled the row");
        let next = format!("{}下一行也比窗口宽得多，所以也滚", "x".repeat(shift));
        desk.types(format!("\r{next}"));
        desk.assert_shows(&next, next.len());
    }
}

#[test]
fn a_wider_window_shows_more_of_the_line() {
    let line = "x".repeat(70);
    let mut desk = Desk::new(20);
    desk.types(&line);
    desk.resize(60);
    desk.assert_shows(&line, 70);
    assert!(desk.cursor().1 > 30, "{}", desk.picture());
}

/// As tmux does it: lines that were wrapped, or must be, are broken anew, and the cursor stays at its character.
fn rewrapped(old: &vt100::Parser, columns: u16) -> vt100::Parser {
    let mut new = terminal(columns);
    let (last, cursor_column) = old.screen().cursor_position();
    let old_columns = old.screen().size().1.get();
    for row in 0..last {
        let text = row_text(old, row, 0, old_columns);
        let line = if old.screen().row_wrapped(row) {
            text
        } else {
            format!("{}\r\n", text.trim_end())
        };
        new.process(line.as_bytes());
    }
    new.process(row_text(old, last, 0, cursor_column).as_bytes());
    new.process(b"\x1b7");
    new.process(
        row_text(old, last, cursor_column, old_columns)
            .trim_end()
            .as_bytes(),
    );
    new.process(b"\x1b8");
    new
}

#[test]
fn a_terminal_that_wraps_anew_loses_no_message_and_shows_the_row_whole() {
    for (key, part) in [("", "w window"), ("\x01", "> this line needs")] {
        let mut desk = Desk::new(50);
        desk.hears("<bob> this is a message that is wider than the window will be");
        desk.types(format!("this line needs two rows of a narrow window{key}"));
        for columns in [30, 60, 20, 50] {
            desk.screen = rewrapped(&desk.screen, columns);
            desk.columns = columns;
            let mut out = Vec::new();
            desk.editor.resize(columns);
            desk.editor.draw(&mut out);
            desk.show(out);
            let row = desk.row();
            assert!(
                row.starts_with(PROMPT) && row.contains(part),
                "{}",
                desk.picture()
            );
            desk.hears("<eve> still here");
            assert_eq!(desk.row(), row, "{}", desk.picture());
            let contents = desk.screen.screen().contents();
            assert!(
                contents.ends_with(&row),
                "nothing is left below\n{contents}"
            );
        }
        let contents = desk.screen.screen().contents();
        assert!(
            contents.starts_with("<bob> this is a message that is wider than the window will be\n"),
            "{contents}"
        );
        assert_eq!(
            contents.matches("<eve> still here\n").count(),
            4,
            "{contents}"
        );
    }
}

#[test]
fn no_split_of_a_packet_changes_line_or_row() {
    for packet in [
        "hi ดี 你好 e\u{301}\x1b[D\x1b[D\x1bOHx\x1b[3~\x7f👩🏽‍💻!\x1b[F end\r\nand\x01more\x7f",
        "/na\t\tx\x1b[A\x1b[A\x0e\x0ey\r\0🇩🇪🇫🇷\x02\x02\x06\x1b[200~z",
        "one\rtwo\nthree\r\0four\r\n\x10\x10\x10\x0e\x17last",
        "a line of words that is so long that it scrolls the row\x01\x06\x06\x1b[3~你好吗",
    ] {
        let packet = [packet.as_bytes(), b"\xe4\xbda\xff"].concat();
        let mut whole = Desk::new(200);
        whole.types(&packet);
        let check_line = |mut desk: Desk| {
            desk.assert_texts_above();
            assert_eq!(desk.lines, whole.lines);
            desk.types("\r");
            let line = visible(desk.lines.last().unwrap());
            assert_eq!(format!("{PROMPT}{line}").trim_end(), whole.row());
        };
        for columns in [24, 200] {
            for split in 0..=packet.len() {
                let mut desk = Desk::new(columns);
                desk.types(&packet[..split]);
                desk.types(&packet[split..]);
                if columns == 200 {
                    assert_eq!(
                        (desk.row(), desk.cursor()),
                        (whole.row(), whole.cursor()),
                        "split at {split}"
                    );
                }
                check_line(desk);
            }
            // A message and another width between any two bytes.
            let mut desk = Desk::new(columns);
            for (number, byte) in packet.iter().enumerate() {
                desk.turn(&[*byte], &["<bob> 一个消息 in between, wider than one row"]);
                desk.assert_texts_above();
                desk.resize(if number % 2 == 0 { 30 } else { columns });
            }
            check_line(desk);
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Types(String),
    Presses(&'static str),
    Hears(String),
    Resizes(u16),
}

/// Ctrl-D.
const DELETE: &str = "\x04";

fn texts() -> impl Strategy<Value = String> {
    let clusters = [
        "你好",
        "吗",
        "สวัสดี",
        "ดี",
        "e\u{301}",
        "👍",
        "👍🏽",
        "🏽",
        "👩‍👧",
        "👩🏽‍💻",
        "❤\u{fe0f}",
        "🇩🇪",
        "🇫",
        "각",
        "\u{301}",
        "\u{200d}",
        "नि",
        "\u{fffd}",
        " an",
        "/n",
    ];
    prop_oneof![
        3 => "[a-z ]{1,8}",
        1 => "[a-z ]{20,90}",
        1 => "[你好吗朋友们，]{10,40}",
        4 => proptest::sample::select(clusters.to_vec()).prop_map(str::to_owned),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    let keys = [
        "\x1b[D", "\x1b[D", "\x02", "\x1bOC", "\x06", "\x1b[H", "\x1b[7~", "\x1bOF", "\x05",
        "\x7f", "\x7f", "\x08", "\x1b[3~", DELETE, "\x15", "\x0b", "\x17", "\x1b[A", "\x10",
        "\x1bOB", "\x0e", "\t", "\t", "\r\0", "\r\n",
        // Without something typed it would be an interrupt.
        "x\x03",
    ];
    prop_oneof![
        4 => texts().prop_map(Event::Types),
        6 => proptest::sample::select(keys.to_vec()).prop_map(Event::Presses),
        2 => "(<bob> |-- )[a-z你好👍]{0,60}".prop_map(Event::Hears),
        1 => (20u16..100).prop_map(Event::Resizes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_happens_the_row_shows_the_line_and_all_texts_stand_above(
        events in proptest::collection::vec((events(), any::<bool>()), 1..60),
        columns in 20u16..100,
    ) {
        let mut desk = Desk::new(columns);
        let mut reference = Reference::new(4096, names_for);
        for (event, is_byte_by_byte) in events {
            let packet = match event {
                Event::Types(text) => text,
                // On an empty line it would be the end.
                Event::Presses(DELETE) if reference.line().0.is_empty() => String::new(),
                Event::Presses(key) => key.to_owned(),
                Event::Hears(text) => {
                    desk.hears(&text);
                    String::new()
                }
                Event::Resizes(columns) => {
                    desk.resize(columns);
                    String::new()
                }
            };
            reference.types(&packet);
            for piece in packet.as_bytes().chunks(if is_byte_by_byte { 1 } else { usize::MAX }) {
                desk.types(piece);
            }
            prop_assert_eq!(&desk.lines, &reference.lines());
            let (line, cursor) = reference.line();
            desk.assert_shows(&line, cursor);
        }
        desk.types("\r");
        prop_assert_eq!(desk.lines.last(), Some(&reference.line().0));
    }

    #[test]
    fn no_bytes_at_all_break_the_row(
        packets in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..60), any::<bool>()), 1..30),
        columns in 8u16..60,
    ) {
        let mut desk = Desk::new(columns);
        for (packet, has_message) in packets {
            // Ctrl-D ends it, as two Ctrl-C do, and Ctrl-L takes away what is compared.
            let packet: Vec<u8> = packet.into_iter().filter(|&byte| byte != 0x04 && byte != 0x0c).collect();
            desk.turn(&packet, if has_message { &["<bob> hello"] } else { &[] });
            if desk.has_quit {
                break;
            }
            prop_assert!(desk.row().starts_with('>'), "{}", desk.picture());
            prop_assert_eq!(row_text(&desk.screen, desk.cursor().0, columns - 1, columns), " ");
            desk.assert_texts_above();
        }
    }
}
