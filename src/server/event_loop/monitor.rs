//! What monitoring asks for, and what it is told.

use std::fmt::Write;
use std::time::Instant;

use bytes::Bytes;

use super::{EventLoop, Shutdown};
use crate::ledger::CloseReason;
use crate::report::Usage;
use crate::server::admission::is_passing;
use crate::server::metrics::{Extras, State};
use crate::server::monitor::{Answer, Page, Request, Verdict};
use crate::server::network::Network;

/// At most 64 tries to accept in a turn: each that fails may have taken one off the queue that had gone again.
const TURN_ACCEPTS_MAX: usize = 64;

/// What every answer says besides its status and its length.
const TEXT: &str = "text/plain; charset=utf-8";
/// The exposition format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

impl<N: Network> EventLoop<N> {
    /// Does for each connection what one turn has for it. They are served until the server exits.
    pub(super) fn serve_monitoring(&mut self, now: Instant) {
        if self.monitor.wake_at(now).is_none_or(|at| now < at) {
            return;
        }
        for _ in 0..TURN_ACCEPTS_MAX {
            match self.monitor.accept(&mut self.network, now) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if is_passing(&error) => self.admission.passing_errors += 1,
                Err(_) => {
                    self.admission.shortages += 1;
                    self.monitor.retry_later(now);
                }
            }
        }
        // All who ask in one turn are told the same.
        let mut metrics = None;
        for slot in self.monitor.slots() {
            let (network, buffer) = (&mut self.network, &mut self.buffer);
            if let Some(request) = self.monitor.read(slot, network, buffer) {
                let answer = self.respond(request, &mut metrics);
                self.monitor.answer(slot, answer, now);
            }
            self.monitor.write(slot, &mut self.network, now);
        }
    }

    fn respond(&self, request: Request, metrics: &mut Option<Bytes>) -> Answer {
        let text = |status, body: &'static str| (status, TEXT, Bytes::from_static(body.as_bytes()));
        let (status, kind, body) = match request.verdict {
            Verdict::Page(Page::Metrics) => {
                let text = metrics.get_or_insert_with(|| self.measure().prometheus().into());
                ("200 OK", METRICS, text.clone())
            }
            Verdict::Page(Page::Health) => text("200 OK", "ok"),
            Verdict::Page(Page::Readiness) => match self.unready() {
                None => text("200 OK", "ok"),
                Some(why) => text("503 Service Unavailable", why),
            },
            Verdict::Malformed => text("400 Bad Request", "no request of HTTP/1.1\n"),
            Verdict::NotFound => text("404 Not Found", "/metrics /healthz /readyz\n"),
            Verdict::MethodNotAllowed => text("405 Method Not Allowed", "GET, HEAD\n"),
            Verdict::TooLarge => text("431 Request Header Fields Too Large", "at most 4k\n"),
        };
        let mut head = format!("HTTP/1.1 {status}\r\n");
        if request.verdict == Verdict::MethodNotAllowed {
            head.push_str("Allow: GET, HEAD\r\n");
        }
        // Writing to a String cannot fail.
        let _ = write!(
            head,
            "Content-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let body = if request.head_only {
            Bytes::new()
        } else {
            body
        };
        Answer { head, body }
    }

    /// Why newcomers find no room, if they do not.
    pub(in crate::server) fn unready(&self) -> Option<&'static str> {
        if self.shutdown != Shutdown::Running {
            Some("stopping")
        } else if self.admission.drains {
            Some("draining")
        } else if self.hub.open_sessions() >= self.admission.sessions_max() {
            Some("full")
        } else {
            None
        }
    }

    /// All that is measured, as it is now. Looks at each session once.
    pub(in crate::server) fn measure(&self) -> State {
        let (rate, blocked) = crate::log::lost();
        let ledger = self.hub.ledger();
        State {
            hub: self.hub.readings(),
            sessions_max: self.admission.sessions_max() as u64,
            accepts: self.shutdown == Shutdown::Running && !self.admission.drains,
            closes: CloseReason::ALL.map(|reason| ledger.closed_for(reason)),
            accepts_passing: self.admission.passing_errors,
            accepts_short: self.admission.shortages,
            turns: self.meter.took,
            phases: self.meter.phases,
            log_lost_rate: rate,
            log_lost_blocked: blocked,
            extras: Extras {
                names_kept: self.hub.kept_count() as u64,
                #[cfg(feature = "tls")]
                certificate_ends_at: self.tls.ends_at(),
                ..self.extras
            },
            reload: self.reload,
            relay: self.relay_state(),
            process: self.usage(),
            started_at: self.started_at,
        }
    }

    /// What the process uses.
    pub(super) fn usage(&self) -> Usage {
        Usage::of_this_process(self.hub.len() + self.services.len())
    }
}
