//! The turn.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::dialect::Dialect;
use crate::hub::{Hub, Limits, Outlet, SessionId};
use crate::ledger::CloseReason;
use crate::planted::{planted, Bug};
use crate::server::acceptor::{is_passing, Acceptor, Admission, Origin, Place, Verdict};
use crate::server::message::MessageFile;
use crate::server::meter::{Meter, SlowTurn};
use crate::server::network::{Event, Network};
use crate::server::pace::{Pace, Waiting};
use crate::stderr_log;

pub use crate::diagnosis::Report;

/// At most so many newcomers are accepted in one turn.
const TURN_ACCEPTS_MAX: usize = 64;

/// At most so many who wait at the door are told that the server goes down: no more fit there.
const LAST_ACCEPTS_MAX: usize = 1024;

/// What is left of the log is offered again so often.
const LOG_RETRY: Duration = Duration::from_millis(100);

/// At most so much is read from one session in one turn.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// The same where sessions are heard at a limited rate: what waits for its time is better kept by the kernel.
const PACED_TURN_BYTES_MAX: usize = 8 * 1024;

/// At most so many sessions whose stream seems to have ended are read in one turn: freeing one costs the kernel more
/// than reading one.
const TURN_LEAVES_MAX: usize = 64;
/// So many of them are read in every turn, even if there is no more room in the feed.
const TURN_LEAVES_MIN: usize = 8;

/// What carries one session.
#[derive(Debug)]
pub(super) struct Carrier<S> {
    stream: S,
    place: Place,
    /// It is on the list of those to be read.
    ready: bool,
    /// An event said that the stream has ended or broken: read until that is seen.
    may_have_ended: bool,
    /// An event told of urgent data, at which a read stops: a short read does not tell that there is no more.
    may_stop_short: bool,
}

/// The loop: it owns the network, the hub with all sessions, and the lists of what is to be done.
///
/// Invariant: a session is on `ready` or `leaving`, once, exactly while its carrier says so.
pub(super) struct EventLoop<N: Network> {
    network: N,
    dialects: Vec<Dialect>,
    hub: Hub<Carrier<N::Stream>>,
    acceptor: Acceptor,
    /// Sessions that may have something to be read.
    ready: VecDeque<SessionId>,
    /// Those of them whose stream seems to have ended. When thousands leave at once, the others are not to wait for it.
    leaving: VecDeque<SessionId>,
    pace: Pace,
    events: Vec<Event>,
    buffer: Box<[u8]>,
    stops: Stops,
    report_wanted: bool,
    reload_wanted: bool,
    message: MessageFile,
    drain: Duration,
    meter: Meter,
}

/// How far stopping has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stops {
    /// Nobody asked.
    Running,
    /// Somebody asked: it begins in this turn.
    Asked,
    /// Everybody has been told; at this time those who are still there are cut off.
    Draining(Instant),
    /// It is to end with this turn.
    AtOnce,
}

impl<N: Network> EventLoop<N> {
    pub(super) fn new(
        network: N,
        dialects: Vec<Dialect>,
        limits: Limits,
        admission: Admission,
        pace_max: Option<Duration>,
        message: MessageFile,
    ) -> io::Result<Self> {
        let mut hub = Hub::new(limits);
        hub.set_message_of_the_day(&message.read()?);
        let meter = Meter::new(network.now());
        let read_bytes_max = match limits.line_rate {
            None => TURN_BYTES_MAX,
            Some(_) => PACED_TURN_BYTES_MAX,
        };
        Ok(Self {
            network,
            acceptor: Acceptor::new(admission, dialects.len()),
            dialects,
            hub,
            ready: VecDeque::new(),
            leaving: VecDeque::new(),
            pace: Pace::new(pace_max),
            events: Vec::new(),
            buffer: vec![0; read_bytes_max].into(),
            stops: Stops::Running,
            report_wanted: false,
            reload_wanted: false,
            message,
            drain: limits.drain,
            meter,
        })
    }

    pub(super) fn network(&self) -> &N {
        &self.network
    }

    pub(super) fn network_mut(&mut self) -> &mut N {
        &mut self.network
    }

    pub(super) fn report(&self) -> Report {
        Report::new(
            self.hub.census(),
            self.hub.ledger(),
            self.meter.turns,
            self.meter.longest,
        )
    }

    pub(super) fn run(&mut self) -> io::Result<()> {
        while self.turn()? {}
        Ok(())
    }

    /// One turn; gives whether there is to be another one.
    pub(super) fn turn(&mut self) -> io::Result<bool> {
        let timeout = self.timeout();
        let mut events = std::mem::take(&mut self.events);
        self.network.poll(&mut events, timeout)?;
        let now = self.network.now();
        self.meter.begin(now);
        self.hub.set_wall_clock(self.network.wall_seconds());
        for event in events.drain(..) {
            self.note(event);
        }
        self.events = events;
        self.lap("note");
        self.accept(now);
        self.lap("accept");
        self.read(now);
        self.lap("read");
        self.hub.tick(now);
        self.resume();
        self.stop(now);
        self.lap("tick");
        self.flush(now);
        self.lap("flush");
        self.reap(now);
        self.lap("reap");
        self.tell_the_operator();
        let done = match self.stops {
            Stops::Running | Stops::Asked => false,
            Stops::Draining(_) => self.hub.is_empty(),
            Stops::AtOnce => true,
        };
        Ok(!done)
    }

    /// How long the poll may wait: not at all while a list has work that no edge will tell of.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let listed = !self.ready.is_empty() || !self.leaving.is_empty();
        if listed || self.hub.has_listed() || self.hub.has_closed() {
            return Some(Duration::ZERO);
        }
        let now = self.network.now();
        let stop = match self.stops {
            Stops::Draining(at) => Some(at),
            _ => None,
        };
        let flush = self.flush_at(now);
        let log = stderr_log::is_behind().then(|| now + LOG_RETRY);
        let deadlines = [
            self.hub.wake_at(),
            self.acceptor.wake_at(now),
            flush,
            stop,
            log,
        ];
        let wake_at = deadlines.into_iter().flatten().min()?;
        Some(wake_at.saturating_duration_since(now))
    }

    /// When what was said is to be flushed to all; `None` if nothing was said.
    fn flush_at(&self, now: Instant) -> Option<Instant> {
        let lines = self.hub.lines_waiting();
        if lines == 0 {
            return None;
        }
        if self.hub.has_said_enough() || self.stops != Stops::Running {
            return Some(now);
        }
        let waiting = Waiting {
            lines,
            is_presence: self.hub.only_presence_waits(),
        };
        Some(self.pace.due_at(waiting, now))
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Listener(listener) => self.acceptor.note(listener),
            Event::Session {
                id,
                readable,
                writable,
                closed,
                urgent,
            } => {
                if writable {
                    self.hub.handle_writable(id);
                }
                let Some(carrier) = self.hub.transport(id) else {
                    return;
                };
                carrier.may_have_ended |= closed;
                carrier.may_stop_short |= urgent;
                if (readable || closed || urgent) && !carrier.ready {
                    carrier.ready = true;
                    self.enqueue(id, closed);
                }
            }
            Event::Stop => {
                self.stops = if self.stops == Stops::Running {
                    Stops::Asked
                } else {
                    Stops::AtOnce
                };
            }
            Event::Report => self.report_wanted = true,
            Event::Reload => self.reload_wanted = true,
        }
    }

    fn accept(&mut self, now: Instant) {
        for _ in 0..TURN_ACCEPTS_MAX {
            let Some(listener) = self.acceptor.next_ready(now) else {
                return;
            };
            match self.network.accept(listener) {
                Ok((stream, from)) => {
                    self.acceptor.accepted();
                    self.admit(stream, self.dialects[listener], from, now);
                }
                Err(error) => self.acceptor.failed(listener, &error, now),
            }
        }
    }

    fn admit(&mut self, mut stream: N::Stream, dialect: Dialect, from: SocketAddr, now: Instant) {
        let origin = Origin::of(from.ip());
        let verdict = match self.stops {
            Stops::Running => match self.acceptor.judge(origin, self.hub.open_sessions()) {
                Verdict::Refuse(CloseReason::Full) | Verdict::TurnAway(CloseReason::Full)
                    if self.hub.make_room(now) =>
                {
                    self.acceptor.judge(origin, self.hub.open_sessions())
                }
                verdict => verdict,
            },
            _ => Verdict::TurnAway(CloseReason::Shutdown),
        };
        if let Verdict::TurnAway(reason) = verdict {
            let farewell = self.hub.turn_away(dialect, from, reason);
            // It has been told, or it would not listen: either way nothing is kept for it.
            let _ = self.network.write(&mut stream, &[IoSlice::new(&farewell)]);
            self.network.finish(&mut stream);
            return self.network.close(stream, crate::hub::Ending::Orderly);
        }
        let place = if verdict == Verdict::Admit {
            Place::of(origin)
        } else {
            Place::Refused
        };
        self.acceptor.hold(place);
        let carrier = Carrier {
            stream,
            place,
            ready: false,
            may_have_ended: false,
            may_stop_short: false,
        };
        let id = match verdict {
            Verdict::Refuse(reason) => self.hub.refuse(carrier, dialect, from, reason, now),
            _ => self.hub.connect(carrier, dialect, from, now),
        };
        let Some(carrier) = self.hub.transport(id) else {
            return;
        };
        if let Err(error) = self.network.register(&mut carrier.stream, id) {
            warn!("cannot wait for events of a session: {error}");
            self.hub.handle_reset(id, now);
        }
    }

    fn enqueue(&mut self, id: SessionId, may_have_ended: bool) {
        let list = if may_have_ended {
            &mut self.leaving
        } else {
            &mut self.ready
        };
        list.push_back(id);
    }

    /// Reads once from each session that is ready, as long as there is room in the feed.
    fn read(&mut self, now: Instant) {
        // Who goes from one list to the other has had its turn.
        let leaving = self.leaving.len().min(TURN_LEAVES_MAX);
        for _ in 0..self.ready.len() {
            if self.hub.has_said_enough() {
                break;
            }
            let next = self.ready.pop_front();
            self.read_next(next, now);
        }
        if !self.leaving.is_empty() {
            self.pace.see_leaving(now);
        }
        for read in 0..leaving {
            // However much those who stay have to say, those who leave do leave.
            if read >= TURN_LEAVES_MIN && self.hub.has_said_enough() {
                break;
            }
            let next = self.leaving.pop_front();
            self.read_next(next, now);
        }
    }

    fn read_next(&mut self, next: Option<SessionId>, now: Instant) {
        let Some(id) = next else { return };
        let still_ready = self.read_session(id, now);
        let Some(carrier) = self.hub.transport(id) else {
            return;
        };
        carrier.ready = still_ready;
        let may_have_ended = carrier.may_have_ended;
        if still_ready {
            self.enqueue(id, may_have_ended);
        }
    }

    /// Reads once from a session; gives whether there may be more, of which no edge will tell.
    fn read_session(&mut self, id: SessionId, now: Instant) -> bool {
        let more = if self.hub.is_paused(id) {
            false
        } else if self.hub.has_carry(id) {
            self.hub.resume(id, now);
            true
        } else {
            self.read_stream(id, now)
        };
        if !self.hub.is_paused(id) {
            return more;
        }
        // What it sent stays where it is, and its end may hide behind that.
        let carrier = self.hub.transport(id);
        if let Some(carrier) = carrier.filter(|carrier| carrier.may_have_ended) {
            if self.network.is_broken(&mut carrier.stream) {
                self.hub.handle_reset(id, now);
            } else {
                self.hub.handle_hangup(id, now);
            }
        }
        false
    }

    fn read_stream(&mut self, id: SessionId, now: Instant) -> bool {
        let Some(carrier) = self.hub.transport(id) else {
            return false;
        };
        let read_on = carrier.may_have_ended || carrier.may_stop_short;
        match self.network.read(&mut carrier.stream, &mut self.buffer) {
            Ok(0) => {
                self.hub.handle_eof(id, now);
                false
            }
            Ok(length) => {
                self.hub.handle_input(id, &self.buffer[..length], now);
                // A short read has emptied the socket, unless its end is all that is left or it stopped at urgent data.
                let full = length == self.buffer.len() && !planted(Bug::LostEdge);
                full || read_on || self.hub.has_carry(id)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                carrier.may_have_ended = false;
                carrier.may_stop_short = false;
                self.hub.handle_drained(id, now);
                false
            }
            Err(_) => {
                self.hub.handle_reset(id, now);
                false
            }
        }
    }

    /// Lets those be read again who were paused long enough.
    fn resume(&mut self) {
        for id in self.hub.take_resumed() {
            let Some(carrier) = self.hub.transport(id) else {
                continue;
            };
            if !std::mem::replace(&mut carrier.ready, true) {
                let may_have_ended = carrier.may_have_ended;
                self.enqueue(id, may_have_ended);
            }
        }
    }

    /// Begins to stop, or makes an end of it.
    fn stop(&mut self, now: Instant) {
        match self.stops {
            Stops::Running => {}
            Stops::Asked => {
                info!("stopping: {} sessions are told", self.hub.open_sessions());
                self.accept_the_last(now);
                self.hub.shut_down(now);
                self.stops = Stops::Draining(now + self.drain);
            }
            Stops::Draining(at) if now < at => {}
            Stops::Draining(_) | Stops::AtOnce => {
                self.hub.shut_down(now);
                self.hub.cut_off();
                self.stops = Stops::AtOnce;
            }
        }
    }

    /// Tells those who wait at the door, whom closing the listeners would reset without a word.
    fn accept_the_last(&mut self, now: Instant) {
        if !self.network.keeps_listening() {
            for listener in 0..self.dialects.len() {
                for _ in 0..LAST_ACCEPTS_MAX {
                    match self.network.accept(listener) {
                        Ok((stream, from)) => {
                            self.admit(stream, self.dialects[listener], from, now);
                        }
                        Err(error) if is_passing(&error) => {}
                        Err(_) => break,
                    }
                }
            }
        }
        self.acceptor.stop();
        self.network.stop_listening();
    }

    /// Writes to everybody what was said, if it is time for that; else only to those who wait for more than that.
    fn flush(&mut self, now: Instant) {
        if self.hub.lines_waiting() > 0 {
            self.pace.wait_from(now);
        }
        let due = self.flush_at(now).is_some_and(|at| at <= now);
        let mut outlet = Writer {
            network: &mut self.network,
            leaving: &mut self.leaving,
        };
        if !due {
            return self.hub.flush_listed(now, &mut outlet);
        }
        let began_at = outlet.network.now();
        self.hub.flush(now, &mut outlet);
        self.pace.flushed(began_at, self.network.now());
    }

    fn reap(&mut self, now: Instant) {
        let Self {
            hub,
            network,
            acceptor,
            ..
        } = self;
        hub.reap(now, |carrier, ending| {
            acceptor.release(carrier.place);
            network.close(carrier.stream, ending);
        });
    }

    fn lap(&mut self, phase: &'static str) {
        self.meter.lap(phase, self.network.now());
    }

    /// Ends the turn with what the operator is to know, or wants.
    fn tell_the_operator(&mut self) {
        log::logger().flush();
        if let Some(SlowTurn { took, phase }) = self.meter.end() {
            let sessions = self.hub.len();
            warn!(
                "slow turn: {} ms, most of it in {phase}, with {sessions} sessions",
                took.as_millis()
            );
        }
        if std::mem::take(&mut self.report_wanted) {
            self.report().log();
        }
        if std::mem::take(&mut self.reload_wanted) {
            match self.message.read() {
                Ok(text) => self.hub.set_message_of_the_day(&text),
                Err(error) => warn!("{error}; the old one stays"),
            }
        }
    }
}

/// Lends the network to the hub for a flush.
struct Writer<'a, N> {
    network: &'a mut N,
    leaving: &'a mut VecDeque<SessionId>,
}

impl<N: Network> Outlet<Carrier<N::Stream>> for Writer<'_, N> {
    fn write(
        &mut self,
        id: SessionId,
        carrier: &mut Carrier<N::Stream>,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        let outcome = self.network.write(&mut carrier.stream, slices);
        if let Err(error) = &outcome {
            let broken = !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            );
            // Its last lines may still lie unread, and no edge may come for them.
            if broken && !carrier.ready {
                carrier.ready = true;
                carrier.may_have_ended = true;
                self.leaving.push_back(id);
            }
        }
        outcome
    }

    fn finish(&mut self, carrier: &mut Carrier<N::Stream>) {
        self.network.finish(&mut carrier.stream);
    }
}

/// What the simulation looks at.
#[cfg(test)]
impl<N: Network> EventLoop<N> {
    pub(super) fn hub(&self) -> &Hub<Carrier<N::Stream>> {
        &self.hub
    }

    pub(super) fn acceptor(&self) -> &Acceptor {
        &self.acceptor
    }

    pub(super) fn set_message_file(&mut self, message: MessageFile) {
        self.message = message;
    }

    /// Looks at everything that must hold between two turns.
    pub(super) fn check_invariants(&mut self) {
        self.hub.check_invariants();
        let listed: Vec<SessionId> = self.ready.iter().chain(&self.leaving).copied().collect();
        for id in self.hub.ids().collect::<Vec<_>>() {
            let entries = listed.iter().filter(|listed| **listed == id).count();
            let ready = self.hub.transport(id).is_some_and(|carrier| carrier.ready);
            assert_eq!(
                entries,
                usize::from(ready),
                "{id:?} on the lists of the loop"
            );
        }
    }
}
