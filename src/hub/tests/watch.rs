//! What programs hear that ask to be told who comes and goes, and where it stands among what is said.

use std::time::Duration;

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;

use crate::dialect::Dialect;
use crate::hub::rooms::RoomAt;
use crate::hub::{Limits, SessionId};
use crate::rate::Rate;

use super::world::{limits, World};

/// A program that hears who comes and goes.
fn watcher(world: &mut World) -> SessionId {
    let id = world.connect_to(Dialect::Wire);
    world.say(id, "WATCH on");
    world.turn();
    assert_eq!(heard(world, id), ["WATCH on"]);
    id
}

/// What a program was told, with what is base64 of text as text.
fn heard(world: &mut World, id: SessionId) -> Vec<String> {
    let text = String::from_utf8(world.read(id)).expect("ASCII");
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    let decoded = |field: &str| {
        let bytes = BASE64.decode(field).ok().filter(|_| field.len() >= 4)?;
        String::from_utf8(bytes).ok()
    };
    let shown = |line: &str| {
        let (verb, fields) = line.split_once(' ').expect("a verb and fields");
        let fields = fields.split(' ');
        let fields = fields.map(|field| decoded(field).unwrap_or_else(|| field.to_owned()));
        let fields: Vec<String> = fields.collect();
        format!("{verb} {}", fields.join(" "))
    };
    text.lines().map(shown).collect()
}

#[test]
fn who_watches_hears_who_comes_goes_and_changes_their_name() {
    let mut world = World::new(limits());
    let plain = world.connect_to(Dialect::Wire);
    let bot = watcher(&mut world);
    let [ann] = world.people(["ann"]);
    world.enter(ann, "hello");
    world.enter(ann, "/name eve");
    world.enter(ann, "/quit see you");
    assert_eq!(
        heard(&mut world, bot),
        ["CAME ann 1", "CHAT ann hello", "NOW ann eve", "WENT eve 0"]
    );
    assert_eq!(heard(&mut world, plain), ["CHAT ann hello"]);
}

#[test]
fn what_was_said_before_a_watch_begins_or_ends_is_heard_before_its_answer_and_once() {
    let mut world = World::new(limits());
    let bot = world.connect_to(Dialect::Wire);
    let [ann, bob] = world.people(["ann", "bob"]);
    // All of it in one turn, between those who hear it.
    let own = "CHAT Yg== b3du";
    world.say(ann, "one");
    world.say(ann, "/name an");
    world.say(bot, own);
    world.say(bot, "WATCH on");
    world.check();
    world.say(ann, "two");
    world.say(bot, own);
    world.say(ann, "/name ann");
    world.say(bot, "WATCH on");
    world.say(ann, "three");
    world.say(bot, "WATCH off");
    world.check();
    world.say(ann, "/name an");
    world.say(ann, "four");
    world.turn();
    world.check();
    assert_eq!(
        heard(&mut world, bot),
        [
            "CHAT ann one",
            "WATCH on",
            "CHAT an two",
            "NOW an ann",
            "WATCH on",
            "CHAT ann three",
            "WATCH off",
            "CHAT an four"
        ]
    );
    let told = world.lines(bob);
    let said = told.iter().filter(|line| line.starts_with('<')).count();
    assert_eq!(said, 6, "{told:?}");
}

#[test]
fn a_program_that_takes_nothing_may_watch_and_hears_it_all_in_order_later() {
    let mut world = World::new(limits());
    let bot = world.connect_to(Dialect::Wire);
    let [ann] = world.people(["ann"]);
    world.pipe(bot).room = 0;
    for (words, watch) in [
        ("one", "WATCH on"),
        ("two", "WATCH off"),
        ("three", "WATCH on"),
    ] {
        world.enter(ann, words);
        world.say(bot, watch);
        world.turn();
        world.check();
        world.enter(ann, &format!("/name {words}"));
        world.enter(ann, "/name ann");
    }
    world.drain(bot, usize::MAX);
    world.turn();
    world.check();
    assert_eq!(
        heard(&mut world, bot),
        [
            "CHAT ann one",
            "WATCH on",
            "NOW ann one",
            "NOW one ann",
            "CHAT ann two",
            "WATCH off",
            "CHAT ann three",
            "WATCH on",
            "NOW ann three",
            "NOW three ann"
        ]
    );
}

#[test]
fn a_watch_in_the_middle_of_a_round_neither_loses_nor_doubles_a_line() {
    let pace_max = Some(Duration::from_millis(100));
    let mut world = World::new(Limits {
        pace_max,
        ..limits()
    });
    let bots: Vec<SessionId> = (0..40).map(|_| world.connect_to(Dialect::Wire)).collect();
    let [ann] = world.people(["ann"]);
    world
        .hub
        .core
        .rooms
        .get_mut(RoomAt::LOBBY)
        .pace
        .told(41, 41, Duration::from_secs(4));
    let mut expected = vec![Vec::new(); bots.len()];
    let mut watching = vec![false; bots.len()];
    let mut is_split = false;
    for step in 0..200 {
        world.say(ann, &format!("line {step}"));
        for lines in &mut expected {
            lines.push(format!("CHAT ann line {step}"));
        }
        if step % 3 == 0 {
            let bot = step * 7 % bots.len();
            watching[bot] = !watching[bot];
            let on = if watching[bot] { "on" } else { "off" };
            world.say(bots[bot], &format!("WATCH {on}"));
            expected[bot].push(format!("WATCH {on}"));
        }
        world.pass(Duration::from_millis(7));
        world.check();
        is_split |= world.hub.is_in_a_round();
    }
    assert!(is_split, "no round was in several turns");
    for _ in 0..200 {
        world.pass(Duration::from_millis(100));
    }
    for (bot, expected) in bots.into_iter().zip(expected) {
        assert_eq!(heard(&mut world, bot), expected);
    }
}

#[test]
fn those_who_come_go_and_change_their_names_at_once_are_summed_up() {
    let mut world = World::new(limits());
    let [ann] = world.people(["ann"]);
    let bot = watcher(&mut world);
    let crowd: Vec<SessionId> = (0..12).map(|_| world.connect()).collect();
    let second = Duration::from_secs(1);
    world.pass(second);
    for turn in ["a", "b"] {
        for (number, id) in crowd.iter().enumerate() {
            world.say(*id, &format!("/name {turn}{number}"));
        }
        world.turn();
        world.pass(second);
    }
    for id in &crowd {
        world.say(*id, "/quit");
    }
    world.turn();
    world.pass(second);
    world.check();
    let (told, seen) = (heard(&mut world, bot), world.lines(ann));
    assert_eq!((told.len(), seen.len()), (33, 33));
    let of_sums = [10, 21, 32];
    assert_eq!(
        of_sums.map(|at| told[at].as_str()),
        ["CAME - 2 13", "NOW - 2", "WENT - 2 1"]
    );
    assert_eq!(
        of_sums.map(|at| seen[at].as_str()),
        [
            "-- 2 more joined (13 here)",
            "-- 2 changed their names",
            "-- 2 more left (1 here)"
        ]
    );
    assert_eq!([&told[9], &told[11]], ["CAME a9 11", "NOW a0 b0"]);
}

#[test]
fn f084_at_most_ten_renames_are_told_one_by_one_whoever_makes_them() {
    let mut world = World::new(limits());
    let [ann, bob] = world.people(["ann", "bob"]);
    for number in 0..47 {
        world.say(bob, &format!("/name bob{number}"));
    }
    world.pass(Duration::from_millis(999));
    assert_eq!(world.lines(ann).len(), 10);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.lines(ann), ["-- 37 changed their names"]);
    world.enter(bob, "/name bob");
    assert_eq!(world.lines(ann), ["-- bob46 is now known as bob"]);
    assert_eq!(world.hub.wake_at(world.now), None);
}

#[test]
fn a_program_that_watches_is_told_that_its_lines_wait() {
    let line_rate = Rate {
        per_second: 1,
        burst: 1,
    };
    let mut world = World::new(Limits {
        line_rate,
        ..limits()
    });
    let [bot, plain] = [Dialect::Wire; 2].map(|dialect| world.connect_to(dialect));
    world.say(bot, "WATCH on");
    for id in [bot, plain] {
        world.hear(id, "PING x\n".repeat(5));
    }
    for _ in 0..60 {
        world.pass(Duration::from_millis(100));
        for id in world.hub.take_resumed() {
            world.hub.resume(id, world.now);
        }
    }
    let told = heard(&mut world, bot);
    let words = "TELL chatd slow down: your lines wait".to_owned();
    assert_eq!(
        told.iter().filter(|line| **line == words).count(),
        1,
        "{told:?}"
    );
    assert_eq!(heard(&mut world, plain), ["PONG x"; 5]);
}

#[test]
fn programs_write_to_one_and_are_written_to_and_own_nothing_for_it() {
    let mut world = World::new(limits());
    let [ann] = world.people(["ann"]);
    let bot = world.connect_to(Dialect::Wire);
    world.enter(ann, "/away lunch");
    world.read(ann);
    world.say(bot, "TELL YW5u L21lIHdhdmVz");
    world.enter(ann, "/msg guest2 psst");
    world.enter(ann, "/reply again");
    assert_eq!(
        world.lines(ann),
        [
            "[guest2] /me waves",
            "[to guest2] psst",
            "[to guest2] again"
        ]
    );
    assert_eq!(heard(&mut world, bot), ["TELL ann psst", "TELL ann again"]);
    let session = world.hub.sessions.get(bot).expect("it is there");
    assert!(session.prefs.is_none());
    // It is not told of being away, and nobody was told that it is here.
    world.say(bot, "WHO");
    world.turn();
    assert_eq!(heard(&mut world, bot), ["HERE ann", "HERE 1"]);
    world.enter(ann, "/ignore guest2");
    world.read(ann);
    world.say(bot, "TELL YW5u aGk=");
    world.turn();
    assert_eq!((world.read(ann), world.read(bot)), (Vec::new(), Vec::new()));
}

#[test]
fn a_long_list_for_a_program_comes_as_it_is_taken() {
    let mut world = World::new(limits());
    for number in 0..3000 {
        let id = world.connect();
        world.say(id, &format!("/name p{number}"));
    }
    world.pass(Duration::from_secs(2));
    let bot = world.connect_to(Dialect::Wire);
    world.pipe(bot).room = 0;
    world.send(bot, "WHO\nPING behind\n");
    let mut queued_max = 0;
    let mut turns = 0;
    loop {
        queued_max = queued_max.max(world.hub.memory());
        world.drain(bot, 5000);
        world.turn();
        for id in world.hub.take_resumed() {
            world.hub.resume(id, world.now);
        }
        if world.pipe(bot).got.ends_with(b"PONG behind\n") {
            break;
        }
        turns += 1;
        assert!(turns < 1000, "it never ends");
    }
    assert!(queued_max < 20_000, "{queued_max}");
    let told = heard(&mut world, bot);
    assert_eq!(told.len(), 3002);
    assert_eq!(
        [&told[0], &told[2999], &told[3000]],
        ["HERE p0", "HERE p2999", "HERE 3000"]
    );
}
