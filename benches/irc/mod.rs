//! The parts of the bench, and who takes part: people with telnet, and IRC clients.

mod attacks;
mod cost;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::load::cores;
use crate::process::{chatd_path, launcher, Process};

const PATIENCE: Duration = Duration::from_secs(60);

/// How many of everything.
pub(crate) struct Size {
    /// Sessions of each dialect.
    sessions: usize,
    /// How often each dialect has its turn, and lines in one.
    turns: usize,
    rounds: usize,
    /// People who are there beside attackers, and attackers.
    people: usize,
    attackers: usize,
    attack: Duration,
}

const SIZE: Size = Size {
    sessions: 500,
    turns: 15,
    rounds: 6,
    people: 1000,
    attackers: 64,
    attack: Duration::from_millis(1500),
};
const TEST_SIZE: Size = Size {
    sessions: 5,
    turns: 1,
    rounds: 1,
    people: 5,
    attackers: 2,
    attack: Duration::from_millis(20),
};

pub(crate) fn bench(arguments: &[String]) -> io::Result<bool> {
    // Cargo says `--bench` where all is to be measured.
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let size = if is_test { &TEST_SIZE } else { &SIZE };
    let named: Vec<&String> = arguments
        .iter()
        .filter(|it| !it.starts_with("--"))
        .collect();
    let wants = |part: &str| named.is_empty() || named.iter().any(|it| *it == part);
    let core = cores::split();
    let mut holds = true;
    if wants("cost") {
        holds &= cost::measure(size, core)?;
    }
    if wants("attacks") {
        holds &= attacks::measure(size, core)?;
    }
    // So few say nothing of what each costs.
    Ok(is_test || holds)
}

/// A server, and where IRC is spoken there.
fn start(core: Option<usize>, settings: &[&str]) -> io::Result<(Process, SocketAddr)> {
    let mut command = launcher(core, &chatd_path())?;
    command.args(["-l", "telnet://127.0.0.1:0", "-l", "irc://127.0.0.1:0"]);
    for setting in settings {
        command.args(["-o", setting]);
    }
    let mut server = Process::start(&mut command, "irc-server.log")?;
    let address = server.next_address("irc")?;
    Ok((server, address))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    Telnet,
    Irc,
}

impl Speech {
    /// What the one of this number is called. All names have the same length.
    fn name(self, number: usize) -> String {
        match self {
            Self::Telnet => format!("t{number:05}"),
            Self::Irc => format!("i{number:05}"),
        }
    }

    /// Comes in under this name, and goes to this room.
    fn come(self, name: &str, room: &str) -> String {
        match self {
            Self::Telnet => format!("/name {name}\n/quiet on\n/join {room}\n"),
            Self::Irc => format!("NICK {name}\r\nUSER {name} 0 * :x\r\nJOIN #{room}\r\n"),
        }
    }

    fn say(self, room: &str, words: &str) -> String {
        match self {
            Self::Telnet => format!("{words}\n"),
            Self::Irc => format!("PRIVMSG #{room} :{words}\r\n"),
        }
    }

    /// What the others hear of that.
    fn heard(self, name: &str, room: &str, words: &str) -> String {
        match self {
            Self::Telnet => format!("<{name}> {words}\r\n"),
            Self::Irc => format!(":{name}!{name}@chatd PRIVMSG #{room} :{words}\r\n"),
        }
    }

    /// Asks for something, and what is answered to that at last.
    fn mark(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Telnet => (
                b"/msg nobody psst\n",
                b"!! nobody here is called nobody\r\n",
            ),
            Self::Irc => (b"PING mark\r\n", b" PONG chatd.local :mark\r\n"),
        }
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// So many in a room, who have read all that they were told up to now.
fn people(
    speech: Speech,
    address: SocketAddr,
    room: &str,
    count: usize,
) -> io::Result<Vec<TcpStream>> {
    let mut people = Vec::with_capacity(count);
    for number in 0..count {
        let mut person = connect(address)?;
        person.write_all(speech.come(&speech.name(number), room).as_bytes())?;
        people.push(person);
    }
    settle(speech, &mut people)?;
    Ok(people)
}

/// Reads all that was told up to now.
fn settle(speech: Speech, people: &mut [TcpStream]) -> io::Result<()> {
    let (ask, answer) = speech.mark();
    for person in people.iter_mut() {
        person.write_all(ask)?;
    }
    for person in people.iter_mut() {
        let (mut read, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        // Others may come meanwhile.
        while memchr::memmem::find(&read, answer).is_none() {
            match person.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                bytes => read.extend_from_slice(&buffer[..bytes]),
            }
        }
    }
    Ok(())
}
