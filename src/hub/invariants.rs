//! What must hold between any two calls, for tests and simulations to sweep.

use std::cmp::Reverse;

use crate::hub::peer::{Flow, Stage, Standing};
use crate::hub::{Hub, SessionId};
#[cfg(test)]
use crate::ledger::{Entry, Ledger};

#[cfg(test)]
impl<T> Hub<T> {
    /// The record of opens and closes, to take what was done from it.
    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Writes down that the input of a session begins to be understood.
    pub(super) fn note_heard(&mut self, id: SessionId) {
        let number = self.peer_ref(id).map(|peer| peer.number);
        let heard = number.map(|id| Entry::Heard { id, kept: 0 });
        self.ledger.diary.extend(heard);
    }
}

impl<T> Hub<T> {
    /// Looks at everything that must hold between two calls. It costs time in proportion to all that the hub holds.
    ///
    /// # Panics
    /// If an invariant is broken; the message says which.
    pub fn check_invariants(&self) {
        self.check_totals();
        for (slot, peer) in &self.peers {
            let id = SessionId::new(slot, peer.serial);
            assert_eq!(
                peer.outbox.bytes(),
                peer.outbox.recount(),
                "bytes of {id:?}"
            );
            let feed = &self.room.feed;
            let waits = !peer.outbox.is_empty() || feed.waits_alone(peer.cursor);
            let closed = matches!(peer.stage(), Some(Stage::Closed(_)));
            let has_waker = peer.listed || peer.flow == Flow::Blocked;
            assert!(
                !waits || closed || has_waker,
                "{id:?} has output and no waker"
            );
            assert_eq!(
                usize::from(peer.listed),
                self.flush_list
                    .iter()
                    .filter(|listed| **listed == id)
                    .count(),
                "{id:?} on the flush list"
            );
            let paused_until = peer.held.as_ref().and_then(|held| held.paused_until);
            let pause = paused_until.map(|until| Reverse((until, id)));
            assert!(
                pause.is_none_or(|pause| self.pauses.iter().any(|it| *it == pause)),
                "nothing ends the pause of {id:?}"
            );
            assert!(
                peer.flow != Flow::Dead || peer.outbox.is_empty(),
                "{id:?} keeps what nobody will take"
            );
            let member = self.room.members.get(peer.member) == Some(id);
            assert_eq!(
                member,
                peer.is_open(),
                "{id:?} is a member exactly while it is open"
            );
            let hears = peer.is_open() || (peer.cursor.has_marks() && !closed);
            assert!(
                !hears || feed.holds(peer.dialect, peer.cursor),
                "{id:?} has not heard what was dropped"
            );
            let told = member && self.room.members.has_been_told(peer.member);
            let round = self.room.round;
            assert!(
                !told || feed.has_heard(peer.dialect, peer.cursor, round),
                "{id:?} was passed over in the round"
            );
            assert_eq!(
                closed,
                self.closed.contains(&id),
                "{id:?} is to be freed exactly if it is closed"
            );
        }
    }

    fn check_totals(&self) {
        let census = self.census();
        assert_eq!(
            self.ledger.opened() - self.ledger.closed(),
            self.peers.len() as u64,
            "opens less closes"
        );
        assert_eq!(census.open, self.room.members.len(), "members");
        let cursors = self.peers.iter().map(|(_, peer)| peer.cursor);
        let marks: usize = cursors.map(|cursor| self.room.feed.marks_of(cursor)).sum();
        assert_eq!(marks, self.room.feed.marks(), "marks");
        assert_eq!(census.names, census.open, "names");
        let open = self.peers.iter().filter(|(_, peer)| peer.is_open());
        self.roster.check_invariants(
            open.map(|(slot, peer)| (SessionId::new(slot, peer.serial), &peer.name)),
        );
        let queued: usize = self.peers.iter().map(|(_, peer)| peer.outbox.bytes()).sum();
        assert_eq!(queued, self.queued_bytes, "queued bytes");
        let input: usize = self.peers.iter().map(|(_, peer)| peer.input_bytes()).sum();
        assert_eq!(input, self.input_bytes, "bytes of input");
        let joined = |(_, peer): &(usize, &crate::hub::peer::Peer<T>)| {
            peer.is_open() && peer.standing != Standing::Unknown
        };
        assert_eq!(
            self.peers.iter().filter(joined).count(),
            self.room.here(),
            "those told of"
        );
        let by_dialect = |dialect| {
            self.peers
                .iter()
                .filter(|(_, peer)| peer.is_open() && peer.dialect == dialect)
                .count()
        };
        for dialect in crate::dialect::Dialect::ALL {
            assert_eq!(
                by_dialect(dialect),
                self.room.listeners[dialect as usize],
                "listeners of {dialect}"
            );
        }
    }
}
