//! Connections that are no sessions yet: each must say first for whom it is.
//!
//! They have no name, are told nothing, and of them nobody is told. Each has a deadline, each listener a bound of their
//! number, and what they send before they are sessions has a bound, too.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use slab::Slab;

use crate::dialect::Dialect;
use crate::origin::Origin;
use crate::server::proxy::{self, Preface, Source};
use crate::stream::{Edge, Readiness};

/// At most 256 connections wait at one listener.
const PER_LISTENER_MAX: usize = 256;

/// A connection has 5 s to say for whom it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection at the door.
#[derive(Debug)]
pub(super) struct Waiting<S> {
    pub(super) stream: S,
    /// The front end.
    pub(super) from: Origin,
    /// What is spoken behind the preface.
    pub(super) dialect: Dialect,
    pub(super) readiness: Readiness,
    /// What it has sent.
    pub(super) bytes: Vec<u8>,
    /// Its header is whole, and was taken out of `bytes`: the front end has come for itself.
    is_itself: bool,
    listener: usize,
    /// Tells it from others that had the slot before.
    number: u64,
}

/// What became of a connection at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has not said enough.
    Waits,
    /// It is a session from there; its first input is what is left of its bytes.
    Session(Origin),
    /// It does not speak our protocol.
    Wrong,
}

impl<S> Waiting<S> {
    /// Whether it has said nothing that is worth a line in the log: it only looked whether we live.
    pub(super) fn is_silent(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Adds what was read, and judges it.
    pub(super) fn judge(&mut self, bytes: &[u8]) -> Verdict {
        self.bytes.extend_from_slice(bytes);
        if !self.is_itself {
            let (length, source) = match proxy::parse(&self.bytes) {
                Preface::Partial => return Verdict::Waits,
                Preface::Wrong => return Verdict::Wrong,
                Preface::Whole(length, source) => (length, source),
            };
            self.bytes.drain(..length);
            match source {
                Source::Client(address) => return Verdict::Session(address.into()),
                Source::Unknown => return Verdict::Session(self.from),
                Source::Itself => self.is_itself = true,
            }
        }
        if self.bytes.is_empty() {
            Verdict::Waits
        } else {
            Verdict::Session(self.from)
        }
    }
}

/// All connections that are no sessions yet.
///
/// Invariants: a connection is on `ready`, once, exactly while its readiness says that it is to be read; every
/// connection is on `deadlines`, and of others there are no more than came in the last 5 s.
#[derive(Debug)]
pub(super) struct Door<S> {
    waiting: Slab<Waiting<S>>,
    ready: VecDeque<usize>,
    /// In the order in which they came: all have the same patience.
    deadlines: VecDeque<(Instant, usize, u64)>,
    /// How many wait at each listener.
    held: Vec<usize>,
    came: u64,
}

impl<S> Door<S> {
    pub(super) fn new(listeners: usize) -> Self {
        Self {
            waiting: Slab::new(),
            ready: VecDeque::new(),
            deadlines: VecDeque::new(),
            held: vec![0; listeners],
            came: 0,
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no more may wait at a listener.
    pub(super) fn is_full(&self, listener: usize) -> bool {
        self.held[listener] >= PER_LISTENER_MAX
    }

    /// The slot that the next one gets.
    pub(super) fn vacant_slot(&self) -> usize {
        self.waiting.vacant_key()
    }

    /// One more waits, in the slot that [`Door::vacant_slot`] gave.
    pub(super) fn enter(
        &mut self,
        stream: S,
        from: Origin,
        dialect: Dialect,
        listener: usize,
        now: Instant,
    ) {
        self.came += 1;
        self.held[listener] += 1;
        let slot = self.waiting.insert(Waiting {
            stream,
            from,
            dialect,
            readiness: Readiness::default(),
            bytes: Vec::new(),
            is_itself: false,
            listener,
            number: self.came,
        });
        self.deadlines.push_back((now + PATIENCE, slot, self.came));
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
        let waiting = self.waiting.get_mut(slot);
        if waiting.is_some_and(|waiting| waiting.readiness.note(edge)) {
            self.ready.push_back(slot);
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

    /// How many are to be read.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// One whose time is over.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<usize> {
        self.forget_deadlines();
        let (at, slot, _) = *self.deadlines.front()?;
        (at <= now).then_some(slot)
    }

    /// The first deadline.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        // That of one that waits no more only wakes too early.
        self.deadlines.front().map(|(at, ..)| *at)
    }

    /// Any that waits.
    pub(super) fn any(&self) -> Option<usize> {
        self.waiting.iter().next().map(|(slot, _)| slot)
    }

    /// Forgets the first deadlines of those who wait no more.
    fn forget_deadlines(&mut self) {
        while let Some((_, slot, number)) = self.deadlines.front() {
            let waiting = self.waiting.get(*slot);
            if waiting.is_some_and(|waiting| waiting.number == *number) {
                return;
            }
            self.deadlines.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::stream::Read;
    use crate::test_clock::outset;

    const FRONT_END: Origin = Origin::Local;

    fn enter(door: &mut Door<()>, now: Instant) -> usize {
        let slot = door.vacant_slot();
        door.enter((), FRONT_END, Dialect::Telnet, 0, now);
        slot
    }

    fn judge(parts: &[&[u8]]) -> (Vec<Verdict>, Vec<u8>) {
        let mut door = Door::new(1);
        let slot = enter(&mut door, outset());
        let waiting = door.get_mut(slot).unwrap();
        let verdicts = parts.iter().map(|part| waiting.judge(part)).collect();
        (verdicts, waiting.bytes.clone())
    }

    #[test]
    fn what_comes_behind_the_header_is_the_first_input() {
        let client: SocketAddr = "198.51.100.7:51234".parse().unwrap();
        let header = b"PROXY TCP4 198.51.100.7 10.0.0.1 51234 3333\r\n";
        for split in 1..header.len() {
            let (first, second) = header.split_at(split);
            let (verdicts, input) = judge(&[first, &[second, b"hello\r\n"].concat()]);
            let session = Verdict::Session(client.into());
            assert_eq!(verdicts, [Verdict::Waits, session], "split at {split}");
            assert_eq!(input, b"hello\r\n");
        }
        assert_eq!(
            judge(&[b"PROXY UNKNOWN\r\n"]).0,
            [Verdict::Session(FRONT_END)]
        );
        assert_eq!(judge(&[b"hello\r\n"]).0, [Verdict::Wrong]);
    }

    #[test]
    fn a_front_end_that_comes_for_itself_is_a_session_if_it_says_something() {
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        let (verdicts, input) = judge(&[local, b"hello\r\n"]);
        assert_eq!(verdicts, [Verdict::Waits, Verdict::Session(FRONT_END)]);
        assert_eq!(input, b"hello\r\n");
        let (verdicts, _) = judge(&[&[&local[..], b"x"].concat()]);
        assert_eq!(verdicts, [Verdict::Session(FRONT_END)]);
        let mut door = Door::new(1);
        let slot = enter(&mut door, outset());
        let waiting = door.get_mut(slot).unwrap();
        waiting.judge(local);
        assert!(waiting.is_silent(), "it only looked whether we live");
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
        let over = now + PATIENCE;
        assert_eq!(door.wake_at(), Some(over));
        for slot in &slots[1..] {
            assert_eq!(door.overdue(over), Some(*slot));
            door.leave(*slot).unwrap();
        }
        assert_eq!(door.overdue(over), None);
        assert_eq!(door.wake_at(), Some(later + PATIENCE));
        assert_eq!(door.any(), Some(slots[0]));
        door.leave(slots[0]).unwrap();
        assert_eq!(door.overdue(later + PATIENCE), None);
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
