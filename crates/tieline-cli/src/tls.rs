//! Whom to trust and what to show over TLS: the flags that commands have in common, and what is said of a refusal.

use std::path::PathBuf;

use tieline::{Code, TlsOptions, TlsTrouble};

use crate::exit::{self, Failure, Started};
use crate::files;
use crate::terminal::say;

/// The flags.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct TlsArgs {
    /// Over TLS, trust the authorities in this file (PEM) instead of those of the system
    #[arg(long, value_name = "FILE", env = "TIELINE_CA")]
    ca: Option<PathBuf>,

    /// Show this certificate (PEM) to a server that asks for one
    #[arg(long, value_name = "FILE", env = "TIELINE_CERT", requires = "key")]
    cert: Option<PathBuf>,

    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", env = "TIELINE_KEY", requires = "cert")]
    key: Option<PathBuf>,

    /// Expect this name in the server's certificate, not the host of its address
    #[arg(long, value_name = "NAME", env = "TIELINE_SERVER_NAME")]
    server_name: Option<String>,
}

impl TlsArgs {
    /// What is said of TLS, if anything is.
    pub(crate) fn options(&self) -> Option<TlsOptions> {
        if let Some(warning) = self.key.as_deref().and_then(files::open_to_others) {
            say(format!("tieline: {warning}"));
        }
        let mut is_said = false;
        let mut options = TlsOptions::new();
        if let Some(ca) = &self.ca {
            (is_said, options) = (true, options.authority_file(ca));
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            (is_said, options) = (true, options.identity_files(cert, key));
        }
        if let Some(name) = &self.server_name {
            (is_said, options) = (true, options.server_name(name));
        }
        is_said.then_some(options)
    }
}

/// What is said when no connection over TLS comes about; `safety` follows on the same line.
pub(crate) fn refused(server: &str, reason: &str, safety: &str) -> Failure {
    let words = format!("no connection over TLS to {server}: {reason}.{safety}");
    Failure::new(exit::status_of(Code::Unauthorized, Started::No), words)
}

/// The same, with the flag that would help.
pub(crate) fn refused_with_advice(server: &str, trouble: TlsTrouble, reason: &str, safety: &str) -> Failure {
    let failure = refused(server, reason, safety);
    match trouble {
        TlsTrouble::UnknownAuthority => failure.line("trust its authority:  --ca FILE"),
        TlsTrouble::WrongName => failure.line("if that is the right server all the same:  --server-name NAME"),
        TlsTrouble::ClientCertificate => failure.line("show a certificate:  --cert FILE --key FILE"),
        _ => failure,
    }
}
