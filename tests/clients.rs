//! The clients that people have: Debian's telnet, the several nc, ncat, socat, busybox and plink, under a terminal where
//! it matters. A client that is not installed is reported as ignored.

mod support;

use libtest_mimic::{Arguments, Trial};
use support::programs::{calling, is_client_installed, pipe};
use support::server::Server;
use support::terminal::Terminal;

/// A client of a terminal: how it is called, with HOST and PORT in their places.
const TERMINAL_CLIENTS: [&[&str]; 9] = [
    &["telnet", "HOST", "PORT"],
    &["nc.openbsd", "HOST", "PORT"],
    &["nc.traditional", "HOST", "PORT"],
    &["ncat", "HOST", "PORT"],
    &["ncat", "-C", "HOST", "PORT"],
    &["socat", "-", "TCP:HOST:PORT"],
    &["busybox", "telnet", "HOST", "PORT"],
    &["busybox", "nc", "HOST", "PORT"],
    &["plink", "-telnet", "-batch", "-P", "PORT", "HOST"],
];

/// A client that passes on what it is given and shows what it gets, byte by byte.
const PIPE_CLIENTS: [&[&str]; 7] = [
    &["nc.openbsd", "HOST", "PORT"],
    &["nc.traditional", "HOST", "PORT"],
    &["ncat", "HOST", "PORT"],
    &["ncat", "-C", "HOST", "PORT"],
    &["socat", "-", "TCP:HOST:PORT"],
    &["busybox", "nc", "HOST", "PORT"],
    &["plink", "-raw", "-batch", "-P", "PORT", "HOST"],
];

/// A client that tells the server when its input has ended, and reads on.
const HALF_CLOSING_CLIENTS: [&[&str]; 4] = [
    &["nc.openbsd", "-N", "HOST", "PORT"],
    &["nc.traditional", "-q", "5", "HOST", "PORT"],
    &["ncat", "HOST", "PORT"],
    &["socat", "-t", "30", "-", "TCP:HOST:PORT"],
];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let mut add = |what: &str, client: &'static [&str], test: fn(&[&str])| {
        let name = format!("{what}: {}", client.join(" "));
        let run = move || {
            test(client);
            Ok(())
        };
        trials.push(Trial::test(name, run).with_ignored_flag(!is_client_installed(client)));
    };
    for client in TERMINAL_CLIENTS {
        add("people talk", client, people_talk);
    }
    for client in PIPE_CLIENTS {
        add("one shot", client, one_shot);
    }
    for client in HALF_CLOSING_CLIENTS {
        add("half close", client, half_close);
    }
    let telnet = TERMINAL_CLIENTS[0];
    add(
        "ctrl-c does not freeze it",
        telnet,
        control_c_does_not_freeze,
    );
    add("ctrl-c twice leaves", telnet, control_c_twice_leaves);
    add("every letter", telnet, every_letter_passes);
    for client in TERMINAL_CLIENTS {
        if client.contains(&"telnet") || client[0] == "plink" {
            add("edited lines", client, edited_lines_pass);
        }
    }
    add("ctrl-d leaves", telnet, control_d_leaves);
    add("killed", telnet, who_is_killed_has_left);
    add("killed", TERMINAL_CLIENTS[1], who_is_killed_has_left);
    libtest_mimic::run(&arguments, trials).exit();
}

#[track_caller]
fn open(client: &[&str], server: &Server) -> Terminal {
    let command = calling(client, server.telnet());
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let terminal = Terminal::open(&command);
    terminal.screen.wait_for("-- Welcome! You are guest");
    terminal
}

/// Both ways in any script, and nothing on the screen that is no text.
fn people_talk(client: &[&str]) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let mut ann = open(client, &server);
    ann.press("/name ann\r");
    ann.screen.wait_for("-- you are ann");
    bob.expect("-- ann joined (2 here)");
    bob.say("你好, ann");
    ann.screen.wait_for("<bob> 你好, ann");
    ann.press("好的，bob。Grüße, привет!\r");
    bob.expect("<ann> 好的，bob。Grüße, привет!");
    ann.press("/quit\r");
    ann.screen.wait_for("-- goodbye");
    bob.expect("-- ann left (1 here)");
    server.log.wait_for("name=ann reason=quit ");
    for line in ann.screen.all() {
        assert!(!line.contains('\u{fffd}'), "{line:?}");
        // Only plink begins to negotiate by itself, and so has its line edited.
        assert!(!line.contains('\x1b') || client[0] == "plink", "{line:?}");
    }
}

/// `printf '/name ann\nhello\n/quit\n' | nc`: never a byte of telnet or of a terminal.
fn one_shot(client: &[&str]) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let shown = pipe(client, server.telnet(), "/name ann\nhello\n/quit\n").stdout;
    let expected = "-- Welcome! You are guest2: /name NAME changes that, /help lists commands.\r\n\
                    -- 1 here: bob; 1 listening\r\n\
                    -- you are ann\r\n\
                    -- goodbye\r\n";
    assert_eq!(String::from_utf8_lossy(&shown), expected);
    bob.expect("-- ann joined (2 here)");
    bob.expect("<ann> hello");
    bob.expect("-- ann left (1 here)");
}

/// `printf 'hi' | nc -N`: the last line needs no end, and who says nothing more has left.
fn half_close(client: &[&str]) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let shown = pipe(client, server.telnet(), "hello\n/who").stdout;
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.ends_with("-- 2 here: bob, guest2\r\n"), "{shown}");
    bob.expect("-- guest2 joined (2 here)");
    bob.expect("<guest2> hello");
    bob.expect("-- guest2 left (1 here)");
    server.log.wait_for("name=guest2 reason=eof ");
}

/// Telnet throws output away until its mark is answered: what comes afterwards must be on the screen.
fn control_c_does_not_freeze(client: &[&str]) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let mut ann = open(client, &server);
    for n in 0..3 {
        ann.press("half a li\x03");
        ann.screen
            .wait_for_count("-- Ctrl-C again, or /quit, to leave", n + 1);
        let after = format!("after Ctrl-C {n}");
        bob.say(&after);
        ann.screen.wait_for(&after);
        let own = format!("a whole line {n}");
        ann.press(&format!("{own}\r"));
        if n == 0 {
            bob.expect("-- guest2 joined (2 here)");
        }
        bob.expect(&format!("<guest2> {own}"));
    }
}

/// Telnet takes the byte 0x83 of `у` for Ctrl-C, 0x9a of `的` for Ctrl-Z, and others for other keys, until it is asked
/// not to.
fn every_letter_passes(client: &[&str]) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let mut ann = open(client, &server);
    ann.press("/name ann\r");
    bob.expect("-- ann joined (2 here)");
    for line in [
        "Кто тут?",
        "好的，ニュース，“Übung”",
        "Åland, Ýmir, à la carte, 🌏",
    ] {
        ann.press(line);
        ann.press("\r");
        bob.expect(&format!("<ann> {line}"));
        // What is on the screen came behind the request for eight bits, so that their client has heard of that.
        let seen = format!("seen: {}", line.len());
        bob.say(&seen);
        ann.screen.wait_for(&seen);
    }
    let all: String = ('\u{80}'..'\u{17f}')
        .filter(|char| char.is_alphabetic())
        .collect();
    ann.press(&format!("{all}\r"));
    bob.expect(&format!("<ann> {all}"));
    // Its keys are still keys.
    ann.press("\x03");
    ann.screen.wait_for("-- Ctrl-C again, or /quit, to leave");
    bob.say("还在吗？");
    ann.screen.wait_for("<bob> 还在吗？");
}

/// Each key comes by itself, and the server draws the line.
fn edited_lines_pass(client: &[&str]) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let mut ann = open(client, &server);
    ann.press("/edit\r");
    ann.screen.wait_for("-- editing on");
    ann.press("/name ann\r");
    bob.expect("-- ann joined (2 here)");
    ann.press("“Кто” тут, Åland? 好的的\x7f。\r");
    bob.expect("<ann> “Кто” тут, Åland? 好的。");
    ann.screen.wait_for("<ann> “Кто” тут, Åland? 好的。");
    ann.press("half a li");
    bob.say("你好");
    ann.screen.wait_for("<bob> 你好");
    ann.press("ne\r");
    bob.expect("<ann> half a line");
    ann.press("\x04");
    ann.screen.wait_for("-- goodbye");
    bob.expect("-- ann left (1 here)");
}

fn control_c_twice_leaves(client: &[&str]) {
    let server = Server::start(&[]);
    let mut ann = open(client, &server);
    ann.press("\x03");
    ann.screen.wait_for("-- Ctrl-C again, or /quit, to leave");
    ann.press("\x03");
    ann.wait_for_exit();
    server.log.wait_for("name=guest1 reason=quit ");
}

fn control_d_leaves(client: &[&str]) {
    let server = Server::start(&[]);
    let mut ann = open(client, &server);
    ann.press("\x04");
    ann.screen.wait_for("-- goodbye");
    ann.wait_for_exit();
    server.log.wait_for("name=guest1 reason=quit ");
}

fn who_is_killed_has_left(client: &[&str]) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let mut ann = open(client, &server);
    ann.press("/name ann\r");
    bob.expect("-- ann joined (2 here)");
    // The terminal kills it as it goes.
    drop(ann);
    bob.expect("-- ann left (1 here)");
    bob.say("/name ann");
    bob.expect("-- you are ann");
}
