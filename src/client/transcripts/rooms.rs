//! Rooms and kept names: asked for, entered, and found again after a loss.

use super::*;

/// Loses the connection and has the next one, in which nothing was said yet.
fn reconnect(talk: &mut Talk) {
    talk.end(Err(ConnectionReset));
    let events = talk.take_events();
    let Some(Event::Interrupted { retry_in, .. }) = events.last() else {
        panic!("{events:?}");
    };
    talk.wait(*retry_in);
    talk.edge();
    assert_eq!(talk.take_events(), [Event::Connected]);
}

fn in_den() -> Talk {
    let mut talk = Talk::connected(again().keep_max(9));
    talk.connection.set_name("ann").unwrap();
    talk.connection.join("Den", Some("k")).unwrap();
    talk.turn();
    assert_eq!(talk.written(), "NAME YW5u\nJOIN RGVu aw==\n");
    assert_eq!(talk.connection.room(), "lobby");
    talk.server(b"NAME YW5u\nJOIN ZGVu\n");
    assert_eq!(talk.connection.room(), "den");
    talk.take_events();
    talk
}

#[test]
fn who_comes_back_says_nothing_before_they_are_in_their_room() {
    let mut talk = in_den();
    reconnect(&mut talk);
    assert_eq!(talk.connection.room(), "lobby");
    talk.connection.send("1").unwrap();
    talk.turn();
    assert_eq!(talk.written(), "NAME YW5u\nJOIN ZGVu aw==\n");
    assert!(!talk.connection.is_busy());
    talk.server(b"NAME YW5u\nJOIN ZGVu\n");
    assert_eq!(talk.connection.room(), "den");
    assert_eq!(talk.written(), "CHAT YW5u MQ==\n");
}

#[test]
fn words_for_a_room_that_is_not_to_be_entered_again_are_said_nowhere() {
    let mut talk = in_den();
    reconnect(&mut talk);
    talk.connection.send("secret").unwrap();
    talk.connection.tell("bob", "psst").unwrap();
    talk.turn();
    // that is not the key of den
    talk.server(b"FAIL dGhhdCBpcyBub3QgdGhlIGtleSBvZiBkZW4= key\n");
    let events = talk.take_events();
    let refused = events.iter().find_map(|event| match event {
        Event::Message(Message::Refused(refusal)) => Some((refusal.reason, &refusal.request)),
        _ => None,
    });
    assert_eq!(refused, Some((Reason::Key, &Request::Join("den".into()))));
    assert_eq!(
        talk.written(),
        "NAME YW5u\nJOIN ZGVu aw==\nTELL Ym9i cHNzdA==\n"
    );
    assert_eq!(talk.connection.counters().unsent, 1);
    assert_eq!(talk.connection.waiting(), 0);
    assert_eq!(talk.connection.dropped().collect::<Vec<_>>(), ["secret"]);
    // What is said from now on is for the room in which the client is.
    talk.connection.send("2").unwrap();
    talk.turn();
    assert_eq!(talk.written(), "CHAT YW5u Mg==\n");
}

#[test]
fn a_room_that_an_operator_closed_is_not_asked_for_again() {
    let mut talk = in_den();
    talk.server(b"JOIN bG9iYnk=\n");
    assert_eq!(talk.connection.room(), "lobby");
    reconnect(&mut talk);
    talk.connection.send("1").unwrap();
    talk.turn();
    assert_eq!(talk.written(), "NAME YW5u\nCHAT YW5u MQ==\n");
}

#[test]
fn a_kept_name_is_asked_for_with_its_key() {
    let mut talk = Talk::connected(again());
    talk.connection.set_name("ann").unwrap();
    talk.connection.keep_name(true).unwrap();
    talk.turn();
    talk.server(b"NAME YW5u\nKEPT YW5u k7fq\n");
    reconnect(&mut talk);
    assert_eq!(talk.written(), "NAME YW5u k7fq\n");
    talk.server(b"NAME YW5u\n");
    talk.connection.keep_name(false).unwrap();
    talk.turn();
    talk.server(b"UNKEPT YW5u\n");
    reconnect(&mut talk);
    assert_eq!(talk.written(), "NAME YW5u\n");
}
