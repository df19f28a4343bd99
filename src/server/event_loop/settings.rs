//! The settings while the server runs: they are read again, or set, and hold for everybody from then on.

use std::time::Instant;

use log::{info, warn};

use super::EventLoop;
use crate::dialect::web::Site;
use crate::dialect::Dialect;
use crate::hub::Limits;
use crate::rate::Rate;
use crate::server::admission::AdmissionLimits;
use crate::server::files::Files;
use crate::server::motd;
use crate::server::network::Network;
use crate::settings::{Changed, Configuration, Service, Settings, MOTD_FILE};
#[cfg(feature = "tls")]
use crate::stream::tls::READ_BYTES_MIN;

/// At most 64 KiB are read from one session in one turn.
const TURN_BYTES_MAX: usize = 64 * 1024;

/// The same where sessions are heard at a limited rate: what waits for its time is better kept by the kernel.
const PACED_TURN_BYTES_MAX: usize = 8 * 1024;

/// The buffer into which sessions are read, where they are heard at this rate.
pub(super) fn read_buffer(rate: Rate, services: &[Service]) -> Box<[u8]> {
    let _ = services;
    let bytes_max = if rate.is_unlimited() {
        TURN_BYTES_MAX
    } else {
        PACED_TURN_BYTES_MAX
    };
    #[cfg(feature = "tls")]
    let bytes_max = if services.iter().any(|service| service.is_in_tls()) {
        bytes_max.max(READ_BYTES_MIN)
    } else {
        bytes_max
    };
    vec![0; bytes_max].into()
}

/// The limits of the hub: nothing is kept for pages where none are served.
pub(super) fn limits_for(settings: &Settings, services: &[Service]) -> Limits {
    let serves_pages = |service: &Service| service.dialect() == Some(Dialect::Web);
    let mut limits = settings.limits;
    if !services.iter().any(serves_pages) {
        limits.web_history_lines = 0;
    }
    limits
}

impl<N: Network> EventLoop<N> {
    /// Makes what is served over HTTP anew.
    pub(super) fn make_site(&mut self) {
        let hosts = &self.configuration.settings().web_hosts;
        self.house.site = Site::new(hosts, self.telnet);
    }

    /// Reads the settings again if a signal has asked for that.
    pub(super) fn reload_if_wanted(&mut self, now: Instant) {
        if std::mem::take(&mut self.reload_wanted) {
            // The outcome is in the log, where the sender of a signal finds it.
            let _ = self.reload(now);
        }
        #[cfg(test)]
        if let Some(configuration) = self.planted.take() {
            self.adopt(configuration, now);
        }
    }

    /// Reads the settings file and the files that the settings name again. All of it is taken, or nothing.
    ///
    /// # Errors
    /// If something is wrong: `reload: FILE, line 7: WHAT; nothing changed`, which is in the log as well.
    pub(in crate::server) fn reload(&mut self, now: Instant) -> Result<(), String> {
        let read = self.configuration.reread();
        let read = read.and_then(|fresh| Ok((Files::read(fresh.settings())?, fresh)));
        let read = read.map_err(|error| error.to_string());
        let read = read.and_then(|read| Ok((read, self.names.read_again(&self.hub)?)));
        let read = read.and_then(|(read, names)| Ok((read, names, self.transcript.reopen()?)));
        // Last of all that may fail, for its rules are in force with this.
        let read = read.and_then(|read| self.rules.reload(&mut self.hub, now).map(|()| read));
        self.reload.note(read.is_ok(), self.network.wall_seconds());
        let ((files, fresh), names, transcript) = read.map_err(|error| {
            let line = format!("reload: {error}; nothing changed");
            warn!("{line}");
            line
        })?;
        for changed in fresh.changes_since(&self.configuration) {
            info!("reload {changed}");
        }
        for key in fresh.waiting() {
            info!("reload {key} waits for the next start");
        }
        let Files { motd } = files;
        self.hub.set_motd(&motd);
        self.names.follow(names, &mut self.hub);
        self.transcript.take_over(transcript, &mut self.hub, now);
        self.adopt(fresh, now);
        #[cfg(feature = "tls")]
        self.reload_certificate()?;
        info!("reloaded");
        Ok(())
    }

    /// Sets a setting until the server stops; gives what became of it.
    ///
    /// # Errors
    /// If there is no such setting, it can be changed only at the start, or the value is refused, as it would be then.
    pub(in crate::server) fn set(
        &mut self,
        key: &str,
        value: &str,
        now: Instant,
    ) -> Result<Changed, String> {
        let fresh = self.configuration.with(key, value)?;
        let key = key.trim();
        if key == MOTD_FILE {
            let motd = motd::read(fresh.settings()).map_err(|error| error.to_string())?;
            self.hub.set_motd(&motd);
        }
        #[cfg(feature = "tls")]
        if key.starts_with("tls-") {
            self.renew_certificate(fresh.settings())?;
        }
        let changed = fresh.change_since(&self.configuration, key);
        self.adopt(fresh, now);
        changed.ok_or_else(|| format!("no such setting: {key}"))
    }

    /// Reads the certificate again, last of all: if it cannot be used the old one stays, and all else holds.
    #[cfg(feature = "tls")]
    fn reload_certificate(&mut self) -> Result<(), String> {
        let settings = self.configuration.settings().clone();
        self.renew_certificate(&settings).map_err(|error| {
            self.reload.note(false, self.network.wall_seconds());
            let line = format!("reload: {error}; the old certificate stays");
            warn!("{line}");
            line
        })
    }

    /// The settings in force, with where each came from.
    pub(in crate::server) fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Holds everybody to these settings from now on. Nobody is dropped but by what a limit itself says.
    fn adopt(&mut self, fresh: Configuration, now: Instant) {
        let before = std::mem::replace(&mut self.configuration, fresh);
        let (before, settings) = (before.settings(), self.configuration.settings());
        let limits = limits_for(settings, &self.services);
        let admission = AdmissionLimits::of(settings, self.sessions_allowed);
        let wanted = settings
            .sessions_max
            .filter(|wanted| *wanted > admission.sessions_max);
        if let Some(wanted) = wanted.filter(|_| settings.sessions_max != before.sessions_max) {
            let allowed = admission.sessions_max;
            warn!("sessions-max is lowered from {wanted} to {allowed}: the descriptor limit allows no more");
        }
        self.admission.set_limits(admission);
        self.hub.set_exempt(settings.exempt.iter().copied());
        self.hub.set_rooms(&settings.rooms);
        if before.limits.line_rate.is_unlimited() != limits.line_rate.is_unlimited() {
            self.buffer = read_buffer(limits.line_rate, &self.services);
        }
        self.hub.set_limits(limits, now);
        self.make_site();
    }
}
