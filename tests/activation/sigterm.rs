//! SIGTERM when it is least convenient.

use super::*;

/// Room for what [`deafen`] says, and a drain that a test can wait for.
const DEAFENING: [&str; 4] = [
    "send-buffer-bytes=4k",
    "queue-bytes-max=64m",
    "queue-bytes-soft=64m",
    "drain-seconds=1",
];

#[track_caller]
fn expect_shutdown_of_all(server: &Server) {
    let closes = server.log.matching(" close id=");
    assert_eq!(closes.len(), server.log.matching(" open id=").len());
    let others: Vec<_> = closes
        .iter()
        .filter(|close| !close.contains(" reason=shutdown ") && !close.contains("name=ann "))
        .collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn f111_sigterm_with_many_who_never_read_ends_it_in_time() {
    let mut server = Server::start(&DEAFENING);
    let deaf = deafen(&server, 10);
    assert_eq!(server.stop().code(), Some(0));
    expect_shutdown_of_all(&server);
    drop(deaf);
}

/// Everybody has as much on the way as the sockets take when the signal comes, and those who read lose nothing.
#[test]
fn f111_sigterm_in_the_middle_of_a_flush_loses_nothing_that_was_said() {
    const LISTENERS: usize = 20;
    const LINES: usize = 300;
    let settings = [
        "send-buffer-bytes=4k",
        "queue-bytes-max=8m",
        "queue-bytes-soft=8m",
    ];
    let mut server = Server::start(&settings);
    let mut crowd: Vec<Person> = (0..LISTENERS)
        .map(|n| server.join(&format!("p{n}")))
        .collect();
    let mut ann = server.join("ann");
    let line = "x".repeat(1000);
    (0..LINES).for_each(|n| ann.say(&format!("{n} {line}")));
    ann.expect_silence();
    assert!(
        server.report()["queued_bytes"] > 0,
        "it has more to send than the sockets take"
    );
    server.signal(Signal::TERM);
    for person in &mut crowd {
        for n in 0..LINES {
            person.skip_until(&format!("<ann> {n} {line}"));
        }
        person.skip_until("-- goodbye: the server is going down");
        person.expect_end();
    }
    drop((crowd, ann));
    assert_eq!(server.wait().code(), Some(0));
    expect_shutdown_of_all(&server);
}

#[test]
#[cfg(target_os = "linux")]
fn f116_sigterm_without_a_free_descriptor_ends_it_in_time() {
    let mut server = Server::start(&DEAFENING);
    let deaf = deafen(&server, 2);
    server.leave_no_descriptor();
    let late = server.connect();
    server.log.wait_for("cannot accept, trying again");
    assert_eq!(server.stop().code(), Some(0));
    expect_shutdown_of_all(&server);
    drop((deaf, late));
}

/// A session that sends faster than it is heard is paused; that must not hold up the end.
#[test]
fn f116_sigterm_while_a_session_is_paused_ends_it_in_time() {
    let mut command = chatd();
    command
        .args([
            "-l",
            "127.0.0.1:0",
            "-o",
            "lines-per-second=1",
            "-o",
            "lines-burst=1",
        ])
        .args(["-o", "history-lines=0"]);
    let mut server = Server::spawn(&mut command);
    let mut hasty = server.connect();
    hasty.skip_greeting();
    for _ in 0..1000 {
        hasty.say("/nosuch");
    }
    hasty.expect("!! no such command: /nosuch; /help lists them, // says a slash");
    server.signal(Signal::TERM);
    hasty.skip_until("-- goodbye: the server is going down");
    assert_eq!(hasty.read_line(), Err(NoLine::Ended));
    drop(hasty);
    assert_eq!(server.wait().code(), Some(0));
    expect_shutdown_of_all(&server);
}
