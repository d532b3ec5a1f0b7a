//! TLS to a collector: whose certificate is accepted, and which one is shown. Files are read once, at the start, so that
//! one that can't be used is told before anything is served.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::options::OptionsError;

/// The variables: for traces alone, which come first, and for all that OTLP carries.
const AUTHORITY: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
const CERTIFICATE: [&str; 2] =
    ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"];
const KEY: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];

/// Whom to trust and what to show over TLS, in files (PEM).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Trust {
    /// The authorities that are trusted instead of the system's.
    pub authority: Option<PathBuf>,
    /// The certificate that is shown to a collector that asks for one, and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Trust {
    /// As variables say.
    ///
    /// # Errors
    /// If there is a certificate without its key, or the other way round.
    pub(crate) fn from(get: impl Fn(&'static str) -> Option<String>) -> Result<Self, OptionsError> {
        let path = |names: [&'static str; 2]| names.into_iter().find_map(&get).map(PathBuf::from);
        let alone = |name, path: PathBuf, other| {
            let reason = format!("it is of no use alone; set {other} too");
            Err(OptionsError::File { name, path, reason })
        };
        let identity = match (path(CERTIFICATE), path(KEY)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(certificate), None) => return alone(CERTIFICATE[1], certificate, KEY[1]),
            (None, Some(key)) => return alone(KEY[1], key, CERTIFICATE[1]),
            (None, None) => None,
        };
        Ok(Self { authority: path(AUTHORITY), identity })
    }

    /// The settings that they come to.
    ///
    /// # Errors
    /// If a file can't be used, or the system names no authorities.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, OptionsError> {
        let exporter = |error: rustls::Error| OptionsError::Exporter(error.to_string());
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(exporter)?;
        let builder = match &self.authority {
            None => builder.with_platform_verifier().map_err(exporter)?,
            Some(path) => builder.with_root_certificates(roots(path)?),
        };
        let Some((certificate, key)) = &self.identity else { return Ok(Arc::new(builder.with_no_client_auth())) };
        let chain = certificates(CERTIFICATE[1], certificate)?;
        let wrong = |reason| OptionsError::File { name: KEY[1], path: key.clone(), reason };
        let private = PrivateKeyDer::from_pem_slice(&read(KEY[1], key)?).map_err(|error| {
            wrong(match error {
                pem::Error::NoItemsFound => "there is no private key in it".to_owned(),
                error => error.to_string(),
            })
        })?;
        let config = builder.with_client_auth_cert(chain, private).map_err(|error| wrong(error.to_string()))?;
        Ok(Arc::new(config))
    }
}

fn roots(path: &Path) -> Result<RootCertStore, OptionsError> {
    let wrong = |reason| OptionsError::File { name: AUTHORITY[1], path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(AUTHORITY[1], path)? {
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(roots)
}

fn certificates(name: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, OptionsError> {
    let wrong = |reason| OptionsError::File { name, path: path.to_owned(), reason };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(name, path)?).collect();
    match found {
        Ok(found) if found.is_empty() => Err(wrong("there is no certificate in it".to_owned())),
        found => found.map_err(|error| wrong(error.to_string())),
    }
}

fn read(name: &'static str, path: &Path) -> Result<Vec<u8>, OptionsError> {
    fs::read(path).map_err(|error| OptionsError::File { name, path: path.to_owned(), reason: error.to_string() })
}
