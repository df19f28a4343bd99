//! Certificates of the tests' own, in files that are there for one test.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

/// A certificate for localhost and 127.0.0.1 that signs itself, and its key.
pub(crate) struct Certificate {
    folder: PathBuf,
}

impl Certificate {
    pub(crate) fn new() -> Self {
        Self::until((2099, 1, 1))
    }

    /// One that ends at the beginning of this day.
    pub(crate) fn until((year, month, day): (i32, u8, u8)) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tls-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let certificate = Self { folder };
        certificate.renew((year, month, day));
        certificate
    }

    /// Puts another certificate with another key in its place.
    pub(crate) fn renew(&self, (year, month, day): (i32, u8, u8)) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        // Two with one name would each be taken for the issuer of the other.
        let name = format!("chatd {year} {}", self.folder.display());
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(year, month, day);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        self.write("cert.pem", &certificate.pem());
        self.write("key.pem", &key.serialize_pem());
    }

    /// Writes one of its files.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.folder.join(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().expect("a path").to_owned()
    }

    pub(crate) fn settings(&self) -> [String; 2] {
        [("tls-cert", "cert.pem"), ("tls-key", "key.pem")]
            .map(|(key, name)| format!("{key}={}", self.path(name)))
    }

    /// The roots of who trusts this certificate alone.
    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(self.path("cert.pem"));
        roots
            .add(certificate.expect("a certificate"))
            .expect("a root");
        roots
    }

    /// How a client talks TLS that trusts this certificate as it is now, and speaks these versions.
    pub(crate) fn client(
        &self,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder
            .with_protocol_versions(versions)
            .expect("they are known");
        let builder = builder.with_root_certificates(self.roots());
        Arc::new(builder.with_no_client_auth())
    }

    /// Connects as a client that trusts this certificate as it is now; the handshake is made with the first byte.
    pub(crate) fn connect(&self, to: SocketAddr) -> StreamOwned<ClientConnection, TcpStream> {
        connect(&self.client(rustls::ALL_VERSIONS), to)
    }

    /// The same, which must come to a handshake.
    pub(crate) fn shake_hands(
        &self,
        to: SocketAddr,
    ) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut stream = self.connect(to);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }
}

/// Connects as this client; the handshake is made with the first byte.
pub(crate) fn connect(
    client: &Arc<ClientConfig>,
    to: SocketAddr,
) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::clone(client), name).expect("a client");
    let stream = TcpStream::connect(to).expect("the server listens");
    stream
        .set_read_timeout(Some(super::support::DEADLINE))
        .expect("a time");
    StreamOwned::new(connection, stream)
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
