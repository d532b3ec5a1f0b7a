//! What passes over TLS: big bodies, ends, certificates that change meanwhile, drains.

use std::time::Duration;

use socket2::SockRef;
use tieline_protocol::{Flags, Kind};
use tieline_server::Config;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsConnector;

use crate::common::certs::Authority;
use crate::common::{RawClient, body, channel, of, start};
use crate::world::{ALPN, Client, World, exchange, greet};

fn pattern(length: u64) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(31) ^ (at >> 8)) as u8).collect()
}

/// What TLS has encrypted while the socket was full leaves when there is room, though nothing more is written.
#[tokio::test]
async fn the_last_bytes_for_a_slow_reader_leave_by_themselves() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Inherited by every connection: a socket that takes a few KiB at a time.
    SockRef::from(&listener).set_send_buffer_size(4096).unwrap();
    let config = authority.config();
    let mut settings = Config::default();
    // No ping comes to push them.
    settings.liveness.ping_after = Duration::from_hours(1);
    settings.liveness.silence_max = Duration::from_hours(2);
    let world = World::on(listener, authority, config, settings).await;
    let mut receiver = world.client(1).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(world.server.address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(world.authority.trusting(None, &[ALPN]));
    let mut sender: Client = RawClient::over(connector.connect(name, stream).await.unwrap(), 2);
    greet(&mut sender).await;

    receiver.receive(channel("slow"), 1).await;
    receiver.settle().await;
    let id = sender.start(channel("slow"), Flags::FINAL, b"").await;
    sender.send(&of(Kind::AckResponse, id, 1 << 20, b"")).await;
    receiver.expect(Kind::StartRequest).await;
    receiver.expect(Kind::AckResponse).await;
    receiver.send(&start(Kind::StartResponse, id, Flags::NONE, b"")).await;
    let sent = pattern(15_000);
    receiver.send(&of(Kind::ChunkResponse, id, 0, &sent)).await;
    receiver.settle().await;

    let mut got = body(&sender.expect(Kind::StartResponse).await).to_vec();
    while got.len() < sent.len() {
        got.extend_from_slice(&sender.expect(Kind::ChunkResponse).await.payload);
    }
    assert!(got == sent);
    world.server.end().await;
}

#[tokio::test]
async fn open_connections_go_on_when_the_certificate_changes_and_new_ones_get_the_new_one() {
    let world = World::new().await;
    let (mut sender, mut receiver) = (world.client(1).await, world.client(2).await);
    let shown = |client: &Client| client.stream.get_ref().1.peer_certificates().unwrap()[0].clone();
    receiver.receive(channel("long"), 1).await;
    receiver.settle().await;
    let id = sender.start(channel("long"), Flags::NONE, b"").await;
    receiver.expect(Kind::StartRequest).await;

    world.tls.replace(world.authority.config());

    sender.send(&of(Kind::ChunkRequest, id, 0, b"across")).await;
    assert_eq!(receiver.expect(Kind::ChunkRequest).await.payload, "across");
    let (mut new_sender, mut new_receiver) = (world.client(3).await, world.client(4).await);
    assert_ne!(shown(&new_sender), shown(&sender));
    assert_eq!(shown(&new_sender), shown(&new_receiver));
    exchange(&mut new_sender, &mut new_receiver).await;
    sender.send(&of(Kind::ChunkRequest, id, 6, b" it")).await;
    assert_eq!(receiver.expect(Kind::ChunkRequest).await.payload, " it");
    world.server.end().await;
}

#[tokio::test]
async fn a_drain_waits_for_no_handshake() {
    let mut config = Config::default();
    config.liveness.hello_within = Duration::from_hours(1);
    config.drain = Duration::from_hours(1);
    let world = World::with(config).await;
    let mut silent = world.socket().await;
    world.server.until("the silent one", |now| now.connections == 1).await;
    world.server.drained().await;
    assert_eq!(silent.read(&mut [0; 10]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_connection_that_ends_in_good_order_ends_with_a_close_notify() {
    let world = World::new().await;
    let mut client = world.client(1).await;
    let end = tieline_protocol::Frame::new(Kind::EndConnection, Kind::EndConnection.header(), bytes::Bytes::new());
    client.send(&end).await;
    client.expect(Kind::EndConnection).await;
    // An error here would say that the stream was cut off.
    assert_eq!(client.stream.read(&mut [0; 10]).await.unwrap(), 0);
    world.server.until_empty().await;
    world.server.end().await;
}

/// A body whose end didn't come is cut off, whether or not TLS was closed in good order.
#[tokio::test]
async fn a_body_that_is_cut_off_never_looks_complete() {
    let world = World::new().await;
    for goodbye in [true, false] {
        let mut receiver = world.client(1).await;
        let mut sender = world.client(2).await;
        receiver.receive(channel("cut"), 1).await;
        receiver.settle().await;
        let id = sender.start(channel("cut"), Flags::NONE, b"half").await;
        receiver.expect(Kind::StartRequest).await;
        if goodbye {
            tokio::io::AsyncWriteExt::shutdown(&mut sender.stream).await.unwrap();
        }
        drop(sender);
        receiver.expect_fault(Kind::ErrorRequest).await;
        drop((receiver, id));
        world.server.until_empty_of_connections().await;
    }
    world.server.end().await;
}
