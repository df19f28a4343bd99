//! What one client may take, and that the others notice nothing of what it tries.

mod support;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::iter;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use chatd::server::Process;
use rustix::process::Signal;
use socket2::SockRef;
use support::person::Person;
use support::random::Random;
use support::server::Server;

const MIB: usize = 1024 * 1024;

#[test]
fn f006_one_too_many_is_told_so_and_the_others_notice_nothing() {
    let server = Server::start(&["sessions-max=3"]);
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    let mut bot = server.program();
    // More than are kept until they have read why.
    let mut late: Vec<Person> = (0..50).map(|_| server.connect()).collect();
    for person in &mut late {
        person.expect("!! goodbye: the server is full");
        person.expect_end();
    }
    let mut program = Person::program(server.wire());
    // `FAIL goodbye: the server is full`
    program.expect("FAIL Z29vZGJ5ZTogdGhlIHNlcnZlciBpcyBmdWxs full");
    program.expect_end();
    drop((late, program));
    server.log.wait_for_count(" reason=full ", 51);
    ann.say("nobody else here");
    bob.expect("<ann> nobody else here");
    bot.expect("CHAT YW5u bm9ib2R5IGVsc2UgaGVyZQ==");
    ann.expect_silence();
    bob.expect_silence();

    bob.say("/quit");
    bob.expect("-- goodbye");
    drop(bob);
    ann.expect("-- bob left (1 here)");
    server.log.wait_for("name=bob reason=quit");
    let mut carl = server.join("carl");
    ann.expect("-- carl joined (2 here)");
    carl.expect_silence();
}

/// Everybody on this machine has the same address, so that must not count against anybody.
#[test]
fn f007_loopback_is_exempt_from_the_limit_on_addresses() {
    let server = Server::start(&["sessions-per-address-max=1"]);
    let mut people: Vec<Person> = (0..5).map(|_| server.connect()).collect();
    people.iter_mut().for_each(Person::skip_greeting);
    people.iter_mut().for_each(Person::expect_silence);
    assert_eq!(server.report()["sessions"], 5);
}

/// Without a descriptor for the next newcomer the server goes on, does not spin, and lets them in when there is one.
#[test]
#[cfg(target_os = "linux")]
fn f001_a_shortage_of_descriptors_is_waited_out() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    server.leave_no_descriptor();

    let mut late: Vec<Person> = (0..3).map(|_| server.connect()).collect();
    server.log.wait_for_count("cannot accept, trying again", 1);
    let turns_before = server.report()["turns"];
    server.log.wait_for_count("cannot accept, trying again", 2);
    let turns = server.report()["turns"] - turns_before;
    assert!(turns < 200, "{turns} turns for nothing");
    ann.say("still here");
    bob.expect("<ann> still here");

    // Somebody leaves, so somebody comes in, and nobody had to connect for that.
    bob.say("/quit");
    bob.expect("-- goodbye");
    drop(bob);
    ann.expect("-- bob left (1 here)");
    late[0].skip_greeting();
    server.limit_descriptors(1000);
    late[1].skip_greeting();
    late[2].skip_greeting();
    ann.expect_silence();
}

/// Ten megabytes without a line end are one line that is too long, and cost nothing.
#[test]
fn f058_ten_megabytes_without_a_line_end_cost_nothing() {
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let mut bot = server.program();
    let mut stranger = server.connect();
    let mut program = server.program();
    let before = Process::of(&server.pid().to_string()).resident_bytes;
    let megabyte = vec![b'x'; MIB];
    for _ in 0..10 {
        stranger.send(&megabyte);
        program.send(&megabyte);
    }
    ann.say("anybody here?");
    bot.expect("CHAT YW5u YW55Ym9keSBoZXJlPw==");
    let bytes = 10 * MIB;
    stranger.skip_until("<ann> anybody here?");
    stranger.say("");
    stranger.expect(&format!(
        "!! line too long: {bytes} bytes, at most 4096; not sent"
    ));
    program.expect("CHAT YW5u YW55Ym9keSBoZXJlPw==");
    program.say("");
    let told = program.read_line().expect("it is told");
    assert!(told.starts_with("FAIL "), "{told}");
    let after = Process::of(&server.pid().to_string()).resident_bytes;
    let grown = after.saturating_sub(before);
    assert!(grown < MIB as u64, "grown by {grown} bytes");
    ann.expect_silence();
    bot.expect_silence();
}

/// Programs that speak something else, and noise: whatever becomes of it, the others hear nothing but lines of the
/// protocol, each said by the newcomer or about them.
#[test]
fn other_protocols_and_noise_disturb_nobody() {
    const HTTP: &[u8] =
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:3333\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n\r\n";
    const TLS: &[u8] =
        b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\x00\x0a\x0d\x1b[2J\x01\xff\xfd\x01\r\n";
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let mut bot = server.program();
    let noise = [noise(1, 64 * 1024), noise(2, 64 * 1024)];
    let inputs = [HTTP, TLS, b"SSH-2.0-OpenSSH_9.2\r\n", &noise[0], &noise[1]];
    for (n, input) in inputs.into_iter().enumerate() {
        for (dialect, address) in [("telnet", server.telnet()), ("wire", server.wire())] {
            let mut stranger = TcpStream::connect(address).expect("the server listens");
            let own_address = stranger.local_addr().expect("connected");
            let from = format!(" dialect={dialect} from={own_address} ");
            // The server may have had enough of it before it is through.
            let _ = stranger.write_all(input);
            drop(stranger);
            let open = server.log.wait_for(&from);
            let id = open.split_whitespace().find(|word| word.starts_with("id="));
            let id = id.expect("every open has an id");
            server.log.wait_for(&format!(" close {id} "));
        }
        let mut bob = server.join(&format!("bob{n}"));
        bob.say("that was it");
        hear_until(&mut ann, &format!("<bob{n}> that was it"));
        bob.say("/quit");
        bob.skip_until("-- goodbye");
    }
    // The last bob, `bob4`, in base64; a program, too, has heard only lines of its protocol until then.
    hear_until(&mut bot, "CHAT Ym9iNA== dGhhdCB3YXMgaXQ=");
    assert_eq!(server.report()["open"], 2);
}

/// Reads lines that others may cause until `end` comes.
#[track_caller]
/// Talkers say at once what is more than a queue holds, within their limits, and all who read at the rate of an ordinary
/// line hear all of it: the talkers wait.
#[test]
fn f122_who_reads_at_a_modest_rate_hears_all_that_many_say_at_once() {
    const TALKERS: usize = 16;
    const READERS: usize = 8;
    const LINES: usize = 8;
    let server = Server::start(&[
        "lines-per-second=10",
        "lines-burst=400",
        "queue-bytes-max=384k",
        "queue-bytes-soft=384k",
        "send-buffer-bytes=4k",
    ]);
    let connect = |_| {
        let stream = TcpStream::connect(server.telnet()).expect("the server listens");
        // What the kernel keeps for them is little beside what is said.
        let narrow = SockRef::from(&stream).set_recv_buffer_size(16 * 1024);
        narrow.expect("it can be set");
        stream
    };
    let readers: Vec<TcpStream> = (0..READERS).map(connect).collect();
    let talkers: Vec<Person> = (0..TALKERS).map(|_| server.connect()).collect();
    server.log.wait_for_count(" open id=", TALKERS + READERS);
    thread::scope(|scope| {
        let readers: Vec<_> = readers
            .iter()
            .map(|stream| scope.spawn(|| hear_slowly(stream, TALKERS * LINES)))
            .collect();
        for talker in talkers {
            let mut stream = talker.stream().try_clone().expect("a socket");
            // They read as fast as they can.
            scope.spawn(move || io::copy(&mut stream, &mut io::sink()));
            let mut stream = talker.stream().try_clone().expect("a socket");
            scope.spawn(move || {
                for number in 0..LINES {
                    let line = format!("{number} {}\r\n", "x".repeat(4000));
                    stream.write_all(line.as_bytes()).expect("it is heard");
                }
            });
        }
        for reader in readers {
            let heard = reader.join().expect("it reads");
            assert_eq!(heard.len(), TALKERS, "talkers were heard");
            for (talker, numbers) in heard {
                assert!(
                    numbers.iter().copied().eq(0..LINES),
                    "{talker}: {numbers:?}"
                );
            }
        }
        server.signal(Signal::TERM);
    });
    for reason in ["reason=slow-consumer", "reason=write-stall"] {
        assert_eq!(server.log.matching(reason), Vec::<String>::new());
    }
}

/// Reads a little at a time until this many lines were heard; gives the numbers of the lines of each talker.
fn hear_slowly(mut stream: &TcpStream, lines: usize) -> BTreeMap<String, Vec<usize>> {
    let mut heard = BTreeMap::<String, Vec<usize>>::new();
    let (mut unread, mut buffer, mut count) = (Vec::new(), [0; 2048], 0);
    while count < lines {
        let length = stream.read(&mut buffer).expect("nobody is reset");
        assert!(length > 0, "closed after {count} lines");
        unread.extend_from_slice(&buffer[..length]);
        while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = unread.drain(..=end).collect();
            let line = String::from_utf8(line).expect("text");
            let said = line.strip_prefix('<').and_then(|it| it.split_once("> "));
            if let Some((talker, words)) = said {
                let (number, filler) = words.split_once(' ').expect("a number");
                assert_eq!(filler.trim_end().len(), 4000, "{talker}: {number}");
                let number = number.parse().expect("a number");
                heard.entry(talker.to_owned()).or_default().push(number);
                count += 1;
            }
        }
        // A line of some Mbit/s.
        thread::sleep(Duration::from_millis(5));
    }
    heard
}

fn hear_until(person: &mut Person, end: &str) {
    let known = if person.is_program() {
        &["CHAT "][..]
    } else {
        &["<", "* ", "-- "]
    };
    loop {
        match person.read_line() {
            Ok(line) if line == end => return,
            Ok(line) => assert!(
                known.iter().any(|begins| line.starts_with(begins)),
                "{line}"
            ),
            Err(why) => panic!("{why:?} before {end:?}"),
        }
    }
}

/// Bytes that look like nothing, the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    iter::repeat_with(|| random.next() as u8)
        .take(length)
        .collect()
}
