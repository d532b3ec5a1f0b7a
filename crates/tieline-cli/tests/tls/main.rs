//! TLS as a user comes to it: `tieline cert dev`, `serve`, `send` and `receive`, and what is said when it doesn't fit.

#[path = "../support/mod.rs"]
mod support;

mod certs;
mod http;
mod idle;
mod logs;
mod reload;
mod trust;

use std::path::{Path, PathBuf};

use support::{Running, Server, run, tieline};
use tempfile::TempDir;

/// A folder with certificates that `tieline cert dev` made.
pub(crate) struct Certs(TempDir);

impl Certs {
    pub(crate) fn new(flags: &[&str]) -> Self {
        let certs = Self(tempfile::tempdir().unwrap());
        certs.make(flags);
        certs
    }

    /// Makes them, or makes them anew.
    pub(crate) fn make(&self, flags: &[&str]) {
        run(tieline(["cert", "dev", "--dir", &self.dir()]).args(flags), "").code(0).wrote("");
    }

    pub(crate) fn dir(&self) -> String {
        self.0.path().join("certs").to_str().unwrap().to_owned()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.dir()).join(name)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A server with these certificates and more flags.
    pub(crate) fn server(&self, flags: &[&str]) -> Server {
        let (cert, key) = (self.file("server.pem"), self.file("server-key.pem"));
        let server = Server::with(&[&["--tls-cert", &cert, "--tls-key", &key], flags].concat());
        assert!(server.address.starts_with("tls://127.0.0.1:"), "{}", server.address);
        server
    }

    /// `tieline receive echo -- cat`, ready.
    pub(crate) fn echo(&self, server: &Server) -> Running {
        server.receive_with("echo", &["--ca", &self.file("ca.pem")], &["cat"])
    }
}
