//! Clients that leave: at any moment, in either way, with words that are not written yet.

use super::*;

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
    talk.note(false);
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
    let options = Options::default().keep_max(10);
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
