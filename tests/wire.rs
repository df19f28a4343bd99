//! The wire dialect, byte by byte, and spoken by a client in another language.
//!
//! The harness is not the usual one, so that what needs a Go compiler or Python can be reported as ignored where
//! there is none.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines of tests are real time"
)]

mod in_process;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;
use chatd::client::{Clients, Connection, Dialect, Event, Message, Options, Target};
use libtest_mimic::{Arguments, Trial};

use in_process::{InProcess, DEADLINE};

fn main() -> ExitCode {
    let tests: [(&str, fn()); 19] = [
        (
            "nothing_is_said_at_connecting",
            nothing_is_said_at_connecting,
        ),
        ("names_are_taken_or_refused", names_are_taken_or_refused),
        ("malformed_lines_are_refused", malformed_lines_are_refused),
        ("pings_are_answered", pings_are_answered),
        ("lines_end_in_lf_or_cr_lf", lines_end_in_lf_or_cr_lf),
        ("quit_closes_without_a_word", quit_closes_without_a_word),
        ("words_reach_people_clean", words_reach_people_clean),
        ("words_of_people_are_encoded", words_of_people_are_encoded),
        (
            "actions_without_words_are_refused",
            actions_without_words_are_refused,
        ),
        (
            "words_with_line_ends_are_refused",
            words_with_line_ends_are_refused,
        ),
        (
            "words_may_be_as_long_as_typed_ones",
            words_may_be_as_long_as_typed_ones,
        ),
        (
            "an_over_long_line_is_refused_and_the_session_goes_on",
            an_over_long_line_is_refused,
        ),
        ("nobody_hears_himself", nobody_hears_himself),
        (
            "a_program_of_name_and_chat_hears_nothing_new_but_what_is_sent_to_it",
            nothing_new_is_heard_unasked,
        ),
        (
            "private_words_reach_programs_and_people",
            private_words_reach_programs,
        ),
        (
            "presence_is_told_to_programs_that_watch",
            presence_is_told_to_watchers,
        ),
        (
            "who_is_here_is_told_by_name_and_number",
            who_is_here_is_told,
        ),
        (
            "a_farewell_has_the_reason_of_the_close_as_its_code",
            farewells_have_codes,
        ),
        (
            "packets_of_one_byte_mean_the_same",
            packets_of_one_byte_mean_the_same,
        ),
    ];
    let mut trials: Vec<Trial> = tests
        .into_iter()
        .map(|(name, test)| {
            Trial::test(name, move || {
                test();
                Ok(())
            })
        })
        .collect();
    let go_is_there = Command::new("go").arg("version").output().is_ok();
    let with_go = Trial::test("fifty_go_clients_share_a_room_with_people", || {
        fifty_go_clients();
        Ok(())
    });
    trials.push(with_go.with_ignored_flag(!go_is_there));
    let python_is_there = Command::new("python3").arg("--version").output().is_ok();
    let with_python = Trial::test("the_client_in_the_documentation_works", || {
        the_documented_client_works();
        Ok(())
    });
    trials.push(with_python.with_ignored_flag(!python_is_there));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64.encode(bytes)
}

/// One connection, bytes in and out.
struct Peer {
    stream: TcpStream,
    dialect: Dialect,
}

impl Peer {
    fn connect(server: &InProcess, dialect: Dialect) -> Self {
        let stream = TcpStream::connect(server.address(dialect)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, dialect }
    }

    /// A program that has taken a name.
    fn program(server: &InProcess, name: &str) -> Self {
        let mut peer = Self::connect(server, Dialect::Wire);
        let line = format!("NAME {}\n", b64(name));
        assert_eq!(peer.answer_to(&line), line);
        peer
    }

    /// A person who has taken a name, and read all that was said until then.
    fn person(server: &InProcess, name: &str) -> Self {
        let mut peer = Self::connect(server, Dialect::Telnet);
        peer.send(format!("/name {name}\r\n"));
        peer.read_to(&format!("-- you are {name}\r\n"));
        peer
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Reads up to and with `end`; gives what came before that.
    #[track_caller]
    fn read_to(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        let mut byte = [0];
        while !read.ends_with(end.as_bytes()) {
            match self.stream.read(&mut byte) {
                Ok(1) => read.push(byte[0]),
                other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&read)),
            }
        }
        read.truncate(read.len() - end.len());
        String::from_utf8(read).expect("the server speaks UTF-8")
    }

    /// What the server has said until now and in answer to `bytes`.
    #[track_caller]
    fn answer_to(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.send(bytes);
        match self.dialect {
            Dialect::Wire => {
                self.send("PING end\n");
                self.read_to("PONG end\n")
            }
            Dialect::Telnet => {
                self.send("/msg\r\n");
                self.read_to("!! usage: /msg NAME TEXT\r\n")
            }
        }
    }
}

fn fail(reason: &str, code: &str) -> String {
    format!("FAIL {} {code}\n", b64(reason))
}

const MALFORMED: &str =
    "a name is 1 to 24 letters, digits or _ - . and begins with a letter or digit";

fn nothing_is_said_at_connecting() {
    let server = InProcess::start(&[]);
    let mut program = Peer::connect(&server, Dialect::Wire);
    assert_eq!(program.answer_to(""), "");
}

fn names_are_taken_or_refused() {
    let server = InProcess::start(&[]);
    let _ann = Peer::program(&server, "ann");
    let mut bob = Peer::program(&server, "bob");
    assert_eq!(bob.answer_to("NAME 6ICB572X\n"), "NAME 6ICB572X\n");
    for (name, reason, code) in [
        (&b"ann"[..], "ann is taken", "taken"),
        (b"ANN", "ANN is taken", "taken"),
        (b"server", "server is reserved", "reserved"),
        (b"guest7", "guest7 is reserved", "reserved"),
        (b"a b", MALFORMED, "malformed-name"),
        (b"", MALFORMED, "malformed-name"),
        (b"a\xff", MALFORMED, "malformed-name"),
        (b"a\nb", MALFORMED, "malformed-name"),
        (b"a\x1b[1m", MALFORMED, "malformed-name"),
        (&[b'x'; 25], MALFORMED, "malformed-name"),
    ] {
        let line = format!("NAME {}\n", b64(name));
        assert_eq!(bob.answer_to(line), fail(reason, code), "{name:?}");
    }
}

fn malformed_lines_are_refused() {
    let server = InProcess::start(&["lines-per-second=0"]);
    let mut ann = Peer::program(&server, "ann");
    let mut person = Peer::person(&server, "pat");
    let (name, chat) = ("usage: NAME B64(name)", "usage: CHAT B64(name) B64(words)");
    let tell = "usage: TELL B64(name) B64(words)";
    let verb = "no such command: a line begins with NAME, CHAT, TELL, WATCH, WHO, PING or QUIT";
    for (line, reason) in [
        // Missing and surplus fields.
        ("NAME", name),
        ("NAME YW5u YW5u", name),
        ("CHAT", chat),
        ("CHAT YW5u", chat),
        ("CHAT YW5u aGk= aGk=", chat),
        ("QUIT now", "usage: QUIT"),
        ("TELL", tell),
        ("TELL YW5u", tell),
        ("TELL YW5u aGk= aGk=", tell),
        ("TELL YW5u  aGk=", tell),
        ("TELL YW5 aGk=", tell),
        ("TELL YW5u aGk", tell),
        ("WATCH", "usage: WATCH on|off"),
        ("WATCH ON", "usage: WATCH on|off"),
        ("WATCH on off", "usage: WATCH on|off"),
        ("WHO ", "usage: WHO"),
        // Extra spaces.
        ("NAME  YW5u", name),
        ("NAME YW5u ", name),
        ("CHAT  YW5u aGk=", chat),
        ("CHAT YW5u  aGk=", chat),
        ("CHAT YW5u aGk= ", chat),
        ("CHAT\tYW5u\taGk=", verb),
        (" CHAT YW5u aGk=", verb),
        // Not base64 with padding.
        ("NAME YW5", name),
        ("NAME YW5*", name),
        ("CHAT YW5u aGk", chat),
        ("CHAT YW5u aGk==", chat),
        ("CHAT YW5u =aGk", chat),
        ("CHAT YW5u -_8=", chat),
        ("CHAT YW5u aG\u{e9}=", chat),
        // No verb.
        ("chat YW5u aGk=", verb),
        ("CHATTER YW5u aGk=", verb),
        ("hello", verb),
        ("/help", verb),
        (" ", verb),
        ("\u{0}", verb),
        // Nothing to say.
        ("CHAT YW5u ", "you have no text to send"),
        ("CHAT YW5u ICAg", "you have no text to send"),
        ("CHAT YW5u L21lICA=", "you have no text to send"),
        ("TELL cGF0 ICAg", "you have no text to send"),
    ] {
        let code = match reason {
            "you have no text to send" => "no-text",
            _ if reason == verb => "unknown",
            _ => "usage",
        };
        let answer = ann.answer_to(format!("{line}\n"));
        assert_eq!(answer, fail(reason, code), "{line:?}");
    }
    let invalid = b"CHAT YW5u \xff\xfe==\n";
    assert_eq!(ann.answer_to(invalid), fail(chat, "usage"));
    assert_eq!(person.answer_to(""), "", "nothing of it was said");
}

fn pings_are_answered() {
    let server = InProcess::start(&[]);
    let mut ann = Peer::connect(&server, Dialect::Wire);
    for token in ["x".to_owned(), "!~".to_owned(), "x".repeat(64)] {
        let answer = ann.answer_to(format!("PING {token}\n"));
        assert_eq!(answer, format!("PONG {token}\n"));
    }
    for token in ["", "a b", "é", "\u{7}", &"x".repeat(65)] {
        let answer = ann.answer_to(format!("PING {token}\n"));
        assert_eq!(answer, fail("usage: PING TOKEN", "usage"), "{token:?}");
    }
    assert_eq!(ann.answer_to("PING\n"), fail("usage: PING TOKEN", "usage"));
}

fn lines_end_in_lf_or_cr_lf() {
    let server = InProcess::start(&[]);
    let mut ann = Peer::connect(&server, Dialect::Wire);
    let answer = ann.answer_to("PING 1\nPING 2\r\n\n\r\nPING 3\n");
    assert_eq!(answer, "PONG 1\nPONG 2\nPONG 3\n");
}

fn quit_closes_without_a_word() {
    let server = InProcess::start(&[]);
    let mut ann = Peer::program(&server, "ann");
    ann.send("PING 1\nQUIT\nPING 2\n");
    let mut rest = String::new();
    ann.stream.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "PONG 1\n");
}

/// Words in base64, and what a person hears of them.
fn words_reach_people_clean() {
    let server = InProcess::start(&[]);
    let mut ann = Peer::program(&server, "ann");
    let mut person = Peer::person(&server, "pat");
    for (words, heard) in [
        (&b"h"[..], "<ann> h"),
        (b"hi", "<ann> hi"),
        (b"hey", "<ann> hey"),
        ("你好 é 👍".as_bytes(), "<ann> 你好 é 👍"),
        (b"/me waves", "* ann waves"),
        (b"/quit", "<ann> /quit"),
        (b"a\xffb", "<ann> a\u{fffd}b"),
        (b"a\tb", "<ann> a b"),
        (b"\x1b[31mred\x1b[0m", "<ann> red"),
        (b"a\x00\x07b", "<ann> ab"),
        ("a\u{202e}b".as_bytes(), "<ann> ab"),
    ] {
        let line = format!("CHAT {} {}\n", b64("ann"), b64(words));
        assert_eq!(ann.answer_to(line), "", "{words:?}");
        assert_eq!(person.answer_to(""), format!("{heard}\r\n"), "{words:?}");
    }
    // The name field is not believed, and not even understood.
    for name in ["Ym9i", "", "***"] {
        assert_eq!(ann.answer_to(format!("CHAT {name} aGk=\n")), "");
        assert_eq!(person.answer_to(""), "<ann> hi\r\n", "{name:?}");
    }
}

/// What a person says, and the bytes that a program gets.
fn words_of_people_are_encoded() {
    let server = InProcess::start(&[]);
    let mut person = Peer::person(&server, "老罗");
    let mut program = Peer::connect(&server, Dialect::Wire);
    for (typed, line) in [
        ("h", "CHAT 6ICB572X aA==\n"),
        ("hi", "CHAT 6ICB572X aGk=\n"),
        ("hey", "CHAT 6ICB572X aGV5\n"),
        ("你好", "CHAT 6ICB572X 5L2g5aW9\n"),
        ("//x", "CHAT 6ICB572X L3g=\n"),
        ("/me waves", "CHAT 6ICB572X L21lIHdhdmVz\n"),
    ] {
        person.answer_to(format!("{typed}\r\n"));
        assert_eq!(program.answer_to(""), line, "{typed:?}");
    }
}

/// Whatever cleaning takes off an action, the rest is not said.
fn actions_without_words_are_refused() {
    let server = InProcess::start(&[]);
    let mut ann = Peer::program(&server, "ann");
    let mut person = Peer::person(&server, "pat");
    for words in [
        "/me",
        "/me ",
        "/me\u{200b}",
        "/me \u{200b}",
        "/me\u{3000}",
        "\x1b[m/me",
    ] {
        let line = format!("CHAT YW5u {}\n", b64(words));
        let refused = fail("you have no text to send", "no-text");
        assert_eq!(ann.answer_to(line), refused, "{words:?}");
    }
    assert_eq!(person.answer_to(""), "");
}

fn words_with_line_ends_are_refused() {
    let server = InProcess::start(&[]);
    let mut ann = Peer::program(&server, "ann");
    let mut person = Peer::person(&server, "pat");
    for words in ["a\nb", "a\r\n", "\n", "a\rb"] {
        let line = format!("CHAT YW5u {}\n", b64(words));
        let refused = fail("a message is one line; not sent", "several-lines");
        assert_eq!(ann.answer_to(line), refused, "{words:?}");
    }
    assert_eq!(person.answer_to(""), "");
}

fn words_may_be_as_long_as_typed_ones() {
    let server = InProcess::start(&[]);
    let mut ann = Peer::program(&server, "ann");
    let mut bob = Peer::program(&server, "bob");
    let chat = |length| format!("CHAT YW5u {}\n", b64("x".repeat(length)));
    assert_eq!(ann.answer_to(chat(4096)), "");
    assert_eq!(bob.answer_to(""), chat(4096));
    let refused = fail(
        "line too long: 4097 bytes, at most 4096; not sent",
        "too-long",
    );
    assert_eq!(ann.answer_to(chat(4097)), refused);
    assert_eq!(bob.answer_to(""), "");
}

fn an_over_long_line_is_refused() {
    let server = InProcess::start(&[]);
    let mut ann = Peer::connect(&server, Dialect::Wire);
    let answer = ann.answer_to(format!("{}\nPING 1\n", "x".repeat(100_000)));
    let (refused, rest) = answer.split_once('\n').unwrap();
    assert_eq!(rest, "PONG 1\n");
    let (refused, code) = refused.rsplit_once(' ').unwrap();
    assert_eq!(code, "too-long");
    let reason = BASE64.decode(refused.strip_prefix("FAIL ").unwrap());
    let reason = String::from_utf8(reason.unwrap()).unwrap();
    assert!(
        reason.starts_with("line too long: 100000 bytes, at most ")
            && reason.ends_with("; not sent"),
        "{reason}"
    );
}

fn nobody_hears_himself() {
    let server = InProcess::start(&[]);
    let mut ann = Peer::program(&server, "ann");
    let mut bob = Peer::program(&server, "bob");
    assert_eq!(
        ann.answer_to("CHAT YW5u aGk=\nCHAT YW5u L21lIGhpcw==\n"),
        ""
    );
    assert_eq!(
        bob.answer_to(""),
        "CHAT YW5u aGk=\nCHAT YW5u L21lIGhpcw==\n"
    );
}

fn nothing_new_is_heard_unasked() {
    let server = InProcess::start(&[]);
    let mut ann = Peer::program(&server, "ann");
    let mut pat = Peer::person(&server, "pat");
    let mut bob = Peer::program(&server, "bob");
    bob.answer_to("NAME Y2Fs\nCHAT Y2Fs aGk=\n");
    bob.send("QUIT\n");
    assert!(pat
        .read_to("-- cal left (2 here)\r\n")
        .contains("bob joined"));
    assert_eq!(ann.answer_to(""), "CHAT Y2Fs aGk=\n");
    assert_eq!(pat.answer_to("/msg ann psst\r\n"), "[to ann] psst\r\n");
    assert_eq!(ann.answer_to(""), "TELL cGF0 cHNzdA==\n");
}

fn private_words_reach_programs() {
    let server = InProcess::start(&[]);
    let mut ann = Peer::program(&server, "ann");
    let mut bob = Peer::program(&server, "bob");
    let mut pat = Peer::person(&server, "pat");
    assert_eq!(ann.answer_to("TELL Ym9i cHNzdA==\n"), "");
    assert_eq!(bob.answer_to(""), "TELL YW5u cHNzdA==\n");
    assert_eq!(ann.answer_to("TELL UEFU L21lIHdhdmVz\n"), "");
    pat.read_to("[ann] /me waves\r\n");
    let long = |length| format!("TELL Ym9i {}\n", b64("x".repeat(length)));
    assert_eq!(ann.answer_to(long(4096)), "");
    assert_eq!(bob.answer_to(""), long(4096).replace("Ym9i", "YW5u"));
    let refused = fail(
        "line too long: 4097 bytes, at most 4096; not sent",
        "too-long",
    );
    assert_eq!(ann.answer_to(long(4097)), refused);
    for (name, reason, code) in [
        (&b"eve"[..], "nobody here is called eve", "nobody"),
        (b"guest99", "nobody here is called guest99", "nobody"),
        (b"a\xff", "nobody here is called a\u{fffd}", "nobody"),
        (b"b\x00ob", MALFORMED, "malformed-name"),
        (b"", MALFORMED, "malformed-name"),
        (b"b ob", MALFORMED, "malformed-name"),
    ] {
        let line = format!("TELL {} cHNzdA==\n", b64(name));
        assert_eq!(ann.answer_to(line), fail(reason, code), "{name:?}");
    }
}

fn presence_is_told_to_watchers() {
    let server = InProcess::start(&["lines-per-second=0"]);
    let mut bot = Peer::connect(&server, Dialect::Wire);
    assert_eq!(bot.answer_to("WATCH on\n"), "WATCH on\n");
    let mut ann = Peer::program(&server, "ann");
    assert_eq!(bot.answer_to(""), "CAME YW5u 1\n");
    for number in 0..13 {
        ann.send(format!("NAME {}\n", b64(format!("ann{number}"))));
    }
    ann.send("QUIT\n");
    // Ten renames are told at once, and three together when the second is over.
    let told = bot.read_to("NOW - 3\n");
    assert_eq!(told.matches("NOW ").count(), 10, "{told}");
    assert!(told.contains("NOW YW5u YW5uMA==\n"), "{told}");
    assert!(told.contains("WENT YW5uMTI= 0\n"), "{told}");
    let _bob = Peer::program(&server, "bob");
    assert_eq!(bot.answer_to("WATCH off\n"), "CAME Ym9i 1\nWATCH off\n");
    let _cleo = Peer::program(&server, "cleo");
    assert_eq!(bot.answer_to(""), "");
}

fn who_is_here_is_told() {
    let server = InProcess::start(&[]);
    let mut ann = Peer::connect(&server, Dialect::Wire);
    assert_eq!(ann.answer_to("WHO\n"), "HERE 0\n");
    let _names = ["bob", "老罗"].map(|name| Peer::program(&server, name));
    let mut pat = Peer::person(&server, "pat");
    pat.answer_to("/away\r\n");
    assert_eq!(
        ann.answer_to("WHO\n"),
        "HERE Ym9i\nHERE 6ICB572X\nHERE cGF0\nHERE 3\n"
    );
}

fn farewells_have_codes() {
    let last_line = |peer: &mut Peer| {
        let mut rest = String::new();
        peer.stream.read_to_string(&mut rest).unwrap();
        rest
    };
    let server = InProcess::start(&["sessions-max=1"]);
    let mut ann = Peer::connect(&server, Dialect::Wire);
    let mut late = Peer::connect(&server, Dialect::Wire);
    let full = fail("goodbye: the server is full", "full");
    assert_eq!(last_line(&mut late), full);
    ann.send("GET / HTTP/1.1\r\n");
    let answer = last_line(&mut ann);
    assert!(answer.ends_with(" wrong-protocol\n"), "{answer}");
    let server = InProcess::start(&[]);
    let mut ann = Peer::program(&server, "ann");
    server.stop();
    let shutdown = fail("goodbye: the server is going down", "shutdown");
    assert_eq!(last_line(&mut ann), shutdown);
}

fn packets_of_one_byte_mean_the_same() {
    let conversation =
        "NAME YW5u\nCHAT YW5u aGk=\r\nCHAT YW5u aGk\n\nPING 1\nNOPE\nNAME c2VydmVy\n";
    let heard = |packet: usize| {
        let server = InProcess::start(&[]);
        let mut bob = Peer::program(&server, "bob");
        let mut ann = Peer::connect(&server, Dialect::Wire);
        for bytes in conversation.as_bytes().chunks(packet) {
            ann.send(bytes);
        }
        (ann.answer_to(""), bob.answer_to(""))
    };
    let expected = format!(
        "NAME YW5u\n{}PONG 1\n{}{}",
        fail("usage: CHAT B64(name) B64(words)", "usage"),
        fail(
            "no such command: a line begins with NAME, CHAT, TELL, WATCH, WHO, PING or QUIT",
            "unknown"
        ),
        fail("server is reserved", "reserved"),
    );
    assert_eq!(heard(1), (expected, "CHAT YW5u aGk=\n".to_owned()));
    for packet in [2, 3, 7, usize::MAX] {
        assert_eq!(heard(packet), heard(1), "in packets of {packet}");
    }
}

/// The whole client in `docs/wire.md`, as it stands there.
fn the_documented_client_works() {
    let page = include_str!("../docs/wire.md");
    let block = page.split("```python\n").nth(1);
    let client = block.and_then(|rest| rest.split("```").next());
    let client = client.expect("a block of Python");
    assert!(client.lines().count() <= 30, "it is as short as promised");

    let server = InProcess::start(&[]);
    let mut ann = Peer::person(&server, "ann");
    let address = server.address(Dialect::Wire);
    let mut child = Command::new("python3")
        .args(["-c", client, &address.ip().to_string()])
        .args([&address.port().to_string(), "bot"])
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map(Running)
        .unwrap();
    ann.read_to("-- bot joined (2 here)\r\n");
    let mut pat = Peer::person(&server, "pat");
    pat.read_to("<bot> Welcome, pat!\r\n");
    pat.send("hello 老罗\r\n/msg bot hi\r\n/msg bot bye\r\n");
    ann.read_to("-- bot left (2 here)\r\n");

    let mut printed = [String::new(), String::new()];
    let stdout = child.0.stdout.as_mut().unwrap();
    stdout.read_to_string(&mut printed[0]).unwrap();
    let stderr = child.0.stderr.as_mut().unwrap();
    stderr.read_to_string(&mut printed[1]).unwrap();
    assert_eq!(printed, ["<pat> hello 老罗\n", ""]);
    assert!(child.0.wait().unwrap().success());

    // Whatever the page says of lines and codes, the server says, too.
    let mut bot = Peer::connect(&server, Dialect::Wire);
    for verb in ["NAME", "CHAT", "TELL", "WATCH", "WHO", "PING", "QUIT"] {
        assert!(page.contains(&format!("| `{verb}")), "{verb}");
        let answer = bot.answer_to(format!("{verb} a b c d\n"));
        assert!(answer.ends_with(" usage\n"), "{verb}: {answer}");
    }
}

/// Compiles the client in `tests/peers/go`, without the network and with its cache below the target directory.
fn build_go_peer() -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let binary = scratch.join("go-peer");
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(&binary)
        .arg(".")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/go"))
        .env("GOFLAGS", "-mod=mod -buildvcs=false")
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off")
        .env("CGO_ENABLED", "0")
        .env("GOCACHE", scratch.join("go-cache"))
        .env("GOPATH", scratch.join("go-path"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "go build: {errors}");
    binary
}

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A name and words.
type Line = (String, String);

fn fifty_go_clients() {
    const CLIENTS: usize = 50;
    const PEOPLE: usize = 4;
    const MESSAGES: usize = 5;
    let server = InProcess::start(&[]);
    let mut child = Command::new(build_go_peer())
        .arg(server.address(Dialect::Wire).to_string())
        .args([CLIENTS, MESSAGES].map(|number| number.to_string()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map(Running)
        .unwrap();
    let mut stdin = child.0.stdin.take().unwrap();
    let stdout = BufReader::new(child.0.stdout.take().unwrap());
    let (sender, printed) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    assert_eq!(printed.recv_timeout(DEADLINE).unwrap(), "named");

    // People: the first one says nothing, and so hears everything.
    let mut clients = Clients::new().unwrap();
    let target = Target::new(Dialect::Telnet, server.address(Dialect::Telnet));
    let people: Vec<_> = (0..PEOPLE)
        .map(|_| clients.dial(&target, Options::default()))
        .collect();
    let mut heard = vec![Vec::<Line>::new(); PEOPLE];
    for id in &people {
        let person = clients.connection_mut(*id).unwrap();
        person.set_name(&format!("person{}", id.index())).unwrap();
    }
    let all_named = |clients: &Clients| clients.iter().all(|person| !person.name().is_empty());
    listen(&mut clients, &mut heard, all_named);
    stdin.write_all(b"go\n").unwrap();
    for id in &people[1..] {
        let person = clients.connection_mut(*id).unwrap();
        for number in 0..MESSAGES {
            person
                .send(&format!("person{} says {number}", id.index()))
                .unwrap();
        }
    }
    let all = (CLIENTS + PEOPLE - 1) * MESSAGES;
    listen(&mut clients, &mut heard, |clients| {
        clients.iter().all(|person| {
            let own = person.counters().accepted;
            person.counters().heard + own >= all as u64
        })
    });
    // Whatever is heard twice is heard before this.
    let last = clients.connection_mut(people[1]).unwrap();
    last.send("end").unwrap();
    let is_end = |line: &Line| line.1 == "end";
    listen(&mut clients, &mut heard, |clients| {
        let hearers = clients.iter().filter(|person| person.id() != people[1]);
        let due = all as u64 + 1;
        hearers.into_iter().all(|person| {
            let own = person.counters().accepted;
            person.counters().heard + own >= due
        })
    });
    assert!(child.0.wait().unwrap().success());

    let order = heard[0].clone();
    let mut sorted = order.clone();
    sorted.sort();
    let mut due: Vec<Line> = (0..CLIENTS)
        .map(|index| format!("go{index}"))
        .chain((1..PEOPLE).map(|index| format!("person{index}")))
        .flat_map(|name| {
            (0..MESSAGES).map(move |number| (name.clone(), format!("{name} says {number}")))
        })
        .chain([("person1".to_owned(), "end".to_owned())])
        .collect();
    due.sort();
    assert_eq!(sorted, due, "every line once");
    assert!(order.last().is_some_and(is_end));

    let without = |name: &str| -> Vec<Line> {
        let others = order.iter().filter(|(speaker, _)| speaker != name);
        others.cloned().collect()
    };
    for (index, heard) in heard.iter().enumerate() {
        let name = format!("person{index}");
        assert_eq!(*heard, without(&name), "{name}");
    }
    let mut of_programs = vec![Vec::<Line>::new(); CLIENTS];
    for line in printed {
        let (client, rest) = line.split_once(' ').unwrap();
        let (name, words) = rest.split_once(' ').unwrap();
        let index: usize = client.strip_prefix("go").unwrap().parse().unwrap();
        of_programs[index].push((name.to_owned(), words.to_owned()));
    }
    for (index, heard) in of_programs.iter().enumerate() {
        let name = format!("go{index}");
        assert_eq!(*heard, without(&name), "{name}");
    }
}

/// Polls until `done`, and writes down what is said to each person.
#[track_caller]
fn listen(clients: &mut Clients, heard: &mut [Vec<Line>], done: impl Fn(&Clients) -> bool) {
    let give_up_at = Instant::now() + DEADLINE;
    let mut note = |person: &mut Connection, event: Event<'_>| {
        if let Event::Message(Message::Said { name, words }) = event {
            heard[person.id().index()].push((name.into_owned(), words.into_owned()));
        }
    };
    while !done(clients) {
        let left = give_up_at.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "never came true");
        clients.poll_with(Some(left), &mut note).unwrap();
    }
}
