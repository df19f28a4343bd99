//! A supervisor that watches whether the server works, and the journal that keeps its log.

use super::{in_a_world, Notifications};
use crate::support::server::Server;
use rustix::process::Signal;

/// Waits for `message`, before which only the watchdog may be told.
#[track_caller]
fn skip_until(notifications: &Notifications, message: &str) {
    let mut buffer = [0; 1000];
    loop {
        let length = notifications.socket.recv(&mut buffer).expect("a message");
        let got = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if got == message {
            return;
        }
        assert_eq!(got, "WATCHDOG=1");
    }
}

#[test]
fn a_supervisor_that_watches_is_told_again_and_again_that_it_works() {
    let notifications = Notifications::new("watchdog");
    for change in [
        "export WATCHDOG_USEC=30000;",
        "export WATCHDOG_USEC=30000 WATCHDOG_PID=$$;",
    ] {
        let mut server = Server::spawn(&mut in_a_world(change, &notifications));
        notifications.expect("READY=1");
        // Nothing else happens to it.
        for _ in 0..20 {
            notifications.expect("WATCHDOG=1");
        }
        server.signal(Signal::TERM);
        skip_until(&notifications, "STOPPING=1");
        assert_eq!(server.wait().code(), Some(0));
        while notifications.take().is_some_and(|got| got == "WATCHDOG=1") {}
    }
}

#[test]
fn nobody_is_told_who_does_not_watch_this_process() {
    let notifications = Notifications::new("unwatched");
    for change in [
        "export WATCHDOG_USEC=3000 WATCHDOG_PID=1;",
        "export WATCHDOG_USEC=0;",
        "export WATCHDOG_USEC=often;",
    ] {
        let mut server = Server::spawn(&mut in_a_world(change, &notifications));
        notifications.expect("READY=1");
        server.join("ann").expect_silence();
        server.signal(Signal::TERM);
        notifications.expect("STOPPING=1");
        assert_eq!(server.wait().code(), Some(0));
        notifications.expect_none();
    }
}

/// The file that standard error is, as `JOURNAL_STREAM` names it.
const STDERR: &str = "$(stat -L -c %d:%i /proc/self/fd/2)";

#[test]
fn the_journal_is_told_levels_and_no_times() {
    let notifications = Notifications::new("journal");
    let change = format!("export RUST_LOG=a=b=c JOURNAL_STREAM={STDERR};");
    let mut server = Server::spawn(&mut in_a_world(&change, &notifications));
    notifications.expect("READY=1");
    server.join("ann").expect_silence();
    server.report();
    assert_eq!(server.stop().code(), Some(0));
    let log = server.log.all();
    for line in &log {
        let event = line.strip_prefix("<6>INFO ");
        let event = event.or_else(|| line.strip_prefix("<4>WARN "));
        assert!(event.is_some(), "{line}");
    }
    for begins in [
        "<6>INFO start version=",
        "<4>WARN RUST_LOG is not followed: ",
        "<6>INFO open id=1 ",
        "<6>INFO report sessions=",
    ] {
        let found = log.iter().any(|line| line.starts_with(begins));
        assert!(found, "{begins}: {log:#?}");
    }
}

#[test]
fn what_is_not_the_journal_is_told_the_time() {
    let notifications = Notifications::new("no-journal");
    for stream in ["1:2", "", "x", "$(stat -L -c %d:0 /proc/self/fd/2)"] {
        let change = format!("export JOURNAL_STREAM={stream};");
        let mut server = Server::spawn(&mut in_a_world(&change, &notifications));
        notifications.expect("READY=1");
        server.signal(Signal::TERM);
        notifications.expect("STOPPING=1");
        assert_eq!(server.wait().code(), Some(0));
        let log = server.log.all();
        let has_time = |line: &String| line.starts_with("20") && line.contains("Z INFO ");
        assert!(log.iter().all(has_time), "{log:#?}");
    }
}
