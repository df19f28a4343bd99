//! Sessions come and go: the one door in and the one door out.
//!
//! Everything that ends a session ends in [`Hub::begin_close`] or its like with last words: it takes the session out
//! of the room, frees its name, bids it farewell and tells the others. It never frees; [`Hub::reap`] alone does.

use std::mem;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::dialect::event::{Farewell, Reply};
use crate::dialect::{text, Dialect, Reader};
use crate::hub::peer::{Closing, Flow, Peer, Phase, Stage, Standing};
use crate::hub::{history, Ending, Hub, SessionId};
#[cfg(test)]
use crate::ledger::Entry;
use crate::ledger::{Close, CloseReason};
use crate::name::Name;
use crate::outbox::Outbox;

impl<T> Hub<T> {
    /// Takes in a session and greets it.
    pub fn connect(
        &mut self,
        transport: T,
        dialect: Dialect,
        from: SocketAddr,
        now: Instant,
    ) -> SessionId {
        let id = self.insert(transport, dialect, from, now);
        let peer = &mut self.peers[id.slot as usize];
        self.roster
            .claim(id, &peer.name)
            .unwrap_or_else(|_| unreachable!("a guest's number is its own"));
        peer.member = self.room.enter(id, dialect);
        if dialect == Dialect::Telnet {
            self.greet(id);
        }
        if let Some(idle) = self.limits.idle {
            self.wake_by(now + idle);
        }
        id
    }

    /// Takes in a session only to tell it why it cannot stay.
    pub fn refuse(
        &mut self,
        transport: T,
        dialect: Dialect,
        from: SocketAddr,
        reason: CloseReason,
        now: Instant,
    ) -> SessionId {
        let id = self.insert(transport, dialect, from, now);
        self.bid_farewell(id, reason, now);
        id
    }

    /// Writes down that somebody came and could not even be taken in to be told why; gives what to tell it.
    pub fn turn_away(
        &mut self,
        dialect: Dialect,
        from: SocketAddr,
        reason: CloseReason,
    ) -> Vec<u8> {
        let number = self.ledger.open(dialect, from, self.peers.len());
        let close = Close {
            id: number,
            name: Name::guest(number).text().into(),
            reason,
            lasted: Duration::ZERO,
            lines_in: 0,
            bytes_out: 0,
        };
        self.ledger.close(close, self.peers.len());
        let mut farewell = Vec::new();
        dialect.encode_reply(
            &Reply::Farewell(Farewell {
                reason,
                idle_seconds: 0,
            }),
            &mut farewell,
        );
        farewell
    }

    /// Ends a session: the one door out. The first reason stays; a second call does nothing.
    pub fn begin_close(&mut self, id: SessionId, reason: CloseReason, now: Instant) {
        self.close_with_words(id, reason, "", now);
    }

    /// Ends all sessions, because the server goes down.
    pub fn shut_down(&mut self, now: Instant) {
        self.going_down = true;
        for id in self.ids().collect::<Vec<_>>() {
            self.begin_close(id, CloseReason::Shutdown, now);
        }
    }

    /// Ends what has begun to close and is not done yet, at once.
    pub fn cut_off(&mut self) {
        for id in self.ids().collect::<Vec<_>>() {
            self.finish_close(id, Ending::Orderly);
        }
    }

    fn insert(
        &mut self,
        transport: T,
        dialect: Dialect,
        from: SocketAddr,
        now: Instant,
    ) -> SessionId {
        let number = self.ledger.open(dialect, from, self.peers.len() + 1);
        self.serial = self.serial.wrapping_add(1);
        // Whoever comes, to stay or not, hears nothing of what was said before.
        let cursor = self.room.feed.cursor(dialect);
        let entry = self.peers.vacant_entry();
        let id = SessionId::new(entry.key(), self.serial);
        entry.insert(Peer {
            transport,
            serial: id.serial,
            member: 0,
            dialect,
            flow: Flow::Ready,
            listed: false,
            ended: false,
            interrupted: false,
            reassured: 0,
            number,
            phase: Phase::Open,
            standing: Standing::Unknown,
            name: Name::guest(number),
            reader: Reader::new(dialect),
            held: None,
            input_counted: 0,
            cursor,
            outbox: Outbox::default(),
            opened_at: now,
            heard_micros: 0,
            paid_micros: 0,
            lines_in: 0,
            bytes_out: 0,
            spoke: 0,
            comforts: None,
        });
        id
    }

    fn greet(&mut self, id: SessionId) {
        let arrivals = self
            .room
            .arrivals()
            .chain([id])
            .take(text::GREETING_NAMES_MAX);
        let names = arrivals.map(|id| self.listing(id));
        let mut greeting = Vec::new();
        text::encode_reply(
            &Reply::Welcome(&self.peers[id.slot as usize].name),
            &mut greeting,
        );
        text::encode_here(self.room.here() + 1, names, &mut greeting);
        greeting.extend_from_slice(&self.motd);
        if !self.room.history.is_empty() {
            greeting.extend_from_slice(history::EARLIER);
            self.room
                .history
                .show(usize::MAX, 0, |_| true, &mut greeting);
            greeting.extend_from_slice(history::NOW);
        }
        self.say_alone(id, |_, out| out.append(&mut greeting));
    }

    pub(super) fn close_with_words(
        &mut self,
        id: SessionId,
        reason: CloseReason,
        words: &str,
        now: Instant,
    ) {
        let Some(peer) = self.peer(id).filter(|peer| peer.is_open()) else {
            return;
        };
        let (place, dialect) = (peer.member, peer.dialect);
        self.roster.release(id, &self.peers[id.slot as usize].name);
        let Self { peers, room, .. } = self;
        room.leave(place, dialect, |moved, place| {
            peers[moved.slot as usize].member = place;
        });
        self.bid_farewell(id, reason, now);
        let Self {
            peers,
            room,
            going_down,
            ..
        } = self;
        let peer = &peers[id.slot as usize];
        if *going_down {
            room.forget(peer.standing);
        } else {
            room.part(id, peer.standing, &peer.name, words, now);
        }
    }

    /// Tells a session, which is not or no longer in the room, why it ends, and lets it drain.
    fn bid_farewell(&mut self, id: SessionId, reason: CloseReason, now: Instant) {
        self.drop_input(id);
        let heard_at = self.peers[id.slot as usize].heard_at();
        let idle_seconds = now.saturating_duration_since(heard_at).as_secs();
        self.reply(
            id,
            &Reply::Farewell(Farewell {
                reason,
                idle_seconds,
            }),
        );
        let until = now + self.limits.drain;
        let peer = &mut self.peers[id.slot as usize];
        #[cfg(test)]
        self.ledger.diary.push(Entry::Ended {
            id: peer.number,
            reason,
        });
        let stage = Stage::Draining { slow: false };
        peer.phase = Phase::Closing(Box::new(Closing {
            reason,
            stage,
            until,
        }));
        self.room.feed.skip_rest(&mut peer.cursor, peer.dialect);
        let hopeless = peer.flow == Flow::Dead
            || matches!(reason, CloseReason::Reset | CloseReason::WriteStall);
        if hopeless {
            self.finish_close(id, Ending::Orderly);
        } else {
            self.list(id);
            self.wake_by(until);
        }
    }

    /// Nothing more is to be done for this session but to free it.
    pub(super) fn finish_close(&mut self, id: SessionId, ending: Ending) {
        let Some(closing) = self.peer(id).and_then(Peer::closing) else {
            return;
        };
        if !matches!(closing.stage, Stage::Closed(_)) {
            closing.stage = Stage::Closed(ending);
            self.closed.push(id);
        }
    }

    /// Frees the sessions that are closed and gives their transports back.
    pub fn reap(&mut self, now: Instant, mut close: impl FnMut(T, Ending)) {
        for id in mem::take(&mut self.closed) {
            let Some(mut peer) = self.peers.try_remove(id.slot as usize) else {
                continue;
            };
            self.room.feed.forget(&mut peer.cursor);
            let Phase::Closing(closing) = peer.phase else {
                continue;
            };
            let Closing {
                reason,
                stage: Stage::Closed(ending),
                ..
            } = *closing
            else {
                continue;
            };
            let waits = peer.outbox.bytes();
            self.queued_bytes -= waits;
            self.input_bytes -= peer.input_counted as usize;
            self.ledger.close(
                Close {
                    id: peer.number,
                    name: peer.name.text().into(),
                    reason,
                    lasted: now.saturating_duration_since(peer.opened_at),
                    lines_in: peer.lines_in,
                    bytes_out: peer.bytes_out,
                },
                self.peers.len(),
            );
            let ending = if waits > 0 { Ending::Abrupt } else { ending };
            close(peer.transport, ending);
        }
    }
}
