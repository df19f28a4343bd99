//! Operators: the socket file, what they may ask for and what comes of it, and what they can do to the chat, which is
//! nothing that they do not mean.

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::process;

use rustix::process::{getuid, Signal};
use support::eventually;
use support::operator::{is_last, without_numbers, Operator, Place};
use support::person::{NoLine, Person};
use support::server::{chatd, Server};

/// The value of a field.
#[track_caller]
fn field<'a>(line: &'a str, key: &str) -> &'a str {
    let mut fields = line.split(' ').filter_map(|field| field.split_once('='));
    let found = fields.find(|(known, _)| *known == key);
    found.unwrap_or_else(|| panic!("no {key} in {line}")).1
}

#[test]
fn the_socket_is_for_its_owner_alone_and_goes_with_the_server() {
    let place = Place::new();
    let mut server = place.start(&[]);
    assert_eq!(
        server.output.matching("ops://"),
        [format!("listening {}", place.endpoint())]
    );
    let file = fs::symlink_metadata(place.path()).expect("it is there");
    assert!(file.file_type().is_socket());
    assert_eq!(file.mode() & 0o7777, 0o600);
    place.connect().order("quit", "-- goodbye");
    assert_eq!(server.stop().code(), Some(0));
    assert!(!place.path().exists());
}

#[test]
fn what_nobody_answers_at_is_replaced() {
    let place = Place::new();
    drop(UnixListener::bind(place.path()).expect("nothing is there"));
    let mut server = place.start(&[]);
    place.connect().order("quit", "-- goodbye");
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_socket_that_cannot_be_had_is_told_in_one_line() {
    let place = Place::new();
    let refused = |why: &str| {
        let mut command = chatd();
        command.args(["-l", "127.0.0.1:0", "-l", &place.endpoint()]);
        let mut server = Server::spawn(&mut command);
        assert_eq!(server.wait().code(), Some(1));
        let expected = format!("chatd: cannot listen on {}: {why}", place.endpoint());
        assert_eq!(server.log.all(), [expected]);
        assert_eq!(server.output.all(), [""; 0]);
    };
    fs::write(place.path(), "mine").expect("a folder");
    refused("it is there and is no socket");
    assert_eq!(fs::read(place.path()).expect("it is there"), b"mine");
    fs::remove_file(place.path()).expect("it is there");
    let _server = place.start(&[]);
    refused("another server listens there");
    place.connect().order("quit", "-- goodbye");
}

/// Another server may have come meanwhile.
#[test]
fn a_socket_that_is_not_ours_any_more_stays() {
    let place = Place::new();
    let mut server = place.start(&[]);
    fs::remove_file(place.path()).expect("it is there");
    let _other = UnixListener::bind(place.path()).expect("nothing is there");
    assert_eq!(server.stop().code(), Some(0));
    assert!(place.path().exists());
}

#[test]
fn sessions_are_listed_with_all_that_is_known_and_in_order() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut operator = place.connect();
    operator.order("sessions", "-- 0 sessions");
    let ann = server.join("ann");
    let _program = server.program();
    let lines = operator.ask("sessions");
    assert_eq!(lines.len(), 3, "{lines:#?}");
    let keys: Vec<&str> = lines[0]
        .split(' ')
        .map(|field| field.split('=').next().unwrap_or_default())
        .collect();
    let expected = [
        "id",
        "name",
        "room",
        "dialect",
        "from",
        "seconds",
        "silent",
        "state",
        "lines_in",
        "bytes_out",
        "queued",
        "muted",
        "op",
    ];
    assert_eq!(keys, expected);
    let address = ann.address().to_string();
    for (key, value) in [
        ("id", "1"),
        ("name", "ann"),
        ("room", "lobby"),
        ("dialect", "telnet"),
        ("from", &address),
        ("state", "open"),
        ("lines_in", "1"),
        ("queued", "0"),
        ("muted", "no"),
        ("op", "no"),
    ] {
        assert_eq!(field(&lines[0], key), value, "{key}");
    }
    assert_eq!(field(&lines[1], "name"), "guest2");
    assert_eq!(field(&lines[1], "dialect"), "wire");
    assert_eq!(lines[2], "-- 2 sessions");
}

#[test]
fn sessions_are_chosen_by_what_holds_of_them() {
    let place = Place::new();
    let server = place.start(&[]);
    let _ann = server.join("ann");
    let _bob = server.join("bob");
    let _program = server.program();
    let mut operator = place.connect();
    let mut names = |conditions: &str| {
        let mut lines = operator.ask(&format!("sessions {conditions}"));
        let last = lines.pop().expect("a last line");
        let plural = if lines.len() == 1 { "" } else { "s" };
        assert_eq!(last, format!("-- {} session{plural}", lines.len()));
        let names: Vec<&str> = lines.iter().map(|line| field(line, "name")).collect();
        names.join(" ")
    };
    for (conditions, expected) in [
        ("", "ann bob guest3"),
        ("id=2", "bob"),
        ("id=9", ""),
        ("name=ann", "ann"),
        // As names are compared: here with a Cyrillic letter.
        ("name=АNN", "ann"),
        ("name=eve", ""),
        ("addr=127.0.0.1", "ann bob guest3"),
        ("addr=::ffff:127.0.0.1", "ann bob guest3"),
        ("addr=127.0.0.2", ""),
        ("net=127.0.0.0/8", "ann bob guest3"),
        ("net=127.0.0.2/31", ""),
        ("net=::1/128", ""),
        ("room=lobby", "ann bob guest3"),
        ("room=games", ""),
        (r#"room="""#, ""),
        ("dialect=wire", "guest3"),
        ("state=open", "ann bob guest3"),
        ("state=lingering", ""),
        ("dialect=telnet state=open id=1", "ann"),
        ("dialect=telnet id=3", ""),
    ] {
        assert_eq!(names(conditions), expected, "{conditions}");
    }
}

const WRONG: [(&str, &str); 20] = [
    ("foo", "!! no such command: foo; help lists them"),
    ("ses", "!! no such command: ses; help lists them"),
    ("help foo", "!! no such command: foo; help lists them"),
    ("sessions ann", "!! usage: sessions [KEY=VALUE]..."),
    ("sessions colour=red", "!! usage: sessions [KEY=VALUE]..."),
    ("sessions state=asleep", "!! usage: sessions [KEY=VALUE]..."),
    ("sessions id=x", "!! no session x"),
    ("sessions addr=10.0.0", "!! no such address: 10.0.0"),
    (
        "sessions net=10.0.0.0/33",
        "!! no such address: 10.0.0.0/33",
    ),
    ("stop it", "!! usage: stop [now]"),
    ("drain now", "!! usage: drain"),
    ("as", "!! usage: as USER"),
    ("log loudly", "!! usage: log [LEVEL]"),
    ("settings foo", "!! no such setting: foo"),
    ("set idle-seconds", "!! usage: set KEY VALUE"),
    ("set foo 1", "!! no such setting: foo"),
    (
        "set listen 127.0.0.1:1",
        "!! listen can be changed only at the start",
    ),
    (
        "set idle-seconds soon",
        "!! idle-seconds: soon is not a number of seconds, such as 10 or 0.25",
    ),
    (
        "set line-bytes-max 1",
        "!! line-bytes-max: 1 is out of range, 64 to 64k",
    ),
    ("reload it", "!! usage: reload"),
];

#[test]
fn what_is_wrong_is_told_and_changes_nothing() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut operator = place.connect();
    for (command, answer) in WRONG {
        operator.order(command, answer);
    }
    let mut too_long = "x".repeat(5000);
    operator.order(&too_long, "!! line too long: 5000 bytes, at most 4096");
    too_long.truncate(4096);
    operator.say(&too_long);
    let answer = operator.read_line().expect("an answer");
    assert!(answer.starts_with("!! no such command: xxx"), "{answer}");
    operator.send(b"\xff\n");
    operator.expect("!! not UTF-8");
    operator.order("sessions", "-- 0 sessions");
    drop(server.join("ann"));
}

#[test]
fn verbs_are_taken_in_any_case_and_lines_with_either_end() {
    let place = Place::new();
    let _server = place.start(&[]);
    let mut operator = place.connect();
    operator.send(b"  As   alice \r\n\r\n\n SESSIONS\nqUIT\r\nsessions\n");
    operator.expect("-- as alice");
    operator.expect("-- 0 sessions");
    operator.expect("-- goodbye");
    let end = operator.read_line();
    // What it sent behind that was not read.
    assert!(matches!(end, Err(NoLine::Ended | NoLine::Reset)), "{end:?}");
}

#[test]
fn help_lists_the_commands_and_explains_one() {
    let place = Place::new();
    let _server = place.start(&[]);
    let mut operator = place.connect();
    let mut lines = operator.ask("help");
    let last = lines.pop().expect("a last line");
    assert_eq!(last, format!("-- {} commands", lines.len()));
    assert!(lines.iter().all(|line| !is_last(line)));
    for line in lines {
        let verb = line.split(' ').next().expect("a verb");
        let one = operator.ask(&format!("help {verb}"));
        assert_eq!(one, [&line, "-- 1 command"]);
    }
}

#[test]
fn newcomers_are_turned_away_and_let_in_again() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut ann = server.join("ann");
    let mut operator = place.connect();
    operator.order("drain", "-- newcomers are turned away");
    let mut bob = server.connect();
    bob.expect("!! goodbye: the server takes no newcomers just now");
    bob.expect_end();
    let mut program = Person::program(server.wire());
    let farewell = program.read_line().expect("a farewell");
    assert!(
        farewell.starts_with("FAIL ") && farewell.ends_with(" drain"),
        "{farewell}"
    );
    program.expect_end();
    server.log.wait_for_count(" reason=drain ", 2);
    // Ann, who is in, stays.
    ann.expect_silence();
    operator.order("accept", "-- newcomers are let in");
    let _cleo = server.join("cleo");
    ann.expect("-- cleo joined (2 here)");
    assert_eq!(server.report()["opens"], 4);
}

#[test]
fn settings_are_told_and_changed() {
    let place = Place::new();
    let mut server = place.start(&["idle-seconds=600"]);
    let mut operator = place.connect();
    let mut lines = operator.ask("settings");
    let last = lines.pop().expect("a last line");
    assert_eq!(last, format!("-- {} settings", lines.len()));
    assert_eq!(lines[0].split('=').next(), Some("key"));
    let told = |operator: &mut Operator, expected: &str| {
        let answer = operator.ask("settings idle-seconds");
        assert_eq!(answer, [expected, "-- 1 setting"]);
    };
    let idle = "key=idle-seconds value=600 default=0 from=line change=now";
    told(&mut operator, idle);
    assert!(lines.iter().any(|line| line == idle), "{lines:#?}");
    operator.order(
        "set idle-seconds 0.5",
        "-- idle-seconds = 0.5, was 600; until the server stops",
    );
    told(
        &mut operator,
        "key=idle-seconds value=0.5 default=0 from=set change=now",
    );
    let mut ann = server.join("ann");
    ann.expect("!! goodbye: nothing heard for 0 s");
    ann.expect_end();
    // What was set outlives a reload.
    operator.order("reload", "-- reloaded");
    server.log.wait_for(" reloaded");
    told(
        &mut operator,
        "key=idle-seconds value=0.5 default=0 from=set change=now",
    );
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn a_reload_that_fails_says_why_and_changes_nothing() {
    let place = Place::new();
    let file = place.path().with_extension("conf");
    fs::write(&file, "history-lines = 7\n").expect("a folder");
    let mut command = chatd();
    command.arg("-f").arg(&file);
    command.args(["-l", "127.0.0.1:0", "-l", &place.endpoint()]);
    let server = Server::spawn(&mut command);
    server.output.wait_for("listening ops://");
    let mut operator = place.connect();
    fs::write(&file, "history-lines = 8\nfoo = 1\n").expect("a folder");
    let answer = operator.ask("reload").pop().expect("an answer");
    let expected = format!(
        "!! reload: {}, line 2: no such setting: foo; see chatd --help; nothing changed",
        file.display()
    );
    assert_eq!(answer, expected);
    let answer = operator.ask("settings history-lines");
    assert_eq!(field(&answer[0], "value"), "7");
    fs::write(&file, "history-lines = 8\n").expect("a folder");
    operator.order("reload", "-- reloaded");
    let answer = operator.ask("settings history-lines");
    assert_eq!(field(&answer[0], "value"), "8");
}

#[test]
fn the_level_of_the_log_is_told_and_changed() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut operator = place.connect();
    operator.order("log", "-- log level info");
    operator.order("log DEBUG", "-- log level debug, was info");
    operator.order("sessions", "-- 0 sessions");
    server.log.wait_for(" DEBUG ops uid=");
    // A watch that ends does not change it.
    let mut watching = watch(&place, "watch trace");
    watching.say("");
    watching.read_answer();
    operator.order("log warn", "-- log level warn, was debug");
    drop(server.join("ann"));
    eventually("ann has gone", || {
        operator.ask("sessions") == ["-- 0 sessions"]
    });
    operator.order("log info", "-- log level info, was warn");
    drop(server.join("bob"));
    server.log.wait_for(" close id=2 ");
    assert_eq!(server.log.matching(" id=1 ").len(), 0);
}

#[test]
fn stop_is_answered_first_and_is_the_same_as_a_signal() {
    let place = Place::new();
    let mut server = place.start(&[]);
    let mut ann = server.join("ann");
    let mut operator = place.connect();
    operator.order("stop", "-- stopping");
    ann.expect("-- goodbye: the server is going down");
    drop(ann);
    assert_eq!(server.wait().code(), Some(0));
    operator.expect_end();
    server.log.wait_for(" stopping: 1 session is told");
    server.log.wait_for(" close id=1 name=ann reason=shutdown ");
    assert!(!place.path().exists());
}

#[test]
fn stop_now_does_not_wait_for_anybody() {
    let place = Place::new();
    let mut server = place.start(&["drain-seconds=3600"]);
    let mut ann = server.join("ann");
    let mut operator = place.connect();
    operator.order("stop", "-- stopping");
    ann.expect("-- goodbye: the server is going down");
    // They stay, so the server does.
    operator.order("sessions state=open", "-- 0 sessions");
    operator.order("stop now", "-- stopping");
    assert_eq!(server.wait().code(), Some(0));
    operator.expect_end();
}

#[test]
fn stop_now_needs_no_stop_before_it() {
    let place = Place::new();
    let mut server = place.start(&["drain-seconds=3600"]);
    let mut ann = server.join("ann");
    place.connect().order("stop now", "-- stopping");
    ann.expect("-- goodbye: the server is going down");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_operators_do_is_in_the_log() {
    let place = Place::new();
    let mut command = chatd();
    command.env("RUST_LOG", "debug");
    command.args(["-l", "127.0.0.1:0", "-l", &place.endpoint()]);
    let server = Server::spawn(&mut command);
    server.output.wait_for("listening ops://");
    let mut operator = place.connect();
    operator.order("drain", "-- newcomers are turned away");
    operator.order("as alice", "-- as alice");
    operator.order("  accept ", "-- newcomers are let in");
    operator.order("sessions id=1", "-- 0 sessions");
    operator.ask(r#"foo "a\b" x=1"#);
    let log = server.log.wait_until("five lines", |lines| {
        let lines: Vec<String> = lines
            .iter()
            .filter(|line| line.contains(" ops "))
            .cloned()
            .collect();
        (lines.len() == 5).then_some(lines)
    });
    let from = format!("ops uid={} pid={}", getuid().as_raw(), process::id());
    let expected = [
        format!(r#"INFO {from} as="" command=drain outcome=done"#),
        format!(r#"DEBUG {from} as=alice command="as alice" outcome=done"#),
        format!("INFO {from} as=alice command=accept outcome=done"),
        format!(r#"DEBUG {from} as=alice command="sessions id=1" outcome=done"#),
        format!(r#"INFO {from} as=alice command="foo \"a\\b\" x=1" outcome=refused"#),
    ];
    let logged: Vec<&str> = log
        .iter()
        .map(|line| line.split_once(' ').expect("a time").1)
        .collect();
    assert_eq!(logged, expected);
}

/// Begins to watch, and sees that the server has come to it.
#[track_caller]
fn watch(place: &Place, command: &str) -> Operator {
    let mut operator = place.connect();
    operator.order("sessions id=0", "-- 0 sessions");
    operator.say(command);
    // What another one asks for may be done before it in the same turn, and then not the next time.
    let mut other = place.connect();
    for _ in 0..3 {
        other.order("sessions id=0", "-- 0 sessions");
    }
    operator
}

#[test]
fn the_log_is_watched_until_the_next_line_which_is_not_obeyed() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut operator = watch(&place, "watch");
    let mut other = place.connect();
    other.order("drain", "-- newcomers are turned away");
    let line = operator.read_line().expect("a line of the log");
    assert!(line.contains(" INFO ops uid="), "{line}");
    // As it was written.
    server.log.wait_for(&line);
    other.order("accept", "-- newcomers are let in");
    let line = operator.read_line().expect("a line of the log");
    assert!(line.contains(" command=accept "), "{line}");
    operator.say("stop");
    operator.expect("-- watched");
    operator.order("sessions", "-- 0 sessions");
    drop(server.join("ann"));
    other.say("watch");
    other.finish();
    assert_eq!(other.read_answer().pop().as_deref(), Some("-- watched"));
    other.expect_end();
}

/// All that there is to be seen of a watching operator is what others cause.
#[test]
fn who_watches_everything_does_not_see_themselves_watch() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut operator = watch(&place, "watch trace");
    drop(server.join("ann"));
    server.log.wait_for(" close id=1 ");
    let turns = server.report()["turns"];
    let more = server.report()["turns"] - turns;
    assert!(more < 100, "{more} turns without a reason");
    operator.say("");
    let lines = operator.read_answer();
    assert_eq!(lines.last().map(String::as_str), Some("-- watched"));
    assert!(lines.len() < 200, "{lines:#?}");
    for part in [" open id=1 ", " close id=1 ", " report turns="] {
        assert!(lines.iter().any(|line| line.contains(part)), "no {part}");
    }
    // What is only watched is not written.
    assert_eq!(server.log.matching(" TRACE ").len(), 0);
    assert_eq!(server.log.matching(" DEBUG ").len(), 0);
}

#[test]
fn who_watches_only_errors_sees_nothing_else() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut operator = watch(&place, "watch error");
    drop(server.join("ann"));
    server.log.wait_for(" close id=1 ");
    operator.say("enough");
    operator.expect("-- watched");
}

#[test]
fn who_watches_sees_the_server_end() {
    let place = Place::new();
    let mut server = place.start(&[]);
    let ann = server.join("ann");
    let mut operator = watch(&place, "watch");
    server.signal(Signal::TERM);
    let mut expect = |part: &str| {
        let line = operator.read_line().expect("a line of the log");
        assert!(line.contains(part), "{line}");
    };
    expect(" stopping: 1 session is told");
    drop(ann);
    expect(" close id=1 ");
    assert_eq!(server.wait().code(), Some(0));
    operator.expect_end();
}

/// An operator who watches and does not read misses lines, is told how many, and keeps nobody waiting.
#[test]
fn a_watcher_who_does_not_read_is_told_what_they_missed() {
    let place = Place::new();
    let server = place.start(&[]);
    let mut operator = watch(&place, "watch");
    let mut other = place.connect();
    // Each is a line of a little more than that.
    let long = "x".repeat(4000);
    let mut commands = 0;
    while server.log.matching(" command=").len() < 400 {
        other.order(
            &long,
            &format!("!! no such command: {long}; help lists them"),
        );
        commands += 1;
    }
    operator.say("");
    let lines = operator.read_answer();
    let missed = lines.iter().find_map(|line| line.strip_prefix("missed="));
    let missed: usize = missed.expect("some were missed").parse().expect("a number");
    let seen = lines
        .iter()
        .filter(|line| line.contains(" command="))
        .count();
    assert_eq!(seen + missed, commands);
}

#[test]
fn nine_are_one_too_many() {
    let place = Place::new();
    let _server = place.start(&[]);
    let mut operators: Vec<Operator> = (0..8).map(|_| place.connect()).collect();
    for operator in &mut operators {
        operator.order("sessions", "-- 0 sessions");
    }
    let mut ninth = place.connect();
    ninth.expect("!! 8 operators are connected already");
    ninth.expect_end();
    operators[3].order("quit", "-- goodbye");
    operators[3].expect_end();
    place.connect().order("sessions", "-- 0 sessions");
}

#[test]
fn what_was_sent_before_the_end_is_answered() {
    let place = Place::new();
    let _server = place.start(&[]);
    let mut operator = place.connect();
    operator.send(b"as alice\nsessions\nhelp quit");
    operator.finish();
    operator.expect("-- as alice");
    operator.expect("-- 0 sessions");
    operator.expect("quit   leave");
    operator.expect("-- 1 command");
    operator.expect_end();
    let mut silent = place.connect();
    silent.finish();
    silent.expect_end();
}

/// Thousands come at once, and an operator lists them while they go.
#[test]
fn a_long_list_is_told_once_and_in_order_while_sessions_come_and_go() {
    const SESSIONS: usize = 1200;
    let place = Place::new();
    let server = place.start(&["sessions-per-address-max=0"]);
    let mut people: Vec<Person> = (0..SESSIONS).map(|_| server.program()).collect();
    let mut operator = place.connect();
    for _ in 0..5 {
        operator.say("sessions");
        people.drain(..20);
        people.extend((0..20).map(|_| server.program()));
        let mut lines = operator.read_answer();
        let last = lines.pop().expect("a last line");
        assert_eq!(last, format!("-- {} sessions", lines.len()));
        assert!(lines.len() >= SESSIONS - 20, "{last}");
        let ids: Vec<u64> = lines
            .iter()
            .map(|line| field(line, "id").parse().expect("a number"))
            .collect();
        assert!(ids.is_sorted_by(|one, next| one < next));
    }
}

/// One asks for more than any socket takes and does not read, one stops in the middle of a line, and one goes while they
/// are answered. People talk on, and the memory of the server is bounded.
#[test]
fn operators_who_do_not_read_or_do_not_end_keep_nobody_waiting() {
    let place = Place::new();
    let mut server = place.start(&["sessions-per-address-max=0"]);
    let programs: Vec<Person> = (0..500).map(|_| server.program()).collect();
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");

    let deaf = place.connect();
    deaf.stream().set_nonblocking(true).expect("a socket");
    let mut asked = 0;
    // Until nothing more is taken of them: the server does not read on, and the kernel keeps what it keeps.
    while deaf.stream().write(b"sessions\n").is_ok() {
        asked += 1;
        assert!(asked < 1_000_000, "all of it is read");
    }
    let mut halting = place.connect();
    halting.send(b"sess");
    let mut going = place.connect();
    going.say("sessions");
    drop(going);

    for _ in 0..20 {
        ann.say("hello");
        bob.expect("<ann> hello");
    }
    halting.send(b"ions name=ann\n");
    assert_eq!(halting.read_answer().len(), 2);
    drop(deaf);
    // Their place is free again, though much that they sent was never obeyed.
    let mut operators: Vec<Operator> = Vec::new();
    eventually("seven find place", || {
        let mut operator = place.connect();
        let _ = operator.stream().write_all(b"sessions id=0\n");
        if operator.read_line().as_deref() == Ok("-- 0 sessions") {
            operators.push(operator);
        }
        operators.len() == 7
    });
    drop(programs);
    assert_eq!(server.stop().code(), Some(0));
}

/// A server that is told to stop has no patience with an operator.
#[test]
fn a_signal_ends_operators_with_the_server() {
    let place = Place::new();
    let mut server = place.start(&[]);
    let mut operator = place.connect();
    operator.order("sessions", "-- 0 sessions");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    operator.expect_end();
}

/// What `docs/operators.md` shows of `chatd ctl`, in a server with those whom it speaks of.
#[test]
fn the_operators_page_shows_what_happens() {
    let page = include_str!("../docs/operators.md");
    let place = Place::new();
    let mut command = chatd();
    command.args(["-l", "127.0.0.1:0", "-l", "wire://127.0.0.1:0"]);
    command.args(["-l", &place.endpoint()]);
    let mut server = Server::spawn(&mut command);
    server.output.wait_for("listening ops://");
    let _people = [server.join("ann"), server.join("bob"), server.program()];
    let mut operator = place.connect();
    operator.order("as alice", "-- as alice");
    let blocks = page.split("```console\n").skip(1);
    let (mut shown, mut happened) = (Vec::new(), Vec::new());
    for block in blocks {
        let block = block.split("```").next().expect("the block");
        for line in block.lines() {
            shown.push(line.to_owned());
            if let Some(command) = line.strip_prefix("$ chatd ctl ") {
                happened.push(line.to_owned());
                happened.extend(operator.ask(command));
            }
        }
    }
    assert!(shown.len() > 20, "{shown:#?}");
    // A key is another one each time, as numbers are.
    let is_key = |line: &&String| line.starts_with("key=") && line.len() == "key=".len() + 24;
    let without_key = |line: &String| {
        Some(line)
            .filter(is_key)
            .map_or(line.clone(), |_| "key".into())
    };
    let without = |lines: &[String]| {
        let lines: Vec<String> = lines.iter().map(without_key).collect();
        without_numbers(&lines.join("\n"))
    };
    assert_eq!(without(&happened), without(&shown));
    assert_eq!(server.wait().code(), Some(0));
}

/// Every setting that waits for the next start is told of as such, by name or as one of the relay's.
#[test]
fn the_pages_tell_which_settings_wait() {
    let place = Place::new();
    let _server = place.start(&[]);
    let settings = place.connect().ask("settings");
    let waiting = settings
        .iter()
        .filter(|line| line.ends_with(" change=start"));
    let keys: Vec<&str> = waiting
        .filter_map(|line| line.strip_prefix("key=")?.split(' ').next())
        .map(|key| {
            if key.starts_with("relay") {
                "relay"
            } else {
                key
            }
        })
        .collect();
    assert!(keys.len() > 10, "{settings:#?}");
    for (name, page) in [
        ("docs/operators.md", include_str!("../docs/operators.md")),
        ("dist/chatd.1", include_str!("../dist/chatd.1")),
    ] {
        let (before, _) = page
            .split_once("wait for the next start")
            .expect("it tells");
        let (_, told) = before.rsplit_once("nobody is dropped").expect("it tells");
        let told = told.replace('\\', "");
        for key in &keys {
            assert!(told.contains(key), "{name} does not tell that {key} waits");
        }
    }
}

/// The log's words for the ends of sessions, and the codes of the wire dialect among them.
#[test]
fn the_pages_have_every_reason_to_close() {
    let place = Place::new();
    let _server = place.start(&[]);
    let stats = place.connect().ask("stats");
    let reasons: Vec<&str> = stats
        .iter()
        .filter_map(|line| line.strip_prefix("chatd_closes_total{reason="))
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .collect();
    assert!(reasons.len() > 10, "{stats:#?}");
    let operators = include_str!("../docs/operators.md");
    let (_, table) = operators
        .split_once("| reason | what happened |")
        .expect("a table");
    let (table, _) = table.split_once("\n\n").expect("its end");
    let wire = include_str!("../docs/wire.md");
    let (_, codes) = wire
        .split_once("the code is the reason of the close")
        .expect("codes");
    for reason in reasons {
        let word = format!("`{reason}`");
        assert!(table.contains(&word), "put {word} into docs/operators.md");
        // These end without a farewell, or only where a page comes back.
        let is_told = !matches!(reason, "quit" | "eof" | "reset" | "replaced");
        assert_eq!(codes.contains(&word), is_told, "{word} in docs/wire.md");
    }
}
