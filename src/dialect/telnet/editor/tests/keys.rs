//! What keys come to: the line, its history, completion, and the outcomes.

use super::*;

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
fn tab_completes_and_goes_round() {
    let mut desk = Desk::new(40);
    for (keys, row, cursor_column) in [
        ("/na\t", "> /name", 8),
        ("\t", "> /names", 9),
        ("\t", "> /name", 8),
        ("\x15/msg b\t", "> /msg bob", 11),
        ("\tx\t", "> /msg bob  x", 14),
        (
            "\x15\x0ba an there\x02\x02\x02\x02\x02\x02\t\t",
            "> a anna  there",
            9,
        ),
        ("\x06\x02\t", "> a anna   there", 10),
        ("\x15\x0b安\t\t", "> 安娜", 8),
    ] {
        desk.types(keys);
        desk.assert_row(row, cursor_column);
    }
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
fn pasted_lines_are_sent_one_by_one() {
    let mut desk = Desk::new(40);
    desk.types("one\r\ntwo\nthree\r\0fo");
    assert_eq!(desk.lines, ["one", "two", "three"]);
    desk.assert_row("> fo", 4);
}
