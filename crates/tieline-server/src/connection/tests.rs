//! A connection over a stream in memory, in virtual time: what a limit on bytes a second does to it.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tieline_protocol::{
    ChannelId, ClientId, Decoder, ExchangeId, Flags, Frame, Kind, Metadata, RequestId, Role, StartPayload, Time,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use super::serve;
use crate::access::Source;
use crate::hub::Hub;
use crate::{Access, Config, TokenDigest, TokenRule};

const RATE: u64 = 64 * 1024;

fn hub() -> Arc<Hub> {
    let rule = |name: &str| {
        let mut rule = TokenRule::new(name, TokenDigest::of(name.as_bytes()));
        rule.send = vec!["*".parse().unwrap()];
        rule
    };
    let mut slow = rule("slow");
    slow.bytes_per_second = NonZeroU64::new(RATE);
    let access = Access::with_tokens([slow, rule("fast")]).unwrap();
    let config = Config { access, ..Config::default() };
    Hub::new(config, (1, 2), "test".into())
}

struct Client {
    io: DuplexStream,
    id: ClientId,
    decoder: Decoder,
    buffer: BytesMut,
    request: u128,
    pings: u64,
}

impl Client {
    async fn connect(hub: &Arc<Hub>, id: u128, token: &str) -> Self {
        // Room for all that it ever sends, as if all of it were in the network's buffers.
        let (io, far) = tokio::io::duplex(16 << 20);
        tokio::spawn(serve(far, Arc::clone(hub), hub.enter(Source::Unknown).unwrap(), hub.clock.now()));
        let id = ClientId::from_u128(id);
        let mut client =
            Self { io, id, decoder: Decoder::new(Role::Server), buffer: BytesMut::new(), request: 0, pings: 0 };
        let mut metadata = Metadata::new();
        metadata.push("token", token).unwrap();
        let mut header = Kind::Hello.header();
        header.client = id;
        client.send(Frame::new(Kind::Hello, header, metadata.wire().clone())).await;
        client.expect(Kind::HelloAnswer).await;
        client
    }

    async fn send(&mut self, frame: Frame) {
        self.io.write_all(&frame.to_bytes()).await.unwrap();
    }

    /// A request that waits for nobody, with as much body as needs no credit.
    async fn start(&mut self) {
        self.request += 1;
        let channel = ChannelId::of_name("nobody");
        let id = ExchangeId { client: self.id, request: RequestId::from_u128(self.request), channel };
        let mut header = Kind::StartRequest.header().exchange(id);
        header.flags |= Flags::FINAL;
        let payload = StartPayload::join(&Metadata::new(), &[0; 16 * 1024]);
        self.send(Frame::new(Kind::StartRequest, header, payload)).await;
    }

    async fn ping(&mut self, nonce: u64) {
        self.send(Frame::new(Kind::Ping, Kind::Ping.header().value(nonce), Bytes::new())).await;
    }

    /// The next frame of this kind; pings are counted.
    async fn expect(&mut self, kind: Kind) -> Frame {
        loop {
            while let Some(frame) = self.decoder.next(&mut self.buffer).unwrap() {
                match frame.kind {
                    Kind::Ping => self.pings += 1,
                    other => {
                        assert_eq!(other, kind, "{frame:?}");
                        return frame;
                    }
                }
            }
            assert_ne!(self.io.read_buf(&mut self.buffer).await.unwrap(), 0, "the server closed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_limited_token_is_read_at_its_rate_and_nobody_else_waits() {
    let hub = hub();
    let mut slow = Client::connect(&hub, 1, "slow").await;
    let mut fast = Client::connect(&hub, 2, "fast").await;
    let began = Instant::now();
    for _ in 0..256 {
        slow.start().await;
    }
    slow.ping(7).await;
    for _ in 0..256 {
        fast.start().await;
    }
    fast.ping(8).await;
    assert_eq!(fast.expect(Kind::Pong).await.header.value, 8);
    assert_eq!(began.elapsed(), Duration::ZERO, "the other token's 4 MiB take no time");
    drop(fast);
    assert_eq!(slow.expect(Kind::Pong).await.header.value, 7);
    let took = began.elapsed();
    // 4 MiB and headers at 64 KiB/s, less what a second brings at once.
    assert!(took > Duration::from_secs(62) && took < Duration::from_secs(67), "{took:?}");
    assert_eq!(hub.counts().waiting, 256, "nothing was dropped");
    assert!(slow.pings >= 3, "{}: the client is shown that the server lives", slow.pings);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_must_wait_for_minutes_lives_and_is_shown_that_the_server_does() {
    let hub = hub();
    let mut client = Client::connect(&hub, 1, "slow").await;
    let began = Instant::now();
    // As if other connections of the token had brought so much before this one's next bytes.
    let hello = tieline_protocol::session::Hello { client: ClientId::from_u128(9), metadata: token("slow") };
    let access = &hub.access;
    let other = access.admit(&hello, Source::Unknown, hub.config().wrong_tokens, Time::ZERO).unwrap().unwrap();
    other.read(120 * RATE as usize, hub.clock.now());
    client.ping(1).await;
    client.expect(Kind::Pong).await;
    client.ping(2).await;
    assert_eq!(client.expect(Kind::Pong).await.header.value, 2);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(115) && took < Duration::from_secs(125), "{took:?}");
    assert!((6..=9).contains(&client.pings), "{}", client.pings);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_lifted_frees_the_connection_with_its_next_bytes() {
    let hub = hub();
    let mut client = Client::connect(&hub, 1, "slow").await;
    for _ in 0..64 {
        client.start().await;
    }
    let began = Instant::now();
    let mut rule = TokenRule::new("slow", TokenDigest::of(b"slow"));
    rule.send = vec!["*".parse().unwrap()];
    hub.access.replace([rule]).unwrap();
    client.ping(7).await;
    client.expect(Kind::Pong).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn even_one_that_reads_nothing_is_closed_as_soon_as_its_token_is_gone() {
    let hub = hub();
    let judging = Arc::clone(&hub);
    tokio::spawn(async move { judging.judge_when_access_changes().await });
    // The answer to its hello doesn't fit into the stream, so the server waits to write the rest of it.
    let (mut io, far) = tokio::io::duplex(200);
    let peer = hub.enter(Source::Unknown).unwrap();
    tokio::spawn(serve(far, Arc::clone(&hub), Arc::clone(&peer), hub.clock.now()));
    let mut header = Kind::Hello.header();
    header.client = ClientId::from_u128(1);
    io.write_all(&Frame::new(Kind::Hello, header, token("fast").wire().clone()).to_bytes()).await.unwrap();
    let mut first = [0];
    io.read_exact(&mut first).await.unwrap();
    // News that can't be written: from now on it doesn't wait for more of them.
    peer.wake();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let began = Instant::now();
    hub.access.replace([]).unwrap();
    while hub.connections() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

fn token(token: &str) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.push("token", token).unwrap();
    metadata
}
