//! TLS on the side of a client. A program has few connections, so rustls may keep buffers of its own for each.
//!
//! Writing is a promise here, too: what rustls has taken and the socket has not is promised, and [`Write::Taken`] once it
//! has gone.

use std::fmt;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_name, WebPkiServerVerifier};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};

use crate::stream::{Read, Socket, Stream, Write};

use super::not_after;

/// At most this many bytes are promised at once: those of one record (RFC 8446, section 5.1).
const PROMISED_MAX: usize = 16 * 1024;

/// Certificates that a client trusts, and those that they vouch for.
#[derive(Clone)]
pub struct Roots(Arc<ClientConfig>);

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Roots")
    }
}

impl Roots {
    /// Those in this PEM text.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] if there is none in it, or one that cannot be understood.
    pub fn from_pem(pem: &[u8]) -> io::Result<Self> {
        let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        let (mut store, mut trusted) = (RootCertStore::empty(), Vec::new());
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| invalid("broken PEM"))?;
            let added = store.add(certificate.clone());
            added.map_err(|_| invalid("not a certificate"))?;
            trusted.push(certificate);
        }
        if trusted.is_empty() {
            return Err(invalid("no certificate in it"));
        }
        let provider = Arc::new(ring::default_provider());
        let by_chain = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone());
        let by_chain = by_chain.build().map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { by_chain, trusted }))
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

/// Trusts what the roots vouch for, and the roots themselves: who makes a certificate that signs itself gives it to others
/// to trust, and mostly it says that it is an issuer's, which no server's may say otherwise.
#[derive(Debug)]
struct Verifier {
    by_chain: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.trusted.contains(certificate) {
            let Self { by_chain, .. } = self;
            return by_chain.verify_server_cert(certificate, issuers, name, ocsp, now);
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        if not_after::of(certificate).is_none_or(|end| end < now.as_secs()) {
            return Err(CertificateError::Expired.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Self { by_chain, .. } = self;
        by_chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Self { by_chain, .. } = self;
        by_chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_chain.supported_verify_schemes()
    }
}

/// What a server must prove that it is.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    roots: Roots,
    name: ServerName<'static>,
}

impl Proof {
    /// That it is this host, as these roots say.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if no certificate can name the host.
    pub(crate) fn new(roots: &Roots, host: &str) -> io::Result<Self> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = match host.parse::<IpAddr>() {
            Ok(address) => ServerName::IpAddress(address.into()),
            Err(_) => ServerName::try_from(host.to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
        };
        Ok(Self {
            roots: roots.clone(),
            name,
        })
    }
}

/// A stream to a server, in TLS.
#[derive(Debug)]
pub(crate) struct Dialled {
    stream: Stream,
    connection: ClientConnection,
    /// Below, the connection stands.
    is_up: bool,
    /// How many bytes of plaintext are taken when all ciphertext is gone.
    promised: usize,
}

/// The stream below, as rustls wants it.
struct Below<'a>(&'a mut Stream);

impl io::Read for Below<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Read::Bytes(bytes) => Ok(bytes),
            Read::Blocked => Err(io::ErrorKind::WouldBlock.into()),
            Read::Broken(kind) => Err(kind.into()),
            Read::Ended | Read::Records { .. } | Read::Truncated => Ok(0),
        }
    }
}

impl io::Write for Below<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(&[IoSlice::new(bytes)]) {
            Write::Taken(bytes) => Ok(bytes),
            Write::Blocked => Err(io::ErrorKind::WouldBlock.into()),
            Write::Broken(kind) => Err(kind.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Dialled {
    /// A stream that is about to be connected.
    ///
    /// # Errors
    /// If rustls cannot make a connection, for there is no chance to be had from the system.
    pub(crate) fn new(stream: Stream, proof: &Proof) -> io::Result<Self> {
        let Proof { roots, name } = proof;
        let connection = ClientConnection::new(Arc::clone(&roots.0), name.clone());
        Ok(Self {
            stream,
            connection: connection.map_err(io::Error::other)?,
            is_up: false,
            promised: 0,
        })
    }

    /// The stream below.
    pub(crate) fn below(&self) -> &Stream {
        &self.stream
    }

    /// The same, for its events to be asked for.
    pub(crate) fn below_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// As [`Stream::reset`].
    pub(crate) fn reset(self) {
        self.stream.reset();
    }

    /// Sends what rustls has to send, as far as the socket takes it.
    fn send(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut Below(&mut self.stream))?;
        }
        Ok(())
    }

    /// Reads once from below; gives whether the end was there.
    fn receive(&mut self) -> io::Result<bool> {
        let bytes = self.connection.read_tls(&mut Below(&mut self.stream))?;
        if let Err(error) = self.connection.process_new_packets() {
            // The alert is all that the server still hears.
            let _ = self.send();
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(bytes == 0)
    }

    fn shake_hands(&mut self) -> io::Result<()> {
        loop {
            self.send()?;
            if !self.connection.is_handshaking() {
                return Ok(());
            }
            if self.receive()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads once from below at most, so that a server whose records have nothing in them holds nobody up.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<Read> {
        match self.decrypted(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return outcome,
        }
        self.receive()?;
        // What a key update makes us send. If it does not go, the next write takes it along.
        let _ = self.send();
        match self.decrypted(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Read::Records {
                bytes: 0,
                records: 0,
            }),
            outcome => outcome,
        }
    }

    /// What rustls has for us.
    fn decrypted(&mut self, buffer: &mut [u8]) -> io::Result<Read> {
        match self.connection.reader().read(buffer) {
            Ok(0) => Ok(Read::Ended),
            Ok(bytes) => Ok(Read::Records { bytes, records: 1 }),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Read::Truncated),
            Err(error) => Err(error),
        }
    }

    fn try_write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send()?;
        if self.promised == 0 {
            for slice in slices {
                let room = PROMISED_MAX - self.promised;
                let part = &slice[..slice.len().min(room)];
                self.promised += self.connection.writer().write(part)?;
            }
            self.send()?;
        }
        Ok(std::mem::take(&mut self.promised))
    }
}

impl Socket for Dialled {
    fn connected(&mut self) -> io::Result<bool> {
        if !self.is_up && !self.stream.connected()? {
            return Ok(false);
        }
        self.is_up = true;
        match self.shake_hands() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }

    fn local_address(&self) -> Option<SocketAddr> {
        self.stream.local_address()
    }

    fn read(&mut self, buffer: &mut [u8]) -> Read {
        match self.try_read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Read::Blocked,
            Err(error) => Read::Broken(error.kind()),
        }
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> Write {
        match self.try_write(slices) {
            Ok(0) => Write::Broken(io::ErrorKind::WriteZero),
            Ok(bytes) => Write::Taken(bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Write::Blocked,
            Err(error) => Write::Broken(error.kind()),
        }
    }

    fn finish(&mut self) {
        self.connection.send_close_notify();
        let _ = self.send();
        self.stream.finish();
    }

    fn take_error(&mut self) -> Option<io::ErrorKind> {
        self.stream.take_error()
    }
}
