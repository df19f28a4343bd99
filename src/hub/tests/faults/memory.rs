//! How much may wait, and who is closed for it.

use super::*;

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
