//! Many who come, go and talk at once, and which of them gets a name or a place.

use super::*;

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

/// A line to many costs a write for each of them, so a talker who says too many has to wait.
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
