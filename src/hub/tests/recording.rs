//! The transcript: what is written, who is told of that, and what comes back.

use std::time::Duration;

use crate::hub::transcript::CUT_OFF;
use crate::hub::Limits;
use crate::room_name::RoomName;

use super::world::{limits, World};

const TOLD: &str = "-- what is said in rooms without a key is recorded";

fn recording() -> World {
    let mut world = World::new(Limits {
        history_lines: 3,
        rooms_max: 10,
        ..limits()
    });
    world.hub.begin_transcript();
    world
}

fn written(world: &mut World) -> Vec<String> {
    let transcript = world.hub.transcript().unwrap();
    let text = String::from_utf8(transcript.text().to_vec()).unwrap();
    transcript.clear();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn what_is_said_in_rooms_without_a_key_is_written_and_nothing_else() {
    let mut world = recording();
    let [ann, bob] = world.people(["ann", "bob"]);
    world.enter(ann, "hello");
    world.enter(bob, "/me waves");
    world.enter(ann, "/msg bob psst");
    world.enter(bob, "/reply what?");
    world.enter(ann, "/away for tea");
    world.enter(ann, "/who");
    world.enter(bob, "/name robert");
    world.enter(ann, "/join games");
    world.enter(ann, "anybody?");
    world.enter(ann, "/join den s3cret");
    world.enter(ann, "a secret");
    world.enter(ann, "/me whispers");
    world.enter(ann, "/leave");
    world.pass(Duration::from_secs(1));
    world.enter(bob, "/quit good night");
    let time = "2024-10-04T14:05:3";
    let expected = [
        format!("{time}0Z lobby <ann> hello"),
        format!("{time}0Z lobby * bob waves"),
        format!("{time}0Z games <ann> anybody?"),
    ];
    assert_eq!(written(&mut world), expected);
    world.check();
}

#[test]
fn newcomers_are_told_that_it_is_written_and_where_it_is_not_they_are_told_nothing() {
    let mut world = recording();
    let guest = world.connect();
    world.turn();
    assert_eq!(world.lines(guest)[2..], [TOLD]);
    let mut world = World::new(limits());
    let guest = world.connect();
    world.turn();
    let greeting = world.lines(guest);
    assert!(greeting.iter().all(|line| line != TOLD), "{greeting:?}");
    assert!(world.hub.transcript().is_none());
}

#[test]
fn the_last_lines_of_the_lobby_and_of_rooms_that_are_always_there_come_back() {
    let mut world = recording();
    world.hub.set_rooms(&[RoomName::parse("games").unwrap()]);
    let mut text = b"from the middle\n".to_vec();
    for (room, words) in [
        ("lobby", "one"),
        ("games", "chess?"),
        ("lobby", "two"),
        ("gone", "hello?"),
        ("lobby", "three"),
        ("lobby", "four"),
    ] {
        let line = format!("2024-10-03T09:00:00Z {room} <ann> {words}\n");
        text.extend_from_slice(line.as_bytes());
    }
    text.extend_from_slice(b"2024-10-03T09:00:00Z lobby <ann> fi");
    text.extend_from_slice(CUT_OFF);
    text.extend_from_slice(b"2024-10-03T09:00:01Z lobby * bob waves\n");
    world.hub.restore(&text);
    let guest = world.connect();
    world.turn();
    let shown = world.lines(guest).split_off(3);
    let expected = [
        "-- earlier:",
        "10-03 09:00 <ann> three",
        "10-03 09:00 <ann> four",
        "10-03 09:00 * bob waves",
        "-- now",
    ];
    assert_eq!(shown, expected);
    let shown = world.ask(guest, "/join games");
    assert!(
        shown.iter().any(|line| line == "10-03 09:00 <ann> chess?"),
        "{shown:?}"
    );
    assert!(written(&mut world).is_empty(), "it is written already");
    // Nobody is who wrote before the start, so they cannot be ignored, and a new ann is another one.
    let ann = world.join("ann");
    world.enter(guest, "/ignore ann");
    world.enter(ann, "hello");
    let shown = world.ask(guest, "/history");
    assert!(
        shown.iter().any(|line| line.contains("<ann> chess?")),
        "{shown:?}"
    );
    world.check();
}

#[test]
fn no_more_is_read_in_a_turn_than_may_wait_to_be_written() {
    let mut world = recording();
    let ann = world.join("ann");
    let _bob = world.join("bob");
    let line = "x".repeat(1000);
    let mut lines = 0;
    while !world.hub.has_done_enough() {
        world.enter(ann, &line);
        lines += 1;
        assert!(lines < 1000, "so many wait to be written");
    }
    let waiting = world.hub.transcript().unwrap();
    assert_eq!(memchr::memchr_iter(b'\n', waiting.text()).count(), lines);
    waiting.clear();
    assert!(!world.hub.has_done_enough());
}
