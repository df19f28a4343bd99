//! Clocks that leap, ticks that are repeated, and deadlines all the same.

use super::*;

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
