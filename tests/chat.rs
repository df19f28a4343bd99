//! Conversations over real sockets: each file in `transcripts/` is one behaviour.

mod support;

use std::collections::BTreeSet;
use std::fs;

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
}

/// The conversation in the README, with the settings that a reader of it has.
#[test]
fn readme() {
    let readme = include_str!("../README.md");
    let conversation = readme
        .split("```chat\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("a block of chat");
    let server = Server::spawn(chatd().args(["-l", "127.0.0.1:0"]));
    transcript::play("README.md, its chat", conversation, &server);
}

/// A long list goes on in further lines, and a newcomer is told of the first twenty only.
#[test]
fn a_crowd_is_listed_over_several_lines() {
    let server = Server::start(&[]);
    let mut names: Vec<String> = (10..90).map(|n| format!("{}{n}", "w".repeat(22))).collect();
    let mut crowd: Vec<_> = names.iter().map(|name| server.join(name)).collect();
    // By then all have been told of, so that nothing of it comes between the lines of the list.
    assert_eq!(count_told(&mut crowd[0], "joined", 80), 79);
    let mut ann = server.connect();
    ann.expect(
        "-- Welcome to chatd. You are guest81: /name NAME changes that, /help lists the commands.",
    );
    ann.expect(&format!(
        "-- 81 here: {} and 61 more",
        names[..20].join(", ")
    ));

    ann.say("/who");
    names.push("guest81".to_owned());
    let mut listed = Vec::new();
    while listed.len() < names.len() {
        let line = ann.read_line().expect("a line of names");
        assert!(line.len() <= 1000, "{} bytes: {line}", line.len());
        let begins = if listed.is_empty() {
            "-- 81 here: "
        } else {
            "-- "
        };
        let rest = line.strip_prefix(begins).expect("it begins as it should");
        listed.extend(rest.split(", ").map(str::to_owned));
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

/// Reads who came or went until so many are here; gives how many have.
fn count_told(ann: &mut support::person::Person, what: &str, here: usize) -> usize {
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
