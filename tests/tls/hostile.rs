//! The client library, and a server that means it harm.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use chatd::client::{Client, Options, Target, Why};
use rustls::crypto::cipher::OutboundPlainMessage;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{
    ConnectionTrafficSecrets, ContentType, ProtocolVersion, ServerConfig, ServerConnection,
};

use super::certificate::Certificate;
use super::dialled::{refused, roots};

/// What a server does until it cannot any more.
type Attack = fn(&mut TcpStream, &Certificate) -> io::Result<()>;

/// What a client makes of a server that does this to it.
fn made_of(attack: Attack) -> Why {
    let certificate = Certificate::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let roots = roots(&certificate.path("cert.pem"));
    let target = Target::resolve_in_tls(&format!("wires://localhost:{port}"), &roots);
    let target = target.expect("an address");
    let target = target.at(([127, 0, 0, 1], port).into());
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("a client");
            let _ = attack(&mut stream, &certificate);
        });
        let mut client = Client::dial_target(&target, Options::default()).expect("a poll");
        let why = refused(&mut client);
        drop(client);
        server.join().expect("it does not panic");
        why
    })
}

/// Records of this type and content, without end.
fn records(stream: &mut TcpStream, typ: u8, first: &[u8], then: &[u8]) -> io::Result<()> {
    let mut content = first;
    loop {
        let [high, low] = (content.len() as u16).to_be_bytes();
        stream.write_all(&[typ, 3, 3, high, low])?;
        stream.write_all(content)?;
        content = then;
    }
}

/// A server that has shaken hands as it should.
fn shake_hands(stream: &mut TcpStream, certificate: &Certificate) -> io::Result<ServerConnection> {
    let (cert, key) = (certificate.path("cert.pem"), certificate.path("key.pem"));
    let chain = vec![CertificateDer::from_pem_file(cert).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().expect("both");
    let builder = builder.with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).expect("its key");
    config.enable_secret_extraction = true;
    config.send_tls13_tickets = 0;
    let mut server = ServerConnection::new(Arc::new(config)).expect("a server");
    while server.is_handshaking() {
        server.complete_io(stream)?;
    }
    Ok(server)
}

fn send(server: &mut ServerConnection, stream: &mut TcpStream) -> io::Result<()> {
    while server.wants_write() {
        server.write_tls(stream)?;
    }
    Ok(())
}

/// Whatever it is sent, it ends with a reason, and keeps nothing without end.
pub(crate) fn before_the_handshake() {
    let invalid = Why::Unreachable(io::ErrorKind::InvalidData);
    let attacks: [(&str, Attack); 4] = [
        ("noughts", |stream, _| loop {
            stream.write_all(&[0; 4096])?;
        }),
        ("a message of 16 MiB", |stream, _| {
            let mut first = vec![0; 16_000];
            first[..4].copy_from_slice(&[2, 0xff, 0xff, 0xff]);
            records(stream, 22, &first, &[0; 16_000])
        }),
        ("empty records", |stream, _| records(stream, 22, &[], &[])),
        ("records that are too long", |stream, _| {
            records(stream, 22, &vec![0; 20_000], &vec![0; 20_000])
        }),
    ];
    for (name, attack) in attacks {
        assert_eq!(made_of(attack), invalid, "{name}");
    }
    let gone = made_of(|stream, _| {
        // Half of a hello is read, and half of a record is answered.
        let mut hello = [0; 100];
        stream.read_exact(&mut hello)?;
        stream.write_all(&[22, 3, 3, 0, 100, 2])
    });
    assert!(matches!(gone, Why::Unreachable(_)), "{gone:?}");
}

pub(crate) fn behind_the_handshake() {
    let invalid = Why::Broken(io::ErrorKind::InvalidData);
    let attacks: [(&str, Attack); 3] = [
        ("key updates", |stream, certificate| {
            let mut server = shake_hands(stream, certificate)?;
            loop {
                server.refresh_traffic_keys().map_err(io::Error::other)?;
                send(&mut server, stream)?;
            }
        }),
        ("a broken record", |stream, certificate| {
            shake_hands(stream, certificate)?;
            records(stream, 23, &[1; 100], &[1; 100])
        }),
        ("empty records", |stream, certificate| {
            let server = shake_hands(stream, certificate)?;
            let suite = server.negotiated_cipher_suite();
            let suite = suite.and_then(|suite| suite.tls13()).expect("TLS 1.3");
            let (mut number, secrets) = server.dangerous_extract_secrets().expect("asked for").tx;
            let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
            | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
            | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
            else {
                panic!("another cipher");
            };
            let mut encrypter = suite.aead_alg.encrypter(key, iv);
            loop {
                let message = OutboundPlainMessage {
                    typ: ContentType::ApplicationData,
                    version: ProtocolVersion::TLSv1_2,
                    payload: (&[][..]).into(),
                };
                let record = encrypter.encrypt(message, number);
                number += 1;
                stream.write_all(&record.map_err(io::Error::other)?.encode())?;
            }
        }),
    ];
    for (name, attack) in attacks {
        assert_eq!(made_of(attack), invalid, "{name}");
    }
}

/// A server whose talk ends without a word of TLS has ended, and the client comes back.
pub(crate) fn an_end_without_a_word() {
    let ended = made_of(|stream, certificate| {
        shake_hands(stream, certificate)?;
        stream.shutdown(std::net::Shutdown::Both)
    });
    assert_eq!(ended, Why::Ended);
}
