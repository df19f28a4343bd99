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
use support::person::Person;
use support::programs::is_installed;
use support::server::{chatd, Server};
use window::{Call, Window};

const IRSSI: Call = &["irssi", "-c", "HOST", "-p", "PORT", "-n", "bob"];
const WEECHAT: Call = &["weechat", "irc://bob@HOST:PORT"];

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
    for setting in settings {
        command.args(["-o", setting]);
    }
    let server = Server::spawn(&mut command);
    server.output.wait_for("listening irc://");
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
    bob.shows(&["End of /MOTD command"]);
    bob.enters("/join #lobby");
    ann.expect("-- bob joined (2 here)");
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
