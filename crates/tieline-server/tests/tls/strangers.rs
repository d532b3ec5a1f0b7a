//! Those who aren't let in: garbage, other protocols, handshakes that are slow, long or wrong, too many of all.

use std::time::Duration;

use rustls::AlertDescription;
use tieline_protocol::{Code, Fault, Kind};
use tieline_server::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::RawClient;
use crate::common::certs::Authority;
use crate::world::{ALPN, World, alert, greet, shaken};

/// All that comes until the end of the stream.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got).await;
    got
}

async fn refused(world: &World, count: u64) {
    world.server.until("a failed handshake", |now| now.handshakes_failed == count && now.connections == 0).await;
}

/// A client hello of TLS 1.2, which names no other version.
fn old_hello() -> Vec<u8> {
    let body = [&[3, 3][..], &[9; 32], &[0], &[0, 2, 0xc0, 0x2f], &[1, 0]].concat();
    let message = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    [&[22, 3, 1, 0, message.len() as u8][..], &message].concat()
}

#[tokio::test]
async fn what_is_no_tls_is_answered_by_an_alert_and_closed() {
    let world = World::new().await;
    let garbage: [&[u8]; 5] = [b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4096], b"SSH-2.0-x\r\n", &[0; 64], &old_hello()];
    for (count, bytes) in (1..).zip(garbage) {
        let mut stream = world.socket().await;
        stream.write_all(bytes).await.unwrap();
        let got = rest(&mut stream).await;
        // A record of type alert, which is fatal.
        assert_eq!((got.first(), got.get(5)), (Some(&21), Some(&2)), "{got:?} for {bytes:?}");
        refused(&world, count).await;
    }
    world.serves(1).await;
    world.server.until_empty().await;
    world.server.end().await;
}

#[tokio::test]
async fn who_speaks_the_protocol_without_tls_is_told_to_use_tls() {
    let world = World::new().await;
    let mut client = RawClient::connect(world.server.address, 1).await;
    let hello = client.hello();
    client.send(&hello).await;
    let fault = client.expect_fault(Kind::ErrorConnection).await;
    assert_eq!(fault.code, Code::UnsupportedVersion);
    assert!(fault.message.contains("tls://"), "{fault:?}");
    client.expect_closed().await;
    refused(&world, 1).await;
    world.server.end().await;
}

#[tokio::test]
async fn other_protocols_over_tls_are_refused_and_none_named_is_taken() {
    let world = World::new().await;
    let error = shaken(world.server.address, world.authority.trusting(None, &["h2", "http/1.1"])).await.unwrap_err();
    assert_eq!(alert(&error), AlertDescription::NoApplicationProtocol);
    let unnamed = shaken(world.server.address, world.authority.trusting(None, &[])).await.unwrap();
    greet(&mut RawClient::over(unnamed, 1)).await;
    let named = shaken(world.server.address, world.authority.trusting(None, &["h2", ALPN])).await.unwrap();
    assert_eq!(named.get_ref().1.alpn_protocol(), Some(ALPN.as_bytes()));
    world.server.end().await;
}

#[tokio::test]
async fn clients_without_the_right_certificate_are_refused_where_one_is_asked_for() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let config = authority.config_for(&clients);
    let world = World::made(authority, config, Config::default()).await;
    let good = clients.client();
    let foreign = Authority::new().client();
    // What is good for a server isn't for a client.
    let server = clients.server();
    for (identity, expected) in [
        (None, AlertDescription::CertificateRequired),
        (Some(&foreign), AlertDescription::UnknownCA),
        (Some(&server), AlertDescription::UnsupportedCertificate),
    ] {
        let mut stream = shaken(world.server.address, world.authority.trusting(identity, &[ALPN])).await.unwrap();
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(alert(&error), expected);
    }
    refused(&world, 3).await;
    let stream = shaken(world.server.address, world.authority.trusting(Some(&good), &[ALPN])).await.unwrap();
    greet(&mut RawClient::over(stream, 1)).await;
    world.server.end().await;
}

fn hasty() -> Config {
    let mut config = Config::default();
    config.liveness.hello_within = Duration::from_millis(500);
    config
}

#[tokio::test]
async fn a_handshake_that_crawls_is_closed_in_time_and_holds_up_nobody() {
    let world = World::with(hasty()).await;
    let mut crawlers = Vec::new();
    for _ in 0..20 {
        let mut stream = world.socket().await;
        crawlers.push(tokio::spawn(async move {
            // A record of 16 KiB that holds a client hello, a byte at a time, until the server has enough.
            for byte in [22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0].into_iter().chain(std::iter::repeat(3)) {
                let _ = stream.write_all(&[byte]).await;
                tokio::select! {
                    read = stream.read_u8() => return assert!(read.is_err(), "nothing is said to a crawler"),
                    () = tokio::time::sleep(Duration::from_millis(10)) => {}
                }
            }
        }));
    }
    world.serves(1).await;
    // One who says nothing at all is treated alike.
    let mut silent = world.socket().await;
    assert_eq!(rest(&mut silent).await, b"");
    for crawler in crawlers {
        crawler.await.unwrap();
    }
    refused(&world, 21).await;
    world.serves(3).await;
    world.server.end().await;
}

#[tokio::test]
async fn handshake_and_hello_have_one_deadline_in_all() {
    let world = World::with(hasty()).await;
    let mut client = world.stranger(1).await;
    let fault = client.expect_fault(Kind::ErrorConnection).await;
    assert!(fault.message.contains("hello was not complete in time"), "{fault:?}");
    client.expect_closed().await;
    world.server.until_empty_of_connections().await;
    assert_eq!(world.server.watch.status().handshakes_failed, 0);
    world.server.end().await;
}

#[tokio::test]
async fn a_handshake_that_is_too_long_is_given_up() {
    let mut config = Config::default();
    // So that it isn't time that ends it.
    config.liveness.hello_within = Duration::from_hours(1);
    let world = World::with(config).await;
    let mut stream = world.socket().await;
    // A client hello of 60,000 bytes, in records of 16 KiB.
    let mut message = vec![1, 0, 0xea, 0x60, 3, 3];
    message.resize(4 + 60_000, 9);
    for piece in message.chunks(16_384) {
        let record = [&[22, 3, 1][..], &(piece.len() as u16).to_be_bytes(), piece].concat();
        if stream.write_all(&record).await.is_err() {
            break;
        }
    }
    refused(&world, 1).await;
    world.serves(1).await;
    world.server.end().await;
}

#[tokio::test]
async fn a_client_that_breaks_off_in_its_handshake_leaves_nothing() {
    let world = World::new().await;
    for (count, bytes) in (1..).zip([0, 1, 3, 20]) {
        let mut stream = world.socket().await;
        stream.write_all(&old_hello()[..bytes]).await.unwrap();
        // Half of the connection is closed, and the server closes the other half.
        stream.shutdown().await.unwrap();
        rest(&mut stream).await;
        refused(&world, count).await;
    }
    world.server.end().await;
}

#[tokio::test]
async fn a_connection_more_than_there_may_be_is_told_so_over_tls() {
    let mut config = Config::default();
    config.connections = 2;
    let world = World::with(config).await;
    let (mut sender, mut receiver) = (world.client(1).await, world.client(2).await);
    let mut third = world.stranger(3).await;
    let fault = Fault::decode(&third.expect(Kind::ErrorConnection).await.payload).unwrap();
    assert_eq!(fault.code, Code::Overloaded);
    third.expect_closed().await;
    // Many who don't go on with their handshakes: only so many are kept for the sake of courtesy.
    let mut crowd = Vec::new();
    for _ in 0..64 {
        let mut stream = world.socket().await;
        stream.write_all(&[22]).await.unwrap();
        crowd.push(stream);
    }
    let mut further = world.socket().await;
    assert_eq!(rest(&mut further).await, b"");
    crate::world::exchange(&mut sender, &mut receiver).await;
    assert_eq!(world.server.watch.status().connections, 2);
    world.server.end().await;
}
