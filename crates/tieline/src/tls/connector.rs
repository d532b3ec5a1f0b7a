//! The settings of TLS that a client's options come to, and the handshake of each connection.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tieline_protocol::limits::TLS_QUEUE;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::warn;

use super::options::{Source, TlsOptions};
use super::speech::Speech;
use crate::error::Error;

/// Makes the connections of one client. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Inner>);

struct Inner {
    options: TlsOptions,
    speech: Speech,
    name: ServerName<'static>,
    /// The platform's authorities, if those are trusted; they are many, and read once.
    platform: Option<Arc<dyn ServerCertVerifier>>,
    /// The last settings that could be used.
    config: Mutex<Arc<ClientConfig>>,
}

impl Connector {
    /// Reads and judges the options, for connections that carry this.
    ///
    /// # Errors
    /// [`Error::TlsOptions`], which says what can't be used.
    pub(crate) fn new(options: &TlsOptions, host: &str, speech: Speech) -> Result<Self, Error> {
        let wrong = |reason| Error::TlsOptions { reason };
        let name = options.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            wrong(format!("'{name}' is neither a name nor an IP address that a certificate could have"))
        })?;
        let platform = match options.authority {
            Some(_) => None,
            None => Some(platform().map_err(wrong)?),
        };
        let config = Mutex::new(config(options, speech, platform.as_ref()).map_err(wrong)?);
        Ok(Self(Arc::new(Inner { options: options.clone(), speech, name, platform, config })))
    }

    /// Shakes hands with the server at the other end.
    ///
    /// # Errors
    /// If that fails; [`refusal`](super::refusal) says whether trying again could help.
    pub(crate) async fn connect(self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(self.0.present_config());
        let shaking = connector.connect_with(self.0.name.clone(), stream, |session| {
            session.set_buffer_limit(Some(TLS_QUEUE));
        });
        shaking.await
    }
}

impl Inner {
    /// The settings for a new connection.
    fn present_config(&self) -> Arc<ClientConfig> {
        let mut last = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if self.options.may_change() {
            match config(&self.options, self.speech, self.platform.as_ref()) {
                Ok(config) => *last = config,
                Err(reason) => warn!(reason, "TLS goes on with the certificates that were read before"),
            }
        }
        Arc::clone(&last)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connector").field(&self.0.options).finish()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn platform() -> Result<Arc<dyn ServerCertVerifier>, String> {
    let verifier = Verifier::new(provider());
    Ok(Arc::new(verifier.map_err(|error| format!("this system names no authorities to trust ({error}): give one"))?))
}

fn config(
    options: &TlsOptions,
    speech: Speech,
    platform: Option<&Arc<dyn ServerCertVerifier>>,
) -> Result<Arc<ClientConfig>, String> {
    let verifier = match (&options.authority, platform) {
        (Some(authority), _) => {
            let words = |reason: String| format!("the authority{authority} can't be used: {reason}");
            given(authority).map_err(words)?
        }
        (None, Some(platform)) => Arc::clone(platform),
        (None, None) => self::platform()?,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &options.identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let certificates = certificates(chain)
                .map_err(|reason| format!("the client's certificate{chain} can't be used: {reason}"))?;
            let words = |reason: String| format!("the client's private key{key} can't be used: {reason}");
            let private = private_key(key).map_err(words)?;
            builder.with_client_auth_cert(certificates, private).map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => words("it is not the key of the certificate".to_owned()),
                error => words(error.to_string()),
            })?
        }
    };
    config.alpn_protocols = vec![speech.alpn().to_vec()];
    // Each connection is judged by the certificates of the day, as the server does too.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Trusts these authorities alone.
fn given(authority: &Source) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    Ok(verifier.map_err(|error| error.to_string())?)
}

fn certificates(source: &Source) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&source.read()?).collect();
    let found = read.map_err(|error| error.to_string())?;
    if found.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(found) }
}

fn private_key(source: &Source) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&source.read()?).map_err(|error| match error {
        pem::Error::NoItemsFound => "there is no private key in it".to_owned(),
        error => error.to_string(),
    })
}
