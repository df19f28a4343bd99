//! The cases of irctest that are to pass, from the checkout that `IRCTEST` names (commit b00c039, with Python's pytest);
//! reported as ignored where it names none.

use std::env;
use std::ffi::OsStr;
use std::process::Command;

use libtest_mimic::{Arguments, Trial};

/// So many bytes fit into one line for others, from a client called nick1. `tests/irc/README.md` says why there are cases
/// that need this.
const SHORT_LINES: &str = "line-bytes-max=473";

fn main() {
    let arguments = Arguments::from_args();
    let checkout = env::var_os("IRCTEST");
    let is_missing = checkout.is_none();
    let checkout = checkout.unwrap_or_default();
    let mut trials = Vec::new();
    for (name, cases, settings) in [
        ("the cases of irctest", include_str!("irc/cases.txt"), ""),
        (
            "those of short lines",
            include_str!("irc/cases_short_lines.txt"),
            SHORT_LINES,
        ),
    ] {
        let checkout = checkout.clone();
        let run = move || {
            all_pass(&checkout, cases, settings);
            Ok(())
        };
        trials.push(Trial::test(name, run).with_ignored_flag(is_missing));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn all_pass(checkout: &OsStr, cases: &str, settings: &str) {
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/irc");
    let cases: Vec<&str> = cases
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let mut pytest = Command::new("python3");
    pytest.args(["-m", "pytest", "--controller", "irctest_chatd", "-q"]);
    pytest.args(["-p", "no:cacheprovider"]).args(&cases);
    pytest.current_dir(checkout).env("PYTHONPATH", ours);
    pytest.env("CHATD_SETTINGS", settings);
    let output = pytest.env("CHATD", env!("CARGO_BIN_EXE_chatd")).output();
    let told = output.expect("Python is installed").stdout;
    let told = String::from_utf8_lossy(&told);
    let last = told.trim_end().lines().next_back().unwrap_or_default();
    // None may be skipped.
    let all = format!("{} passed in ", cases.len());
    assert!(last.starts_with(&all), "{told}");
}
