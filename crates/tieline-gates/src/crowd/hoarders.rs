//! Attackers that take what they may, and give nothing back for a while.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tieline_protocol::{ChannelId, Flags, Frame, Kind, StartLimits};
use tokio::io::AsyncWriteExt;

use super::{Attack, CHANNEL};
use crate::raw::{RawClient, of, receive, start};

pub(super) const CLASSES: &[(&str, Attack)] = &[
    ("hello a byte at a time", |server, _| Box::pin(slow_hello(server))),
    ("the longest frame but its last byte", |server, _| Box::pin(almost_whole(server))),
    ("requests that wait for ever", |server, _| Box::pin(wait_for_ever(server))),
    ("requests of which no byte comes", |server, _| Box::pin(no_byte(server))),
    ("metadata of 16 KiB", |server, _| Box::pin(metadata(server))),
    ("receivers ready on a thousand channels", |server, number| Box::pin(ready_everywhere(server, number))),
    ("the largest window on every request", |server, _| Box::pin(windows(server))),
    ("senders that never read", |server, _| Box::pin(deaf_sender(server))),
    ("receivers that accept and never read", |server, number| Box::pin(deaf_receiver(server, number))),
    ("consumers that grant a byte at a time", |server, number| Box::pin(byte_grants(server, number))),
];

/// For how long what was taken is kept.
const KEEP: Duration = Duration::from_millis(300);

async fn keep(client: RawClient) {
    tokio::time::sleep(KEEP).await;
    drop(client);
}

/// A channel of this attack alone.
fn own(number: u64) -> ChannelId {
    ChannelId::from_u128((1 << 90) + (u128::from(number) << 20))
}

async fn slow_hello(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::connect(server).await?;
    for byte in client.hello().to_bytes() {
        if client.stream.write_all(&[byte]).await.is_err() {
            // It was too slow on so busy a machine; the server says why.
            break;
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    client.expect(Kind::HelloAnswer).await.map(drop)
}

async fn almost_whole(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    let id = client.exchange(ChannelId::of_name(CHANNEL));
    let frame = start(Kind::StartRequest, id, Flags::FINAL, &vec![7; 65_534]).to_bytes();
    client.stream.write_all(&frame[..frame.len() - 1]).await?;
    keep(client).await;
    Ok(())
}

async fn wait_for_ever(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    for _ in 0..60 {
        client.start(ChannelId::of_name("nobody"), Flags::NONE, &[7; 16_384]).await?;
    }
    keep(client).await;
    Ok(())
}

/// To the honest receivers: each has a place taken for a while.
async fn no_byte(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    for _ in 0..20 {
        let id = client.exchange(ChannelId::of_name(CHANNEL));
        let mut frame = start(Kind::StartRequest, id, Flags::NONE, b"");
        frame.header.value = StartLimits { wait_ms: 0, deadline_ms: 500 }.to_value();
        client.send(&frame).await?;
    }
    keep(client).await;
    Ok(())
}

async fn metadata(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    let metadata = [&b"\x01x"[..], &16_380_u16.to_be_bytes(), &[b'y'; 16_380]].concat();
    let payload = [&16_384_u16.to_be_bytes()[..], &metadata].concat();
    for _ in 0..60 {
        let id = client.exchange(ChannelId::of_name(CHANNEL));
        let header = Kind::StartRequest.header().exchange(id);
        client.send(&Frame::new(Kind::StartRequest, header, payload.clone().into())).await?;
    }
    keep(client).await;
    Ok(())
}

async fn ready_everywhere(server: SocketAddr, number: u64) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    let base = own(number).as_u128();
    let mut bytes = Vec::new();
    for at in 0..1000 {
        bytes.extend_from_slice(&receive(ChannelId::from_u128(base + at), u64::MAX).to_bytes());
    }
    client.stream.write_all(&bytes).await?;
    client.settle().await?;
    keep(client).await;
    Ok(())
}

async fn windows(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    for _ in 0..20 {
        let id = client.start(ChannelId::of_name(CHANNEL), Flags::NONE, b"").await?;
        client.send(&of(Kind::AckResponse, id, 1 << 20, b"")).await?;
    }
    keep(client).await;
    Ok(())
}

async fn deaf_sender(server: SocketAddr) -> anyhow::Result<()> {
    let mut client = RawClient::greet(server).await?;
    SockRef::from(&client.stream).set_recv_buffer_size(4096)?;
    for _ in 0..40 {
        client.start(ChannelId::of_name(CHANNEL), Flags::FINAL, &[7; 16_384]).await?;
    }
    keep(client).await;
    Ok(())
}

async fn deaf_receiver(server: SocketAddr, number: u64) -> anyhow::Result<()> {
    let mut receiver = RawClient::greet(server).await?;
    SockRef::from(&receiver.stream).set_recv_buffer_size(4096)?;
    receiver.receive(own(number), u64::MAX).await?;
    receiver.settle().await?;
    let mut sender = RawClient::greet(server).await?;
    for _ in 0..40 {
        sender.start(own(number), Flags::NONE, &[7; 16_384]).await?;
    }
    keep(receiver).await;
    drop(sender);
    Ok(())
}

async fn byte_grants(server: SocketAddr, number: u64) -> anyhow::Result<()> {
    let mut receiver = RawClient::greet(server).await?;
    receiver.receive(own(number), 1).await?;
    receiver.settle().await?;
    let mut sender = RawClient::greet(server).await?;
    let id = sender.start(own(number), Flags::NONE, &[7; 16_384]).await?;
    // Memory may be short in a crowd: then there is nothing to grant.
    let first = tokio::select! {
        frame = receiver.hear() => frame?,
        frame = sender.hear() => frame?,
    };
    if first.is_none_or(|frame| frame.kind != Kind::StartRequest) {
        return Ok(());
    }
    for at in 16_384..16_484_u64 {
        receiver.send(&of(Kind::AckRequest, id, at + 1, b"")).await?;
        if sender.hear().await?.is_none_or(|frame| frame.kind != Kind::AckRequest) {
            anyhow::bail!("a byte of credit never came");
        }
        sender.send(&of(Kind::ChunkRequest, id, at, b"7")).await?;
        receiver.expect(Kind::ChunkRequest).await?;
    }
    Ok(())
}
