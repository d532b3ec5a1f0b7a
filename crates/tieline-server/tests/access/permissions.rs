//! What each token may do: a start that isn't allowed is refused alone, and says nothing about the channel.

use bytes::Bytes;
use tieline_protocol::{Code, Fault, Flags, Frame, Kind};

use crate::common::{RawClient, channel};
use crate::guests::{ALL, exchange, guest, receive_on, rule, server, start_on};

async fn refused_request(client: &mut RawClient) -> Frame {
    let frame = client.expect(Kind::ErrorResponse).await;
    assert!(frame.has(Flags::UNSTARTED));
    assert_eq!(Fault::decode(&frame.payload).unwrap().code, Code::ForbiddenChannel);
    frame
}

async fn refused_receive(client: &mut RawClient) -> Frame {
    let frame = client.expect(Kind::ErrorReceive).await;
    assert_eq!(Fault::decode(&frame.payload).unwrap().code, Code::ForbiddenChannel);
    frame
}

#[tokio::test]
async fn a_token_sends_and_receives_where_it_may_and_a_refusal_ends_that_start_alone() {
    let (server, _) = server(vec![rule("sender", &["img-*", "thumbs"], &[]), rule("receiver", &[], &["img-*"])]).await;
    let mut sender = guest(&server, 1, "sender").await;
    let mut receiver = guest(&server, 2, "receiver").await;
    exchange(&mut sender, &mut receiver, "img-1", b"one").await;
    for name in ["img", "thumbs2", "IMG-1", "other"] {
        start_on(&mut sender, name, Some(name), b"x").await;
        refused_request(&mut sender).await;
    }
    receive_on(&mut receiver, "thumbs", Some("thumbs")).await;
    refused_receive(&mut receiver).await;
    start_on(&mut receiver, "img-1", Some("img-1"), b"x").await;
    refused_request(&mut receiver).await;
    receive_on(&mut sender, "img-1", Some("img-1")).await;
    refused_receive(&mut sender).await;
    exchange(&mut sender, &mut receiver, "img-", b"two").await;
    server.end().await;
}

#[tokio::test]
async fn a_refusal_says_nothing_about_the_channel_and_is_the_same_whatever_was_wrong() {
    let (server, _) = server(vec![rule("narrow", &["mine"], &["mine"])]).await;
    // On `busy` there is a receiver, and a request in its hands; on `absent` there is nothing.
    let mut receiver = guest(&server, 1, ALL).await;
    receive_on(&mut receiver, "busy", Some("busy")).await;
    receiver.settle().await;
    let mut sender = guest(&server, 2, ALL).await;
    start_on(&mut sender, "busy", Some("busy"), b"x").await;
    receiver.expect(Kind::StartRequest).await;
    let mut client = guest(&server, 3, "narrow").await;
    let wrong: [(&str, Option<&str>); 6] = [
        ("busy", Some("busy")),
        ("absent", Some("absent")),
        ("busy", None),
        ("absent", None),
        ("busy", Some("mine")),
        ("absent", Some("")),
    ];
    let mut payloads = Vec::new();
    for (id, named) in wrong {
        start_on(&mut client, id, named, b"x").await;
        payloads.push(refused_request(&mut client).await.payload);
        receive_on(&mut client, id, named).await;
        payloads.push(refused_receive(&mut client).await.payload);
    }
    payloads.dedup();
    assert_eq!(payloads.len(), 1, "one answer, byte for byte");
    // Nothing of all this reached anybody.
    receiver.settle().await;
    server.end().await;
}

#[tokio::test]
async fn the_first_channel_entry_counts_and_only_its_true_name() {
    let (server, _) = server(vec![rule("narrow", &["mine"], &["mine"])]).await;
    let mut client = guest(&server, 1, "narrow").await;
    let start = async |client: &mut RawClient, id: &str, names: &[&[u8]]| {
        let mut metadata = tieline_protocol::Metadata::new();
        for name in names {
            metadata.push("channel", name).unwrap();
        }
        let id = client.exchange(channel(id));
        let header = Kind::StartRequest.header().exchange(id);
        client
            .send(&Frame::new(Kind::StartRequest, header, tieline_protocol::StartPayload::join(&metadata, b"")))
            .await;
    };
    start(&mut client, "secret", &[b"mine"]).await;
    refused_request(&mut client).await;
    start(&mut client, "mine", &[b"secret", b"mine"]).await;
    refused_request(&mut client).await;
    start(&mut client, "mine", &[&[0xff, 0xff]]).await;
    refused_request(&mut client).await;
    start(&mut client, "mine", &[b"mine\0"]).await;
    refused_request(&mut client).await;
    start(&mut client, "mine", &[b"mine", b"secret"]).await;
    client.settle().await;
    assert_eq!(server.watch.status().counts.waiting, 1, "the right one waits");
    server.end().await;
}

#[tokio::test]
async fn a_name_that_is_not_true_is_refused_to_a_token_that_may_do_everything_too() {
    let (server, _) = server(vec![]).await;
    let mut client = guest(&server, 1, ALL).await;
    start_on(&mut client, "one", Some("two"), b"x").await;
    refused_request(&mut client).await;
    start_on(&mut client, "one", None, b"x").await;
    client.settle().await;
    assert_eq!(server.watch.status().counts.waiting, 1, "no name is needed where everything is allowed");
    server.end().await;
}

#[tokio::test]
async fn a_forbidden_start_that_cannot_be_parsed_still_ends_the_connection() {
    let (server, _) = server(vec![rule("nothing", &[], &[])]).await;
    let mut client = guest(&server, 1, "nothing").await;
    let id = client.exchange(channel("x"));
    let header = Kind::StartRequest.header().exchange(id);
    client.send(&Frame::new(Kind::StartRequest, header, Bytes::from_static(&[0, 9, 1]))).await;
    assert_eq!(client.expect_fault(Kind::ErrorConnection).await.code, Code::InvalidFrame);
    client.expect_closed().await;
    server.end().await;
}
