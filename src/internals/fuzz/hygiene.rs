//! What may reach others, told slowly: one pass over all characters for each rule.

use unicode_normalization::char::canonical_combining_class;
use unicode_normalization::UnicodeNormalization;
use unicode_width::UnicodeWidthChar;

/// What stands in the way of a line: nothing, or something that was taken out of it.
pub(super) struct Clean {
    pub(super) text: String,
    pub(super) altered: bool,
    /// Some bytes were not UTF-8.
    pub(super) unreadable: bool,
}

pub(super) fn clean(line: &[u8]) -> Clean {
    let (decoded, unreadable) = decoded(line);
    let without_sequences = without_sequences(&decoded);
    let mut altered = without_sequences.len() < decoded.len();

    let spaced = without_sequences
        .into_iter()
        .map(|c| if separates(c) { ' ' } else { c });
    let (forbidden, allowed): (Vec<char>, Vec<char>) = spaced.partition(|&c| is_forbidden(c));
    altered |= !forbidden.is_empty();

    let composed: Vec<char> = allowed.into_iter().nfc().collect();
    let mut kept: Vec<char> = Vec::new();
    for c in composed {
        if shows_nothing(c) && blank_columns(&kept) + c.width().unwrap_or(0) > 16 {
            continue;
        }
        if piles_up(c) && kept.iter().rev().take_while(|c| piles_up(**c)).count() == 4 {
            altered = true;
            continue;
        }
        kept.push(c);
    }

    let mut text: String = kept.into_iter().collect();
    text.truncate(text.trim_end().len());
    if text.chars().all(shows_nothing) {
        altered |= !text.trim().is_empty();
        text.clear();
    }
    Clean {
        text,
        altered,
        unreadable,
    }
}

/// The characters, and whether there were bytes that are none: such a run is one U+FFFD.
fn decoded(line: &[u8]) -> (Vec<char>, bool) {
    let (mut characters, mut in_run, mut unreadable) = (Vec::new(), false, false);
    let mut at = 0;
    while at < line.len() {
        let end = (at + 1..=line.len().min(at + 4))
            .find(|end| std::str::from_utf8(&line[at..*end]).is_ok());
        if let Some(end) = end {
            characters.extend(String::from_utf8_lossy(&line[at..end]).chars());
            in_run = false;
            at = end;
        } else {
            if !in_run {
                characters.push('\u{fffd}');
            }
            (in_run, unreadable) = (true, true);
            at += 1;
        }
    }
    (characters, unreadable)
}

/// What stands between lines, pages and fields.
fn separates(c: char) -> bool {
    let code = u32::from(c);
    (0x9..=0xd).contains(&code)
        || (0x1c..=0x1f).contains(&code)
        || [0x85, 0x2028, 0x2029].contains(&code)
}

/// How wide the blanks are with which the text ends.
fn blank_columns(text: &[char]) -> usize {
    let blanks = text.iter().rev().take_while(|c| shows_nothing(**c));
    blanks.map(|c| c.width().unwrap_or(0)).sum()
}

fn piles_up(c: char) -> bool {
    c.width() == Some(0) || canonical_combining_class(c) != 0
}

/// Leaves escape sequences out: at each place, as many characters as the sequence that begins there has.
fn without_sequences(line: &[char]) -> Vec<char> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < line.len() {
        match sequence_length(&line[at..]) {
            0 => {
                kept.push(line[at]);
                at += 1;
            }
            length => at += length,
        }
    }
    kept
}

/// How long the sequence is that the text begins with; 0 if it begins with none.
fn sequence_length(text: &[char]) -> usize {
    let second = |at: usize| text[at..].iter().find(|c| !is_passed_over(**c)).copied();
    match text[0] {
        '\u{1b}' => match second(1) {
            Some('[') => control_length(text, 1),
            Some(']' | 'P' | 'X' | '^' | '_') => string_length(text, 1),
            Some('O') => key_length(text, 1),
            _ => until(
                text,
                1,
                |c| matches!(c, ' '..='/'),
                |c| matches!(c, '0'..='~'),
            ),
        },
        '\u{8f}' => until(text, 1, |_| false, |c| matches!(c, ' '..='~')),
        '\u{9b}' => parameters_length(text, 1),
        '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => string_rest(text, 1),
        _ => 0,
    }
}

fn behind(text: &[char], from: usize) -> usize {
    let passed = text[from..].iter().take_while(|c| is_passed_over(**c));
    from + passed.count() + 1
}

fn control_length(text: &[char], from: usize) -> usize {
    parameters_length(text, behind(text, from))
}

fn key_length(text: &[char], from: usize) -> usize {
    until(
        text,
        behind(text, from),
        |_| false,
        |c| matches!(c, ' '..='~'),
    )
}

fn string_length(text: &[char], from: usize) -> usize {
    string_rest(text, behind(text, from))
}

/// Behind `ESC [`. A second `[` is what the Linux console sends for its function keys.
fn parameters_length(text: &[char], from: usize) -> usize {
    let first = text[from..].iter().find(|c| !is_passed_over(**c));
    if first == Some(&'[') {
        return key_length(text, from);
    }
    until(
        text,
        from,
        |c| matches!(c, ' '..='?'),
        |c| matches!(c, '@'..='~'),
    )
}

/// Up to and with the last character of a sequence, or to where it is broken off.
fn until(
    text: &[char],
    from: usize,
    goes_on: impl Fn(char) -> bool,
    ends: impl Fn(char) -> bool,
) -> usize {
    for (at, &c) in text.iter().enumerate().skip(from) {
        if breaks_off(c) || ends(c) {
            return if begins(c) { at } else { at + 1 };
        }
        if !goes_on(c) && !is_passed_over(c) {
            return at;
        }
    }
    text.len()
}

/// Up to and with the end of a control string.
fn string_rest(text: &[char], from: usize) -> usize {
    for (at, &c) in text.iter().enumerate().skip(from) {
        if begins(c) {
            return at;
        }
        if breaks_off(c) || matches!(c, '\u{7}' | '\u{9c}') {
            return at + 1;
        }
    }
    text.len()
}

/// Another sequence begins, whatever this one was.
fn begins(c: char) -> bool {
    matches!(
        c,
        '\u{1b}' | '\u{8f}' | '\u{90}' | '\u{98}' | '\u{9b}' | '\u{9d}'..='\u{9f}'
    )
}

fn breaks_off(c: char) -> bool {
    begins(c) || matches!(c, '\u{18}' | '\u{1a}')
}

/// A control character amid a sequence, which goes on behind it.
fn is_passed_over(c: char) -> bool {
    c.is_control() && !breaks_off(c)
}

/// Controls, what turns the direction of writing, what cannot be seen by its nature, private use, and no characters.
pub(super) fn is_forbidden(c: char) -> bool {
    let code = u32::from(c);
    let invisible = [
        0xad..=0xad,
        0x34f..=0x34f,
        0x61c..=0x61c,
        0x115f..=0x1160,
        0x17b4..=0x17b5,
        0x180b..=0x180f,
        0x200b..=0x200b,
        0x200e..=0x200f,
        0x2028..=0x202e,
        0x2060..=0x206f,
        0x3164..=0x3164,
        0xfeff..=0xfeff,
        0xffa0..=0xffa0,
        0xfff0..=0xfffb,
        0x1_3430..=0x1_3442,
        0x1_3447..=0x1_3455,
        0x1_bca0..=0x1_bca3,
        0x1_d173..=0x1_d17a,
        0xe_0000..=0xe_0fff,
    ];
    let private = [0xe000..=0xf8ff, 0xf_0000..=0x10_ffff];
    let no_character = (0xfdd0..=0xfdef).contains(&code) || code % 0x1_0000 >= 0xfffe;
    c.is_control()
        || no_character
        || invisible
            .iter()
            .chain(&private)
            .any(|range| range.contains(&code))
}

pub(super) fn shows_nothing(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{200c}' | '\u{200d}' | '\u{2800}' | '\u{2d7f}' | '\u{fe00}'..='\u{fe0f}'
        )
        || matches!(c, '\u{1107f}' | '\u{16fe4}' | '\u{1bc9d}' | '\u{1d159}')
}
