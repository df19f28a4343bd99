//! What must happen in one turn, or over hours: the hub alone, without sockets.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::hub::{Limits, SessionId};
use crate::ledger::CloseReason;
use crate::limits::QueueLimits;
use crate::rate::Rate;

use super::world::{limits, World};
use crate::random::Random;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn queue(bytes_max: usize) -> Limits {
    Limits {
        queue: QueueLimits {
            bytes_max,
            bytes_soft: bytes_max,
            ..limits().queue
        },
        ..limits()
    }
}

#[test]
fn f022_an_interrupted_write_is_tried_again() {
    let mut world = World::new(limits());
    let (ann, bob) = (world.join("ann"), world.join("bob"));
    world.pipe(bob).interruptions = 3;
    world.say(ann, "hello");
    world.turn();
    assert_eq!(world.pipe(bob).lines(), ["<ann> hello"]);
    // The same for what waited.
    world.pipe(bob).room = 0;
    world.say(ann, "again");
    world.turn();
    world.drain(bob, usize::MAX);
    world.pipe(bob).interruptions = 3;
    world.turn();
    assert_eq!(world.pipe(bob).lines(), ["<ann> hello", "<ann> again"]);
    world.check();
}

/// Whatever happens, what is due is done in one tick: no deadline that has passed stays, so the loop cannot spin.
#[test]
fn f026_the_next_deadline_is_always_ahead() {
    let mut world = World::new(Limits {
        idle: Some(seconds(20)),
        queue: QueueLimits {
            bytes_max: 10_000,
            bytes_soft: 1000,
            soft: seconds(3),
            stall: Some(seconds(7)),
        },
        ..limits()
    });
    let mut random = Random::new(1);
    let mut crowd: Vec<SessionId> = Vec::new();
    for step in 0..5000 {
        match random.within(1..=6) {
            1 if crowd.len() < 10 => crowd.push(world.connect()),
            2 if !crowd.is_empty() => {
                let id = random.pick(&crowd);
                world.say(id, &"x".repeat(random.within(0..=3000)));
            }
            3 if !crowd.is_empty() => {
                let id = random.pick(&crowd);
                let room = random.within(0..=1) * random.within(0..=5000);
                world.drain(id, room);
            }
            4 if step % 7 == 0 && !crowd.is_empty() => {
                let id = random.pick(&crowd);
                world.hub.handle_eof(id, world.now);
            }
            _ => {}
        }
        let time = Duration::from_millis(random.within(0..=3000) as u64);
        world.pass(time);
        crowd.retain(|id| world.hub.transport(*id).is_some());
        // What the tick began has its own deadlines behind it.
        world.turn();
        assert!(world.hub.wake_at(world.now).is_none_or(|at| at > world.now));
        world.check();
    }
    let reasons: BTreeMap<&str, u32> =
        world
            .closes()
            .into_iter()
            .fold(BTreeMap::new(), |mut reasons, (_, reason)| {
                *reasons.entry(reason.as_str()).or_default() += 1;
                reasons
            });
    for reason in ["eof", "idle", "slow-consumer", "write-stall"] {
        assert!(reasons.contains_key(reason), "no {reason} in {reasons:?}");
    }
}

#[test]
fn f034_an_end_a_reset_and_a_kick_in_one_turn_are_one_close() {
    // Whichever comes first is the reason, and the others change nothing.
    for first in 0..3 {
        let mut world = World::new(limits());
        let (ann, bob) = (world.join("ann"), world.join("bob"));
        world.pipe(ann).got.clear();
        let now = world.now;
        for step in 0..3 {
            match (first + step) % 3 {
                0 => world.hub.handle_eof(bob, now),
                1 => world.hub.begin_close(bob, CloseReason::SlowConsumer, now),
                _ => world.hub.handle_reset(bob, now),
            }
        }
        world.turn();
        let reason = [
            CloseReason::Eof,
            CloseReason::SlowConsumer,
            CloseReason::Reset,
        ][first];
        assert_eq!(world.closes(), [("bob".to_owned(), reason)]);
        assert_eq!(world.pipe(ann).lines(), ["-- bob left (1 here)"]);
        assert_eq!(world.closed.len(), 1);
        world.check();
    }
}

#[test]
fn f036_ten_thousand_write_errors_in_one_flush_need_no_stack() {
    const PEERS: usize = 10_000;
    let run = || {
        let mut world = World::new(limits());
        let ann = world.join("ann");
        let peers: Vec<SessionId> = (0..PEERS).map(|_| world.connect()).collect();
        for (n, id) in peers.iter().enumerate() {
            world.say(*id, &format!("/name p{n}"));
        }
        world.pass(seconds(2));
        for id in &peers {
            world.pipe(*id).broken = true;
        }
        world.say(ann, "hello");
        world.turn();
        assert_eq!(world.closes(), [], "their last words may lie unread");
        let now = world.now;
        for id in &peers {
            world.hub.handle_drained(*id, now);
        }
        world.turn();
        assert_eq!(world.closed.len(), PEERS);
        let broken = world.hub.ledger().closed_for(CloseReason::Reset);
        assert_eq!(broken, PEERS as u64);
        assert_eq!((world.hub.len(), world.hub.census().names), (1, 1));
        world.pipe(ann).got.clear();
        world.pass(seconds(1));
        assert_eq!(world.pipe(ann).lines(), ["-- 9990 more left (1 here)"]);
        world.check();
    };
    let small_stack = thread::Builder::new().stack_size(256 * 1024).spawn(run);
    let outcome = small_stack.expect("a thread").join();
    outcome.expect("it needs no more stack than for one");
}

#[test]
fn f037_who_is_closed_hears_nothing_more() {
    let mut world = World::new(limits());
    let (ann, bob) = (world.join("ann"), world.join("bob"));
    let carl = world.join("carl");
    for id in [ann, bob, carl] {
        world.pipe(id).got.clear();
    }
    world.say(ann, "before");
    world.say(bob, "/quit");
    world.say(ann, "behind");
    world.say(bob, "not heard");
    world.say(carl, "/msg bob psst");
    world.turn();
    let farewell = ["<ann> before", "-- goodbye"];
    assert_eq!(world.pipe(bob).lines(), farewell);
    assert_eq!(
        world.pipe(carl).lines(),
        [
            "<ann> before",
            "-- bob left (2 here)",
            "<ann> behind",
            "!! nobody here is called bob"
        ]
    );
    world.say(ann, "later");
    world.turn();
    assert_eq!(world.pipe(bob).lines(), farewell);
    let now = world.now;
    world.hub.handle_eof(bob, now);
    world.turn();
    assert_eq!(world.closes(), [("bob".to_owned(), CloseReason::Quit)]);
    // Its id finds nothing any more, and not the next one in its slot either.
    let dave = world.join("dave");
    world.hub.handle_input(bob, b"I am dave\n", now);
    world.hub.handle_reset(bob, now);
    world.turn();
    assert_eq!(world.pipe(dave).lines(), [""; 0]);
    assert_eq!(world.closes().len(), 1);
    world.check();
}

#[test]
fn f047_a_slow_but_steady_reader_is_kept() {
    let mut world = World::new(Limits {
        queue: QueueLimits {
            bytes_max: 16 * 1024,
            bytes_soft: 8 * 1024,
            soft: seconds(10),
            stall: Some(seconds(30)),
        },
        ..limits()
    });
    let (ann, slow) = (world.join("ann"), world.join("slow"));
    world.pipe(slow).room = 0;
    let line = |n: u32| format!("{n} {}", "x".repeat(900));
    for n in 0..3600 {
        world.say(ann, &line(n));
        world.drain(slow, 1024);
        world.pass(seconds(1));
        // Behind by a few lines, always.
        if n % 600 == 0 {
            (0..5).for_each(|_| world.say(ann, "!"));
        }
    }
    assert_eq!(world.closes(), []);
    world.drain(slow, usize::MAX);
    world.turn();
    let heard = world.pipe(slow).lines().len();
    assert_eq!(heard, 3600 + 6 * 5, "every line, once");
    world.check();
}

#[test]
fn f049_the_largest_queue_goes_first_and_no_more_than_needed() {
    let mut world = World::new(Limits {
        memory_max: 20_000,
        ..limits()
    });
    let ann = world.join("ann");
    let deaf = ["small", "large", "middle"].map(|name| world.join(name));
    // It is full from the beginning, then half, then a quarter of the time.
    let mut said = 0;
    let mut say = |world: &mut World| {
        world.say(ann, &"x".repeat(100));
        world.turn();
        said += 1;
        assert!(said < 400, "nobody is closed");
    };
    for (id, lines) in [(deaf[1], 60), (deaf[2], 30), (deaf[0], 1)] {
        world.pipe(id).room = 0;
        for _ in 0..lines {
            say(&mut world);
        }
    }
    assert_eq!(world.closes(), []);
    while world.closes().is_empty() {
        say(&mut world);
    }
    let closed = |name: &str| (name.to_owned(), CloseReason::SlowConsumer);
    assert_eq!(world.closes(), [closed("large")]);
    assert!(world.hub.memory() <= 20_000);
    assert_eq!(world.closed[0].1, crate::hub::Ending::Abrupt);
    while world.closes().len() < 2 {
        say(&mut world);
    }
    assert_eq!(world.closes(), [closed("large"), closed("middle")]);
    world.check();
}

#[test]
fn f050_a_long_list_counts_like_anything_else() {
    let mut world = World::new(queue(16 * 1024));
    for n in 0..1000 {
        let id = world.connect();
        world.say(id, &format!("/name {n}{}", "w".repeat(20)));
    }
    world.pass(seconds(2));
    let (asker, deaf) = (world.join("asker"), world.join("deaf"));
    world.pipe(deaf).room = 0;
    world.say(asker, "/who");
    world.say(deaf, "/who");
    world.turn();
    let listed: Vec<String> = world
        .pipe(asker)
        .lines()
        .into_iter()
        .filter(|line| line.contains("www"))
        .map(str::to_owned)
        .collect();
    let names = listed.iter().flat_map(|line| line.split(", ")).count();
    assert_eq!(names, 1002);
    world.pass(seconds(5));
    let reason = CloseReason::SlowConsumer;
    assert_eq!(world.closes(), [("deaf".to_owned(), reason)]);
    assert_eq!(world.hub.census().queued_bytes, 0);
    world.check();
}

#[test]
fn f053_a_line_for_many_is_charged_to_each_in_full() {
    const PEERS: usize = 100;
    let mut world = World::new(limits());
    let ann = world.join("ann");
    let peers: Vec<SessionId> = (0..PEERS).map(|_| world.connect()).collect();
    world.turn();
    for id in &peers {
        world.pipe(*id).room = 0;
    }
    let line = "x".repeat(1000);
    world.say(ann, &line);
    world.turn();
    let bytes = format!("<ann> {line}\r\n").len();
    assert_eq!(world.hub.census().queued_bytes, PEERS * bytes);
    world.check();
}

#[test]
fn f054_what_was_too_much_is_not_counted_afterwards() {
    let mut world = World::new(queue(8 * 1024));
    let (ann, deaf) = (world.join("ann"), world.join("deaf"));
    world.pipe(deaf).room = 0;
    while world.hub.census().open == 2 {
        world.say(ann, &"x".repeat(1000));
        world.turn();
    }
    // The farewell is the last that waits for a session.
    world.turn();
    let waits = world.hub.census().queued_bytes;
    assert!(waits < 10 * 1024, "{waits} bytes");
    world.say(ann, "not for it any more");
    world.turn();
    assert_eq!(world.hub.census().queued_bytes, waits);
    world.pass(seconds(5));
    assert_eq!(world.hub.census().queued_bytes, 0);
    let reason = CloseReason::SlowConsumer;
    assert_eq!(world.closes(), [("deaf".to_owned(), reason)]);
    world.check();
}

#[test]
fn f083_the_name_of_one_who_leaves_is_free_in_the_same_turn() {
    let mut world = World::new(limits());
    let (ann, bob) = (world.join("ann"), world.join("bob"));
    let now = world.now;
    world.hub.handle_reset(bob, now);
    world.say(ann, "/name bob");
    world.turn();
    assert!(world.pipe(ann).lines().contains(&"-- you are bob"));
    // The other way round it is too early.
    let carl = world.join("carl");
    world.say(carl, "/name bob");
    world.hub.handle_reset(ann, now);
    world.turn();
    assert_eq!(
        world.pipe(carl).lines(),
        ["!! bob is taken", "-- bob left (1 here)"]
    );
    world.check();
}

#[test]
fn f085_two_claims_in_one_turn_are_decided_by_order() {
    let mut world = World::new(limits());
    let (first, second) = (world.connect(), world.connect());
    world.say(first, "/name Ann");
    world.say(second, "/name aNN");
    world.turn();
    assert!(world.pipe(first).lines().contains(&"-- you are Ann"));
    let lines = world.pipe(second).lines();
    assert_eq!(lines[2..], ["-- Ann joined (1 here)", "!! aNN is taken"]);
    world.check();
}

#[test]
fn f089_f090_only_an_old_and_silent_stranger_makes_room() {
    let mut world = World::new(limits());
    let _named = world.join("ann");
    let spoke = world.connect();
    world.say(spoke, "hello");
    let (oldest, older) = (world.connect(), world.connect());
    for _ in 0..9 {
        world.pass(seconds(1));
        // Bytes that make no line are no words, so they win no time.
        world.hub.handle_input(oldest, b"x", world.now);
        assert!(!world.hub.make_room(world.now));
    }
    world.pass(seconds(1));
    let _young = world.connect();
    for id in [oldest, older] {
        assert!(world.hub.make_room(world.now));
        world.turn();
        let last = world.pipe(id).lines().last().copied();
        assert!(last.is_some_and(|line| line.starts_with("!! goodbye: nothing heard for ")));
    }
    assert!(!world.hub.make_room(world.now));
    world.pass(seconds(5));
    let reasons: Vec<CloseReason> = world.closes().into_iter().map(|close| close.1).collect();
    assert_eq!(reasons, [CloseReason::Idle; 2]);
    world.check();
}

#[test]
fn f091_five_hundred_leave_in_one_turn() {
    let mut world = World::new(limits());
    let ann = world.join("ann");
    let peers: Vec<SessionId> = (0..500).map(|_| world.connect()).collect();
    for (n, id) in peers.iter().enumerate() {
        world.say(*id, &format!("/name p{n}"));
    }
    world.pass(seconds(2));
    world.pipe(ann).got.clear();
    let now = world.now;
    for id in &peers {
        world.hub.handle_eof(*id, now);
    }
    world.turn();
    assert_eq!(world.closed.len(), 500);
    // Nobody hears of their own leaving, nor of what comes behind it.
    for (n, (pipe, _)) in world.closed.iter().enumerate() {
        let own = format!("-- p{n} left ");
        assert!(!pipe.lines().iter().any(|line| line.starts_with(&own)));
        let told = pipe
            .lines()
            .into_iter()
            .filter(|line| line.contains(" left "));
        assert_eq!(told.count(), n.min(10));
    }
    world.pass(seconds(1));
    let mut told: Vec<String> = (0..10)
        .map(|n| format!("-- p{n} left ({} here)", 500 - n))
        .collect();
    told.push("-- 490 more left (1 here)".to_owned());
    assert_eq!(world.pipe(ann).lines(), told);
    world.check();
}

#[test]
fn f092_nobody_is_closed_for_those_who_join() {
    // Eleven lines a second fit into a queue where five hundred would not.
    let mut world = World::new(queue(4096));
    let deaf = world.join("deaf");
    world.pipe(deaf).room = 0;
    for n in 0..500 {
        let id = world.connect();
        world.say(id, &format!("/name p{n}"));
        world.pass(Duration::from_millis(2));
    }
    world.pass(seconds(1));
    assert_eq!(world.closes(), []);
    world.drain(deaf, usize::MAX);
    world.turn();
    let lines = world.pipe(deaf).lines();
    assert!(lines.len() <= 22, "{lines:#?}");
    assert!(lines
        .last()
        .is_some_and(|line| line.ends_with("(501 here)")));
    world.check();
}

#[test]
fn f093_coming_back_again_and_again_is_told_few_times() {
    let mut world = World::new(limits());
    let ann = world.join("ann");
    for _ in 0..200 {
        let id = world.connect();
        world.say(id, "/name bob");
        world.turn();
        let now = world.now;
        world.hub.handle_reset(id, now);
        world.pass(Duration::from_millis(1));
    }
    world.pass(seconds(1));
    let lines = world.pipe(ann).lines();
    assert!(lines.len() <= 22, "{lines:#?}");
    assert!(lines.contains(&"-- bob joined (2 here)"));
    assert_eq!(world.hub.census().here, 1);
    world.check();
}

/// A line to many costs a write for each of them, so whoever says too many has to wait.
#[test]
fn f094_who_talks_fast_to_a_thousand_is_paused_and_the_others_are_not() {
    const HEARERS: usize = 1000;
    const BURST: usize = 20;
    let mut world = World::new(Limits {
        line_rate: Rate {
            per_second: 5,
            burst: BURST as u32,
        },
        ..limits()
    });
    let (hasty, calm) = (world.join("hasty"), world.join("calm"));
    let hearers: Vec<SessionId> = (0..HEARERS).map(|_| world.connect()).collect();
    // What names cost them is paid by then.
    world.pass(seconds(10));
    let said_by = |world: &mut World, id: SessionId, name: &str| {
        let begins = format!("<{name}> ");
        let lines = world.pipe(id).lines();
        lines
            .iter()
            .filter(|line| line.starts_with(&begins))
            .count()
    };
    world.say(hasty, &["hurry"; 500].join("\n"));
    assert!(world.is_paused(hasty));
    world.say(calm, "and I?");
    assert!(!world.is_paused(calm));
    world.turn();
    for id in &hearers {
        assert_eq!(said_by(&mut world, *id, "hasty"), BURST);
        assert_eq!(said_by(&mut world, *id, "calm"), 1);
    }
    // From then on `hasty` causes the work of five lines a second and no more.
    for second in 1..=20 {
        for _ in 0..10 {
            world.pass(Duration::from_millis(100));
            for id in world.hub.take_resumed() {
                world.hub.resume(id, world.now);
            }
        }
        world.turn();
        assert_eq!(said_by(&mut world, hearers[0], "hasty"), BURST + 5 * second);
    }
    assert!(world.is_paused(hasty), "most of it still waits");
    assert_eq!(world.closes(), []);
    world.check();
}

#[test]
fn f097_the_wall_clock_moves_no_deadline() {
    let mut world = World::new(Limits {
        idle: Some(seconds(100)),
        ..limits()
    });
    let _silent = world.connect();
    world.turn();
    for (n, wall) in [86_400, 0, u64::MAX, 1].into_iter().enumerate() {
        world.hub.set_wall_clock(wall);
        world.pass(seconds(20));
        assert_eq!(world.hub.census().open, 1, "{n}");
    }
    world.pass(seconds(20));
    assert_eq!(world.hub.census().open, 0);
    world.check();
}

#[test]
fn f098_a_tick_that_is_repeated_does_nothing() {
    let mut world = World::new(Limits {
        idle: Some(seconds(10)),
        ..limits()
    });
    let ids = [world.connect(), world.connect()];
    world.say(ids[0], "hello");
    world.pass(seconds(10));
    for _ in 0..100 {
        world.turn();
    }
    for id in ids {
        let lines = world.pipe(id).lines();
        let farewells = lines.iter().filter(|line| line.contains("goodbye"));
        assert_eq!(farewells.count(), 1, "{lines:?}");
    }
    // A clock that goes back is no reason to panic, nor to close anybody.
    let late = world.join("late");
    world.now -= seconds(60);
    world.say(late, "hello");
    world.turn();
    assert_eq!(world.hub.census().open, 1);
    world.check();
}

#[test]
fn f100_a_leap_of_years_fires_each_deadline_once() {
    const YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);
    let mut world = World::new(Limits {
        idle: Some(seconds(600)),
        ..limits()
    });
    let ids: Vec<SessionId> = (0..20).map(|n| world.join(&format!("p{n}"))).collect();
    world.pass(YEARS);
    for id in ids {
        let lines = world.pipe(id).lines();
        let farewells = lines.iter().filter(|line| line.contains("goodbye"));
        assert_eq!(farewells.count(), 1, "{lines:?}");
    }
    world.pass(YEARS);
    assert_eq!(world.closes().len(), 20);
    assert!(world
        .closes()
        .iter()
        .all(|close| close.1 == CloseReason::Idle));
    world.turn();
    assert_eq!(world.hub.wake_at(world.now), None);
    world.check();
}
