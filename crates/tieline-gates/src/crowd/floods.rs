//! Attackers that are loud. Each sends far more than is forgiven, and then is closed or leaves.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use tieline_protocol::{ChannelId, Code, Decoder, ExchangeId, Fault, Flags, Frame, Kind, RequestId, Role, StartLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Attack, CHANNEL};
use crate::raw::{RawClient, of, of_receive, receive, start};

pub(super) const CLASSES: &[(&str, Attack)] = &[
    ("starts and cancels", |server, _| Box::pin(flood(server, Must::BeTold, cancels))),
    ("pings", |server, _| Box::pin(flood(server, Must::BeTold, pings))),
    ("receives that are withdrawn", |server, _| Box::pin(flood(server, Must::BeTold, withdrawals))),
    ("late frames", |server, _| Box::pin(flood(server, Must::BeTold, late))),
    ("chunks of a byte", |server, _| Box::pin(flood(server, Must::Nothing, crumbs))),
    ("chunks of no byte", |server, _| Box::pin(flood(server, Must::Nothing, empty))),
    ("raises", |server, _| Box::pin(flood(server, Must::Nothing, raises))),
    ("deadlines of a millisecond", |server, _| Box::pin(flood(server, Must::Nothing, deadlines))),
    ("requests that may not wait", |server, _| Box::pin(flood(server, Must::Nothing, impatient))),
    ("connections that come and go", |server, _| Box::pin(churn(server))),
    ("returns to one another", |server, number| Box::pin(ping_pong(server, number))),
];

/// What must happen before the flood is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Must {
    /// The server has enough of it, and says so.
    BeTold,
    /// It may be borne.
    Nothing,
}

/// Frames in one write.
const BURST: u64 = 200;
/// Writes, unless somebody has enough of it before.
const BURSTS: u64 = 100;

type Frames = fn(ExchangeId, u64, &mut Vec<u8>);

/// Writes these frames and reads whatever comes, until the connection is closed or there are enough of them.
async fn flood(server: SocketAddr, must: Must, frames: Frames) -> anyhow::Result<()> {
    let client = RawClient::greet(server).await?;
    let id = ExchangeId { client: client.id, request: RequestId::from_u128(1), channel: ChannelId::of_name("nobody") };
    let (mut read, mut write) = client.stream.into_split();
    let reading = tokio::spawn(async move {
        let (mut decoder, mut buffer) = (Decoder::new(Role::Server), BytesMut::new());
        while let Ok(1..) = read.read_buf(&mut buffer).await {
            while let Ok(Some(frame)) = decoder.next(&mut buffer) {
                if frame.kind == Kind::ErrorConnection {
                    return Fault::decode(&frame.payload).map(|fault| fault.code);
                }
            }
        }
        None
    });
    let mut number = 0;
    // Who must be told goes on until then; the patience with an attack bounds it.
    for _ in 0..if must == Must::BeTold { u64::MAX } else { BURSTS } {
        let mut bytes = Vec::new();
        for _ in 0..BURST {
            number += 1;
            frames(id, number, &mut bytes);
        }
        if reading.is_finished() || write.write_all(&bytes).await.is_err() {
            break;
        }
    }
    drop(write);
    let told = reading.await?;
    anyhow::ensure!(must == Must::Nothing || told.is_none_or(|code| code == Code::Flood), "a flood was told {told:?}");
    Ok(())
}

fn numbered(id: ExchangeId, number: u64) -> ExchangeId {
    ExchangeId { request: RequestId::from_u128(u128::from(number)), ..id }
}

fn cancels(id: ExchangeId, number: u64, bytes: &mut Vec<u8>) {
    let id = numbered(id, number);
    bytes.extend_from_slice(&start(Kind::StartRequest, id, Flags::NONE, b"").to_bytes());
    bytes.extend_from_slice(&of(Kind::ErrorRequest, id, 0, &Fault::new(Code::Cancelled).encode()).to_bytes());
}

fn pings(_: ExchangeId, number: u64, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&Kind::Ping.header().value(number).encode());
}

fn withdrawals(id: ExchangeId, _: u64, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&receive(id.channel, 1).to_bytes());
    bytes.extend_from_slice(&of_receive(Kind::EndReceive, id.channel, 0).to_bytes());
}

fn late(id: ExchangeId, _: u64, bytes: &mut Vec<u8>) {
    // An exchange that this connection was never handed.
    bytes.extend_from_slice(&start(Kind::StartResponse, id, Flags::FINAL, b"evil").to_bytes());
}

/// A request whose body comes byte by byte, to its last of credit and not beyond.
fn crumbs(id: ExchangeId, number: u64, bytes: &mut Vec<u8>) {
    match number {
        1 => bytes.extend_from_slice(&start(Kind::StartRequest, id, Flags::NONE, b"").to_bytes()),
        2..=16_384 => bytes.extend_from_slice(&of(Kind::ChunkRequest, id, number - 2, b"x").to_bytes()),
        _ => {}
    }
}

/// Chunks of no byte are no frames, but for the last.
fn empty(id: ExchangeId, number: u64, bytes: &mut Vec<u8>) {
    let frame = if number == 1 {
        start(Kind::StartRequest, id, Flags::NONE, b"")
    } else {
        Frame::new(Kind::ChunkRequest, Kind::ChunkRequest.header().exchange(id), Bytes::new())
    };
    bytes.extend_from_slice(&frame.to_bytes());
}

fn raises(id: ExchangeId, number: u64, bytes: &mut Vec<u8>) {
    let frame = if number == 1 { receive(id.channel, 0) } else { of_receive(Kind::AckReceive, id.channel, number) };
    bytes.extend_from_slice(&frame.to_bytes());
}

fn deadlines(id: ExchangeId, number: u64, bytes: &mut Vec<u8>) {
    let id = ExchangeId { channel: ChannelId::of_name("nobody at all"), ..numbered(id, number) };
    let mut frame = start(Kind::StartRequest, id, Flags::NONE, b"");
    frame.header.value = StartLimits { wait_ms: 0, deadline_ms: 1 }.to_value();
    bytes.extend_from_slice(&frame.to_bytes());
}

fn impatient(id: ExchangeId, number: u64, bytes: &mut Vec<u8>) {
    let id = ExchangeId { channel: ChannelId::of_name("nobody at all"), ..numbered(id, number) };
    bytes.extend_from_slice(&start(Kind::StartRequest, id, Flags::NO_WAIT, b"").to_bytes());
}

async fn churn(server: SocketAddr) -> anyhow::Result<()> {
    for at in 0..100 {
        let mut client = RawClient::connect(server).await?;
        if at % 2 == 0 {
            client.send(&client.hello()).await?;
        }
        if at % 4 == 0 {
            client.start(ChannelId::of_name(CHANNEL), Flags::FINAL, b"bye").await?;
        }
        client.reset();
    }
    Ok(())
}

/// Two receivers that return whatever they are handed, and a sender that feeds them.
async fn ping_pong(server: SocketAddr, number: u64) -> anyhow::Result<()> {
    let place = ChannelId::from_u128((1 << 91) + u128::from(number));
    let mut returning = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let mut receiver = RawClient::greet(server).await?;
        receiver.receive(place, u64::MAX).await?;
        receiver.settle().await?;
        returning.spawn(async move {
            let returned = Fault::new(Code::Returned).encode();
            while let Ok(Some(frame)) = receiver.hear().await {
                let id = frame.header.exchange_id();
                if frame.kind == Kind::StartRequest
                    && receiver.send(&of(Kind::ErrorResponse, id, 0, &returned)).await.is_err()
                {
                    break;
                }
            }
        });
    }
    let mut sender = RawClient::greet(server).await?;
    for _ in 0..50 {
        sender.start(place, Flags::IDEMPOTENT, b"ball").await?;
        sender.expect(Kind::ErrorResponse).await?;
    }
    returning.abort_all();
    Ok(())
}
