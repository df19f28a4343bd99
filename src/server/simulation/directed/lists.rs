//! Whom an IRC client knows to be there: a reader of the bytes that it got keeps the list as clients do, in a crowd that
//! comes, goes, moves and changes names faster than all of it is told.
//!
//! Nobody hears a line of somebody whose JOIN they did not get or whose name was not in their 353, and in no second more
//! than ten come, go or change names, but for those who speak then, and a name that somebody else takes. Nor do they hear
//! that somebody has gone whom they do not know, or that they have gone themselves. Nothing here looks into the server.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::super::OPERATORS;
use super::*;
use crate::random::Random;

const SEEDS: u64 = 40;
const STEPS: usize = 250;
const ROOMS: [&str; 2] = ["lobby", "games"];
const READERS: usize = 4;
/// At most this many come at once.
const BURST: usize = 30;
/// At most ten are told of one by one in any second, who come, go or change their names.
const TOLD_MAX: usize = 10;
/// By then all is told of those who have gone.
const ALL_TOLD: Duration = Duration::from_secs(120);

/// Somebody with telnet.
struct Person {
    client: usize,
    name: String,
    room: &'static str,
}

/// Somebody with an IRC client that keeps a list of who is there.
struct Reader {
    client: usize,
    name: String,
    /// What it was called before; that these go it may hear as the others do.
    former: BTreeSet<String>,
    is_slow: bool,
    got: Vec<u8>,
    /// The room where it was told to be.
    there: Option<String>,
    known: BTreeSet<String>,
    /// The list of names is still coming.
    is_listing: bool,
    /// Somebody has come or has this name now, and what follows is not heard yet: if they speak, that is why it was told.
    known_since: Option<(usize, String, Duration)>,
    /// How often it was told of who came, went and changed their name, one by one …
    told: [usize; 3],
    /// … and when, since it came to its room: each room tells at its own pace.
    told_here: [Vec<Duration>; 3],
    /// At most ten of them in so long a time.
    second: Duration,
    lines: usize,
}

impl Reader {
    /// `is_taken` says of a name whether somebody has come with it, or took it, just now.
    fn hear(&mut self, bytes: &[u8], now: Duration, is_taken: impl Fn(&str) -> bool) {
        self.got.extend_from_slice(bytes);
        while let Some(end) = self.got.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.got.drain(..=end).collect();
            let line = String::from_utf8(line).expect("text");
            assert!(line.ends_with("\r\n") && line.len() <= 512, "{line:?}");
            self.take(line.trim_end(), now, &is_taken);
        }
    }

    fn take(&mut self, line: &str, now: Duration, is_taken: impl Fn(&str) -> bool) {
        let Some((prefix, rest)) = line.strip_prefix(':').and_then(|it| it.split_once(' ')) else {
            assert!(
                line.starts_with("PING ") || line.starts_with("ERROR "),
                "{line}"
            );
            return;
        };
        let (nick, user) = prefix.split_once('!').unwrap_or((prefix, ""));
        let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let first = rest.split(' ').next().unwrap_or_default();
        let first = first.trim_start_matches(':');
        let before = self.known_since.take();
        if let Some((what, _, at)) = before.filter(|(_, name, _)| name != nick) {
            self.note(what, at);
        }
        let is_listed = matches!(verb, "353" | "366");
        assert!(!self.is_listing || is_listed, "amidst the names: {line}");
        if nick == self.name {
            return self.hear_of_itself(verb, first);
        }
        let place = self.there.clone();
        let is_there = place.as_deref() == Some(first);
        let who = format!("{} at {place:?}: {line}", self.name);
        match verb {
            "PRIVMSG" | "NOTICE" if user.starts_with("earlier@") || user.is_empty() => {}
            "PRIVMSG" | "NOTICE" => {
                assert!(is_there && self.known.contains(nick), "{who}");
                self.lines += 1;
            }
            "353" => {
                let (_, names) = rest.split_once(" :").expect("names");
                self.known.extend(names.split(' ').map(str::to_owned));
            }
            "366" => self.is_listing = false,
            "JOIN" => {
                assert!(is_there, "{who}");
                self.known.insert(nick.to_owned());
                self.known_since = Some((0, nick.to_owned(), now));
            }
            "PART" | "QUIT" => {
                assert!(place.is_some() && (verb == "QUIT" || is_there), "{who}");
                let is_former = verb == "QUIT" && self.former.remove(nick);
                assert!(self.known.remove(nick) || is_former, "{who}");
                self.note(1, now);
            }
            "NICK" => {
                assert!(self.known.remove(nick), "{who}");
                assert!(self.known.insert(first.to_owned()), "{who}");
                if is_taken(nick) {
                    self.told[2] += 1;
                } else {
                    self.known_since = Some((2, first.to_owned(), now));
                }
            }
            _ => assert!(verb.len() == 3 && user.is_empty(), "{who}"),
        }
    }

    fn hear_of_itself(&mut self, verb: &str, first: &str) {
        match verb {
            "JOIN" => {
                assert_eq!(self.there, None, "in one room at a time");
                self.there = Some(first.to_owned());
                self.known.clear();
                self.told_here = Default::default();
                self.is_listing = true;
            }
            "PART" => {
                assert_eq!(self.there.as_deref(), Some(first));
                self.there = None;
            }
            "NICK" => {
                if self.known.remove(&self.name) {
                    self.known.insert(first.to_owned());
                }
                let before = std::mem::replace(&mut self.name, first.to_owned());
                self.former.insert(before);
            }
            "QUIT" => panic!("{} has not gone", self.name),
            _ => {}
        }
    }

    fn note(&mut self, what: usize, now: Duration) {
        self.told[what] += 1;
        let told = &mut self.told_here[what];
        told.push(now);
        let since = told.iter().filter(|at| **at + self.second > now).count();
        // Who is slow gets much at once.
        assert!(
            self.is_slow || since <= TOLD_MAX,
            "{what}: {since} in a second at {:?}",
            self.there
        );
    }
}

/// All of them, at one server.
struct Crowd {
    bench: Bench,
    random: Random,
    people: Vec<Person>,
    readers: Vec<Reader>,
    /// The names with which somebody came into a room, or which they took, since all was last heard.
    taken: BTreeSet<String>,
    names: usize,
    said: usize,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut crowd = Self {
            bench: Bench::paced(LIMITS, ADMISSION, None),
            random: Random::new(seed),
            people: Vec::new(),
            readers: Vec::new(),
            taken: BTreeSet::new(),
            names: 0,
            said: 0,
        };
        crowd.bench.is_checked = false;
        for number in 0..READERS {
            let is_slow = number % 2 == 1;
            let from = SocketAddr::from(([127, 0, 0, 1], 1));
            let window = is_slow.then_some(700);
            let client = crowd.bench.network().connect(OPERATORS + 1, from, window);
            let name = format!("r{number}");
            let come = format!("NICK {name}\r\nUSER u 0 * :x\r\nJOIN #lobby\r\n");
            crowd.readers.push(Reader {
                client,
                name,
                former: BTreeSet::new(),
                is_slow,
                got: Vec::new(),
                there: None,
                known: BTreeSet::new(),
                is_listing: false,
                known_since: None,
                told: [0; 3],
                told_here: Default::default(),
                // It is heard a moment later or sooner than the server's time says.
                second: ms(999),
                lines: 0,
            });
            crowd.bench.settle();
            crowd.bench.send(client, come);
            crowd.settle();
        }
        crowd
    }

    /// A name that nobody has; it may be one that somebody had.
    fn free_name(&mut self) -> String {
        for _ in 0..5 {
            let name = format!("p{}", self.random.within(0..=60));
            let is_free = self.people.iter().all(|person| person.name != name);
            if is_free && self.readers.iter().all(|reader| reader.name != name) {
                return name;
            }
        }
        self.names += 1;
        format!("q{}", self.names)
    }

    fn someone(&mut self) -> Option<usize> {
        let last = self.people.len().checked_sub(1)?;
        Some(self.random.within(0..=last))
    }

    fn come(&mut self) {
        let (client, name) = (self.bench.knock(), self.free_name());
        self.bench.settle();
        self.bench.send(client, format!("/name {name}\n"));
        let room = ROOMS[0];
        self.taken.insert(name.clone());
        self.people.push(Person { client, name, room });
    }

    fn go(&mut self) {
        let Some(place) = self.someone() else { return };
        let person = self.people.swap_remove(place);
        if self.random.percent(50) {
            return self.bench.end(person.client);
        }
        self.bench.send(person.client, "/quit bye\n");
    }

    fn rename(&mut self) {
        let Some(place) = self.someone() else { return };
        let name = self.free_name();
        let person = &mut self.people[place];
        self.bench.send(person.client, format!("/name {name}\n"));
        person.name.clone_from(&name);
        self.taken.insert(name);
        // The name that is given up may be the next one's.
        self.bench.settle();
    }

    fn move_on(&mut self) {
        let Some(place) = self.someone() else { return };
        let person = &mut self.people[place];
        let to = if person.room == ROOMS[0] {
            ROOMS[1]
        } else {
            ROOMS[0]
        };
        self.bench.send(person.client, format!("/join {to}\n"));
        person.room = to;
        self.taken.insert(person.name.clone());
    }

    fn say(&mut self) {
        let Some(place) = self.someone() else { return };
        let act = if self.random.percent(30) { "/me " } else { "" };
        self.said += 1;
        let line = format!("{act}line {}\n", self.said);
        self.bench.send(self.people[place].client, line);
    }

    /// One of the readers does something.
    fn read_on(&mut self) {
        let place = self.random.within(0..=READERS - 1);
        let does = self.random.within(0..=6);
        let name = self.free_name();
        let reader = &self.readers[place];
        let (client, there) = (reader.client, reader.there.clone());
        let line = match (does, there) {
            (0, Some(room)) => format!("PART {room}"),
            (1, _) => "JOIN #lobby".to_owned(),
            (2, _) => "JOIN #games".to_owned(),
            (3, Some(room)) => format!("NOTICE {room} :note"),
            (4, _) if self.random.percent(50) => format!("NICK r{place}"),
            (4, _) => format!("NICK {name}"),
            (_, Some(room)) => format!("PRIVMSG {room} :word"),
            (_, None) => return,
        };
        let (own, taken) = (reader.name.clone(), line.strip_prefix("NICK "));
        self.taken
            .extend([own, taken.unwrap_or_default().to_owned()]);
        let is_said = line.starts_with("PRIVMSG") || line.starts_with("NOTICE");
        self.bench.send(client, format!("{line}\r\n"));
        if !is_said {
            // It reads what it was told, so that it is known where and who it is.
            self.settle();
        }
    }

    /// What waits at this time is done, and everybody hears it.
    fn settle(&mut self) {
        loop {
            self.bench.settle();
            let mut waits = false;
            for place in 0..self.readers.len() {
                waits |= self.take(place, usize::MAX);
            }
            if !waits {
                return;
            }
        }
    }

    /// A reader takes so much; gives whether there was something.
    fn take(&mut self, place: usize, bytes: usize) -> bool {
        let now = self.bench.now();
        let reader = &mut self.readers[place];
        let network = self.bench.network();
        let waits = network.connections[reader.client].is_takeable();
        network.take(reader.client, bytes);
        let got = std::mem::take(&mut network.connections[reader.client].received);
        if got.is_empty() {
            return waits;
        }
        let taken = &self.taken;
        reader.hear(&got, now, |name| taken.contains(name));
        waits
    }

    fn step(&mut self) {
        let many = if self.random.percent(10) {
            self.random.within(5..=BURST)
        } else {
            1
        };
        let does = self.random.within(0..=99);
        for _ in 0..many {
            match does {
                0..=24 => self.come(),
                25..=44 => self.go(),
                45..=54 => self.rename(),
                55..=64 => self.move_on(),
                65..=84 => self.say(),
                _ => self.read_on(),
            }
        }
        let time = ms(self.random.within(0..=300) as u64);
        self.pass(time);
        for place in 0..self.readers.len() {
            let bytes = if self.readers[place].is_slow {
                200
            } else {
                usize::MAX
            };
            self.take(place, bytes);
        }
    }

    /// Time passes turn by turn, so that it is known when something was heard.
    fn pass(&mut self, time: Duration) {
        let until = self.bench.now() + time;
        while self.bench.now() < until {
            self.bench.settle();
            self.hear_at_once();
            let next = self
                .bench
                .server
                .wakes_at()
                .map_or(until, |at| at.min(until));
            let now = self.bench.now();
            self.bench.pass(next.saturating_sub(now).max(ms(1)));
            self.hear_at_once();
        }
        self.bench.settle();
        self.hear_at_once();
        self.taken.clear();
        for person in &self.people {
            self.bench.server.network().connections[person.client]
                .received
                .clear();
        }
    }

    fn hear_at_once(&mut self) {
        for place in 0..self.readers.len() {
            if !self.readers[place].is_slow {
                self.take(place, usize::MAX);
            }
        }
    }

    /// When all was told and everybody has spoken, everybody knows those who are there, and no others.
    fn check(&mut self) {
        let until = self.bench.now() + ALL_TOLD;
        while self.bench.now() < until {
            self.bench.pass(ms(50));
            self.settle();
        }
        for person in &self.people {
            self.bench.server.network().connections[person.client].send(b"at last\n");
            self.bench
                .server
                .network()
                .deliver(person.client, usize::MAX);
        }
        let rooms: Vec<(String, String)> = self
            .readers
            .iter()
            .filter_map(|reader| Some((reader.there.clone()?, reader.name.clone())))
            .collect();
        for place in 0..self.readers.len() {
            if let Some(room) = self.readers[place].there.clone() {
                let client = self.readers[place].client;
                self.bench
                    .send(client, format!("PRIVMSG {room} :at last\r\n"));
            }
        }
        self.settle();
        self.bench.pass(ms(2000));
        self.settle();
        for reader in &self.readers {
            let Some(room) = &reader.there else { continue };
            let people = self
                .people
                .iter()
                .map(|it| (format!("#{}", it.room), it.name.clone()));
            let there = people.chain(rooms.iter().cloned());
            let there: BTreeSet<String> = there
                .filter(|(at, _)| at == room)
                .map(|(_, name)| name)
                .collect();
            let differs: Vec<_> = reader.known.symmetric_difference(&there).collect();
            assert!(
                differs.is_empty(),
                "{} does not know, or should not: {differs:?}",
                reader.name
            );
        }
    }
}

#[test]
fn who_keeps_a_list_knows_everybody_of_whom_they_hear() {
    let (mut lines, mut told) = (0, [0; 3]);
    for seed in 0..SEEDS {
        let mut crowd = Crowd::new(seed);
        for _ in 0..STEPS {
            crowd.step();
        }
        crowd.check();
        for reader in &crowd.readers {
            lines += reader.lines;
            for (sum, count) in told.iter_mut().zip(reader.told) {
                *sum += count;
            }
        }
    }
    println!("{lines} lines, {told:?} told one by one");
    let least = lines.min(told[0]).min(told[1]).min(told[2]);
    assert!(least > 1000, "so little proves nothing: {lines}, {told:?}");
}

#[test]
fn ten_thousand_come_and_go_in_ten_seconds_and_of_ten_a_second_is_told() {
    let mut crowd = Crowd::new(0);
    for reader in &mut crowd.readers {
        // What is told to thousands reaches one a little sooner or later than the other.
        reader.second = ms(900);
    }
    let begin = crowd.bench.now();
    for step in 0..130 {
        for _ in 0..if step < 100 { 100 } else { 0 } {
            crowd.come();
        }
        crowd.bench.settle();
        (0..5).for_each(|_| crowd.say());
        for _ in 0..if step < 30 { 0 } else { 100 } {
            crowd.go();
        }
        crowd.pass(ms(60));
    }
    assert!(crowd.people.is_empty());
    assert!(crowd.bench.now() <= begin + ms(10_000));
    crowd.check();
    for reader in crowd.readers.iter().filter(|reader| !reader.is_slow) {
        // Of as many as may be told of, and of those who spoke.
        let [came, went, _] = reader.told;
        assert!((60..=110).contains(&came), "{came} came");
        assert!((400..=900).contains(&went), "{went} went");
        assert!(reader.lines >= 500, "{} lines", reader.lines);
    }
}

/// Thirty people of whom a reader knows, who has heard all that was told; the reader is the first one, and quick.
fn thirty_known() -> Crowd {
    let mut crowd = Crowd::new(0);
    for number in 0..30 {
        let client = crowd.bench.knock();
        crowd.bench.settle();
        let name = format!("old{number}");
        crowd.bench.send(client, format!("/name {name}\n"));
        let room = ROOMS[0];
        crowd.people.push(Person { client, name, room });
        crowd.pass(ms(200));
    }
    crowd.pass(ms(3000));
    crowd
}

impl Crowd {
    fn call(&mut self, place: usize, name: &str) {
        self.people[place].name = name.to_owned();
        self.taken.insert(name.to_owned());
        let client = self.people[place].client;
        self.bench.send(client, format!("/name {name}\n"));
    }

    /// What the first reader is told from now on, for so long, without the words that all have in common.
    fn hears(&mut self, time: Duration) -> Vec<String> {
        let until = self.bench.now() + time;
        let client = self.readers[0].client;
        let mut got = Vec::new();
        loop {
            self.bench.settle();
            let now = self.bench.now();
            let network = self.bench.network();
            network.take(client, usize::MAX);
            let bytes = std::mem::take(&mut network.connections[client].received);
            let taken = &self.taken;
            self.readers[0].hear(&bytes, now, |name| taken.contains(name));
            got.extend_from_slice(&bytes);
            self.hear_at_once();
            if now >= until {
                break;
            }
            self.bench.pass(ms(10).min(until.saturating_sub(now)));
        }
        let text = String::from_utf8(got).expect("text");
        let short = |line: &str| line.replace("!telnet@chatd", "").replace(" #lobby", "");
        text.lines().map(short).collect()
    }
}

#[test]
fn of_ten_names_a_second_is_told_and_the_others_wait() {
    let mut crowd = thirty_known();
    for place in 0..30 {
        crowd.call(place, &format!("new{place}"));
    }
    let expected = |numbers: std::ops::Range<usize>| -> Vec<String> {
        let told = |number| format!(":old{number} NICK :new{number}");
        numbers.map(told).collect()
    };
    assert_eq!(crowd.hears(ms(900)), expected(0..10));
    assert_eq!(crowd.hears(ms(1000)), expected(10..20));
    assert_eq!(crowd.hears(ms(1000)), expected(20..30));
    assert!(crowd.hears(ms(5000)).is_empty());
    crowd.check();
}

#[test]
fn a_name_that_waits_is_told_right_before_the_next_line_and_once() {
    let mut crowd = thirty_known();
    for place in 0..30 {
        crowd.call(place, &format!("new{place}"));
    }
    assert_eq!(crowd.hears(ms(500)).len(), 10);
    // One speaks, one takes a third name, one the first again, one goes, and one takes a name that another one gave up.
    crowd.bench.send(crowd.people[20].client, "hello\n");
    let told = crowd.hears(ms(0));
    assert_eq!(told, [":old20 NICK :new20", ":new20 PRIVMSG :hello"]);
    crowd.call(21, "newer");
    crowd.call(22, "old22");
    crowd.bench.send(crowd.people[23].client, "/quit bye\n");
    assert!(crowd.hears(ms(0)).is_empty());
    crowd.call(25, "old24");
    assert_eq!(crowd.hears(ms(0)), [":old24 NICK :new24"]);
    // A newcomer hears of those whom the others know.
    let from = SocketAddr::from(([127, 0, 0, 1], 1));
    let client = crowd.bench.network().connect(OPERATORS + 1, from, None);
    crowd.bench.settle();
    crowd
        .bench
        .send(client, "NICK r9\r\nUSER u 0 * :x\r\nJOIN #lobby\r\n");
    crowd.bench.settle();
    crowd.bench.network().take(client, usize::MAX);
    let got = std::mem::take(&mut crowd.bench.network().connections[client].received);
    let names = String::from_utf8(got).expect("text").replace("\r\n", " ");
    for name in [
        "new20", "old21", "old22", "old23", "new24", "old25", "old26",
    ] {
        assert!(names.contains(&format!(" {name} ")), "{name}: {names}");
    }
    for name in [
        "new21", "newer", "new22", "new23", "old24", "new25", "new26",
    ] {
        assert!(!names.contains(&format!(" {name} ")), "{name}: {names}");
    }
    crowd.people.remove(23);
    let mut told = crowd.hears(ms(3000));
    told.retain(|line| !line.contains("JOIN"));
    assert_eq!(
        told[..3],
        [
            ":old10 NICK :new10",
            ":old11 NICK :new11",
            ":old12 NICK :new12"
        ]
    );
    assert_eq!(
        told[10..],
        [
            ":old21 NICK :newer",
            ":old23 QUIT :bye",
            ":old25 NICK :old24",
            ":old26 NICK :new26",
            ":old27 NICK :new27",
            ":old28 NICK :new28",
            ":old29 NICK :new29",
        ]
    );
    // What is said last is said by those who are here: of the newcomer this crowd knows nothing.
    crowd.bench.end(client);
    crowd.hears(ms(100));
    crowd.check();
}
