//! A client that talks as people do: it types commands, and understands how lines begin (`docs/people.md`).
//!
//! Nothing that a program says or asks for is obeyed as a key or a command but what it is to be: the server obeys keys,
//! takes what cannot be seen off a line, and looks for a command behind that.

use std::borrow::Cow;

use crate::dialect::commands::find_slash;
use crate::dialect::message::{
    is_goodbye, is_one_word, may_be_name, Ask, Inexpressible, Message, Refusal,
};
use crate::hygiene;

/// Adds the line that asks for this.
pub(in crate::dialect) fn encode(ask: Ask<'_>, out: &mut Vec<u8>) -> Result<(), Inexpressible> {
    match ask {
        Ask::Name(name) => {
            // A name with a control character in it is none, and nor is one with this.
            let name = name.replace(char::is_control, "\u{fffd}");
            push(out, &["/name ", &name]);
        }
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
        // Who comes and goes is always told, and a list of those who are here is for people.
        Ask::Ping(_) | Ask::Watch(_) | Ask::Who => return Err(Inexpressible::NoSuchRequest),
        Ask::Quit => push(out, &["/quit"]),
    }
    Ok(())
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
    parse_presence(text).unwrap_or_else(|| Message::Note(text.into()))
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
