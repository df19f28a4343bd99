//! Tests that run in a network of their own, where nobody else connects and every address may be had: Linux gives one to
//! anybody (`unshare -rn`), unless that is forbidden; then they are reported as ignored.

use std::env;
use std::process::Command;

use libtest_mimic::{Failed, Trial};

/// Set where a test runs in a network of its own.
const OWN_NETWORK: &str = "CHATD_TEST_OWN_NETWORK";

/// Each of the tests, by its name, which runs this program again inside a new network and that test alone.
pub(crate) fn trials(tests: &[(&'static str, fn())]) -> Vec<Trial> {
    let is_inside = env::var_os(OWN_NETWORK).is_some();
    let possible = is_inside
        || inside("true", &[])
            .status()
            .is_ok_and(|status| status.success());
    let trials = tests.iter().copied().map(|(name, test)| {
        let run = move || {
            if is_inside {
                test();
                Ok(())
            } else {
                run_inside(name)
            }
        };
        Trial::test(name, run).with_ignored_flag(!possible)
    });
    trials.collect()
}

fn run_inside(name: &str) -> Result<(), Failed> {
    let program = env::current_exe()?;
    let output = inside(&program.to_string_lossy(), &["--exact", name]).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && told.contains(" 1 passed;") {
        return Ok(());
    }
    let log = String::from_utf8_lossy(&output.stderr);
    Err(format!("in a network of its own:\n{told}\n{log}").into())
}

fn inside(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["-rn", "sh", "-c"])
        .arg("ip link set lo up && exec \"$0\" \"$@\"")
        .arg(program)
        .args(arguments)
        .env(OWN_NETWORK, "1");
    command
}
