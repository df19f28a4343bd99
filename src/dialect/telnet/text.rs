//! People's lines, in and out: what keys did to a line before its end, and how events read on a terminal.
//!
//! Every line that the server writes begins in a way that nothing anybody types can begin (`<ann> `, `* ann `,
//! `[ann] `, `-- `, `!! `), and ends in CR LF. Names and words come here already clean.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use memchr::memrchr;

use crate::dialect::event::{Event, Here, Note, Reply, RoomList, To};
use crate::dialect::telnet::fold::fold;

const NUL: u8 = 0x00;
/// Ctrl-D.
const EOT: u8 = 0x04;
/// Ctrl-H, the backspace key of some terminals.
const BS: u8 = 0x08;
/// Ctrl-U: erase the line.
pub(crate) const NAK: u8 = 0x15;
/// The backspace key of most terminals.
pub(crate) const DEL: u8 = 0x7f;

const DAY_SECONDS: u64 = 86_400;

/// A line of names of people or rooms is at most 1,000 bytes long.
const LIST_LINE_BYTES_MAX: usize = 1000;

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
///
/// At most the last 256 bytes are looked at, for this is asked with each packet: so much can be typed and taken back
/// before it, or more if all of it was taken back at once.
pub(crate) fn asks_to_leave(partial: &[u8]) -> bool {
    let Some((&EOT, line)) = partial.split_last() else {
        return false;
    };
    let tail = &line[line.len().saturating_sub(256)..];
    match memrchr(NAK, tail) {
        Some(erased) => edit(&tail[erased..]).is_empty(),
        None => tail.len() == line.len() && edit(line).is_empty(),
    }
}

/// Adds what the room hears. Gives where the words begin in what was added; 0 where nobody said any.
pub(in crate::dialect) fn encode_event(event: &Event<'_>, out: &mut Vec<u8>) -> usize {
    match *event {
        Event::Said { name, words } | Event::Noticed { name, words } => {
            said(out, b"<", |out| name.write_to(out), b"> ", words)
        }
        Event::Did { name, words } => said(out, b"* ", |out| name.write_to(out), b" ", words),
        Event::Presence(presence) => {
            line(out, "-- ", presence);
            0
        }
        Event::Announced { before, words, .. } => {
            line(out, "-- ", format_args!("{before}{words}"));
            0
        }
        // `/who` tells it.
        Event::Operator { .. } => 0,
    }
}

/// Adds what one session is told, folded to its window.
pub(in crate::dialect) fn encode_reply(reply: &Reply<'_>, to: &To, out: &mut Vec<u8>) {
    let begin = out.len();
    encode_unfolded(reply, to, out);
    if let Some(columns) = to.columns {
        fold(out, begin, columns);
    }
}

/// Adds a line of what the room hears as `to` wants to read it, with a bell if it `rings`.
pub(in crate::dialect) fn encode_viewed(to: &To, seen: &[u8], rings: bool, out: &mut Vec<u8>) {
    let begin = out.len();
    begin_line(to, out);
    out.extend_from_slice(seen);
    if rings {
        ring(out);
    }
    if let Some(columns) = to.columns {
        fold(out, begin, columns);
    }
}

fn encode_unfolded(reply: &Reply<'_>, to: &To, out: &mut Vec<u8>) {
    if let Reply::Past(past) = reply {
        // It has a time of its own, and of another day the date.
        let offset = to.clock.unwrap_or(0);
        let [then, now] = [past.wall_seconds, to.wall_seconds].map(|at| shifted(at, offset));
        if then / DAY_SECONDS != now / DAY_SECONDS {
            encode_date(then, out);
        }
        encode_time(past.wall_seconds, offset, out);
        let (before, after): (&[u8], &[u8]) = if past.acts {
            (b"* ", b" ")
        } else {
            (b"<", b"> ")
        };
        let name = |out: &mut Vec<u8>| out.extend_from_slice(past.name.as_bytes());
        said(out, before, name, after, past.words);
        return;
    }
    if let Reply::Here(here) = reply {
        return encode_here(here, to, out);
    }
    if let Reply::Arrived(arrived) = reply {
        if arrived.first.is_some() {
            encode_unfolded(&Reply::Note(Note::Welcome(arrived.you)), to, out);
        }
        return encode_here(&arrived.here, to, out);
    }
    if let Reply::Rooms(rooms) = reply {
        return encode_rooms(rooms, to, out);
    }
    let begin = out.len();
    begin_line(to, out);
    let time_end = out.len();
    match *reply {
        Reply::YouDid { name, words } => {
            said(out, b"* ", |out| name.write_to(out), b" ", words);
        }
        Reply::Told { from, words, .. } => {
            said(out, b"[", |out| from.write_to(out), b"] ", words);
            if to.bell {
                ring(out);
            }
        }
        Reply::YouTold { to, words } => {
            said(out, b"[to ", |out| to.write_to(out), b"] ", words);
        }
        Reply::Note(note) => line(out, "-- ", note),
        Reply::Refused(refusal) => line(out, "!! ", refusal),
        Reply::Farewell(farewell) => match farewell.words() {
            Some(words) if farewell.is_error() => line(out, "!! ", words),
            Some(words) => line(out, "-- ", words),
            None => {}
        },
        Reply::Arrived(_)
        | Reply::Past(_)
        | Reply::Here(_)
        | Reply::Rooms(_)
        | Reply::Gap
        | Reply::Watching(_) => {}
    }
    if out.len() == time_end {
        out.truncate(begin);
    }
}

/// Adds a list of those who are here, or in another room.
fn encode_here(here: &Here<'_>, to: &To, out: &mut Vec<u8>) {
    if !here.begins && here.listed.is_empty() {
        return;
    }
    begin_line(to, out);
    let begin = out.len();
    let mut words = String::from("-- ");
    // Writing to a String cannot fail.
    let _ = here.write_head(&mut words);
    out.extend_from_slice(words.as_bytes());
    push_list(here.listed, begin, to, out, |listed, out| {
        push_display(out, listed);
    });
    words.clear();
    let _ = here.write_tail(&mut words);
    out.extend_from_slice(words.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Adds a list of rooms.
fn encode_rooms(rooms: &RoomList<'_>, to: &To, out: &mut Vec<u8>) {
    if rooms.listed.is_empty() {
        return;
    }
    begin_line(to, out);
    let begin = out.len();
    let mut words = String::from("-- ");
    // Writing to a String cannot fail.
    let _ = rooms.write_head(&mut words);
    out.extend_from_slice(words.as_bytes());
    push_list(rooms.listed, begin, to, out, |room, out| {
        push_display(out, room);
    });
    out.extend_from_slice(b"\r\n");
}

/// Adds items to a line that began at `line_begins`. It goes on in further lines where one would become longer than
/// 1,000 bytes.
fn push_list<I>(
    items: &[I],
    mut line_begins: usize,
    to: &To,
    out: &mut Vec<u8>,
    push: impl Fn(&I, &mut Vec<u8>),
) {
    let mut separator: &[u8] = b"";
    for item in items {
        let before = out.len();
        out.extend_from_slice(separator);
        push(item, out);
        if out.len() - line_begins > LIST_LINE_BYTES_MAX {
            let mut further = b"\r\n".to_vec();
            begin_line(to, &mut further);
            line_begins = before + further.len();
            further.extend_from_slice(b"-- ");
            out.splice(before..before + separator.len(), further);
        }
        separator = b", ";
    }
}

/// Adds what stands before each line that `to` is told.
fn begin_line(to: &To, out: &mut Vec<u8>) {
    if let Some(offset) = to.clock {
        encode_time(to.wall_seconds, offset, out);
    }
}

/// A time of this many minutes off UTC, in seconds since 1970 there.
fn shifted(wall_seconds: u64, offset_minutes: i16) -> u64 {
    wall_seconds.saturating_add_signed(i64::from(offset_minutes) * 60)
}

/// Adds month and day, and a space.
fn encode_date(seconds: u64, out: &mut Vec<u8>) {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let date = humantime::format_rfc3339_seconds(time.unwrap_or(UNIX_EPOCH)).to_string();
    if let Some(month_and_day) = date.get(5..10) {
        push_display(out, format_args!("{month_and_day} "));
    }
}

/// Adds a time of day, in minutes off UTC, and a space.
fn encode_time(wall_seconds: u64, offset_minutes: i16, out: &mut Vec<u8>) {
    let minutes = shifted(wall_seconds, offset_minutes) / 60 % 1440;
    push_display(
        out,
        format_args!("{:02}:{:02} ", minutes / 60, minutes % 60),
    );
}

/// Puts a bell into the line that was added last.
fn ring(out: &mut Vec<u8>) {
    if out.ends_with(b"\r\n") {
        out.truncate(out.len() - 2);
        out.extend_from_slice(b"\x07\r\n");
    }
}

/// Adds a line of somebody's words; gives where they begin in it.
fn said(
    out: &mut Vec<u8>,
    before: &[u8],
    name: impl FnOnce(&mut Vec<u8>),
    after: &[u8],
    words: &str,
) -> usize {
    let begin = out.len();
    out.extend_from_slice(before);
    name(out);
    out.extend_from_slice(after);
    let words_begin = out.len() - begin;
    out.extend_from_slice(words.as_bytes());
    out.extend_from_slice(b"\r\n");
    words_begin
}

/// Adds a line of the server's own.
fn line(out: &mut Vec<u8>, begin: &str, text: impl Display) {
    push_display(out, format_args!("{begin}{text}\r\n"));
}

fn push_display(out: &mut Vec<u8>, text: impl Display) {
    // A `Vec` takes every byte, and the types printed here have no failing `Display`.
    let _ = write!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::event::Listed;
    use crate::dialect::event::Past;
    use crate::name::Name;

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
        assert!(asks_to_leave(
            &[&b"a".repeat(1_000)[..], b"\x15\x04"].concat()
        ));
        assert!(!asks_to_leave(
            &[&b"a".repeat(500)[..], &b"\x7f".repeat(400), b"\x04"].concat()
        ));
        assert!(!asks_to_leave(b"a\x04"));
        assert!(!asks_to_leave(b""));
    }

    fn here(count: usize, names: &[Name]) -> String {
        let mut out = Vec::new();
        let names = names.iter().map(|name| Listed {
            name,
            user: "",
            away: false,
            op: false,
            unreachable: false,
        });
        let listed: Vec<_> = names.collect();
        let here = Here {
            room: None,
            count,
            begins: true,
            listed: &listed,
            unlisted: count - listed.len(),
            listening: Some(0),
        };
        encode_here(&here, &To::default(), &mut out);
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
        let away = Listed {
            name: &name,
            user: "",
            away: true,
            op: true,
            unreachable: false,
        };
        let here = Here {
            room: None,
            count: 1,
            begins: true,
            listed: &[away],
            unlisted: 0,
            listening: Some(2),
        };
        encode_here(&here, &To::default(), &mut out);
        assert_eq!(out, b"-- 1 here: guest7 (op, away); 2 listening\r\n");
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
    fn what_was_said_on_another_day_has_its_date() {
        // 2026-11-26 00:10.
        let now = 20_783 * DAY_SECONDS + 600;
        let shown = |wall_seconds, clock| {
            let past = Past {
                number: 1,
                wall_seconds,
                name: "ann",
                acts: false,
                words: "hello",
            };
            let to = To {
                clock,
                wall_seconds: now,
                ..To::default()
            };
            let mut out = Vec::new();
            encode_reply(&Reply::Past(past), &to, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(now - 60, None), "00:09 <ann> hello\r\n");
        assert_eq!(shown(now - 660, None), "11-25 23:59 <ann> hello\r\n");
        assert_eq!(shown(now - 660, Some(60)), "00:59 <ann> hello\r\n");
        assert_eq!(shown(now - 60, Some(-30)), "23:39 <ann> hello\r\n");
        let year = 365 * DAY_SECONDS;
        assert_eq!(shown(now - year, None), "11-26 00:10 <ann> hello\r\n");
    }

    #[test]
    fn a_long_list_goes_on_in_further_lines() {
        let names: Vec<Name> = (1..=500).map(Name::guest).collect();
        let text = here(500, &names);
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert!(lines.len() > 4);
        assert!(lines.iter().all(|line| line.len() <= LIST_LINE_BYTES_MAX));
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
