//! The client against a real server over TLS: bodies, trust and its absence, certificates that change.

mod bodies;
mod certs;
mod changes;
mod trust;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tieline::{Client, Error, Request, TlsOptions};
use tieline_server::{Config, Listener, Server as Library, Stop, Tls, TlsConfig};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use certs::Authority;

/// A server that speaks TLS on a port of its own.
pub(crate) struct Server {
    pub(crate) authority: Authority,
    pub(crate) address: SocketAddr,
    pub(crate) tls: Tls,
    stop: Stop,
    running: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let authority = Authority::new();
        let config = authority.server(&["localhost", "127.0.0.1"]).config(None);
        Self::with(authority, config).await
    }

    pub(crate) async fn with(authority: Authority, config: TlsConfig) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), authority, config).await
    }

    pub(crate) async fn at(address: SocketAddr, authority: Authority, config: TlsConfig) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = Tls::new(config);
        let stop = Stop::new();
        let library = Library::new(Config::default(), stop.clone()).unwrap();
        let listeners = vec![Listener::tls(listener, tls.clone())];
        let running = tokio::spawn(library.run(listeners));
        Self { authority, address, tls, stop, running }
    }

    /// Options that trust this server.
    pub(crate) fn trusting(&self) -> TlsOptions {
        TlsOptions::new().authority(self.authority.pem())
    }

    pub(crate) async fn connect(&self, options: TlsOptions) -> Result<Client, Error> {
        Client::builder().server(format!("tls://{}", self.address)).tls(options).connect().await
    }

    pub(crate) async fn client(&self) -> Client {
        self.connect(self.trusting()).await.unwrap()
    }

    /// Ends at once.
    pub(crate) async fn killed(self) -> Authority {
        self.stop.now();
        self.running.await.unwrap();
        self.authority
    }

    /// Drains, and waits until the server is done.
    pub(crate) async fn drained(self) {
        self.stop.drain();
        self.running.await.unwrap();
    }
}

/// Fails what would hang.
pub(crate) async fn bounded<T>(story: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), story).await.expect("the story ends")
}

/// Sends each request's body back as it comes.
pub(crate) async fn echo(request: Request) -> Result<(), Error> {
    let (mut body, responder) = request.into_parts();
    let mut writer = responder.writer();
    while let Some(piece) = body.chunk().await? {
        writer.send(piece).await?;
    }
    writer.finish().await
}
