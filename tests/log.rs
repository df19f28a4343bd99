//! The log: one physical line an event, whatever the names and the words; and a reader that stalls, goes away or is
//! flooded does not hurt the server.

#![allow(
    clippy::disallowed_methods,
    reason = "how much is written in a second is about real time"
)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::Instant;

use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{kill_process, Pid, Signal};
use support::eventually;
use support::person::Person;
use support::server::{chatd, Lines, Server};
use support::session::{counted, missed, reset};

/// A server whose log nobody reads unless the test does.
struct Unheard {
    child: Child,
    output: Lines,
}

impl Unheard {
    fn start(command: &mut Command) -> (Self, ChildStderr) {
        let mut child = command
            .args(["-l", "127.0.0.1:0", "-o", "history-lines=0"])
            .args(["-o", "lines-per-second=0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be run");
        let output = Lines::collect(child.stdout.take().expect("it is piped"));
        let log = child.stderr.take().expect("it is piped");
        (Self { child, output }, log)
    }

    fn connect(&self) -> Person {
        let line = self.output.wait_for("listening telnet://");
        let address = line.trim_start_matches("listening telnet://");
        let mut person = Person::connect(address.parse().expect("an address"));
        person.skip_greeting();
        person
    }

    /// This many come and go, and the server has done with all of them.
    fn visit(&self, count: usize) {
        for _ in 0..count {
            let mut person = self.connect();
            person.say("/quit");
            person.expect("-- goodbye");
            person.expect_end();
        }
    }

    /// Two people talk.
    fn expect_talk(&self) {
        let (mut ann, mut bob) = (self.connect(), self.connect());
        ann.say("/name ann");
        ann.skip_until("-- you are ann");
        bob.skip_until("-- ann joined (1 here)");
        ann.say("hello");
        bob.expect("<ann> hello");
        for mut person in [ann, bob] {
            person.say("/quit");
            person.skip_until("-- goodbye");
            person.expect_end();
        }
    }

    #[track_caller]
    fn stop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        self.expect_end();
    }

    #[track_caller]
    fn expect_end(&mut self) {
        eventually("it ends", || {
            self.child.try_wait().expect("our child").is_some()
        });
        let status = self.child.wait().expect("our child");
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Unheard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn events(lines: &[String]) -> usize {
    let is_event = |line: &&String| line.contains(" open id=") || line.contains(" close id=");
    lines.iter().filter(is_event).count()
}

#[test]
fn f104_a_log_that_nobody_reads_does_not_stop_the_server_and_tells_later_what_it_misses() {
    // Two lines each: more than the pipe and the buffer before it hold.
    const VISITORS: usize = 2000;
    let (mut server, stderr) = Unheard::start(&mut chatd());
    fcntl_setpipe_size(&stderr, 4096).expect("a pipe");
    server.visit(VISITORS);
    server.expect_talk();
    let log = Lines::collect(stderr);
    let dropped = log.wait_for(" lines, for standard error was blocked");
    let dropped = counted(&[dropped], "dropped ");
    assert!(dropped > 0);
    // From now on nothing is missed.
    server.expect_talk();
    server.stop();
    log.wait_for_end();
    let lines = log.all();
    // Every line was written or counted; a few that are about neither may have been.
    let missed = missed(&lines);
    assert!(events(&lines) < 2 * (VISITORS + 4));
    assert!(events(&lines) + missed >= 2 * (VISITORS + 4), "{lines:#?}");
}

/// What is logged at the end waits for a reader who is only slow.
#[test]
fn f111_the_log_is_whole_when_the_server_ends() {
    const SESSIONS: usize = 300;
    let (mut server, stderr) = Unheard::start(&mut chatd());
    fcntl_setpipe_size(&stderr, 4096).expect("a pipe");
    let log = Lines::collect(stderr);
    let people: Vec<Person> = (0..SESSIONS).map(|_| server.connect()).collect();
    kill_process(Pid::from_child(&server.child), Signal::TERM).expect("it runs");
    log.wait_for(" stopping: ");
    drop(people);
    server.expect_end();
    log.wait_for_end();
    let lines = log.all();
    let missed = missed(&lines);
    assert!(events(&lines) + missed >= 2 * SESSIONS, "{lines:#?}");
}

#[test]
fn f104_a_log_whose_reader_has_gone_does_not_hurt() {
    let (mut server, stderr) = Unheard::start(&mut chatd());
    server.expect_talk();
    drop(stderr);
    server.visit(50);
    server.expect_talk();
    server.stop();
}

#[test]
fn f104_a_server_without_standard_error_serves() {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", r#"exec "$0" "$@" 2>&-"#])
        .arg(env!("CARGO_BIN_EXE_chatd"));
    let (mut server, _) = Unheard::start(&mut command);
    server.visit(50);
    server.expect_talk();
    server.stop();
}

/// This many come at once and go without a word.
fn rush(address: SocketAddr, count: usize) {
    let visit = |_| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        // Of a client that goes before it is greeted the kernel may never have told the server.
        stream.read_exact(&mut [0]).expect("a greeting");
        reset(stream);
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..count / 4).for_each(visit));
        }
    });
}

#[test]
fn f103_too_many_lines_are_suppressed_and_counted() {
    const RUSH: usize = 3000;
    let began_at = Instant::now();
    let mut server = Server::start(&[]);
    let mut visitors = 0;
    // Once is enough, unless the machine is so slow that they came as slowly as their lines are written.
    while counted(&server.log.all(), "suppressed ") == 0 {
        assert!(visitors < 5 * RUSH, "nothing was too much");
        rush(server.telnet(), RUSH);
        visitors += RUSH;
        eventually("all have come and gone", || {
            let lines = server.log.all();
            let seconds = began_at.elapsed().as_secs() as usize + 1;
            assert!(events(&lines) <= 200 * seconds, "in {seconds} s");
            events(&lines) + missed(&lines) >= 2 * visitors
        });
    }
    // The counters are exact all the same.
    let report = server.report();
    assert_eq!(report["opens"], visitors as u64);
    assert_eq!(report["closes"], visitors as u64);
    assert_eq!(server.stop().code(), Some(0));
}

/// They are only written later.
#[test]
fn f103_the_lines_of_five_hundred_who_come_and_go_at_once_are_all_there() {
    const VISITORS: usize = 500;
    let server = Server::start(&[]);
    let people: Vec<Person> = (0..VISITORS).map(|_| server.connect()).collect();
    drop(people);
    server.log.wait_for_count(" close id=", VISITORS);
    let lines = server.log.all();
    assert_eq!(events(&lines), 2 * VISITORS);
    assert_eq!(missed(&lines), 0);
}

/// Names, last words and noise that would forge a line of the log, or drive the terminal of its reader.
#[test]
fn f102_nothing_that_anybody_sends_breaks_a_line_of_the_log() {
    let mut command = chatd();
    command
        .args(["-l", "127.0.0.1:0", "-l", "wire://127.0.0.1:0"])
        .args(["-o", "lines-per-second=0"])
        .env("RUST_LOG", "trace");
    let mut server = Server::spawn(&mut command);
    server.output.wait_for("listening wire://");
    let forged = "x\u{85}y\u{2028}z\u{9b}2J close id=99 name=root reason=quit";
    let mut ann = server.connect();
    ann.skip_greeting();
    for line in [
        format!("/name a{forged}"),
        format!("/name \x1b]0;{forged}\x07"),
        format!("hello {forged}"),
        format!("/away {forged}"),
        format!("/quit {forged}\x1b[2J"),
    ] {
        ann.send(format!("{line}\r").as_bytes());
    }
    ann.skip_until("-- goodbye");
    drop(ann);
    let mut program = server.program();
    // `NAME a\nb`, `CHAT` of `a\r\nclose id=99`, and bytes that are no text.
    for line in [
        "NAME YQpi",
        "CHAT x YQ0KY2xvc2UgaWQ9OTk=",
        "NAME /////w==",
        "\x1b[2J\x00",
    ] {
        program.send(format!("{line}\n").as_bytes());
    }
    program.send(b"\xff\xfe\x80\n");
    program.say("QUIT");
    let _ = program.read_to_end();
    drop(program);
    server.log.wait_for_count(" close id=", 2);
    // Another protocol, whose first line is not the business of the log either.
    let mut stranger = TcpStream::connect(server.telnet()).expect("it listens");
    let _ = stranger.write_all(b"GET /\x1b[2J HTTP/1.1\r\n\r\n");
    drop(stranger);
    server.log.wait_for_count(" close id=", 3);
    assert_eq!(server.stop().code(), Some(0));
    let lines = server.log.all();
    for line in &lines {
        assert!(!line.contains(char::is_control), "{line:?}");
        let stamp = line.split(' ').next().unwrap_or_default();
        assert!(stamp.starts_with("20") && stamp.ends_with('Z'), "{line:?}");
        assert!(!line.contains(" close id=99"), "{line:?}");
    }
    assert_eq!(events(&lines), 6);
}
