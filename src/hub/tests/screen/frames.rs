//! How an editor's row and the texts above it are written: in which turn, in how many writes, and what is kept of them.

use super::*;

/// A person with a slow line asks for the editor and types on; a message crosses.
#[test]
fn type_ahead_crosses_a_message_and_stays_whole() {
    for delay in [0, 1, 5, 10] {
        let mut world = World::new(limits());
        let [bob] = world.people(["bob"]);
        let mut ann = Seat::new(&mut world, Kind::Usual, delay);
        ann.press("/name ann\r");
        assert!(ann.settles(&mut world));
        ann.press("/edit\rhello w你");
        (0..=delay).for_each(|_| ann.step(&mut world));
        world.enter(bob, "crossing message");
        ann.press("or");
        (0..=delay).for_each(|_| ann.step(&mut world));
        ann.press("ld");
        assert!(ann.settles(&mut world));
        assert_eq!(ann.row(), "> hello w你orld", "{delay}");
        assert_eq!(ann.cursor().1, 15);
        assert!(
            ann.picture().contains("<bob> crossing message\n"),
            "{}",
            ann.picture()
        );
        ann.press("\r");
        assert!(ann.settles(&mut world));
        assert_eq!(ann.row(), ">");
        let heard = world.lines(bob);
        assert_eq!(heard, ["-- ann joined (2 here)", "<ann> hello w你orld"]);
    }
}

/// However many messages a turn brings, there is one redraw, in one write.
#[test]
fn a_turn_is_one_write() {
    let mut world = World::new(limits());
    let [bob] = world.people(["bob"]);
    let mut ann = Desk::new(&mut world, "ann", 0);
    ann.seat.press("half a 句");
    assert!(ann.seat.settles(&mut world));
    ann.seat.take_text();
    let writes = world.pipe(ann.seat.id).writes;
    for n in 0..50 {
        world.hear(bob, format!("message {n}\r\n"));
    }
    world.turn();
    assert_eq!(world.pipe(ann.seat.id).writes, writes + 1);
    ann.seat.receive(&mut world);
    let said: Vec<_> = (0..50).map(|n| format!("<bob> message {n}\r\n")).collect();
    let said = said.concat();
    assert_eq!(
        ann.seat.take_text(),
        format!("\r\x1b[J{said}\r> half a 句\x1b[K")
    );
}

/// What a slow socket takes only in pieces is the same in the end.
#[test]
fn a_frame_survives_every_partial_write() {
    let play = |room: usize| {
        let mut world = World::new(limits());
        let [bob] = world.people(["bob"]);
        let mut ann = Desk::new(&mut world, "ann", 0);
        ann.seat.take_text();
        world.pipe(ann.seat.id).room = room;
        for event in ["a", "b\x7f你", "\r", "x", "/who\r", "half"] {
            ann.seat.press(event);
            ann.seat.send(&mut world);
            world.hear(bob, "hello\r\n");
            world.turn();
            world.hear(bob, "again\r\n");
            world.turn();
        }
        while room < usize::MAX && world.hub.census().queued_bytes > 0 {
            world.drain(ann.seat.id, room);
            world.turn();
        }
        ann.seat.receive(&mut world);
        ann.seat.take_text()
    };
    let whole = play(usize::MAX);
    assert!(whole.ends_with("\r> half\x1b[K"), "{whole:?}");
    for room in 1..200 {
        assert_eq!(play(room), whole, "{room} bytes at a time");
    }
}

/// The line and the lines that can be called back count as memory, as long as they are kept.
#[test]
fn what_an_editor_keeps_is_counted() {
    let mut world = World::new(limits());
    let mut ann = Desk::new(&mut world, "ann", 0);
    assert!(world.hub.memory() < 1_500, "itself and two commands");
    let line = "x".repeat(1900);
    for _ in 0..100 {
        ann.seat.press(&format!("{line}\r{line}y\r"));
        ann.seat.step(&mut world);
    }
    ann.seat.press(&line);
    ann.seat.press("\x1b[A");
    ann.seat.step(&mut world);
    let counted = world.hub.memory();
    assert!((15_000..25_000).contains(&counted), "{counted}");
    ann.seat.press("\x15/edit off\r");
    ann.seat.step(&mut world);
    assert!(world.hub.memory() <= 1, "the second half of Enter");
}

/// A session that holds too much is closed, and nothing of it stays.
#[test]
fn memory_has_a_bound_for_editors_too() {
    let mut world = World::new(Limits {
        memory_max: 6000,
        ..limits()
    });
    let mut ann = Desk::new(&mut world, "ann", 0);
    let line = "x".repeat(1900);
    for _ in 0..4 {
        ann.seat.press(&format!("{line}\r{line}y\r"));
        ann.seat.send(&mut world);
        world.turn();
        if world.hub.open_sessions() == 0 {
            break;
        }
    }
    assert_eq!(world.hub.open_sessions(), 0);
    assert_eq!(world.hub.memory(), 0);
}
