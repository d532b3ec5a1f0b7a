//! Bad input gets a clear error, and changes nothing for anybody else.

mod common;

use common::{RawClient, TestServer, body, channel, of, start};
use tieline_protocol::{ClientId, Code, ExchangeId, Fault, Flags, Kind, RequestId};

/// Sends bytes as a first client, and asserts the error it gets; a bystander's exchange goes on meanwhile.
async fn refused(bytes: &[u8], greet: bool, code: Code, words: &str) {
    let server = TestServer::start().await;
    let mut receiver = server.client(1).await;
    let mut sender = server.client(2).await;
    receiver.receive(channel("bystander"), 1).await;
    let id = sender.start(channel("bystander"), Flags::NONE, b"a").await;
    receiver.expect(Kind::StartRequest).await;

    let mut offender = RawClient::connect(server.address, 3).await;
    if greet {
        offender.send(&offender.hello()).await;
        offender.expect(Kind::HelloAnswer).await;
    }
    offender.write(bytes).await;
    let fault = offender.expect_fault(Kind::ErrorConnection).await;
    assert_eq!(fault.code, code, "{fault:?}");
    assert!(fault.message.contains(words), "{:?} should say {words:?}", fault.message);
    offender.expect_closed().await;
    drop(offender);
    server.until("the offender is gone", |status| status.connections == 2).await;

    sender.send(&of(Kind::EndRequest, id, 1, b"")).await;
    receiver.expect(Kind::EndRequest).await;
    receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, b"b")).await;
    assert_eq!(body(&sender.expect(Kind::StartResponse).await), "b");
    server.end().await;
}

#[tokio::test]
async fn garbage_on_the_port() {
    refused(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", false, Code::UnsupportedVersion, "version").await;
}

#[tokio::test]
async fn a_wrong_version() {
    let mut header = Kind::Hello.header();
    header.client = ClientId::from_u128(3);
    header.version = 2;
    refused(&header.encode(), false, Code::UnsupportedVersion, "version 1").await;
}

#[tokio::test]
async fn a_length_of_4_gib() {
    let id = ExchangeId { client: ClientId::from_u128(3), request: RequestId::from_u128(1), channel: channel("c") };
    let mut header = Kind::StartRequest.header().exchange(id);
    header.length = u32::MAX;
    refused(&header.encode(), true, Code::TooLarge, "at most 65536").await;
}

#[tokio::test]
async fn a_frame_that_the_table_forbids() {
    let header = Kind::ErrorReceive.header().channel(channel("c"));
    let mut header = header;
    header.length = 2;
    refused(&header.encode(), true, Code::InvalidFrame, "a client may not send error+RECEIVE").await;
}

#[tokio::test]
async fn a_frame_before_hello() {
    refused(&Kind::Ping.header().encode(), false, Code::InvalidFrame, "hello comes first").await;
}

#[tokio::test]
async fn a_request_id_that_does_not_increase() {
    let id = ExchangeId { client: ClientId::from_u128(3), request: RequestId::from_u128(1), channel: channel("c") };
    let twice = [start(Kind::StartRequest, id, Flags::NONE, b""), start(Kind::StartRequest, id, Flags::NONE, b"")];
    let bytes: Vec<u8> = twice.iter().flat_map(tieline_protocol::Frame::to_bytes).collect();
    refused(&bytes, true, Code::DuplicateId, "strictly increase").await;
}

#[tokio::test]
async fn a_second_receive_on_a_channel() {
    let mut header = Kind::StartReceive.header().channel(channel("c")).value(1);
    header.length = 2;
    let one = [&header.encode()[..], &[0, 0]].concat();
    refused(&[one.clone(), one].concat(), true, Code::InvalidFrame, "withdraw the open one first").await;
}

#[tokio::test]
async fn a_flood_of_pings_is_closed() {
    let server = TestServer::start().await;
    let mut offender = server.client(1).await;
    let ping = Kind::Ping.header().encode();
    let burst = ping.repeat(1000);
    // Bounded: far more than the burst and what time forgives meanwhile.
    for _ in 0..200 {
        use tokio::io::AsyncWriteExt;
        if offender.stream.write_all(&burst).await.is_err() {
            break;
        }
    }
    loop {
        match offender.next().await {
            Some(frame) if frame.kind == Kind::Pong => {}
            Some(frame) => {
                assert_eq!(Fault::decode(&frame.payload).unwrap().code, Code::Flood);
                break;
            }
            // The connection may be reset under the offender's own flood.
            None => break,
        }
    }
    server.until_empty().await;
    server.end().await;
}

#[tokio::test]
async fn frames_about_somebody_elses_request_change_nothing_and_tell_nothing() {
    let server = TestServer::start().await;
    let mut receiver = server.client(1).await;
    let mut sender = server.client(2).await;
    let mut stranger = server.client(3).await;
    receiver.receive(channel("c"), 1).await;
    let real = sender.start(channel("c"), Flags::NONE, b"a").await;
    receiver.expect(Kind::StartRequest).await;
    let made_up = ExchangeId { request: RequestId::from_u128(999), ..real };
    for id in [real, made_up] {
        let fault = Fault::new(Code::Cancelled).encode();
        stranger.send(&of(Kind::ErrorRequest, id, 0, &fault)).await;
        stranger.send(&of(Kind::ChunkRequest, id, 1, b"evil")).await;
        stranger.send(&of(Kind::AckResponse, id, 50_000, b"")).await;
        stranger.send(&of(Kind::AckRequest, id, 50_000, b"")).await;
        stranger.send(&start(Kind::StartResponse, id, Flags::FINAL, b"evil")).await;
        stranger.send(&of(Kind::ErrorResponse, id, 0, &fault)).await;
        // Whatever was said of it, the answer is the same: none.
        stranger.settle().await;
    }
    sender.send(&of(Kind::EndRequest, real, 1, b"")).await;
    receiver.expect(Kind::EndRequest).await;
    receiver.send(&start(Kind::StartResponse, real, Flags::FINAL, b"good")).await;
    assert_eq!(body(&sender.expect(Kind::StartResponse).await), "good");
    server.end().await;
}

#[tokio::test]
async fn a_client_id_that_another_connection_has() {
    let server = TestServer::start().await;
    let mut victim = server.client(1).await;
    let mut receiver = server.client(2).await;
    receiver.receive(channel("c"), 1).await;
    let id = victim.start(channel("c"), Flags::FINAL, b"a").await;
    receiver.expect(Kind::StartRequest).await;
    let mut thief = RawClient::connect(server.address, 1).await;
    thief.send(&thief.hello()).await;
    let fault = thief.expect_fault(Kind::ErrorConnection).await;
    assert_eq!(fault.code, Code::DuplicateId);
    thief.expect_closed().await;
    receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, b"b")).await;
    assert_eq!(body(&victim.expect(Kind::StartResponse).await), "b");
    // Once the victim is gone, the id is nobody's.
    drop((victim, thief));
    server.until("only the receiver", |status| status.connections == 1).await;
    server.client(1).await;
    server.end().await;
}

#[tokio::test]
async fn a_hello_that_was_taken_is_answered_before_the_error_for_what_follows_it() {
    // An error as the first frame would say that nothing was started; another core may have done so meanwhile.
    let server = TestServer::start().await;
    let mut sender = RawClient::connect(server.address, 1).await;
    let id = sender.exchange(channel("c"));
    let mut bytes = sender.hello().to_bytes().to_vec();
    bytes.extend_from_slice(&start(Kind::StartRequest, id, Flags::FINAL, b"run me").to_bytes());
    bytes.extend_from_slice(b"no frame");
    sender.write(&bytes).await;
    assert_eq!(sender.next().await.expect("an answer").kind, Kind::HelloAnswer);
    assert_eq!(sender.expect_fault(Kind::ErrorConnection).await.code, Code::UnsupportedVersion);
    sender.expect_closed().await;
    server.end().await;
}

#[tokio::test]
async fn an_error_behind_a_full_batch_still_arrives() {
    let server = TestServer::start().await;
    let mut sender = server.client(1).await;
    let mut receiver = server.client(2).await;
    receiver.receive(channel("c"), 1).await;
    let id = sender.start(channel("c"), Flags::FINAL, b"a").await;
    sender.send(&of(Kind::AckResponse, id, 1 << 20, b"")).await;
    receiver.expect(Kind::StartRequest).await;
    receiver.expect(Kind::AckResponse).await;
    // More than the sender's socket takes while it doesn't read: its batch stays full.
    receiver.send(&start(Kind::StartResponse, id, Flags::NONE, b"")).await;
    let piece = vec![7; 1 << 16];
    for chunk in 0..16_u64 {
        receiver.send(&of(Kind::ChunkResponse, id, chunk << 16, &piece)).await;
    }
    receiver.settle().await;
    sender.send(&start(Kind::StartRequest, id, Flags::NONE, b"")).await;
    loop {
        let frame = sender.next().await.expect("an error before the end");
        if frame.kind == Kind::ErrorConnection {
            assert_eq!(Fault::decode(&frame.payload).unwrap().code, Code::DuplicateId);
            break;
        }
    }
    sender.expect_closed().await;
    server.end().await;
}

#[tokio::test]
async fn a_frame_that_crawls_is_judged_by_its_own_clock() {
    let mut config = tieline_server::Config::default();
    // The others would take longer than the test may.
    config.liveness.ping_after = std::time::Duration::from_mins(10);
    config.liveness.silence_max = std::time::Duration::from_mins(20);
    config.liveness.frame_within = std::time::Duration::from_millis(50);
    let server = TestServer::with(config).await;
    let mut client = server.client(1).await;
    client.write(&[1]).await;
    let fault = client.expect_fault(Kind::ErrorConnection).await;
    assert_eq!((fault.code, fault.message.contains("did not come on")), (Code::InvalidFrame, true));
    server.end().await;
}
