//! What was said before, for newcomers and for those who ask.
//!
//! Invariant: `text` is as long as the lengths in `lines` say, and within its bound.

use std::collections::VecDeque;

use crate::dialect::event::{Event, Past};
use crate::id::PersonId;
use crate::name::Name;

/// Long lines count by their bytes, too: at most this many are kept, each with [`LINE_BYTES`] beside its text.
const BYTES_MAX: usize = 64 * 1024;

/// What a line takes beside the name and the words in it.
const LINE_BYTES: usize = 5;

/// The last lines of chat and actions; not who came and went.
#[derive(Debug, Default)]
pub(in crate::hub) struct History {
    lines_max: usize,
    lines: VecDeque<Line>,
    /// The names and words of all lines.
    text: String,
    /// How many lines were ever said that are kept where any are.
    said: u64,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    author: PersonId,
    wall_seconds: u64,
    acts: bool,
    name_bytes: usize,
    words_bytes: usize,
}

impl Line {
    fn bytes(self) -> usize {
        self.name_bytes + self.words_bytes
    }
}

impl History {
    pub(super) fn new(lines_max: usize) -> Self {
        Self {
            lines_max,
            ..Self::default()
        }
    }

    /// Keeps what was said, and forgets what is too much.
    pub(in crate::hub) fn keep(&mut self, event: &Event<'_>, author: PersonId, wall_seconds: u64) {
        let (name, words, acts): (&Name, _, _) = match *event {
            Event::Said { name, words } => (name, words, false),
            Event::Did { name, words } => (name, words, true),
            Event::Presence(_) | Event::Announced { .. } => return,
        };
        let past = Past {
            number: self.said + 1,
            wall_seconds,
            name: &name.text(),
            acts,
            words,
        };
        self.add(&past, author);
    }

    /// Keeps what was said before the server was started.
    pub(in crate::hub) fn restore(&mut self, past: &Past<'_>) {
        self.add(past, PersonId::former());
    }

    fn add(&mut self, past: &Past<'_>, author: PersonId) {
        self.said += 1;
        if self.lines_max == 0 {
            return;
        }
        self.text.push_str(past.name);
        self.text.push_str(past.words);
        self.lines.push_back(Line {
            author,
            wall_seconds: past.wall_seconds,
            acts: past.acts,
            name_bytes: past.name.len(),
            words_bytes: past.words.len(),
        });
        self.forget_what_is_too_much();
    }

    /// Keeps at most this many lines from now on.
    pub(in crate::hub) fn set_lines_max(&mut self, lines_max: usize) {
        self.lines_max = lines_max;
        self.forget_what_is_too_much();
    }

    fn forget_what_is_too_much(&mut self) {
        self.forget_down_to(BYTES_MAX);
    }

    /// Forgets the oldest lines, this many bytes or a little more.
    pub(in crate::hub) fn give(&mut self, bytes: usize) {
        self.forget_down_to(self.bytes().saturating_sub(bytes));
        if self.lines.is_empty() {
            self.lines = VecDeque::new();
        }
        self.text.shrink_to(2 * self.text.len());
    }

    fn forget_down_to(&mut self, bytes_max: usize) {
        let mut forgotten = 0;
        while self.lines.len() > self.lines_max || self.bytes() - forgotten > bytes_max {
            let Some(oldest) = self.lines.pop_front() else {
                break;
            };
            forgotten += oldest.bytes();
        }
        self.text.drain(..forgotten);
    }

    /// How many lines were ever said that are kept where any are.
    pub(in crate::hub) fn said(&self) -> u64 {
        self.said
    }

    /// What all of it counts for.
    pub(in crate::hub) fn bytes(&self) -> usize {
        self.text.len() + self.lines.len() * LINE_BYTES
    }

    /// How many lines are kept.
    pub(in crate::hub) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether all is kept that was said when `since` lines had been.
    pub(in crate::hub) fn has_all_since(&self, since: u64) -> bool {
        (self.said - self.lines.len() as u64..=self.said).contains(&since)
    }

    /// Whether nothing is kept.
    pub(in crate::hub) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The last `lines` lines of those whose author is wanted, and that were said when `since` had been.
    pub(in crate::hub) fn last<'a>(
        &'a self,
        lines: usize,
        since: u64,
        is_wanted: impl Fn(PersonId) -> bool + 'a,
    ) -> impl Iterator<Item = Past<'a>> + 'a {
        let forgotten = self.said - self.lines.len() as u64;
        let old = usize::try_from(since.saturating_sub(forgotten)).unwrap_or(usize::MAX);
        let (old, mut end) = (old.min(self.lines.len()), 0);
        for line in self.lines.range(..old) {
            end += line.bytes();
        }
        let wanted = self.lines.range(old..);
        let wanted = wanted.filter(|line| is_wanted(line.author));
        let skipped = wanted.count().saturating_sub(lines);
        let numbers = forgotten + old as u64 + 1..;
        let placed = self
            .lines
            .range(old..)
            .zip(numbers)
            .map(move |(line, number)| {
                let begin = end;
                end += line.bytes();
                (begin, line, number)
            });
        let wanted = placed.filter(move |(_, line, _)| is_wanted(line.author));
        wanted.skip(skipped).map(|(begin, line, number)| {
            let (name, words) = self.text[begin..begin + line.bytes()].split_at(line.name_bytes);
            Past {
                number,
                wall_seconds: line.wall_seconds,
                name,
                acts: line.acts,
                words,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionId;

    fn kept(history: &History, lines: usize) -> Vec<(u64, &str, &str)> {
        let last = history.last(lines, 0, |author| author != unwanted());
        last.map(|past| (past.wall_seconds, past.name, past.words))
            .collect()
    }

    fn author() -> PersonId {
        SessionId::new(1, 1).into()
    }

    fn unwanted() -> PersonId {
        SessionId::new(9, 9).into()
    }

    fn say(history: &mut History, words: &str, wall_seconds: u64) {
        let name = &Name::guest(1);
        history.keep(&Event::Said { name, words }, author(), wall_seconds);
    }

    #[test]
    fn the_last_lines_are_kept_with_their_time() {
        let mut history = History::new(2);
        assert!(history.is_empty());
        for (words, seconds) in [("a", 0), ("b", 61), ("c", 1441)] {
            say(&mut history, words, seconds);
        }
        assert_eq!(
            kept(&history, 9),
            [(61, "guest1", "b"), (1441, "guest1", "c")]
        );
        assert_eq!(kept(&history, 1), [(1441, "guest1", "c")]);
        assert_eq!(history.last(9, 0, |author| author == unwanted()).count(), 0);
    }

    #[test]
    fn actions_are_told_from_words_and_presence_is_not_kept() {
        let (mut history, name) = (History::new(9), Name::guest(1));
        let words = "waves";
        history.keep(&Event::Did { name: &name, words }, author(), 0);
        let joined = crate::dialect::event::Presence::Joined {
            name: &name,
            here: 1,
        };
        history.keep(&Event::Presence(joined), author(), 0);
        let kept: Vec<Past<'_>> = history.last(9, 0, |_| true).collect();
        assert_eq!(
            kept,
            [Past {
                number: 1,
                wall_seconds: 0,
                name: "guest1",
                acts: true,
                words
            }]
        );
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut history = History::new(1000);
        let long = "x".repeat(4000);
        for _ in 0..100 {
            say(&mut history, &long, 0);
            assert!(history.bytes() <= BYTES_MAX);
            assert_eq!(
                history.text.len(),
                history.lines.iter().map(|line| line.bytes()).sum::<usize>()
            );
        }
        assert_eq!(history.lines.len(), 16);
    }

    #[test]
    fn it_shrinks_and_grows_while_it_is_kept() {
        let mut history = History::new(3);
        for words in ["a", "b", "c"] {
            say(&mut history, words, 0);
        }
        history.set_lines_max(2);
        assert_eq!(kept(&history, 9), [(0, "guest1", "b"), (0, "guest1", "c")]);
        history.set_lines_max(3);
        say(&mut history, "d", 0);
        say(&mut history, "e", 0);
        assert_eq!(kept(&history, 9).len(), 3);
        history.set_lines_max(0);
        assert!(history.is_empty() && history.text.is_empty());
        say(&mut history, "f", 0);
        assert!(history.is_empty());
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_wanted() {
        let mut history = History::new(0);
        say(&mut history, "a", 0);
        assert!(history.is_empty());
    }
}
