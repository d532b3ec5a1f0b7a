//! The server over real sockets: requests reach one receiver, responses come back, whoever dies is reported.

mod common;

use common::{RawClient, TestServer, body, channel, least, of, start};
use tieline_protocol::{Code, Fault, Flags, Kind};
use tieline_server::{Config, Listener, Server, Stop};

#[tokio::test]
async fn a_small_exchange_costs_two_frames_in_and_two_out() {
    let server = TestServer::start().await;
    let mut receiver = server.client(1).await;
    let mut sender = server.client(2).await;
    receiver.receive(channel("c"), 1).await;
    let id = sender.start(channel("c"), Flags::FINAL, &[1; 128]).await;
    let request = receiver.expect(Kind::StartRequest).await;
    assert!(request.has(Flags::FINAL));
    assert_eq!((request.header.exchange_id(), body(&request).len()), (id, 128));
    receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, &[2; 128])).await;
    let response = sender.expect(Kind::StartResponse).await;
    assert!(response.has(Flags::FINAL));
    assert_eq!(body(&response), vec![2; 128]);
    // Nothing else was sent to either: the next that each gets is the answer to its ping.
    receiver.settle().await;
    sender.settle().await;
    drop((receiver, sender));
    server.until_empty().await;
    server.end().await;
}

#[tokio::test]
async fn a_request_waits_for_a_receiver_and_meets_it_at_once() {
    let server = TestServer::start().await;
    let mut sender = server.client(1).await;
    let id = sender.start(channel("c"), Flags::NONE, b"he").await;
    sender.send(&of(Kind::ChunkRequest, id, 2, b"llo")).await;
    sender.settle().await;
    let mut receiver = server.client(2).await;
    receiver.receive(channel("c"), 1).await;
    let request = receiver.expect(Kind::StartRequest).await;
    assert_eq!(body(&request), "hello");
    sender.send(&of(Kind::EndRequest, id, 5, b"")).await;
    receiver.expect(Kind::EndRequest).await;
    server.end().await;
}

#[tokio::test]
async fn a_killed_receiver_is_reported_at_once_and_truthfully() {
    let server = TestServer::start().await;
    let mut sender = server.client(1).await;
    let mut receiver = server.client(2).await;
    receiver.receive(channel("c"), 1).await;
    sender.start(channel("c"), Flags::FINAL, b"x").await;
    receiver.expect(Kind::StartRequest).await;
    drop(receiver);
    let error = sender.expect(Kind::ErrorResponse).await;
    assert_eq!(Fault::decode(&error.payload).unwrap().code, Code::ReceiverLost);
    assert!(!error.has(Flags::UNSTARTED), "it had left to the receiver");
    server.end().await;
}

#[tokio::test]
async fn a_lost_sender_ends_the_work_of_its_receiver() {
    let server = TestServer::start().await;
    let mut sender = server.client(1).await;
    let mut receiver = server.client(2).await;
    receiver.receive(channel("c"), 1).await;
    sender.start(channel("c"), Flags::NONE, b"x").await;
    receiver.expect(Kind::StartRequest).await;
    drop(sender);
    assert_eq!(receiver.expect_fault(Kind::ErrorRequest).await.code, Code::SenderLost);
    server.until("only the receiver", |status| status.connections == 1 && status.promised == 0).await;
    server.end().await;
}

#[tokio::test]
async fn a_deadline_is_enforced_by_the_server_alone() {
    let server = TestServer::start().await;
    let mut sender = server.client(1).await;
    let id = sender.exchange(channel("nobody"));
    let mut frame = start(Kind::StartRequest, id, Flags::FINAL, b"x");
    frame.header.value = 20; // ms of deadline
    sender.send(&frame).await;
    let error = sender.expect(Kind::ErrorResponse).await;
    assert_eq!(Fault::decode(&error.payload).unwrap().code, Code::DeadlineExceeded);
    assert!(error.has(Flags::UNSTARTED));
    server.end().await;
}

#[tokio::test]
async fn a_body_moves_only_as_far_as_its_consumer_grants() {
    let server = TestServer::with(least()).await;
    let mut sender = server.client(1).await;
    let mut receiver = server.client(2).await;
    receiver.receive(channel("c"), 1).await;
    let id = sender.start(channel("c"), Flags::NONE, &[0; 16 * 1024]).await;
    assert_eq!(body(&receiver.expect(Kind::StartRequest).await).len(), 16 * 1024);
    receiver.send(&of(Kind::AckRequest, id, 20_000, b"")).await;
    assert_eq!(sender.expect(Kind::AckRequest).await.header.value, 20_000);
    sender.send(&of(Kind::ChunkRequest, id, 16 * 1024, &[0; 4000])).await;
    let error = sender.expect(Kind::ErrorResponse).await;
    assert_eq!(Fault::decode(&error.payload).unwrap().code, Code::FlowControl, "384 bytes too many");
    assert_eq!(receiver.expect_fault(Kind::ErrorRequest).await.code, Code::SenderLost);
    server.end().await;
}

#[tokio::test]
async fn a_client_that_ends_its_connection_gets_the_answer_and_the_rest_of_its_work() {
    let server = TestServer::start().await;
    let mut sender = server.client(1).await;
    let mut receiver = server.client(2).await;
    receiver.receive(channel("c"), 1).await;
    let id = sender.start(channel("c"), Flags::FINAL, b"x").await;
    receiver.expect(Kind::StartRequest).await;
    sender
        .send(&tieline_protocol::Frame::new(Kind::EndConnection, Kind::EndConnection.header(), bytes::Bytes::new()))
        .await;
    sender.expect(Kind::EndConnection).await;
    receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, b"y")).await;
    sender.expect(Kind::StartResponse).await;
    sender.expect_closed().await;
    server.end().await;
}

#[tokio::test]
async fn a_drain_lets_running_work_finish_and_refuses_what_comes() {
    let server = TestServer::start().await;
    let mut sender = server.client(1).await;
    let mut receiver = server.client(2).await;
    receiver.receive(channel("c"), 1).await;
    let running = sender.start(channel("c"), Flags::FINAL, b"x").await;
    receiver.expect(Kind::StartRequest).await;
    let waiting = sender.start(channel("c"), Flags::FINAL, b"y").await;
    sender.settle().await;
    server.stop.drain();
    let refused = sender.expect(Kind::ErrorResponse).await;
    assert_eq!(refused.header.exchange_id(), waiting);
    assert_eq!(Fault::decode(&refused.payload).unwrap().code, Code::ShuttingDown);
    assert!(refused.has(Flags::UNSTARTED));
    sender.expect(Kind::EndConnection).await;
    assert_eq!(receiver.expect(Kind::EndReceive).await.header.value, 1);
    receiver.expect(Kind::EndConnection).await;
    let crossing = sender.start(channel("c"), Flags::FINAL, b"z").await;
    assert_eq!(sender.expect(Kind::ErrorResponse).await.header.exchange_id(), crossing);
    receiver.send(&start(Kind::StartResponse, running, Flags::FINAL, b"done")).await;
    assert_eq!(sender.expect(Kind::StartResponse).await.header.exchange_id(), running);
    for client in [&mut sender, &mut receiver] {
        let end = Kind::EndConnection;
        client.send(&tieline_protocol::Frame::new(end, end.header(), bytes::Bytes::new())).await;
        client.expect_closed().await;
    }
    server.drained().await;
}

#[tokio::test]
async fn a_client_that_has_not_greeted_when_a_drain_begins_is_turned_away_at_once() {
    let server = TestServer::start().await;
    let silent = RawClient::connect(server.address, 1).await;
    let mut half = RawClient::connect(server.address, 2).await;
    let hello = half.hello().to_bytes();
    half.write(&hello[..10]).await;
    server.until("two connections", |status| status.connections == 2).await;
    server.stop.drain();
    for mut client in [silent, half] {
        // The first frame is an error: nothing was started. Anything else isn't allowed before a hello.
        assert_eq!(client.expect_fault(Kind::ErrorConnection).await.code, Code::ShuttingDown);
        client.expect_closed().await;
    }
    server.drained().await;
}

#[tokio::test]
async fn stopping_the_server_ends_with_clients_connected_and_work_under_way() {
    let server = TestServer::start().await;
    let mut sender = server.client(1).await;
    let mut receiver = server.client(2).await;
    receiver.receive(channel("c"), 2).await;
    sender.start(channel("c"), Flags::NONE, b"x").await;
    receiver.expect(Kind::StartRequest).await;
    let stop = server.stop.clone();
    stop.now();
    for client in [&mut sender, &mut receiver] {
        loop {
            let frame = client.next().await.expect("an error before the end");
            if frame.kind == Kind::ErrorConnection {
                assert_eq!(Fault::decode(&frame.payload).unwrap().code, Code::ShuttingDown);
                break;
            }
        }
        client.expect_closed().await;
    }
    server.end().await;
}

#[tokio::test]
async fn connections_that_come_wait_and_vanish_leave_nothing_behind() {
    let server = TestServer::start().await;
    for round in 0..20 {
        let mut clients = Vec::new();
        for n in 0..10 {
            let mut client = server.client(1 + round * 10 + n).await;
            client.receive(channel(&format!("wait-{}", n % 3)), 1).await;
            clients.push(client);
        }
        for client in &mut clients {
            client.settle().await;
        }
    }
    server.until_empty().await;
    server.end().await;
}

#[tokio::test]
async fn a_connection_too_many_is_told_so() {
    let mut config = Config::default();
    config.connections = 1;
    let server = TestServer::with(config).await;
    let _first = server.client(1).await;
    let mut second = RawClient::connect(server.address, 2).await;
    assert_eq!(second.expect_fault(Kind::ErrorConnection).await.code, Code::Overloaded);
    second.expect_closed().await;
    server.end().await;
}

#[tokio::test]
async fn unix_sockets_serve_as_tcp_does() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let stop = Stop::new();
    let server =
        tokio::spawn(Server::new(Config::default(), stop.clone()).unwrap().run(vec![Listener::from(listener)]));
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let mut header = Kind::Hello.header();
    header.client = tieline_protocol::ClientId::from_u128(9);
    stream.write_all(&header.encode()).await.unwrap();
    let mut answer = [0; 64];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(tieline_protocol::Header::decode(&answer).frame_type, 1);
    stop.now();
    server.await.unwrap();
}
