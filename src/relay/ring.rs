//! What this node has said to the others, until it is sure that it has come.
//!
//! Invariants: `log` is numbered without a gap; `waiting_bytes` is the sum of what has not returned, `returned_bytes` of
//! what has.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::relay::by_node::ByNode;
use crate::relay::record::{Event, NodeId, ENTRY_BYTES_MAX, ENTRY_EVENTS_MAX};

/// What has returned is kept for this long, for an engine that loses it afterwards …
const RETURNED_FOR: Duration = Duration::from_secs(30);
/// … and at most this much of it, in bytes.
const RETURNED_BYTES_MAX: usize = 1024 * 1024;

/// A line that waited for this long while this node was alone is not told to the others any more.
const WAITED_MAX: Duration = Duration::from_secs(30);

/// What one event costs beside its text, in bytes.
const OVERHEAD: usize = 64;

/// The stream into which something goes: the log, or that of a node.
pub(crate) type Stream = Option<NodeId>;

/// An event that was sent, or is to be.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is about something of its own"
)]
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) stream: Stream,
    pub(crate) number: u64,
    pub(crate) event: Event,
    pub(crate) encoded: Box<str>,
    at: Instant,
    /// It was written to the connection at hand.
    is_out: bool,
    /// It was written to an earlier one.
    was_out: bool,
    /// It has come back, or the engine has taken it where it does not come back.
    has_returned: bool,
    /// It has come back before the engine lost something.
    has_once_returned: bool,
    /// It was heard here before it came back, because nobody else could be reached.
    pub(crate) was_heard: bool,
}

impl Sent {
    /// Whether it goes out again.
    pub(crate) fn was_sent_before(&self) -> bool {
        self.was_out
    }

    fn is_to_be_written(&self) -> bool {
        !self.is_out && !self.has_returned
    }

    /// How long ago it was sent first.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.at)
    }

    fn bytes(&self) -> usize {
        self.encoded.len() + OVERHEAD
    }
}

/// The ring.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    /// What goes into the log, numbered without a gap.
    log: VecDeque<Sent>,
    /// Before this one all of the log were written to the connection at hand.
    unwritten: usize,
    /// What goes to one node each.
    private: VecDeque<Sent>,
    last_in_log: u64,
    last_to: ByNode<u64>,
    waiting_bytes: usize,
    returned_bytes: usize,
}

impl Ring {
    /// Adds an event, which is still to be written. If it was heard here already, it is not heard when it comes back.
    pub(crate) fn push(&mut self, stream: Stream, event: Event, was_heard: bool, now: Instant) {
        let encoded: Box<str> = event.encode().into();
        let sent = Sent {
            stream,
            number: self.next_number(stream),
            event,
            encoded,
            at: now,
            is_out: false,
            was_out: false,
            has_returned: false,
            has_once_returned: false,
            was_heard,
        };
        self.waiting_bytes += sent.bytes();
        self.queue(stream).push_back(sent);
    }

    fn queue(&mut self, stream: Stream) -> &mut VecDeque<Sent> {
        match stream {
            None => &mut self.log,
            Some(_) => &mut self.private,
        }
    }

    fn next_number(&mut self, stream: Stream) -> u64 {
        let last = match stream {
            None => &mut self.last_in_log,
            Some(node) => self.last_to.of(node),
        };
        *last += 1;
        *last
    }

    /// What waits to come back, in bytes.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// All that is kept, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.waiting_bytes + self.returned_bytes
    }

    /// How many events wait to come back.
    pub(crate) fn waiting(&self) -> usize {
        let all = self.log.iter().chain(&self.private);
        all.filter(|sent| !sent.has_returned).count()
    }

    /// Whether there is something that was not written to the connection at hand.
    pub(crate) fn has_unwritten(&mut self) -> bool {
        while self
            .log
            .get(self.unwritten)
            .is_some_and(|sent| !sent.is_to_be_written())
        {
            self.unwritten += 1;
        }
        self.unwritten < self.log.len() || self.private.iter().any(Sent::is_to_be_written)
    }

    /// The next events of one stream that go into one entry and were not written to the connection at hand, which they
    /// are then.
    pub(crate) fn take_entry(&mut self) -> Vec<&Sent> {
        if !self.has_unwritten() {
            return Vec::new();
        }
        if self.unwritten < self.log.len() {
            return take_some(&mut self.log, self.unwritten);
        }
        match self.private.iter().position(Sent::is_to_be_written) {
            Some(first) => take_some(&mut self.private, first),
            None => Vec::new(),
        }
    }

    /// There is another connection: what has not come back goes out again.
    pub(crate) fn begin_again(&mut self) {
        self.unwritten = 0;
        for sent in self.log.iter_mut().chain(&mut self.private) {
            sent.was_out |= std::mem::take(&mut sent.is_out);
        }
    }

    /// The engine has lost something: all that is kept goes out again.
    pub(crate) fn send_all_again(&mut self) {
        self.begin_again();
        for sent in &mut self.log {
            if std::mem::take(&mut sent.has_returned) {
                // It was heard when it came back.
                sent.was_heard = true;
                sent.has_once_returned = true;
                let bytes = sent.bytes();
                self.waiting_bytes += bytes;
                self.returned_bytes -= bytes;
            }
        }
    }

    /// An event has come back in the log; gives it. `None` if it is not kept any more.
    pub(crate) fn note_returned(&mut self, number: u64) -> Option<&Sent> {
        let first = self.log.front()?.number;
        let index = number.checked_sub(first)? as usize;
        let sent = self.log.get_mut(index)?;
        if !std::mem::replace(&mut sent.has_returned, true) {
            let bytes = sent.bytes();
            self.waiting_bytes -= bytes;
            self.returned_bytes += bytes;
        }
        Some(sent)
    }

    /// Whether something that was written to the connection at hand is to come back.
    pub(crate) fn is_owed(&self) -> bool {
        self.log
            .iter()
            .any(|sent| sent.is_out && !sent.has_returned)
    }

    /// The engine has taken what was to go to one node, up to this number.
    pub(crate) fn note_taken(&mut self, node: NodeId, number: u64) {
        let waiting_bytes = &mut self.waiting_bytes;
        self.private.retain(|sent| {
            let is_taken = sent.stream == Some(node) && sent.number <= number;
            *waiting_bytes -= if is_taken { sent.bytes() } else { 0 };
            !is_taken
        });
    }

    /// A node is gone: nothing goes to it any more.
    pub(crate) fn forget_node(&mut self, node: NodeId) {
        self.note_taken(node, u64::MAX);
        self.last_to.remove(node);
    }

    /// What waits and was not heard here is heard now, because nobody else can be reached.
    pub(crate) fn hear_alone(&mut self) -> Vec<Event> {
        let unheard = self.log.iter_mut();
        let unheard = unheard.filter(|sent| !sent.has_returned && !sent.was_heard);
        let hear = |sent: &mut Sent| {
            sent.was_heard = true;
            sent.event.clone()
        };
        unheard.map(hear).collect()
    }

    /// Forgets what has returned long ago.
    pub(crate) fn forget_returned(&mut self, now: Instant) {
        while let Some(first) = self.log.front().filter(|sent| sent.has_returned) {
            let is_old = now.saturating_duration_since(first.at) > RETURNED_FOR;
            if !is_old && self.returned_bytes <= RETURNED_BYTES_MAX {
                return;
            }
            self.returned_bytes -= first.bytes();
            self.log.pop_front();
            self.unwritten = self.unwritten.saturating_sub(1);
        }
    }

    /// Alone, forgets what has waited for too long, and what is more than `bytes_max`. Gives what that was.
    ///
    /// The numbers stay without a gap, so that the others need not look for what they have missed: what was never written
    /// leaves its number to what follows, and what may have come leaves `filler` in its place.
    pub(crate) fn give_up(&mut self, bytes_max: usize, filler: &Event, now: Instant) -> Vec<Event> {
        let is_old = |sent: &Sent| now.saturating_duration_since(sent.at) > WAITED_MAX;
        let mut given_up = Vec::new();
        let (mut index, mut free_number) = (0, None);
        while let Some(sent) = self.log.get_mut(index) {
            if !is_old(sent) && self.waiting_bytes <= bytes_max {
                break;
            }
            let bytes = sent.bytes();
            if sent.has_returned && index == 0 {
                self.returned_bytes -= bytes;
                self.log.pop_front();
                continue;
            }
            if !sent.is_out && !sent.was_out && !sent.has_returned {
                self.waiting_bytes -= bytes;
                free_number.get_or_insert(sent.number);
                given_up.extend(self.log.remove(index).map(|sent| sent.event));
                continue;
            }
            index += 1;
            if !sent.has_returned && sent.event != *filler {
                sent.encoded = filler.encode().into();
                self.waiting_bytes = self.waiting_bytes - bytes + sent.bytes();
                let event = std::mem::replace(&mut sent.event, filler.clone());
                if !sent.has_once_returned {
                    given_up.push(event);
                }
            }
        }
        if let Some(free_number) = free_number {
            let rest = self.log.range_mut(index..);
            self.last_in_log = free_number - 1 + rest.len() as u64;
            for (number, sent) in (free_number..).zip(rest) {
                sent.number = number;
            }
        }
        while let Some(first) = self.private.front() {
            if !is_old(first) && self.waiting_bytes <= bytes_max {
                break;
            }
            self.waiting_bytes -= first.bytes();
            given_up.extend(self.private.pop_front().map(|sent| sent.event));
        }
        self.unwritten = 0;
        given_up
    }

    /// When something may be forgotten, at the earliest.
    pub(crate) fn oldest_at(&self) -> Option<Instant> {
        let oldest = [self.log.front(), self.private.front()];
        let oldest = oldest.into_iter().flatten().map(|sent| sent.at).min();
        oldest.map(|at| at + WAITED_MAX)
    }

    /// This node begins anew under another name: what has never come back is numbered from 1.
    pub(crate) fn renumber(&mut self) {
        self.last_in_log = 0;
        self.last_to = ByNode::default();
        let waiting_bytes = &mut self.waiting_bytes;
        self.log.retain(|sent| {
            // Under the new name nobody would know that they have had it.
            let has_been_heard = sent.has_returned || sent.has_once_returned;
            if !sent.has_returned && has_been_heard {
                *waiting_bytes -= sent.bytes();
            }
            !has_been_heard
        });
        self.returned_bytes = 0;
        for index in 0..self.log.len() {
            self.log[index].number = self.next_number(None);
        }
        for index in 0..self.private.len() {
            let stream = self.private[index].stream;
            self.private[index].number = self.next_number(stream);
        }
        self.begin_again();
    }
}

/// Those from this one on that go into one entry with it.
fn take_some(queue: &mut VecDeque<Sent>, first: usize) -> Vec<&Sent> {
    let mut taken: Vec<&Sent> = Vec::new();
    let mut bytes = 0;
    for sent in queue.iter_mut().skip(first) {
        if let Some(last) = taken.last() {
            let follows = last.stream == sent.stream && last.number + 1 == sent.number;
            let fits = bytes + sent.bytes() <= ENTRY_BYTES_MAX && taken.len() < ENTRY_EVENTS_MAX;
            if !sent.is_to_be_written() || !follows || !fits {
                break;
            }
        }
        bytes += sent.bytes();
        sent.is_out = true;
        taken.push(sent);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::outset;

    const FILLER: Event = Event::Down;

    fn event(session: u64) -> Event {
        Event::Back { session }
    }

    /// A ring with so many events, and when they were sent.
    fn ring(events: u64) -> (Ring, Instant) {
        let (mut ring, outset) = (Ring::default(), outset());
        for session in 1..=events {
            ring.push(None, event(session), false, outset);
        }
        (ring, outset)
    }

    fn numbers(sent: &[&Sent]) -> Vec<u64> {
        sent.iter().map(|sent| sent.number).collect()
    }

    #[test]
    fn what_has_not_come_back_goes_out_again_with_its_number() {
        let (mut ring, outset) = ring(3);
        assert_eq!(numbers(&ring.take_entry()), [1, 2, 3]);
        assert!(ring.take_entry().is_empty());
        assert_eq!(ring.note_returned(2).unwrap().event, event(2));
        ring.begin_again();
        assert_eq!(numbers(&ring.take_entry()), [1]);
        assert_eq!(
            numbers(&ring.take_entry()),
            [3],
            "there is a gap between them"
        );
        ring.note_returned(1);
        ring.note_returned(3);
        assert_eq!((ring.waiting_bytes(), ring.waiting()), (0, 0));
        ring.forget_returned(outset + RETURNED_FOR);
        assert!(ring.bytes() > 0);
        ring.forget_returned(outset + RETURNED_FOR + Duration::from_millis(1));
        assert_eq!(ring.bytes(), 0);
        assert!(ring.note_returned(3).is_none());
    }

    #[test]
    fn an_entry_is_of_one_stream_and_not_too_long() {
        let (mut ring, outset) = ring(ENTRY_EVENTS_MAX as u64 + 1);
        let node = NodeId::new(7);
        ring.push(Some(node), event(0), false, outset);
        assert_eq!(ring.take_entry().len(), ENTRY_EVENTS_MAX);
        assert_eq!(ring.take_entry().len(), 1);
        let to = ring.take_entry();
        assert_eq!((to.len(), to[0].stream, to[0].number), (1, Some(node), 1));
        ring.note_taken(node, 1);
        assert_eq!(ring.waiting(), ENTRY_EVENTS_MAX + 1);
        let why: Box<str> = "x".repeat(9000).into();
        for _ in 0..2 {
            let why = why.clone();
            ring.push(None, Event::Away { session: 1, why }, false, outset);
        }
        assert_eq!(ring.take_entry().len(), 1);
        assert_eq!(ring.take_entry().len(), 1);
    }

    #[test]
    fn when_the_engine_has_lost_something_all_goes_out_again() {
        let (mut ring, _) = ring(2);
        ring.take_entry();
        ring.note_returned(1);
        ring.send_all_again();
        assert_eq!(numbers(&ring.take_entry()), [1, 2]);
        let heard = ring.hear_alone();
        assert_eq!(heard, [event(2)], "the first was heard when it came back");
        assert!(ring.hear_alone().is_empty());
    }

    #[test]
    fn alone_it_keeps_no_more_than_its_bound_and_nothing_old() {
        let (mut ring, outset) = ring(100);
        let bytes = ring.waiting_bytes();
        assert!(ring.give_up(bytes, &FILLER, outset).is_empty());
        let given_up = ring.give_up(bytes / 2, &FILLER, outset);
        assert!(given_up.len() >= 50 && given_up[0] == event(1));
        assert!(ring.waiting_bytes() <= bytes / 2);
        let later = outset + WAITED_MAX + Duration::from_millis(1);
        let rest = ring.give_up(bytes, &FILLER, later);
        assert_eq!(rest.len(), 100 - given_up.len());
        assert_eq!((ring.waiting_bytes(), ring.bytes()), (0, 0));
        ring.push(None, event(101), false, later);
        assert_eq!(numbers(&ring.take_entry()), [1], "nothing was written");
    }

    #[test]
    fn what_is_given_up_leaves_no_gap_among_the_numbers() {
        let (mut ring, outset) = ring(4);
        ring.take_entry();
        ring.note_returned(1);
        ring.begin_again();
        for session in 5..=6 {
            ring.push(None, event(session), true, outset);
        }
        let later = outset + WAITED_MAX + Duration::from_millis(1);
        ring.push(None, event(7), true, later);
        let given_up = ring.give_up(usize::MAX, &FILLER, later);
        assert_eq!(given_up, [2, 3, 4, 5, 6].map(event));
        assert!(ring.give_up(usize::MAX, &FILLER, later).is_empty());
        let entry = ring.take_entry();
        assert_eq!(numbers(&entry), [2, 3, 4, 5]);
        let events: Vec<_> = entry.iter().map(|sent| sent.event.clone()).collect();
        assert_eq!(
            events,
            [FILLER, FILLER, FILLER, event(7)],
            "2 to 4 may have come"
        );
        for number in 2..=5 {
            ring.note_returned(number);
        }
        assert_eq!(ring.waiting_bytes(), 0);
    }

    #[test]
    fn under_another_name_what_waits_is_numbered_from_1() {
        let (mut ring, _) = ring(3);
        ring.take_entry();
        ring.note_returned(1);
        ring.renumber();
        assert_eq!(numbers(&ring.take_entry()), [1, 2]);
        assert_eq!(ring.bytes(), ring.waiting_bytes());
    }
}
