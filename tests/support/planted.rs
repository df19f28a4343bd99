//! Faults planted into a process from outside, so that nothing of them is in the program that is tested.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::server::chatd;

/// What has to be preloaded so that one in 500 TCP connections is not closed. `None` without a C compiler. It is built
/// once, so that no test runs with what another one is just writing.
pub(crate) fn leak() -> Option<PathBuf> {
    static LEAK: OnceLock<Option<PathBuf>> = OnceLock::new();
    LEAK.get_or_init(|| build("forgetful_close")).clone()
}

/// What has to be preloaded so that a server dies at a point of saving a file. `None` without a C compiler.
pub(crate) fn death() -> Option<PathBuf> {
    static DEATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    DEATH.get_or_init(|| build("dies_while_saving")).clone()
}

fn build(peer: &str) -> Option<PathBuf> {
    let source = format!("{}/tests/peers/{peer}.c", env!("CARGO_MANIFEST_DIR"));
    let name = format!("{peer}.{}.so", std::process::id());
    let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-Wall", "-Werror", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .status()
        .ok()?;
    assert!(built.success(), "it is not C: {source}");
    Some(library)
}

/// The command that runs chatd with the leak.
pub(crate) fn leaking_chatd(leak: &Path) -> Command {
    let mut command = chatd();
    command.env("LD_PRELOAD", leak);
    command
}
