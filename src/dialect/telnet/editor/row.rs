//! The one row of the screen that shows the line being written.
//!
//! ```text
//! > and here the li|ne goes on beyond the wind
//!   ^ start        ^ cursor                   ^ the last column stays empty
//! ```
//!
//! Knows where in the line the row begins to show it; neither what the keys are nor whether the row is on screen.
//! The cursor is put in its place by saving and restoring it (ESC 7, ESC 8), so that it is right even where a
//! terminal has other ideas of a character's width.
//!
//! Invariant: nothing is ever drawn into the last column, so that no terminal wraps.
//! Invariant: `start` lies at the start of a cluster, at or before the cursor, once the row is drawn.

use crate::dialect::telnet::cluster::{self, Clusters};

const PROMPT: &str = "> ";
/// A longer prompt takes at most this part of the window.
const PROMPT_PART: usize = 3;
const COLUMNS_DEFAULT: usize = 80;

/// From the start of the row to the end of the screen: a window that shrank may have wrapped the row.
const ERASE: &[u8] = b"\r\x1b[J";
const CLEAR_SCREEN: &[u8] = b"\x1b[H\x1b[2J";
const ERASE_TO_END_OF_ROW: &[u8] = b"\x1b[K";
const SAVE_CURSOR: &[u8] = b"\x1b7";
const RESTORE_CURSOR: &[u8] = b"\x1b8";

/// Whether a window may be this many columns wide: a client that tells anything else does not know.
pub(crate) fn is_sensible(columns: u16) -> bool {
    (8..=1000).contains(&columns)
}

/// A view of a line, scrolled sideways.
#[derive(Debug)]
pub(super) struct Row {
    /// What stands before [`PROMPT`], if there is room for it.
    prompt: Box<str>,
    /// Of the window.
    columns: usize,
    /// The first byte of the line that is shown.
    start: usize,
    /// How many columns lie between `start` and the cursor, kept so that typing at the end need not count them.
    used: usize,
}

impl Row {
    pub(super) fn new() -> Self {
        Row {
            prompt: "".into(),
            columns: COLUMNS_DEFAULT,
            start: 0,
            used: 0,
        }
    }

    /// Follows the window; false if nothing changes. A width that makes no sense counts as 80.
    pub(super) fn resize(&mut self, columns: u16) -> bool {
        let columns = if is_sensible(columns) {
            columns.into()
        } else {
            COLUMNS_DEFAULT
        };
        let is_changed = std::mem::replace(&mut self.columns, columns) != columns;
        if is_changed {
            // A wider window should not go on showing the little that a narrow one did.
            self.rewind();
        }
        is_changed
    }

    /// Lets the row begin with this.
    pub(super) fn set_prompt(&mut self, word: &str) {
        self.prompt = word.into();
        self.rewind();
    }

    /// What the row begins with, and how many columns that takes.
    fn prompt(&self) -> (&str, usize) {
        let columns = cluster::columns(&self.prompt, 0, self.prompt.len());
        if columns > self.columns / PROMPT_PART {
            return ("", PROMPT.len());
        }
        (&self.prompt, columns + PROMPT.len())
    }

    /// To be called when another line takes the place of the one shown.
    pub(super) fn rewind(&mut self) {
        self.start = 0;
    }

    pub(super) fn erase(out: &mut Vec<u8>) {
        out.extend_from_slice(ERASE);
    }

    pub(super) fn clear_screen(out: &mut Vec<u8>) {
        out.extend_from_slice(CLEAR_SCREEN);
    }

    /// Draws the row over whatever stands in it.
    pub(super) fn draw(&mut self, text: &str, cursor: usize, out: &mut Vec<u8>) {
        self.scroll(text, cursor);
        let right_end = fitting(text, cursor, self.room() - self.used);
        out.push(b'\r');
        out.extend_from_slice(self.prompt().0.as_bytes());
        out.extend_from_slice(PROMPT.as_bytes());
        out.extend_from_slice(text.get(self.start..cursor).unwrap_or("").as_bytes());
        if right_end == cursor {
            out.extend_from_slice(ERASE_TO_END_OF_ROW);
        } else {
            out.extend_from_slice(SAVE_CURSOR);
            out.extend_from_slice(text.get(cursor..right_end).unwrap_or("").as_bytes());
            out.extend_from_slice(ERASE_TO_END_OF_ROW);
            out.extend_from_slice(RESTORE_CURSOR);
        }
    }

    /// Draws only what was typed at the end of the line, from the byte `from` on; false if it does not fit.
    pub(super) fn echo(&mut self, text: &str, from: usize, out: &mut Vec<u8>) -> bool {
        let used = self.used + cluster::columns(text, from, text.len());
        let fits = used <= self.room();
        if fits {
            self.used = used;
            out.extend_from_slice(text.get(from..).unwrap_or("").as_bytes());
        }
        fits
    }

    /// For the line and the cursor: all but the prompt and the last column.
    fn room(&self) -> usize {
        self.columns - 1 - self.prompt().1
    }

    /// Brings the cursor into the row, by a jump of some width where it has left it, so that not every key scrolls.
    fn scroll(&mut self, text: &str, cursor: usize) {
        if self.start > 0 && fitting(text, 0, self.room()) == text.len() {
            self.start = 0;
        }
        // At the left edge one could not see what Backspace would take.
        let is_left_of_row = self.start > 0 && cursor <= self.start;
        // Keys of one packet may have changed what stands before the row without being drawn one by one.
        let is_in_cluster = self.start > 0 && !cluster::is_boundary(text, self.start);
        self.used = cluster::columns(text, self.start, cursor);
        if is_left_of_row || is_in_cluster || self.used > self.room() {
            self.place_cursor(text, cursor);
        }
    }

    /// Begins the row so that the cursor stands two thirds into it, or before.
    fn place_cursor(&mut self, text: &str, cursor: usize) {
        (self.start, self.used) = (cursor, 0);
        let ends = Clusters::new(text, 0, cluster::char_columns).map(|(end, _)| end);
        let starts = std::iter::once(0).chain(ends);
        let starts: Vec<usize> = starts.take_while(|&start| start < cursor).collect();
        for previous in starts.into_iter().rev() {
            let used = self.used + cluster::columns(text, previous, self.start);
            // One cluster should be seen if the row can hold it at all.
            let limit = if self.used == 0 {
                self.room()
            } else {
                self.room() * 2 / 3
            };
            if used > limit {
                break;
            }
            (self.start, self.used) = (previous, used);
        }
    }
}

/// The end of as many clusters from the byte `from` on as fit into the room.
fn fitting(text: &str, from: usize, room: usize) -> usize {
    let mut used = 0;
    Clusters::new(text, from, cluster::char_columns)
        .take_while(|(_, columns)| {
            used += columns;
            used <= room
        })
        .last()
        .map_or(from, |(end, _)| end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(row: &mut Row, text: &str, cursor: usize) -> String {
        let mut out = Vec::new();
        row.draw(text, cursor, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn narrow(columns: u16) -> Row {
        let mut row = Row::new();
        row.resize(columns);
        row
    }

    #[test]
    fn a_width_that_makes_no_sense_counts_as_80() {
        let mut row = Row::new();
        for (told, kept) in [
            (8, 8),
            (7, 80),
            (1000, 1000),
            (1001, 80),
            (0, 80),
            (u16::MAX, 80),
        ] {
            row.resize(told);
            assert_eq!(row.columns, kept, "{told}");
        }
        assert!(!row.resize(80) && row.resize(81) && !row.resize(81));
    }

    #[test]
    fn the_cursor_is_saved_only_before_text() {
        let mut row = Row::new();
        assert_eq!(drawn(&mut row, "", 0), "\r> \x1b[K");
        assert_eq!(drawn(&mut row, "abc", 3), "\r> abc\x1b[K");
        assert_eq!(drawn(&mut row, "abc", 1), "\r> a\x1b7bc\x1b[K\x1b8");
    }

    #[test]
    fn the_last_column_stays_empty() {
        let mut row = narrow(8);
        assert_eq!(drawn(&mut row, "12345", 5), "\r> 12345\x1b[K");
        assert_eq!(drawn(&mut row, "123456", 0), "\r> \x1b712345\x1b[K\x1b8");
        assert_eq!(drawn(&mut row, "你好吗", 0), "\r> \x1b7你好\x1b[K\x1b8");
        assert_eq!(
            drawn(&mut row, "123456", 6),
            "\r> 456\x1b[K",
            "jumps, and not by one"
        );
        assert_eq!(
            drawn(&mut row, "12345", 5),
            "\r> 12345\x1b[K",
            "comes back when all fits"
        );
    }

    #[test]
    fn what_changed_before_the_row_does_not_cut_a_character() {
        let mut row = narrow(10);
        let text = "一二三四五六";
        assert_eq!(drawn(&mut row, text, text.len()), "\r> 五六\x1b[K");
        // Home, x, End.
        let text = "x一二三四五六";
        assert_eq!(drawn(&mut row, text, text.len()), "\r> 五六\x1b[K");
        assert_eq!(drawn(&mut row, "12", 2), "\r> 12\x1b[K");
    }

    #[test]
    fn a_cluster_wider_than_the_row_is_left_out() {
        let family = "👩‍👩‍👧‍👦";
        let mut row = narrow(8);
        assert_eq!(drawn(&mut row, family, family.len()), "\r> \x1b[K");
        assert_eq!(drawn(&mut row, family, 0), "\r> \x1b[K");
        assert_eq!(drawn(&mut row, "👍🏽👍🏽", 16), "\r> 👍🏽\x1b[K");
    }

    #[test]
    fn echo_ends_where_the_row_does() {
        let mut row = narrow(8);
        let _ = drawn(&mut row, "123", 3);
        let mut out = Vec::new();
        assert!(row.echo("1234", 3, &mut out));
        assert!(!row.echo("1234你", 4, &mut out));
        assert!(row.echo("12345", 4, &mut out));
        assert!(!row.echo("123456", 5, &mut out));
        assert_eq!(out, b"45");
    }
}
