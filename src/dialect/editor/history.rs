//! The lines a person has sent, to be called back with Up and Down.
//!
//! Invariant: at most `LINES_MAX` lines and `BYTES_MAX` bytes are kept, the oldest go first.

use std::collections::VecDeque;

const LINES_MAX: usize = 50;
/// Enough for 50 lines of the usual length, or two of the longest.
const BYTES_MAX: usize = 16 * 1024;

/// The lines, oldest first, and the place in them.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: VecDeque<String>,
    bytes: usize,
    /// The line being shown; `None` while the person is at the line being written.
    place: Option<usize>,
    /// The line being written, while an older one is shown.
    draft: String,
}

impl History {
    /// Adds a line that was sent, unless it is empty or the same as the last, and goes back to the end.
    pub(super) fn push(&mut self, line: &str) {
        self.forget_place();
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line.to_owned());
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= oldest.len();
        }
    }

    /// What is kept, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.draft.len()
    }

    /// Goes back to the end, where another line is begun.
    pub(super) fn forget_place(&mut self) {
        self.place = None;
    }

    /// The line before the one shown; `written` is what stands in the row, kept if it is the line being written.
    pub(super) fn older(&mut self, written: &str) -> Option<&str> {
        let place = match self.place {
            None => self.lines.len().checked_sub(1)?,
            Some(place) => place.checked_sub(1)?,
        };
        if self.place.is_none() {
            written.clone_into(&mut self.draft);
        }
        self.place = Some(place);
        self.lines.get(place).map(String::as_str)
    }

    /// The line after the one shown: at the end, the one being written.
    pub(super) fn newer(&mut self) -> Option<&str> {
        let place = self.place? + 1;
        if let Some(line) = self.lines.get(place) {
            self.place = Some(place);
            return Some(line);
        }
        self.place = None;
        Some(&self.draft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_being_written_waits_at_the_end() {
        let mut history = History::default();
        assert_eq!(history.older("draft"), None);
        assert_eq!(history.newer(), None);
        history.push("one");
        history.push("two");
        assert_eq!(history.older("draft"), Some("two"));
        assert_eq!(history.older("two, changed"), Some("one"));
        assert_eq!(history.older("one"), None);
        assert_eq!(history.newer(), Some("two"));
        assert_eq!(history.newer(), Some("draft"));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn empty_and_repeated_lines_are_not_kept() {
        let mut history = History::default();
        for line in ["one", "one", "", "  ", "two", "one"] {
            history.push(line);
        }
        assert_eq!(history.lines, ["one", "two", "one"]);
    }

    #[test]
    fn lines_and_bytes_are_bounded() {
        let mut history = History::default();
        for number in 0..60 {
            history.push(&number.to_string());
        }
        assert_eq!(history.lines.len(), LINES_MAX);
        assert_eq!(history.older(""), Some("59"));
        for letter in ["a", "b", "c"] {
            history.push(&letter.repeat(8_000));
        }
        assert_eq!(history.lines.len(), 2);
        assert_eq!(history.bytes, 16_000);
        assert!(history.bytes <= BYTES_MAX);
    }
}
