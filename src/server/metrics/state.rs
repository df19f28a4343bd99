//! All that is measured, as it is at one moment.

use std::time::Duration;

use crate::histogram::Histogram;
use crate::hub::Readings;
use crate::ledger::CloseReason;
use crate::relay;
use crate::report::Usage;
use crate::server::meter::{Phase, TURN_BOUNDS};

/// All that is measured, as it is at one moment.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct State {
    pub(in crate::server) hub: Readings,
    pub(in crate::server) sessions_max: u64,
    /// Whether newcomers are let in.
    pub(in crate::server) accepts: bool,
    /// Sessions that are gone, by the reason.
    pub(in crate::server) closes: [u64; CloseReason::ALL.len()],
    /// Accepts that failed because the newcomer had gone again, or the like …
    pub(in crate::server) accepts_passing: u64,
    /// … and those that failed for want of something.
    pub(in crate::server) accepts_short: u64,
    pub(in crate::server) turns: Histogram<{ TURN_BOUNDS.len() }>,
    pub(in crate::server) phases: [Duration; Phase::ALL.len()],
    /// Lines of the log that are lost because there were too many …
    pub(in crate::server) log_lost_rate: u64,
    /// … and because standard error took none.
    pub(in crate::server) log_lost_blocked: u64,
    pub(in crate::server) extras: Extras,
    pub(in crate::server) reload: Reload,
    pub(in crate::server) relay: RelayState,
    pub(in crate::server) process: Usage,
    /// When the server was started, in seconds since 1970.
    pub(in crate::server) started_at: u64,
}

/// What is told of kept names and the transcript: nothing, where there are none.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::server) struct Extras {
    pub(in crate::server) names_kept: u64,
    pub(in crate::server) transcript_lines_lost: u64,
    /// In seconds since 1970; 0 where there is none.
    #[cfg(feature = "tls")]
    pub(in crate::server) certificate_ends_at: u64,
}

/// What is told of the other servers that share the chat: nothing, where there are none.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::server) struct RelayState {
    pub(in crate::server) state: Option<relay::State>,
    /// Other servers that are known, and the people there.
    pub(in crate::server) nodes: u64,
    pub(in crate::server) people: u64,
    /// Events that wait to come back, and all that is kept of what was sent, in bytes.
    pub(in crate::server) waiting: u64,
    pub(in crate::server) ring_bytes: u64,
    /// Numbers of the others that are waited for.
    pub(in crate::server) missing: u64,
    pub(in crate::server) figures: relay::Figures,
}

/// How the settings were read again.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct Reload {
    /// Whether the last try went well; there may have been none.
    pub(in crate::server) is_good: bool,
    /// When one last went well, in seconds since 1970; 0 for never.
    pub(in crate::server) good_at: u64,
}

impl Default for Reload {
    fn default() -> Self {
        Self {
            is_good: true,
            good_at: 0,
        }
    }
}

impl Reload {
    /// It was tried, and went well or did not.
    pub(in crate::server) fn note(&mut self, is_good: bool, wall_seconds: u64) {
        self.is_good = is_good;
        if is_good {
            self.good_at = wall_seconds;
        }
    }
}
