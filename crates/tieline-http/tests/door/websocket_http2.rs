//! The bus over a WebSocket that is a stream of a connection of HTTP/2 (RFC 8441), as browsers open it over TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::http::Request;
use bytes::{Buf, Bytes};
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use tieline::Client;
use tieline_http::HttpConfig;
use tieline_server::Config;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::stage::{Stage, within};
use crate::websocket::Cut;

type Http2 = SendRequest<Bytes>;

async fn connect(stage: &Stage) -> Http2 {
    let stream = TcpStream::connect(stage.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let client = within("the connection is ready", client.ready()).await.unwrap();
    // The server's settings have come by the time that it answers anything.
    let mut first = client.clone();
    let (answer, _) = first.send_request(Request::get("http://localhost/healthz").body(()).unwrap(), true).unwrap();
    assert_eq!(within("an answer", answer).await.unwrap().status(), 200);
    assert!(client.is_extended_connect_protocol_enabled());
    client
}

/// What asks for a WebSocket, or for something else.
fn wish(protocol: &'static str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::connect("http://localhost/ws").header("sec-websocket-version", "13");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.extension(Protocol::from_static(protocol)).body(()).unwrap()
}

/// The status of the answer, the error's name, and the stream.
async fn ask(client: &mut Http2, request: Request<()>) -> (u16, Option<String>, Tunnel) {
    let (answer, up) = client.send_request(request, false).unwrap();
    let (head, down) = within("an answer", answer).await.unwrap().into_parts();
    let error = head.headers.get("tieline-error").map(|name| name.to_str().unwrap().to_owned());
    (head.status.as_u16(), error, Tunnel { up, down, front: Bytes::new(), most: usize::MAX })
}

/// A stream of HTTP/2 as a stream of bytes.
struct Tunnel {
    up: SendStream<Bytes>,
    down: RecvStream,
    front: Bytes,
    /// The longest frame that is sent.
    most: usize,
}

impl AsyncRead for Tunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.front.is_empty() {
            match ready!(self.down.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                Some(Ok(bytes)) => {
                    self.down.flow_control().release_capacity(bytes.len()).unwrap();
                    self.front = bytes;
                }
            }
        }
        let count = self.front.len().min(buf.remaining());
        buf.put_slice(&self.front[..count]);
        self.front.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.up.reserve_capacity(buf.len());
        let room = loop {
            // What is there already isn't told again.
            if self.up.capacity() > 0 {
                break self.up.capacity().min(buf.len()).min(self.most);
            }
            match ready!(self.up.poll_capacity(cx)) {
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                Some(Ok(_)) => {}
            }
        };
        self.up.send_data(Bytes::copy_from_slice(&buf[..room]), false).map_err(io::Error::other)?;
        Poll::Ready(Ok(room))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = self.up.send_data(Bytes::new(), true);
        Poll::Ready(Ok(()))
    }
}

/// A client of the bus, each connection of which is a WebSocket on this one.
fn bus(client: &Http2) -> Client {
    bus_in_pieces(client, usize::MAX)
}

/// The same, each frame of which is no longer than this.
fn bus_in_pieces(client: &Http2, most: usize) -> Client {
    let client = client.clone();
    let dial = move || {
        let client = client.clone();
        async move {
            let mut client = client.ready().await.map_err(io::Error::other)?;
            let (status, _, mut tunnel) = ask(&mut client, wish("websocket", &[])).await;
            assert_eq!(status, 200);
            tunnel.most = most;
            let socket = WebSocketStream::from_raw_socket(tunnel, Role::Client, None).await;
            Ok(Cut { socket, most: 60_000, front: Bytes::new() })
        }
    };
    Client::builder().transport(dial).build().unwrap()
}

#[tokio::test]
async fn clients_of_the_bus_share_one_connection_of_http2_with_requests() {
    let stage = Stage::open().await;
    let mut http = connect(&stage).await;
    let (sender, server) = (bus(&http), bus(&http));
    let receiver = server.receive("echo").ready(2).open().await.unwrap();
    let serving = tokio::spawn(receiver.serve(2, async |mut request: tieline::Request| {
        let body = request.body().bytes(1 << 20).await?;
        request.reply(body).await
    }));
    let body = vec![7; 300_000];
    let response = within("an answer", sender.send("echo").body(body.clone()).send()).await.unwrap();
    assert_eq!(within("all of it", response.bytes(1 << 20)).await.unwrap(), body);
    // And a request by HTTP, to the same receiver, on the same connection.
    let post = Request::post("http://localhost/c/echo").body(()).unwrap();
    let (answer, mut up) = http.send_request(post, false).unwrap();
    up.send_data(Bytes::from_static(b"by HTTP"), true).unwrap();
    let mut down = within("an answer", answer).await.unwrap().into_body();
    assert_eq!(within("the body", down.data()).await.unwrap().unwrap(), "by HTTP");
    serving.abort();
    sender.close().await;
    server.close().await;
    stage.wait_until("only the gateway's own connection is left", |status| status.connections <= 1).await;
    drop(http);
    stage.ended().await;
}

#[tokio::test]
async fn a_websocket_may_come_byte_by_byte() {
    let stage = Stage::open().await;
    stage.echo("echo").await;
    let http = connect(&stage).await;
    let sender = bus_in_pieces(&http, 1);
    let body = vec![7; 3_000];
    let response = within("an answer", sender.send("echo").body(body.clone()).send()).await.unwrap();
    assert_eq!(within("all of it", response.bytes(1 << 20)).await.unwrap(), body);
    sender.close().await;
    drop(http);
    stage.ended().await;
}

#[tokio::test]
async fn a_websocket_of_a_foreign_page_or_of_no_known_kind_is_refused_over_http2_too() {
    let stage = Stage::open().await;
    let mut http = connect(&stage).await;
    for (protocol, headers, status, error) in [
        ("websocket", &[("origin", "https://evil.example")][..], 403, "foreign-origin"),
        ("websocket", &[("sec-fetch-site", "cross-site")], 403, "foreign-origin"),
        ("websocket", &[("host", "evil.example")], 400, "bad-header"),
        ("connect-udp", &[], 426, "upgrade-wanted"),
    ] {
        let (said, name, _) = ask(&mut http, wish(protocol, headers)).await;
        assert_eq!((said, name.as_deref()), (status, Some(error)), "{protocol} {headers:?}");
    }
    // A tunnel to somewhere is nothing that there is here.
    let tunnel = Request::connect("localhost:22").body(()).unwrap();
    let (said, ..) = ask(&mut http, tunnel).await;
    assert_eq!(said, 404);
    let elsewhere = Request::connect("http://evil.example/ws").extension(Protocol::from_static("websocket"));
    let (said, name, _) = ask(&mut http, elsewhere.body(()).unwrap()).await;
    assert_eq!((said, name.as_deref()), (421, Some("foreign-host")));
    assert_eq!(stage.status().connections, 0, "none of them reached the bus");
    drop(http);
    stage.ended().await;
}

#[tokio::test]
async fn websockets_count_among_the_requests_there_may_be() {
    let mut config = Config::default();
    config.http_requests = 2;
    let stage = Stage::with(config, HttpConfig::default(), None).await;
    let mut http = connect(&stage).await;
    let (first, _, one) = ask(&mut http, wish("websocket", &[])).await;
    let (second, _, _other) = ask(&mut http, wish("websocket", &[])).await;
    assert_eq!((first, second), (200, 200));
    let (third, error, _) = ask(&mut http, wish("websocket", &[])).await;
    assert_eq!((third, error.as_deref()), (503, Some("overloaded")));
    drop(one);
    within("a place is free", async { while ask(&mut http, wish("websocket", &[])).await.0 != 200 {} }).await;
    drop(http);
    stage.ended().await;
}

#[tokio::test]
async fn a_drain_says_the_goodbye_of_the_bus_on_websockets_of_http2_too() {
    let stage = Stage::open().await;
    let http = connect(&stage).await;
    let client = bus(&http);
    let _receiver = client.receive("x").ready(1).open().await.unwrap();
    // A drain lasts for 30 s, if somebody has something under way or says nothing.
    let ended = stage.ended();
    tokio::time::timeout(std::time::Duration::from_secs(20), ended).await.expect("the goodbye is answered");
}
