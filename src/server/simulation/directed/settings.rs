//! Settings that change while sessions are there.

use super::*;
use crate::settings::{Change, Source};

/// A server with the settings that a user gets, but for the pace.
fn bench() -> Bench {
    let settings = Settings::default();
    Bench::with(settings.limits, ADMISSION)
}

/// Whether what a client sends is heard without a wait.
fn is_heard(bench: &mut Bench, from: usize, by: usize, words: &str) -> bool {
    bench.screen(by);
    bench.send(from, format!("{words}\n"));
    bench.settle();
    bench.screen(by).contains(words)
}

#[test]
fn a_pause_ends_when_the_rate_is_switched_off_and_nobody_is_stuck_when_it_is_on_again() {
    let mut bench = bench();
    let (ann, bob) = (bench.join(), bench.join());
    bench.set("lines-per-second", "1");
    bench.send(ann, lines(100));
    bench.settle();
    assert!(bench.screen(bob).contains("line 39"));
    bench.pass(ms(2_500));
    let screen = bench.screen(bob);
    assert!(screen.contains("line 41") && !screen.contains("line 43"));
    bench.set("lines-per-second", "0");
    bench.settle();
    assert!(bench.screen(bob).contains("line 99"));
    for _ in 0..3 {
        bench.set("lines-per-second", "1");
        bench.set("lines-burst", "2");
        assert!(is_heard(&mut bench, ann, bob, "on again"));
        bench.send(ann, lines(5));
        bench.settle();
        assert!(!bench.screen(bob).contains("line 4"), "it is limited");
        bench.set("lines-burst", "0");
        bench.settle();
        assert!(bench.screen(bob).contains("line 4"), "it is free again");
    }
}

#[test]
fn whoever_was_let_to_owe_much_waits_no_longer_than_a_small_bucket_takes() {
    let mut bench = bench();
    let (ann, bob) = (bench.join(), bench.join());
    bench.set("lines-burst", "1000000");
    bench.set("lines-per-second", "1");
    bench.send(ann, lines(5_000));
    bench.settle();
    assert!(bench.screen(bob).contains("line 4999"));
    bench.set("lines-burst", "4");
    bench.send(ann, "first\nsecond\n");
    // It owes a bucket of four lines, and one comes back in a second.
    bench.pass(ms(3_500));
    let screen = bench.screen(bob);
    assert!(
        screen.contains("first") && screen.contains("second"),
        "{screen}"
    );
}

#[test]
fn what_an_address_owes_is_owed_at_the_new_rate() {
    let mut bench = bench();
    let bob = bench.join();
    bench.set("lines-burst", "1000000");
    bench.set("lines-per-second", "1");
    let ann = bench.knock_from([192, 0, 2, 1], None);
    bench.settle();
    bench.send(ann, lines(5_000));
    bench.end(ann);
    bench.settle();
    bench.set("lines-burst", "4");
    bench.set("lines-per-second", "2");
    let again = bench.knock_from([192, 0, 2, 1], None);
    bench.settle();
    assert!(!is_heard(&mut bench, again, bob, "not yet"));
    bench.pass(ms(600));
    assert!(bench.screen(bob).contains("not yet"));
}

#[test]
fn a_line_that_is_half_there_is_held_to_the_limit_of_its_end() {
    let mut bench = bench();
    let (ann, bob) = (bench.join(), bench.join());
    for (before, after, is_too_long) in [("4096", "100", true), ("100", "4096", false)] {
        bench.set("line-bytes-max", before);
        bench.send(ann, "x".repeat(90));
        bench.settle();
        bench.send(
            ann,
            if is_too_long {
                "x".repeat(900)
            } else {
                String::new()
            },
        );
        bench.settle();
        bench.set("line-bytes-max", after);
        bench.send(
            ann,
            if is_too_long {
                "\n"
            } else {
                "yyyyyyyyyyyyyyyyyyyy\n"
            },
        );
        bench.settle();
        let told = "!! line too long: 990 bytes, at most 100; not sent";
        assert_eq!(bench.screen(ann).contains(told), is_too_long);
        assert_eq!(bench.screen(bob).contains("xyyyyy"), !is_too_long);
    }
}

#[test]
fn less_memory_than_is_in_use_closes_who_holds_most_and_no_other() {
    let mut bench = bench();
    let (ann, deaf, bob) = (bench.join(), bench.join_with(Some(100)), bench.join());
    bench.set("stall-seconds", "0");
    bench.set("queue-soft-seconds", "100");
    for _ in 0..30 {
        bench.send(ann, "x".repeat(4_000) + "\n");
        bench.pass(ms(1_000));
    }
    assert!(memory(bench.census()) > 100_000);
    bench.set("memory-max", "64k");
    bench.settle();
    assert_eq!(bench.reasons(), [CloseReason::SlowConsumer]);
    assert!(bench.is_closed(deaf));
    assert!(is_heard(&mut bench, ann, bob, "still here"));
    assert!(memory(bench.census()) <= 65_536);
}

#[test]
fn shorter_deadlines_hold_at_once_for_those_who_are_there() {
    let mut bench = bench();
    let (_silent, ann) = (bench.join(), bench.join());
    bench.pass(ms(60_000));
    bench.set("idle-seconds", "100");
    bench.settle();
    bench.send(ann, "here\n");
    bench.settle();
    bench.set("idle-seconds", "30");
    bench.settle();
    assert_eq!(bench.reasons(), [], "it is told first");
    bench.pass(ms(2_000));
    assert_eq!(bench.reasons(), [CloseReason::Idle]);
    assert_eq!(bench.sessions(), 1);
    bench.set("idle-seconds", "0");
    assert_eq!(bench.timeout(), Some(Duration::ZERO), "it looks once");
    bench.pass(ms(1_000));
    assert_eq!(bench.timeout(), None, "nothing is to be waited for");
}

#[test]
fn what_is_set_is_refused_as_at_the_start_and_told_with_where_it_came_from() {
    let mut bench = bench();
    for (key, value, refusal) in [
        ("foo", "1", "no such setting: foo"),
        ("listen", "h:1", "listen can be changed only at the start"),
        (
            "send-buffer-bytes",
            "0",
            "send-buffer-bytes can be changed only at the start",
        ),
        (
            "line-bytes-max",
            "5",
            "line-bytes-max: 5 is out of range, 64 to 64k",
        ),
        (
            "idle-seconds",
            "soon",
            "idle-seconds: soon is not a number of seconds, such as 10 or 0.25",
        ),
        ("idle-seconds", "", "idle-seconds: no value given"),
        (
            "memory-max",
            "8k",
            "memory-max: 8k is too little for line-bytes-max 4k, at least 16k",
        ),
        (
            "motd-file",
            "/nowhere",
            "cannot read motd-file /nowhere: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(bench.try_set(key, value), Err(refusal.to_owned()));
    }
    let rows = |bench: &Bench| -> Vec<_> {
        let configuration = bench.server.event_loop.configuration();
        configuration.rows().collect()
    };
    assert!(rows(&bench).iter().all(|row| row.from != Source::Set));
    assert_eq!(bench.try_set("idle-seconds", "5"), Ok("0".to_owned()));
    assert_eq!(bench.try_set("idle-seconds", "7"), Ok("5".to_owned()));
    for row in rows(&bench) {
        assert_eq!(row.from == Source::Set, row.key == "idle-seconds");
        let only_at_start = [
            "listen",
            "irc-name",
            "bans-file",
            "names-file",
            "transcript-file",
            "send-buffer-bytes",
            "tls-roots",
        ]
        .contains(&row.key)
            || row.key.starts_with("relay");
        assert_eq!(row.change == Change::Start, only_at_start, "{row}");
    }
    bench.network().signals.push_back(Wakeup::Reload);
    bench.settle();
    let row = rows(&bench)
        .into_iter()
        .find(|row| row.key == "idle-seconds");
    let told = "key=idle-seconds value=7 default=0 from=set change=now";
    assert_eq!(row.unwrap().to_string(), told, "over a reload, too");
}
