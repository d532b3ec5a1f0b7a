//! Certificates for a server that speaks TLS, made as its users make them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::process::binary;

/// A folder with certificates; it is removed when this is dropped.
#[derive(Debug)]
pub struct Certs(TempDir);

impl Certs {
    /// Makes them with `tieline cert dev`.
    ///
    /// # Errors
    /// If there is no binary, or it fails.
    pub fn make() -> anyhow::Result<Self> {
        let certs = Self(tempfile::tempdir()?);
        let made = Command::new(binary()?).args(["cert", "dev", "--force", "--dir"]).arg(certs.0.path()).output()?;
        ensure!(made.status.success(), "cert dev: {}", String::from_utf8_lossy(&made.stderr));
        Ok(certs)
    }

    /// The flags of `serve`.
    ///
    /// # Errors
    /// If the folder's name isn't text.
    pub fn flags(&self) -> anyhow::Result<[String; 4]> {
        let file = |name| self.file(name).into_os_string().into_string().ok().context("the folder's name is no text");
        Ok(["--tls-cert".to_owned(), file("server.pem")?, "--tls-key".to_owned(), file("server-key.pem")?])
    }

    /// The authority that clients trust.
    pub fn authority(&self) -> PathBuf {
        self.file("ca.pem")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
