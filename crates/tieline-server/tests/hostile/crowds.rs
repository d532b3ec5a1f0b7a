//! A hundred attackers of all kinds against ten honest senders and ten honest receivers on one channel.

use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::{Code, ExchangeId, Fault, Flags, Frame, Kind};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::common::{RawClient, TestServer, body, channel, of, start};
use crate::stage::{code, last, made_up, pattern};

const CROWD: &str = "a crowded channel";
const SENDERS: u64 = 10;
const RECEIVERS: u64 = 10;
const ATTACKERS: u64 = 100;
const REQUESTS: u64 = 6;
/// More than an initial window, so that grants must pass.
const BODY: usize = 40_000;
const GRANT: u64 = 100_000;
const FIRST: usize = 16_384;

/// Sends all requests, one behind the other, and compares each response bit by bit.
async fn honest_sender(mut client: RawClient, number: u64) {
    for round in 0..REQUESTS {
        let asked = pattern(number * 100 + round, 0, BODY);
        let id = client.start(channel(CROWD), Flags::NONE, &asked[..FIRST]).await;
        let mut got = Vec::new();
        loop {
            let frame = client.next().await.expect("a frame");
            assert_eq!(frame.header.exchange_id(), id, "{frame:?}");
            match frame.kind {
                Kind::AckRequest => {
                    client.send(&last(of(Kind::ChunkRequest, id, FIRST as u64, &asked[FIRST..]))).await;
                }
                Kind::StartResponse => {
                    client.send(&of(Kind::AckResponse, id, GRANT, b"")).await;
                    got.extend_from_slice(&body(&frame));
                }
                Kind::ChunkResponse => {
                    assert_eq!(frame.header.value, got.len() as u64);
                    got.extend_from_slice(&frame.payload);
                }
                Kind::EndResponse => {}
                _ => panic!("{frame:?} {:?}", Fault::decode(&frame.payload)),
            }
            if frame.has(Flags::FINAL) || frame.kind == Kind::EndResponse {
                break;
            }
        }
        let wanted: Vec<u8> = asked.iter().map(|byte| !byte).collect();
        assert!(got == wanted, "the response of sender {number} in round {round} is another's");
    }
}

/// Answers each request with its bytes turned over, one at a time, until the connection is closed.
async fn honest_receiver(mut client: RawClient) {
    client.receive(channel(CROWD), 1).await;
    let mut count = 1;
    let mut work: Option<Work> = None;
    while let Some(frame) = client.next().await {
        let id = frame.header.exchange_id();
        let mut over = false;
        match frame.kind {
            Kind::StartRequest => {
                let job = Work { id, body: body(&frame).to_vec(), complete: frame.has(Flags::FINAL), granted: 0 };
                if !job.complete {
                    client.send(&of(Kind::AckRequest, id, GRANT, b"")).await;
                }
                work = Some(job);
            }
            Kind::ChunkRequest | Kind::EndRequest => {
                let job = work.as_mut().filter(|job| job.id == id).expect("a frame of the request in hand");
                if frame.kind == Kind::ChunkRequest {
                    job.body.extend_from_slice(&frame.payload);
                }
                job.complete |= frame.kind == Kind::EndRequest || frame.has(Flags::FINAL);
            }
            Kind::AckResponse => {
                if let Some(job) = work.as_mut().filter(|job| job.id == id) {
                    job.granted = frame.header.value;
                }
            }
            Kind::ErrorRequest => over = true,
            _ => panic!("{frame:?}"),
        }
        if let Some(job) = work.as_ref().filter(|job| job.complete && !over) {
            over = answer(&mut client, job, frame.kind, count + 1).await;
        } else if over {
            raise(&mut client, count + 1).await;
        }
        if over {
            count += 1;
            work = None;
        }
    }
}

struct Work {
    id: ExchangeId,
    body: Vec<u8>,
    complete: bool,
    granted: u64,
}

async fn raise(client: &mut RawClient, count: u64) {
    let header = Kind::AckReceive.header().channel(channel(CROWD)).value(count);
    client.send(&Frame::new(Kind::AckReceive, header, Bytes::new())).await;
}

/// Answers as far as the credit goes; whether the response is closed.
async fn answer(client: &mut RawClient, job: &Work, behind: Kind, count: u64) -> bool {
    let turned: Vec<u8> = job.body.iter().map(|byte| !byte).collect();
    let first = turned.len().min(FIRST);
    if behind != Kind::AckResponse {
        if first == turned.len() {
            raise(client, count).await;
            client.send(&start(Kind::StartResponse, job.id, Flags::FINAL, &turned)).await;
            return true;
        }
        client.send(&start(Kind::StartResponse, job.id, Flags::NONE, &turned[..first])).await;
    }
    if job.granted < turned.len() as u64 {
        return false;
    }
    raise(client, count).await;
    client.send(&last(of(Kind::ChunkResponse, job.id, first as u64, &turned[first..]))).await;
    true
}

/// The request ends with an error; a receiver may have had it before, so that grants come first.
async fn refused(client: &mut RawClient) {
    loop {
        match client.next().await.expect("an error").kind {
            Kind::AckRequest => {}
            Kind::ErrorResponse => break,
            other => panic!("wanted an error, got {other:?}"),
        }
    }
}

/// One of many ways to be a nuisance; ends by itself.
async fn attack(server: std::net::SocketAddr, number: u64, target: ExchangeId) {
    let mut client = RawClient::connect(server, (1 << 110) + u128::from(number)).await;
    if !number.is_multiple_of(10) {
        let hello = client.hello();
        client.send(&hello).await;
        client.expect(Kind::HelloAnswer).await;
    }
    let place = channel(CROWD);
    match number % 10 {
        0 => drop(client.stream.write_all(&vec![number as u8; 3000]).await),
        1 => {
            // A request whose body is out of place, on the honest ones' channel.
            let id = client.start(place, Flags::NONE, b"ab").await;
            client.send(&of(Kind::ChunkRequest, id, 99, b"x")).await;
            refused(&mut client).await;
        }
        2 => {
            let id = client.start(place, Flags::NONE, b"ab").await;
            client.send(&of(Kind::ErrorRequest, id, 0, &code(15))).await;
            refused(&mut client).await;
        }
        3 => {
            // Reset in the middle of a chunk.
            let id = client.start(place, Flags::NONE, b"ab").await;
            client.write(&of(Kind::ChunkRequest, id, 2, &[7; 2000]).to_bytes()[..500]).await;
            socket2::SockRef::from(&client.stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        4 => {
            for _ in 0..200 {
                client.send(&of(Kind::ErrorRequest, target, 0, &code(15))).await;
                client.send(&start(Kind::StartResponse, target, Flags::FINAL, b"evil")).await;
                client.send(&of(Kind::AckRequest, target, u64::MAX, b"")).await;
            }
            client.settle().await;
        }
        5 => {
            let ping = Kind::Ping.header().encode();
            for _ in 0..100 {
                if client.stream.write_all(&ping.repeat(300)).await.is_err() {
                    break;
                }
            }
        }
        6 => {
            let id = made_up(&client, 1 << 50);
            client.send(&of(Kind::AckResponse, id, 1, b"")).await;
            client.expect_fault(Kind::ErrorConnection).await;
        }
        7 => {
            // Much that waits where nobody receives, and the end of the stream.
            for _ in 0..100 {
                client.start(channel("nobody"), Flags::NONE, &[7; 16_384]).await;
            }
        }
        8 => {
            client.receive(channel("a quiet place"), u64::MAX).await;
            client.receive(channel("a quiet place"), u64::MAX).await;
            assert_eq!(client.expect_fault(Kind::ErrorConnection).await.code, Code::InvalidFrame);
        }
        _ => {
            let id = client.start(place, Flags::NONE, b"ab").await;
            client.send(&of(Kind::AckResponse, id, u64::MAX, b"")).await;
            refused(&mut client).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_attackers_of_ten_kinds_among_twenty_honest_clients() {
    let server = TestServer::start().await;
    let mut receivers = JoinSet::new();
    for number in 0..RECEIVERS {
        receivers.spawn(honest_receiver(server.client(u128::from(number) + 1).await));
    }
    let mut senders = JoinSet::new();
    for number in 0..SENDERS {
        senders.spawn(honest_sender(server.client(u128::from(number) + 101).await, number));
    }
    let mut attackers = JoinSet::new();
    for number in 0..ATTACKERS {
        // One of the honest exchanges, as good as the attacker can guess it.
        let target = ExchangeId {
            client: tieline_protocol::ClientId::from_u128(u128::from(number % SENDERS) + 101),
            request: tieline_protocol::RequestId::from_u128(1),
            channel: channel(CROWD),
        };
        attackers.spawn(attack(server.address, number, target));
    }
    while let Some(done) = senders.join_next().await {
        done.expect("every honest request has its own response, bit by bit");
    }
    while let Some(done) = attackers.join_next().await {
        done.expect("each attacker got what it was due");
    }
    server.until("only the honest receivers", |now| now.connections == RECEIVERS as usize && now.promised == 0).await;
    receivers.abort_all();
    while receivers.join_next().await.is_some() {}
    server.until_empty().await;
    server.end().await;
}
