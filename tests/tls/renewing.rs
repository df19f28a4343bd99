//! The certificate: what is said of it at the start, and how it is renewed.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Output;

use rustix::process::Signal;
use rustls::{ClientConnection, StreamOwned};

use super::certificate::Certificate;
use super::support::server::{chatd, Server};

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = chatd().args(arguments).output().expect("it is built");
    let said = String::from_utf8_lossy(&stderr);
    let last = said.lines().last().unwrap_or_default();
    (status.code(), last.to_owned())
}

pub(crate) fn bad_starts() {
    let (certificate, other) = (Certificate::new(), Certificate::new());
    let listens = ["-l", "telnets://127.0.0.1:0"];
    let cert = |path: &str| format!("-otls-cert={path}");
    let key = |path: &str| format!("-otls-key={path}");
    let (good, good_key) = (certificate.path("cert.pem"), certificate.path("key.pem"));
    for (settings, status, said) in [
        (
            vec![],
            2,
            "chatd: listen: telnets://127.0.0.1:0 needs tls-cert and tls-key".to_owned(),
        ),
        (
            vec![cert(&good)],
            2,
            "chatd: tls-cert: there is no tls-key".to_owned(),
        ),
        (
            vec![key(&good)],
            2,
            "chatd: tls-key: there is no tls-cert".to_owned(),
        ),
        (
            vec![
                "-orelay=rediss://a:1".to_owned(),
                cert(&good),
                key(&good_key),
            ],
            2,
            "chatd: relay: rediss://a:1 needs tls-roots".to_owned(),
        ),
        (
            vec!["-otls-min=1.1".to_owned()],
            2,
            "chatd: tls-min: 1.1: not 1.2 or 1.3".to_owned(),
        ),
        (
            vec![cert("/none"), key(&good_key)],
            1,
            "chatd: /none: No such file or directory (os error 2)".to_owned(),
        ),
        (
            vec![cert("/dev"), key(&good_key)],
            1,
            "chatd: /dev: not a regular file".to_owned(),
        ),
        (
            vec![cert(&good), key(&good)],
            1,
            format!("chatd: {good}: no private key in it"),
        ),
        (
            vec![cert(&good_key), key(&good_key)],
            1,
            format!("chatd: {good_key}: no certificate in it"),
        ),
        (
            vec![cert(&good), key(&other.path("key.pem"))],
            1,
            format!(
                "chatd: {}: not the key of the certificate",
                other.path("key.pem")
            ),
        ),
    ] {
        let settings = settings.iter().map(String::as_str);
        let arguments: Vec<&str> = listens.into_iter().chain(settings).collect();
        assert_eq!(
            run(&arguments),
            (Some(status), said.clone()),
            "{arguments:?}"
        );
        let checked: Vec<&str> = arguments.into_iter().chain(["-t"]).collect();
        assert_eq!(run(&checked), (Some(status), said), "{checked:?}");
    }
}

/// The day that is so many days from now.
fn in_days(days: i64) -> (i32, u8, u8) {
    let date = std::process::Command::new("date")
        .args(["-u", "-d", &format!("{days} days"), "+%Y %m %d"])
        .output()
        .expect("there is date");
    let date = String::from_utf8_lossy(&date.stdout);
    let mut parts = date.split_whitespace();
    let mut next = || parts.next().expect("three numbers");
    let year = next().parse().expect("a year");
    let mut number = || next().parse().expect("a number");
    (year, number(), number())
}

pub(crate) fn near_its_end() {
    for (days, word) in [(20, None), (10, Some("ends")), (0, Some("ended"))] {
        let day = in_days(days);
        let certificate = Certificate::until(day);
        let server = super::server(&certificate, &["telnets"], &[]);
        let path = certificate.path("cert.pem");
        let (year, month, day) = day;
        for times in 1..=2 {
            match word {
                Some(word) => {
                    let line = format!("WARN tls: {path} {word} on {year}-{month:02}-{day:02}");
                    server.log.wait_for_count(&line, times);
                }
                None => assert!(server.log.matching("WARN tls").is_empty()),
            }
            server.signal(Signal::HUP);
            server.log.wait_for_count("INFO reloaded", times);
        }
    }
    let certificate = Certificate::new();
    let key = certificate.path("key.pem");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&key, mode).expect("ours");
    let server = super::server(&certificate, &["telnets"], &[]);
    server
        .log
        .wait_for(&format!("WARN tls: {key} can be read by everybody"));
}

struct Talker(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Talker {
    fn join(server: &Server, certificate: &Certificate, name: &str) -> Self {
        let stream = certificate.shake_hands(server.address("telnets"));
        let mut talker = Self(BufReader::new(stream.expect("it is trusted")));
        talker.say(&format!("/name {name}"));
        talker.hear(&format!("-- you are {name}"));
        talker
    }

    fn say(&mut self, line: &str) {
        let line = format!("{line}\r\n");
        self.0
            .get_mut()
            .write_all(line.as_bytes())
            .expect("it is taken");
    }

    fn hear(&mut self, wanted: &str) {
        let mut line = String::new();
        while line.trim_end() != wanted {
            line.clear();
            assert!(
                self.0.read_line(&mut line).expect("a line") > 0,
                "no {wanted}"
            );
        }
    }
}

/// Who is there stays; who comes gets the new one.
pub(crate) fn under_a_talk() {
    let certificate = Certificate::new();
    let server = super::server(&certificate, &["telnets"], &[]);
    let mut ann = Talker::join(&server, &certificate, "ann");
    for (round, year) in [(1, 2091), (2, 2092), (3, 2093)] {
        certificate.renew((year, 1, 1));
        server.signal(Signal::HUP);
        server.log.wait_for_count("INFO reloaded", round);
        // It trusts the new one, and no other.
        let mut bob = Talker::join(&server, &certificate, "bob");
        bob.say("hello");
        ann.hear("<bob> hello");
        ann.say("here I am");
        bob.hear("<ann> here I am");
        bob.say("/quit");
        ann.hear("-- bob left (1 here)");
    }
    assert!(server.log.matching("name=ann reason").is_empty());
}

pub(crate) fn broken() {
    let certificate = Certificate::new();
    let server = super::server(&certificate, &["telnets"], &[]);
    let mut ann = Talker::join(&server, &certificate, "ann");
    let (path, key) = (certificate.path("cert.pem"), certificate.path("key.pem"));
    let good = std::fs::read_to_string(&path).expect("it is there");
    let other = Certificate::new();
    let others = std::fs::read_to_string(other.path("cert.pem")).expect("it is there");
    for (content, file, what) in [
        ("", &path, "no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\n", &path, "broken PEM"),
        (others.as_str(), &key, "not the key of the certificate"),
    ] {
        certificate.write("cert.pem", content);
        server.signal(Signal::HUP);
        server.log.wait_for(&format!(
            "WARN reload: {file}: {what}; the old certificate stays"
        ));
    }
    certificate.write("cert.pem", &good);
    // The old one is served.
    let mut bob = Talker::join(&server, &certificate, "bob");
    bob.say("hello");
    ann.hear("<bob> hello");
}

pub(crate) fn only_13() {
    let certificate = Certificate::new();
    let server = super::server(&certificate, &["telnets"], &["tls-min=1.3"]);
    let mut ann = Talker::join(&server, &certificate, "ann");
    ann.say("/quit");
    ann.hear("-- goodbye");
    let open = server.log.wait_for(" open id=");
    assert!(open.contains(" dialect=telnet tls=1.3 from="), "{open}");
}
