//! Descriptors, signals, ports and the end: what the operator's side does.

use std::process::{Command, Stdio};

use libtest_mimic::Trial;
use rustix::process::Signal;

use super::support::eventually;
use super::support::person::Person;
use super::support::programs::is_installed;
use super::support::server::{chatd, Server};
use super::support::session::{connect_narrow, expect_close, value};
use super::{trial_if, Test};

pub(crate) const TESTS: &[Test] = tests![
    f009_a_low_limit_of_descriptors_is_told_of,
    f009_too_few_descriptors_are_an_error,
    f106_a_report_is_short_whoever_is_there,
    f115_a_port_is_not_shared,
    f116_it_stops_in_the_middle_of_everything,
];

/// Tests that need a program.
pub(crate) fn trials() -> Vec<Trial> {
    let openssl = is_installed("openssl");
    vec![trial_if(
        openssl,
        (
            "f064_a_client_of_tls_is_refused",
            f064_a_client_of_tls_is_refused,
        ),
    )]
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
