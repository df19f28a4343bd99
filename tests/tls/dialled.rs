//! The client library in TLS.

use std::fs;
use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use chatd::client::{Client, Event, Message, Options, Roots, Target, Why};

use super::certificate::Certificate;
use super::server;
use super::support::server::Server;

const DEADLINE: Duration = Duration::from_secs(30);

/// What came until this was said.
#[allow(clippy::disallowed_methods, reason = "a deadline of the test's own")]
#[track_caller]
fn until(client: &mut Client, is_it: impl Fn(&Event<'static>) -> bool) -> Vec<Event<'static>> {
    let give_up_at = Instant::now() + DEADLINE;
    let mut events = Vec::new();
    while !events.iter().any(&is_it) {
        let left = give_up_at.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "never came true; happened: {events:?}");
        events.extend(client.poll(Some(left)).expect("a poll"));
    }
    events
}

pub(crate) fn roots(path: &str) -> Roots {
    Roots::from_pem(&fs::read(path).expect("a file")).expect("certificates")
}

fn dial(server: &Server, dialect: &str, roots: &Roots) -> Client {
    let port = server.address(dialect).port();
    let address = format!("{dialect}://localhost:{port}");
    let target = Target::resolve_in_tls(&address, roots).expect("an address");
    Client::dial_target(&target, Options::default()).expect("a poll")
}

fn join(server: &Server, dialect: &str, roots: &Roots, name: &str) -> Client {
    let mut client = dial(server, dialect, roots);
    client.set_name(name).expect("open");
    until(
        &mut client,
        |event| matches!(event, Event::Message(Message::Named(named)) if named == name),
    );
    client
}

fn said(event: &Event<'_>, expected: &str) -> bool {
    matches!(event, Event::Message(Message::Said { words, .. }) if words == expected)
}

pub(crate) fn a_talk() {
    let certificate = Certificate::new();
    let server = server(&certificate, &["telnets", "wires"], &[]);
    let roots = roots(&certificate.path("cert.pem"));
    let mut ann = join(&server, "wires", &roots, "ann");
    let mut bob = join(&server, "telnets", &roots, "bob");
    let long = "x".repeat(4000);
    for round in 0..20 {
        let (hello, answer) = (format!("hello {round}"), format!("{round} {long}"));
        ann.send(&hello).expect("open");
        until(&mut ann, |event| *event == Event::Written(round));
        until(&mut bob, |event| said(event, &hello));
        bob.send(&answer).expect("open");
        until(&mut bob, |event| *event == Event::Written(round));
        until(&mut ann, |event| said(event, &answer));
    }
    // More than one record, and more than a socket takes at once from one that is not polled.
    for number in 0..100 {
        ann.send(&format!("{number} {long}")).expect("room");
    }
    until(&mut ann, |event| *event == Event::Written(119));
    let last = format!("99 {long}");
    let heard = until(&mut bob, |event| said(event, &last));
    let lines = heard
        .iter()
        .filter(|event| matches!(event, Event::Message(Message::Said { .. })));
    assert_eq!(lines.count(), 100);
    for client in [&mut ann, &mut bob] {
        client.close();
        let left = Event::Closed {
            why: Why::Left,
            unsent: 0,
        };
        until(client, |event| *event == left);
    }
    for name in ["ann", "bob"] {
        server.log.wait_for(&format!("name={name} reason=quit"));
    }
}

/// Why a server is not talked to.
pub(crate) fn refused(client: &mut Client) -> Why {
    let events = until(client, |event| matches!(event, Event::Closed { .. }));
    match events.last() {
        Some(Event::Closed { why, .. }) => *why,
        _ => unreachable!("it is closed"),
    }
}

pub(crate) fn trust() {
    let (certificate, other) = (Certificate::new(), Certificate::new());
    let server = server(&certificate, &["wires"], &[]);
    let invalid = Why::Unreachable(io::ErrorKind::InvalidData);
    let mut stranger = dial(&server, "wires", &roots(&other.path("cert.pem")));
    assert_eq!(refused(&mut stranger), invalid);
    let roots = roots(&certificate.path("cert.pem"));
    // A server that speaks no TLS.
    let port = server.telnet().port();
    let target = Target::resolve_in_tls(&format!("telnets://127.0.0.1:{port}"), &roots);
    let target = target.expect("an address");
    let mut in_clear = Client::dial_target(&target, Options::default()).expect("a poll");
    assert_eq!(refused(&mut in_clear), invalid);
    for (address, roots) in [
        ("wire://127.0.0.1:1", &roots),
        ("gophers://127.0.0.1:1", &roots),
    ] {
        let error = Target::resolve_in_tls(address, roots).expect_err("none in TLS");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{address}");
    }
    for pem in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
        let error = Roots::from_pem(pem.as_bytes()).expect_err("no certificate");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

/// As `docs/tls.md` makes one, which says that it is an issuer's.
pub(crate) fn by_openssl() {
    let certificate = Certificate::new();
    let (cert, key) = (certificate.path("cert.pem"), certificate.path("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "365"])
        .args(["-subj", "/CN=localhost", "-addext"])
        .args(["subjectAltName=DNS:localhost", "-keyout", &key, "-out"])
        .arg(&cert)
        .output();
    assert!(made.expect("openssl").status.success());
    let server = server(&certificate, &["wires"], &[]);
    join(&server, "wires", &roots(&cert), "ann");
    // It is trusted for the name that is in it, and no other.
    let port = server.address("wires").port();
    let target = Target::resolve_in_tls(&format!("wires://127.0.0.1:{port}"), &roots(&cert));
    let target = target.expect("an address");
    let mut other = Client::dial_target(&target, Options::default()).expect("a poll");
    let invalid = Why::Unreachable(io::ErrorKind::InvalidData);
    assert_eq!(refused(&mut other), invalid);
}

#[cfg(feature = "load")]
pub(crate) fn load() {
    let certificate = Certificate::new();
    let server = server(&certificate, &["wires", "telnets"], &[]);
    for dialect in ["wires", "telnets"] {
        let target = format!("{dialect}://localhost:{}", server.address(dialect).port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_chatload"));
        command.args(["--clients", "50", "--rooms", "3", "--interval", "0.02-0.06"]);
        let pid = server.pid().to_string();
        command.args(["--pid", &pid, &target]);
        let without = command.output().expect("it is built");
        assert_eq!(without.status.code(), Some(2), "{without:?}");
        let passed = command.args(["--roots", &certificate.path("cert.pem")]);
        let passed = passed.output().expect("it is built");
        assert!(passed.status.success(), "{passed:?}");
    }
}
