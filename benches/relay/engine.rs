//! A `redis-server` of the bench's own, and two plain sockets that say and hear through it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::talk::{Hearing, PATIENCE};
use crate::load::process::CoreTime;
use crate::process::launcher;

pub(super) const PROGRAM: &str = "redis-server";

/// What an entry of the floor has beside its id: as many fields as one of chatd.
const FIELDS: usize = 6;

/// An engine that keeps nothing on the disk.
pub(super) struct Engine {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Engine {
    /// Starts one on a port that is free, and waits until it answers.
    pub(super) fn start() -> io::Result<Self> {
        // It is closed again at once, and the engine has it.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = launcher(None, PROGRAM)?;
        command.args(["--bind", "127.0.0.1", "--port", &free.port().to_string()]);
        command.args(["--save", "", "--appendonly", "no"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut engine = Self {
            child: command.spawn()?,
            address: free,
        };
        let begun = Instant::now();
        while !engine.answers() {
            if begun.elapsed() > PATIENCE || engine.child.try_wait()?.is_some() {
                return Err(io::Error::other("the engine does not answer"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(engine)
    }

    fn answers(&self) -> bool {
        let ask = || -> io::Result<bool> {
            let mut stream = self.connect()?;
            stream.write_all(b"PING\r\n")?;
            let mut pong = [0; 5];
            stream.read_exact(&mut pong)?;
            Ok(pong == *b"+PONG")
        };
        ask().unwrap_or(false)
    }

    /// A socket of its own.
    pub(super) fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    pub(super) fn cpu(&self) -> io::Result<Duration> {
        CoreTime::of_process(self.child.id()).map(|time| time.ran)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // An error here says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether there is an engine to be measured.
pub(super) fn is_installed() -> bool {
    let mut command = Command::new(PROGRAM);
    command.arg("--version").stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn command(words: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

/// The command that appends a line.
pub(super) fn append(line: &str, out: &mut Vec<u8>) {
    let start = ["XADD", "floor", "MAXLEN", "~", "10000", "*"];
    let entry: [&str; FIELDS] = ["n", "AAAAAAAAAAA", "s", "1", "e", line];
    command(&[&start[..], &entry].concat(), out);
}

/// Reads on from the end of the floor's stream until `hearing` has all.
pub(super) fn hear(mut stream: TcpStream, hearing: &mut Hearing) -> io::Result<()> {
    let mut id = "$".to_owned();
    while !hearing.is_over() {
        let mut words = vec!["XREAD", "COUNT", "64", "BLOCK", "2000", "STREAMS"];
        words.extend(["floor", &id]);
        let mut asked = Vec::new();
        command(&words, &mut asked);
        stream.write_all(&asked)?;
        let mut answer = Vec::new();
        let mut texts = loop {
            let mut piece = [0; 16 * 1024];
            let bytes = stream.read(&mut piece)?;
            if bytes == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            answer.extend_from_slice(&piece[..bytes]);
            hearing.take(&piece[..bytes])?;
            let mut texts = Vec::new();
            if texts_of(&answer, 0, &mut texts).is_some() {
                break texts;
            }
        };
        if texts.len() > FIELDS {
            texts.truncate(texts.len() - FIELDS);
            let last = texts.pop().unwrap_or_default();
            id = String::from_utf8_lossy(last).into_owned();
        }
    }
    Ok(())
}

/// All texts of an answer that begins in this place, and where it ends; `None` if it is not all there.
fn texts_of<'a>(answer: &'a [u8], at: usize, texts: &mut Vec<&'a [u8]>) -> Option<usize> {
    let head = answer.get(at..)?;
    let len = head.windows(2).position(|pair| pair == b"\r\n")?;
    let number = std::str::from_utf8(&head[1..len]).ok()?.parse::<i64>();
    let mut at = at + len + 2;
    let count = usize::try_from(number.ok()?).unwrap_or(0);
    if head[0] == b'*' {
        for _ in 0..count {
            at = texts_of(answer, at, texts)?;
        }
    } else {
        texts.push(answer.get(at..at + count)?);
        at += count + 2;
    }
    Some(at)
}
