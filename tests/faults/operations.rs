//! Descriptors, signals, ports and the end: what the operator's side does.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use rustix::fs::{mkfifoat, Mode, CWD};
use rustix::process::Signal;

use super::support::eventually;
use super::support::person::Person;
use super::support::programs::is_installed;
use super::support::server::{chatd, Server};
use super::support::session::{connect_narrow, expect_close, value};
use super::{trial_if, Test};

pub(crate) const TESTS: &[Test] = tests![
    f009_a_low_limit_of_descriptors_is_told_of,
    f009_a_limit_that_is_low_for_nobody_is_not_told_of,
    f009_too_few_descriptors_are_an_error,
    f106_a_report_is_short_whoever_is_there,
    f115_a_port_is_not_shared,
    f116_it_stops_in_the_middle_of_everything,
    f131_signals_that_are_nobodys_business_end_nothing,
    f132_what_is_no_file_is_told_in_one_line,
    f132_a_file_that_turns_into_something_else_stops_nobody,
    who_closes_the_window_ends_the_server,
];

/// Tests that need a program.
pub(crate) fn trials() -> Vec<Trial> {
    let openssl = is_installed("openssl");
    let env = Command::new("env")
        .args(["--block-signal", "true"])
        .output();
    let env = env.is_ok_and(|output| output.status.success());
    vec![
        trial_if(
            openssl,
            (
                "f064_a_client_of_tls_is_refused",
                f064_a_client_of_tls_is_refused,
            ),
        ),
        trial_if(
            env,
            (
                "f131_signals_that_a_parent_has_blocked_or_ignored_work",
                f131_signals_that_a_parent_has_blocked_or_ignored_work,
            ),
        ),
    ]
}

/// A chatd with so many descriptors at most.
fn limited(descriptors: u32) -> Command {
    let mut command = Command::new("sh");
    let limit = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
    command.args(["-c", &limit]).arg(chatd().get_program());
    command.args(["-l", "telnet://127.0.0.1:0", "-l", "wire://127.0.0.1:0"]);
    command
}

fn f009_a_low_limit_of_descriptors_is_told_of() {
    let mut server = Server::spawn(limited(80).args(["-o", "sessions-max=1000"]));
    server.output.wait_for("listening wire://");
    let warning = "sessions-max is lowered from 1000 to 16: the descriptor limit is 80";
    server.log.wait_for(warning);
    let mut people: Vec<Person> = (0..16).map(|_| server.connect()).collect();
    people.iter_mut().for_each(Person::skip_greeting);
    // What is kept back is enough for many who are refused at the same time.
    let mut refused: Vec<Person> = (0..100).map(|_| server.connect()).collect();
    for person in &mut refused {
        person.expect("!! goodbye: the server is full");
        person.expect_end();
    }
    drop((people, refused));
    server.log.wait_for_count(" close id=", 116);
    assert_eq!(server.stop().code(), Some(0));
    let warnings = server.log.matching(" WARN ");
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
}

/// Low is what is below 1024 where nobody says how many sessions there are to be, or below what they take.
fn f009_a_limit_that_is_low_for_nobody_is_not_told_of() {
    for (limit, wanted, warning) in [
        (
            1023,
            "auto",
            Some("the descriptor limit is 1023: at most 959 sessions"),
        ),
        (1024, "auto", None),
        (100, "36", None),
    ] {
        let setting = format!("sessions-max={wanted}");
        let mut server = Server::spawn(limited(limit).args(["-o", &setting]));
        server.output.wait_for("listening wire://");
        assert_eq!(server.stop().code(), Some(0));
        let log = server.log.all();
        let sessions = limit - 64;
        let start = format!(" sessions-max={sessions} descriptors={limit} ");
        assert!(log[0].contains(" INFO start version="), "{log:#?}");
        assert!(log[0].contains(&start), "{log:#?}");
        let warnings = server.log.matching(" WARN ");
        assert_eq!(warnings.len(), usize::from(warning.is_some()), "{log:#?}");
        assert!(warnings
            .iter()
            .all(|line| line.ends_with(warning.unwrap_or_default())));
    }
}

fn f009_too_few_descriptors_are_an_error() {
    let mut server = Server::spawn(&mut limited(64));
    assert_eq!(server.wait().code(), Some(1));
    assert_eq!(
        server.log.all(),
        ["chatd: a descriptor limit of 64 leaves none for sessions: 64 are kept back"]
    );
    assert_eq!(server.output.all(), [""; 0]);
}

fn f106_a_report_is_short_whoever_is_there() {
    let server = Server::start(&[]);
    let mut crowd: Vec<Person> = (0..1000).map(|_| server.connect()).collect();
    crowd.iter_mut().for_each(Person::skip_greeting);
    let report = server.report();
    assert_eq!((report["sessions"], report["opens"]), (1000, 1000));
    let lines = server.log.matching("report ");
    let bytes: usize = lines.iter().map(String::len).sum();
    assert!(bytes < 4096, "{bytes} bytes");
}

/// Of two servers that shared a port, one would take connections with it when it goes.
fn f115_a_port_is_not_shared() {
    let server = Server::start(&[]);
    let address = server.telnet().to_string();
    let second = chatd().args(["-l", &address]).output();
    let second = second.expect("the program can be run");
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8_lossy(&second.stderr);
    assert!(told.contains(&address), "{told}");
    server.join("ann").expect_silence();
}

/// A stop while descriptors are short, somebody is paused, somebody never reads and somebody is being told goodbye.
fn f116_it_stops_in_the_middle_of_everything() {
    let mut server = Server::start(&[
        "lines-per-second=1",
        "lines-burst=60",
        "send-buffer-bytes=2k",
        "queue-bytes-max=16m",
        "queue-bytes-soft=16m",
        "drain-seconds=0.5",
    ]);
    let deaf = connect_narrow(server.telnet());
    let deaf_address = deaf.local_addr().expect("connected");
    server.log.wait_for(&format!(" from={deaf_address} "));
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    let filler = format!("{}\r\n", "x".repeat(4000)).repeat(100);
    ann.send(filler.as_bytes());
    eventually("something waits", || server.report()["queued_bytes"] > 0);
    server.leave_no_descriptor();
    let late = server.connect();
    server.log.wait_for("cannot accept, trying again");
    server.signal(Signal::TERM);
    bob.skip_until("-- goodbye: the server is going down");
    let address = ann.address();
    drop((ann, bob));
    assert_eq!(server.wait().code(), Some(0));
    expect_close(&server, address, "shutdown");
    expect_close(&server, deaf_address, "shutdown");
    let opens = server.log.matching(" open id=").len();
    assert_eq!(server.log.matching(" close id=").len(), opens);
    drop((deaf, late));
}

/// Whatever the parent did to them: a report, a reload and a stop are done when they are asked for.
fn f131_signals_that_a_parent_has_blocked_or_ignored_work() {
    for change in ["--block-signal", "--ignore-signal", "--ignore-signal=HUP"] {
        let mut command = Command::new("env");
        command.arg(change).arg(chatd().get_program());
        command.args(["-l", "127.0.0.1:0"]);
        let mut server = Server::spawn(&mut command);
        server.output.wait_for("listening telnet://");
        server.join("ann").expect_silence();
        let _ = server.report();
        server.signal(Signal::HUP);
        server.log.wait_for(" INFO reloaded");
        assert_eq!(server.stop().code(), Some(0), "{change}");
    }
}

/// By default each of them ends a process.
fn f131_signals_that_are_nobodys_business_end_nothing() {
    let mut server = Server::start(&[]);
    let mut ann = server.join("ann");
    for signal in [
        Signal::PIPE,
        Signal::XFSZ,
        Signal::XCPU,
        Signal::ALARM,
        Signal::VTALARM,
        Signal::PROF,
        Signal::IO,
        Signal::USR2,
    ] {
        server.signal(signal);
        ann.say("/nosuch");
        let told = ann.read_line().expect("it is still there");
        assert!(told.starts_with("!! no such command"), "{told}");
    }
    assert_eq!(server.stop().code(), Some(0));
}

/// What stands where a file is to be, for one test.
struct Place(PathBuf);

impl Place {
    fn new(purpose: &str) -> Self {
        let name = format!("chatd-place-{}-{purpose}", std::process::id());
        let place = Self(env::temp_dir().join(name));
        place.clear();
        place
    }

    fn clear(&self) {
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_dir(&self.0);
    }

    /// Puts a pipe, a directory, a link to a device or too much text there, by turns.
    fn turn_into(&self, what: &str) {
        self.clear();
        let made = match what {
            "a pipe" => mkfifoat(CWD, &self.0, Mode::RWXU).map_err(io::Error::from),
            "a directory" => fs::create_dir(&self.0),
            "a device" => symlink("/dev/zero", &self.0),
            _ => fs::write(&self.0, "x".repeat(16 * 1024 + 1)),
        };
        made.expect(what);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clear();
    }
}

const NO_FILES: [(&str, &str); 4] = [
    ("a pipe", "not a regular file"),
    ("a directory", "not a regular file"),
    ("a device", "not a regular file"),
    ("too much", "longer than 16k"),
];

fn f132_what_is_no_file_is_told_in_one_line() {
    let place = Place::new("start");
    let path = place.0.display().to_string();
    for (what, why) in NO_FILES {
        place.turn_into(what);
        let mut server =
            Server::spawn(chatd().args(["-l", "127.0.0.1:0", "-o", &format!("motd-file={path}")]));
        assert_eq!(server.wait().code(), Some(1), "{what}");
        let told = format!("chatd: cannot read motd-file {path}: {why}");
        assert_eq!(server.log.all(), [told]);
        if what != "too much" {
            let mut server = Server::spawn(chatd().args(["-f", &path]));
            assert_eq!(server.wait().code(), Some(1), "{what}");
            let told = format!("chatd: settings file {path}: {why}");
            assert_eq!(server.log.all(), [told]);
        }
    }
}

fn f132_a_file_that_turns_into_something_else_stops_nobody() {
    let place = Place::new("reload");
    let path = place.0.display().to_string();
    // As much as there may be; it is never cut.
    let lines = (0..256).map(|n| format!("{n:063}"));
    let lines = lines.collect::<Vec<_>>().join("\n") + "\n";
    fs::write(&place.0, &lines).expect("it can be written");
    let mut server = Server::start(&[&format!("motd-file={path}")]);
    let mut ann = server.join("ann");
    for (what, why) in NO_FILES {
        place.turn_into(what);
        let before = server
            .log
            .matching(" WARN reload: cannot read motd-file")
            .len();
        server.signal(Signal::HUP);
        server
            .log
            .wait_for_count(" WARN reload: cannot read motd-file", before + 1);
        let told = server.log.matching(" WARN reload: cannot read motd-file");
        let words = format!("reload: cannot read motd-file {path}: {why}; nothing changed");
        assert!(told[before].ends_with(&words), "{told:#?}");
        let mut newcomer = server.connect();
        newcomer.skip_until(&format!("-- {:063}", 255));
        newcomer.say("/quit");
        newcomer.skip_until("-- goodbye");
    }
    assert_eq!(server.log.matching(" reloaded"), [""; 0]);
    place.clear();
    fs::write(&place.0, "short").expect("it can be written");
    server.signal(Signal::HUP);
    server.log.wait_for(" INFO reloaded");
    ann.say("/quit");
    ann.expect("-- goodbye");
    assert_eq!(server.stop().code(), Some(0));
}

/// Standard error is a terminal: SIGHUP says that it is gone.
fn who_closes_the_window_ends_the_server() {
    let (pty, pts) = pty_process::blocking::open().expect("a terminal");
    let mut server = pty_process::blocking::Command::new(chatd().get_program())
        .args(["-l", "127.0.0.1:0"])
        .env_remove("RUST_LOG")
        .spawn(pts)
        .expect("it can be run");
    let mut window = BufReader::new(fs::File::from(OwnedFd::from(pty)));
    let address = loop {
        let mut line = String::new();
        window.read_line(&mut line).expect("it is open");
        if let Some(address) = line.trim_end().strip_prefix("listening telnet://") {
            break address.parse().expect("an address");
        }
    };
    let mut ann = Person::connect(address);
    ann.skip_greeting();
    drop(window);
    ann.skip_until("-- goodbye: the server is going down");
    ann.expect_end();
    drop(ann);
    assert_eq!(server.wait().expect("our child").code(), Some(0));
}

fn f064_a_client_of_tls_is_refused() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let address = server.telnet().to_string();
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address])
        .stdin(Stdio::null())
        .output()
        .expect("it was there a moment ago");
    assert!(!output.status.success());
    let close = server.log.wait_for(" close id=2 ");
    assert_eq!(value(&close, "reason"), "wrong-protocol", "{close}");
    ann.expect_silence();
}
