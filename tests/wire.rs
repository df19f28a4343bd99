//! The wire dialect, byte by byte, and spoken by a client in another language.
//!
//! The harness is not the usual one, so that what needs a Go compiler or Python can be reported as ignored where
//! there is none.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines of tests are real time"
)]

#[path = "wire/clients.rs"]
mod clients;
mod in_process;
#[path = "wire/peer.rs"]
mod peer;

use std::io::Read;
use std::process::{Command, ExitCode};

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::Engine;
use chatd::client::Dialect;
use libtest_mimic::{Arguments, Trial};

use clients::{fifty_go_clients, the_documented_client_works, the_documented_codes_are_all};
use in_process::InProcess;
use peer::{b64, fail, Peer};

fn main() -> ExitCode {
    let tests: [(&str, fn()); 20] = [
        ("the_documented_codes_are_all", the_documented_codes_are_all),
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
    let (name, chat) = (
        "usage: NAME B64(name) [KEY]",
        "usage: CHAT B64(name) B64(words)",
    );
    let tell = "usage: TELL B64(name) B64(words)";
    let verb = "no such command: a line begins with NAME, CHAT, TELL, JOIN, ROOMS, KEEP, UNKEEP, WATCH, WHO, PING or QUIT";
    for (line, reason) in [
        // Missing and surplus fields.
        ("NAME", name),
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
        ("NAME  YW5u YW5u", name),
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
            "no such command: a line begins with NAME, CHAT, TELL, JOIN, ROOMS, KEEP, UNKEEP, WATCH, WHO, PING or QUIT",
            "unknown"
        ),
        fail("server is reserved", "reserved"),
    );
    assert_eq!(heard(1), (expected, "CHAT YW5u aGk=\n".to_owned()));
    for packet in [2, 3, 7, usize::MAX] {
        assert_eq!(heard(packet), heard(1), "in packets of {packet}");
    }
}
