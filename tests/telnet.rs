//! Telnet's own bytes, as real clients send them (RFC 854, 855, 860, 1143).

mod support;

use rustix::process::Signal;
use socket2::SockRef;
use support::person::Person;
use support::server::Server;

const IAC: u8 = 0xff;
const DONT: u8 = 0xfe;
const DO: u8 = 0xfd;
const WONT: u8 = 0xfc;
const WILL: u8 = 0xfb;
const SB: u8 = 0xfa;
const SE: u8 = 0xf0;
const EL: u8 = 0xf8;
const EC: u8 = 0xf7;
const AYT: u8 = 0xf6;
const IP: u8 = 0xf4;
const DATA_MARK: u8 = 0xf2;
const EOF: u8 = 0xec;

const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;
const TIMING_MARK: u8 = 6;
const TERMINAL_TYPE: u8 = 24;
const WINDOW_SIZE: u8 = 31;

fn ann_and_bob(server: &Server) -> (Person, Person) {
    let mut ann = server.join("ann");
    let bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    (ann, bob)
}

/// A plain client, such as nc, would show them on the screen.
#[test]
fn who_has_not_begun_gets_no_telnet_byte_and_no_escape() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    let mut nc = server.connect();
    nc.say("/help");
    nc.say("/who");
    nc.say("/nosuch");
    nc.say("hello");
    ann.expect("-- guest3 joined (3 here)");
    ann.expect("<guest3> hello");
    // What others negotiate is their own business.
    bob.send(&[IAC, DO, TIMING_MARK, IAC, DO, ECHO]);
    bob.say("a\x1b[2Jb");
    ann.expect("<bob> ab");
    nc.say("/quit");
    let all = nc.read_to_end();
    assert!(all.ends_with(b"-- goodbye\r\n"), "{}", all.escape_ascii());
    assert!(!all.iter().any(|byte| [IAC, 0x1b].contains(byte)));
}

/// The usual client throws all output away until its mark is answered, so after Ctrl-C it would be silent for good.
#[test]
fn every_timing_mark_is_answered() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    for _ in 0..3 {
        ann.send(&[IAC, DO, TIMING_MARK]);
        ann.expect_bytes(&[IAC, WILL, TIMING_MARK]);
    }
    bob.say("hello");
    ann.expect("<bob> hello");
}

/// Ctrl-C as telnets send it: IAC IP, Synch with its mark in urgent data, and DO TIMING-MARK.
#[test]
fn control_c_forgets_the_line_and_the_second_one_leaves() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    let press = |ann: &mut Person| {
        ann.send(&[IAC, IP]);
        synch(ann);
        ann.send(&[IAC, DO, TIMING_MARK]);
    };
    // The hint comes behind the answer to the mark, unless that was asked for in a later packet.
    let expect_hint = |ann: &mut Person| {
        let (hint, mark) = (
            b"-- Ctrl-C again, or /quit, to leave\r\n",
            [IAC, WILL, TIMING_MARK],
        );
        let got = ann.read_bytes(hint.len() + mark.len());
        let wanted = [[&hint[..], &mark].concat(), [&mark, &hint[..]].concat()];
        assert!(wanted.contains(&got), "{}", got.escape_ascii());
    };
    ann.send(b"half a li");
    press(&mut ann);
    expect_hint(&mut ann);
    ann.say("hello");
    bob.expect("<ann> hello");
    // A line in between is no second one in a row.
    press(&mut ann);
    expect_hint(&mut ann);
    press(&mut ann);
    let farewell = ann.read_to_end();
    let farewell = String::from_utf8_lossy(&farewell);
    assert!(farewell.contains("-- goodbye\r\n"), "{farewell}");
    bob.expect("-- ann left (1 here)");
    server.log.wait_for("name=ann reason=quit ");
}

/// Telnet's Synch: a data mark in urgent data.
fn synch(person: &mut Person) {
    person.send(&[IAC]);
    let sent = SockRef::from(person.stream()).send_out_of_band(&[DATA_MARK]);
    assert_eq!(sent.expect("it is connected"), 1);
}

/// A read stops at urgent data though there is more behind it, and no event tells of that.
#[test]
fn what_follows_urgent_data_is_heard_at_once() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    for n in 0..20 {
        // The server finds all of it at once.
        server.signal(Signal::STOP);
        ann.send(b"before");
        synch(&mut ann);
        ann.say(" and after");
        let line = format!("and line {n}");
        ann.say(&line);
        server.signal(Signal::CONT);
        bob.expect("<ann> before and after");
        bob.expect(&format!("<ann> {line}"));
    }
}

#[test]
fn f073_unknown_options_are_refused_once_and_answers_are_not_answered() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    for _ in 0..1000 {
        ann.send(&[IAC, DO, 200, IAC, WILL, 200, IAC, DONT, 200, IAC, WONT, 200]);
        ann.send(&[IAC, DONT, ECHO, IAC, WONT, SUPPRESS_GO_AHEAD]);
    }
    ann.expect_bytes(&[IAC, WONT, 200, IAC, DONT, 200]);
    ann.expect_silence();
    // All of them: at most one answer for each, and a mark that is answered whatever was before.
    // Two are no options here, for a line end behind a stray byte counts as one.
    let none = [TIMING_MARK, b'\r', b'\n'];
    for option in (0..=u8::MAX).filter(|option| !none.contains(option)) {
        ann.send(&[IAC, WONT, option, IAC, DONT, option]);
    }
    ann.expect_silence();
    bob.expect_silence();
}

#[test]
fn f075_commands_do_what_their_keys_do() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    ann.send(&[IAC, AYT]);
    ann.expect("-- yes, still here");
    ann.send(&[b"helo".as_slice(), &[IAC, EC], b"lo\r\n"].concat());
    bob.expect("<ann> hello");
    ann.send(&[b"wrong".as_slice(), &[IAC, EL], b"right\r\n"].concat());
    bob.expect("<ann> right");
    // No operation, a go-ahead, and what nobody knows, in mid-line.
    ann.send(&[b"a".as_slice(), &[IAC, 0xf1, IAC, 0xf9, IAC, 1], b"b\r\n"].concat());
    bob.expect("<ann> ab");
    ann.send(&[IAC, EOF]);
    ann.expect("-- goodbye");
    ann.expect_end();
    bob.expect("-- ann left (1 here)");
}

/// What a client tells of itself is no text, in whatever packets it comes.
#[test]
fn f070_f071_negotiation_is_never_text_however_it_is_cut() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    let told = [
        &[IAC, SB, WINDOW_SIZE, 0, 80, 0, IAC, IAC, IAC, SE][..],
        b"he",
        &[IAC, SB, TERMINAL_TYPE, 0],
        b"XTERM",
        &[IAC, SE],
        b"llo",
        &[IAC, WONT, ECHO],
        b" \xe4\xbd\xa0\xe5\xa5\xbd",
        // A doubled IAC is the byte itself, which is no UTF-8.
        &[IAC, IAC],
        b"!\r\n",
    ]
    .concat();
    for packet in [told.len(), 3, 2, 1] {
        told.chunks(packet).for_each(|packet| ann.send(packet));
        bob.expect("<ann> hello 你好\u{fffd}!");
    }
    ann.expect("!! what you type is not UTF-8 and is not readable here");
    ann.expect_silence();
}

/// A subnegotiation that never ends is given up, and what follows is a line like any other.
#[test]
fn f072_an_endless_subnegotiation_swallows_nothing_for_long() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    ann.send(&[IAC, SB, TERMINAL_TYPE]);
    ann.send(&[b'x'; 100]);
    ann.say("");
    ann.say("hello");
    let rest = bob.read_line().expect("what was beyond its bound");
    assert!(rest.starts_with("<ann> xxx") && rest.len() < 100, "{rest}");
    bob.expect("<ann> hello");
    ann.send(&[IAC, SB, TERMINAL_TYPE]);
    let megabyte = vec![b'x'; 1024 * 1024];
    (0..10).for_each(|_| ann.send(&megabyte));
    ann.say("");
    let told = ann.read_line().expect("it is a line that is too long");
    assert!(told.starts_with("!! line too long: 1048"), "{told}");
    bob.expect_silence();
}
