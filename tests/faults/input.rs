//! What comes in: readiness, framing, floods, pauses, and protocols that are not ours.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use rustix::process::Signal;

use super::support::person::Person;
use super::support::server::{chatd, Server};
use super::support::session::{
    ann_and_bob, close_line, close_line_at, connect_narrow, expect_close, kernel_queues, reset,
    value,
};
use super::support::{eventually, DEADLINE};
use super::Test;

pub(crate) const TESTS: &[Test] = tests![
    f013_f056_what_a_turn_leaves_is_read_in_the_next_one,
    f014_those_who_never_send_hear_everything,
    f015_a_late_reader_gets_every_byte_once,
    f020_a_firehose_holds_nobody_up,
    f025_f060_nothing_to_do_is_no_work,
    f058_a_line_that_never_ends_is_a_flood,
    f061_f062_f068_f076_odd_bytes_make_clean_lines,
    f064_a_tls_hello_is_told_that_this_is_plain_text,
    f066_other_protocols_are_never_heard,
    f066_a_request_of_a_browser_does_not_speak,
    f066_a_request_longer_than_a_line_does_not_speak,
    f135_other_protocols_are_sent_away_before_anything_is_said,
    f135_who_is_at_the_wrong_port_is_told_the_right_one,
    f135_a_byte_order_mark_is_dropped,
    f087_a_flood_is_paused_and_nothing_of_it_is_lost,
    f088_a_ghost_behind_its_own_flood_is_noticed,
    f088_a_broken_ghost_is_noticed,
];

fn f013_f056_what_a_turn_leaves_is_read_in_the_next_one() {
    // Where a rate is set, reads are smaller, and what is there at once is more than one of them.
    for rate in [
        &[][..],
        &["lines-per-second=1000000", "lines-burst=1000000"],
    ] {
        // It is not the reader's speed that is to be tested.
        let patient = ["queue-bytes-max=16m", "queue-bytes-soft=16m"];
        let server = Server::start(&[&patient[..], rate].concat());
        let (mut ann, mut bob) = ann_and_bob(&server);
        for (lines, length) in [(2000, 1), (10, 3000), (13, 4000)] {
            let line = |n: usize| format!("{n} {}", "x".repeat(length));
            let burst: Vec<String> = (0..lines).map(|n| line(n) + "\r\n").collect();
            // All of it is there before the server looks, and nothing comes after it.
            server.signal(Signal::STOP);
            ann.send(burst.concat().as_bytes());
            server.signal(Signal::CONT);
            (0..lines).for_each(|n| bob.expect(&format!("<ann> {}", line(n))));
        }
        // What is more than the kernel takes at once goes on as it comes.
        let mut stream = ann.stream().try_clone().expect("a descriptor");
        let burst = format!("{}\r\n", "x".repeat(2000)).repeat(300);
        let writer = thread::spawn(move || stream.write_all(burst.as_bytes()));
        let line = format!("<ann> {}", "x".repeat(2000));
        (0..300).for_each(|_| bob.expect(&line));
        writer.join().expect("no panic").expect("connected");
        // Ann may have been told that their lines waited for Bob, and is told nothing else.
        ann.say("/nothing");
        let mut told = ann.read_line().expect("a line");
        if told == "-- the room is slow; your lines wait" {
            told = ann.read_line().expect("a line");
        }
        assert!(told.starts_with("!! no such command: /nothing"), "{told}");
    }
}

fn f014_those_who_never_send_hear_everything() {
    let server = Server::start(&[]);
    let mut silent: Vec<Person> = (0..20).map(|_| server.connect()).collect();
    silent.iter_mut().for_each(Person::skip_greeting);
    let mut ann = server.join("ann");
    for person in &mut silent {
        person.expect("-- ann joined (1 here)");
    }
    // Each line only when everybody has heard the one before: it cannot come in another one's wake.
    for n in 0..50 {
        ann.say(&format!("line {n}"));
        for person in &mut silent {
            person.expect(&format!("<ann> line {n}"));
        }
    }
}

fn f015_a_late_reader_gets_every_byte_once() {
    const LINES: usize = 1000;
    let server = Server::start(&[
        "send-buffer-bytes=2k",
        "queue-bytes-max=16m",
        "queue-bytes-soft=16m",
    ]);
    let mut ann = server.join("ann");
    let mut late = TcpStream::connect(server.telnet()).expect("the server listens");
    let deadline = late.set_read_timeout(Some(DEADLINE));
    deadline.expect("a socket");
    let address = late.local_addr().expect("connected");
    server.log.wait_for(&format!(" from={address} "));
    let line = |n: usize| format!("{n} {}x", "x".repeat(n * 37 % 2000));
    (0..LINES).for_each(|n| ann.say(&line(n)));
    ann.say("the end");
    ann.expect_silence();
    assert!(server.report()["queued_bytes"] > 0, "it all went at once");
    // Not much at a time, so that the server cannot write much at a time either.
    let mut got = Vec::new();
    let mut piece = [0; 997];
    while !got.ends_with(b"the end\r\n") {
        let length = late.read(&mut piece).expect("connected");
        assert_ne!(length, 0, "it was closed");
        got.extend_from_slice(&piece[..length]);
    }
    let got = String::from_utf8(got).expect("UTF-8");
    let mut heard = got.split("\r\n").skip(2);
    for n in 0..LINES {
        assert_eq!(heard.next(), Some(format!("<ann> {}", line(n)).as_str()));
    }
    assert_eq!(heard.next(), Some("<ann> the end"));
}

/// A client that sends without end is heard some lines a turn, and so is everybody else.
fn f020_a_firehose_holds_nobody_up() {
    let server = Server::start(&[]);
    let (mut hose, mut bob) = ann_and_bob(&server);
    let mut carl = server.join("carl");
    hose.expect("-- carl joined (3 here)");
    bob.expect("-- carl joined (3 here)");
    server.signal(Signal::STOP);
    hose.send("x\r\n".repeat(5000).as_bytes());
    carl.say("me too");
    server.signal(Signal::CONT);
    let mut before = 0;
    while bob.read_line().expect("a line") != "<carl> me too" {
        before += 1;
    }
    // Both are read in the first turn, or carl in the second one.
    assert!(before <= 2 * 64, "{before} lines came first");
    (before..5000).for_each(|_| bob.expect("<ann> x"));
}

/// Half a line, a pause and a silent crowd are nothing to be busy with.
fn f025_f060_nothing_to_do_is_no_work() {
    let server = Server::start(&["lines-per-second=1", "lines-burst=2", "idle-seconds=2"]);
    let mut ann = server.connect();
    ann.skip_greeting();
    ann.send(&[b'x'; 600]);
    let mut full = server.connect();
    full.send(&[b'x'; 4096]);
    let mut paused = server.connect();
    paused.send("/nosuch\r\n".repeat(5000).as_bytes());
    let reader = connect_narrow(server.telnet());
    let before = server.report()["turns"];
    // The time of silence that a session is given is the clock of this test.
    ann.expect("!! goodbye: nothing heard for 2 s");
    let turns = server.report()["turns"] - before;
    assert!(turns < 300, "{turns} turns for nothing");
    expect_close(&server, ann.address(), "idle");
    drop(reader);
}

fn f058_a_line_that_never_ends_is_a_flood() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    for to in [server.telnet(), server.wire()] {
        let mut hose = TcpStream::connect(to).expect("the server listens");
        let deadline = hose.set_write_timeout(Some(DEADLINE));
        deadline.expect("a socket");
        let megabyte = vec![b'x'; 1 << 20];
        // Up to 16 MiB it is a line that is too long.
        let sent = (0..40)
            .take_while(|_| hose.write_all(&megabyte).is_ok())
            .count();
        assert!((16..40).contains(&sent), "{sent} MiB were taken");
        let line = close_line_at(&server, to, hose.local_addr().expect("connected"));
        assert_eq!(value(&line, "reason"), "flood", "{line}");
    }
    ann.expect_silence();
    bob.expect_silence();
    assert_eq!(server.report()["input_bytes"], 0);
}

fn f061_f062_f068_f076_odd_bytes_make_clean_lines() {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    for (sent, heard) in [
        (&b"a\0b\n"[..], "ab"),
        (b"\x1b]0;title\x07a\x1b[31mb\x9b1mc\n", "ab\u{fffd}1mc"),
        (b"a\x7f\x08\x07b\n", "b"),
        (b"\xe8\x80\x81 \xe8\x80\n", "\u{8001} \u{fffd}"),
        ("a\u{202e}b\u{200b}c\u{85}d\n".as_bytes(), "abc d"),
    ] {
        for packet in [sent.len(), 1] {
            sent.chunks(packet).for_each(|packet| bob.send(packet));
            ann.expect(&format!("<bob> {heard}"));
        }
    }
    bob.expect("!! what you type is not UTF-8 and is not readable here");
    // Nothing to be seen is nothing said.
    bob.send(b"   \r\n\t\n\0\0\n\x1b[2J\n\xe2\x80\x8b\n");
    bob.expect_silence();
    ann.expect_silence();
}

/// Connects, sends, and sees what the stranger is told: one line, which is given, and the end.
#[track_caller]
fn sent_away(server: &Server, to: SocketAddr, bytes: &[u8]) -> String {
    let mut stranger = TcpStream::connect(to).expect("the server listens");
    let deadline = stranger.set_read_timeout(Some(DEADLINE));
    deadline.expect("a socket");
    let _ = stranger.write_all(bytes);
    let mut told = Vec::new();
    if let Err(error) = stranger.read_to_end(&mut told) {
        // It closes while bytes are still under way.
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    let told = String::from_utf8(told).expect("UTF-8");
    let line = close_line_at(server, to, stranger.local_addr().expect("connected"));
    assert_eq!(value(&line, "reason"), "wrong-protocol", "{line}");
    told.lines().last().unwrap_or_default().to_owned()
}

#[track_caller]
fn foreign(server: &Server, to: SocketAddr, bytes: &[u8]) {
    let told = sent_away(server, to, bytes);
    let farewell = [
        "!! this is a chat in plain text",
        // The same in base64, for programs.
        "FAIL dGhpcyBpcyBhIGNoYXQgaW4gcGxhaW4gdGV4dA== wrong-protocol",
    ];
    assert!(farewell.contains(&&*told), "{told}");
}

#[track_caller]
fn expect_unheard(requests: &[&[u8]]) {
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    let mut bot = server.program();
    for request in requests {
        foreign(&server, server.telnet(), request);
        foreign(&server, server.wire(), request);
    }
    ann.expect_silence();
    bob.expect_silence();
    bot.expect_silence();
}

fn f064_a_tls_hello_is_told_that_this_is_plain_text() {
    expect_unheard(&[
        b"\x16\x03\x01",
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\x00\x0a\x0d\x1b[2J\x01\xff\xfd\x01\r\nhello\r\n",
    ]);
}

fn f066_other_protocols_are_never_heard() {
    expect_unheard(&[
        b"SSH-2.0-OpenSSH_9.2\r\nhello\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:3333\r\nUser-Agent: hello\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]);
}

/// The header of a balancer that looks whether the port is open, and of one that passes somebody on.
const PROXY_HEADERS: [&[u8]; 2] = [
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01\0\x50\x0d\x05hello\r\n",
];

fn f135_other_protocols_are_sent_away_before_anything_is_said() {
    expect_unheard(&PROXY_HEADERS);
    expect_unheard(&[
        b"EHLO mail.example.net\r\nMAIL FROM:<ann@example.net>\r\n",
        b"HELO x\r\n",
        b"CAP LS 302\r\nNICK ann\r\nUSER ann 0 * :Ann\r\n",
        b"PASS secret\r\nNICK ann\r\n",
        b"NICK ann\r\nUSER ann 0 * :Ann\r\n",
        b"USER ann 0 * :Ann\r\n",
        b"a001 CAPABILITY\r\n",
        b"USER anonymous\r\n",
        b"OPTIONS rtsp://127.0.0.1/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        b"OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/TCP nm\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"GET /\r\n",
    ]);
}

fn f135_who_is_at_the_wrong_port_is_told_the_right_one() {
    let ours = b"NAME YW5u\nCHAT YW5u aGVsbG8=\n";
    let server = Server::start(&[]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    let port = server.wire().port();
    assert_eq!(
        sent_away(&server, server.telnet(), ours),
        format!("!! this port is for people; programs use port {port}")
    );
    for utf16 in [
        &b"\xff\xfeh\0i\0\r\0\n\0"[..],
        b"\xfe\xff\0h\0i\0\r\0\n",
        b"h\0i\0\r\0\n\0",
    ] {
        assert_eq!(
            sent_away(&server, server.telnet(), utf16),
            "!! this is UTF-16; chatd speaks UTF-8"
        );
        assert_eq!(
            sent_away(&server, server.wire(), utf16),
            "FAIL dGhpcyBpcyBVVEYtMTY7IGNoYXRkIHNwZWFrcyBVVEYtOA== wrong-protocol"
        );
    }
    ann.expect_silence();
    bob.expect_silence();
    let alone = Server::spawn(chatd().args(["-l", "127.0.0.1:0"]));
    let mut program = alone.connect();
    program.skip_greeting();
    program.send(ours);
    program.expect("!! this is a chat in plain text");
}

fn f135_a_byte_order_mark_is_dropped() {
    let server = Server::start(&[]);
    let (mut person, mut program) = (server.connect(), Person::program(server.wire()));
    person.skip_greeting();
    for packet in [b"\xef".as_slice(), b"\xbb\xbf/name cle", b"o\r\n"] {
        person.send(packet);
    }
    person.expect("-- you are cleo");
    program.send(b"\xef\xbb\xbfNAME Ym90\n");
    program.expect("NAME Ym90");
}

const BROWSER: &str = "Host: 127.0.0.1:3333\r\nOrigin: https://example.org\r\n\
    Content-Type: text/plain\r\nContent-Length: 30\r\n\r\n\
    /name ann2\r\nhello\r\nCHAT YQ== Yg==\r\n";

/// Any page in a browser can have a form sent to any port, and what stands in it is the page's choice.
fn f066_a_request_of_a_browser_does_not_speak() {
    let request = format!("POST / HTTP/1.1\r\n{BROWSER}");
    expect_unheard(&[request.as_bytes()]);
}

fn f066_a_request_longer_than_a_line_does_not_speak() {
    // Longer than a line of either dialect.
    let request = format!("POST /{} HTTP/1.1\r\n{BROWSER}", "x".repeat(20_000));
    expect_unheard(&[request.as_bytes()]);
}

fn f087_a_flood_is_paused_and_nothing_of_it_is_lost() {
    const LINES: usize = 40;
    let server = Server::start(&["lines-per-second=5", "lines-burst=10"]);
    let (mut ann, mut bob) = ann_and_bob(&server);
    let mut carl = server.join("carl");
    ann.expect("-- carl joined (3 here)");
    bob.expect("-- carl joined (3 here)");
    let burst: Vec<String> = (0..LINES).map(|n| format!("line {n}\r\n")).collect();
    ann.send(burst.concat().as_bytes());
    bob.expect("<ann> line 0");
    // Others are not delayed: this is heard while most of the flood waits.
    carl.say("meanwhile");
    let (mut heard, mut flood_at_carl) = (1, None);
    while heard < LINES {
        match bob.read_line().expect("a line").as_str() {
            "<carl> meanwhile" => flood_at_carl = Some(heard),
            line => {
                assert_eq!(
                    line,
                    format!("<ann> line {heard}"),
                    "none is lost, in order"
                );
                heard += 1;
            }
        }
    }
    let flood_at_carl = flood_at_carl.expect("carl was heard");
    assert!(flood_at_carl < LINES, "carl was heard behind all of it");

    // A flood without an end: the kernel's buffers fill up, the server's do not.
    let mut hose = TcpStream::connect(server.telnet()).expect("the server listens");
    hose.set_nonblocking(true).expect("a socket");
    let address = hose.local_addr().expect("connected");
    let lines = "/nosuch\r\n".repeat(1000);
    let mut sent = 0;
    eventually("the kernel takes no more", || loop {
        match hose.write(lines.as_bytes()) {
            Ok(bytes) => sent += bytes,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return kernel_queues(&server, address).1 > 0;
            }
        }
    });
    assert!(sent > 64 * 1024, "{sent} bytes are no flood");
    let kept = server.report()["input_bytes"];
    assert!(kept <= 16 * 1024, "{kept} bytes are kept");
    carl.expect("<ann> line 0");
    // Most of it was never heard, for there was no time.
    reset(hose);
    let line = close_line(&server, address);
    let lines: usize = value(&line, "lines_in").parse().expect("a number");
    assert!(lines < sent / 20, "{line}");
}

/// `printf` of many lines into nc, which ends at once: the end stands behind more than is heard for a long time.
fn f088_a_ghost_behind_its_own_flood_is_noticed() {
    let server = Server::start(&["lines-per-second=1", "lines-burst=9"]);
    let mut ann = server.join("ann");
    let mut ghost = TcpStream::connect(server.telnet()).expect("the server listens");
    // Hours, at that rate.
    let _ = ghost.write_all("a\r\n".repeat(20_000).as_bytes());
    let address = ghost.local_addr().expect("connected");
    drop(ghost);
    let line = close_line(&server, address);
    let lines: u64 = value(&line, "lines_in").parse().expect("a number");
    // As a reset, where the server's lines met nobody who reads.
    assert!(["eof", "reset"].contains(&value(&line, "reason")), "{line}");
    assert!(lines < 50, "{line}");
    ann.skip_until("-- guest2 left (1 here)");
    assert_eq!(server.report()["input_bytes"], 0);
}

/// The same without being reset by what it is told: one has only shut its side, the other resets it itself.
fn f088_a_broken_ghost_is_noticed() {
    let server = Server::start(&["lines-per-second=1", "lines-burst=5"]);
    let (mut half, mut broken) = (server.connect(), server.connect());
    for ghost in [&mut half, &mut broken] {
        ghost.skip_greeting();
        ghost.send("/nosuch\r\n".repeat(1000).as_bytes());
    }
    half.finish();
    let address = broken.address();
    broken.reset();
    expect_close(&server, address, "reset");
    expect_close(&server, half.address(), "eof");
    let answers = half.read_to_end();
    let answers = answers.split(|byte| *byte == b'\n').count();
    assert!(answers < 50, "{answers} lines");
}
