//! Servers that do what no server should: they refuse, vanish, stall, and talk rubbish.

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
    for address in ["wire://127.0.0.1", "gopher://127.0.0.1:1", "wire://[::1:1"] {
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
    let is_refused =
        |event: &Event<'_>| matches!(event, Event::Interrupted { why: told, .. } if *told == why);
    until(&mut client, |events| {
        events.iter().filter(|event| is_refused(event)).count() >= 3
    });
    socket.listen(1).unwrap();
    until(&mut client, |events| events.contains(&Event::Connected));
}
