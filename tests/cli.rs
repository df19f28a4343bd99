//! How the program is called, what it writes where, and how it stops.

mod support;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{self, Output};

use rustix::process::Signal;
use support::server::{chatd, Server};
use support::session::deafen;

fn output(arguments: &[&str]) -> Output {
    let output = chatd().args(arguments).output();
    output.expect("the program can be run")
}

/// What a failure writes: one line to standard error, and nothing to standard output.
#[track_caller]
fn complaint(arguments: &[&str], status: i32) -> String {
    let Output {
        status: got,
        stdout,
        stderr,
    } = output(arguments);
    let stderr = String::from_utf8(stderr).expect("UTF-8");
    assert_eq!(got.code(), Some(status), "{stderr}");
    assert_eq!(stdout, b"", "nothing on standard output");
    assert!(stderr.starts_with("chatd: "), "{stderr}");
    assert!(
        stderr.ends_with('\n') && stderr.matches('\n').count() == 1,
        "{stderr}"
    );
    stderr
}

#[test]
fn f109_wrong_usage_is_told_in_one_line() {
    for (arguments, named) in [
        (&["--nosuch"][..], "nosuch"),
        (&["free"], "free"),
        (&["-l"], "l"),
        (&["-l", "127.0.0.1"], "127.0.0.1"),
        (&["-l", "gopher://127.0.0.1:1"], "gopher"),
        (&["-l", "metricss://127.0.0.1:1"], "metricss"),
        (&["-o", "nosuch=1"], "nosuch"),
        (&["-o", "idle-seconds"], "idle-seconds"),
        (&["-o", "idle-seconds=soon"], "idle-seconds"),
        (&["-o", "line-bytes-max=1"], "line-bytes-max"),
        (&["-o", "line-bytes-max=4\nk"], "line-bytes-max"),
    ] {
        let complaint = complaint(arguments, 2);
        assert!(complaint.contains(named), "{arguments:?}: {complaint}");
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn who_wants_tls_of_a_chatd_without_it_is_told_so() {
    let without = "chatd: this chatd was built without tls\n";
    for arguments in [
        ["-l", "telnets://127.0.0.1:992"],
        ["-l", "wires+proxy://127.0.0.1:1"],
        ["-o", "listen=https://127.0.0.1:443"],
        ["-o", "tls-cert=/etc/chatd/cert.pem"],
        ["-o", "tls-min=1.3"],
        ["-o", "relay=rediss://127.0.0.1:6379"],
    ] {
        assert_eq!(complaint(&arguments, 2), without, "{arguments:?}");
    }
}

#[test]
fn a_settings_file_that_is_not_there_is_told_in_one_line() {
    let output = output(&["-f", "/nonexistent/chatd.conf"]);
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!output.status.success());
    assert!(stderr.contains("/nonexistent/chatd.conf"), "{stderr}");
    assert_eq!(stderr.matches('\n').count(), 1, "{stderr}");
}

#[test]
fn f109_a_port_in_use_is_told_in_one_line() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = other.local_addr().expect("it listens").to_string();
    let complaint = complaint(&["-l", &address], 1);
    assert!(complaint.contains(&address), "{complaint}");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let version = output(&["--version"]);
    assert!(version.status.success());
    let expected = format!("chatd {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(version.stdout).expect("UTF-8"), expected);

    let help = output(&["--help"]);
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).expect("UTF-8");
    for part in ["-l", "-o", "-f", "-h", "-V", "queue-bytes-max", "1m"] {
        assert!(help.contains(part), "no {part} in:\n{help}");
    }
    assert_eq!(output(&["-h"]).stdout, help.as_bytes());
    assert_eq!(output(&["-V"]).stdout, expected.as_bytes());
}

#[test]
fn the_help_names_each_dialect() {
    let help = String::from_utf8(output(&["--help"]).stdout).unwrap();
    let words: Vec<&str> = help.split_whitespace().collect();
    let start =
        "accept connections there; DIALECT is telnet (if none is named), wire, http or irc;";
    assert!(words.join(" ").contains(start), "{help}");
}

#[test]
fn the_listening_lines_are_all_that_standard_output_gets() {
    let mut command = chatd();
    command.args([
        "-l",
        "127.0.0.1:0",
        "-l",
        "wire://127.0.0.1:0",
        "-l",
        "telnet://127.0.0.1:0",
    ]);
    let mut server = Server::spawn(&mut command);
    server.output.wait_for_count("listening ", 3);
    drop(server.join("ann"));
    server.log.wait_for(" close id=1 ");
    let _ = server.report();
    assert_eq!(server.stop().code(), Some(0));
    let lines = server.output.all();
    let dialects: Vec<&str> = lines
        .iter()
        .map(|line| line.split_once("://127.0.0.1:").expect("an address").0)
        .collect();
    assert_eq!(
        dialects,
        ["listening telnet", "listening wire", "listening telnet"]
    );
    assert!(lines.iter().all(|line| !line.ends_with(":0")), "{lines:?}");
}

#[test]
fn ipv6_is_listened_on_where_there_is_any() {
    if TcpListener::bind("[::1]:0").is_err() {
        // Nothing of IPv6 on this machine: then it must be said.
        assert!(complaint(&["-l", "[::1]:0"], 1).contains("[::1]:0"));
        return;
    }
    let server = Server::spawn(chatd().args(["-l", "[::1]:0"]));
    server.output.wait_for("listening telnet://[::1]:");
    let mut ann = server.join("ann");
    ann.expect_silence();
    server.log.wait_for("open id=1 dialect=telnet from=[::1]:");
}

#[test]
fn settings_come_from_a_file_and_the_command_line_wins() {
    let path = std::env::temp_dir().join(format!("chatd-cli-{}.conf", process::id()));
    let text =
        "# a test\nlisten = 127.0.0.1:0\nlisten = wire://127.0.0.1:0\nline-bytes-max = 100 # few\n\
                history-lines = 0\n";
    fs::write(&path, text).expect("it can be written");
    let server = Server::spawn(
        chatd()
            .arg("-f")
            .arg(&path)
            .args(["-o", "line-bytes-max=200"]),
    );
    server.output.wait_for("listening wire://");
    let mut ann = server.join("ann");
    ann.say(&"x".repeat(201));
    ann.expect("!! line too long: 201 bytes, at most 200; not sent");
    fs::remove_file(&path).expect("it is there");
}

#[test]
fn the_log_is_as_loud_as_it_is_told_to_be() {
    let mut command = chatd();
    command.args(["-l", "127.0.0.1:0"]).env("RUST_LOG", "error");
    let mut server = Server::spawn(&mut command);
    server.join("ann").expect_silence();
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(server.log.all(), [""; 0]);
}

#[test]
fn the_log_begins_with_what_is_in_force() {
    let mut command = chatd();
    command
        .args(["-l", "127.0.0.1:0", "-o", "history-lines=50"])
        .args(["-o", "sessions-max=7", "-o", "idle-seconds=600"]);
    let mut server = Server::spawn(&mut command);
    server.output.wait_for("listening ");
    let pid = server.pid();
    assert_eq!(server.stop().code(), Some(0));
    let log = server.log.all();
    let (_, start) = log[0].split_once(" INFO ").expect("a level");
    let (before, behind) = start.split_once(" descriptors=").expect("the limit");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        before,
        format!("start version={version} pid={pid} sessions-max=7")
    );
    let (_, changed) = behind.split_once(' ').expect("what is set");
    let changed_here = "listen=telnet://127.0.0.1:0 idle-seconds=600 history-lines=50";
    assert_eq!(changed, changed_here);
}

/// What people say is not the log's business, at any level.
#[test]
fn the_log_tells_who_came_and_went_and_not_what_was_said() {
    let mut command = chatd();
    command
        .args(["-l", "127.0.0.1:0", "-o", "history-lines=0"])
        .env("RUST_LOG", "trace");
    let mut server = Server::spawn(&mut command);
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    ann.say("the secret word");
    bob.expect("<ann> the secret word");
    ann.say("/msg bob another secret");
    bob.expect("[ann] another secret");
    bob.say("/quit with a secret");
    bob.expect("-- goodbye");
    bob.expect_end();
    let bob_from = bob.address();
    drop(bob);
    let from = ann.address();
    server
        .log
        .wait_for(&format!("open id=1 dialect=telnet from={from} sessions=1"));
    server.log.wait_for("name id=1 from=guest1 to=ann");
    server.log.wait_for("name id=2 from=guest2 to=bob");
    let close = server.log.wait_for(&format!(
        "close id=2 name=bob reason=quit from={bob_from} seconds="
    ));
    assert!(close.contains(" lines_in=2 bytes_out="), "{close}");
    assert!(close.ends_with(" sessions=1"), "{close}");
    server.stop();
    server.log.wait_for(&format!(
        "close id=1 name=ann reason=shutdown from={from} seconds="
    ));
    assert_eq!(server.log.matching("secret"), [""; 0]);
}

/// Nor is what was refused, what a program says, or what came to the wrong port.
#[test]
fn the_log_has_nothing_of_what_was_refused_or_said_by_programs() {
    let mut command = chatd();
    command
        .args(["-l", "telnet://127.0.0.1:0", "-l", "wire://127.0.0.1:0"])
        .args(["-o", "line-bytes-max=64"])
        .env("RUST_LOG", "trace");
    let mut server = Server::spawn(&mut command);
    let mut ann = server.join("ann");
    ann.say("/away with a secret");
    ann.expect("-- you are away");
    ann.say("/secret");
    ann.expect("!! no such command: /secret; /help lists them, // says a slash");
    ann.say("/msg nobody secret");
    ann.expect("!! nobody here is called nobody");
    ann.say(&"secret".repeat(11));
    ann.expect("!! line too long: 66 bytes, at most 64; not sent");
    let mut stranger = server.connect();
    stranger.skip_greeting();
    stranger.say("GET /secret HTTP/1.1");
    stranger.expect("!! this is a chat in plain text");
    stranger.expect_end();
    let mut program = server.program();
    // `secret`, aloud and to ann alone.
    program.say("CHAT Ym90 c2VjcmV0");
    ann.expect("-- guest3 joined (2 here)");
    ann.expect("<guest3> secret");
    program.say("TELL YW5u c2VjcmV0");
    ann.expect("[guest3] secret");
    drop((ann, stranger, program));
    server.stop();
    for words in ["secret", "c2VjcmV0"] {
        assert_eq!(server.log.matching(words), [""; 0]);
    }
}

/// The last lines are kept in memory alone.
#[test]
#[cfg(target_os = "linux")]
fn what_people_say_is_in_no_file() {
    let folder = format!("{}/no-file-{}", env!("CARGO_TARGET_TMPDIR"), process::id());
    fs::create_dir(&folder).expect("a folder");
    let mut command = chatd();
    command.args(["-l", "127.0.0.1:0"]).current_dir(&folder);
    command.env("TMPDIR", &folder).env("HOME", &folder);
    let mut server = Server::spawn(&mut command);
    let mut ann = server.join("ann");
    ann.say("the last line");
    // It was heard before bob is let in.
    let answer = ann.ask();
    ann.skip_until(&answer);
    let mut bob = server.connect();
    bob.skip_until("-- earlier:");
    let open = fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("it runs");
    for descriptor in open {
        let descriptor = descriptor.expect("it is listed");
        let path = descriptor.path();
        let is_file = fs::metadata(&path).is_ok_and(|it| it.is_file());
        // Whoever runs the tests may have left a file open to all of them.
        let ours = Path::new("/proc/self/fd").join(descriptor.file_name());
        let (opened, ours) = (fs::read_link(&path).ok(), fs::read_link(ours).ok());
        assert!(!is_file || opened == ours, "{opened:?}");
    }
    // Nor was one written that is closed again: `proc(5)` counts what is to go to a disk.
    let written = fs::read_to_string(format!("/proc/{}/io", server.pid()));
    let written = written.expect("it runs");
    assert!(
        written.lines().any(|line| line == "write_bytes: 0"),
        "{written}"
    );
    server.stop();
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 0);
    fs::remove_dir(&folder).expect("it is empty");
}

#[test]
fn the_log_has_a_singular() {
    for (people, told) in [
        (0, "0 sessions are"),
        (1, "1 session is"),
        (2, "2 sessions are"),
    ] {
        let mut server = Server::start(&[]);
        let _people: Vec<_> = (0..people).map(|n| server.join(&format!("p{n}"))).collect();
        server.signal(Signal::TERM);
        server.log.wait_for(&format!(" stopping: {told} told"));
        server.wait();
    }
}

#[test]
fn f111_sigterm_and_sigint_tell_everybody_and_end_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&[]);
        let mut people: Vec<_> = (0..20).map(|n| server.join(&format!("p{n}"))).collect();
        let mut program = server.program();
        server.signal(signal);
        for person in &mut people {
            person.skip_until("-- goodbye: the server is going down");
            person.expect_end();
        }
        // `FAIL goodbye: the server is going down`
        program.expect("FAIL Z29vZGJ5ZTogdGhlIHNlcnZlciBpcyBnb2luZyBkb3du shutdown");
        program.expect_end();
        drop((people, program));
        assert_eq!(server.wait().code(), Some(0));
        let closes = server.log.matching(" close id=");
        assert_eq!(closes.len(), 21);
        assert!(
            closes.iter().all(|line| line.contains(" reason=shutdown ")),
            "{closes:#?}"
        );
        assert_eq!(server.output.all().len(), 2, "only the listening lines");
    }
}

#[test]
fn f035_f111_one_who_never_reads_does_not_hold_up_the_end() {
    let settings = [
        "send-buffer-bytes=4k",
        "queue-bytes-max=64m",
        "queue-bytes-soft=64m",
        "drain-seconds=0.5",
    ];
    let mut server = Server::start(&settings);
    let deaf = deafen(&server, 1);
    assert_eq!(server.stop().code(), Some(0));
    let close = server.log.wait_for("name=deaf0 ");
    assert!(close.contains(" reason=shutdown "), "{close}");
    drop(deaf);
}

#[test]
fn f112_the_second_signal_ends_it_at_once() {
    let settings = [
        "send-buffer-bytes=4k",
        "queue-bytes-max=64m",
        "queue-bytes-soft=64m",
        "drain-seconds=3600",
    ];
    let mut server = Server::start(&settings);
    let deaf = deafen(&server, 1);
    server.signal(Signal::TERM);
    server.log.wait_for("stopping");
    server.signal(Signal::TERM);
    // Far sooner than the drain of an hour.
    assert_eq!(server.wait().code(), Some(0));
    let close = server.log.wait_for("name=deaf0 ");
    assert!(close.contains(" reason=shutdown "), "{close}");
    drop(deaf);
}

#[test]
fn f113_who_waits_at_the_door_when_it_stops_is_told() {
    let mut server = Server::start(&[]);
    server.signal(Signal::STOP);
    let mut late: Vec<_> = (0..5).map(|_| server.connect()).collect();
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    for person in &mut late {
        // Whether it was let in first is a matter of chance.
        person.skip_until("-- goodbye: the server is going down");
        person.expect_end();
    }
    drop(late);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(server.log.matching(" reason=shutdown ").len(), 5);
}
