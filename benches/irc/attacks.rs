//! What IRC clients cost others that do one thing as fast as they may, under the default settings.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{connect, people, settle, start, Size, Speech};

/// Of the lines of two others, 99 in 100 come within this.
const P99_MOST: Duration = Duration::from_millis(50);
/// So many pairs talk by turns, so that none of them comes up against `lines-per-second`.
const PAIRS: usize = 25;
/// Between two lines.
const INTERVAL: Duration = Duration::from_millis(5);
/// Attackers write and read so often, so that they leave the core to the pairs between.
const SWEEP: Duration = Duration::from_millis(1);
/// Whoever waits at the door is as many.
const AT_THE_DOOR: usize = 300;

/// What the attacker of this number sends over and over.
struct Case {
    name: &'static str,
    sends: fn(usize) -> String,
}

const fn case(name: &'static str, sends: fn(usize) -> String) -> Case {
    Case { name, sends }
}

const CASES: &[Case] = &[
    case("nothing", |_| String::new()),
    case("ping", |_| "PING x\r\n".into()),
    case("names", |_| "NAMES #lobby\r\n".into()),
    case("who", |_| "WHO #lobby\r\n".into()),
    case("who of all", |_| "WHO *\r\n".into()),
    case("who by a mask", |_| "WHO *0*1*2*3*4*5*6*7*8*9*\r\n".into()),
    case("whois", |_| "WHOIS t00000\r\n".into()),
    case("list", |_| "LIST\r\n".into()),
    case("lusers", |_| "LUSERS\r\n".into()),
    case("motd", |_| "MOTD\r\n".into()),
    case("help", |_| "HELP\r\n".into()),
    case("ison", |_| format!("ISON{}\r\n", " t00001".repeat(500))),
    case("userhost", |_| "USERHOST t00001 t00002 t00003\r\n".into()),
    case("private lines", |_| "PRIVMSG t00000 :hello\r\n".into()),
    case("join", |n| format!("JOIN #a{n}\r\nJOIN #lobby\r\n")),
    case("join one room", |_| "JOIN #a\r\nJOIN #lobby\r\n".into()),
    case("join and part", |_| "PART #lobby\r\nJOIN #lobby\r\n".into()),
    case("join many", |n| {
        let rooms: Vec<String> = (0..400).map(|room| format!("#r{n}x{room}")).collect();
        format!("JOIN {}\r\n", rooms.join(","))
    }),
    case("nick", |n| format!("NICK x{n}\r\nNICK y{n}\r\n")),
    case("nick taken", |_| "NICK t00000\r\n".into()),
    case("away", |_| "AWAY :gone\r\nAWAY\r\n".into()),
    case("capabilities", |_| {
        "CAP REQ server-time\r\nCAP REQ -server-time\r\n".into()
    }),
    case("capabilities listed", |_| {
        "CAP LS 302\r\nCAP LIST\r\n".into()
    }),
    case("mode", |_| "MODE #lobby\r\nMODE #lobby b\r\n".into()),
    case("huge lines", |_| format!("{}\r\n", "x".repeat(60_000))),
    case("tags", |_| format!("@{} PING x\r\n", "a=b;".repeat(1000))),
    case("no end of a line", |_| "x".repeat(4096)),
    case("colours", |_| {
        format!("PRIVMSG nobody :{}\r\n", "\x0304,12".repeat(500))
    }),
    case("actions", |_| {
        format!("PRIVMSG nobody :\x01ACTION {}\x01\r\n", "罗".repeat(1300))
    }),
    case("blank", |_| "\r\n".repeat(100)),
    case("many words", |_| {
        format!("PRIVMSG{}\r\n", " x".repeat(2000))
    }),
];

pub(super) fn measure(size: &Size, core: Option<usize>) -> io::Result<bool> {
    let (server, [irc, _]) = start(core, &[])?;
    println!(
        "{} attackers beside {} people, under the default settings; of others who talk by twos:",
        size.attackers, size.people
    );
    let _people = people(Speech::Telnet, server.address, "lobby", size.people)?;
    let mut pairs = Pairs::new(server.address)?;
    let mut holds = true;
    for case in CASES {
        let sends = |number: usize| (case.sends)(number).repeat(50);
        let mut attackers = Vec::new();
        for number in 0..size.attackers {
            let attacker = connect(irc)?;
            let greeting = Speech::Irc.come(&format!("z{number}"), "lobby");
            (&attacker).write_all(&greeting)?;
            attacker.set_nonblocking(true)?;
            attackers.push((attacker, sends(number).into_bytes(), 0));
        }
        let attack = move |over: &AtomicBool| {
            while !over.load(Ordering::Relaxed) {
                attackers.iter_mut().for_each(press);
                thread::sleep(SWEEP);
            }
        };
        let before = server.core_time()?.ran;
        let (times, took) = pairs.beside(size.attack, attack)?;
        let ran = server.core_time()?.ran.saturating_sub(before);
        holds &= tell(case.name, &times, ran.as_secs_f64() / took.as_secs_f64());
    }
    let before = server.core_time()?.ran;
    let (times, took) = pairs.beside(size.attack, move |over| knock(irc, over))?;
    let ran = server.core_time()?.ran.saturating_sub(before);
    holds &= tell(
        "half registered",
        &times,
        ran.as_secs_f64() / took.as_secs_f64(),
    );
    Ok(holds)
}

fn tell(name: &str, times: &[Duration], share: f64) -> bool {
    let p99 = times[(times.len() - 1) * 99 / 100];
    let latest = times[times.len() - 1];
    println!(
        "  {name:20} p99 {p99:8.2?}, at most {latest:8.2?} of {:4} lines, {:3.0} % of a core",
        times.len(),
        share * 100.0
    );
    p99 <= P99_MOST
}

/// Reads what has come, and writes as much as is taken.
fn press((stream, payload, sent): &mut (TcpStream, Vec<u8>, usize)) {
    let mut buffer = [0; 16 * 1024];
    while stream.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
    if payload.is_empty() {
        return;
    }
    while let Ok(bytes) = stream.write(&payload[*sent..]) {
        *sent = (*sent + bytes) % payload.len();
    }
}

/// Clients come, begin to say who they are, and go when too many wait.
fn knock(irc: SocketAddr, over: &AtomicBool) {
    let mut waiting = std::collections::VecDeque::new();
    while !over.load(Ordering::Relaxed) {
        if let Ok(mut stream) = TcpStream::connect(irc) {
            // It may be turned away at once.
            let _ = stream.write_all(b"CAP LS 302\r\nNICK h\r\n");
            waiting.push_back(stream);
        }
        if waiting.len() > AT_THE_DOOR {
            waiting.pop_front();
        }
    }
}

/// Pairs who talk, each in a room of its own.
struct Pairs {
    pairs: Vec<[TcpStream; 2]>,
    /// Who talks next.
    next: usize,
}

impl Pairs {
    fn new(address: SocketAddr) -> io::Result<Self> {
        let mut pairs = Vec::new();
        for number in 0..PAIRS {
            let mut pair = [connect(address)?, connect(address)?];
            for (person, name) in pair.iter_mut().zip(["first", "other"]) {
                let come =
                    Speech::Telnet.come(&format!("{name}{number:02}"), &format!("p{number}"));
                person.write_all(&come)?;
            }
            settle(Speech::Telnet, &mut pair)?;
            pairs.push(pair);
        }
        Ok(Self { pairs, next: 0 })
    }

    /// How long each of their lines took while something else went on, sorted, and how long that was.
    fn beside(
        &mut self,
        time: Duration,
        other: impl FnOnce(&AtomicBool) + Send + 'static,
    ) -> io::Result<(Vec<Duration>, Duration)> {
        let over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let over = Arc::clone(&over);
            move || other(&over)
        });
        let (begun, mut times) = (Instant::now(), Vec::new());
        let result = loop {
            match self.pass() {
                Ok(took) => times.push(took),
                Err(error) => break Err(error),
            }
            if begun.elapsed() >= time {
                break Ok(());
            }
            thread::sleep(INTERVAL);
        };
        let took = begun.elapsed();
        over.store(true, Ordering::Relaxed);
        if thread.join().is_err() {
            return Err(io::Error::other("an attacker panicked"));
        }
        result?;
        times.sort_unstable();
        Ok((times, took))
    }

    fn pass(&mut self) -> io::Result<Duration> {
        let [speaker, listener] = &mut self.pairs[self.next];
        self.next = (self.next + 1) % PAIRS;
        let mut heard = [0; "<first00> hello\r\n".len()];
        let begun = Instant::now();
        speaker.write_all(b"hello\n")?;
        match listener.read_exact(&mut heard) {
            Ok(()) if heard.ends_with(b"> hello\r\n") => Ok(begun.elapsed()),
            Ok(()) => Err(io::Error::other("something else was heard")),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err(io::Error::other("a line of a pair was lost"))
            }
            Err(error) => Err(error),
        }
    }
}
