//! Operators in the chat, and everybody else, to whom their commands are none.

use crate::dialect::commands::OPERATOR_COMMANDS;
use crate::dialect::Dialect;
use crate::hub::operators::outcome::Kept;
use crate::hub::tests::operators::{told, who};
use crate::hub::tests::world::{limits, World, AFTERNOON};
use crate::hub::SessionId;
use crate::when::Span;

const HERE: &str = "198.51.100.7";
const THERE: &str = "203.0.113.9";

/// Ann, who is an operator, and bob.
fn world() -> (World, SessionId, SessionId) {
    let mut world = World::new(limits());
    let ann = world.join_at("ann", HERE);
    let bob = world.join_at("bob", THERE);
    let done = world.hub.set_operator(&who("ann"), true);
    assert_eq!(told(done), "-- ann is an operator");
    world.read(ann);
    (world, ann, bob)
}

#[test]
fn to_everybody_else_they_are_no_commands_at_all() {
    let (mut world, ann, bob) = world();
    let help = world.ask(bob, "/help");
    for command in OPERATOR_COMMANDS {
        let typed = command.word();
        let unknown = format!("!! no such command: /{typed}; /help lists them, // says a slash");
        for line in [
            format!("/{typed}"),
            format!("/{typed} ann 1h x"),
            format!("/help {typed}"),
        ] {
            assert_eq!(world.ask(bob, &line).join("\n"), unknown, "{line}");
        }
        assert!(!help.join("\n").contains(&format!("/{typed} ")), "{help:?}");
        let explained = world.ask(ann, &format!("/help {typed}"));
        assert_eq!(explained, [format!("-- {command}   {}", command.summary)]);
        assert!(world.ask(ann, "/help").contains(&explained[0]));
        assert_eq!(
            world.ask(ann, &format!("/{typed}")),
            [format!("!! usage: {command}")]
        );
    }
    let done = world.hub.set_operator(&who("ann"), false);
    assert_eq!(told(done), "-- ann is no operator any more");
    let kick = "!! no such command: /kick; /help lists them, // says a slash";
    assert_eq!(world.ask(ann, "/kick bob"), [kick]);
    // A person who is muted is told the same: it is no command.
    world.mute("bob", Span::Forever, "");
    assert_eq!(world.ask(bob, "/kick ann"), [kick]);
}

#[test]
fn who_is_an_operator_is_seen_and_stays_one_with_another_name() {
    let (mut world, ann, bob) = world();
    assert_eq!(world.ask(bob, "/who"), ["-- 2 here: ann (op), bob"]);
    world.enter(ann, "/away");
    world.enter(ann, "/name anna");
    assert_eq!(world.ask(bob, "/who"), ["-- 2 here: anna (op, away), bob"]);
    assert_eq!(
        world.ask(ann, "/kick bob spam"),
        ["-- bob left: kicked (1 here)", "-- 1 session kicked"]
    );
    assert_eq!(
        world.lines(bob).last().unwrap(),
        "!! goodbye: you were kicked: spam"
    );
}

#[test]
fn an_operator_mutes_and_bans_for_a_day_and_sees_no_address() {
    let (mut world, ann, bob) = world();
    assert_eq!(
        world.ask(ann, "/mute bob 24h spam"),
        ["-- mute 1: their address until 2024-10-05T14:05:30Z; 1 session; until the server stops"]
    );
    assert_eq!(&*world.hub.rules().get(1).unwrap().terms.by, "ann");
    assert_eq!(
        world.ask(bob, "hi"),
        ["!! you are muted until 2024-10-05 14:05 UTC: spam"]
    );
    assert_eq!(world.ask(ann, "/unmute bob"), ["-- mute 1 lifted: bob"]);
    assert_eq!(world.ask(ann, "/unmute bob"), ["!! bob is not muted"]);
    let at_most = "!! at most 24h here; the server's operators can do more";
    assert_eq!(world.ask(ann, "/mute bob 25h"), [at_most]);
    assert_eq!(world.ask(ann, "/ban bob forever"), [at_most]);
    assert_eq!(
        world.ask(ann, "/ban bob 2days"),
        ["!! 2days is no time: write 90s, 15m, 2h30m, 7d or forever"]
    );
    assert_eq!(
        world.ask(ann, "/ban eve 1h"),
        ["!! nobody here is called eve"]
    );
    assert_eq!(world.ask(ann, "/ban ann 1h"), ["!! that is you"]);
    let eve = world.join_at("eve", THERE);
    assert_eq!(
        world.ask(ann, "/ban bob 1h"),
        ["!! 1 other is here from their address: eve; kick or mute bob"]
    );
    assert_eq!(
        world.ask(ann, "/kick eve"),
        ["-- eve left: kicked (2 here)", "-- 1 session kicked"]
    );
    assert_eq!(
        world.ask(ann, "/ban bob 1h no ads"),
        [
            "-- bob left: banned (1 here)",
            "-- ban 2: their address until 2024-10-04T15:05:30Z; 1 session closed; until the server stops"
        ]
    );
    let farewell = "!! goodbye: you are banned until 2024-10-04 15:05 UTC: no ads";
    assert_eq!(world.lines(bob).last().unwrap(), farewell);
    assert_eq!(
        world.lines(eve).last().unwrap(),
        "!! goodbye: you were kicked"
    );
}

#[test]
fn an_operator_who_is_muted_cannot_free_themselves() {
    let (mut world, ann, _) = world();
    world.mute("ann", Span::Forever, "");
    world.read(ann);
    for line in ["/unmute ann", "/kick bob", "/mute bob 1h"] {
        assert_eq!(world.ask(ann, line), ["!! you are muted"], "{line}");
    }
    assert_eq!(world.hub.rules().count(AFTERNOON), [0, 1, 0]);
}

#[test]
fn where_a_file_keeps_the_rules_the_answer_tells_whether_it_does() {
    let (mut world, ann, _) = world();
    world.hub.keep_rules();
    assert_eq!(world.ask(ann, "/mute bob 1h"), [""; 0]);
    let now = world.now;
    world
        .hub
        .note_saved(&Kept::NotSaved("No space left on device".into()), now);
    world.turn();
    assert_eq!(
        world.lines(ann),
        ["-- mute 1: their address until 2024-10-04T15:05:30Z; 1 session; not saved: No space left on device"]
    );
    assert_eq!(world.ask(ann, "/unmute bob"), [""; 0]);
    world.hub.note_saved(&Kept::Saved, now);
    world.turn();
    assert_eq!(world.lines(ann), ["-- mute 1 lifted: bob"]);
}

/// What has ended is told nothing behind its farewell, at once or when the rule is saved.
#[test]
fn an_operator_who_bans_their_own_address_is_told_nothing_more() {
    for is_kept in [false, true] {
        let mut world = World::new(limits());
        // Who has chosen no name shares an address with nobody.
        let guest = world.connect_at(Dialect::Telnet, HERE);
        let bob = world.join_at("bob", HERE);
        let done = world.hub.set_operator(&who("guest1"), true);
        assert_eq!(told(done), "-- guest1 is an operator");
        if is_kept {
            world.hub.keep_rules();
        }
        world.enter(guest, "/ban bob 1h");
        let now = world.now;
        world.hub.note_saved(&Kept::Saved, now);
        world.turn();
        let farewell = "!! goodbye: you are banned until 2024-10-04 15:05 UTC";
        assert_eq!(world.lines(guest).last().unwrap(), farewell, "{is_kept}");
        assert_eq!(world.lines(bob).last().unwrap(), farewell, "{is_kept}");
    }
}
