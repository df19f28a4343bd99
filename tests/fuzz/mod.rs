//! What fuzzing checks: each target gives its bytes to the real code and to a slow and obvious reference, and compares.
//!
//! Used by the targets of `fuzz/`, and by the test that replays their corpora.

mod decoded;
mod editor;
mod hygiene;
mod room;
mod settings;
#[path = "../support/settings_table.rs"]
#[allow(dead_code, reason = "of defaults nothing is asked")]
mod settings_table;
mod telnet;
mod wire;

/// Checks one input; panics if something is wrong.
pub(crate) type Check = fn(&[u8]);

/// Every target, by the name of its folder in `fuzz/corpus`.
pub(crate) const TARGETS: [(&str, Check); 4] = [
    ("telnet", telnet::check),
    ("wire", wire::check),
    ("settings", settings::check),
    ("editor", editor::check),
];

/// Checks one input of a target; panics if something is wrong.
pub(crate) fn check_target(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, check) = target.expect("a target of that name");
    check(input);
}

/// The bytes that a file of a corpus stands for: `\xHH`, `\r`, `\n`, `\t` and `\\` are what they are in most languages,
/// all else is itself, and the line ends of the file are only for its reader.
///
/// # Errors
/// The escape sequence that is none of these.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\n' => {}
            '\\' => bytes.push(escaped(&mut rest)?),
            character => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Ok(bytes)
}

fn escaped(rest: &mut std::str::Chars<'_>) -> Result<u8, String> {
    match rest.next() {
        Some('r') => Ok(b'\r'),
        Some('n') => Ok(b'\n'),
        Some('t') => Ok(b'\t'),
        Some('\\') => Ok(b'\\'),
        Some('x') => {
            let digits: String = rest.take(2).collect();
            u8::from_str_radix(&digits, 16).map_err(|_| format!("\\x{digits}"))
        }
        other => Err(format!("\\{}", other.unwrap_or(' '))),
    }
}
