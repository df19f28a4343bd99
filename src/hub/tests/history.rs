//! What newcomers are shown: the message of the day, and what was said before they came.

use std::time::Duration;

use crate::dialect::Dialect;
use crate::hub::Limits;

use super::world::{limits, World};

fn remembering(history_lines: usize) -> World {
    World::new(Limits {
        history_lines,
        ..limits()
    })
}

/// What a newcomer is shown behind the two lines of the greeting.
fn shown_to_newcomer(world: &mut World) -> Vec<String> {
    let id = world.connect();
    world.turn();
    world.lines(id).split_off(2)
}

#[test]
fn a_newcomer_is_shown_what_was_said_and_not_who_came_and_went() {
    let mut world = remembering(3);
    assert_eq!(shown_to_newcomer(&mut world), [""; 0]);
    let [ann, bob] = world.people(["ann", "bob"]);
    world.enter(ann, "/msg bob psst");
    world.enter(ann, "/who");
    assert_eq!(
        shown_to_newcomer(&mut world),
        [""; 0],
        "nothing of that was said to all"
    );
    world.enter(ann, "hello");
    world.pass(Duration::from_secs(60));
    world.enter(bob, "/me waves");
    world.enter(bob, "/name robert");
    world.pass(Duration::from_secs(3600 * 10));
    world.enter(bob, "你好");
    world.enter(ann, "/quit");
    let earlier = [
        "-- earlier:",
        "10-04 14:05 <ann> hello",
        "10-04 14:06 * bob waves",
        "00:06 <robert> 你好",
        "-- now",
    ];
    assert_eq!(shown_to_newcomer(&mut world), earlier);
    assert_eq!(world.ask(bob, "/history"), earlier);
    assert_eq!(
        world.ask(bob, "/history 1"),
        ["-- earlier:", "00:06 <robert> 你好", "-- now"]
    );
    assert_eq!(world.ask(bob, "/history 9"), earlier);
    for wrong in ["/history x", "/history -1", "/history 1 2"] {
        assert_eq!(world.ask(bob, wrong), ["!! usage: /history [N]"]);
    }
    world.enter(bob, "fourth");
    assert_eq!(shown_to_newcomer(&mut world)[1], "10-04 14:06 * bob waves");
}

#[test]
fn programs_are_shown_nothing_but_are_remembered() {
    let mut world = remembering(20);
    let [ann] = world.people(["ann"]);
    world.hub.set_motd(b"Welcome.");
    world.enter(ann, "hello");
    let program = world.connect_to(Dialect::Wire);
    world.send(program, "NAME Ym90\nCHAT Ym90 aGVsbG8=\n");
    assert_eq!(world.read(program), b"NAME Ym90\n");
    assert_eq!(
        shown_to_newcomer(&mut world),
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
    let mut world = remembering(0);
    let [ann] = world.people(["ann"]);
    world.enter(ann, "hello");
    assert_eq!(shown_to_newcomer(&mut world), [""; 0]);
    assert_eq!(world.ask(ann, "/history"), ["-- earlier:", "-- now"]);
}

#[test]
fn what_is_said_in_the_turn_of_a_newcomer_is_heard_once() {
    let mut world = remembering(20);
    let [ann] = world.people(["ann"]);
    world.hear(ann, "before\r\n");
    let newcomer = world.connect();
    world.hear(ann, "after\r\n");
    world.turn();
    let lines = world.lines(newcomer).split_off(2);
    assert_eq!(
        lines,
        ["-- earlier:", "14:05 <ann> before", "-- now", "<ann> after"]
    );
}

/// With the time in every line, a line from before has its own time, and no other one.
#[test]
fn lines_from_before_have_one_time_each() {
    let mut world = remembering(20);
    let [ann] = world.people(["ann"]);
    world.enter(ann, "hello");
    world.pass(Duration::from_secs(3600));
    world.enter(ann, "/time on +08:00");
    assert_eq!(
        world.ask(ann, "/history"),
        ["23:05 -- earlier:", "22:05 <ann> hello", "23:05 -- now"]
    );
}

#[test]
fn the_message_of_the_day_is_made_fit_to_be_shown() {
    let mut world = remembering(0);
    world
        .hub
        .set_motd("Welcome to \x1b[31mred\x1b[0m.\r\n\r\n  你好\u{202e}\u{7}\n".as_bytes());
    assert_eq!(
        shown_to_newcomer(&mut world),
        ["-- Welcome to red.", "--   你好"]
    );
    world.hub.set_motd(b"Another one");
    assert_eq!(shown_to_newcomer(&mut world), ["-- Another one"]);
    world.hub.set_motd(b"");
    assert_eq!(shown_to_newcomer(&mut world), [""; 0]);
}
