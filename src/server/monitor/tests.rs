//! Monitoring over connections that do what a test says.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Answer, Monitor, Page, Verdict, CONNECTIONS_MAX};
use crate::hub::Ending;
use crate::origin::Origin;
use crate::server::network::{Network, Owner, Peer, Wakeup};
use crate::stream::{Edge, Read, Write};
use crate::test_clock::outset;

/// Where the listener for monitoring stands among others.
const LISTENER: usize = 3;

const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
const HEAD: &str = "HTTP/1.1 200 OK\r\n\r\n";
const BODY: &[u8] = b"all that is measured\n";

/// One connection, as both ends see it.
#[derive(Debug, Default)]
struct Wire {
    sent: VecDeque<u8>,
    ended: bool,
    got: Vec<u8>,
    /// How many bytes it takes before it blocks.
    room: usize,
    reads: usize,
    slot: Option<u32>,
    finished: bool,
    closed: bool,
}

type Shared = Rc<RefCell<Wire>>;

#[derive(Default)]
struct Fake {
    waiting: VecDeque<Shared>,
    shortage: bool,
}

impl Network for Fake {
    type Stream = Shared;

    fn now(&self) -> Instant {
        unreachable!("time is an argument")
    }

    fn wall_seconds(&self) -> u64 {
        unreachable!("it is of no interest")
    }

    fn seed(&mut self) -> io::Result<[u8; 32]> {
        unreachable!("nobody keeps a name")
    }

    fn poll(&mut self, _: &mut Vec<Wakeup>, _: Option<Duration>) -> io::Result<()> {
        unreachable!("the test tells of edges")
    }

    fn accept(&mut self, listener: usize) -> io::Result<(Shared, Origin)> {
        assert_eq!(listener, LISTENER);
        if self.shortage {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let next = self.waiting.pop_front();
        let next = next.map(|wire| (wire, Origin::Local));
        next.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    fn peer(&self, _: &Shared) -> Option<Peer> {
        unreachable!("nobody asks who they are")
    }

    fn register(&mut self, stream: &mut Shared, owner: Owner) -> io::Result<()> {
        let Owner::Monitor(slot) = owner else {
            panic!("{owner:?}");
        };
        stream.borrow_mut().slot = Some(slot);
        Ok(())
    }

    fn hand_over(&mut self, _: &mut Shared, owner: Owner) -> io::Result<()> {
        unreachable!("{owner:?}")
    }

    fn read(&mut self, stream: &mut Shared, buffer: &mut [u8]) -> Read {
        let wire = &mut *stream.borrow_mut();
        wire.reads += 1;
        let length = wire.sent.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(wire.sent.drain(..length)) {
            *place = byte;
        }
        match length {
            0 if wire.ended => Read::Ended,
            0 => Read::Blocked,
            length => Read::Bytes(length),
        }
    }

    fn is_broken(&mut self, _: &mut Shared) -> bool {
        false
    }

    fn write(&mut self, stream: &mut Shared, slices: &[IoSlice<'_>]) -> Write {
        let wire = &mut *stream.borrow_mut();
        let bytes = slices.iter().flat_map(|slice| slice.iter()).copied();
        let before = wire.got.len();
        wire.got.extend(bytes.take(wire.room));
        match wire.got.len() - before {
            0 => Write::Blocked,
            taken => {
                wire.room -= taken;
                Write::Taken(taken)
            }
        }
    }

    fn finish(&mut self, stream: &mut Shared) {
        stream.borrow_mut().finished = true;
    }

    fn close(&mut self, stream: Shared, ending: Ending) {
        assert_eq!(ending, Ending::Orderly);
        stream.borrow_mut().closed = true;
    }

    fn stop_listening(&mut self, _: &[usize]) {
        unreachable!("it goes on until the end")
    }
}

/// The monitor and its world.
struct World {
    monitor: Monitor<Shared>,
    network: Fake,
    now: Instant,
    /// Requests that were whole.
    asked: usize,
}

impl World {
    fn new() -> Self {
        Self {
            monitor: Monitor::new([LISTENER]),
            network: Fake::default(),
            now: outset(),
            asked: 0,
        }
    }

    /// Somebody connects, who takes this many bytes.
    fn connect(&mut self, room: usize) -> Shared {
        let wire = Rc::new(RefCell::new(Wire {
            room,
            ..Wire::default()
        }));
        self.network.waiting.push_back(Rc::clone(&wire));
        assert!(self.monitor.note_listener(LISTENER));
        wire
    }

    fn send(&mut self, wire: &Shared, bytes: &[u8]) {
        wire.borrow_mut().sent.extend(bytes);
        self.edge(
            wire,
            Edge {
                readable: true,
                ..Edge::default()
            },
        );
    }

    fn edge(&mut self, wire: &Shared, edge: Edge) {
        let slot = wire.borrow().slot;
        self.monitor.note(slot.expect("it was accepted"), edge);
    }

    /// One turn.
    fn turn(&mut self) {
        while self.monitor.accept(&mut self.network, self.now).unwrap() {}
        let mut buffer = [0; 8192];
        for slot in self.monitor.slots() {
            let request = self.monitor.read(slot, &mut self.network, &mut buffer);
            if let Some(request) = request {
                assert_eq!(request.verdict, Verdict::Page(Page::Metrics));
                let answer = Answer {
                    head: HEAD.to_owned(),
                    body: Bytes::from_static(BODY),
                };
                self.monitor.answer(slot, answer, self.now);
                self.asked += 1;
            }
            self.monitor.write(slot, &mut self.network, self.now);
        }
    }

    /// Turns, until nothing is left that no edge would tell of.
    fn settle(&mut self) {
        for _ in 0..100 {
            self.turn();
            if self.wake_in() != Some(Duration::ZERO) {
                return;
            }
        }
        panic!("it turns for nothing");
    }

    fn wake_in(&self) -> Option<Duration> {
        let at = self.monitor.wake_at(self.now)?;
        Some(at.saturating_duration_since(self.now))
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn answer() -> Vec<u8> {
    [HEAD.as_bytes(), BODY].concat()
}

#[test]
fn the_seventeenth_waits_until_one_has_gone() {
    let mut world = World::new();
    let served: Vec<Shared> = (0..CONNECTIONS_MAX).map(|_| world.connect(1000)).collect();
    let next = world.connect(1000);
    world.settle();
    assert!(served.iter().all(|wire| wire.borrow().slot.is_some()));
    assert_eq!(next.borrow().slot, None);
    assert_eq!(world.wake_in(), Some(5 * SECOND));
    let first = &served[0];
    world.send(first, REQUEST);
    first.borrow_mut().ended = true;
    world.edge(
        first,
        Edge {
            closed: true,
            ..Edge::default()
        },
    );
    world.settle();
    assert_eq!(first.borrow().got, answer());
    assert!(first.borrow().closed);
    world.send(&next, REQUEST);
    world.settle();
    assert_eq!(next.borrow().got, answer());
}

#[test]
fn who_does_not_ask_in_time_is_let_go_and_so_is_who_does_not_take_the_answer() {
    let mut world = World::new();
    let (silent, slow) = (world.connect(1000), world.connect(0));
    world.settle();
    world.send(&silent, &REQUEST[..10]);
    world.now += 3 * SECOND;
    world.send(&slow, REQUEST);
    world.settle();
    assert_eq!(world.wake_in(), Some(2 * SECOND));
    world.now += 2 * SECOND;
    world.settle();
    assert!(silent.borrow().closed && silent.borrow().got.is_empty());
    assert!(!slow.borrow().closed);
    assert_eq!(world.wake_in(), Some(3 * SECOND));
    world.now += 3 * SECOND;
    world.settle();
    assert!(slow.borrow().closed);
    assert_eq!(world.wake_in(), None);
}

#[test]
fn a_slow_scraper_is_written_when_it_takes_more_and_delays_nobody() {
    let mut world = World::new();
    let (slow, quick) = (world.connect(7), world.connect(1000));
    world.settle();
    for wire in [&slow, &quick] {
        world.send(wire, REQUEST);
    }
    world.turn();
    assert_eq!(quick.borrow().got, answer());
    for taken in (7..answer().len()).step_by(7) {
        world.settle();
        assert_eq!(slow.borrow().got.len(), taken);
        assert!(!slow.borrow().finished);
        slow.borrow_mut().room = 7;
        world.edge(
            &slow,
            Edge {
                writable: true,
                ..Edge::default()
            },
        );
    }
    world.settle();
    assert_eq!(slow.borrow().got, answer());
    assert!(slow.borrow().finished);
    assert_eq!(world.asked, 2);
}

#[test]
fn a_request_may_come_byte_by_byte_and_is_read_once_a_turn() {
    let mut world = World::new();
    let wire = world.connect(1000);
    world.settle();
    for byte in REQUEST {
        assert_eq!(wire.borrow().got, b"");
        let reads = wire.borrow().reads;
        world.send(&wire, &[*byte]);
        world.turn();
        assert_eq!(wire.borrow().reads, reads + 1);
    }
    assert_eq!(wire.borrow().got, answer());
}

#[test]
fn what_follows_a_request_is_dropped_but_not_without_end() {
    let mut world = World::new();
    let wire = world.connect(1000);
    world.settle();
    world.send(&wire, &REQUEST.repeat(3));
    world.settle();
    assert_eq!(wire.borrow().got, answer());
    assert!(wire.borrow().finished && !wire.borrow().closed);
    world.send(&wire, &vec![b'x'; 100_000]);
    world.settle();
    assert!(wire.borrow().closed);
    assert_eq!(world.asked, 1);
}

#[test]
fn who_ends_before_the_request_is_whole_is_let_go() {
    let mut world = World::new();
    let wire = world.connect(1000);
    world.settle();
    wire.borrow_mut().ended = true;
    world.send(&wire, &REQUEST[..REQUEST.len() - 1]);
    world.edge(
        &wire,
        Edge {
            closed: true,
            ..Edge::default()
        },
    );
    world.settle();
    assert!(wire.borrow().closed);
    assert_eq!(world.asked, 0);
}

#[test]
fn a_shortage_is_waited_out_by_timer() {
    let mut world = World::new();
    let wire = world.connect(1000);
    world.network.shortage = true;
    let (network, now) = (&mut world.network, world.now);
    assert!(world.monitor.accept(network, now).is_err());
    world.monitor.retry_later(now);
    assert_eq!(world.wake_in(), Some(SECOND));
    world.network.shortage = false;
    world.settle();
    assert_eq!(wire.borrow().slot, None);
    world.now += SECOND;
    world.settle();
    assert!(wire.borrow().slot.is_some());
}

#[test]
fn it_knows_its_own_listeners_and_connections_that_are_gone() {
    let mut world = World::new();
    assert!(!world.monitor.note_listener(LISTENER + 1));
    assert_eq!(world.monitor.listeners().collect::<Vec<_>>(), [LISTENER]);
    world.monitor.note(7, Edge::default());
    assert_eq!(world.wake_in(), None);
}
