//! People's lines, in and out: what keys did to a line before its end, and how events read on a terminal.
//!
//! Every line that the server writes begins in a way that nothing anybody types can begin (`<ann> `, `* ann `,
//! `[ann] `, `-- `, `!! `), and ends in CR LF. Names and words come here already clean.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;

use crate::dialect::event::{Event, Reply};
use crate::name::Name;

const NUL: u8 = 0x00;
/// Ctrl-D.
const EOT: u8 = 0x04;
/// Ctrl-H, the backspace key of some terminals.
const BS: u8 = 0x08;
/// Ctrl-U: erase the line.
pub(crate) const NAK: u8 = 0x15;
/// The backspace key of most terminals.
pub(crate) const DEL: u8 = 0x7f;

/// A newcomer is told of at most so many names: the greeting is one line, however many are here.
pub(crate) const GREETING_NAMES_MAX: usize = 20;

/// A line of names is at most so many bytes long.
const WHO_LINE_BYTES_MAX: usize = 1000;

/// Does what Backspace, DEL and Ctrl-U ask for: clients without line editing of their own send them key by key. A NUL
/// is dropped: it is the second half of a line end whose first half came when the server still edited the line.
pub(crate) fn edit(line: &[u8]) -> Cow<'_, [u8]> {
    if !line
        .iter()
        .any(|byte| matches!(*byte, BS | DEL | NAK | NUL))
    {
        return Cow::Borrowed(line);
    }
    let mut edited = Vec::with_capacity(line.len());
    for &byte in line {
        match byte {
            BS | DEL => {
                let is_continuation = |byte: &u8| byte & 0xc0 == 0x80;
                while edited.pop_if(|byte| is_continuation(byte)).is_some() {}
                edited.pop();
            }
            NAK => edited.clear(),
            NUL => {}
            byte => edited.push(byte),
        }
    }
    Cow::Owned(edited)
}

/// Whether an unfinished line is nothing but a Ctrl-D.
pub(crate) fn asks_to_leave(partial: &[u8]) -> bool {
    partial.last() == Some(&EOT) && edit(&partial[..partial.len() - 1]).is_empty()
}

/// Adds what the room hears.
pub(crate) fn encode_event(event: &Event<'_>, out: &mut Vec<u8>) {
    match *event {
        Event::Said { name, words } => named(out, b"<", name, b"> ", words),
        Event::Did { name, words } => named(out, b"* ", name, b" ", words),
        Event::Joined { name, here } => note(out, format_args!("{name} joined ({here} here)")),
        Event::Left {
            name,
            words: "",
            here,
        } => note(out, format_args!("{name} left ({here} here)")),
        Event::Left { name, words, here } => {
            note(out, format_args!("{name} left: {words} ({here} here)"));
        }
        Event::Renamed { from, to } => note(out, format_args!("{from} is now known as {to}")),
        Event::MoreJoined { count, here } => {
            note(out, format_args!("{count} more joined ({here} here)"));
        }
        Event::MoreLeft { count, here } => {
            note(out, format_args!("{count} more left ({here} here)"));
        }
    }
}

/// Adds what one session is told.
pub(crate) fn encode_reply(reply: &Reply<'_>, out: &mut Vec<u8>) {
    match *reply {
        Reply::Welcome(name) => note(
            out,
            format_args!("Welcome to chatd. You are {name}: /name NAME changes that, /help lists the commands."),
        ),
        Reply::YouAre(name) => note(out, format_args!("you are {name}")),
        Reply::YouDid { name, words } => named(out, b"* ", name, b" ", words),
        Reply::Told { from, words } => named(out, b"[", from, b"] ", words),
        Reply::YouTold { to, words } => named(out, b"[to ", to, b"] ", words),
        Reply::Help(usage) => note(out, format_args!("{usage}   {}", usage.summary)),
        Reply::Note(text) => note(out, text),
        Reply::Refused(refusal) => error(out, refusal),
        Reply::Farewell(farewell) => match farewell.words() {
            Some(words) if farewell.is_error() => error(out, words),
            Some(words) => note(out, words),
            None => {}
        },
        // Only programs ask for it.
        Reply::Pong(_) => {}
    }
}

/// Somebody in a list of those who are here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing<'a> {
    pub(crate) name: &'a Name,
    pub(crate) away: bool,
}

/// Adds a list of those who are here, `here` in number: all of `names`, and how many more there are if not all.
///
/// The list goes on in further lines where one would become longer than 1,000 bytes.
pub(crate) fn encode_here<'a>(
    here: usize,
    names: impl Iterator<Item = Listing<'a>>,
    out: &mut Vec<u8>,
) {
    let mut line_begins = out.len();
    push_display(out, format_args!("-- {here} here: "));
    let mut separator: &[u8] = b"";
    let mut listed = 0;
    for Listing { name, away } in names {
        let before = out.len();
        out.extend_from_slice(separator);
        name.write_to(out);
        out.extend_from_slice(if away { b" (away)" } else { b"" });
        if out.len() - line_begins > WHO_LINE_BYTES_MAX {
            let name_begins = before + separator.len();
            out.splice(before..name_begins, *b"\r\n-- ");
            line_begins = before + 2;
        }
        separator = b", ";
        listed += 1;
    }
    if listed < here {
        push_display(out, format_args!(" and {} more", here - listed));
    }
    out.extend_from_slice(b"\r\n");
}

/// Adds a time of day, so many minutes off UTC, and a space.
pub(crate) fn encode_time(wall_seconds: u64, offset_minutes: i16, out: &mut Vec<u8>) {
    let minutes_of_day = i64::try_from(wall_seconds / 60 % 1440).unwrap_or(0);
    let minutes = (minutes_of_day + i64::from(offset_minutes)).rem_euclid(1440);
    push_display(
        out,
        format_args!("{:02}:{:02} ", minutes / 60, minutes % 60),
    );
}

/// Puts a bell into the line that was added last.
pub(crate) fn ring(out: &mut Vec<u8>) {
    if out.ends_with(b"\r\n") {
        out.truncate(out.len() - 2);
        out.extend_from_slice(b"\x07\r\n");
    }
}

fn named(out: &mut Vec<u8>, before: &[u8], name: &Name, after: &[u8], words: &str) {
    out.extend_from_slice(before);
    name.write_to(out);
    out.extend_from_slice(after);
    out.extend_from_slice(words.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn note(out: &mut Vec<u8>, text: impl Display) {
    push_display(out, format_args!("-- {text}\r\n"));
}

fn error(out: &mut Vec<u8>, text: impl Display) {
    push_display(out, format_args!("!! {text}\r\n"));
}

fn push_display(out: &mut Vec<u8>, text: impl Display) {
    // A `Vec` takes every byte, and the types printed here have no failing `Display`.
    let _ = write!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(line: &[u8]) -> String {
        String::from_utf8(edit(line).into_owned()).unwrap()
    }

    #[test]
    fn keys_edit_a_line() {
        assert_eq!(edited(b"plain"), "plain");
        assert_eq!(edited(b"helo\x7flo"), "hello");
        assert_eq!(edited("你好\x08们".as_bytes()), "你们", "a whole character");
        assert_eq!(edited(b"\x7f\x08a"), "a", "nothing to erase");
        assert_eq!(edited(b"wrong\x15right"), "right");
        assert_eq!(edited(b"\0/who"), "/who");
    }

    #[test]
    fn control_d_asks_to_leave_only_on_an_empty_line() {
        assert!(asks_to_leave(b"\x04"));
        assert!(asks_to_leave(b"ab\x15\x04"));
        assert!(!asks_to_leave(b"a\x04"));
        assert!(!asks_to_leave(b""));
    }

    fn here(count: usize, names: &[Name]) -> String {
        let mut out = Vec::new();
        let names = names.iter().map(|name| Listing { name, away: false });
        encode_here(count, names, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_list_says_how_many_it_leaves_out() {
        let names: Vec<Name> = (1..=3).map(Name::guest).collect();
        assert_eq!(here(3, &names), "-- 3 here: guest1, guest2, guest3\r\n");
        assert_eq!(
            here(10, &names),
            "-- 10 here: guest1, guest2, guest3 and 7 more\r\n"
        );
    }

    #[test]
    fn those_who_are_away_are_marked() {
        let name = Name::guest(7);
        let mut out = Vec::new();
        let away = Listing {
            name: &name,
            away: true,
        };
        encode_here(1, [away].into_iter(), &mut out);
        assert_eq!(out, b"-- 1 here: guest7 (away)\r\n");
    }

    #[test]
    fn times_of_day_follow_their_offset() {
        let time = |seconds, offset| {
            let mut out = Vec::new();
            encode_time(seconds, offset, &mut out);
            String::from_utf8(out).unwrap()
        };
        let day = 86_400 * 20_000;
        assert_eq!(time(day + 14 * 3600 + 5 * 60 + 59, 0), "14:05 ");
        assert_eq!(time(day + 20 * 3600, 480), "04:00 ");
        assert_eq!(time(day, -30), "23:30 ");
    }

    #[test]
    fn a_long_list_goes_on_in_further_lines() {
        let names: Vec<Name> = (1..=500).map(Name::guest).collect();
        let text = here(500, &names);
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert!(lines.len() > 4);
        assert!(lines.iter().all(|line| line.len() <= WHO_LINE_BYTES_MAX));
        let listed: Vec<&str> = lines
            .iter()
            .flat_map(|line| {
                line.trim_start_matches("-- ")
                    .trim_start_matches("500 here: ")
                    .split(", ")
            })
            .collect();
        assert_eq!(
            listed,
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        );
    }
}
