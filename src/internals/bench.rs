//! What benches measure of the inside: a room without sockets, and single steps on the way of a line.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use crate::dialect::line::LineBuffer;
use crate::dialect::Dialect;
use crate::hub::{Hub, SessionId, Sink, Then};
use crate::hygiene;
use crate::limits::{Limits, QueueLimits};
use crate::origin::Origin;
use crate::test_clock::outset;

/// How a fake socket takes bytes.
#[derive(Debug, Clone, Copy)]
enum Socket {
    /// All at once.
    Quick,
    /// Half of them; then it blocks until the next turn.
    Lagging {
        /// It has taken its half.
        full: bool,
    },
}

/// Counts what the sockets take.
#[derive(Debug, Default)]
struct Counter {
    bytes: u64,
}

impl Sink<Socket> for Counter {
    fn write(
        &mut self,
        _: SessionId,
        socket: &mut Socket,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let taken = match socket {
            Socket::Quick => offered,
            Socket::Lagging { full } if *full => return Err(io::ErrorKind::WouldBlock.into()),
            Socket::Lagging { full } => {
                *full = true;
                offered.div_ceil(2)
            }
        };
        self.bytes += taken as u64;
        Ok(taken)
    }

    fn finish(&mut self, _: &mut Socket) {}
}

/// A room and the sessions in it, which are numbered from 0 in the order in which they come. Time stands still.
#[derive(Debug)]
pub struct Room {
    hub: Hub<Socket>,
    sessions: Vec<SessionId>,
    counter: Counter,
    now: Instant,
}

impl Room {
    /// An empty room, with the usual limits but for those on speed.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "nobody needs a default one")]
    pub fn new() -> Self {
        let hub = Hub::new(Limits {
            queue: QueueLimits {
                stall: Some(Duration::from_secs(30)),
                ..Limits::WIDE.queue
            },
            memory_max: 1 << 30,
            ..Limits::WIDE
        });
        Self {
            hub,
            sessions: Vec::new(),
            counter: Counter::default(),
            now: outset(),
        }
    }

    /// A session comes. If it lags, its socket takes half of what it is offered, and blocks until [`Room::unblock`].
    pub fn connect(&mut self, dialect: Dialect, lags: bool) {
        let socket = if lags {
            Socket::Lagging { full: false }
        } else {
            Socket::Quick
        };
        let id = self.hub.connect(socket, dialect, Origin::Local, self.now);
        self.sessions.push(id);
    }

    /// A session sends `bytes`, and all of it is understood and flushed.
    ///
    /// # Panics
    /// If no session has this number.
    pub fn hear(&mut self, number: usize, bytes: &[u8]) {
        let id = self.sessions[number];
        let mut then = self.hub.handle_input(id, bytes, self.now);
        while then == Then::Resume {
            self.flush();
            then = self.hub.resume(id, self.now);
        }
        self.flush();
    }

    /// The end of a turn.
    pub fn flush(&mut self) {
        self.hub.flush(self.now, &mut self.counter);
    }

    /// Sockets that lag can take bytes again.
    pub fn unblock(&mut self) {
        for id in &self.sessions {
            if let Some(Socket::Lagging { full }) = self.hub.transport(*id) {
                *full = false;
                self.hub.handle_writable(*id);
            }
        }
    }

    /// How many sessions are in the room.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.hub.open_sessions()
    }

    /// How many bytes all sockets have taken.
    #[must_use]
    pub fn bytes_taken(&self) -> u64 {
        self.counter.bytes
    }
}

/// Counts the lines of a stream that comes in pieces of `piece_bytes`.
///
/// # Panics
/// If `piece_bytes` is 0.
#[must_use]
pub fn count_lines(input: &[u8], piece_bytes: usize, line_bytes_max: usize) -> usize {
    let mut buffer = LineBuffer::default();
    let mut lines = 0;
    for mut piece in input.chunks(piece_bytes) {
        while buffer.next(&mut piece, line_bytes_max, None).is_some() {
            lines += 1;
        }
    }
    lines
}

/// Makes a line fit to be shown; gives how many bytes it has then.
#[must_use]
pub fn clean(line: &[u8]) -> usize {
    hygiene::clean(line).text.len()
}
