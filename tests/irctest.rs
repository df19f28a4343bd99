//! The cases of irctest that are to pass, from the checkout that `IRCTEST` names (commit b00c039, with Python's pytest);
//! reported as ignored where it names none.

use std::env;
use std::process::Command;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let checkout = env::var_os("IRCTEST");
    let is_missing = checkout.is_none();
    let trial = Trial::test("the cases of irctest", move || {
        all_pass(&checkout.unwrap_or_default());
        Ok(())
    });
    libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(is_missing)]).exit();
}

fn all_pass(checkout: &std::ffi::OsStr) {
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/irc");
    let cases = include_str!("irc/cases.txt").lines();
    let cases: Vec<&str> = cases.filter(|line| !line.starts_with('#')).collect();
    let mut pytest = Command::new("python3");
    pytest.args(["-m", "pytest", "--controller", "irctest_chatd", "-q"]);
    pytest.args(["-p", "no:cacheprovider"]).args(&cases);
    pytest.current_dir(checkout).env("PYTHONPATH", ours);
    let output = pytest.env("CHATD", env!("CARGO_BIN_EXE_chatd")).output();
    let told = output.expect("Python is installed").stdout;
    let told = String::from_utf8_lossy(&told);
    let last = told.trim_end().lines().next_back().unwrap_or_default();
    // None may be skipped.
    let all = format!("{} passed in ", cases.len());
    assert!(last.starts_with(&all), "{told}");
}
