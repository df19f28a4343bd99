//! Servers that vanish, and streams of which one side is dead.

use super::*;

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
            Event::Message(Message::Refused(Refusal::new("no"))),
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
