//! Closing: several ends at once, and ends that do not come.

use super::super::connection::End;
use super::*;
use crate::rate::Rate;
use crate::work::Work;

/// Somebody who does not read, for whom more waits than the kernel takes.
fn never_reader(bench: &mut Bench) -> usize {
    let client = bench.join_with(Some(400));
    bench.send(client, "/help\n".repeat(5));
    bench.settle();
    client
}

#[test]
fn f030_a_reset_ends_the_drain_at_once_and_the_first_reason_stays() {
    let mut bench = Bench::new();
    let client = never_reader(&mut bench);
    bench.send(client, "/quit\n");
    bench.settle();
    assert!(!bench.is_closed(client), "it drains");
    bench.network().reset(client, true);
    bench.turn();
    assert!(bench.is_closed(client));
    assert_eq!(bench.reasons(), [CloseReason::Quit]);
}

#[test]
fn f034_three_ends_in_one_batch_are_one_close() {
    for loses_unread in [false, true] {
        let mut bench = Bench::new();
        let (ann, bob) = (bench.join(), bench.join());
        bench.send(ann, "hello\n");
        bench.settle();
        bench.send(ann, "/quit\n");
        bench.end(ann);
        bench.network().reset(ann, loses_unread);
        bench.network().signals.push_back(Wakeup::Report);
        bench.settle();
        // What was sent first counts first, if it can still be read.
        let reason = [CloseReason::Quit, CloseReason::Reset][usize::from(loses_unread)];
        assert_eq!(bench.reasons(), [reason]);
        assert_eq!(bench.screen(bob).matches("guest1 left").count(), 1);
    }
}

#[test]
fn f035_who_never_reads_is_cut_off_at_the_drain_deadline_and_nobody_waits() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.join(), bench.join());
    let never = never_reader(&mut bench);
    bench.send(never, "/quit\n");
    for second in 1..=4 {
        bench.send(ann, format!("second {second}\n"));
        bench.turn();
        let expected = format!("second {second}\r\n");
        assert!(bench.screen(bob).ends_with(&expected), "the others wait");
        bench.pass(ms(1_000));
    }
    assert!(!bench.is_closed(never));
    bench.pass(ms(1_100));
    assert!(bench.is_closed(never));
    assert_eq!(bench.network().connections[never].end, Some(End::Reset));
    assert_eq!(bench.reasons(), [CloseReason::Quit]);
}

#[test]
fn f035_a_shutdown_does_not_wait_longer_for_those_who_never_read() {
    let mut bench = Bench::new();
    let reader = bench.join();
    let never = never_reader(&mut bench);
    let began_at = bench.now();
    bench.network().signals.push_back(Wakeup::Stop);
    while bench.turn() {}
    let took = bench.since(began_at);
    assert!(took >= ms(5_000) && took < ms(5_100), "{took:?}");
    assert!(bench.is_closed(never));
    assert!(bench
        .screen(reader)
        .ends_with("-- goodbye: the server is going down\r\n"));
    assert_eq!(bench.reasons(), [CloseReason::Shutdown; 2]);
}

#[test]
fn a_second_stop_ends_it_at_once_but_not_without_a_word() {
    let mut bench = Bench::new();
    let reader = bench.join();
    never_reader(&mut bench);
    let began_at = bench.now();
    bench.network().signals.extend([Wakeup::Stop, Wakeup::Stop]);
    assert!(!bench.turn());
    assert!(bench.since(began_at) < ms(1));
    assert!(bench
        .screen(reader)
        .ends_with("-- goodbye: the server is going down\r\n"));
    assert_eq!(bench.reasons(), [CloseReason::Shutdown; 2]);
    assert_eq!(bench.network().descriptors.len(), 0);
}

#[test]
fn f036_a_broadcast_to_ten_thousand_broken_ends_them_all_in_one_sum() {
    let mut bench = Bench::new();
    bench.is_checked = false;
    let ann = bench.join();
    bench.send(ann, "/name ann\n");
    let crowd: Vec<usize> = (0..10_000).map(|_| bench.knock()).collect();
    bench.settle();
    for client in &crowd {
        bench.send(*client, format!("/name p{client}\n"));
    }
    bench.pass(ms(1_100));
    assert_eq!(bench.census().here, 10_001);
    bench.screen(ann);
    for client in &crowd {
        // No edge tells of it: the write does.
        bench.network().connections[*client].reset(false);
    }
    bench.send(ann, "hello\n");
    bench.pass(ms(1_100));
    let heard = bench.screen(ann);
    assert_eq!(heard.lines().count(), 11, "{heard}");
    assert!(heard.ends_with("-- 9990 more left (1 here)\r\n"), "{heard}");
    assert_eq!(bench.sessions(), 1);
    assert_eq!(bench.reasons(), vec![CloseReason::Reset; crowd.len()]);
    bench.is_checked = true;
    bench.send(ann, "/who\n");
    bench.settle();
    assert_eq!(bench.screen(ann), "-- 1 here: ann\r\n");
}

#[test]
fn f091_those_who_leave_do_leave_however_much_is_said() {
    let mut bench = Bench::new();
    let (ann, bob, cid) = (bench.join(), bench.join(), bench.join());
    let crowd: Vec<usize> = (0..20).map(|_| bench.knock()).collect();
    bench.settle();
    for client in crowd {
        bench.end(client);
    }
    bench.screen(cid);
    for left in [8, 16, 20] {
        for talker in [ann, bob] {
            bench.send(talker, ("x".repeat(4000) + "\n").repeat(20));
        }
        bench.turn();
        let heard = bench.screen(cid).len();
        assert!(heard > 64 * 1024, "only {heard} bytes are said in a turn");
        assert!(bench.sessions() <= 23 - left, "those who leave must wait");
    }
}

#[test]
fn f091_eight_of_those_who_leave_are_read_in_a_turn_whose_work_is_done() {
    let mut bench = Bench::with(work::FAST, ADMISSION);
    let busy = work::editors(&mut bench, 16);
    let crowd: Vec<usize> = (0..20).map(|_| bench.knock()).collect();
    bench.settle();
    for client in crowd {
        bench.end(client);
    }
    for left in [8, 16, 20] {
        for client in &busy {
            bench.send(*client, b"\x1b[D".repeat(2_700));
        }
        bench.turn();
        let work = bench.server.event_loop.ledger().work;
        assert!(work >= Work::TURN_MAX, "only {work:?}");
        assert_eq!(bench.sessions(), 16 + 20 - left);
    }
}

#[test]
fn at_most_sixty_four_leave_in_a_turn() {
    let mut bench = Bench::new();
    let crowd: Vec<usize> = (0..100).map(|_| bench.knock()).collect();
    bench.settle();
    for client in crowd {
        bench.end(client);
    }
    for left in [100 - 64, 0] {
        bench.turn();
        assert_eq!(bench.sessions(), left);
    }
}

/// Somebody who says more than is heard at a time, and is paused; and somebody who listens.
fn ghost_and_listener() -> (Bench, usize, usize) {
    let line_rate = Rate {
        per_second: 10,
        burst: 40,
    };
    let mut bench = Bench::with(
        Limits {
            line_rate,
            ..LIMITS
        },
        ADMISSION,
    );
    let (ghost, listener) = (bench.join(), bench.join());
    bench.send(ghost, "a\n".repeat(8_000));
    bench.settle();
    (bench, ghost, listener)
}

#[test]
fn f088_a_ghost_behind_a_pause_is_heard_for_five_seconds_at_most() {
    let (mut bench, ghost, bob) = ghost_and_listener();
    bench.end(ghost);
    bench.pass(ms(4_500));
    assert!(!bench.is_closed(ghost));
    bench.pass(ms(600));
    assert!(bench.is_closed(ghost));
    let heard = bench.screen(bob).matches("<guest1> a").count();
    assert!((41..=95).contains(&heard), "{heard} lines");
    assert_eq!(bench.reasons(), [CloseReason::Eof]);
}

#[test]
fn f088_a_reset_behind_a_pause_ends_it_at_once() {
    let (mut bench, ghost, _) = ghost_and_listener();
    bench.network().reset(ghost, false);
    bench.settle();
    assert!(bench.is_closed(ghost));
    assert_eq!(bench.reasons(), [CloseReason::Reset]);
}

/// The write that finds it out takes the error with it.
#[test]
fn f088_a_write_that_breaks_behind_a_pause_ends_it_at_once() {
    let (mut bench, ghost, bob) = ghost_and_listener();
    bench.network().connections[ghost].reset(false);
    bench.send(bob, "hello\n");
    bench.settle();
    assert!(bench.is_closed(ghost));
    assert_eq!(bench.reasons(), [CloseReason::Reset]);
}

/// What its person has set counts for `memory-max` no longer than they are there: who has taken their last bytes is not
/// cut off for it.
#[test]
fn who_has_left_holds_nothing_that_they_had_set() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.join(), bench.join());
    bench.send(ann, format!("/ignore guest2\n/away {}\n", "z".repeat(400)));
    bench.settle();
    assert!(memory(bench.census()) > 400);
    bench.send(ann, "/quit\n");
    bench.settle();
    assert!(!bench.is_closed(ann), "it lingers");
    assert_eq!(memory(bench.census()), 0);
    bench.end(bob);
}
