//! The limits of a token hold over all of its connections, and for nobody else.

use tieline_protocol::{Code, Fault, Flags, Frame, Kind};

use crate::common::{RawClient, of};
use crate::guests::{ALL, guest, hello, rule, server, start_on};

#[tokio::test]
async fn a_connection_too_many_is_turned_away_and_a_place_that_comes_free_is_given_again() {
    let mut narrow = rule("narrow", &["*"], &["*"]);
    narrow.connections = Some(2);
    let (server, _) = server(vec![narrow]).await;
    let mut first = guest(&server, 1, "narrow").await;
    let second = guest(&server, 2, "narrow").await;
    let mut third = RawClient::connect(server.address, 3).await;
    let greeting = hello(&third, b"narrow");
    third.send(&greeting).await;
    let fault = third.expect_fault(Kind::ErrorConnection).await;
    assert_eq!(fault.code, Code::Overloaded);
    assert!(fault.message.contains("this token"), "{fault:?}");
    third.expect_closed().await;
    let mut other = guest(&server, 4, ALL).await;
    drop(second);
    server.until("three connections", |status| status.connections == 2).await;
    guest(&server, 5, "narrow").await.settle().await;
    first.settle().await;
    other.settle().await;
    server.end().await;
}

#[tokio::test]
async fn requests_in_flight_are_counted_over_all_connections_of_a_token() {
    let mut narrow = rule("narrow", &["*"], &["*"]);
    narrow.requests = Some(3);
    let (server, _) = server(vec![narrow]).await;
    let mut one = guest(&server, 1, "narrow").await;
    let mut two = guest(&server, 2, "narrow").await;
    let mut other = guest(&server, 3, ALL).await;
    // Channels of many shards.
    let first = start_on(&mut one, "a", Some("a"), b"x").await;
    start_on(&mut one, "b", Some("b"), b"x").await;
    one.settle().await;
    start_on(&mut two, "c", Some("c"), b"x").await;
    start_on(&mut two, "d", Some("d"), b"x").await;
    let refusal = two.expect(Kind::ErrorResponse).await;
    assert!(refusal.has(Flags::UNSTARTED));
    assert_eq!(Fault::decode(&refusal.payload).unwrap().code, Code::TooManyInFlight);
    for n in 0..5 {
        let name = format!("other {n}");
        start_on(&mut other, &name, Some(&name), b"x").await;
    }
    other.settle().await;
    // A place comes free by a cancel,
    one.send(&of(Kind::ErrorRequest, first, 0, &(Code::Cancelled as u16).to_be_bytes())).await;
    one.expect(Kind::ErrorResponse).await;
    start_on(&mut two, "e", Some("e"), b"x").await;
    two.settle().await;
    start_on(&mut two, "f", Some("f"), b"x").await;
    assert_eq!(two.expect_fault(Kind::ErrorResponse).await.code, Code::TooManyInFlight);
    // and by the loss of a connection.
    drop(one);
    server.until("two connections", |status| status.connections == 2).await;
    start_on(&mut two, "g", Some("g"), b"x").await;
    two.settle().await;
    assert_eq!(server.watch.status().counts.waiting, 8);
    drop((two, other));
    server.until_empty().await;
    server.end().await;
}

#[tokio::test]
async fn a_refusal_that_came_before_the_tokens_limit_takes_no_place() {
    let mut narrow = rule("narrow", &["*"], &["*"]);
    narrow.requests = Some(1);
    let (server, _) = server(vec![narrow]).await;
    let mut client = guest(&server, 1, "narrow").await;
    for _ in 0..5 {
        let id = client.exchange(crate::common::channel("nobody"));
        let mut start = crate::common::start(Kind::StartRequest, id, Flags::NO_WAIT, b"x");
        start.header.flags |= Flags::FINAL;
        client.send(&Frame::new(start.kind, start.header, start.payload)).await;
        assert_eq!(client.expect_fault(Kind::ErrorResponse).await.code, Code::NoReceiver);
    }
    start_on(&mut client, "a", Some("a"), b"x").await;
    client.settle().await;
    assert_eq!(server.watch.status().counts.waiting, 1);
    server.end().await;
}
