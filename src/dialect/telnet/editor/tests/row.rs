//! What the terminal shows: the row, its window, and messages above it.

use super::*;

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
fn ctrl_l_leaves_the_row_alone_on_a_clean_screen() {
    let mut desk = Desk::new(40);
    desk.hears("<bob> hello");
    desk.types("half\x0c");
    desk.above = terminal(40);
    desk.assert_row("> half", 6);
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
