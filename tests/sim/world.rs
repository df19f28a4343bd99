//! The world around the hub: clients, sockets, the clock, and a loop that drives the hub in turns as the server does.
//! Whatever the hub is told the model is told as well, and after every step the two are compared.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chatd::dialect::Dialect;
use chatd::hub::{Hub, Limits, Origin, SessionId};
use chatd::ledger::CloseReason;

use crate::model::Model;
use crate::presence::Ms;
use crate::random::Random;
use crate::script::Item;
use crate::session::{Closing, Phase, Took};
use crate::test_log;
use crate::trace::Trace;
use crate::transport::{Failure, Sockets, Transport};

/// Some day in the past, near midnight.
const WALL_OUTSET_SECONDS: u64 = 86_400 * 20_000 - 100;

/// The far end of one session.
pub(crate) struct Client {
    pub(crate) id: SessionId,
    /// What it has sent and nobody has read.
    pub(crate) unread: VecDeque<u8>,
    /// How many bytes it ever sent.
    sent: usize,
    /// It has closed its half behind what is unread.
    pub(crate) ended: bool,
    /// Its connection is broken, whatever is unread.
    pub(crate) broken: bool,
    /// It is on the list of those to be read.
    ready: bool,
}

/// The world.
pub(crate) struct World<'a> {
    pub(crate) hub: Hub<Transport>,
    pub(crate) model: Model,
    pub(crate) clients: BTreeMap<u64, Client>,
    pub(crate) trace: &'a mut Trace,
    pub(crate) random: Random,
    pub(crate) outset: Instant,
    pub(crate) now: Ms,
    ready: VecDeque<u64>,
    pub(crate) stale: Vec<SessionId>,
    /// Bytes may be cut anywhere on their way to the hub.
    pub(crate) cuts: bool,
    /// Flushes may be put off.
    pub(crate) paces: bool,
}

impl<'a> World<'a> {
    pub(crate) fn new(limits: Limits, random: Random, trace: &'a mut Trace) -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "an arbitrary outset for the clock of the run"
        )]
        let outset = Instant::now();
        test_log::begin();
        Self {
            hub: Hub::new(limits),
            model: Model::new(limits),
            clients: BTreeMap::new(),
            trace,
            random,
            outset,
            now: 0,
            ready: VecDeque::new(),
            stale: Vec::new(),
            cuts: true,
            paces: true,
        }
    }

    fn instant(&self) -> Instant {
        self.outset + Duration::from_millis(self.now)
    }

    /// The socket of a session.
    pub(crate) fn transport(&mut self, number: u64) -> &mut Transport {
        let id = self.clients[&number].id;
        self.hub.transport(id).expect("its session is held")
    }

    fn client(&mut self, number: u64) -> &mut Client {
        self.clients.get_mut(&number).expect("it is connected")
    }

    pub(crate) fn phase(&self, number: u64) -> Phase {
        self.model.sessions[&number].phase
    }

    /// Those whom the hub still hears.
    pub(crate) fn open(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.clients.keys().copied().collect();
        numbers.retain(|number| self.phase(*number) == Phase::Open);
        numbers
    }

    /// Those who may still send something.
    pub(crate) fn talkers(&self) -> Vec<u64> {
        let mut numbers = self.open();
        numbers.retain(|number| !self.clients[number].ended && !self.clients[number].broken);
        numbers
    }

    /// Whether everything that was sent has been heard.
    pub(crate) fn has_nothing_to_read(&self) -> bool {
        self.ready.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hub.is_empty()
    }
}

/// What clients do; the hub hears of it in the next turn.
impl World<'_> {
    /// Sends what `item` means.
    pub(crate) fn send(&mut self, number: u64, item: Item, line_end: &[u8]) {
        self.trace
            .note(format_args!("{number} sends {item:?} {line_end:?}"));
        let dialect = self.model.sessions[&number].dialect;
        let client = self.client(number);
        let spelled = item.spell(dialect);
        // A line is complete with the first byte of its end, and a last one that has no end with the end of the
        // stream.
        let complete_at = match (item.is_line(), line_end) {
            (true, []) => usize::MAX,
            (true, _) => client.sent + spelled.len() + 1,
            (false, _) => client.sent + spelled.len(),
        };
        client.unread.extend(&spelled);
        client.sent += spelled.len();
        if item.is_line() {
            client.unread.extend(line_end);
            client.sent += line_end.len();
        }
        let session = self.model.sessions.get_mut(&number).expect("it is held");
        session.typed.push_back((complete_at, item));
        self.make_ready(number);
    }

    /// Sends bytes that nobody will understand.
    pub(crate) fn send_dregs(&mut self, number: u64, bytes: usize) {
        self.trace
            .note(format_args!("{number} sends {bytes} bytes of dregs"));
        let client = self.client(number);
        client.unread.extend(std::iter::repeat_n(b'.', bytes));
        client.sent += bytes;
        self.make_ready(number);
    }

    pub(crate) fn end(&mut self, number: u64) {
        self.trace.note(format_args!("{number} ends its half"));
        self.client(number).ended = true;
        self.make_ready(number);
    }

    pub(crate) fn break_off(&mut self, number: u64) {
        self.trace.note(format_args!("{number} breaks off"));
        self.client(number).broken = true;
        self.make_ready(number);
    }

    /// Makes room in a session's socket; gives whether an edge is due.
    pub(crate) fn read_some(&mut self, number: u64, bytes: usize) -> bool {
        let transport = self.transport(number);
        transport.room = transport.room.saturating_add(bytes);
        transport.blocked
    }

    /// An event: there may be something to read.
    pub(crate) fn make_ready(&mut self, number: u64) {
        let client = self.client(number);
        if !client.ready {
            client.ready = true;
            self.ready.push_back(number);
        }
    }

    /// An event: there may be room to write.
    pub(crate) fn make_writable(&mut self, number: u64) {
        self.trace.note(format_args!("{number} is writable"));
        self.transport(number).blocked = false;
        let id = self.clients[&number].id;
        self.hub.handle_writable(id);
        self.model.writable(number);
        self.check();
    }
}

/// One turn: what the server's loop does, in its order.
impl World<'_> {
    pub(crate) fn connect(&mut self, dialect: Dialect) -> u64 {
        let number = self.model.opened + 1;
        let transport = Transport::new(number);
        let id = self
            .hub
            .connect(transport, dialect, from(number), self.instant());
        self.trace
            .note(format_args!("{number} connects by {dialect} as {id:?}"));
        let same = self.model.connect(id.to_bits(), dialect, self.now);
        assert_eq!(number, same, "the number of a session");
        self.add_client(number, id);
        number
    }

    pub(crate) fn refuse(&mut self, dialect: Dialect, reason: CloseReason) -> u64 {
        let number = self.model.opened + 1;
        self.trace
            .note(format_args!("{number} is refused: {reason}"));
        let transport = Transport::new(number);
        let id = self
            .hub
            .refuse(transport, dialect, from(number), reason, self.instant());
        self.model.refuse(id.to_bits(), dialect, reason, self.now);
        self.model.hit("refused");
        self.add_client(number, id);
        number
    }

    fn add_client(&mut self, number: u64, id: SessionId) {
        let slot_was_used = |stale: &SessionId| stale.to_bits() >> 32 == id.to_bits() >> 32;
        if self.stale.iter().any(slot_was_used) {
            self.model.hit("slot used again");
        }
        let client = Client {
            id,
            unread: VecDeque::new(),
            sent: 0,
            ended: false,
            broken: false,
            ready: false,
        };
        self.clients.insert(number, client);
        self.check();
    }

    pub(crate) fn turn_away(&mut self, dialect: Dialect, reason: CloseReason) {
        let number = self.model.opened + 1;
        self.trace
            .note(format_args!("{number} is turned away: {reason}"));
        let told = self.hub.turn_away(dialect, from(number), reason);
        assert_eq!(told, self.model.turn_away(dialect, reason));
        self.model.hit("turned away");
        self.check();
    }

    /// Closes a session from outside, for reasons that the hub itself does not have.
    pub(crate) fn close(&mut self, number: u64, reason: CloseReason) {
        self.trace
            .note(format_args!("{number} is closed: {reason}"));
        let (id, now) = (self.clients[&number].id, self.instant());
        self.hub.begin_close(id, reason, now);
        self.model.close(number, reason, "", self.now);
        self.check();
    }

    /// Everything that can be done with an id, done with one whose session is long gone.
    pub(crate) fn disturb(&mut self, stale: SessionId) {
        self.trace.note(format_args!("a stale id: {stale:?}"));
        let now = self.instant();
        self.hub
            .handle_input(stale, b"a ghost speaks\r\n/quit\r\n", now);
        self.hub.handle_writable(stale);
        self.hub.handle_drained(stale, now);
        self.hub.resume(stale, now);
        self.hub.handle_eof(stale, now);
        self.hub.handle_reset(stale, now);
        self.hub.begin_close(stale, CloseReason::Flood, now);
        assert!(!self.hub.has_carry(stale));
        assert!(self.hub.transport(stale).is_none());
        self.model.hit("stale id");
        self.check();
    }

    /// The turn from reading to freeing. `stop` is done between the deadlines and the flush.
    pub(crate) fn turn(&mut self, stop: impl FnOnce(&mut Self)) {
        self.read();
        // The server reads once from each; a hub must bear it if lines of several come by turns.
        if self.random.percent(20) {
            self.read();
        }
        self.tick();
        stop(self);
        // A crowded room waits now and then, so that several turns share their sends.
        if self.paces && self.random.percent(20) {
            self.model.hit("flush put off");
        } else {
            let most = if !self.paces || self.random.percent(40) {
                usize::MAX
            } else {
                self.random.within(0..=self.model.members.len())
            };
            self.flush(most);
        }
        self.reap();
        self.check_deadline();
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Ms) {
        self.now += time;
        let wall_seconds = WALL_OUTSET_SECONDS + self.now / 1000;
        self.hub.set_wall_clock(wall_seconds);
        self.model.wall_seconds = wall_seconds;
    }

    /// Sets what newcomers are shown.
    pub(crate) fn set_message(&mut self, lines: &[&str]) {
        let text = lines.join("\n\n");
        self.hub.set_motd(text.as_bytes());
        self.model.message = lines.iter().map(ToString::to_string).collect();
    }

    fn read(&mut self) {
        for _ in 0..self.ready.len() {
            if self.hub.has_said_enough() {
                return;
            }
            let Some(number) = self.ready.pop_front() else {
                return;
            };
            if !self.clients.contains_key(&number) {
                continue;
            }
            let still_ready = self.read_session(number);
            self.client(number).ready = still_ready;
            if still_ready {
                self.ready.push_back(number);
            }
            self.check();
        }
    }

    /// Reads once from a session; gives whether there may be more.
    fn read_session(&mut self, number: u64) -> bool {
        let now = self.instant();
        let client = self.clients.get_mut(&number).expect("it is held");
        let id = client.id;
        if self.hub.has_carry(id) {
            self.trace.note(format_args!("{number} goes on"));
            self.hub.resume(id, now);
            self.model.understand(number, self.now);
            return true;
        }
        if client.broken {
            self.trace.note(format_args!("{number} is reset"));
            self.hub.handle_reset(id, now);
            self.model.reset(number, self.now);
            return false;
        }
        if client.unread.is_empty() && client.ended {
            self.trace.note(format_args!("{number} has ended"));
            self.hub.handle_eof(id, now);
            self.model.eof(number, self.now);
            return false;
        }
        if client.unread.is_empty() {
            self.hub.handle_drained(id, now);
            self.model.drained(number, self.now);
            return false;
        }
        let mut length = client.unread.len();
        if self.cuts && self.random.percent(40) {
            length = self.random.within(1..=length);
        }
        let bytes: Vec<u8> = client.unread.drain(..length).collect();
        self.trace
            .note(format_args!("{number} is heard: {length} bytes"));
        self.hub.handle_input(id, &bytes, now);
        self.model.input(number, length, self.now);
        true
    }

    pub(crate) fn tick(&mut self) {
        self.hub.tick(self.instant());
        self.model.tick(self.now);
        self.check();
    }

    pub(crate) fn shut_down(&mut self) {
        self.trace.note(format_args!("shutdown"));
        self.hub.shut_down(self.instant());
        self.model.shut_down(self.now);
        self.check();
    }

    pub(crate) fn cut_off(&mut self) {
        self.trace.note(format_args!("cut off"));
        self.hub.cut_off();
        self.model.cut_off();
        self.model.hit("cut off");
        self.check();
    }

    /// A flush to the next `most` of the round, and to those who have something to hear alone.
    pub(crate) fn flush(&mut self, most: usize) {
        for (number, session) in &self.model.sessions {
            if session.phase == Phase::Closed {
                let transport = self.hub.transport(self.clients[number].id);
                transport.expect("it is held until it is freed").shut = true;
            }
        }
        let mut sockets = Sockets::default();
        if most < usize::MAX {
            self.trace.note(format_args!("{most} are told"));
            self.model.hit("only some are told");
        }
        let told = self.hub.flush_some(most, self.instant(), &mut sockets);
        assert!(told <= most);
        // Last lines may still lie unread, and no edge may come for them.
        for number in sockets.failed {
            self.trace.note(format_args!("{number} takes nothing more"));
            let what = match self.transport(number).failure {
                Failure::Broken => "write error",
                Failure::Zero => "failed with nothing taken",
            };
            self.model.hit(what);
            self.make_ready(number);
        }
        let took = self.collect();
        self.model.flush(most, &took, self.now);
        self.check();
    }

    /// What each socket did in this flush.
    fn collect(&mut self) -> BTreeMap<u64, Took> {
        let mut took = BTreeMap::new();
        for id in self.hub.ids().collect::<Vec<_>>() {
            let transport = self.hub.transport(id).expect("it was just listed");
            let number = transport.number;
            let fresh = std::mem::take(&mut transport.fresh);
            if !fresh.is_empty() {
                let length = fresh.len();
                self.trace
                    .note(format_args!("{number} takes {length} bytes"));
            }
            for (count, what) in [
                (&mut transport.partial_writes, "partial write"),
                (&mut transport.interrupted_writes, "interrupted write"),
                (&mut transport.blocks, "block"),
            ] {
                *self.model.hits.entry(what).or_default() += std::mem::take(count);
            }
            let now = Took {
                fresh,
                blocked: transport.blocked,
                failed: transport.failed,
                finished: transport.finished,
            };
            took.insert(number, now);
        }
        took
    }

    fn reap(&mut self) {
        let mut endings = BTreeMap::new();
        self.hub.reap(self.instant(), |transport, ending| {
            let before = endings.insert(transport.number, ending);
            assert_eq!(before, None, "{} is freed twice", transport.number);
        });
        let expected = self.model.reap(self.now);
        let closes = test_log::closes();
        let skip = closes.len().saturating_sub(endings.len());
        let freed = closes.into_iter().skip(skip).map(|close| {
            let closing = Closing {
                name: close.name,
                reason: close.reason,
                tenths: close.tenths,
                lines_in: close.lines_in,
                bytes_out: close.bytes_out,
                ending: endings[&close.id],
            };
            (close.id, closing)
        });
        assert_eq!(freed.collect::<BTreeMap<_, _>>(), expected, "who was freed");
        for (number, closing) in expected {
            self.trace
                .note(format_args!("{number} is freed: {}", closing.reason));
            let client = self.clients.remove(&number).expect("it was held");
            self.stale.push(client.id);
        }
        self.check();
    }
}

fn from(number: u64) -> Origin {
    SocketAddr::from(([127, 0, 0, 1], number as u16)).into()
}
