//! Requests by HTTP that hold the most that they may: uploads that nobody takes and responses that nobody reads, over
//! HTTP/1.1 and HTTP/2, and a WebSocket each that stops within a message.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::Request;
use tieline::Client;
use tieline_server::{Config, http_request_most, websocket_most};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Effort;
use crate::process::ServerProcess;
use crate::row::{Row, Verdict};
use crate::stats::size;

const CHANNEL: &str = "hoard";
/// Who takes nothing for so long takes nothing more.
const STILL: Duration = Duration::from_secs(2);
/// Requests on a connection of HTTP/2.
const STREAMS: usize = 64;
/// The kernel keeps so much for a socket of ours: what is measured is the server.
const SOCKET_BUFFER: u32 = 16_384;
/// What the core may hold of the request beside, as any of the bus's: the initial window, both ways, and its books.
pub(super) const OF_THE_BUS: u64 = 100 * 1024;

/// How requests come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Http1,
    Http2,
    WebSocket,
}

/// Somebody whom the server holds something for.
enum Hoarder {
    Http1 { _socket: TcpStream },
    Http2 { _client: SendRequest<Bytes>, _streams: Vec<(SendStream<Bytes>, RecvStream)> },
}

async fn dial(http: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.set_send_buffer_size(SOCKET_BUFFER)?;
    Ok(socket.connect(http).await?)
}

/// A receiver that reads no request and writes responses without an end.
async fn receive(server: &ServerProcess, count: u64) -> anyhow::Result<Client> {
    let client = Client::connect(&server.address.to_string()).await?;
    let receiver = client.receive(CHANNEL).ready(u32::try_from(count)?).open().await?;
    tokio::spawn(receiver.serve(usize::try_from(count)?, async |request: tieline::Request| {
        let (_unread, responder) = request.into_parts();
        let mut writer = responder.start().await?;
        let piece = Bytes::from(vec![7; 64 * 1024]);
        while writer.send(piece.clone()).await.is_ok() {}
        Ok::<_, tieline::Error>(())
    }));
    Ok(client)
}

/// Writes until nothing is taken any more.
async fn fill(socket: &mut TcpStream, piece: &[u8]) -> anyhow::Result<()> {
    while let Ok(written) = timeout(STILL, socket.write_all(piece)).await {
        written?;
    }
    Ok(())
}

async fn hoard_http1(http: SocketAddr) -> anyhow::Result<Hoarder> {
    let mut socket = dial(http).await?;
    let head = format!("POST /c/{CHANNEL} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
    socket.write_all(head.as_bytes()).await?;
    let piece = [b"4000\r\n".as_slice(), &[7; 0x4000], b"\r\n"].concat();
    fill(&mut socket, &piece).await?;
    Ok(Hoarder::Http1 { _socket: socket })
}

async fn hoard_websocket(http: SocketAddr, message: usize) -> anyhow::Result<Hoarder> {
    let mut socket = dial(http).await?;
    let head = "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(head.as_bytes()).await?;
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await?;
    ensure!(&answer == b"HTTP/1.1 101", "no WebSocket");
    // Two fragments, which are one message, but for its last byte.
    for (first, length) in [(0x02, message / 2), (0x80, message / 2)] {
        let mut frame = vec![first, 0x80 | 127];
        frame.extend((length as u64).to_be_bytes());
        frame.extend([0; 4]);
        frame.resize(frame.len() + length - usize::from(first == 0x80), 7);
        socket.write_all(&frame).await?;
    }
    Ok(Hoarder::Http1 { _socket: socket })
}

async fn hoard_http2(http: SocketAddr) -> anyhow::Result<Hoarder> {
    // So that the server may write as much as it likes to.
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(16 << 20).initial_connection_window_size(1 << 30);
    let (client, connection) = builder.handshake::<_, Bytes>(dial(http).await?).await?;
    tokio::spawn(async move { drop(connection.await) });
    let mut client = client.ready().await?;
    let mut filling = JoinSet::new();
    for _ in 0..STREAMS {
        let request = Request::post(format!("http://localhost/c/{CHANNEL}")).body(())?;
        let (answer, up) = client.send_request(request, false)?;
        client = client.ready().await?;
        filling.spawn(fill_http2(answer, up));
    }
    let mut streams = Vec::new();
    while let Some(filled) = filling.join_next().await {
        streams.push(filled??);
    }
    Ok(Hoarder::Http2 { _client: client, _streams: streams })
}

/// Sends until no window is left.
async fn fill_http2(
    answer: ResponseFuture,
    mut up: SendStream<Bytes>,
) -> anyhow::Result<(SendStream<Bytes>, RecvStream)> {
    let head = timeout(Duration::from_secs(30), answer).await.context("no answer")??;
    loop {
        up.reserve_capacity(0x4000);
        let room = std::future::poll_fn(|cx| up.poll_capacity(cx));
        let Ok(Some(Ok(room))) = timeout(STILL, room).await else { break };
        up.send_data(Bytes::from_static(&[7; 0x4000]).split_to(room.min(0x4000)), false)?;
    }
    Ok((up, head.into_body()))
}

/// What the server takes for each, in bytes.
async fn measure(shape: Shape, count: usize, message: usize) -> anyhow::Result<f64> {
    let (server, http) = ServerProcess::start_with_http(&[])?;
    let _receiver = receive(&server, count as u64).await?;
    let before = server.read()?;
    let mut hoarding = JoinSet::new();
    let each = if shape == Shape::Http2 { STREAMS } else { 1 };
    for _ in 0..count / each {
        hoarding.spawn(async move {
            match shape {
                Shape::Http1 => hoard_http1(http).await,
                Shape::Http2 => hoard_http2(http).await,
                Shape::WebSocket => hoard_websocket(http, message).await,
            }
        });
    }
    let mut all = Vec::new();
    while let Some(one) = hoarding.join_next().await {
        all.push(one??);
    }
    // What is on its way arrives.
    tokio::time::sleep(STILL).await;
    Ok(server.read()?.peak.saturating_sub(before.peak) as f64 / (count / each * each) as f64)
}

/// See the module.
pub(super) async fn run(effort: Effort) -> anyhow::Result<Vec<Row>> {
    let count = effort.of(640) / STREAMS * STREAMS;
    let config = Config::default();
    let message = usize::try_from(tieline_server::websocket_message(&config))?;
    let request = http_request_most(&config) + OF_THE_BUS;
    let mut rows = Vec::new();
    for (what, shape, most) in [
        ("HTTP/1.1, neither body taken", Shape::Http1, request),
        ("HTTP/2, neither body taken", Shape::Http2, request),
        ("WebSocket, within a message", Shape::WebSocket, websocket_most(&config)),
    ] {
        let bytes = measure(shape, count, message).await?;
        rows.push(
            Row::new(
                format!("memory of a request by {what}"),
                "one NATS connection may pin 64 MiB",
                "what `serve --check` says",
            )
            .measured(
                format!("{} (of {count}); at most {}", size(bytes), size(most as f64)),
                Verdict::of(bytes <= most as f64),
            )
            .figure("bytes", bytes)
            .figure("most", most)
            .figure("requests", count),
        );
    }
    Ok(rows)
}
