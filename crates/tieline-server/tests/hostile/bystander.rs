//! The bystander: an honest pair on the same server, whose exchanges run across each attack and must stay bit-exact.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tieline_protocol::{ChannelId, ExchangeId, Flags, Frame, Kind};

use crate::common::{RawClient, TestServer, body, channel, of, start};
use crate::stage::{MEETING, pattern};

/// An honest pair on the same server: one long exchange on the meeting place, small ones beside it.
pub struct Bystander {
    sender: RawClient,
    receiver: RawClient,
    pub id: ExchangeId,
    side: ChannelId,
    sent: u64,
    served: u64,
    asked: u64,
}

/// What the long exchange carries in one go, in bytes.
pub const PIECE: usize = 512;

impl Bystander {
    pub async fn arrive(server: &TestServer) -> Self {
        let mut sender = server.client(1).await;
        let mut receiver = server.client(2).await;
        let side = channel("bystanders alone");
        receiver.receive(channel(MEETING), 1).await;
        receiver.receive(side, 1).await;
        receiver.settle().await;
        let id = sender.start(channel(MEETING), Flags::NONE, &pattern(1, 0, PIECE)).await;
        let request = hear(&mut receiver).await;
        assert_eq!((request.kind, body(&request)), (Kind::StartRequest, pattern(1, 0, PIECE).into()));
        receiver.send(&start(Kind::StartResponse, id, Flags::NONE, b"")).await;
        assert_eq!(hear(&mut sender).await.kind, Kind::StartResponse);
        Self { sender, receiver, id, side, sent: PIECE as u64, served: 0, asked: 0 }
    }

    /// A piece of the long exchange in both directions, as long as no grant is needed, and a small exchange; how long
    /// that one took.
    pub async fn go_on(&mut self, round: u64) -> Duration {
        if round < 12 {
            self.pass(PIECE).await;
        }
        self.ask().await
    }

    /// A small exchange; how long it took.
    pub async fn ask(&mut self) -> Duration {
        let began = Instant::now();
        let round = self.asked;
        self.asked += 1;
        let asked = pattern(round, 0, 100);
        let id = self.sender.start(self.side, Flags::FINAL, &asked).await;
        let request = hear(&mut self.receiver).await;
        assert_eq!((request.header.exchange_id(), body(&request)), (id, asked.into()), "{request:?}");
        let raise = Kind::AckReceive.header().channel(self.side).value(round + 2);
        self.receiver.send(&Frame::new(Kind::AckReceive, raise, Bytes::new())).await;
        let answer = pattern(round + 7, 0, 100);
        self.receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, &answer)).await;
        let response = hear(&mut self.sender).await;
        assert_eq!((response.kind, body(&response)), (Kind::StartResponse, answer.into()));
        began.elapsed()
    }

    /// Says `end` on both connections, and waits until the server has closed them.
    pub async fn leave(mut self) {
        for client in [&mut self.sender, &mut self.receiver] {
            client.send(&Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new())).await;
        }
        for client in [&mut self.sender, &mut self.receiver] {
            while client.next().await.is_some() {}
        }
    }

    pub async fn pass(&mut self, length: usize) {
        let piece = pattern(1, self.sent, length);
        self.sender.send(&of(Kind::ChunkRequest, self.id, self.sent, &piece)).await;
        let got = collect(&mut self.receiver, Kind::ChunkRequest, self.id, self.sent, length).await;
        assert_eq!(got, piece);
        self.sent += length as u64;
        let piece = pattern(2, self.served, length);
        self.receiver.send(&of(Kind::ChunkResponse, self.id, self.served, &piece)).await;
        let got = collect(&mut self.sender, Kind::ChunkResponse, self.id, self.served, length).await;
        assert_eq!(got, piece);
        self.served += length as u64;
    }

    /// More than the first window, by grants, and the end.
    pub async fn finish(&mut self) {
        self.receiver.send(&of(Kind::AckRequest, self.id, 100_000, b"")).await;
        self.sender.send(&of(Kind::AckResponse, self.id, 100_000, b"")).await;
        // What the server passes on of a grant, and when, is its own matter: here all of it comes at once.
        assert_eq!(hear_of(&mut self.sender, self.id).await.kind, Kind::AckRequest);
        assert_eq!(hear_of(&mut self.receiver, self.id).await.kind, Kind::AckResponse);
        self.pass(16_000).await;
        self.pass(16_000).await;
        self.receiver.send(&of(Kind::EndResponse, self.id, self.served, b"")).await;
        let end = hear_of(&mut self.sender, self.id).await;
        let closed = end.kind == Kind::EndResponse || end.has(Flags::FINAL);
        assert!(closed, "{end:?}");
    }
}

/// The next frame that is no ping; pings are answered.
pub async fn hear(client: &mut RawClient) -> Frame {
    loop {
        let frame = client.next().await.expect("a frame");
        if frame.kind != Kind::Ping {
            return frame;
        }
        let pong = Kind::Pong.header().value(frame.header.value);
        client.send(&Frame::new(Kind::Pong, pong, Bytes::new())).await;
    }
}

/// The next frame of this exchange; a server that drains may say so before.
async fn hear_of(client: &mut RawClient, id: ExchangeId) -> Frame {
    loop {
        let frame = hear(client).await;
        if ![Kind::EndConnection, Kind::EndReceive].contains(&frame.kind) {
            assert_eq!(frame.header.exchange_id(), id, "{frame:?}");
            return frame;
        }
    }
}

async fn collect(client: &mut RawClient, kind: Kind, id: ExchangeId, from: u64, length: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < length {
        let frame = hear_of(client, id).await;
        assert_eq!(frame.kind, kind, "{frame:?}");
        assert_eq!(frame.header.value, from + got.len() as u64);
        got.extend_from_slice(&frame.payload);
    }
    got
}
