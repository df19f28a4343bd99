//! What was said in a room and not all have heard, encoded once for each encoding that somebody hears.
//!
//! Everybody hears the whole feed of their encoding, one sooner than the other: a [`Cursor`] tells how far a member has
//! heard it, and which ranges it does not hear (its own lines). So a session that has nothing of its own costs one
//! shared slice. What everybody has heard is dropped when a round is over ([`Feed::trim`]).
//!
//! Invariants: the skips of one member stand in the order of their places; no skip is in the feed but those of a
//! member; who hears has heard the feed at least to its beginning.

use std::cell::OnceCell;

use bytes::Bytes;

use crate::dialect::event::{Event, Scene};
use crate::dialect::Encoding;
use crate::hub::room::lists::{List, Lists};
use crate::id::PersonId;

/// A buffer that has grown beyond this gives its memory back when all is told.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// How many hear each encoding.
pub(in crate::hub) type Listeners = [u32; Encoding::COUNT];

/// What was said and not everybody has heard.
#[derive(Debug, Default)]
pub(in crate::hub) struct Feed {
    /// How far everything was told, while nothing is untold.
    told: [Place; Encoding::COUNT],
    /// What is untold, and room for more of it. A quiet room with few people owns none.
    untold: Option<Box<Untold>>,
}

/// What was said, as far as it is kept.
#[derive(Debug, Default)]
struct Untold {
    said: [Said; Encoding::COUNT],
    skips: Lists<Skip>,
    /// The lines of the encodings that people hear, for those who want to see them in another way.
    lines: Vec<Entry>,
    /// How many things were said to all that somebody hears.
    events: usize,
    /// How many of them were no presence.
    speeches: usize,
}

/// What was said to all, in one encoding.
#[derive(Debug, Default)]
struct Said {
    bytes: Vec<u8>,
    /// The place of the first byte.
    begin: Place,
    /// A copy of the bytes from this offset on that outboxes can share, made when the first one needs it.
    shared: Option<(u32, Bytes)>,
}

/// A place in all that was ever said in an encoding: the bytes before it, counted modulo 2^32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::hub) struct Place(u32);

/// A range that a member does not hear.
#[derive(Debug, Clone, Copy)]
struct Skip {
    from: Place,
    to: Place,
}

/// What a view may know of a line without reading it.
#[derive(Debug)]
struct Entry {
    /// Where the line ends in each encoding that a view may look at; the next one begins there.
    to: [Place; Encoding::VIEWED],
    author: Option<PersonId>,
    is_presence: bool,
    /// Where somebody's words begin in the line; 0 if nobody said any.
    words_begin: u16,
    /// The words in lower case, worked out when the first view looks at them.
    lower: OnceCell<Box<str>>,
}

/// One line that was said to all.
#[derive(Debug, Clone, Copy)]
pub(in crate::hub) struct SaidLine<'a> {
    /// The line, with its end.
    pub(in crate::hub) bytes: &'a [u8],
    /// Whom it is from, or about; nobody in a sum of joins or leaves.
    pub(in crate::hub) author: Option<PersonId>,
    /// Whether it tells who came or went.
    pub(in crate::hub) is_presence: bool,
    /// What somebody said or did; empty if nobody did.
    words: &'a [u8],
    lower: &'a OnceCell<Box<str>>,
}

impl SaidLine<'_> {
    /// What somebody said or did, in lower case; empty if nobody did.
    pub(in crate::hub) fn words_in_lower_case(&self) -> &str {
        let lower = || String::from_utf8_lossy(self.words).to_lowercase().into();
        self.lower.get_or_init(lower)
    }
}

/// How far one member has heard the feed, and what it does not hear of the rest.
#[derive(Debug, Clone, Copy)]
pub(in crate::hub) struct Cursor {
    heard: Place,
    skips: List,
}

/// How far the feed went at some moment.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::hub) struct Snapshot {
    ends: [Place; Encoding::COUNT],
    events: usize,
    speeches: usize,
}

impl Cursor {
    /// The member has heard this many bytes more.
    pub(in crate::hub) fn advance(&mut self, bytes: usize) {
        self.heard = self.heard.plus(bytes);
    }
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

/// A run of bytes of the feed that one member hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub) struct Part {
    from: u32,
    to: u32,
}

impl Part {
    pub(in crate::hub) fn len(self) -> usize {
        (self.to - self.from) as usize
    }

    /// Takes `bytes` off its front.
    pub(in crate::hub) fn advance(&mut self, bytes: usize) {
        self.from += bytes as u32;
    }
}

impl Feed {
    /// Whether there is nothing that was said to all.
    pub(in crate::hub) fn is_silent(&self) -> bool {
        self.len() == 0
    }

    /// How many things were said to all.
    pub(in crate::hub) fn events(&self) -> usize {
        self.untold.as_ref().map_or(0, |untold| untold.events)
    }

    /// Bytes said to all, in all encodings.
    pub(in crate::hub) fn len(&self) -> usize {
        let untold = self.untold.as_ref();
        untold.map_or(0, |untold| {
            untold.said.iter().map(|said| said.bytes.len()).sum()
        })
    }

    /// Where what is untold begins.
    fn begin(&self, encoding: Encoding) -> Place {
        let untold = self.untold.as_ref();
        let said = untold.map(|untold| &untold.said[encoding as usize]);
        said.map_or(self.told[encoding as usize], |said| said.begin)
    }

    fn open(&mut self) -> &mut Untold {
        self.untold.get_or_insert_with(|| {
            let mut untold = Box::<Untold>::default();
            for (said, begin) in untold.said.iter_mut().zip(self.told) {
                said.begin = begin;
            }
            untold
        })
    }

    /// Adds what everybody hears, in each encoding that has listeners.
    pub(super) fn say(
        &mut self,
        event: &Event<'_>,
        scene: &Scene<'_>,
        author: Option<PersonId>,
        listeners: Listeners,
    ) {
        let (before, lines_before) = (self.len(), self.line_end());
        let mut words_begin = 0;
        let untold = self.open();
        for encoding in Encoding::ALL {
            if listeners[encoding as usize] > 0 {
                let said = &mut untold.said[encoding as usize];
                // It grows, so a copy is one no more.
                said.shared = None;
                words_begin += encoding.encode_event(event, scene, &mut said.bytes);
            }
        }
        let (after, to) = (self.len(), self.line_end());
        let untold = self.open();
        if after > before {
            untold.events += 1;
            untold.speeches += usize::from(!event.is_presence());
        }
        if to != lines_before {
            untold.lines.push(Entry {
                to,
                author,
                is_presence: event.is_presence(),
                words_begin: words_begin as u16,
                lower: OnceCell::new(),
            });
        }
    }

    /// Where the last line ends in the encodings that a view may look at.
    fn line_end(&self) -> [Place; Encoding::VIEWED] {
        std::array::from_fn(|index| self.end(Encoding::ALL[index]))
    }

    /// Where the feed of `encoding` ends now.
    pub(super) fn end(&self, encoding: Encoding) -> Place {
        let untold = self.untold.as_ref();
        let said = untold.map(|untold| &untold.said[encoding as usize]);
        said.map_or(self.told[encoding as usize], Said::end)
    }

    /// How far the feed goes now.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            ends: Encoding::ALL.map(|encoding| self.end(encoding)),
            events: self.events(),
            speeches: self.speeches(),
        }
    }

    /// For a member that hears what is said from now on.
    pub(super) fn cursor(&self, encoding: Encoding) -> Cursor {
        Cursor {
            heard: self.end(encoding),
            skips: List::EMPTY,
        }
    }

    /// Whether the member has not heard all that it is to hear.
    pub(in crate::hub) fn has_news_for(&self, encoding: Encoding, cursor: Cursor) -> bool {
        cursor.heard != self.end(encoding)
    }

    /// What the member has not heard, where it is to hear all of that; `None` if it has heard everything, too.
    pub(in crate::hub) fn news_for(&self, encoding: Encoding, cursor: Cursor) -> Option<&[u8]> {
        let said = &self.untold.as_ref()?.said[encoding as usize];
        let news = said.bytes.get(said.offset(cursor.heard) as usize..)?;
        (cursor.skips.is_empty() && !news.is_empty()).then_some(news)
    }

    /// Notes that the member does not hear the feed from `from` to now.
    pub(super) fn skip_since(&mut self, cursor: &mut Cursor, encoding: Encoding, from: Place) {
        let to = self.end(encoding);
        if cursor.heard == from {
            // It has heard all that came before, so there is nothing to be left out later.
            cursor.heard = to;
            return;
        }
        let skips = &mut self.open().skips;
        match skips.last_mut(cursor.skips) {
            // Lines said one after the other are one gap.
            Some(skip) if skip.to == from => skip.to = to,
            _ if from == to => {}
            _ => skips.push(&mut cursor.skips, Skip { from, to }),
        }
    }

    /// Collects what a member hears, from where it has heard the feed to its end, which it has heard then.
    pub(in crate::hub) fn collect(
        &mut self,
        encoding: Encoding,
        cursor: &mut Cursor,
        parts: &mut Vec<Part>,
    ) {
        parts.clear();
        let mut push = |from, to| {
            if from < to {
                parts.push(Part { from, to });
            }
        };
        let (begin, end) = (self.begin(encoding), self.end(encoding));
        let mut heard = cursor.heard.offset(begin);
        if let Some(untold) = &mut self.untold {
            while let Some(skip) = untold.skips.take_first(&mut cursor.skips) {
                push(heard, skip.from.offset(begin));
                heard = skip.to.offset(begin);
            }
        }
        push(heard, end.offset(begin));
        cursor.heard = end;
    }

    /// Shows each line of the parts that a session hears in an encoding that a view may look at.
    pub(in crate::hub) fn show_lines(
        &self,
        encoding: Encoding,
        parts: &[Part],
        mut show: impl FnMut(SaidLine<'_>),
    ) {
        let Some(untold) = &self.untold else { return };
        let index = encoding as usize;
        let said = &untold.said[index];
        for part in parts {
            // A part begins and ends where a line does.
            let first = untold
                .lines
                .partition_point(|line| said.offset(line.to[index]) <= part.from);
            let mut begin = part.from;
            for line in &untold.lines[first..] {
                let to = said.offset(line.to[index]);
                if to > part.to {
                    break;
                }
                if to == begin {
                    // Nobody heard it in this encoding.
                    continue;
                }
                let bytes = &said.bytes[begin as usize..to as usize];
                begin = to;
                let words = match usize::from(line.words_begin) {
                    _ if encoding != Encoding::Telnet => &[],
                    0 => &[],
                    words_begin => bytes[words_begin..].trim_ascii_end(),
                };
                show(SaidLine {
                    bytes,
                    author: line.author,
                    is_presence: line.is_presence,
                    words,
                    lower: &line.lower,
                });
            }
        }
    }

    /// Nothing of this will be collected any more.
    pub(super) fn forget(&mut self, mut cursor: Cursor) {
        if let Some(untold) = &mut self.untold {
            while untold.skips.take_first(&mut cursor.skips).is_some() {}
        }
    }

    /// The bytes of a part.
    pub(in crate::hub) fn bytes(&self, encoding: Encoding, part: Part) -> &[u8] {
        let said = self.untold.as_ref().map(|it| &it.said[encoding as usize]);
        let range = part.from as usize..part.to as usize;
        said.map_or(&[], |said| &said.bytes[range])
    }

    /// The bytes of a part as a slice that can outlive the feed without a copy of its own, where that is worth it: a
    /// slice keeps all that it is a slice of in memory, so a small part of it is better copied.
    pub(in crate::hub) fn share(&mut self, encoding: Encoding, part: Part) -> Option<Bytes> {
        let said = &mut self.untold.as_mut()?.said[encoding as usize];
        // In a round hardly anybody has more to hear than those before them, so the copy of the first one is for all.
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
        self.speeches() == 0
    }

    fn speeches(&self) -> usize {
        self.untold.as_ref().map_or(0, |untold| untold.speeches)
    }

    /// Drops what everybody has heard: all that was said before the snapshot was made, which was after the last trim.
    pub(super) fn trim(&mut self, snapshot: Snapshot) {
        let Some(untold) = &mut self.untold else {
            return;
        };
        let ends = untold.said.iter().zip(snapshot.ends);
        let ends: Vec<u32> = ends.map(|(said, end)| said.offset(end)).collect();
        let is_heard = |line: &Entry| {
            let places = line.to.iter().zip(&untold.said).zip(&ends);
            places
                .into_iter()
                .all(|((to, said), end)| said.offset(*to) <= *end)
        };
        let heard = untold.lines.partition_point(is_heard);
        untold.lines.drain(..heard);
        for (said, end) in untold.said.iter_mut().zip(snapshot.ends) {
            said.drop_until(end);
        }
        untold.events -= snapshot.events;
        untold.speeches -= snapshot.speeches;
        if self.is_silent() {
            self.give_back_memory(KEPT_BYTES_MAX);
        }
    }

    /// Keeps the buffers, in which nothing is, as far as they are not larger than this.
    fn give_back_memory(&mut self, kept_bytes_max: usize) {
        if let Some(untold) = &mut self.untold {
            for said in &mut untold.said {
                said.bytes.shrink_to(kept_bytes_max);
            }
            untold.lines.shrink_to(kept_bytes_max / size_of::<Entry>());
            untold.skips.shrink_to(kept_bytes_max);
        }
    }

    /// Keeps nothing at all if nothing is untold.
    pub(super) fn close_if_silent(&mut self) {
        if self.is_silent() {
            self.told = Encoding::ALL.map(|encoding| self.end(encoding));
            self.untold = None;
        }
    }
}

/// What invariants are about.
#[cfg(any(test, feature = "internals"))]
impl Feed {
    /// How many skips there are.
    pub(in crate::hub) fn skips(&self) -> usize {
        self.untold.as_ref().map_or(0, |untold| untold.skips.len())
    }

    /// How many of them belong to this member.
    pub(in crate::hub) fn skips_of(&self, cursor: Cursor) -> usize {
        let untold = self.untold.as_ref();
        untold.map_or(0, |untold| untold.skips.iter(cursor.skips).count())
    }

    /// Whether a member of this encoding can hear on from where it is.
    pub(in crate::hub) fn holds(&self, encoding: Encoding, cursor: Cursor) -> bool {
        let (begin, end) = (self.begin(encoding), self.end(encoding));
        cursor.heard.offset(begin) <= end.offset(begin)
    }

    /// Whether it has heard all that was said before the snapshot was made.
    pub(in crate::hub) fn has_heard(
        &self,
        encoding: Encoding,
        cursor: Cursor,
        snapshot: Snapshot,
    ) -> bool {
        let begin = self.begin(encoding);
        cursor.heard.offset(begin) >= snapshot.ends[encoding as usize].offset(begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    const T: Encoding = Encoding::Telnet;

    fn say(feed: &mut Feed, words: &str) {
        let name = &Name::guest(1);
        feed.say(
            &Event::Said { name, words },
            &Scene::default(),
            None,
            [1, 0, 0, 0, 0, 0],
        );
    }

    fn parts(feed: &mut Feed, cursor: &mut Cursor) -> Vec<Part> {
        let mut parts = Vec::new();
        feed.collect(T, cursor, &mut parts);
        assert_eq!(feed.skips_of(*cursor), 0);
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
        feed.open().said[T as usize].begin = Place(u32::MAX - 20);
        let cursor = feed.cursor(T);
        (feed, cursor)
    }

    /// Says a line that the member does not hear.
    fn say_own(feed: &mut Feed, cursor: &mut Cursor, words: &str) {
        let from = feed.end(T);
        say(feed, words);
        feed.skip_since(cursor, T, from);
    }

    #[test]
    fn a_member_without_skips_hears_everything_in_one_part() {
        let (mut feed, mut cursor) = feed();
        say(&mut feed, "a");
        say(&mut feed, "b");
        assert_eq!(parts(&mut feed, &mut cursor.clone()).len(), 1);
        assert_eq!(heard(&mut feed, &mut cursor), "a b ");
        assert_eq!(heard(&mut feed, &mut cursor), "", "once");
    }

    #[test]
    fn own_lines_and_what_was_said_before_are_not_heard() {
        let (mut feed, _) = feed();
        say(&mut feed, "before");
        let mut cursor = feed.cursor(T);
        say(&mut feed, "a");
        for own in ["own", "again"] {
            say_own(&mut feed, &mut cursor, own);
        }
        say(&mut feed, "b");
        assert_eq!(
            feed.skips(),
            1,
            "one gap for lines said one after the other"
        );
        assert_eq!(heard(&mut feed, &mut cursor), "a b ");
    }

    #[test]
    fn who_has_heard_all_needs_no_skip_for_own_lines() {
        let (mut feed, mut cursor) = feed();
        for own in ["own", "again"] {
            say_own(&mut feed, &mut cursor, own);
            assert!(!feed.has_news_for(T, cursor));
        }
        assert_eq!(feed.skips(), 0);
        say(&mut feed, "a");
        assert_eq!(heard(&mut feed, &mut cursor), "a ");
    }

    #[test]
    fn skips_of_several_members_are_told_apart() {
        let (mut feed, ann) = feed();
        let mut cursors = [ann; 3];
        for round in 0..3 {
            say(&mut feed, "-");
            for _ in 0..4 {
                for (cursor, own) in cursors.iter_mut().zip(["x", "y", "z"]) {
                    say_own(&mut feed, cursor, own);
                }
            }
            assert_eq!(feed.skips(), 12);
            let [x, y, z] = &mut cursors;
            assert_eq!(heard(&mut feed, y), "- x z x z x z x z ", "{round}");
            assert_eq!(heard(&mut feed, x), "- y z y z y z y z ");
            feed.forget(*z);
            assert_eq!(feed.skips(), 0);
            *z = feed.cursor(T);
        }
    }

    #[test]
    fn a_view_is_shown_lines_and_where_the_words_are() {
        let (mut feed, mut cursor) = feed();
        say(&mut feed, "a b");
        say_own(&mut feed, &mut cursor, "own");
        let name = &Name::guest(7);
        let joined = crate::dialect::event::Presence::Joined { name, here: 2 };
        feed.say(
            &Event::Presence(joined),
            &Scene::default(),
            None,
            [1, 0, 0, 0, 0, 0],
        );
        let words = "waves ";
        feed.say(
            &Event::Did { name, words },
            &Scene::default(),
            None,
            [1, 0, 0, 0, 0, 0],
        );
        let parts = parts(&mut feed, &mut cursor);
        let mut seen = Vec::new();
        feed.show_lines(T, &parts, |line| {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            seen.push((text(line.bytes), line.is_presence, text(line.words)));
        });
        let line = |line: &str, is_presence, words: &str| {
            (format!("{line}\r\n"), is_presence, words.to_owned())
        };
        assert_eq!(
            seen,
            [
                line("<guest1> a b", false, "a b"),
                line("-- guest7 joined (2 here)", true, ""),
                line("* guest7 waves ", false, "waves"),
            ]
        );
    }

    #[test]
    fn what_all_have_heard_is_dropped() {
        let (mut feed, mut ann) = feed();
        let mut bob = ann;
        say(&mut feed, "a");
        let round = feed.snapshot();
        assert_eq!(heard(&mut feed, &mut ann), "a ");
        say(&mut feed, "b");
        assert_eq!(heard(&mut feed, &mut bob), "a b ");
        assert!(feed.has_heard(T, ann, round) && feed.has_heard(T, bob, round));
        let length = feed.len();
        feed.trim(round);
        assert_eq!((feed.events(), feed.len()), (1, length / 2));
        assert_eq!(feed.open().lines.len(), 1);
        let round = feed.snapshot();
        assert!(!feed.has_heard(T, ann, round) && feed.has_heard(T, bob, round));
        assert_eq!(heard(&mut feed, &mut ann), "b ");
        feed.trim(round);
        assert!(feed.is_silent() && feed.open().lines.is_empty());
        assert_eq!(feed.events(), 0);
        assert_eq!(heard(&mut feed, &mut bob), "");
    }

    #[test]
    fn a_small_part_is_not_shared() {
        let (mut feed, mut cursor) = feed();
        for _ in 0..10 {
            say(&mut feed, "a line");
        }
        say_own(&mut feed, &mut cursor, "last");
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

    #[test]
    fn f128_the_memory_of_a_burst_is_given_back_when_all_is_told() {
        let mut feed = Feed::default();
        let words = "x".repeat(4096);
        let mut cursor = feed.cursor(T);
        say(&mut feed, "before");
        for _ in 0..20_000 {
            let from = feed.end(T);
            say(&mut feed, "y");
            feed.skip_since(&mut cursor, T, from);
            say(&mut feed, "z");
        }
        while feed.len() < 4 * KEPT_BYTES_MAX {
            say(&mut feed, &words);
        }
        parts(&mut feed, &mut cursor);
        let snapshot = feed.snapshot();
        feed.trim(snapshot);
        let untold = feed.untold.as_ref().expect("it is kept");
        let [said, ..] = &untold.said;
        assert!(said.bytes.capacity() <= KEPT_BYTES_MAX);
        assert!(untold.lines.capacity() * size_of::<Entry>() <= KEPT_BYTES_MAX);
        assert_eq!(untold.skips.capacity(), 0);
    }
}
