//! Connections that are no sessions yet: each must say first for whom it is, or what it wants.
//!
//! They have no name, are told nothing of the chat, and of them nobody is told. Each has a deadline, each listener a bound
//! of their number, and what they send before they are sessions has a bound, too.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::mem;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::dialect::request::Refusal;
use crate::dialect::{Answer, Asked, Dialect, House, Preface};
#[cfg(feature = "tls")]
use crate::origin::Security;
use crate::origin::{Origin, Prefix};
use crate::server::proxy::{self, Source};
#[cfg(feature = "tls")]
use crate::stream::tls::FIRST_BYTE;
use crate::stream::{Edge, Readiness};

mod answering;
mod giving_way;
#[cfg(feature = "tls")]
mod handshake;

/// At most 256 connections wait at one listener.
const PER_LISTENER_MAX: usize = 256;

/// A connection has 5 s to say for whom it is …
const PROXY_PATIENCE: Duration = Duration::from_secs(5);

/// … and, when all is said, 2 s to close its own side.
const LINGER: Duration = Duration::from_secs(2);

/// What is sent behind the last answer is dropped, but no more than this.
const DROPPED_BYTES_MAX: usize = 64 * 1024;

/// A connection at the door.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is about something of its own"
)]
#[derive(Debug)]
pub(super) struct Waiting<S> {
    pub(super) stream: S,
    /// The front end, or whom it has named.
    pub(super) from: Origin,
    /// What is spoken behind the preface.
    pub(super) dialect: Dialect,
    /// What lies between, as far as it was made.
    #[cfg(feature = "tls")]
    pub(super) security: Security,
    /// It is to be spoken in TLS.
    tls: bool,
    pub(super) readiness: Readiness,
    /// What it has sent.
    pub(super) bytes: Vec<u8>,
    /// It has sent something that is no proof of nothing but life.
    has_spoken: bool,
    stage: Stage,
    /// It was put off: what it has sent may hold more than was looked at.
    is_put_off: bool,
    /// How often it was answered.
    answers: usize,
    /// What it is sent.
    answer: Answer,
    /// How many bytes of that were taken.
    taken: usize,
    /// The last write would have blocked, and no edge has come since.
    is_blocked: bool,
    listener: usize,
    /// Our port.
    port: u16,
    came_at: Instant,
    /// When its time is over.
    until: Instant,
    /// Tells it from others that had the slot before.
    number: u64,
}

/// What is waited for.
#[derive(Debug)]
enum Stage {
    /// The header of a front end.
    Proxy,
    /// The front end has come for itself: that it says something.
    Itself,
    /// The first byte of a handshake.
    #[cfg(feature = "tls")]
    Hello,
    /// The rest of the handshake.
    #[cfg(feature = "tls")]
    Handshake,
    /// What the dialect asks.
    Preface(Preface),
    /// Its end: all is said. So many bytes were dropped since.
    Over { dropped: usize },
}

/// What became of a connection at the door.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It has not said enough, or has not taken what it was answered.
    Waits,
    /// It is a session; its first input is what is left of its bytes.
    Session,
    /// It has asked for something.
    Asked(Asked),
    /// It wants to shake hands.
    #[cfg(feature = "tls")]
    ShakesHands,
    /// It speaks, but not TLS.
    #[cfg(feature = "tls")]
    InClear,
    /// It has gone, or its time was over, before it had shaken hands: this is why.
    #[cfg(feature = "tls")]
    NoHandshake(&'static str),
    /// It does not speak our protocol.
    Wrong,
    /// It has been told all, and has gone.
    Over,
}

impl<S> Waiting<S> {
    /// Whether it has said nothing that is worth a line in the log: it only looked whether we live.
    pub(super) fn is_silent(&self) -> bool {
        self.bytes.is_empty() && !self.has_spoken
    }

    /// Whether all of the answer was taken.
    fn is_answered(&self) -> bool {
        self.taken == self.answer.head.len() + self.answer.body.len()
    }

    /// Tells it that it cannot have the name that it wants; it may ask for another one.
    pub(super) fn refuse_name(&mut self, before: &[u8], refusal: &Refusal, now: Instant) {
        if let Stage::Preface(preface) = &mut self.stage {
            let mut answer = preface.refuse_name(refusal);
            answer.head.splice(0..0, before.iter().copied());
            self.answer(answer, now);
        }
    }

    /// Whether it says who it is, and is told when its time for that is over.
    pub(super) fn is_registering(&self) -> bool {
        matches!(&self.stage, Stage::Preface(preface) if preface.tells_the_idle())
    }

    /// Whether no more is to be read of it: what it has sent is not answered yet. Else a peer that asks and takes no answer
    /// would fill the memory.
    pub(super) fn is_busy(&self) -> bool {
        self.is_put_off || !self.is_answered()
    }

    /// Adds what was read.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        match &mut self.stage {
            Stage::Over { dropped } => *dropped += bytes.len(),
            _ => self.bytes.extend_from_slice(bytes),
        }
    }

    /// Judges what was said so far.
    pub(super) fn judge(&mut self, house: &House, now: Instant) -> Verdict {
        self.is_put_off = false;
        if let Stage::Proxy = self.stage {
            let (length, source) = match proxy::parse(&self.bytes) {
                proxy::Preface::Partial => return Verdict::Waits,
                proxy::Preface::Wrong => return Verdict::Wrong,
                proxy::Preface::Whole(length, source) => (length, source),
            };
            self.bytes.drain(..length);
            if let Source::Client(address) = source {
                self.from = address.into();
            }
            let preface = Preface::of(self.dialect);
            let (stage, patience) = match (Stage::first(self.tls, preface), source) {
                (Some(first), _) => first,
                (None, Source::Itself) => (Stage::Itself, PROXY_PATIENCE),
                (None, Source::Client(_) | Source::Unknown) => return Verdict::Session,
            };
            (self.stage, self.until) = (stage, now + patience);
        }
        if !self.is_answered() {
            return Verdict::Waits;
        }
        match &mut self.stage {
            Stage::Itself if self.bytes.is_empty() => Verdict::Waits,
            Stage::Proxy | Stage::Itself => Verdict::Session,
            #[cfg(feature = "tls")]
            Stage::Hello => match self.bytes.first() {
                None => Verdict::Waits,
                Some(&FIRST_BYTE) => Verdict::ShakesHands,
                Some(_) => Verdict::InClear,
            },
            #[cfg(feature = "tls")]
            Stage::Handshake => Verdict::ShakesHands,
            Stage::Preface(preface) => match preface.next(&mut self.bytes, house, self.port) {
                None => Verdict::Waits,
                Some(asked) => {
                    self.has_spoken = true;
                    Verdict::Asked(asked)
                }
            },
            Stage::Over { dropped } if *dropped > DROPPED_BYTES_MAX => Verdict::Over,
            Stage::Over { .. } => Verdict::Waits,
        }
    }

    /// Its stream has ended or broken: what is to be made of that.
    pub(super) fn judge_end(&self, is_overdue: bool) -> Verdict {
        let _ = is_overdue;
        match self.stage {
            Stage::Proxy | Stage::Itself => Verdict::Wrong,
            #[cfg(feature = "tls")]
            Stage::Hello | Stage::Handshake => self.judge_unsecured(is_overdue),
            Stage::Preface(_) | Stage::Over { .. } => Verdict::Over,
        }
    }
}

/// All connections that are no sessions yet.
///
/// Invariants: a connection is on `ready`, once, exactly while its readiness says that it is to be read; every
/// connection is in `deadlines`, once and not behind its own deadline, and of others there are no more than came in the
/// last 10 s.
#[derive(Debug)]
pub(super) struct Door<S> {
    waiting: Slab<Waiting<S>>,
    ready: VecDeque<usize>,
    /// Connections that may take more of their answer.
    writable: VecDeque<usize>,
    deadlines: BinaryHeap<Reverse<(Instant, usize, u64)>>,
    /// How many wait at each listener.
    held: Vec<usize>,
    came: u64,
}

/// Who comes to the door.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comer {
    pub(super) from: Origin,
    pub(super) dialect: Dialect,
    /// It is to be spoken in TLS.
    pub(super) tls: bool,
    /// It comes through a front end, which says first for whom.
    pub(super) behind_proxy: bool,
    pub(super) listener: usize,
    /// Our port.
    pub(super) port: u16,
}

impl<S> Door<S> {
    pub(super) fn new(listeners: usize) -> Self {
        Self {
            waiting: Slab::new(),
            ready: VecDeque::new(),
            writable: VecDeque::new(),
            deadlines: BinaryHeap::new(),
            held: vec![0; listeners],
            came: 0,
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many say who they are. It looks at all.
    pub(super) fn registering(&self) -> usize {
        let waiting = self.waiting.iter();
        waiting.filter(|(_, it)| it.is_registering()).count()
    }

    /// Whether no more may wait at a listener.
    pub(super) fn is_full(&self, listener: usize) -> bool {
        self.held[listener] >= PER_LISTENER_MAX
    }

    /// How many wait at a listener who came from there. It looks at all.
    pub(super) fn held_of(&self, listener: usize, prefix: Prefix) -> usize {
        let of_it = |it: &Waiting<S>| it.listener == listener && it.from.prefix() == Some(prefix);
        let waiting = self.waiting.iter();
        waiting.filter(|(_, it)| of_it(it)).count()
    }

    /// The slot that the next one gets.
    pub(super) fn vacant_slot(&self) -> usize {
        self.waiting.vacant_key()
    }

    /// One more waits, in the slot that [`Door::vacant_slot`] gave.
    pub(super) fn enter(&mut self, stream: S, comer: Comer, now: Instant) {
        let Comer {
            from,
            dialect,
            tls,
            behind_proxy,
            listener,
            port,
        } = comer;
        self.came += 1;
        self.held[listener] += 1;
        let first = Stage::first(tls, Preface::of(dialect)).filter(|_| !behind_proxy);
        let (stage, patience) = first.unwrap_or((Stage::Proxy, PROXY_PATIENCE));
        let until = now + patience;
        let slot = self.waiting.insert(Waiting {
            stream,
            from,
            dialect,
            #[cfg(feature = "tls")]
            security: Security::Clear,
            tls,
            readiness: Readiness::default(),
            bytes: Vec::new(),
            has_spoken: false,
            stage,
            is_put_off: false,
            answers: 0,
            answer: Answer::default(),
            taken: 0,
            is_blocked: false,
            listener,
            port,
            came_at: now,
            until,
            number: self.came,
        });
        self.deadlines.push(Reverse((until, slot, self.came)));
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> Option<&mut Waiting<S>> {
        self.waiting.get_mut(slot)
    }

    /// One waits no more.
    pub(super) fn leave(&mut self, slot: usize) -> Option<Waiting<S>> {
        let waiting = self.waiting.try_remove(slot)?;
        self.held[waiting.listener] -= 1;
        if waiting.readiness.is_readable() {
            self.ready.retain(|ready| *ready != slot);
        }
        Some(waiting)
    }

    /// Something may have changed with a stream.
    pub(super) fn note(&mut self, slot: usize, edge: Edge) {
        let Some(waiting) = self.waiting.get_mut(slot) else {
            return;
        };
        if waiting.readiness.note(edge) {
            self.ready.push_back(slot);
        }
        // A client that has gone takes nothing, which a write tells.
        if (edge.writable || edge.closed) && mem::take(&mut waiting.is_blocked) {
            self.writable.push_back(slot);
        }
    }

    /// One that is to be read; it must be read, and then [`Door::put_back`] or [`Door::leave`] be called.
    pub(super) fn next_ready(&mut self) -> Option<usize> {
        self.ready.pop_front()
    }

    /// One was read, and waits on: it is to be read again if there may be more.
    pub(super) fn put_back(&mut self, slot: usize) {
        let waiting = self.waiting.get(slot);
        if waiting.is_some_and(|waiting| waiting.readiness.is_readable()) {
            self.ready.push_back(slot);
        }
    }

    /// One that may take more of its answer; it may have gone.
    pub(super) fn next_writable(&mut self) -> Option<usize> {
        self.writable.pop_front()
    }

    /// One is to be gone on with in the next turn, as if it could take more.
    pub(super) fn put_off(&mut self, slot: usize) {
        if let Some(waiting) = self.waiting.get_mut(slot) {
            waiting.is_put_off = true;
            self.writable.push_back(slot);
        }
    }

    /// One has nothing more to be answered: it is read again if it was set aside.
    pub(super) fn read_on(&mut self, slot: usize) {
        let waiting = self.waiting.get_mut(slot);
        let idle = waiting.filter(|waiting| !waiting.is_busy());
        if idle.is_some_and(|waiting| waiting.readiness.go_on()) {
            self.ready.push_back(slot);
        }
    }

    /// How many are to be read, or gone on with.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// How many may take more of their answer.
    pub(super) fn writable(&self) -> usize {
        self.writable.len()
    }

    /// One whose time is over.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<usize> {
        while let Some(Reverse((at, slot, number))) = self.deadlines.peek().copied() {
            let waiting = self.waiting.get(slot).filter(|it| it.number == number);
            match waiting {
                Some(_) if now < at => return None,
                Some(waiting) if waiting.until <= now => return Some(slot),
                // It was given more time since.
                Some(waiting) => {
                    let until = waiting.until;
                    self.deadlines.pop();
                    self.deadlines.push(Reverse((until, slot, number)));
                }
                None => _ = self.deadlines.pop(),
            }
        }
        None
    }

    /// The first deadline.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        // That of one that waits no more only wakes too early.
        self.deadlines.peek().map(|Reverse((at, ..))| *at)
    }

    /// Any that waits.
    pub(super) fn any(&self) -> Option<usize> {
        self.waiting.iter().next().map(|(slot, _)| slot)
    }
}

impl Stage {
    /// What is waited for behind the header of a front end, and how long; `None` if it is a session at once.
    fn first(tls: bool, preface: Option<Preface>) -> Option<(Self, Duration)> {
        #[cfg(feature = "tls")]
        if tls {
            return Some((Self::Hello, handshake::PATIENCE));
        }
        let _ = tls;
        preface.map(|preface| {
            let patience = preface.patience();
            (Self::Preface(preface), patience)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::stream::Read;
    use crate::test_clock::outset;

    const FRONT_END: Origin = Origin::Local;

    fn comer(dialect: Dialect, behind_proxy: bool) -> Comer {
        Comer {
            from: FRONT_END,
            dialect,
            tls: false,
            behind_proxy,
            listener: 0,
            port: 8080,
        }
    }

    fn enter(door: &mut Door<()>, now: Instant) -> usize {
        let slot = door.vacant_slot();
        door.enter((), comer(Dialect::Telnet, true), now);
        slot
    }

    /// What became of a connection after each of these parts, for whom it is, and what is its first input.
    fn judge(parts: &[&[u8]]) -> (Vec<&'static str>, Origin, Vec<u8>) {
        let mut door = Door::new(1);
        let slot = enter(&mut door, outset());
        let waiting = door.get_mut(slot).unwrap();
        let verdicts = parts.iter().map(|part| {
            waiting.push(part);
            match waiting.judge(&House::default(), outset()) {
                Verdict::Waits => "waits",
                Verdict::Session => "session",
                Verdict::Wrong => "wrong",
                _ => "other",
            }
        });
        let verdicts = verdicts.collect();
        (verdicts, waiting.from, waiting.bytes.clone())
    }

    #[test]
    fn what_comes_behind_the_header_is_the_first_input() {
        let client: SocketAddr = "198.51.100.7:51234".parse().unwrap();
        let header = b"PROXY TCP4 198.51.100.7 10.0.0.1 51234 3333\r\n";
        for split in 1..header.len() {
            let (first, second) = header.split_at(split);
            let judged = judge(&[first, &[second, b"hello\r\n"].concat()]);
            let expected = (
                vec!["waits", "session"],
                client.into(),
                b"hello\r\n".to_vec(),
            );
            assert_eq!(judged, expected, "split at {split}");
        }
        let (verdicts, from, _) = judge(&[b"PROXY UNKNOWN\r\n"]);
        assert_eq!((verdicts, from), (vec!["session"], FRONT_END));
        assert_eq!(judge(&[b"hello\r\n"]).0, ["wrong"]);
    }

    #[test]
    fn a_front_end_that_comes_for_itself_is_a_session_if_it_says_something() {
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        let (verdicts, from, input) = judge(&[local, b"hello\r\n"]);
        assert_eq!((verdicts, from), (vec!["waits", "session"], FRONT_END));
        assert_eq!(input, b"hello\r\n");
        assert_eq!(judge(&[&[&local[..], b"x"].concat()]).0, ["session"]);
        let mut door = Door::new(1);
        let slot = enter(&mut door, outset());
        let waiting = door.get_mut(slot).unwrap();
        waiting.push(local);
        waiting.judge(&House::default(), outset());
        assert!(waiting.is_silent(), "it only looked whether we live");
    }

    #[test]
    fn who_asks_is_given_time_for_the_next_question_and_gives_way_when_the_door_is_full() {
        let (mut door, now) = (Door::new(1), outset());
        let slots: Vec<usize> = (0..PER_LISTENER_MAX)
            .map(|_| {
                let slot = door.vacant_slot();
                door.enter((), comer(Dialect::Web, false), now);
                slot
            })
            .collect();
        // Of nobody who has just come it is known what they have sent.
        assert_eq!(door.oldest(0, None, now), None);
        assert!(door.is_busy(0, now));
        let soon = now + Duration::from_millis(1);
        assert_eq!(door.oldest(0, None, soon), Some(slots[0]));
        door.note(
            slots[0],
            Edge {
                readable: true,
                ..Edge::default()
            },
        );
        door.put_off(slots[1]);
        assert_eq!(door.oldest(0, None, soon), Some(slots[2]));
        assert!(!door.is_busy(0, soon));
        let later = now + Duration::from_secs(9);
        let waiting = door.get_mut(slots[0]).unwrap();
        waiting.push(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let Verdict::Asked(asked) = waiting.judge(&House::default(), later) else {
            panic!("it has asked");
        };
        assert!(asked.opening.is_none());
        waiting.answer(asked.answer, later);
        let over = now + Duration::from_secs(10);
        let mut gone = 0;
        while let Some(slot) = door.overdue(over) {
            assert_ne!(slot, slots[0]);
            door.leave(slot).unwrap();
            gone += 1;
        }
        assert_eq!((gone, door.len()), (PER_LISTENER_MAX - 1, 1));
        assert_eq!(door.wake_at(), Some(later + Duration::from_secs(10)));
    }

    #[test]
    fn a_listener_has_a_bound_and_each_connection_a_deadline() {
        let (mut door, now) = (Door::new(2), outset());
        let slots: Vec<usize> = (0..PER_LISTENER_MAX)
            .map(|_| enter(&mut door, now))
            .collect();
        assert!(door.is_full(0) && !door.is_full(1));
        assert_eq!((door.len(), door.overdue(now)), (PER_LISTENER_MAX, None));
        door.leave(slots[0]).unwrap();
        assert!(!door.is_full(0));
        // The slot is used again, and the deadline of who had it before does not count for who has it now.
        let later = now + Duration::from_secs(1);
        assert_eq!(enter(&mut door, later), slots[0]);
        let over = now + PROXY_PATIENCE;
        assert_eq!(door.wake_at(), Some(over));
        for slot in &slots[1..] {
            assert_eq!(door.overdue(over), Some(*slot));
            door.leave(*slot).unwrap();
        }
        assert_eq!(door.overdue(over), None);
        assert_eq!(door.wake_at(), Some(later + PROXY_PATIENCE));
        assert_eq!(door.any(), Some(slots[0]));
        door.leave(slots[0]).unwrap();
        assert_eq!(door.overdue(later + PROXY_PATIENCE), None);
        assert_eq!((door.len(), door.wake_at(), door.any()), (0, None, None));
    }

    #[test]
    fn a_connection_is_to_be_read_once_for_however_many_edges() {
        let (mut door, now) = (Door::new(1), outset());
        let edge = Edge {
            readable: true,
            ..Edge::default()
        };
        let [first, second] = [(); 2].map(|()| enter(&mut door, now));
        for slot in [first, first, second, 77] {
            door.note(slot, edge);
        }
        assert_eq!(door.ready(), 2);
        assert_eq!(door.next_ready(), Some(first));
        let readiness = &mut door.get_mut(first).unwrap().readiness;
        readiness.handle_read(Read::Bytes(1), 10);
        door.put_back(first);
        door.leave(second).unwrap();
        assert_eq!((door.ready(), door.next_ready()), (0, None));
    }
}
