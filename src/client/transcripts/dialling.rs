//! Clients whose server is not there, or not any more: other addresses, and dialling again.

use super::*;
use crate::settings::Listen;

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
    let mut target = Target::new(Dialect::Wire, addresses[0]);
    target.addresses = addresses.into();
    let mut talk = Talk::new(Dialect::Wire, Options::default());
    talk.connection = Connection::new(ClientId::any(), &target, Options::default());
    assert_eq!(talk.connection.wants_dial(talk.now), Some(addresses[0]));
    talk.turn();
    talk.stream().refuses = Some(ConnectionRefused);
    talk.note(true);
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
fn f134_a_name_is_looked_up_anew_before_it_is_dialled_anew() {
    let [old, new] = [1, 2].map(|host| SocketAddr::from(([127, 0, 0, host], 1)));
    let listen: Listen = "wire://chat.example:1".parse().unwrap();
    let mut target = Target::new(Dialect::Wire, old);
    target.name = Some(listen.clone().into());
    let mut talk = Talk::new(Dialect::Wire, again());
    talk.connection = Connection::new(ClientId::any(), &target, again());
    assert_eq!(talk.connection.wants_addresses(talk.now), None);
    assert_eq!(talk.connection.wants_dial(talk.now), Some(old));
    talk.turn();
    talk.edge();
    talk.end(Ok(()));
    let events = talk.take_events();
    let [Event::Connected, Event::Interrupted { retry_in, .. }] = events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(talk.connection.wants_addresses(talk.now), None, "not yet");

    // A look-up that fails is a failed attempt, with a wait behind it.
    talk.now += retry_in;
    let wanted = talk.connection.wants_addresses(talk.now);
    assert_eq!(wanted.as_deref(), Some(&listen));
    assert_eq!(talk.connection.wants_dial(talk.now), None);
    let (now, events) = (talk.now, &mut talk.events);
    let unknown = Err(io::ErrorKind::NotFound.into());
    talk.connection
        .handle_addresses(unknown, now, &mut |_, event| {
            events.push(event.into_owned());
        });
    let events = talk.take_events();
    let [Event::Interrupted { why, retry_in }] = events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(why, Why::Unreachable(io::ErrorKind::NotFound));
    assert!(talk.connection.wants_addresses(talk.now).is_none());

    talk.now += retry_in;
    assert!(talk.connection.wants_addresses(talk.now).is_some());
    let found = Ok(vec![new]);
    talk.connection
        .handle_addresses(found, talk.now, &mut |_, event| panic!("{event:?}"));
    assert_eq!(talk.connection.wants_addresses(talk.now), None);
    assert_eq!(talk.connection.wants_dial(talk.now), Some(new));
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
    options.reconnect = options
        .reconnect
        .map(|reconnect| reconnect.failures_max(None));
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
