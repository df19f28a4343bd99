//! The turn.
//!
//! Here is what the loop owns, and the order in which it works; whom it lets in and how it stops is in `accept`, how it
//! reads in `read`, what monitoring is told in `monitor`.

mod accept;
mod monitor;
mod read;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use log::{info, warn};

use crate::dialect::event::Elsewhere;
#[cfg(test)]
use crate::hub::Census;
use crate::hub::{Hub, Limits, SessionId, Sink};
#[cfg(test)]
use crate::ledger::{Entry, Ledger};
use crate::server::admission::{Admission, AdmissionLimits, CountedAs};
use crate::server::meter::{Meter, Phase, SlowTurn};
use crate::server::metrics::{Extras, Reload};
use crate::server::monitor::Monitor;
use crate::server::motd::MotdFile;
use crate::server::network::{Network, Owner, Wakeup};
use crate::server::watchdog::Watchdog;
use crate::settings::Service;
use crate::stream::{Edge, Readiness, Write};

use crate::report::Report;

/// How long what is left of the log waits until it is offered again.
const LOG_RETRY: Duration = Duration::from_millis(100);

/// At most 64 KiB are read from one session in one turn.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// The same where sessions are heard at a limited rate: what waits for its time is better kept by the kernel.
const PACED_TURN_BYTES_MAX: usize = 8 * 1024;

/// A turn that begins this much too late, or takes as long, is no time that anybody was given.
const LATE_MIN: Duration = Duration::from_secs(1);

/// What carries one session.
#[derive(Debug)]
pub(super) struct Carrier<S> {
    stream: S,
    /// It was let in, and not only to be told why it cannot stay.
    admitted: bool,
    /// It is on a list of those to be read exactly while this says that it is to be read.
    readiness: Readiness,
}

/// The loop: it owns the network, the hub with all sessions, and the lists of what is to be done.
///
/// Invariant: a session is on `ready` or `leaving`, once, exactly while its [`Readiness`] says that it is to be read.
pub(super) struct EventLoop<N: Network> {
    network: N,
    /// What each listener offers.
    services: Vec<Service>,
    hub: Hub<Carrier<N::Stream>>,
    admission: Admission,
    /// Sessions that may have something to be read.
    ready: VecDeque<SessionId>,
    /// Those of them whose stream seems to have ended. When thousands leave at once, the others are not to wait for it.
    leaving: VecDeque<SessionId>,
    events: Vec<Wakeup>,
    buffer: Box<[u8]>,
    shutdown: Shutdown,
    report_wanted: bool,
    reload_wanted: bool,
    message: MotdFile,
    drain: Duration,
    meter: Meter,
    monitor: Monitor<N::Stream>,
    /// For monitoring: what other parts of the server tell, and how the files were read again.
    pub(super) extras: Extras,
    pub(super) reload: Reload,
    /// When it was made, in seconds since 1970.
    started_at: u64,
    watchdog: Option<Watchdog>,
    /// Time in which nobody was served, though the clock went on.
    left_out: Duration,
}

/// How far stopping has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shutdown {
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
    /// Tells it where other dialects are spoken.
    pub(super) fn set_elsewhere(&mut self, elsewhere: Elsewhere) {
        self.hub.set_elsewhere(elsewhere);
    }

    pub(super) fn new(
        network: N,
        services: Vec<Service>,
        limits: Limits,
        admission_limits: AdmissionLimits,
        message: MotdFile,
    ) -> io::Result<Self> {
        let mut hub = Hub::new(limits);
        hub.set_motd(&message.read()?);
        let meter = Meter::new(network.now());
        let read_bytes_max = if limits.line_rate.is_unlimited() {
            TURN_BYTES_MAX
        } else {
            PACED_TURN_BYTES_MAX
        };
        let metrics = services.iter().enumerate();
        let metrics = metrics.filter(|(_, service)| **service == Service::Metrics);
        let monitor = Monitor::new(metrics.map(|(listener, _)| listener));
        Ok(Self {
            started_at: network.wall_seconds(),
            network,
            admission: Admission::new(admission_limits, services.len()),
            services,
            hub,
            ready: VecDeque::new(),
            leaving: VecDeque::new(),
            events: Vec::new(),
            buffer: vec![0; read_bytes_max].into(),
            shutdown: Shutdown::Running,
            report_wanted: false,
            reload_wanted: false,
            message,
            drain: limits.drain,
            meter,
            monitor,
            extras: Extras::default(),
            reload: Reload::default(),
            watchdog: None,
            left_out: Duration::ZERO,
        })
    }

    pub(super) fn network(&self) -> &N {
        &self.network
    }

    pub(super) fn network_mut(&mut self) -> &mut N {
        &mut self.network
    }

    /// Tells a supervisor that watches the process that it works, from now on.
    pub(super) fn begin_watchdog(&mut self) {
        self.watchdog = Watchdog::from_env(self.network.now());
    }

    pub(super) fn report(&self) -> Report {
        Report::new(
            self.hub.census(),
            self.hub.ledger(),
            self.usage(),
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
        let asleep_since = self.network.now();
        self.network.poll(&mut events, timeout)?;
        let awake_since = self.network.now();
        if let Some(timeout) = timeout {
            let asleep = awake_since.saturating_duration_since(asleep_since);
            self.leave_out(asleep.saturating_sub(timeout));
        }
        let now = self.now();
        self.meter.begin(awake_since);
        self.hub.set_wall_clock(self.network.wall_seconds());
        for event in events.drain(..) {
            self.note(event);
        }
        self.events = events;
        self.lap(Phase::Note);
        self.accept(now);
        self.lap(Phase::Accept);
        self.read(now);
        self.lap(Phase::Read);
        self.serve_monitoring(now);
        self.lap(Phase::Operate);
        self.hub.tick(now);
        self.resume();
        self.stop(now);
        self.lap(Phase::Tick);
        self.flush(now);
        self.lap(Phase::Flush);
        self.reap(now);
        self.lap(Phase::Reap);
        self.tell_the_operator();
        self.lap(Phase::Operate);
        self.end_metering();
        let took = self.network.now().saturating_duration_since(awake_since);
        self.leave_out(took);
        let done = match self.shutdown {
            Shutdown::Running | Shutdown::Asked => false,
            Shutdown::Draining(_) => self.hub.is_empty(),
            Shutdown::AtOnce => true,
        };
        Ok(!done)
    }

    /// The time, without what was left out of it.
    fn now(&self) -> Instant {
        let now = self.network.now();
        now.checked_sub(self.left_out).unwrap_or(now)
    }

    /// The process was stopped, or a turn took far too long: for those who waited for us meanwhile, no time has passed.
    fn leave_out(&mut self, late: Duration) {
        if late >= LATE_MIN {
            self.left_out += late;
        }
    }

    /// How long the poll may wait: not at all while a list has work that no edge will tell of.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let listed = !self.ready.is_empty() || !self.leaving.is_empty();
        if listed {
            return Some(Duration::ZERO);
        }
        let now = self.now();
        let stop = match self.shutdown {
            Shutdown::Draining(at) => Some(at),
            _ => None,
        };
        let log = crate::log::is_behind().then(|| now + LOG_RETRY);
        let deadlines = [
            self.hub.wake_at(now),
            self.admission.wake_at(now),
            self.monitor.wake_at(now),
            stop,
            log,
        ];
        let wake_at = deadlines.into_iter().flatten().min();
        let timeout = wake_at.map(|at| at.saturating_duration_since(now));
        // A supervisor does not leave out any time.
        let watchdog = self.watchdog.as_ref();
        let told_in = watchdog.map(|watchdog| watchdog.due_in(self.network.now()));
        timeout.into_iter().chain(told_in).min()
    }

    fn note(&mut self, event: Wakeup) {
        match event {
            Wakeup::Listener(listener) => {
                if !self.monitor.note_listener(listener) {
                    self.admission.note(listener);
                }
            }
            Wakeup::Stream { owner, edge } => match owner {
                Owner::Session(id) => self.note_session(id, edge),
                Owner::Monitor(slot) => self.monitor.note(slot, edge),
                Owner::Door(_) | Owner::Control(_) => {}
            },
            Wakeup::Stop => {
                self.shutdown = if self.shutdown == Shutdown::Running {
                    Shutdown::Asked
                } else {
                    Shutdown::AtOnce
                };
            }
            Wakeup::Report => self.report_wanted = true,
            Wakeup::Reload => self.reload_wanted = true,
        }
    }

    fn note_session(&mut self, id: SessionId, edge: Edge) {
        if edge.writable {
            self.hub.handle_writable(id);
        }
        let Some(carrier) = self.hub.transport(id) else {
            return;
        };
        if carrier.readiness.note(edge) {
            self.enqueue(id, edge.closed);
        }
    }

    fn flush(&mut self, now: Instant) {
        let mut sink = Writer {
            turn_began_at: self.meter.began_at(),
            began_at: self.network.now(),
            network: &mut self.network,
            leaving: &mut self.leaving,
        };
        self.hub.flush(now, &mut sink);
    }

    fn reap(&mut self, now: Instant) {
        if self.shutdown == Shutdown::AtOnce {
            // Not before the flush, which tells everybody so whose socket takes it.
            self.hub.cut_off();
        }
        let Self {
            hub,
            network,
            admission,
            ..
        } = self;
        hub.reap(now, |carrier, from, ending| {
            let prefix = from.prefix();
            admission.release(CountedAs::of(carrier.admitted, prefix));
            network.close(carrier.stream, ending);
        });
    }

    fn lap(&mut self, phase: Phase) {
        self.meter.lap(phase, self.network.now());
    }

    /// Ends the turn with what the operator is to know, or wants.
    fn tell_the_operator(&mut self) {
        log::logger().flush();
        if std::mem::take(&mut self.report_wanted) {
            self.report().log();
        }
        if std::mem::take(&mut self.reload_wanted) {
            let read = self.message.read();
            self.reload.note(read.is_ok(), self.network.wall_seconds());
            match read {
                Ok(text) => {
                    self.hub.set_motd(&text);
                    info!("reloaded");
                }
                Err(error) => warn!("{error}; the old one stays"),
            }
        }
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.end_turn(self.network.now());
        }
    }

    /// Ends what is measured of the turn: all of its work is done.
    fn end_metering(&mut self) {
        if let Some(SlowTurn { took, phase }) = self.meter.end() {
            let sessions = self.hub.len();
            warn!(
                "slow turn: {} ms, most of it in {phase}, with {sessions} sessions",
                took.as_millis()
            );
        }
    }
}

/// Lends the network to the hub for a flush.
struct Writer<'a, N> {
    turn_began_at: Instant,
    began_at: Instant,
    network: &'a mut N,
    leaving: &'a mut VecDeque<SessionId>,
}

impl<N: Network> Sink<Carrier<N::Stream>> for Writer<'_, N> {
    fn write(
        &mut self,
        id: SessionId,
        carrier: &mut Carrier<N::Stream>,
        slices: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        match self.network.write(&mut carrier.stream, slices) {
            Write::Taken(bytes) => Ok(bytes),
            Write::Blocked => Err(io::ErrorKind::WouldBlock.into()),
            Write::Broken(kind) => {
                if carrier.readiness.look_for_end() {
                    self.leaving.push_back(id);
                }
                Err(kind.into())
            }
        }
    }

    fn finish(&mut self, carrier: &mut Carrier<N::Stream>) {
        self.network.finish(&mut carrier.stream);
    }

    fn turn_took(&self) -> Duration {
        let now = self.network.now();
        now.saturating_duration_since(self.turn_began_at)
    }

    fn spent(&self) -> Duration {
        self.network.now().saturating_duration_since(self.began_at)
    }
}

/// What the simulation looks at.
#[cfg(test)]
impl<N: Network> EventLoop<N> {
    /// How many sessions are in which state, and what they hold.
    pub(super) fn census(&self) -> Census {
        self.hub.census()
    }

    /// The record of opens and closes.
    pub(super) fn ledger(&self) -> &Ledger {
        self.hub.ledger()
    }

    /// What was done since it was last taken.
    pub(super) fn take_diary(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.hub.ledger_mut().diary)
    }

    pub(super) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Turns newcomers away, or lets them in again.
    pub(super) fn set_drains(&mut self, drains: bool) {
        self.admission.drains = drains;
    }

    pub(super) fn set_message_file(&mut self, message: MotdFile) {
        self.message = message;
    }

    /// Looks at everything that must hold between two turns.
    pub(super) fn check_invariants(&mut self) {
        self.hub.check_invariants();
        let listed: Vec<SessionId> = self.ready.iter().chain(&self.leaving).copied().collect();
        for id in self.hub.ids().collect::<Vec<_>>() {
            let entries = listed.iter().filter(|listed| **listed == id).count();
            let carrier = self.hub.transport(id);
            let to_be_read = carrier.is_some_and(|carrier| carrier.readiness.is_readable());
            assert_eq!(
                entries,
                usize::from(to_be_read),
                "{id:?} on the lists of the loop"
            );
        }
    }
}
