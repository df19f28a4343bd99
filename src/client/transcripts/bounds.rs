//! What is bounded: what waits to be sent, what is kept of what was heard, and who reads nothing.

use super::*;

#[test]
fn at_most_a_hundred_messages_wait() {
    let options = Options::default().keep_max(2);
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
    assert_eq!(connection.ping("a b"), Err(SendError::MalformedToken));
    connection.close();
    assert_eq!(connection.send("x"), Err(SendError::Closed));
}

#[test]
fn received_messages_are_kept_in_number() {
    let options = Options::default().keep_max(2);
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
    talk.connection.note(Edge {
        closed: true,
        ..Edge::default()
    });
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
