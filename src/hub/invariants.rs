//! What must hold between any two calls, for tests and simulations to sweep.

use std::cmp::Reverse;

use crate::dialect::Encoding;
use crate::hub::room::Room;
use crate::hub::rooms::RoomAt;
use crate::hub::session::{Flow, Long, Session, Stage};
use crate::hub::Hub;
#[cfg(test)]
use crate::id::SessionId;
#[cfg(test)]
use crate::ledger::{Entry, Ledger};

impl<T> Hub<T> {
    /// The record of opens and closes, to take what was done from it.
    #[cfg(test)]
    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.core.ledger
    }

    /// Writes down that the input of a session begins to be understood.
    #[cfg(test)]
    pub(super) fn note_heard(&mut self, id: SessionId) {
        let number = self.sessions.get(id).map(|session| session.number);
        let heard = number.map(|id| Entry::Heard { id, kept: 0 });
        self.core.ledger.diary.extend(heard);
    }

    /// Whether some have been told what others will be told later.
    #[cfg(test)]
    pub(crate) fn is_in_a_round(&self) -> bool {
        let mut rooms = self.core.rooms.iter();
        rooms.any(|(_, room)| !room.members.is_round_over())
    }

    /// Whether something was said that somebody has not been told yet.
    #[cfg(feature = "internals")]
    pub(crate) fn has_untold(&self) -> bool {
        self.core.rooms.has_untold()
    }

    /// Looks at everything that must hold between two calls. It costs time in proportion to all that the hub holds.
    ///
    /// # Panics
    /// If an invariant is broken; the message says which.
    pub(crate) fn check_invariants(&self) {
        self.check_totals();
        self.core.rooms.check_invariants();
        assert!(self.core.unsorted.is_empty(), "names are to be sorted");
        self.check_rules();
        for session in self.sessions.iter() {
            let id = session.id;
            assert_eq!(
                session.outbox.bytes(),
                session.outbox.recount(),
                "bytes of {id:?}"
            );
            let closed = matches!(session.stage(), Some(Stage::Closed(_)));
            let has_waker = session.listed || session.flow == Flow::Blocked;
            assert!(
                session.outbox.is_empty() || closed || has_waker,
                "{id:?} has output and no waker"
            );
            // One whose write side is dead is being reset by who owns the stream, and is told nothing more.
            let is_dead = session.flow == Flow::Dead;
            let is_asked = session.long.as_deref() == Some(&Long::Asked);
            let is_asking = self.core.others().is_some_and(|it| it.asks(id));
            assert!(!is_asked || is_asking, "{id:?} waits for nothing");
            assert!(
                session.long.is_none() || closed || has_waker || is_dead || is_asked,
                "{id:?} waits for a reply that nobody makes"
            );
            let listed = self.core.flush_list.iter().filter(|it| **it == id).count();
            assert_eq!(
                usize::from(session.listed),
                listed,
                "{id:?} on the flush list"
            );
            let pending = session.pending.as_ref();
            let pause = pending.and_then(|pending| pending.paused_until);
            assert!(
                pause.is_none_or(|until| self
                    .core
                    .pauses
                    .iter()
                    .any(|it| *it == Reverse((until, id)))),
                "nothing ends the pause of {id:?}"
            );
            assert!(
                session.flow != Flow::Dead || session.outbox.is_empty(),
                "{id:?} keeps what nobody will take"
            );
            let room = self.core.room_of(session);
            let member = room.members.get(session.member);
            let member = member.filter(|member| member.id == id);
            assert_eq!(
                member.is_some(),
                session.is_open() && !session.is_nowhere(),
                "{id:?} is a member exactly while it is open"
            );
            if let Some(member) = member {
                assert_eq!(member.encoding, session.codec.encoding());
                assert!(
                    room.feed.holds(member.encoding, member.cursor),
                    "{id:?} has not heard what was dropped"
                );
                assert!(
                    !room.members.has_been_told(session.member)
                        || room
                            .feed
                            .has_heard(member.encoding, member.cursor, room.round),
                    "{id:?} was passed over in the round"
                );
            }
            assert_eq!(
                closed,
                self.core.closed.contains(&id),
                "{id:?} is to be freed exactly if it is closed"
            );
        }
    }

    /// A session that is muted is so by a rule, as soon as nothing is left to be done.
    fn check_rules(&self) {
        let core = &self.core;
        core.rules.check_invariants();
        core.kept.check_invariants();
        let wall_seconds = core.wall_seconds;
        let is_late = core
            .rules
            .first_end()
            .is_some_and(|end| end <= wall_seconds);
        if !core.jobs.is_empty() || is_late {
            return;
        }
        for session in self.sessions.iter().filter(|session| session.is_open()) {
            let address = session.from.address();
            let rule = core.rules.muted(address, session.number, wall_seconds);
            assert_eq!(session.muted, rule.is_some(), "{:?} is muted", session.id);
        }
    }

    fn check_totals(&self) {
        let (census, core) = (self.census(), &self.core);
        assert_eq!(
            core.ledger.opened() - core.ledger.closed(),
            self.sessions.len() as u64,
            "opens less closes"
        );
        let nowhere = self.sessions.iter();
        let nowhere = nowhere.filter(|it| it.is_open() && it.is_nowhere());
        assert_eq!(nowhere.count(), core.nowhere, "in no room");
        let members = core.rooms.totals().members;
        assert_eq!(census.open, members + core.nowhere, "members");
        let abroad = core.others().into_iter().flat_map(|it| it.abroad.iter());
        let holders: Vec<_> = abroad.filter(|it| it.holds_name).collect();
        assert_eq!(census.names, census.open + holders.len(), "names");
        let open = self.sessions.iter().filter(|session| session.is_open());
        let here = open.map(|session| (session.id, &session.name));
        let abroad = holders.iter().map(|person| (person.id, &person.name));
        core.roster.check_invariants(here.chain(abroad));
        let queued = self.sessions.iter().map(|session| session.outbox.bytes());
        assert_eq!(queued.sum::<usize>(), core.queued_bytes, "queued bytes");
        let input = self.sessions.iter().map(Session::input_bytes);
        assert_eq!(input.sum::<usize>(), core.input_bytes, "bytes of input");
        for (at, room) in core.rooms.iter() {
            self.check_room(at, room);
        }
    }

    fn check_room(&self, at: RoomAt, room: &Room) {
        let all = room.members.len();
        let members = || (0..all as u32).filter_map(|place| room.members.get(place));
        let skips: usize = members().map(|it| room.feed.skips_of(it.cursor)).sum();
        assert_eq!(skips, room.feed.skips(), "skips");
        let slow = self.sessions.iter().filter(|session| session.is_slow);
        let slow = slow.filter(|session| session.room == at);
        assert_eq!(
            room.keeping_up.count(),
            (all, slow.count()),
            "those who keep up, and who do not"
        );
        let announced = members().filter(|member| member.announced.is_some());
        assert_eq!(announced.count(), room.here_at_home(), "those announced");
        for encoding in Encoding::ALL {
            let listeners = members().filter(|member| member.encoding == encoding);
            assert_eq!(
                listeners.count(),
                room.listeners[encoding as usize] as usize,
                "listeners in {encoding:?}"
            );
        }
    }
}
