//! Our framing against the cases of the Autobahn test suite, run by `kosoku` (0.1.0, of the Python package index) where
//! that is installed: those of limits (9) and of compression (12, 13) are not ours.

mod support;

use std::net::TcpListener;
use std::process::Command;
use std::thread;

use libtest_mimic::{Arguments, Trial};
use support::programs::is_installed;

/// Groups of cases: framing, pings, reserved bits, opcodes, fragments, UTF-8, closing, and the rest.
const CASES: [&str; 8] = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"];

/// How many cases these are.
const CASES_COUNT: usize = 247;

fn main() {
    let arguments = Arguments::from_args();
    let trial = Trial::test("the cases of autobahn", || {
        all_pass();
        Ok(())
    });
    let is_missing = !is_installed("kosoku");
    libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(is_missing)]).exit();
}

fn all_pass() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}", listener.local_addr().expect("it listens"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("somebody comes");
            // Whether the other side ends it well is what the cases are about.
            thread::spawn(move || chatd::internals::ws_echo(&mut stream).ok());
        }
    });
    let mut kosoku = Command::new("kosoku");
    kosoku.args(["-m", "fuzzingclient"]);
    kosoku.args(CASES.iter().flat_map(|case| ["-i", case]));
    kosoku.args(["-o", concat!(env!("CARGO_TARGET_TMPDIR"), "/framing-cases")]);
    let output = kosoku.arg(format!("{url}/ws")).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{errors}");
    let passed = told
        .lines()
        .any(|line| line == format!("{CASES_COUNT} cases passed"));
    assert!(passed, "{told}{errors}");
}
