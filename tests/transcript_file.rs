//! The transcript over real sockets and files: it survives the death of the server, is rotated without loss, and a disk
//! that is full stops nobody.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use libtest_mimic::{Arguments, Trial};
use rustix::process::Signal;
use support::person::Person;
use support::server::{chatd, Server};
use support::small_disk::SmallDisk;

fn main() {
    let mut arguments = Arguments::from_args();
    // They share nothing, but each starts servers.
    arguments.test_threads.get_or_insert(2);
    let tests: [(&str, fn()); 5] = [
        (
            "what_was_said_is_there_after_a_kill_and_no_line_is_torn",
            survives_a_kill,
        ),
        (
            "a_rotation_under_load_loses_and_tears_no_line",
            is_rotated_under_load,
        ),
        (
            "it_is_appended_to_a_file_that_was_copied_and_truncated",
            is_truncated,
        ),
        (
            "what_is_no_file_in_its_place_is_not_waited_for",
            is_replaced_by_a_pipe,
        ),
        (
            "it_is_written_down_by_the_time_it_is_heard",
            is_written_before_it_is_heard,
        ),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let mut trials: Vec<Trial> = tests.into_iter().map(trial).collect();
    let full_disk = trial((
        "a_full_disk_stops_nobody_and_all_that_is_lost_is_counted",
        fills_the_disk,
    ));
    let names = trial((
        "a_full_disk_frees_no_name_and_what_was_kept_meanwhile_is_written_later",
        frees_no_name_on_a_full_disk,
    ));
    let is_forbidden = !may_mount();
    let both = [full_disk, names].map(|it| it.with_ignored_flag(is_forbidden));
    trials.extend(both);
    libtest_mimic::run(&arguments, trials).exit();
}

/// A folder with a transcript.
struct Place(PathBuf);

impl Place {
    fn new(purpose: &str) -> Self {
        let name = format!("transcript-{purpose}-{}", process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn setting(&self) -> String {
        format!("transcript-file={}", self.file("said").display())
    }

    fn start(&self) -> Server {
        Server::start(&[&self.setting(), "history-lines=20"])
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// The words of each line of ann in a file; every line must be one of hers, whole.
#[track_caller]
fn words(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a transcript");
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.lines().map(|line| words_of(line).to_owned()).collect()
}

#[track_caller]
fn words_of(line: &str) -> &str {
    let (time, rest) = line.split_at_checked(20).expect("a time");
    assert!(time.starts_with("20") && time.ends_with('Z'), "{line:?}");
    rest.strip_prefix(" lobby <ann> ").expect(line)
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| format!("line {n}")).collect()
}

#[track_caller]
fn say(person: &mut Person, lines: &[String]) {
    let text = lines.join("\r\n") + "\r\n";
    person.send(text.as_bytes());
}

fn survives_a_kill() {
    let place = Place::new("kill");
    for round in 0..5 {
        let mut server = place.start();
        let (mut ann, mut bob) = (server.join("ann"), server.join("bob"));
        ann.skip_until("-- bob joined (2 here)");
        say(&mut ann, &numbered(round * 100..(round + 1) * 100));
        bob.skip_until(&format!("<ann> line {}", round * 100 + 99));
        server.signal(Signal::KILL);
        server.wait();
        assert_eq!(words(&place.file("said")), numbered(0..(round + 1) * 100));
        let server = place.start();
        let mut guest = server.connect();
        guest.skip_greeting();
        guest.expect("-- what is said in rooms without a key is recorded");
        guest.expect("-- earlier:");
        for line in numbered(round * 100 + 80..(round + 1) * 100) {
            let told = guest.read_line().expect("what was said");
            assert!(told.ends_with(&format!(" <ann> {line}")), "{told:?}");
        }
        guest.expect("-- now");
    }
}

fn is_written_before_it_is_heard() {
    let place = Place::new("heard");
    let server = place.start();
    let (mut ann, mut bob) = (server.join("ann"), server.join("bob"));
    for n in 0..200 {
        ann.say(&format!("line {n}"));
        bob.skip_until(&format!("<ann> line {n}"));
        assert_eq!(words(&place.file("said")).len(), n + 1);
    }
}

fn is_rotated_under_load() {
    const ROTATIONS: usize = 10;
    const LINES: usize = 200;
    let place = Place::new("rotation");
    let mut server = place.start();
    let (mut ann, mut bob) = (server.join("ann"), server.join("bob"));
    let said = place.file("said");
    for n in 0..ROTATIONS {
        say(&mut ann, &numbered(n * LINES..(n + 1) * LINES));
        fs::rename(&said, place.file(&format!("said.{n}"))).expect("it is there");
        server.signal(Signal::HUP);
        server.log.wait_for_count(" INFO reloaded", n + 1);
    }
    say(&mut ann, &["the end".to_owned()]);
    bob.skip_until("<ann> the end");
    server.stop();
    let files = (0..ROTATIONS).map(|n| place.file(&format!("said.{n}")));
    let mut all: Vec<String> = files.flat_map(|file| words(&file)).collect();
    all.extend(words(&said));
    assert_eq!(all.pop().as_deref(), Some("the end"));
    assert_eq!(all, numbered(0..ROTATIONS * LINES));
}

fn is_truncated() {
    let place = Place::new("truncate");
    let server = place.start();
    let mut ann = server.join("ann");
    let said = place.file("said");
    for n in 0..5 {
        ann.say(&format!("line {n}"));
        ann.expect_silence();
        assert_eq!(words(&said), [format!("line {n}")]);
        fs::copy(&said, place.file("copy")).expect("a copy");
        let file = fs::OpenOptions::new().write(true).open(&said);
        file.and_then(|file| file.set_len(0))
            .expect("it is emptied");
    }
}

fn is_replaced_by_a_pipe() {
    let place = Place::new("pipe");
    let mut server = place.start();
    let mut ann = server.join("ann");
    let (said, old) = (place.file("said"), place.file("old"));
    fs::rename(&said, &old).expect("it is there");
    for (kind, why) in [
        ("mkfifo", "not a regular file"),
        ("mkdir", "Is a directory (os error 21)"),
    ] {
        let made = Command::new(kind)
            .arg(&said)
            .status()
            .expect("it is installed");
        assert!(made.success());
        server.signal(Signal::HUP);
        let told = format!(
            "reload: transcript-file {}: {why}; nothing changed",
            said.display()
        );
        server.log.wait_for(&told);
        ann.say(kind);
        ann.expect_silence();
        let mut command = chatd();
        command.args(["-l", "127.0.0.1:0", "-o", &place.setting()]);
        let mut other = Server::spawn(&mut command);
        assert_eq!(other.wait().code(), Some(1));
        let told = format!("chatd: transcript-file {}: {why}", said.display());
        assert_eq!(other.log.all(), [told]);
        _ = fs::remove_file(&said);
    }
    assert_eq!(words(&old), ["mkfifo", "mkdir"]);
    server.stop();
}

fn may_mount() -> bool {
    let place = Place::new("mount");
    let disk = SmallDisk::mount(&place.0);
    let tried = disk.map(|disk| disk.command("true").output());
    tried.is_some_and(|tried| tried.is_ok_and(|output| output.status.success()))
}

/// A server on a small disk, with these files there.
fn on_a_small_disk(disk: &SmallDisk, settings: &[&str]) -> Server {
    let mut command = disk.command(env!("CARGO_BIN_EXE_chatd"));
    command
        .args(["-l", "telnet://127.0.0.1:0", "-l", "wire://127.0.0.1:0"])
        .args(["-o", "lines-per-second=0", "-o", "history-lines=0"])
        .env_remove("RUST_LOG");
    for setting in settings {
        command.args(["-o", setting]);
    }
    let server = Server::spawn(&mut command);
    server.output.wait_for("listening wire://");
    server
}

const TRANSCRIPT_FULL: &str = "transcript: cannot write: No space left on device; lines are lost";

fn fills_the_disk() {
    const LINES: usize = 60;
    let place = Place::new("disk");
    let disk = SmallDisk::mount(&place.0).expect("not run where that is forbidden");
    let mut server = on_a_small_disk(&disk, &[&place.setting()]);
    let (mut ann, mut bob) = (server.join("ann"), server.join("bob"));
    let said = disk.path("said");
    let long = "x".repeat(2000);
    for n in 0..LINES {
        ann.say(&format!("{n} {long}"));
        bob.skip_until(&format!("<ann> {n} {long}"));
    }
    server.log.wait_for(TRANSCRIPT_FULL);
    let text = fs::read_to_string(&said).expect("it is full of text");
    let whole = text.matches('\n').count();
    assert!((20..LINES).contains(&whole), "{whole} lines fit into 64 kB");
    for (n, line) in text.split_inclusive('\n').take(whole).enumerate() {
        assert_eq!(words_of(line.trim_end()), format!("{n} {long}"));
    }
    let file = fs::OpenOptions::new().write(true).open(&said);
    file.and_then(|file| file.set_len(0))
        .expect("there is space again");
    ann.say("again");
    bob.skip_until("<ann> again");
    let lost = format!("transcript: written again, {} lines lost", LINES - whole);
    server.log.wait_for(&lost);
    let text = fs::read_to_string(&said).expect("it is there");
    let behind = text.strip_prefix(" \n").unwrap_or(&text);
    assert_eq!(words_of(behind.trim_end_matches('\n')), "again");
    let told = server.log.matching(TRANSCRIPT_FULL);
    assert_eq!(told.len(), 1, "it is told of once");
    server.stop();
}

/// Also where the server dies while the disk is full.
fn frees_no_name_on_a_full_disk() {
    let place = Place::new("full-names");
    let disk = SmallDisk::mount(&place.0).expect("not run where that is forbidden");
    let names_file = format!("names-file={}", place.file("names").display());
    let start = || on_a_small_disk(&disk, &[&names_file, &place.setting()]);
    let text = |file| fs::read_to_string(disk.path(file)).expect("it is there");
    let keep = |person: &mut Person, name: &str| {
        person.say("/keep");
        let mut told = String::new();
        while !told.starts_with(&format!("-- {name} is yours: ")) {
            told = person.read_line().expect("an answer");
        }
    };
    let mut server = start();
    let mut ann = server.join("ann");
    keep(&mut ann, "ann");
    ann.say("line 0");
    ann.expect_silence();
    server.stop();
    let [names, said] = ["names", "said"].map(text);
    assert!(names.starts_with("ann sha256:") && names.lines().count() == 1);
    disk.fill("filler");

    // What is shorter than a page finds room in the last one.
    let long = "x".repeat(4000);
    for round in 0..2 {
        let mut server = start();
        let (mut bob, mut cleo) = (server.join("bob"), server.join("cleo"));
        keep(&mut bob, "bob");
        let told = format!(
            "names-file {} is not saved, trying again in a minute: No space left on device",
            place.file("names").display()
        );
        server.log.wait_for(&told);
        for n in 0..3 {
            bob.say(&format!("{n} {long}"));
            cleo.skip_until(&format!("<bob> {n} {long}"));
        }
        server.log.wait_for(TRANSCRIPT_FULL);
        for told in [&*told, TRANSCRIPT_FULL] {
            assert_eq!(server.log.matching(told).len(), 1, "{told}");
        }
        assert_eq!(text("names"), names);
        assert!(text("said").starts_with(&said));
        if round == 0 {
            server.signal(Signal::KILL);
            server.wait();
            continue;
        }
        fs::remove_file(disk.path("filler")).expect("it is there");
        bob.say("again");
        cleo.skip_until("<bob> again");
        server.log.wait_for("transcript: written again, ");
        assert!(text("said").ends_with("Z lobby <bob> again\n"));
        server.stop();
    }
    let kept = text("names");
    let added = kept.strip_prefix(&names).expect("ann is kept as before");
    assert!(added.starts_with("bob sha256:") && added.lines().count() == 1);
    let server = start();
    let mut eve = server.connect();
    for name in ["ann", "bob"] {
        eve.say(&format!("/name {name}"));
        eve.skip_until(&format!("!! {name} is kept: /name {name} KEY takes it"));
    }
}
