//! The client library against the real server, and against servers that do what no server should.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines of tests are real time"
)]

mod in_process;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use chatd::client::{
    Client, ClientId, Clients, Connection, Dialect, Event, Leave, Message, Options, Reason,
    Reconnect, Refusal, Request, SendError, Target, Why, WAITING_MAX,
};
use socket2::{Domain, SockRef, Socket, Type};

use in_process::{InProcess, DEADLINE};

/// Polls until `done` is true of what happened; gives all of it.
#[track_caller]
fn until(
    client: &mut Client,
    mut done: impl FnMut(&[Event<'static>]) -> bool,
) -> Vec<Event<'static>> {
    let give_up_at = Instant::now() + DEADLINE;
    let mut events = Vec::new();
    while !done(&events) {
        let left = give_up_at.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "never came true; happened: {events:?}");
        events.extend(client.poll(Some(left)).unwrap());
    }
    events
}

/// The first refusal that comes.
#[track_caller]
fn until_refused(client: &mut Client) -> Refusal<'static> {
    let mut refusals = Vec::new();
    until(client, |events| {
        refusals = events.iter().filter_map(refusal).cloned().collect();
        !refusals.is_empty()
    });
    refusals.remove(0)
}

fn refusal<'a>(event: &'a Event<'static>) -> Option<&'a Refusal<'static>> {
    match event {
        Event::Message(Message::Refused(refusal)) => Some(refusal),
        _ => None,
    }
}

#[track_caller]
fn until_closed(client: &mut Client) -> Vec<Event<'static>> {
    until(client, |events| {
        matches!(events.last(), Some(Event::Closed { .. }))
    })
}

#[track_caller]
fn poll_all_until(
    clients: &mut Clients,
    mut handler: impl FnMut(&mut Connection, Event<'_>),
    mut done: impl FnMut(&Clients) -> bool,
) {
    let give_up_at = Instant::now() + DEADLINE;
    while !done(clients) {
        let left = give_up_at.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "never came true");
        clients.poll_with(Some(left), &mut handler).unwrap();
    }
}

fn said(name: &str, words: &str) -> Event<'static> {
    Event::Message(Message::Said {
        name: name.to_owned().into(),
        words: words.to_owned().into(),
    })
}

fn named(name: &str) -> Event<'static> {
    Event::Message(Message::Named(name.to_owned().into()))
}

fn dial(dialect: Dialect, address: SocketAddr, options: Options) -> Client {
    Client::dial(&format!("{dialect}://{address}"), options).unwrap()
}

/// A client of the real server that has its name.
fn join(server: &InProcess, dialect: Dialect, name: &str) -> Client {
    let mut client = dial(dialect, server.address(dialect), Options::default());
    client.set_name(name).unwrap();
    until(&mut client, |events| events.contains(&named(name)));
    client
}

/// The end of a client that has said everything.
const LEFT: Event<'static> = Event::Closed {
    why: Why::Left,
    unsent: 0,
};

mod the_real_server {
    use super::*;

    #[test]
    fn carries_words_between_both_dialects() {
        let server = InProcess::start(&[]);
        let mut ann = join(&server, Dialect::Wire, "ann");
        let mut bob = join(&server, Dialect::Telnet, "bob");
        ann.send("hello").unwrap();
        until(&mut ann, |events| events.contains(&Event::Written(0)));
        until(&mut bob, |events| events.contains(&said("ann", "hello")));
        bob.send("/not a command").unwrap();
        bob.send("/me waves").unwrap();
        until(&mut bob, |events| events.contains(&Event::Written(1)));
        let did = Event::Message(Message::Did {
            name: "bob".into(),
            words: "waves".into(),
        });
        let heard = until(&mut ann, |events| events.contains(&did));
        assert!(heard.contains(&said("bob", "/not a command")));
        for client in [&mut ann, &mut bob] {
            client.close();
            client.close();
            let events = until_closed(client);
            assert_eq!(events.last(), Some(&LEFT));
            assert_eq!(client.poll(None).unwrap().count(), 0, "no event follows");
        }
        let report = server.stop();
        assert_eq!(report.opens, 2);
        let quits = report
            .closes
            .iter()
            .map(|(reason, count)| (reason.as_str(), *count));
        assert_eq!(quits.collect::<Vec<_>>(), [("quit", 2)]);
    }

    #[test]
    fn says_why_it_refuses_a_name() {
        let server = InProcess::start(&[]);
        let _ann = join(&server, Dialect::Wire, "ann");
        for dialect in Dialect::ALL {
            let mut other = dial(dialect, server.address(dialect), Options::default());
            other.set_name("ANN").unwrap();
            let refusal = until_refused(&mut other);
            assert_eq!(refusal.words, "ANN is taken");
            assert_eq!(refusal.reason, Reason::NameTaken);
            assert_eq!(refusal.request, Request::Name("ANN".into()));
        }
    }

    #[test]
    fn says_which_words_it_refuses() {
        let server = InProcess::start(&["line-bytes-max=64"]);
        for dialect in Dialect::ALL {
            let mut ann = join(&server, dialect, "ann");
            let long = "x".repeat(100);
            for words in ["hello", "/me", "again", &long, "the end"] {
                ann.send(words).unwrap();
            }
            let mut answers = Vec::new();
            until(&mut ann, |events| {
                let answer = |refusal: &Refusal<'_>| (refusal.reason, refusal.request.clone());
                answers = events.iter().filter_map(refusal).map(answer).collect();
                answers.len() == 2
            });
            let expected = [
                (Reason::NoText, Request::Words(1)),
                (Reason::TooLong, Request::Words(3)),
            ];
            assert_eq!(answers, expected, "{dialect}");
            ann.close();
            until_closed(&mut ann);
        }
    }

    #[test]
    fn carries_private_messages() {
        let server = InProcess::start(&[]);
        let mut ann = join(&server, Dialect::Telnet, "ann");
        let mut bob = join(&server, Dialect::Telnet, "bob");
        assert_eq!(ann.tell("bob", "/quit"), Ok(0));
        until(&mut ann, |events| events.contains(&Event::Written(0)));
        let told = Event::Message(Message::Told {
            name: "ann".into(),
            words: "/quit".into(),
        });
        until(&mut bob, |events| events.contains(&told));
        assert_eq!(ann.tell("eve", "psst"), Ok(1));
        let refusal = until_refused(&mut ann);
        assert_eq!(refusal.reason, Reason::Nobody);
        assert!(matches!(refusal.request, Request::Private { .. }));
        assert_eq!(ann.tell("bob eve", "x"), Err(SendError::MalformedName));
        assert_eq!(ann.tell("bob\n", "x"), Err(SendError::SeveralLines));
        let mut program = join(&server, Dialect::Wire, "program");
        assert_eq!(program.tell("ann", "psst"), Err(SendError::WrongDialect));
    }

    #[test]
    fn tells_people_who_comes_and_goes() {
        let server = InProcess::start(&[]);
        let mut ann = join(&server, Dialect::Telnet, "ann");
        let mut bob = join(&server, Dialect::Wire, "bob");
        bob.set_name("rob").unwrap();
        until(&mut bob, |events| events.contains(&named("rob")));
        bob.close();
        until_closed(&mut bob);
        let presence = [
            Message::Joined {
                name: "bob".into(),
                here: 2,
            },
            Message::Renamed {
                from: "bob".into(),
                to: "rob".into(),
            },
            Message::Left {
                name: "rob".into(),
                words: "".into(),
                here: 1,
            },
        ];
        let presence = presence.map(Event::Message);
        until(&mut ann, |events| events.ends_with(&presence));
    }

    #[test]
    fn answers_a_ping_behind_all_that_was_said() {
        let server = InProcess::start(&[]);
        let mut ann = join(&server, Dialect::Wire, "ann");
        ann.connection_mut().ping("t1").unwrap();
        let pong = Event::Message(Message::Pong("t1".into()));
        until(&mut ann, |events| events.contains(&pong));
    }

    #[test]
    fn sees_each_way_to_leave() {
        let server = InProcess::start(&[]);
        for how in [Leave::Quit, Leave::HalfClose, Leave::Reset] {
            let mut client = join(&server, Dialect::Wire, &format!("{how:?}"));
            client.connection_mut().leave(how);
            let events = until_closed(&mut client);
            assert_eq!(events, [LEFT], "{how:?}");
        }
        let report = server.stop();
        let closes = report
            .closes
            .iter()
            .map(|(reason, count)| (reason.as_str(), *count));
        assert_eq!(
            closes.collect::<Vec<_>>(),
            [("quit", 1), ("eof", 1), ("reset", 1)]
        );
    }

    #[test]
    fn tells_its_clients_that_it_goes_down() {
        let server = InProcess::start(&[]);
        let mut ann = join(&server, Dialect::Wire, "ann");
        let waiter = thread::spawn(move || until_closed(&mut ann));
        server.stop();
        let events = waiter.join().unwrap();
        assert_eq!(
            events,
            [
                Event::Message(Message::Goodbye("goodbye: the server is going down".into())),
                Event::Closed {
                    why: Why::Ended,
                    unsent: 0
                }
            ]
        );
    }

    /// Many on one poll: each hears everybody else once, in one order for all of a dialect.
    #[test]
    fn serves_many_clients_of_one_poll() {
        const CLIENTS: usize = 60;
        const EACH: usize = 3;
        let server = InProcess::start(&[]);
        let mut clients = Clients::new().unwrap();
        let ids: Vec<ClientId> = (0..CLIENTS)
            .map(|index| {
                let dialect = Dialect::ALL[index % 2];
                let target = Target::new(dialect, server.address(dialect));
                clients.dial(&target, Options::default())
            })
            .collect();
        for id in &ids {
            let connection = clients.connection_mut(*id).unwrap();
            connection.set_name(&format!("n{}", id.index())).unwrap();
        }
        let all_named = |clients: &Clients| clients.iter().all(|one| !one.name().is_empty());
        poll_all_until(&mut clients, |_, _| {}, all_named);
        for round in 0..EACH {
            for id in &ids {
                let connection = clients.connection_mut(*id).unwrap();
                connection.send(&format!("{round}")).unwrap();
            }
        }
        let mut heard = vec![Vec::new(); CLIENTS];
        poll_all_until(
            &mut clients,
            |connection, event| {
                if let Event::Message(Message::Said { name, words }) = event {
                    heard[connection.id().index()].push((name.to_string(), words.to_string()));
                }
            },
            |clients| {
                let due = (CLIENTS - 1) * EACH;
                clients.iter().all(|one| one.counters().heard == due as u64)
            },
        );
        let everything = |of: usize| {
            let mut all: Vec<_> = heard[of].clone();
            all.sort();
            all
        };
        for of in 0..CLIENTS {
            let mut due: Vec<_> = (0..CLIENTS)
                .filter(|other| *other != of)
                .flat_map(|other| {
                    (0..EACH).map(move |round| (format!("n{other}"), round.to_string()))
                })
                .collect();
            due.sort();
            assert_eq!(everything(of), due);
            // In one order: what the first one heard, but for what either said itself.
            let without = |heard: &[(String, String)]| {
                let own = [format!("n{of}"), "n0".to_owned()];
                let others = heard.iter().filter(|(name, _)| !own.contains(name));
                others.cloned().collect::<Vec<_>>()
            };
            assert_eq!(without(&heard[of]), without(&heard[0]));
        }
        for id in &ids {
            clients.connection_mut(*id).unwrap().close();
        }
        let mut closed = 0;
        poll_all_until(
            &mut clients,
            |_, event| closed += usize::from(event == LEFT),
            |clients| clients.open() == 0,
        );
        assert_eq!(closed, CLIENTS);
        for id in ids {
            assert!(clients.remove(id).is_some());
            assert!(clients.remove(id).is_none() && clients.connection(id).is_none());
        }
        assert!(clients.is_empty());
        let report = server.stop();
        assert_eq!(report.opens, CLIENTS as u64);
        assert_eq!(report.census, chatd::server::Census::default());
    }

    #[test]
    fn closes_one_that_reads_nothing_and_that_is_seen() {
        let server = InProcess::start(&[
            "queue-bytes-max=64k",
            "send-buffer-bytes=4k",
            "drain-seconds=0.1",
            "lines-per-second=0",
        ]);
        let options = Options::default().receive_buffer_bytes(4096);
        let mut deaf = dial(Dialect::Wire, server.address(Dialect::Wire), options);
        until(&mut deaf, |events| events.contains(&Event::Connected));
        deaf.connection_mut().pause_reading();
        let mut ann = join(&server, Dialect::Wire, "ann");
        let give_up_at = Instant::now() + DEADLINE;
        let words = "x".repeat(4000);
        while !deaf.is_closed() {
            assert!(Instant::now() < give_up_at);
            let _ = ann.send(&words);
            ann.poll(Some(Duration::from_millis(1))).unwrap();
            deaf.poll(Some(Duration::ZERO)).unwrap();
        }
        assert_eq!(
            deaf.connection().closed(),
            Some(Why::Broken(ErrorKind::ConnectionReset))
        );
        assert_eq!(deaf.connection().counters().heard, 0);
    }
}

mod nasty_servers {
    use super::*;

    /// A server in a thread that does this with each connection, as long as it likes, one after the other.
    fn serve(mut with: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                with(stream.unwrap());
            }
        });
        address
    }

    fn reset(stream: &TcpStream) {
        SockRef::from(stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// Reads up to and with the first `end`.
    fn read_to(stream: &mut TcpStream, end: &str) -> String {
        let mut read = Vec::new();
        let mut byte = [0];
        while !read.ends_with(end.as_bytes()) && stream.read(&mut byte).unwrap_or(0) == 1 {
            read.push(byte[0]);
        }
        String::from_utf8(read).unwrap()
    }

    /// A port that is taken, so that nobody else gets it, and refuses connections until it listens.
    fn silent_port() -> (Socket, SocketAddr) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, address)
    }

    fn wire(address: SocketAddr) -> Client {
        dial(Dialect::Wire, address, Options::default())
    }

    fn ended(unsent: usize) -> Event<'static> {
        Event::Closed {
            why: Why::Ended,
            unsent,
        }
    }

    fn broken() -> Event<'static> {
        Event::Closed {
            why: Why::Broken(ErrorKind::ConnectionReset),
            unsent: 0,
        }
    }

    #[test]
    fn refuses() {
        let (_socket, address) = silent_port();
        let mut client = wire(address);
        client.send("hi").unwrap();
        let refused = Event::Closed {
            why: Why::Unreachable(ErrorKind::ConnectionRefused),
            unsent: 1,
        };
        assert_eq!(until_closed(&mut client), [refused]);
    }

    #[test]
    fn has_no_address() {
        for address in ["wire://127.0.0.1", "irc://127.0.0.1:1", "wire://[::1:1"] {
            let error = Client::dial(address, Options::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().starts_with(address), "{error}");
        }
    }

    #[test]
    fn vanishes_before_it_accepts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = wire(listener.local_addr().unwrap());
        until(&mut client, |events| events.contains(&Event::Connected));
        drop(listener);
        assert_eq!(until_closed(&mut client), [broken()]);
    }

    #[test]
    fn vanishes_after_it_accepted() {
        let mut client = wire(serve(drop));
        assert_eq!(until_closed(&mut client), [Event::Connected, ended(0)]);
    }

    #[test]
    fn resets_after_it_accepted() {
        let (sender, receiver) = mpsc::channel();
        let mut client = wire(serve(move |stream| sender.send(stream).unwrap()));
        until(&mut client, |events| events.contains(&Event::Connected));
        let stream = receiver.recv_timeout(DEADLINE).unwrap();
        reset(&stream);
        drop(stream);
        assert_eq!(until_closed(&mut client), [broken()]);
    }

    #[test]
    fn vanishes_in_the_middle_of_a_line() {
        let mut client = wire(serve(|mut stream| {
            stream.write_all(b"CHAT Ym9i aGk=\nCHAT Ym9i aGVs").unwrap();
        }));
        assert_eq!(
            until_closed(&mut client),
            [Event::Connected, said("bob", "hi"), ended(0)]
        );
        assert_eq!(client.connection().counters().cut_off, 1);
    }

    #[test]
    fn vanishes_after_the_name() {
        let (sender, receiver) = mpsc::channel();
        let mut client = wire(serve(move |mut stream| {
            sender.send(read_to(&mut stream, "\n")).unwrap();
        }));
        client.set_name("ann").unwrap();
        assert_eq!(until_closed(&mut client), [Event::Connected, ended(0)]);
        assert_eq!(receiver.recv_timeout(DEADLINE).unwrap(), "NAME YW5u\n");
        assert_eq!(client.connection().name(), "");
    }

    #[test]
    fn vanishes_during_the_close() {
        for how in [Leave::Quit, Leave::HalfClose] {
            let mut client = wire(serve(move |mut stream| {
                let read = read_to(&mut stream, "QUIT\n");
                assert!(read.starts_with("CHAT  aGk=\n"));
                reset(&stream);
            }));
            client.send("hi").unwrap();
            client.connection_mut().leave(how);
            assert_eq!(
                until_closed(&mut client),
                [Event::Connected, Event::Written(0), LEFT],
                "{how:?}"
            );
        }
    }

    #[test]
    fn is_gone_when_the_client_closes() {
        let mut client = wire(serve(drop));
        until_closed(&mut client);
        client.close();
        client.connection_mut().leave(Leave::Reset);
        assert_eq!(client.poll(None).unwrap().count(), 0);
        assert_eq!(client.send("hi"), Err(SendError::Closed));
    }

    #[test]
    fn stalls() {
        let (sender, receiver) = mpsc::channel();
        // It holds the connection and never reads.
        let address = serve(move |stream| sender.send(stream).unwrap());
        let options = Options::default()
            .keep_max(5)
            .drain_max(Duration::from_millis(50));
        let mut client = dial(Dialect::Wire, address, options);
        until(&mut client, |events| events.contains(&Event::Connected));
        let words = "x".repeat(4096);
        let give_up_at = Instant::now() + DEADLINE;
        // The kernels on both sides take some megabytes first.
        let mut written_before = u64::MAX;
        loop {
            assert!(Instant::now() < give_up_at);
            while client.send(&words).is_ok() {}
            client.poll(Some(Duration::ZERO)).unwrap();
            let written = client.connection().counters().written;
            if client.connection().waiting() == WAITING_MAX && written == written_before {
                break;
            }
            written_before = written;
        }
        assert_eq!(client.send("late"), Err(SendError::Dropped));
        assert_eq!(client.connection().dropped().last(), Some("late"));
        client.close();
        let events = until_closed(&mut client);
        let counters = client.connection().counters();
        assert!(counters.unsent > 0);
        assert_eq!(counters.accepted, counters.written + counters.unsent);
        let overdue = Event::Closed {
            why: Why::Overdue,
            unsent: usize::try_from(counters.unsent).unwrap(),
        };
        assert_eq!(events.last(), Some(&overdue));
        assert_eq!(client.connection().dropped().last(), Some(&*words));
        // The server's end was reset, not left with a queue that nobody reads.
        let mut stream = receiver.recv_timeout(DEADLINE).unwrap();
        let error = std::io::copy(&mut stream, &mut std::io::sink()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn talks_rubbish() {
        let mut client = wire(serve(|mut stream| {
            let mut rubbish: Vec<u8> = (0..=255).cycle().take(100_000).collect();
            rubbish.extend(b"\nHTTP/1.1 200 OK\r\nCHAT Ym9i\n\0\nCHAT Ym9i aGk=\n");
            stream.write_all(&rubbish).unwrap();
        }));
        let events = until_closed(&mut client);
        assert_eq!(events[events.len() - 2..], [said("bob", "hi"), ended(0)]);
        let counters = client.connection().counters();
        assert_eq!(counters.heard, 1);
        assert_eq!(counters.unknown, events.len() as u64 - 3);
    }

    #[test]
    fn sends_endless_bytes_without_a_line_end() {
        const BYTES: usize = 8 << 20;
        let mut client = wire(serve(|mut stream| {
            stream.write_all(&vec![b'x'; BYTES]).unwrap();
            stream.write_all(b"\nCHAT Ym9i aGk=\n").unwrap();
        }));
        let too_long = Event::Message(Message::TooLong(BYTES));
        assert_eq!(
            until_closed(&mut client),
            [Event::Connected, too_long, said("bob", "hi"), ended(0)]
        );
    }

    #[test]
    fn comes_back() {
        let (sender, receiver) = mpsc::channel();
        let mut connections = 0;
        let address = serve(move |mut stream| {
            connections += 1;
            let read = read_to(&mut stream, "\n");
            if connections == 3 {
                stream.write_all(b"NAME YW5u\n").unwrap();
                let rest = read_to(&mut stream, "QUIT\n");
                sender.send(read + &rest).unwrap();
            }
        });
        let reconnect =
            Reconnect::default().delays(Duration::from_millis(5), Duration::from_millis(20));
        let options = Options::default().reconnect(reconnect);
        let mut client = dial(Dialect::Wire, address, options);
        client.set_name("ann").unwrap();
        let events = until(&mut client, |events| events.contains(&named("ann")));
        let interrupted = events.iter().filter(|event| match event {
            Event::Interrupted { why, retry_in } => {
                assert_eq!(*why, Why::Ended);
                assert!(*retry_in <= Duration::from_millis(20));
                true
            }
            _ => false,
        });
        assert_eq!(interrupted.count(), 2);
        assert_eq!(client.connection().counters().connects, 3);
        client.close();
        assert_eq!(until_closed(&mut client), [LEFT]);
        assert_eq!(
            receiver.recv_timeout(DEADLINE).unwrap(),
            "NAME YW5u\nQUIT\n"
        );
    }

    #[test]
    fn comes_back_after_it_refused() {
        let (socket, address) = silent_port();
        let reconnect = Reconnect::default()
            .delays(Duration::from_millis(1), Duration::from_millis(10))
            .seed(7);
        let options = Options::default().reconnect(reconnect);
        let mut client = dial(Dialect::Wire, address, options);
        let why = Why::Unreachable(ErrorKind::ConnectionRefused);
        let is_refused = |event: &Event<'_>| matches!(event, Event::Interrupted { why: told, .. } if *told == why);
        until(&mut client, |events| {
            events.iter().filter(|event| is_refused(event)).count() >= 3
        });
        socket.listen(1).unwrap();
        until(&mut client, |events| events.contains(&Event::Connected));
    }
}

mod closing {
    use super::*;

    #[test]
    fn before_the_first_read() {
        let server = InProcess::start(&[]);
        let mut client = dial(
            Dialect::Telnet,
            server.address(Dialect::Telnet),
            Options::default(),
        );
        client.close();
        assert_eq!(until_closed(&mut client), [LEFT]);
    }

    #[test]
    fn from_inside_the_handler_at_each_event() {
        let server = InProcess::start(&["lines-per-second=0"]);
        let mut bob = join(&server, Dialect::Wire, "bob");
        // At the n-th event: connected, written, named, said.
        for nth in 1..=4 {
            let mut client = dial(
                Dialect::Wire,
                server.address(Dialect::Wire),
                Options::default(),
            );
            client.set_name("ann").unwrap();
            client.send("hi").unwrap();
            let mut events = Vec::new();
            let give_up_at = Instant::now() + DEADLINE;
            while !client.is_closed() {
                assert!(Instant::now() < give_up_at, "{events:?}");
                client
                    .poll_with(Some(Duration::from_millis(10)), |connection, event| {
                        events.push(event.into_owned());
                        if events.len() == nth {
                            connection.close();
                            connection.close();
                        }
                    })
                    .unwrap();
                let _ = bob.send("hello");
                bob.poll(Some(Duration::ZERO)).unwrap();
            }
            assert_eq!(events.pop(), Some(LEFT), "at {nth}");
            // What had been said before is written all the same, and nothing more is heard.
            assert!(events.contains(&Event::Written(0)), "at {nth}");
            let heard_late = events
                .iter()
                .skip(nth)
                .find(|event| matches!(event, Event::Message(_)));
            assert_eq!(heard_late, None, "at {nth}: {events:?}");
        }
    }

    #[test]
    fn by_dropping_is_seen_by_the_server() {
        let server = InProcess::start(&["lines-per-second=0"]);
        drop(join(&server, Dialect::Wire, "ann"));
        let mut bob = join(&server, Dialect::Telnet, "bob");
        // The name is free again once the server has seen it.
        let give_up_at = Instant::now() + DEADLINE;
        while bob.connection().name() != "ann" {
            assert!(Instant::now() < give_up_at);
            bob.set_name("ann").unwrap();
            until(&mut bob, |events| {
                events.iter().any(|event| {
                    matches!(
                        event,
                        Event::Message(Message::Named(_) | Message::Refused(_))
                    )
                })
            });
        }
    }
}
