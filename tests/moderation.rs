//! What operators do to people and rules over their socket: every command, what people see of it, and each refusal.

mod support;

use std::fs;

use support::eventually;
use support::operator::{Operator, Place};
use support::person::Person;
use support::server::{chatd, Server};

/// Data without its moments and numbers of seconds: `2026-11-27T14:05:00Z` becomes `MOMENT`.
fn without_moments(line: &str) -> String {
    let is_moment = |word: &str| {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        digits == 14 && word.len() == 20 && word.ends_with('Z')
    };
    let words = line.split_inclusive([' ', '=', ';']).map(|word| {
        let (word, end) = word.split_at(word.trim_end_matches([' ', '=', ';']).len());
        let word = if is_moment(word) { "MOMENT" } else { word };
        [word, end].concat()
    });
    words.collect()
}

/// Sends a command whose answer is this one line, but for moments.
#[track_caller]
fn order(operator: &mut Operator, command: &str, answer: &str) {
    let got: Vec<String> = operator
        .ask(command)
        .iter()
        .map(|line| without_moments(line))
        .collect();
    assert_eq!(got, [answer], "{command}");
}

#[test]
fn a_kick_tells_why_and_others_see_it() {
    let place = Place::new();
    let server = place.start(&[]);
    let (mut ann, mut bob) = (server.join("ann"), server.join("bob"));
    ann.expect("-- bob joined (2 here)");
    let mut operator = place.connect();
    operator.order("kick bob spam in the lobby", "-- 1 session kicked");
    bob.expect("!! goodbye: you were kicked: spam in the lobby");
    bob.expect_end();
    ann.expect("-- bob left: kicked (1 here)");
    operator.order("kick name=ann", "-- 1 session kicked");
    ann.expect("!! goodbye: you were kicked");
    ann.expect_end();
    server.log.wait_for_count(" reason=kicked ", 2);
    server
        .log
        .wait_for(r#" command="kick bob spam in the lobby" outcome=done"#);
}

#[test]
fn who_is_meant_may_be_said_in_each_way() {
    let place = Place::new();
    let server = place.start(&[]);
    let _person = server.join("127.0.0.1");
    let mut operator = place.connect();
    for (who, sessions) in [
        ("id=1", 1),
        ("name=127.0.0.1", 1),
        ("addr=127.0.0.1", 3),
        ("127.0.0.1", 3),
        ("::ffff:127.0.0.1", 3),
        ("net=127.0.0.0/8", 3),
        ("127.0.0.0/8", 3),
        ("10.0.0.0/8", 0),
        ("room=lobby", 3),
        ("ann", 1),
    ] {
        let mut people = [server.join("ann"), server.join("bob")];
        // People who are told that are not closed.
        let plural = if sessions == 1 { "" } else { "s" };
        let answer = format!("-- {sessions} session{plural} told");
        operator.order(&format!("tell {who} be kind"), &answer);
        for person in &mut people {
            person.say("/quit");
            person.skip_until("-- goodbye");
        }
        drop(people);
        eventually("they have gone", || operator.ask("sessions").len() == 2);
    }
}

#[test]
fn what_is_wrong_is_told_and_does_nothing() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut ann = server.join("ann");
    let _bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    let mut operator = place.connect();
    for (command, answer) in [
        ("ban ann", "!! usage: ban [force] WHO TIME [REASON]"),
        ("mute force ann", "!! usage: mute [force] WHO TIME [REASON]"),
        ("kick", "!! usage: kick WHO [REASON]"),
        ("kick eve", "!! nobody here is called eve"),
        ("kick id=17", "!! no session 17"),
        ("kick id=x", "!! no session x"),
        ("kick addr=10.0.0", "!! no such address: 10.0.0"),
        ("kick net=10.0.0.0/33", "!! no such address: 10.0.0.0/33"),
        ("kick 10.0/8", "!! no such address: 10.0/8"),
        (
            "ban 198.51.100.7 2days",
            "!! 2days is no time: write 90s, 15m, 2h30m, 7d or forever",
        ),
        (
            "mute ann 0s",
            "!! 0s is no time: write 90s, 15m, 2h30m, 7d or forever",
        ),
        ("ban eve 2d", "!! nobody here is called eve"),
        (
            "ban ann 2d",
            "!! 127.0.0.1 is the loopback address: front ends come from there",
        ),
        (
            "ban force 127.0.0.0/8 2d",
            "!! 127.0.0.0/8 is the loopback address: front ends come from there",
        ),
        (
            "ban 10.0.0.0/8 2d",
            "!! 10.0.0.0/8 is wider than /16: write force",
        ),
        (
            "ban 2001::/16 2d",
            "!! 2001::/16 is wider than /32: write force",
        ),
        ("lift 9", "!! no rule 9"),
        ("unban 198.51.100.7", "!! 198.51.100.7 is not banned"),
        ("unmute 198.51.100.7", "!! 198.51.100.7 is not muted"),
        ("unban ann", "!! no such address: ann"),
        ("bans ann", "!! no such address: ann"),
        ("rename ann bob", "!! bob is taken"),
        ("rename ann admin", "!! admin is reserved"),
        ("rename eve adam", "!! nobody here is called eve"),
        ("op eve", "!! nobody here is called eve"),
        ("tell eve hello", "!! nobody here is called eve"),
        ("say", "!! usage: say [room=ROOM] TEXT"),
    ] {
        operator.order(command, answer);
    }
    operator.order("bans", "-- 0 rules");
    ann.expect_silence();
}

#[test]
fn rules_are_listed_with_all_that_is_known_and_lifted() {
    let place = Place::new();
    let _server = place.start(&[]);
    let mut operator = place.connect();
    operator.order("as alice", "-- as alice");
    order(
        &mut operator,
        "ban 198.51.100.7 2d spam in the lobby",
        "-- ban 1: 198.51.100.7 until MOMENT; 0 sessions closed; until the server stops",
    );
    order(
        &mut operator,
        "ban 198.51.100.0/24 forever",
        "-- ban 2: 198.51.100.0/24 forever; 0 sessions closed; until the server stops",
    );
    order(
        &mut operator,
        "mute 2001:db8:1:2::7 2h30m",
        "-- mute 3: 2001:db8:1:2::/64 until MOMENT; 0 sessions; until the server stops",
    );
    let told: Vec<String> = operator
        .ask("bans")
        .iter()
        .map(|line| without_moments(line))
        .collect();
    let expected = [
        r#"n=1 kind=ban target=198.51.100.7 until=MOMENT hits=0 last="" by=alice at=MOMENT name="" reason="spam in the lobby""#,
        r#"n=2 kind=ban target=198.51.100.0/24 until=forever hits=0 last="" by=alice at=MOMENT name="" reason="""#,
        r#"n=3 kind=mute target=2001:db8:1:2::/64 until=MOMENT hits=0 last="" by=alice at=MOMENT name="" reason="""#,
        "-- 3 rules",
    ];
    assert_eq!(told, expected);
    let count =
        |operator: &mut Operator, target: &str| operator.ask(&format!("bans {target}")).len() - 1;
    assert_eq!(count(&mut operator, "198.51.100.7"), 2);
    assert_eq!(count(&mut operator, "198.51.0.0/16"), 2);
    assert_eq!(count(&mut operator, "198.51.100.9"), 1);
    assert_eq!(count(&mut operator, "10.0.0.1"), 0);
    operator.order("unban 198.51.100.7", "-- ban 1 lifted: 198.51.100.7");
    operator.order(
        "unban 198.51.100.7",
        "!! 198.51.100.7 is banned by 198.51.100.0/24: lift 2",
    );
    operator.order("lift 2", "-- ban 2 lifted: 198.51.100.0/24");
    operator.order(
        "unmute 2001:db8:1:2::9",
        "-- mute 3 lifted: 2001:db8:1:2::/64",
    );
    operator.order("bans", "-- 0 rules");
}

#[test]
fn who_is_muted_is_told_and_hears_and_may_speak_again() {
    let place = Place::new();
    let server = place.start(&[]);
    let (mut ann, mut bob) = (server.join("ann"), server.join("bob"));
    ann.expect("-- bob joined (2 here)");
    let mut operator = place.connect();
    order(
        &mut operator,
        "mute ann 10m shouting",
        "-- mute 1: ann, this session only until MOMENT; until the server stops",
    );
    let told = ann.read_line().expect("a line");
    assert!(
        told.starts_with("!! you are muted until ") && told.ends_with(" UTC: shouting"),
        "{told}"
    );
    let sessions = operator.ask("sessions id=1");
    assert!(sessions[0].contains(" muted=yes "), "{sessions:?}");
    ann.say("hello");
    ann.expect(&told);
    bob.say("quiet here");
    ann.expect("<bob> quiet here");
    bob.expect_silence();
    operator.order("unmute ann", "-- mute 1 lifted: ann");
    ann.expect("-- you may speak again");
    ann.say("hello");
    bob.expect("<ann> hello");
}

#[test]
fn names_are_forbidden_given_and_given_back() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut ann = server.join("spam3");
    let mut operator = place.connect();
    order(
        &mut operator,
        "forbid spam* forever advertising",
        "-- name 1: spam* forever; 1 session renamed; until the server stops",
    );
    ann.expect("-- an operator named you guest1");
    ann.say("/name spam4");
    ann.expect("!! spam4 is not allowed here");
    operator.order("rename guest1 ann", "-- guest1 is now ann");
    ann.expect("-- an operator named you ann");
    operator.order("rename ann guest", "-- ann is now guest1");
    ann.expect("-- an operator named you guest1");
    operator.order("lift 1", "-- name 1 lifted: spam*");
    ann.say("/name spam4");
    ann.expect("-- you are spam4");
}

#[test]
fn what_operators_say_is_heard_by_people_and_by_programs_that_watch() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut ann = server.join("ann");
    let mut watching = server.program();
    watching.say("WATCH on");
    watching.expect("WATCH on");
    let mut silent = server.program();
    let mut operator = place.connect();
    operator.order("say the server restarts at noon", "-- 2 sessions told");
    ann.expect("-- announcement: the server restarts at noon");
    let told = watching.read_line().expect("a line");
    assert!(told.starts_with("TELL Y2hhdGQ= "), "{told}");
    operator.order("say room=lobby again", "-- 2 sessions told");
    ann.expect("-- announcement: again");
    operator.order("tell ann psst", "-- 1 session told");
    ann.expect("-- an operator tells you: psst");
    silent.expect_silence();
}

#[test]
fn an_operator_of_the_chat_is_made_and_unmade() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut ann = server.join("ann");
    let mut operator = place.connect();
    operator.order("op ann", "-- ann is an operator");
    assert!(operator.ask("sessions id=1")[0].ends_with(" op=yes"));
    ann.say("/who");
    ann.skip_until("-- 1 here: ann (op)");
    operator.order("deop ann", "-- ann is no operator any more");
    assert!(operator.ask("sessions id=1")[0].ends_with(" op=no"));
}

#[test]
fn the_log_tells_what_an_operator_of_the_chat_did() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut operator = place.connect();
    let mut ann = server.join("ann");
    let _bob = server.join("bob");
    operator.order("op ann", "-- ann is an operator");
    ann.say("/kick bob spam in the lobby");
    (server.log)
        .wait_for(r#" INFO ops id=1 as=ann command="kick bob spam in the lobby" outcome=done"#);
    ann.say("/mute eve 1h");
    (server.log).wait_for(r#" INFO ops id=1 as=ann command="mute eve 1h" outcome=refused"#);
}

/// A server whose rules are kept in a file beside its socket.
fn keeping(place: &Place) -> (Server, String) {
    let file = place.path().with_extension("bans").display().to_string();
    let mut command = chatd();
    command.args(["-l", "127.0.0.1:0", "-l", &place.endpoint()]);
    command.args(["-o", &format!("bans-file={file}")]);
    let server = Server::spawn(&mut command);
    server.output.wait_for("listening ops://");
    (server, file)
}

#[test]
fn an_answer_says_whether_the_rule_is_saved() {
    let place = Place::new();
    let (server, file) = keeping(&place);
    let mut operator = place.connect();
    order(
        &mut operator,
        "ban 198.51.100.7 forever spam",
        "-- ban 1: 198.51.100.7 forever; 0 sessions closed",
    );
    // It is answered behind that.
    let kept = fs::read_to_string(&file).expect("it is there");
    assert!(kept.starts_with("ban 198.51.100.7 forever "), "{kept}");
    assert!(kept.ends_with(" spam\n"), "{kept}");
    // Broken by hand, it is left alone.
    fs::write(&file, "ban 198.51.100.8\nban everybody\n").expect("a folder");
    let answer = operator.ask("ban 198.51.100.9 forever").pop().expect("one");
    let begins =
        format!("-- ban 2: 198.51.100.9 forever; 0 sessions closed; not saved: {file}, line 2: ");
    assert!(answer.starts_with(&begins), "{answer}");
    let answer = operator.ask("reload").pop().expect("one");
    assert!(
        answer.starts_with(&format!("!! reload: {file}, line 2: ")),
        "{answer}"
    );
    assert!(answer.ends_with("; nothing changed"), "{answer}");
    assert_eq!(operator.ask("bans").len(), 3);
    fs::write(&file, "ban 198.51.100.8\n").expect("a folder");
    operator.order("reload", "-- reloaded");
    let targets: Vec<String> = operator
        .ask("bans")
        .iter()
        .filter_map(|line| Some(line.split(" target=").nth(1)?.split(' ').next()?.to_owned()))
        .collect();
    // What could not be saved stays beside what the file says.
    assert!(targets.contains(&"198.51.100.8".to_owned()), "{targets:?}");
    assert!(!targets.contains(&"198.51.100.7".to_owned()), "{targets:?}");
    drop(server);
}

#[test]
fn a_thousand_rules_are_listed_in_order() {
    const RULES: usize = 1000;
    let place = Place::new();
    let file = place.path().with_extension("bans");
    let rules = (0..RULES).map(|rule| format!("ban 10.1.{}.{}\n", rule / 256, rule % 256));
    fs::write(&file, rules.collect::<String>()).expect("a folder");
    let (_server, _) = keeping(&place);
    let mut operator = place.connect();
    let mut lines = operator.ask("bans");
    assert_eq!(lines.pop().as_deref(), Some("-- 1000 rules"));
    let numbers = lines.iter().map(|line| {
        let number = line
            .strip_prefix("n=")
            .and_then(|line| line.split(' ').next());
        number
            .expect("a number")
            .parse::<usize>()
            .expect("a number")
    });
    assert_eq!(numbers.collect::<Vec<_>>(), (1..=RULES).collect::<Vec<_>>());
    assert_eq!(operator.ask("bans 10.1.1.0/24").len(), 257);
}

/// More than 20 would be met, so it must be forced; from loopback it is refused before that.
#[test]
fn many_are_kicked_at_once() {
    const SESSIONS: usize = 500;
    let place = Place::new();
    let server = place.start(&["sessions-per-address-max=0"]);
    let people: Vec<Person> = (0..SESSIONS).map(|_| server.program()).collect();
    let mut operator = place.connect();
    operator.order("kick 127.0.0.0/8", "-- 500 sessions kicked");
    for mut person in people {
        let farewell = person.read_line().expect("a farewell");
        assert!(farewell.ends_with(" kicked"), "{farewell}");
        person.expect_end();
    }
    eventually("all have gone", || {
        operator.ask("sessions") == ["-- 0 sessions"]
    });
}

#[test]
fn a_room_that_is_closed_sends_all_to_the_lobby() {
    let place = Place::new();
    let server = place.start(&[]);
    let (mut ann, mut bob) = (server.join("ann"), server.join("bob"));
    let mut bot = server.program();
    ann.say("/join games secret");
    ann.skip_until("-- you left lobby and are in games, a new room with a key");
    ann.expect("-- 1 here: ann");
    bot.say("JOIN Z2FtZXM= c2VjcmV0");
    bot.expect("JOIN Z2FtZXM=");
    let mut operator = place.connect();
    assert_eq!(
        operator.ask("rooms"),
        [
            "room=lobby people=1 key=no lines=0",
            "room=games people=2 key=yes lines=0",
            "-- 2 rooms"
        ]
    );
    operator.order("close lobby", "!! the lobby is always there");
    operator.order("close chess", "!! no such room: chess");
    operator.order("close games late at night", "-- 2 sessions sent to lobby");
    ann.skip_until("-- games is closed: late at night; you are in lobby");
    bot.expect("JOIN bG9iYnk=");
    ann.say("hello");
    bob.skip_until("<ann> hello");
    assert_eq!(operator.ask("rooms")[1], "-- 1 room");
}
