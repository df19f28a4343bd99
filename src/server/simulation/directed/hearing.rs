//! What is heard, and of whom, when several things happen at once.

use super::super::connection::End;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const TIGHT: Limits = Limits {
    line_bytes_max: 512,
    queue: QueueLimits {
        bytes_max: 4096,
        bytes_soft: 1024,
        soft: Duration::from_secs(4),
        stall: Some(Duration::from_secs(10)),
    },
    ..LIMITS
};

/// A server with tight limits, and people of these names, who have heard all that there is to hear.
fn people<const COUNT: usize>(names: [&str; COUNT]) -> (Bench, [usize; COUNT]) {
    people_within(TIGHT, names)
}

fn people_within<const COUNT: usize>(
    limits: Limits,
    names: [&str; COUNT],
) -> (Bench, [usize; COUNT]) {
    let mut bench = Bench::with(limits, ADMISSION);
    let clients = names.map(|name| {
        let client = bench.join();
        bench.send(client, format!("/name {name}\r\n"));
        bench.settle();
        client
    });
    for client in clients {
        bench.screen(client);
    }
    (bench, clients)
}

impl Bench {
    fn types(&mut self, client: usize, line: &str) {
        self.send(client, format!("{line}\r\n"));
    }

    /// From now on nothing is taken of what a client is sent.
    fn stops_reading(&mut self, client: usize) {
        self.network().connections[client].window = Some(0);
    }
}

#[test]
fn an_old_place_on_the_flush_list_is_not_taken_for_that_of_the_heir() {
    let admission = AdmissionLimits {
        per_address_max: Some(1),
        ..ADMISSION
    };
    let mut bench = Bench::with(TIGHT, admission);
    let ann = bench.knock_from([192, 0, 2, 1], None);
    bench.settle();
    let (quits, stalled) = (bench.join(), bench.join());
    let slot = |id: SessionId| id.to_bits() >> (usize::BITS / 2);
    let slot_of_stalled = slot(bench.id(stalled));
    bench.stops_reading(stalled);
    bench.types(ann, "hello");
    bench.turn();
    let stalled_at = bench.now();
    bench.pass(ms(4980));
    bench.stops_reading(quits);
    bench.types(quits, "/quit");
    // Deadlines are looked at together, so the one that comes a moment later is first seen to by a flush, which
    // puts the session on the next flush's list and frees it in the same turn.
    bench.pass(TIGHT.drain + ms(2));
    assert_eq!(bench.reasons(), [CloseReason::Quit]);
    let since = bench.since(stalled_at);
    bench.pass(ms(10_010).saturating_sub(since));
    assert_eq!(bench.reasons(), [CloseReason::Quit]);
    bench.types(ann, "is anybody there?");
    bench.turn();
    assert_eq!(
        bench.reasons(),
        [CloseReason::Quit, CloseReason::WriteStall]
    );

    let heir = bench.knock_from([192, 0, 2, 1], None);
    bench.turn();
    assert_eq!(slot(bench.id(heir)), slot_of_stalled);
    assert!(
        bench.network().connections[heir].finished,
        "it was told all"
    );
    assert_eq!(bench.census().lingering, 1);
}

#[test]
fn a_name_can_be_claimed_in_the_turn_in_which_its_holder_leaves() {
    let (mut bench, [ann, bob]) = people(["ann", "bob"]);
    bench.types(bob, "/name ann");
    bench.turn();
    bench.types(ann, "/quit");
    bench.types(bob, "/name ANN");
    bench.turn();
    let expected = "!! ann is taken\r\n-- ann left (1 here)\r\n-- you are ANN\r\n";
    assert_eq!(bench.screen(bob), expected);
    assert_eq!(bench.screen(ann), "-- goodbye\r\n");
}

#[test]
fn who_never_reads_is_closed_at_the_hard_limit_and_the_others_lose_nothing() {
    let (mut bench, [ann, bob]) = people(["ann", "bob"]);
    let never = bench.join();
    bench.stops_reading(never);
    let mut said = Vec::new();
    while bench.census().open == 3 {
        let words = format!("{} {}", said.len() + 1, "z".repeat(90));
        bench.types(ann, &words);
        bench.turn();
        said.push(format!("<ann> {words}\r\n"));
        assert!(bench.census().queued_bytes < 4096 + 200);
    }
    assert!(said.len() > 30, "4096 bytes are more than {said:?}");
    bench.types(ann, "still here?");
    bench.turn();
    said.push("<ann> still here?\r\n".to_owned());
    assert_eq!(
        bench.screen(bob),
        said.concat(),
        "a guest's end is not told"
    );
    bench.pass(TIGHT.drain + ms(60));
    assert_eq!(bench.reasons(), [CloseReason::SlowConsumer]);
    assert_eq!(bench.census().queued_bytes, 0);
}

#[test]
fn the_hard_limit_is_exact() {
    let (mut bench, [ann]) = people(["ann"]);
    let never = bench.join();
    bench.stops_reading(never);
    for _ in 0..8 {
        bench.types(ann, &"z".repeat(512 - "<ann> \r\n".len()));
    }
    bench.settle();
    assert_eq!(bench.census().queued_bytes, TIGHT.queue.bytes_max);
    assert_eq!(bench.census().open, 2);
    bench.types(ann, "z");
    bench.settle();
    assert_eq!(bench.census().open, 1);
}

#[test]
fn much_for_too_long_is_too_much_even_when_nothing_more_is_said() {
    let (mut bench, [ann]) = people(["ann"]);
    let slow = bench.join();
    bench.stops_reading(slow);
    for _ in 0..15 {
        bench.types(ann, &"z".repeat(90));
    }
    bench.pass(SECOND * 3);
    assert_eq!(bench.census().open, 2);
    assert!(bench
        .timeout()
        .is_some_and(|timeout| timeout <= SECOND + ms(1)));
    bench.pass(SECOND + ms(1));
    assert_eq!(bench.census().open, 1);
    bench.pass(TIGHT.drain + ms(60));
    assert_eq!(bench.reasons(), [CloseReason::SlowConsumer]);
}

#[test]
fn lingering_ends_with_the_stream_with_too_many_bytes_or_with_time() {
    type EndIt = fn(&mut Bench, usize);
    let ends: [EndIt; 3] = [
        Bench::end,
        |bench, ann| {
            bench.send(ann, vec![b'x'; 64 * 1024]);
            bench.settle();
            assert!(!bench.is_closed(ann), "64 KiB are dropped");
            bench.send(ann, b"x");
        },
        // It has taken everything and only stays, so nothing is lost by a reset.
        |bench, ann| {
            bench.pass(SECOND / 2);
            assert!(!bench.is_closed(ann), "a second is waited");
            bench.pass(SECOND / 2 + ms(1));
        },
    ];
    for end in ends {
        let (mut bench, [ann]) = people(["ann"]);
        bench.types(ann, "/quit");
        bench.turn();
        assert_eq!(bench.census().lingering, 1);
        assert!(bench.network().connections[ann].finished);
        end(&mut bench, ann);
        bench.settle();
        assert_eq!(bench.census(), Census::default());
        assert_eq!(bench.network().connections[ann].end, Some(End::Orderly));
    }
}

#[test]
fn the_same_moment_twice_does_nothing_twice() {
    let (mut bench, [ann]) = people(["ann"]);
    for _ in 0..12 {
        let client = bench.knock();
        bench.types(client, "hello");
        bench.settle();
    }
    bench.screen(ann);
    bench.pass(SECOND);
    assert_eq!(bench.screen(ann), "-- 3 more joined (13 here)\r\n");
    let before = (bench.census(), bench.timeout());
    bench.network().signals.push_back(Wakeup::Report);
    bench.turn();
    assert_eq!(bench.screen(ann), "");
    assert_eq!((bench.census(), bench.timeout()), before);
}

#[test]
fn a_leap_of_a_day_is_no_time_that_anybody_had_and_each_deadline_fires_once() {
    let limits = Limits {
        idle: Some(Duration::from_secs(600)),
        ..TIGHT
    };
    let names = ["silent", "stalled", "slow", "leaving"];
    let (mut bench, [silent, stalled, slow, leaving]) = people_within(limits, names);
    bench.stops_reading(stalled);
    bench.stops_reading(leaving);
    bench.network().connections[slow].window = Some(700);
    bench.types(leaving, "/quit");
    for _ in 0..7 {
        bench.types(silent, &"z".repeat(100));
    }
    bench.turn();
    for _ in 0..8 {
        bench.types(stalled, &"z".repeat(120));
    }
    bench.turn();
    bench.server.clock.pass(Duration::from_secs(24 * 60 * 60));
    bench.network().signals.push_back(Wakeup::Report);
    bench.turn();
    // For a day nobody was served.
    assert_eq!(bench.reasons(), []);
    assert_eq!(bench.census().open, 3);
    bench.pass(SECOND * 600 + TIGHT.drain + ms(60));
    assert_eq!(bench.census(), Census::default());
    let mut reasons: Vec<&str> = bench.reasons().iter().map(|it| it.as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["idle", "quit", "slow-consumer", "write-stall"]);
    assert_eq!(bench.timeout(), None);
}

#[test]
fn behind_the_second_interrupt_nothing_is_heard() {
    let (mut bench, [ann]) = people(["ann"]);
    let bob = bench.join();
    let interrupt = b"\xff\xf4";
    bench.send(
        bob,
        [interrupt, interrupt, b"hello\r\n".as_slice()].concat(),
    );
    bench.turn();
    assert_eq!(bench.screen(ann), "");
    let expected = "-- Ctrl-C again, or /quit, to leave\r\n-- goodbye\r\n";
    assert_eq!(bench.screen(bob), expected);
    assert_eq!(bench.census().here, 1);
}

#[test]
fn the_last_lines_of_one_who_is_ignored_are_not_heard_whatever_list_is_asked_for() {
    let (mut bench, [ann, bob, cy]) = people(["ann", "bob", "cy"]);
    bench.types(ann, "/ignore bob");
    bench.turn();
    assert_eq!(bench.screen(ann), "-- ignoring bob\r\n");
    bench.types(bob, "you will miss me");
    bench.types(bob, "/quit");
    bench.types(ann, "/ignore");
    bench.types(ann, "/ignore cy");
    bench.types(cy, "at last");
    bench.turn();
    let expected = "-- ignoring nobody\r\n-- ignoring cy\r\n";
    assert_eq!(bench.screen(ann), expected);
}

#[test]
fn who_is_refused_does_not_hear_what_is_said_meanwhile() {
    let admission = AdmissionLimits {
        sessions_max: 2,
        ..ADMISSION
    };
    let mut bench = Bench::with(TIGHT, admission);
    let (ann, bob) = (bench.join(), bench.join());
    bench.screen(bob);
    let refused = bench.knock();
    bench.types(ann, "behind closed doors");
    bench.turn();
    assert_eq!(
        bench.screen(bob),
        "-- guest1 joined (1 here)\r\n<guest1> behind closed doors\r\n"
    );
    assert_eq!(bench.screen(refused), "!! goodbye: the server is full\r\n");
}

#[test]
fn after_a_shutdown_nobody_is_counted_as_here() {
    let (mut bench, [ann, bob]) = people(["ann", "bob"]);
    bench.network().signals.push_back(Wakeup::Stop);
    bench.turn();
    assert_eq!(bench.census().here, 0);
    for client in [ann, bob] {
        assert_eq!(
            bench.screen(client),
            "-- goodbye: the server is going down\r\n"
        );
        bench.end(client);
    }
    assert!(!bench.turn());
    assert_eq!(bench.census(), Census::default());
}
