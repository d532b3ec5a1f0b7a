//! Where the server is, and how long to try for it: what `send` and `receive` have in common.

use std::net::IpAddr;
use std::time::Duration;

use tieline::{Address, Client, Outcome, Status, TlsTrouble};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::address;
use crate::exit::{self, Failure, Started};
use crate::terminal::say;
use crate::tls::{self, TlsArgs};
use crate::token::own::TokenFrom;
use crate::units::Span;

/// The flags that say where the server is.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Reach {
    /// Where the server is: tcp://HOST:PORT, HOST:PORT, tls://HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR", env = "TIELINE_SERVER", default_value = address::DEFAULT)]
    pub(crate) server: Address,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    #[command(flatten)]
    pub(crate) token: TokenFrom,

    /// Give up when the server was out of reach for so long [default: keep trying]
    #[arg(long, value_name = "DURATION", env = "TIELINE_CONNECT_TIMEOUT")]
    pub(crate) connect_timeout: Option<Span>,
}

/// A server that isn't reached for so long is mentioned, with the reason, so that nobody wonders why nothing happens. One
/// that is started at the same time, or again, is there by then.
const MENTION_AFTER: Duration = Duration::from_millis(300);

/// One that is silent, so that no reason is known, is given so much longer: it may be far, or this machine busy.
const SILENT_AFTER: Duration = Duration::from_secs(2);

/// So many reasons are said of one wait, at most.
const REASONS: usize = 8;

impl Reach {
    /// A client for that server; it connects when it is first used.
    ///
    /// # Errors
    /// If the address can't be one, a file of TLS can't be used, or there is to be a token and is none.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let mut builder = Client::builder()
            .server(self.server.to_string())
            .agent(concat!("tieline-cli/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout.map(|span| span.0));
        if let Some(token) = self.token.token()? {
            builder = builder.token(token);
        }
        if let Some(tls) = self.tls.options() {
            builder = builder.tls(tls);
        }
        builder.build().map_err(|error| match error {
            tieline::Error::TlsOptions { .. } => Failure::new(exit::CONFIG, error.to_string()),
            error => Failure::new(exit::USAGE, error.to_string()),
        })
    }

    /// What is said of an error that is about no request.
    pub(crate) fn failure(&self, error: &tieline::Error) -> Failure {
        match error {
            tieline::Error::Unreachable { reason, .. } => return self.unreachable(reason, ""),
            tieline::Error::Tls { trouble, reason, .. } => return self.no_tls(*trouble, reason, ""),
            _ => {}
        }
        let started = if error.outcome() == Outcome::Unstarted { Started::No } else { Started::Maybe };
        Failure::new(exit::status_of(error.code(), started), error.to_string())
    }

    /// What is said when the server is out of reach; `safety` follows on the same line.
    pub(crate) fn unreachable(&self, reason: &str, safety: &str) -> Failure {
        let failure = Failure::new(exit::UNAVAILABLE, format!("{} is out of reach: {reason}.{safety}", self.server));
        if self.is_near() { failure.line("start one:  tieline serve") } else { failure }
    }

    /// What is said when no connection over TLS comes about; `safety` follows on the same line.
    pub(crate) fn no_tls(&self, trouble: TlsTrouble, reason: &str, safety: &str) -> Failure {
        tls::refused_with_advice(&self.server.to_string(), trouble, reason, safety)
    }

    /// Says what is waited for, and why, whenever the server isn't reached soon; for as long as it runs.
    pub(crate) async fn mention_waiting(self, client: Client) {
        let (mut status, mut trouble) = (client.status(), client.trouble());
        let is_there = |status: &Status| matches!(status, Status::Connected | Status::Closed);
        // Of a client that wasn't asked for anything yet nothing is waited for.
        while status.wait_for(|status| !matches!(status, Status::Idle | Status::Connected)).await.is_ok() {
            if timeout(MENTION_AFTER, status.wait_for(is_there)).await.is_err() {
                tokio::select! {
                    _ = status.wait_for(is_there) => {}
                    () = self.tell_reasons(&mut trouble) => {}
                }
            }
            if *status.borrow() == Status::Closed {
                return;
            }
        }
    }

    /// Says each reason once. Returns when the client is gone.
    async fn tell_reasons(&self, trouble: &mut watch::Receiver<Option<tieline::Error>>) {
        let mut said = Vec::new();
        if let Ok(Err(_)) = timeout(SILENT_AFTER, trouble.wait_for(Option::is_some)).await {
            return;
        }
        loop {
            let reason = why(trouble.borrow_and_update().as_ref()).filter(|reason| !said.contains(reason));
            if let Some(reason) = reason
                && said.len() < REASONS
            {
                let hint = if self.is_near() { "; to start one:  tieline serve" } else { "" };
                say(format!("tieline: waiting for {}: {reason}{hint}", self.server));
                said.push(reason);
            }
            if trouble.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whether the server is to be on this machine.
    fn is_near(&self) -> bool {
        match &self.server {
            Address::Unix(_) => true,
            Address::Tcp { host, .. } | Address::Tls { host, .. } => {
                host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
        }
    }
}

/// Why there is no connection, if it is worth waiting for one.
fn why(trouble: Option<&tieline::Error>) -> Option<String> {
    match trouble {
        None => Some("no answer yet".to_owned()),
        // It ends the command, which says it then.
        Some(error) if error.is_refusal() => None,
        Some(tieline::Error::Unreachable { reason, .. }) => Some(reason.clone()),
        Some(error) => Some(error.to_string()),
    }
}

/// Says when the connection is lost, and `ready` when it is back.
pub(crate) async fn tell_losses(mut status: watch::Receiver<Status>, channel: String, ready: String) {
    let lost = |status: &Status| matches!(status, Status::Reconnecting | Status::Connecting);
    while status.wait_for(lost).await.is_ok() {
        say(format!("{channel}  the connection to the server is lost; trying again"));
        if status.wait_for(|status| *status == Status::Connected).await.is_err() {
            return;
        }
        say(&ready);
    }
}
