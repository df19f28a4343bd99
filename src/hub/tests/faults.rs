//! What must happen in one turn, or over hours: the hub alone, without sockets.

mod clock;
mod crowds;
mod memory;

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
