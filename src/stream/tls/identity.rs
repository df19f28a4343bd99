//! A certificate and its key, out of PEM. The provider of all arithmetic is named here.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, InconsistentKeys, ServerConfig};

use super::not_after;

const BROKEN_PEM: &str = "broken PEM";

/// A certificate and its key: what handshakes are made with.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// The same for HTTP, of which a browser wants to be told (RFC 7301).
    pub(super) http: Arc<ServerConfig>,
    /// When the certificate ends, in seconds since 1970.
    pub(crate) ends_at: u64,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(until {})", self.ends_at)
    }
}

/// What is wrong with a certificate or its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    Certificate(String),
    Key(String),
}

impl Identity {
    /// Takes a certificate with its issuers behind it, and its key (PKCS#8, SEC1 or PKCS#1), both in PEM.
    ///
    /// # Errors
    /// If there is none in one of them, it is of a kind that we cannot use, or the key is not that of the certificate.
    pub(crate) fn parse(certificate: &[u8], key: &[u8], at_least_13: bool) -> Result<Self, Unfit> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|_| Unfit::Certificate(BROKEN_PEM.to_owned()))?;
        let Some(first) = chain.first() else {
            return Err(Unfit::Certificate("no certificate in it".to_owned()));
        };
        let ends_at = not_after::of(first)
            .ok_or_else(|| Unfit::Certificate("not a certificate".to_owned()))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            Unfit::Key(match error {
                pem::Error::NoItemsFound => "no private key in it".to_owned(),
                _ => BROKEN_PEM.to_owned(),
            })
        })?;
        let provider = Arc::new(ring::default_provider());
        let certified = CertifiedKey::from_der(chain, key, &provider);
        let certified = certified.map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                Unfit::Key("not the key of the certificate".to_owned())
            }
            Error::InvalidCertificate(_) => Unfit::Certificate(error.to_string()),
            error => Unfit::Key(error.to_string()),
        })?;
        let versions: &[_] = if at_least_13 {
            &[&TLS13]
        } else {
            &[&TLS13, &TLS12]
        };
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(versions);
        let builder = builder.map_err(|error| Unfit::Certificate(error.to_string()))?;
        let mut config = builder
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        // A handshake that resumes one costs as much, and each ticket costs memory.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let mut http = config.clone();
        http.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            http: Arc::new(http),
            ends_at,
        })
    }
}
