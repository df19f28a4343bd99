//! A client of rustls in memory, for tests: the other end of a stream.

use std::io::{Read as _, Write as _};
use std::mem;
use std::sync::{Arc, OnceLock};

use rcgen::{generate_simple_self_signed, CertifiedKey as Generated, KeyPair};
use rustls::client::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{ClientConnection, RootCertStore, SupportedProtocolVersion};

use super::super::{Handshake, Identity, Raw, Tls, READ_BYTES_MIN};
use crate::stream::{Read, Write};

pub(super) fn generated() -> Generated<KeyPair> {
    generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

pub(super) fn identity(generated: &Generated<KeyPair>) -> Identity {
    let (certificate, key) = (generated.cert.pem(), generated.signing_key.serialize_pem());
    Identity::parse(certificate.as_bytes(), key.as_bytes(), false).unwrap()
}

pub(super) fn new_client(
    generated: &Generated<KeyPair>,
    version: &'static SupportedProtocolVersion,
) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(generated.cert.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_protocol_versions(&[version]).unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.enable_secret_extraction = true;
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(Arc::new(config), name).unwrap()
}

/// A client that has shaken hands.
#[derive(Debug)]
pub(crate) struct Peer(ClientConnection);

/// Both ends of a socket that takes all.
#[derive(Default)]
struct Cable {
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl Raw for Cable {
    fn read(&mut self, buffer: &mut [u8]) -> Read {
        let length = buffer.len().min(self.to_server.len());
        buffer[..length].copy_from_slice(&self.to_server[..length]);
        self.to_server.drain(..length);
        match length {
            0 => Read::Blocked,
            length => Read::Bytes(length),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Write {
        self.to_client.extend_from_slice(bytes);
        Write::Taken(bytes.len())
    }
}

/// A stream, and its client, that have shaken hands.
pub(crate) fn pair() -> (Tls, Peer) {
    static GENERATED: OnceLock<(Generated<KeyPair>, Identity)> = OnceLock::new();
    let (generated, identity) = GENERATED.get_or_init(|| {
        let generated = generated();
        let identity = identity(&generated);
        (generated, identity)
    });
    let mut peer = Peer(new_client(generated, &TLS13));
    let mut tls = Tls::new(identity, false, Vec::new()).unwrap();
    let (mut cable, mut buffer) = (Cable::default(), vec![0; READ_BYTES_MIN]);
    loop {
        cable.to_server.append(&mut peer.take());
        let outcome = tls.shake_hands(&mut cable, &mut buffer);
        peer.decrypt(&mem::take(&mut cable.to_client));
        match outcome {
            Handshake::Waits { .. } => {}
            Handshake::Done { .. } => return (tls, peer),
            Handshake::Failed(why) => panic!("{why}"),
        }
    }
}

impl Peer {
    /// What it wants to send.
    fn take(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    pub(crate) fn encrypt(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.writer().write_all(bytes).unwrap();
        self.take()
    }

    /// Its end.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.0.send_close_notify();
        self.take()
    }

    pub(crate) fn decrypt(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut told = Vec::new();
        while !bytes.is_empty() {
            self.0.read_tls(&mut bytes).unwrap();
            self.0.process_new_packets().unwrap();
            // It would block where no end has come.
            let _ = self.0.reader().read_to_end(&mut told);
        }
        told
    }
}
