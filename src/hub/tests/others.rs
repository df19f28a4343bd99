//! People at other nodes, as the log tells of them.

use std::time::Duration;

use super::world::{limits, World};
use crate::hub::others::LEAVING_MAX;
use crate::relay::record::{Event, NodeId};

#[test]
fn those_of_a_node_that_dies_leave_some_in_each_turn_and_then_all_have_left() {
    let mut world = World::new(limits());
    world.hub.begin_relayed(Duration::from_secs(15));
    let listener = world.connect();
    let (dead, alive) = (NodeId::new(1), NodeId::new(2));
    let count = 2 * LEAVING_MAX + 1;
    for (node, letter, people) in [(dead, 'd', count), (alive, 'a', 1)] {
        for session in 0..people {
            let join = format!("join\tlobby\t{session}\t{letter}{session}");
            let join = Event::parse(join.as_bytes()).expect("a join");
            world.hub.relayed(Some(node), join, world.now);
        }
    }
    let mut left = Vec::new();
    for is_more in [true, true, false] {
        assert_eq!(world.hub.lose_node(dead, world.now), is_more);
        world.turn();
        world.read(listener);
        world.say(listener, "/who");
        world.turn();
        left.push(world.lines(listener).concat());
    }
    let expected = [LEAVING_MAX + 2, 2, 1].map(|here| format!("{here} here"));
    for (left, expected) in left.iter().zip(expected) {
        assert!(left.contains(&expected), "{left}");
    }
}
