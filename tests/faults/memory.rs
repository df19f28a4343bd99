//! Never-readers in number: what all queues cost together.

use std::net::TcpStream;

use super::support::eventually;
use super::support::server::{chatd, Server};
use super::support::session::{all_kernel_queues, connect_narrow, value};
use super::Test;

pub(crate) const TESTS: &[Test] = tests![
    f048_the_kernel_keeps_little_for_never_readers,
    f049_all_queues_together_are_bounded,
    f108_a_limit_of_memory_is_never_reached,
];

fn f048_the_kernel_keeps_little_for_never_readers() {
    const DEAF: usize = 500;
    let server = Server::start(&[
        "memory-max=1024m",
        "queue-bytes-max=16m",
        "queue-bytes-soft=16m",
        "stall-seconds=0",
    ]);
    let mut ann = server.join("ann");
    let connect = |_| connect_narrow(server.telnet());
    let deaf: Vec<TcpStream> = (0..DEAF).map(connect).collect();
    server.log.wait_for_count(" open id=", DEAF + 1);
    let filler = "x".repeat(4000);
    // Until so much was said that it waits for every one of them.
    for _ in 0..150 {
        ann.say(&filler);
    }
    ann.expect_silence();
    eventually("all of them have much waiting", || {
        server.report()["queued_bytes"] > (DEAF * 100 * 1024) as u64
    });
    let kept = all_kernel_queues(&server)
        .into_iter()
        .map(|queues| queues.0);
    // For ann, who reads, nothing waits.
    let kept: Vec<usize> = kept.filter(|kept| *kept > 0).collect();
    assert_eq!(kept.len(), DEAF);
    // `SO_SNDBUF` counts what the kernel itself adds, and is doubled for that (socket(7)).
    let most = kept.into_iter().max();
    assert!(most <= Some(2 * 128 * 1024), "{most:?} bytes");
    drop(deaf);
}

/// Closes for being slow are few, and never of one who reads.
fn f049_all_queues_together_are_bounded() {
    let server = Server::start(&[
        "memory-max=256k",
        "send-buffer-bytes=2k",
        "queue-bytes-max=200k",
        "queue-bytes-soft=200k",
        "stall-seconds=0",
    ]);
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    let deaf: Vec<TcpStream> = (0..4).map(|_| connect_narrow(server.telnet())).collect();
    for stream in &deaf {
        let address = stream.local_addr().expect("connected");
        server.log.wait_for(&format!(" from={address} "));
    }
    let filler = "x".repeat(2000);
    // None of the four alone could reach the limit of a queue, so it is the sum that closes one of them.
    let (mut lines, mut waits_most) = (0, 0);
    while server.log.matching(" close id=").is_empty() {
        ann.say(&filler);
        bob.expect(&format!("<ann> {filler}"));
        lines += 1;
        assert!(lines < 400, "nobody is closed");
        let waits = server.report()["queued_bytes"];
        waits_most = waits_most.max(waits);
        assert!(waits <= 256 * 1024, "{waits} bytes wait");
    }
    assert!(waits_most > 200 * 1024, "{waits_most} bytes were enough");
    assert!(
        lines < 100,
        "its own queue was too large after {lines} lines"
    );
    let closes = server.log.matching(" close id=");
    assert!(closes.len() == 1, "as few as are needed: {closes:#?}");
    assert_eq!(value(&closes[0], "reason"), "slow-consumer");
    let reads = ["ann", "bob"].contains(&value(&closes[0], "name"));
    assert!(!reads, "{closes:?}");
    ann.expect_silence();
    bob.expect_silence();
    drop(deaf);
    eventually("nothing waits", || server.report()["queued_bytes"] == 0);
}

/// What forty never read is more than the process may have, and it lives.
fn f108_a_limit_of_memory_is_never_reached() {
    // In KiB: what the program maps for itself, and some more than memory-max.
    let limited = "ulimit -v 65536 && exec \"$0\" \"$@\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", limited]).arg(chatd().get_program());
    command.args(["-l", "telnet://127.0.0.1:0", "-l", "wire://127.0.0.1:0"]);
    for setting in [
        "memory-max=8m",
        "send-buffer-bytes=2k",
        "queue-bytes-max=16m",
        "queue-bytes-soft=16m",
        "stall-seconds=0",
        "lines-per-second=0",
        "history-lines=0",
    ] {
        command.args(["-o", setting]);
    }
    let mut server = Server::spawn(&mut command);
    server.output.wait_for("listening wire://");
    let mut ann = server.join("ann");
    let mut bob = server.join("bob");
    ann.expect("-- bob joined (2 here)");
    let deaf: Vec<TcpStream> = (0..40).map(|_| connect_narrow(server.telnet())).collect();
    let filler = "x".repeat(4000);
    for _ in 0..300 {
        ann.say(&filler);
        bob.expect(&format!("<ann> {filler}"));
    }
    // Six of them can have all that waiting, and their own queues would allow more.
    server.log.wait_for_count(" close id=", 34);
    let closes = server.log.matching(" close id=");
    assert!((34..=40).contains(&closes.len()), "{closes:#?}");
    for line in closes {
        assert_eq!(value(&line, "reason"), "slow-consumer", "{line}");
    }
    assert!(server.report()["queued_bytes"] <= 8 << 20);
    drop(deaf);
    eventually("nothing waits", || server.report()["queued_bytes"] == 0);
    ann.expect_silence();
    bob.expect_silence();
    assert_eq!(server.stop().code(), Some(0));
}
