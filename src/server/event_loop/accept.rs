//! Accepting: who comes in, and how everybody is told when the server stops.

use std::io::IoSlice;
use std::time::Instant;

use log::{info, warn};

use super::{Carrier, EventLoop, Shutdown};
use crate::dialect::Dialect;
use crate::hub::Ending;
use crate::ledger::CloseReason;
use crate::origin::Origin;
use crate::server::admission::{is_passing, CountedAs, Decision};
use crate::server::network::{Network, Owner};
use crate::settings::Service;
use crate::stream::Readiness;

/// At most 64 newcomers are accepted in one turn, so that a storm of them does not keep the others waiting.
const TURN_ACCEPTS_MAX: usize = 64;

/// At most 1024 who wait in the queue of a listener are told that the server goes down: no more fit there.
const LAST_ACCEPTS_MAX: usize = 1024;

impl<N: Network> EventLoop<N> {
    /// Lets in those who wait, as long as there is room in the feed for what they are told. Once the server is to stop,
    /// who waits is left to whoever goes on to listen, or to [`EventLoop::stop`].
    pub(super) fn accept(&mut self, now: Instant) {
        for _ in 0..TURN_ACCEPTS_MAX {
            if self.shutdown != Shutdown::Running || self.hub.has_done_enough() {
                return;
            }
            let Some(listener) = self.admission.next_ready(now) else {
                return;
            };
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
            Service::Chat { dialect, .. } => self.admit(stream, dialect, from, now),
            // Those for metrics are accepted by `serve_monitoring`.
            Service::Metrics | Service::Operators => {
                self.network.close(stream, Ending::Orderly);
            }
        }
    }

    fn admit(&mut self, mut stream: N::Stream, dialect: Dialect, from: Origin, now: Instant) {
        let prefix = from.prefix();
        let decision = match self.shutdown {
            Shutdown::Running => match self.admission.decide(prefix, self.hub.open_sessions()) {
                Decision::Refuse(CloseReason::Full) | Decision::TurnAway(CloseReason::Full)
                    if self.hub.make_room(now) =>
                {
                    self.admission.decide(prefix, self.hub.open_sessions())
                }
                decision => decision,
            },
            _ => Decision::TurnAway(CloseReason::Shutdown),
        };
        if let Decision::TurnAway(reason) = decision {
            let farewell = self.hub.turn_away(dialect, from, reason);
            // It has been told, or it would not listen: either way nothing is kept for it.
            let _ = self.network.write(&mut stream, &[IoSlice::new(&farewell)]);
            self.network.finish(&mut stream);
            return self.network.close(stream, Ending::Orderly);
        }
        let admitted = decision == Decision::Admit;
        self.admission.hold(CountedAs::of(admitted, prefix));
        let carrier = Carrier {
            stream,
            admitted,
            readiness: Readiness::default(),
        };
        let id = match decision {
            Decision::Refuse(reason) => self.hub.refuse(carrier, dialect, from, reason, now),
            _ => self.hub.connect(carrier, dialect, from, now),
        };
        let Some(carrier) = self.hub.transport(id) else {
            return;
        };
        if let Err(error) = self
            .network
            .register(&mut carrier.stream, Owner::Session(id))
        {
            warn!("cannot wait for events of a session: {error}");
            self.hub.handle_reset(id, now);
        }
    }

    /// Begins to stop, or makes an end of it.
    pub(super) fn stop(&mut self, now: Instant) {
        match self.shutdown {
            Shutdown::Running => {}
            Shutdown::Asked => {
                info!("stopping: {} sessions are told", self.hub.open_sessions());
                self.accept_the_last(now);
                self.hub.shut_down(now);
                self.shutdown = Shutdown::Draining(now + self.drain);
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
