//! Several cores of one server share the budget and the connections' accounts, and nothing else.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tieline_broker::{ADMISSION, Account, Budget, ConnKey, Core, CoreConfig, Port, Reservation};
use tieline_protocol::outbox::{Batch, Outbox};
use tieline_protocol::{
    ChannelId, ClientId, Decoder, ExchangeId, Fault, Frame, Kind, Metadata, RequestId, Role, StartPayload, Time,
};

#[derive(Clone)]
struct Line(Rc<RefCell<Outbox<Reservation>>>);

impl Port for Line {
    fn with<R>(&self, step: impl FnOnce(&mut Outbox<Reservation>) -> R) -> R {
        step(&mut self.0.borrow_mut())
    }

    fn mark(&self) -> bool {
        false
    }
}

impl Line {
    /// All frames that wait, written.
    fn got(&self) -> Vec<Frame> {
        let mut batch = Batch::new();
        self.with(|o| {
            while !o.is_empty() {
                o.claim(&mut batch);
            }
            o.written();
        });
        let mut bytes = batch.drain().into();
        let mut decoder = Decoder::new(Role::Server);
        std::iter::from_fn(|| decoder.next(&mut bytes).unwrap()).collect()
    }
}

/// Two cores, and connections that both know.
struct Pair {
    cores: [Core<Line>; 2],
    budget: Arc<Budget>,
}

impl Pair {
    fn new(config: CoreConfig, memory: u64) -> Self {
        let budget = Budget::new(memory);
        Self { cores: [0, 1].map(|_| Core::new(config, Arc::clone(&budget))), budget }
    }

    fn join(&mut self, key: u64) -> (ConnKey, Line) {
        let (conn, line) = (ConnKey(key), Line(Rc::default()));
        let account = Account::new(Arc::clone(&self.budget));
        for core in &mut self.cores {
            core.join(conn, line.clone(), Arc::clone(&account));
        }
        (conn, line)
    }
}

fn receive(channel: u128, count: u64) -> Frame {
    let header = Kind::StartReceive.header().channel(ChannelId::from_u128(channel)).value(count);
    Frame::new(Kind::StartReceive, header, StartPayload::join(&Metadata::new(), &[]))
}

fn exchange(conn: ConnKey, request: u128, channel: u128) -> ExchangeId {
    ExchangeId {
        client: ClientId::from_u128(conn.0.into()),
        request: RequestId::from_u128(request),
        channel: ChannelId::from_u128(channel),
    }
}

#[test]
fn the_limit_on_receives_counts_those_of_all_cores() {
    let mut config = CoreConfig::default();
    config.receives = 2;
    let mut pair = Pair::new(config, 1 << 30);
    let (conn, line) = pair.join(1);
    pair.cores[0].receive(Time::ZERO, conn, &receive(1, 1)).unwrap();
    pair.cores[1].receive(Time::ZERO, conn, &receive(2, 1)).unwrap();
    pair.cores[1].receive(Time::ZERO, conn, &receive(3, 1)).unwrap();
    let refused = line.got();
    assert_eq!(refused.len(), 1);
    assert_eq!(Fault::decode(&refused[0].payload).unwrap().code.name(), "too-many-in-flight");
    let end = Kind::EndReceive;
    let withdrawal = Frame::new(end, end.header().channel(ChannelId::from_u128(1)), Bytes::new());
    pair.cores[0].receive(Time::ZERO, conn, &withdrawal).unwrap();
    pair.cores[1].receive(Time::ZERO, conn, &receive(3, 1)).unwrap();
    assert_eq!(pair.cores[1].counts().receives, 2, "a place that is given back in one core is free in the other");
}

#[test]
fn memory_that_comes_free_in_one_core_feeds_who_waits_in_another() {
    // Two admissions, and nothing for grants as long as both are held.
    let mut pair = Pair::new(CoreConfig::default(), 2 * ADMISSION * 4 / 3);
    let (sender, told) = pair.join(1);
    let (receiver, given) = pair.join(2);
    for (core, channel) in [(0, 1), (1, 2)] {
        pair.cores[core].receive(Time::ZERO, receiver, &receive(channel, 1)).unwrap();
        let id = exchange(sender, channel, channel);
        let start = Frame::new(
            Kind::StartRequest,
            Kind::StartRequest.header().exchange(id),
            StartPayload::join(&Metadata::new(), &[]),
        );
        pair.cores[core].from_opener(Time::ZERO, sender, &start).unwrap();
    }
    assert_eq!(given.got().len(), 2);
    let waits = exchange(sender, 1, 1);
    let grant = Frame::new(Kind::AckRequest, Kind::AckRequest.header().exchange(waits).value(40_000), Bytes::new());
    pair.cores[0].from_receiver(Time::ZERO, receiver, &grant).unwrap();
    assert!(told.got().is_empty(), "there is no memory for it");
    assert_eq!(pair.cores[0].counts().hungry, 1);
    pair.budget.take_freed();

    let over = exchange(sender, 2, 2);
    let cancel = Fault::new(tieline_protocol::Code::Cancelled).encode();
    let cancel = Frame::new(Kind::ErrorRequest, Kind::ErrorRequest.header().exchange(over), cancel);
    pair.cores[1].from_opener(Time::ZERO, sender, &cancel).unwrap();
    assert_eq!(told.got()[0].kind, Kind::ErrorResponse);
    assert!(pair.budget.take_freed(), "the other core is to be told");
    pair.cores[0].feed_hungry(Time::ZERO);
    let fed = told.got();
    assert_eq!((fed[0].kind, fed[0].header.value), (Kind::AckRequest, 40_000));
    assert_eq!(pair.cores[0].counts().hungry, 0);
}
