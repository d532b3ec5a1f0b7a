//! Limits that change while the server runs: what takes effect when, and that nothing that runs ends by it.
#![allow(unreachable_pub, reason = "the modules of a test target are seen by it alone")]

mod common;

use common::{RawClient, TestServer, channel};
use tieline_protocol::{Code, Flags, Kind};
use tieline_server::{Applied, Config, SHARE_MIN, admission};

async fn wait_on(client: &mut RawClient, name: &str) {
    client.start(channel(name), Flags::FINAL, b"x").await;
    client.settle().await;
}

#[tokio::test]
async fn fewer_connections_and_places_end_nothing_and_hold_for_what_comes_next() {
    let server = TestServer::start().await;
    let mut one = server.client(1).await;
    let mut two = server.client(2).await;
    for _ in 0..3 {
        wait_on(&mut one, "x").await;
    }
    let mut less = Config::default();
    (less.connections, less.channel_places) = (1, 2);
    let applied = server.control.apply(&less).unwrap();
    assert_eq!(applied.now, ["connections", "channel-places"]);
    two.settle().await;
    assert_eq!(server.watch.status().counts.waiting, 3);
    two.start(channel("x"), Flags::FINAL, b"x").await;
    assert_eq!(two.expect_fault(Kind::ErrorResponse).await.code, Code::ChannelFull);
    let mut three = RawClient::connect(server.address, 3).await;
    assert_eq!(three.expect_fault(Kind::ErrorConnection).await.code, Code::Overloaded);
    server.control.apply(&Config::default()).unwrap();
    wait_on(&mut two, "x").await;
    server.client(4).await.settle().await;
    server.end().await;
}

#[tokio::test]
async fn less_memory_refuses_what_comes_and_more_admits_it_again() {
    let server = TestServer::start().await;
    let mut client = server.client(1).await;
    let fit = SHARE_MIN / admission(1);
    for n in 0..fit {
        wait_on(&mut client, &format!("{n}")).await;
    }
    let mut little = Config::default();
    little.memory = SHARE_MIN;
    assert_eq!(server.control.apply(&little).unwrap().now, ["memory"]);
    client.start(channel("more"), Flags::FINAL, b"x").await;
    assert_eq!(client.expect_fault(Kind::ErrorResponse).await.code, Code::Overloaded);
    assert_eq!(server.watch.status().counts.waiting as u64, fit);
    server.control.apply(&Config::default()).unwrap();
    wait_on(&mut client, "more").await;
    server.end().await;
}

#[tokio::test]
async fn what_hello_has_told_stays_until_a_restart_and_what_cannot_be_changes_nothing() {
    let server = TestServer::start().await;
    let mut config = Config::default();
    config.limits.window *= 2;
    config.limits.requests = 7;
    config.flood.burst = 5000;
    let applied = server.control.apply(&config).unwrap();
    assert_eq!(
        (applied.with_a_restart, applied.for_new_connections),
        (vec!["requests", "window"], vec!["flood-burst"])
    );
    assert_eq!(server.control.config().limits, Config::default().limits);
    config.memory = 1;
    config.connections = 5;
    assert!(server.control.apply(&config).unwrap_err().to_string().starts_with("memory is 1; it must be from"));
    assert_eq!(server.control.config().connections, Config::default().connections);
    let mut same = Config::default();
    same.flood.burst = 5000;
    assert_eq!(server.control.apply(&same).unwrap(), Applied::default());
    server.end().await;
}
