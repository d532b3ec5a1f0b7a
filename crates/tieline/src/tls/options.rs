//! What a program may say of TLS: whom to trust, what to show, by which name the server is known.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// How a client speaks TLS. By default it trusts the authorities that the platform trusts, shows no certificate, and
/// expects the host of the address in the server's.
///
/// What is given as a file is read when the client is made, and again for each new connection, so that a certificate
/// may be renewed while the client lives. A file that can't be used any more changes nothing.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tieline::{Client, TlsOptions};
///
/// # let authority = rcgen::generate_simple_self_signed(["localhost".to_owned()])?.cert.pem();
/// let client = Client::builder()
///     .server("tls://localhost:7070")
///     .tls(TlsOptions::new().authority(authority))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct TlsOptions {
    pub(super) authority: Option<Source>,
    pub(super) identity: Option<(Source, Source)>,
    pub(super) server_name: Option<String>,
}

/// Where PEM comes from.
#[derive(Clone)]
pub(super) enum Source {
    Given(Arc<[u8]>),
    File(PathBuf),
}

impl TlsOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the authorities in this PEM, and no others.
    pub fn authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(Source::given(pem));
        self
    }

    /// Trusts the authorities in this PEM file, and no others.
    pub fn authority_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.authority = Some(Source::File(path.into()));
        self
    }

    /// Shows a certificate to servers that ask for one: in PEM, with what links it to its authority, its own first, and
    /// its private key.
    pub fn identity(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((Source::given(chain), Source::given(key)));
        self
    }

    /// The same, from PEM files.
    pub fn identity_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some((Source::File(chain.into()), Source::File(key.into())));
        self
    }

    /// Expects this name (or IP address) in the server's certificate instead of the address's host: for a server that
    /// is reached through a tunnel or by an address that its certificate doesn't have.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Whether some of it may be different for the next connection.
    pub(super) fn may_change(&self) -> bool {
        let sources = self.authority.iter().chain(self.identity.iter().flat_map(|(chain, key)| [chain, key]));
        sources.into_iter().any(|source| matches!(source, Source::File(_)))
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("authority", &self.authority)
            .field("identity", &self.identity)
            .field("server_name", &self.server_name)
            .finish()
    }
}

impl Source {
    fn given(pem: impl Into<Vec<u8>>) -> Self {
        Self::Given(pem.into().into())
    }

    /// The PEM, or why there is none.
    pub(super) fn read(&self) -> Result<Arc<[u8]>, String> {
        match self {
            Self::Given(pem) => Ok(Arc::clone(pem)),
            Self::File(path) => fs::read(path).map(Into::into).map_err(|error| format!("it can't be read: {error}")),
        }
    }
}

/// Where it comes from, never what it is.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => f.write_str("Given(hidden)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// For people: " of FILE", or nothing.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(_) => Ok(()),
            Self::File(path) => write!(f, " of {}", path.display()),
        }
    }
}
