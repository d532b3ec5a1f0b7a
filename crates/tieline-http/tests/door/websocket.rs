//! The bus over a WebSocket: the same frames, the same rules.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tieline::{Body, Client};
use tieline_http::HttpConfig;
use tieline_server::Config;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::stage::{Stage, within};

type Socket = WebSocketStream<TcpStream>;

async fn open(address: std::net::SocketAddr) -> Socket {
    let stream = TcpStream::connect(address).await.unwrap();
    tokio_tungstenite::client_async(format!("ws://{address}/ws"), stream).await.unwrap().0
}

/// A WebSocket as the bytes of a connection, each message at most so long.
pub(crate) struct Cut<S> {
    pub(crate) socket: WebSocketStream<S>,
    pub(crate) most: usize,
    pub(crate) front: Bytes,
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Cut<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.front.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.front = bytes,
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Ok(())),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        let count = self.front.len().min(buf.remaining());
        buf.put_slice(&self.front.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Cut<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
        let piece = Bytes::copy_from_slice(&buf[..buf.len().min(self.most)]);
        let length = piece.len();
        Pin::new(&mut self.socket).start_send(Message::Binary(piece)).map_err(io::Error::other)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx).map_err(io::Error::other)
    }
}

fn client(stage: &Stage, most: usize) -> Client {
    let address = stage.address;
    let dial = move || async move { Ok(Cut { socket: open(address).await, most, front: Bytes::new() }) };
    Client::builder().transport(dial).build().unwrap()
}

#[tokio::test]
async fn the_client_library_sends_and_receives_through_it_however_messages_are_cut() {
    let stage = Stage::open().await;
    for most in [7, 100_000] {
        let receiver = client(&stage, most).receive("echo").ready(2).open().await.unwrap();
        let serving = tokio::spawn(receiver.serve(2, async |mut request: tieline::Request| {
            let body = request.body().bytes(1 << 20).await?;
            request.reply(body).await
        }));
        let sender = client(&stage, most);
        let body = vec![7; if most < 100 { 5_000 } else { 300_000 }];
        let response = within("an answer", sender.send("echo").body(body.clone()).send()).await.unwrap();
        assert_eq!(within("all of it", response.bytes(1 << 20)).await.unwrap(), body);
        serving.abort();
        sender.close().await;
    }
    stage.ended().await;
}

#[tokio::test]
async fn a_slow_reader_stops_the_sender_by_credit_and_the_server_holds_no_more_than_a_window() {
    let stage = Stage::open().await;
    let mut receiver = client(&stage, 60_000).receive("slow").ready(1).open().await.unwrap();
    let (mut push, body) = Body::channel();
    let sender = stage.bus();
    let sending = tokio::spawn(sender.send("slow").body(body).send());
    let mut pushed = 0_usize;
    // As much as anybody takes while the receiver reads nothing.
    while tokio::time::timeout(std::time::Duration::from_millis(500), push.send(vec![1; 32 * 1024])).await.is_ok() {
        pushed += 32 * 1024;
        assert!(pushed < 16 << 20, "nothing stops the sender");
    }
    push.finish();
    let mut request = within("the request", receiver.next()).await.unwrap().unwrap();
    let got = within("its body", request.body().bytes(32 << 20)).await.unwrap();
    assert!(got.len() >= pushed);
    request.reply("done").await.unwrap();
    assert_eq!(within("the answer", sending).await.unwrap().unwrap().bytes(10).await.unwrap(), "done");
    stage.ended().await;
}

/// How the server closes a socket on which this was said.
async fn closed_after(stage: &Stage, message: Message) -> Option<CloseCode> {
    let mut socket = open(stage.address).await;
    let _ = socket.send(message).await;
    loop {
        match within("the server closes", socket.next()).await {
            Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return None,
        }
    }
}

#[tokio::test]
async fn text_is_refused_and_so_are_messages_that_are_too_long() {
    let stage = Stage::open().await;
    assert_eq!(closed_after(&stage, Message::text("hello")).await, Some(CloseCode::Unsupported));
    assert_eq!(closed_after(&stage, Message::binary(vec![1; (256 << 10) + 1])).await, Some(CloseCode::Size));
    // What is no frame of the bus is told by the bus, as on any connection.
    let mut socket = open(stage.address).await;
    socket.send(Message::binary(vec![0xff; 64])).await.unwrap();
    let Some(Ok(Message::Binary(error))) = within("the server's word", socket.next()).await else { panic!("no error") };
    assert!(!error.is_empty());
    assert!(matches!(within("the close", socket.next()).await, Some(Ok(Message::Close(_)))));
    stage.wait_until("nobody is left", |status| status.connections == 0).await;
    stage.ended().await;
}

#[tokio::test]
async fn a_message_takes_the_longest_frame_that_the_server_allows() {
    let mut config = Config::default();
    config.limits.payload = 1 << 20;
    let stage = Stage::with(config, HttpConfig::default(), None).await;
    let mut socket = open(stage.address).await;
    // A header that says nothing valid, with as much behind it as a frame may have: the bus has it, and judges it.
    socket.send(Message::binary(vec![0xff; (1 << 20) + 64])).await.unwrap();
    let Some(Ok(Message::Binary(error))) = within("the server's word", socket.next()).await else { panic!("no error") };
    assert!(!error.is_empty());
    assert_eq!(closed_after(&stage, Message::binary(vec![1; (1 << 20) + 65])).await, Some(CloseCode::Size));
    stage.ended().await;
}

#[tokio::test]
async fn a_drain_says_the_goodbye_of_the_bus_and_so_is_over_long_before_its_time() {
    let stage = Stage::open().await;
    let client = client(&stage, 60_000);
    let _receiver = client.receive("x").ready(1).open().await.unwrap();
    // A drain lasts for 30 s, if somebody has something under way or says nothing.
    tokio::time::timeout(std::time::Duration::from_secs(20), stage.ended()).await.expect("the goodbye is answered");
}
