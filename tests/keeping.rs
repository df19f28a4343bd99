//! Kept names over real sockets: a ghost, a restart, a reload, and what operators do with them.

mod support;

use std::fs;

use rustix::process::Signal;
use support::eventually;
use support::operator::Place;
use support::person::Person;
use support::server::{chatd, Server};

/// A server that keeps names in a file beside its socket.
fn keeping(place: &Place, file: &str) -> Server {
    let mut command = chatd();
    command.args(["-l", "127.0.0.1:0", "-l", "wire://127.0.0.1:0"]);
    command.args(["-l", &place.endpoint()]);
    command.args(["-o", &format!("names-file={file}"), "-o", "history-lines=0"]);
    // A key is in no log, whatever that is asked for.
    let server = Server::spawn(command.env("RUST_LOG", "trace"));
    server.output.wait_for("listening ops://");
    server
}

fn file(place: &Place) -> String {
    place.path().with_extension("names").display().to_string()
}

/// Keeps the name of a person; gives the key.
#[track_caller]
fn keep(person: &mut Person, name: &str) -> String {
    person.say("/keep");
    let begins = format!("-- {name} is yours: /name {name} ");
    loop {
        let line = person.read_line().expect("an answer");
        if let Some(rest) = line.strip_prefix(&begins) {
            let key = rest.strip_suffix(" takes it; write that down, it is shown once");
            return key.expect("a key").to_owned();
        }
    }
}

#[test]
fn a_ghost_gives_its_name_to_who_has_the_key_also_after_the_server_has_died() {
    let place = Place::new();
    let file = file(&place);
    let mut server = keeping(&place, &file);
    let mut ghost = server.join("ann");
    let key = keep(&mut ghost, "ann");
    let text = || fs::read_to_string(&file).expect("it is there");
    eventually("it is written", || text().starts_with("ann sha256:"));
    assert!(!text().contains(&key));
    let mut ann = server.connect();
    ann.skip_greeting();
    ann.say("/name ann");
    ann.expect("!! ann is kept: /name ann KEY takes it");
    ann.say(&format!("/name ann {key}"));
    ann.skip_until("-- you are ann");
    ghost.expect("!! goodbye: ann was taken back with its key");
    ghost.expect_end();
    server.log.wait_for("take-back id=2 name=ann from=1");
    assert_eq!(server.log.matching(&key), [""; 0]);
    server.signal(Signal::KILL);
    server.wait();
    let server = keeping(&place, &file);
    let mut bob = server.join("bob");
    bob.say("/name ann");
    bob.expect("!! ann is kept: /name ann KEY takes it");
    bob.say(&format!("/name ann {key}"));
    bob.expect("-- you are ann");
}

#[test]
fn operators_list_keep_and_unkeep_names() {
    let place = Place::new();
    let file = file(&place);
    let server = keeping(&place, &file);
    let mut operator = place.connect();
    operator.order("names", "-- 0 names");
    let mut ann = server.join("ann");
    keep(&mut ann, "ann");
    let answer = operator.ask("keep admin");
    let [key, last] = &answer[..] else {
        panic!("{answer:?}");
    };
    assert_eq!(last, "-- admin is kept");
    let key = key.strip_prefix("key=").expect("a key");
    assert_eq!(key.len(), 24, "{key}");
    let listed = operator.ask("names");
    assert!(listed[0].starts_with("name=ann used=20"), "{listed:?}");
    assert!(listed[0].ends_with(" held=1"), "{listed:?}");
    assert!(listed[1].starts_with("name=admin used=20"), "{listed:?}");
    assert!(listed[1].ends_with(" held=\"\""), "{listed:?}");
    assert_eq!(listed[2], "-- 2 names");
    assert_eq!(operator.ask("names adm*").len(), 2);
    operator.order(
        "names *",
        "!! a pattern is at least 3 letters of a name, with * at its end or beginning",
    );
    let mut root = server.connect();
    root.skip_greeting();
    root.say(&format!("/name admin {key}"));
    root.expect("-- you are admin");
    operator.order("unkeep bob", "!! bob is not kept");
    operator.order("unkeep ANN", "-- ann is kept no more");
    operator.order("keep guest7", "!! guest7 is reserved");
    let kept = operator.ask("stats");
    assert!(kept.contains(&"chatd_names_kept=1".to_owned()), "{kept:?}");
}

#[test]
fn a_file_that_was_edited_is_followed_at_a_reload() {
    const HEX: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let place = Place::new();
    let file = file(&place);
    let mut server = keeping(&place, &file);
    let mut operator = place.connect();
    fs::write(&file, format!("# ours\nann sha256:{HEX} 2026-11-25\n")).expect("a folder");
    operator.order("reload", "-- reloaded");
    let listed = operator.ask("names");
    assert_eq!(listed[0], "name=ann used=2026-11-25 held=\"\"");
    fs::write(&file, "ann\n").expect("a folder");
    operator.order(
        "reload",
        &format!("!! reload: {file}, line 1: no sha256: and 64 digits behind ann; nothing changed"),
    );
    assert_eq!(operator.ask("names").len(), 2);
    // A server does not start with it.
    server.stop();
    let mut command = chatd();
    command.args(["-l", "127.0.0.1:0", "-o", &format!("names-file={file}")]);
    let mut server = Server::spawn(&mut command);
    assert_eq!(server.wait().code(), Some(2));
    let why = format!("chatd: {file}, line 1: no sha256: and 64 digits behind ann");
    assert_eq!(server.log.all(), [why]);
}
