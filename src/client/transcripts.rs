//! Clients against scripted streams: what they write and tell, whatever the stream does and in which pieces.

mod bounds;
mod closing;
mod dialling;
mod losing;
mod rooms;

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::drive::Buffers;
use crate::client::{
    ClientId, Connection, Event, Leave, Message, Options, Reason, Reconnect, Refusal, Request,
    SendError, Target, Why, WAITING_MAX,
};
use crate::dialect::Dialect;
use crate::stream::{Edge, Read, Socket, Write};

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

impl Scripted {
    fn read_once(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reads.pop_front().unwrap_or(Err(WouldBlock))?;
        let taken = bytes.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&bytes[..taken]);
        if taken < bytes.len() {
            self.reads.push_front(Ok(bytes[taken..].to_vec()));
        }
        Ok(taken)
    }

    fn write_once(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let taken = match self.writes.pop_front() {
            Some(most) => most?.min(bytes.len()),
            None => bytes.len(),
        };
        self.written.extend(&bytes[..taken]);
        Ok(taken)
    }
}

impl Socket for Scripted {
    fn connected(&mut self) -> io::Result<bool> {
        self.refuses.map_or(Ok(true), |kind| Err(kind.into()))
    }

    fn local_address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::from(([127, 0, 0, 1], 1000)))
    }

    fn read(&mut self, buffer: &mut [u8]) -> Read {
        Read::by(|| self.read_once(buffer))
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> Write {
        Write::by(|| self.write_once(slices))
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn take_error(&mut self) -> Option<io::ErrorKind> {
        self.error.take()
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
        self.note(false);
        self.turn();
    }

    /// An event says that the stream may be read and written, and perhaps that it has ended.
    fn note(&mut self, closed: bool) {
        self.connection.note(Edge {
            readable: true,
            writable: true,
            closed,
            urgent: false,
        });
    }

    /// The server says something, and the client hears it.
    fn server(&mut self, bytes: &[u8]) {
        self.stream().reads.push_back(Ok(bytes.to_vec()));
        self.edge();
    }

    /// The stream has ended or broken.
    fn end(&mut self, how: Result<(), io::ErrorKind>) {
        self.stream().reads.push_back(how.map(|()| Vec::new()));
        self.note(true);
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
    let second = Duration::from_secs(1);
    let reconnect = Reconnect::default().delays(second, second);
    Options::default().reconnect(reconnect.failures_max(3).seed(1))
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
            Event::Message(Message::Refused(Refusal::new("no"))),
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
    for dialect in Dialect::OF_CLIENTS {
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
fn a_refusal_comes_with_the_request_that_it_answers() {
    let refused = |events: Vec<Event<'static>>| {
        let mut requests = Vec::new();
        for event in events {
            if let Event::Message(Message::Refused(refusal)) = event {
                requests.push(refusal.request);
            }
        }
        requests
    };
    let mut talk = Talk::new(Dialect::Telnet, again());
    talk.connection.set_name("ann").unwrap();
    talk.connection.tell("bob", "psst").unwrap();
    talk.connection.tell("eve", "/quit").unwrap();
    talk.turn();
    talk.edge();
    assert_eq!(
        talk.written(),
        "/name ann\r\n/msg bob psst\r\n/msg eve /quit\r\n"
    );
    talk.server(b"!! ann is taken\r\n[to bob] psst\r\n!! nobody here is called eve\r\n");
    assert_eq!(
        refused(talk.take_events()),
        [
            Request::Name("ann".into()),
            Request::Private {
                number: 1,
                to: "eve".into()
            }
        ]
    );

    // Another connection does not answer for what was asked on the first one.
    talk.end(Ok(()));
    talk.wait(Duration::from_secs(1));
    talk.edge();
    talk.server(b"!! ann is taken\r\n!! nobody here is called eve\r\n");
    assert_eq!(
        refused(talk.take_events()),
        [Request::Name("ann".into()), Request::Unknown]
    );
}

#[test]
fn a_new_connection_asks_for_what_the_last_one_had() {
    let mut talk = Talk::new(Dialect::Wire, again());
    talk.connection.set_name("ann").unwrap();
    talk.connection.watch(true).unwrap();
    talk.turn();
    talk.edge();
    assert_eq!(talk.written(), "NAME YW5u\nWATCH on\n");
    let redial = |talk: &mut Talk| {
        talk.end(Ok(()));
        talk.connection.send("hi").unwrap();
        talk.wait(Duration::from_secs(1));
        talk.edge();
        talk.written()
    };
    assert_eq!(redial(&mut talk), "NAME YW5u\nWATCH on\nCHAT YW5u aGk=\n");
    talk.connection.watch(false).unwrap();
    talk.edge();
    assert_eq!(talk.written(), "WATCH off\n");
    assert_eq!(redial(&mut talk), "NAME YW5u\nCHAT YW5u aGk=\n");
}

#[test]
fn what_an_old_server_does_not_know_is_told_apart() {
    let mut talk = Talk::connected(Options::default());
    talk.connection.watch(true).unwrap();
    talk.connection.who().unwrap();
    talk.turn();
    assert_eq!(talk.written(), "WATCH on\nWHO\n");
    talk.server(b"FAIL bm8gc3VjaCBjb21tYW5kOiB4\nFAIL eA== unknown\n");
    let requests = talk.take_events().into_iter().map(|event| match event {
        Event::Message(Message::Refused(refusal)) => (refusal.reason, refusal.request),
        event => panic!("{event:?}"),
    });
    let reason = Reason::UnknownRequest;
    assert_eq!(
        requests.collect::<Vec<_>>(),
        [(reason, Request::Watch(true)), (reason, Request::Who)]
    );
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
