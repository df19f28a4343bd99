//! What one session may ask of all: how fast it is heard, how much memory waits for it, how often it is looked at.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use crate::dialect::Dialect;
use crate::hub::{Hub, Limits, Origin, SessionId, Sink};
use crate::ledger::CloseReason;
use crate::rate::Rate;
use crate::test_clock::outset;
use crate::test_log;

const LIMITS: Limits = Limits::WIDE;

fn connect(hub: &mut Hub<()>, now: Instant) -> SessionId {
    let id = hub.connect((), Dialect::Telnet, Origin::Local, now);
    hub.flush(now, &mut Sockets { room: usize::MAX });
    id
}

/// Whether input waits to be understood.
fn has_pending(hub: &mut Hub<()>, id: SessionId) -> bool {
    let session = hub.sessions.get_mut(id);
    session.is_some_and(|session| session.has_pending())
}

/// Waits for the next deadline, and lets those go on whose pause it ends.
fn wait(hub: &mut Hub<()>, now: &mut Instant) {
    *now = hub.wake_at(*now).expect("there is a deadline");
    hub.tick(*now);
    for id in hub.take_resumed() {
        hub.resume(id, *now);
    }
    hub.flush(*now, &mut Sockets { room: usize::MAX });
}

#[test]
fn who_is_paused_in_the_middle_of_what_they_say_is_not_silent() {
    let ms = Duration::from_millis;
    for (per_second, idle) in [(10, ms(60_000)), (1, ms(500))] {
        let line_rate = Rate {
            per_second,
            burst: 1,
        };
        let mut hub = Hub::new(Limits {
            line_rate,
            idle: Some(idle),
            ..LIMITS
        });
        let began_at = outset();
        let mut now = began_at;
        let id = connect(&mut hub, now);
        hub.handle_input(id, &[b'\n'; 1000], now);
        while has_pending(&mut hub, id) {
            wait(&mut hub, &mut now);
        }
        let said_at = now;
        let said_in = said_at - began_at;
        assert!(said_in >= ms(999_000) / per_second, "{said_in:?}");
        while hub.open_sessions() > 0 {
            wait(&mut hub, &mut now);
        }
        assert!(now >= said_at + idle, "{:?}", now - said_at);
    }
}

/// How often all sessions are looked at while time passes in steps, each after `then` did something.
fn looks(
    hub: &mut Hub<()>,
    now: &mut Instant,
    steps: usize,
    mut then: impl FnMut(&mut Hub<()>, Instant),
) -> u32 {
    let mut looks = 0;
    for _ in 0..steps {
        then(hub, *now);
        let until = *now + Duration::from_millis(1);
        looks += u32::from(hub.core.wake_at.is_some_and(|at| at <= until));
        *now = until;
        hub.tick(until);
        hub.flush(until, &mut Sockets { room: usize::MAX });
        hub.check_invariants();
    }
    looks
}

#[test]
fn all_are_looked_at_twenty_times_a_second_at_most() {
    let line_rate = Rate {
        per_second: 1000,
        burst: 1,
    };
    let ms = Duration::from_millis;
    let mut hub = Hub::new(Limits {
        line_rate,
        idle: Some(ms(100)),
        drain: ms(10),
        ..LIMITS
    });
    let mut now = outset();
    let talker = connect(&mut hub, now);
    hub.handle_input(talker, &[b'\n'; 500], now);
    let said = looks(&mut hub, &mut now, 499, |hub, now| {
        for id in hub.take_resumed() {
            hub.resume(id, now);
        }
    });
    assert!(said <= 11, "{said} times for one who talks");
    for id in hub.take_resumed() {
        hub.resume(id, now);
    }
    assert!(
        !has_pending(&mut hub, talker),
        "a thousand lines a second are heard"
    );

    let came_and_went = looks(&mut hub, &mut now, 500, |hub, now| {
        let id = connect(hub, now);
        hub.begin_close(id, CloseReason::Quit, now);
    });
    assert!(
        came_and_went <= 11,
        "{came_and_went} times for those who go"
    );
    looks(&mut hub, &mut now, 200, |hub, now| {
        hub.reap(now, |(), _| {});
    });
    assert!(hub.is_empty());
    assert_eq!(hub.wake_at(now), None);
}

#[test]
fn the_heaviest_go_first_and_of_these_the_last_slot() {
    test_log::begin();
    let (mut hub, now) = (Hub::new(LIMITS), outset());
    for weight in [10, 30, 20, 30, 5] {
        let id = connect(&mut hub, now);
        hub.handle_input(id, &vec![b'x'; weight], now);
    }
    for (memory_max, expected) in [
        (95, &[][..]),
        (94, &["guest4"]),
        (40, &["guest4", "guest2"]),
        (0, &["guest4", "guest2", "guest3", "guest1", "guest5"]),
    ] {
        hub.core.limits.memory_max = memory_max;
        hub.enforce_memory_limit(now);
        hub.reap(now, |(), _| {});
        hub.check_invariants();
        let closes = test_log::closes();
        let gone: Vec<&str> = closes.iter().map(|close| close.name.as_str()).collect();
        assert_eq!(gone, expected, "{memory_max}");
    }
}

/// Sockets that take everything, or nothing.
struct Sockets {
    room: usize,
}

impl Sink<()> for Sockets {
    fn write(&mut self, _: SessionId, (): &mut (), slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.room {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            room => Ok(room.min(slices.iter().map(|slice| slice.len()).sum())),
        }
    }

    fn finish(&mut self, (): &mut ()) {}
}

#[test]
fn a_flush_holds_one_copy_however_many_see_the_feed_in_their_own_way() {
    const VIEWERS: usize = 100;
    let (mut hub, now) = (Hub::new(LIMITS), outset());
    let mut viewers: Vec<SessionId> = Vec::new();
    for n in 0..VIEWERS {
        let id = connect(&mut hub, now);
        let view = [&b"/time on\n"[..], b"/edit on\r\n\xff\xfd\x01\xff\xfd\x03"][n % 2];
        hub.handle_input(id, view, now);
        viewers.push(id);
    }
    let ann = connect(&mut hub, now);
    for room in [usize::MAX, 7, 0] {
        for _ in 0..10 {
            hub.handle_input(ann, &[&[b'x'; 500], b"\n".as_slice()].concat(), now);
        }
        hub.flush(now, &mut Sockets { room });
        hub.check_invariants();
        assert_eq!(hub.core.room.feed.len(), 0);
        let waits = hub.core.queued_bytes;
        match room {
            0 => assert!(waits > VIEWERS * 5000, "all of it waits: {waits}"),
            _ => assert_eq!(waits, 0),
        }
    }
}
