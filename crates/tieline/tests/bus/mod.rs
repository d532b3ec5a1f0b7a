//! A server of its own for each test, whose books can be looked into.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::time::Duration;

use tieline::{Client, Error, Request};
use tieline_server::{Config, Counts, Server, Status, Stop, Watch};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) struct Bus {
    address: String,
    watch: Watch,
    stop: Stop,
    task: JoinHandle<()>,
}

impl Bus {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = Stop::new();
        let server = Server::new(Config::default(), stop.clone()).unwrap();
        let watch = server.watch();
        let task = tokio::spawn(server.run(vec![listener.into()]));
        Self { address, watch, stop, task }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.address).await.unwrap()
    }

    /// Waits until the server's books say what is wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(Status) -> bool) {
        let seen = tokio::time::timeout(Duration::from_mins(1), async {
            while !wanted(self.watch.status()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(seen.await.is_ok(), "it never came: {:?}", self.watch.status());
    }

    /// Ends the server, once the clients are gone and nothing is left of them.
    pub(crate) async fn end(self) {
        self.until(|status| status.connections == 0 && status.promised == 0 && status.counts == Counts::default())
            .await;
        self.stop.drain();
        self.task.await.unwrap();
    }
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
