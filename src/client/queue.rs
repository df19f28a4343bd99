//! The lines of one client that wait to be written, and which of them the kernel has taken.
//!
//! Invariants: at most [`WAITING_MAX`] messages wait, and as many other requests, and one farewell; what is in the
//! outbox is the rest of the first line and then whole lines, in their order; a line leaves when its last byte is
//! taken, so that after a lost connection every line that was not taken whole can be written again.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::Instant;

use crate::outbox::Outbox;

/// At most this many messages wait to be sent; any more are dropped.
pub const WAITING_MAX: usize = 100;

/// A line that waits.
#[derive(Debug)]
struct Waiting {
    line: Box<[u8]>,
    what: What,
}

/// What a line is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Words to all or to one.
    Message(Outgoing),
    /// The request for a name, which may want its key.
    Name(Keyed),
    /// To be told who comes and goes, or no more.
    Watch(bool),
    /// Who is here.
    Who,
    /// The request for a room, which may want its key.
    Join(Keyed),
    /// Which rooms there are.
    Rooms,
    /// To keep the name, or no more.
    Keep(bool),
    /// The request to close.
    Quit,
    /// The request for a sign of life, which is worth nothing on another connection.
    Ping,
}

/// The name of a person or of a room, and the key that it may want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keyed {
    pub(super) name: Box<str>,
    pub(super) key: Option<Box<str>>,
}

impl Keyed {
    pub(super) fn new(name: &str, key: Option<&str>) -> Self {
        Self {
            name: name.into(),
            key: key.map(Into::into),
        }
    }
}

/// A message on its way out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    pub(super) number: u64,
    /// To whom alone it goes.
    pub(super) to: Option<Box<str>>,
    pub(super) words_bytes: usize,
    /// Whether there is something in the words that can be seen.
    pub(super) has_text: bool,
    /// The words, if they are to be remembered.
    pub(super) kept: Option<Box<str>>,
}

impl What {
    fn is_message(&self) -> bool {
        matches!(self, Self::Message(_))
    }
}

/// The write queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    messages: usize,
    outbox: Outbox,
    /// How many of `waiting`, from the front, are in the outbox.
    staged: usize,
    /// How many bytes of the first line are not taken yet, if that is in the outbox.
    front_left: usize,
    /// Nothing from the first message on is written: the room that it is for may not be the one that the client is in.
    held: bool,
    /// What was taken whole, and the length of its line, for the caller to look after.
    written: VecDeque<(What, usize)>,
}

impl Queue {
    /// Whether the kernel has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Messages that wait.
    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    /// Whether there is room for one more message, or for one more request of another kind.
    pub(super) fn has_room(&self, message: bool) -> bool {
        let others = self.waiting.len() - self.messages;
        WAITING_MAX > if message { self.messages } else { others }
    }

    /// Adds a line. The caller has seen that there is room.
    pub(super) fn push(&mut self, line: Vec<u8>, what: What) {
        self.messages += usize::from(what.is_message());
        self.waiting.push_back(Waiting {
            line: line.into(),
            what,
        });
    }

    /// Puts all that waits into the outbox.
    pub(super) fn stage(&mut self, now: Instant) {
        let was_empty = self.staged == 0;
        for waiting in self.waiting.range(self.staged..) {
            if self.held && waiting.what.is_message() {
                break;
            }
            self.outbox.push_copy(&waiting.line, now);
            self.staged += 1;
        }
        if was_empty {
            self.front_left = self.waiting.front().map_or(0, |front| front.line.len());
        }
    }

    /// Whether there is something that may be written now.
    pub(super) fn may_write(&self) -> bool {
        let next = self.waiting.get(self.staged);
        self.staged > 0 || next.is_some_and(|next| !(self.held && next.what.is_message()))
    }

    /// Messages need not wait any longer.
    pub(super) fn release(&mut self) {
        self.held = false;
    }

    /// As [`Queue::release`], but for what was to be said to all in the room, if messages were held: that is given back.
    pub(super) fn release_without_words(&mut self) -> Vec<Outgoing> {
        let mut words = Vec::new();
        if std::mem::take(&mut self.held) {
            let mut is_for_room = true;
            for waiting in self.waiting.split_off(self.staged) {
                is_for_room &= !matches!(waiting.what, What::Join(_));
                match waiting.what {
                    What::Message(message) if is_for_room && message.to.is_none() => {
                        words.push(message);
                    }
                    _ => self.waiting.push_back(waiting),
                }
            }
        }
        self.messages -= words.len();
        words
    }

    /// Whether nothing of what was staged waits any more.
    pub(super) fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// The first bytes of what was staged.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.outbox.slices(slices)
    }

    /// The kernel took this many bytes.
    pub(super) fn advance(&mut self, bytes: usize, now: Instant) {
        self.outbox.advance(bytes, now);
        let mut left = bytes;
        while self.staged > 0 && left >= self.front_left {
            left -= self.front_left;
            self.staged -= 1;
            if let Some(Waiting { line, what }) = self.waiting.pop_front() {
                self.messages -= usize::from(what.is_message());
                self.written.push_back((what, line.trim_ascii_end().len()));
            }
            let next = self.waiting.front().filter(|_| self.staged > 0);
            self.front_left = next.map_or(0, |front| front.line.len());
        }
        self.front_left -= left;
    }

    /// What was taken whole next, and the length of its line without its end.
    pub(super) fn take_written(&mut self) -> Option<(What, usize)> {
        self.written.pop_front()
    }

    /// The connection is lost: what was not taken whole is to be written again, behind what brings back what the server
    /// knew, `first`. Messages wait for the answer to the request for a room in that. Left out is what is asked for
    /// anew anyway: a name, if that is what comes first; a room, before any message.
    pub(super) fn rewind(&mut self, first: impl DoubleEndedIterator<Item = (Vec<u8>, What)>) {
        self.outbox.clear();
        self.staged = 0;
        self.held = false;
        self.waiting.retain(|waiting| waiting.what != What::Ping);
        let mut asked = self.waiting.iter().map(|waiting| &waiting.what);
        let names_itself = matches!(asked.clone().next(), Some(What::Name(_)));
        let first_move = asked.find(|what| what.is_message() || matches!(what, What::Join(_)));
        let moves_itself = matches!(first_move, Some(What::Join(_)));
        for (line, what) in first.rev() {
            match what {
                What::Name(_) if names_itself => continue,
                What::Join(_) if moves_itself => continue,
                What::Join(_) => self.held = true,
                _ => {}
            }
            self.waiting.push_front(Waiting {
                line: line.into(),
                what,
            });
        }
    }

    /// Empties it; gives the messages that were not taken whole.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Outgoing> {
        let Self { waiting, .. } = std::mem::take(self);
        waiting
            .into_iter()
            .filter_map(|waiting| match waiting.what {
                What::Message(message) => Some(message),
                _ => None,
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_clock::outset;

    fn outgoing(number: u64) -> Outgoing {
        Outgoing {
            number,
            to: None,
            words_bytes: 1,
            has_text: true,
            kept: None,
        }
    }

    fn message(number: u64) -> What {
        What::Message(outgoing(number))
    }

    fn staged(queue: &Queue) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 64];
        let filled = queue.slices(&mut slices);
        slices[..filled]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect()
    }

    #[test]
    fn what_was_begun_is_written_again_from_its_start() {
        let (mut queue, now) = (Queue::default(), outset());
        queue.push(b"PING\n".to_vec(), What::Ping);
        for number in 0..3 {
            queue.push(format!("line{number}\n").into(), message(number));
        }
        queue.stage(now);
        queue.advance(5 + 6 + 2, now);
        assert_eq!(queue.take_written(), Some((What::Ping, 4)));
        assert_eq!(queue.take_written(), Some((message(0), 5)));
        assert_eq!(queue.take_written(), None);
        queue.push(b"PING\n".to_vec(), What::Ping);
        let name = (b"NAME\n".to_vec(), What::Name(Keyed::new("ann", None)));
        let watch = (b"WATCH on\n".to_vec(), What::Watch(true));
        queue.rewind([name, watch].into_iter());
        queue.stage(now);
        assert_eq!(staged(&queue), b"NAME\nWATCH on\nline1\nline2\n");
        let name = (
            b"NAME again\n".to_vec(),
            What::Name(Keyed::new("eve", None)),
        );
        queue.rewind([name].into_iter());
        queue.stage(now);
        assert_eq!(staged(&queue), b"NAME\nWATCH on\nline1\nline2\n");
        assert_eq!(queue.messages(), 2);
        assert_eq!(
            queue.clear().collect::<Vec<_>>(),
            [outgoing(1), outgoing(2)]
        );
        assert!(queue.is_empty() && queue.is_flushed());
    }

    #[test]
    fn what_is_held_waits_and_words_for_a_room_are_given_back() {
        let (mut queue, now) = (Queue::default(), outset());
        let private = Outgoing {
            to: Some("bob".into()),
            ..outgoing(1)
        };
        let join = || What::Join(Keyed::new("den", None));
        queue.rewind([(b"JOIN\n".to_vec(), join())].into_iter());
        queue.push(b"line0\n".to_vec(), message(0));
        queue.push(b"private1\n".to_vec(), What::Message(private));
        queue.push(b"line2\n".to_vec(), message(2));
        queue.push(b"JOIN again\n".to_vec(), join());
        queue.push(b"line3\n".to_vec(), message(3));
        assert!(queue.may_write());
        queue.stage(now);
        assert_eq!(staged(&queue), b"JOIN\n");
        queue.advance(5, now);
        assert!(!queue.may_write());
        queue.stage(now);
        assert!(queue.is_flushed());
        assert_eq!(queue.release_without_words(), [outgoing(0), outgoing(2)]);
        assert_eq!(queue.messages(), 2);
        assert!(queue.may_write());
        queue.stage(now);
        assert_eq!(staged(&queue), b"private1\nJOIN again\nline3\n");
        // Nothing is held any more, so nothing is given back.
        queue.push(b"line4\n".to_vec(), message(4));
        assert_eq!(queue.release_without_words(), []);
        // A room that is asked for before anything is said is asked for alone, and nothing is held for it.
        queue.advance(9, now);
        queue.rewind([(b"JOIN\n".to_vec(), join())].into_iter());
        queue.stage(now);
        assert_eq!(staged(&queue), b"JOIN again\nline3\nline4\n");
    }

    #[test]
    fn messages_and_other_requests_each_have_their_room() {
        let mut queue = Queue::default();
        for number in 0..WAITING_MAX as u64 {
            assert!(queue.has_room(true));
            queue.push(b"x\n".to_vec(), message(number));
        }
        assert!(!queue.has_room(true));
        for _ in 0..WAITING_MAX {
            assert!(queue.has_room(false));
            queue.push(b"x\n".to_vec(), What::Ping);
        }
        assert!(!queue.has_room(false));
    }

    proptest! {
        #[test]
        fn every_line_is_taken_once_in_its_order(
            steps in prop::collection::vec((0_usize..4, 1_usize..20, 0_usize..40), 1..40),
        ) {
            let (mut queue, now) = (Queue::default(), outset());
            let (mut pushed, mut ends, mut taken_bytes) = (0, Vec::new(), 0);
            let mut taken = 0_u64;
            for (lines, length, bytes) in steps {
                for _ in 0..lines {
                    queue.push(vec![b'x'; length], message(pushed));
                    pushed += 1;
                    ends.push(ends.last().unwrap_or(&0) + length);
                }
                queue.stage(now);
                let bytes = bytes.min(staged(&queue).len());
                queue.advance(bytes, now);
                taken_bytes += bytes;
                while let Some((what, _)) = queue.take_written() {
                    prop_assert_eq!(what, message(taken));
                    taken += 1;
                }
                let due = ends.iter().filter(|end| **end <= taken_bytes).count();
                prop_assert_eq!(taken, due as u64);
                prop_assert_eq!(queue.messages(), ends.len() - due);
            }
        }
    }
}
