//! Accepting: what goes wrong, and how many come.

use std::io::ErrorKind;

use rustix::io::Errno;

use super::super::OPERATORS;
use super::*;
use crate::server::simulation::server::Terms;
use crate::settings::Settings;

#[test]
fn f001_without_descriptors_newcomers_wait_for_one_and_no_new_edge() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.join(), bench.join());
    bench.network().descriptors_max = 2;
    let waiting: Vec<usize> = (0..3).map(|_| bench.knock()).collect();
    let turns = bench.pass(ms(10_000));
    assert!(turns < 40, "{turns} turns in ten seconds");
    bench.send(ann, "hello\n");
    bench.turn();
    assert!(bench.screen(bob).ends_with("<guest1> hello\r\n"));
    bench.end(bob);
    bench.pass(ms(250));
    assert!(bench.screen(waiting[0]).starts_with("-- Welcome"));
    assert_eq!(bench.screen(waiting[1]), "", "there is only one descriptor");
    bench.network().descriptors_max = 4;
    bench.pass(ms(2_000));
    assert!(bench.screen(waiting[2]).starts_with("-- Welcome"));
}

#[test]
fn f002_shortages_are_waited_out_longer_and_longer() {
    for shortage in [Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
        let mut bench = Bench::new();
        for _ in 0..2 {
            bench.network().faults.shortage = Some(shortage);
            let client = bench.knock();
            for wait in [10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
                bench.turn();
                assert_eq!(bench.timeout(), Some(ms(wait)));
            }
            bench.network().faults.shortage = None;
            bench.pass(ms(1_000));
            // The next shortage begins anew.
            assert!(bench.screen(client).starts_with("-- Welcome"), "{shortage}");
        }
        assert_eq!(bench.server.event_loop.admission().shortages, 18);
    }
}

const PASSING: [Errno; 5] = [
    Errno::CONNABORTED,
    Errno::PROTO,
    Errno::INTR,
    Errno::NETDOWN,
    Errno::HOSTUNREACH,
];

#[test]
fn f003_errors_of_one_newcomer_do_not_keep_the_others_waiting() {
    for error in PASSING {
        let mut bench = Bench::new();
        bench.network().faults.passing.push_back(error);
        bench.knock();
        let second = bench.knock();
        bench.turn();
        assert!(bench.screen(second).starts_with("-- Welcome"), "{error}");
        assert_eq!(bench.server.event_loop.admission().passing_errors, 1);
        assert_eq!(bench.server.event_loop.admission().shortages, 0);
    }
}

#[test]
fn f003_errors_of_one_newcomer_do_not_keep_the_others_from_hearing_of_the_end() {
    for error in PASSING {
        let mut bench = Bench::new();
        // The stop is noted first, and one event is all that the turn takes.
        bench.network().batch_max = 1;
        bench.network().signals.push_back(Wakeup::Stop);
        bench.knock();
        let second = bench.knock();
        bench.network().faults.passing.push_back(error);
        while bench.turn() {}
        let screen = bench.screen(second);
        assert_eq!(
            screen, "-- goodbye: the server is going down\r\n",
            "{error}"
        );
    }
}

#[test]
fn f011_who_cannot_be_registered_is_closed_and_leaves_no_trace() {
    let admission = AdmissionLimits {
        sessions_max: 1,
        per_address_max: Some(1),
        ..ADMISSION
    };
    let mut bench = Bench::with(LIMITS, admission);
    bench.network().faults.registrations = 1;
    let first = bench.knock_from([192, 0, 2, 1], None);
    bench.turn();
    assert!(bench.is_closed(first));
    assert_eq!(bench.network().descriptors.len(), 0);
    assert_eq!(bench.reasons(), [CloseReason::Reset]);
    assert_eq!((bench.opened(), bench.sessions()), (1, 0));
    let second = bench.knock_from([192, 0, 2, 1], None);
    bench.settle();
    assert!(bench.screen(second).starts_with("-- Welcome"));
}

#[test]
fn f012_a_storm_of_newcomers_is_let_in_beside_other_work() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.join(), bench.join());
    let storm: Vec<usize> = (0..500).map(|_| bench.knock()).collect();
    for turn in 1..=8 {
        bench.send(ann, "still here\n");
        bench.turn();
        assert!(bench.screen(bob).contains("still here"), "in turn {turn}");
        assert_eq!(bench.sessions(), 2 + (64 * turn).min(500));
    }
    bench.settle();
    for client in storm {
        assert!(bench.screen(client).starts_with("-- Welcome"));
    }
}

/// Newcomers who are told much fill the feed of a turn before anybody who is there already is read.
#[test]
fn f012_newcomers_who_are_told_much_keep_nobody_waiting() {
    let limits = Limits {
        history_lines: 20,
        ..LIMITS
    };
    let mut bench = Bench::with(limits, ADMISSION);
    let (ann, bob) = (bench.join(), bench.join());
    bench.send(ann, ("x".repeat(1000) + "\n").repeat(20));
    bench.settle();
    for _ in 0..500 {
        bench.knock();
    }
    let mut turns = 0;
    while bench.sessions() < 2 + 500 {
        let before = bench.sessions();
        bench.send(ann, "still here\n");
        bench.screen(bob);
        bench.turn();
        turns += 1;
        assert!(bench.screen(bob).contains("still here"), "in turn {turns}");
        assert!(bench.sessions() > before, "in turn {turns}");
    }
    assert!(turns > 500 / 64, "that was no storm");
}

#[test]
fn f012_a_storm_at_one_listener_keeps_nobody_waiting_at_the_other() {
    let mut bench = Bench::new();
    for _ in 0..500 {
        bench.knock();
    }
    bench.turn();
    let from = SocketAddr::from(([127, 0, 0, 1], 1));
    let newcomer = bench.network().connect(1, from, None);
    bench.turn();
    assert!(bench.sessions() <= 2 * 64, "the storm lasts");
    assert!(bench.network().connections[newcomer].registered.is_some());
}

/// The parent keeps the listeners, and the server that it starts next accepts from them.
#[test]
fn f114_nobody_is_let_in_to_be_sent_away_where_somebody_else_listens() {
    let mut bench = Bench::new();
    let ann = bench.join();
    bench.network().held_elsewhere = true;
    let newcomer = bench.knock();
    bench.network().signals.push_back(Wakeup::Stop);
    bench.settle();
    assert!(bench.screen(ann).contains("goodbye"));
    assert_eq!(bench.screen(newcomer), "");
    assert_eq!(bench.network().queues[0], [newcomer]);
}

#[test]
fn f019_a_small_batch_serves_everybody_in_turn() {
    let mut bench = Bench::new();
    let witness = bench.join();
    let crowd: Vec<usize> = (0..100).map(|_| bench.join()).collect();
    bench.screen(witness);
    bench.network().batch_max = 8;
    for client in crowd {
        bench.send(client, format!("words of {client}\n"));
    }
    for _ in 0..100_usize.div_ceil(8) {
        bench.turn();
    }
    let said = bench.screen(witness);
    assert_eq!(said.matches("words of").count(), 100);
}

#[test]
fn f021_interrupted_polls_change_nothing_and_deadlines_are_kept() {
    let idle = Some(ms(20_000));
    let mut bench = Bench::with(Limits { idle, ..LIMITS }, ADMISSION);
    let client = bench.join();
    let due_at = bench.now() + ms(20_000);
    bench.network().faults.interrupted = 100;
    for _ in 0..1000 {
        bench.network().signals.push_back(Wakeup::Report);
        bench.turn();
    }
    bench.network().faults.interrupted = 0;
    let left = due_at.saturating_sub(bench.now());
    bench.pass(left.saturating_sub(ms(100)));
    assert!(!bench.is_closed(client));
    bench.pass(ms(200));
    assert!(bench.screen(client).contains("nothing heard for 20 s"));
}

#[test]
fn a_poll_that_fails_for_good_ends_the_loop_with_its_error() {
    let mut bench = Bench::new();
    bench.network().faults.poll = true;
    let error = bench
        .server
        .event_loop
        .run()
        .expect_err("nothing can be waited for");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_message_that_cannot_be_read_again_leaves_the_old_one() {
    let mut bench = Bench::new();
    let terms = Terms {
        limits: LIMITS,
        admission: ADMISSION,
        rooms: &[],
    };
    bench.server.event_loop.plant(&Settings {
        motd_file: Some("/nowhere/at/all".into()),
        ..terms.settings()
    });
    bench.turn();
    bench.network().signals.push_back(Wakeup::Reload);
    bench.settle();
    bench.join();
}

#[test]
fn f116_stopping_keeps_its_bound_under_every_kind_of_trouble() {
    let line_rate = crate::rate::Rate {
        per_second: 1,
        burst: 1,
    };
    let limits = Limits {
        line_rate,
        memory_max: 20_000,
        ..LIMITS
    };
    let mut bench = Bench::with(limits, ADMISSION);
    let (paused, slow) = (bench.join(), bench.join_with(Some(300)));
    let talker = bench.join();
    bench.send(paused, lines(1000));
    bench.settle();
    for _ in 0..30 {
        bench.send(talker, "x".repeat(4000) + "\n");
        bench.pass(ms(1_000));
        if bench.is_closed(slow) {
            break;
        }
    }
    let never = bench.join_with(Some(300));
    bench.send(never, "/help\n");
    bench.settle();
    bench.network().faults.shortage = Some(Errno::MFILE);
    bench.knock();
    bench.settle();
    let began_at = bench.now();
    bench.network().signals.push_back(Wakeup::Stop);
    while bench.turn() {}
    let took = bench.since(began_at);
    assert!(took <= ms(5_100), "{took:?}");
    assert!(bench.reasons().contains(&CloseReason::Shutdown));
    assert_eq!(bench.network().descriptors.len(), 0);
}

/// The listener for pages.
const PAGES: usize = OPERATORS + 2;

/// Somebody comes for a page, from an address of their own, and sends this much of their request at once.
fn ask(bench: &mut Bench, number: usize, request: &str) -> usize {
    let [.., high, low] = number.to_be_bytes();
    let from = SocketAddr::from(([192, 0, high, low], 1));
    let client = bench.network().connect(PAGES, from, None);
    bench.network().connections[client].send(request.as_bytes());
    bench.network().deliver(client, usize::MAX);
    client
}

#[test]
fn of_a_storm_of_requests_each_is_answered_and_of_halves_the_oldest_give_way() {
    let mut bench = Bench::paced(LIMITS, ADMISSION, None);
    let half = "GET / HTTP/1.1\r\nHost: local";
    let whole = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let halves: Vec<usize> = (0..300)
        .map(|number| ask(&mut bench, number, half))
        .collect();
    bench.settle();
    let asked: Vec<usize> = (300..1500)
        .map(|number| ask(&mut bench, number, whole))
        .collect();
    // Each takes its answer as it comes.
    let clients = || halves.iter().chain(&asked).copied();
    while bench.server.wakes_at().is_some_and(|at| at < ms(5_000)) {
        bench.turn();
        let network = bench.network();
        clients().for_each(|client| network.take(client, usize::MAX));
    }
    let answers: Vec<String> = clients()
        .map(|client| String::from_utf8_lossy(&bench.network().connections[client].received).into())
        .collect();
    let (to_halves, to_asked) = answers.split_at(halves.len());
    assert!(to_halves.iter().all(String::is_empty));
    for (number, answer) in to_asked.iter().enumerate() {
        let is_page = answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("</html>\n");
        assert!(is_page, "{number}: {} bytes", answer.len());
    }
}
