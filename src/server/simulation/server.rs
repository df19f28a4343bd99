//! One server in its simulated world.

use std::path::PathBuf;
use std::time::Duration;

use super::network::{Clock, SimulatedNetwork};
use super::{DOORS, LISTENERS};
use crate::hub::Limits;
use crate::room_name::RoomName;
use crate::server::admission::AdmissionLimits;
use crate::server::event_loop::EventLoop;
use crate::settings::{Configuration, Service, Settings};

/// What holds on a server, and may be changed while it runs.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) limits: Limits,
    pub(super) admission: AdmissionLimits,
    /// The rooms that are always there.
    pub(super) rooms: &'static [&'static str],
}

impl Terms {
    /// The settings of a server on these terms.
    pub(super) fn settings(&self) -> Settings {
        let admission = self.admission.clone();
        let rooms = self.rooms.iter().map(|name| RoomName::parse(name));
        Settings {
            sessions_max: Some(admission.sessions_max),
            sessions_per_address_max: admission.per_address_max,
            connects_per_minute: admission.connects_per_minute,
            exempt: admission.exempt,
            proxy_from: admission.proxy_from,
            limits: self.limits,
            rooms: rooms.collect::<Result<_, _>>().expect("names of rooms"),
            ..Settings::default()
        }
    }
}

/// One server in its world. Several may share a clock.
pub(super) struct Server {
    pub(super) event_loop: EventLoop<SimulatedNetwork>,
    pub(super) clock: Clock,
}

impl Server {
    pub(super) fn new(
        network: SimulatedNetwork,
        terms: &Terms,
        motd_file: Option<PathBuf>,
    ) -> Self {
        let settings = Settings {
            motd_file,
            ..terms.settings()
        };
        Self::with(network, &settings)
    }

    pub(super) fn with(network: SimulatedNetwork, settings: &Settings) -> Self {
        let clock = network.clock.clone();
        #[cfg(feature = "tls")]
        let tls = settings.tls.certificate.is_some();
        #[cfg(not(feature = "tls"))]
        let tls = false;
        let chat = |dialect| Service::Chat {
            tls,
            dialect,
            behind_proxy: false,
        };
        let services = LISTENERS.into_iter().map(chat);
        let services = services.chain([Service::Operators]);
        let services = services.chain(DOORS.into_iter().map(chat)).collect();
        let configuration = Configuration::from(settings);
        let event_loop = EventLoop::new(network, services, configuration, usize::MAX);
        Self {
            event_loop: event_loop.expect("its files can be read"),
            clock,
        }
    }

    pub(super) fn network(&mut self) -> &mut SimulatedNetwork {
        self.event_loop.network_mut()
    }

    /// When it has something to do; `None` if it waits for ever. The kernel rounds up to milliseconds.
    pub(super) fn wakes_at(&self) -> Option<Duration> {
        let (now, network) = (self.clock.elapsed(), self.event_loop.network());
        if network.has_events() {
            return Some(now);
        }
        let timeout = self.event_loop.timeout()?;
        let timeout_ms = timeout.as_micros().div_ceil(1000) as u64;
        Some(now.max(network.seen_at() + Duration::from_millis(timeout_ms)))
    }

    /// One turn; gives whether there is to be another one.
    pub(super) fn turn(&mut self) -> bool {
        let goes_on = self.event_loop.turn().expect("no poll fails for good");
        self.network().fall_asleep();
        goes_on
    }

    pub(super) fn sessions(&self) -> usize {
        let census = self.event_loop.census();
        census.open + census.draining + census.lingering
    }
}
