//! What fuzzing checks: each target gives its bytes to the real code and to a slow and obvious reference, and compares.

mod decoded;
pub(crate) mod editor;
mod hygiene;
mod room;
mod settings;
mod telnet;
mod wire;

/// Checks one input of a target; panics if something is wrong.
pub(super) fn check(target: &str, input: &[u8]) {
    match target {
        "telnet" => telnet::check(input),
        "wire" => wire::check(input),
        "settings" => settings::check(input),
        "editor" => editor::check(input),
        _ => panic!("there is no target {target}"),
    }
}
