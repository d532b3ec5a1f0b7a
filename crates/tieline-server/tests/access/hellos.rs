//! Who is let in: right and wrong tokens, and those who try too many of them.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use tieline_protocol::{Code, Fault, Frame, Kind, Metadata};

use crate::common::{RawClient, TestServer};
use crate::guests::{ALL, exchange, guest, guest_from, hello, loopback, rule, server};

/// All that the server says to a hello with this metadata, byte for byte, until it closes.
async fn answer_to(server: &TestServer, source: IpAddr, metadata: &Metadata) -> Frame {
    let mut client = RawClient::connect_from(source, server.address, 99).await;
    let hello = Frame::new(Kind::Hello, client.hello().header, metadata.wire().clone());
    client.send(&hello).await;
    let answer = client.expect(Kind::ErrorConnection).await;
    client.expect_closed().await;
    answer
}

fn with_token(token: &[u8]) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.push("token", token).unwrap();
    metadata
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_the_answer_is_the_same_to_the_byte() {
    let mut expired = rule("expired", &["*"], &["*"]);
    expired.expires = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    let (server, _) = server(vec![expired]).await;
    let mut twice = with_token(b"wrong");
    // The first entry of a name counts, so a right one behind it helps nobody.
    twice.push("token", ALL).unwrap();
    let mut answers = Vec::new();
    for (n, metadata) in [
        Metadata::new(),
        with_token(b""),
        with_token(b"wrong"),
        with_token(&ALL.as_bytes()[1..]),
        with_token(format!("{ALL}x").as_bytes()),
        with_token(ALL.to_uppercase().as_bytes()),
        with_token(format!("{ALL}\n").as_bytes()),
        with_token(&[0xff, 0xfe, 0]),
        with_token(&[b'x'; 1025]),
        with_token(&[b'x'; 16_000]),
        with_token(b"expired"),
        twice,
    ]
    .iter()
    .enumerate()
    {
        answers.push(answer_to(&server, loopback(10 + n as u8), metadata).await.to_bytes());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let mut client = guest(&server, 1, ALL).await;
    client.settle().await;
    server.end().await;
}

#[tokio::test]
async fn a_hello_of_64_kib_is_refused_by_its_header_alone() {
    let (server, _) = server(vec![]).await;
    let mut client = RawClient::connect(server.address, 1).await;
    let mut bytes = client.hello().to_bytes().to_vec();
    bytes[4..8].copy_from_slice(&65_536_u32.to_be_bytes());
    client.write(&bytes).await;
    assert_eq!(client.expect_fault(Kind::ErrorConnection).await.code, Code::TooLarge);
    client.expect_closed().await;
    server.end().await;
}

#[tokio::test]
async fn nothing_that_came_behind_a_refused_hello_is_started() {
    let (server, _) = server(vec![]).await;
    let mut client = RawClient::connect(server.address, 1).await;
    let hello = hello(&client, b"wrong");
    let mut receiver = guest(&server, 2, ALL).await;
    crate::guests::receive_on(&mut receiver, "x", Some("x")).await;
    receiver.settle().await;
    client.send(&hello).await;
    crate::guests::start_on(&mut client, "x", Some("x"), b"early").await;
    assert_eq!(client.expect_fault(Kind::ErrorConnection).await.code, Code::Unauthorized);
    client.expect_closed().await;
    receiver.settle().await;
    assert_eq!(server.watch.status().counts.busy, 0);
    server.end().await;
}

#[tokio::test]
async fn a_server_without_tokens_passes_over_the_one_that_a_client_brings() {
    let server = TestServer::start().await;
    guest(&server, 1, "anything").await.settle().await;
    server.end().await;
}

#[tokio::test]
async fn wrong_tokens_by_the_thousand_bar_their_source_and_harm_nobody_else() {
    let (server, _) = server(vec![]).await;
    let mut sender = guest(&server, 1, ALL).await;
    let mut receiver = guest(&server, 2, ALL).await;
    let (mut wrong, mut barred) = (0, 0);
    for round in 0..40_u64 {
        for n in 0..50_u64 {
            let token = format!("guess {round} {n}");
            let answer = answer_to(&server, loopback(2), &with_token(token.as_bytes())).await;
            let fault = Fault::decode(&answer.payload).unwrap();
            match fault.code {
                Code::Unauthorized => wrong += 1,
                Code::Overloaded => barred += 1,
                other => panic!("{other}"),
            }
        }
        exchange(&mut sender, &mut receiver, "work", &[7; 1000]).await;
    }
    assert!(wrong >= 10, "{wrong}: who is not barred is told the truth");
    assert!(barred > 1_000, "{barred} of 2000 were not even looked at");
    // Another address is let in at once, and who is connected from the barred one stays connected.
    guest_from(&server, loopback(3), 3, ALL).await.settle().await;
    drop((sender, receiver));
    server.until_empty().await;
    server.end().await;
}

#[tokio::test]
async fn a_right_token_from_a_barred_source_is_told_to_come_back_and_does() {
    let (server, _) = server(vec![]).await;
    let mut connected = guest_from(&server, loopback(2), 1, ALL).await;
    for _ in 0..10 {
        answer_to(&server, loopback(2), &with_token(b"wrong")).await;
    }
    // Overloaded, not unauthorized: a client goes on trying.
    let fault = Fault::decode(&answer_to(&server, loopback(2), &with_token(ALL.as_bytes())).await.payload).unwrap();
    assert_eq!(fault.code, Code::Overloaded);
    connected.settle().await;
    let back = async {
        loop {
            let mut client = RawClient::connect_from(loopback(2), server.address, 5).await;
            let hello = hello(&client, ALL.as_bytes());
            client.send(&hello).await;
            if client.next().await.expect("an answer").kind == Kind::HelloAnswer {
                break;
            }
            client.expect_closed().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), back).await.expect("the source is forgiven");
    server.end().await;
}
