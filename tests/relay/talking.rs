//! What people see of a chat that several servers share, while nothing fails.

use super::engine::{meet, Engine};
use super::support::eventually;
use super::support::operator::Place;
use super::support::person::Person;
use super::support::server::{chatd, Server};

/// Ann at one server, Bob at another one.
fn ann_and_bob(settings: &[&str]) -> (Engine, [Server; 2], Person, Person) {
    let engine = Engine::start();
    let servers = engine.two_servers(settings);
    let ann = servers[0].join("ann");
    let mut bob = servers[1].connect();
    bob.skip_greeting();
    let mut ann = ann;
    ann.expect_silence();
    bob.say("/name bob");
    bob.skip_until("-- you are bob");
    ann.expect("-- bob joined (2 here)");
    (engine, servers, ann, bob)
}

/// Asks until this is the answer: what another server knows it knows a moment later.
pub(crate) fn ask_until(person: &mut Person, question: &str, answer: &str) {
    let mut last = String::new();
    eventually(answer, || {
        person.say(question);
        last = person.read_line().expect("an answer");
        last == answer
    });
}

pub(crate) fn one_chat() {
    let (_engine, _servers, mut ann, mut bob) = ann_and_bob(&[]);
    ann.say("hello");
    bob.expect("<ann> hello");
    bob.say("/me waves");
    bob.expect("* bob waves");
    ann.expect("* bob waves");
    let long = "好x".repeat(1024);
    ann.say(&long);
    bob.expect(&format!("<ann> {long}"));
    // What is said is heard in the order in which it was said, and by nobody who said it.
    for number in 0..100 {
        ann.say(&format!("line {number}"));
    }
    for number in 0..100 {
        bob.expect(&format!("<ann> line {number}"));
    }
    ann.expect_silence();
    ann.say("/quit see you");
    ann.expect("-- goodbye");
    bob.expect("-- ann left: see you (1 here)");
}

pub(crate) fn rooms_and_keys() {
    let (_engine, _servers, mut ann, mut bob) = ann_and_bob(&["room=help"]);
    // People in rooms without a key are told where somebody goes.
    ann.say("/join games\r\nhello games\r\n/leave\r\nhello lobby");
    ann.expect("-- you left lobby and are in games, a new room");
    ann.expect("-- 1 here: ann");
    ann.expect("-- you left games and are in lobby");
    ann.expect("-- 2 here: bob, ann");
    bob.expect("-- ann left for games (1 here)");
    bob.expect("-- ann joined (2 here)");
    bob.expect("<ann> hello lobby");
    ann.say("/join den sesame");
    ann.expect("-- you left lobby and are in den, a new room with a key");
    ann.expect("-- 1 here: ann");
    bob.expect("-- ann left (1 here)");
    bob.say("/rooms");
    bob.expect("-- 2 rooms: lobby (1), help (0)");
    bob.say("/whois ann");
    bob.expect("-- ann: on another server");
    bob.say("/who den");
    bob.expect("!! no such room: den");
    bob.say("/join den");
    bob.expect("!! den has a key: /join den KEY");
    bob.say("/join den wrong");
    bob.expect("!! that is not the key of den");
    bob.say("/join den sesame");
    bob.expect("-- you left lobby and are in den");
    bob.expect("-- 2 here: ann, bob");
    ann.expect("-- bob joined (2 here)");
    bob.say("in here");
    ann.expect("<bob> in here");
    // It lives while somebody is in it anywhere, and its key with it.
    ann.say("/leave");
    ann.skip_until("-- you left den and are in lobby");
    ann.expect("-- 1 here: ann");
    bob.expect("-- ann left for lobby (1 here)");
    ann.say("/join den");
    ann.expect("!! den has a key: /join den KEY");
    bob.say("/join help");
    bob.expect("-- you left den and are in help");
    bob.expect("-- 1 here: bob");
    ask_until(&mut ann, "/whois bob", "-- bob: on another server, in help");
    ann.say("/join den");
    ann.expect("-- you left lobby and are in den, a new room");
}

pub(crate) fn private_lines() {
    let (_engine, servers, mut ann, mut bob) = ann_and_bob(&[]);
    ann.say("/msg bob psst");
    ann.expect("[to bob] psst");
    bob.expect("[ann] psst");
    bob.say("/r yes?");
    bob.expect("[to ann] yes?");
    ann.expect("[bob] yes?");
    bob.say("/away lunch");
    bob.expect("-- you are away");
    ask_until(&mut ann, "/who", "-- 2 here: ann, bob (away)");
    ann.say("/msg bob are you there");
    ann.expect("[to bob] are you there");
    ann.expect("-- bob is away: lunch");
    bob.expect("[ann] are you there");
    // Ann, who is ignored, is not heard from her server either.
    bob.say("/ignore ann");
    bob.expect("-- ignoring ann");
    ann.say("/msg bob hm");
    ann.expect("[to bob] hm");
    ann.expect("-- bob is away: lunch");
    ann.say("and to all");
    let mut carl = servers[0].join("carl");
    ann.expect("-- carl joined (3 here)");
    carl.say("hello");
    bob.expect("-- carl joined (3 here)");
    bob.expect("<carl> hello");
    ann.expect("<carl> hello");
    carl.say("/quit");
    bob.expect("-- carl left (2 here)");
    ann.expect("-- carl left (2 here)");
    bob.say("/ignore");
    bob.expect("-- ignoring: ann");
    bob.say("/unignore ann");
    bob.skip_until("-- no longer ignoring ann");
    ann.say("again");
    bob.expect("<ann> again");
    drop(bob);
    ann.expect("-- bob left (1 here)");
    ann.say("/msg bob gone?");
    ann.expect("!! nobody here is called bob");
    ann.say("/r gone?");
    ann.expect("!! bob has left");
}

pub(crate) fn who_is_here() {
    let (_engine, servers, mut ann, mut bob) = ann_and_bob(&[]);
    let mut listener = servers[0].connect();
    let greeting = listener.read_line().expect("a greeting");
    assert!(
        greeting.starts_with("-- Welcome! You are guest"),
        "{greeting}"
    );
    listener.expect("-- 2 here: ann, bob; 1 listening");
    // Listeners are counted by their own server alone.
    ann.say("/who");
    ann.expect("-- 2 here: ann, bob; 1 listening");
    bob.say("/who");
    bob.expect("-- 2 here: ann, bob");
    bob.say("/name Bobby");
    bob.expect("-- you are Bobby");
    ann.expect("-- bob is now known as Bobby");
    ann.say("/who");
    ann.expect("-- 2 here: ann, Bobby; 1 listening");
    ann.say("/whois bobby");
    ann.expect("-- Bobby: on another server");
    drop(listener);
}

pub(crate) fn every_dialect() {
    let engine = Engine::start();
    let mut command = chatd();
    for listener in ["telnet", "wire", "irc"] {
        command.args(["-l", &format!("{listener}://127.0.0.1:0")]);
    }
    command.args(["-o", &engine.setting()]);
    let home = Server::spawn(&mut command);
    home.output.wait_for("listening irc://");
    home.log.wait_for("relay state=attached");
    let away = engine.server(&[]);
    let mut ann = away.join("ann");
    let mut program = Person::program(home.wire());
    program.say("NAME Ym90");
    program.expect("NAME Ym90");
    ann.expect("-- bot joined (2 here)");
    program.say("CHAT Ym90 aGVsbG8=");
    ann.expect("<bot> hello");
    ann.say("hi");
    program.expect("CHAT YW5u aGk=");
    program.say("NAME YW5u");
    program.expect("FAIL YW5uIGlzIHRha2Vu taken");
    let mut cleo = Person::connect(home.address("irc"));
    cleo.say("NICK cleo\r\nUSER cleo 0 * :Cleo\r\nJOIN #lobby");
    ann.expect("-- cleo joined (3 here)");
    let names = loop {
        let line = cleo.read_line().expect("names");
        if line.contains(" 353 ") {
            break line;
        }
    };
    for name in ["ann", "bot", "cleo"] {
        assert!(names.contains(name), "{names}");
    }
    ann.say("welcome");
    cleo.skip_until(":ann!elsewhere@chatd PRIVMSG #lobby :welcome");
}

pub(crate) fn who_comes_later() {
    let engine = Engine::start();
    let settings = ["history-lines=20"];
    let first = engine.server(&settings);
    let mut ann = first.join("ann");
    ann.say("first\r\n/me waves\r\n/away lunch\r\n/join den sesame\r\nsecret\r\n/leave");
    ann.skip_until("-- you left den and are in lobby");
    let second = engine.server(&settings);
    let mut bob = second.connect();
    bob.read_line().expect("a welcome");
    bob.expect("-- 1 here: ann (away); 1 listening");
    let mut past = Vec::new();
    loop {
        let line = bob.read_line().expect("what was said before");
        if line == "-- now" {
            break;
        }
        past.push(line);
    }
    let past: Vec<&str> = past
        .iter()
        .filter_map(|line| line.split_once(' '))
        .map(|it| it.1)
        .collect();
    assert_eq!(past, ["earlier:", "<ann> first", "* ann waves"]);
    // A restart of all servers loses nothing of it.
    drop((ann, bob));
    for mut server in [first, second] {
        assert!(server.stop().success());
    }
    let third = engine.server(&settings);
    let mut cleo = third.connect();
    cleo.skip_until("-- nobody here yet; 1 listening");
    let mut lines = Vec::new();
    while !lines
        .iter()
        .any(|line: &String| line.ends_with("* ann waves"))
    {
        lines.push(cleo.read_line().expect("what was said before"));
    }
}

pub(crate) fn one_name_one_person() {
    let (_engine, servers, mut ann, mut bob) = ann_and_bob(&[]);
    for taken in ["ann", "ANN", "аnn"] {
        bob.say(&format!("/name {taken}"));
        bob.expect(&format!("!! {taken} is taken"));
    }
    // Many who want it at once: one has it.
    let mut people: Vec<Person> = (0..10).map(|index| servers[index % 2].connect()).collect();
    for person in &mut people {
        person.skip_greeting();
        person.say("/name cleo");
    }
    let mut taken = 0;
    for person in &mut people {
        loop {
            let line = person.read_line().expect("an answer");
            if line == "-- you are cleo" {
                taken += 1;
                break;
            }
            if line == "!! cleo is taken" {
                break;
            }
            assert_eq!(line, "-- cleo joined (3 here)");
        }
    }
    assert_eq!(taken, 1);
    ann.expect("-- cleo joined (3 here)");
    bob.expect("-- cleo joined (3 here)");
    // A name is free again when its person has left, at every server.
    ann.say("/quit");
    bob.expect("-- ann left (2 here)");
    bob.say("/name ann");
    bob.expect("-- you are ann");
    // A kept name that somebody has at another server is taken, with its key too.
    bob.say("/keep");
    let key = bob.read_line().expect("a key");
    let (_, key) = key.split_once("/name ann ").expect("a key");
    let key = key.split(' ').next().expect("a key").to_owned();
    bob.say("/name bob");
    bob.skip_until("-- you are bob");
    let mut dora = servers[0].join("dora");
    dora.say("/name ann");
    dora.skip_until("-- you are ann");
    bob.skip_until("-- dora is now known as ann");
    bob.say(&format!("/name ann {key}"));
    bob.expect("!! ann is taken");
    dora.say("/quit");
    bob.expect("-- ann left (2 here)");
    bob.say(&format!("/name ann {key}"));
    bob.expect("-- you are ann");
}

pub(crate) fn operators() {
    let engine = Engine::start();
    let place = Place::new();
    let relay = engine.setting();
    let home = place.start(&[&relay, "room=help"]);
    home.log.wait_for("relay state=attached");
    let away = engine.server(&[]);
    let mut bob = away.join("bob");
    let mut ann = home.join("ann");
    bob.expect("-- ann joined (2 here)");
    let mut operator = place.connect();
    operator.order("rename ann anna", "-- ann is now anna");
    ann.skip_until("-- an operator named you anna");
    bob.expect("-- ann is now known as anna");
    operator.order("rename anna bob", "!! bob is taken");
    // A guest has a number that nobody else has, at no server.
    let answer = operator.ask("rename anna guest");
    let guest = answer[0]
        .strip_prefix("-- anna is now ")
        .expect("it is done")
        .to_owned();
    assert!(guest.starts_with("guest"), "{guest}");
    ann.skip_until(&format!("-- an operator named you {guest}"));
    bob.expect(&format!("-- anna is now known as {guest}"));
    operator.order("kick bob", "!! nobody here is called bob");
    ann.say("/join games");
    ann.skip_until(&format!("-- 1 here: {guest}"));
    bob.expect(&format!("-- {guest} left for games (1 here)"));
    operator.order("close games tidying", "-- 1 session sent to lobby");
    ann.expect("-- games is closed: tidying; you are in lobby");
    bob.expect(&format!("-- {guest} joined (2 here)"));
    operator.order(&format!("kick {guest} enough"), "-- 1 session kicked");
    ann.skip_until("!! goodbye: you were kicked: enough");
    bob.expect(&format!("-- {guest} left: kicked (1 here)"));
}

pub(crate) fn a_server_stops() {
    let (engine, [mut first, second], mut ann, mut bob) = ann_and_bob(&[]);
    let third = engine.server(&[]);
    ann.say("my last words");
    assert!(first.stop().success());
    ann.skip_until("-- goodbye: the server is going down");
    bob.expect("<ann> my last words");
    bob.expect("-- ann left (1 here)");
    meet(&[second, third]);
    // Nothing of it is left in the engine.
    assert_eq!(engine.ask("HLEN {chatd}:nodes"), ":2");
    let keys = engine.ask("KEYS {chatd}:people:*");
    assert_eq!(keys, "*1");
}
