//! Names that are kept: taken with their key and by nobody without it.

use std::time::Duration;

use crate::dialect::Dialect;
use crate::hub::tests::world::{limits, World, AFTERNOON};
use crate::hub::{Limits, SessionId};
use crate::ledger::CloseReason;
use crate::name::Name;

const HERE: &str = "198.51.100.7";
const THERE: &str = "203.0.113.9";
const NO_KEY: &str = "0000-0000-0000-0000-0000";

fn world() -> World {
    let mut world = World::new(limits());
    world.hub.set_seed([7; 32]);
    world
}

/// Keeps the name of a session; gives the key.
#[track_caller]
fn keep(world: &mut World, id: SessionId, name: &str) -> String {
    let told = world.ask(id, "/keep").join("\n");
    let begins = format!("-- {name} is yours while this server runs: /name {name} ");
    let rest = told
        .strip_prefix(&begins)
        .unwrap_or_else(|| panic!("{told}"));
    let key = rest.strip_suffix(" takes it; write that down, it is shown once");
    key.unwrap_or_else(|| panic!("{told}")).to_owned()
}

/// What a program is told in the same turn.
fn ask_as_program(world: &mut World, id: SessionId, line: &str) -> Vec<String> {
    world.read(id);
    world.enter(id, line);
    let told = String::from_utf8(world.read(id)).unwrap();
    told.lines().map(str::to_owned).collect()
}

/// Days go by.
fn wait(world: &mut World, days: u64) {
    let now = AFTERNOON + days * 86_400;
    world.set_wall_clock(now);
}

#[test]
fn a_name_that_is_kept_is_taken_by_its_key_alone() {
    let mut world = world();
    let ann = world.join_at("ann", HERE);
    let key = keep(&mut world, ann, "ann");
    world.enter(ann, "/quit");
    let bob = world.join_at("bob", THERE);
    let kept = "!! ann is kept: /name ann KEY takes it";
    for alike in ["ann", "ANN", "аnn", "ａｎｎ", "𝐚𝐧𝐧", "аոո"] {
        assert_eq!(world.ask(bob, &format!("/name {alike}")), [kept], "{alike}");
    }
    let wrong = "!! that is not the key of ann";
    for typed in [NO_KEY, "x", "two words", &key[1..]] {
        assert_eq!(
            world.ask(bob, &format!("/name ann {typed}")),
            [wrong],
            "{typed}"
        );
    }
    // In any spelling, and look-alikes are the name itself.
    let loud = key.to_uppercase().replace('-', "");
    assert_eq!(
        world.ask(bob, &format!("/name Ann {loud}")),
        ["-- you are Ann"]
    );
    assert_eq!(world.ask(bob, "/name ann"), ["-- you are ann"]);
    // They may be called otherwise, and come back by the key only.
    assert_eq!(world.ask(bob, "/name bob"), ["-- you are bob"]);
    assert_eq!(world.ask(bob, "/name ann"), [kept]);
    assert_eq!(
        world.ask(bob, &format!("/name ann {key}")),
        ["-- you are ann"]
    );
    world.check();
}

#[test]
fn a_ghost_is_closed_where_its_name_is_taken_back() {
    let mut world = world();
    let [ghost, bob] = [world.join_at("ann", HERE), world.join_at("bob", THERE)];
    let key = keep(&mut world, ghost, "ann");
    let ann = world.connect_at(Dialect::Telnet, HERE);
    let cleo = world.connect_at(Dialect::Wire, HERE);
    for id in [ghost, bob, ann] {
        world.read(id);
    }
    let told = ["-- ann left: taken back (1 here)", "-- you are ann"];
    assert_eq!(
        world.ask(ann, &format!("/name ann {key}")).split_off(2),
        told
    );
    let seen = ["-- ann left: taken back (1 here)", "-- ann joined (2 here)"];
    assert_eq!(world.lines(bob), seen);
    let farewell = "!! goodbye: ann was taken back with its key";
    assert_eq!(world.lines(ghost).last().unwrap(), farewell);
    // A session that has the name by right already loses nothing.
    assert_eq!(
        world.ask(ann, &format!("/name ann {key}")),
        ["-- you are ann"]
    );
    // A program does the same in its own way.
    let told = ask_as_program(&mut world, cleo, &format!("NAME YW5u {key}"));
    assert_eq!(told, ["NAME YW5u"]);
    world.pass(Duration::from_secs(60));
    world.check();
    let reasons: Vec<_> = world
        .closes()
        .into_iter()
        .map(|(_, reason)| reason)
        .collect();
    assert_eq!(reasons, [CloseReason::NameTaken; 2]);
    assert_eq!(
        ask_as_program(&mut world, cleo, "KEEP x"),
        ["FAIL dXNhZ2U6IEtFRVA= usage"]
    );
    let told = ask_as_program(&mut world, cleo, "KEEP").join("\n");
    assert!(
        told.starts_with("KEPT YW5u ") && !told.ends_with(&key),
        "{told}"
    );
    assert_eq!(ask_as_program(&mut world, cleo, "UNKEEP"), ["UNKEPT YW5u"]);
    assert_eq!(
        ask_as_program(&mut world, cleo, "UNKEEP"),
        ["FAIL YW5uIGlzIG5vdCBrZXB0 not-allowed"]
    );
}

#[test]
fn a_new_key_makes_the_old_one_void() {
    let mut world = world();
    let ann = world.join_at("ann", HERE);
    let old = keep(&mut world, ann, "ann");
    let new = keep(&mut world, ann, "ann");
    assert_ne!(old, new);
    let bob = world.join_at("bob", THERE);
    assert_eq!(
        world.ask(bob, &format!("/name ann {old}")),
        ["!! that is not the key of ann"]
    );
    assert_eq!(
        world.ask(bob, &format!("/name ann {new}")),
        ["-- ann left: taken back (1 here)", "-- you are ann"]
    );
    // The key is in nothing that anybody is told or shown later.
    let carl = world.join_at("carl", THERE);
    assert!(!world.ask(carl, "/history").join("\n").contains(&new));
}

#[test]
fn who_has_it_by_right_gives_it_back_and_nobody_else() {
    let mut world = world();
    let [ann, bob] = [world.join_at("ann", HERE), world.join_at("bob", THERE)];
    assert_eq!(world.ask(ann, "/unkeep"), ["!! ann is not kept"]);
    // An operator keeps the name that somebody has: they have it still, but not by right.
    let (_, key) = world.hub.keep_by_operator("ann").unwrap();
    let kept = "!! ann is kept: /name ann KEY takes it";
    assert_eq!(world.ask(ann, "/keep"), [kept]);
    assert_eq!(world.ask(ann, "/unkeep"), [kept]);
    assert_eq!(
        world.ask(ann, &format!("/name ann {key}")),
        ["-- you are ann"]
    );
    assert_eq!(world.ask(ann, "/unkeep"), ["-- ann is kept no more"]);
    world.enter(ann, "/quit");
    assert_eq!(world.ask(bob, "/name ann"), ["-- you are ann"]);
    let guest = world.connect();
    world.turn();
    world.read(guest);
    assert_eq!(
        world.ask(guest, "/keep"),
        ["!! take a name first: /name NAME"]
    );
    assert_eq!(world.ask(guest, "/unkeep"), ["!! guest3 is not kept"]);
    // A key for a name that nobody keeps is not looked at; what is no key is a part of the name.
    assert_eq!(
        world.ask(guest, &format!("/name eve {NO_KEY}")),
        ["-- you are eve"]
    );
    let malformed =
        "!! a name is 1 to 24 letters, digits or _ - . and begins with a letter or digit";
    assert_eq!(world.ask(guest, "/name my name"), [malformed]);
}

#[test]
fn a_reserved_name_is_taken_where_an_operator_keeps_it() {
    let mut world = world();
    let ann = world.join_at("ann", HERE);
    let with_key = |key: &str| format!("/name admin {key}");
    assert_eq!(world.ask(ann, &with_key(NO_KEY)), ["!! admin is reserved"]);
    let (_, key) = world.hub.keep_by_operator("admin").unwrap();
    assert_eq!(
        world.ask(ann, &with_key(NO_KEY)),
        ["!! that is not the key of admin"]
    );
    assert_eq!(world.ask(ann, &with_key(&key)), ["-- you are admin"]);
    assert_eq!(world.hub.unkeep_by_operator("ADMIN"), Ok("admin".into()));
    assert!(Name::parse_kept("guest7").is_err());
}

#[test]
fn as_many_are_kept_as_may_be() {
    let mut world = World::new(Limits {
        names_kept_max: 5,
        ..limits()
    });
    world.hub.set_seed([7; 32]);
    let ann = world.join_at("ann", HERE);
    for name in ["ann", "bob", "eve"] {
        world.enter(ann, &format!("/name {name}"));
        keep(&mut world, ann, name);
    }
    // A new key for a name that is kept is not one name more.
    keep(&mut world, ann, "eve");
    world.enter(ann, "/name fay");
    let enough = "!! enough names were kept from your address today";
    assert_eq!(world.ask(ann, "/keep"), [enough]);
    wait(&mut world, 1);
    keep(&mut world, ann, "fay");
    // From loopback as many as one likes.
    let gil = world.join_at("gil", "127.0.0.1");
    keep(&mut world, gil, "gil");
    world.enter(gil, "/name hal");
    assert_eq!(world.ask(gil, "/keep"), ["!! no more names can be kept"]);
    let off = Limits {
        names_kept_max: 0,
        ..limits()
    };
    world.hub.set_limits(off, world.now);
    assert_eq!(world.ask(gil, "/keep"), ["!! names are not kept here"]);
    // Those that are kept are.
    assert_eq!(
        world.ask(gil, "/name ann"),
        ["!! ann is kept: /name ann KEY takes it"]
    );
}

#[test]
fn a_name_that_was_not_used_for_long_is_free() {
    let mut world = World::new(Limits {
        names_kept_days: Some(10),
        ..limits()
    });
    world.hub.set_seed([7; 32]);
    let ann = world.join_at("ann", HERE);
    keep(&mut world, ann, "ann");
    let bob = world.join_at("bob", THERE);
    // A name counts as used as long as a session has it.
    wait(&mut world, 20);
    assert_eq!(
        world.ask(bob, "/name ann"),
        ["!! ann is kept: /name ann KEY takes it"]
    );
    world.enter(ann, "/quit");
    wait(&mut world, 30);
    assert_eq!(
        world.ask(bob, "/name ann"),
        ["!! ann is kept: /name ann KEY takes it"]
    );
    wait(&mut world, 31);
    assert_eq!(world.ask(bob, "/name ann"), ["-- you are ann"]);
    assert_eq!(world.hub.kept_count(), 0);
}

/// A session that goes on to another kept name has used the former one until then.
#[test]
fn a_kept_name_is_used_until_another_one_is_taken_with_its_key() {
    let mut world = World::new(Limits {
        names_kept_days: Some(10),
        ..limits()
    });
    world.hub.set_seed([7; 32]);
    let ann = world.join_at("ann", HERE);
    let bea = world.join_at("bea", HERE);
    keep(&mut world, ann, "ann");
    let key = keep(&mut world, bea, "bea");
    wait(&mut world, 20);
    let taken = world.ask(ann, &format!("/name bea {key}"));
    assert_eq!(taken.last().unwrap(), "-- you are bea");
    let bob = world.join_at("bob", THERE);
    assert_eq!(
        world.ask(bob, "/name ann"),
        ["!! ann is kept: /name ann KEY takes it"]
    );
    world.check();
}

/// `aI` looks like `ai` and like `al`, which do not look alike.
#[test]
fn a_name_that_looks_like_two_is_taken_with_neither_key() {
    let mut world = world();
    let [mallory, bill] = [world.join_at("blll", HERE), world.join_at("bill", THERE)];
    let key = keep(&mut world, mallory, "blll");
    // Somebody has a name that looks like what is asked for, and not like what is kept.
    let taken = ["!! bIll is taken"];
    assert_eq!(world.ask(mallory, &format!("/name bIll {key}")), taken);
    assert_eq!(world.closes(), []);
    let alike = keep(&mut world, bill, "bill");
    for key in [key, alike] {
        let told = world.ask(mallory, &format!("/name bIll {key}")).join("");
        let is_refused =
            told.starts_with("!! that is not the key of ") || told.contains(" is kept: ");
        assert!(is_refused, "{told}");
    }
    assert_eq!(
        world.ask(mallory, "/name bIll"),
        ["!! bill is kept: /name bill KEY takes it"]
    );
    assert!(world.hub.keep_by_operator("bIll").is_err());
    assert_eq!(world.closes(), []);
    world.check();
}

#[test]
fn a_name_that_is_over_hides_none_that_is_kept() {
    let mut world = World::new(Limits {
        names_kept_days: Some(10),
        ..limits()
    });
    world.hub.set_seed([7; 32]);
    let ai = world.join_at("ai", HERE);
    keep(&mut world, ai, "ai");
    world.enter(ai, "/quit");
    wait(&mut world, 9);
    let al = world.join_at("al", HERE);
    let key = keep(&mut world, al, "al");
    world.enter(al, "/quit");
    wait(&mut world, 12);
    let mallory = world.join_at("mallory", THERE);
    assert_eq!(
        world.ask(mallory, "/name aI"),
        ["!! al is kept: /name al KEY takes it"]
    );
    let zoe = world.join_at("zoe", HERE);
    assert_eq!(
        world.ask(zoe, &format!("/name al {key}")),
        ["-- you are al"]
    );
    world.check();
}

/// The arrow keys bring no key of a name or a room back to the screen.
#[test]
fn the_editor_forgets_a_line_with_a_key() {
    let mut world = world();
    let ann = world.join_at("ann", HERE);
    let key = keep(&mut world, ann, "ann");
    world.enter(ann, "/edit on");
    // The client agrees: IAC DO ECHO, IAC DO SUPPRESS-GO-AHEAD, IAC WILL NAWS refused.
    world.send(ann, [255, 253, 1, 255, 253, 3]);
    for line in [
        "hello",
        &format!("/name ann {key}"),
        "/join games secret",
        "/leave",
    ] {
        world.send(ann, format!("{line}\r"));
    }
    world.read(ann);
    let mut shown = String::new();
    for _ in 0..5 {
        world.send(ann, "\u{1b}[A");
        shown += &String::from_utf8_lossy(&world.read(ann));
    }
    assert!(
        shown.contains("hello") && shown.contains("/leave"),
        "{shown:?}"
    );
    assert!(
        !shown.contains(&key) && !shown.contains("secret"),
        "{shown:?}"
    );
}
