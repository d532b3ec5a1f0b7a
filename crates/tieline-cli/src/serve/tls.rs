//! The certificates of `serve`: which files they are in, and what is made of them.

use std::fs;
use std::path::{Path, PathBuf};

use tieline_server::{TlsConfig, TlsPart};

use super::settings::Settings;
use crate::exit::{self, Failure};
use crate::files;
use crate::terminal::say;

/// Reads the certificates that the settings name, if they name any, and warns of a private key that others can read.
///
/// # Errors
/// If a file is missing or wrong.
pub(super) fn read(settings: &Settings) -> Result<Option<(TlsFiles, TlsConfig)>, Failure> {
    let Some(files) = TlsFiles::of(settings)? else { return Ok(None) };
    let config = files.load().map_err(|words| Failure::new(exit::CONFIG, words))?;
    if let Some(warning) = files.warning() {
        say(format!("tieline: {warning}"));
    }
    Ok(Some((files, config)))
}

/// The files that TLS is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TlsFiles {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// What the settings say; `None` if that is nothing.
    ///
    /// # Errors
    /// If they say only half of it.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, Failure> {
        let client_ca = settings.tls_client_ca.clone();
        let lacks = |words: &str| Err(Failure::new(exit::CONFIG, words));
        match (&settings.tls_cert, &settings.tls_key) {
            (Some(cert), Some(key)) => Ok(Some(Self { cert: cert.clone(), key: key.clone(), client_ca })),
            (Some(_), None) => lacks("tls-cert is set, and tls-key is not: the certificate needs its private key"),
            (None, Some(_)) => lacks("tls-key is set, and tls-cert is not: the private key needs its certificate"),
            (None, None) if client_ca.is_some() => {
                lacks("tls-client-ca is set, and tls-cert is not: clients show certificates only over TLS")
            }
            (None, None) => Ok(None),
        }
    }

    /// Reads and judges them.
    ///
    /// # Errors
    /// In words: which file can't be used, and why.
    pub(super) fn load(&self) -> Result<TlsConfig, String> {
        let (cert, key) = (bytes(&self.cert)?, bytes(&self.key)?);
        let client_ca = self.client_ca.as_deref().map(bytes).transpose()?;
        TlsConfig::from_pem(&cert, &key, client_ca.as_deref()).map_err(|error| {
            let file = match error.part {
                TlsPart::Chain => &self.cert,
                TlsPart::Key => &self.key,
                TlsPart::ClientAuthority => self.client_ca.as_ref().unwrap_or(&self.cert),
            };
            format!("{}: {error}", file.display())
        })
    }

    /// A warning, if others can read the private key.
    pub(super) fn warning(&self) -> Option<String> {
        files::open_to_others(&self.key)
    }

    /// The file of the certificate, for people.
    pub(super) fn cert(&self) -> impl std::fmt::Display {
        self.cert.display()
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_settings_is_an_error_that_names_the_other_half() {
        let path = || Some(PathBuf::from("file"));
        let of = |tls_cert, tls_key, tls_client_ca| {
            TlsFiles::of(&Settings { tls_cert, tls_key, tls_client_ca, ..Settings::default() })
        };
        assert_eq!(of(None, None, None), Ok(None));
        assert!(of(path(), path(), path()).unwrap().unwrap().client_ca.is_some());
        for (half, other) in [
            (of(path(), None, None), "tls-key is not"),
            (of(None, path(), None), "tls-cert is not"),
            (of(None, None, path()), "tls-cert is not"),
        ] {
            let failure = half.unwrap_err();
            assert!(failure.words.contains(other) && failure.status == exit::CONFIG, "{failure}");
        }
    }
}
