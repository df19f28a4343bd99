//! A chat for tests: the hub, people who are connected to it, and a clock that only the test moves.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use chatd::dialect::Dialect;
use chatd::hub::{Hub, Limits, Origin, QueueLimits, Rate, SessionId, Sink};

pub(crate) const LIMITS: Limits = Limits {
    line_bytes_max: 4096,
    queue: QueueLimits {
        bytes_max: 1024 * 1024,
        bytes_soft: 1024 * 1024,
        soft: Duration::from_secs(1000),
        stall: None,
    },
    idle: None,
    drain: Duration::from_secs(1000),
    history_lines: 0,
    pace_max: None,
    line_rate: Rate::UNLIMITED,
    memory_max: usize::MAX,
};

/// 14:05:30 on some day, in seconds.
pub(crate) const AFTERNOON: u64 = 86_400 * 20_000 + 14 * 3600 + 5 * 60 + 30;

/// What a person's socket takes, and has taken.
#[derive(Debug, Default)]
pub(crate) struct Socket {
    written: Vec<u8>,
    /// How many bytes it takes before the next one has to wait; `None` for any number.
    pub(crate) room: Option<usize>,
    pub(crate) writes: usize,
    pub(crate) finished: bool,
}

struct Sockets;

impl Sink<Socket> for Sockets {
    fn write(
        &mut self,
        _: SessionId,
        socket: &mut Socket,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let before = socket.written.len();
        let mut bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        if let Some(room) = &mut socket.room {
            if *room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            bytes.truncate(*room);
            *room -= bytes.len();
        }
        socket.written.extend(bytes);
        socket.writes += 1;
        Ok(socket.written.len() - before)
    }

    fn finish(&mut self, socket: &mut Socket) {
        socket.finished = true;
    }
}

/// A hub with people.
pub(crate) struct Chat {
    pub(crate) hub: Hub<Socket>,
    now: Instant,
    wall_seconds: u64,
}

impl Chat {
    pub(crate) fn new() -> Self {
        Self::with(LIMITS)
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "an arbitrary outset for the test's own clock"
    )]
    pub(crate) fn with(limits: Limits) -> Self {
        let mut hub = Hub::new(limits);
        hub.set_wall_clock(AFTERNOON);
        Self {
            hub,
            now: Instant::now(),
            wall_seconds: AFTERNOON,
        }
    }

    pub(crate) fn connect(&mut self) -> SessionId {
        self.connect_to(Dialect::Telnet)
    }

    pub(crate) fn connect_to(&mut self, dialect: Dialect) -> SessionId {
        self.hub
            .connect(Socket::default(), dialect, Origin::Local, self.now)
    }

    /// Connects people who take these names; nothing of that is left to be read.
    pub(crate) fn people<const N: usize>(&mut self, names: [&str; N]) -> [SessionId; N] {
        let people = names.map(|name| {
            let id = self.connect();
            self.say(id, &format!("/name {name}"));
            id
        });
        for id in people {
            self.read(id);
        }
        people
    }

    /// Bytes come in, and the turn goes on.
    pub(crate) fn hear(&mut self, id: SessionId, bytes: impl AsRef<[u8]>) {
        self.hub.handle_input(id, bytes.as_ref(), self.now);
        while self.hub.has_carry(id) {
            self.hub.resume(id, self.now);
        }
    }

    /// A line comes in, and the turn ends.
    pub(crate) fn say(&mut self, id: SessionId, line: &str) {
        self.send(id, format!("{line}\r\n"));
    }

    /// Bytes come in, and the turn ends.
    pub(crate) fn send(&mut self, id: SessionId, bytes: impl AsRef<[u8]>) {
        self.hear(id, bytes);
        self.turn();
    }

    pub(crate) fn end_of_input(&mut self, id: SessionId) {
        self.hub.handle_eof(id, self.now);
        self.turn();
    }

    /// The turn ends: what was said goes out.
    pub(crate) fn turn(&mut self) {
        self.hub.tick(self.now);
        self.hub.flush(self.now, &mut Sockets);
        self.hub.check_invariants();
    }

    /// The socket of this person takes so many more bytes.
    pub(crate) fn make_room(&mut self, id: SessionId, room: Option<usize>) {
        if let Some(socket) = self.hub.transport(id) {
            socket.room = room;
        }
        self.hub.handle_writable(id);
        self.turn();
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.wall_seconds += time.as_secs();
        self.hub.set_wall_clock(self.wall_seconds);
        self.turn();
    }

    /// What has come to this person since it was last read.
    pub(crate) fn read(&mut self, id: SessionId) -> Vec<u8> {
        let socket = self.hub.transport(id).expect("it is still there");
        std::mem::take(&mut socket.written)
    }

    /// The same as text, with a line each.
    pub(crate) fn lines(&mut self, id: SessionId) -> Vec<String> {
        let read = String::from_utf8(self.read(id)).expect("only whole characters are sent");
        let mut lines: Vec<String> = read.split("\r\n").map(str::to_owned).collect();
        assert_eq!(
            lines.pop().as_deref(),
            Some(""),
            "an unfinished line: {read:?}"
        );
        lines
    }

    /// A person says a line; what she gets for it.
    pub(crate) fn ask(&mut self, id: SessionId, line: &str) -> Vec<String> {
        self.read(id);
        self.say(id, line);
        self.lines(id)
    }
}

/// Bytes as one reads them in a failure.
pub(crate) fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
