//! What newcomers are shown: the message of the day, and what was said before they came.

use std::time::Duration;

use chatd::dialect::Dialect;

use crate::chat::{Chat, LIMITS};

fn chat(history_lines: usize) -> Chat {
    let mut limits = LIMITS;
    limits.history_lines = history_lines;
    Chat::with(limits)
}

/// What a newcomer is shown behind the two lines of the greeting.
fn shown_to_newcomer(chat: &mut Chat) -> Vec<String> {
    let id = chat.connect();
    chat.turn();
    chat.lines(id).split_off(2)
}

#[test]
fn a_newcomer_is_shown_what_was_said_and_not_who_came_and_went() {
    let mut chat = chat(3);
    assert_eq!(shown_to_newcomer(&mut chat), [""; 0]);
    let [ann, bob] = chat.people(["ann", "bob"]);
    chat.say(ann, "/msg bob psst");
    chat.say(ann, "/who");
    assert_eq!(
        shown_to_newcomer(&mut chat),
        [""; 0],
        "nothing of that was said to all"
    );
    chat.say(ann, "hello");
    chat.pass(Duration::from_secs(60));
    chat.say(bob, "/me waves");
    chat.say(bob, "/name robert");
    chat.pass(Duration::from_secs(3600 * 10));
    chat.say(bob, "你好");
    chat.say(ann, "/quit");
    let earlier = [
        "-- earlier:",
        "14:05 <ann> hello",
        "14:06 * bob waves",
        "00:06 <robert> 你好",
        "-- now",
    ];
    assert_eq!(shown_to_newcomer(&mut chat), earlier);
    assert_eq!(chat.ask(bob, "/history"), earlier);
    assert_eq!(
        chat.ask(bob, "/history 1"),
        ["-- earlier:", "00:06 <robert> 你好", "-- now"]
    );
    assert_eq!(chat.ask(bob, "/history 9"), earlier);
    for wrong in ["/history x", "/history -1", "/history 1 2"] {
        assert_eq!(chat.ask(bob, wrong), ["!! usage: /history [N]"]);
    }
    chat.say(bob, "fourth");
    assert_eq!(shown_to_newcomer(&mut chat)[1], "14:06 * bob waves");
}

#[test]
fn programs_are_shown_nothing_but_are_remembered() {
    let mut chat = chat(20);
    let [ann] = chat.people(["ann"]);
    chat.hub.set_motd(b"Welcome.");
    chat.say(ann, "hello");
    let program = chat.connect_to(Dialect::Wire);
    chat.send(program, "NAME Ym90\nCHAT Ym90 aGVsbG8=\n");
    assert_eq!(chat.read(program), b"NAME Ym90\n");
    assert_eq!(
        shown_to_newcomer(&mut chat),
        [
            "-- Welcome.",
            "-- earlier:",
            "14:05 <ann> hello",
            "14:05 <bot> hello",
            "-- now"
        ]
    );
}

#[test]
fn nothing_is_shown_where_no_history_is_wanted() {
    let mut chat = chat(0);
    let [ann] = chat.people(["ann"]);
    chat.say(ann, "hello");
    assert_eq!(shown_to_newcomer(&mut chat), [""; 0]);
    assert_eq!(chat.ask(ann, "/history"), ["-- earlier:", "-- now"]);
}

#[test]
fn what_is_said_in_the_turn_of_a_newcomer_is_heard_once() {
    let mut chat = chat(20);
    let [ann] = chat.people(["ann"]);
    chat.hear(ann, "before\r\n");
    let newcomer = chat.connect();
    chat.hear(ann, "after\r\n");
    chat.turn();
    let lines = chat.lines(newcomer).split_off(2);
    assert_eq!(
        lines,
        ["-- earlier:", "14:05 <ann> before", "-- now", "<ann> after"]
    );
}

/// With the time in every line, a line from before has its own time, and no other one.
#[test]
fn lines_from_before_have_one_time_each() {
    let mut chat = chat(20);
    let [ann] = chat.people(["ann"]);
    chat.say(ann, "hello");
    chat.pass(Duration::from_secs(3600));
    chat.say(ann, "/time on +08:00");
    assert_eq!(
        chat.ask(ann, "/history"),
        ["23:05 -- earlier:", "22:05 <ann> hello", "23:05 -- now"]
    );
}

#[test]
fn the_message_of_the_day_is_made_fit_to_be_shown() {
    let mut chat = chat(0);
    chat.hub
        .set_motd("Welcome to \x1b[31mred\x1b[0m.\r\n\r\n  你好\u{202e}\u{7}\n".as_bytes());
    assert_eq!(
        shown_to_newcomer(&mut chat),
        ["-- Welcome to red.", "-- 你好"]
    );
    chat.hub.set_motd(b"Another one");
    assert_eq!(shown_to_newcomer(&mut chat), ["-- Another one"]);
    chat.hub.set_motd(b"");
    assert_eq!(shown_to_newcomer(&mut chat), [""; 0]);
}
