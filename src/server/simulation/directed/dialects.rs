//! Whatever they speak, all hear the same in the same order: people, programs, IRC clients and browsers, who go from room
//! to room while they read slowly.
//!
//! Each line is said in a turn of its own, so that it is known in which order they were; what a client makes of its bytes
//! is decoded here anew.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;
use serde_json::Value;

use super::super::script::wire_line;
use super::super::{DOORS, LISTENERS, OPERATORS};
use super::*;
use crate::dialect::Dialect;
use crate::random::Random;

const SEEDS: u64 = 60;
const STEPS: usize = 120;
const ROOMS: [&str; 3] = ["lobby", "games", "help"];

const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Who said what.
type Said = (String, String);

/// Somebody at one of the listeners.
struct Client {
    dialect: Dialect,
    number: usize,
    name: String,
    room: &'static str,
    /// What was said where they were, but by themselves where their dialect does not tell that.
    due: Vec<Said>,
    got: Vec<u8>,
    /// Where an IRC client was told to be, and whom it knows to be there.
    there: String,
    known: BTreeSet<String>,
    heard: Vec<Said>,
}

/// The listener at which a dialect is spoken.
fn listener_of(dialect: Dialect) -> usize {
    let plain = LISTENERS.iter().position(|it| *it == dialect);
    let behind_a_door = DOORS.iter().position(|it| *it == dialect);
    let door = || OPERATORS + 1 + behind_a_door.expect("a dialect that is spoken");
    plain.unwrap_or_else(door)
}

/// A text frame of a browser.
fn frame(text: &str) -> Vec<u8> {
    let length = 0x80 | u8::try_from(text.len()).expect("a short line");
    [&[0x81, length, 0, 0, 0, 0], text.as_bytes()].concat()
}

impl Client {
    fn spell(&self, text: &str) -> Vec<u8> {
        match self.dialect {
            Dialect::Web => frame(text),
            _ => format!("{text}\r\n").into_bytes(),
        }
    }

    /// How they come and take their name; in IRC they are in no room before they go to one.
    fn preface(&self) -> Vec<u8> {
        let name = &self.name;
        match self.dialect {
            Dialect::Telnet => self.spell(&format!("/name {name}")),
            Dialect::Wire => self.spell(&wire_line("NAME", &[name])),
            Dialect::Irc => self.spell(&format!("NICK {name}\r\nUSER u 0 * :x\r\nJOIN #lobby")),
            Dialect::Web => [UPGRADE.as_bytes(), &frame(&format!("/name {name}"))].concat(),
        }
    }

    fn say(&self, words: &str) -> Vec<u8> {
        let room = self.room;
        match self.dialect {
            Dialect::Wire => self.spell(&wire_line("CHAT", &["x", words])),
            Dialect::Irc => self.spell(&format!("PRIVMSG #{room} :{words}")),
            Dialect::Telnet | Dialect::Web => self.spell(words),
        }
    }

    fn join(&self, room: &str) -> Vec<u8> {
        match self.dialect {
            Dialect::Wire => self.spell(&wire_line("JOIN", &[room])),
            Dialect::Irc => self.spell(&format!("JOIN #{room}")),
            Dialect::Telnet | Dialect::Web => self.spell(&format!("/join {room}")),
        }
    }

    /// Understands what it has got, as far as that is whole.
    fn hear(&mut self, bytes: &[u8]) {
        self.got.extend_from_slice(bytes);
        if self.dialect == Dialect::Web {
            return self.hear_frames();
        }
        while let Some(end) = self.got.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.got.drain(..=end).collect();
            let line = String::from_utf8(line).expect("text");
            let line = line.trim_end();
            match self.dialect {
                Dialect::Telnet => self.hear_telnet(line),
                Dialect::Wire => self.hear_wire(line),
                _ => self.hear_irc(line),
            }
        }
    }

    fn hear_telnet(&mut self, line: &str) {
        let said = line.strip_prefix('<').and_then(|it| it.split_once("> "));
        if let Some((name, words)) = said {
            self.heard.push((name.to_owned(), words.to_owned()));
        }
    }

    fn hear_wire(&mut self, line: &str) {
        let mut fields = line.split(' ');
        if fields.next() != Some("CHAT") {
            return;
        }
        let decoded = fields.map(|field| BASE64.decode(field).expect("base64"));
        let texts: Vec<String> = decoded
            .map(|it| String::from_utf8(it).expect("text"))
            .collect();
        let [name, words] = &texts[..] else {
            panic!("{line}");
        };
        self.heard.push((name.clone(), words.clone()));
    }

    /// What is told of the past comes from a user who is called so, and nobody need be there who said it.
    fn hear_irc(&mut self, line: &str) {
        let Some((prefix, rest)) = line.strip_prefix(':').and_then(|it| it.split_once(' ')) else {
            return;
        };
        let (nick, user) = prefix.split_once('!').unwrap_or((prefix, ""));
        let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let (place, text) = rest.split_once(" :").unwrap_or((rest, rest));
        match verb {
            "PRIVMSG" if user.starts_with("earlier@") => {}
            "PRIVMSG" => {
                assert_eq!(place, self.there, "{} {line}", self.name);
                assert!(
                    self.known.contains(nick),
                    "{} knows nobody: {line}",
                    self.name
                );
                self.heard.push((nick.to_owned(), text.to_owned()));
            }
            "353" => self.known.extend(text.split(' ').map(str::to_owned)),
            "JOIN" if nick == self.name => {
                text.clone_into(&mut self.there);
                self.known.clear();
            }
            "JOIN" => _ = self.known.insert(nick.to_owned()),
            // Where many go, some are told of late, and then also to those who have come meanwhile and never knew them.
            "PART" | "QUIT" => _ = self.known.remove(nick),
            "NICK" if self.known.remove(nick) => {
                self.known.insert(text.trim_start_matches(':').to_owned());
            }
            _ => {}
        }
    }

    fn hear_frames(&mut self) {
        if self.got.starts_with(b"HTTP/1.1 101 ") {
            let head = String::from_utf8_lossy(&self.got).into_owned();
            let Some(end) = head.find("\r\n\r\n") else {
                return;
            };
            self.got.drain(..end + 4);
        }
        loop {
            // A ping has no text.
            if self.got.starts_with(&[0x89, 0]) {
                self.got.drain(..2);
            }
            let (head, length) = match self.got[..] {
                [0x81, 127, ..] => panic!("too long for what is said here"),
                [0x81, 126, high, low, ..] => (4, usize::from(high) << 8 | usize::from(low)),
                [0x81, length, ..] if length < 126 => (2, usize::from(length)),
                [] | [0x81 | 0x89] | [0x81, 126, ..] | [b'H', ..] => return,
                ref other => panic!("{:?}", &other[..other.len().min(20)]),
            };
            if self.got.len() < head + length {
                return;
            }
            let json: Value = serde_json::from_slice(&self.got[head..head + length]).expect("JSON");
            self.got.drain(..head + length);
            if json["t"] == "said" {
                let text = |key| json[key].as_str().expect("text").to_owned();
                self.heard.push((text("n"), text("x")));
            }
        }
    }
}

/// All of them, at one server.
struct Party {
    bench: Bench,
    random: Random,
    clients: Vec<Client>,
    said: usize,
}

impl Party {
    fn new(seed: u64) -> Self {
        let limits = Limits {
            pace_max: (seed.is_multiple_of(2)).then_some(ms(100)),
            ..LIMITS
        };
        let mut party = Self {
            bench: Bench::paced(limits, ADMISSION, limits.pace_max),
            random: Random::new(seed),
            clients: Vec::new(),
            said: 0,
        };
        party.bench.server.event_loop.set_addresses(&[]);
        let network = party.bench.network();
        network.random = Random::new(!seed);
        for place in 0..12 {
            party.come(place % 4, place / 4);
        }
        // The answer to a browser goes out whole or not at all: nothing was ever written to it before.
        party.bench.network().faults.short_writes = 40;
        party
    }

    fn come(&mut self, dialect: usize, number: usize) {
        let dialect = [Dialect::Telnet, Dialect::Wire, Dialect::Irc, Dialect::Web][dialect];
        let is_slow = self.random.percent(50);
        let window = is_slow.then(|| self.random.pick(&[300, 1000]));
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        let name = format!("{dialect}{number}");
        let number = self
            .bench
            .network()
            .connect(listener_of(dialect), from, window);
        let client = Client {
            dialect,
            number,
            name,
            room: "lobby",
            due: Vec::new(),
            got: Vec::new(),
            there: String::new(),
            known: BTreeSet::new(),
            heard: Vec::new(),
        };
        let preface = client.preface();
        self.clients.push(client);
        self.bench.settle();
        self.bench.send(number, preface);
        self.settle();
    }

    /// Everybody takes all that waits for them.
    fn settle(&mut self) {
        loop {
            self.bench.pass(ms(300));
            let mut waits = false;
            for place in 0..self.clients.len() {
                waits |= self.bench.network().connections[self.clients[place].number].is_takeable();
                self.take(place, usize::MAX);
            }
            if !waits {
                return;
            }
        }
    }

    fn take(&mut self, place: usize, bytes: usize) {
        let client = &mut self.clients[place];
        let network = self.bench.network();
        network.take(client.number, bytes);
        let got = std::mem::take(&mut network.connections[client.number].received);
        client.hear(&got);
    }

    /// One says something, or goes somewhere and says something there, in one packet.
    fn step(&mut self) {
        let place = self.random.within(0..=self.clients.len() - 1);
        let mut packet = Vec::new();
        for _ in 0..self.random.within(1..=4) {
            let room = self.random.pick(&ROOMS);
            let moves = self.random.percent(40) && room != self.clients[place].room;
            if moves {
                packet.extend(self.clients[place].join(room));
                self.clients[place].room = room;
            } else {
                self.said += 1;
                let words = format!("w{}", self.said);
                packet.extend(self.clients[place].say(&words));
                self.expect(place, &words);
            }
        }
        let number = self.clients[place].number;
        self.bench.send(number, packet);
        self.bench.settle();
        for place in 0..self.clients.len() {
            let bytes = self.random.within(0..=400);
            if self.random.percent(50) {
                self.take(place, bytes);
            }
        }
    }

    fn expect(&mut self, author: usize, words: &str) {
        let (name, room) = (self.clients[author].name.clone(), self.clients[author].room);
        for (place, client) in self.clients.iter_mut().enumerate() {
            let hears_own = client.dialect == Dialect::Web;
            if client.room == room && (place != author || hears_own) {
                client.due.push((name.clone(), words.to_owned()));
            }
        }
    }

    fn check(&mut self) {
        self.settle();
        for client in &self.clients {
            assert_eq!(client.heard, client.due, "{}", client.name);
        }
    }
}

#[test]
fn whatever_they_speak_all_hear_the_same_in_the_same_order() {
    let mut heard = BTreeMap::<String, usize>::new();
    for seed in 0..SEEDS {
        let mut party = Party::new(seed);
        for _ in 0..STEPS {
            party.step();
        }
        party.check();
        for client in &party.clients {
            *heard.entry(client.dialect.to_string()).or_default() += client.heard.len();
        }
    }
    assert_eq!(heard.len(), 4);
    let few = heard.values().find(|lines| **lines < 1000);
    assert_eq!(few, None, "so little proves nothing: {heard:?}");
}
