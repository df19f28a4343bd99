//! Half-closes, resets, never-readers: how sessions end.

use std::io::Write;
use std::net::TcpStream;

use rustix::process::Signal;

use super::support::server::Server;
use super::support::session::{
    ann_and_bob, close_line, connect_narrow, deafen, expect_at_rest, expect_close, missed, reset,
    value,
};
use super::support::{eventually, DEADLINE};
use super::Test;

pub(crate) const TESTS: &[Test] = tests![
    f030_a_reset_of_one_who_is_on_her_way_out_changes_nothing,
    f031_a_write_to_one_who_has_gone_is_a_reset,
    f040_f103_who_comes_and_goes_without_a_word_leaves_nothing,
    f044_too_much_for_too_long_is_too_much_without_another_write,
    f046_a_client_that_is_stopped_is_closed,
    f052_who_asks_and_never_reads_is_closed,
];

/// What waits in the server for somebody who never reads.
const DEAF: [&str; 4] = [
    "send-buffer-bytes=2k",
    "queue-bytes-max=64m",
    "queue-bytes-soft=64m",
    "drain-seconds=3600",
];

fn f030_a_reset_of_one_who_is_on_her_way_out_changes_nothing() {
    let server = Server::start(&DEAF);
    let mut deaf = deafen(&server, 1).remove(0);
    deaf.say("/quit");
    eventually("bob is on the way out", || server.report()["draining"] == 1);
    let address = deaf.address();
    deaf.reset();
    // The drain would take an hour; the first reason stays.
    expect_close(&server, address, "quit");
    eventually("nothing waits", || server.report()["queued_bytes"] == 0);
}

fn f031_a_write_to_one_who_has_gone_is_a_reset() {
    let server = Server::start(&[]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let status = status.expect("it runs");
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(ignored.expect("Linux tells").trim(), 16).expect("a mask");
    // Bit 12 is signal 13, SIGPIPE.
    assert_ne!(ignored & 1 << 12, 0, "SIGPIPE would end the server");

    let (mut ann, mut bob) = ann_and_bob(&server);
    // Few enough that everybody is told of by name.
    for _ in 0..4 {
        let carl = server.join("carl");
        ann.expect("-- carl joined (3 here)");
        bob.expect("-- carl joined (3 here)");
        // The server finds lines to be written and the reset together.
        server.signal(Signal::STOP);
        (0..10).for_each(|n| ann.say(&format!("line {n}")));
        let address = carl.address();
        carl.reset();
        server.signal(Signal::CONT);
        expect_close(&server, address, "reset");
        for n in 0..10 {
            let mut line = bob.read_line();
            if line.as_deref() == Ok("-- carl left (2 here)") {
                line = bob.read_line();
            }
            assert_eq!(line, Ok(format!("<ann> line {n}")));
        }
        ann.skip_until("-- carl left (2 here)");
        bob.say("/nosuch");
        bob.skip_until("!! no such command: /nosuch; /help lists them, // says a slash");
    }
}

/// What of it is logged is limited, and what is not is counted.
fn f040_f103_who_comes_and_goes_without_a_word_leaves_nothing() {
    const TIMES: usize = 3000;
    let server = Server::start(&[]);
    let mut ann = server.join("ann");
    let mut bot = server.program();
    let before = server.report();
    for n in 0..TIMES {
        let to = [server.telnet(), server.wire()][n % 2];
        let stream = TcpStream::connect(to).expect("the server listens");
        if n % 3 == 0 {
            reset(stream);
        }
    }
    let mut asks = server.connect();
    asks.skip_greeting();
    asks.expect_silence();
    drop(asks);
    server
        .log
        .wait_until("each event is logged or counted", |lines| {
            let logged = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
            let events = logged(" open id=") + logged(" close id=") + missed(lines);
            (events >= 2 * TIMES + 4).then_some(())
        });
    expect_at_rest(&server, &before);
    let after = server.report();
    assert_eq!(after["opens"], TIMES as u64 + 3);
    assert_eq!(after["closes"], TIMES as u64 + 1);
    for line in server.log.matching(" close id=") {
        assert!(["eof", "reset"].contains(&value(&line, "reason")), "{line}");
    }
    ann.expect_silence();
    bot.expect_silence();
}

fn f044_too_much_for_too_long_is_too_much_without_another_write() {
    let mut settings = DEAF;
    settings[2] = "queue-bytes-soft=2k";
    settings[3] = "queue-soft-seconds=0.5";
    let server = Server::start(&[&settings[..], &["drain-seconds=0.2"]].concat());
    let deaf = deafen(&server, 1);
    // From here on nobody says anything.
    expect_close(&server, deaf[0].address(), "slow-consumer");
    eventually("nothing waits", || server.report()["queued_bytes"] == 0);
}

fn f046_a_client_that_is_stopped_is_closed() {
    let mut settings = DEAF;
    settings[3] = "stall-seconds=0.5";
    let server = Server::start(&settings);
    let deaf = deafen(&server, 1);
    expect_close(&server, deaf[0].address(), "write-stall");
    eventually("nothing waits", || server.report()["queued_bytes"] == 0);
}

/// Answers to one alone wait in the same queue, with the same limits, and nobody needs a name for that.
fn f052_who_asks_and_never_reads_is_closed() {
    let server = Server::start(&[
        "send-buffer-bytes=4k",
        "queue-bytes-max=16k",
        "drain-seconds=0.2",
    ]);
    let mut ann = server.join("ann");
    let mut deaf = connect_narrow(server.telnet());
    let address = deaf.local_addr().expect("connected");
    let deadline = deaf.set_write_timeout(Some(DEADLINE));
    deadline.expect("a socket");
    let questions = "/help\r\n".repeat(100);
    // Until it is cut off.
    while deaf.write_all(questions.as_bytes()).is_ok() {}
    let line = close_line(&server, address);
    assert_eq!(value(&line, "reason"), "slow-consumer", "{line}");
    ann.expect_silence();
    eventually("nothing waits", || server.report()["queued_bytes"] == 0);
}
