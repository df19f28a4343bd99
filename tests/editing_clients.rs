//! Line editing with the telnet clients that people have, each in a tmux of its own, whose screen is the judge. A client
//! that is not installed is reported as ignored.

mod support;
#[path = "editing_clients/window.rs"]
mod window;

use libtest_mimic::{Arguments, Trial};
use support::programs::{is_client_installed, is_installed, pipe};
use support::server::Server;
use window::{Call, Window};

const TELNET: Call = &["telnet", "HOST", "PORT"];
const EAGER_TELNET: Call = &["telnet", "--", "HOST", "-PORT"];
const BUSYBOX: Call = &["busybox", "telnet", "HOST", "PORT"];
const PLINK: Call = &["plink", "-telnet", "-batch", "-P", "PORT", "HOST"];

/// Clients that pass on what they are given and show what they get, byte by byte.
const PIPES: [Call; 4] = [
    &["nc.openbsd", "-N", "HOST", "PORT"],
    &["nc.traditional", "-q", "5", "HOST", "PORT"],
    &["ncat", "HOST", "PORT"],
    &["ncat", "-C", "HOST", "PORT"],
];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let mut add = |what: &str, client: Call, test: fn(Call)| {
        let name = format!("{what}: {}", client.join(" "));
        let is_pipe = PIPES.contains(&client);
        let there = is_client_installed(client) && (is_pipe || is_installed("tmux"));
        let run = move || {
            test(client);
            Ok(())
        };
        trials.push(Trial::test(name, run).with_ignored_flag(!there));
    };
    for client in [TELNET, BUSYBOX, PLINK] {
        add("a line stays whole", client, a_line_stays_whole);
        add("the window changes", client, the_window_changes);
        add("a paste is text", client, a_paste_is_text);
        add("control-d in the editor", client, control_d_in_the_editor);
        add("the server goes down", client, the_server_goes_down);
    }
    // Busybox never tells that its window has changed.
    for client in [TELNET, PLINK] {
        add("what is said is folded", client, what_is_said_is_folded);
    }
    add(
        "control-c before the editor",
        TELNET,
        control_c_before_the_editor,
    );
    add("from the first key on", EAGER_TELNET, from_the_first_key_on);
    add("by the client's menu", TELNET, by_the_menu);
    add("comes once only", BUSYBOX, comes_once_only);
    add("slowly in a flood", TELNET, slowly_in_a_flood);
    add(
        "the picture in the README",
        TELNET,
        the_picture_in_the_readme,
    );
    for client in PIPES {
        add("no byte of telnet", client, no_byte_of_telnet);
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A person called ann who edits, whatever their client needs for that.
#[track_caller]
fn ann_edits(client: Call, server: &Server) -> Window {
    let ann = Window::open(client, server);
    ann.enters("/name ann");
    ann.wait_for("-- you are ann");
    ann.enters("/edit");
    ann.wait_for_row("-- editing on", ">", 2);
    ann
}

fn a_line_stays_whole(client: Call) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let ann = ann_edits(client, &server);
    bob.expect("-- ann joined (2 here)");
    ann.types("I was just about to say 你好");
    ann.wait_for_row("-- editing on", "> I was just about to say 你好", 30);
    bob.say("hello everybody, here is news");
    bob.say("第二条消息：这一条消息也比窗口宽，所以终端会自己换行，没有问题。");
    let pane = ann.wait_for_row("  行，没有问题。", "> I was just about to say 你好", 30);
    assert_eq!(pane.count("<bob> hello everybody, here is news"), 1);
    assert_eq!(pane.count("> I was just about to say 你好"), 1);
    ann.press("BSpace");
    ann.wait_for_row("  行，没有问题。", "> I was just about to say 你", 28);
    ann.press("BSpace");
    ann.press("BSpace");
    ann.press("BSpace");
    ann.press("Home");
    ann.types("So ");
    ann.wait_for_row("  行，没有问题。", "> So I was just about to sa", 5);
    ann.press("End");
    ann.types("y 你好");
    ann.press("Enter");
    ann.wait_for_row("<ann> So I was just about to say 你好", ">", 2);
    bob.expect("<ann> So I was just about to say 你好");
    // Ctrl-C clears the line, and on an empty one tells how to leave.
    ann.types("nothing");
    ann.wait_for_row("<ann> So I was just about to say 你好", "> nothing", 9);
    ann.press("C-c");
    ann.wait_for_row("<ann> So I was just about to say 你好", ">", 2);
    ann.press("C-c");
    ann.wait_for_row("-- Ctrl-C again, or /quit, to leave", ">", 2);
    // Up brings the line back, and so does what was half typed.
    ann.press("Up");
    ann.wait_for_row(
        "-- Ctrl-C again, or /quit, to leave",
        "> So I was just about to say 你好",
        33,
    );
    ann.press("C-u");
    ann.enters("/edit off");
    ann.wait_for("-- editing off");
    ann.enters("plain");
    bob.expect("<ann> plain");
    bob.say("seen");
    let pane = ann.wait_for("<bob> seen");
    assert!(
        !pane.lines.iter().any(|line| line == ">"),
        "{:#?}",
        pane.lines
    );
    ann.press("C-d");
    bob.expect("-- ann left (1 here)");
    ann.wait_for_exit();
}

fn the_window_changes(client: Call) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let ann = ann_edits(client, &server);
    bob.expect("-- ann joined (2 here)");
    ann.types("0123456789 abcdefghij 0123456789 abcdefghij");
    ann.wait_for_row(
        "-- editing on",
        "> 0123456789 abcdefghij 0123456789 abcdefghij",
        45,
    );
    // Busybox never tells of it.
    if client != BUSYBOX {
        ann.resize("30");
        ann.wait("a row within 30 columns", |pane| {
            let last = pane.lines.last().map_or("", String::as_str);
            last.starts_with("> ")
                && last.ends_with("abcdefghij")
                && last.len() < 30
                && pane.column == last.len()
        });
        bob.say("short");
        ann.wait("the row below", |pane| {
            let [.., above, last] = &pane.lines[..] else {
                return false;
            };
            above == "<bob> short" && last.starts_with("> ") && last.ends_with("abcdefghij")
        });
    }
    ann.resize("80");
    bob.say("wide");
    ann.wait_for_row(
        "<bob> wide",
        "> 0123456789 abcdefghij 0123456789 abcdefghij",
        45,
    );
    ann.press("Enter");
    bob.expect("<ann> 0123456789 abcdefghij 0123456789 abcdefghij");
    // The width is still known when the editor comes back.
    if client != BUSYBOX {
        ann.enters("/edit off");
        ann.wait_for("-- editing off");
        ann.resize("30");
        ann.enters("/edit");
        ann.wait_for_row("-- editing on", ">", 2);
        ann.types("0123456789 abcdefghij 0123456789");
        ann.wait("a row within 30 columns", |pane| {
            let [.., above, last] = &pane.lines[..] else {
                return false;
            };
            above == "-- editing on"
                && last.starts_with("> ")
                && last.ends_with(" 0123456789")
                && last.len() < 30
        });
    }
}

/// However somebody fills a row, the next one is not theirs to begin.
fn what_is_said_is_folded(client: Call) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let ann = ann_edits(client, &server);
    for columns in [40, 80] {
        ann.resize(&columns.to_string());
        ann.types("half");
        ann.wait("what was typed", |pane| {
            pane.lines.last().is_some_and(|row| row == "> half")
        });
        let filling = "x".repeat(columns - "<bob>  ".len());
        bob.say(&format!("{filling} <ann> I resign"));
        ann.wait_for_row("  <ann> I resign", "> half", 6);
        ann.wait_for(&format!("<bob> {filling}"));
        bob.say(&"word ".repeat(40));
        let words = |count: usize| "word ".repeat(count).trim_end().to_owned();
        let (in_first, in_next) = ((columns - 6) / 5, (columns - 2) / 5);
        ann.wait_for(&format!("<bob> {}", words(in_first)));
        ann.wait_for(&format!("  {}", words(in_next)));
        // So is what is done, here by oneself.
        ann.press("C-u");
        ann.enters(&format!("/me {}", "waves ".repeat(20)));
        ann.wait("an action in rows", |pane| {
            let is_mine = |row: &&String| row.contains("waves") && !row.starts_with('>');
            let mine: Vec<&String> = pane.lines.iter().filter(is_mine).collect();
            mine.len() >= 3
                && mine
                    .iter()
                    .all(|row| row.starts_with("* ann ") || row.starts_with("  "))
        });
    }
    // In line mode, everything is as before.
    ann.enters("/edit off");
    ann.wait_for("-- editing off");
    let filling = "z".repeat(80 - "<bob> ".len());
    bob.say(&format!("{filling}wrapped"));
    ann.wait_for("wrapped");
}

/// Where the terminal marks what is pasted, a line end sends a line, and a tab completes nothing.
fn a_paste_is_text(client: Call) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let ann = ann_edits(client, &server);
    bob.expect("-- ann joined (2 here)");
    ann.types("say ");
    ann.tmux(&["set-buffer", "one\nb\tis 你好"]);
    ann.tmux(&["paste-buffer", "-p"]);
    bob.expect("<ann> say one");
    ann.wait_for_row("<ann> say one", "> b is 你好", 11);
    ann.press("Left");
    ann.press("F1");
    ann.types("!");
    ann.wait_for_row("<ann> say one", "> b is 你!好", 10);
}

fn control_d_in_the_editor(client: Call) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let ann = ann_edits(client, &server);
    bob.expect("-- ann joined (2 here)");
    ann.types("ab");
    ann.press("Left");
    ann.press("C-d");
    ann.wait_for_row("-- editing on", "> a", 3);
    ann.press("C-u");
    ann.press("C-d");
    let pane = ann.wait_for("-- goodbye");
    assert!(
        !pane.lines.iter().any(|line| line.starts_with('>')),
        "{:#?}",
        pane.lines
    );
    bob.expect("-- ann left (1 here)");
    server.log.wait_for("name=ann reason=quit ");
    ann.wait_for_exit();
}

fn the_server_goes_down(client: Call) {
    let mut server = Server::start(&[]);
    let ann = ann_edits(client, &server);
    ann.types("half a 句");
    ann.wait_for_row("-- editing on", "> half a 句", 11);
    assert!(server.stop().success());
    let pane = ann.wait_for("-- goodbye: the server is going down");
    assert!(
        !pane.lines.iter().any(|line| line.starts_with('>')),
        "{:#?}",
        pane.lines
    );
    ann.wait_for_exit();
}

fn control_c_before_the_editor(client: Call) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let ann = Window::open(client, &server);
    ann.types("half");
    ann.press("C-c");
    ann.wait("the hint", |pane| {
        pane.lines
            .iter()
            .any(|line| line.ends_with("-- Ctrl-C again, or /quit, to leave"))
    });
    // What was half typed is gone, on both sides.
    ann.enters("/edit");
    ann.wait_for_row("-- editing on", ">", 2);
    ann.enters("hello");
    bob.expect("-- guest2 joined (2 here)");
    bob.expect("<guest2> hello");
}

fn from_the_first_key_on(client: Call) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let ann = Window::open(client, &server);
    ann.types("half a 句");
    bob.say("hello");
    ann.wait_for_row("<bob> hello", "> half a 句", 11);
    ann.press("C-u");
    ann.press("C-d");
    ann.wait_for("-- goodbye");
    ann.wait_for_exit();
}

/// `mode character` and `mode line` in the prompt of Debian's telnet.
fn by_the_menu(client: Call) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let ann = Window::open(client, &server);
    let menu = |command: &str| {
        ann.press("C-]");
        ann.wait("the prompt of the client", |pane| {
            pane.lines
                .last()
                .is_some_and(|line| line.ends_with("telnet>"))
        });
        ann.enters(command);
    };
    menu("mode character");
    ann.wait("the prompt", |pane| {
        pane.lines.last().is_some_and(|line| line == ">")
    });
    ann.types("half");
    bob.say("hello");
    ann.wait_for_row("<bob> hello", "> half", 6);
    menu("mode line");
    // What was half typed in the editor is dropped, and the client edits again.
    bob.say("again");
    ann.wait_for("<bob> again");
    ann.enters("whole");
    bob.expect("-- guest2 joined (2 here)");
    bob.expect("<guest2> whole");
    ann.press("C-d");
    ann.wait_for("-- goodbye");
    ann.wait_for_exit();
}

/// Busybox refuses the second time, and is told so at once.
fn comes_once_only(client: Call) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let ann = ann_edits(client, &server);
    bob.expect("-- ann joined (2 here)");
    ann.enters("/edit off");
    ann.wait_for("-- editing off");
    for _ in 0..3 {
        ann.enters("/edit");
        ann.wait("the refusal", |pane| {
            pane.lines
                .join("")
                .contains("!! your client does not speak telnet; staying in line mode")
        });
        ann.enters("plain");
        bob.expect("<ann> plain");
        ann.press("Enter");
    }
    // It says nothing more by itself, and neither does the server.
    ann.enters("/quit");
    ann.wait_for_exit();
    let closed = server.log.wait_for("name=ann reason=quit ");
    assert!(closed.contains("lines_in="), "{closed}");
}

/// Two people at telnets: one types slowly while the other floods.
fn slowly_in_a_flood(client: Call) {
    let server = Server::start(&[]);
    let ann = ann_edits(client, &server);
    let bob = Window::open(client, &server);
    bob.enters("/name bob");
    bob.wait_for("-- you are bob");
    ann.wait_for_row("-- bob joined (2 here)", ">", 2);
    let (mut typed, mut said) = ("> ".to_owned(), 0_u32);
    for word in ["one ", "moment", ", ", "我在", "打字"] {
        ann.types(word);
        typed.push_str(word);
        for _ in 0..5 {
            said += 1;
            bob.enters(&format!("message number {said}"));
        }
        let above = format!("<bob> message number {said}");
        let columns = typed
            .chars()
            .map(|c| if c.is_ascii() { 1 } else { 2 })
            .sum();
        let pane = ann.wait_for_row(&above, typed.trim_end(), columns);
        for earlier in said.saturating_sub(9).max(1)..=said {
            assert_eq!(
                pane.count(&format!("<bob> message number {earlier}")),
                1,
                "{:#?}",
                pane.lines
            );
        }
        assert_eq!(pane.count(typed.trim_end()), 1, "{:#?}", pane.lines);
    }
    ann.press("Enter");
    bob.wait_for("<ann> one moment, 我在打字");
}

/// Not with any command, and not while somebody else edits.
fn no_byte_of_telnet(client: Call) {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    bob.say("/edit");
    bob.expect_bytes(b"\xff\xfb\x01\xff\xfb\x03");
    bob.send(b"\xff\xfd\x01\xff\xfd\x03hello \x7f\x1b[A");
    bob.expect_bytes(b"\r\x1b[J\xff\xfd\x1f");
    let asked = "/name nc\nhello\n/help\n/who\n/me waves\n/msg bob psst\n/reply hm\n/whois bob\n/away tea\n/back\n\
                 /ignore bob\n/ignore\n/unignore bob\n/quiet on\n/quiet off\n/time on +08:00\n/time off\n/bell on\n\
                 /bell off\n/history\n/edit off\n/edit maybe\n\x1b[A\n/nosuch\n";
    let shown = pipe(client, server.telnet(), asked).stdout;
    let text = String::from_utf8(shown).expect("nothing but text");
    assert!(
        !text.contains(|c: char| c.is_control() && !"\r\n".contains(c)),
        "{text:?}"
    );
    for answer in [
        "-- you are nc",
        "* nc waves",
        "[to bob] psst",
        "!! nobody has written to you",
        "-- you are away",
        "-- you are back",
        "-- ignoring bob",
        "-- ignoring: bob",
        "-- no longer ignoring bob",
        "-- quiet on: no joins, leaves and renames",
        "-- quiet off",
        "-- times off",
        "-- bell on",
        "-- bell off",
        "-- earlier:",
        "-- now",
        "-- editing off",
        "!! usage: /edit [on|off]",
        "!! no such command: /nosuch; /help lists them, // says a slash",
    ] {
        assert!(
            text.contains(&format!("{answer}\r\n")),
            "{answer} in {text}"
        );
    }
    // How long that is depends on the machine.
    let is_of_bob = |line: &str| line.starts_with("-- bob: here ") && line.ends_with(", telnet");
    assert!(text.lines().any(is_of_bob), "{text}");
    // A client that asks for the editor is asked once by telnet, and then told that it cannot have it.
    let shown = pipe(client, server.telnet(), "/edit\n/edit\nhello\n").stdout;
    let asked = b"\xff\xfb\x01\xff\xfb\x03".as_slice();
    let refused = b"!! your client does not speak telnet; staying in line mode\r\n".as_slice();
    let expected = [asked, refused, refused].concat();
    assert!(shown.ends_with(&expected), "{}", shown.escape_ascii());
}

/// The screens of two who edit, as the README draws them: Ann's on the left, Bob's on the right.
fn the_picture_in_the_readme(client: Call) {
    let readme = include_str!("../README.md");
    let (_, picture) = readme.split_once("```screen\n").expect("a picture");
    let (picture, _) = picture.split_once("\n```").expect("its end");
    let rows = picture
        .lines()
        .map(|row| row.split_once('│').expect("two screens"));
    let (anns, bobs): (Vec<&str>, Vec<&str>) = rows.map(|(ann, bob)| (ann.trim_end(), bob)).unzip();
    let typed = anns.last().and_then(|row| row.strip_prefix("> "));
    let (before, behind) = typed.expect("she types").split_at("I am".len());

    let server = Server::start(&[]);
    let ann = Window::open(client, &server);
    ann.enters("/name ann");
    ann.wait_for("-- you are ann");
    let bob = Window::open(client, &server);
    bob.enters("/name bob");
    ann.wait_for("-- bob joined (2 here)");
    for window in [&ann, &bob] {
        window.enters("/edit");
        window.wait_for_row("-- editing on", ">", 2);
    }
    ann.types(before);
    for words in bobs.iter().filter_map(|row| row.strip_prefix("<bob> ")) {
        bob.enters(words);
    }
    ann.types(behind);
    for (window, rows) in [(&ann, &anns), (&bob, &bobs)] {
        window.wait(&rows.join("\n"), |pane| {
            let shown: Vec<&str> = pane.lines.iter().map(String::as_str).collect();
            shown.ends_with(rows)
        });
    }
}
