//! How sessions end, over real sockets, and that every end is in the log with its reason.

mod support;

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use chatd::server::Process;
use support::person::Person;
use support::server::Server;
use support::session::{close_line, connect_narrow, value};
use support::{eventually, tcp_states};

#[track_caller]
fn open_line(server: &Server, person: &Person) -> String {
    server.log.wait_for(&format!(" from={} ", person.address()))
}

/// `printf 'hi' | nc`: words, perhaps without a line end, and the end of the stream at once.
#[test]
fn f023_f032_f033_what_came_before_a_half_close_is_said_and_answered() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    for words in ["one\ntwo\n", "one\ntwo"] {
        let mut guest = server.connect();
        guest.send(words.as_bytes());
        guest.finish();
        let name = format!("guest{}", value(&open_line(&server, &guest), "id"));
        ann.expect(&format!("-- {name} joined (2 here)"));
        ann.expect(&format!("<{name}> one"));
        ann.expect(&format!("<{name}> two"));
        ann.expect(&format!("-- {name} left (1 here)"));
        guest.skip_greeting();
        guest.expect_end();
        assert_eq!(
            value(&close_line(&server, guest.address()), "reason"),
            "eof"
        );
    }
}

#[test]
fn a_question_before_a_half_close_is_answered() {
    let server = Server::start(&[]);
    let mut guest = server.connect();
    guest.send(b"/who");
    guest.finish();
    guest.skip_greeting();
    guest.expect("-- nobody here yet; 1 listening");
    guest.expect_end();
}

/// Lines that were sent before a connection broke have arrived, and everybody hears them.
#[test]
fn f029_last_words_before_a_reset_are_said() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    for n in 0..8 {
        let mut bob = server.join("bob");
        ann.expect("-- bob joined (2 here)");
        bob.say(&format!("words {n}"));
        let address = bob.address();
        bob.reset();
        ann.expect(&format!("<bob> words {n}"));
        ann.expect("-- bob left (1 here)");
        let line = close_line(&server, address);
        assert_eq!(value(&line, "reason"), "reset", "{line}");
        assert_eq!(value(&line, "name"), "bob");
    }
}

#[test]
fn f084_the_name_of_somebody_who_was_killed_is_free() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let mut stream = TcpStream::connect(server.telnet()).expect("the server listens");
    let address = stream.local_addr().expect("it is connected");
    stream.write_all(b"/name bob\n").expect("it is connected");
    ann.expect("-- bob joined (2 here)");
    // A process of its own holds the connection, and nobody else does.
    let mut client = Command::new("sleep")
        .arg("1000")
        .stdin(Stdio::from(OwnedFd::from(stream)))
        .spawn()
        .expect("there is sleep");
    ann.say("/name bob");
    ann.expect("!! bob is taken");
    client.kill().expect("it runs");
    client.wait().expect("it is our child");
    ann.expect("-- bob left (1 here)");
    ann.say("/name bob");
    ann.expect("-- you are bob");
    let line = close_line(&server, address);
    assert!(["eof", "reset"].contains(&value(&line, "reason")), "{line}");
}

#[test]
fn f043_never_reader_is_closed_and_the_others_lose_nothing() {
    let settings = [
        "send-buffer-bytes=4k",
        "queue-bytes-max=16k",
        "drain-seconds=0.2",
    ];
    let server = Server::start(&settings);
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    let deaf = connect_narrow(server.telnet());
    (&deaf).write_all(b"/name deaf\n").expect("connected");
    ann.expect("-- deaf joined (3 here)");
    bob.expect("-- deaf joined (3 here)");

    let line = |n: u32| format!("line {n} {}", "x".repeat(500));
    let (mut n, mut left_after) = (0, None);
    while left_after.is_none() {
        ann.say(&line(n));
        // One who reads keeps the others' pace, so that only one who does not falls behind.
        match bob.read_line().expect("bob hears everything") {
            told if told == "-- deaf left (2 here)" => {
                left_after = Some(n);
                bob.expect(&format!("<ann> {}", line(n)));
            }
            told => assert_eq!(told, format!("<ann> {}", line(n))),
        }
        n += 1;
        assert!(n < 100_000, "50 MB wait for somebody");
    }
    ann.expect("-- deaf left (2 here)");
    ann.expect_silence();
    bob.expect_silence();
    let address = deaf.local_addr().expect("it was connected");
    let close = close_line(&server, address);
    assert_eq!(value(&close, "reason"), "slow-consumer", "{close}");
    assert_eq!(value(&close, "name"), "deaf");
    eventually("nothing waits", || server.report()["queued_bytes"] == 0);
}

/// The same, but it reads in the end: what it gets is a beginning of what was said, whole lines in order, and why.
#[test]
fn who_reads_too_late_is_told_so() {
    let server = Server::start(&["send-buffer-bytes=4k", "queue-bytes-max=16k"]);
    let mut ann = server.join("ann");
    let mut late = server.join("late");
    ann.expect("-- late joined (2 here)");
    let mut sent = 0;
    while server.log.matching("reason=slow-consumer").is_empty() && sent < 100_000 {
        ann.say(&format!("{sent} {}", "x".repeat(2000)));
        sent += 1;
        // Its buffers are large, so it takes a while; the answer shows that the server has come so far.
        ann.say("/nosuch");
        let answer = ann.read_line().expect("an answer");
        if answer.starts_with("-- late left") {
            break;
        }
    }
    for n in 0..sent {
        match late.read_line().expect("a line") {
            line if line.starts_with("!! ") => {
                assert_eq!(line, "!! goodbye: too slow to keep up");
                assert!(n > 0);
                late.expect_end();
                break;
            }
            line => assert!(line.starts_with(&format!("<ann> {n} x")), "{n}: {line}"),
        }
    }
    assert_eq!(
        value(&close_line(&server, late.address()), "reason"),
        "slow-consumer"
    );
}

/// A farewell arrives even while its reader is still sending: unread input must not turn the close into a reset.
#[test]
fn f028_farewells_arrive_while_the_client_still_sends() {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    let mut burst = String::from("/who\r\n/quit\r\n");
    for n in 0..1000 {
        let _ = write!(burst, "never said {n}\r\n");
    }
    bob.send(burst.as_bytes());
    bob.expect("-- 1 here: bob");
    bob.expect("-- goodbye");
    bob.expect_end();
    assert_eq!(value(&close_line(&server, bob.address()), "reason"), "quit");
}

/// A client that was told goodbye and does not close its own side is not waited for.
#[test]
fn who_does_not_go_is_cut_off() {
    let server = Server::start(&[]);
    let mut bob = server.join("bob");
    bob.say("/quit");
    bob.expect("-- goodbye");
    bob.expect_end();
    let close = close_line(&server, bob.address());
    assert_eq!(value(&close, "reason"), "quit");
}

#[test]
fn who_says_nothing_for_long_is_closed() {
    let server = Server::start(&["idle-seconds=1"]);
    let mut silent = server.connect();
    silent.skip_greeting();
    silent.expect("!! goodbye: nothing heard for 1 s");
    silent.expect_end();
    assert_eq!(
        value(&close_line(&server, silent.address()), "reason"),
        "idle"
    );
}

/// Five hundred come, name themselves, talk and leave in several ways; then the server holds what it held before.
#[test]
fn f041_f091_five_hundred_come_and_go_and_leave_nothing() {
    const CLIENTS: usize = 500;
    const LINES: usize = 3;
    let server = Server::start(&[]);
    let at_start = server.report();
    for key in ["sessions", "names", "here", "queued_bytes", "opens"] {
        assert_eq!(at_start[key], 0, "{key}");
    }
    assert_eq!(at_start["threads"], 1);

    let mut crowd: Vec<Person> = (0..CLIENTS).map(|_| server.connect()).collect();
    // Nobody speaks before all have been let in, or the last ones would miss it.
    crowd.iter_mut().for_each(Person::skip_greeting);
    for (n, person) in crowd.iter_mut().enumerate() {
        person.say(&format!("/name client{n}"));
        (0..LINES).for_each(|line| person.say(&format!("line {line} of client{n}")));
    }
    // Each reads on until it has heard every other one, and in order.
    for (n, person) in crowd.iter_mut().enumerate() {
        let mut heard = vec![0; CLIENTS];
        let (mut named, mut count) = (false, 0);
        while count < LINES * (CLIENTS - 1) || !named {
            let line = person.read_line().expect("a line");
            named |= line == format!("-- you are client{n}");
            if let Some((from, words)) = said(&line) {
                let of = format!("line {} of client{from}", heard[from]);
                assert_eq!(words, of, "in order, once each");
                heard[from] += 1;
                count += 1;
            }
        }
        assert_eq!(heard[n], 0, "nobody hears himself");
    }
    let at_height = server.report();
    assert_eq!(at_height["sessions"], CLIENTS as u64);
    assert_eq!(at_height["here"], CLIENTS as u64);
    assert_eq!(at_height["threads"], 1);

    for (n, mut person) in crowd.into_iter().enumerate() {
        match n % 4 {
            0 => person.say("/quit"),
            1 => person.finish(),
            2 => person.reset(),
            _ => drop(person),
        }
    }
    server.log.wait_for_count(" close id=", CLIENTS);
    let at_end = server.report();
    for key in [
        "sessions",
        "names",
        "here",
        "queued_bytes",
        "threads",
        "descriptors",
    ] {
        assert_eq!(at_end[key], at_start[key], "{key}");
    }
    assert_eq!((at_end["opens"], at_end["closes"]), (500, 500));
    assert_eq!(ids(&server, " open id="), (1..=500).collect::<Vec<_>>());
    assert_eq!(ids(&server, " close id="), (1..=500).collect::<Vec<_>>());
    let process = Process::of(&server.pid().to_string());
    assert_eq!(process.threads, 1);
    eventually("no connection is left half closed", || {
        !tcp_states(server.telnet().port()).contains_key("08")
    });
}

/// Who said what in a line that somebody said.
fn said(line: &str) -> Option<(usize, &str)> {
    let (name, words) = line.strip_prefix("<client")?.split_once("> ")?;
    Some((name.parse().ok()?, words))
}

/// The ids in the lines of the log with `part`, in order.
fn ids(server: &Server, part: &str) -> Vec<usize> {
    let lines = server.log.matching(part);
    let mut ids: Vec<usize> = lines
        .iter()
        .map(|line| value(line, "id").parse().expect("a number"))
        .collect();
    ids.sort_unstable();
    ids
}

/// A client that reads nothing at all, not even why it is closed, holds nothing for long.
#[test]
fn f035_a_close_that_nobody_takes_ends_with_the_drain() {
    let server = Server::start(&["send-buffer-bytes=4k", "drain-seconds=0.2"]);
    let mut ann = server.join("ann");
    let mut deaf = connect_narrow(server.telnet());
    deaf.write_all(b"/name deaf\n").expect("connected");
    ann.expect("-- deaf joined (2 here)");
    // More than its kernel takes, and less than would be too slow.
    let filler = "x".repeat(4000);
    (0..12).for_each(|_| ann.say(&filler));
    ann.expect_silence();
    deaf.write_all(b"/quit\n").expect("connected");
    ann.expect("-- deaf left (1 here)");
    let address = deaf.local_addr().expect("it was connected");
    let close = close_line(&server, address);
    assert_eq!(value(&close, "reason"), "quit");
    eventually("nothing waits", || server.report()["queued_bytes"] == 0);
    // The rest was thrown away with a reset.
    let mut rest = Vec::new();
    assert!(deaf.read_to_end(&mut rest).is_err(), "{} bytes", rest.len());
}
