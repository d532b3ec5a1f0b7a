//! The client against the real server, over loopback sockets.

mod bodies;
mod ends;
mod giving_back;
mod holding;
mod rolling;
mod routing;
mod tracing;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tieline::{Client, Request};
use tieline_server::{Config, Listener, RunError, Stop};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server on a port of its own.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) stop: Stop,
    running: JoinHandle<Result<(), RunError>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::on("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self::with(address, listener.into())
    }

    pub(crate) fn with(address: String, listener: Listener) -> Self {
        let stop = Stop::new();
        let running = tokio::spawn(tieline_server::run(vec![listener], Config::default(), stop.clone()));
        Self { address, stop, running }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.address).await.unwrap()
    }

    /// Drains, and waits until the server is done.
    pub(crate) async fn drained(self) {
        self.stop.drain();
        self.running.await.unwrap().unwrap();
    }

    /// Ends at once.
    pub(crate) async fn killed(self) {
        self.stop.now();
        self.running.await.unwrap().unwrap();
    }
}

/// Fails what would hang.
pub(crate) async fn bounded<T>(story: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), story).await.expect("the story ends")
}

/// Sends each request's body back as it comes.
pub(crate) async fn echo(request: Request) -> Result<(), tieline::Error> {
    let (mut body, responder) = request.into_parts();
    let mut writer = responder.writer();
    while let Some(piece) = body.chunk().await? {
        writer.send(piece).await?;
    }
    writer.finish().await
}
