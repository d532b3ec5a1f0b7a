//! A server that speaks TLS, its authority, and clients of it.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tieline_protocol::{Flags, Kind};
use tieline_server::{Config, Listener, Tls, TlsConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::common::certs::Authority;
use crate::common::{RawClient, TestServer, body, channel, start};

pub const ALPN: &str = "tieline/1";

pub type Client = RawClient<TlsStream<TcpStream>>;

pub struct World {
    pub authority: Authority,
    pub tls: Tls,
    pub server: TestServer,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        let authority = Authority::new();
        let tls = authority.config();
        Self::made(authority, tls, config).await
    }

    pub async fn made(authority: Authority, config: TlsConfig, settings: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, authority, config, settings).await
    }

    pub async fn on(listener: TcpListener, authority: Authority, config: TlsConfig, settings: Config) -> Self {
        let address = listener.local_addr().unwrap();
        let tls = Tls::new(config);
        let server = TestServer::on(Listener::tls(listener, tls.clone()), address, settings).await;
        Self { authority, tls, server }
    }

    pub async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.server.address).await.unwrap()
    }

    /// A client behind its handshake, which has said nothing yet.
    pub async fn stranger(&self, id: u128) -> Client {
        RawClient::over(shaken(self.server.address, self.authority.trusting(None, &[ALPN])).await.unwrap(), id)
    }

    /// A client behind its hello.
    pub async fn client(&self, id: u128) -> Client {
        let mut client = self.stranger(id).await;
        greet(&mut client).await;
        client
    }

    /// Two clients and an exchange between them: all is well.
    pub async fn serves(&self, id: u128) {
        let (mut sender, mut receiver) = (self.client(id).await, self.client(id + 1).await);
        exchange(&mut sender, &mut receiver).await;
    }
}

pub async fn shaken(address: SocketAddr, config: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    TlsConnector::from(config).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

pub async fn greet(client: &mut Client) {
    let hello = client.hello();
    client.send(&hello).await;
    client.expect(Kind::HelloAnswer).await;
}

/// One request there and its response back.
pub async fn exchange(sender: &mut Client, receiver: &mut Client) {
    let meeting = channel("meeting");
    receiver.receive(meeting, 1).await;
    receiver.settle().await;
    let id = sender.start(meeting, Flags::FINAL, b"question").await;
    let request = receiver.expect(Kind::StartRequest).await;
    assert_eq!(body(&request), "question");
    receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, b"answer")).await;
    assert_eq!(body(&sender.expect(Kind::StartResponse).await), "answer");
}

/// The words of the alert that an error of TLS tells of.
pub fn alert(error: &std::io::Error) -> rustls::AlertDescription {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        other => panic!("wanted an alert, got {other:?} of {error:?}"),
    }
}
