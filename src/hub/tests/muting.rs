//! People who are muted hear and are not heard, whatever they try, and are told so.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::dialect::commands::COMMANDS;
use crate::dialect::request::Refusal;
use crate::dialect::Dialect;
use crate::hub::tests::operators::told;
use crate::hub::tests::operators::who;
use crate::hub::tests::world::{limits, shown, World, AFTERNOON};
use crate::when::Span;

const HERE: &str = "198.51.100.7";
const THERE: &str = "203.0.113.9";
const MUTED: &str = "!! you are muted until 2024-10-04 15:05 UTC: spam";
const HOUR: Span = Span::Seconds(3600);

/// What others may read of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Refused,
    Obeyed,
    /// It ends the session, without its words.
    AnEnd,
}
use Is::{AnEnd, Obeyed, Refused};

/// What each command does for somebody who is muted. Every one of the table stands here.
const LINES: &[(&str, Is)] = &[
    ("/keep", Refused),
    ("/unkeep", Obeyed),
    ("/name eve 0000-0000-0000-0000-0000", Refused),
    ("/name eve", Refused),
    ("/who", Obeyed),
    ("/join games", Refused),
    ("/join lobby", Obeyed),
    ("/leave", Obeyed),
    ("/rooms", Obeyed),
    ("/me waves", Refused),
    ("/msg bob psst", Refused),
    ("/reply psst", Refused),
    ("/whois bob", Obeyed),
    ("/away lunch", Refused),
    ("/away", Obeyed),
    ("/back", Obeyed),
    ("/ignore bob", Obeyed),
    ("/ignore", Obeyed),
    ("/unignore bob", Obeyed),
    ("/quiet on", Obeyed),
    ("/quiet off", Obeyed),
    ("/time off", Obeyed),
    ("/bell off", Obeyed),
    ("/history", Obeyed),
    ("/edit off", Obeyed),
    ("/help", Obeyed),
    ("hello", Refused),
    ("//hello", Refused),
    ("/quit psst", AnEnd),
];

/// The same of programs: every verb stands here. `YQ==` is `a`, and `Ym9i` is `bob`.
const WIRE_LINES: &[(&str, Is)] = &[
    ("NAME ZXZl", Refused),
    ("NAME ZXZl 0000-0000-0000-0000-0000", Refused),
    ("KEEP", Refused),
    ("UNKEEP", Obeyed),
    ("CHAT YQ== cHNzdA==", Refused),
    ("TELL Ym9i cHNzdA==", Refused),
    ("JOIN Z2FtZXM=", Refused),
    ("ROOMS", Obeyed),
    ("WATCH on", Obeyed),
    ("WHO", Obeyed),
    ("PING x", Obeyed),
    ("QUIT", AnEnd),
];

fn world() -> World {
    World::new(limits())
}

#[test]
fn every_command_says_whether_it_is_for_who_is_muted() {
    let classified: BTreeSet<&str> = LINES
        .iter()
        .filter_map(|(line, _)| line.strip_prefix('/')?.split(' ').next())
        .collect();
    for command in COMMANDS {
        assert!(classified.contains(command.word()), "/{}", command.word());
    }
    let verbs = Refusal::NoSuchVerb.to_string();
    let (_, verbs) = verbs.split_once("begins with ").unwrap();
    for verb in verbs.replace(" or ", ", ").split(", ") {
        let is_known = |line: &&(&str, Is)| line.0.split(' ').next() == Some(verb);
        assert!(WIRE_LINES.iter().any(|line| is_known(&line)), "{verb}");
    }
}

#[test]
fn nobody_hears_who_is_muted_whatever_they_enter() {
    for (line, is) in LINES {
        let mut world = world();
        let bob = world.join_at("bob", THERE);
        let ann = world.join_at("ann", HERE);
        world.enter(bob, "/msg ann hi");
        assert!(world.mute("ann", HOUR, "spam").starts_with("-- mute 1: "));
        for id in [ann, bob] {
            world.read(id);
        }
        world.enter(ann, line);
        let heard = world.lines(bob);
        match is {
            Refused => {
                assert_eq!(world.lines(ann), [MUTED], "{line}");
                assert_eq!(heard, [""; 0], "{line}");
            }
            Obeyed => {
                assert!(!world.lines(ann).contains(&MUTED.to_owned()), "{line}");
                assert_eq!(heard, [""; 0], "{line}");
            }
            AnEnd => {
                assert_eq!(world.lines(ann), ["-- goodbye"], "{line}");
                assert_eq!(heard, ["-- ann left (1 here)"], "{line}");
            }
        }
        let refused = u64::from(*is == Refused);
        assert_eq!(world.hub.readings().lines_muted, refused, "{line}");
        assert_eq!(world.hub.rules().get(1).unwrap().hits, refused, "{line}");
    }
}

#[test]
fn nobody_hears_a_program_that_is_muted_whatever_it_sends() {
    for (line, is) in WIRE_LINES {
        let mut world = world();
        let bob = world.join_at("bob", THERE);
        let program = world.connect_at(Dialect::Wire, HERE);
        world.send(program, "NAME cm9ib3Q=\n");
        world.mute("robot", HOUR, "spam");
        let told = String::from_utf8(world.read(program)).unwrap();
        let told = told.lines().last().unwrap();
        assert!(
            told.starts_with("FAIL ") && told.ends_with(" muted"),
            "{told}"
        );
        world.read(bob);
        world.send(program, format!("{line}\n"));
        let answer = shown(&world.read(program));
        assert_eq!(
            answer.ends_with(r" muted\n"),
            *is == Refused,
            "{line}: {answer}"
        );
        let heard = shown(&world.read(bob));
        let expected = if *is == AnEnd {
            r"-- robot left (1 here)\r\n"
        } else {
            ""
        };
        assert_eq!(heard, expected, "{line}");
    }
}

#[test]
fn last_words_without_a_line_end_are_not_heard_either() {
    let mut world = world();
    let bob = world.join_at("bob", THERE);
    let ann = world.join_at("ann", HERE);
    world.mute("ann", HOUR, "");
    world.read(bob);
    world.hear(ann, "never heard");
    world.hub.handle_eof(ann, world.now);
    world.turn();
    assert_eq!(world.lines(bob), ["-- ann left (1 here)"]);
}

#[test]
fn who_is_muted_hears_and_is_told_at_once_and_at_the_end() {
    let mut world = world();
    let bob = world.join_at("bob", THERE);
    let ann = world.join_at("ann", HERE);
    assert_eq!(
        world.mute("ann", HOUR, "spam"),
        format!("-- mute 1: {HERE} until 2024-10-04T15:05:30Z; 1 session; until the server stops")
    );
    assert_eq!(world.lines(ann), [MUTED]);
    world.enter(bob, "hi ann");
    world.enter(bob, "/msg ann psst");
    assert_eq!(world.lines(ann), ["<bob> hi ann", "[bob] psst"]);
    // A newcomer from that address is muted, too, and is told so.
    let guest = world.connect_at(Dialect::Telnet, HERE);
    world.turn();
    assert_eq!(world.lines(guest).last().unwrap(), MUTED);
    let program = world.connect_at(Dialect::Wire, HERE);
    world.turn();
    assert_eq!(world.read(program), b"");
    world.send(program, "CHAT YQ== YQ==\n");
    assert!(world.read(program).ends_with(b" muted\n"));
    world.pass(Duration::from_secs(3599));
    assert_eq!(world.ask(ann, "hello"), [MUTED]);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.lines(ann), ["-- you may speak again"]);
    assert_eq!(world.lines(guest), ["-- you may speak again"]);
    world.read(bob);
    world.enter(ann, "hello");
    assert_eq!(world.lines(bob), ["<ann> hello"]);
    assert_eq!(world.hub.readings().lines_muted, 2);
}

#[test]
fn an_irc_client_from_a_muted_address_is_a_guest_without_a_real_name() {
    let mut world = world();
    let bob = world.join_at("bob", THERE);
    world.join_at("ann", HERE);
    world.mute("ann", HOUR, "spam");
    let eve = world.register_at("eve", HERE);
    world.turn();
    let greeting = world.lines(eve);
    let is_greeted = |line: &String| line.starts_with(":chatd.local 001 guest3 :");
    assert!(greeting.iter().any(is_greeted), "{greeting:#?}");
    let last = greeting.last().map(String::as_str);
    let muted = ":chatd.local NOTICE guest3 :you are muted until 2024-10-04 15:05 UTC: spam";
    assert_eq!(last, Some(muted));
    world.enter(eve, "JOIN #lobby");
    world.read(eve);
    world.read(bob);
    world.enter(eve, "PRIVMSG #lobby :hello");
    world.enter(eve, "NICK eve");
    world.enter(eve, "PRIVMSG bob :psst");
    assert!(world.lines(bob).is_empty());
    let told = world.ask(eve, "WHOIS guest3");
    assert_eq!(told[0], ":chatd.local 311 guest3 guest3 eve chatd * :");
}

#[test]
fn a_mute_that_is_over_hinders_nobody_before_it_was_noticed() {
    let mut world = world();
    let bob = world.join_at("bob", THERE);
    let ann = world.join_at("ann", HERE);
    world.mute("ann", HOUR, "");
    for id in [ann, bob] {
        world.read(id);
    }
    world.set_wall_clock(AFTERNOON + 3600);
    world.enter(ann, "hello");
    assert_eq!(world.lines(ann), ["-- you may speak again"]);
    assert_eq!(world.lines(bob), ["<ann> hello"]);
    // A clock that is set back makes it longer.
    world.set_wall_clock(AFTERNOON + 3599);
    world.turn();
    world.check();
    assert_eq!(
        world.lines(ann),
        ["!! you are muted until 2024-10-04 15:05 UTC"]
    );
}

#[test]
fn who_shares_an_address_is_muted_alone() {
    let mut world = world();
    let ann = world.join_at("ann", HERE);
    let bob = world.join_at("bob", HERE);
    assert_eq!(
        world.mute("ann", HOUR, "spam"),
        format!(
            "-- mute 1: ann, this session only (1 other shares {HERE}) until 2024-10-04T15:05:30Z; until the server stops"
        )
    );
    world.read(bob);
    world.enter(bob, "hello");
    assert_eq!(world.lines(ann).last().unwrap(), "<bob> hello");
    assert_eq!(world.ask(ann, "hello"), [MUTED]);
    let listed: Vec<String> = world
        .hub
        .rules_after(0, None)
        .map(|rule| rule.terms.target.to_string())
        .collect();
    assert_eq!(listed, ["id=1"]);
    let done = world.hub.unmute(&who("ann"), "alice", world.now);
    assert_eq!(told(done), "-- mute 1 lifted: ann");
    world.turn();
    assert_eq!(world.lines(ann), ["-- you may speak again"]);
    // It ends with its session.
    world.mute("ann", HOUR, "");
    world.enter(ann, "/quit");
    world.check();
    assert_eq!(world.hub.rules().count(AFTERNOON), [0, 0, 0]);
    // All of an address are met where it is forced.
    let eve = world.join_at("eve", HERE);
    assert!(world.mute("force eve", HOUR, "").contains("; 2 sessions"));
    assert_eq!(
        world.lines(eve),
        ["!! you are muted until 2024-10-04 15:05 UTC"]
    );
}

#[test]
fn who_comes_from_loopback_is_muted_alone() {
    let mut world = world();
    let ann = world.join_at("ann", "127.0.0.1");
    let bob = world.join_at("bob", "127.0.0.1");
    assert_eq!(
        world.mute("ann", Span::Forever, ""),
        "-- mute 1: ann, this session only forever; until the server stops"
    );
    assert_eq!(world.ask(ann, "hello"), ["!! you are muted"]);
    world.read(ann);
    world.enter(bob, "hello");
    assert_eq!(world.lines(ann), ["<bob> hello"]);
    assert_eq!(
        world.mute("127.0.0.1", HOUR, ""),
        "!! 127.0.0.1 is the loopback address: front ends come from there"
    );
}

#[test]
fn an_unmute_ends_what_is_exactly_for_somebody() {
    let mut world = world();
    let ann = world.join_at("ann", HERE);
    let unmute = |world: &mut World, text: &str| {
        let done = world.hub.unmute(&who(text), "alice", world.now);
        world.turn();
        world.check();
        told(done)
    };
    assert_eq!(unmute(&mut world, "ann"), "!! ann is not muted");
    assert_eq!(unmute(&mut world, HERE), format!("!! {HERE} is not muted"));
    world.mute("198.51.100.0/24", HOUR, "");
    assert_eq!(
        unmute(&mut world, "ann"),
        "!! ann is muted by 198.51.100.0/24: lift 1"
    );
    world.mute("ann", HOUR, "");
    world.mute(HERE, Span::Forever, "");
    assert_eq!(unmute(&mut world, "ann"), "-- 2 rules lifted: ann");
    // One is left.
    assert_eq!(
        world.ask(ann, "hello"),
        ["!! you are muted until 2024-10-04 15:05 UTC"]
    );
    assert_eq!(world.lift(1), "-- mute 1 lifted: 198.51.100.0/24");
    assert_eq!(world.lines(ann), ["-- you may speak again"]);
    assert_eq!(
        unmute(&mut world, "nobody"),
        "!! nobody here is called nobody"
    );
}
