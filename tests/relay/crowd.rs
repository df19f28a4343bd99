//! A crowd at three servers that says numbered lines while something fails: each line is heard exactly once by everybody,
//! in one order wherever the engine has lost nothing.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::engine::{meet, Engine};
use super::support::person::Person;
use super::support::server::Server;

/// How many servers there are, people at each of them, and lines that each of these says.
const SERVERS: usize = 3;
const PEOPLE: usize = 4;
const LINES: usize = 60;

/// The last words, which tell that all before has been heard.
const LAST: &str = "the end";

/// What befalls the engine or a server while the crowd talks.
pub(crate) enum Trouble {
    KillEngine,
    StopEngine(Duration),
    Ask(&'static str),
    StopServer(Duration),
}

pub(crate) fn killed_with_log() {
    let engine = Engine::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    run_with(engine, &[Trouble::KillEngine, Trouble::KillEngine]);
}

pub(crate) fn killed_empty() {
    run(&[Trouble::KillEngine, Trouble::KillEngine]);
}

pub(crate) fn stopped_briefly() {
    let brief = || Trouble::StopEngine(Duration::from_millis(300));
    run(&[brief(), brief(), brief()]);
}

pub(crate) fn stopped_long() {
    run(&[Trouble::StopEngine(Duration::from_secs(4))]);
}

pub(crate) fn emptied() {
    run(&[Trouble::Ask("FLUSHALL"), Trouble::Ask("FLUSHALL")]);
}

pub(crate) fn cut() {
    let cut = || Trouble::Ask("CLIENT KILL TYPE normal");
    run(&[cut(), cut(), cut(), cut()]);
}

pub(crate) fn slow_server() {
    let slow = || Trouble::StopServer(Duration::from_millis(700));
    run(&[slow(), Trouble::KillEngine, slow()]);
}

pub(crate) fn run(troubles: &[Trouble]) {
    run_with(Engine::start(), troubles);
}

fn run_with(mut engine: Engine, troubles: &[Trouble]) {
    // Nobody is alone, and nobody is given up.
    let settings = [
        "relay-patience-seconds=60",
        "relay-lease-seconds=60",
        "history-lines=0",
    ];
    let servers: Vec<Server> = (0..SERVERS).map(|_| engine.server(&settings)).collect();
    meet(&servers);
    let mut people = Vec::new();
    for index in 0..SERVERS * PEOPLE {
        people.push((
            format!("p{index}"),
            servers[index % SERVERS].join(&format!("p{index}")),
        ));
    }
    // Everybody knows everybody before the first line.
    for (_, person) in &mut people {
        person.say("/who");
        loop {
            let line = person.read_line().expect("a list");
            if line.starts_with(&format!("-- {} here: ", SERVERS * PEOPLE)) {
                break;
            }
            if line.contains(" here: ") {
                person.say("/who");
            }
        }
    }
    let talkers: Vec<_> = people
        .into_iter()
        .map(|(name, person)| thread::spawn(move || talk(name, person)))
        .collect();
    for trouble in troubles {
        thread::sleep(Duration::from_millis(400));
        make(trouble, &mut engine, &servers);
    }
    let talked = talkers.into_iter().map(|it| it.join().expect("they talk"));
    let (heard, mut people): (Vec<_>, Vec<_>) = talked.unzip();
    for person in &mut people {
        person.expect_silence();
    }
    check(&heard, troubles);
}

fn make(trouble: &Trouble, engine: &mut Engine, servers: &[Server]) {
    match trouble {
        Trouble::KillEngine => {
            engine.kill();
            engine.begin();
        }
        Trouble::StopEngine(time) => {
            engine.signal(Signal::STOP);
            thread::sleep(*time);
            engine.signal(Signal::CONT);
        }
        Trouble::Ask(command) => _ = engine.ask(command),
        Trouble::StopServer(time) => {
            servers[2].signal(Signal::STOP);
            thread::sleep(*time);
            servers[2].signal(Signal::CONT);
        }
    }
}

/// Says numbered lines, and hears until all others have said their last words. Gives what was said by others.
fn talk(name: String, mut person: Person) -> ((String, Vec<String>), Person) {
    let mut heard = Vec::new();
    let mut ended = 0;
    for number in 0..LINES {
        person.say(&format!("{name} {number}"));
        thread::sleep(Duration::from_millis(20));
    }
    person.say(LAST);
    while ended < SERVERS * PEOPLE - 1 {
        let line = person.read_line().expect("what others say");
        let Some((_, words)) = line.split_once("> ") else {
            // Who is here, or has come again.
            assert!(line.starts_with("-- "), "{line}");
            continue;
        };
        if words == LAST {
            ended += 1;
        } else {
            heard.push(words.to_owned());
        }
    }
    ((name, heard), person)
}

fn check(heard: &[(String, Vec<String>)], troubles: &[Trouble]) {
    let lost_something = troubles
        .iter()
        .any(|it| matches!(it, Trouble::KillEngine | Trouble::Ask("FLUSHALL")));
    for (name, lines) in heard {
        let mut by_author: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for line in lines {
            let (author, number) = line.split_once(' ').expect("a number");
            by_author
                .entry(author)
                .or_default()
                .push(number.parse().expect("a number"));
        }
        assert!(!by_author.contains_key(&**name), "{name} hears themselves");
        assert_eq!(by_author.len(), SERVERS * PEOPLE - 1, "{name} hears all");
        for (author, mut numbers) in by_author {
            if lost_something {
                // The order of the last lines before may be another one.
                numbers.sort_unstable();
            }
            let all: Vec<usize> = (0..LINES).collect();
            assert_eq!(numbers, all, "what {name} hears of {author}");
        }
    }
    if lost_something {
        return;
    }
    // Of any two, what both hear is in the same order.
    let (first, others) = heard.split_first().expect("a crowd");
    for other in others {
        let of = |lines: &[String]| -> Vec<String> {
            let is_of_neither = |line: &&String| {
                let author = line.split(' ').next();
                author != Some(&*first.0) && author != Some(&*other.0)
            };
            lines.iter().filter(is_of_neither).cloned().collect()
        };
        assert_eq!(of(&first.1), of(&other.1), "{} and {}", first.0, other.0);
    }
}
