//! Conversations over real sockets: each file in `transcripts/` is one behaviour.

mod support;

use std::collections::BTreeSet;
use std::fs;

use rustix::process::Signal;
use support::person::Person;
use support::server::{chatd, Server};
use support::transcript;

/// A test for each transcript, and one that none is forgotten.
macro_rules! transcripts {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let text = include_str!(concat!("transcripts/", stringify!($name), ".txt"));
                let title = concat!("tests/transcripts/", stringify!($name), ".txt");
                transcript::play(title, text, &Server::start(&[]));
            }
        )*

        #[test]
        fn every_transcript_is_played() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts");
            let files = fs::read_dir(folder).expect("the folder is there");
            let there: BTreeSet<String> = files
                .map(|file| file.expect("it can be listed").file_name().into_string().expect("UTF-8"))
                .collect();
            let played = [$(concat!(stringify!($name), ".txt")),*].map(str::to_owned);
            assert_eq!(there, BTreeSet::from(played));
        }
    };
}

transcripts! {
    greeting names say me msg who quit unknown help presence long hygiene keys wire wire_long
    reply away ignore quiet short wire_tell wire_watch
}

/// The conversations in the README, with the settings that a reader of it has.
#[test]
fn readme() {
    let readme = include_str!("../README.md");
    let conversations: Vec<_> = readme.split("```chat\n").skip(1).collect();
    assert_eq!(conversations.len(), 2);
    for conversation in conversations {
        let conversation = conversation.split("```").next().expect("a block of chat");
        let server = Server::spawn(chatd().args(["-l", "127.0.0.1:0"]));
        transcript::play("README.md, its chat", conversation, &server);
    }
}

/// The first two lines of a greeting fit a terminal of 80 columns, whose last one some leave empty.
#[test]
fn a_greeting_fits_a_terminal() {
    let server = Server::start(&[]);
    let _few = ["ann", "bob", "cleo"].map(|name| server.join(name));
    let mut dora = server.connect();
    for _ in 0..2 {
        let line = dora.read_line().expect("a greeting");
        assert!(line.starts_with("-- "), "{line}");
        assert!(line.chars().count() <= 79, "{line}");
    }
}

/// A newcomer is shown the last lines, each with its time; who asks for them, too; a program is not.
#[test]
fn the_last_lines_are_shown_to_newcomers() {
    let server = Server::start(&["history-lines=2"]);
    let mut ann = server.join("ann");
    ann.say("one");
    ann.say("/me two");
    ann.expect("* ann two");
    ann.say("three");
    // The answer shows that all has been said, and who comes is no part of it.
    ann.expect_silence();
    let mut bob = server.connect();
    bob.skip_greeting();
    let expect_history = |person: &mut Person, lines: &[&str]| {
        person.expect("-- earlier:");
        for line in lines {
            assert_eq!(after_time(&person.read_line().expect("a line")), *line);
        }
        person.expect("-- now");
    };
    expect_history(&mut bob, &["* ann two", "<ann> three"]);
    bob.say("/history 1");
    expect_history(&mut bob, &["<ann> three"]);
    bob.say("/history");
    expect_history(&mut bob, &["* ann two", "<ann> three"]);
    bob.expect_silence();
    server.program().expect_silence();
}

/// What follows `HH:MM ` in a line.
#[track_caller]
fn after_time(line: &str) -> &str {
    let (time, rest) = line.split_once(' ').expect("a time and a line");
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_time = time
        .split_once(':')
        .is_some_and(|(hours, minutes)| digits(hours) && digits(minutes));
    assert!(is_time, "{line}");
    rest
}

#[test]
fn who_wants_it_sees_the_time_and_is_rung_for() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    ann.say("/time on +08:00");
    let told = ann.read_line().expect("an answer");
    assert_eq!(after_time(&told), "-- times on, +08:00");
    bob.say("hello");
    let heard = ann.read_line().expect("a line");
    assert_eq!(after_time(&heard), "<bob> hello");
    ann.say("/time off");
    ann.expect("-- times off");

    ann.say("/bell on");
    ann.expect("-- bell on");
    bob.say("nobody is named");
    ann.expect("<bob> nobody is named");
    bob.say("Ann is");
    bob.say("/msg ann psst");
    bob.expect("[to ann] psst");
    let bytes = ann.read_bytes("<bob> Ann is\x07\r\n[bob] psst\x07\r\n".len());
    assert_eq!(
        bytes.escape_ascii().to_string(),
        r"<bob> Ann is\x07\r\n[bob] psst\x07\r\n"
    );
}

#[test]
fn a_message_of_the_day_follows_the_greeting_and_is_read_anew_at_sighup() {
    let path = std::env::temp_dir().join(format!("chatd-motd-{}.txt", std::process::id()));
    fs::write(&path, "Be kind.\n\x1b[2JBe brief.\n").expect("it can be written");
    let server = Server::start(&[&format!("motd-file={}", path.display())]);
    let mut ann = server.connect();
    ann.skip_greeting();
    ann.expect("-- Be kind.");
    ann.expect("-- Be brief.");
    ann.expect_silence();
    fs::write(&path, "Be patient.\n").expect("it can be written");
    server.signal(Signal::HUP);
    server.log.wait_for(" INFO reloaded");
    let mut bob = server.connect();
    bob.skip_greeting();
    bob.expect("-- Be patient.");
    bob.expect_silence();
    fs::remove_file(&path).expect("it is there");
}

/// A long list goes on in further lines, and a newcomer is told of the first twenty only.
#[test]
fn a_crowd_is_listed_over_several_lines() {
    let server = Server::start(&[]);
    let names: Vec<String> = (10..90).map(|n| format!("{}{n}", "w".repeat(22))).collect();
    let mut crowd: Vec<_> = names.iter().map(|name| server.join(name)).collect();
    // By then all have been told of, so that nothing of it comes between the lines of the list.
    assert_eq!(count_told(&mut crowd[0], "joined", 80), 79);
    let mut ann = server.connect();
    ann.expect("-- Welcome! You are guest81: /name NAME changes that, /help lists commands.");
    ann.expect(&format!(
        "-- 80 here: {} and 60 more; 1 listening",
        names[..20].join(", ")
    ));

    ann.say("/who");
    let mut listed = Vec::new();
    while listed.len() < names.len() {
        let line = ann.read_line().expect("a line of names");
        assert!(line.len() <= 1000, "{} bytes: {line}", line.len());
        let begins = if listed.is_empty() {
            "-- 80 here: "
        } else {
            "-- "
        };
        let rest = line.strip_prefix(begins).expect("it begins as it should");
        let (rest, listening) = rest.split_once("; ").unwrap_or((rest, ""));
        listed.extend(rest.split(", ").map(str::to_owned));
        let last = listed.len() == names.len();
        assert_eq!(listening, if last { "1 listening" } else { "" });
    }
    assert_eq!(listed, names);
    drop(crowd);
}

/// At most ten joins and ten leaves are told one by one in a second; the others are told together.
#[test]
fn a_crowd_that_comes_and_goes_is_summed_up() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let crowd: Vec<_> = (0..40).map(|n| server.join(&format!("p{n}"))).collect();
    assert_eq!(count_told(&mut ann, "joined", 41), 40);
    drop(crowd);
    assert_eq!(count_told(&mut ann, "left", 1), 40);
    ann.expect_silence();
}

/// Reads who came or went until this many are here; gives how many have.
fn count_told(ann: &mut Person, what: &str, here: usize) -> usize {
    let mut count = 0;
    loop {
        let line = ann.read_line().expect("somebody comes or goes");
        let told = line.strip_prefix("-- ").expect("the server speaks");
        let first = told.split(' ').next().expect("there is always a first");
        assert!(told.contains(what), "{line}");
        count += if told.contains(" more ") {
            first.parse().expect("a number")
        } else {
            1
        };
        if line.ends_with(&format!("({here} here)")) {
            return count;
        }
    }
}
