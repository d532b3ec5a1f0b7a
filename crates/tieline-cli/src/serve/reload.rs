//! SIGHUP: what can be read again while the server runs is. A file that is wrong changes nothing.

use std::io;

use tieline_server::Tls;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::tls::TlsFiles;
use crate::exit::{self, Failure};
use crate::terminal::say;

/// The signals that ask for a reload; from now on they end nothing.
///
/// # Errors
/// If the system refuses the handler.
pub(super) fn listen() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Reloads what one server runs with.
pub(super) struct Reload {
    /// The certificates, if it speaks TLS.
    pub(super) tls: Option<(TlsFiles, Tls)>,
}

impl Reload {
    /// Reloads at each signal. Runs until it is dropped.
    pub(super) async fn at_each(self, mut signals: Signal) {
        while signals.recv().await.is_some() {
            match self.once() {
                Ok(words) => say(format!("tieline: {words}")),
                Err(failure) => say(format!("tieline: nothing was reloaded, all is as before: {failure}")),
            }
        }
    }

    /// Reloads once; what became of it, in words.
    fn once(&self) -> Result<String, Failure> {
        let mut done = Vec::new();
        if let Some((files, tls)) = &self.tls {
            let config = files.load().map_err(|words| Failure::new(exit::CONFIG, words))?;
            if let Some(warning) = files.warning() {
                say(format!("tieline: {warning}"));
            }
            tls.replace(config);
            done.push(format!("the certificate of {}", files.cert()));
        }
        if done.is_empty() {
            return Ok("nothing to reload: other settings need a restart".to_owned());
        }
        Ok(format!("reloaded: {}", done.join(", ")))
    }
}
