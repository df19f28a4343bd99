//! People who go from room to room while others talk, over real sockets, and some of them read slowly: each hears what
//! was said in a room while they were there, all of it, in its order, and nothing else.

mod support;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use support::random::Random;
use support::server::Server;
use support::DEADLINE;

/// Who comes back to the lobby is shown only what was said there meanwhile.
const ROOMS: [&str; 3] = ["lobby", "games", "attic"];

/// How many there are of each. There is an audience, so that those who are slow are never more than a quarter of a
/// room: for such a room talkers would wait.
const CROWD: [(Kind, usize); 5] = [
    (Kind::Witness, ROOMS.len()),
    (Kind::Audience, 18),
    (Kind::Talker, 6),
    (Kind::Mover, 6),
    (Kind::Slow, 3),
];

/// How much a talker says.
const LINES: usize = 250;
/// How often those move who do.
const MOVES: usize = 30;

/// What a newcomer to a room is shown of what was said before.
const EARLIER_MAX: usize = 5;

/// Ends each line that is said, so that one that is torn is known.
const FILLER: &str =
    "and so on and so forth, as people talk who were asked to fill a line to the very end of it";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What this one hears is what was said in the room, for nobody else speaks of it.
    Witness,
    Audience,
    Talker,
    /// Goes on when it has heard that it has come.
    Mover,
    /// Sends all at once that it does, and reads 2 kB a second.
    Slow,
}

#[test]
fn who_moves_hears_each_room_whole_and_in_order_however_slowly_they_read() {
    assert_eq!(play(&[]), 0, "somebody was too slow");
}

/// Those who are closed have heard nothing wrong until then.
#[test]
fn nobody_else_misses_a_line_where_those_who_move_are_closed_for_being_slow() {
    let closed = play(&["queue-bytes-max=32k"]);
    assert!(closed > 0, "nobody was too slow");
}

/// Something that was said: by whom, and which of their lines it is.
type Said = (String, usize);

enum Tidings {
    /// Something was said in this room.
    Said(usize, Said),
    /// Somebody was closed.
    Closed(String),
}

/// Lets them all do what they do, and sees that each has heard what they had to; gives how many were closed for being
/// slow.
fn play(settings: &[&str]) -> usize {
    let earlier = format!("history-lines={EARLIER_MAX}");
    let ours = [
        "lines-per-second=50",
        "lines-burst=20",
        "send-buffer-bytes=4k",
        &earlier,
    ];
    let server = Server::start(&[&ours, settings].concat());
    let crowd = CROWD.iter().flat_map(|(kind, count)| {
        let all = (0..*count).map(|n| Person::new(&server, *kind, n));
        all.collect::<Vec<_>>()
    });
    let mut crowd: Vec<Person> = crowd.collect();
    for person in &mut crowd {
        person.read_until("ready");
    }
    let (tell, tidings) = mpsc::channel();
    let is_over = AtomicBool::new(false);
    let awaited = crowd.iter().filter_map(Person::last_words).collect();
    let (crowd, said) = thread::scope(|scope| {
        let streams: Vec<TcpStream> = crowd.iter().map(Person::stream).collect();
        let listeners = crowd.into_iter().map(|mut person| {
            let (tell, is_over) = (tell.clone(), &is_over);
            let (mut stream, at_once) = (person.stream(), person.at_once());
            // Who is closed meanwhile cannot say all.
            scope.spawn(move || stream.write_all(at_once.as_bytes()));
            scope.spawn(move || {
                person.listen(&tell, is_over);
                person
            })
        });
        let listeners: Vec<_> = listeners.collect();
        drop(tell);
        let mut said = hear(&tidings, awaited);
        is_over.store(true, Ordering::Relaxed);
        for mut stream in &streams {
            // Some are closed.
            let _ = stream.write_all(b"/end\r\n");
        }
        let crowd = listeners.into_iter().map(|it| it.join().expect("it reads"));
        let crowd: Vec<Person> = crowd.collect();
        for news in tidings {
            note(&mut said, news);
        }
        (crowd, said)
    });
    for person in &crowd {
        person.check(&said);
    }
    let closed: Vec<&Person> = crowd.iter().filter(|it| it.is_closed).collect();
    assert!(closed.iter().all(|it| it.kind == Kind::Slow), "{closed:?}");
    let told = server.log.matching("reason=slow-consumer");
    assert_eq!(told.len(), closed.len(), "{told:?}");
    closed.len()
}

/// Hears what is said until all is said that is awaited, of those who are not closed; gives it by room.
fn hear(tidings: &Receiver<Tidings>, mut awaited: BTreeSet<Said>) -> Vec<Vec<Said>> {
    let mut said = vec![Vec::new(); ROOMS.len()];
    while !awaited.is_empty() {
        let news = tidings.recv_timeout(DEADLINE);
        let news = news.unwrap_or_else(|_| panic!("never said: {awaited:?}"));
        match &news {
            Tidings::Said(_, it) => _ = awaited.remove(it),
            Tidings::Closed(name) => awaited.retain(|(awaited, _)| awaited != name),
        }
        note(&mut said, news);
    }
    said
}

fn note(said: &mut [Vec<Said>], news: Tidings) {
    if let Tidings::Said(room, it) = news {
        said[room].push(it);
    }
}

#[derive(Debug)]
struct Person {
    name: String,
    kind: Kind,
    /// The rooms in which it is, one after the other.
    route: Vec<usize>,
    stream: TcpStream,
    unread: Vec<u8>,
    /// Since the talk began.
    heard: Vec<String>,
    is_closed: bool,
}

impl Person {
    fn new(server: &Server, kind: Kind, n: usize) -> Self {
        let mut random = Random::new(n as u64);
        let moves = match kind {
            Kind::Witness | Kind::Audience | Kind::Talker => 0,
            Kind::Mover | Kind::Slow => MOVES,
        };
        let mut route = vec![n % ROOMS.len()];
        for _ in 0..moves {
            let last = route[route.len() - 1];
            route.push((last + random.within(1..=ROOMS.len() - 1)) % ROOMS.len());
        }
        let mut stream = TcpStream::connect(server.telnet()).expect("the server listens");
        let deadline = stream.set_read_timeout(Some(DEADLINE));
        deadline.expect("more than nothing");
        // What the kernel keeps for the slow ones is little beside what is said; for the others it may keep all, so
        // that nobody else is slow on a busy machine.
        let bytes = if kind == Kind::Slow { 4096 } else { 200 * 1024 };
        let sized = SockRef::from(&stream).set_recv_buffer_size(bytes);
        sized.expect("it can be set");
        let name = format!("{kind:?}{n}").to_lowercase();
        let begin = format!("/name {name}\r\n/join {}\r\n/ready\r\n", ROOMS[route[0]]);
        stream.write_all(begin.as_bytes()).expect("it is taken");
        Self {
            name,
            kind,
            route,
            stream,
            unread: Vec::new(),
            heard: Vec::new(),
            is_closed: false,
        }
    }

    fn stream(&self) -> TcpStream {
        self.stream.try_clone().expect("a socket")
    }

    /// What takes it to the place `n` of its route.
    fn packet(&self, n: usize) -> String {
        let (from, to) = (self.route[n - 1], self.route[n]);
        let go = format!("/join {}\r\n", ROOMS[to]);
        line(2 * n - 1, from) + &go + &line(2 * n, to)
    }

    /// What it sends when the talk begins.
    fn at_once(&self) -> String {
        match self.kind {
            Kind::Witness | Kind::Audience => String::new(),
            Kind::Talker => (0..LINES).map(|n| line(n, self.route[0])).collect(),
            Kind::Mover => self.packet(1),
            Kind::Slow => (1..=MOVES).map(|n| self.packet(n)).collect(),
        }
    }

    fn last_words(&self) -> Option<Said> {
        let last = match self.kind {
            Kind::Witness | Kind::Audience => return None,
            Kind::Talker => LINES - 1,
            Kind::Mover | Kind::Slow => 2 * MOVES,
        };
        Some((self.name.clone(), last))
    }

    /// Reads a little; gives the lines that are whole by then. None come any more when it is closed.
    fn read(&mut self, bytes_max: usize) -> Vec<String> {
        let mut buffer = vec![0; bytes_max];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.is_closed = true,
            Ok(length) => self.unread.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => self.is_closed = true,
            Err(error) => panic!("{}: {error}, after {:#?}", self.name, self.heard.last()),
        }
        let whole = self.unread.iter().rposition(|byte| *byte == b'\n');
        let lines = self.unread.drain(..whole.map_or(0, |last| last + 1));
        let text = String::from_utf8(lines.collect()).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    /// Reads all that was done before this was asked.
    fn read_until(&mut self, asked: &str) {
        while !self.read(16 * 1024).iter().any(|line| answers(line, asked)) {
            assert!(!self.is_closed, "{} is closed", self.name);
        }
    }

    /// Hears all until it is asked for the end, or closed.
    fn listen(&mut self, tell: &Sender<Tidings>, is_over: &AtomicBool) {
        let mut moves = 1;
        loop {
            let is_slow = self.kind == Kind::Slow && !is_over.load(Ordering::Relaxed);
            let lines = self.read(if is_slow { 256 } else { 16 * 1024 });
            for line in lines {
                if answers(&line, "end") {
                    return;
                }
                if self.kind == Kind::Mover && line.starts_with("-- you left ") && moves < MOVES {
                    moves += 1;
                    let packet = self.packet(moves);
                    self.stream.write_all(packet.as_bytes()).expect("it stays");
                }
                if self.kind == Kind::Witness {
                    let here = self.route[0];
                    let news = said(&line, here).map(|said| Tidings::Said(here, said));
                    news.map_or(Ok(()), |it| tell.send(it)).expect("heard");
                }
                self.heard.push(line);
            }
            if self.is_closed {
                let closed = Tidings::Closed(self.name.clone());
                return tell.send(closed).expect("it is heard");
            }
            if is_slow {
                thread::sleep(Duration::from_millis(125));
            }
        }
    }

    /// Sees that it has heard what it had to of what was said in each room.
    fn check(&self, said: &[Vec<Said>]) {
        let stays = self.stays();
        assert!(self.is_closed || stays.len() == self.route.len());
        let mut seen_of_lobby = 0;
        for (n, stay) in stays.iter().enumerate() {
            let is_last = n + 1 == stays.len();
            let said = &said[stay.room];
            let whose = format!("{} at {n}", self.name);
            if is_last && self.is_closed && stay.live.is_empty() {
                // It was closed while it was shown what was said before.
                let is_shown = |earlier: &[Said]| earlier.starts_with(&stay.earlier);
                let shown = (0..=said.len()).any(|from| is_shown(&said[from..]));
                assert!(shown, "{whose}: {:?}", stay.earlier);
                continue;
            }
            let place = |said_by: &Said| said.iter().position(|it| it == said_by);
            let own = |number| place(&(self.name.clone(), number));
            let came = if n == 0 { Some(0) } else { own(2 * n) };
            let begins = match (stay.earlier.last(), stay.live.first()) {
                (Some(last), _) => place(last).map(|at| at + 1),
                (None, Some(first)) => place(first).min(came.or(Some(usize::MAX))),
                (None, None) => came,
            };
            let Some(begins) = begins else {
                assert!(
                    is_last && self.is_closed,
                    "{whose}: what it heard was not said"
                );
                continue;
            };
            assert!(
                came.is_none_or(|came| begins <= came),
                "{whose}: it came later"
            );
            let before = if stay.room == 0 { seen_of_lobby } else { 0 };
            let earlier = &said[before.max(begins.saturating_sub(EARLIER_MAX))..begins];
            assert_eq!(stay.earlier, earlier, "{whose}: what was said before");
            let others = |said: &[Said]| {
                let by_others = said.iter().filter(|(name, _)| *name != self.name);
                by_others.cloned().collect::<Vec<_>>()
            };
            let mut expected = others(&said[begins..]);
            let ends = if is_last {
                Some(said.len())
            } else {
                own(2 * n + 1)
            };
            if let Some(ends) = ends.filter(|_| !is_last || !self.is_closed) {
                let due = others(&said[begins..ends]).len();
                assert!(
                    stay.live.len() >= due,
                    "{whose}: {} of {due}",
                    stay.live.len()
                );
            }
            expected.truncate(stay.live.len());
            assert_eq!(stay.live, expected, "{whose}");
            if stay.room == 0 {
                seen_of_lobby = ends.map_or(0, |ends| ends + 1);
            }
        }
    }

    /// What it heard, by the rooms in which it was.
    fn stays(&self) -> Vec<Stay> {
        let mut stays = vec![Stay::new(self.route[0])];
        let mut is_earlier = false;
        for line in &self.heard {
            let n = stays.len();
            let stay = &mut stays[n - 1];
            let here = stay.room;
            if line.starts_with("-- you left ") {
                let there = self.route[n];
                let reply = format!("-- you left {} and are in {}", ROOMS[here], ROOMS[there]);
                assert_eq!(*line, reply);
                stays.push(Stay::new(there));
            } else if line == "-- earlier:" || line == "-- now" {
                is_earlier = line != "-- now";
            } else if is_earlier {
                // Its time is before it.
                let (_, line) = line.split_at_checked(6).expect("a time");
                stay.earlier
                    .push(said(line, here).expect("somebody's line"));
            } else if let Some(said) = said(line, here) {
                stay.live.push(said);
            } else {
                let is_known = line.starts_with("-- ") || self.is_closed;
                assert!(is_known, "{}: {line}", self.name);
            }
        }
        stays
    }
}

/// A line, as it is said in a room. Those who move say one before they go (the number is odd), and one when they have
/// come (it is even).
fn line(number: usize, room: usize) -> String {
    format!("{number} {} {FILLER}\r\n", ROOMS[room])
}

/// What was heard from coming to a room until going to the next one.
#[derive(Debug)]
struct Stay {
    room: usize,
    earlier: Vec<Said>,
    live: Vec<Said>,
}

impl Stay {
    fn new(room: usize) -> Self {
        let (earlier, live) = (Vec::new(), Vec::new());
        Self {
            room,
            earlier,
            live,
        }
    }
}

/// Whether it is the answer to `/asked`, which is no command.
fn answers(line: &str, asked: &str) -> bool {
    let rest = line.strip_prefix("!! no such command: /");
    rest.is_some_and(|rest| rest.starts_with(asked))
}

/// What somebody said who is heard in this room, and must have said it there; it must be whole.
#[track_caller]
fn said(line: &str, room: usize) -> Option<Said> {
    let (name, words) = line.strip_prefix('<')?.split_once("> ")?;
    let (number, words) = words.split_once(' ').expect("a number");
    assert_eq!(
        words,
        format!("{} {FILLER}", ROOMS[room]),
        "in {}",
        ROOMS[room]
    );
    Some((name.to_owned(), number.parse().expect("a number")))
}
