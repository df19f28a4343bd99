//! Each way and each moment in which a client ends.

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
