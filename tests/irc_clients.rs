//! The IRC clients that people and bots have: irssi and `WeeChat`, each in a tmux whose screen is the judge, Python's irc
//! and Node's irc-framework. What is not installed is reported as ignored.

mod support;
#[path = "editing_clients/window.rs"]
#[allow(
    dead_code,
    reason = "what is typed with an editor is judged more closely"
)]
mod window;

use std::env;
use std::process::{Child, Command, Stdio};

use libtest_mimic::{Arguments, Trial};
use support::browser::Browser;
use support::person::Person;
use support::programs::is_installed;
use support::server::{chatd, Server};
use window::{Call, Window};

const IRSSI: Call = &["irssi", "-c", "HOST", "-p", "PORT", "-n", "bob"];
const WEECHAT: Call = &["weechat", "irc://bob@HOST:PORT"];

/// They send one line in two seconds of their own accord, unless they are told before they connect that they need not;
/// nor do they ask then whether what is pasted is to be sent.
const IN_HASTE: [(Call, &[&str]); 2] = [
    (
        &["irssi", "-n", "bob"],
        &[
            "/set cmd_queue_speed 10msecs",
            "/set paste_verify_line_count 0",
            "/connect HOST PORT",
        ],
    ),
    (
        &["weechat"],
        &[
            "/set irc.server_default.anti_flood_prio_high 0",
            "/set weechat.look.paste_max_lines -1",
            "/server add chat HOST/PORT -nicks=bob",
            "/connect chat",
        ],
    ),
];

/// What somebody pastes.
const PASTED: usize = 20;

/// What a bot is to say again.
const LINES: usize = 1000;

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let mut add = |name: &str, is_there: bool, test: fn()| {
        let run = move || {
            test();
            Ok(())
        };
        trials.push(Trial::test(name, run).with_ignored_flag(!is_there));
    };
    let has_screen = |client: Call| is_installed(client[0]) && is_installed("tmux");
    add("a talk with irssi", has_screen(IRSSI), || talk(IRSSI));
    add("a talk with WeeChat", has_screen(WEECHAT), || talk(WEECHAT));
    add("much from irssi", has_screen(IRSSI), || much(IN_HASTE[0]));
    add("much from WeeChat", has_screen(WEECHAT), || {
        much(IN_HASTE[1]);
    });
    let finds = |mut command: Command| {
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let mut python = Command::new("python3");
    python.args(["-c", "import irc.bot"]);
    add("a bot of Python's irc", finds(python), python_echoes);
    let mut node = node();
    node.args(["-e", "require('irc-framework')"]);
    add("a bot of irc-framework", finds(node), node_echoes);
    libtest_mimic::run(&arguments, trials).exit();
}

fn server(settings: &[&str]) -> Server {
    let mut command = chatd();
    command.args(["-l", "127.0.0.1:0", "-l", "irc://127.0.0.1:0"]);
    command.args(["-l", "http://127.0.0.1:0"]);
    for setting in settings {
        command.args(["-o", setting]);
    }
    let server = Server::spawn(&mut command);
    server.output.wait_for("listening http://");
    server
}

/// Node, which finds what was installed for all.
fn node() -> Command {
    let mut node = Command::new("node");
    if env::var_os("NODE_PATH").is_none() {
        node.env(
            "NODE_PATH",
            "/usr/local/lib/node_modules:/usr/lib/node_modules",
        );
    }
    node
}

/// A bot, ended with the test.
struct Bot(Child);

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn python_echoes() {
    let mut python = Command::new("python3");
    python.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/irc/echo_bot.py"
    ));
    echoes(python);
}

fn node_echoes() {
    let mut node = node();
    node.arg(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/irc/echo_bot.js"
    ));
    echoes(node);
}

/// All that is said comes back, in order, though a bot says all at once and is paused for it.
fn echoes(mut bot: Command) {
    let server = server(&["lines-per-second=500"]);
    let mut ann = server.join("ann");
    let address = server.address("irc");
    bot.args([address.ip().to_string(), address.port().to_string()]);
    let _bot = Bot(bot.spawn().expect("it is installed"));
    ann.expect("-- echo joined (2 here)");
    let line = |number| format!("line {number}: 罗永浩 👩\u{200d}👧 ::x");
    for number in 0..LINES {
        ann.say(&line(number));
    }
    for number in 0..LINES {
        ann.expect(&format!("<echo> {}", line(number)));
    }
    ann.expect_silence();
}

/// A window with a client in it, and what it shows.
struct Screen(Window);

impl Screen {
    fn open(client: Call, server: &Server) -> Self {
        let command = support::programs::calling(client, server.address("irc"));
        Self(Window::start(&command, ["100", "30"]))
    }

    fn enters(&self, line: &str) {
        self.0.enters(line);
    }

    fn joins(&self, ann: &mut Person) {
        self.shows(&["End of /MOTD command"]);
        self.enters("/join #lobby");
        ann.expect("-- bob joined (2 here)");
    }

    /// Pastes text, as a terminal does that marks what is pasted if it is asked to.
    fn pastes(&self, text: &str) {
        self.0.tmux(&["set-buffer", text]);
        self.0.tmux(&["paste-buffer", "-p"]);
    }

    /// Waits until these words stand in one row; what stands between them, and how it looks, is the client's.
    #[track_caller]
    fn shows(&self, words: &[&str]) {
        let stands = |row: &String| {
            let mut rest = row.as_str();
            words.iter().all(|word| {
                let found = rest.find(word);
                rest = found.map_or("", |at| &rest[at + word.len()..]);
                found.is_some()
            })
        };
        self.0
            .wait(&format!("{words:?}"), |pane| pane.lines.iter().any(stands));
    }

    fn does_not_show(&self, word: &str) {
        self.0.wait(&format!("all but {word}"), |pane| {
            !pane.lines.iter().any(|row| row.contains(word))
        });
    }
}

/// Comes to the lobby, where ann is with telnet.
fn both_there(client: Call, server: &Server) -> (Person, Screen) {
    let mut ann = server.join("ann");
    let bob = Screen::open(client, server);
    bob.joins(&mut ann);
    (ann, bob)
}

fn talk(client: Call) {
    let server = server(&[]);
    let (mut ann, bob) = both_there(client, &server);
    // WeeChat tells it in a row, irssi when all that it asks for was answered: it would wait for ever.
    let is_irssi = client == IRSSI;
    if is_irssi {
        bob.shows(&["Join to #lobby was synced in"]);
    } else {
        bob.shows(&["Channel created on"]);
    }
    ann.say("hello bob");
    bob.shows(&["ann", "hello bob"]);
    ann.say("/me waves");
    ann.expect("* ann waves");
    bob.shows(&["* ", "ann waves"]);
    bob.enters("hello 罗永浩");
    ann.expect("<bob> hello 罗永浩");
    bob.enters("/me nods");
    ann.expect("* bob nods");
    bob.enters("/nick 罗永浩");
    ann.expect("-- bob is now known as 罗永浩");
    ann.say("/away lunch");
    ann.expect("-- you are away");
    bob.enters("/msg ann psst");
    ann.expect("[罗永浩] psst");
    ann.say("/msg 罗永浩 hush");
    ann.expect("[to 罗永浩] hush");
    // In a window of its own; what was said stays whole, however long.
    let long = format!("{}the end", "Straße 罗永浩 👩\u{200d}👧 ".repeat(110));
    ann.say(&long);
    bob.shows(&["the end"]);
    bob.enters("/whois ann");
    ann.say("/name cleo");
    ann.expect("-- you are cleo");
    bob.shows(&["cleo"]);
    bob.enters("/quit bye");
    ann.expect("-- 罗永浩 left: bye (1 here)");
    bob.does_not_show("the end");
}

/// With a browser beside them: lines that are pasted, a line of 4,096 bytes, and a `/ping`, all of which arrive.
fn much((client, begin): (Call, Call)) {
    let server = server(&[]);
    let mut ann = server.join("ann");
    let bob = Screen::open(client, &server);
    bob.shows(&["[", "]"]);
    for line in support::programs::calling(begin, server.address("irc")) {
        bob.enters(&line);
    }
    bob.joins(&mut ann);
    let eve = Browser::open(server.address("http"), "", &[]);
    let mut eve = eve.unwrap_or_else(|refused| panic!("{refused:?}"));
    eve.say("/name eve");
    ann.expect("-- eve joined (3 here)");
    eve.say("hello from a page");
    ann.expect("<eve> hello from a page");
    bob.shows(&["eve", "hello from a page"]);
    // A page hears its own lines.
    assert_eq!(eve.skip_until("said")["x"], "hello from a page");
    bob.enters("/ping ann");
    // Nobody answers that; what is typed behind it goes on. Behind a paste irssi would take it for words.
    bob.enters("still here");
    ann.expect("<bob> still here");
    assert_eq!(eve.skip_until("said")["x"], "still here");
    let lines: Vec<String> = (0..PASTED).map(|n| format!("line {n} 罗永浩")).collect();
    bob.pastes(&format!("{}\n", lines.join("\n")));
    for line in &lines {
        ann.expect(&format!("<bob> {line}"));
        let said = eve.skip_until("said");
        assert_eq!(said["x"], **line);
    }
    // The client sends it in several lines, each of which is cut between two characters.
    let word = "Straße-罗永浩 ";
    let long = word.repeat(4096 / word.len());
    bob.pastes(&long);
    bob.0.press("Enter");
    let mut heard = String::new();
    while heard.len() < long.trim_end().len() {
        let line = ann.read_line().expect("a line");
        let part = line
            .strip_prefix("<bob> ")
            .unwrap_or_else(|| panic!("{line}"));
        // A client may cut at a space, which is in neither part then.
        let rest = &long[heard.len()..];
        let rest = rest.strip_prefix(' ').filter(|_| !part.starts_with(' '));
        heard += if rest.is_some() { " " } else { "" };
        heard += part;
        assert!(long.starts_with(&heard), "{heard:?}");
    }
}
