//! A talk of everybody at once, each with a client of their own, while the certificate is renewed under them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::certificate::Certificate;
use super::support::operator::Place;
use super::support::server::{chatd, Server};
use super::support::session::value;
use super::support::webdriver::{Window, ENTER};
use super::support::DEADLINE;

/// What it takes.
pub(crate) const PROGRAMS: &[&str] = &[
    "tmux",
    "openssl",
    "ncat",
    "telnet",
    "irssi",
    "weechat",
    "chromedriver",
    "chromium",
];

/// Those who talk in a terminal; the one in the browser is called `chrome`.
const IN_TERMINALS: [&str; 5] = ["openssl", "ncat", "telnet", "irssi", "weechat"];

/// Clients in the windows of a tmux of their own. Dropped, all are ended.
struct Terminals {
    /// The name of its socket.
    tmux: String,
    /// Where they keep their settings.
    folder: PathBuf,
}

impl Terminals {
    fn open() -> Self {
        let tmux = format!("chatd-tls-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&tmux);
        fs::create_dir_all(&folder).expect("a folder");
        let terminals = Self { tmux, folder };
        let session = ["-u", "-f", "/dev/null", "new-session", "-d"];
        terminals.run(&[&session[..], &["-x", "120", "-y", "50", "cat"]].concat());
        terminals
    }

    /// Lets tmux do something; gives what it says of that.
    fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.tmux]).args(words);
        // They read and write nothing in the home of whoever tests.
        command.env("HOME", &self.folder).env("LC_ALL", "C.UTF-8");
        command.env_remove("TMUX").stderr(Stdio::null());
        let output = command.output().expect("it is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn start(&self, name: &str, program: &[&str]) {
        self.run(&[&["new-window", "-n", name], program].concat());
    }

    fn enter(&self, name: &str, line: &str) {
        self.run(&["send-keys", "-t", name, "-l", line]);
        self.run(&["send-keys", "-t", name, "Enter"]);
    }

    /// Waits until somebody sees this.
    #[track_caller]
    #[allow(
        clippy::disallowed_methods,
        reason = "deadlines of tests are real time"
    )]
    fn wait_for(&self, name: &str, text: &str) {
        let give_up_at = Instant::now() + DEADLINE;
        loop {
            let screen = self.run(&["capture-pane", "-p", "-t", name]);
            if screen.contains(text) {
                return;
            }
            let is_late = Instant::now() > give_up_at;
            assert!(!is_late, "{name} never sees {text:?}\n{screen}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminals {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Everybody who talks.
struct People {
    terminals: Terminals,
    browser: Window,
}

impl People {
    /// All come, in clear and in TLS.
    fn come(server: &Server, certificate: &Certificate) -> Self {
        let terminals = Terminals::open();
        let root = certificate.path("cert.pem");
        let port = |dialect| server.address(dialect).port().to_string();
        let (clear, telnets, ircs) = (port("telnet"), port("telnets"), port("ircs"));
        let to = format!("localhost:{telnets}");
        let check = ["-verify_return_error", "-CAfile", &root];
        let openssl = [
            "openssl",
            "s_client",
            "-quiet",
            "-no_ign_eof",
            "-connect",
            &to,
        ];
        terminals.start("openssl", &[&openssl[..], &check].concat());
        let ncat = ["ncat", "--ssl-verify", "--ssl-trustfile", &root];
        terminals.start("ncat", &[&ncat[..], &["localhost", &telnets]].concat());
        terminals.start("telnet", &["telnet", "127.0.0.1", &clear]);
        for name in ["openssl", "ncat", "telnet"] {
            terminals.wait_for(name, "-- Welcome!");
            terminals.enter(name, &format!("/name {name}"));
            terminals.wait_for(name, &format!("-- you are {name}"));
        }
        let home = terminals.folder.join("irssi");
        fs::create_dir_all(&home).expect("ours");
        let settings = format!(
            "servers = ( {{ address = \"localhost\"; port = \"{ircs}\"; chatnet = \"chat\"; use_tls = \"yes\"; \
             tls_verify = \"yes\"; tls_cafile = \"{root}\"; autoconnect = \"yes\"; }} );\n\
             chatnets = {{ chat = {{ type = \"IRC\"; nick = \"irssi\"; }}; }};\n\
             channels = ( {{ name = \"#lobby\"; chatnet = \"chat\"; autojoin = \"yes\"; }} );\n"
        );
        fs::write(home.join("config"), settings).expect("ours");
        let home = format!("--home={}", home.display());
        terminals.start("irssi", &["irssi", &home]);
        let home = terminals.folder.join("weechat").display().to_string();
        let commands = format!(
            "/set weechat.network.gnutls_ca_user \"{root}\"; \
             /server add chat localhost/{ircs} -{} -nicks=weechat -autojoin=#lobby; /connect chat",
            word_of_weechat()
        );
        terminals.start("weechat", &["weechat", "-d", &home, "-r", &commands]);
        for name in ["irssi", "weechat"] {
            terminals.wait_for("telnet", &format!("-- {name} joined"));
        }
        // It goes there, but shows something else.
        terminals.enter("irssi", "/window goto #lobby");
        let browser = Window::open();
        browser.go_by("https", server.address("https"));
        browser.wait_for("return state", &json!("here"));
        browser.press(&format!("/name chrome{ENTER}"));
        terminals.wait_for("telnet", "-- chrome joined (6 here)");
        Self { terminals, browser }
    }

    /// Each says something, and all see it, they themselves too.
    fn talk(&self, what: &str) {
        for name in IN_TERMINALS {
            self.terminals.enter(name, &format!("{what} by {name}"));
            self.see(&format!("{what} by {name}"));
        }
        self.browser.press(&format!("{what} by chrome{ENTER}"));
        self.see(&format!("{what} by chrome"));
    }

    fn see(&self, line: &str) {
        for name in IN_TERMINALS {
            self.terminals.wait_for(name, line);
        }
        let is_shown =
            format!("return items.some(item => item.k === 'said' && item.x === '{line}')");
        self.browser.wait_for(&is_shown, &json!(true));
    }

    /// All go, of their own accord.
    fn go(self, server: &Server) {
        for name in IN_TERMINALS {
            self.terminals.enter(name, "/quit");
        }
        self.browser.press(&format!("/quit{ENTER}"));
        server.log.wait_for_count(" reason=quit ", 6);
    }
}

/// What `WeeChat` calls TLS, by its version.
fn word_of_weechat() -> &'static str {
    let version = Command::new("weechat").arg("--version").output();
    let version = version.expect("it is installed").stdout;
    let version = String::from_utf8_lossy(&version);
    let major = version.split('.').next().and_then(|it| it.parse().ok());
    if major.is_some_and(|major: u32| major < 4) {
        "ssl"
    } else {
        "tls"
    }
}

/// The certificate is renewed by the signal, by an operator, and then broken: nobody is dropped, and nothing is lost.
pub(crate) fn all_at_once() {
    let (certificate, place) = (Certificate::new(), Place::new());
    let listeners = ["telnets", "ircs", "https"];
    let settings = [("-l", place.endpoint())];
    let server = super::server_with(&certificate, &listeners, &settings);
    let reload = || {
        let mut command = chatd();
        command.args(["ctl", "-s"]).arg(place.path()).arg("reload");
        let output = command.output().expect("it is built");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let people = People::come(&server, &certificate);
    people.talk("one");
    certificate.renew((2091, 1, 1));
    server.signal(Signal::HUP);
    server.log.wait_for_count("INFO reloaded", 1);
    server
        .log
        .wait_for("tls: the certificate ends on 2091-01-01");
    people.talk("two");
    certificate.renew((2092, 1, 1));
    assert_eq!(reload(), "-- reloaded\n");
    server
        .log
        .wait_for("tls: the certificate ends on 2092-01-01");
    // It trusts the newest one alone.
    let newcomer = certificate.shake_hands(server.address("telnets"));
    drop(newcomer.expect("it is served"));
    people.talk("three");
    let good = fs::read_to_string(certificate.path("cert.pem")).expect("ours");
    certificate.write("cert.pem", "broken");
    let why = format!(
        "reload: {}: no certificate in it; the old certificate stays",
        certificate.path("cert.pem")
    );
    assert!(reload().contains(&why));
    server.signal(Signal::HUP);
    server.log.wait_for_count(&why, 2);
    people.talk("four");
    certificate.write("cert.pem", &good);
    let newcomer = certificate.shake_hands(server.address("telnets"));
    drop(newcomer.expect("the old one is served"));
    people.go(&server);
    let closes = server.log.matching(" close id=");
    let of_people = closes
        .iter()
        .filter(|close| value(close, "reason") == "quit");
    assert_eq!(of_people.count(), 6, "{closes:#?}");
}
