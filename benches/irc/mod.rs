//! The parts of the bench, and who takes part: people with telnet, IRC clients, and browsers.

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

/// A server, and where IRC is spoken there, and to browsers.
fn start(core: Option<usize>, settings: &[&str]) -> io::Result<(Process, [SocketAddr; 2])> {
    let mut command = launcher(core, &chatd_path())?;
    command.args(["-l", "telnet://127.0.0.1:0", "-l", "irc://127.0.0.1:0"]);
    command.args(["-l", "http://127.0.0.1:0"]);
    for setting in settings {
        command.args(["-o", setting]);
    }
    let mut server = Process::start(&mut command, "irc-server.log")?;
    let addresses = [server.next_address("irc")?, server.next_address("http")?];
    Ok((server, addresses))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    Telnet,
    Irc,
    Web,
}

impl Speech {
    /// What the one of this number is called. All names have the same length.
    fn name(self, number: usize) -> String {
        match self {
            Self::Telnet => format!("t{number:05}"),
            Self::Irc => format!("i{number:05}"),
            Self::Web => format!("w{number:05}"),
        }
    }

    /// Comes in under this name, and goes to this room.
    fn come(self, name: &str, room: &str) -> Vec<u8> {
        match self {
            Self::Telnet => format!("/name {name}\n/quiet on\n/join {room}\n").into(),
            Self::Irc => format!("NICK {name}\r\nUSER {name} 0 * :x\r\nJOIN #{room}\r\n").into(),
            Self::Web => {
                let asks = [
                    format!("/name {name}"),
                    "/quiet on".into(),
                    format!("/join {room}"),
                ];
                let frames = asks.iter().flat_map(|ask| frame(ask));
                UPGRADE.bytes().chain(frames).collect()
            }
        }
    }

    fn say(self, room: &str, words: &str) -> Vec<u8> {
        match self {
            Self::Telnet => format!("{words}\n").into(),
            Self::Irc => format!("PRIVMSG #{room} :{words}\r\n").into(),
            Self::Web => frame(words),
        }
    }

    /// What the others hear of that; of what a browser hears, the end.
    fn heard(self, name: &str, room: &str, words: &str) -> String {
        match self {
            Self::Telnet => format!("<{name}> {words}\r\n"),
            Self::Irc => format!(":{name}!{name}@chatd PRIVMSG #{room} :{words}\r\n"),
            Self::Web => format!(",\"n\":\"{name}\",\"x\":\"{words}\"}}"),
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
            Self::Web => (
                b"\x81\x90\0\0\0\0/msg nobody psst",
                b"nobody here is called nobody\"}",
            ),
        }
    }
}

const UPGRADE: &str =
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A message of a browser of at most 125 bytes, masked with zeros.
fn frame(words: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | words.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(words.as_bytes());
    frame
}

/// Reads one message to a browser; gives how many bytes it took.
fn read_frame(person: &mut TcpStream, message: &mut Vec<u8>) -> io::Result<usize> {
    let mut head = [0; 4];
    person.read_exact(&mut head[..2])?;
    let (length, taken) = match head {
        [0x81, 126, ..] => {
            person.read_exact(&mut head[2..])?;
            (usize::from(u16::from_be_bytes([head[2], head[3]])), 4)
        }
        [0x81, length @ ..=125, ..] => (usize::from(length), 2),
        _ => return Err(io::Error::other("it is no message of text")),
    };
    message.resize(length, 0);
    person.read_exact(message)?;
    Ok(taken + length)
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
        person.write_all(&speech.come(&speech.name(number), room))?;
        if speech != Speech::Telnet {
            // The door has its bound: who is let in makes room for the next.
            settle(speech, std::slice::from_mut(&mut person))?;
        }
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
