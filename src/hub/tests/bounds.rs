//! What one session may ask of all: how fast it is heard, how much memory waits for it, how often it is looked at.

use std::time::Duration;

use crate::hub::rooms::RoomAt;
use crate::hub::{Limits, Next, SessionId};
use crate::ledger::CloseReason;
use crate::rate::Rate;
use crate::work::Work;

use super::world::{limits, World};

/// Whether input waits to be understood.
fn has_pending(world: &mut World, id: SessionId) -> bool {
    let session = world.hub.sessions.get_mut(id);
    session.is_some_and(|session| session.has_pending())
}

/// Lets those go on whose pause has ended.
fn resume(world: &mut World) {
    for id in world.hub.take_resumed() {
        world.hub.resume(id, world.now);
    }
}

/// Waits for the next deadline, and lets those go on whose pause it ends.
fn wait(world: &mut World) {
    world.now = world.hub.wake_at(world.now).expect("there is a deadline");
    world.turn();
    resume(world);
    world.turn();
}

#[test]
fn who_is_paused_in_the_middle_of_what_they_say_is_not_silent() {
    let ms = Duration::from_millis;
    for (per_second, idle) in [(10, ms(60_000)), (1, ms(500))] {
        let line_rate = Rate {
            per_second,
            burst: 1,
        };
        let mut world = World::new(Limits {
            line_rate,
            idle: Some(idle),
            ..limits()
        });
        let began_at = world.now;
        let id = world.connect();
        world.send(id, [b'\n'; 1000]);
        while has_pending(&mut world, id) {
            wait(&mut world);
        }
        let said_at = world.now;
        let said_in = said_at - began_at;
        assert!(said_in >= ms(999_000) / per_second, "{said_in:?}");
        while world.hub.open_sessions() > 0 {
            wait(&mut world);
        }
        assert!(world.now >= said_at + idle, "{:?}", world.now - said_at);
    }
}

/// How often all sessions are looked at while time passes in steps, each after `then` did something.
fn looks(world: &mut World, steps: usize, mut then: impl FnMut(&mut World)) -> u32 {
    let mut looks = 0;
    for _ in 0..steps {
        then(world);
        let step = Duration::from_millis(1);
        let until = world.now + step;
        looks += u32::from(world.hub.core.wake_at.is_some_and(|at| at <= until));
        world.pass(step);
        world.check();
    }
    looks
}

#[test]
fn all_are_looked_at_twenty_times_a_second_at_most() {
    let line_rate = Rate {
        per_second: 1000,
        burst: 1,
    };
    let ms = Duration::from_millis;
    let mut world = World::new(Limits {
        line_rate,
        idle: Some(ms(100)),
        drain: ms(10),
        ..limits()
    });
    let talker = world.connect();
    world.send(talker, [b'\n'; 500]);
    let said = looks(&mut world, 499, resume);
    assert!(said <= 11, "{said} times for one who talks");
    resume(&mut world);
    assert!(
        !has_pending(&mut world, talker),
        "a thousand lines a second are heard"
    );

    let came_and_went = looks(&mut world, 500, |world| {
        let id = world.connect();
        world.hub.begin_close(id, CloseReason::Quit, world.now);
    });
    assert!(
        came_and_went <= 11,
        "{came_and_went} times for those who go"
    );
    looks(&mut world, 200, |_| {});
    world.hub.take_resumed();
    assert!(world.hub.is_empty());
    assert_eq!(world.hub.wake_at(world.now), None);
}

#[test]
fn the_heaviest_go_first_and_of_these_the_last_slot() {
    let mut world = World::new(limits());
    for weight in [10, 30, 20, 30, 5] {
        let id = world.connect();
        world.send(id, vec![b'x'; weight]);
    }
    for (memory_max, expected) in [
        (95, &[][..]),
        (94, &["guest4"]),
        (40, &["guest4", "guest2"]),
        (0, &["guest4", "guest2", "guest3", "guest1", "guest5"]),
    ] {
        world.hub.core.limits.memory_max = memory_max;
        world.turn();
        world.check();
        let closes = world.closes();
        let gone: Vec<&str> = closes.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(gone, expected, "{memory_max}");
    }
}

#[test]
fn a_flush_holds_one_copy_however_many_see_the_feed_in_their_own_way() {
    const VIEWERS: usize = 100;
    let mut world = World::new(limits());
    let mut viewers: Vec<SessionId> = Vec::new();
    for n in 0..VIEWERS {
        let id = world.connect();
        let view = [&b"/time on\n"[..], b"/edit on\r\n\xff\xfd\x01\xff\xfd\x03"][n % 2];
        world.send(id, view);
        viewers.push(id);
    }
    let ann = world.connect();
    for (room, write_bytes_max) in [(usize::MAX, usize::MAX), (usize::MAX, 7), (0, 7)] {
        for id in &viewers {
            let pipe = world.pipe(*id);
            (pipe.room, pipe.write_bytes_max) = (room, write_bytes_max);
        }
        for _ in 0..10 {
            world.hear(ann, [&[b'x'; 500], b"\n".as_slice()].concat());
        }
        world.turn();
        world.check();
        assert_eq!(world.hub.core.rooms.totals().feed_bytes, 0);
        let waits = world.hub.core.queued_bytes;
        match room {
            0 => assert!(waits > VIEWERS * 5000, "all of it waits: {waits}"),
            _ => assert_eq!(waits, 0),
        }
    }
}

#[test]
fn f128_the_list_of_pauses_is_given_back() {
    let line_rate = Rate {
        per_second: 1,
        burst: 1,
    };
    let mut world = World::new(Limits {
        line_rate,
        ..limits()
    });
    let people: Vec<_> = (0..1500).map(|_| world.connect()).collect();
    for id in people {
        world.hub.handle_input(id, b"/away\r\n/back\r\n", world.now);
    }
    assert!(world.hub.core.pauses.len() >= 1500);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.hub.core.pauses.len(), 0);
    assert!(world.hub.core.pauses.capacity() <= 1024);
}

#[test]
fn at_most_a_hundred_are_ignored_and_who_has_left_makes_place() {
    let mut world = World::new(limits());
    let ann = world.join("ann");
    let others: Vec<SessionId> = (0..101).map(|n| world.join(&format!("p{n}"))).collect();
    world.read(ann);
    for n in 0..100 {
        let told = world.ask(ann, &format!("/ignore p{n}"));
        assert_eq!(told, [format!("-- ignoring p{n}")]);
    }
    let counted = world.hub.core.input_bytes;
    let told = world.ask(ann, "/ignore p100");
    assert!(told[0].starts_with("!! "), "{told:?}");
    assert_eq!(world.hub.core.input_bytes, counted);
    world
        .hub
        .begin_close(others[7], CloseReason::Quit, world.now);
    world.turn();
    assert_eq!(world.ask(ann, "/ignore p100"), ["-- ignoring p100"]);
}

#[test]
fn few_of_those_who_spoke_last_are_remembered() {
    let mut world = World::new(limits());
    let people: Vec<SessionId> = (0..200).map(|_| world.connect()).collect();
    for id in &people {
        world.send(*id, "hello\n");
    }
    let speakers = &world.hub.core.rooms.get(RoomAt::LOBBY).speakers;
    assert!(speakers.iter().eq(&people[200 - 128..]), "{speakers:?}");
}

#[test]
fn who_spoke_before_and_only_asks_now_does_not_wait_in_a_full_room() {
    let mut world = World::new(limits());
    let [ann, bob] = world.people(["ann", "bob"]);
    world.hear(ann, "hello\n/time\n");
    let line = [&[b'x'; 4000], b"\n".as_slice()].concat();
    let is_full = |world: &World| {
        world
            .hub
            .core
            .is_full(world.hub.core.rooms.get(RoomAt::LOBBY))
    };
    while !is_full(&world) {
        world.hear(bob, &line);
    }
    assert!(matches!(world.hub.next(bob, world.now), Some(Next::Later)));
    assert!(matches!(
        world.hub.next(ann, world.now),
        Some(Next::Read(_))
    ));
}

/// Else its end would not be seen, and it would be waited for.
#[test]
fn who_is_closed_within_a_long_reply_is_read_again() {
    let mut world = World::new(Limits {
        history_lines: 20,
        ..limits()
    });
    let [ann, bob] = world.people(["ann", "bob"]);
    for _ in 0..20 {
        world.send(ann, [&[b'x'; 500], b"\n".as_slice()].concat());
    }
    world.pipe(bob).room = 0;
    world.enter(bob, "/history");
    assert!(world.is_paused(bob), "it takes its reply first");
    world.hub.begin_close(bob, CloseReason::Idle, world.now);
    assert!(matches!(
        world.hub.next(bob, world.now),
        Some(Next::Read(_))
    ));
}

/// Its socket has room of which no edge tells, and the last write before its close for time takes all that waits: what
/// of its long reply is still to come is told, and it is heard behind that.
#[test]
fn who_takes_its_long_reply_with_a_line_of_the_room_is_heard_again() {
    const MEMBERS: usize = 600;
    let stall = Duration::from_secs(30);
    let mut world = World::new(Limits {
        queue: crate::limits::QueueLimits {
            stall: Some(stall),
            ..limits().queue
        },
        ..limits()
    });
    let [ann, bob] = world.people(["ann", "bob"]);
    for number in 0..MEMBERS {
        world.join(&format!("a-member-with-a-name-{number:03}"));
    }
    world.read(ann);
    world.pipe(ann).room = 100;
    world.enter(ann, "/who");
    world.enter(ann, "hello");
    assert!(!world.pipe(ann).got.is_empty());
    // It takes everything again, and nobody says so.
    world.pipe(ann).room = usize::MAX;
    // Deadlines are looked at a moment too early, and not again before the line is told.
    world.hub.core.wake_by(world.now);
    world.pass(Duration::from_millis(29_990));
    world.now += Duration::from_millis(15);
    world.enter(bob, "is ann there?");
    for _ in 0..MEMBERS {
        world.turn();
        if matches!(world.hub.next(ann, world.now), Some(Next::Resume)) {
            world.hub.resume(ann, world.now);
        }
    }
    world.check();
    let told = String::from_utf8(world.read(ann)).unwrap();
    let last = format!("a-member-with-a-name-{:03}", MEMBERS - 1);
    assert!(told.contains(&last), "{}", told.len());
    assert!(told.contains("<bob> is ann there?"));
    let heard = String::from_utf8(world.read(bob)).unwrap();
    assert!(heard.contains("<ann> hello"), "{heard}");
}

/// So others are served in between, however fast the asker takes it.
#[test]
fn f126_a_few_steps_of_a_long_reply_are_made_in_one_turn() {
    const MEMBERS: usize = 5000;
    const STEP_BYTES_MAX: usize = 20 * 1024;
    let mut world = World::new(limits());
    let ann = world.join("ann");
    for number in 0..MEMBERS {
        let id = world.connect();
        world.say(id, &format!("/name member-{number:017}"));
    }
    world.pass(Duration::from_secs(2));
    world.read(ann);
    world.say(ann, "/who");
    let mut turns = Vec::new();
    while turns.is_empty() || world.is_paused(ann) {
        world.turn();
        turns.push(world.read(ann).len());
        assert!(turns.len() < 100, "it never ends");
    }
    let all: usize = turns.iter().sum();
    assert!(all > MEMBERS * 24, "{turns:?}");
    let most = turns.iter().max();
    assert!(most <= Some(&(5 * STEP_BYTES_MAX)), "{turns:?}");
}

#[test]
fn f119_what_a_request_was_beside_its_line_is_paid_for() {
    let line_rate = Rate {
        per_second: 1,
        burst: 3,
    };
    let mut world = World::new(Limits {
        line_rate,
        ..limits()
    });
    let (ann, bob) = (world.connect(), world.connect());
    // Each letter stands for others, so that to look for such a name is more than one line.
    let dear = "\u{e9}".repeat(64);
    for (id, name, pauses) in [(ann, "x", false), (bob, dear.as_str(), true)] {
        world.enter(id, &format!("/whois {name}"));
        world.enter(id, &format!("/whois {name}"));
        assert_eq!(world.is_paused(id), pauses, "{name}");
    }
}

#[test]
fn f119_what_single_sessions_are_told_ends_the_reading_of_a_turn() {
    let mut world = World::new(limits());
    let ann = world.join("ann");
    let mut asked = 0;
    while !world.hub.has_done_enough() {
        world.say(ann, "/help");
        asked += 1;
        assert!(asked < 1000, "no more is told than fits into a turn");
    }
    assert!(world.hub.core.work < Work::TURN_MAX, "it is not the work");
    world.turn();
    let told = world.read(ann).len();
    assert!((64 * 1024..80 * 1024).contains(&told), "{told}");
    assert!(!world.hub.has_done_enough());
}

/// Tells a room that is behind from one that is not; nobody hears of it.
fn set_behind(world: &mut World, is_behind: bool) {
    let lobby = world.hub.core.rooms.get_mut(RoomAt::LOBBY);
    lobby.keeping_up.note(None, is_behind);
}

#[test]
fn f122_a_talker_is_told_once_of_a_room_that_is_behind_again_and_again() {
    let line_rate = Rate {
        per_second: 10,
        burst: 40,
    };
    let mut world = World::new(Limits {
        line_rate,
        ..limits()
    });
    let ann = world.join("ann");
    let told_of_spell = |world: &mut World| {
        let mut told = 0;
        for _ in 0..40 {
            set_behind(world, true);
            world.hear(ann, "one\ntwo\n");
            world.turn();
            set_behind(world, false);
            wait(world);
            world.pass(Duration::from_secs(2));
            let lines = world.lines(ann);
            told += lines
                .iter()
                .filter(|it| it.contains("room is slow"))
                .count();
        }
        assert!(!world.is_paused(ann));
        told
    };
    assert_eq!(told_of_spell(&mut world), 1);
    world.pass(Duration::from_secs(60));
    assert_eq!(told_of_spell(&mut world), 1, "it had caught up");
}

#[test]
fn f122_where_those_who_say_much_have_filled_a_room_there_is_room_for_the_others() {
    let line_rate = Rate {
        per_second: 10,
        burst: 41,
    };
    let mut world = World::new(Limits {
        line_rate,
        line_bytes_max: 4096,
        ..limits()
    });
    let line = [&[b'x'; 4000], b"\n".as_slice()].concat();
    let ann = world.join("ann");
    world.hear(ann, "hello\n");
    let fed = |world: &World| world.hub.core.rooms.get(RoomAt::LOBBY).feed.len();
    let heavy: Vec<SessionId> = (0..4).map(|_| world.connect()).collect();
    for id in &heavy {
        (0..5).for_each(|_| world.hear(*id, &line));
    }
    assert!(fed(&world) >= 64 * 1024);
    assert!(matches!(
        world.hub.next(heavy[0], world.now),
        Some(Next::Later)
    ));
    assert!(matches!(
        world.hub.next(ann, world.now),
        Some(Next::Read(_))
    ));
    while fed(&world) < 128 * 1024 {
        let id = world.connect();
        (0..2).for_each(|_| world.hear(id, &line));
        assert!(!world.hub.says_much(id, world.now));
    }
    assert!(matches!(world.hub.next(ann, world.now), Some(Next::Later)));
}

#[test]
fn f128_the_slots_of_those_who_have_left_are_given_back() {
    let mut world = World::new(limits());
    let people: Vec<SessionId> = (0..15_000).map(|_| world.connect()).collect();
    let (few, many) = people.split_at(10);
    assert!(world.hub.sessions.slots() >= 15_000);
    for id in many {
        world.hub.handle_reset(*id, world.now);
    }
    world.turn();
    world.check();
    assert_eq!(world.hub.census().open, few.len());
    assert!(world.hub.sessions.slots() <= 1024);
    for _ in 0..100 {
        world.connect();
    }
    world.check();
}
