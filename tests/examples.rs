//! The example bots, each against real servers, between people and programs who know nothing of them.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines of tests are real time"
)]

// What Cargo builds of them is not there when one test alone is run, so they are part of this one.
#[allow(dead_code, reason = "a test has a loop of its own")]
#[path = "../examples/bridge.rs"]
mod bridge;
#[allow(dead_code, reason = "a test has a loop of its own")]
#[path = "../examples/greeter.rs"]
mod greeter;
mod in_process;

use std::io;
use std::time::{Duration, Instant};

use bridge::Bridge;
use chatd::client::{Client, Dialect, Event, Message, Options};
use greeter::Greeter;
use in_process::{InProcess, DEADLINE};

/// A person who talks to a bot, and what they have heard others say: `ann: hello`.
struct Person {
    client: Client,
    heard: Vec<String>,
}

impl Person {
    fn join(server: &InProcess, dialect: Dialect, name: &str) -> Self {
        let mut client = Client::dial(&address(server, dialect), Options::default()).unwrap();
        client.set_name(name).unwrap();
        let mut person = Self {
            client,
            heard: Vec::new(),
        };
        let give_up_at = Instant::now() + DEADLINE;
        while person.client.connection().name() != name {
            assert!(Instant::now() < give_up_at, "{name} has no name");
            person.turn();
        }
        person
    }

    fn say(&mut self, words: &str) {
        self.client.send(words).unwrap();
        // A turn writes it.
        self.turn();
    }

    fn turn(&mut self) {
        let events = self.client.poll(Some(Duration::from_millis(5))).unwrap();
        for event in events {
            match event {
                Event::Message(Message::Said { name, words }) => {
                    self.heard.push(format!("{name}: {words}"));
                }
                Event::Message(Message::Did { name, words }) => {
                    self.heard.push(format!("{name} {words}"));
                }
                Event::Closed { why, .. } => panic!("closed: {why}"),
                _ => {}
            }
        }
    }
}

fn address(server: &InProcess, dialect: Dialect) -> String {
    format!("{dialect}://{}", server.address(dialect))
}

/// Gives turns to a bot, which lives on, and to all others, until it is done.
#[track_caller]
fn until(
    mut turn: impl FnMut(Option<Duration>) -> io::Result<bool>,
    people: &mut [&mut Person],
    done: impl Fn(&[&mut Person]) -> bool,
) {
    let give_up_at = Instant::now() + DEADLINE;
    while !done(people) {
        let heard: Vec<_> = people.iter().map(|person| &person.heard).collect();
        assert!(Instant::now() < give_up_at, "not done: {heard:?}");
        assert!(turn(Some(Duration::from_millis(5))).unwrap());
        for person in &mut *people {
            person.turn();
        }
    }
}

/// As [`until`], until somebody has heard this many lines; gives them.
#[track_caller]
fn heard(
    turn: impl FnMut(Option<Duration>) -> io::Result<bool>,
    person: &mut Person,
    lines: usize,
) -> &[String] {
    until(turn, &mut [person], |people| people[0].heard.len() >= lines);
    &person.heard
}

#[test]
fn the_greeter_greets_once_who_joins_or_speaks() {
    let server = InProcess::start(&[]);
    let mut ann = Person::join(&server, Dialect::Wire, "ann");
    let mut greeter = Greeter::new(&address(&server, Dialect::Telnet), "greeter").unwrap();
    while greeter.name() != "greeter" {
        assert!(greeter.turn(Some(DEADLINE)).unwrap());
    }
    // A person who was there before the bot is greeted when they speak.
    ann.say("hello");
    assert_eq!(
        heard(|timeout| greeter.turn(timeout), &mut ann, 1),
        ["greeter: Welcome, ann!"]
    );
    let mut bob = Person::join(&server, Dialect::Telnet, "bob");
    assert_eq!(
        heard(|timeout| greeter.turn(timeout), &mut bob, 1),
        ["greeter: Welcome, bob!"]
    );
    ann.say("/me waves");
    bob.say("hello again");
    until(
        |timeout| greeter.turn(timeout),
        &mut [&mut ann, &mut bob],
        |people| people[0].heard.len() >= 3 && people[1].heard.len() >= 2,
    );
    // Nobody was greeted a second time before this, for it comes behind what they have said.
    let _cleo = Person::join(&server, Dialect::Wire, "cleo");
    let expected = [
        "greeter: Welcome, ann!",
        "greeter: Welcome, bob!",
        "bob: hello again",
        "greeter: Welcome, cleo!",
    ];
    assert_eq!(
        heard(|timeout| greeter.turn(timeout), &mut ann, 4),
        expected
    );
}

#[test]
fn the_greeter_greets_who_joins_over_the_wire_dialect_too() {
    let server = InProcess::start(&[]);
    let mut greeter = Greeter::new(&address(&server, Dialect::Wire), "greeter").unwrap();
    while greeter.name() != "greeter" {
        assert!(greeter.turn(Some(DEADLINE)).unwrap());
    }
    let mut ann = Person::join(&server, Dialect::Telnet, "ann");
    assert_eq!(
        heard(|timeout| greeter.turn(timeout), &mut ann, 1),
        ["greeter: Welcome, ann!"]
    );
}

#[test]
fn the_greeter_takes_another_name_where_its_own_is_taken() {
    let server = InProcess::start(&[]);
    let mut ann = Person::join(&server, Dialect::Wire, "greeter");
    let mut greeter = Greeter::new(&address(&server, Dialect::Wire), "greeter").unwrap();
    while greeter.name() != "greeter-1" {
        assert!(greeter.turn(Some(DEADLINE)).unwrap());
    }
    ann.say("hello");
    assert_eq!(
        heard(|timeout| greeter.turn(timeout), &mut ann, 1),
        ["greeter-1: Welcome, greeter!"]
    );
}

#[test]
fn the_bridge_says_here_what_is_said_there_and_no_echo() {
    let (here, there) = (InProcess::start(&[]), InProcess::start(&[]));
    let mut ann = Person::join(&here, Dialect::Wire, "ann");
    let mut bob = Person::join(&there, Dialect::Telnet, "bob");
    // Its name is taken on one side.
    let _eve = Person::join(&there, Dialect::Wire, "bridge");
    let (first, second) = (
        address(&here, Dialect::Wire),
        address(&there, Dialect::Telnet),
    );
    let mut bridge = Bridge::new([&first, &second], "bridge").unwrap();
    while bridge.names().contains(&None) {
        assert!(bridge.turn(Some(DEADLINE)).unwrap());
    }
    ann.say("hello");
    ann.say("/me waves");
    until(
        |timeout| bridge.turn(timeout),
        &mut [&mut ann, &mut bob],
        |people| people[1].heard.len() == 2,
    );
    bob.say("/etc is a path");
    assert_eq!(
        heard(|timeout| bridge.turn(timeout), &mut ann, 1),
        ["bridge: bob: /etc is a path"]
    );
    assert_eq!(bob.heard, ["bridge-2: ann: hello", "bridge-2: ann waves"]);
}

#[test]
fn a_bridge_within_one_room_does_not_echo_itself() {
    let server = InProcess::start(&[]);
    let mut ann = Person::join(&server, Dialect::Wire, "ann");
    let address = address(&server, Dialect::Wire);
    let mut bridge = Bridge::new([&address, &address], "bridge").unwrap();
    while bridge.names().contains(&None) {
        assert!(bridge.turn(Some(DEADLINE)).unwrap());
    }
    // Both sides hear each line, and each says it for the other one.
    let mut expected = Vec::new();
    for words in ["one", "two"] {
        ann.say(words);
        expected.extend([words; 2]);
        let said = heard(|timeout| bridge.turn(timeout), &mut ann, expected.len());
        let said: Vec<&str> = said
            .iter()
            .map(|line| line.rsplit(' ').next().unwrap())
            .collect();
        assert_eq!(said, expected);
    }
}
