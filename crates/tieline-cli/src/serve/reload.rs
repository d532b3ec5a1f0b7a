//! All settings together, gathered at the start and again on SIGHUP: what can change while the server runs is changed then.
//! A file that is wrong changes nothing.

use std::io;

use tieline::Address;
use tieline_server::{Access, Config, Control, Tls, TlsConfig, TokenRule};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::args::Args;
use super::http::{self, HttpAddress};
use super::settings::{HttpSettings, Settings};
use super::tls::{self, TlsFiles};
use super::{config, descriptors, file};
use crate::exit::{self, Failure};
use crate::terminal::say;

/// What flags, environment and files say together.
pub(super) struct Gathered {
    /// What the file says, and nothing else.
    pub(super) file: Settings,
    pub(super) settings: Settings,
    pub(super) addresses: Vec<Address>,
    /// Where requests by HTTP are taken, if they are.
    pub(super) http: Option<HttpAddress>,
    /// How many threads serve.
    pub(super) threads: usize,
    pub(super) config: Config,
    /// The tokens, if they are wanted; they are in the configuration too.
    pub(super) tokens: Option<Vec<TokenRule>>,
    pub(super) tls: Option<(TlsFiles, TlsConfig)>,
}

/// Reads what there is to read, and judges all of it.
///
/// # Errors
/// If a file can't be read or is wrong, or a setting can't be.
pub(super) fn gather(args: &Args) -> Result<Gathered, Failure> {
    let file = args.config.as_deref().map(file::read).transpose()?.unwrap_or_default();
    let settings = args.settings.clone().or(file.clone());
    let addresses = config::addresses(&settings);
    let threads = config::threads(&settings)?;
    let tokens = config::tokens(&settings)?;
    let config = config::config(&settings, tokens.as_deref())?;
    let tls = tls::read(&settings)?;
    let http = http::address(&settings);
    http::see_names(&settings)?;
    Ok(Gathered { file, settings, addresses, http, threads, config, tokens, tls })
}

/// The signals that ask for a reload; from now on they end nothing.
///
/// # Errors
/// If the system refuses the handler.
pub(super) fn listen() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Reloads what one server runs with.
pub(super) struct Reload {
    pub(super) args: Args,
    pub(super) control: Control,
    /// The running server's.
    pub(super) access: Access,
    /// The certificates, if it speaks TLS.
    pub(super) tls: Option<Tls>,
    pub(super) addresses: Vec<Address>,
    pub(super) threads: usize,
    /// What the settings say of the door for HTTP.
    pub(super) http: HttpSettings,
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
        let gathered = gather(&self.args)?;
        let mut done = Vec::new();
        // Whether there are tokens and TLS at all isn't changed by the way: addresses were opened by it.
        let mut later = Vec::new();
        let applied =
            self.control.apply(&gathered.config).map_err(|error| Failure::new(exit::CONFIG, error.to_string()))?;
        match (gathered.tokens, self.access.wants_tokens()) {
            (Some(rules), true) => {
                self.access.replace(rules).map_err(|error| Failure::new(exit::CONFIG, error.to_string()))?;
                done.push(match self.access.len() {
                    1 => "1 token".to_owned(),
                    tokens => format!("{tokens} tokens"),
                });
            }
            (None, false) => {}
            _ => later.push("tokens"),
        }
        match (gathered.tls, &self.tls) {
            (Some((files, config)), Some(tls)) => {
                tls.replace(config);
                done.push(format!("the certificate of {}", files.cert()));
            }
            (None, None) => {}
            _ => later.push("tls-cert"),
        }
        done.extend(applied.now.iter().map(|name| (*name).to_owned()));
        done.extend(applied.for_new_connections.iter().map(|name| format!("{name} for new connections")));
        later.extend(applied.with_a_restart);
        if gathered.addresses != self.addresses {
            later.push("listen");
        }
        if gathered.threads != self.threads {
            later.push("threads");
        }
        if gathered.settings.http_settings() != self.http {
            later.push("http");
        }
        let config = &gathered.config;
        if (applied.now.contains(&"connections") || applied.now.contains(&"http-connections"))
            && let Some(note) = descriptors::raise_limit(config.connections.saturating_add(config.http_connections))
        {
            say(format!("tieline: {note}"));
        }
        Ok(words(&done, &later))
    }
}

fn words(done: &[String], later: &[&str]) -> String {
    let mut words = match done {
        [] => "reloaded; nothing has changed".to_owned(),
        _ => format!("reloaded: {}", done.join(", ")),
    };
    if !later.is_empty() {
        words.push_str("; only a restart changes: ");
        words.push_str(&later.join(", "));
    }
    words
}
