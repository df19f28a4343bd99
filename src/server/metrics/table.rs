//! The table of what is measured: each row says what that is, and where it is found in a [`State`].

use super::series::{Labels, Series, SeriesName, Value};
use super::state::State;
use crate::dialect::Dialect;
use crate::hub::rules::rule;
use crate::hub::DELIVERY_BOUNDS;
use crate::ledger::CloseReason;
use crate::relay;
use crate::server::meter::{Phase, TURN_BOUNDS};

/// What a session of the hub's readings is about, in their order.
const SESSION_STATES: [&str; 3] = ["open", "draining", "lingering"];

/// Whether this server has the others that share the chat.
const RELAY_STATES: [&str; 3] = ["attached", "waiting", "alone"];

/// A row of the table.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What its series are told apart by, for the documentation.
    #[cfg_attr(not(test), allow(dead_code, reason = "for docs/metrics.md"))]
    pub(super) labels: &'static str,
    pub(super) help: &'static str,
    pub(super) measure: fn(&State, &mut Series<'_>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gauge,
    Counter,
    Histogram,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

impl Metric {
    /// Gives the name, the labels and the value of each of its series to `take`.
    pub(super) fn measure(
        &self,
        state: &State,
        mut take: impl FnMut(SeriesName, Labels<'_>, Value),
    ) {
        let mut series = Series {
            name: self.name,
            take: &mut take,
        };
        (self.measure)(state, &mut series);
    }
}

fn dialects() -> impl Iterator<Item = &'static str> {
    Dialect::ALL.into_iter().map(Dialect::word)
}

fn rule_kinds() -> impl Iterator<Item = &'static str> {
    rule::Kind::ALL.into_iter().map(rule::Kind::word)
}

/// All that is measured.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "chatd_build_info",
        kind: Kind::Gauge,
        labels: "version",
        help: "Always 1; the label tells the version.",
        measure: |_, to| to.count(&[("version", env!("CARGO_PKG_VERSION"))], 1),
    },
    Metric {
        name: "chatd_sessions",
        kind: Kind::Gauge,
        labels: "dialect, state",
        help: "Sessions that hold a slot.",
        measure: |state, to| {
            for (dialect, by_state) in dialects().zip(&state.hub.sessions) {
                for (word, count) in SESSION_STATES.into_iter().zip(by_state) {
                    to.count(&[("dialect", dialect), ("state", word)], *count);
                }
            }
        },
    },
    Metric {
        name: "chatd_sessions_max",
        kind: Kind::Gauge,
        labels: "",
        help: "How many open sessions there may be.",
        measure: |state, to| to.count(&[], state.sessions_max),
    },
    Metric {
        name: "chatd_present",
        kind: Kind::Gauge,
        labels: "",
        help: "People and programs that were announced: they are here, and do not only listen.",
        measure: |state, to| to.count(&[], state.hub.present),
    },
    Metric {
        name: "chatd_paused",
        kind: Kind::Gauge,
        labels: "",
        help: "Open sessions whose input waits until they may be heard again.",
        measure: |state, to| to.count(&[], state.hub.paused),
    },
    Metric {
        name: "chatd_blocked",
        kind: Kind::Gauge,
        labels: "",
        help: "Open sessions whose socket takes nothing at the moment.",
        measure: |state, to| to.count(&[], state.hub.blocked),
    },
    Metric {
        name: "chatd_rooms",
        kind: Kind::Gauge,
        labels: "",
        help: "Rooms.",
        measure: |state, to| to.count(&[], state.hub.rooms),
    },
    Metric {
        name: "chatd_names_kept",
        kind: Kind::Gauge,
        labels: "",
        help: "Names that are kept for who has their key.",
        measure: |state, to| to.count(&[], state.extras.names_kept),
    },
    Metric {
        name: "chatd_accepting",
        kind: Kind::Gauge,
        labels: "",
        help: "Whether newcomers are let in.",
        measure: |state, to| to.flag(state.accepts),
    },
    Metric {
        name: "chatd_opens_total",
        kind: Kind::Counter,
        labels: "dialect",
        help: "Sessions that came, those that were turned away among them.",
        measure: |state, to| to.counts("dialect", dialects(), &state.hub.opens),
    },
    Metric {
        name: "chatd_closes_total",
        kind: Kind::Counter,
        labels: "reason",
        help: "Sessions that are gone.",
        measure: |state, to| {
            let reasons = CloseReason::ALL.into_iter().map(CloseReason::as_str);
            to.counts("reason", reasons, &state.closes);
        },
    },
    Metric {
        name: "chatd_accept_failures_total",
        kind: Kind::Counter,
        labels: "kind",
        help: "Connections that could not be accepted: they had gone again, or there was no descriptor or memory.",
        measure: |state, to| {
            let counts = [state.accepts_passing, state.accepts_short];
            to.counts("kind", ["passing", "shortage"], &counts);
        },
    },
    Metric {
        name: "chatd_lines_in_total",
        kind: Kind::Counter,
        labels: "dialect",
        help: "Lines that were heard.",
        measure: |state, to| to.counts("dialect", dialects(), &state.hub.lines_in),
    },
    Metric {
        name: "chatd_lines_muted_total",
        kind: Kind::Counter,
        labels: "",
        help: "Lines that were refused because who sent them is muted.",
        measure: |state, to| to.count(&[], state.hub.lines_muted),
    },
    Metric {
        name: "chatd_pauses_total",
        kind: Kind::Counter,
        labels: "",
        help: "How often a session had been heard enough, and its input waited.",
        measure: |state, to| to.count(&[], state.hub.pauses),
    },
    Metric {
        name: "chatd_received_bytes_total",
        kind: Kind::Counter,
        labels: "",
        help: "Bytes that were read of sessions.",
        measure: |state, to| to.count(&[], state.hub.received_bytes),
    },
    Metric {
        name: "chatd_sent_bytes_total",
        kind: Kind::Counter,
        labels: "",
        help: "Bytes that the kernel took for sessions.",
        measure: |state, to| to.count(&[], state.hub.sent_bytes),
    },
    Metric {
        name: "chatd_queued_bytes",
        kind: Kind::Gauge,
        labels: "",
        help: "Bytes that wait for the sockets of sessions.",
        measure: |state, to| to.count(&[], state.hub.queued_bytes),
    },
    Metric {
        name: "chatd_input_bytes",
        kind: Kind::Gauge,
        labels: "",
        help: "Bytes of input that wait to be understood, and of unfinished lines.",
        measure: |state, to| to.count(&[], state.hub.input_bytes),
    },
    Metric {
        name: "chatd_memory_max_bytes",
        kind: Kind::Gauge,
        labels: "",
        help: "What chatd_queued_bytes and chatd_input_bytes may be together.",
        measure: |state, to| to.count(&[], state.hub.memory_max_bytes),
    },
    Metric {
        name: "chatd_rules",
        kind: Kind::Gauge,
        labels: "kind",
        help: "Rules in force.",
        measure: |state, to| to.counts("kind", rule_kinds(), &state.hub.rules),
    },
    Metric {
        name: "chatd_rule_hits_total",
        kind: Kind::Counter,
        labels: "kind",
        help: "How often somebody met a rule.",
        measure: |state, to| to.counts("kind", rule_kinds(), &state.hub.rule_hits),
    },
    Metric {
        name: "chatd_turn_seconds",
        kind: Kind::Histogram,
        labels: "le",
        help: "How long the loop worked in a turn, what is done for operators included.",
        measure: |state, to| to.histogram(&state.turns, &TURN_BOUNDS),
    },
    Metric {
        name: "chatd_phase_seconds_total",
        kind: Kind::Counter,
        labels: "phase",
        help: "How long the loop worked in each phase of its turns.",
        measure: |state, to| {
            for (phase, took) in Phase::ALL.into_iter().zip(state.phases) {
                to.add(&[("phase", phase.word())], Value::Seconds(took));
            }
        },
    },
    Metric {
        name: "chatd_delivery_seconds",
        kind: Kind::Histogram,
        labels: "le",
        help: "From when the oldest line of a round was read to the last write of the round, once for each round.",
        measure: |state, to| to.histogram(&state.hub.delivery, &DELIVERY_BOUNDS),
    },
    Metric {
        name: "chatd_log_lines_lost_total",
        kind: Kind::Counter,
        labels: "cause",
        help: "Lines of the log that were not written: there were too many, or standard error took none.",
        measure: |state, to| {
            let counts = [state.log_lost_rate, state.log_lost_blocked];
            to.counts("cause", ["rate", "blocked"], &counts);
        },
    },
    Metric {
        name: "chatd_transcript_lines_lost_total",
        kind: Kind::Counter,
        labels: "",
        help: "Lines of the transcript that were not written.",
        measure: |state, to| to.count(&[], state.extras.transcript_lines_lost),
    },
    Metric {
        name: "chatd_last_reload_successful",
        kind: Kind::Gauge,
        labels: "",
        help: "Whether what the last reload read was right; 1 before the first one.",
        measure: |state, to| to.flag(state.reload.is_good),
    },
    Metric {
        name: "chatd_last_reload_success_timestamp_seconds",
        kind: Kind::Gauge,
        labels: "",
        help: "When a reload last went well, since 1970; 0 before the first one.",
        measure: |state, to| to.count(&[], state.reload.good_at),
    },
    Metric {
        name: "chatd_relay_state",
        kind: Kind::Gauge,
        labels: "state",
        help: "Whether this server has the others that share the chat; all 0 where relay is not set.",
        measure: |state, to| {
            let now = state.relay.state.map(relay::State::word);
            for word in RELAY_STATES {
                to.count(&[("state", word)], u64::from(now == Some(word)));
            }
        },
    },
    Metric {
        name: "chatd_relay_nodes",
        kind: Kind::Gauge,
        labels: "",
        help: "Other servers that share the chat, as far as they are known.",
        measure: |state, to| to.count(&[], state.relay.nodes),
    },
    Metric {
        name: "chatd_relay_people",
        kind: Kind::Gauge,
        labels: "",
        help: "People who are here at other servers.",
        measure: |state, to| to.count(&[], state.relay.people),
    },
    Metric {
        name: "chatd_relay_lag_seconds",
        kind: Kind::Gauge,
        labels: "",
        help: "From when the last event of this server was sent to when it came back from the log.",
        measure: |state, to| to.add(&[], Value::Seconds(state.relay.figures.lag)),
    },
    Metric {
        name: "chatd_relay_waiting",
        kind: Kind::Gauge,
        labels: "",
        help: "Events of this server that have not come back.",
        measure: |state, to| to.count(&[], state.relay.waiting),
    },
    Metric {
        name: "chatd_relay_ring_bytes",
        kind: Kind::Gauge,
        labels: "",
        help: "What is kept of what was sent, to be sent again.",
        measure: |state, to| to.count(&[], state.relay.ring_bytes),
    },
    Metric {
        name: "chatd_relay_missing",
        kind: Kind::Gauge,
        labels: "",
        help: "Events of other servers that later ones have overtaken.",
        measure: |state, to| to.count(&[], state.relay.missing),
    },
    Metric {
        name: "chatd_relay_resent_total",
        kind: Kind::Counter,
        labels: "",
        help: "Events that were sent again, for it was not known whether they had come.",
        measure: |state, to| to.count(&[], state.relay.figures.resent),
    },
    Metric {
        name: "chatd_relay_dropped_total",
        kind: Kind::Counter,
        labels: "",
        help: "Events that came again, and were dropped.",
        measure: |state, to| to.count(&[], state.relay.figures.dropped_again),
    },
    Metric {
        name: "chatd_relay_unread_total",
        kind: Kind::Counter,
        labels: "",
        help: "Events that were no such, or of a kind that this version does not know.",
        measure: |state, to| to.count(&[], state.relay.figures.unread),
    },
    Metric {
        name: "chatd_relay_lines_lost_total",
        kind: Kind::Counter,
        labels: "",
        help: "Lines that never reached the other servers.",
        measure: |state, to| to.count(&[], state.relay.figures.lost_lines),
    },
    Metric {
        name: "chatd_relay_verdicts_total",
        kind: Kind::Counter,
        labels: "",
        help: "Other servers that this one has declared gone.",
        measure: |state, to| to.count(&[], state.relay.figures.verdicts),
    },
    Metric {
        name: "chatd_relay_errors_total",
        kind: Kind::Counter,
        labels: "",
        help: "Errors that the engine has answered with.",
        measure: |state, to| to.count(&[], state.relay.figures.errors),
    },
    #[cfg(feature = "tls")]
    Metric {
        name: "chatd_tls_certificate_expiry_timestamp_seconds",
        kind: Kind::Gauge,
        labels: "",
        help: "When the certificate ends, since 1970; 0 where there is none. Only in a chatd with TLS.",
        measure: |state, to| to.count(&[], state.extras.certificate_ends_at),
    },
    Metric {
        name: "process_cpu_seconds_total",
        kind: Kind::Counter,
        labels: "",
        help: "Processor time of the process, in the kernel and out of it.",
        measure: |state, to| to.add(&[], Value::Seconds(state.process.cpu)),
    },
    Metric {
        name: "process_resident_memory_bytes",
        kind: Kind::Gauge,
        labels: "",
        help: "Resident memory of the process.",
        measure: |state, to| to.count(&[], state.process.resident_bytes),
    },
    Metric {
        name: "process_open_fds",
        kind: Kind::Gauge,
        labels: "",
        help: "Open descriptors; before Linux 6.2 those of sessions and listeners.",
        measure: |state, to| to.count(&[], state.process.descriptors as u64),
    },
    Metric {
        name: "process_max_fds",
        kind: Kind::Gauge,
        labels: "",
        help: "How many descriptors the process may have.",
        measure: |state, to| to.count(&[], state.process.descriptors_max),
    },
    Metric {
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        labels: "",
        help: "When the server was started, since 1970.",
        measure: |state, to| to.count(&[], state.started_at),
    },
];
