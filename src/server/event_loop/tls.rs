//! TLS: who shakes hands at the door, and with which certificate.

use std::io;
use std::time::Instant;

use log::{info, warn};

use super::door::Budget;
use super::EventLoop;
use crate::dialect::{Answer, Dialect};
use crate::hub::{Rejection, SessionId};
use crate::ledger::CloseReason;
use crate::origin::{Origin, Security};
use crate::server::certificate;
use crate::server::door::Verdict;
use crate::server::handshakes::{Failures, CONNECTING, CROWDING};
use crate::server::network::Network;
use crate::settings::{Service, Settings, SettingsError};
use crate::stream::tls::{Handshake, Identity, Version};
use crate::stream::Read;

/// What the loop has for TLS.
#[derive(Debug)]
pub(super) struct Tls {
    /// With what handshakes are made from now on.
    identity: Option<Identity>,
    /// When the certificate is to be warned of next, in seconds since 1970.
    warn_at: Option<u64>,
    pub(super) failures: Failures,
    /// Sessions whose streams keep more or less than before.
    pub(super) changed: Vec<(SessionId, u32)>,
}

impl Tls {
    /// # Errors
    /// If what the settings name cannot be used, or they name nothing and some service needs it.
    pub(super) fn new(
        settings: &Settings,
        services: &[Service],
        wall_seconds: u64,
    ) -> io::Result<Self> {
        let identity = certificate::read(settings).map_err(io::Error::other)?;
        let unserved = services.iter().find(|service| service.is_in_tls());
        if let Some(service) = unserved.filter(|_| identity.is_none()) {
            let what = format!("listen: {service} needs tls-cert and tls-key");
            return Err(io::Error::other(SettingsError::Wrong(what)));
        }
        let mut tls = Self {
            identity: None,
            warn_at: None,
            failures: Failures::default(),
            changed: Vec::new(),
        };
        tls.adopt(identity, settings, wall_seconds);
        Ok(tls)
    }

    /// When the certificate ends, in seconds since 1970; 0 where there is none.
    pub(super) fn ends_at(&self) -> u64 {
        self.identity
            .as_ref()
            .map_or(0, |identity| identity.ends_at)
    }

    fn adopt(&mut self, identity: Option<Identity>, settings: &Settings, wall_seconds: u64) {
        self.identity = identity;
        if let Some(identity) = &self.identity {
            self.warn_at = certificate::warn_of(identity, settings, wall_seconds);
            certificate::warn_of_key(settings);
        }
    }

    /// Warns of a certificate that has come near its end since that was last looked at.
    pub(super) fn tick(&mut self, settings: &Settings, wall_seconds: u64) {
        if self.warn_at.is_some_and(|at| at <= wall_seconds) {
            let identity = self.identity.as_ref();
            self.warn_at = identity.and_then(|it| certificate::warn_of(it, settings, wall_seconds));
        }
    }
}

impl<N: Network> EventLoop<N> {
    /// Reads the certificate and its key again; handshakes are made with it from now on.
    ///
    /// # Errors
    /// If it cannot be used: `FILE: WHAT`. The old one stays.
    pub(super) fn renew_certificate(&mut self, settings: &Settings) -> Result<(), String> {
        let identity = certificate::read(settings).map_err(|error| error.to_string())?;
        let in_tls = self.services.iter().any(|service| service.is_in_tls());
        if identity.is_none() && in_tls {
            return Err("tls-cert: none".to_owned());
        }
        let before = self.tls.ends_at();
        self.tls
            .adopt(identity, settings, self.network.wall_seconds());
        if self.tls.ends_at() != before && in_tls {
            let day = certificate::day(self.tls.ends_at());
            info!("tls: the certificate ends on {day}");
        }
        Ok(())
    }

    /// Warns of the certificate, and tells of handshakes that failed, if that is due.
    pub(super) fn tick_tls(&mut self, now: Instant) {
        self.tls
            .tick(self.configuration.settings(), self.network.wall_seconds());
        self.tls.failures.tell(now);
    }

    /// Lets the hub know what streams keep for their peers.
    pub(super) fn count_carried(&mut self) {
        for (id, bytes) in self.tls.changed.drain(..) {
            self.hub.note_carried(id, bytes);
        }
    }

    /// A session's stream may keep more or less than before.
    pub(super) fn note_held(&mut self, id: SessionId) {
        let Some(carrier) = self.hub.transport(id) else {
            return;
        };
        let held = carrier.stream.as_ref();
        let held = held.map_or(0, |stream| self.network.held(stream)) as u32;
        if std::mem::replace(&mut carrier.held, held) != held {
            self.hub.note_carried(id, held);
        }
    }

    /// Whether `more` handshakes of one address would be more at a time than it may have sessions, so that it cannot take
    /// the place of all others. A connection through a front end counts once that has said for whom.
    pub(super) fn is_crowding(&self, from: Origin, more: usize) -> bool {
        let prefix = self.admission.mark(from).prefix();
        let bound = prefix.zip(self.admission.per_address_max());
        bound.is_some_and(|(prefix, most)| self.door.handshakes_of(prefix) + more > most as usize)
    }

    /// A connection has sent the beginning of a handshake, which is gone on with when it is read next.
    pub(super) fn begin_handshake(&mut self, slot: usize, now: Instant) {
        let from = self.door.get_mut(slot).map(|waiting| waiting.from);
        if from.is_some_and(|from| self.is_crowding(from, 0)) {
            return self.end_at_door(slot, &Verdict::NoHandshake(CROWDING), now);
        }
        let prefix = from.and_then(|from| self.admission.mark(from).prefix());
        if prefix.is_some_and(|prefix| !self.admission.shakes_hands(prefix, now)) {
            return self.end_at_door(slot, &Verdict::NoHandshake(CONNECTING), now);
        }
        let (Some(waiting), Some(identity)) = (self.door.get_mut(slot), &self.tls.identity) else {
            return self.end_at_door(slot, &Verdict::Over, now);
        };
        let read = waiting.begin_handshake();
        let http = waiting.dialect == Dialect::Web;
        let stream = &mut waiting.stream;
        if let Err(error) = self.network.secure(stream, identity, http, read) {
            warn!("cannot begin a handshake: {error}");
            return self.end_at_door(slot, &Verdict::Over, now);
        }
        waiting.readiness.look();
    }

    /// Goes on with a handshake, unless enough was done in this turn.
    pub(super) fn shake_hands(&mut self, slot: usize, budget: &mut Budget, now: Instant) {
        let Some(waiting) = self.door.get_mut(slot) else {
            return;
        };
        if budget.handshakes.are_over() {
            return;
        }
        let began_at = self.network.now();
        let shaken = self
            .network
            .shake_hands(&mut waiting.stream, &mut self.buffer);
        let took = self.network.now().saturating_duration_since(began_at);
        budget.handshakes.spend(took);
        match shaken {
            Handshake::Waits { blocked: false } => {}
            Handshake::Waits { blocked: true } => waiting.readiness.handle_read(Read::Blocked, 0),
            Handshake::Failed(why) => self.end_at_door(slot, &Verdict::NoHandshake(why), now),
            Handshake::Done { version, bytes } => {
                let security = match version {
                    Version::Tls12 => Security::Tls12,
                    Version::Tls13 => Security::Tls13,
                };
                if waiting.end_handshake(security, &self.buffer[..bytes], now) {
                    self.end_at_door(slot, &Verdict::Session, now);
                } else {
                    self.judge_at_door(slot, budget, now);
                }
            }
        }
    }

    /// Somebody speaks without TLS where that is spoken, or waits to be greeted: they are told if they can read it.
    pub(super) fn answer_in_clear(&mut self, slot: usize, now: Instant) {
        let Some(waiting) = self.door.get_mut(slot) else {
            return;
        };
        if !waiting.is_silent() {
            let wrong = Rejection::from(CloseReason::WrongProtocol);
            self.hub.turn_away(waiting.dialect, waiting.from, wrong);
        }
        let answer = Answer {
            head: waiting.dialect.wants_tls().into(),
            is_last: true,
            ..Answer::default()
        };
        waiting.answer(answer, now);
        self.write_at_door(slot, now);
    }
}
