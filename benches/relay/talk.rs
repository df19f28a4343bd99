//! Somebody who says lines by the clock, and somebody who hears how old they are.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::engine;
use crate::load::latency::Latencies;

pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A line is as long as this.
const LINE_BYTES: usize = 64;
/// Before the time at which a line was said, which nothing else has.
const MARK: u8 = b'~';
/// The digits of that time.
const DIGITS: usize = 12;

/// What is said how.
#[derive(Clone, Copy)]
pub(super) struct Talk {
    /// So many lines at once.
    pub(super) lines: u64,
    /// So often in a second.
    pub(super) per_second: u64,
    /// Not as a clock ticks but as people talk who do not know of each other.
    pub(super) at_random: bool,
}

/// Two who talk: one says, one hears.
pub(super) struct Pair {
    pub(super) sayer: TcpStream,
    pub(super) hearer: TcpStream,
    /// They talk to the engine itself.
    pub(super) is_floor: bool,
}

/// What has been heard.
pub(super) struct Hearing {
    outset: Instant,
    due: u64,
    heard: u64,
    pub(super) lags: Latencies,
    unread: Vec<u8>,
}

impl Hearing {
    fn new(outset: Instant, due: u64) -> io::Result<Self> {
        Ok(Self {
            outset,
            due,
            heard: 0,
            lags: Latencies::new()?,
            unread: Vec::new(),
        })
    }

    pub(super) fn is_over(&self) -> bool {
        self.heard >= self.due
    }

    /// Notes the lines in what was read.
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let now = Instant::now();
        self.unread.extend_from_slice(bytes);
        let mut rest = &self.unread[..];
        while let Some(mark) = rest.iter().position(|byte| *byte == MARK) {
            rest = &rest[mark..];
            let Some(digits) = rest.get(1..=DIGITS) else {
                break;
            };
            let nanos = std::str::from_utf8(digits)
                .ok()
                .and_then(|it| it.parse().ok());
            let nanos = nanos.ok_or_else(|| io::Error::other("a line is garbled"))?;
            self.lags
                .record(self.outset + Duration::from_nanos(nanos), now);
            self.heard += 1;
            rest = &rest[DIGITS + 1..];
        }
        let is_cut = rest.first() == Some(&MARK);
        let kept = if is_cut { rest.len() } else { 0 };
        self.unread.drain(..self.unread.len() - kept);
        Ok(())
    }

    fn hear(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let mut bytes = [0; 16 * 1024];
        while !self.is_over() {
            match stream.read(&mut bytes)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                len => self.take(&bytes[..len])?,
            }
        }
        Ok(())
    }
}

/// Somebody who has a name.
pub(super) fn join(address: SocketAddr, name: &str) -> io::Result<TcpStream> {
    let mut person = TcpStream::connect(address)?;
    person.set_nodelay(true)?;
    person.set_read_timeout(Some(PATIENCE))?;
    person.write_all(format!("/name {name}\n").as_bytes())?;
    Ok(person)
}

fn line(outset: Instant) -> String {
    let nanos = outset.elapsed().as_nanos();
    let mark = char::from(MARK);
    format!(
        "{:<LINE_BYTES$}",
        format!("{mark}{nanos:0DIGITS$} and so on")
    )
    .replace(' ', ".")
}

/// Throws away what has come, so that it is not in the way.
fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    stream.set_nonblocking(true)?;
    let ended = loop {
        match stream.read(&mut bytes) {
            Ok(0) => break Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    stream.set_nonblocking(false)?;
    ended
}

impl Pair {
    /// Waits until the one hears the other.
    pub(super) fn meet(&mut self) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            self.say(Instant::now(), 1)?;
            thread::sleep(Duration::from_millis(200));
            let mut bytes = [0; 16 * 1024];
            let len = self.hearer.read(&mut bytes)?;
            if bytes[..len].contains(&MARK) {
                break;
            }
            if len == 0 || begun.elapsed() > PATIENCE {
                return Err(io::Error::other("they do not hear each other"));
            }
        }
        thread::sleep(Duration::from_millis(200));
        drain(&mut self.hearer)
    }

    fn say(&mut self, outset: Instant, lines: u64) -> io::Result<()> {
        let mut bytes = Vec::new();
        for _ in 0..lines {
            let line = line(outset);
            if self.is_floor {
                engine::append(&line, &mut bytes);
            } else {
                bytes.extend_from_slice(line.as_bytes());
                bytes.push(b'\n');
            }
        }
        self.sayer.write_all(&bytes)
    }

    /// Talks for this long; gives how many lines were said, and how long they took.
    pub(super) fn talk(&mut self, talk: Talk, time: Duration) -> io::Result<(u64, Latencies)> {
        let outset = Instant::now();
        let times = time.as_millis() as u64 * talk.per_second / 1000;
        let lines = times * talk.lines;
        let mut hearing = Hearing::new(outset, lines)?;
        let (is_floor, mut hearer) = (self.is_floor, self.hearer.try_clone()?);
        let heard = thread::spawn(move || -> io::Result<Latencies> {
            if is_floor {
                engine::hear(hearer, &mut hearing)?;
            } else {
                hearing.hear(&mut hearer)?;
            }
            Ok(hearing.lags)
        });
        // The one who hears waits already.
        let mut at = Instant::now() + Duration::from_millis(20);
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..times {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            drain(&mut self.sayer)?;
            self.say(outset, talk.lines)?;
            let gap = if talk.at_random {
                -(1.0 - random.f64()).ln()
            } else {
                1.0
            };
            at += Duration::from_secs_f64(gap / talk.per_second as f64);
        }
        let heard = heard.join().map_err(|_| io::Error::other("a panic"))?;
        let lags = heard.map_err(|error| io::Error::other(format!("a line is lost: {error}")))?;
        Ok((lines, lags))
    }
}
