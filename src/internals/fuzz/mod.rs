//! What fuzzing checks: each target gives its bytes to the real code and to a slow and obvious reference, and compares;
//! but for `slow`, which holds what the bytes cost against constants.

mod decoded;
pub(crate) mod editor;
mod hygiene;
mod irc;
mod relay;
mod room;
mod settings;
mod slow;
mod telnet;
mod web;
mod wire;

/// Checks one input of a target; panics if something is wrong.
pub(super) fn check(target: &str, input: &[u8]) {
    match target {
        "telnet" => telnet::check(input),
        "wire" => wire::check(input),
        "irc" => irc::check(input),
        "settings" => settings::check(input),
        "http_head" => web::check_head(input),
        "ws_frames" => web::check_frames(input),
        "relay" => relay::check(input),
        "slow" => slow::check(input),
        "editor" => editor::check(input),
        _ => panic!("there is no target {target}"),
    }
}
