//! Signs of life, and what happens without them.

use std::time::Duration;

use tieline::{Error, Retry};
use tieline_protocol::{ChannelId, Kind};
use tokio::time::Instant;

use crate::wire::{Dock, connected, settle};

#[tokio::test(start_paused = true)]
async fn ping_is_answered_with_its_nonce() {
    let (_client, mut wire, _dock) = connected().await;
    wire.ping(42).await;
    assert_eq!(wire.expect(Kind::Pong).await.header.value, 42);
}

#[tokio::test(start_paused = true)]
async fn silent_server_is_pinged_and_then_given_up() {
    let (client, mut wire, mut dock) = connected().await;
    let began = Instant::now();
    let asking = tokio::spawn(client.send("x").retry(Retry::none()).send());
    wire.expect(Kind::StartRequest).await;
    let ping = wire.expect(Kind::Ping).await;
    assert_eq!(began.elapsed().as_secs(), 15);
    // A sign of life is enough.
    wire.plain(Kind::Pong, ChannelId::NIL, ping.header.value).await;
    wire.expect(Kind::Ping).await;
    assert_eq!(began.elapsed().as_secs(), 30);
    wire.expect_end().await;
    assert_eq!(began.elapsed().as_secs(), 45);
    let error = asking.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("nothing was heard of the server for 30 s"), "{error}");
    let _wire = dock.greet().await;
}

#[tokio::test(start_paused = true)]
async fn server_that_does_not_greet_is_given_up_after_5_seconds() {
    let (builder, mut dock) = Dock::new();
    let connecting = tokio::spawn(builder.connect_timeout(Some(Duration::from_secs(8))).connect());
    let mut wire = dock.accept().await;
    let began = Instant::now();
    wire.read_hello().await;
    wire.expect_end().await;
    assert_eq!(began.elapsed().as_secs(), 5);
    let error = connecting.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("did not greet within 5 s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn server_that_takes_no_bytes_is_given_up() {
    let (builder, mut dock) = Dock::with_pipe(1024);
    let (client, mut wire) = tokio::join!(builder.connect(), dock.greet());
    let client = client.unwrap();
    let began = Instant::now();
    let asking = tokio::spawn(client.send("x").body(vec![7; 8 * 1024]).retry(Retry::none()).send());
    settle().await;
    // It says something from time to time, but reads nothing.
    let talking = tokio::spawn(async move {
        for nonce in 0.. {
            tokio::time::sleep(Duration::from_secs(10)).await;
            if nonce < 10 {
                wire.ping(nonce).await;
            }
        }
    });
    let error = asking.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ConnectionLost { .. }));
    assert!(error.to_string().contains("took no byte for 30 s"), "{error}");
    assert_eq!(began.elapsed().as_secs(), 30);
    talking.abort();
}

#[tokio::test(start_paused = true)]
async fn frame_that_does_not_come_on_is_the_end() {
    let (client, mut wire, _dock) = connected().await;
    let asking = tokio::spawn(client.send("x").retry(Retry::none()).send());
    wire.expect(Kind::StartRequest).await;
    let began = Instant::now();
    wire.bytes(&Kind::Ping.header().encode()[..10]).await;
    let ending = tokio::spawn(async move {
        for byte in 10..20 {
            tokio::time::sleep(Duration::from_secs(8)).await;
            wire.bytes(&Kind::Ping.header().encode()[byte..=byte]).await;
        }
    });
    let error = asking.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("did not come on"), "{error}");
    assert!(began.elapsed().as_secs() < 40);
    ending.abort();
}
