//! Where a case is played: a server of its own, a bystander whose exchanges run across the attack, and the books,
//! which must say the same before and behind it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tieline_protocol::{ChannelId, Code, ExchangeId, Fault, Flags, Frame, Kind, RequestId, StartPayload};
use tieline_server::{Config, Status, Watch};

use crate::common::{RawClient, TestServer, body, channel, of, start};

/// The channel on which everybody meets, offenders and bystander alike.
pub const MEETING: &str = "meeting";

/// Longer than any case takes.
const HANG: Duration = Duration::from_mins(1);

type Attack = Box<dyn FnOnce(Cast) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// One attack, by its name.
pub struct Case {
    name: String,
    config: Config,
    attack: Attack,
}

/// A case on a server with the usual settings.
pub fn case<F, Fut>(name: impl Into<String>, attack: F) -> Case
where
    F: FnOnce(Cast) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Case { name: name.into(), config: Config::default(), attack: Box::new(|cast| Box::pin(attack(cast))) }
}

impl Case {
    /// The same case on a server with these settings.
    pub fn on(mut self, config: Config) -> Self {
        self.config = config;
        self
    }
}

/// Plays all cases, and names those that failed.
pub async fn play(cases: Vec<Case>) {
    let mut names: Vec<_> = cases.iter().map(|case| case.name.clone()).collect();
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "each case has a name of its own");
    let mut failed = Vec::new();
    for Case { name, config, attack } in cases {
        if tokio::spawn(play_one(config, attack)).await.is_err() {
            eprintln!("^^^ in the case {name}");
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{} of {all} cases failed: {failed:#?}", failed.len());
    println!("{all} cases");
}

async fn play_one(config: Config, attack: Attack) {
    let server = TestServer::with(config).await;
    let mut bystander = Bystander::arrive(&server).await;
    let before = server.watch.status();
    let cast = Cast {
        address: server.address,
        watch: server.watch.clone(),
        before,
        next: Arc::new(AtomicU64::new(1000)),
        bystander: bystander.id,
    };
    let mut attack = attack(cast);
    let mut over = false;
    for round in 0.. {
        // Across the attack: beside it as long as it lasts, and once more behind it.
        let last = over;
        if over {
            bystander.go_on(round).await;
        } else {
            let work = async {
                bystander.go_on(round).await;
                if round > 20 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::pin!(work);
            tokio::select! {
                () = &mut attack => {
                    over = true;
                    work.await;
                }
                () = &mut work => {}
            }
        }
        if last {
            break;
        }
    }
    server.until("books that say what they said before", |now| same(now, before)).await;
    bystander.finish().await;
    drop(bystander);
    server.until_empty().await;
    server.end().await;
}

fn same(now: Status, before: Status) -> bool {
    now.connections == before.connections && now.promised == before.promised && now.counts == before.counts
}

/// What an attack has at hand.
#[derive(Clone)]
pub struct Cast {
    pub address: SocketAddr,
    pub watch: Watch,
    /// The bystander's exchange, live all the time.
    pub bystander: ExchangeId,
    before: Status,
    next: Arc<AtomicU64>,
}

impl Cast {
    /// A client that has said nothing yet.
    pub async fn stranger(&self) -> RawClient {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        RawClient::connect(self.address, (1 << 100) + u128::from(id)).await
    }

    /// A client behind its hello.
    pub async fn client(&self) -> RawClient {
        let mut client = self.stranger().await;
        let hello = client.hello();
        client.send(&hello).await;
        client.expect(Kind::HelloAnswer).await;
        client
    }

    /// Waits for books which say this.
    pub async fn until(&self, what: &str, wanted: impl Fn(Status) -> bool) {
        let seen = tokio::time::timeout(HANG, async {
            while !wanted(self.watch.status()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(seen.await.is_ok(), "never came: {what}; {:?}, before {:?}", self.watch.status(), self.before);
    }

    /// Waits until nothing of any exchange is left, while the offender may still be connected and receive.
    pub async fn no_exchange_left(&self) {
        let before = self.before;
        self.until("no exchange left behind", |now| {
            now.promised == before.promised
                && now.counts.waiting == before.counts.waiting
                && now.counts.busy == before.counts.busy
                && now.counts.hungry == before.counts.hungry
                && now.counts.timers == before.counts.timers
        })
        .await;
    }

    /// Waits until nobody but the bystander is connected.
    pub async fn nobody_left(&self) {
        let before = self.before;
        self.until("the offender is gone", |now| same(now, before)).await;
    }

    /// How many bytes are promised beyond the bystander's.
    pub fn promised(&self) -> u64 {
        self.watch.status().promised.saturating_sub(self.before.promised)
    }

    /// An offender that sends, and a victim with its request in hand.
    pub async fn offending_sender(&self, flags: Flags, body: &[u8]) -> Pair {
        let mut victim = self.client().await;
        let mut offender = self.client().await;
        victim.receive(channel(MEETING), 1).await;
        victim.settle().await;
        let id = offender.start(channel(MEETING), flags, body).await;
        victim.expect(Kind::StartRequest).await;
        Pair { offender, victim, id }
    }

    /// An offender that has a request in hand, and the victim that sent it.
    pub async fn offending_receiver(&self, flags: Flags, body: &[u8]) -> Pair {
        let mut victim = self.client().await;
        let mut offender = self.client().await;
        offender.receive(channel(MEETING), 1).await;
        offender.settle().await;
        let id = victim.start(channel(MEETING), flags, body).await;
        offender.expect(Kind::StartRequest).await;
        Pair { offender, victim, id }
    }
}

/// Two clients in one exchange, one of which breaks rules.
pub struct Pair {
    pub offender: RawClient,
    pub victim: RawClient,
    pub id: ExchangeId,
}

/// The payload of an error, with this code and with words of its own.
pub fn judged(frame: &Frame, code: Code, words: &str) -> Fault {
    let fault = Fault::decode(&frame.payload).expect("a fault");
    assert_eq!(fault.code, code, "{fault:?}");
    assert!(fault.message.contains(words), "{:?} should say {words:?}", fault.message);
    let rules = [Code::InvalidFrame, Code::FlowControl, Code::TooLarge, Code::DuplicateId, Code::UnsupportedVersion];
    if rules.contains(&code) {
        assert_ne!(fault.message, code.sentence(), "who broke a rule is told which");
    }
    fault
}

/// The client gets an error of the connection, and then its end.
pub async fn expelled(client: &mut RawClient, code: Code, words: &str) {
    let frame = client.expect(Kind::ErrorConnection).await;
    judged(&frame, code, words);
    client.expect_closed().await;
}

/// The client gets nothing at all but the answer to its ping.
pub async fn unmoved(client: &mut RawClient) {
    client.settle().await;
}

/// An exchange of this client that never was.
pub fn made_up(client: &RawClient, request: u128) -> ExchangeId {
    ExchangeId { client: client.id, request: RequestId::from_u128(request), channel: channel(MEETING) }
}

/// The payload of an error with this number and nothing else.
pub fn code(number: u16) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// A start with this raw metadata.
pub fn raw_start(kind: Kind, id: ExchangeId, metadata: &[u8], body: &[u8]) -> Frame {
    let length = (metadata.len() as u16).to_be_bytes();
    Frame::new(kind, kind.header().exchange(id), [&length[..], metadata, body].concat().into())
}

/// A frame with FINAL on it.
pub fn last(mut frame: Frame) -> Frame {
    frame.header.flags |= Flags::FINAL;
    frame
}

/// Bytes that differ by place and by seed.
pub fn pattern(seed: u64, from: u64, length: usize) -> Vec<u8> {
    let byte = |at: u64| (at.wrapping_mul(31).wrapping_add(seed) ^ (at >> 8)) as u8;
    (from..from + length as u64).map(byte).collect()
}

/// An honest pair on the same server: one long exchange on the meeting place, small ones beside it.
struct Bystander {
    sender: RawClient,
    receiver: RawClient,
    id: ExchangeId,
    side: ChannelId,
    sent: u64,
    served: u64,
}

/// What the long exchange carries in one go, in bytes.
const PIECE: usize = 512;

impl Bystander {
    async fn arrive(server: &TestServer) -> Self {
        let mut sender = server.client(1).await;
        let mut receiver = server.client(2).await;
        let side = channel("bystanders alone");
        receiver.receive(channel(MEETING), 1).await;
        receiver.receive(side, 1).await;
        receiver.settle().await;
        let id = sender.start(channel(MEETING), Flags::NONE, &pattern(1, 0, PIECE)).await;
        let request = hear(&mut receiver).await;
        assert_eq!((request.kind, body(&request)), (Kind::StartRequest, pattern(1, 0, PIECE).into()));
        receiver.send(&start(Kind::StartResponse, id, Flags::NONE, b"")).await;
        assert_eq!(hear(&mut sender).await.kind, Kind::StartResponse);
        Self { sender, receiver, id, side, sent: PIECE as u64, served: 0 }
    }

    /// A piece of the long exchange in both directions, as long as no grant is needed, and a small exchange.
    async fn go_on(&mut self, round: u64) {
        if round < 12 {
            self.pass(PIECE).await;
        }
        let asked = pattern(round, 0, 100);
        let id = self.sender.start(self.side, Flags::FINAL, &asked).await;
        let request = hear(&mut self.receiver).await;
        assert_eq!((request.header.exchange_id(), body(&request)), (id, asked.into()), "{request:?}");
        let raise = Kind::AckReceive.header().channel(self.side).value(round + 2);
        self.receiver.send(&Frame::new(Kind::AckReceive, raise, Bytes::new())).await;
        let answer = pattern(round + 7, 0, 100);
        self.receiver.send(&start(Kind::StartResponse, id, Flags::FINAL, &answer)).await;
        let response = hear(&mut self.sender).await;
        assert_eq!((response.kind, body(&response)), (Kind::StartResponse, answer.into()));
    }

    async fn pass(&mut self, length: usize) {
        let piece = pattern(1, self.sent, length);
        self.sender.send(&of(Kind::ChunkRequest, self.id, self.sent, &piece)).await;
        let got = collect(&mut self.receiver, Kind::ChunkRequest, self.id, self.sent, length).await;
        assert_eq!(got, piece);
        self.sent += length as u64;
        let piece = pattern(2, self.served, length);
        self.receiver.send(&of(Kind::ChunkResponse, self.id, self.served, &piece)).await;
        let got = collect(&mut self.sender, Kind::ChunkResponse, self.id, self.served, length).await;
        assert_eq!(got, piece);
        self.served += length as u64;
    }

    /// More than the first window, by grants, and the end.
    async fn finish(&mut self) {
        self.receiver.send(&of(Kind::AckRequest, self.id, 100_000, b"")).await;
        self.sender.send(&of(Kind::AckResponse, self.id, 100_000, b"")).await;
        // What the server passes on of a grant, and when, is its own matter: here all of it comes at once.
        assert_eq!(hear(&mut self.sender).await.kind, Kind::AckRequest);
        assert_eq!(hear(&mut self.receiver).await.kind, Kind::AckResponse);
        self.pass(16_000).await;
        self.pass(16_000).await;
        self.receiver.send(&of(Kind::EndResponse, self.id, self.served, b"")).await;
        let end = hear(&mut self.sender).await;
        let closed = end.kind == Kind::EndResponse || end.has(Flags::FINAL);
        assert!(closed, "{end:?}");
    }
}

/// The next frame that is no ping; pings are answered.
pub async fn hear(client: &mut RawClient) -> Frame {
    loop {
        let frame = client.next().await.expect("a frame");
        if frame.kind != Kind::Ping {
            return frame;
        }
        let pong = Kind::Pong.header().value(frame.header.value);
        client.send(&Frame::new(Kind::Pong, pong, Bytes::new())).await;
    }
}

async fn collect(client: &mut RawClient, kind: Kind, id: ExchangeId, from: u64, length: usize) -> Vec<u8> {
    let mut got = Vec::new();
    while got.len() < length {
        let frame = hear(client).await;
        assert_eq!((frame.kind, frame.header.exchange_id()), (kind, id), "{frame:?}");
        assert_eq!(frame.header.value, from + got.len() as u64);
        got.extend_from_slice(&frame.payload);
    }
    got
}

/// The body of a start, in parts.
pub fn split(frame: &Frame) -> StartPayload {
    StartPayload::split(&frame.payload).unwrap()
}
