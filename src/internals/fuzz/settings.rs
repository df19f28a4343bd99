//! A settings file. Which numbers a key takes is read off the table that people read.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use crate::settings::{self, Endpoint, Invocation, Net, RoomName, Settings, SettingsError};

const INPUT_BYTES_MAX: usize = 2000;

pub(super) fn check(input: &[u8]) {
    let content = &input[..input.len().min(INPUT_BYTES_MAX)];
    let outcome = read(content);
    match (&outcome, expected(content)) {
        (Ok(settings), Ok(given)) => {
            for (key, value) in given {
                assert_eq!(value_of(settings, &key), value, "{key}");
            }
        }
        (Err(SettingsError::Wrong(line)), Err(place)) => {
            assert!(line.contains(&place), "{line:?} does not tell of {place:?}");
            assert!(!line.contains(char::is_control), "{line:?}");
            // Of a long text 200 characters are told, each perhaps as `\u{9b}`.
            assert!(line.chars().count() < 1500, "{line:?}");
        }
        (_, expected) => panic!("{outcome:?}, but it should be {expected:?}"),
    }
}

/// Reads the file as the program does.
fn read(content: &[u8]) -> Result<Settings, SettingsError> {
    let path = file();
    fs::write(&path, content).expect("it can be written");
    match settings::parse(["-f".as_ref(), path.as_os_str()])? {
        Invocation::Run(configuration) => Ok(configuration.settings().clone()),
        other => panic!("nobody asked for {other:?}"),
    }
}

/// One for each process.
fn file() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    folder.join(format!("chatd-fuzz-{}.conf", std::process::id()))
}

#[derive(Debug, PartialEq, Eq, Clone)]
enum Value {
    Number(u128),
    Path(Option<PathBuf>),
    Listeners(Vec<Endpoint>),
    Nets(Vec<Net>),
    Rooms(Vec<RoomName>),
}

/// What each key is given at last, or what the message must say.
fn expected(content: &[u8]) -> Result<Vec<(String, Value)>, String> {
    let content = content
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(content);
    let mut said = Vec::new();
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let place = format!("line {}: ", index + 1);
        let line = std::str::from_utf8(line).map_err(|_| place.clone())?;
        let line = line.find('#').map_or(line, |at| &line[..at]).trim();
        if !line.is_empty() {
            let (key, value) = line.split_once('=').ok_or_else(|| place.clone())?;
            said.push((place, key.trim(), value.trim()));
        }
    }
    let mut given: Vec<(String, Value)> = Vec::new();
    for (place, key, value) in said {
        let mut value = understand(key, value).ok_or(place)?;
        let before = given.iter().position(|(known, _)| known == key);
        if let Some((_, before)) = before.map(|at| given.remove(at)) {
            match (before, &mut value) {
                (Value::Listeners(all), Value::Listeners(one)) => _ = one.splice(..0, all),
                (Value::Nets(all), Value::Nets(one)) => _ = one.splice(..0, all),
                (Value::Rooms(all), Value::Rooms(one)) => _ = one.splice(..0, all),
                _ => {}
            }
        }
        given.push((key.to_owned(), value));
    }
    check_together(&given)?;
    Ok(given)
}

fn understand(key: &str, value: &str) -> Option<Value> {
    static MEANINGS: LazyLock<BTreeMap<String, String>> = LazyLock::new(meanings);
    let meaning = MEANINGS.get(key)?;
    if value.is_empty() {
        return None;
    }
    match key {
        "listen" => {
            let listen: Endpoint = value.parse().ok()?;
            assert_eq!(listen.to_string().parse().as_ref(), Ok(&listen));
            Some(Value::Listeners(vec![listen]))
        }
        "exempt" | "proxy-from" if value == "none" => Some(Value::Nets(Vec::new())),
        "exempt" | "proxy-from" => {
            let net: Net = value.parse().ok()?;
            assert_eq!(net.to_string().parse().as_ref(), Ok(&net));
            Some(Value::Nets(vec![net]))
        }
        "room" if value == "none" => Some(Value::Rooms(Vec::new())),
        "room" => {
            let room = RoomName::parse(value).ok()?;
            assert_eq!(RoomName::parse(room.text()).as_ref(), Ok(&room));
            Some(Value::Rooms(vec![room]))
        }
        "motd-file" => Some(Value::Path((value != "none").then(|| value.into()))),
        _ => {
            let (_, range) = meaning.rsplit_once('(')?;
            let range = range.trim_end_matches(')');
            number(key, value, range).map(Value::Number)
        }
    }
}

/// What the help says of each key, with its range in brackets at the end.
fn meanings() -> BTreeMap<String, String> {
    let help = settings::help();
    let (_, table) = help.split_once("MEANING (RANGE)\n").expect("its heading");
    let mut rows: Vec<Vec<&str>> = Vec::new();
    for line in table.lines() {
        // What goes on below the meaning stands further to the right.
        if !line.starts_with("     ") {
            rows.push(Vec::new());
        }
        let row = rows.last_mut().expect("a row begins at the left");
        row.extend(line.split_whitespace());
    }
    let rows = rows.into_iter();
    rows.map(|row| (row[0].to_owned(), row[2..].join(" ")))
        .collect()
}

/// A number of `least to most`, or what stands before `, or `.
fn number(key: &str, value: &str, range: &str) -> Option<u128> {
    let (special, range) = match range.split_once(", or ") {
        Some((special, range)) => (Some(special), range),
        None => (None, range),
    };
    // `auto` is a value; `0: off` is 0 and what it means.
    let (word, meaning) = special.map_or(("", ""), |special| {
        special.split_once(": ").unwrap_or((special, ""))
    });
    if meaning.is_empty() && word == value {
        return Some(0);
    }
    let n = base_units(key, value)?;
    let (least, most) = range.split_once(" to ")?;
    let allowed = base_units(key, least)?..=base_units(key, most)?;
    let is_off = n == 0 && word == "0";
    (allowed.contains(&n) || is_off).then_some(n)
}

/// Bytes, milliseconds or pieces.
fn base_units(key: &str, value: &str) -> Option<u128> {
    if key.ends_with("-seconds") {
        let (whole, decimals) = value.split_once('.').unwrap_or((value, "0"));
        let thousandths = digits(decimals).filter(|_| decimals.len() <= 3)?
            * [100, 10, 1].get(decimals.len() - 1)?;
        return Some(digits(whole)? * 1000 + thousandths);
    }
    if key.contains("bytes") || key == "memory-max" {
        let (number, factor) = match value.char_indices().last()? {
            (at, 'k' | 'K') => (&value[..at], 1024),
            (at, 'm' | 'M') => (&value[..at], 1024 * 1024),
            _ => (value, 1),
        };
        return Some(digits(number)? * factor);
    }
    digits(value)
}

/// More than any setting takes is all the same.
fn digits(text: &str) -> Option<u128> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    Some(text.parse::<u128>().unwrap_or(u128::MAX).min(1 << 80))
}

/// Limits that must fit each other. Those that are not given have the values of the table.
fn check_together(given: &[(String, Value)]) -> Result<(), String> {
    let number = |key: &str, default: u128| {
        let value = given.iter().find(|(known, _)| known == key);
        match value {
            Some((_, Value::Number(n))) => *n,
            _ => default,
        }
    };
    let line = number("line-bytes-max", 4096);
    let hard = number("queue-bytes-max", 1024 * 1024);
    for (key, limit) in [
        ("queue-bytes-max", hard),
        ("memory-max", number("memory-max", 256 * 1024 * 1024)),
    ] {
        if limit < 4 * line {
            return Err(key.to_owned());
        }
    }
    if number("queue-bytes-soft", 0) > hard {
        return Err("queue-bytes-soft".to_owned());
    }
    Ok(())
}

/// What the settings hold for a key.
fn value_of(settings: &Settings, key: &str) -> Value {
    let milliseconds = |time: Duration| time.as_millis();
    let optional = |time: Option<Duration>| time.map_or(0, milliseconds);
    let limits = &settings.limits;
    Value::Number(match key {
        "listen" => return Value::Listeners(settings.listen.clone()),
        "exempt" => return Value::Nets(settings.exempt.clone()),
        "proxy-from" => return Value::Nets(settings.proxy_from.clone()),
        "room" => return Value::Rooms(settings.rooms.clone()),
        "connects-per-minute" => settings.connects_per_minute.unwrap_or(0).into(),
        "motd-file" => return Value::Path(settings.motd_file.clone()),
        "bans-file" => return Value::Path(settings.bans_file.clone()),
        "transcript-file" => return Value::Path(settings.transcript_file.clone()),
        "sessions-max" => settings.sessions_max.unwrap_or(0) as u128,
        "sessions-per-address-max" => settings.sessions_per_address_max.unwrap_or(0).into(),
        "line-bytes-max" => limits.line_bytes_max as u128,
        "queue-bytes-max" => limits.queue.bytes_max as u128,
        "queue-bytes-soft" => limits.queue.bytes_soft as u128,
        "queue-soft-seconds" => milliseconds(limits.queue.soft),
        "stall-seconds" => optional(limits.queue.stall),
        "send-buffer-bytes" => settings.send_buffer_bytes.unwrap_or(0) as u128,
        "lines-per-second" => limits.line_rate.per_second.into(),
        "lines-burst" => limits.line_rate.burst.into(),
        "idle-seconds" => optional(limits.idle),
        "drain-seconds" => milliseconds(limits.drain),
        "names-file" => return Value::Path(settings.names_file.clone()),
        "names-kept-max" => limits.names_kept_max as u128,
        "names-kept-days" => limits.names_kept_days.unwrap_or(0).into(),
        "rooms-max" => limits.rooms_max as u128,
        "history-lines" => limits.history_lines as u128,
        "pace-ms-max" => optional(limits.pace_max),
        "memory-max" => limits.memory_max as u128,
        key => panic!("a new setting: {key}"),
    })
}
