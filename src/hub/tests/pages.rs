//! Pages whose connection breaks and that come back, and those that never answer.

use std::time::Duration;

use serde_json::Value;

use super::world::{limits, Pipe, World};
use crate::dialect::web::{Coming, PageKey};
use crate::dialect::Opening;
use crate::hub::{Limits, SessionId};
use crate::ledger::CloseReason;
use crate::origin::Origin;
use crate::when::Span;

/// A page has this long to come back.
const ABSENCE: Duration = Duration::from_secs(30);

fn world() -> World {
    World::new(Limits {
        history_lines: 2,
        web_history_lines: 5,
        ..limits()
    })
}

/// A message as a page sends it, without a mask that would change it.
fn message(text: &str) -> Vec<u8> {
    let head = [0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
    [&head[..], text.as_bytes()].concat()
}

/// What a page was sent since it was last read: each object, and the opcodes of other frames.
fn heard(world: &mut World, id: SessionId) -> Vec<Value> {
    let bytes = world.read(id);
    let (mut rest, mut heard) = (&bytes[..], Vec::new());
    while let [first, length, tail @ ..] = rest {
        let (length, tail) = match length {
            126 => {
                let length = u16::from_be_bytes([tail[0], tail[1]]);
                (usize::from(length), &tail[2..])
            }
            short => (usize::from(*short), tail),
        };
        let (payload, tail) = tail.split_at(length);
        heard.push(match first {
            0x81 => serde_json::from_slice(payload).expect("an object"),
            other => format!("{other:x} {}", payload.escape_ascii()).into(),
        });
        rest = tail;
    }
    heard
}

/// What kinds they are of, or the text of those that tell somebody's words.
fn kinds(heard: &[Value]) -> Vec<String> {
    let kind = |value: &Value| match value {
        Value::String(frame) => frame.clone(),
        object => object["t"].as_str().unwrap_or_default().to_owned(),
    };
    heard.iter().map(kind).collect()
}

/// The lines of what was said before, each with its number.
fn past(heard: &[Value]) -> Vec<(u64, String)> {
    let old = heard.iter().filter(|it| it["t"] == "old");
    let lines = old.flat_map(|old| old["lines"].as_array().expect("lines"));
    lines
        .map(|line| {
            let words = line["x"].as_str().expect("words");
            (line["i"].as_u64().expect("a number"), words.to_owned())
        })
        .collect()
}

/// What a page says of itself that has heard so much.
fn coming(hi: &Value, heard: u64) -> Opening {
    let number = |key: &str| u128::from_str_radix(hi[key].as_str().unwrap(), 16).unwrap();
    Opening::Web(Coming {
        run: Some(number("run") as u64),
        heard: Some(heard),
        key: Some(PageKey(number("key"))),
    })
}

/// A page that has a name; gives its first object, too.
fn page(world: &mut World, name: &str) -> (SessionId, Value) {
    let opening = Opening::Web(Coming::default());
    let pipe = Pipe::new();
    let id = world.hub.connect(pipe, opening, Origin::Local, world.now);
    world.turn();
    let hi = heard(world, id).remove(0);
    world.send(id, message(&format!("/name {name}")));
    heard(world, id);
    (id, hi)
}

/// The page comes back in a new connection.
fn come_back(world: &mut World, opening: &Opening) -> Option<SessionId> {
    let id = world.hub.former_session(opening)?;
    let pipe = Pipe::new();
    world
        .hub
        .exchange(id, pipe, Origin::Local, opening, world.now)?;
    world.turn();
    world.check();
    Some(id)
}

#[test]
fn a_page_that_comes_back_hears_what_it_has_missed_and_nobody_knows_of_it() {
    let mut world = world();
    let bob = world.join("bob");
    let (ann, hi) = page(&mut world, "ann");
    world.enter(bob, "before");
    assert_eq!(kinds(&heard(&mut world, ann)), ["said"]);
    world.lines(bob);
    world.hub.handle_reset(ann, world.now);
    world.turn();
    world.check();
    assert!(world.hub.is_absent(ann));
    assert_eq!(
        world.ask(bob, "/who"),
        ["-- 2 here: bob, ann (unreachable)"]
    );
    let refused = "!! ann cannot be reached just now";
    assert_eq!(world.ask(bob, "/msg ann psst"), [refused]);
    assert_eq!(world.ask(bob, "/name Ann"), ["!! Ann is taken"]);
    for line in ["one", "two", "three"] {
        world.enter(bob, line);
    }
    world.pass(ABSENCE / 2);
    world.lines(bob);
    let opening = coming(&hi, 1);
    assert_eq!(come_back(&mut world, &opening), Some(ann));
    let told = heard(&mut world, ann);
    assert_eq!(kinds(&told), ["hi", "old"]);
    assert_eq!(told[0]["you"], "ann");
    assert_ne!(told[0]["key"], hi["key"]);
    let missed = [(2, "one"), (3, "two"), (4, "three")];
    assert_eq!(past(&told), missed.map(|(i, x)| (i, x.to_owned())));
    // The key that was used is void, and its absence is over.
    assert_eq!(come_back(&mut world, &opening), None);
    world.pass(ABSENCE);
    world.send(ann, message("back"));
    assert_eq!(world.lines(bob), ["<ann> back"]);
    // It was silent for long enough to be asked whether it is there.
    assert_eq!(kinds(&heard(&mut world, ann)), ["89 ", "said"]);
    let replaced = ("ann".to_owned(), CloseReason::Replaced);
    assert_eq!(world.closes().last(), Some(&replaced));
}

#[test]
fn what_is_not_kept_any_more_is_a_gap() {
    let mut world = world();
    let bob = world.join("bob");
    let (ann, hi) = page(&mut world, "ann");
    world.hub.handle_eof(ann, world.now);
    for n in 1..=9 {
        world.enter(bob, &format!("line {n}"));
    }
    come_back(&mut world, &coming(&hi, 0)).unwrap();
    let told = heard(&mut world, ann);
    assert_eq!(kinds(&told), ["hi", "gap", "old"]);
    let last = [(8, "line 8"), (9, "line 9")];
    assert_eq!(past(&told), last.map(|(i, x)| (i, x.to_owned())));
    // What it has heard of another run says nothing of this one.
    world.hub.handle_eof(ann, world.now);
    let Opening::Web(known) = coming(&told[0], 9) else {
        unreachable!()
    };
    let Coming { run, key, .. } = known;
    for bit in 0..128 {
        let key = key.map(|key| PageKey(key.0 ^ 1 << bit));
        let guessed = Opening::Web(Coming { key, ..known });
        assert_eq!(come_back(&mut world, &guessed), None, "bit {bit}");
    }
    let other = Opening::Web(Coming {
        run: run.map(|run| run + 1),
        ..known
    });
    come_back(&mut world, &other).unwrap();
    assert_eq!(kinds(&heard(&mut world, ann)), ["hi", "gap", "old"]);
}

#[test]
fn a_page_that_does_not_come_back_has_left() {
    let mut world = world();
    let bob = world.join("bob");
    let (ann, hi) = page(&mut world, "ann");
    world.lines(bob);
    world.hub.handle_eof(ann, world.now);
    world.pass(Duration::from_millis(29_999));
    assert_eq!(world.read(bob), b"");
    world.pass(Duration::from_millis(1));
    assert_eq!(world.lines(bob), ["-- ann left (1 here)"]);
    assert_eq!(come_back(&mut world, &coming(&hi, 0)), None);
    assert_eq!(
        world.closes().last(),
        Some(&("ann".to_owned(), CloseReason::Eof))
    );
    world.check();
}

#[test]
fn who_closes_has_left_at_once() {
    let mut world = world();
    let bob = world.join("bob");
    let (ann, hi) = page(&mut world, "ann");
    world.lines(bob);
    // Going away, as a reload does.
    world.send(ann, [0x88, 0x82, 0, 0, 0, 0, 3, 0xe9]);
    assert_eq!(kinds(&heard(&mut world, ann)), ["88 \\x03\\xe9"]);
    assert_eq!(world.lines(bob), ["-- ann left (1 here)"]);
    assert_eq!(come_back(&mut world, &coming(&hi, 0)), None);
}

#[test]
fn a_page_that_is_muted_stays_so_when_it_comes_back() {
    let mut world = world();
    let (ann, hi) = page(&mut world, "ann");
    world.mute("ann", Span::Seconds(3600), "spam");
    heard(&mut world, ann);
    world.hub.handle_eof(ann, world.now);
    come_back(&mut world, &coming(&hi, 0)).unwrap();
    heard(&mut world, ann);
    world.send(ann, message("hello"));
    let told = heard(&mut world, ann);
    assert_eq!(kinds(&told), ["fail"]);
    let words = "you are muted until 2024-10-04 15:05 UTC: spam";
    assert_eq!(told[0]["x"], words);
}

#[test]
fn who_does_not_answer_is_asked_once_and_then_closed() {
    let mut world = world();
    let (ann, _) = page(&mut world, "ann");
    let (bob, _) = page(&mut world, "bob");
    heard(&mut world, ann);
    world.pass(Duration::from_secs(31));
    assert_eq!(kinds(&heard(&mut world, ann)), ["89 "]);
    assert_eq!(kinds(&heard(&mut world, bob)), ["89 "]);
    world.send(bob, [0x8a, 0x80, 0, 0, 0, 0]);
    world.pass(Duration::from_secs(59));
    assert_eq!(kinds(&heard(&mut world, ann)), [""; 0]);
    heard(&mut world, bob);
    world.pass(Duration::from_secs(2));
    let told = heard(&mut world, ann);
    assert_eq!(kinds(&told), ["bye", "88 \\x03\\xf5"]);
    assert_eq!(told[0]["x"], "nothing heard for 90 s");
    assert_eq!(kinds(&heard(&mut world, bob)), ["89 ", "went"]);
}

#[test]
fn what_a_person_ignores_does_not_reach_their_page() {
    let mut world = world();
    let [bob, cy] = world.people(["bob", "cy"]);
    let (ann, _) = page(&mut world, "ann");
    world.send(ann, message("/ignore bob"));
    heard(&mut world, ann);
    world.enter(bob, "unheard");
    world.enter(cy, "heard");
    let told = heard(&mut world, ann);
    assert_eq!(kinds(&told), ["said"]);
    assert_eq!((&told[0]["x"], &told[0]["i"]), (&"heard".into(), &2.into()));
    world.send(ann, message("/quiet on"));
    heard(&mut world, ann);
    world.enter(bob, "/quit");
    world.enter(cy, "again");
    assert_eq!(kinds(&heard(&mut world, ann)), ["said"]);
}
