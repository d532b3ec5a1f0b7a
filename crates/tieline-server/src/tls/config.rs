//! What a listener shows and asks for: read from PEM, and judged before it is used.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use thiserror::Error;
use tieline_protocol::header::ALPN;

/// Certificate and key of a server, and whose clients it takes; whole and fit for use. Cloning is cheap.
#[derive(Clone)]
pub struct TlsConfig {
    /// For the bus.
    bus: Arc<ServerConfig>,
    /// The same for HTTP: only what is spoken over it differs.
    http: Arc<ServerConfig>,
}

/// A part of the settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsPart {
    /// The server's certificate, and what links it to its authority.
    Chain,
    /// The private key of the certificate.
    Key,
    /// The authorities whose clients are let in.
    ClientAuthority,
}

impl fmt::Display for TlsPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chain => "the server's certificate",
            Self::Key => "the server's private key",
            Self::ClientAuthority => "the authority of clients",
        })
    }
}

/// Settings that can't be used, and why. It never holds any of a key.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{part} can't be used: {reason}")]
pub struct TlsError {
    /// Which part is wrong.
    pub part: TlsPart,
    /// What is wrong with it.
    pub reason: String,
}

impl TlsConfig {
    /// Reads PEM: the certificate with what links it to its authority, its own first; its private key; and, if only
    /// clients with a certificate are to be let in, the authorities that sign those.
    ///
    /// # Errors
    /// If a part is missing or can't be read, or the key isn't the certificate's.
    pub fn from_pem(chain: &[u8], key: &[u8], client_authority: Option<&[u8]>) -> Result<Self, TlsError> {
        let wrong = |part, reason: &dyn fmt::Display| TlsError { part, reason: reason.to_string() };
        let chain = certificates(TlsPart::Chain, chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => wrong(TlsPart::Key, &"there is no private key in it"),
            error => wrong(TlsPart::Key, &error),
        })?;
        // Named, so that no default of the process, which another library may have set, is relied upon.
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| wrong(TlsPart::Chain, &error))?;
        let builder = match client_authority {
            None => builder.with_no_client_auth(),
            Some(authority) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authority)?), provider)
                    .build()
                    .map_err(|error| wrong(TlsPart::ClientAuthority, &error))?,
            ),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                wrong(TlsPart::Key, &"it is not the key of the certificate")
            }
            rustls::Error::InvalidCertificate(error) => wrong(TlsPart::Chain, &error),
            error => wrong(TlsPart::Key, &error),
        })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        debug_assert!(config.max_early_data_size == 0, "early data could be replayed");
        let mut http = config.clone();
        http.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { bus: Arc::new(config), http: Arc::new(http) })
    }
}

impl TlsConfig {
    /// What is asked for and shown on the bus.
    pub(crate) fn bus(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.bus)
    }

    /// What is asked for and shown where HTTP is spoken.
    pub(crate) fn http(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.http)
    }
}

fn certificates(part: TlsPart, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = read.map_err(|error| TlsError { part, reason: error.to_string() })?;
    if found.is_empty() {
        return Err(TlsError { part, reason: "there is no certificate in it".to_owned() });
    }
    Ok(found)
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let part = TlsPart::ClientAuthority;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(part, pem)? {
        roots.add(certificate).map_err(|error| TlsError { part, reason: error.to_string() })?;
    }
    Ok(roots)
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConfig")
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
    use rustls::crypto::CryptoProvider;

    use super::*;

    fn made() -> (String, String) {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_with_its_key_is_taken() {
        let (chain, key) = made();
        TlsConfig::from_pem(chain.as_bytes(), key.as_bytes(), None).unwrap();
        let config = TlsConfig::from_pem(chain.as_bytes(), key.as_bytes(), Some(chain.as_bytes())).unwrap();
        for config in [config.bus, config.http] {
            assert_eq!((config.max_early_data_size, config.send_tls13_tickets), (0, 0));
        }
        assert!(CryptoProvider::get_default().is_none(), "nothing is set for the whole process");
    }

    #[test]
    fn what_can_not_be_used_is_told_by_its_part_and_shows_no_key() {
        let (chain, key) = made();
        let other = KeyPair::generate().unwrap().serialize_pem();
        let cut = &chain[..chain.len() / 2];
        for (chain, key, authority, part, reason) in [
            ("", &*key, None, TlsPart::Chain, "no certificate"),
            (&*key, &*key, None, TlsPart::Chain, "no certificate"),
            (cut, &*key, None, TlsPart::Chain, ""),
            (&*chain, "", None, TlsPart::Key, "no private key"),
            (&*chain, &*chain, None, TlsPart::Key, "no private key"),
            (&*chain, &*other, None, TlsPart::Key, "not the key of the certificate"),
            (&*chain, &*key, Some(""), TlsPart::ClientAuthority, "no certificate"),
            (&*chain, &*key, Some(&*key), TlsPart::ClientAuthority, "no certificate"),
        ] {
            let authority = authority.map(str::as_bytes);
            let error = TlsConfig::from_pem(chain.as_bytes(), key.as_bytes(), authority).unwrap_err();
            assert_eq!(error.part, part, "{error}");
            assert!(error.reason.contains(reason), "{error}");
            let secret = key.lines().nth(1).unwrap_or("-----");
            assert!(!format!("{error} {error:?}").contains(secret), "{error}");
        }
    }
}
