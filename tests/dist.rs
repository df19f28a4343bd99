//! What `dist/` brings for the system: the units of systemd, manual pages, the container, packages. What needs a tool that is not
//! installed is reported as ignored.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chatd::settings::{self, Endpoint, Invocation};
use libtest_mimic::{Arguments, Trial};
use support::operator::Place;
use support::programs::is_installed;
use support::server::Server;
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
            "the manual pages have no warnings",
            "groff",
            manual_pages_are_clean,
        ),
        trial(
            "the manual page tells all of the help",
            "groff",
            manual_page_tells_all,
        ),
        trial(
            "the manual page lists what people type",
            "groff",
            manual_page_lists_commands,
        ),
        trial(
            "the manual page lists what operators ask for",
            "groff",
            manual_page_lists_operators_commands,
        ),
        trial(
            "the manual page of the load test tells all of its help",
            "groff",
            manual_page_of_the_load_is_whole,
        ),
        trial("the container is as it is said", "", container_is_as_said),
        trial(
            "the linter finds nothing in the container",
            "hadolint",
            container_is_clean,
        ),
        trial(
            "what the package brings is there",
            "",
            package_brings_what_is_there,
        ),
        trial("the workflow runs the checks", "", workflow_runs_the_checks),
        trial(
            "the alerts are understood",
            "promtool",
            alerts_are_understood,
        ),
        trial(
            "the filter finds who abuses the server",
            "fail2ban-regex",
            filter_finds_abuse,
        ),
        trial(
            "the log is rotated as it is said",
            "logrotate",
            log_is_rotated,
        ),
        Trial::test("the container can be built", || {
            container_can_be_built();
            Ok(())
        })
        .with_ignored_flag(!has_engine()),
        trial(
            "the sockets have names that say what is offered there",
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

const UNITS: [&str; 5] = [
    "chatd.service",
    "chatd.socket",
    "chatd-wire.socket",
    "chatd-ops.socket",
    "chatd-metrics.socket",
];

/// The units in a folder of their own, with the program where it is and not where it will be installed.
fn units(purpose: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(purpose);
    fs::create_dir_all(&folder).expect("a folder");
    let start = format!("ExecStart={}", env!("CARGO_BIN_EXE_chatd"));
    for unit in UNITS {
        let text = read(unit).replace("ExecStart=chatd", &start);
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

/// A manual page as it is read.
fn manual_page(name: &str) -> String {
    let mut command = Command::new("groff");
    command.args(["-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=100n"]);
    let output = run(command.arg(dist(name)));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn manual_pages_are_clean() {
    const BOTH: [&str; 4] = ["NAME", "SYNOPSIS", "OPTIONS", "EXIT STATUS"];
    const SERVER: [&str; 4] = ["SETTINGS", "COMMANDS", "FILES", "SECURITY"];
    for (name, parts) in [
        ("chatd.1", [&BOTH[..], &SERVER].concat()),
        ("chatload.1", BOTH.to_vec()),
    ] {
        let page = manual_page(name);
        for part in parts {
            assert!(
                page.contains(&format!("\n{part}\n")),
                "no {part} in:\n{page}"
            );
        }
    }
}

fn manual_page_lists_commands() {
    let page = words(&manual_page("chatd.1"));
    let server = Server::start(&[]);
    let mut ann = server.connect();
    ann.say("/help");
    ann.say("/nosuch");
    let mut listed = 0;
    loop {
        let line = ann.read_line().expect("it is listed");
        if line.starts_with("!! ") {
            break;
        }
        // The greeting stands before the list.
        let command = line
            .strip_prefix("-- /")
            .and_then(|row| row.split(' ').next());
        if let Some(command) = command {
            let there = page.contains(&format!("/{command}"));
            assert!(there, "put /{command} into dist/chatd.1");
            listed += 1;
        }
    }
    assert!(listed > 10, "{listed} commands");
}

fn manual_page_lists_operators_commands() {
    let page = words(&manual_page("chatd.1"));
    let place = Place::new();
    let _server = place.start(&[]);
    let mut listed = place.connect().ask("help");
    listed.pop();
    assert!(listed.len() > 10, "{listed:?}");
    for line in listed {
        let told = words(&line);
        assert!(page.contains(&told), "put this into dist/chatd.1: {told}");
    }
}

/// The options as its source has them, for the program itself is built with a feature only.
fn manual_page_of_the_load_is_whole() {
    let page = words(&manual_page("chatload.1"));
    let source = include_str!("../src/bin/chatload/options.rs");
    let (_, rows) = source.split_once("const OPTIONS").expect("its options");
    let (rows, _) = rows.split_once("];").expect("an end");
    let rows: Vec<Vec<&str>> = rows
        .lines()
        .filter(|line| line.starts_with("    (\""))
        .map(|row| row.split('"').skip(1).step_by(2).collect())
        .collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        let [option, value, meaning] = row[..] else {
            panic!("{row:?}");
        };
        let told = words(&format!("--{option} {value} {meaning}"));
        assert!(
            page.contains(&told),
            "put this into dist/chatload.1: {told}"
        );
    }
}

/// Whether there is something that builds and runs containers.
fn has_engine() -> bool {
    let info = Command::new("docker").arg("info").output();
    info.is_ok_and(|info| info.status.success())
}

/// The instructions of the Dockerfile, each with its arguments.
fn instructions() -> Vec<(String, String)> {
    let text = read("Dockerfile");
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once(' ').expect("an instruction"));
    pairs
        .map(|(what, how)| (what.to_owned(), how.to_owned()))
        .collect()
}

fn container_is_as_said() {
    let all = instructions();
    let known = [
        "FROM",
        "RUN",
        "WORKDIR",
        "COPY",
        "USER",
        "EXPOSE",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    ];
    assert!(
        all.iter().all(|(what, _)| known.contains(&what.as_str())),
        "{all:?}"
    );
    let last = all.iter().rposition(|(what, _)| what == "FROM");
    let image = &all[last.expect("it is made from something")..];
    let how = |wanted: &str| {
        let found = image.iter().find(|(what, _)| what == wanted);
        &found.unwrap_or_else(|| panic!("no {wanted}")).1
    };
    assert_eq!(how("FROM"), "scratch");
    let user = how("USER")
        .split(':')
        .next()
        .and_then(|user| user.parse().ok());
    assert!(user.is_some_and(|user: u32| user > 0), "not root");
    assert!(how("COPY").ends_with(" /chatd"));
    assert_eq!(how("ENTRYPOINT"), r#"["/chatd"]"#);
    let arguments = how("CMD").trim_matches(['[', ']']).split(", ");
    let arguments = arguments.map(|argument| argument.trim_matches('"'));
    // `[::]` begins and ends with brackets itself.
    let arguments = arguments.map(|argument| match argument.strip_prefix("::]") {
        Some(rest) => format!("[::]{rest}"),
        None => argument.to_owned(),
    });
    let parsed = settings::parse(arguments).expect("they are understood");
    let Invocation::Run(settings) = parsed else {
        panic!("it prints something");
    };
    let ports: Vec<String> = settings
        .settings()
        .listen
        .iter()
        .map(|endpoint| match endpoint {
            Endpoint::Inet { place, .. } => place.port.to_string(),
            Endpoint::Operators(path) => panic!("{}", path.display()),
        })
        .collect();
    assert_eq!(ports.join(" "), *how("EXPOSE"));
}

fn container_is_clean() {
    let output = run(Command::new("hadolint").arg(dist("Dockerfile")));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

fn container_can_be_built() {
    let root = env!("CARGO_MANIFEST_DIR");
    let tag = format!("chatd-test-{}", std::process::id());
    let mut build = Command::new("docker");
    run(build
        .args(["build", "-q", "-f", "dist/Dockerfile", "-t", &tag, root])
        .current_dir(root));
    let output = Command::new("docker")
        .args(["run", "--rm", &tag, "--version"])
        .output();
    let _ = Command::new("docker").args(["rmi", &tag]).output();
    let version = String::from_utf8(output.expect("it was there").stdout).expect("UTF-8");
    assert_eq!(version, format!("chatd {}\n", env!("CARGO_PKG_VERSION")));
}

fn package_brings_what_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("it is there");
    let (_, package) = manifest
        .split_once("[package.metadata.deb]")
        .expect("it is described");
    let assets = package
        .lines()
        .filter_map(|line| line.strip_prefix("  [\""));
    let assets: Vec<&str> = assets.filter_map(|line| line.split('"').next()).collect();
    for wanted in UNITS.iter().chain(&["chatd.1", "chatload.1"]) {
        let path = format!("dist/{wanted}");
        assert!(assets.contains(&path.as_str()), "{wanted}");
    }
    for page in fs::read_dir(root.join("docs")).expect("the pages") {
        let page = page.expect("it can be listed").file_name();
        let path = format!("docs/{}", page.to_string_lossy());
        assert!(assets.contains(&path.as_str()), "{path}");
    }
    for asset in assets.iter().filter(|asset| !asset.starts_with("target/")) {
        assert!(root.join(asset).is_file(), "{asset}");
    }
}

fn workflow_runs_the_checks() {
    let workflow = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows/ci.yml");
    // A package of the sources has none.
    let Ok(text) = fs::read_to_string(workflow) else {
        return;
    };
    let steps: Vec<&str> = text.lines().filter(|line| line.contains("run: ")).collect();
    assert!(
        steps.iter().any(|step| step.ends_with(" .ci/run")),
        "{steps:?}"
    );
    assert!(!text.contains('\t'), "YAML has no tabs");
}

fn manual_page_tells_all() {
    let page = words(&manual_page("chatd.1"));
    for row in settings_table::rows() {
        let told = format!("{} ({}) {}.", row.key, row.default, row.meaning);
        assert!(page.contains(&told), "put this into dist/chatd.1: {told}");
    }
    let help = settings::help();
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

fn alerts_are_understood() {
    let rules = dist("prometheus/chatd.rules.yml");
    let output = run(Command::new("promtool").args(["check", "rules"]).arg(rules));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("6 rules found"), "{told}");
}

/// What the filter finds in a log of this text: the addresses, in their order.
#[track_caller]
fn found_by_the_filter(purpose: &str, log: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(purpose);
    fs::write(&file, log).expect("it can be written");
    let mut command = Command::new("fail2ban-regex");
    command.args(["--out", "ip"]).arg(file);
    let output = run(command.arg(dist("fail2ban/chatd.conf")));
    let told = String::from_utf8_lossy(&output.stdout);
    told.lines().map(str::to_owned).collect()
}

/// In a file and in the journal; but not where somebody only writes so.
fn filter_finds_abuse() {
    let server = Server::start(&[]);
    let mut scanner = server.connect();
    scanner.say("GET / HTTP/1.1");
    server.log.wait_for(" abuse from=127.0.0.1 ");
    let log = server.log.all().join("\n") + "\n";
    assert_eq!(
        found_by_the_filter("fail2ban-file.log", &log),
        ["127.0.0.1"]
    );
    let journal = "\
        2026-11-26T07:59:42.696000+0000 host chatd[17]: INFO abuse from=2001:db8::7 reason=flood id=17\n\
        2026-11-26T07:59:43.696000+0000 host chatd[17]: INFO abuse from=192.0.2.7 reason=connect-rate id=18\n\
        2026-11-26T07:59:44.696000+0000 host chatd[17]: INFO abuse from=192.0.2.8 reason=full id=19\n\
        2026-11-26T07:59:45.696000+0000 host chatd[17]: INFO name id=5 from=guest5 to=from=192.0.2.9\n";
    assert_eq!(
        found_by_the_filter("fail2ban-journal.log", journal),
        ["2001:db8::7", "192.0.2.7"]
    );
}

fn log_is_rotated() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("logrotate");
    fs::create_dir_all(&folder).expect("a folder");
    let log = folder.join("chatd.log");
    fs::write(&log, "a line\n").expect("it can be written");
    let transcript = folder.join("transcript");
    // Left over from the last time.
    let rotated = folder.join("transcript.1");
    _ = fs::remove_file(&rotated);
    _ = fs::remove_file(&transcript);
    let setting = format!("transcript-file={}", transcript.display());
    let mut server = Server::start(&[&setting]);
    let mut ann = server.join("ann");
    ann.say("before");
    ann.expect_silence();
    let rules = read("logrotate/chatd")
        .replace("/var/log/chatd.log", &log.to_string_lossy())
        .replace("/var/lib/chatd/transcript", &transcript.to_string_lossy())
        .replace(
            "systemctl reload chatd",
            &format!("kill -HUP {}", server.pid()),
        );
    let file = folder.join("rules");
    fs::write(&file, rules).expect("it can be written");
    let mut command = Command::new("logrotate");
    command
        .arg("--force")
        .arg("--state")
        .arg(folder.join("state"));
    run(command.arg(file));
    assert_eq!(fs::read_to_string(&log).expect("it is kept"), "");
    assert!(folder.join("chatd.log.1.gz").is_file());
    server.log.wait_for(" reloaded");
    ann.say("behind");
    ann.expect_silence();
    server.stop();
    for (file, words) in [(rotated, "before"), (transcript, "behind")] {
        let text = fs::read_to_string(file).expect("it is kept");
        assert!(
            text.ends_with(&format!("Z lobby <ann> {words}\n")),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1);
    }
}

fn sockets_are_named() {
    for (unit, word) in [
        ("chatd.socket", "telnet"),
        ("chatd-wire.socket", "wire"),
        ("chatd-ops.socket", "ops"),
        ("chatd-metrics.socket", "metrics"),
    ] {
        let text = read(unit);
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("FileDescriptorName="));
        assert_eq!(name, Some(word), "{unit}");
        let known: Result<settings::Service, _> = word.parse();
        assert!(known.is_ok());
    }
}
