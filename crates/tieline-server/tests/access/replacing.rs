//! The table of tokens changes while clients are connected.

use std::time::{Duration, SystemTime};

use tieline_protocol::{Code, Fault, Flags, Frame, Kind};
use tokio::io::AsyncWriteExt;

use crate::common::{RawClient, body, start};
use crate::guests::{ALL, all, exchange, guest, hello, receive_on, rule, server, start_on};

async fn expelled(client: &mut RawClient) {
    assert_eq!(client.expect_fault(Kind::ErrorConnection).await.code, Code::Unauthorized);
    client.expect_closed().await;
}

#[tokio::test]
async fn whoever_has_a_token_that_is_gone_is_told_and_closed_and_its_partners_are_told() {
    let (server, access) = server(vec![rule("leaked", &["*"], &["*"])]).await;
    let mut sender = guest(&server, 1, ALL).await;
    let mut receiver = guest(&server, 2, "leaked").await;
    receive_on(&mut receiver, "x", Some("x")).await;
    receiver.settle().await;
    start_on(&mut sender, "x", Some("x"), b"work").await;
    receiver.expect(Kind::StartRequest).await;
    access.replace([all()]).unwrap();
    expelled(&mut receiver).await;
    assert_eq!(sender.expect_fault(Kind::ErrorResponse).await.code, Code::ReceiverLost);
    let mut again = RawClient::connect(server.address, 3).await;
    let greeting = hello(&again, b"leaked");
    again.send(&greeting).await;
    expelled(&mut again).await;
    sender.settle().await;
    server.end().await;
}

#[tokio::test]
async fn a_token_that_was_exchanged_for_another_of_the_same_name_is_gone() {
    let mut before = rule("old secret", &["*"], &["*"]);
    before.name = "worker".into();
    let (server, access) = server(vec![before]).await;
    let mut client = guest(&server, 1, "old secret").await;
    let mut after = rule("new secret", &["*"], &["*"]);
    after.name = "worker".into();
    access.replace([all(), after]).unwrap();
    expelled(&mut client).await;
    guest(&server, 2, "new secret").await.settle().await;
    server.end().await;
}

#[tokio::test]
async fn what_may_be_sent_changes_for_the_next_start_and_what_runs_goes_on() {
    let (server, access) = server(vec![rule("client", &["a", "b"], &[])]).await;
    let mut sender = guest(&server, 1, "client").await;
    let mut receiver = guest(&server, 2, ALL).await;
    receive_on(&mut receiver, "a", Some("a")).await;
    receiver.settle().await;
    let id = start_on(&mut sender, "a", Some("a"), b"before").await;
    receiver.expect(Kind::StartRequest).await;
    access.replace([all(), rule("client", &["b", "c"], &[])]).unwrap();
    start_on(&mut sender, "a", Some("a"), b"behind").await;
    assert_eq!(sender.expect_fault(Kind::ErrorResponse).await.code, Code::ForbiddenChannel);
    receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, b"done")).await;
    assert_eq!(body(&sender.expect(Kind::StartResponse).await), "done");
    // What was added holds on the same connection.
    exchange(&mut sender, &mut receiver, "c", b"new").await;
    server.end().await;
}

#[tokio::test]
async fn a_receiver_that_may_receive_less_is_told_to_move_on_and_finishes_what_it_has() {
    let (server, access) = server(vec![rule("worker", &["*"], &["a", "b"])]).await;
    let mut sender = guest(&server, 1, ALL).await;
    let mut worker = guest(&server, 2, "worker").await;
    receive_on(&mut worker, "a", Some("a")).await;
    receive_on(&mut worker, "b", Some("b")).await;
    worker.settle().await;
    let id = start_on(&mut sender, "a", Some("a"), b"work").await;
    worker.expect(Kind::StartRequest).await;
    access.replace([all(), rule("worker", &["*"], &["b"])]).unwrap();
    let mut closed = 0;
    loop {
        match worker.next().await.expect("a frame").kind {
            Kind::EndReceive => closed += 1,
            Kind::EndConnection => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(closed, 2);
    // It starts nothing more here; what it has in hand it finishes.
    receive_on(&mut worker, "b", Some("b")).await;
    assert_eq!(worker.expect_fault(Kind::ErrorReceive).await.code, Code::ShuttingDown);
    receive_on(&mut worker, "a", Some("a")).await;
    assert_eq!(worker.expect_fault(Kind::ErrorReceive).await.code, Code::ForbiddenChannel);
    let refused = start_on(&mut worker, "c", Some("c"), b"x").await;
    let refusal = worker.expect(Kind::ErrorResponse).await;
    assert!(refusal.has(Flags::UNSTARTED) && refusal.header.exchange_id() == refused);
    assert_eq!(Fault::decode(&refusal.payload).unwrap().code, Code::ShuttingDown);
    worker.send(&start(Kind::StartResponse, id, Flags::FINAL, b"done")).await;
    assert_eq!(body(&sender.expect(Kind::StartResponse).await), "done");
    worker.send(&Frame::new(Kind::EndConnection, Kind::EndConnection.header(), bytes::Bytes::new())).await;
    worker.expect_closed().await;
    // On its next connection the new rules hold.
    let mut again = guest(&server, 3, "worker").await;
    receive_on(&mut again, "a", Some("a")).await;
    assert_eq!(again.expect_fault(Kind::ErrorReceive).await.code, Code::ForbiddenChannel);
    exchange(&mut sender, &mut again, "b", b"new").await;
    server.end().await;
}

#[tokio::test]
async fn a_receiver_that_may_receive_more_stays_and_may_at_once() {
    let (server, access) = server(vec![rule("worker", &[], &["a"])]).await;
    let mut sender = guest(&server, 1, ALL).await;
    let mut worker = guest(&server, 2, "worker").await;
    access.replace([all(), rule("worker", &[], &["*"])]).unwrap();
    exchange(&mut sender, &mut worker, "z", b"x").await;
    server.end().await;
}

#[tokio::test]
async fn limits_change_in_place_and_end_nothing() {
    let (server, access) = server(vec![rule("client", &["*"], &[])]).await;
    let mut client = guest(&server, 1, "client").await;
    let _second = guest(&server, 2, "client").await;
    start_on(&mut client, "a", Some("a"), b"x").await;
    start_on(&mut client, "b", Some("b"), b"x").await;
    client.settle().await;
    let mut less = rule("client", &["*"], &[]);
    (less.connections, less.requests) = (Some(1), Some(2));
    access.replace([all(), less]).unwrap();
    start_on(&mut client, "c", Some("c"), b"x").await;
    assert_eq!(client.expect_fault(Kind::ErrorResponse).await.code, Code::TooManyInFlight);
    assert_eq!(server.watch.status().counts.waiting, 2);
    let mut third = RawClient::connect(server.address, 3).await;
    let greeting = hello(&third, b"client");
    third.send(&greeting).await;
    assert_eq!(third.expect_fault(Kind::ErrorConnection).await.code, Code::Overloaded);
    server.end().await;
}

#[tokio::test]
async fn a_token_that_expires_is_gone_at_that_moment() {
    let mut brief = rule("brief", &["*"], &["*"]);
    brief.expires = Some(SystemTime::now() + Duration::from_millis(700));
    let mut later = rule("later", &["*"], &["*"]);
    later.expires = Some(SystemTime::now() + Duration::from_hours(1));
    let (server, _) = server(vec![brief, later]).await;
    let mut client = RawClient::connect(server.address, 1).await;
    let greeting = hello(&client, b"brief");
    client.send(&greeting).await;
    // On a machine that was slower than that, hello comes too late; the end is the same.
    if let Some(frame) = client.next().await
        && frame.kind == Kind::HelloAnswer
    {
        expelled(&mut client).await;
    }
    guest(&server, 2, "later").await.settle().await;
    server.end().await;
}

#[tokio::test]
async fn tokens_that_cannot_stand_in_one_table_change_nothing() {
    let (server, access) = server(vec![rule("one", &["*"], &["*"])]).await;
    let mut client = guest(&server, 1, "one").await;
    let mut twin = rule("two", &["*"], &["*"]);
    twin.name = "one".into();
    assert!(access.replace([rule("one", &[], &[]), twin]).is_err());
    let mut same = rule("one", &["*"], &["*"]);
    same.name = "other".into();
    assert!(access.replace([rule("one", &[], &[]), same]).is_err());
    let mut slow = rule("one", &["*"], &["*"]);
    slow.bytes_per_second = std::num::NonZeroU64::new(1000);
    assert!(access.replace([slow]).unwrap_err().to_string().contains("65536"));
    client.settle().await;
    assert_eq!(access.len(), 2);
    server.end().await;
}

#[tokio::test]
async fn a_hello_that_is_still_coming_is_judged_by_the_table_as_it_is_then() {
    let (server, access) = server(vec![rule("old", &["*"], &["*"])]).await;
    let mut client = RawClient::connect(server.address, 1).await;
    let greeting = hello(&client, b"old").to_bytes();
    client.stream.write_all(&greeting[..70]).await.unwrap();
    access.replace([all()]).unwrap();
    client.stream.write_all(&greeting[70..]).await.unwrap();
    expelled(&mut client).await;
    server.end().await;
}
