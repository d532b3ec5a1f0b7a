//! Where a case is played: a server of its own, a bystander whose exchanges run across the attack, and the books,
//! which must say the same before and behind it.

use std::panic::Location;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tieline_protocol::{Code, ExchangeId, Fault, Flags, Frame, Kind, RequestId, StartPayload};
use tieline_server::{Config, Status, Stop, Watch};

use crate::bystander::{Bystander, PIECE};
use crate::common::wire::Door;
use crate::common::{RawClient, TestServer, channel, least};
use crate::figures::{Figures, ROUNDS_ALONE};

/// The channel on which everybody meets, offenders and bystander alike.
pub const MEETING: &str = "meeting";

/// Longer than any case takes.
const HANG: Duration = Duration::from_mins(1);

type Attack = Box<dyn Fn(Cast) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// One attack, by its name.
pub struct Case {
    name: String,
    config: Config,
    attack: Attack,
    /// How the attack leaves the server.
    leaves: Leaves,
}

/// How an attack leaves the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// As it was.
    Serving,
    /// Told to drain, by the case itself.
    Draining,
}

/// A case on a server with the usual settings.
pub fn case<F, Fut>(name: impl Into<String>, attack: F) -> Case
where
    F: FnOnce(Cast) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Case {
        name: name.into(),
        config: least(),
        attack: Box::new(move |cast| Box::pin(attack.clone()(cast))),
        leaves: Leaves::Serving,
    }
}

impl Case {
    /// The same case on a server with these settings.
    pub fn on(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// The same case, which tells the server to drain: the bystander finishes its long exchange then and starts nothing
    /// more, and the server is to end by itself.
    pub fn draining(mut self) -> Self {
        self.leaves = Leaves::Draining;
        self
    }
}

/// By what each case is played, in the order of the server's doors.
const TRANSPORTS: [&str; 3] = ["tcp", "unix", "tls"];

/// Plays all cases, each over TCP, over a Unix socket and over TLS, and names those that failed. The class of the cases is the
/// file that this is called from.
#[track_caller]
pub fn play(cases: Vec<Case>) -> impl Future<Output = ()> {
    let class = Path::new(Location::caller().file()).file_stem().unwrap().to_str().unwrap();
    play_class(class, cases)
}

async fn play_class(class: &'static str, cases: Vec<Case>) {
    let mut names: Vec<_> = cases.iter().map(|case| case.name.clone()).collect();
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "each case has a name of its own");
    let mut failed = Vec::new();
    for case in cases {
        let case = Arc::new(case);
        for (transport, by) in TRANSPORTS.iter().enumerate() {
            let played = tokio::spawn(play_one(Arc::clone(&case), transport)).await;
            let Ok(figures) = played else {
                let name = format!("{} ({by})", case.name);
                eprintln!("^^^ in the case {name}");
                failed.push(name);
                continue;
            };
            figures.write(class, &case.name, by);
        }
    }
    assert!(failed.is_empty(), "{} of {all} cases failed: {failed:#?}", failed.len());
    println!("{all} cases");
}

async fn play_one(case: Arc<Case>, transport: usize) -> Figures {
    let server = TestServer::with(case.config.clone()).await;
    let mut bystander = Bystander::arrive(&server).await;
    let mut figures = Figures::default();
    if Figures::are_wanted() {
        for _ in 0..ROUNDS_ALONE {
            figures.alone.push(bystander.ask().await);
        }
    }
    let before = server.watch.status();
    let outlasting = Outlasting::default();
    let cast = Cast {
        door: server.doors()[transport].clone(),
        stop: server.stop.clone(),
        outlasting: Arc::clone(&outlasting),
        watch: server.watch.clone(),
        before,
        next: Arc::new(AtomicU64::new(1000)),
        bystander: bystander.id,
    };
    let mut attack = (case.attack)(cast);
    if case.leaves == Leaves::Draining {
        bystander.pass(PIECE).await;
        attack.await;
        bystander.finish().await;
        bystander.leave().await;
        server.ended().await;
        let outlasting = std::mem::take(&mut *outlasting.lock().unwrap());
        for one in outlasting {
            one.await.expect("who stays to the end of a drain gets what it is due");
        }
        return figures;
    }
    let mut over = false;
    for round in 0.. {
        // Across the attack: beside it as long as it lasts, and once more behind it.
        let last = over;
        if over {
            bystander.go_on(round).await;
        } else {
            let work = async {
                figures.under.push(bystander.go_on(round).await);
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
    figures
}

fn same(now: Status, before: Status) -> bool {
    now.connections == before.connections && now.promised == before.promised && now.counts == before.counts
}

/// What an attack has at hand.
#[derive(Clone)]
pub struct Cast {
    /// Where the attackers come in.
    pub door: Door,
    /// Stops the server.
    pub stop: Stop,
    pub watch: Watch,
    /// The bystander's exchange, live all the time.
    pub bystander: ExchangeId,
    before: Status,
    next: Arc<AtomicU64>,
    outlasting: Outlasting,
}

/// Those of an attack that stay until a draining server has ended.
type Outlasting = Arc<Mutex<Vec<tokio::task::JoinHandle<()>>>>;

impl Cast {
    /// Goes on behind the case, until the server that it told to drain has ended.
    pub fn outlast(&self, part: impl Future<Output = ()> + Send + 'static) {
        self.outlasting.lock().unwrap().push(tokio::spawn(part));
    }

    /// A client that has said nothing yet.
    pub async fn stranger(&self) -> RawClient {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        RawClient::connect(self.door.clone(), (1 << 100) + u128::from(id)).await
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

/// The body of a start, in parts.
pub fn split(frame: &Frame) -> StartPayload {
    StartPayload::split(&frame.payload).unwrap()
}
