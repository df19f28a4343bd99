//! One session as the hub sees it.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use crate::dialect::event::To;
use crate::dialect::input::Context;
use crate::dialect::Codec;
use crate::hub::prefs::Prefs;
use crate::hub::room::members::NOWHERE;
use crate::hub::rooms::{RoomAt, RoomId};
use crate::hub::sink::Sink;
use crate::id::SessionId;
use crate::ledger::CloseReason;
use crate::limits::Limits;
use crate::name::Name;
use crate::origin::{Origin, Prefix};
use crate::outbox::Outbox;
use crate::rate::Bucket;
use crate::work::Work;

/// A session whose input is paused and whose client has gone is heard for this long, and no longer.
const HANGUP_HEARD: Duration = Duration::from_secs(5);

/// How a transport that `Hub::reap` gives back is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Its peer has everything, or is to get it from the kernel.
    Orderly,
    /// By a reset. It did not take what waited for it in time, so the kernel need not keep that either; or it has
    /// taken everything but stays, as nc does, and a reset frees its person.
    Abrupt,
}

/// A talker whose lines wait for longer than this is told so, once.
const UNTOLD_WAIT_MAX: Duration = Duration::from_secs(2);

/// A room that has not been behind for a talker in this many seconds has caught up: next time they are told again.
const SPELL_SECONDS: u16 = 30;

/// Pauses with less than this between them are one.
const PAUSES_APART_MAX: Duration = Duration::from_millis(100);

/// Where a session is on its way, which goes in one direction only.
#[derive(Debug)]
pub(super) enum Phase {
    /// It hears and is heard.
    Open,
    /// It is on its way out.
    Closing(Box<Closing>),
}

/// How a session ends.
#[derive(Debug)]
pub(super) struct Closing {
    /// Why; the first reason stays.
    pub(super) reason: CloseReason,
    pub(super) stage: Stage,
    /// When this stage is over at the latest.
    pub(super) until: Instant,
    /// The stream that we read has ended.
    pub(super) ended: bool,
    /// Its socket did not take all of what waited for it at once.
    pub(super) slow: bool,
}

/// How far a session is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// What was queued for it, and the farewell, goes out.
    Draining,
    /// All is said; what it still sends is read and dropped, this many bytes so far. Closing a socket with unread input
    /// would throw away what its peer has not received yet.
    Lingering { dropped: usize },
    /// Nothing is left but to free it.
    Closed(Ending),
}

/// The write side of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// It takes bytes as far as we know.
    Ready,
    /// The last write would have blocked, and no writable edge has come since.
    Blocked,
    /// It will never take a byte again.
    Dead,
    /// There is none: the connection is broken, and a page may come back.
    Absent,
}

/// Input that was read but is not understood yet, and why.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) bytes: Box<[u8]>,
    /// The session has been heard enough for now; until then nothing more is read.
    pub(super) paused_until: Option<Instant>,
    /// When its client was seen to have gone, behind what it has sent.
    pub(super) gone_at: Option<Instant>,
    /// Since when it is paused, but for moments in which it was heard.
    waits_since: Option<Instant>,
    /// The session was told that its lines wait.
    told: bool,
}

/// A reply that is longer than a moment: the session's input waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Long {
    /// Who is in this room, from behind this arrival on.
    Here { room: RoomId, after: u64 },
    /// Which rooms there are: the last of these, the next one last, of so many that were listed.
    Rooms { rest: Vec<RoomId>, count: usize },
    /// All of it waits in the outbox.
    Sent,
    /// What it has asked of all nodes is to come back.
    Asked,
}

/// A session.
///
/// What its peer can make grow, where it is counted, and what bounds it:
///
/// | what | counted in | bound |
/// |---|---|---|
/// | `outbox`: what waits for the socket, and what an editor has drawn | `queued_bytes` | `queue-bytes-max`, `memory-max` |
/// | `pending`: input that waits | `input_bytes` | what is read at once, 64 KiB |
/// | `codec`: an unfinished line | `input_bytes` | `line-bytes-max` |
/// | `codec`: the editor's line, its history, its candidates | `input_bytes` | 2,000 characters, lines, names |
/// | `prefs`: why somebody is away, whom they ignore | `input_bytes` | a line, 100 people |
/// | `long`: a long reply | `input_bytes`, its list of rooms | one |
/// | `carried`: a record of TLS that is not whole, ciphertext that the socket did not take | `input_bytes` | 16 KiB each |
/// | `name` | not | 24 columns |
/// | its skips in the feed | not | lines of a turn |
///
/// Invariants: an outbox that is not empty has a waker: `listed` or [`Flow::Blocked`]; a dead write side has an empty
/// outbox; no session but an open one is a member of a room, and one is in none only if its dialect knows that.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is about something of its own"
)]
#[derive(Debug)]
pub(super) struct Session<T> {
    pub(super) transport: T,
    pub(super) id: SessionId,
    /// The room that it is in; the lobby once it is in none.
    pub(super) room: RoomAt,
    /// Where it stands in its room's list of members.
    pub(super) member: u32,
    pub(super) flow: Flow,
    /// It is on the flush list, once.
    pub(super) listed: bool,
    /// The last that it sent was for all to hear.
    pub(super) talks: bool,
    /// A rule keeps it from being heard. Whenever rules change it is judged anew, so that a line costs no look-up.
    pub(super) muted: bool,
    /// It is counted among those of its room who are behind.
    pub(super) is_slow: bool,
    /// Where it comes from.
    pub(super) from: Origin,
    /// When its lines last waited for its room, in seconds from 1 on; 0 if they never did. After 18 hours the count begins
    /// anew, and who waits just then is told once more, or once less.
    pub(super) room_waited: u16,
    /// The number that the ledger gave it.
    pub(super) number: u64,
    pub(super) phase: Phase,
    pub(super) name: Name,
    pub(super) codec: Codec,
    pub(super) pending: Option<Box<Pending>>,
    /// What it is being told, and is not heard before.
    pub(super) long: Option<Box<Long>>,
    /// What the hub's sum of input counts for it.
    pub(super) input_counted: u32,
    /// What its connection keeps for it.
    #[cfg(feature = "tls")]
    pub(super) carried: u32,
    pub(super) outbox: Outbox,
    pub(super) opened_at: Instant,
    /// When something was last heard of it, or the pause behind that ends, in µs after `opened_at`.
    heard_micros: u64,
    /// When its last line is paid for if the room is behind, in µs after `opened_at`.
    line_paid_micros: u64,
    /// What it may say and ask.
    pub(super) bucket: Bucket,
    pub(super) lines_in: u64,
    pub(super) bytes_out: u64,
    /// What its person has set; most have set nothing.
    pub(super) prefs: Option<Box<Prefs>>,
}

impl<T> Session<T> {
    pub(super) fn new(
        transport: T,
        id: SessionId,
        number: u64,
        from: Origin,
        codec: Codec,
        now: Instant,
    ) -> Self {
        Self {
            transport,
            id,
            room: RoomAt::LOBBY,
            member: NOWHERE,
            flow: Flow::Ready,
            listed: false,
            talks: false,
            muted: false,
            is_slow: false,
            from,
            room_waited: 0,
            number,
            phase: Phase::Open,
            name: Name::guest(number),
            codec,
            pending: None,
            long: None,
            input_counted: 0,
            #[cfg(feature = "tls")]
            carried: 0,
            outbox: Outbox::default(),
            opened_at: now,
            heard_micros: 0,
            line_paid_micros: 0,
            bucket: Bucket::default(),
            lines_in: 0,
            bytes_out: 0,
            prefs: None,
        }
    }

    /// The address that it counts under; `None` if it is exempt.
    pub(super) fn prefix(&self) -> Option<Prefix> {
        self.from.prefix()
    }

    /// Whether it is in no room.
    pub(super) fn is_nowhere(&self) -> bool {
        self.member == NOWHERE
    }

    /// The room that it is in; `None` if it is in none.
    pub(super) fn place(&self) -> Option<RoomAt> {
        (!self.is_nowhere()).then_some(self.room)
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// How far it is on its way out; `None` if it is not.
    pub(super) fn stage(&self) -> Option<Stage> {
        match &self.phase {
            Phase::Open => None,
            Phase::Closing(closing) => Some(closing.stage),
        }
    }

    /// Its way out, if it is on it.
    pub(super) fn closing(&mut self) -> Option<&mut Closing> {
        match &mut self.phase {
            Phase::Open => None,
            Phase::Closing(closing) => Some(closing),
        }
    }

    /// Whether a byte could still reach its peer.
    pub(super) fn is_reachable(&self) -> bool {
        matches!(self.flow, Flow::Ready | Flow::Blocked)
            && !matches!(self.stage(), Some(Stage::Closed(_)))
    }

    /// When something was last heard of it, or when the pause behind that ends.
    pub(super) fn heard_at(&self) -> Instant {
        self.opened_at + Duration::from_micros(self.heard_micros)
    }

    /// Something was heard of it, and nothing is read until `at`.
    pub(super) fn hear_until(&mut self, at: Instant) {
        self.heard_micros = self.micros(at);
    }

    /// When the last line that it said to all is paid for, should the room be behind until then.
    pub(super) fn last_line_paid_at(&self) -> Instant {
        self.opened_at + Duration::from_micros(self.line_paid_micros)
    }

    /// It says a line to all, which in a room that is behind costs it the time until `paid_at`.
    pub(super) fn say_line(&mut self, paid_at: Instant) {
        self.line_paid_micros = self.micros(paid_at);
    }

    /// Its lines wait for its room, which is behind; gives whether they have not done so for a while. So a talker is told
    /// once, though a room that is told too much is behind now and caught up then.
    pub(super) fn begins_to_wait_for_room(&mut self, now: Instant) -> bool {
        let second = (self.micros(now) / 1_000_000 + 1) as u16;
        let before = std::mem::replace(&mut self.room_waited, second);
        before == 0 || second.wrapping_sub(before) >= SPELL_SECONDS
    }

    /// A time as it is kept.
    fn micros(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.opened_at).as_micros() as u64
    }

    /// Its codec, and what that may know.
    pub(super) fn codec_in_context<'a>(
        &'a mut self,
        limits: &Limits,
        wall_seconds: u64,
        room: Option<&'a str>,
        work: &'a mut Work,
        out: &'a mut Vec<u8>,
        now: Instant,
    ) -> (&'a mut Codec, Context<'a>) {
        let context = Context {
            age: now.saturating_duration_since(self.opened_at),
            words_bytes_max: limits.line_bytes_max,
            to: self.to(wall_seconds),
            room,
            lines_in: &mut self.lines_in,
            work,
            out,
        };
        (&mut self.codec, context)
    }

    /// How its person wants to read what the server says.
    pub(super) fn to(&self, wall_seconds: u64) -> To {
        let plain = To {
            wall_seconds,
            ..To::default()
        };
        let prefs = self.prefs.as_deref();
        To {
            columns: self.codec.fold_columns(),
            ..prefs.map_or(plain, |prefs| prefs.to(wall_seconds))
        }
    }

    /// What its person has set, if they see the feed otherwise than everybody.
    pub(super) fn view(&self) -> Option<&Prefs> {
        self.prefs.as_deref().filter(|prefs| prefs.has_view())
    }

    /// Whether its person is an operator in the chat.
    pub(super) fn is_operator(&self) -> bool {
        let prefs = self.prefs.as_deref();
        prefs.is_some_and(|prefs| prefs.operator)
    }

    /// What its person has set, to be changed.
    pub(super) fn prefs(&mut self) -> &mut Prefs {
        self.prefs.get_or_insert_default()
    }

    /// Why its person is away, which may be empty; `None` if they are not.
    pub(super) fn away(&self) -> Option<&str> {
        let prefs = self.prefs.as_deref();
        prefs.and_then(|prefs| prefs.away.as_deref())
    }

    pub(super) fn is_away(&self) -> bool {
        let prefs = self.prefs.as_deref();
        prefs.is_some_and(|prefs| prefs.away.is_some())
    }

    /// Whether this is right behind a pause: what is read now, and paused again, has waited on.
    pub(super) fn is_right_behind_a_pause(&self, now: Instant) -> bool {
        self.pending.is_some() && now <= self.heard_at() + PAUSES_APART_MAX
    }

    /// Keeps input for later.
    pub(super) fn keep_input(
        &mut self,
        bytes: &[u8],
        paused_until: Option<Instant>,
        waited_on: bool,
        now: Instant,
    ) {
        let before = self.pending.take();
        let gone_at = before.as_ref().and_then(|pending| pending.gone_at);
        if bytes.is_empty() && paused_until.is_none() && gone_at.is_none() {
            return;
        }
        let before = before.filter(|_| waited_on);
        let waits_since = before.as_ref().and_then(|pending| pending.waits_since);
        self.pending = Some(Box::new(Pending {
            bytes: bytes.into(),
            paused_until,
            gone_at,
            waits_since: paused_until.map(|_| waits_since.unwrap_or(now)),
            told: before.is_some_and(|pending| pending.told),
        }));
    }

    /// Keeps more input behind what is kept for later.
    pub(super) fn add_pending(&mut self, bytes: &[u8]) {
        let pending = self.pending.get_or_insert_default();
        pending.bytes = [&pending.bytes, bytes].concat().into();
    }

    /// Whether its lines have waited for long enough to be told so, and were not.
    pub(super) fn is_to_be_told_of_waiting(&mut self, now: Instant) -> bool {
        let Some(pending) = &mut self.pending else {
            return false;
        };
        let waited = |since| now.saturating_duration_since(since) > UNTOLD_WAIT_MAX;
        let waits = pending.waits_since.is_some_and(waited);
        waits && !std::mem::replace(&mut pending.told, true)
    }

    /// Whether nothing is to be read, or gone on with, until a pause or a long reply is over.
    pub(super) fn is_paused(&self) -> bool {
        let pending = self.pending.as_ref();
        self.long.is_some() || pending.is_some_and(|pending| pending.paused_until.is_some())
    }

    /// Whether it has said enough for now, and is not only waiting for what it asked for.
    pub(super) fn waits_for_its_time(&self) -> bool {
        let pending = self.pending.as_ref();
        pending.is_some_and(|pending| pending.paused_until.is_some())
    }

    /// Whether input waits to be gone on with.
    pub(super) fn has_pending(&self) -> bool {
        let pending = self.pending.as_ref();
        pending.is_some_and(|pending| !pending.bytes.is_empty())
    }

    /// Bytes that are kept of what was sent: input that waits, what the codec keeps, what was set.
    pub(super) fn input_bytes(&self) -> usize {
        let pending = self.pending.as_ref();
        let prefs = self.prefs.as_ref();
        let long = match self.long.as_deref() {
            Some(Long::Rooms { rest, .. }) => rest.capacity() * size_of::<RoomId>(),
            Some(Long::Here { .. } | Long::Sent | Long::Asked) | None => 0,
        };
        #[cfg(feature = "tls")]
        let long = long + self.carried as usize;
        long + pending.map_or(0, |pending| pending.bytes.len())
            + self.codec.buffered()
            + prefs.map_or(0, |prefs| prefs.bytes())
    }

    /// When its next deadline is.
    ///
    /// # Errors
    /// One has passed, and for this reason the session is to be closed; if it is closing already, to be freed.
    pub(super) fn deadline(
        &mut self,
        limits: &Limits,
        now: Instant,
    ) -> Result<Option<Instant>, CloseReason> {
        if let Phase::Closing(closing) = &self.phase {
            return match closing.stage {
                Stage::Closed(_) => Ok(None),
                _ if now < closing.until => Ok(Some(closing.until)),
                _ => Err(closing.reason),
            };
        }
        let queue_at = self.outbox.deadline(&limits.queue, now)?;
        let idle_at = limits.idle.map(|idle| self.heard_at() + idle);
        if idle_at.is_some_and(|at| at <= now) {
            return Err(CloseReason::Idle);
        }
        // What it sent before its client went may be too much to be heard in time.
        let gone_at = self.pending.as_ref().and_then(|pending| pending.gone_at);
        let heard_until = gone_at.map(|at| at + HANGUP_HEARD);
        if heard_until.is_some_and(|at| at <= now) {
            return Err(CloseReason::Eof);
        }
        let deadlines = [queue_at, idle_at, heard_until];
        Ok(deadlines.into_iter().flatten().min())
    }

    /// Its client seems to have gone, behind what it has sent; gives when that is heard no longer.
    pub(super) fn note_gone(&mut self, now: Instant) -> Option<Instant> {
        let pending = self.pending.as_mut()?;
        if pending.paused_until.is_none() || pending.gone_at.is_some() {
            return None;
        }
        pending.gone_at = Some(now);
        Some(now + HANGUP_HEARD)
    }

    /// One write; gives the bytes taken. `flow` tells why there are not more.
    pub(super) fn write(&mut self, slices: &[IoSlice<'_>], sink: &mut impl Sink<T>) -> usize {
        match sink.write(self.id, &mut self.transport, slices) {
            Ok(taken) if taken > 0 => {
                self.bytes_out += taken as u64;
                return taken;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.flow = Flow::Blocked,
            Ok(_) | Err(_) => self.flow = Flow::Dead,
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_session_is_small() {
        // The kernel's side of a session costs kilobytes; ours must not show beside it.
        let bytes = size_of::<Session<[u32; 3]>>();
        // Where there is TLS, it has a number for what that keeps.
        let most = if cfg!(feature = "tls") { 256 } else { 248 };
        assert!(bytes <= most, "{bytes}");
    }
}
