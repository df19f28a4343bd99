//! A client that talks as people do: it types commands, and understands how lines begin (`docs/people.md`).
//!
//! Nothing that a program says or asks for is obeyed as a key or a command but what it is to be: the server obeys keys,
//! takes what cannot be seen off a line, and looks for a command behind that.

use std::borrow::Cow;

use crate::dialect::commands::find_slash;
use crate::dialect::message::{
    is_goodbye, is_one_word, may_be_key, may_be_name, Ask, Inexpressible, Message, Refusal,
};
use crate::hygiene;

/// Adds the line that asks for this.
pub(in crate::dialect) fn encode(ask: Ask<'_>, out: &mut Vec<u8>) -> Result<(), Inexpressible> {
    match ask {
        Ask::Join { key, .. } | Ask::Name { key, .. } if !key.is_none_or(may_be_key) => {
            return Err(Inexpressible::MalformedKey);
        }
        Ask::Name { name, key } => {
            // A name with a control character in it is none, and nor is one with this.
            let name = name.replace(char::is_control, "\u{fffd}");
            // What stands behind a blank would be its key.
            if key.is_some() && !may_be_name(&name) {
                return Err(Inexpressible::MalformedName);
            }
            push_with_key(out, "/name ", &name, key);
        }
        Ask::Join { room, .. } if !may_be_name(room) => return Err(Inexpressible::MalformedName),
        Ask::Join { room, key } => push_with_key(out, "/join ", room, key),
        Ask::Keep(true) => push(out, &["/keep"]),
        Ask::Keep(false) => push(out, &["/unkeep"]),
        Ask::Words { words, .. } => {
            let clean = hygiene::clean(words.as_bytes()).text;
            // To a program's words only `/me ` is a command.
            let acts = clean == "/me" || clean.starts_with("/me ");
            let slash = find_slash(&clean).filter(|_| !acts);
            let (blanks, rest) = clean.split_at(slash.as_ref().map_or(0, |slash| slash.start));
            push(out, &[blanks, slash.map_or("", |_| "/"), rest]);
        }
        Ask::Tell { to, words } => {
            if !may_be_name(to) {
                return Err(Inexpressible::MalformedName);
            }
            let to = hygiene::clean(to.as_bytes());
            let words = hygiene::clean(words.as_bytes()).text;
            push(out, &["/msg ", &to.text, " ", &words]);
        }
        // Presence is always told, and the lists of people and of rooms are for people.
        Ask::Ping(_) | Ask::Watch(_) | Ask::Who | Ask::Rooms => {
            return Err(Inexpressible::NoSuchRequest)
        }
        Ask::Quit => push(out, &["/quit"]),
    }
    Ok(())
}

fn push_with_key(out: &mut Vec<u8>, command: &str, name: &str, key: Option<&str>) {
    match key {
        Some(key) => push(out, &[command, name, " ", key]),
        None => push(out, &[command, name]),
    }
}

fn push(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts.iter().chain(&["\r\n"]) {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Understands a line of a server.
pub(in crate::dialect) fn parse(line: &[u8]) -> Option<Message<'_>> {
    let line = std::str::from_utf8(line).ok()?;
    if let Some(text) = line.strip_prefix("-- ") {
        return Some(parse_note(text));
    }
    if let Some(words) = line.strip_prefix("!! ") {
        return Some(if is_goodbye(words) {
            Message::Goodbye(words.into())
        } else {
            Message::Refused(Refusal::new(words))
        });
    }
    if line.starts_with("[to ") {
        return Some(Message::Note(line.into()));
    }
    if let Some(past) = without_time(line) {
        // It was said before, to those who were here then.
        return parse_speech(past).map(|_| Message::Note(line.into()));
    }
    if let Some((name, words)) = between(line, "[", "] ") {
        return Some(Message::Told { name, words });
    }
    parse_speech(line)
}

/// The server's own words. A message of the day may begin like another of them, and go on: a name is one word.
fn parse_note(text: &str) -> Message<'_> {
    if matches!(text, "goodbye" | "goodbye: the server is going down") {
        return Message::Goodbye(text.into());
    }
    let named = ["you are ", "an operator named you "];
    let name = named.iter().find_map(|begin| text.strip_prefix(begin));
    if let Some(name) = name.filter(|name| is_one_word(name)) {
        return Message::Named(name.into());
    }
    let known = parse_room(text)
        .or_else(|| parse_kept(text))
        .or_else(|| parse_presence(text));
    known.unwrap_or_else(|| Message::Note(text.into()))
}

/// The room that this client is in from now on.
fn parse_room(text: &str) -> Option<Message<'_>> {
    if let Some((closed, _)) = text.split_once(" is closed").filter(|(_, why)| {
        why.ends_with("; you are in lobby") && (why.starts_with(": ") || why.starts_with(';'))
    }) {
        return is_one_word(closed).then(|| Message::Entered("lobby".into()));
    }
    let (from, to) = text.strip_prefix("you left ")?.split_once(" and are in ")?;
    let (to, made) = to.split_once(',').unwrap_or((to, ""));
    let is_whole = matches!(made, "" | " a new room" | " a new room with a key");
    let are_names = is_one_word(from) && is_one_word(to);
    (is_whole && are_names).then(|| Message::Entered(to.into()))
}

/// A name that is kept from now on, or no more.
fn parse_kept(text: &str) -> Option<Message<'_>> {
    let (name, what) = text.split_once(" is ")?;
    if !is_one_word(name) {
        return None;
    }
    if what == "kept no more" {
        return Some(Message::KeptNoMore(name.into()));
    }
    let how = what.strip_prefix("yours")?;
    let how = how.strip_prefix(" while this server runs").unwrap_or(how);
    let taken = how.strip_prefix(": /name ")?.strip_prefix(name)?;
    let (key, _) = taken.strip_prefix(' ')?.split_once(" takes it; ")?;
    is_one_word(key).then(|| Message::Kept {
        name: name.into(),
        key: key.into(),
    })
}

/// Who came, went, or has another name.
fn parse_presence(text: &str) -> Option<Message<'_>> {
    let renamed = text.split_once(" is now known as ");
    if let Some((from, to)) = renamed.filter(|(from, to)| is_one_word(from) && is_one_word(to)) {
        return Some(Message::Renamed {
            from: from.into(),
            to: to.into(),
        });
    }
    if let Some(count) = text.strip_suffix(" changed their names") {
        let count = count.parse().ok()?;
        return Some(Message::MoreRenamed { count });
    }
    if text == "1 changed their name" {
        return Some(Message::MoreRenamed { count: 1 });
    }
    // Last words may end like this, too, but stand before it.
    let (text, here) = text.strip_suffix(" here)")?.rsplit_once(" (")?;
    let here = here.parse().ok()?;
    let (name, what) = text.split_once(' ')?;
    let name = Cow::from(name);
    Some(match what {
        "more joined" => Message::MoreJoined {
            count: name.parse().ok()?,
            here,
        },
        "more left" => Message::MoreLeft {
            count: name.parse().ok()?,
            here,
        },
        "joined" => Message::Joined { name, here },
        "left" => Message::Left {
            name,
            words: "".into(),
            here,
        },
        what => Message::Left {
            name,
            words: what.strip_prefix("left: ")?.into(),
            here,
        },
    })
}

/// What somebody says or does.
fn parse_speech(line: &str) -> Option<Message<'_>> {
    if let Some((name, words)) = between(line, "<", "> ") {
        return Some(Message::Said { name, words });
    }
    between(line, "* ", " ").map(|(name, words)| Message::Did { name, words })
}

fn between<'a>(line: &'a str, begin: &str, end: &str) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    let (name, words) = line.strip_prefix(begin)?.split_once(end)?;
    Some((name.into(), words.into()))
}

/// What stands behind a time of day; `None` if the line does not begin with one.
fn without_time(line: &str) -> Option<&str> {
    let (first, rest) = line.split_once(' ')?;
    if are_two_numbers(first, '-') {
        let (time, rest) = rest.split_once(' ')?;
        return are_two_numbers(time, ':').then_some(rest);
    }
    are_two_numbers(first, ':').then_some(rest)
}

/// Whether it is two numbers of two digits each.
fn are_two_numbers(text: &str, between: char) -> bool {
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = text.split_once(between);
    numbers.is_some_and(|(one, other)| two_digits(one) && two_digits(other))
}
