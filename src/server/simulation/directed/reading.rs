//! Readiness: edges, hints, budgets.

use rustix::io::Errno;

use super::*;
use crate::rate::Rate;

const FAST: Rate = Rate {
    per_second: 100_000,
    burst: 100_000,
};

#[test]
fn f013_what_a_budget_leaves_is_read_without_a_new_edge() {
    // Where lines are counted, less is read at once: both budgets are tried.
    for line_rate in [Rate::UNLIMITED, FAST] {
        let mut bench = Bench::with(
            Limits {
                line_rate,
                ..LIMITS
            },
            ADMISSION,
        );
        let (ann, bob) = (bench.join(), bench.join());
        let said = lines(8000);
        bench.send(ann, &said);
        bench.settle();
        let heard = bench.screen(bob).replace("<guest1> ", "");
        let heard: Vec<&str> = heard
            .lines()
            .filter(|line| !line.starts_with("--"))
            .collect();
        assert_eq!(heard, said.lines().collect::<Vec<_>>());
    }
}

#[test]
fn one_session_is_read_once_a_turn_even_as_it_ends() {
    let mut bench = Bench::with(
        Limits {
            line_rate: FAST,
            ..LIMITS
        },
        ADMISSION,
    );
    let (ann, bob) = (bench.join(), bench.join());
    bench.send(ann, "x".repeat(9_000) + "\nlast words\n");
    bench.turn();
    // It is on the list of those to be read, and goes from there to the list of those who leave.
    bench.end(ann);
    while !bench.is_closed(ann) {
        // The network does not let anybody be read twice in a turn.
        bench.turn();
    }
    assert!(bench.screen(bob).contains("last words"));
}

#[test]
fn f014_output_for_the_silent_goes_out_in_the_same_turn() {
    let mut bench = Bench::new();
    let (ann, bob, cid) = (bench.join(), bench.join(), bench.join());
    bench.pass(ms(60_000));
    bench.send(ann, "hello\n");
    bench.turn();
    for client in [bob, cid] {
        assert!(bench.screen(client).ends_with("<guest1> hello\r\n"));
    }
}

#[test]
fn f015_short_writes_lose_repeat_and_reorder_nothing() {
    for window in [1, 2, 7, 100] {
        let mut bench = Bench::new();
        let (ann, slow) = (bench.join(), bench.join_with(Some(window)));
        let witness = bench.join();
        bench.screen(witness);
        bench.network().faults.short_writes = 70;
        bench.send(ann, lines(100));
        bench.settle();
        let mut got = String::new();
        while memory(bench.census()) > 0 {
            bench.network().take(slow, 1 + window / 2);
            bench.settle();
            got += &bench.screen(slow);
        }
        bench.network().take(slow, usize::MAX);
        got += &bench.screen(slow);
        assert_eq!(got, bench.screen(witness), "with a window of {window}");
    }
}

#[test]
fn f016_stale_event_is_ignored() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.join(), bench.join());
    let old = bench.id(bob);
    bench.send(bob, "/quit\n");
    bench.end(bob);
    bench.settle();
    assert!(bench.is_closed(bob));
    let cid = bench.join();
    let new = bench.id(cid);
    assert_eq!(
        old.to_bits() >> 32,
        new.to_bits() >> 32,
        "the slot is used again"
    );
    // From here on nobody has a reason to read the new one, and the network watches over that.
    bench.network().connections[cid].told_of = false;
    bench.inject(old, [true, true, true, true]);
    bench.turn();
    bench.pass(ms(10_000));
    bench.send(ann, "hello\n");
    bench.settle();
    assert!(bench.screen(cid).ends_with("<guest1> hello\r\n"));
    assert_eq!(bench.reasons(), [CloseReason::Quit]);
}

#[test]
fn f017_two_events_for_one_session_are_one_close() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.join(), bench.join());
    let id = bench.id(ann);
    bench.send(ann, "hello\n/quit\n");
    bench.end(ann);
    bench.inject(id, [true, false, false, false]);
    bench.inject(id, [true, true, true, false]);
    bench.settle();
    assert_eq!(bench.reasons(), [CloseReason::Quit]);
    assert_eq!(bench.screen(bob).matches("guest1 left").count(), 1);
}

#[test]
fn f018_spurious_events_do_nothing() {
    let mut bench = Bench::new();
    let client = bench.join();
    let id = bench.id(client);
    for flags in 0..16 {
        bench.inject(
            id,
            [flags & 1, flags & 2, flags & 4, flags & 8].map(|flag| flag != 0),
        );
        bench.settle();
    }
    bench.pass(ms(60_000));
    assert_eq!(bench.screen(client), "");
    bench.send(client, "/who\n");
    bench.settle();
    assert_eq!(bench.screen(client), "-- nobody here yet; 1 listening\r\n");
}

#[test]
fn f022_interrupted_reads_and_writes_are_tried_again() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.join(), bench.join());
    bench.network().faults.interrupted = 60;
    for round in 0..20 {
        bench.send(ann, format!("line {round}\n"));
        bench.settle();
    }
    bench.network().faults.interrupted = 0;
    assert!(bench.network().hits.contains_key("read: interrupted"));
    assert!(bench.network().hits.contains_key("write: interrupted"));
    let heard = bench.screen(bob);
    let said = (0..20).map(|round| format!("<guest1> line {round}\r\n"));
    assert!(heard.ends_with(&said.collect::<String>()), "{heard}");
}

#[test]
fn f023_flags_do_not_close_before_all_is_read() {
    for ends_by_reset in [false, true] {
        let mut bench = Bench::new();
        let (ann, bob) = (bench.join(), bench.join());
        bench.send(ann, "a\nb\n");
        if ends_by_reset {
            bench.network().reset(ann, false);
        } else {
            bench.end(ann);
        }
        bench.settle();
        let heard = bench.screen(bob);
        assert!(
            heard.contains("<guest1> a\r\n<guest1> b\r\n-- guest1 left"),
            "{heard}"
        );
        let reason = [CloseReason::Eof, CloseReason::Reset][usize::from(ends_by_reset)];
        assert_eq!(bench.reasons(), [reason]);
    }
}

#[test]
fn f025_nothing_spins() {
    let minute = ms(60_000);
    let mut bench = Bench::new();
    let client = bench.join();
    bench.send(client, "x".repeat(600));
    assert!(bench.pass(minute) < 10, "over a line without an end");
    bench.send(client, "x".repeat(100_000));
    assert!(bench.pass(minute) < 10, "over a line that is too long");

    // Some systems fail so for ever, and leave the newcomer where they are.
    for error in [Errno::MFILE, Errno::PERM, Errno::INVAL] {
        let mut bench = Bench::new();
        bench.knock();
        bench.network().faults.shortage = Some(error);
        assert!(bench.pass(minute) < 100, "over {error}");
    }

    let line_rate = Rate {
        per_second: 1,
        burst: 1,
    };
    let mut bench = Bench::with(
        Limits {
            line_rate,
            ..LIMITS
        },
        ADMISSION,
    );
    let client = bench.join();
    bench.send(client, lines(10_000));
    assert!(bench.pass(minute) < 200, "over a paused session");

    // Each step of a round pays for one person at least, however long one takes.
    for cost in [400, 5000, 20_000] {
        let mut bench = Bench::paced(LIMITS, ADMISSION, Some(ms(100)));
        let crowd = [(); 5].map(|()| bench.join());
        bench.network().write_cost = Duration::from_micros(cost);
        let mut turns = 0;
        for _ in 0..20 {
            bench.send(crowd[0], "a line\n");
            turns += bench.pass(ms(50));
        }
        assert!(turns < 300, "over writes of {cost} us: {turns}");
    }
}

#[test]
fn f026_a_poll_waits_for_the_next_deadline_and_never_wakes_before() {
    let queue = QueueLimits {
        bytes_soft: 100,
        stall: Some(ms(30_000)),
        ..LIMITS.queue
    };
    let idle = Some(ms(45_000));
    let mut bench = Bench::with(
        Limits {
            queue,
            idle,
            ..LIMITS
        },
        ADMISSION,
    );
    let (slow, client) = (bench.join_with(Some(300)), bench.join());
    bench.send(slow, "/help\n");
    bench.send(client, "/help\n");
    bench.settle();
    let began_at = bench.now();
    let mut timeouts = 0;
    while let Some(timeout) = bench.timeout() {
        let moves_on = timeout > Duration::ZERO;
        bench.turn();
        timeouts += usize::from(moves_on);
        let moved = bench.network().moved > 0;
        assert!(moves_on || moved, "a turn for nothing");
        assert!(timeouts < 20, "more timers than there are deadlines");
    }
    let took = bench.since(began_at);
    assert!(took >= ms(45_000) && took < ms(52_000), "{took:?}");
    let reasons = [CloseReason::SlowConsumer, CloseReason::Idle];
    assert_eq!(bench.reasons(), reasons);
}
