//! A server with its gateway on free ports, clients of the bus, and the plainest client of HTTP.

use std::net::SocketAddr;

use serde_json::Value;
use tieline::{Client, Request};
use tieline_http::{Gateway, HttpConfig};
use tieline_server::{Config, Server, Stop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) struct Stage {
    pub(crate) bus: String,
    pub(crate) http: SocketAddr,
    stop: Stop,
    task: JoinHandle<()>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let stop = Stop::new();
        let server = Server::new(config, stop.clone()).unwrap();
        let gateway = Gateway::new(&server, stop.clone(), HttpConfig::default());
        let bus = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = (bus.local_addr().unwrap(), http.local_addr().unwrap());
        let task = tokio::spawn(async move {
            tokio::join!(server.run(vec![bus.into()]), gateway.run(vec![http.into()]));
        });
        Self { bus: format!("tcp://{}", addresses.0), http: addresses.1, stop, task }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.bus).await.unwrap()
    }

    /// A receiver that answers what it gets in upper case.
    pub(crate) async fn upper(&self, channel: &str) -> Client {
        let client = self.client().await;
        let receiver = client.receive(channel).await.unwrap();
        tokio::spawn(receiver.serve(2, |mut request: Request| async move {
            let body = request.body().bytes(1 << 20).await?;
            request.reply(body.to_ascii_uppercase()).await
        }));
        client
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as(path, "").await
    }

    /// Asks with more headers.
    pub(crate) async fn get_as(&self, path: &str, headers: &str) -> Answer {
        let mut socket = self.ask(path, headers).await;
        let mut text = String::new();
        socket.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The socket that the answer comes on.
    pub(crate) async fn ask(&self, path: &str, headers: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.http).await.unwrap();
        let text = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        socket.write_all(text.as_bytes()).await.unwrap();
        socket
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Asks until the answer is as it should be: what is shown of many channels may be a second old.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let value = self.json(path).await;
            if wanted(&value) {
                return value;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn end(self) {
        self.stop.now();
        self.task.await.unwrap();
    }
}
