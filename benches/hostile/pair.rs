//! Two people who talk while others attack, and how long each line takes from one to the other.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use memchr::memmem;
use mio::net::TcpStream;
use socket2::SockRef;

use super::crowd::{connect, Crowd, Member};

/// A line that was not heard for so long is lost.
const LOST_AFTER: Duration = Duration::from_secs(20);
/// A pair whose last line was due this long ago has others that wait.
const ON_TIME: Duration = Duration::from_secs(1);
const ANSWERS_EVERY: u64 = 8;
const BUFFER_BYTES: usize = 256 * 1024;

/// How a pair talks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// For all to hear.
    Aloud,
    /// With `/msg`.
    Privately,
}

/// When a line was due, and when it was heard; `None` if it was lost.
pub(super) type Sample = (Instant, Option<Instant>);

/// A pair that talks until it is dropped.
pub(super) struct Pair {
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl Pair {
    /// They come in, and say a line each `interval`.
    pub(super) fn start(
        crowd: &mut Crowd,
        server: SocketAddr,
        way: Way,
        interval: Duration,
    ) -> io::Result<Self> {
        let (mut speaker, _) = crowd.join(1)?;
        let speaker = speaker.remove(0);
        let listener = connect(server, 250)?;
        // It hears all that attackers say, and must never be the one who is slow.
        SockRef::from(&listener).set_recv_buffer_size(4 * 1024 * 1024)?;
        listener.set_read_timeout(Some(Duration::from_millis(100)))?;
        let word = if way == Way::Aloud { "aloud" } else { "quiet" };
        send(&speaker.stream, format!("/name {word}-a\r\n").as_bytes())?;
        (&listener).write_all(format!("/name {word}-b\r\n").as_bytes())?;
        let samples = Arc::new(Mutex::new(Vec::new()));
        let mut talk = Talk {
            speaker,
            listener,
            heard: Vec::new(),
            before: match way {
                Way::Aloud => String::new(),
                Way::Privately => format!("/msg {word}-b "),
            },
            answers_every: (way == Way::Aloud).then_some(ANSWERS_EVERY),
            interval,
        };
        talk.hear("you are ", Instant::now() + LOST_AFTER)
            .ok_or_else(|| io::Error::other("one of a pair has no name"))?;
        let noted = Arc::downgrade(&samples);
        thread::spawn(move || {
            let mut due_at = Instant::now();
            for number in 0_u64.. {
                thread::sleep(due_at.saturating_duration_since(Instant::now()));
                let sample = (due_at, talk.say(number));
                let Some(samples) = noted.upgrade() else {
                    return;
                };
                if let Ok(mut samples) = samples.lock() {
                    samples.push(sample);
                }
                due_at += talk.interval;
            }
        });
        Ok(Self { samples })
    }

    /// Whether its last line was due a moment ago: none waits for one of before.
    pub(super) fn is_on_time(&self) -> bool {
        let samples = self.samples.lock();
        let last = samples.ok().and_then(|samples| samples.last().copied());
        last.is_some_and(|(due_at, _)| due_at.elapsed() < ON_TIME)
    }

    /// Those that were due from one moment to another, once all of them were heard.
    pub(super) fn samples(&self, from: Instant, to: Instant) -> Vec<Sample> {
        let deadline = Instant::now() + LOST_AFTER + Duration::from_secs(5);
        loop {
            if let Ok(samples) = self.samples.lock() {
                let is_over = samples.last().is_some_and(|(due_at, _)| *due_at >= to);
                if is_over || Instant::now() > deadline {
                    let mut within = samples.clone();
                    within.retain(|(due_at, _)| (from..to).contains(due_at));
                    return within;
                }
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

struct Talk {
    speaker: Arc<Member>,
    listener: std::net::TcpStream,
    /// What the listener has heard behind the last mark.
    heard: Vec<u8>,
    before: String,
    /// The listener answers one in this many lines, as one does who talks with another: for all to hear.
    answers_every: Option<u64>,
    interval: Duration,
}

impl Talk {
    /// Says a line; gives when it was heard.
    fn say(&mut self, number: u64) -> Option<Instant> {
        let mark = format!("mark{number}.");
        let line = format!("{}{mark}\r\n", self.before);
        send(&self.speaker.stream, line.as_bytes()).ok()?;
        if self
            .answers_every
            .is_some_and(|every| number.is_multiple_of(every))
        {
            self.listener.write_all(b"I hear you\r\n").ok()?;
        }
        self.hear(&mark, Instant::now() + LOST_AFTER)
    }

    /// Reads until the listener hears the mark.
    fn hear(&mut self, mark: &str, deadline: Instant) -> Option<Instant> {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match self.listener.read(&mut buffer) {
                Ok(0) => return None,
                Ok(bytes) => self.heard.extend_from_slice(&buffer[..bytes]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => return None,
            }
            if memmem::find(&self.heard, mark.as_bytes()).is_some() {
                self.heard.clear();
                return Some(Instant::now());
            }
            // A mark may have come but for its last bytes.
            let known = self.heard.len().saturating_sub(mark.len());
            self.heard.drain(..known);
            if Instant::now() > deadline {
                return None;
            }
        }
    }
}

/// Sends a few bytes; that a socket takes none of them is an error.
pub(super) fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)
}
