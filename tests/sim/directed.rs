//! Cases that deserve a name of their own, each as small as it can be.

use std::time::{Duration, Instant};

use chatd::dialect::Dialect;
use chatd::hub::{Census, Ending, Hub, Limits, Origin, QueueLimits, Rate, SessionId};
use chatd::ledger::CloseReason;

use crate::test_log;
use crate::transport::{Sockets, Transport};

const SECOND: Duration = Duration::from_secs(1);
const LIMITS: Limits = Limits {
    line_bytes_max: 512,
    queue: QueueLimits {
        bytes_max: 4096,
        bytes_soft: 1024,
        soft: Duration::from_secs(4),
        stall: Some(Duration::from_secs(10)),
    },
    line_rate: Rate::UNLIMITED,
    memory_max: usize::MAX,
    idle: None,
    drain: Duration::from_secs(5),
    history_lines: 0,
};

/// A hub, the clock, and how those ended who are gone.
struct House {
    hub: Hub<Transport>,
    now: Instant,
    endings: Vec<Ending>,
}

impl House {
    fn new() -> Self {
        Self::with(LIMITS)
    }

    fn with(limits: Limits) -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "an arbitrary outset for the test's own clock"
        )]
        let now = Instant::now();
        test_log::begin();
        Self {
            hub: Hub::new(limits),
            now,
            endings: Vec::new(),
        }
    }

    /// Somebody comes, and is greeted.
    fn connect(&mut self) -> SessionId {
        let number = self.hub.ledger().opened() + 1;
        let transport = Transport::new(number);
        let id = self
            .hub
            .connect(transport, Dialect::Telnet, Origin::Local, self.now);
        self.turn();
        self.heard(id);
        id
    }

    /// Somebody comes, takes a name and has heard all that there is to hear about that.
    fn person(&mut self, name: &str) -> SessionId {
        let id = self.connect();
        self.types(id, &format!("/name {name}"));
        self.turn();
        for id in self.hub.ids().collect::<Vec<_>>() {
            self.heard(id);
        }
        id
    }

    fn types(&mut self, id: SessionId, line: &str) {
        let line = format!("{line}\r\n");
        self.hub.handle_input(id, line.as_bytes(), self.now);
    }

    /// The end of a turn.
    fn turn(&mut self) {
        self.hub.tick(self.now);
        self.hub.flush(self.now, &mut Sockets::default());
        self.hub
            .reap(self.now, |_, ending| self.endings.push(ending));
        self.hub.check_invariants();
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.turn();
    }

    fn socket(&mut self, id: SessionId) -> &mut Transport {
        self.hub.transport(id).expect("it is still held")
    }

    fn heard(&mut self, id: SessionId) -> String {
        let bytes = std::mem::take(&mut self.socket(id).fresh);
        String::from_utf8(bytes).expect("the server sends UTF-8")
    }

    fn is_held(&mut self, id: SessionId) -> bool {
        self.hub.transport(id).is_some()
    }

    fn reasons(&self) -> Vec<&'static str> {
        let closes = test_log::closes();
        assert_eq!(closes.len() as u64, self.hub.ledger().closed());
        closes.iter().map(|close| close.reason.as_str()).collect()
    }
}

#[test]
fn ten_thousand_write_errors_in_one_flush_are_one_sum() {
    let mut house = House::new();
    let stays = house.person("stays");
    let peers: Vec<SessionId> = (0..10_000)
        .map(|number| {
            let id =
                house
                    .hub
                    .connect(Transport::new(0), Dialect::Telnet, Origin::Local, house.now);
            house.types(id, &format!("/name p{number}"));
            id
        })
        .collect();
    house.turn();
    house.wait(SECOND);
    assert_eq!(house.hub.census().here, 10_001);
    for id in &peers {
        house.socket(*id).fails_after = 0;
    }
    house.heard(stays);
    house.types(stays, "is anybody there?");
    house.turn();
    assert_eq!(
        house.hub.open_sessions(),
        10_001,
        "they may have last words"
    );
    for id in peers {
        house.hub.handle_drained(id, house.now);
    }
    house.turn();
    house.wait(SECOND);
    let heard = house.heard(stays);
    assert_eq!(heard.lines().count(), 11, "{heard}");
    assert!(heard.ends_with("-- 9990 more left (1 here)\r\n"), "{heard}");
    assert_eq!(house.hub.ledger().closed_for(CloseReason::Reset), 10_000);
    assert_eq!(house.hub.len(), 1);
}

#[test]
fn of_two_events_the_first_closes_and_the_second_finds_nobody() {
    let mut house = House::new();
    let (ann, bob) = (house.person("ann"), house.person("bob"));
    house.hub.handle_reset(ann, house.now);
    house.types(ann, "I am not here");
    house.hub.handle_writable(ann);
    house.hub.handle_eof(ann, house.now);
    house.hub.handle_reset(ann, house.now);
    house.turn();
    assert_eq!(house.heard(bob), "-- ann left (1 here)\r\n");
    assert_eq!(house.reasons(), ["reset"]);
}

#[test]
fn a_stale_id_does_not_find_who_has_its_slot_now() {
    let mut house = House::new();
    let gone = house.person("gone");
    house.hub.handle_reset(gone, house.now);
    house.turn();
    let heir = house.person("heir");
    let slot = |id: SessionId| id.to_bits() >> (usize::BITS / 2);
    assert_eq!(slot(gone), slot(heir));

    house.types(gone, "/quit");
    house.hub.handle_eof(gone, house.now);
    house.hub.handle_reset(gone, house.now);
    house.hub.handle_writable(gone);
    house.hub.handle_drained(gone, house.now);
    house.hub.resume(gone, house.now);
    house.hub.begin_close(gone, CloseReason::Flood, house.now);
    house.turn();
    assert!(house.hub.transport(gone).is_none());
    assert!(!house.hub.has_carry(gone));
    assert_eq!(house.heard(heir), "");
    assert_eq!(house.hub.census().open, 1);
}

#[test]
fn an_old_place_on_the_flush_list_is_not_taken_for_that_of_the_heir() {
    let mut house = House::new();
    let (ann, quits, stalled) = (house.person("ann"), house.person("quits"), house.connect());
    house.socket(stalled).room = 0;
    house.types(ann, "hello");
    house.turn();
    house.heard(quits);
    house.wait(Duration::from_millis(4980));
    house.socket(quits).room = 0;
    house.types(quits, "/quit");
    house.turn();
    // Deadlines are looked at together, so the one that comes a moment later is first seen to by a flush, which
    // puts the session on the next flush's list and frees it in the same turn.
    house.wait(LIMITS.drain);
    assert_eq!(house.reasons(), ["quit"]);
    house.now += Duration::from_millis(20);
    house.types(ann, "is anybody there?");
    house.turn();
    assert_eq!(house.reasons(), ["quit", "write-stall"]);

    let (transport, reason) = (Transport::new(4), CloseReason::Full);
    let heir = house
        .hub
        .refuse(transport, Dialect::Telnet, Origin::Local, reason, house.now);
    let slot = |id: SessionId| id.to_bits() >> (usize::BITS / 2);
    assert_eq!(slot(stalled), slot(heir));
    house.turn();
    assert!(house.socket(heir).finished, "it was told all");
    assert_eq!(house.hub.census().lingering, 1);
}

#[test]
fn a_reset_while_draining_keeps_the_first_reason() {
    let mut house = House::new();
    let ann = house.person("ann");
    house.socket(ann).room = 3;
    house.types(ann, "/quit");
    house.turn();
    assert_eq!(house.hub.census().draining, 1);
    house.hub.handle_reset(ann, house.now);
    house.turn();
    assert_eq!(house.reasons(), ["quit"]);
    assert_eq!(house.endings, [Ending::Abrupt]);
}

#[test]
fn a_name_can_be_claimed_in_the_turn_in_which_its_holder_leaves() {
    let mut house = House::new();
    let (ann, bob) = (house.person("ann"), house.person("bob"));
    house.types(bob, "/name ann");
    house.types(ann, "/quit");
    house.types(bob, "/name ANN");
    house.turn();
    let expected = "!! ann is taken\r\n-- ann left (1 here)\r\n-- you are ANN\r\n";
    assert_eq!(house.heard(bob), expected);
    assert_eq!(house.heard(ann), "-- goodbye\r\n");
}

#[test]
fn who_never_reads_is_closed_at_the_hard_limit_and_the_others_lose_nothing() {
    let mut house = House::new();
    let (ann, bob, never) = (house.person("ann"), house.person("bob"), house.connect());
    house.socket(never).room = 0;
    let mut said = Vec::new();
    let mut line_number = 0;
    while house.hub.open_sessions() == 3 {
        line_number += 1;
        let words = format!("{line_number} {}", "z".repeat(90));
        house.types(ann, &words);
        house.turn();
        said.push(format!("<ann> {words}\r\n"));
        assert!(house.hub.census().queued_bytes < 4096 + 200);
    }
    assert!(
        line_number > 30,
        "4096 bytes are more than {line_number} lines"
    );
    house.types(ann, "still here?");
    house.turn();
    said.push("<ann> still here?\r\n".to_owned());
    assert_eq!(
        house.heard(bob),
        said.concat(),
        "a stranger's end is not told"
    );
    house.wait(LIMITS.drain);
    assert_eq!(house.reasons(), ["slow-consumer"]);
    assert_eq!(house.hub.census().queued_bytes, 0);
}

#[test]
fn the_hard_limit_is_exact() {
    let mut house = House::new();
    let (ann, never) = (house.person("ann"), house.connect());
    house.socket(never).room = 0;
    for _ in 0..8 {
        house.types(ann, &"z".repeat(512 - "<ann> \r\n".len()));
    }
    house.turn();
    assert_eq!(house.hub.census().queued_bytes, LIMITS.queue.bytes_max);
    assert_eq!(house.hub.open_sessions(), 2);
    house.types(ann, "z");
    house.turn();
    assert_eq!(house.hub.open_sessions(), 1);
}

#[test]
fn much_for_too_long_is_too_much_even_when_nothing_more_is_said() {
    let mut house = House::new();
    let (ann, slow) = (house.person("ann"), house.connect());
    house.socket(slow).room = 0;
    for _ in 0..15 {
        house.types(ann, &"z".repeat(90));
    }
    house.turn();
    house.wait(SECOND * 3);
    assert_eq!(house.hub.open_sessions(), 2);
    assert!(house
        .hub
        .wake_at()
        .is_some_and(|at| at <= house.now + SECOND));
    house.wait(SECOND);
    assert_eq!(house.hub.open_sessions(), 1);
    house.wait(LIMITS.drain);
    assert_eq!(house.reasons(), ["slow-consumer"]);
}

#[test]
fn the_drain_deadline_frees_the_slot() {
    let mut house = House::new();
    let ann = house.person("ann");
    house.socket(ann).room = 0;
    house.types(ann, "/quit");
    house.turn();
    house.wait(SECOND * 4);
    assert!(house.is_held(ann));
    house.wait(SECOND);
    assert!(!house.is_held(ann));
    assert_eq!(house.endings, [Ending::Abrupt]);
    assert_eq!(house.reasons(), ["quit"]);
    assert_eq!(house.hub.census(), Census::default());
}

#[test]
fn lingering_ends_with_the_stream_with_too_many_bytes_or_with_time() {
    type End = fn(&mut House, SessionId);
    let ends: [(Ending, End); 3] = [
        (Ending::Orderly, |house, id| {
            house.hub.handle_eof(id, house.now);
        }),
        (Ending::Orderly, |house, id| {
            house
                .hub
                .handle_input(id, &vec![b'x'; 64 * 1024], house.now);
            house.turn();
            assert!(house.is_held(id), "so many are dropped");
            house.hub.handle_input(id, b"x", house.now);
        }),
        // It has taken everything and only stays, so nothing is lost by a reset.
        (Ending::Abrupt, |house, _| {
            house.wait(SECOND / 2);
            assert_eq!(house.hub.len(), 1, "so long is waited");
            house.now += SECOND / 2;
        }),
    ];
    for (ending, end) in ends {
        let mut house = House::new();
        let ann = house.person("ann");
        house.types(ann, "/quit");
        house.turn();
        assert_eq!(house.hub.census().lingering, 1);
        assert!(house.socket(ann).finished);
        end(&mut house, ann);
        house.turn();
        assert!(house.hub.is_empty());
        assert_eq!(house.endings, [ending]);
    }
}

#[test]
fn the_same_moment_twice_does_nothing_twice() {
    let mut house = House::new();
    let ann = house.person("ann");
    for _ in 0..12 {
        let id = house.connect();
        house.types(id, "hello");
        house.turn();
    }
    house.now += SECOND;
    house.heard(ann);
    house.turn();
    assert_eq!(house.heard(ann), "-- 3 more joined (13 here)\r\n");
    let before = (house.hub.census(), house.hub.wake_at());
    house.turn();
    assert_eq!(house.heard(ann), "");
    assert_eq!((house.hub.census(), house.hub.wake_at()), before);
}

#[test]
fn a_leap_of_a_day_fires_each_deadline_once() {
    let mut house = House::with(Limits {
        idle: Some(Duration::from_secs(600)),
        ..LIMITS
    });
    let (silent, stalled, slow, leaving) = (
        house.person("silent"),
        house.person("stalled"),
        house.person("slow"),
        house.person("leaving"),
    );
    house.socket(stalled).room = 0;
    house.socket(leaving).room = 0;
    house.socket(slow).room = 700;
    house.types(leaving, "/quit");
    for _ in 0..7 {
        house.types(silent, &"z".repeat(100));
    }
    house.turn();
    for _ in 0..8 {
        house.types(stalled, &"z".repeat(120));
    }
    house.turn();
    house.wait(Duration::from_secs(24 * 60 * 60));
    house.wait(LIMITS.drain);
    assert!(house.hub.is_empty());
    let mut reasons = house.reasons();
    reasons.sort_unstable();
    assert_eq!(reasons, ["idle", "quit", "slow-consumer", "write-stall"]);
    assert_eq!(house.hub.wake_at(), None);
}

#[test]
fn who_is_reset_gets_no_byte_more() {
    let mut house = House::new();
    let (ann, bob) = (house.person("ann"), house.person("bob"));
    house.types(ann, "hello");
    house.hub.handle_reset(bob, house.now);
    house.socket(bob).shut = true;
    house.turn();
    assert!(!house.is_held(bob));
}

#[test]
fn behind_the_second_interrupt_nothing_is_heard() {
    let mut house = House::new();
    let (ann, bob) = (house.person("ann"), house.connect());
    let interrupt = b"\xff\xf4";
    let input = [interrupt, interrupt, b"hello\r\n".as_slice()].concat();
    house.hub.handle_input(bob, &input, house.now);
    house.turn();
    assert_eq!(house.heard(ann), "");
    let expected = "-- Ctrl-C again, or /quit, to leave\r\n-- goodbye\r\n";
    assert_eq!(house.heard(bob), expected);
    assert_eq!(house.hub.census().here, 1);
}

#[test]
fn the_last_lines_of_one_who_is_ignored_are_not_heard_whatever_list_is_asked_for() {
    let mut house = House::new();
    let (ann, bob, cy) = (house.person("ann"), house.person("bob"), house.person("cy"));
    house.types(ann, "/ignore bob");
    house.turn();
    assert_eq!(house.heard(ann), "-- ignoring bob\r\n");
    house.types(bob, "you will miss me");
    house.types(bob, "/quit");
    house.types(ann, "/ignore");
    house.types(ann, "/ignore cy");
    house.types(cy, "at last");
    house.turn();
    let expected = "-- ignoring nobody\r\n-- ignoring cy\r\n";
    assert_eq!(house.heard(ann), expected);
}

#[test]
fn who_is_refused_does_not_hear_what_was_said_before() {
    let mut house = House::new();
    let (ann, bob) = (house.person("ann"), house.person("bob"));
    house.types(ann, "behind closed doors");
    let transport = Transport::new(3);
    let reason = CloseReason::Full;
    let refused = house
        .hub
        .refuse(transport, Dialect::Telnet, Origin::Local, reason, house.now);
    house.turn();
    assert_eq!(house.heard(bob), "<ann> behind closed doors\r\n");
    assert_eq!(house.heard(refused), "!! goodbye: the server is full\r\n");
}

#[test]
fn after_a_shutdown_nobody_is_counted_as_here() {
    let mut house = House::new();
    let (ann, bob) = (house.person("ann"), house.person("bob"));
    house.hub.shut_down(house.now);
    house.turn();
    assert_eq!(house.hub.census().here, 0);
    for id in [ann, bob] {
        assert_eq!(house.heard(id), "-- goodbye: the server is going down\r\n");
        house.hub.handle_eof(id, house.now);
    }
    house.turn();
    assert_eq!(house.hub.census(), Census::default());
}

#[test]
fn an_interrupted_write_is_tried_again_in_the_same_flush() {
    let mut house = House::new();
    let (ann, bob) = (house.person("ann"), house.person("bob"));
    house.socket(bob).interrupts = 3;
    house.types(ann, "hello");
    house.turn();
    assert_eq!(house.heard(bob), "<ann> hello\r\n");
}
