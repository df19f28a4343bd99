//! People at other nodes, as the log tells of them.

use std::time::Duration;

use super::world::{limits, World};
use crate::hub::others::{LEAVING_MAX, PEOPLE_MAX, ROOMS_MAX};
use crate::hub::relayed::CLAIMS_MAX;
use crate::name::Name;
use crate::relay::place::Id;
use crate::relay::record::{Entry, Event, NodeId, Who};

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

/// What somebody is called who took the name zoe alone, when others say this of a zoe at another node.
fn zoe_after(settled: Option<&str>, told: &str) -> (String, usize) {
    let mut world = World::new(limits());
    world.hub.begin_relayed(Duration::from_secs(15));
    let zoe = world.connect();
    world.turn();
    let name = Name::parse_held("zoe").expect("a name");
    let renamed = world.hub.with_unsorted_name(zoe, |core, session| {
        core.take_name(session, name.clone(), world.now)
    });
    assert_eq!(renamed, Ok(()));
    world.hub.sort_names();
    if let Some(place) = settled.and_then(Id::parse) {
        let session = zoe.to_bits() as u64;
        world.hub.settle_name(&Who { session, name }, place);
    }
    let node = NodeId::new(1);
    if let Some(value) = told.strip_prefix("hash=") {
        world.hub.begin_roster(node);
        let entry = Entry::parse("1", value).expect("an entry");
        world.hub.note_in_roster(node, entry, world.now);
        world.hub.end_roster(node, world.now);
    } else {
        let event = Event::parse(told.as_bytes()).expect("an event");
        world.hub.relayed(Some(node), event, world.now);
    }
    let told_again = world.hub.take_told_again().len();
    let name = world
        .hub
        .session(zoe)
        .expect("it is there")
        .name
        .to_string();
    world.check();
    (name, told_again)
}

#[test]
fn of_two_who_have_one_name_the_first_in_the_log_keeps_it() {
    let guest = |(name, again): (String, usize)| name.starts_with("guest") && again == 0;
    let zoe = |again| ("zoe".to_owned(), again);
    // Where nobody knows yet who was the first, the log is still to say it.
    for settled in [None, Some("5-0")] {
        assert_eq!(zoe_after(settled, "hash=zoe\tlobby\t\t"), zoe(0));
    }
    assert!(guest(zoe_after(None, "hash=zoe\tlobby\t\t6-0")));
    assert!(guest(zoe_after(Some("5-0"), "hash=zoe\tlobby\t\t4-9")));
    assert_eq!(zoe_after(Some("5-0"), "hash=zoe\tlobby\t\t6-0"), zoe(1));
    assert!(guest(zoe_after(None, "join\tlobby\t1\tzoe\t6-0")));
    assert!(guest(zoe_after(Some("5-1"), "join\tlobby\t1\tzoe\t5-0")));
    assert_eq!(zoe_after(Some("5-1"), "join\tlobby\t1\tzoe\t10-0"), zoe(1));
    assert_eq!(zoe_after(Some("5-1"), "join\tlobby\t1\tzoe\t5-1"), zoe(0));
}

#[test]
fn numbers_of_guests_that_come_twice_are_passed_over() {
    let mut world = World::new(limits());
    world.hub.begin_relayed(Duration::from_secs(15));
    world.hub.add_guests(1, 2);
    let first = world.connect();
    // The engine was emptied, and counts from 1 again.
    world.hub.add_guests(1, 3);
    let others: Vec<_> = (0..4).map(|_| world.connect()).collect();
    let mut names: Vec<String> = std::iter::once(first)
        .chain(others)
        .map(|id| world.hub.session(id).expect("it is there").name.to_string())
        .collect();
    assert_eq!(names[..3], ["guest1", "guest2", "guest3"]);
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 5, "{names:?}");
    world.check();
}

/// A world in which a node at another place has said all this.
fn told(events: impl IntoIterator<Item = String>) -> World {
    let mut world = World::new(limits());
    world.hub.begin_relayed(Duration::from_secs(15));
    for event in events {
        let event = Event::parse(event.as_bytes()).expect("an event");
        world.hub.relayed(Some(NodeId::new(1)), event, world.now);
    }
    world
}

#[test]
fn of_names_that_others_want_the_latest_are_known() {
    let claims = (0..=CLAIMS_MAX).map(|n| format!("claim\t{n}\tname{n}"));
    let world = told(claims);
    let relayed = world.hub.core.relayed.as_ref().expect("it is shared");
    let is_claimed = |n: usize| {
        let name = Name::parse_held(&format!("name{n}")).expect("a name");
        relayed.is_claimed(&name, world.now)
    };
    let known: Vec<bool> = [0, 1, CLAIMS_MAX].map(is_claimed).into();
    assert_eq!(known, [false, true, true]);
}

#[test]
fn what_others_say_makes_so_many_rooms_and_no_more() {
    let joins = (0..=ROOMS_MAX).map(|n| format!("join\tr{n}\t{n}\tname{n}"));
    let known = format!("join\tr7\t{}\tlast", ROOMS_MAX + 1);
    let world = told(joins.chain([known]));
    let rooms = &world.hub.core.rooms;
    assert_eq!(rooms.made(), ROOMS_MAX);
    assert!(rooms.find(&format!("r{ROOMS_MAX}")).is_none());
    let seventh = rooms.find("r7").expect("it was among the first");
    assert_eq!(rooms.get(seventh).here(), 2, "it was there already");
}

#[test]
fn so_many_people_of_others_are_known_and_no_more() {
    let world = told((0..=PEOPLE_MAX).map(|n| format!("join\tlobby\t{n}\tname{n}")));
    assert_eq!(world.hub.core.rooms.totals().here, PEOPLE_MAX);
}
