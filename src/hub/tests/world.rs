//! A hub without sockets: its transports, clock and turns are the test's own.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::dialect::{Dialect, House, Preface};
use crate::hub::{Ending, Hub, Limits, Next, SessionId, Sink, Then};
use crate::ledger::CloseReason;
use crate::limits::QueueLimits;
use crate::origin::Origin;
use crate::test_clock::outset;
use crate::test_log;

/// 14:05:30 on some day, in seconds.
pub(crate) const AFTERNOON: u64 = 86_400 * 20_000 + 14 * 3600 + 5 * 60 + 30;

/// What stands for a session's socket.
#[derive(Debug)]
pub(crate) struct Pipe {
    /// What was taken from the hub.
    pub(crate) got: Vec<u8>,
    /// By this many writes.
    pub(crate) writes: usize,
    /// It takes this many bytes before it blocks.
    pub(crate) room: usize,
    /// At most this many bytes are taken by one write.
    pub(crate) write_bytes_max: usize,
    /// This many writes are interrupted before one takes anything.
    pub(crate) interruptions: usize,
    /// Every write fails.
    pub(crate) broken: bool,
}

impl Pipe {
    /// One that takes everything.
    pub(crate) fn new() -> Self {
        Self {
            got: Vec::new(),
            writes: 0,
            room: usize::MAX,
            write_bytes_max: usize::MAX,
            interruptions: 0,
            broken: false,
        }
    }

    /// What was taken, as lines.
    pub(crate) fn lines(&self) -> Vec<&str> {
        let text = std::str::from_utf8(&self.got).expect("the server speaks UTF-8");
        text.lines().collect()
    }
}

struct Sockets;

impl Sink<Pipe> for Sockets {
    fn write(
        &mut self,
        _: SessionId,
        pipe: &mut Pipe,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        if pipe.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if pipe.interruptions > 0 {
            pipe.interruptions -= 1;
            return Err(io::ErrorKind::Interrupted.into());
        }
        if pipe.room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let before = pipe.got.len();
        let bytes = slices.iter().flat_map(|slice| slice.iter());
        pipe.got
            .extend(bytes.take(pipe.room.min(pipe.write_bytes_max)));
        let taken = pipe.got.len() - before;
        pipe.room -= taken;
        pipe.writes += 1;
        Ok(taken)
    }

    fn finish(&mut self, _: &mut Pipe) {}
}

/// A hub, driven in turns as the server does.
pub(crate) struct World {
    pub(crate) hub: Hub<Pipe>,
    pub(crate) now: Instant,
    wall_seconds: u64,
    /// The transports that came back, and how they were to be closed.
    pub(crate) closed: Vec<(Pipe, Ending)>,
}

/// Limits that nobody reaches unless a test lowers them.
pub(crate) fn limits() -> Limits {
    Limits {
        queue: QueueLimits {
            bytes_max: 1 << 30,
            bytes_soft: 1 << 30,
            ..Limits::WIDE.queue
        },
        ..Limits::WIDE
    }
}

impl World {
    pub(crate) fn new(limits: Limits) -> Self {
        test_log::begin();
        let mut hub = Hub::new(limits);
        hub.set_wall_clock(AFTERNOON);
        Self {
            hub,
            now: outset(),
            wall_seconds: AFTERNOON,
            closed: Vec::new(),
        }
    }

    /// Somebody connects, whose socket takes everything.
    pub(crate) fn connect(&mut self) -> SessionId {
        self.connect_to(Dialect::Telnet)
    }

    pub(crate) fn connect_to(&mut self, dialect: Dialect) -> SessionId {
        self.connect_from(dialect, Origin::Local)
    }

    pub(crate) fn connect_from(&mut self, dialect: Dialect, from: Origin) -> SessionId {
        let pipe = Pipe::new();
        self.hub.connect(pipe, dialect, from, self.now)
    }

    /// An IRC client registers under this name, from this address, and has a real name.
    #[track_caller]
    pub(crate) fn register_at(&mut self, name: &str, address: &str) -> SessionId {
        let mut preface = Preface::of(Dialect::Irc).expect("it has a door");
        let lines = format!("NICK {name}\r\nUSER {name} 0 * :the real {name}\r\n");
        let asked = preface.next(&mut lines.into_bytes(), &House::default(), 6667);
        let opening = asked.and_then(|asked| asked.opening);
        let opening = opening.expect("it has registered");
        let address = address.parse().expect("an address");
        let from = SocketAddr::new(address, 51234).into();
        let may_come = self.hub.may_come(&opening, from);
        may_come.expect("the name is free");
        self.hub.connect(Pipe::new(), opening, from, self.now)
    }

    /// The same from an address.
    pub(crate) fn connect_at(&mut self, dialect: Dialect, address: &str) -> SessionId {
        let address = address.parse().expect("an address");
        self.connect_from(dialect, SocketAddr::new(address, 51234).into())
    }

    /// Somebody connects from an address and takes a name; nothing of that is left to be read.
    pub(crate) fn join_at(&mut self, name: &str, address: &str) -> SessionId {
        let id = self.connect_at(Dialect::Telnet, address);
        self.enter(id, &format!("/name {name}"));
        self.read(id);
        id
    }

    /// The time of day moves, and nobody's clock does.
    pub(crate) fn set_wall_clock(&mut self, seconds: u64) {
        self.wall_seconds = seconds;
        self.hub.set_wall_clock(seconds);
    }

    /// Somebody connects and takes a name.
    #[track_caller]
    pub(crate) fn join(&mut self, name: &str) -> SessionId {
        let id = self.connect();
        self.say(id, &format!("/name {name}"));
        self.turn();
        let pipe = self.pipe(id);
        let told = format!("-- you are {name}\r\n");
        assert!(pipe.got.ends_with(told.as_bytes()), "{:?}", pipe.lines());
        pipe.got.clear();
        id
    }

    /// People connect and take these names; nothing of that is left to be read.
    pub(crate) fn people<const N: usize>(&mut self, names: [&str; N]) -> [SessionId; N] {
        let people = names.map(|name| self.join(name));
        for id in people {
            self.read(id);
        }
        people
    }

    /// Bytes are read from a session.
    pub(crate) fn hear(&mut self, id: SessionId, bytes: impl AsRef<[u8]>) {
        let mut then = self.hub.handle_input(id, bytes.as_ref(), self.now);
        while then == Then::Resume {
            then = self.hub.resume(id, self.now);
        }
    }

    /// A line is read from a session.
    pub(crate) fn say(&mut self, id: SessionId, line: &str) {
        self.hear(id, format!("{line}\n"));
    }

    /// Bytes are read from a session, and the turn ends.
    pub(crate) fn send(&mut self, id: SessionId, bytes: impl AsRef<[u8]>) {
        self.hear(id, bytes);
        self.turn();
        self.check();
    }

    /// A line is read from a session, and the turn ends.
    pub(crate) fn enter(&mut self, id: SessionId, line: &str) {
        self.send(id, format!("{line}\r\n"));
    }

    /// A person enters a line; what they are told in the same turn.
    pub(crate) fn ask(&mut self, id: SessionId, line: &str) -> Vec<String> {
        self.read(id);
        self.enter(id, line);
        self.lines(id)
    }

    /// What a session was sent since it was last read.
    #[track_caller]
    pub(crate) fn read(&mut self, id: SessionId) -> Vec<u8> {
        std::mem::take(&mut self.pipe(id).got)
    }

    /// The same as whole lines.
    #[track_caller]
    pub(crate) fn lines(&mut self, id: SessionId) -> Vec<String> {
        let read = String::from_utf8(self.read(id)).expect("only whole characters are sent");
        let mut lines: Vec<String> = read.split("\r\n").map(str::to_owned).collect();
        let rest = lines.pop();
        assert_eq!(rest.as_deref(), Some(""), "an unfinished line: {read:?}");
        lines
    }

    /// Whether the session has been heard enough for now.
    pub(crate) fn is_paused(&mut self, id: SessionId) -> bool {
        matches!(self.hub.next(id, self.now), Some(Next::Wait))
    }

    /// The rest of a turn, behind all reading.
    pub(crate) fn turn(&mut self) {
        self.hub.tick(self.now);
        self.hub.flush(self.now, &mut Sockets);
        let closed = &mut self.closed;
        self.hub
            .reap(self.now, |pipe, _, ending| closed.push((pipe, ending)));
    }

    /// Time passes, and then there is a turn.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.wall_seconds += time.as_secs();
        self.hub.set_wall_clock(self.wall_seconds);
        self.turn();
    }

    #[track_caller]
    pub(crate) fn pipe(&mut self, id: SessionId) -> &mut Pipe {
        self.hub.transport(id).expect("the session is there")
    }

    /// A session's socket takes this many bytes more.
    pub(crate) fn drain(&mut self, id: SessionId, bytes: usize) {
        self.pipe(id).room = bytes;
        self.hub.handle_writable(id);
    }

    /// Who was closed, and why, in order.
    pub(crate) fn closes(&self) -> Vec<(String, CloseReason)> {
        let closes = test_log::closes();
        assert_eq!(closes.len() as u64, self.hub.ledger().closed());
        closes
            .into_iter()
            .map(|close| (close.name, close.reason))
            .collect()
    }

    /// Everything that must hold between two calls.
    #[track_caller]
    pub(crate) fn check(&self) {
        self.hub.check_invariants();
    }
}

/// Bytes as one reads them in a failure.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
