//! The lines a person has sent, or wanted to, to be called back with Up and Down.
//!
//! Invariant: at most `LINES_MAX` lines and `BYTES_MAX` bytes are kept, the oldest go first.

use std::collections::VecDeque;

const LINES_MAX: usize = 50;
/// Enough for 50 lines of the usual length, or two of the longest.
const BYTES_MAX: usize = 16 * 1024;

/// A line, and how many bytes of it were not taken because they did not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) text: String,
    /// How many characters the text has.
    pub(super) characters: usize,
    pub(super) lost: usize,
}

/// The lines, oldest first, and the place in them.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: VecDeque<Written>,
    bytes: usize,
    /// The line being shown; `None` while the person is at the line being written.
    place: Option<usize>,
    /// The line being written, while an older one is shown.
    draft: Written,
}

impl History {
    /// Adds a line that was sent, unless it is empty or the same as the last, and goes back to the end.
    pub(super) fn push(&mut self, line: &Written) {
        self.forget_place();
        if line.text.trim().is_empty() || self.lines.back() == Some(line) {
            return;
        }
        self.bytes += line.text.len();
        self.lines.push_back(line.clone());
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= oldest.text.len();
        }
    }

    /// What it holds of memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let lines = self.lines.capacity() * size_of::<Written>();
        lines + self.bytes + self.draft.text.capacity()
    }

    /// Goes back to the end, where another line is begun.
    pub(super) fn forget_place(&mut self) {
        self.place = None;
    }

    /// The line before the one shown, which is `shown` and kept if it is the line being written.
    pub(super) fn older(&mut self, shown: impl FnOnce() -> Written) -> Option<&Written> {
        let place = match self.place {
            None => {
                let last = self.lines.len().checked_sub(1)?;
                self.draft = shown();
                last
            }
            Some(place) => place.checked_sub(1)?,
        };
        self.place = Some(place);
        self.lines.get(place)
    }

    /// The line after the one shown: at the end, the one being written.
    pub(super) fn newer(&mut self) -> Option<&Written> {
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

    fn whole(text: &str) -> Written {
        Written {
            text: text.to_owned(),
            characters: text.chars().count(),
            lost: 0,
        }
    }

    #[test]
    fn the_line_being_written_waits_at_the_end() {
        let mut history = History::default();
        let draft = Written {
            lost: 3,
            ..whole("draft")
        };
        assert_eq!(history.older(|| draft.clone()), None);
        assert_eq!(history.newer(), None);
        history.push(&whole("one"));
        history.push(&whole("two"));
        assert_eq!(history.older(|| draft.clone()), Some(&whole("two")));
        assert_eq!(history.older(|| whole("two, changed")), Some(&whole("one")));
        assert_eq!(history.older(|| whole("one")), None);
        assert_eq!(history.newer(), Some(&whole("two")));
        assert_eq!(history.newer(), Some(&draft));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn empty_and_repeated_lines_are_not_kept() {
        let mut history = History::default();
        for line in ["one", "one", "", "  ", "two", "one"] {
            history.push(&whole(line));
        }
        assert_eq!(history.lines, ["one", "two", "one"].map(whole));
    }

    #[test]
    fn lines_and_bytes_are_bounded() {
        let mut history = History::default();
        for number in 0..60 {
            history.push(&whole(&number.to_string()));
        }
        assert_eq!(history.lines.len(), LINES_MAX);
        assert_eq!(history.older(|| whole("")), Some(&whole("59")));
        for letter in ["a", "b", "c"] {
            history.push(&whole(&letter.repeat(8_000)));
        }
        assert_eq!(history.lines.len(), 2);
        assert_eq!(history.bytes, 16_000);
        assert!(history.bytes <= BYTES_MAX);
    }
}
