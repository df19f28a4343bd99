//! What was said before, for newcomers and for those who ask.
//!
//! Invariant: `bytes` is the sum of the lengths in `lines`, and within its bound.

use std::collections::VecDeque;

use crate::dialect::event::Event;
use crate::dialect::text;
use crate::hub::peer::SessionId;

/// What stands before the lines when they are shown …
pub(super) const EARLIER: &[u8] = b"-- earlier:\r\n";
/// … and behind them.
pub(super) const NOW: &[u8] = b"-- now\r\n";

/// Long lines count by their bytes, too.
const BYTES_MAX: usize = 64 * 1024;

/// The last lines of chat and actions; not who came and went.
#[derive(Debug, Default)]
pub(super) struct History {
    lines_max: usize,
    lines: VecDeque<Line>,
    bytes: VecDeque<u8>,
    /// One line being encoded; kept for its buffer.
    scratch: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    author: SessionId,
    wall_seconds: u64,
    length: usize,
}

impl History {
    pub(super) fn new(lines_max: usize) -> Self {
        Self {
            lines_max,
            ..Self::default()
        }
    }

    /// Keeps what was said, and forgets what is too much.
    pub(super) fn keep(&mut self, event: &Event<'_>, author: SessionId, wall_seconds: u64) {
        if self.lines_max == 0 {
            return;
        }
        self.scratch.clear();
        text::encode_event(event, &mut self.scratch);
        self.bytes.extend(&self.scratch);
        self.lines.push_back(Line {
            author,
            wall_seconds,
            length: self.scratch.len(),
        });
        while self.lines.len() > self.lines_max || self.bytes.len() > BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else {
                break;
            };
            self.bytes.drain(..oldest.length);
        }
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds the last `lines` lines of those whose author is wanted, each with its time, so many minutes off UTC.
    pub(super) fn show(
        &self,
        lines: usize,
        offset_minutes: i16,
        is_wanted: impl Fn(SessionId) -> bool,
        out: &mut Vec<u8>,
    ) {
        let wanted = self.lines.iter().filter(|line| is_wanted(line.author));
        let mut skipped = wanted.count().saturating_sub(lines);
        let mut end = 0;
        for line in &self.lines {
            let begin = end;
            end += line.length;
            if !is_wanted(line.author) {
                continue;
            }
            if skipped > 0 {
                skipped -= 1;
                continue;
            }
            text::encode_time(line.wall_seconds, offset_minutes, out);
            out.extend(self.bytes.range(begin..end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    fn kept(history: &History, lines: usize) -> String {
        let mut out = Vec::new();
        history.show(lines, 0, |author| author != unwanted(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn unwanted() -> SessionId {
        SessionId::new(9, 9)
    }

    fn say(history: &mut History, words: &str, wall_seconds: u64) {
        history.keep(
            &Event::Said {
                name: &Name::guest(1),
                words,
            },
            SessionId::new(1, 1),
            wall_seconds,
        );
    }

    #[test]
    fn the_last_lines_are_kept_with_their_time() {
        let mut history = History::new(2);
        assert!(history.is_empty());
        for (words, minute) in [("a", 0), ("b", 61), ("c", 1441)] {
            say(&mut history, words, minute * 60);
        }
        assert_eq!(
            kept(&history, 9),
            "01:01 <guest1> b\r\n00:01 <guest1> c\r\n"
        );
        assert_eq!(kept(&history, 1), "00:01 <guest1> c\r\n");
        let mut out = Vec::new();
        history.show(9, 0, |author| author == unwanted(), &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut history = History::new(1000);
        let long = "x".repeat(4000);
        for _ in 0..100 {
            say(&mut history, &long, 0);
            assert!(history.bytes.len() <= BYTES_MAX);
            assert_eq!(
                history.bytes.len(),
                history.lines.iter().map(|line| line.length).sum()
            );
        }
    }

    #[test]
    fn nothing_is_kept_where_nothing_is_wanted() {
        let mut history = History::new(0);
        say(&mut history, "a", 0);
        assert!(history.is_empty());
    }
}
