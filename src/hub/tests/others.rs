//! People at other nodes, as the log tells of them.

use std::time::Duration;

use super::world::{limits, World};
use crate::hub::others::LEAVING_MAX;
use crate::relay::record::{Event, NodeId};

#[test]
fn people_at_other_nodes_are_elsewhere_to_irc_clients() {
    let mut world = World::new(limits());
    let ann = world.register_at("ann", "198.51.100.7");
    world.enter(ann, "JOIN #lobby");
    world.hub.begin_relayed(Duration::from_secs(15));
    world.read(ann);
    let mut hears = |event: &str| {
        let event = Event::parse(event.as_bytes()).expect("an event");
        world.hub.relayed(Some(NodeId::new(1)), event, world.now);
        world.turn();
        world.lines(ann)
    };
    assert_eq!(
        hears("join\tlobby\t1\tbob"),
        [":bob!elsewhere@chatd JOIN #lobby"]
    );
    assert_eq!(
        hears("say\tlobby\t1\tbob\thello"),
        [":bob!elsewhere@chatd PRIVMSG #lobby :hello"]
    );
    assert_eq!(
        hears("act\tlobby\t1\tbob\twaves"),
        [":bob!elsewhere@chatd PRIVMSG #lobby :\x01ACTION waves\x01"]
    );
    let told = world.ask(ann, "WHOIS bob");
    assert_eq!(told[0], ":chatd.local 311 ann bob elsewhere chatd * :");
    let told = world.ask(ann, "NAMES #lobby");
    assert!(told[0].ends_with(" = #lobby :ann bob"), "{told:?}");
}

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
