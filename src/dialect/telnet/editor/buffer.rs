//! The line being written and the place in it.
//!
//! Knows nothing of keys or of what is on screen. The text grows and shrinks in `splice` alone.
//!
//! Invariant: the cursor lies on a character of the text or at its end.
//! Invariant: no character of the text is forbidden to reach others.
//! Invariant: at most `CHARACTERS_MAX` characters and `bytes_max` bytes.

use std::ops::Range;

use crate::dialect::telnet::{cluster, steps};
use crate::hygiene::is_forbidden;

pub(crate) const CHARACTERS_MAX: usize = 2_000;

/// At most this many characters are one word, so that a key never looks further.
const WORD_CHARACTERS_MAX: usize = 100;

/// A line with a cursor.
#[derive(Debug)]
pub(super) struct Buffer {
    text: String,
    cursor: usize,
    /// Counted along, so that a paste is not counted anew with each of its characters.
    characters: usize,
    bytes_max: usize,
}

impl Buffer {
    pub(super) fn new(bytes_max: usize) -> Self {
        Buffer {
            text: String::new(),
            cursor: 0,
            characters: 0,
            bytes_max,
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn characters(&self) -> usize {
        self.characters
    }

    /// What it holds of memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.text.capacity()
    }

    /// In bytes.
    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.cursor == self.text.len()
    }

    pub(super) fn before_cursor(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or("")
    }

    /// Puts a character before the cursor, or leaves a forbidden one out; false if it does not fit.
    pub(super) fn insert(&mut self, c: char) -> bool {
        steps::count();
        is_forbidden(c) || self.splice(self.cursor..self.cursor, c.encode_utf8(&mut [0; 4]))
    }

    /// Puts the text in the place of the range and the cursor behind it; what is forbidden is left out.
    /// Changes nothing and returns false if it does not fit.
    pub(super) fn replace(&mut self, range: Range<usize>, with: &str) -> bool {
        let clean: String = with.chars().filter(|&c| !is_forbidden(c)).collect();
        self.splice(range, &clean)
    }

    /// Puts a line, which was in a buffer with the same bounds and had this many characters, in the place of this one,
    /// and the cursor behind it.
    pub(super) fn put(&mut self, text: &str, characters: usize) {
        text.clone_into(&mut self.text);
        self.characters = characters;
        self.cursor = self.text.len();
    }

    /// Takes the text out and leaves an empty line.
    pub(super) fn take(&mut self) -> String {
        self.cursor = 0;
        self.characters = 0;
        std::mem::take(&mut self.text)
    }

    /// Moves the cursor; false if it stood there already.
    pub(super) fn move_to(&mut self, cursor: usize) -> bool {
        let moves = cursor != self.cursor && self.text.is_char_boundary(cursor);
        if moves {
            self.cursor = cursor;
        }
        moves
    }

    /// Removes what lies between the cursor and `other`, on either side of it; false if there is nothing.
    pub(super) fn remove_to(&mut self, other: usize) -> bool {
        other != self.cursor && self.splice(self.cursor.min(other)..self.cursor.max(other), "")
    }

    /// Where the cluster before the cursor starts.
    pub(super) fn previous(&self) -> usize {
        cluster::previous(&self.text, self.cursor)
    }

    /// Where the cluster behind the cursor ends.
    pub(super) fn next(&self) -> usize {
        cluster::next(&self.text, self.cursor)
    }

    /// Where the characters without a space between them, up to the cursor, begin.
    pub(super) fn word_start(&self) -> usize {
        let before = self.before_cursor();
        self.cursor - length(before.chars().rev(), |_| false)
    }

    /// Where the last word before the cursor begins, spaces behind it left aside.
    pub(super) fn last_word_start(&self) -> usize {
        let before = self.before_cursor();
        self.cursor - length(before.chars().rev(), char::is_whitespace)
    }

    /// Where the next word behind the cursor ends, spaces before it left aside.
    pub(super) fn next_word_end(&self) -> usize {
        let behind = self.text.get(self.cursor..).unwrap_or("");
        self.cursor + length(behind.chars(), char::is_whitespace)
    }

    fn splice(&mut self, range: Range<usize>, with: &str) -> bool {
        let Some(replaced) = self.text.get(range.clone()) else {
            return false;
        };
        let characters = self.characters - replaced.chars().count() + with.chars().count();
        let bytes = self.text.len() - replaced.len() + with.len();
        if characters > CHARACTERS_MAX || bytes > self.bytes_max {
            return false;
        }
        self.cursor = range.start + with.len();
        self.text.replace_range(range, with);
        self.characters = characters;
        true
    }
}

/// How many bytes those at the front that are to be skipped have, and the characters behind them up to a space.
fn length(chars: impl Iterator<Item = char>, is_skipped: fn(char) -> bool) -> usize {
    let mut is_in_word = false;
    chars
        .take(WORD_CHARACTERS_MAX)
        .inspect(|_| steps::count())
        .take_while(|&c| {
            is_in_word |= !is_skipped(c);
            !is_in_word || !c.is_whitespace()
        })
        .map(char::len_utf8)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Buffer {
        let mut buffer = Buffer::new(4_096);
        assert!(text.chars().all(|c| buffer.insert(c)));
        buffer
    }

    #[test]
    fn both_bounds_hold_and_leave_whole_characters() {
        let mut buffer = Buffer::new(7);
        assert!(buffer.insert('你') && buffer.insert('好'));
        assert!(!buffer.insert('你'));
        assert!(buffer.insert('a'));
        assert!(!buffer.insert('b'));
        assert_eq!(buffer.text(), "你好a");

        let mut buffer = Buffer::new(9_000);
        assert_eq!(
            (0..3_000).filter(|_| buffer.insert('é')).count(),
            CHARACTERS_MAX
        );
        assert!(buffer.remove_to(buffer.previous()));
        assert!(buffer.insert('x') && !buffer.insert('y'));
    }

    #[test]
    fn a_replacement_that_does_not_fit_changes_nothing() {
        let mut buffer = Buffer::new(6);
        assert!(buffer.replace(0..0, "hi an"));
        assert!(!buffer.replace(3..5, "anna "));
        assert_eq!((buffer.text(), buffer.cursor()), ("hi an", 5));
    }

    #[test]
    fn what_is_forbidden_stays_outside() {
        let mut buffer = written("");
        for c in [
            '\x1b',
            '\u{9b}',
            '\u{202e}',
            '\u{200b}',
            '\u{feff}',
            '\u{e000}',
            '\u{fffe}',
            '\u{1ffff}',
            '\u{e0041}',
            '\u{10fffd}',
        ] {
            assert!(buffer.insert(c), "left out, not refused");
        }
        assert_eq!(buffer.text(), "");
        assert!(buffer.replace(0..0, "a\u{202e}b"));
        assert_eq!(buffer.text(), "ab");
        let kept = "a你\u{200c}\u{200d}\u{fe0f}\u{fffd}\u{301}🇩";
        assert_eq!(written(kept).text(), kept);
    }

    #[test]
    fn words_begin_behind_spaces() {
        let buffer = written("one 二  ");
        assert_eq!(buffer.word_start(), buffer.text().len());
        assert_eq!(buffer.last_word_start(), 4);
        assert_eq!(written("").last_word_start(), 0);
        let mut buffer = written("one  二 three");
        buffer.move_to(3);
        assert_eq!(buffer.next_word_end(), 8);
        let long = written(&"x".repeat(1_000));
        assert_eq!(long.last_word_start(), 900, "a hundred at a time");
    }
}
