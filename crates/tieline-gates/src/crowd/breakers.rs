//! Attackers that break rules: each is told which, and nobody else notices.

use std::net::SocketAddr;

use anyhow::{anyhow, bail, ensure};
use bytes::Bytes;
use tieline_protocol::{ChannelId, ClientId, Code, ExchangeId, Fault, Flags, Frame, Kind, RequestId};
use tokio::io::AsyncWriteExt;

use super::{Attack, CHANNEL};
use crate::raw::{RawClient, of, receive, start};

pub(super) const CLASSES: &[(&str, Attack)] = &[
    ("garbage on the port", |server, number| Box::pin(garbage(server, number))),
    ("headers wrong in every field", |server, number| Box::pin(headers(server, number))),
    ("hello twice", |server, _| Box::pin(hello_twice(server))),
    ("frames before hello", |server, _| Box::pin(no_hello(server))),
    ("frames of others' requests", |server, number| Box::pin(meddler(server, number))),
    ("ids that don't increase", |server, _| Box::pin(old_ids(server))),
    ("a byte beyond the credit", |server, _| Box::pin(overrun(server))),
    ("a gap in the body", |server, _| Box::pin(gap(server))),
    ("grants of 2^63", |server, _| Box::pin(huge_grant(server))),
    ("a receive opened twice", |server, _| Box::pin(second_receive(server))),
    ("work behind the end", |server, _| Box::pin(behind_the_end(server))),
    ("reset in the middle of a chunk", |server, number| Box::pin(reset(server, number))),
    ("half-closed sockets", |server, _| Box::pin(half_closed(server))),
];

/// Reads to the error of the connection, which must have this code.
async fn expelled(client: &mut RawClient, code: Code) -> anyhow::Result<()> {
    loop {
        let frame = client.hear().await?.ok_or_else(|| anyhow!("closed without a word"))?;
        if frame.kind == Kind::ErrorConnection {
            return is_fault(&frame, code);
        }
    }
}

/// Reads to the end of an exchange, which must be an error of this code.
async fn refused(client: &mut RawClient, code: Code) -> anyhow::Result<()> {
    loop {
        let frame = client.hear().await?.ok_or_else(|| anyhow!("closed instead of refused"))?;
        match frame.kind {
            Kind::AckRequest => {}
            Kind::ErrorResponse => return is_fault(&frame, code),
            _ => bail!("wanted {code:?}, got {frame:?}"),
        }
    }
}

fn is_fault(frame: &Frame, code: Code) -> anyhow::Result<()> {
    let fault = Fault::decode(&frame.payload).ok_or_else(|| anyhow!("an error without a fault"))?;
    // Memory may be short in a crowd: then the request was refused before it could do harm.
    ensure!([code, Code::Overloaded, Code::ChannelFull].contains(&fault.code), "wanted {code:?}, got {fault:?}");
    Ok(())
}

fn place() -> ChannelId {
    ChannelId::of_name(CHANNEL)
}

async fn garbage(server: SocketAddr, number: u64) -> anyhow::Result<()> {
    let mut client = RawClient::connect(server).await?;
    let texts: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"\0", b"SSH-2.0-x\r\n"];
    client.stream.write_all(texts[(number % 4) as usize]).await?;
    expelled(&mut client, Code::UnsupportedVersion).await
}

async fn headers(server: SocketAddr, number: u64) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    let id = client.exchange(place());
    let mut bytes = start(Kind::StartRequest, id, Flags::NONE, b"").to_bytes().to_vec();
    // Where a field must have one value, another; each is fatal.
    let (at, value) = [(1, 0x02), (1, 0x77), (2, 0x80), (3, 0x4d), (4, 0xff), (7, 0), (1, 0)][(number % 7) as usize];
    bytes[at] = value;
    client.stream.write_all(&bytes).await?;
    loop {
        match client.hear().await? {
            Some(frame) if frame.kind == Kind::ErrorConnection => return Ok(()),
            Some(_) => {}
            None => bail!("closed without a word"),
        }
    }
}

async fn hello_twice(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    client.send(&client.hello()).await?;
    expelled(&mut client, Code::InvalidFrame).await
}

async fn no_hello(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::connect(server).await?;
    client.start(place(), Flags::FINAL, b"let me in").await?;
    expelled(&mut client, Code::InvalidFrame).await
}

/// The ids of honest exchanges, as good as they can be guessed; nothing of it is answered.
async fn meddler(server: SocketAddr, number: u64) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    for request in 1..50 {
        let id = ExchangeId {
            client: ClientId::from_u128((1 << 100) + u128::from(number % 3000)),
            request: RequestId::from_u128(request),
            channel: place(),
        };
        if id.client == client.id {
            continue;
        }
        client.send(&of(Kind::ErrorRequest, id, 0, &Fault::new(Code::Cancelled).encode())).await?;
        client.send(&of(Kind::ChunkRequest, id, 0, b"evil")).await?;
        client.send(&start(Kind::StartResponse, id, Flags::FINAL, b"evil")).await?;
        client.send(&of(Kind::AckRequest, id, 1 << 40, b"")).await?;
    }
    client.send(&Frame::new(Kind::Ping, Kind::Ping.header().value(1), Bytes::new())).await?;
    client.expect(Kind::Pong).await.map(drop)
}

async fn old_ids(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    let id = client.start(ChannelId::of_name("nobody"), Flags::NONE, b"ab").await?;
    client.send(&start(Kind::StartRequest, id, Flags::NONE, b"ab")).await?;
    expelled(&mut client, Code::DuplicateId).await
}

async fn overrun(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    // Nobody receives there, so no grant can make it right.
    let id = client.start(ChannelId::of_name("nobody"), Flags::NONE, &[7; 16_384]).await?;
    client.send(&of(Kind::ChunkRequest, id, 16_384, b"x")).await?;
    refused(&mut client, Code::FlowControl).await
}

async fn gap(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    let id = client.start(place(), Flags::NONE, b"ab").await?;
    client.send(&of(Kind::ChunkRequest, id, 3, b"d")).await?;
    refused(&mut client, Code::InvalidFrame).await
}

async fn huge_grant(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    let id = client.start(place(), Flags::NONE, b"ab").await?;
    client.send(&of(Kind::AckResponse, id, 1 << 63, b"")).await?;
    refused(&mut client, Code::FlowControl).await
}

async fn second_receive(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    let quiet = ChannelId::of_name("a quiet place");
    client.stream.write_all(&receive(quiet, u64::MAX).to_bytes().repeat(2)).await?;
    expelled(&mut client, Code::InvalidFrame).await
}

async fn behind_the_end(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    // A request that waits keeps the connection open.
    client.start(ChannelId::of_name("nobody"), Flags::NONE, b"ab").await?;
    client.send(&Frame::new(Kind::EndConnection, Kind::EndConnection.header(), Bytes::new())).await?;
    client.start(place(), Flags::NONE, b"ab").await?;
    loop {
        match client.hear().await? {
            Some(frame) if frame.kind == Kind::ErrorConnection => return is_fault(&frame, Code::InvalidFrame),
            Some(_) => {}
            // If the first was refused for want of memory, nothing kept it open.
            None => return Ok(()),
        }
    }
}

async fn reset(server: SocketAddr, number: u64) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    let id = client.start(place(), Flags::NONE, b"ab").await?;
    let chunk = of(Kind::ChunkRequest, id, 2, &[7; 2000]).to_bytes();
    client.stream.write_all(&chunk[..(number % 2000) as usize]).await?;
    client.reset();
    Ok(())
}

async fn half_closed(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    client.start(place(), Flags::NONE, b"ab").await?;
    client.stream.shutdown().await?;
    while client.next().await?.is_some() {}
    Ok(())
}
