//! What monitoring is told of the chat.
//!
//! Little is counted while people talk: what a session has sent and was sent it knows itself, and its part is added to
//! the sums when it is freed.

use std::time::Duration;

use crate::dialect::Dialect;
use crate::histogram::{Bound, Histogram};
use crate::hub::rules::rule::Kind;
use crate::hub::session::{Flow, Session, Stage};
use crate::hub::Hub;

/// How many dialects there are; `dialect as usize` is below it.
const DIALECTS: usize = Dialect::ALL.len();

/// The classes of [`Readings::delivery`].
pub(crate) const DELIVERY_BOUNDS: [Bound; 9] = [
    Bound(1_000, "0.001"),
    Bound(2_500, "0.0025"),
    Bound(10_000, "0.01"),
    Bound(25_000, "0.025"),
    Bound(50_000, "0.05"),
    Bound(100_000, "0.1"),
    Bound(250_000, "0.25"),
    Bound(1_000_000, "1"),
    Bound(2_500_000, "2.5"),
];

/// What is counted as it happens, and what sessions that are gone have left.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Sessions that came, by dialect, those that were turned away at once among them.
    pub(super) opens: [u64; DIALECTS],
    /// Lines that were heard of sessions that are gone, by dialect.
    lines_in: [u64; DIALECTS],
    /// Lines that were refused because who sent them is muted.
    pub(super) lines_muted: u64,
    /// How often a session had been heard enough, and its input waited.
    pub(super) pauses: u64,
    /// Bytes that were read.
    pub(super) received_bytes: u64,
    /// Bytes that the kernel took for sessions that are gone.
    sent_bytes: u64,
    delivery: Histogram<{ DELIVERY_BOUNDS.len() }>,
}

impl Counts {
    /// A round has ended, so long after its oldest line was read.
    pub(super) fn note_delivery(&mut self, took: Duration) {
        self.delivery.add(took, &DELIVERY_BOUNDS);
    }

    /// A session is gone.
    pub(super) fn note_gone<T>(&mut self, session: &Session<T>) {
        self.lines_in[session.codec.dialect() as usize] += session.lines_in;
        self.sent_bytes += session.bytes_out;
    }
}

/// What monitoring is told of the chat, as it is at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readings {
    /// Sessions, by dialect, and by whether they are open, draining or lingering.
    pub(crate) sessions: [[u64; 3]; DIALECTS],
    /// Those who were announced.
    pub(crate) present: u64,
    /// Open sessions whose input waits until they may be heard again.
    pub(crate) paused: u64,
    /// Open sessions whose socket takes nothing.
    pub(crate) blocked: u64,
    pub(crate) rooms: u64,
    /// Sessions that came, by dialect, those that were turned away at once among them.
    pub(crate) opens: [u64; DIALECTS],
    /// Lines that were heard, by dialect.
    pub(crate) lines_in: [u64; DIALECTS],
    /// Lines that were refused because who sent them is muted.
    pub(crate) lines_muted: u64,
    /// How often a session had been heard enough, and its input waited.
    pub(crate) pauses: u64,
    /// Bytes that were read of sessions.
    pub(crate) received_bytes: u64,
    /// Bytes that the kernel took for sessions.
    pub(crate) sent_bytes: u64,
    /// Bytes that wait for all sockets together.
    pub(crate) queued_bytes: u64,
    /// Bytes of input that wait to be understood, and of unfinished lines.
    pub(crate) input_bytes: u64,
    /// What these two may be together.
    pub(crate) memory_max_bytes: u64,
    /// Rules in force, by kind …
    pub(crate) rules: [u64; Kind::ALL.len()],
    /// … and how often one of them kept somebody from something.
    pub(crate) rule_hits: [u64; Kind::ALL.len()],
    /// From when the oldest line of a round was read to the last write of the round, once for each in which somebody
    /// was told what was said.
    pub(crate) delivery: Histogram<{ DELIVERY_BOUNDS.len() }>,
}

impl<T> Hub<T> {
    /// What monitoring is told. Looks at each session once.
    pub(crate) fn readings(&self) -> Readings {
        let core = &self.core;
        let counts = &core.counts;
        let mut readings = Readings {
            sessions: [[0; 3]; DIALECTS],
            present: core.rooms.totals().here as u64,
            paused: 0,
            blocked: 0,
            rooms: core.rooms.len() as u64,
            opens: counts.opens,
            lines_in: counts.lines_in,
            lines_muted: counts.lines_muted,
            pauses: counts.pauses,
            received_bytes: counts.received_bytes,
            sent_bytes: counts.sent_bytes,
            queued_bytes: core.queued_bytes as u64,
            input_bytes: core.input_bytes as u64,
            memory_max_bytes: core.limits.memory_max as u64,
            rules: core
                .rules
                .count(core.wall_seconds)
                .map(|count| count as u64),
            rule_hits: core.rules.hits(),
            delivery: counts.delivery,
        };
        for session in self.sessions.iter() {
            readings.add(session);
        }
        readings
    }
}

impl Readings {
    fn add<T>(&mut self, session: &Session<T>) {
        let dialect = session.codec.dialect() as usize;
        let stage = match session.stage() {
            None => 0,
            Some(Stage::Draining) => 1,
            Some(Stage::Lingering { .. } | Stage::Closed(_)) => 2,
        };
        self.sessions[dialect][stage] += 1;
        self.lines_in[dialect] += session.lines_in;
        self.sent_bytes += session.bytes_out;
        if session.is_open() {
            self.paused += u64::from(session.waits_for_its_time());
            self.blocked += u64::from(session.flow == Flow::Blocked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::tests::world::{limits, World};
    use crate::hub::Limits;
    use crate::rate::Rate;

    #[test]
    fn dialects_stand_at_their_own_index() {
        for (index, dialect) in Dialect::ALL.into_iter().enumerate() {
            assert_eq!(dialect as usize, index);
        }
    }

    #[test]
    fn what_sessions_did_is_the_same_before_they_go_and_after() {
        let mut world = World::new(limits());
        let (ann, bob) = (world.connect(), world.connect());
        world.turn();
        world.send(ann, b"hello\r\n/me waves\r\n");
        world.turn();
        let told = |world: &World| {
            let readings = world.hub.readings();
            (
                readings.opens,
                readings.lines_in,
                readings.received_bytes,
                readings.delivery.count(),
            )
        };
        let before = (world.hub.readings(), told(&world));
        assert_eq!(before.1, ([2, 0, 0], [2, 0, 0], 18, 1));
        assert_eq!(before.0.sessions, [[2, 0, 0], [0; 3], [0; 3]]);
        assert_eq!((before.0.present, before.0.rooms), (1, 1));
        let got = [ann, bob].map(|id| world.read(id).len() as u64);
        assert_eq!(before.0.sent_bytes, got.iter().sum::<u64>());
        for id in [ann, bob] {
            world.hub.handle_reset(id, world.now);
        }
        world.turn();
        let after = world.hub.readings();
        assert_eq!(after.sessions, [[0; 3]; 3]);
        assert_eq!(told(&world), before.1);
        assert_eq!(after.sent_bytes, before.0.sent_bytes);
    }

    #[test]
    fn who_is_heard_no_more_for_now_is_paused() {
        let mut world = World::new(Limits {
            line_rate: Rate {
                per_second: 1,
                burst: 2,
            },
            ..limits()
        });
        let ann = world.connect();
        world.turn();
        for (line, paused) in [(1, 0), (2, 1)] {
            world.send(ann, b"hello\r\n");
            world.turn();
            let readings = world.hub.readings();
            assert_eq!(
                (readings.paused, readings.pauses),
                (paused, paused),
                "{line}"
            );
        }
        world.now += Duration::from_secs(60);
        world.turn();
        let readings = world.hub.readings();
        assert_eq!((readings.paused, readings.pauses), (0, 1));
    }

    /// What only presence tells is no line, and a line that nobody hears is not delivered.
    #[test]
    fn a_round_counts_from_when_its_oldest_line_was_read() {
        let mut world = World::new(Limits {
            pace_max: None,
            ..limits()
        });
        let ann = world.connect();
        world.turn();
        world.send(ann, b"alone\r\n");
        world.turn();
        let bob = world.connect();
        world.turn();
        world.send(bob, b"/name bob\r\n");
        world.turn();
        assert_eq!(world.hub.readings().delivery.count(), 0);
        world.say(ann, "one");
        world.now += Duration::from_millis(7);
        world.say(ann, "two");
        world.now += Duration::from_millis(7);
        world.turn();
        let delivery = world.hub.readings().delivery;
        assert_eq!(delivery.count(), 1);
        assert_eq!(delivery.sum(), Duration::from_millis(14));
    }
}
