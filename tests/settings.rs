//! Settings that change while the server runs: SIGHUP reads them again, and nobody is dropped for that.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use rustix::process::Signal;
use support::person::Person;
use support::server::{chatd, Server};
use support::settings_table::rows;

/// A folder that is there for one test, with a settings file in it.
struct Place(PathBuf);

impl Place {
    fn new(purpose: &str) -> Self {
        let name = format!("chatd-reload-{}-{purpose}", std::process::id());
        let place = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&place.0).expect("it can be made");
        place
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn write(&self, name: &str, content: &str) -> String {
        fs::write(self.0.join(name), content).expect("it can be written");
        self.path(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const LISTEN: &str = "listen = 127.0.0.1:0\nlisten = wire://127.0.0.1:0\n";

/// A server with a settings file that can be written anew.
struct Reloading {
    server: Server,
    place: Place,
}

impl Reloading {
    fn start(purpose: &str, settings: &str, options: &[&str]) -> Self {
        let place = Place::new(purpose);
        place.write("chatd.conf", &format!("{LISTEN}{settings}"));
        // A relative name is found again, too.
        let mut command = chatd();
        command.current_dir(&place.0).args(["-f", "chatd.conf"]);
        for option in options {
            command.args(["-o", option]);
        }
        let server = Server::spawn(&mut command);
        server.output.wait_for("listening wire://");
        Self { server, place }
    }

    /// Lets the file say this, and the server read it.
    fn reload(&self, settings: &str) {
        self.place
            .write("chatd.conf", &format!("{LISTEN}{settings}"));
        self.hang_up(" INFO reloaded");
    }

    /// Sends SIGHUP and waits for one more such line.
    fn hang_up(&self, line: &str) {
        let before = self.server.log.matching(line).len();
        self.server.signal(Signal::HUP);
        self.server.log.wait_for_count(line, before + 1);
    }

    fn told(&self, what: &str) -> Vec<String> {
        let lines = self.server.log.matching(what);
        let told = lines.iter().map(|line| line.split_once(what));
        told.map(|line| line.expect("it matches").1.to_owned())
            .collect()
    }
}

#[test]
fn limits_change_for_those_who_are_there_and_nobody_is_dropped() {
    let it = Reloading::start("limits", "line-bytes-max = 1k\n", &["lines-per-second=0"]);
    let mut ann = it.server.join("ann");
    let mut bob = it.server.join("bob");
    ann.expect("-- bob joined (2 here)");
    ann.send(&[b'x'; 150]);
    it.reload("line-bytes-max = 100\nlines-per-second = 1\nsend-buffer-bytes = 64k\n");
    let told = it.told(" INFO reload ");
    let waits = "send-buffer-bytes waits for the next start";
    assert_eq!(told, ["line-bytes-max=100 was=1k", waits]);
    ann.say("");
    ann.expect("!! line too long: 150 bytes, at most 100; not sent");
    // The command line goes before the file: nobody waits.
    for n in 0..100 {
        ann.say(&format!("line {n}"));
        bob.expect(&format!("<ann> line {n}"));
    }
    it.reload("");
    ann.say(&"y".repeat(4096));
    bob.expect(&format!("<ann> {}", "y".repeat(4096)));
    assert_eq!(
        it.told(" INFO reload "),
        [
            "line-bytes-max=100 was=1k",
            waits,
            "line-bytes-max=4k was=100",
        ]
    );
    assert_eq!(it.server.report()["sessions"], 2);
}

#[test]
fn where_anything_is_wrong_all_old_ones_stay() {
    let place = Place::new("motd");
    let motd = place.write("motd", "Be kind.\n");
    let settings = format!("line-bytes-max = 100\nmotd-file = {motd}\n");
    let it = Reloading::start("wrong", &settings, &["lines-per-second=0"]);
    let mut ann = it.server.join("ann");
    let refused = " WARN reload: ";
    let absent = place.path("absent");
    for (settings, why) in [
        (
            "line-bytes-max = 200\nidle-seconds = soon\n".to_owned(),
            "chatd.conf, line 4: idle-seconds: soon is not a number of seconds, such as 10 or 0.25"
                .to_owned(),
        ),
        (
            format!("line-bytes-max = 200\nmotd-file = {absent}\n"),
            format!("cannot read motd-file {absent}: No such file or directory (os error 2)"),
        ),
        (
            "line-bytes-max = 64k\nqueue-bytes-max = 64k\n".to_owned(),
            "queue-bytes-max: 64k is too little for line-bytes-max 64k, at least 256k".to_owned(),
        ),
    ] {
        it.place.write("chatd.conf", &format!("{LISTEN}{settings}"));
        place.write("motd", "Be brief.\n");
        it.hang_up(refused);
        let told = it.told(refused);
        assert_eq!(*told.last().unwrap(), format!("{why}; nothing changed"));
        ann.say(&"x".repeat(150));
        ann.expect("!! line too long: 150 bytes, at most 100; not sent");
        let mut newcomer = it.server.connect();
        newcomer.skip_greeting();
        newcomer.expect("-- Be kind.");
        newcomer.expect_silence();
    }
    fs::remove_file(it.place.0.join("chatd.conf")).expect("it is there");
    it.hang_up(refused);
    let told = it.told(refused);
    assert!(
        told[3].starts_with("settings file chatd.conf: No such file"),
        "{told:?}"
    );
    assert_eq!(it.told(" INFO reloaded"), [""; 0]);
    it.reload(&settings);
    let mut newcomer = it.server.connect();
    newcomer.skip_greeting();
    newcomer.expect("-- Be brief.");
}

/// What somebody sees of a setting that has changed.
type Seen = fn(&Server, &mut Person);

/// Each setting that can be changed now, with what it is changed to, and what is seen of that beside the log.
const CHANGES: &[(&str, &str, Seen)] = &[
    ("sessions-max", "2", |server, _| {
        let mut bob = server.connect();
        bob.skip_greeting();
        server.connect().expect("!! goodbye: the server is full");
    }),
    ("sessions-per-address-max", "1", |_, _| {}),
    ("connects-per-minute", "1", |_, _| {}),
    ("exempt", "10.0.0.0/8", |_, _| {}),
    ("proxy-from", "192.0.2.7", |_, _| {}),
    ("line-bytes-max", "64", |_, ann| {
        ann.say(&"x".repeat(65));
        ann.expect("!! line too long: 65 bytes, at most 64; not sent");
    }),
    ("queue-bytes-max", "300k", |_, _| {}),
    ("queue-bytes-soft", "16k", |_, _| {}),
    ("queue-soft-seconds", "0.01", |_, _| {}),
    ("stall-seconds", "0", |_, _| {}),
    ("lines-per-second", "0", |_, ann| {
        (0..200).for_each(|_| ann.say("/who"));
        (0..200).for_each(|_| ann.expect("-- 1 here: ann"));
    }),
    ("lines-burst", "0", |_, ann| {
        (0..200).for_each(|_| ann.say("/who"));
        (0..200).for_each(|_| ann.expect("-- 1 here: ann"));
    }),
    ("idle-seconds", "0.01", |_, ann| {
        let farewell = ann.read_line().expect("it is told");
        assert!(farewell.starts_with("!! goodbye: nothing heard for "));
        ann.expect_end();
    }),
    ("drain-seconds", "0.01", |_, _| {}),
    ("history-lines", "1", |server, ann| {
        ann.say("first");
        ann.say("second");
        ann.say("/who");
        ann.expect("-- 1 here: ann");
        let mut bob = server.connect();
        bob.skip_greeting();
        bob.expect("-- earlier:");
        assert!(bob.read_line().expect("it").ends_with(" <ann> second"));
        bob.expect("-- now");
    }),
    ("room", "games", |_, ann| {
        ann.say("/rooms");
        ann.expect("-- 2 rooms: lobby (1), games (0)");
    }),
    ("web-host", "chat.example.org", |_, _| {}),
    ("web-history-lines", "300", |_, _| {}),
    ("rooms-max", "0", |_, ann| {
        ann.say("/join games");
        ann.expect("!! no rooms are made here; /rooms lists those there are");
    }),
    ("names-kept-max", "0", |_, ann| {
        ann.say("/keep");
        ann.expect("!! names are not kept here");
    }),
    ("names-kept-days", "0", |_, _| {}),
    ("motd-file", "motd", |server, _| {
        let mut bob = server.connect();
        bob.skip_greeting();
        bob.expect("-- Be kind.");
    }),
    ("pace-ms-max", "0", |_, _| {}),
    ("memory-max", "64k", |_, _| {}),
];

#[test]
fn every_setting_that_can_be_changed_now_is_and_the_others_wait() {
    let waiting = [
        ("listen", "h:7"),
        ("bans-file", "bans"),
        ("names-file", "names"),
        ("irc-name", "irc.example.org"),
        ("transcript-file", "transcript"),
        ("send-buffer-bytes", "0"),
        ("relay", "redis://127.0.0.1:6379"),
        ("relay-user", "chatd"),
        ("relay-password-file", "password"),
        ("relay-prefix", "chat:2"),
        ("relay-lines", "500"),
        ("relay-patience-seconds", "9"),
        ("relay-lease-seconds", "30"),
        ("relay-queue-bytes-max", "64k"),
    ];
    let known = waiting.iter().map(|(key, _)| *key);
    let known = known.chain(CHANGES.iter().map(|(key, ..)| *key));
    // What becomes of these is seen where TLS is spoken, in `tests/tls.rs`.
    let in_tls = ["tls-cert", "tls-key", "tls-min", "tls-roots"];
    let known: Vec<&str> = known.chain(in_tls).collect();
    for row in rows() {
        assert!(
            known.contains(&&*row.key),
            "when can {} be changed?",
            row.key
        );
    }
    for (key, value, see) in CHANGES {
        let it = Reloading::start(key, "", &[]);
        it.place.write("motd", "Be kind.\n");
        let mut ann = it.server.join("ann");
        it.reload(&format!("{key} = {value}\n"));
        let told = it.told(" INFO reload ");
        let changed = format!("{key}={value} was=");
        assert!(told.len() == 1 && told[0].starts_with(&changed), "{told:?}");
        see(&it.server, &mut ann);
        it.reload("");
        assert_eq!(it.told(" INFO reload ").len(), 2, "{key} is as it was");
    }
    for (key, value) in waiting {
        let it = Reloading::start(key, "", &[]);
        let mut ann = it.server.join("ann");
        it.reload(&format!("{key} = {value}\n"));
        let waits = format!("{key} waits for the next start");
        assert_eq!(it.told(" INFO reload "), [waits]);
        ann.expect_silence();
    }
}

fn test(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = chatd().arg("-t").args(arguments).output();
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("the program can be run");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_start_can_be_tried_without_starting() {
    let place = Place::new("try");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("it listens").to_string();
    let motd = place.write("motd", "Be kind.\n");
    let good = place.write("good.conf", &format!("motd-file = {motd}\n"));
    let wrong = place.write("wrong.conf", "\nidle-seconds = soon\n");
    let absent = place.path("absent");
    let motd_absent = format!("motd-file={absent}");
    let bans = format!(
        "bans-file={}",
        place.write("bans", "# who\nban everybody\n")
    );
    let folder = place.path("");
    let bans_folder = format!("bans-file={folder}");
    let bans_absent = format!("bans-file={absent}");
    let transcript_folder = format!("transcript-file={folder}");
    let transcript_absent = format!("transcript-file={absent}");
    let good_all = (Some(0), "settings are good\n".to_owned(), String::new());
    assert_eq!(test(&[]), good_all);
    assert_eq!(test(&["-f", &good, "-l", &taken]), good_all);
    for would_be_made in [&bans_absent, &transcript_absent] {
        assert_eq!(test(&["-o", would_be_made]), good_all);
        assert!(!std::path::Path::new(&absent).exists());
    }
    for (arguments, status, why) in [
        (
            &["-f", &wrong][..],
            2,
            format!("{wrong}, line 2: idle-seconds: soon is not a number of seconds, such as 10 or 0.25"),
        ),
        (
            &["-f", &absent],
            1,
            format!("settings file {absent}: No such file or directory (os error 2)"),
        ),
        (
            &["-o", &motd_absent],
            1,
            format!("cannot read motd-file {absent}: No such file or directory (os error 2)"),
        ),
        (
            &["-o", &bans],
            2,
            format!("{}, line 2: no such address: everybody", place.path("bans")),
        ),
        (
            &["-o", &bans_folder],
            1,
            format!("bans-file {folder}: not a regular file"),
        ),
        (
            &["-o", &transcript_folder],
            1,
            format!("transcript-file {folder}: Is a directory (os error 21)"),
        ),
        (
            &["-o", "line-bytes-max=1"],
            2,
            "line-bytes-max: 1 is out of range, 64 to 64k".to_owned(),
        ),
        (&["free"], 2, "unexpected argument: free; see chatd --help".to_owned()),
    ] {
        let expected = (Some(status), String::new(), format!("chatd: {why}\n"));
        assert_eq!(test(arguments), expected);
        // A start says the same.
        let mut server = Server::spawn(chatd().args(["-l", "127.0.0.1:0"]).args(arguments));
        assert_eq!(server.wait().code(), Some(status));
        assert_eq!(server.log.all(), [format!("chatd: {why}")]);
    }
}
