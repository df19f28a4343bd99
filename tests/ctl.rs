//! `chatd ctl` as a process, against servers and against sockets that only look like one.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use rustix::process::{kill_process, Pid, Signal};
use support::operator::Place;
use support::server::{chatd, Lines};

/// A call of `chatd ctl` that goes to `path`, by somebody whom the environment does not name.
fn ctl(path: &Path) -> Command {
    let mut command = chatd();
    command
        .arg("ctl")
        .env("CHATD_OPS", path)
        .env_remove("SUDO_USER")
        .env_remove("USER");
    command
}

/// What a call came to: its status, and what it wrote to standard output and standard error.
fn outcome(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let status = output.status.code().expect("it exits");
    (status, text(output.stdout), text(output.stderr))
}

#[track_caller]
fn call(path: &Path, command: &[&str]) -> (i32, String, String) {
    let output = ctl(path).args(command).stdin(Stdio::null()).output();
    outcome(output.expect("it can be run"))
}

/// A call with this standard input.
#[track_caller]
fn pipe(path: &Path, input: &str) -> (i32, String, String) {
    let mut child = ctl(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    outcome(child.wait_with_output().expect("our child"))
}

fn answer(status: i32, stdout: &str, stderr: &str) -> (i32, String, String) {
    (status, stdout.to_owned(), stderr.to_owned())
}

#[test]
fn what_is_done_goes_to_standard_output_and_what_is_refused_to_standard_error() {
    let place = Place::new();
    let server = place.start(&[]);
    let path = place.path();
    let _ann = server.join("ann");
    let (status, stdout, stderr) = call(&path, &["sessions", "name=ann"]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines[0].starts_with("id=1 name=ann "), "{stdout}");
    assert_eq!(lines[1..], ["-- 1 session"]);
    let refused = "!! no such command: foo; help lists them\n";
    assert_eq!(call(&path, &["foo", "bar"]), answer(1, "", refused));
    assert_eq!(
        call(&path, &["stop", "it"]),
        answer(1, "", "!! usage: stop [now]\n")
    );
}

#[test]
fn one_command_goes_to_each_of_several_servers() {
    let places = [Place::new(), Place::new(), Place::new()];
    let _servers = [places[0].start(&[]), places[2].start(&[])];
    let paths = places
        .each_ref()
        .map(|place| place.path().display().to_string());
    let [first, missing, last] = &paths;
    let command = [
        "-s",
        first,
        "-s",
        missing,
        "-s",
        last,
        "ban",
        "192.0.2.1",
        "1h",
    ];
    let (status, stdout, stderr) = call(&places[0].path(), &command);
    assert_eq!(status, 3);
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{stdout}");
    for (line, path) in [lines[0], lines[2], lines[3]].iter().zip(&paths) {
        assert_eq!(*line, format!("{path}:"));
    }
    for line in [lines[1], lines[4]] {
        assert!(line.starts_with("-- ban 1: 192.0.2.1 until "), "{line}");
    }
    assert!(
        stderr.starts_with(&format!("chatd: cannot reach {missing}: ")),
        "{stderr}"
    );
    let several = call(&places[0].path(), &["-s", first, "-s", last]);
    let words = "chatd: several servers are asked one command; see chatd ctl --help\n";
    assert_eq!(several, answer(2, "", words));
    // The worst is told.
    let command = ["-s", first, "-s", last, "close", "lobby"];
    assert_eq!(call(&places[0].path(), &command).0, 1);
}

#[test]
fn it_says_who_calls() {
    let place = Place::new();
    let server = place.start(&[]);
    for (user, sudo_user, logged) in [
        ("ann", None, "as=ann"),
        ("root", Some("bob"), "as=bob"),
        ("two words", None, r#"as="""#),
    ] {
        let mut command = ctl(&place.path());
        command.arg("drain").env("USER", user);
        if let Some(sudo_user) = sudo_user {
            command.env("SUDO_USER", sudo_user);
        }
        let output = command.output().expect("it can be run");
        let expected = answer(0, "-- newcomers are turned away\n", "");
        assert_eq!(outcome(output), expected);
        server
            .log
            .wait_for(&format!(" {logged} command=drain outcome=done"));
    }
}

#[test]
fn the_socket_is_found_by_option_or_environment() {
    let place = Place::new();
    let _server = place.start(&[]);
    let path = place.path();
    let nowhere = Path::new("/nonexistent/ops.sock");
    let (status, ..) = call(&path, &["sessions"]);
    assert_eq!(status, 0);
    let path = path.to_str().expect("UTF-8");
    let (status, ..) = call(nowhere, &["-s", path, "sessions"]);
    assert_eq!(status, 0);
    let (status, stdout, stderr) = call(nowhere, &["sessions"]);
    assert_eq!((status, stdout.as_str()), (3, ""));
    let expected =
        "chatd: cannot reach /nonexistent/ops.sock: No such file or directory (os error 2)\n";
    assert_eq!(stderr, expected);
}

#[test]
fn lines_of_standard_input_are_passed_on_one_by_one() {
    let place = Place::new();
    let _server = place.start(&[]);
    let path = place.path();
    assert_eq!(pipe(&path, ""), answer(0, "", ""));
    let input = "drain\n\n  \nfoo\naccept\r\nhelp quit";
    let expected = answer(
        1,
        "-- newcomers are turned away\n-- newcomers are let in\nquit   leave\n-- 1 command\n",
        "!! no such command: foo; help lists them\n",
    );
    assert_eq!(pipe(&path, input), expected);
    assert_eq!(
        pipe(&path, "sessions\nquit\n"),
        answer(0, "-- 0 sessions\n-- goodbye\n", "")
    );
    // What stands behind that is passed on to nobody.
    let (status, stdout, stderr) = pipe(&path, "sessions\nquit\nsessions\n");
    assert_eq!(stdout, "-- 0 sessions\n-- goodbye\n");
    assert!(status == 0 || status == 3 && stderr == "chatd: the connection ended early\n");
}

#[test]
fn a_stop_is_answered_and_done() {
    let place = Place::new();
    let mut server = place.start(&[]);
    assert_eq!(
        pipe(&place.path(), "stop\n"),
        answer(0, "-- stopping\n", "")
    );
    assert_eq!(server.wait().code(), Some(0));
    let mut server = place.start(&[]);
    assert_eq!(
        call(&place.path(), &["stop", "now"]),
        answer(0, "-- stopping\n", "")
    );
    assert_eq!(server.wait().code(), Some(0));
}

/// A call that watches, and its lines.
fn watching(place: &Place, command: &[&str]) -> (Child, Lines) {
    let mut child = ctl(&place.path())
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let lines = Lines::collect(child.stdout.take().expect("it is piped"));
    if command.is_empty() {
        let stdin = child.stdin.as_mut().expect("it is piped");
        stdin.write_all(b"watch\n").expect("it reads");
    }
    // Until the server has come to it, what others do may be seen or not.
    let mut other = place.connect();
    while lines.matching(" command=drain ").is_empty() {
        other.order("drain", "-- newcomers are turned away");
    }
    other.order("accept", "-- newcomers are let in");
    lines.wait_for(" command=accept ");
    (child, lines)
}

#[test]
fn a_watch_of_standard_input_ends_with_the_next_line_or_its_end() {
    let place = Place::new();
    let _server = place.start(&[]);
    let (mut child, lines) = watching(&place, &[]);
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin
        .write_all(b"stop now\nsessions\nwatch\n")
        .expect("it reads");
    lines.wait_for("-- watched");
    lines.wait_for("-- 0 sessions");
    drop(stdin);
    assert_eq!(child.wait().expect("our child").code(), Some(0));
    lines.wait_for_count("-- watched", 2);
    let wrong = answer(1, "-- 0 sessions\n", "!! usage: watch [LEVEL]\n");
    assert_eq!(pipe(&place.path(), "watch loudly\nsessions\n"), wrong);
}

#[test]
fn a_watch_that_was_called_goes_on_until_the_server_ends() {
    let place = Place::new();
    let mut server = place.start(&[]);
    let (mut child, lines) = watching(&place, &["watch"]);
    assert_eq!(server.stop().code(), Some(0));
    lines.wait_for(" stopping: 0 sessions are told");
    assert_eq!(child.wait().expect("our child").code(), Some(3));
    let mut stderr = String::new();
    let mut errors = child.stderr.take().expect("it is piped");
    errors.read_to_string(&mut stderr).expect("UTF-8");
    assert_eq!(stderr, "chatd: the connection ended early\n");
}

#[test]
fn a_ninth_operator_is_refused() {
    let place = Place::new();
    let _server = place.start(&[]);
    let mut others: Vec<_> = (0..8).map(|_| place.connect()).collect();
    for other in &mut others {
        other.order("sessions", "-- 0 sessions");
    }
    let expected = answer(1, "", "!! 8 operators are connected already\n");
    assert_eq!(call(&place.path(), &["sessions"]), expected);
}

/// A socket where each client is given `answer` for the first line that it sends, and then the end.
fn answering(place: &Place, answer: &'static [u8]) -> thread::JoinHandle<()> {
    let listener = UnixListener::bind(place.path()).expect("nothing is there");
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("it is called");
        let mut line = String::new();
        let mut stream = BufReader::new(stream);
        stream.read_line(&mut line).expect("a line");
        stream.get_mut().write_all(answer).expect("it reads");
    })
}

#[test]
fn an_answer_that_ends_early_is_told() {
    for (given, printed) in [
        (&b""[..], ""),
        (b"a=1\n", "a=1\n"),
        (b"a=1\n-- do", "a=1\n"),
    ] {
        let place = Place::new();
        let server = answering(&place, given);
        let expected = answer(3, printed, "chatd: the connection ended early\n");
        assert_eq!(call(&place.path(), &["sessions"]), expected);
        server.join().expect("it does not fail");
    }
}

#[test]
fn nobody_who_answers_is_waited_for_for_ever() {
    let place = Place::new();
    let _listener = UnixListener::bind(place.path()).expect("nothing is there");
    let expected = answer(3, "", "chatd: no answer came for 10 s\n");
    assert_eq!(call(&place.path(), &["sessions"]), expected);
}

#[test]
fn wrong_usage_is_told_in_one_line() {
    let nowhere = Path::new("/nonexistent/ops.sock");
    for command in [&["-x"][..], &["-s"], &[""], &["kick ann\nstop"]] {
        let (status, stdout, stderr) = call(nowhere, command);
        assert_eq!((status, stdout.as_str()), (2, ""), "{command:?}");
        assert!(stderr.starts_with("chatd: "), "{stderr}");
        assert!(stderr.ends_with("; see chatd ctl --help\n"), "{stderr}");
        assert_eq!(stderr.matches('\n').count(), 1, "{stderr}");
    }
    let (status, stdout, stderr) = call(nowhere, &["--help"]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    for part in ["-s", "CHATD_OPS", "/run/chatd/ops.sock", "Status"] {
        assert!(stdout.contains(part), "no {part} in:\n{stdout}");
    }
}

/// What nobody reads does not keep it, and does not crash it.
#[test]
fn a_closed_standard_output_ends_it() {
    let place = Place::new();
    let _server = place.start(&[]);
    let mut child = ctl(&place.path())
        .arg("watch")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be run");
    drop(child.stdout.take());
    let mut other = place.connect();
    while child.try_wait().expect("our child").is_none() {
        other.order("drain", "-- newcomers are turned away");
    }
    assert_eq!(child.wait().expect("our child").code(), Some(3));
}

/// It is an ordinary program: an interrupt (Ctrl-C) ends it.
#[test]
fn a_signal_ends_it() {
    let place = Place::new();
    let _server = place.start(&[]);
    let (mut child, _) = watching(&place, &["watch"]);
    // SIGINT does the same, but where these tests are started in the background it may be ignored.
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    assert_eq!(child.wait().expect("our child").code(), None);
    assert!(fs::exists(place.path()).expect("a folder"));
}
