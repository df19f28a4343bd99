//! What everybody is to hear at the next flush, encoded once for each dialect.
//!
//! A session hears the whole feed of its dialect, but for what its [`Marks`] say: a range that it does not hear (its
//! own lines, what was said before it came), or bytes that it alone hears at that place. So order is kept between
//! what is said to all and what is said to one, and a session without marks costs one shared slice.
//!
//! Invariant: the marks of one session stand in the order of their positions.

use bytes::Bytes;

use crate::dialect::event::Event;
use crate::dialect::Dialect;
use crate::hub::peer::SessionId;

/// A buffer that has grown beyond this gives its memory back after the flush.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// The bytes of one flush.
#[derive(Debug, Default)]
pub(super) struct Feed {
    said: [Vec<u8>; Dialect::COUNT],
    alone: Vec<u8>,
    marks: Vec<Mark>,
    /// The lines of the telnet dialect, for those who want to see them in another way.
    lines: Vec<Entry>,
    /// How many things were said to all that somebody hears.
    happenings: usize,
    /// A copy of `said` that outboxes can share, made when the first one needs it.
    shared: [Option<Bytes>; Dialect::COUNT],
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Where in the dialect's feed it stands.
    at: u32,
    what: What,
    next: u32,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// The feed is not heard from here to there.
    Skip { to: u32 },
    /// These bytes of `alone` are heard here.
    Alone { from: u32, to: u32 },
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where the line ends; the next one begins there.
    to: u32,
    author: Option<SessionId>,
    is_presence: bool,
}

/// One line that was said to all.
#[derive(Debug, Clone, Copy)]
pub(super) struct SaidLine<'a> {
    /// The line, with its end.
    pub(super) bytes: &'a [u8],
    /// Whom it is from, or about; nobody in a sum of joins or leaves.
    pub(super) author: Option<SessionId>,
    /// Whether it tells who came or went.
    pub(super) is_presence: bool,
}

/// One session's marks: the ends of a list within the feed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    first: u32,
    last: u32,
}

const NONE: u32 = u32::MAX;

impl Default for Marks {
    fn default() -> Self {
        Self {
            first: NONE,
            last: NONE,
        }
    }
}

impl Marks {
    pub(super) fn is_empty(self) -> bool {
        self.first == NONE
    }
}

/// A run of bytes that one session hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Whether it lies in what is said to one alone, not in what is said to all.
    alone: bool,
    from: u32,
    to: u32,
}

impl Part {
    pub(super) fn len(self) -> usize {
        (self.to - self.from) as usize
    }

    /// Takes `bytes` off its front.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.from += bytes as u32;
    }
}

impl Feed {
    /// Whether nothing was said to all in any dialect.
    pub(super) fn is_silent(&self) -> bool {
        self.said.iter().all(Vec::is_empty)
    }

    /// How many things were said to all.
    pub(super) fn happenings(&self) -> usize {
        self.happenings
    }

    /// Bytes said to all and to single sessions, in all dialects.
    pub(super) fn len(&self) -> usize {
        self.said.iter().map(Vec::len).sum::<usize>() + self.alone.len()
    }

    /// Adds what everybody hears, in each dialect that has listeners.
    pub(super) fn say(
        &mut self,
        event: &Event<'_>,
        author: Option<SessionId>,
        listeners: [usize; Dialect::COUNT],
    ) {
        let (before, lines_before) = (self.len(), self.end(Dialect::Telnet));
        // It grows, so a copy is one no more.
        self.shared = Default::default();
        for dialect in Dialect::ALL {
            if listeners[dialect as usize] > 0 {
                dialect.encode_event(event, &mut self.said[dialect as usize]);
            }
        }
        self.happenings += usize::from(self.len() > before);
        let to = self.end(Dialect::Telnet);
        if to > lines_before {
            let is_presence = event.is_presence();
            self.lines.push(Entry {
                to,
                author,
                is_presence,
            });
        }
    }

    /// Where the feed of `dialect` ends now.
    pub(super) fn end(&self, dialect: Dialect) -> u32 {
        self.said[dialect as usize].len() as u32
    }

    /// Notes that the session does not hear the feed from `from` to now.
    pub(super) fn skip_since(&mut self, marks: &mut Marks, dialect: Dialect, from: u32) {
        let to = self.end(dialect);
        match self.marks.get_mut(marks.last as usize) {
            // Lines said one after the other are one gap.
            Some(Mark {
                what: What::Skip { to: end },
                ..
            }) if *end == from => *end = to,
            _ if from == to => {}
            _ => self.mark(marks, from, What::Skip { to }),
        }
    }

    /// Notes that the session hears nothing more of this feed.
    pub(super) fn skip_rest(&mut self, marks: &mut Marks, dialect: Dialect) {
        self.mark(marks, self.end(dialect), What::Skip { to: NONE });
    }

    /// Lets `write` add what the session alone hears at this place.
    pub(super) fn say_alone(
        &mut self,
        marks: &mut Marks,
        dialect: Dialect,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let at = self.end(dialect);
        let from = self.alone.len() as u32;
        write(&mut self.alone);
        let to = self.alone.len() as u32;
        match self.marks.get_mut(marks.last as usize) {
            Some(Mark {
                at: place,
                what: What::Alone { to: end, .. },
                ..
            }) if *end == from && *place == at => *end = to,
            _ if from == to => {}
            _ => self.mark(marks, at, What::Alone { from, to }),
        }
    }

    fn mark(&mut self, marks: &mut Marks, at: u32, what: What) {
        let index = self.marks.len() as u32;
        self.marks.push(Mark {
            at,
            what,
            next: NONE,
        });
        match self.marks.get_mut(marks.last as usize) {
            Some(last) => last.next = index,
            None => marks.first = index,
        }
        marks.last = index;
    }

    /// Collects what a session of `dialect` with these marks hears.
    pub(super) fn collect(&self, dialect: Dialect, marks: Marks, parts: &mut Vec<Part>) {
        let end = self.end(dialect);
        let mut heard = 0;
        let mut push = |alone, from, to| {
            if from < to {
                parts.push(Part { alone, from, to });
            }
        };
        let mut next = marks.first;
        while let Some(mark) = self.marks.get(next as usize) {
            push(false, heard, mark.at);
            heard = heard.max(mark.at);
            match mark.what {
                What::Skip { to } => heard = heard.max(to),
                What::Alone { from, to } => push(true, from, to),
            }
            next = mark.next;
        }
        push(false, heard, end);
    }

    /// Collects what a telnet session with these marks hears, its lines as `show` copies them, in one part.
    pub(super) fn collect_lines(
        &mut self,
        marks: Marks,
        parts: &mut Vec<Part>,
        mut show: impl FnMut(SaidLine<'_>, &mut Vec<u8>),
    ) {
        self.collect(Dialect::Telnet, marks, parts);
        let said = &self.said[Dialect::Telnet as usize];
        let from = self.alone.len();
        for part in parts.drain(..) {
            if part.alone {
                self.alone
                    .extend_from_within(part.from as usize..part.to as usize);
                continue;
            }
            // A part begins and ends where a line does.
            let first = self.lines.partition_point(|line| line.to <= part.from);
            let mut begin = part.from;
            for line in self.lines[first..]
                .iter()
                .take_while(|line| line.to <= part.to)
            {
                let bytes = &said[begin as usize..line.to as usize];
                begin = line.to;
                let Entry {
                    author,
                    is_presence,
                    ..
                } = *line;
                show(
                    SaidLine {
                        bytes,
                        author,
                        is_presence,
                    },
                    &mut self.alone,
                );
            }
        }
        if self.alone.len() > from {
            let (from, to) = (from as u32, self.alone.len() as u32);
            parts.push(Part {
                alone: true,
                from,
                to,
            });
        }
    }

    /// Lets `write` add bytes for one session; gives them as a part.
    pub(super) fn write_part(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Part {
        let from = self.alone.len() as u32;
        write(&mut self.alone);
        Part {
            alone: true,
            from,
            to: self.alone.len() as u32,
        }
    }

    /// The bytes of a part.
    pub(super) fn bytes(&self, dialect: Dialect, part: Part) -> &[u8] {
        let source = if part.alone {
            &self.alone
        } else {
            &self.said[dialect as usize]
        };
        &source[part.from as usize..part.to as usize]
    }

    /// The bytes of a part as a slice that can outlive the feed without a copy of its own, where that is worth it: a
    /// slice keeps the whole feed in memory, so a small part of it is better copied.
    pub(super) fn share(&mut self, dialect: Dialect, part: Part) -> Option<Bytes> {
        let said = &self.said[dialect as usize];
        if part.alone || part.len() < said.len() / 2 {
            return None;
        }
        let shared =
            self.shared[dialect as usize].get_or_insert_with(|| Bytes::copy_from_slice(said));
        Some(shared.slice(part.from as usize..part.to as usize))
    }

    /// Whether nothing but presence was said to all.
    pub(super) fn is_presence_only(&self) -> bool {
        self.lines.iter().all(|line| line.is_presence) && self.happenings == self.lines.len()
    }

    /// Bytes said to single sessions.
    pub(super) fn alone_bytes(&self) -> usize {
        self.alone.len()
    }

    /// Forgets what was added for single sessions behind the first `bytes`. No part of it may be in use any more.
    pub(super) fn forget_alone_since(&mut self, bytes: usize) {
        self.alone.truncate(bytes);
    }

    /// Everybody who was to hear something alone has heard it, so those bytes are of no use any more.
    pub(super) fn forget_what_one_heard(&mut self) {
        self.alone.clear();
        self.alone.shrink_to(KEPT_BYTES_MAX);
    }

    /// Empties the feed but keeps its buffers, if they are not too large.
    pub(super) fn clear(&mut self) {
        for buffer in self.said.iter_mut().chain([&mut self.alone]) {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES_MAX);
        }
        self.happenings = 0;
        self.lines.clear();
        self.lines.shrink_to(KEPT_BYTES_MAX / size_of::<Entry>());
        self.marks.clear();
        self.marks.shrink_to(KEPT_BYTES_MAX / size_of::<Mark>());
        self.shared = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    const T: Dialect = Dialect::Telnet;

    fn say(feed: &mut Feed, words: &str) {
        feed.say(
            &Event::Said {
                name: &Name::guest(1),
                words,
            },
            None,
            [1, 0],
        );
    }

    fn heard(feed: &Feed, marks: Marks) -> String {
        let mut parts = Vec::new();
        feed.collect(T, marks, &mut parts);
        let bytes: Vec<u8> = parts
            .iter()
            .flat_map(|part| feed.bytes(T, *part).to_vec())
            .collect();
        String::from_utf8(bytes)
            .unwrap()
            .replace("<guest1> ", "")
            .replace("\r\n", " ")
    }

    #[test]
    fn a_session_without_marks_hears_everything_in_one_part() {
        let mut feed = Feed::default();
        say(&mut feed, "a");
        say(&mut feed, "b");
        let mut parts = Vec::new();
        feed.collect(T, Marks::default(), &mut parts);
        assert_eq!(parts.len(), 1);
        assert_eq!(heard(&feed, Marks::default()), "a b ");
    }

    #[test]
    fn order_is_kept_between_what_all_hear_and_what_one_hears() {
        let (mut feed, mut marks) = (Feed::default(), Marks::default());
        say(&mut feed, "a");
        feed.say_alone(&mut marks, T, |out| out.extend(b"1 "));
        feed.say_alone(&mut marks, T, |out| out.extend(b"2 "));
        say(&mut feed, "b");
        feed.say_alone(&mut marks, T, |out| out.extend(b"3 "));
        assert_eq!(heard(&feed, marks), "a 1 2 b 3 ");
        assert_eq!(feed.marks.len(), 2, "what follows directly shares a mark");
    }

    #[test]
    fn own_lines_and_what_was_said_before_are_not_heard() {
        let (mut feed, mut marks) = (Feed::default(), Marks::default());
        say(&mut feed, "before");
        feed.skip_since(&mut marks, T, 0);
        say(&mut feed, "a");
        for own in ["own", "again"] {
            let from = feed.end(T);
            say(&mut feed, own);
            feed.skip_since(&mut marks, T, from);
        }
        say(&mut feed, "b");
        assert_eq!(heard(&feed, marks), "a b ");
        assert_eq!(
            feed.marks.len(),
            2,
            "one gap for lines said one after the other"
        );
    }

    #[test]
    fn who_has_left_hears_only_what_came_before() {
        let (mut feed, mut marks) = (Feed::default(), Marks::default());
        say(&mut feed, "a");
        feed.say_alone(&mut marks, T, |out| out.extend(b"bye "));
        feed.skip_rest(&mut marks, T);
        say(&mut feed, "b");
        assert_eq!(heard(&feed, marks), "a bye ");
    }

    #[test]
    fn a_small_part_is_not_shared() {
        let (mut feed, mut marks) = (Feed::default(), Marks::default());
        for _ in 0..10 {
            say(&mut feed, "a line");
        }
        let small = feed.end(T);
        say(&mut feed, "last");
        feed.skip_since(&mut marks, T, small);
        let mut parts = Vec::new();
        feed.collect(T, marks, &mut parts);
        assert!(feed.share(T, parts[0]).is_some());
        assert!(feed
            .share(
                T,
                Part {
                    alone: false,
                    from: 0,
                    to: 3
                }
            )
            .is_none());
    }

    #[test]
    fn f053_a_line_for_many_is_kept_once() {
        let (mut feed, mut parts) = (Feed::default(), Vec::new());
        say(&mut feed, "a line");
        feed.collect(T, Marks::default(), &mut parts);
        let shares = [feed.share(T, parts[0]), feed.share(T, parts[0])];
        let [Some(one), Some(other)] = &shares else {
            panic!("all of it is worth sharing: {shares:?}");
        };
        assert_eq!(one.as_ptr(), other.as_ptr());
        assert_eq!(one[..], *feed.bytes(T, parts[0]));
    }
}
