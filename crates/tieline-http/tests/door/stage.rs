//! A server with a gateway, and clients of its bus.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tieline::{Client, Error, Request};
use tieline_http::{Gateway, HttpConfig, HttpListener};
use tieline_server::{Config, Entrance, Server, Source, Status, Stop, Tls, Watch};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What takes longer than this will not come any more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) stop: Stop,
    watch: Watch,
    entrance: Entrance,
    serving: JoinHandle<()>,
}

impl Stage {
    pub(crate) async fn open() -> Self {
        Self::with(Config::default(), HttpConfig::default(), None).await
    }

    pub(crate) async fn with(config: Config, http: HttpConfig, tls: Option<Tls>) -> Self {
        let stop = Stop::new();
        let server = Server::new(config, stop.clone()).unwrap();
        let gateway = Gateway::new(&server, stop.clone(), http);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = match tls {
            Some(tls) => HttpListener::tls(listener, tls),
            None => listener.into(),
        };
        let (watch, entrance) = (server.watch(), server.entrance());
        let serving = tokio::spawn(async move {
            tokio::join!(server.run(vec![]), gateway.run(vec![listener]));
        });
        Self { address, stop, watch, entrance, serving }
    }

    /// A client on the bus.
    pub(crate) fn bus(&self) -> Client {
        self.bus_with(None)
    }

    /// A client on the bus that has a token.
    pub(crate) fn bus_with(&self, token: Option<&str>) -> Client {
        let entrance = self.entrance.clone();
        let builder = Client::builder().transport(move || {
            let stream = entrance.connect(Source::Unknown);
            async move { Ok(stream) }
        });
        match token {
            Some(token) => builder.token(tieline::Token::new(token)),
            None => builder,
        }
        .build()
        .unwrap()
    }

    /// Has requests on a channel handled, eight at a time; ready when this returns.
    pub(crate) async fn handle<H, F>(&self, channel: &str, handler: H)
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let receiver = self.bus().receive(channel).ready(8).open().await.unwrap();
        tokio::spawn(receiver.serve(8, handler));
    }

    /// A receiver that answers with what it gets, piece by piece.
    pub(crate) async fn echo(&self, channel: &str) {
        self.handle(channel, async |request| {
            let (mut body, responder) = request.into_parts();
            let mut writer = responder.start().await?;
            while let Some(piece) = body.chunk().await? {
                writer.send(piece).await?;
                writer.flush().await?;
            }
            writer.finish().await
        })
        .await;
    }

    /// A receiver that answers with `half`, and fails when it is told to.
    pub(crate) async fn half(&self, channel: &str) -> Arc<Notify> {
        let fail = Arc::new(Notify::new());
        let told = Arc::clone(&fail);
        self.handle(channel, move |request| {
            let told = Arc::clone(&told);
            async move {
                let mut writer = request.respond().start().await?;
                writer.send("half").await?;
                writer.flush().await?;
                told.notified().await;
                writer.fail("the disk is full").await
            }
        })
        .await;
        fail
    }

    pub(crate) fn status(&self) -> Status {
        self.watch.status()
    }

    /// Waits until something holds that nobody announces.
    pub(crate) async fn wait_until(&self, what: &str, is_so: impl Fn(Status) -> bool) {
        let waiting = async {
            while !is_so(self.status()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        within(what, waiting).await;
    }

    /// Drains, and waits for the end.
    pub(crate) async fn ended(self) {
        self.stop.drain();
        within("the server ends", self.serving).await.unwrap();
    }
}

/// Waits, but not for ever.
pub(crate) async fn within<T>(what: &str, waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}
