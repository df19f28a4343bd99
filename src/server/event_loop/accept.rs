//! Accepting: who comes in, and how everybody is told when the server stops.

use std::io::IoSlice;
use std::time::Instant;

use log::{info, warn};

use super::{Carrier, EventLoop, Shutdown};
use crate::dialect::{Opening, Preface};
use crate::hub::{Ending, SessionId};
use crate::ledger::CloseReason;
use crate::log::counted;
use crate::origin::Origin;
use crate::server::admission::{is_passing, CountedAs, Decision};
use crate::server::door::Comer;
use crate::server::network::{Network, Owner};
use crate::settings::Service;
use crate::stream::Readiness;

/// At most 64 newcomers are accepted in one turn, so that a storm of them does not keep the others waiting.
const TURN_ACCEPTS_MAX: usize = 64;

/// At most 1024 who wait in the queue of a listener are told that the server goes down: no more fit there.
const LAST_ACCEPTS_MAX: usize = 1024;

/// A connection that is to be a session.
pub(super) struct Newcomer<S> {
    pub(super) stream: S,
    pub(super) opening: Opening,
    /// Where it is from, marked if that is exempt.
    pub(super) from: Origin,
    /// What it brings if it waited at the door.
    pub(super) at_door: Option<AtDoor>,
}

/// What was read of a connection before it was a session.
pub(super) struct AtDoor {
    pub(super) readiness: Readiness,
    /// Its first input.
    pub(super) input: Vec<u8>,
}

impl<N: Network> EventLoop<N> {
    /// Lets newcomers in, as long as there is room in the feed for what they are told. Once the server is to stop, those
    /// who still wait are left to the next process with these listeners, or to [`EventLoop::stop`].
    pub(super) fn accept(&mut self, now: Instant) {
        self.admission.go_on(now);
        for _ in 0..TURN_ACCEPTS_MAX {
            if self.shutdown != Shutdown::Running || self.hub.has_done_enough() {
                return;
            }
            let Some(listener) = self.admission.next_ready(now) else {
                return;
            };
            if self.door.is_busy(listener, now) {
                self.admission.hold_back(listener, now);
                continue;
            }
            match self.network.accept(listener) {
                Ok((stream, from)) => {
                    self.admission.accepted();
                    self.receive(stream, listener, from, now);
                }
                Err(error) => self.admission.failed(listener, &error, now),
            }
        }
    }

    /// A connection has come: to whom it goes depends on what is offered where it came.
    fn receive(&mut self, stream: N::Stream, listener: usize, from: Origin, now: Instant) {
        match self.services[listener] {
            Service::Chat {
                dialect,
                tls,
                behind_proxy,
            } if behind_proxy || tls || Preface::of(dialect).is_some() => {
                let port = self.ports.get(listener).copied().unwrap_or(0);
                let comer = Comer {
                    from,
                    dialect,
                    tls,
                    behind_proxy,
                    listener,
                    port,
                };
                self.receive_at_door(stream, comer, now);
            }
            Service::Chat { dialect, .. } => {
                let newcomer = Newcomer {
                    stream,
                    opening: dialect.into(),
                    from: self.admission.mark(from),
                    at_door: None,
                };
                self.admit(newcomer, now);
            }
            // Those for metrics are accepted by `serve_monitoring`.
            Service::Metrics => {
                self.network.close(stream, Ending::Orderly);
            }
            Service::Operators => self.control.admit(stream, &mut self.network, now),
        }
    }

    pub(super) fn admit(&mut self, mut newcomer: Newcomer<N::Stream>, now: Instant) {
        let (from, dialect) = (newcomer.from, newcomer.opening.dialect());
        let decision = self.decide(from, now);
        if let Decision::TurnAway(rejection) = decision {
            let farewell = self.hub.turn_away(dialect, from, rejection);
            let stream = &mut newcomer.stream;
            // It has been told, or it would not listen: either way nothing is kept for it.
            let _ = self.network.write(stream, &[IoSlice::new(&farewell)]);
            self.network.finish(stream);
            return self.network.close(newcomer.stream, Ending::Orderly);
        }
        self.take_in(newcomer, decision, now);
    }

    /// Makes a session of a newcomer, if only to tell it why it cannot stay.
    pub(super) fn take_in(
        &mut self,
        newcomer: Newcomer<N::Stream>,
        decision: Decision,
        now: Instant,
    ) {
        let Newcomer {
            stream,
            opening,
            from,
            at_door,
        } = newcomer;
        let admitted = decision == Decision::Admit;
        self.admission.hold(CountedAs::of(admitted, from.prefix()));
        let carrier = Carrier {
            stream: Some(stream),
            admitted,
            readiness: Readiness::default(),
            #[cfg(feature = "tls")]
            held: 0,
        };
        let id = match decision {
            Decision::Refuse(rejection) => {
                let dialect = opening.dialect();
                self.hub.refuse(carrier, dialect, from, rejection, now)
            }
            _ => self.hub.connect(carrier, opening, from, now),
        };
        self.begin_session(id, at_door, now);
    }

    /// Waits for what a session sends from now on.
    pub(super) fn begin_session(&mut self, id: SessionId, at_door: Option<AtDoor>, now: Instant) {
        let Some(carrier) = self.hub.transport(id) else {
            return;
        };
        let Some(stream) = &mut carrier.stream else {
            return;
        };
        let owner = Owner::Session(id);
        let registered = match &at_door {
            None => self.network.register(stream, owner),
            Some(_) => self.network.hand_over(stream, owner),
        };
        if let Err(error) = registered {
            warn!("cannot wait for events of a session: {error}");
            return self.hub.handle_reset(id, now);
        }
        if let Some(at_door) = at_door {
            self.begin(id, at_door, now);
        }
    }

    /// A session goes on with what it was read at the door.
    fn begin(&mut self, id: SessionId, at_door: AtDoor, now: Instant) {
        let AtDoor { readiness, input } = at_door;
        if let Some(carrier) = self.hub.transport(id) {
            carrier.readiness = readiness;
        }
        if !input.is_empty() {
            let then = self.hub.handle_input(id, &input, now);
            self.follow(id, then, now);
        }
        self.put_back(id);
    }

    pub(super) fn decide(&mut self, from: Origin, now: Instant) -> Decision {
        if self.shutdown != Shutdown::Running {
            return Decision::TurnAway(CloseReason::Shutdown.into());
        }
        if self.hub.is_banned(from) {
            return self.admission.reject(CloseReason::Banned.into());
        }
        let is_full = |this: &Self| {
            let sessions = this.hub.open_sessions() + this.door.len();
            this.admission.is_full(sessions)
        };
        // Nobody is to make room for one who could not stay.
        match self.admission.decide(from.prefix(), is_full(self), now) {
            Decision::Refuse(rejection) | Decision::TurnAway(rejection)
                if rejection.reason == CloseReason::Full && self.hub.make_room(now) =>
            {
                self.admission.admit_unless_full(is_full(self))
            }
            decision => decision,
        }
    }

    /// Begins to stop, or makes an end of it.
    pub(super) fn stop(&mut self, now: Instant) {
        match self.shutdown {
            Shutdown::Running => {}
            Shutdown::Asked => {
                let open = self.hub.open_sessions();
                let are = if open == 1 { "is" } else { "are" };
                info!("stopping: {} {are} told", counted(open as u64, "session"));
                self.close_door();
                self.accept_the_last(now);
                self.leave_others(now);
                self.hub.shut_down(now);
                self.shutdown =
                    Shutdown::Draining(now + self.configuration.settings().limits.drain);
            }
            Shutdown::Draining(at) if now < at => {}
            Shutdown::Draining(_) | Shutdown::AtOnce => {
                self.hub.shut_down(now);
                self.shutdown = Shutdown::AtOnce;
            }
        }
    }

    /// Tells those who wait at the door, whom closing the listeners would reset without a word.
    fn accept_the_last(&mut self, now: Instant) {
        if !self.network.keeps_listening() {
            for listener in 0..self.services.len() {
                if self.services[listener] == Service::Metrics {
                    continue;
                }
                for _ in 0..LAST_ACCEPTS_MAX {
                    match self.network.accept(listener) {
                        Ok((stream, from)) => {
                            self.receive(stream, listener, from, now);
                        }
                        Err(error) if is_passing(&error) => {}
                        Err(_) => break,
                    }
                }
            }
        }
        self.admission.stop();
        // Monitoring goes on until the end.
        let kept: Vec<usize> = self.monitor.listeners().collect();
        self.network.stop_listening(&kept);
    }
}
