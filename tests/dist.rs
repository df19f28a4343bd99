//! What `dist/` brings for the system: the units of systemd and the manual page. What needs a tool that is not
//! installed is reported as ignored.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::{Arguments, Trial};
use support::programs::is_installed;
use support::settings_table;

/// The exposure that `systemd-analyze security` may find, in tenths.
const EXPOSURE_MAX: u32 = 15;

fn main() {
    let arguments = Arguments::from_args();
    let trials = [
        trial(
            "the units are understood",
            "systemd-analyze",
            units_are_understood,
        ),
        trial(
            "the service is confined",
            "systemd-analyze",
            service_is_confined,
        ),
        trial(
            "the manual page has no warnings",
            "groff",
            manual_page_is_clean,
        ),
        trial(
            "the manual page tells all of the help",
            "groff",
            manual_page_tells_all,
        ),
        trial(
            "the sockets have names that are dialects",
            "",
            sockets_are_named,
        ),
    ];
    libtest_mimic::run(&arguments, trials.into()).exit();
}

fn trial(name: &str, tool: &str, test: fn()) -> Trial {
    let run = move || {
        test();
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(!tool.is_empty() && !is_installed(tool))
}

fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("dist")
        .join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(dist(name)).expect("it is there")
}

const UNITS: [&str; 3] = ["chatd.service", "chatd.socket", "chatd-wire.socket"];

/// The units in a folder of their own, with the program where it is and not where it will be installed.
fn units(purpose: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(purpose);
    fs::create_dir_all(&folder).expect("a folder");
    for unit in UNITS {
        let text = read(unit).replace("/usr/local/bin/chatd", env!("CARGO_BIN_EXE_chatd"));
        fs::write(folder.join(unit), text).expect("it can be written");
    }
    folder
}

#[track_caller]
fn run(command: &mut Command) -> Output {
    let output = command.output().expect("it is installed");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn units_are_understood() {
    let folder = units("verify");
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]);
    command.args(UNITS.map(|unit| folder.join(unit)));
    let output = run(&mut command);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

fn service_is_confined() {
    let folder = units("security");
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager"]);
    command.arg(format!("--threshold={EXPOSURE_MAX}"));
    let output = run(command.arg(folder.join("chatd.service")));
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(
        table.contains("Overall exposure level for chatd.service"),
        "{table}"
    );
}

/// The manual page as it is read.
fn manual_page() -> String {
    let mut command = Command::new("groff");
    command.args(["-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=100n"]);
    let output = run(command.arg(dist("chatd.1")));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn manual_page_is_clean() {
    let page = manual_page();
    for part in [
        "NAME",
        "SYNOPSIS",
        "OPTIONS",
        "SETTINGS",
        "EXIT STATUS",
        "SECURITY",
    ] {
        assert!(
            page.contains(&format!("\n{part}\n")),
            "no {part} in:\n{page}"
        );
    }
}

fn manual_page_tells_all() {
    let page = words(&manual_page());
    for row in settings_table::rows() {
        let told = format!("{} ({}) {}.", row.key, row.default, row.meaning);
        assert!(page.contains(&told), "put this into dist/chatd.1: {told}");
    }
    let help = chatd::settings::help();
    let options = help.lines().filter(|line| line.starts_with("    -"));
    for option in options {
        let option = option.trim().split("  ").next().unwrap_or_default();
        assert!(page.contains(option), "no {option} in dist/chatd.1");
    }
}

/// The text with one space between words, however it is broken into lines and whichever hyphens it has.
fn words(text: &str) -> String {
    let text = text
        .replace(['\u{2010}', '\u{2212}'], "-")
        .replace('\u{2019}', "'");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sockets_are_named() {
    for (unit, dialect) in [("chatd.socket", "telnet"), ("chatd-wire.socket", "wire")] {
        let text = read(unit);
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("FileDescriptorName="));
        assert_eq!(name, Some(dialect), "{unit}");
        let known: Result<chatd::settings::Dialect, _> = dialect.parse();
        assert!(known.is_ok());
    }
}
