//! A client of rustls in memory at the other end, over a socket that is cut anywhere.
//!
//! What hub and loop do with a stream is done here in the same way: a [`Readiness`] decides what is read, an [`Outbox`]
//! keeps what is not taken, and nothing is tried without an edge.

pub(crate) mod peer;

use std::io::{Read as _, Write as _};
use std::time::Instant;

use rustls::crypto::cipher::OutboundPlainMessage;
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConnection, ConnectionTrafficSecrets, ContentType, SupportedCipherSuite,
    SupportedProtocolVersion,
};

use super::*;
use crate::outbox::Outbox;
use crate::random::Random;
use crate::stream::{Edge, Readiness};
use crate::test_clock::outset;
use peer::{generated, identity, new_client};

/// The server's socket.
#[derive(Debug, Default)]
struct Wire {
    incoming: Vec<u8>,
    ended: bool,
    /// Of the next read at most this many bytes come.
    cut: usize,
    outgoing: Vec<u8>,
    /// How many bytes it takes before a write would block.
    room: usize,
    /// A write found no room.
    no_space: bool,
}

impl Raw for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> Read {
        assert!(!buffer.is_empty());
        let length = buffer.len().min(self.incoming.len()).min(self.cut.max(1));
        buffer[..length].copy_from_slice(&self.incoming[..length]);
        self.incoming.drain(..length);
        match length {
            0 if self.ended => Read::Ended,
            0 => Read::Blocked,
            length => Read::Bytes(length),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Write {
        assert!(!bytes.is_empty());
        let length = bytes.len().min(self.room);
        self.outgoing.extend_from_slice(&bytes[..length]);
        self.room -= length;
        if length == 0 {
            self.no_space = true;
            return Write::Blocked;
        }
        Write::Taken(length)
    }
}

/// Both ends, after the handshake.
struct Pair {
    client: ClientConnection,
    wire: Wire,
    tls: Tls,
    readiness: Readiness,
    outbox: Outbox,
    is_blocked: bool,
    buffer: Vec<u8>,
    /// What came out at the server.
    heard: Vec<u8>,
    end: Option<Read>,
    now: Instant,
}

impl Pair {
    fn new(version: &'static SupportedProtocolVersion, cut: usize) -> Self {
        let generated = generated();
        let mut client = new_client(&generated, version);
        let mut tls = Tls::new(&identity(&generated), false, Vec::new()).unwrap();
        let mut wire = Wire {
            cut,
            room: usize::MAX,
            ..Wire::default()
        };
        let mut buffer = vec![0; READ_BYTES_MIN];
        let version = loop {
            take_from(&mut client, &mut wire);
            match tls.shake_hands(&mut wire, &mut buffer) {
                Handshake::Waits { .. } => {}
                Handshake::Done { version, bytes: 0 } => break version,
                outcome => panic!("{outcome:?}"),
            }
            give_to(&mut client, &mut wire);
        };
        give_to(&mut client, &mut wire);
        let is_13 = client.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        assert_eq!(version == Version::Tls13, is_13);
        assert!(!client.is_handshaking());
        assert_eq!(tls.held(), 0, "an idle stream owns no buffer");
        Self {
            client,
            wire,
            tls,
            readiness: Readiness::default(),
            outbox: Outbox::default(),
            is_blocked: false,
            buffer,
            heard: Vec::new(),
            end: None,
            now: outset(),
        }
    }

    /// The client sends this as one record or more.
    fn send(&mut self, bytes: &[u8]) {
        self.client.writer().write_all(bytes).unwrap();
        take_from(&mut self.client, &mut self.wire);
        self.arrive();
    }

    /// An edge tells of what has come.
    fn arrive(&mut self) {
        self.readiness.note(Edge {
            readable: true,
            closed: self.wire.ended,
            ..Edge::default()
        });
    }

    /// One read, if the readiness says so.
    fn read(&mut self) -> bool {
        if !self.readiness.is_readable() {
            return false;
        }
        let read = self.tls.read(&mut self.wire, &mut self.buffer);
        self.readiness.handle_read(read, self.buffer.len());
        match read {
            Read::Records { bytes, .. } => self.heard.extend_from_slice(&self.buffer[..bytes]),
            Read::Blocked => {}
            end => self.end = Some(end),
        }
        true
    }

    /// Writes what waits, as the hub does.
    fn write(&mut self) {
        while !self.outbox.is_empty() && !self.is_blocked {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = self.outbox.slices(&mut slices);
            match self.tls.write(&mut self.wire, &slices[..filled]) {
                Write::Taken(bytes) => self.outbox.advance(bytes, self.now),
                Write::Blocked => self.is_blocked = true,
                Write::Broken(kind) => panic!("{kind:?}"),
            }
        }
    }

    /// The socket has room again; an edge tells of that if somebody wants to know.
    fn make_room(&mut self, bytes: usize) {
        self.wire.room = bytes;
        if bytes > 0 && mem::take(&mut self.wire.no_space) {
            self.is_blocked = false;
        }
    }

    fn told(&mut self) -> Vec<u8> {
        let mut told = Vec::new();
        give_and_hear(&mut self.client, &mut self.wire, &mut told);
        told
    }
}

fn take_from(client: &mut ClientConnection, wire: &mut Wire) {
    while client.wants_write() {
        client.write_tls(&mut wire.incoming).unwrap();
    }
}

fn give_to(client: &mut ClientConnection, wire: &mut Wire) {
    give_and_hear(client, wire, &mut Vec::new());
}

fn give_and_hear(client: &mut ClientConnection, wire: &mut Wire, told: &mut Vec<u8>) {
    let mut bytes = wire.outgoing.as_slice();
    while !bytes.is_empty() {
        client.read_tls(&mut bytes).unwrap();
        client.process_new_packets().unwrap();
        // It would block where no end has come.
        let _ = client.reader().read_to_end(told);
    }
    wire.outgoing.clear();
}

#[test]
fn a_handshake_may_be_cut_anywhere() {
    for version in [&TLS12, &TLS13] {
        for cut in [1, 2, 5, 6, 100, usize::MAX] {
            Pair::new(version, cut);
        }
    }
}

#[test]
fn what_comes_with_the_last_of_the_handshake_is_handed_on() {
    let generated = generated();
    let mut client = new_client(&generated, &TLS13);
    let mut tls = Tls::new(&identity(&generated), true, Vec::new()).unwrap();
    let (mut wire, mut buffer) = (Wire::default(), vec![0; READ_BYTES_MIN]);
    (wire.room, wire.cut) = (usize::MAX, usize::MAX);
    client.writer().write_all(b"hello\r\n").unwrap();
    let mut done = Handshake::Waits { blocked: true };
    while let Handshake::Waits { .. } = done {
        take_from(&mut client, &mut wire);
        done = tls.shake_hands(&mut wire, &mut buffer);
        give_to(&mut client, &mut wire);
    }
    let version = Version::Tls13;
    assert_eq!(done, Handshake::Done { version, bytes: 7 });
    assert_eq!(&buffer[..7], b"hello\r\n");
}

#[test]
fn what_is_no_handshake_fails_by_its_kind() {
    let generated = generated();
    let mut buffer = vec![0; READ_BYTES_MIN];
    let mut try_with = |bytes: &[u8], ended, room| {
        let mut wire = Wire {
            incoming: bytes.to_vec(),
            ended,
            cut: usize::MAX,
            room,
            ..Wire::default()
        };
        let mut tls = Tls::new(&identity(&generated), false, Vec::new()).unwrap();
        let mut outcome = Handshake::Waits { blocked: false };
        for _ in 0..3 {
            if let Handshake::Waits { .. } = outcome {
                outcome = tls.shake_hands(&mut wire, &mut buffer);
            }
        }
        (outcome, wire.outgoing)
    };
    let mut hello = Wire::default();
    take_from(&mut new_client(&generated, &TLS13), &mut hello);
    let hello = hello.incoming;
    let waits = Handshake::Waits { blocked: true };
    assert_eq!(try_with(&hello[..40], false, 0).0, waits);
    assert_eq!(try_with(&hello, false, usize::MAX).0, waits);
    let failed = |outcome: (Handshake, Vec<u8>)| match outcome.0 {
        Handshake::Failed(why) => (why, outcome.1.first().copied()),
        outcome => panic!("{outcome:?}"),
    };
    // An alert is told (RFC 8446, section 6): a record of type 21.
    let alert = Some(0x15);
    assert_eq!(
        failed(try_with(
            b"\x16\x03\x01\0\x05\x01\0\0\x01\0",
            false,
            usize::MAX
        )),
        ("bad-message", alert)
    );
    assert_eq!(
        failed(try_with(&hello, false, 100)),
        ("no-room", Some(0x16))
    );
    assert_eq!(failed(try_with(&hello[..40], true, 0)), ("hangup", None));
    // The header says that 64 KiB of a message follow, in one record after another.
    let mut endless = Vec::new();
    for record in 0..8 {
        endless.extend_from_slice(b"\x16\x03\x01\x20\x00");
        let mut payload = vec![0; 0x2000];
        if record == 0 {
            payload[..4].copy_from_slice(b"\x01\x00\xff\xff");
        }
        endless.extend_from_slice(&payload);
    }
    assert_eq!(failed(try_with(&endless, false, 0)).0, "too-long");
    // Nor is it waited for more once so much has come, however much room there is.
    let mut wire = Wire {
        incoming: endless[..HANDSHAKE_BYTES_MAX].to_vec(),
        cut: usize::MAX,
        ..Wire::default()
    };
    let mut tls = Tls::new(&identity(&generated), false, Vec::new()).unwrap();
    let outcome = tls.shake_hands(&mut wire, &mut vec![0; 4 * HANDSHAKE_BYTES_MAX]);
    assert_eq!(outcome, Handshake::Failed("too-long"));
}

/// Whatever is cut, each byte comes once and in order, in both directions, and nothing waits without a reason.
fn converse(seed: u64) {
    let mut random = Random::new(seed);
    let version = random.pick(&[&TLS12, &TLS13]);
    let mut pair = Pair::new(version, random.pick(&[1, 7, usize::MAX]));
    let (mut said, mut written, mut told) = (Vec::new(), Vec::new(), Vec::new());
    let mut kernel = Vec::new();
    pair.make_room(0);
    for step in 0..60_usize {
        if random.percent(40) {
            let length = random.pick(&[1, 10, 300, 5000, 40_000]);
            let bytes: Vec<u8> = (0..length).map(|at| (at ^ step) as u8).collect();
            pair.client.writer().write_all(&bytes).unwrap();
            pair.client.write_tls(&mut kernel).unwrap();
            said.extend(bytes);
        }
        if random.percent(5) {
            let _ = pair.client.refresh_traffic_keys();
        }
        while pair.client.wants_write() {
            pair.client.write_tls(&mut kernel).unwrap();
        }
        if random.percent(60) && !kernel.is_empty() {
            let length = random.within(1..=kernel.len());
            pair.wire.incoming.extend(kernel.drain(..length));
            pair.arrive();
        }
        pair.wire.cut = random.pick(&[1, 3, 100, 5000, usize::MAX]);
        for _ in 0..random.within(0..=3) {
            pair.read();
        }
        if random.percent(40) {
            let length = random.pick(&[1, 60, 900, 30_000]);
            let bytes: Vec<u8> = (0..length).map(|at| (at ^ step) as u8).collect();
            pair.outbox.push_copy(&bytes, pair.now);
            written.extend(bytes);
        }
        pair.write();
        if random.percent(50) {
            pair.make_room(random.pick(&[1, 20, 500, 20_000]));
            pair.write();
        }
        told.extend(pair.told());
    }
    // All heals.
    pair.wire.incoming.append(&mut kernel);
    pair.arrive();
    pair.wire.cut = usize::MAX;
    while pair.read() {}
    while pair.is_blocked || !pair.outbox.is_empty() {
        assert!(pair.wire.no_space || !pair.is_blocked, "no edge will come");
        pair.make_room(usize::MAX);
        pair.write();
        assert_eq!(pair.outbox.recount(), pair.outbox.bytes());
    }
    told.extend(pair.told());
    assert!(pair.heard == said, "seed {seed}: what was said");
    assert!(told == written, "seed {seed}: what was told");
    assert_eq!(pair.tls.held(), 0);
    end(&mut pair, random.percent(50));
}

fn end(pair: &mut Pair, in_good_order: bool) {
    if in_good_order {
        pair.client.send_close_notify();
        take_from(&mut pair.client, &mut pair.wire);
    } else {
        pair.client.writer().write_all(&[b'x'; 100]).unwrap();
        let mut record = Vec::new();
        pair.client.write_tls(&mut record).unwrap();
        record.pop();
        pair.wire.incoming.extend(record);
    }
    pair.wire.ended = true;
    pair.arrive();
    while pair.read() {}
    let end = if in_good_order {
        Read::Ended
    } else {
        Read::Truncated
    };
    assert_eq!(pair.end, Some(end));
    // The other direction goes on.
    pair.make_room(usize::MAX);
    pair.outbox.push_copy(b"bye", pair.now);
    pair.write();
    pair.tls.finish(&mut pair.wire);
    assert_eq!(pair.told(), b"bye");
    let mut rest = [0; 1];
    assert_eq!(pair.client.reader().read(&mut rest).unwrap(), 0);
}

#[test]
fn each_byte_comes_once_and_in_order_wherever_it_is_cut() {
    for seed in 0..60 {
        converse(seed);
    }
}

#[test]
fn a_record_may_be_cut_at_every_byte() {
    for version in [&TLS12, &TLS13] {
        let mut pair = Pair::new(version, usize::MAX);
        let mut length = 0;
        for cut in 1.. {
            pair.client.writer().write_all(b"hello\r\nthere").unwrap();
            let mut record = Vec::new();
            pair.client.write_tls(&mut record).unwrap();
            if cut == record.len() {
                break;
            }
            length = record.len();
            for part in [&record[..cut], &record[cut..]] {
                pair.wire.incoming.extend_from_slice(part);
                pair.arrive();
                while pair.read() {}
            }
            assert_eq!(mem::take(&mut pair.heard), b"hello\r\nthere");
            assert_eq!(pair.tls.held(), 0);
        }
        assert!(length > 12);
        // And in the other direction.
        for room in 0..length {
            pair.make_room(room);
            pair.outbox.push_copy(b"hello\r\nthere", pair.now);
            pair.write();
            assert!(pair.is_blocked && pair.outbox.bytes() == 12, "room {room}");
            assert_eq!(pair.told(), b"");
            pair.make_room(usize::MAX);
            pair.write();
            assert_eq!(pair.told(), b"hello\r\nthere");
            assert_eq!(pair.tls.held(), 0);
        }
    }
}

#[test]
fn many_small_records_in_one_packet_come_out_whole() {
    let mut pair = Pair::new(&TLS13, usize::MAX);
    let mut all = Vec::new();
    for number in 0..10_000_u32 {
        let byte = [number as u8];
        pair.client.writer().write_all(&byte).unwrap();
        pair.client.write_tls(&mut pair.wire.incoming).unwrap();
        all.extend(byte);
    }
    pair.arrive();
    while pair.read() {}
    assert_eq!(pair.heard, all);
}

#[test]
fn a_broken_record_is_answered_with_an_alert_and_ends_the_stream() {
    let mut pair = Pair::new(&TLS13, usize::MAX);
    pair.client.writer().write_all(b"hello").unwrap();
    let mut record = Vec::new();
    pair.client.write_tls(&mut record).unwrap();
    *record.last_mut().unwrap() ^= 1;
    pair.wire.incoming = record;
    pair.arrive();
    while pair.read() {}
    let broken = Read::Broken(io::ErrorKind::InvalidData);
    assert_eq!((pair.end, pair.heard.len()), (Some(broken), 0));
    let mut alert = pair.wire.outgoing.as_slice();
    pair.client.read_tls(&mut alert).unwrap();
    let told = pair.client.process_new_packets();
    let bad = Error::AlertReceived(AlertDescription::BadRecordMac);
    assert_eq!(told.unwrap_err(), bad);
    let slices = [IoSlice::new(b"bye")];
    let written = pair.tls.write(&mut pair.wire, &slices);
    assert!(matches!(written, Write::Broken(_)), "{written:?}");
}

#[test]
fn what_a_peer_makes_us_send_goes_at_once_but_not_behind_what_is_promised() {
    // A hello within a talk, which is answered with the alert that nothing is negotiated anew (RFC 5746).
    let mut hello = Wire::default();
    take_from(&mut new_client(&generated(), &TLS12), &mut hello);
    let hello = &hello.incoming[5..];
    let talk = || {
        let mut pair = Pair::new(&TLS12, usize::MAX);
        let client = mem::replace(&mut pair.client, new_client(&generated(), &TLS12));
        (pair, forger(client))
    };
    let (mut pair, mut forge) = talk();
    pair.wire.outgoing.clear();
    pair.wire.incoming = forge(ContentType::Handshake, hello);
    pair.arrive();
    while pair.read() {}
    assert_eq!(pair.wire.outgoing.first(), Some(&0x15), "an alert");
    assert_eq!((pair.tls.held(), pair.end), (0, None));
    // Behind what a write has promised it goes with the next write.
    let (mut pair, mut forge) = talk();
    pair.make_room(0);
    pair.outbox.push_copy(b"hello", pair.now);
    pair.write();
    assert!(pair.is_blocked && pair.tls.is_stuck());
    pair.wire.incoming = forge(ContentType::Handshake, hello);
    pair.arrive();
    pair.wire.room = usize::MAX;
    while pair.read() {}
    assert!(pair.tls.is_stuck(), "only a write may tell that it went");
    pair.make_room(usize::MAX);
    pair.write();
    assert!(pair.outbox.is_empty());
    assert_eq!((pair.tls.held(), pair.end), (0, None));
}

#[test]
fn key_updates_without_end_end_the_stream() {
    let mut pair = Pair::new(&TLS13, usize::MAX);
    for _ in 0..40 {
        pair.client.refresh_traffic_keys().unwrap();
        take_from(&mut pair.client, &mut pair.wire);
        pair.arrive();
        while pair.read() {}
    }
    assert!(matches!(pair.end, Some(Read::Broken(_))), "{:?}", pair.end);
    assert!(pair.tls.held() < 1000);
}

/// Encrypts records of any content, as a client of rustls does not: behind what this client has sent.
fn forger(client: ClientConnection) -> impl FnMut(ContentType, &[u8]) -> Vec<u8> {
    let suite = client.negotiated_cipher_suite().unwrap();
    let (mut number, secrets) = client.dangerous_extract_secrets().unwrap().tx;
    let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
    | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
    | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
    else {
        panic!("another cipher");
    };
    let mut encrypter = match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
        // A part of what is added to the number is sent along (RFC 5288, section 3).
        SupportedCipherSuite::Tls12(suite) => {
            let (fixed, sent) = iv.as_ref().split_at(4);
            suite.aead_alg.encrypter(key, fixed, sent)
        }
    };
    move |typ, payload| {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_2,
            payload: payload.into(),
        };
        number += 1;
        encrypter.encrypt(message, number - 1).unwrap().encode()
    }
}

#[test]
fn writing_goes_on_between_the_parts_of_a_message_of_the_handshake() {
    let mut pair = Pair::new(&TLS13, usize::MAX);
    // Whose secrets are taken.
    let client = mem::replace(&mut pair.client, new_client(&generated(), &TLS13));
    let mut forge = forger(client);
    // A key update (RFC 8446, section 4.6.3), cut into two records, and each of these into two reads.
    let update = [24, 0, 0, 1, 0];
    let parts = [&update[..2], &update[2..]];
    let records = parts.map(|part| forge(ContentType::Handshake, part));
    for record in records {
        let half = record.len() / 2;
        for part in [&record[..half], &record[half..]] {
            pair.wire.incoming.extend_from_slice(part);
            pair.arrive();
            while pair.read() {}
            let slices = [IoSlice::new(b"hello")];
            let written = pair.tls.write(&mut pair.wire, &slices);
            assert_eq!((written, pair.end), (Write::Taken(5), None));
        }
    }
    assert_eq!(pair.tls.held(), 0);
    // Half a message, and then something else, is no good order.
    let mut pair = Pair::new(&TLS13, usize::MAX);
    let client = mem::replace(&mut pair.client, new_client(&generated(), &TLS13));
    let mut forge = forger(client);
    let parts = [
        forge(ContentType::Handshake, &update[..2]),
        forge(ContentType::ApplicationData, b"hello"),
    ];
    pair.wire.incoming = parts.concat();
    pair.arrive();
    while pair.read() {}
    assert!(matches!(pair.end, Some(Read::Broken(_))), "{:?}", pair.end);
    // A message without end is kept only as long as it is no longer than a record.
    let mut pair = Pair::new(&TLS13, usize::MAX);
    let client = mem::replace(&mut pair.client, new_client(&generated(), &TLS13));
    let mut forge = forger(client);
    pair.wire.incoming = forge(ContentType::Handshake, &[24, 0, 255, 255]);
    while pair.end.is_none() {
        pair.arrive();
        while pair.read() {}
        assert!(pair.tls.held() <= RECORD_MAX, "{:?}", pair.tls);
        pair.wire.incoming = forge(ContentType::Handshake, &[0; 1000]);
    }
    assert!(matches!(pair.end, Some(Read::Broken(_))), "{:?}", pair.end);
}

#[test]
fn a_full_record_takes_sixteen_kibibytes_and_no_more() {
    let mut pair = Pair::new(&TLS13, usize::MAX);
    let (first, second) = (vec![b'a'; 10_000], vec![b'b'; 10_000]);
    let slices = [IoSlice::new(&first), IoSlice::new(&second)];
    let written = pair.tls.write(&mut pair.wire, &slices);
    assert_eq!(written, Write::Taken(PLAINTEXT_MAX));
    assert_eq!(pair.wire.outgoing.len(), PLAINTEXT_MAX + 22);
    assert_eq!(pair.told(), [first, second].concat()[..PLAINTEXT_MAX]);
    // And the largest that may come fits into the smallest buffer.
    let lines = b"line of 41 bytes, of which there are 400\n".repeat(400);
    pair.send(&lines[..PLAINTEXT_MAX]);
    while pair.read() {}
    assert_eq!(pair.heard, lines[..PLAINTEXT_MAX]);
}

#[test]
fn nothing_is_written_behind_what_is_stuck_by_a_farewell() {
    let mut pair = Pair::new(&TLS13, usize::MAX);
    pair.make_room(10);
    pair.outbox.push_copy(b"hello", pair.now);
    pair.write();
    assert!(pair.tls.is_stuck() && pair.tls.held() > 0);
    pair.wire.room = usize::MAX;
    let before = pair.wire.outgoing.len();
    pair.tls.finish(&mut pair.wire);
    assert_eq!(pair.wire.outgoing.len(), before, "it would tear the record");
}

#[test]
fn what_cannot_be_an_identity_says_which_file_is_wrong() {
    let generated = generated();
    let (certificate, key) = (generated.cert.pem(), generated.signing_key.serialize_pem());
    let other = self::generated().signing_key.serialize_pem();
    let parse = |certificate: &str, key: &str| {
        Identity::parse(certificate.as_bytes(), key.as_bytes(), true).unwrap_err()
    };
    let of_key = |what: &str| Unfit::Key(what.to_owned());
    let of_certificate = |what: &str| Unfit::Certificate(what.to_owned());
    assert_eq!(
        parse(&certificate, &other),
        of_key("not the key of the certificate")
    );
    assert_eq!(parse(&certificate, ""), of_key("no private key in it"));
    assert_eq!(
        parse(&certificate, &certificate),
        of_key("no private key in it")
    );
    assert_eq!(parse("", &key), of_certificate("no certificate in it"));
    assert_eq!(parse(&key, &key), of_certificate("no certificate in it"));
    let nonsense = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    assert_eq!(parse(nonsense, &key), of_certificate("not a certificate"));
    // As rcgen dates its certificates.
    assert_eq!(identity(&generated).ends_at, 67_090_118_400);
}
