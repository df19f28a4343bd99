//! Handshakes of TLS at the door: how many there are in a turn, and of one address.

use std::fs;

use rcgen::{generate_simple_self_signed, CertifiedKey};

use super::*;
use crate::server::simulation::server::Terms;
use crate::test_folder::Folder;

/// What a client that speaks TLS begins with.
const HELLO: &[u8] = b"\x16";

/// A server all of whose listeners are in TLS. Its files are read again by nobody.
fn bench(admission: AdmissionLimits) -> Bench {
    let folder = Folder::new("shaking-hands");
    let path = |name: &str| folder.path().join(name);
    let generated = generate_simple_self_signed(vec!["localhost".to_owned()]);
    let CertifiedKey { cert, signing_key } = generated.expect("a certificate");
    fs::write(path("cert.pem"), cert.pem()).expect("a file");
    fs::write(path("key.pem"), signing_key.serialize_pem()).expect("a file");
    let terms = Terms {
        limits: LIMITS,
        admission,
        rooms: &[],
    };
    let mut settings = terms.settings();
    settings.tls.certificate = Some(path("cert.pem"));
    settings.tls.key = Some(path("key.pem"));
    let network = SimulatedNetwork::new(Clock::new(), 1, LISTENERS_ALL);
    Bench {
        server: Server::with(network, &settings),
        is_checked: true,
        reasons: Vec::new(),
    }
}

/// Somebody knocks, and begins to shake hands.
fn begin(bench: &mut Bench, address: [u8; 4]) -> usize {
    let client = bench.knock_from(address, None);
    bench.send(client, HELLO);
    client
}

/// How many handshakes each turn goes on with until 60 have been made, each of which takes so long; in each turn
/// somebody who is there is heard.
fn handshakes_of_turns(cost: Duration) -> Vec<usize> {
    let mut bench = bench(ADMISSION);
    let talkers = [
        begin(&mut bench, [127, 0, 0, 1]),
        begin(&mut bench, [127, 0, 0, 1]),
    ];
    bench.settle();
    let [ann, bob] = talkers;
    assert!(bench.screen(bob).starts_with("-- Welcome"));
    let storm: Vec<usize> = (0..60).map(|_| begin(&mut bench, [127, 0, 0, 2])).collect();
    bench.network().handshake_cost = cost;
    let first = bench.network().handshakes;
    let mut turns = Vec::new();
    while bench.network().handshakes < first + storm.len() {
        let before = bench.network().handshakes;
        bench.screen(bob);
        bench.send(ann, "still here\n");
        bench.turn();
        assert!(bench.screen(bob).contains("still here"), "{turns:?}");
        turns.push(bench.network().handshakes - before);
        assert!(turns.len() < 100, "{turns:?}");
    }
    bench.settle();
    for client in storm {
        assert!(bench.screen(client).starts_with("-- Welcome"));
    }
    turns.retain(|handshakes| *handshakes > 0);
    turns
}

#[test]
fn at_most_sixteen_shake_hands_in_a_turn() {
    assert_eq!(handshakes_of_turns(Duration::ZERO), [16, 16, 16, 12]);
}

/// With a key of 4,096 bits each takes 5 ms and more.
#[test]
fn handshakes_that_take_long_are_fewer_in_a_turn() {
    assert_eq!(handshakes_of_turns(ms(2)), [3; 20]);
    assert_eq!(handshakes_of_turns(ms(6)), [1; 60]);
}

#[test]
fn one_address_begins_twice_as_many_handshakes_as_it_may_connect_and_no_more() {
    let mut bench = bench(AdmissionLimits {
        per_address_max: Some(3),
        connects_per_minute: Some(30),
        ..ADMISSION
    });
    let come_and_go = |bench: &mut Bench, address| {
        let before = bench.network().handshakes;
        let client = begin(bench, address);
        bench.settle();
        let screen = bench.screen(client);
        bench.end(client);
        bench.settle();
        assert!(bench.is_closed(client));
        (bench.network().handshakes - before, screen)
    };
    let here = [192, 0, 2, 1];
    for time in 0..6 {
        let (handshakes, screen) = come_and_go(&mut bench, here);
        assert_eq!(handshakes, 1, "time {time}");
        // Who is told that it connects too often hears that in TLS.
        let is_in = screen.starts_with("-- Welcome");
        assert_eq!(is_in, time < 3, "{screen}");
    }
    for _ in 0..100 {
        assert_eq!(come_and_go(&mut bench, here), (0, String::new()));
    }
    let (handshakes, screen) = come_and_go(&mut bench, [192, 0, 2, 2]);
    assert!(handshakes == 1 && screen.starts_with("-- Welcome"));
    // 60 in a minute.
    bench.pass(ms(1_000));
    assert_eq!(come_and_go(&mut bench, here).0, 1);
    assert_eq!(come_and_go(&mut bench, here).0, 0);
}
