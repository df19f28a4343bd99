//! The server dies at each step of what it does with its files, and what was written before is whole.
//!
//! Where and when it dies is planted with a C compiler; without one the tests are reported as ignored.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Arguments, Trial};
use support::eventually;
use support::operator::{is_last, Operator, Place};
use support::person::Person;
use support::planted;
use support::server::{chatd, Server};

/// More steps than there are.
const STEPS_MAX: usize = 50;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(2);
    let is_possible = planted::sudden_death().is_some();
    let tests: [(&str, fn()); 3] = [
        ("names_are_whole_at_whichever_step_it_is_killed", names),
        ("rules_are_whole_at_whichever_step_it_is_killed", rules),
        (
            "what_was_heard_is_written_at_whichever_step_it_is_killed",
            transcript,
        ),
    ];
    let trials = tests.into_iter().map(|(name, test)| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(!is_possible)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn names() {
    let one_line = |line: &str| line.starts_with("bob sha256:") && line.len() == 86;
    dies_at_each_step(
        "names-file",
        ["keep ann", "keep bob", "keep eve"],
        "names",
        one_line,
    );
}

fn rules() {
    let bans = ["7", "8", "9"].map(|it| format!("ban 198.51.100.{it} forever"));
    let one_line = |line: &str| line.contains("198.51.100.8");
    dies_at_each_step(
        "bans-file",
        bans.each_ref().map(String::as_str),
        "bans",
        one_line,
    );
}

/// An operator makes three changes: the second one while the server dies, and the third one when it was started anew.
#[track_caller]
fn dies_at_each_step(
    setting: &str,
    [first, second, third]: [&str; 3],
    list: &str,
    is_second: impl Fn(&str) -> bool,
) {
    let place = Place::new();
    let file = place.path().with_file_name("file");
    let new = place.path().with_file_name("file.new");
    let mut server = start(&place, setting, &file, chatd());
    assert!(is_answered(&mut place.connect(), first));
    server.stop();
    let before = fs::read_to_string(&file).expect("it was written");
    let mut deaths = BTreeSet::new();
    for step in 0..STEPS_MAX {
        fs::write(&file, &before).expect("it is ours");
        let mut server = start(&place, setting, &file, dying(step, &new));
        let mut operator = place.connect();
        // The turn in which it is written is over when the next command is answered.
        let survives = is_answered(&mut operator, second) && is_answered(&mut operator, list);
        if survives {
            server.stop();
        } else {
            server.wait();
            deaths.insert(death(&server));
        }
        let text = fs::read_to_string(&file).expect("it is there");
        let added = text.strip_prefix(&before);
        let added = added.unwrap_or_else(|| panic!("step {step}: {text:?}"));
        let is_new = added.strip_suffix('\n').is_some_and(&is_second);
        assert!(
            is_new || added.is_empty() && !survives,
            "step {step}: {text:?}"
        );
        // Whatever is left over beside it is in nobody's way.
        let mut server = start(&place, setting, &file, chatd());
        let mut operator = place.connect();
        assert_eq!(
            operator.ask(list).len(),
            2 + usize::from(is_new),
            "step {step}"
        );
        assert!(is_answered(&mut operator, third));
        server.stop();
        let again = fs::read_to_string(&file).expect("it is there");
        assert_eq!(
            again.strip_prefix(&text).map(|it| it.lines().count()),
            Some(1)
        );
        assert!(!new.exists());
        if survives {
            break;
        }
    }
    for call in ["open", "write", "fsync", "rename"] {
        for when in ["before", "after"] {
            let step = format!("dies {when} {call}");
            assert!(deaths.contains(&step), "{step} is not in {deaths:?}");
        }
    }
    assert!(deaths.contains("dies within write"));
}

fn start(place: &Place, setting: &str, file: &Path, mut command: Command) -> Server {
    command.args(["-l", "127.0.0.1:0", "-l", &place.endpoint()]);
    command.args(["-o", &format!("{setting}={}", file.display())]);
    let server = Server::spawn(&mut command);
    server.output.wait_for("listening ops://");
    server
}

/// A server that dies at this step of what it does with a file.
fn dying(step: usize, file: &Path) -> Command {
    let mut command = chatd();
    let planted = planted::sudden_death().expect("not run without it");
    command.env("LD_PRELOAD", planted);
    command.env("DIES_AT", step.to_string());
    command.env("DIES_NEAR", file);
    command
}

#[track_caller]
fn death(server: &Server) -> String {
    server.log.wait_for("dies ")
}

/// Whether a command is answered, before the server dies.
fn is_answered(operator: &mut Operator, command: &str) -> bool {
    // Where it has died already, nothing comes.
    let _ = operator
        .stream()
        .write_all(format!("{command}\n").as_bytes());
    loop {
        match operator.read_line() {
            Ok(line) if is_last(&line) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

fn transcript() {
    let place = Place::new();
    let file = place.path().with_file_name("said");
    let setting = |mut command: Command| {
        command.args(["-l", "127.0.0.1:0", "-l", "wire://127.0.0.1:0"]);
        command.args(["-o", &format!("transcript-file={}", file.display())]);
        command
    };
    let mut deaths = BTreeSet::new();
    for step in 0..STEPS_MAX {
        let _ = fs::remove_file(&file);
        let mut server = Server::spawn(&mut setting(dying(step, &file)));
        let heard = talk(&server);
        let survives = heard == Some(LINES);
        if survives {
            server.stop();
        } else {
            server.wait();
        }
        let died = server.log.matching("dies ");
        deaths.extend(died.iter().cloned());
        let text = fs::read_to_string(&file).unwrap_or_default();
        let whole: Vec<&str> = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .collect();
        assert!(
            whole.len() >= heard.unwrap_or(0),
            "step {step}: {heard:?} {text:?}"
        );
        for (n, line) in whole.iter().enumerate() {
            assert!(
                line.ends_with(&format!("Z lobby <ann> {}\n", words(n))),
                "{line:?}"
            );
        }
        // Who comes next is shown what is whole, and the next line begins where a line begins.
        let server = Server::spawn(&mut setting(chatd()));
        let mut bob = server.connect();
        bob.skip_greeting();
        bob.expect("-- what is said in rooms without a key is recorded");
        if !whole.is_empty() {
            bob.expect("-- earlier:");
            for n in 0..whole.len() {
                let line = bob.read_line().expect("what was said");
                assert!(line.ends_with(&format!(" <ann> {}", words(n))), "{line:?}");
            }
            bob.expect("-- now");
        }
        bob.say("again");
        bob.expect_silence();
        let again = fs::read_to_string(&file).expect("it was made");
        let last = again.lines().last().expect("a line");
        assert!(
            last.starts_with("20") && last.ends_with("Z lobby <guest1> again"),
            "{last:?}"
        );
        let cut = usize::from(!text.is_empty() && !text.ends_with('\n'));
        assert_eq!(again.lines().count(), whole.len() + cut + 1, "step {step}");
        if died.is_empty() {
            break;
        }
    }
    for step in [
        "before open",
        "after open",
        "before write",
        "within write",
        "after write",
        "after fsync",
    ] {
        assert!(
            deaths.contains(&format!("dies {step}")),
            "{step} is not in {deaths:?}"
        );
    }
}

const LINES: usize = 3;

fn words(n: usize) -> String {
    format!("{n} of what is said")
}

/// Somebody talks, until the server dies; gives how many lines were heard, or `None` if it did not even begin.
fn talk(server: &Server) -> Option<usize> {
    let listens = || !server.output.matching("listening wire://").is_empty();
    eventually("it listens, or has died", || {
        listens() || !server.log.matching("dies ").is_empty()
    });
    if !listens() {
        return None;
    }
    let (mut ann, mut bob) = (server.join("ann"), server.join("bob"));
    for n in 0..LINES {
        ann.say(&words(n));
        if !hears(&mut bob, &format!("<ann> {}", words(n))) {
            return Some(n);
        }
    }
    Some(LINES)
}

/// Whether a line is heard before the server dies.
fn hears(person: &mut Person, wanted: &str) -> bool {
    loop {
        match person.read_line() {
            Ok(line) if line == wanted => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}
