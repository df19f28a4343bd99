//! A client and the real server.

use super::*;

/// Those that the library speaks.
const DIALECTS: [Dialect; 2] = [Dialect::Telnet, Dialect::Wire];

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
    for dialect in DIALECTS {
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
    for dialect in DIALECTS {
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
}

#[test]
fn programs_are_written_to_and_write_to_one_alone() {
    let server = InProcess::start(&[]);
    let mut ann = join(&server, Dialect::Telnet, "ann");
    let mut bot = join(&server, Dialect::Wire, "bot");
    let told = |name: &'static str, words: &'static str| {
        Event::Message(Message::Told {
            name: name.into(),
            words: words.into(),
        })
    };
    ann.tell("bot", "/me waves").unwrap();
    until(&mut ann, |events| events.contains(&Event::Written(0)));
    let heard = told("ann", "/me waves");
    until(&mut bot, |events| events.contains(&heard));
    bot.tell("ANN", "/quit").unwrap();
    until(&mut bot, |events| events.contains(&Event::Written(0)));
    let heard = told("bot", "/quit");
    until(&mut ann, |events| events.contains(&heard));
    assert_eq!(bot.tell("eve", "psst"), Ok(1));
    let refusal = until_refused(&mut bot);
    assert_eq!(refusal.reason, Reason::Nobody);
    let request = Request::Private {
        number: 1,
        to: "eve".into(),
    };
    assert_eq!(refusal.request, request);
    assert_eq!(bot.tell("ann eve", "x"), Err(SendError::MalformedName));
}

#[test]
fn tells_programs_that_watch_who_comes_and_goes_and_who_is_here() {
    let server = InProcess::start(&[]);
    let mut bot = join(&server, Dialect::Wire, "bot");
    bot.watch(true).unwrap();
    let watching = |on| Event::Message(Message::Watching(on));
    until(&mut bot, |events| events.contains(&watching(true)));
    let mut ann = join(&server, Dialect::Telnet, "ann");
    ann.set_name("eve").unwrap();
    until(&mut ann, |events| events.contains(&named("eve")));
    ann.close();
    until_closed(&mut ann);
    let presence = [
        Message::Joined {
            name: "ann".into(),
            here: 2,
        },
        Message::Renamed {
            from: "ann".into(),
            to: "eve".into(),
        },
        Message::Left {
            name: "eve".into(),
            words: "".into(),
            here: 1,
        },
    ];
    let presence = presence.map(Event::Message);
    until(&mut bot, |events| events.ends_with(&presence));
    bot.who().unwrap();
    let list = [Message::Listed("bot".into()), Message::Here(1)].map(Event::Message);
    until(&mut bot, |events| events.ends_with(&list));
    bot.watch(false).unwrap();
    until(&mut bot, |events| events.contains(&watching(false)));
    let mut person = join(&server, Dialect::Telnet, "person");
    assert_eq!(person.watch(true), Err(SendError::WrongDialect));
    assert_eq!(person.who(), Err(SendError::WrongDialect));
    person.close();
    until_closed(&mut person);
    assert_eq!(person.who(), Err(SendError::Closed));
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
            let dialect = DIALECTS[index % 2];
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
            .flat_map(|other| (0..EACH).map(move |round| (format!("n{other}"), round.to_string())))
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

#[test]
fn goes_to_rooms_and_keeps_a_name() {
    let server = InProcess::start(&[]);
    for dialect in DIALECTS {
        let mut ann = join(&server, dialect, "ann");
        let mut bob = join(&server, Dialect::Wire, "bob");
        let entered = |room: &'static str| Event::Message(Message::Entered(room.into()));
        ann.join("Den", Some("k")).unwrap();
        until(&mut ann, |events| events.contains(&entered("Den")));
        assert_eq!(ann.connection().room(), "Den");
        bob.join("#den", None).unwrap();
        let refusal = until_refused(&mut bob);
        assert_eq!(refusal.reason, Reason::Key);
        assert_eq!(refusal.request, Request::Join("#den".into()));
        bob.join("#den", Some("k")).unwrap();
        until(&mut bob, |events| events.contains(&entered("Den")));
        bob.send("here").unwrap();
        until(&mut bob, |events| events.contains(&Event::Written(0)));
        until(&mut ann, |events| events.contains(&said("bob", "here")));
        bob.join("Games", None).unwrap();
        bob.rooms().unwrap();
        let listed = until(&mut bob, |events| {
            events.contains(&Event::Message(Message::Rooms(2)))
        });
        let games = Message::Room {
            name: "Games".into(),
            here: 1,
        };
        assert!(listed.contains(&Event::Message(games)), "{listed:?}");

        ann.connection_mut().keep_name(true).unwrap();
        let mut key = None;
        until(&mut ann, |events| {
            key = events.iter().find_map(|event| match event {
                Event::Message(Message::Kept { key, .. }) => Some(key.to_string()),
                _ => None,
            });
            key.is_some()
        });
        let key = key.unwrap();
        bob.set_name("Ann").unwrap();
        let refusal = until_refused(&mut bob);
        assert_eq!(refusal.reason, Reason::Key);
        assert_eq!(refusal.request, Request::Name("Ann".into()));
        bob.connection_mut().take_name("ann", &key).unwrap();
        let named = Event::Message(Message::Named("ann".into()));
        until(&mut bob, |events| events.contains(&named));
        until_closed(&mut ann);
        bob.connection_mut().keep_name(false).unwrap();
        let no_more = Event::Message(Message::KeptNoMore("ann".into()));
        until(&mut bob, |events| events.contains(&no_more));
        bob.close();
        until_closed(&mut bob);
    }
}
