//! What one session may ask of all: how fast it is heard, and how much memory waits for it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use crate::hub::peer::{Flow, Peer, Standing};
use crate::hub::{Ending, Hub, SessionId};
use crate::ledger::CloseReason;

/// A session that is paused and whose client has gone is heard for so long, and no longer.
const GHOST: Duration = Duration::from_secs(5);

/// A session that never took a name nor spoke makes room for a newcomer when it is so old.
const SILENT_AGE_MIN: Duration = Duration::from_secs(10);

/// Input that was read but is not understood yet, and why.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Box<[u8]>,
    /// The session has been heard enough for now; until then nothing more is read.
    pub(super) paused_until: Option<Instant>,
    /// When its client was seen to have gone, behind what it has sent.
    gone_at: Option<Instant>,
}

impl<T> Peer<T> {
    /// Keeps input for later.
    pub(super) fn hold(&mut self, bytes: &[u8], paused_until: Option<Instant>) {
        let gone_at = self.held.take().and_then(|held| held.gone_at);
        if !bytes.is_empty() || paused_until.is_some() || gone_at.is_some() {
            self.held = Some(Box::new(Held {
                bytes: bytes.into(),
                paused_until,
                gone_at,
            }));
        }
    }

    /// Until when it is heard though its client has gone: what it sent may be too much to be heard in time.
    pub(super) fn ghost_until(&self) -> Option<Instant> {
        let gone_at = self.held.as_ref()?.gone_at?;
        Some(gone_at + GHOST)
    }

    /// Bytes of input that are kept.
    pub(super) fn input_bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.bytes.len()) + self.reader.buffered()
    }
}

impl<T> Hub<T> {
    /// Whether a session has been heard enough for now: nothing is to be read from it until it is among
    /// [`Hub::take_resumed`].
    #[must_use]
    pub fn is_paused(&self, id: SessionId) -> bool {
        let held = self.peer_ref(id).and_then(|peer| peer.held.as_ref());
        held.is_some_and(|held| held.paused_until.is_some())
    }

    /// The sessions whose pause has ended.
    pub fn take_resumed(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.resumed)
    }

    /// The client of a session seems to have gone. If the session is paused, that could not be seen by reading, and
    /// it is heard for a moment only; not at all if what is written to it goes nowhere.
    pub fn handle_hangup(&mut self, id: SessionId, now: Instant) {
        let Some(peer) = self.peer(id) else { return };
        if peer.flow == Flow::Dead {
            return self.handle_reset(id, now);
        }
        let Some(held) = &mut peer.held else { return };
        if held.paused_until.is_some() && held.gone_at.is_none() {
            held.gone_at = Some(now);
            self.wake_by(now + GHOST);
        }
    }

    /// Closes the oldest session that never took a name nor spoke, if it is old enough, so that a newcomer finds room.
    pub fn make_room(&mut self, now: Instant) -> bool {
        let peer = |id: SessionId| &self.peers[id.slot as usize];
        // Guests stand in the order in which they came, so if the first of these is too young, all are.
        let is_unknown = |id: &SessionId| peer(*id).standing == Standing::Unknown;
        let oldest = self.roster.guests().find(is_unknown);
        let is_old =
            |id: &SessionId| now.saturating_duration_since(peer(*id).opened_at) >= SILENT_AGE_MIN;
        let Some(id) = oldest.filter(is_old) else {
            return false;
        };
        self.begin_close(id, CloseReason::Idle, now);
        true
    }

    /// What all queues and buffers hold together, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.queued_bytes + self.input_bytes
    }

    /// Frees memory: who makes the others wait for most goes first.
    pub(super) fn enforce_memory_limit(&mut self, now: Instant) {
        if self.memory() <= self.limits.memory_max {
            return;
        }
        // Whoever goes, what waits for the others stays as it is: that she has gone waits in the feed.
        let weight = |peer: &Peer<T>| peer.outbox.bytes() + peer.input_bytes();
        let weighed = self.peers.iter().map(|(slot, peer)| (weight(peer), slot));
        let mut heaviest: BinaryHeap<_> = weighed.filter(|(weight, _)| *weight > 0).collect();
        while self.memory() > self.limits.memory_max {
            let Some((_, slot)) = heaviest.pop() else {
                return;
            };
            let id = SessionId::new(slot, self.peers[slot].serial);
            self.begin_close(id, CloseReason::SlowConsumer, now);
            self.drop_buffers(id);
            self.finish_close(id, Ending::Abrupt);
        }
    }

    /// Throws away what waits for a session and from it.
    fn drop_buffers(&mut self, id: SessionId) {
        let Some(peer) = self.peer(id) else { return };
        let queued = peer.outbox.bytes();
        peer.outbox.clear();
        self.queued_bytes -= queued;
        self.drop_input(id);
    }

    /// Throws away what came from a session and is not understood yet.
    pub(super) fn drop_input(&mut self, id: SessionId) {
        if let Some(peer) = self.peer(id) {
            peer.held = None;
            peer.reader.clear();
            self.count_input(id);
        }
    }

    /// Brings the sum of input up to date.
    pub(super) fn count_input(&mut self, id: SessionId) {
        let Some(peer) = self.peer(id) else { return };
        let now = peer.input_bytes();
        let before = std::mem::replace(&mut peer.input_counted, now as u32) as usize;
        self.input_bytes = self.input_bytes + now - before;
    }

    /// Ends the pauses that are over.
    pub(super) fn end_pauses(&mut self, now: Instant) {
        while let Some(Reverse((until, id))) = self.pauses.peek().copied() {
            if now < until {
                break;
            }
            self.pauses.pop();
            let Some(held) = self.peer(id).and_then(|peer| peer.held.as_mut()) else {
                continue;
            };
            if held.paused_until.take_if(|until| *until <= now).is_some() {
                self.resumed.push(id);
            }
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::dialect::Dialect;
    use crate::hub::{Limits, Origin, Rate};
    use crate::test_clock::outset;
    use crate::test_log;

    const LIMITS: Limits = Limits::WIDE;

    fn connect(hub: &mut Hub<()>, now: Instant) -> SessionId {
        hub.connect((), Dialect::Telnet, Origin::Local, now)
    }

    /// Waits for the next deadline, and lets those go on whose pause it ends.
    fn wait(hub: &mut Hub<()>, now: &mut Instant) {
        *now = hub.wake_at().expect("there is a deadline");
        hub.tick(*now);
        for id in hub.take_resumed() {
            hub.resume(id, *now);
        }
    }

    #[test]
    fn who_is_paused_in_the_middle_of_what_she_says_is_not_silent() {
        let ms = Duration::from_millis;
        for (per_second, idle) in [(10, ms(60_000)), (1, ms(500))] {
            let line_rate = Rate {
                per_second,
                burst: 1,
            };
            let mut hub = Hub::new(Limits {
                line_rate,
                idle: Some(idle),
                ..LIMITS
            });
            let began_at = outset();
            let mut now = began_at;
            let id = connect(&mut hub, now);
            hub.handle_input(id, &[b'\n'; 1000], now);
            while hub.has_carry(id) {
                wait(&mut hub, &mut now);
            }
            let said_at = now;
            let said_in = said_at - began_at;
            assert!(said_in >= ms(999_000) / per_second, "{said_in:?}");
            while hub.open_sessions() > 0 {
                wait(&mut hub, &mut now);
            }
            assert!(now >= said_at + idle, "{:?}", now - said_at);
        }
    }

    /// So many times all sessions are looked at while time passes in steps, each after `then` did something.
    fn looks(
        hub: &mut Hub<()>,
        now: &mut Instant,
        steps: usize,
        mut then: impl FnMut(&mut Hub<()>, Instant),
    ) -> u32 {
        let mut looks = 0;
        for _ in 0..steps {
            then(hub, *now);
            let until = *now + Duration::from_millis(1);
            looks += u32::from(hub.wake_at.is_some_and(|at| at <= until));
            *now = until;
            hub.tick(until);
            hub.check_invariants();
        }
        looks
    }

    #[test]
    fn all_are_looked_at_twenty_times_a_second_at_most() {
        let line_rate = Rate {
            per_second: 1000,
            burst: 1,
        };
        let ms = Duration::from_millis;
        let mut hub = Hub::new(Limits {
            line_rate,
            idle: Some(ms(100)),
            drain: ms(10),
            ..LIMITS
        });
        let mut now = outset();
        let talker = connect(&mut hub, now);
        hub.handle_input(talker, &[b'\n'; 500], now);
        let said = looks(&mut hub, &mut now, 499, |hub, now| {
            for id in hub.take_resumed() {
                hub.resume(id, now);
            }
        });
        assert!(said <= 11, "{said} times for one who talks");
        for id in hub.take_resumed() {
            hub.resume(id, now);
        }
        assert!(
            !hub.has_carry(talker),
            "a thousand lines a second are heard"
        );

        let came_and_went = looks(&mut hub, &mut now, 500, |hub, now| {
            let id = connect(hub, now);
            hub.begin_close(id, CloseReason::Quit, now);
        });
        assert!(
            came_and_went <= 11,
            "{came_and_went} times for those who go"
        );
        looks(&mut hub, &mut now, 200, |hub, now| {
            hub.reap(now, |(), _| {});
        });
        assert!(hub.is_empty());
        assert_eq!(hub.wake_at(), None);
    }

    #[test]
    fn the_heaviest_go_first_and_of_these_the_last_slot() {
        test_log::begin();
        let (mut hub, now) = (Hub::new(LIMITS), outset());
        for weight in [10, 30, 20, 30, 5] {
            let id = connect(&mut hub, now);
            hub.handle_input(id, &vec![b'x'; weight], now);
        }
        for (memory_max, expected) in [
            (95, &[][..]),
            (94, &["guest4"]),
            (40, &["guest4", "guest2"]),
            (0, &["guest4", "guest2", "guest3", "guest1", "guest5"]),
        ] {
            hub.limits.memory_max = memory_max;
            hub.enforce_memory_limit(now);
            hub.reap(now, |(), _| {});
            hub.check_invariants();
            let closes = test_log::closes();
            let gone: Vec<&str> = closes.iter().map(|close| close.name.as_str()).collect();
            assert_eq!(gone, expected, "{memory_max}");
        }
    }
}
