//! Rooms: who hears what where, in which order, and who is told of whom.

use std::time::Duration;

use proptest::prelude::*;

use crate::dialect::Dialect;
use crate::hub::moves::move_line;
use crate::hub::room::Room;
use crate::hub::rooms::RoomAt;
use crate::hub::{Limits, Next, SessionId};
use crate::ledger::CloseReason;
use crate::limits::QueueLimits;
use crate::rate::Rate;
use crate::room_name::RoomName;

use super::world::{limits, shown, World};

fn world() -> World {
    World::new(Limits {
        history_lines: 20,
        ..limits()
    })
}

/// What these have been told since they were last asked.
fn told<const N: usize>(world: &mut World, ids: [SessionId; N]) -> [Vec<String>; N] {
    ids.map(|id| world.lines(id))
}

/// The names of the rooms, the lobby first, and of how many members each is.
fn rooms(world: &World) -> Vec<(String, usize)> {
    let rooms = world.hub.core.rooms.iter();
    rooms
        .map(|(_, room)| (room.name.text().to_owned(), room.members.len()))
        .collect()
}

#[test]
fn people_in_two_rooms_hear_nothing_of_each_other_but_private_lines() {
    let mut world = world();
    let [ann, bob, cleo, dora] = world.people(["ann", "bob", "cleo", "dora"]);
    for id in [ann, bob, cleo, dora] {
        world.read(id);
    }
    let made = "-- you left lobby and are in games, a new room";
    assert_eq!(world.ask(ann, "/join games"), [made, "-- 1 here: ann"]);
    let there = "-- you left lobby and are in games";
    assert_eq!(world.ask(bob, "/j #GAMES"), [there, "-- 2 here: ann, bob"]);
    let [ann_told, cleo_told, dora_told] = told(&mut world, [ann, cleo, dora]);
    assert_eq!(ann_told, ["-- bob joined (2 here)"]);
    let gone = [
        "-- ann left for games (3 here)",
        "-- bob left for games (2 here)",
    ];
    assert_eq!([cleo_told, dora_told], [gone, gone]);

    world.enter(ann, "to the players");
    world.enter(cleo, "/me is in the lobby");
    world.enter(cleo, "/msg ann psst");
    world.enter(bob, "/name rob");
    let [ann_told, bob_told, cleo_told, dora_told] = told(&mut world, [ann, bob, cleo, dora]);
    assert_eq!(ann_told, ["[cleo] psst", "-- bob is now known as rob"]);
    assert_eq!(bob_told, ["<ann> to the players", "-- you are rob"]);
    assert_eq!(cleo_told, ["* cleo is in the lobby", "[to ann] psst"]);
    assert_eq!(dora_told, ["* cleo is in the lobby"]);

    // What was said in the lobby meanwhile, and only that, is shown who comes back.
    let back = world.ask(bob, "/leave");
    let expected = [
        "-- you left games and are in lobby",
        "-- 3 here: cleo, dora, rob",
        "-- earlier:",
        "14:05 * cleo is in the lobby",
        "-- now",
    ];
    assert_eq!(back, expected);
    let [ann_told, cleo_told, dora_told] = told(&mut world, [ann, cleo, dora]);
    assert_eq!(ann_told, ["-- rob left for lobby (1 here)"]);
    assert_eq!([cleo_told, dora_told], [["-- rob joined (3 here)"]; 2]);
    // And nothing where nothing was said.
    world.enter(bob, "/join games");
    let back = world.ask(bob, "/part");
    assert_eq!(back.len(), 2, "{back:?}");
    // In a room everything is.
    let back = world.ask(cleo, "/join games");
    let earlier = ["-- earlier:", "14:05 <ann> to the players", "-- now"];
    assert_eq!(back[2..], earlier);
}

#[test]
fn a_room_goes_with_its_last_member_its_key_and_its_history() {
    let mut world = world();
    let [ann, bob] = world.people(["ann", "bob"]);
    let made = "-- you left lobby and are in games, a new room with a key";
    assert_eq!(world.ask(ann, "/join games s3cret")[0], made);
    world.enter(ann, "a secret");
    for (line, refusal) in [
        ("/join games", "!! games has a key: /join games KEY"),
        ("/join games S3cret", "!! that is not the key of games"),
        ("/join games s3cret7", "!! that is not the key of games"),
        ("/join games s3cre", "!! that is not the key of games"),
        ("/who games", "!! no such room: games"),
        ("/join ann!", "!! a room's name is 1 to 24 letters, digits or _ - . and begins with a letter or digit"),
        ("/leave", "!! you are in the lobby already; /quit leaves the server"),
        ("/join lobby", "!! you are in the lobby already; /quit leaves the server"),
    ] {
        assert_eq!(world.ask(bob, line), [refusal], "{line}");
    }
    assert_eq!(world.ask(bob, "/rooms"), ["-- 1 room: lobby (1)"]);
    assert_eq!(
        world.ask(bob, "/whois ann"),
        ["-- ann: here 0 s, silent 0 s, telnet"]
    );
    assert_eq!(
        world.ask(ann, "/rooms"),
        ["-- 2 rooms: lobby (1), games (1)"]
    );
    assert_eq!(world.ask(ann, "/who games"), ["-- 1 here: ann"]);
    assert_eq!(
        world.ask(ann, "/join GAMES x"),
        ["!! you are in games already"]
    );
    let joined = world.ask(bob, "/join games s3cret");
    let there = ["-- you left lobby and are in games", "-- 2 here: ann, bob"];
    assert_eq!(joined[..2], there);
    assert_eq!(joined[3], "14:05 <ann> a secret");
    for id in [ann, bob] {
        world.enter(id, "/leave");
    }
    assert_eq!(rooms(&world), [("lobby".to_owned(), 2)]);
    let made = "-- you left lobby and are in Games, a new room";
    assert_eq!(world.ask(bob, "/join Games"), [made, "-- 1 here: bob"]);
    assert_eq!(
        world.ask(ann, "/join games wrong")[0],
        "-- you left lobby and are in Games"
    );
    world.hub.begin_close(bob, CloseReason::Reset, world.now);
    world.hub.begin_close(ann, CloseReason::Reset, world.now);
    world.turn();
    world.check();
    assert_eq!(rooms(&world), [("lobby".to_owned(), 0)]);
}

#[test]
fn what_stands_in_one_packet_reaches_the_rooms_in_its_order() {
    for dialect in [Dialect::Telnet, Dialect::Wire] {
        let mut world = world();
        let [ann, bob] = world.people(["ann", "bob"]);
        world.enter(bob, "/join x");
        let me = world.connect_to(dialect);
        world.turn();
        let (packet, name) = match dialect {
            Dialect::Telnet => ("/name me\n/join x\nin x\n/leave\nin the lobby\n", "me"),
            Dialect::Wire => ("NAME bWU=\nJOIN eA==\nCHAT bWU= aW4geA==\nJOIN bG9iYnk=\nCHAT bWU= aW4gdGhlIGxvYmJ5\n", "me"),
            other => unreachable!("nobody here speaks {other}"),
        };
        for id in [ann, bob] {
            world.read(id);
        }
        world.send(me, packet);
        let [ann_told, bob_told] = told(&mut world, [ann, bob]);
        let expected = [
            format!("-- {name} joined (2 here)"),
            format!("-- {name} left for x (1 here)"),
            format!("-- {name} joined (2 here)"),
            format!("<{name}> in the lobby"),
        ];
        assert_eq!(ann_told, expected);
        let expected = [
            format!("-- {name} joined (2 here)"),
            format!("<{name}> in x"),
            format!("-- {name} left for lobby (1 here)"),
        ];
        assert_eq!(bob_told, expected);
    }
}

#[test]
fn a_slow_reader_who_moves_on_hears_each_room_whole_and_in_order() {
    let mut world = world();
    let talkers = world.people(["t0", "t1", "t2"]);
    for (n, id) in talkers.iter().enumerate() {
        world.enter(*id, &format!("/join room{n}"));
    }
    let [slow] = world.people(["slow"]);
    world.read(slow);
    world.pipe(slow).room = 0;
    let mut expected = Vec::new();
    let mut from = "lobby".to_owned();
    for step in 0..10 {
        let n = step % 3;
        let to = format!("room{n}");
        // It is said in a turn of its own, or in that in which the reader comes or goes.
        for (who, id) in talkers.iter().enumerate() {
            world.say(*id, &format!("before {step} in {who}"));
        }
        world.say(slow, &format!("/join {to}"));
        for (who, id) in talkers.iter().enumerate() {
            world.say(*id, &format!("after {step} in {who}"));
        }
        if step % 2 == 0 {
            world.turn();
        }
        world.check();
        if let Some(number) = from.strip_prefix("room") {
            expected.push(format!("<t{number}> before {step} in {number}"));
        }
        expected.push(format!("-- you left {from} and are in {to}"));
        expected.push(format!("<t{n}> after {step} in {n}"));
        from = to;
    }
    world.turn();
    assert_eq!(world.read(slow), b"");
    world.drain(slow, usize::MAX);
    world.turn();
    let heard = world.lines(slow);
    let is_live = |line: &&String| line.starts_with('<') || line.starts_with("-- you left");
    let live: Vec<&String> = heard.iter().filter(is_live).collect();
    assert_eq!(live, expected.iter().collect::<Vec<_>>());
    assert_eq!(world.closes(), []);
}

#[test]
fn who_was_told_of_to_nobody_leaves_as_nobody_and_comes_as_somebody() {
    let mut world = world();
    let [ann] = world.people(["ann"]);
    let guest = world.connect();
    world.turn();
    world.enter(guest, "/join games");
    assert_eq!(world.lines(ann), [""; 0]);
    world.enter(ann, "/join games");
    let joined = world.lines(ann);
    assert_eq!(joined[1], "-- 2 here: guest2, ann");
    assert_eq!(world.lines(guest).last().unwrap(), "-- ann joined (2 here)");
    world.enter(guest, "/leave");
    assert_eq!(world.lines(ann), ["-- guest2 left for lobby (1 here)"]);
    assert_eq!(world.ask(ann, "/who lobby"), ["-- 1 in lobby: guest2"]);
}

#[test]
fn rooms_are_listed_and_told_of_where_they_have_no_key() {
    let mut world = world();
    let names = ["help", "games"].map(|name| RoomName::parse(name).unwrap());
    world.hub.set_rooms(&names);
    let [ann, bob, cleo, dora] = world.people(["ann", "bob", "cleo", "dora"]);
    world.enter(ann, "/join games");
    world.enter(bob, "/join games");
    world.enter(cleo, "/join zoo");
    world.enter(dora, "/join cellar key");
    let guest = world.connect();
    world.turn();
    let greeted = world.lines(guest);
    let expected = "-- 2 more rooms: games (2), zoo (1); /join NAME goes there";
    assert_eq!(greeted[2], expected);
    let all = "-- 4 rooms: lobby (0), games (2), zoo (1), help (0)";
    assert_eq!(world.ask(guest, "/rooms"), [all]);
    let all = "-- 5 rooms: lobby (0), games (2), cellar (1), zoo (1), help (0)";
    assert_eq!(world.ask(dora, "/rooms"), [all]);
    assert_eq!(world.ask(guest, "/who help"), ["-- 0 in help"]);
    assert_eq!(world.ask(guest, "/who #Games"), ["-- 2 in games: ann, bob"]);
    assert_eq!(world.ask(ann, "/who lobby"), ["-- 0 in lobby; 1 listening"]);
    assert_eq!(world.ask(guest, "/who cellar"), ["!! no such room: cellar"]);
    assert_eq!(world.ask(guest, "/who #foo"), ["!! no such room: foo"]);
    let person = "-- ann: here 0 s, silent 0 s, telnet, in games";
    assert_eq!(world.ask(guest, "/whois ann"), [person]);
    assert_eq!(world.ask(ann, "/join"), ["-- you are in games"]);
    assert_eq!(world.ask(guest, "/join"), ["-- you are in lobby"]);
    world.enter(cleo, "/leave");
    let second = world.connect();
    world.turn();
    let expected = "-- 1 more room: games (2); /join NAME goes there";
    assert_eq!(world.lines(second)[2], expected);
    for id in [ann, bob] {
        world.enter(id, "/leave");
    }
    let all = "-- 3 rooms: lobby (3), games (0), help (0)";
    assert_eq!(world.ask(guest, "/rooms"), [all]);
}

#[test]
fn a_greeting_names_ten_rooms_and_counts_all() {
    let mut world = world();
    for n in 0..12 {
        let id = world.connect();
        world.enter(id, &format!("/join r{n:02}"));
    }
    let guest = world.connect();
    world.turn();
    let line = world.lines(guest).swap_remove(2);
    assert!(
        line.starts_with("-- 12 more rooms: r00 (1), r01 (1), "),
        "{line}"
    );
    assert!(
        line.ends_with(", r09 (1) and 2 more; /join NAME goes there"),
        "{line}"
    );
}

#[test]
fn no_more_rooms_are_made_than_may_be() {
    let mut world = world();
    world.hub.core.limits.rooms_max = 2;
    let [ann, bob, cleo] = world.people(["ann", "bob", "cleo"]);
    world.enter(ann, "/join a");
    world.enter(bob, "/join b");
    let refusal = "!! there are 2 rooms already; /rooms lists them";
    assert_eq!(world.ask(cleo, "/join c"), [refusal]);
    assert_eq!(world.ask(bob, "/join c"), [refusal]);
    assert_eq!(world.ask(bob, "/who"), ["-- 1 here: bob"]);
    world.enter(ann, "/leave");
    assert_eq!(
        world.ask(cleo, "/join c")[0],
        "-- you left lobby and are in c, a new room"
    );
    world.hub.core.limits.rooms_max = 0;
    let refusal = "!! no rooms are made here; /rooms lists those there are";
    assert_eq!(world.ask(ann, "/join d"), [refusal]);
    assert_eq!(
        world.ask(ann, "/join c")[0],
        "-- you left lobby and are in c"
    );
}

#[test]
fn many_who_go_are_told_of_in_sums_in_both_rooms() {
    let mut world = world();
    let [ann, bob] = world.people(["ann", "bob"]);
    world.enter(bob, "/join hall");
    let people: Vec<SessionId> = (0..30).map(|n| world.join(&format!("p{n}"))).collect();
    world.pass(Duration::from_secs(2));
    told(&mut world, [ann, bob]);
    for id in &people {
        world.say(*id, "/join hall");
    }
    world.turn();
    world.check();
    world.pass(Duration::from_millis(1100));
    let [ann_told, bob_told] = told(&mut world, [ann, bob]);
    assert_eq!(ann_told.len(), 11);
    assert_eq!(ann_told[9], "-- p9 left for hall (21 here)");
    assert_eq!(ann_told[10], "-- 20 more left (1 here)");
    assert_eq!(bob_told.len(), 11);
    assert_eq!(bob_told[9], "-- p9 joined (11 here)");
    assert_eq!(bob_told[10], "-- 20 more joined (31 here)");
}

/// Its time comes, and is not taken for that of another room: the lobby would be told no more.
#[test]
fn a_sum_ends_with_its_room() {
    let mut world = world();
    let [ann, bob] = world.people(["ann", "bob"]);
    let people: Vec<SessionId> = (0..15).map(|n| world.join(&format!("p{n}"))).collect();
    for id in &people {
        world.say(*id, "/join hall");
    }
    world.pass(Duration::from_secs(2));
    world.pass(Duration::from_secs(2));
    // The sum of the hall begins sooner than that of the lobby.
    world.say(people[0], "/join attic");
    world.turn();
    world.now += Duration::from_millis(100);
    for id in &people[1..] {
        world.say(*id, "/leave");
    }
    world.turn();
    // The sums of both rooms are due, and one of the rooms is gone.
    world.now += Duration::from_secs(1);
    world.hub.tick(world.now);
    world.check();
    world.say(ann, "/join den");
    world.say(ann, "den");
    world.turn();
    world.check();
    told(&mut world, [people[1]]);
    world.enter(bob, "hello");
    assert_eq!(told(&mut world, [people[1]]), [["<bob> hello"]]);
    world.check();
}

#[test]
fn a_wrong_key_costs_as_much_as_ten_lines_and_a_move_as_five() {
    let line_rate = Rate {
        per_second: 1,
        burst: 100,
    };
    let cost = |line: &str| {
        let mut world = World::new(Limits {
            line_rate,
            ..limits()
        });
        let [ann, bob] = world.people(["ann", "bob"]);
        world.enter(ann, "/join games key");
        world.pass(Duration::from_secs(1000));
        world.enter(bob, line);
        let session = world.hub.sessions.get(bob).unwrap();
        let owes = session
            .bucket
            .full_at(session.opened_at)
            .saturating_duration_since(world.now);
        owes.as_secs()
    };
    assert_eq!(cost("/join games wrong"), 10);
    assert_eq!(cost("/join games"), 5);
    assert_eq!(cost("/join games key"), 5);
    assert_eq!(cost("/join other"), 5);
    assert_eq!(cost("/rooms"), 1);
}

#[test]
fn the_log_names_no_room_that_has_a_key() {
    let mut world = world();
    let [ann, bob] = world.people(["ann", "bob"]);
    world.enter(ann, "/join cellar k3y");
    world.enter(bob, "/join games");
    let rooms = &world.hub.core.rooms;
    let [lobby, cellar, games] =
        ["lobby", "cellar", "games"].map(|name| rooms.get(rooms.find(name).unwrap()));
    assert_eq!(
        move_line(17, Some(lobby), Some(cellar)),
        "move id=17 from=lobby to=*"
    );
    assert_eq!(
        move_line(17, Some(cellar), Some(games)),
        "move id=17 from=* to=games"
    );
}

#[test]
fn what_is_said_before_is_forgotten_first_where_nothing_was_said_for_longest() {
    const ROOMS: usize = 80;
    let mut world = World::new(Limits {
        history_lines: 1000,
        line_bytes_max: 4096,
        ..limits()
    });
    let people: Vec<SessionId> = (0..ROOMS).map(|_| world.connect()).collect();
    for (n, id) in people.iter().enumerate() {
        world.enter(*id, &format!("/join r{n}"));
    }
    // Each room keeps up to 64 KiB.
    let line = "x".repeat(4000);
    for id in &people {
        for _ in 0..16 {
            world.say(*id, &line);
            world.read(*id);
        }
        world.turn();
    }
    world.check();
    let kept: Vec<usize> = world
        .hub
        .core
        .rooms
        .iter()
        .skip(1)
        .map(|(_, room)| room.history.bytes())
        .collect();
    let all: usize = kept.iter().sum();
    assert!(all <= 4 << 20 && all > (4 << 20) - 8000, "{all}");
    let full = kept.iter().filter(|bytes| **bytes > 60_000).count();
    assert!(full >= 60, "{kept:?}");
    // The last one spoke last.
    assert!(kept.windows(2).all(|pair| pair[0] <= pair[1]), "{kept:?}");
    assert_eq!(kept[0], 0);
}

#[test]
fn a_reload_keeps_rooms_in_which_people_are() {
    let mut world = world();
    let name = |text| RoomName::parse(text).unwrap();
    world.hub.set_rooms(&[name("games"), name("help")]);
    let [ann, bob] = world.people(["ann", "bob"]);
    world.enter(ann, "/join games");
    world.enter(bob, "/join zoo key");
    world.hub.set_rooms(&[name("zoo"), name("new")]);
    world.check();
    // What people are in stays until they go, and the key of a room that is always there is none.
    let all = "-- 4 rooms: lobby (0), games (1), zoo (1), new (0)";
    assert_eq!(world.ask(ann, "/rooms"), [all]);
    world.enter(ann, "/join zoo");
    let all = "-- 3 rooms: lobby (0), zoo (2), new (0)";
    assert_eq!(world.ask(ann, "/rooms"), [all]);
    world.hub.set_rooms(&[]);
    world.check();
    for id in [ann, bob] {
        world.enter(id, "/leave");
    }
    assert_eq!(rooms(&world), [("lobby".to_owned(), 2)]);
}

#[test]
fn the_ends_of_a_long_list_of_rooms_are_waited_for() {
    let mut world = world();
    world.hub.core.limits.rooms_max = 3000;
    for n in 0..2000 {
        let id = world.connect();
        world.say(id, &format!("/join a-long-name-of-room{n}"));
    }
    world.turn();
    world.check();
    let [ann] = world.people(["ann"]);
    world.read(ann);
    world.enter(ann, "/rooms");
    for _ in 0..20 {
        world.turn();
        world.check();
    }
    let text = world.lines(ann).join(" ");
    assert!(text.starts_with("-- 2001 rooms: lobby (1), a-long-name-of-room0 (1), "));
    assert_eq!(text.matches("a-long-name-of-room").count(), 2000);
    assert!(!world.is_paused(ann));
    // A program is told as many as it is told there are.
    let bot = world.connect_to(Dialect::Wire);
    world.send(bot, "ROOMS\n");
    for _ in 0..20 {
        world.turn();
    }
    let text = String::from_utf8(world.read(bot)).unwrap();
    assert_eq!(text.matches("ROOM ").count(), 2001);
    assert!(text.starts_with("ROOM bG9iYnk= 1\n") && text.ends_with("ROOMS 2001\n"));
}

#[test]
fn a_program_goes_to_rooms_and_hears_no_history() {
    let mut world = world();
    let [ann] = world.people(["ann"]);
    world.enter(ann, "/join games key");
    world.enter(ann, "hello");
    let bot = world.connect_to(Dialect::Wire);
    let mut ask = |line: &str| {
        world.send(bot, format!("{line}\n"));
        String::from_utf8(world.read(bot)).unwrap()
    };
    assert!(ask("JOIN Z2FtZXM=").ends_with(" key\n"));
    assert!(ask("JOIN Z2FtZXM= a2V4").ends_with(" key\n"));
    assert!(ask("JOIN LQ==").ends_with(" malformed-name\n"));
    assert!(ask("JOIN bG9iYnk=").ends_with(" not-allowed\n"));
    assert!(ask("JOIN Z2FtZXM= YSBi").ends_with(" usage\n"));
    assert_eq!(ask("JOIN Z2FtZXM= a2V5"), "JOIN Z2FtZXM=\n");
    assert_eq!(ask("WHO"), "HERE YW5u\nHERE Z3Vlc3Qy\nHERE 2\n");
    assert_eq!(
        world.lines(ann).last().unwrap(),
        "-- guest2 joined (2 here)"
    );
    world.enter(ann, "hello again");
    assert_eq!(world.read(bot), b"CHAT YW5u aGVsbG8gYWdhaW4=\n");
}

#[test]
fn a_room_is_small() {
    // What it owns beside, with one person in it: places in six lists, its name, and a map's entry for it.
    let bytes = size_of::<Room>();
    assert!(bytes <= 640, "{bytes}");
}

/// Rooms by name and key as the simplest thing that could be.
#[derive(Debug, Default)]
struct Model {
    rooms: Vec<(String, Option<String>, usize)>,
    place: [Option<String>; 3],
}

impl Model {
    /// Whether somebody goes there.
    fn join(&mut self, who: usize, name: &str, key: Option<&str>) -> bool {
        let is_like = |other: &str| {
            let form = |text: &str| text.to_lowercase().replace('0', "o").replace('а', "a");
            form(other) == form(name)
        };
        if is_like("lobby") {
            return self.leave(who);
        }
        let found = self.rooms.iter_mut().find(|(other, ..)| is_like(other));
        let name = if let Some((name, has_key, members)) = found {
            let is_there = self.place[who].as_ref() == Some(name);
            if is_there || has_key.as_deref().is_some_and(|it| key != Some(it)) {
                return false;
            }
            *members += 1;
            name.clone()
        } else {
            let room = (name.to_owned(), key.map(str::to_owned), 1);
            self.rooms.push(room);
            name.to_owned()
        };
        self.leave(who);
        self.place[who] = Some(name);
        true
    }

    fn leave(&mut self, who: usize) -> bool {
        let Some(left) = self.place[who].take() else {
            return false;
        };
        for (name, _, members) in &mut self.rooms {
            *members -= usize::from(*name == left);
        }
        self.rooms.retain(|(.., members)| *members > 0);
        true
    }
}

proptest! {
    #[test]
    fn rooms_are_found_by_what_looks_like_their_names_and_opened_by_their_keys(
        steps in prop::collection::vec(
            (0..3_usize, "(lobby|L0BBY|zoo|ZOO|zO0|bar|bаr|b4r)", prop::option::of("[ab]{1,2}"), any::<bool>()),
            1..40,
        ),
    ) {
        let mut world = World::new(limits());
        let people = world.people(["p1", "p2", "p3"]);
        let mut model = Model::default();
        for (who, name, key, comes) in steps {
            let (line, expected) = if comes {
                let line = format!("/join {name} {}", key.as_deref().unwrap_or_default());
                (line, model.join(who, &name, key.as_deref()))
            } else {
                ("/leave".to_owned(), model.leave(who))
            };
            let told = world.ask(people[who], line.trim());
            prop_assert_eq!(told[0].starts_with("-- you left "), expected, "{} {:?}", line, told);
            let mut there: Vec<_> = rooms(&world).split_off(1);
            let mut modelled: Vec<_> = model.rooms.iter().map(|(name, _, members)| (name.clone(), *members)).collect();
            there.sort_unstable();
            modelled.sort_unstable();
            prop_assert_eq!(there, modelled);
            for (id, place) in people.iter().zip(&model.place) {
                let session = world.hub.sessions.get(*id).unwrap();
                let room = world.hub.core.room_of(session);
                prop_assert_eq!(room.name.text(), place.as_deref().unwrap_or("lobby"));
            }
        }
    }
}

#[test]
fn what_waits_in_all_feeds_counts_and_talkers_wait_before_anybody_is_closed_for_it() {
    let mut world = World::new(Limits {
        memory_max: 400_000,
        queue: QueueLimits {
            bytes_max: 1 << 20,
            ..limits().queue
        },
        ..limits()
    });
    let mut talkers = Vec::new();
    for n in 0..40 {
        let pair = [world.connect(), world.connect()];
        for id in pair {
            world.enter(id, &format!("/join r{n}"));
            world.read(id);
        }
        talkers.push(pair[0]);
    }
    let line = "x".repeat(4000);
    for id in &talkers {
        for _ in 0..10 {
            if matches!(world.hub.next(*id, world.now), Some(Next::Read(_))) {
                world.say(*id, &line);
            }
        }
    }
    let waits = world.hub.core.rooms.totals().feed_bytes;
    assert!(waits > 100_000 && waits < 300_000, "{waits}");
    assert_eq!(world.hub.memory() - world.hub.core.input_bytes, waits);
    let room = world.hub.core.rooms.get(RoomAt::LOBBY);
    assert!(!world.hub.core.is_full(room), "nothing was said there");
    world.turn();
    world.check();
    assert_eq!(world.closes(), []);
}

#[test]
fn the_editor_shows_the_room_and_completes_rooms() {
    let mut world = world();
    let [ann, bob] = world.people(["ann", "bob"]);
    world.enter(bob, "/join games");
    world.send(ann, b"/edit on\r\n\xff\xfd\x01\xff\xfd\x03");
    world.read(ann);
    world.send(ann, "/join #GA\t");
    assert_eq!(shown(&world.read(ann)), r"\r> /join games \x1b[K");
    world.send(ann, "\r");
    let seen = shown(&world.read(ann));
    let told = r"\r\x1b[J-- you left lobby and are in games\r\n-- 2 here: bob, ann\r\n";
    assert_eq!(seen, format!(r"{told}\rgames> \x1b[K"));
    world.enter(bob, "hello");
    let seen = shown(&world.read(ann));
    assert_eq!(seen, r"\r\x1b[J<bob> hello\r\n\rgames> \x1b[K");
    // Whoever begins to edit in a room sees it, too.
    world.send(ann, "/edit off\r");
    world.read(ann);
    world.send(ann, b"/edit on\r\n\xff\xfd\x01\xff\xfd\x03");
    assert!(shown(&world.read(ann)).ends_with(r"\rgames> \x1b[K"));
    world.send(ann, "/leave\r");
    assert!(shown(&world.read(ann)).ends_with(r"\r> \x1b[K"));
    // A room with a key is offered to nobody but those who are in it.
    world.enter(bob, "/join cellar k");
    world.send(ann, "/who c\t");
    assert!(!shown(&world.read(ann)).contains("cellar"));
}
