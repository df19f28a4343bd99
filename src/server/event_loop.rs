//! The turn.
//!
//! Here is what the loop owns, and the order in which it works; whom it lets in and how it stops is in `accept`, how it
//! reads in `read`, what it does for operators in `operate` and `moderate`, what monitoring is told in `monitor`, how its
//! settings change in `settings`.

mod accept;
mod carrier;
mod door;
mod moderate;
mod monitor;
mod operate;
mod read;
mod relay;
mod settings;
#[cfg(feature = "tls")]
mod tls;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use carrier::{Carrier, Writer};
use log::warn;

use crate::dialect::event::Elsewhere;
use crate::dialect::{Dialect, House};
#[cfg(test)]
use crate::hub::Census;
use crate::hub::{Hub, SessionId};
#[cfg(test)]
use crate::ledger::{Entry, Ledger};
use crate::server::admission::{Admission, AdmissionLimits, CountedAs};
use crate::server::control::Control;
#[cfg(test)]
use crate::server::control::Person;
use crate::server::door::Door;
use crate::server::files::Files;
use crate::server::meter::{Meter, Phase, SlowTurn};
use crate::server::metrics::{Extras, Reload};
use crate::server::monitor::Monitor;
use crate::server::names_file::NamesFile;
use crate::server::network::{Network, Owner, Wakeup};
use crate::server::rules_file::RulesFile;
use crate::server::transcript::TranscriptFile;
use crate::server::watchdog::Watchdog;
#[cfg(test)]
use crate::settings::Settings;
use crate::settings::{Configuration, Service};
use crate::stream::Edge;

use crate::report::Report;

/// How long what is left of the log waits until it is offered again.
const LOG_RETRY: Duration = Duration::from_millis(100);

/// A turn that begins this much too late, or takes as long, is no time that anybody was given.
const LATE_MIN: Duration = Duration::from_secs(1);

/// The loop: it owns the network, the hub with all sessions, and the lists of what is to be done.
///
/// Invariant: a session is on `ready` or `leaving`, once, exactly while its readiness says that it is to be read.
pub(super) struct EventLoop<N: Network> {
    network: N,
    /// What each listener offers.
    services: Vec<Service>,
    hub: Hub<Carrier<N::Stream>>,
    admission: Admission,
    control: Control<N::Stream>,
    /// Connections that are no sessions yet.
    door: Door<N::Stream>,
    /// What is served over HTTP.
    house: House,
    /// The port of each listener; 0 where there is none.
    ports: Vec<u16>,
    /// The port of the first telnet listener.
    telnet: Option<u16>,
    /// Sessions that may have something to be read.
    ready: VecDeque<SessionId>,
    /// Those of them whose stream seems to have ended. When thousands leave at once, the others are not to wait for it.
    leaving: VecDeque<SessionId>,
    events: Vec<Wakeup>,
    buffer: Box<[u8]>,
    shutdown: Shutdown,
    report_wanted: bool,
    reload_wanted: bool,
    /// The settings in force.
    configuration: Configuration,
    /// How many sessions the descriptors allow.
    sessions_allowed: usize,
    /// Other settings, which a test wants to hold from the next turn on.
    #[cfg(test)]
    planted: Option<Configuration>,
    #[cfg(feature = "tls")]
    tls: tls::Tls,
    rules: RulesFile,
    names: NamesFile,
    transcript: TranscriptFile,
    meter: Meter,
    monitor: Monitor<N::Stream>,
    /// For monitoring: what other parts of the server tell, and how the files were read again.
    pub(super) extras: Extras,
    pub(super) reload: Reload,
    /// When it was made, in seconds since 1970.
    started_at: u64,
    watchdog: Option<Watchdog>,
    /// The other servers that share the chat, if there are any.
    relaying: Option<Box<relay::Relaying<N::Stream>>>,
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
    /// Tells it where each listener is, and so where other dialects are spoken.
    pub(super) fn set_addresses(&mut self, addresses: &[Option<SocketAddr>]) {
        let port = |address: &Option<SocketAddr>| address.map_or(0, |address| address.port());
        self.ports = addresses.iter().map(port).collect();
        let dialects = self.services.iter().map(|service| service.dialect());
        let spoken = dialects.zip(addresses);
        let spoken = spoken.filter_map(|(dialect, address)| dialect.zip(*address));
        let spoken: Vec<(Dialect, SocketAddr)> = spoken.collect();
        self.hub.set_elsewhere(Elsewhere::of(&spoken));
        let mut telnet = spoken.iter().filter(|(it, _)| *it == Dialect::Telnet);
        self.telnet = telnet.next().map(|(_, address)| address.port());
        self.make_site();
    }

    pub(super) fn new(
        mut network: N,
        services: Vec<Service>,
        configuration: Configuration,
        sessions_allowed: usize,
    ) -> io::Result<Self> {
        let settings = configuration.settings();
        let mut hub = Hub::new(settings::limits_for(settings, &services));
        let files = Files::read(settings).map_err(io::Error::other)?;
        hub.set_motd(&files.motd);
        hub.set_exempt(settings.exempt.iter().copied());
        hub.set_irc_name(&settings.irc_name);
        hub.set_rooms(&settings.rooms);
        hub.set_wall_clock(network.wall_seconds());
        hub.set_seed(network.seed()?);
        let mut rules = RulesFile::new(settings.bans_file.clone());
        rules.begin(&mut hub)?;
        let mut names = NamesFile::new(settings.names_file.clone());
        names.begin(&mut hub)?;
        let mut transcript = TranscriptFile::new(settings.transcript_file.clone());
        transcript.begin(&mut hub)?;
        #[cfg(feature = "tls")]
        let tls = tls::Tls::new(settings, &services, network.wall_seconds())?;
        let buffer = settings::read_buffer(settings.limits.line_rate, &services);
        let meter = Meter::new(network.now());
        let admission = AdmissionLimits::of(settings, sessions_allowed);
        let metrics = services.iter().enumerate();
        let metrics = metrics.filter(|(_, service)| **service == Service::Metrics);
        let monitor = Monitor::new(metrics.map(|(listener, _)| listener));
        Ok(Self {
            started_at: network.wall_seconds(),
            network,
            admission: Admission::new(admission, services.len()),
            door: Door::new(services.len()),
            house: House {
                irc_name: settings.irc_name.clone(),
                ..House::default()
            },
            ports: Vec::new(),
            telnet: None,
            control: Control::default(),
            services,
            hub,
            ready: VecDeque::new(),
            leaving: VecDeque::new(),
            events: Vec::new(),
            buffer,
            shutdown: Shutdown::Running,
            report_wanted: false,
            reload_wanted: false,
            configuration,
            sessions_allowed,
            #[cfg(test)]
            planted: None,
            #[cfg(feature = "tls")]
            tls,
            rules,
            names,
            transcript,
            meter,
            monitor,
            extras: Extras::default(),
            reload: Reload::default(),
            watchdog: None,
            relaying: None,
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
        let now = self.now();
        self.control.tell_the_last(&mut self.network, now);
        self.transcript.finish(&mut self.hub, now);
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
        if self.hub.wants_seed() {
            self.hub.set_seed(self.network.seed()?);
        }
        for event in events.drain(..) {
            self.note(event);
        }
        self.events = events;
        self.lap(Phase::Note);
        self.accept(now);
        self.lap(Phase::Accept);
        self.read_door(now);
        self.hub.set_unregistered(self.door.registering());
        self.read(now);
        self.read_relay(now);
        self.lap(Phase::Read);
        self.operate(now);
        self.serve_monitoring(now);
        self.lap(Phase::Operate);
        self.tick_door(now);
        #[cfg(feature = "tls")]
        self.tick_tls(now);
        self.hub.tick(now);
        self.stop(now);
        self.exchange_with_others(now);
        self.resume();
        // Nobody has heard yet what they would look for in it after a crash.
        self.transcript.write(&mut self.hub, now);
        self.extras.transcript_lines_lost = self.transcript.lost();
        self.lap(Phase::Tick);
        self.flush(now);
        self.write_to_relay(now);
        self.lap(Phase::Flush);
        self.reap(now);
        self.dial_relay(now);
        self.lap(Phase::Reap);
        // Everybody has been told before: only who made a rule waits for the disk.
        #[cfg(test)]
        self.hub.ledger_mut().diary.push(Entry::Saving);
        self.rules.keep(&mut self.hub, now);
        self.answer_saved(now);
        let is_done = match self.shutdown {
            Shutdown::Running | Shutdown::Asked => false,
            Shutdown::Draining(until) => self.hub.is_empty() && self.have_others_heard(until, now),
            Shutdown::AtOnce => true,
        };
        self.names.keep(&mut self.hub, is_done, now);
        self.tell_the_operator();
        self.lap(Phase::Operate);
        self.end_metering();
        let took = self.network.now().saturating_duration_since(awake_since);
        self.leave_out(took);
        Ok(!is_done)
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
        let at_door = self.door.ready() + self.door.writable();
        let is_relay_ready = self.is_relay_ready();
        let listed = !self.ready.is_empty() || !self.leaving.is_empty() || at_door > 0;
        let listed = listed || is_relay_ready;
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
            self.control.wake_at(now),
            self.door.wake_at(),
            self.monitor.wake_at(now),
            stop,
            log,
            self.rules.retry_at(),
            self.names.wake_at(&self.hub),
            self.transcript.wake_at(),
            self.relay_wakes_at(now),
            stop.and_then(|at| self.others_are_waited_for_until(at)),
            #[cfg(feature = "tls")]
            self.tls.failures.wake_at(now),
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
                Owner::Door(slot) => self.door.note(slot as usize, edge),
                Owner::Control(slot) => self.control.note(slot, edge),
                Owner::Monitor(slot) => self.monitor.note(slot, edge),
                Owner::Relay(line) => self.note_relay(line, edge),
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
        let carrier = if edge.writable {
            self.hub.handle_writable(id)
        } else {
            self.hub.transport(id)
        };
        let Some(carrier) = carrier else { return };
        // An edge of a connection that is closed may come late.
        if carrier.stream.is_some() && carrier.readiness.note(edge) {
            self.enqueue(id, edge.closed);
        }
    }

    fn flush(&mut self, now: Instant) {
        let mut sink = Writer {
            turn_began_at: self.meter.began_at(),
            began_at: self.network.now(),
            network: &mut self.network,
            #[cfg(feature = "tls")]
            changed: &mut self.tls.changed,
            leaving: &mut self.leaving,
        };
        self.hub.flush(now, &mut sink);
        #[cfg(feature = "tls")]
        self.count_carried();
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
            if let Some(stream) = carrier.stream {
                network.close(stream, ending);
            }
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
            self.log_relay();
        }
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.end_turn(self.network.now());
        }
    }

    /// Ends what is measured of the turn: all of its work is done.
    fn end_metering(&mut self) {
        if let Some(SlowTurn { took, phase }) = self.meter.end() {
            let sessions = crate::log::counted(self.hub.len() as u64, "session");
            warn!(
                "slow turn: {} ms, most of it in {phase}, with {sessions}",
                took.as_millis()
            );
        }
    }
}

/// What the simulation looks at.
#[cfg(test)]
impl<N: Network> EventLoop<N> {
    /// How many sessions are in which state, and what they hold.
    pub(super) fn census(&self) -> Census {
        self.hub.census()
    }

    /// What all queues and buffers hold together, what waits to be told to all among it.
    pub(super) fn memory(&self) -> usize {
        self.hub.memory()
    }

    /// The record of opens and closes.
    pub(super) fn ledger(&self) -> &Ledger {
        self.hub.ledger()
    }

    /// What was done since it was last taken.
    pub(super) fn take_diary(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.hub.ledger_mut().diary)
    }

    /// Writes down that a line of an operator is obeyed.
    pub(super) fn note_operated(&mut self, by: &Person, line: &str) {
        let (by, line) = (by.user.clone(), line.to_owned());
        let diary = &mut self.hub.ledger_mut().diary;
        diary.push(Entry::Operated { by, line });
    }

    /// Bytes that wait for operators.
    pub(super) fn waiting_for_operators(&self) -> usize {
        self.control.waiting()
    }

    pub(super) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Lets these settings hold from the middle of the next turn on.
    pub(super) fn plant(&mut self, settings: &Settings) {
        self.planted = Some(Configuration::from(settings));
    }

    /// Turns newcomers away, or lets them in again.
    pub(super) fn set_drains(&mut self, drains: bool) {
        self.admission.drains = drains;
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
