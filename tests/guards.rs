//! Operators and real addresses, in a network of the test's own: whom a rule meets, whom it spares, and what holds it up.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;

use libtest_mimic::Arguments;
use socket2::{Domain, Socket, Type};
use support::eventually;
use support::operator::{without_numbers, Operator, Place};
use support::own_network;
use support::person::Person;
use support::server::{chatd, Server};

/// Addresses for documentation (RFC 5737, RFC 3849), all of this machine.
const OURS: [&str; 6] = [
    "192.0.2.1/24",
    "198.51.100.1/24",
    "203.0.113.1/24",
    "2001:db8:1::1/128",
    "2001:db8:1::7/128",
    "2001:db8:2::7/128",
];
/// People who share one address behind a NAT.
const SHARED: &str = "198.51.100.7";

fn main() {
    let arguments = Arguments::from_args();
    let tests: &[(&str, fn())] = &[
        ("who shares an address is spared", who_shares_is_spared),
        (
            "a troll with three addresses is kept out, and nobody else",
            a_troll_is_kept_out,
        ),
        ("an ipv6 address stands for its /64", ipv6_is_met_by_64),
        ("exempt addresses are met by force alone", exempt_are_spared),
        ("rules hold over a restart", rules_hold_over_a_restart),
        (
            "who follows the page for the night gets rid of each and hurts nobody else",
            the_page_for_the_night,
        ),
        (
            "who begins at the door over and over pushes out nobody else",
            a_crowd_at_the_door,
        ),
    ];
    libtest_mimic::run(&arguments, own_network::trials(tests)).exit();
}

/// The server, where operators reach it, and an operator.
struct Scene {
    place: Place,
    server: Server,
    operator: Operator,
}

impl Scene {
    fn new(settings: &[&str]) -> Self {
        for address in OURS {
            // An IPv6 address is used at once, and not only when nobody else has answered for it.
            let nodad = address.contains(':').then_some("nodad");
            let added = Command::new("ip")
                .args(["addr", "add", address, "dev", "lo"])
                .args(nodad)
                .status();
            assert!(added.expect("it is installed").success(), "{address}");
        }
        let place = Place::new();
        let server = start(&place, settings);
        let operator = place.connect();
        Self {
            place,
            server,
            operator,
        }
    }

    /// Somebody connects from this address.
    fn connect(&self, from: &str) -> Person {
        let from: IpAddr = from.parse().expect("an address");
        let server = match from {
            IpAddr::V4(_) => "192.0.2.1",
            IpAddr::V6(_) => "2001:db8:1::1",
        };
        let server: IpAddr = server.parse().expect("an address");
        let to = SocketAddr::from((server, self.server.telnet().port()));
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).expect("a socket");
        let from = SocketAddr::from((from, 0));
        socket.bind(&from.into()).expect("it is ours");
        // The system takes a moment to know that an IPv6 address is its own.
        eventually("the network is there", || {
            socket.connect(&to.into()).is_ok()
        });
        Person::over(TcpStream::from(socket))
    }

    fn join(&self, name: &str, from: &str) -> Person {
        let mut person = self.connect(from);
        person.say(&format!("/name {name}"));
        person.skip_until(&format!("-- you are {name}"));
        person
    }

    /// Asks for something that is refused with these words, or done with words that begin so.
    #[track_caller]
    fn order(&mut self, command: &str, begins: &str) {
        let answer = self.operator.ask(command).pop().expect("an answer");
        assert!(answer.starts_with(begins), "{command}: {answer}");
    }

    /// Somebody who connects from there is told that they are banned.
    #[track_caller]
    fn expect_banned(&self, from: &str) {
        let mut person = self.connect(from);
        let told = person.read_line().expect("a farewell");
        assert!(told.starts_with("!! goodbye: you are banned"), "{told}");
        person.expect_end();
    }
}

fn start(place: &Place, settings: &[&str]) -> Server {
    let mut command = chatd();
    // One port for both families: nobody else is in this network.
    command.args(["-l", "192.0.2.1:3333", "-l", "[2001:db8:1::1]:3333"]);
    command.args(["-l", &place.endpoint(), "-o", "history-lines=0"]);
    for setting in settings {
        command.args(["-o", setting]);
    }
    let server = Server::spawn(&mut command);
    server.output.wait_for("listening ops://");
    server
}

/// Somebody at a door, from this address, who has said this.
fn begin(from: &str, to: SocketAddr, words: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from: IpAddr = from.parse().expect("an address");
    socket
        .bind(&SocketAddr::from((from, 0)).into())
        .expect("it is ours");
    socket.connect(&to.into()).expect("it listens");
    let mut stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(support::DEADLINE))
        .expect("a time");
    // It may have been closed by then.
    let _ = stream.write_all(words.as_bytes());
    stream
}

/// What comes until these words have come.
#[track_caller]
fn expect_words(mut stream: &TcpStream, words: &str) {
    let (mut read, mut buffer) = (String::new(), [0; 4096]);
    while !read.contains(words) {
        let length = stream.read(&mut buffer).expect("it is answered");
        assert_ne!(length, 0, "it was closed behind: {read}");
        read.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
}

/// More than may wait at a door begin to say what they want, all of one address: of those that one gives way, and not who
/// came before from elsewhere and is slow.
fn a_crowd_at_the_door() {
    let added = Command::new("ip")
        .args(["addr", "add", "192.0.2.1/24", "dev", "lo"])
        .status();
    assert!(added.expect("it is installed").success());
    let mut command = chatd();
    command.args(["-l", "http://192.0.2.1:0", "-l", "irc://192.0.2.1:0"]);
    let server = Server::spawn(&mut command);
    server.output.wait_for("listening irc://");
    let http = server.address("http");
    let head = ["GET / HTTP/1.1\r\nHost: 192.", "0.2.1\r\n\r\n"];
    let irc = ["NICK slow\r\n", "USER slow 0 * :slow\r\n"];
    let doors = [
        (http, head, "HTTP/1.1 200 OK\r\n"),
        (server.address("irc"), irc, " 001 "),
    ];
    for (to, [first, rest], answer) in doors {
        let mut slow = begin("192.0.2.7", to, first);
        let theirs = first.replace("slow", "others");
        let crowd: Vec<TcpStream> = (0..300).map(|_| begin("192.0.2.66", to, &theirs)).collect();
        slow.write_all(rest.as_bytes()).expect("it is open");
        expect_words(&slow, answer);
        // Its own oldest has gone, and its latest is waited for.
        let mut said = Vec::new();
        let _ = (&crowd[0]).read_to_end(&mut said);
        assert!(!String::from_utf8_lossy(&said).contains(answer));
        let mut last = &crowd[299];
        last.write_all(rest.as_bytes()).expect("it is open");
        expect_words(last, answer);
    }
}

fn who_shares_is_spared() {
    let mut scene = Scene::new(&[]);
    let [mut ann, mut bob, _eve] = ["ann", "bob", "eve"].map(|name| scene.join(name, SHARED));
    scene.order(
        "ban ann 2d spam",
        "!! 2 others are here from 198.51.100.7: bob, eve; kick or mute ann, or write force",
    );
    scene.order(
        "mute ann 1h spam",
        "-- mute 1: ann, this session only (2 others share 198.51.100.7) until ",
    );
    ann.say("hello");
    ann.skip_until("-- eve joined (3 here)");
    for _ in 0..2 {
        let told = ann.read_line().expect("it is told");
        assert!(told.starts_with("!! you are muted until "), "{told}");
        assert!(told.ends_with(": spam"), "{told}");
    }
    bob.say("I am not");
    ann.expect("<bob> I am not");
    // What ann said nobody heard.
    bob.skip_until("-- eve joined (3 here)");
    bob.expect_silence();
    scene.order("kick ann", "-- 1 session kicked");
    bob.expect("-- ann left: kicked (2 here)");
    scene.order("ban force 198.51.100.7 1h", "-- ban 2: 198.51.100.7 until ");
    scene.expect_banned(SHARED);
}

fn a_troll_is_kept_out() {
    let mut scene = Scene::new(&[]);
    let mut ann = scene.join("ann", SHARED);
    let trolls = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
    let mut people: Vec<Person> = (1..)
        .zip(trolls)
        .map(|(n, at)| scene.join(&format!("troll{n}"), at))
        .collect();
    scene.order("ban troll1 1h no ads", "-- ban 1: 203.0.113.1 until ");
    people[0].skip_until("-- troll3 joined (4 here)");
    let told = people[0].read_line().expect("a farewell");
    assert!(
        told.starts_with("!! goodbye: you are banned until "),
        "{told}"
    );
    assert!(told.ends_with(": no ads"), "{told}");
    scene.expect_banned("203.0.113.1");
    // From another address they come again, and the name is free.
    let _again = scene.join("troll1", "203.0.113.4");
    scene.order(
        "ban 203.0.113.0/24 forever",
        "-- ban 2: 203.0.113.0/24 forever; 3 sessions closed; until the server stops",
    );
    for troll in trolls {
        scene.expect_banned(troll);
    }
    scene.order(
        "forbid troll* forever",
        "-- name 3: troll* forever; 0 sessions renamed",
    );
    ann.say("/name troll9");
    ann.skip_until("!! troll9 is not allowed here");
    // Neighbours of the network are not met.
    let _bob = scene.join("bob", "198.51.100.8");
    scene.order(
        "ban 198.0.0.0/8 1h",
        "!! 198.0.0.0/8 is wider than /16: write force",
    );
    scene.order("unban 203.0.113.1", "-- ban 1 lifted: 203.0.113.1");
    scene.order(
        "unban 203.0.113.1",
        "!! 203.0.113.1 is banned by 203.0.113.0/24: lift 2",
    );
    scene.order("lift 2", "-- ban 2 lifted: 203.0.113.0/24");
    let _back = scene.join("eve", "203.0.113.1");
    let log = &scene.server.log;
    log.wait_for("rule n=2 kind=ban target=203.0.113.0/24 until=forever ");
    log.wait_for("rule-end n=2 why=lifted by=\"\"");
    log.wait_for("abuse from=203.0.113.1 reason=banned id=");
}

fn ipv6_is_met_by_64() {
    let mut scene = Scene::new(&[]);
    let mut ann = scene.join("ann", "2001:db8:1::7");
    let _bob = scene.join("bob", "2001:db8:2::7");
    scene.order("ban 2001:db8:1::99 1h", "-- ban 1: 2001:db8:1::/64 until ");
    ann.skip_until("-- bob joined (2 here)");
    let told = ann.read_line().expect("a farewell");
    assert!(
        told.starts_with("!! goodbye: you are banned until "),
        "{told}"
    );
    scene.expect_banned("2001:db8:1::7");
    let _eve = scene.join("eve", "2001:db8:2::7");
    scene.order("lift 1", "-- ban 1 lifted: 2001:db8:1::/64");
    scene.order(
        "ban 2001:db8:1::7/128 1h",
        "-- ban 2: 2001:db8:1::7/128 until ",
    );
    scene.expect_banned("2001:db8:1::7");
    let _neighbour = scene.join("ann", "2001:db8:1::1");
}

fn exempt_are_spared() {
    let mut scene = Scene::new(&["exempt=198.51.100.0/24", "sessions-per-address-max=1"]);
    let _people = ["ann", "bob"].map(|name| scene.join(name, "198.51.100.9"));
    scene.order(
        "ban 198.51.100.9 1h",
        "!! 198.51.100.9 is exempt: write force",
    );
    scene.order(
        "mute 198.51.100.9 1h",
        "!! 198.51.100.9 is exempt: write force",
    );
    scene.order(
        "ban 127.0.0.1 1h",
        "!! 127.0.0.1 is the loopback address: front ends come from there",
    );
    scene.order("ban force 198.51.100.9 1h", "-- ban 1: 198.51.100.9 until ");
    scene.expect_banned("198.51.100.9");
    let _eve = scene.join("eve", "203.0.113.2");
    let mut second = scene.connect("203.0.113.2");
    second.expect("!! goodbye: too many connections from your address");
}

fn rules_hold_over_a_restart() {
    let place = Place::new();
    let file = place.path().with_extension("bans").display().to_string();
    let setting = format!("bans-file={file}");
    let mut scene = Scene::new(&[&setting]);
    scene.order(
        "ban 203.0.113.2 forever spam",
        "-- ban 1: 203.0.113.2 forever; 0 sessions closed",
    );
    scene.order("mute 198.51.100.9 1h", "-- mute 2: 198.51.100.9 until ");
    let text = fs::read_to_string(&file).expect("it is written");
    assert!(text.starts_with("ban 203.0.113.2 forever at="), "{text}");
    // Killed, and not stopped.
    scene.server.signal(rustix::process::Signal::KILL);
    scene.server.wait();
    scene.server = start(&scene.place, &[&setting]);
    scene.operator = scene.place.connect();
    scene.expect_banned("203.0.113.2");
    let mut ann = scene.join("ann", "203.0.113.9");
    let mut eve = scene.connect("198.51.100.9");
    eve.say("hello");
    let is_told = |line: String| line.starts_with("!! you are muted until ");
    while !is_told(eve.read_line().expect("it is told")) {}
    ann.expect_silence();
    assert_eq!(scene.operator.ask("bans").len(), 3);
}

/// What `docs/operators.md` shows for the night, to the letter: a troll with three addresses, one of which others share, a
/// scanner, and a flood of connects.
fn the_page_for_the_night() {
    let page = include_str!("../docs/operators.md");
    let place = Place::new();
    let file = place.path().with_extension("bans").display().to_string();
    let setting = format!("bans-file={file}");
    let mut scene = Scene::new(&[&setting]);
    let nobody = "2001:db8:9::1/128";
    let added = Command::new("ip")
        .args(["addr", "add", nobody, "dev", "lo", "nodad"])
        .status();
    assert!(added.expect("it is installed").success());
    let [mut ann, mut bob] = ["ann", "bob"].map(|name| scene.join(name, SHARED));
    let mut cy = scene.join("cy", "203.0.113.9");
    let trolls = [SHARED, "203.0.113.5", "2001:db8:9::1"];
    let names = ["troll", "troll2", "troll3"];
    let mut trolls: Vec<Person> = (names.iter().zip(trolls))
        .map(|(name, from)| scene.join(name, from))
        .collect();
    scene.operator.order("as alice", "-- as alice");
    let (mut shown, mut happened) = (Vec::new(), Vec::new());
    for block in page.split("```console night\n").skip(1) {
        let block = block.split("```").next().expect("the block");
        for line in block.lines() {
            shown.push(without_numbers(line));
            let Some(command) = line.strip_prefix("$ chatd ctl ") else {
                continue;
            };
            if command.starts_with("lift ") {
                // Before it is undone: they are kept out, all of them, and nobody else.
                for from in [
                    "203.0.113.5",
                    "2001:db8:9::1",
                    "203.0.113.66",
                    "203.0.113.100",
                ] {
                    scene.expect_banned(from);
                }
                let _dan = scene.join("dan", "203.0.113.9");
                scene.connect(SHARED).skip_greeting();
            }
            happened.push(without_numbers(line));
            let told = scene.operator.ask(command);
            happened.extend(told.iter().map(|line| without_numbers(line)));
        }
    }
    assert!(shown.len() > 20, "{shown:#?}");
    assert_eq!(happened, shown);
    for troll in &mut trolls {
        let told = String::from_utf8_lossy(&troll.read_to_end()).into_owned();
        assert!(told.contains("!! goodbye: you "), "{told}");
    }
    // Those who share an address with one of them, or its network, are there and are heard.
    for (speaker, name) in [(&mut bob, "bob"), (&mut cy, "cy")] {
        speaker.say("good morning");
        ann.skip_until(&format!("<{name}> good morning"));
    }
    // The log tells who did it, when and why, and what was done holds over the night.
    let log = &scene.server.log;
    log.wait_for("as=alice command=\"kick troll advertising\" outcome=done");
    log.wait_for("rule n=2 kind=ban target=203.0.113.5 until=");
    log.wait_for(" by=alice sessions=1 reason=advertising");
    log.wait_for("rule-end n=6 why=lifted by=alice");
    scene.server.signal(rustix::process::Signal::KILL);
    scene.server.wait();
    scene.server = start(&scene.place, &[&setting]);
    scene.expect_banned("203.0.113.5");
    scene.expect_banned("2001:db8:9::1");
    let mut scanner = scene.join("eve", "203.0.113.66");
    scanner.say("/name troll");
    scanner.skip_until("!! troll is not allowed here");
}
