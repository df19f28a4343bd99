//! Lines folded to the width of a window, so that no row of the screen that somebody typed begins like a line of the
//! server.
//!
//! A terminal that wraps a long line begins a row wherever its last column is. A talker who knows the width of another
//! person's window could begin that row with `<bob> `. So lines are cut here before a terminal would, at words, and
//! every row but the first of a line is indented. Widths are the widest that any terminal gives a character.
//!
//! Invariant: no row reaches into the last column, so that no terminal wraps; in windows of 8 columns and more.

use memchr::memrchr;
use unicode_width::UnicodeWidthChar;

use super::cluster::{char_columns_max, Clusters};

const LINE_END: &str = "\r\n";
const INDENT: &str = "  ";

/// Folds the lines that `out` has from `begin` on.
pub(super) fn fold(out: &mut Vec<u8>, begin: usize, columns: u16) {
    let room = usize::from(columns).saturating_sub(1);
    let added = out.get(begin..).unwrap_or(&[]);
    // No character takes more columns than it has bytes.
    let fits = |line: &[u8]| line.len() <= room + LINE_END.len();
    if added.split_inclusive(|byte| *byte == b'\n').all(fits) {
        return;
    }
    let Ok(text) = std::str::from_utf8(added) else {
        return;
    };
    let mut folded = String::with_capacity(text.len() + text.len() / 8);
    for line in text.split_inclusive('\n') {
        if fits(line.as_bytes()) {
            folded.push_str(line);
        } else {
            fold_line(line.trim_end_matches(['\r', '\n']), room, &mut folded);
        }
    }
    out.truncate(begin);
    out.extend_from_slice(folded.as_bytes());
}

/// Adds a line of any length in rows.
fn fold_line(line: &str, room: usize, out: &mut String) {
    let indented = room.saturating_sub(INDENT.len());
    let (row, mut rest) = split_row(line, room, indented);
    out.push_str(row);
    out.push_str(LINE_END);
    while !rest.is_empty() {
        let (row, behind) = split_row(rest, indented, indented);
        out.push_str(INDENT);
        out.push_str(row);
        out.push_str(LINE_END);
        rest = behind;
    }
}

/// Splits off as much as goes into `room` columns, up to the end of a word; what goes on behind it has `room_behind`.
/// Blanks where it is split are left out.
fn split_row(line: &str, room: usize, room_behind: usize) -> (&str, &str) {
    split_ascii(line, room, room_behind).unwrap_or_else(|| split_any(line, room, room_behind))
}

fn split_any(line: &str, room: usize, room_behind: usize) -> (&str, &str) {
    let (mut at, mut used) = (0, 0);
    // Where the last cluster that is no blank ends, and the last place where the line may be split.
    let (mut row_end, mut split) = (0, None);
    for (end, columns) in Clusters::new(line, 0, char_columns_max) {
        let cluster = &line[at..end];
        used += columns;
        if !is_blank(cluster) {
            if row_end > 0 && may_split(&line[..at], cluster) {
                split = Some((row_end, at));
            }
            if used > room {
                let (row_end, behind) = split
                    .filter(|(_, word)| is_word_within(&line[*word..], room_behind))
                    .unwrap_or_else(|| match at {
                        0 => split_cluster(cluster, room),
                        at => (row_end, at),
                    });
                return (&line[..row_end], &line[behind..]);
            }
            row_end = end;
        }
        at = end;
    }
    // Blanks at the end may be too many.
    let end = if used > room { row_end } else { line.len() };
    (&line[..end], "")
}

/// The same for a line whose first row is ASCII, where a byte is a column.
fn split_ascii(line: &str, room: usize, room_behind: usize) -> Option<(&str, &str)> {
    if line.len() <= room {
        return line.is_ascii().then_some((line, ""));
    }
    let bytes = line.as_bytes();
    let row = bytes.get(..room)?;
    if !row.is_ascii() || !bytes.get(room)?.is_ascii_graphic() {
        return None;
    }
    let word = memrchr(b' ', row).map_or(0, |blank| blank + 1);
    let before = line[..word].trim_end_matches(' ');
    if !before.is_empty() && is_word_within(&line[word..], room_behind) {
        return Some((before, &line[word..]));
    }
    Some((line[..room].trim_end_matches(' '), &line[room..]))
}

/// Splits a cluster that is wider than a whole row; where its first part ends, and the second one begins.
fn split_cluster(cluster: &str, room: usize) -> (usize, usize) {
    let mut used = 0;
    let mut ends = cluster.char_indices().skip_while(|(_, c)| {
        used += char_columns_max(None, *c);
        used <= room
    });
    let end = ends.next().map_or(cluster.len(), |(end, _)| end);
    // At least one character goes on each row.
    let first = cluster.chars().next().map_or(0, char::len_utf8);
    (end.max(first), end.max(first))
}

/// Whether the word at the front goes into this many columns.
fn is_word_within(text: &str, room: usize) -> bool {
    let (mut at, mut used) = (0, 0);
    for (end, columns) in Clusters::new(text, 0, char_columns_max) {
        let cluster = &text[at..end];
        if is_blank(cluster) || at > 0 && may_split(&text[..at], cluster) {
            return true;
        }
        used += columns;
        if used > room {
            return false;
        }
        at = end;
    }
    true
}

fn is_blank(cluster: &str) -> bool {
    cluster.chars().all(char::is_whitespace)
}

/// Whether a row may end before a cluster that is no blank: behind a blank, and beside wide characters, which are
/// written without blanks, unless that takes a sign from what it belongs to.
fn may_split(before: &str, cluster: &str) -> bool {
    let (Some(left), Some(right)) = (before.chars().next_back(), cluster.chars().next()) else {
        return false;
    };
    if left.is_whitespace() {
        return true;
    }
    let is_wide = |c: char| !c.is_ascii() && c.width() == Some(2);
    (is_wide(left) || is_wide(right)) && !closes(right) && !opens(left)
}

fn closes(c: char) -> bool {
    "、。，．：；？！）］｝」』】〉》〕…—”’".contains(c) || c.is_ascii_punctuation()
}

fn opens(c: char) -> bool {
    "（［｛「『【〈《〔“‘".contains(c) || "([{<".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn folded(text: &str, columns: u16) -> String {
        let mut out = b"before ".to_vec();
        out.extend_from_slice(text.as_bytes());
        fold(&mut out, 7, columns);
        let out = String::from_utf8(out).unwrap();
        out.strip_prefix("before ").unwrap().to_owned()
    }

    #[track_caller]
    fn assert_folded(columns: u16, line: &str, rows: &[&str]) {
        let text = folded(&format!("{line}\r\n"), columns);
        let text = text.strip_suffix("\r\n").unwrap();
        assert_eq!(text.split("\r\n").collect::<Vec<_>>(), rows);
    }

    #[test]
    fn lines_are_folded_at_words_and_indented() {
        assert_folded(20, "<ann> hello", &["<ann> hello"]);
        assert_folded(20, "<ann> 9 12 15 18 1", &["<ann> 9 12 15 18 1"]);
        assert_folded(20, "<ann> 9 12 15 18 21", &["<ann> 9 12 15 18 21"]);
        assert_folded(20, "<ann> 9 12 15 18 212", &["<ann> 9 12 15 18", "  212"]);
        assert_folded(
            20,
            "<ann> the quick brown fox jumps over the lazy dog",
            &[
                "<ann> the quick",
                "  brown fox jumps",
                "  over the lazy dog",
            ],
        );
    }

    #[test]
    fn f130_no_row_begins_with_what_somebody_typed() {
        for blanks in 0..100 {
            let line = format!("<eve> {}<bob> I resign", " ".repeat(blanks));
            for row in folded(&format!("{line}\r\n"), 80).lines().skip(1) {
                assert!(row.starts_with("  "), "{row:?}");
            }
        }
        assert_folded(
            40,
            &format!("<eve> {}<bob> I resign", "x".repeat(33)),
            &[&format!("<eve> {}", "x".repeat(33)), "  <bob> I resign"],
        );
    }

    #[test]
    fn words_longer_than_a_row_are_cut_at_clusters() {
        assert_folded(
            12,
            "<a> 012345678901234567",
            &["<a> 0123456", "  789012345", "  67"],
        );
        assert_folded(10, "<a> see https://x", &["<a> see h", "  ttps://", "  x"]);
        assert_folded(10, "<a> see you all", &["<a> see", "  you all"]);
        let family = "👩‍👩‍👧";
        assert_folded(10, &format!("<a>{family}"), &["<a>👩‍👩‍👧"]);
        assert_folded(9, &format!("<a>{family}"), &["<a>", "  👩‍👩‍👧"]);
        assert_folded(8, "<a> 👩‍👩‍👧", &["<a>", "  👩‍👩‍", "  👧"]);
    }

    #[test]
    fn wide_characters_need_no_blanks_and_ambiguous_ones_count_as_wide() {
        assert_folded(
            20,
            "<罗> 第二条消息：这一条也比窗口宽。",
            &["<罗> 第二条消息：这", "  一条也比窗口宽。"],
        );
        assert_folded(13, "<罗> 一二三。", &["<罗> 一二", "  三。"]);
        assert_folded(12, "<a> где мы", &["<a> где", "  мы"]);
    }

    #[test]
    fn several_lines_and_a_bell_stay_what_they_are() {
        let text = folded("-- one\r\n[ann] two three four\x07\r\n-- five\r\n", 12);
        assert_eq!(
            text,
            "-- one\r\n[ann] two\r\n  three\r\n  four\x07\r\n-- five\r\n"
        );
    }

    proptest! {
        #[test]
        fn rows_are_within_the_window_and_lose_nothing_but_blanks(
            line in "[a-z 。（“é你👍\u{301}\u{200d}\u{fe0f}\u{3000}🇩я]{0,200}",
            columns in 8_u16..100,
        ) {
            let line = format!("<{line}");
            let text = folded(&format!("{line}\r\n"), columns);
            let dense = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(dense(&text), dense(&line));
            for (number, row) in text.lines().enumerate() {
                prop_assert!(row.width().max(row.width_cjk()) < usize::from(columns), "{row:?}");
                prop_assert!(number == 0 || row.starts_with(INDENT) && row.len() > INDENT.len());
            }
        }

        #[test]
        fn plain_text_is_folded_as_any_other(line in "<[a-z ]{0,100}", room in 3_usize..30) {
            let any = split_any(&line, room, 5);
            prop_assert_eq!(split_row(&line, room, 5), any);
        }
    }
}
