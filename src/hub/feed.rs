//! What people are to hear, encoded once for each dialect.
//!
//! Everybody hears the whole feed of her dialect, one sooner than the other: her [`Cursor`] tells how far she has heard
//! it, and what she hears otherwise than all: a range that she does not hear (her own lines), or bytes that she alone
//! hears at that place. So order is kept between what is said to all and what is said to one, and a session that has
//! nothing of its own costs one shared slice. What everybody has heard is dropped when a round is over
//! ([`Feed::trim`]).
//!
//! Invariants: the marks of one session stand in the order of their places; no mark is in the feed but those of a
//! session; who hears has heard the feed at least to its beginning.

use bytes::Bytes;

use crate::dialect::event::Event;
use crate::dialect::Dialect;
use crate::hub::lists::{List, Lists};
use crate::hub::peer::SessionId;

/// A buffer that has grown beyond this gives its memory back when all is told.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// What was said and not everybody has heard.
#[derive(Debug, Default)]
pub(super) struct Feed {
    said: [Said; Dialect::COUNT],
    alone: Vec<u8>,
    marks: Lists<Mark>,
    /// The lines of the telnet dialect, for those who want to see them in another way.
    lines: Vec<Entry>,
    /// How many things were said to all that somebody hears.
    happenings: usize,
}

/// What was said to all, in one dialect.
#[derive(Debug, Default)]
struct Said {
    bytes: Vec<u8>,
    /// The place of the first byte.
    begin: Place,
    /// A copy of the bytes from so many on that outboxes can share, made when the first one needs it.
    shared: Option<(u32, Bytes)>,
}

/// A place in all that was ever said in a dialect: the bytes before it, counted modulo 2^32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place(u32);

#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Place,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    /// The feed is not heard from here to there.
    Skip { to: Place },
    /// Nothing is heard from here on.
    SkipRest,
    /// These bytes of `alone` are heard here.
    Alone { from: u32, to: u32 },
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where the line ends; the next one begins there.
    to: Place,
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

/// How far one session has heard the feed, and what it hears of the rest otherwise than all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    heard: Place,
    marks: List,
}

/// How far the feed went at some moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bookmark {
    ends: [Place; Dialect::COUNT],
    happenings: usize,
}

impl Place {
    /// How many bytes it is behind `begin`.
    fn offset(self, begin: Self) -> u32 {
        self.0.wrapping_sub(begin.0)
    }

    fn plus(self, bytes: usize) -> Self {
        Self(self.0.wrapping_add(bytes as u32))
    }
}

impl Said {
    fn end(&self) -> Place {
        self.begin.plus(self.bytes.len())
    }

    fn offset(&self, place: Place) -> u32 {
        place.offset(self.begin)
    }

    /// Drops what comes before `place`.
    fn drop_until(&mut self, place: Place) {
        let length = self.offset(place) as usize;
        if length > 0 {
            self.bytes.drain(..length);
            self.begin = place;
            self.shared = None;
        }
    }
}

impl Cursor {
    /// Whether it hears anything otherwise than all.
    pub(super) fn has_marks(self) -> bool {
        !self.marks.is_empty()
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
    /// Whether there is nothing that was said to all.
    pub(super) fn is_silent(&self) -> bool {
        self.said.iter().all(|said| said.bytes.is_empty())
    }

    /// How many things were said to all.
    pub(super) fn happenings(&self) -> usize {
        self.happenings
    }

    /// Bytes said to all and to single sessions, in all dialects.
    pub(super) fn len(&self) -> usize {
        self.said.iter().map(|said| said.bytes.len()).sum::<usize>() + self.alone.len()
    }

    /// Adds what everybody hears, in each dialect that has listeners.
    pub(super) fn say(
        &mut self,
        event: &Event<'_>,
        author: Option<SessionId>,
        listeners: [usize; Dialect::COUNT],
    ) {
        let (before, lines_before) = (self.len(), self.end(Dialect::Telnet));
        for dialect in Dialect::ALL {
            if listeners[dialect as usize] > 0 {
                let said = &mut self.said[dialect as usize];
                // It grows, so a copy is one no more.
                said.shared = None;
                dialect.encode_event(event, &mut said.bytes);
            }
        }
        self.happenings += usize::from(self.len() > before);
        let to = self.end(Dialect::Telnet);
        if to != lines_before {
            let is_presence = event.is_presence();
            self.lines.push(Entry {
                to,
                author,
                is_presence,
            });
        }
    }

    /// Where the feed of `dialect` ends now.
    pub(super) fn end(&self, dialect: Dialect) -> Place {
        self.said[dialect as usize].end()
    }

    /// How far the feed goes now.
    pub(super) fn bookmark(&self) -> Bookmark {
        Bookmark {
            ends: Dialect::ALL.map(|dialect| self.end(dialect)),
            happenings: self.happenings,
        }
    }

    /// For a session that hears what is said from now on.
    pub(super) fn cursor(&self, dialect: Dialect) -> Cursor {
        Cursor {
            heard: self.end(dialect),
            marks: List::EMPTY,
        }
    }

    /// Whether the session has not heard all that it is to hear.
    pub(super) fn has_news_for(&self, dialect: Dialect, cursor: Cursor) -> bool {
        cursor.heard != self.end(dialect) || cursor.has_marks()
    }

    /// Notes that the session does not hear the feed from `from` to now.
    pub(super) fn skip_since(&mut self, cursor: &mut Cursor, dialect: Dialect, from: Place) {
        let to = self.end(dialect);
        match self.marks.last_mut(cursor.marks) {
            // Lines said one after the other are one gap.
            Some(Mark {
                what: What::Skip { to: end },
                ..
            }) if *end == from => *end = to,
            _ if from == to => {}
            _ => self.mark(cursor, from, What::Skip { to }),
        }
    }

    /// Notes that the session hears nothing of what is said from now on.
    pub(super) fn skip_rest(&mut self, cursor: &mut Cursor, dialect: Dialect) {
        self.mark(cursor, self.end(dialect), What::SkipRest);
    }

    /// Lets `write` add what the session alone hears at this place.
    pub(super) fn say_alone(
        &mut self,
        cursor: &mut Cursor,
        dialect: Dialect,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let at = self.end(dialect);
        let from = self.alone.len() as u32;
        write(&mut self.alone);
        let to = self.alone.len() as u32;
        match self.marks.last_mut(cursor.marks) {
            Some(Mark {
                at: place,
                what: What::Alone { to: end, .. },
                ..
            }) if *end == from && *place == at => *end = to,
            _ if from == to => {}
            _ => self.mark(cursor, at, What::Alone { from, to }),
        }
    }

    fn mark(&mut self, cursor: &mut Cursor, at: Place, what: What) {
        self.marks.push(&mut cursor.marks, Mark { at, what });
    }

    /// Collects what a session of `dialect` hears, from where it has heard the feed to its end.
    pub(super) fn collect(&mut self, dialect: Dialect, cursor: &mut Cursor, parts: &mut Vec<Part>) {
        let mut push = |alone, from, to| {
            if from < to {
                parts.push(Part { alone, from, to });
            }
        };
        let end = self.end(dialect);
        let begin = self.said[dialect as usize].begin;
        let mut heard = cursor.heard.offset(begin);
        while let Some(mark) = self.marks.take_first(&mut cursor.marks) {
            let at = mark.at.offset(begin);
            push(false, heard, at);
            heard = heard.max(at);
            match mark.what {
                What::Skip { to } => heard = heard.max(to.offset(begin)),
                What::SkipRest => heard = u32::MAX,
                What::Alone { from, to } => push(true, from, to),
            }
        }
        push(false, heard, end.offset(begin));
        cursor.heard = end;
    }

    /// Collects what a telnet session hears, its lines as `show` copies them, in one part.
    pub(super) fn collect_lines(
        &mut self,
        cursor: &mut Cursor,
        parts: &mut Vec<Part>,
        mut show: impl FnMut(SaidLine<'_>, &mut Vec<u8>),
    ) {
        self.collect(Dialect::Telnet, cursor, parts);
        let said = &self.said[Dialect::Telnet as usize];
        let from = self.alone.len();
        for part in parts.drain(..) {
            if part.alone {
                self.alone
                    .extend_from_within(part.from as usize..part.to as usize);
                continue;
            }
            // A part begins and ends where a line does.
            let first = self
                .lines
                .partition_point(|line| said.offset(line.to) <= part.from);
            let mut begin = part.from;
            for line in self.lines[first..]
                .iter()
                .take_while(|line| said.offset(line.to) <= part.to)
            {
                let to = said.offset(line.to);
                let bytes = &said.bytes[begin as usize..to as usize];
                begin = to;
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

    /// Nothing of this will be collected any more.
    pub(super) fn forget(&mut self, cursor: &mut Cursor) {
        while self.marks.take_first(&mut cursor.marks).is_some() {}
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
            &self.said[dialect as usize].bytes
        };
        &source[part.from as usize..part.to as usize]
    }

    /// The bytes of a part as a slice that can outlive the feed without a copy of its own, where that is worth it: a
    /// slice keeps all that it is a slice of in memory, so a small part of it is better copied.
    pub(super) fn share(&mut self, dialect: Dialect, part: Part) -> Option<Bytes> {
        if part.alone {
            return None;
        }
        let said = &mut self.said[dialect as usize];
        // In a round hardly anybody has more to hear than those before her, so the copy of the first one is for all.
        let copied = said.shared.as_ref().map(|(from, _)| *from);
        let copied = copied.filter(|from| *from <= part.from);
        let from = copied.unwrap_or(part.from);
        if part.len() < (said.bytes.len() - from as usize) / 2 {
            return None;
        }
        if copied.is_none() {
            let copy = Bytes::copy_from_slice(&said.bytes[from as usize..]);
            said.shared = Some((from, copy));
        }
        let (_, shared) = said.shared.as_ref()?;
        Some(shared.slice((part.from - from) as usize..(part.to - from) as usize))
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

    /// Drops what everybody has heard: all that was said before the bookmark was made, which was after the last trim.
    pub(super) fn trim(&mut self, bookmark: Bookmark) {
        for (said, end) in self.said.iter_mut().zip(bookmark.ends) {
            said.drop_until(end);
        }
        self.happenings -= bookmark.happenings;
        let begin = bookmark.ends[Dialect::Telnet as usize];
        let heard = self.lines.iter().position(|line| line.to == begin);
        self.lines.drain(..heard.map_or(0, |last| last + 1));
        if self.is_silent() {
            self.give_back_memory();
        }
    }

    /// Keeps the buffers, if they are not too large.
    fn give_back_memory(&mut self) {
        for said in &mut self.said {
            said.bytes.shrink_to(KEPT_BYTES_MAX);
        }
        self.lines.shrink_to(KEPT_BYTES_MAX / size_of::<Entry>());
        self.marks.shrink_to(KEPT_BYTES_MAX);
    }
}

/// What invariants are about.
impl Feed {
    /// How many marks there are.
    pub(super) fn marks(&self) -> usize {
        self.marks.len()
    }

    /// How many of them belong to this session.
    pub(super) fn marks_of(&self, cursor: Cursor) -> usize {
        self.marks.iter(cursor.marks).count()
    }

    /// Whether a session is to hear something that does not wait for a round.
    pub(super) fn waits_alone(&self, cursor: Cursor) -> bool {
        let mut marks = self.marks.iter(cursor.marks);
        marks.any(|mark| !matches!(mark.what, What::Skip { .. }))
    }

    /// Whether a session of this dialect can hear on from where it is.
    pub(super) fn holds(&self, dialect: Dialect, cursor: Cursor) -> bool {
        let said = &self.said[dialect as usize];
        said.offset(cursor.heard) <= said.bytes.len() as u32
    }

    /// Whether it has heard all that was said before the bookmark was made.
    pub(super) fn has_heard(&self, dialect: Dialect, cursor: Cursor, bookmark: Bookmark) -> bool {
        let said = &self.said[dialect as usize];
        said.offset(cursor.heard) >= said.offset(bookmark.ends[dialect as usize])
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

    fn parts(feed: &mut Feed, cursor: &mut Cursor) -> Vec<Part> {
        let mut parts = Vec::new();
        feed.collect(T, cursor, &mut parts);
        assert!(!cursor.has_marks());
        parts
    }

    fn heard(feed: &mut Feed, cursor: &mut Cursor) -> String {
        let bytes: Vec<u8> = parts(feed, cursor)
            .iter()
            .flat_map(|part| feed.bytes(T, *part).to_vec())
            .collect();
        String::from_utf8(bytes)
            .unwrap()
            .replace("<guest1> ", "")
            .replace("\r\n", " ")
    }

    /// A feed whose places are about to begin anew, and somebody who hears it.
    fn feed() -> (Feed, Cursor) {
        let mut feed = Feed::default();
        feed.said[T as usize].begin = Place(u32::MAX - 20);
        let cursor = feed.cursor(T);
        (feed, cursor)
    }

    #[test]
    fn a_session_without_marks_hears_everything_in_one_part() {
        let (mut feed, mut cursor) = feed();
        say(&mut feed, "a");
        say(&mut feed, "b");
        assert_eq!(parts(&mut feed, &mut cursor.clone()).len(), 1);
        assert_eq!(heard(&mut feed, &mut cursor), "a b ");
        assert_eq!(heard(&mut feed, &mut cursor), "", "once");
    }

    #[test]
    fn order_is_kept_between_what_all_hear_and_what_one_hears() {
        let (mut feed, mut cursor) = feed();
        say(&mut feed, "a");
        feed.say_alone(&mut cursor, T, |out| out.extend(b"1 "));
        feed.say_alone(&mut cursor, T, |out| out.extend(b"2 "));
        say(&mut feed, "b");
        feed.say_alone(&mut cursor, T, |out| out.extend(b"3 "));
        assert_eq!(feed.marks(), 2, "what follows directly shares a mark");
        assert_eq!(feed.marks_of(cursor), 2);
        assert_eq!(heard(&mut feed, &mut cursor), "a 1 2 b 3 ");
        assert_eq!(feed.marks(), 0);
    }

    #[test]
    fn own_lines_and_what_was_said_before_are_not_heard() {
        let (mut feed, _) = feed();
        say(&mut feed, "before");
        let mut cursor = feed.cursor(T);
        say(&mut feed, "a");
        for own in ["own", "again"] {
            let from = feed.end(T);
            say(&mut feed, own);
            feed.skip_since(&mut cursor, T, from);
        }
        say(&mut feed, "b");
        assert_eq!(
            feed.marks(),
            1,
            "one gap for lines said one after the other"
        );
        assert_eq!(heard(&mut feed, &mut cursor), "a b ");
    }

    #[test]
    fn who_has_left_hears_only_what_came_before() {
        let (mut feed, mut cursor) = feed();
        say(&mut feed, "a");
        feed.say_alone(&mut cursor, T, |out| out.extend(b"bye "));
        feed.skip_rest(&mut cursor, T);
        say(&mut feed, "b");
        assert_eq!(heard(&mut feed, &mut cursor), "a bye ");
    }

    #[test]
    fn marks_of_several_sessions_are_told_apart() {
        let (mut feed, ann) = feed();
        let mut cursors = [ann; 3];
        for round in 0..3 {
            for words in ["a", "b", "c", "d"] {
                say(&mut feed, words);
                for (cursor, own) in cursors.iter_mut().zip(["x ", "y ", "z "]) {
                    feed.say_alone(cursor, T, |out| out.extend(own.as_bytes()));
                }
            }
            assert_eq!(feed.marks(), 12);
            let [x, y, z] = &mut cursors;
            assert_eq!(heard(&mut feed, y), "a y b y c y d y ", "{round}");
            assert_eq!(heard(&mut feed, x), "a x b x c x d x ");
            feed.forget(z);
            assert!(!z.has_marks());
            assert_eq!(feed.marks(), 0);
            *z = feed.cursor(T);
        }
    }

    #[test]
    fn what_all_have_heard_is_dropped() {
        let (mut feed, mut ann) = feed();
        let mut bob = ann;
        say(&mut feed, "a");
        let round = feed.bookmark();
        assert_eq!(heard(&mut feed, &mut ann), "a ");
        say(&mut feed, "b");
        assert_eq!(heard(&mut feed, &mut bob), "a b ");
        assert!(feed.has_heard(T, ann, round) && feed.has_heard(T, bob, round));
        let length = feed.len();
        feed.trim(round);
        assert_eq!((feed.happenings(), feed.len()), (1, length / 2));
        assert_eq!(feed.lines.len(), 1);
        let round = feed.bookmark();
        assert!(!feed.has_heard(T, ann, round) && feed.has_heard(T, bob, round));
        assert_eq!(heard(&mut feed, &mut ann), "b ");
        feed.trim(round);
        assert!(feed.is_silent() && feed.lines.is_empty());
        assert_eq!(feed.happenings(), 0);
        assert_eq!(heard(&mut feed, &mut bob), "");
    }

    #[test]
    fn a_small_part_is_not_shared() {
        let (mut feed, mut cursor) = feed();
        for _ in 0..10 {
            say(&mut feed, "a line");
        }
        let small = feed.end(T);
        say(&mut feed, "last");
        feed.skip_since(&mut cursor, T, small);
        let all = parts(&mut feed, &mut cursor)[0];
        assert!(feed.share(T, all).is_some());
        assert!(feed.share(T, Part { to: 3, ..all }).is_none());
    }

    #[test]
    fn f053_a_line_for_many_is_kept_once() {
        let (mut feed, mut early) = feed();
        say(&mut feed, "a line");
        let mut cursors = [feed.cursor(T); 2];
        say(&mut feed, "another line");
        let shares = cursors.each_mut().map(|cursor| {
            let part = parts(&mut feed, cursor)[0];
            (feed.share(T, part), feed.bytes(T, part).to_vec())
        });
        let [(Some(one), bytes), (Some(other), _)] = &shares else {
            panic!("all of it is worth sharing: {shares:?}");
        };
        assert_eq!(one.as_ptr(), other.as_ptr());
        assert_eq!(one, bytes);
        // One who has more to hear needs a copy of more, and that does for the others, too.
        let more = parts(&mut feed, &mut early)[0];
        let all = feed.share(T, more).expect("it is all of it");
        assert_eq!(all, feed.bytes(T, more));
        let rest = Part {
            from: more.to - one.len() as u32,
            ..more
        };
        let third = feed.share(T, rest).expect("it is more than half");
        assert_eq!(third, one);
        assert_eq!(third.as_ptr_range().end, all.as_ptr_range().end);
    }
}
