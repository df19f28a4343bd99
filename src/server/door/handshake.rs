//! Connections at the door that shake hands.

use std::mem;
use std::time::{Duration, Instant};

use super::{Door, Stage, Verdict, Waiting};
use crate::dialect::Preface;
use crate::origin::{Prefix, Security};

/// A connection has 10 s to shake hands.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A handshake that has taken 1 s gives way to others where the door is full: the slowest way around the earth takes less.
pub(super) const HANDSHAKE_MIN: Duration = Duration::from_secs(1);

impl<S> Waiting<S> {
    /// Whether the next that is read of it belongs to its handshake.
    pub(in crate::server) fn is_shaking_hands(&self) -> bool {
        matches!(self.stage, Stage::Handshake)
    }

    /// It has gone, or its time is over, before it had shaken hands. Who has said nothing may be somebody who waits to be
    /// greeted.
    pub(super) fn judge_unsecured(&self, is_overdue: bool) -> Verdict {
        match self.stage {
            Stage::Handshake if is_overdue => Verdict::NoHandshake("timeout"),
            Stage::Handshake => Verdict::NoHandshake("hangup"),
            _ if is_overdue && self.is_answered() => Verdict::InClear,
            _ => Verdict::Over,
        }
    }

    /// It begins to shake hands; gives what was read of that.
    pub(in crate::server) fn begin_handshake(&mut self) -> Vec<u8> {
        self.stage = Stage::Handshake;
        mem::take(&mut self.bytes)
    }

    /// It has shaken hands, and has said this behind that; gives whether it is a session now.
    pub(in crate::server) fn end_handshake(
        &mut self,
        by: Security,
        said: &[u8],
        now: Instant,
    ) -> bool {
        self.security = by;
        self.bytes = said.to_vec();
        let Some((stage, patience)) = Stage::first(false, Preface::of(self.dialect)) else {
            return true;
        };
        (self.stage, self.until) = (stage, now + patience);
        false
    }
}

impl<S> Door<S> {
    /// How many of this address shake hands, or are about to. It looks at all.
    pub(in crate::server) fn handshakes_of(&self, prefix: Prefix) -> usize {
        let of_it = |waiting: &Waiting<S>| {
            let is_unsecured = matches!(waiting.stage, Stage::Hello | Stage::Handshake);
            is_unsecured && waiting.from.prefix() == Some(prefix)
        };
        let waiting = self.waiting.iter();
        waiting.filter(|(_, waiting)| of_it(waiting)).count()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::dialect::Dialect;
    use crate::server::door::{Comer, PER_LISTENER_MAX};
    use crate::stream::{Edge, Read};
    use crate::test_clock::outset;

    fn enter(door: &mut Door<()>, from: &str, now: Instant) -> usize {
        let from: SocketAddr = from.parse().unwrap();
        let comer = Comer {
            from: from.into(),
            dialect: Dialect::Telnet,
            tls: true,
            behind_proxy: false,
            listener: 0,
            port: 992,
        };
        let slot = door.vacant_slot();
        door.enter((), comer, now);
        slot
    }

    #[test]
    fn handshakes_count_for_their_address_until_they_are_over() {
        let (mut door, now) = (Door::new(1), outset());
        let first = enter(&mut door, "192.0.2.66:1", now);
        let second = enter(&mut door, "192.0.2.66:2", now);
        enter(&mut door, "192.0.2.7:1", now);
        let prefix = door.get_mut(first).unwrap().from.prefix().unwrap();
        assert_eq!(door.handshakes_of(prefix), 2);
        door.get_mut(first).unwrap().begin_handshake();
        assert_eq!(door.handshakes_of(prefix), 2);
        door.leave(second);
        assert_eq!(door.handshakes_of(prefix), 1);
    }

    #[test]
    fn a_handshake_gives_way_when_it_had_its_time_and_has_said_nothing_more() {
        let (mut door, now) = (Door::new(1), outset());
        assert!(!door.is_busy(0, now));
        let slots: Vec<usize> = (0..PER_LISTENER_MAX)
            .map(|_| enter(&mut door, "192.0.2.66:1", now))
            .collect();
        let almost = now + HANDSHAKE_MIN.saturating_sub(Duration::from_millis(1));
        assert!(door.is_busy(0, almost) && !door.is_busy(0, now + HANDSHAKE_MIN));
        // Who has sent something waits for us.
        let edge = Edge {
            readable: true,
            ..Edge::default()
        };
        for slot in &slots {
            door.note(*slot, edge);
        }
        assert!(door.is_busy(0, now + HANDSHAKE_MIN));
        assert_eq!(door.oldest(0, None, now + HANDSHAKE_MIN), None);
        let readiness = &mut door.get_mut(slots[9]).unwrap().readiness;
        readiness.handle_read(Read::Blocked, 0);
        assert!(!door.is_busy(0, now + HANDSHAKE_MIN));
        assert_eq!(door.oldest(0, None, now + HANDSHAKE_MIN), Some(slots[9]));
    }
}
