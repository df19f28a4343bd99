//! What many sessions at once may make the server do in one turn.

use super::*;
use crate::rate::Rate;
use crate::server::simulation::{CALL_SHARE, FLUSH_WORK_MAX, TURN_READS_MIN, WORK_MAX};
use crate::work::Work;

const PEOPLE: usize = 1000;
const ATTACKERS: usize = 64;
/// What each of them sends.
const INPUT_BYTES: usize = 16 * 1024;
/// Nobody is paused for what it costs, and as much is read at once as with the default settings.
pub(super) const FAST: Limits = Limits {
    line_rate: Rate {
        per_second: 1_000_000,
        burst: 1_000_000,
    },
    ..LIMITS
};

/// A room of a thousand, and those who are to send something: with an editor, or without.
fn crowded(limits: Limits, edit: bool) -> (Bench, Vec<usize>) {
    let mut bench = Bench::with(limits, ADMISSION);
    bench.is_checked = false;
    for number in 0..PEOPLE {
        let client = bench.knock();
        bench.send(client, format!("/name n{number:05}\r\n"));
    }
    let attackers = if edit {
        editors(&mut bench, ATTACKERS)
    } else {
        (0..ATTACKERS).map(|_| bench.knock()).collect()
    };
    bench.settle();
    (bench, attackers)
}

/// People whose lines the server edits.
pub(super) fn editors(bench: &mut Bench, count: usize) -> Vec<usize> {
    let editors: Vec<usize> = (0..count).map(|_| bench.knock()).collect();
    for typed in [&b"/edit\r\n"[..], b"\xff\xfd\x01\xff\xfd\x03"] {
        for client in &editors {
            bench.send(*client, typed);
        }
        bench.settle();
    }
    editors
}

/// What the server did in each turn until all is understood, if everybody sends this.
fn work_of(limits: Limits, edit: bool, input: &[u8]) -> Vec<Work> {
    let (mut bench, attackers) = crowded(limits, edit);
    let input = input.repeat(INPUT_BYTES / input.len());
    for client in attackers {
        bench.send(client, &input);
    }
    let mut works = Vec::new();
    while works.len() < 2000 && bench.server.wakes_at() == Some(bench.now()) {
        bench.turn();
        works.push(bench.server.event_loop.ledger().work);
        for connection in &mut bench.network().connections {
            connection.fresh.clear();
            connection.received.clear();
        }
    }
    works
}

#[test]
fn f119_f120_f121_no_turn_does_more_than_its_budget_whatever_sixty_four_sessions_send() {
    let inputs: [(bool, &[u8]); 12] = [
        (true, b"n\t"),
        (true, b"\t"),
        (true, b"\x1b[D"),
        (true, "e\u{301}\u{302}\u{303}".as_bytes()),
        (true, "\u{1f1e6}".as_bytes()),
        (true, b"\x01\xff\xf1\x05\xff\xf1"),
        (false, b"/who\n"),
        (false, b"/whois n00500\n"),
        (false, "/name \u{fdfa}\n".as_bytes()),
        (false, b"\xff\xf1"),
        (false, b"\xff\xf3\x80"),
        (false, b"x"),
    ];
    let mut most = Work::default();
    for (edit, input) in inputs {
        let works = work_of(FAST, edit, input);
        for work in &works {
            assert!(*work <= WORK_MAX, "{work:?} over {input:?}");
            most = most.max(*work);
        }
        assert!(!works.is_empty());
    }
    assert!(
        most >= Work::TURN_MAX,
        "the budget was never spent: {most:?}"
    );
}

/// Without a limit of lines nothing but the work ends what is understood of one session in a turn.
#[test]
fn f120_f121_keys_and_commands_that_ask_for_nothing_are_carried_on_behind_the_others() {
    let inputs: [(bool, &[u8]); 5] = [
        (true, b"\t"),
        (true, b"\x1b[D"),
        (true, b"\xff\xff"),
        (true, b"\x01\xff\xf1\x05\xff\xf1"),
        (false, b"\xff\xf3\x80"),
    ];
    for (edit, input) in inputs {
        let (mut bench, attackers) = crowded(LIMITS, edit);
        let (attacker, other) = (attackers[0], bench.join());
        bench.send(attacker, input.repeat(64 * 1024 / input.len()));
        bench.send(other, "/whois n00000\r\n");
        let (mut works, mut answered) = (Vec::new(), 0);
        while bench.server.wakes_at() == Some(bench.now()) {
            bench.turn();
            works.push(bench.server.event_loop.ledger().work);
            answered += bench.screen(other).matches("-- n00000: ").count();
            assert_eq!(answered, 1, "others wait for {input:?}");
        }
        let most = works.iter().max();
        assert!(most <= Some(&CALL_SHARE), "{works:?} over {input:?}");
        let busy = works.iter().filter(|work| **work >= Work::CALL_MAX);
        assert!(
            busy.count() > 0,
            "{works:?} over {input:?}: it is too little"
        );
    }
}

#[test]
fn f119_f126_the_steps_of_long_lists_keep_to_a_budget_of_their_own() {
    let (mut bench, askers) = crowded(LIMITS, false);
    for _ in 0..3 * PEOPLE {
        let client = bench.knock();
        bench.send(client, format!("/name m{client:0>23}\r\n"));
    }
    bench.settle();
    for client in &askers {
        bench.screen(*client);
        bench.network().connections[*client].window = Some(4096);
        bench.send(*client, "/who\r\n");
    }
    bench.settle();
    for client in &askers {
        bench.network().connections[*client].window = None;
        bench.network().take(*client, usize::MAX);
    }
    let mut works = Vec::new();
    while bench.server.wakes_at() == Some(bench.now()) {
        bench.turn();
        works.push(bench.server.event_loop.ledger().flush_work);
    }
    let most = works.iter().max();
    assert!(most <= Some(&FLUSH_WORK_MAX), "{works:?}");
    assert!(most >= Some(&Work::TURN_MAX), "it is too little: {works:?}");
    for client in &askers {
        let last = bench.screen(*client).lines().last().map(str::to_owned);
        let ends = last
            .as_ref()
            .is_some_and(|it| it.ends_with("; 64 listening"));
        assert!(ends, "{last:?}");
    }
}

#[test]
fn f119_what_a_budget_leaves_is_done_in_the_next_turn() {
    let (mut bench, attackers) = crowded(LIMITS, false);
    for client in &attackers {
        bench.send(*client, "x".repeat(4 * INPUT_BYTES - 1) + "\n");
    }
    bench.turn();
    let heard = |bench: &mut Bench| {
        let said = |client: &&usize| bench.screen(**client).contains("!! line too long");
        attackers.iter().filter(said).count()
    };
    let first = heard(&mut bench);
    assert!((TURN_READS_MIN / 2..ATTACKERS).contains(&first), "{first}");
    let mut all = first;
    while bench.server.wakes_at() == Some(bench.now()) {
        bench.turn();
        all += heard(&mut bench);
    }
    assert_eq!(all, ATTACKERS);
}

#[test]
fn f126_a_list_of_many_goes_on_as_it_is_taken_and_input_waits_meanwhile() {
    let (mut bench, attackers) = crowded(LIMITS, false);
    let [asker, ..] = attackers[..] else {
        unreachable!()
    };
    // Names of 24 letters: they do not fit into one step.
    for client in 0..PEOPLE {
        bench.send(client, format!("/name {client:0>24}\r\n"));
    }
    bench.settle();
    bench.screen(asker);
    bench.network().connections[asker].window = Some(4096);
    bench.send(asker, "/who\r\n/away\r\n");
    bench.settle();
    let listed = |seen: &str| seen.matches(", ").count() + seen.matches("\r\n-- ").count();
    let mut seen = bench.screen(asker);
    let waiting = bench.census().queued_bytes;
    assert!(waiting < 20_000, "all of it waits at once: {waiting}");
    let mut steps = 0;
    while bench.network().connections[asker].is_takeable() {
        assert!(!seen.contains("you are away"), "it was heard too soon");
        bench.network().take(asker, usize::MAX);
        bench.settle();
        seen += &bench.screen(asker);
        steps += 1;
        assert!(steps < 100);
    }
    assert!(seen.starts_with("-- 1000 here: "), "{seen}");
    assert!(
        seen.ends_with("; 64 listening\r\n-- you are away\r\n"),
        "{seen}"
    );
    assert_eq!(
        listed(&seen),
        PEOPLE,
        "each but the first stands behind another"
    );
}

#[test]
fn f124_a_connection_that_owes_is_not_heard_before_it_has_paid() {
    let line_rate = Rate {
        per_second: 1,
        burst: 2,
    };
    let limits = Limits {
        line_rate,
        ..LIMITS
    };
    let mut bench = Bench::with(limits, ADMISSION);
    let witness = bench.join();
    for _ in 0..20 {
        let client = bench.knock_from([192, 0, 2, 1], None);
        bench.send(client, "hello\r\n");
        bench.settle();
        bench.end(client);
        while !bench.is_closed(client) {
            bench.pass(ms(10));
        }
    }
    let most = 3 + bench.now().as_secs() as usize;
    let heard = bench.screen(witness).matches("> hello\r\n").count();
    assert!((1..=most).contains(&heard), "{heard} lines and not {most}");
}

#[test]
fn f119_newcomers_wait_when_those_before_them_were_told_enough_for_a_turn() {
    let limits = Limits {
        history_lines: 20,
        ..LIMITS
    };
    let mut bench = Bench::with(limits, ADMISSION);
    let talker = bench.join();
    for _ in 0..20 {
        bench.send(talker, "x".repeat(4000) + "\n");
        bench.turn();
    }
    bench.settle();
    let before = bench.opened();
    for _ in 0..64 {
        bench.knock();
    }
    bench.turn();
    let first = bench.opened() - before;
    assert!((1..10).contains(&first), "{first} in one turn");
    bench.settle();
    assert_eq!(bench.opened() - before, 64);
}

#[test]
fn f119_who_says_little_is_read_before_those_who_say_much() {
    let line_rate = Rate {
        per_second: 10,
        burst: 40,
    };
    let limits = Limits {
        line_rate,
        ..LIMITS
    };
    let (mut bench, attackers) = crowded(limits, false);
    let other = bench.join();
    for client in &attackers {
        bench.send(*client, "/whois n00500\r\n".repeat(25));
    }
    bench.settle();
    // Each of these is two lines' worth of work, and all of them are that of ten turns.
    let dear = format!("/whois {}\r\n", "\u{e9}".repeat(64));
    for client in &attackers {
        bench.send(*client, dear.repeat(7));
    }
    bench.send(other, "/whois n00000\r\n");
    bench.turn();
    assert!(bench.screen(other).contains("-- n00000: "));
    let mut more = 0;
    while bench.server.wakes_at() == Some(bench.now()) {
        bench.turn();
        more += 1;
    }
    assert!(more > 3, "{more} turns more: it is too little");
}
