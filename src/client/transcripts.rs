//! Clients against scripted streams: what they write and tell, whatever the stream does and in which pieces.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::clients::ClientId;
use crate::client::connection::drive::{Buffers, Stream};
use crate::client::{
    Connection, Event, Leave, Message, Options, Reconnect, SendError, Target, Why, WAITING_MAX,
};
use crate::dialect::Dialect;

use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, TimedOut, WouldBlock};

/// A stream that does what the test says.
#[derive(Default)]
struct Scripted {
    /// What connecting comes to; nothing: it stands.
    refuses: Option<io::ErrorKind>,
    /// What reads give; nothing: they would block.
    reads: VecDeque<Result<Vec<u8>, io::ErrorKind>>,
    /// How much writes take; nothing: everything.
    writes: VecDeque<Result<usize, io::ErrorKind>>,
    error: Option<io::ErrorKind>,
    written: Vec<u8>,
    finished: bool,
}

impl Stream for Scripted {
    fn connected(&mut self) -> io::Result<Option<SocketAddr>> {
        match self.refuses {
            Some(kind) => Err(kind.into()),
            None => Ok(Some(SocketAddr::from(([127, 0, 0, 1], 1000)))),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reads.pop_front().unwrap_or(Err(WouldBlock))?;
        let taken = bytes.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&bytes[..taken]);
        if taken < bytes.len() {
            self.reads.push_front(Ok(bytes[taken..].to_vec()));
        }
        Ok(taken)
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let taken = match self.writes.pop_front() {
            Some(most) => most?.min(bytes.len()),
            None => bytes.len(),
        };
        self.written.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.error.take().map(Into::into)
    }
}

/// A client, its stream if it has one, its clock, and what it has told.
struct Talk {
    connection: Connection,
    stream: Option<Scripted>,
    buffers: Buffers,
    now: Instant,
    events: Vec<Event<'static>>,
    /// Streams that were closed, and whether with a reset.
    closed: Vec<(Scripted, bool)>,
}

impl Talk {
    #[allow(
        clippy::disallowed_methods,
        reason = "an arbitrary outset for the test's own clock"
    )]
    fn new(dialect: Dialect, options: Options) -> Self {
        let target = Target::new(dialect, SocketAddr::from(([127, 0, 0, 1], 1)));
        Self {
            connection: Connection::new(ClientId::any(), &target, options),
            stream: None,
            buffers: Buffers {
                input: vec![0; 64].into(),
                scratch: Vec::new(),
            },
            now: Instant::now(),
            events: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// A client that has just been connected.
    fn connected(options: Options) -> Self {
        let mut talk = Self::new(Dialect::Wire, options);
        talk.turn();
        talk.edge();
        assert_eq!(talk.take_events(), [Event::Connected]);
        talk
    }

    /// Turns until nothing is left to do but to wait, with a handler.
    fn turn_with(&mut self, mut handler: impl FnMut(&mut Connection, Event<'_>)) {
        for _ in 0..1000 {
            if self.connection.wants_dial(self.now).is_some() {
                self.stream = Some(Scripted::default());
                self.connection.handle_dialing(self.now);
            }
            let Self {
                connection,
                stream,
                buffers,
                now,
                events,
                ..
            } = self;
            connection.turn(stream.as_mut(), buffers, *now, &mut |connection, event| {
                events.push(event.clone().into_owned());
                handler(connection, event);
            });
            if !self.connection.has_stream() {
                let abrupt = self.connection.is_abrupt();
                self.closed
                    .extend(self.stream.take().map(|stream| (stream, abrupt)));
            }
            if !self.connection.is_busy() {
                return;
            }
        }
        panic!("it is never done: {:?}", self.connection);
    }

    fn turn(&mut self) {
        self.turn_with(|_, _| {});
    }

    /// The stream may be read and written, and the client sees to it.
    fn edge(&mut self) {
        self.connection.note(true, true, false);
        self.turn();
    }

    /// The server says something, and the client hears it.
    fn server(&mut self, bytes: &[u8]) {
        self.stream().reads.push_back(Ok(bytes.to_vec()));
        self.edge();
    }

    /// The stream has ended or broken.
    fn end(&mut self, how: Result<(), io::ErrorKind>) {
        self.stream().reads.push_back(how.map(|()| Vec::new()));
        self.connection.note(true, true, true);
        self.turn();
    }

    fn wait(&mut self, duration: Duration) {
        self.now += duration;
        self.turn();
    }

    fn stream(&mut self) -> &mut Scripted {
        self.stream.as_mut().unwrap()
    }

    fn written(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.stream().written)).unwrap()
    }

    fn take_events(&mut self) -> Vec<Event<'static>> {
        std::mem::take(&mut self.events)
    }
}

fn said(name: &'static str, words: &'static str) -> Event<'static> {
    Event::Message(Message::Said {
        name: name.into(),
        words: words.into(),
    })
}

fn closed(why: Why, unsent: usize) -> Event<'static> {
    Event::Closed { why, unsent }
}

fn again() -> Options {
    Options {
        reconnect: Some(Reconnect {
            delay_min: Duration::from_secs(1),
            delay_max: Duration::from_secs(1),
            failures_max: Some(3),
            seed: 1,
        }),
        ..Options::default()
    }
}

#[test]
fn says_its_name_and_words_and_hears_others() {
    let mut talk = Talk::new(Dialect::Wire, Options::default());
    talk.connection.set_name("ann").unwrap();
    assert_eq!(talk.connection.send("hi"), Ok(0));
    talk.turn();
    talk.edge();
    assert_eq!(talk.written(), "NAME YW5u\nCHAT YW5u aGk=\n");
    talk.server(b"NAME YW5u\nCHAT Ym9i aGVsbG8=\r\nCHAT Ym9i L21lIHdhdmVz\nPONG x\nFAIL bm8=\n");
    assert_eq!(
        talk.take_events(),
        [
            Event::Connected,
            Event::Written(0),
            Event::Message(Message::Named("ann".into())),
            said("bob", "hello"),
            Event::Message(Message::Did {
                name: "bob".into(),
                words: "waves".into()
            }),
            Event::Message(Message::Pong("x".into())),
            Event::Message(Message::Refused("no".into())),
        ]
    );
    assert_eq!(talk.connection.name(), "ann");
    let counters = talk.connection.counters();
    assert_eq!(
        (counters.accepted, counters.written, counters.heard),
        (1, 1, 2)
    );
}

#[test]
fn any_cutting_is_heard_and_written_the_same() {
    let input = b"CHAT Ym9i aGVsbG8=\nrubbish\n\nCHAT Ym9i aGVsbG8=\n";
    for packet in 1..=input.len() {
        let mut talk = Talk::connected(Options::default());
        for bytes in input.chunks(packet) {
            talk.server(bytes);
        }
        assert_eq!(
            talk.take_events(),
            [
                said("bob", "hello"),
                Event::Message(Message::Unknown("rubbish".into())),
                said("bob", "hello")
            ],
            "in packets of {packet}"
        );
        talk.stream().writes = std::iter::repeat_n([Ok(packet), Err(WouldBlock)], 40)
            .flatten()
            .collect();
        talk.connection.send("hi").unwrap();
        talk.connection.send("there").unwrap();
        for _ in 0..40 {
            talk.edge();
        }
        assert_eq!(talk.written(), "CHAT  aGk=\nCHAT  dGhlcmU=\n");
        assert_eq!(talk.take_events(), [Event::Written(0), Event::Written(1)]);
    }
}

#[test]
fn at_most_a_hundred_messages_wait() {
    let options = Options {
        keep_max: 2,
        ..Options::default()
    };
    let mut talk = Talk::connected(options);
    talk.stream().writes.push_back(Err(WouldBlock));
    for number in 0..WAITING_MAX as u64 {
        assert_eq!(talk.connection.send("x"), Ok(number));
    }
    for words in ["a", "b", "c"] {
        assert_eq!(talk.connection.send(words), Err(SendError::Dropped));
    }
    talk.turn();
    assert_eq!(talk.connection.waiting(), WAITING_MAX);
    assert_eq!(talk.connection.dropped().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(talk.connection.counters().dropped, 3);
    talk.edge();
    assert_eq!(talk.connection.waiting(), 0);
    assert_eq!(talk.connection.send("d"), Ok(WAITING_MAX as u64));
    talk.turn();
    assert_eq!(talk.connection.sent().collect::<Vec<_>>(), ["x", "d"]);
}

#[test]
fn what_is_no_message_is_not_accepted() {
    let mut talk = Talk::connected(Options::default());
    let connection = &mut talk.connection;
    assert_eq!(connection.send(""), Err(SendError::Empty));
    assert_eq!(connection.send("a\nb"), Err(SendError::SeveralLines));
    assert_eq!(connection.set_name("a\r"), Err(SendError::SeveralLines));
    assert_eq!(connection.send(&"x".repeat(4097)), Err(SendError::TooLong));
    assert_eq!(connection.send(&"x".repeat(4096)), Ok(0));
    assert_eq!(connection.ping("a b"), Err(SendError::WrongDialect));
    connection.close();
    assert_eq!(connection.send("x"), Err(SendError::Closed));
}

#[test]
fn received_messages_are_kept_in_number() {
    let options = Options {
        keep_max: 2,
        ..Options::default()
    };
    let mut talk = Talk::connected(options);
    talk.server(b"CHAT YQ== MQ==\nCHAT YQ== Mg==\nCHAT YQ== Mw==\n");
    let received: Vec<_> = talk.connection.received().cloned().collect();
    let expected: Vec<_> = talk.take_events()[1..]
        .iter()
        .map(|event| match event {
            Event::Message(message) => message.clone(),
            event => panic!("{event:?}"),
        })
        .collect();
    assert_eq!(received, expected);
}

#[test]
fn closing_asks_the_server_to_close_and_hears_nothing_more() {
    let mut talk = Talk::connected(Options::default());
    talk.connection.send("hi").unwrap();
    talk.connection.close();
    talk.connection.close();
    talk.turn();
    assert_eq!(talk.written(), "CHAT  aGk=\nQUIT\n");
    talk.server(b"CHAT Ym9i aGVsbG8=\n");
    talk.end(Ok(()));
    assert_eq!(
        talk.take_events(),
        [Event::Written(0), closed(Why::Left, 0)]
    );
    assert_eq!(talk.connection.closed(), Some(Why::Left));
    let (_, abrupt) = talk.closed.pop().unwrap();
    assert!(!abrupt);
    talk.connection.close();
    talk.connection.leave(Leave::Reset);
    talk.turn();
    assert!(talk.take_events().is_empty());
}

#[test]
fn closing_from_inside_the_handler_ends_hearing_there() {
    let mut talk = Talk::connected(Options::default());
    let lines = b"CHAT Ym9i MQ==\nCHAT Ym9i Mg==\n".to_vec();
    talk.stream().reads.push_back(Ok(lines));
    talk.connection.note(true, false, false);
    talk.turn_with(|connection, _| connection.close());
    assert_eq!(talk.take_events(), [said("bob", "1")]);
    assert_eq!(talk.written(), "QUIT\n");
    talk.end(Ok(()));
    assert_eq!(talk.take_events(), [closed(Why::Left, 0)]);
}

#[test]
fn closing_before_the_connection_stands() {
    let mut talk = Talk::new(Dialect::Wire, Options::default());
    talk.connection.close();
    talk.turn();
    assert_eq!(talk.take_events(), [closed(Why::Left, 0)]);

    let mut talk = Talk::new(Dialect::Wire, Options::default());
    talk.turn();
    talk.connection.close();
    talk.turn();
    assert_eq!(talk.take_events(), [closed(Why::Left, 0)]);
    assert_eq!(talk.closed.len(), 1, "its socket is closed");

    // With something to say it still connects.
    let mut talk = Talk::new(Dialect::Wire, Options::default());
    talk.connection.send("hi").unwrap();
    talk.connection.close();
    talk.turn();
    talk.edge();
    assert_eq!(talk.written(), "CHAT  aGk=\nQUIT\n");
    talk.end(Ok(()));
    assert_eq!(
        talk.take_events(),
        [Event::Connected, Event::Written(0), closed(Why::Left, 0)]
    );
}

#[test]
fn what_cannot_be_flushed_in_time_is_reported() {
    let options = Options {
        keep_max: 10,
        ..Options::default()
    };
    let mut talk = Talk::connected(options);
    talk.stream().writes.extend([Ok(12), Err(WouldBlock)]);
    for words in ["a", "b", "c"] {
        talk.connection.send(words).unwrap();
    }
    talk.connection.close();
    talk.turn();
    talk.wait(Duration::from_millis(4999));
    assert_eq!(talk.take_events(), [Event::Written(0)]);
    assert_eq!(
        talk.connection.deadline(),
        Some(talk.now + Duration::from_millis(1))
    );
    talk.wait(Duration::from_millis(1));
    assert_eq!(talk.take_events(), [closed(Why::Overdue, 2)]);
    assert_eq!(talk.connection.dropped().collect::<Vec<_>>(), ["b", "c"]);
    let (_, abrupt) = talk.closed.pop().unwrap();
    assert!(abrupt);
    let counters = talk.connection.counters();
    assert_eq!(
        (counters.accepted, counters.written, counters.unsent),
        (3, 1, 2)
    );
}

#[test]
fn a_server_that_does_not_close_is_left_when_the_time_is_up() {
    let mut talk = Talk::connected(Options::default());
    talk.connection.close();
    talk.turn();
    talk.wait(Duration::from_secs(5));
    assert_eq!(talk.take_events(), [closed(Why::Left, 0)]);
}

#[test]
fn half_closing_ends_the_stream_behind_what_waits() {
    let mut talk = Talk::connected(Options::default());
    talk.stream().writes.push_back(Err(WouldBlock));
    talk.connection.send("hi").unwrap();
    talk.connection.leave(Leave::HalfClose);
    talk.turn();
    assert!(!talk.stream().finished);
    talk.edge();
    assert!(talk.stream().finished);
    assert_eq!(talk.written(), "CHAT  aGk=\n");
    talk.end(Ok(()));
    assert_eq!(
        talk.take_events(),
        [Event::Written(0), closed(Why::Left, 0)]
    );
}

#[test]
fn a_reset_cuts_short_whatever_was_begun() {
    for first in [None, Some(Leave::Quit), Some(Leave::HalfClose)] {
        let mut talk = Talk::connected(Options::default());
        talk.stream().writes.push_back(Err(WouldBlock));
        talk.connection.send("hi").unwrap();
        if let Some(first) = first {
            talk.connection.leave(first);
            talk.turn();
        }
        talk.connection.leave(Leave::Reset);
        talk.turn();
        assert_eq!(talk.take_events(), [closed(Why::Left, 1)]);
        let (stream, abrupt) = talk.closed.pop().unwrap();
        assert!(abrupt && stream.written.is_empty());
    }
}

#[test]
fn a_server_that_vanishes_is_told_of_once() {
    let mut talk = Talk::connected(Options::default());
    talk.server(b"CHAT Ym9i aGVsb");
    talk.end(Ok(()));
    assert_eq!(talk.take_events(), [closed(Why::Ended, 0)]);
    assert_eq!(talk.connection.counters().cut_off, 1);

    let mut talk = Talk::connected(Options::default());
    talk.end(Err(ConnectionReset));
    assert_eq!(
        talk.take_events(),
        [closed(Why::Broken(ConnectionReset), 0)]
    );
}

#[test]
fn last_words_are_heard_though_nothing_can_be_written() {
    let mut talk = Talk::connected(Options::default());
    talk.stream().writes.push_back(Err(BrokenPipe));
    talk.stream()
        .reads
        .extend([Ok(b"FAIL bm8=\n".to_vec()), Err(ConnectionReset)]);
    talk.connection.send("hi").unwrap();
    talk.turn();
    assert_eq!(
        talk.take_events(),
        [
            Event::Message(Message::Refused("no".into())),
            closed(Why::Broken(ConnectionReset), 1)
        ]
    );
}

#[test]
fn a_dead_write_side_ends_a_client_that_hears_nothing() {
    let mut talk = Talk::connected(Options::default());
    talk.stream().writes.push_back(Err(BrokenPipe));
    talk.connection.send("hi").unwrap();
    talk.turn();
    assert_eq!(talk.take_events(), [closed(Why::Broken(BrokenPipe), 1)]);
}

#[test]
fn endless_bytes_without_a_line_end_are_bounded() {
    let mut talk = Talk::connected(Options::default());
    for _ in 0..1000 {
        talk.server(&[b'x'; 64]);
    }
    assert!(talk.take_events().is_empty());
    talk.server(b"\nCHAT Ym9i aGVsbG8=\n");
    assert_eq!(
        talk.take_events(),
        [
            Event::Message(Message::TooLong(64_000)),
            said("bob", "hello")
        ]
    );
    assert_eq!(talk.connection.counters().too_long, 1);
}

#[test]
fn words_that_cleaning_has_lengthened_are_heard() {
    use crate::dialect::event;
    use crate::name::Name;

    // What the server makes of the longest words that are no UTF-8.
    let words = "\u{fffd}".repeat(Options::default().words_bytes_max);
    let name = "n".repeat(24);
    let event = event::Event::Did {
        name: &Name::parse(&name).unwrap(),
        words: &words,
    };
    for dialect in Dialect::ALL {
        let mut talk = Talk::new(dialect, Options::default());
        talk.turn();
        let mut line = Vec::new();
        dialect.encode_event(&event, &mut line);
        talk.server(&line);
        let did = Event::Message(Message::Did {
            name: name.clone().into(),
            words: words.clone().into(),
        });
        assert_eq!(talk.take_events(), [Event::Connected, did], "{dialect}");
    }
}

#[test]
fn who_reads_nothing_hears_later() {
    let mut talk = Talk::connected(Options::default());
    talk.connection.pause_reading();
    talk.server(b"CHAT Ym9i aGVsbG8=\n");
    talk.end(Ok(()));
    assert!(talk.take_events().is_empty());
    talk.connection.resume_reading();
    talk.turn();
    assert_eq!(
        talk.take_events(),
        [said("bob", "hello"), closed(Why::Ended, 0)]
    );
}

#[test]
fn who_reads_nothing_sees_a_reset_and_can_leave() {
    let mut talk = Talk::connected(Options::default());
    talk.connection.pause_reading();
    talk.stream().error = Some(ConnectionReset);
    talk.connection.note(false, false, true);
    talk.turn();
    assert_eq!(
        talk.take_events(),
        [closed(Why::Broken(ConnectionReset), 0)]
    );

    let mut talk = Talk::connected(Options::default());
    talk.connection.pause_reading();
    talk.server(b"CHAT Ym9i aGVsbG8=\n");
    talk.connection.close();
    talk.end(Ok(()));
    assert_eq!(talk.take_events(), [closed(Why::Left, 0)]);
}

#[test]
fn an_unreachable_server_is_told_of() {
    let mut talk = Talk::new(Dialect::Wire, Options::default());
    talk.connection.send("hi").unwrap();
    talk.turn();
    talk.stream().refuses = Some(ConnectionRefused);
    talk.edge();
    let refused = Why::Unreachable(ConnectionRefused);
    assert_eq!(talk.take_events(), [closed(refused, 1)]);

    let mut talk = Talk::new(Dialect::Wire, Options::default());
    talk.turn();
    talk.wait(Duration::from_secs(10));
    assert_eq!(talk.take_events(), [closed(Why::Unreachable(TimedOut), 0)]);
}

#[test]
fn every_address_is_tried() {
    let addresses = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let target = Target {
        dialect: Dialect::Wire,
        addresses: addresses.into(),
    };
    let mut talk = Talk::new(Dialect::Wire, Options::default());
    talk.connection = Connection::new(ClientId::any(), &target, Options::default());
    assert_eq!(talk.connection.wants_dial(talk.now), Some(addresses[0]));
    talk.turn();
    talk.stream().refuses = Some(ConnectionRefused);
    talk.connection.note(true, true, true);
    let Talk {
        connection,
        stream,
        buffers,
        now,
        ..
    } = &mut talk;
    connection.turn(stream.as_mut(), buffers, *now, &mut |_, event| {
        panic!("{event:?}")
    });
    assert_eq!(talk.connection.wants_dial(talk.now), Some(addresses[1]));
    talk.turn();
    talk.edge();
    assert_eq!(talk.take_events(), [Event::Connected]);
}

#[test]
fn a_lost_connection_is_dialled_again_with_the_name_and_what_was_not_written() {
    let mut talk = Talk::connected(again());
    talk.connection.set_name("ann").unwrap();
    talk.connection.send("1").unwrap();
    talk.turn();
    assert_eq!(talk.written(), "NAME YW5u\nCHAT YW5u MQ==\n");
    talk.stream().writes.extend([Ok(5), Err(WouldBlock)]);
    talk.connection.send("2").unwrap();
    talk.connection.ping("token").unwrap();
    talk.turn();
    talk.end(Err(ConnectionReset));
    let events = talk.take_events();
    let [Event::Written(0), Event::Interrupted { why, retry_in }] = events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(why, Why::Broken(ConnectionReset));
    assert!((500..=1000).contains(&retry_in.as_millis()), "{retry_in:?}");
    assert_eq!(talk.connection.deadline(), Some(talk.now + retry_in));
    talk.connection.send("3").unwrap();
    talk.wait(retry_in);
    talk.edge();
    assert_eq!(
        talk.written(),
        "NAME YW5u\nCHAT YW5u Mg==\nCHAT YW5u Mw==\n"
    );
    assert_eq!(
        talk.take_events(),
        [Event::Connected, Event::Written(1), Event::Written(2)]
    );
    assert_eq!(talk.connection.counters().connects, 2);
}

#[test]
fn a_name_is_asked_for_once_however_often_dialling_fails() {
    let mut options = again();
    options.reconnect = options.reconnect.map(|reconnect| Reconnect {
        failures_max: None,
        ..reconnect
    });
    let mut talk = Talk::connected(options);
    talk.connection.set_name("ann").unwrap();
    talk.turn();
    assert_eq!(talk.written(), "NAME YW5u\n");
    talk.end(Ok(()));
    for _ in 0..2 * WAITING_MAX {
        talk.wait(Duration::from_secs(1));
        talk.stream().refuses = Some(ConnectionRefused);
        talk.edge();
    }
    assert_eq!(talk.connection.ping("token"), Ok(()));
    talk.wait(Duration::from_secs(1));
    talk.edge();
    assert_eq!(talk.written(), "NAME YW5u\nPING token\n");
}

#[test]
fn it_gives_up_after_so_many_failures() {
    let mut talk = Talk::new(Dialect::Wire, again());
    talk.connection.send("hi").unwrap();
    for _ in 0..3 {
        talk.wait(Duration::from_secs(1));
        talk.stream().refuses = Some(ConnectionRefused);
        talk.edge();
    }
    let why = Why::Unreachable(ConnectionRefused);
    let events = talk.take_events();
    assert_eq!(events.len(), 3);
    assert_eq!(events[2], closed(why, 1));
    assert!(events[..2]
        .iter()
        .all(|event| matches!(event, Event::Interrupted { why: told, .. } if *told == why)));
}

#[test]
fn who_leaves_while_it_waits_to_dial_again_is_closed_or_still_gets_its_words_out() {
    let mut talk = Talk::connected(again());
    talk.end(Ok(()));
    talk.take_events();
    talk.connection.close();
    talk.turn();
    assert_eq!(talk.take_events(), [closed(Why::Left, 0)]);

    let mut talk = Talk::connected(again());
    talk.end(Ok(()));
    talk.take_events();
    talk.connection.send("hi").unwrap();
    talk.connection.close();
    talk.wait(Duration::from_secs(1));
    talk.edge();
    assert_eq!(talk.written(), "CHAT  aGk=\nQUIT\n");

    let mut talk = Talk::connected(again());
    talk.end(Ok(()));
    talk.connection.send("hi").unwrap();
    talk.connection.close();
    talk.turn();
    talk.take_events();
    talk.now += Duration::from_secs(5);
    talk.turn();
    assert_eq!(talk.take_events(), [closed(Why::Overdue, 1)]);
}

#[test]
fn people_are_heard_too() {
    let mut talk = Talk::new(Dialect::Telnet, Options::default());
    talk.connection.set_name("ann").unwrap();
    talk.connection.send("/etc is a path").unwrap();
    talk.connection.send("/me waves").unwrap();
    talk.connection.close();
    talk.turn();
    talk.edge();
    assert_eq!(
        talk.written(),
        "/name ann\r\n//etc is a path\r\n/me waves\r\n/quit\r\n"
    );
    let mut talk = Talk::new(Dialect::Telnet, Options::default());
    talk.turn();
    talk.server("-- you are ann\r\n<bob> hello\r\n* bob waves\r\n\u{7}\r\n".as_bytes());
    assert_eq!(
        talk.take_events()[1..],
        [
            Event::Message(Message::Named("ann".into())),
            said("bob", "hello"),
            Event::Message(Message::Did {
                name: "bob".into(),
                words: "waves".into()
            }),
            Event::Message(Message::Unknown("\u{7}".into())),
        ]
    );
}
