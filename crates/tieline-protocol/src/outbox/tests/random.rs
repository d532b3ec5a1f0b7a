//! Random sequences of what both ends do, with a peer on the other side that checks all that leaves.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::flow::Inbound;

const PLACES: usize = 5;
const CHANNELS: usize = 2;

#[derive(Clone, Copy, Debug)]
enum Op {
    Open { place: usize, way: Way },
    Start { place: usize, metadata: usize },
    Body { place: usize, len: usize },
    End { place: usize, trailer: bool },
    Error { place: usize },
    Abort { place: usize },
    Ack { place: usize },
    RaiseAtClose { place: usize, channel: usize },
    Retract { place: usize },
    Finish { place: usize },
    Discard { place: usize },
    StartReceive { channel: usize },
    Raise { channel: usize },
    EndReceive { channel: usize },
    Claim,
    Written,
}

fn op() -> impl Strategy<Value = Op> {
    let place = 0..PLACES;
    let channel = 0..CHANNELS;
    let len = prop_oneof![4 => 0usize..3000, 1 => 3000usize..200_000];
    let metadata = prop_oneof![3 => Just(0usize), 1 => 1usize..16_000];
    prop_oneof![
        4 => (place.clone(), prop_oneof![Just(Way::Request), Just(Way::Response)])
            .prop_map(|(place, way)| Op::Open { place, way }),
        4 => (place.clone(), metadata).prop_map(|(place, metadata)| Op::Start { place, metadata }),
        8 => (place.clone(), len).prop_map(|(place, len)| Op::Body { place, len }),
        3 => (place.clone(), any::<bool>()).prop_map(|(place, trailer)| Op::End { place, trailer }),
        1 => place.clone().prop_map(|place| Op::Error { place }),
        1 => place.clone().prop_map(|place| Op::Abort { place }),
        3 => place.clone().prop_map(|place| Op::Ack { place }),
        2 => (place.clone(), channel.clone()).prop_map(|(place, channel)| Op::RaiseAtClose { place, channel }),
        1 => place.clone().prop_map(|place| Op::Retract { place }),
        2 => place.clone().prop_map(|place| Op::Finish { place }),
        1 => place.prop_map(|place| Op::Discard { place }),
        1 => channel.clone().prop_map(|channel| Op::StartReceive { channel }),
        2 => channel.clone().prop_map(|channel| Op::Raise { channel }),
        1 => channel.prop_map(|channel| Op::EndReceive { channel }),
        6 => Just(Op::Claim),
        6 => Just(Op::Written),
    ]
}

/// The byte of a body at an offset; no two lanes have the same run.
fn byte(request: u128, offset: u64) -> u8 {
    (offset.wrapping_mul(31) ^ (offset >> 8) ^ request as u64 ^ 0x5A) as u8
}

/// How a lane should end on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ending {
    /// Nothing closed it.
    None,
    Good,
    Failed,
    /// It was taken out, or thrown away: what left is all there is.
    Cut,
}

/// What was put into a lane.
struct Put {
    key: LaneKey,
    way: Way,
    started: bool,
    pushed: u64,
    ending: Ending,
    acked: u64,
    finished: bool,
    raise: Option<usize>,
}

/// What the peer has seen of a lane.
struct Seen {
    body: Inbound,
    started: bool,
    failed: bool,
    acked: u64,
}

/// What is right for a receive, on both sides.
struct Receive {
    channel: usize,
    /// The count that its frames must have reached in the end.
    count: u64,
    withdrawn: bool,
    seen_start: bool,
    seen_end: bool,
    seen_count: u64,
}

#[derive(Default)]
struct World {
    outbox: Outbox,
    places: [Option<u128>; PLACES],
    lanes: BTreeMap<u128, Put>,
    seen: BTreeMap<u128, Seen>,
    receives: Vec<Receive>,
    next: u128,
}

fn channel_id(channel: usize) -> ChannelId {
    ChannelId::from_u128(0xAA00 + channel as u128)
}

impl World {
    fn open_receive(&self, channel: usize) -> Option<usize> {
        self.receives.iter().rposition(|receive| receive.channel == channel && !receive.withdrawn)
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Open { place, way } => self.open(place, way),
            Op::StartReceive { channel } => self.start_receive(channel),
            Op::Raise { channel } => {
                self.outbox.raise_receive(channel_id(channel), 2);
                if let Some(receive) = self.open_receive(channel) {
                    self.receives[receive].count += 2;
                }
            }
            Op::EndReceive { channel } => {
                self.outbox.end_receive(channel_id(channel));
                if let Some(receive) = self.open_receive(channel) {
                    self.receives[receive].withdrawn = true;
                }
            }
            Op::Claim => {
                self.claim();
            }
            Op::Written => self.outbox.written(),
            Op::Start { place, .. }
            | Op::Body { place, .. }
            | Op::End { place, .. }
            | Op::Error { place }
            | Op::Abort { place }
            | Op::Ack { place }
            | Op::RaiseAtClose { place, .. }
            | Op::Retract { place }
            | Op::Finish { place }
            | Op::Discard { place } => {
                if let Some(request) = self.places[place] {
                    self.apply_to(request, op);
                    if self.lanes[&request].finished {
                        self.places[place] = None;
                    }
                }
            }
        }
    }

    fn open(&mut self, place: usize, way: Way) {
        if self.places[place].is_some() {
            return;
        }
        self.next += 1;
        let key = self.outbox.open(exchange(self.next), way);
        self.places[place] = Some(self.next);
        let put =
            Put { key, way, started: false, pushed: 0, ending: Ending::None, acked: 0, finished: false, raise: None };
        self.lanes.insert(self.next, put);
    }

    fn start_receive(&mut self, channel: usize) {
        if self.open_receive(channel).is_some() {
            return;
        }
        self.outbox.start_receive(channel_id(channel), 3, &Metadata::new());
        self.receives.push(Receive {
            channel,
            count: 3,
            withdrawn: false,
            seen_start: false,
            seen_end: false,
            seen_count: 0,
        });
    }

    fn apply_to(&mut self, request: u128, op: Op) {
        let open = match op {
            Op::RaiseAtClose { channel, .. } => self.open_receive(channel),
            _ => None,
        };
        let put = self.lanes.get_mut(&request).unwrap();
        let key = put.key;
        match op {
            Op::Start { metadata, .. } if !put.started && put.ending == Ending::None => {
                let mut meta = Metadata::new();
                if metadata > 0 {
                    meta.push("x", vec![0; metadata]).unwrap();
                }
                put.started = true;
                self.outbox.start(key, StartFrame { metadata: meta, ..start() });
            }
            Op::Body { len, .. } if put.started => {
                let body: Vec<u8> = (put.pushed..put.pushed + len as u64).map(|at| byte(request, at)).collect();
                self.outbox.body(key, Bytes::from(body));
                if put.ending == Ending::None {
                    put.pushed += len as u64;
                }
            }
            Op::End { trailer: with, .. } if put.started => {
                self.outbox.close(key, Close::End { trailer: if with { trailer() } else { Bytes::new() } });
                if put.ending == Ending::None {
                    put.ending = Ending::Good;
                }
            }
            Op::Error { .. } if put.started => {
                let payload = fault(Code::Application);
                self.outbox.close(key, Close::Error { flags: Flags::NONE, payload });
                if put.ending == Ending::None {
                    put.ending = Ending::Failed;
                }
            }
            // An abort needs no start of a response.
            Op::Abort { .. } if put.started || put.way == Way::Response => {
                if put.way == Way::Request || !self.outbox.has_closed(key) {
                    put.ending = Ending::Failed;
                }
                self.outbox.abort(key, Flags::NONE, fault(Code::Cancelled));
            }
            Op::Ack { .. } => {
                put.acked += 10;
                self.outbox.ack(key, put.acked);
            }
            // Only a receive whose start has left can have brought the request.
            Op::RaiseAtClose { channel, .. }
                if put.way == Way::Response
                    && put.raise.is_none()
                    && open.is_some_and(|open| self.receives[open].seen_start) =>
            {
                self.outbox.raise_at_close(key, channel_id(channel));
                put.raise = open;
            }
            Op::Retract { .. } if put.way == Way::Request => {
                let seen = self.seen.contains_key(&request);
                assert_eq!(self.outbox.retract(key), !seen, "what was claimed has left, and nothing else");
                if !seen {
                    put.ending = Ending::Cut;
                    put.finished = true;
                }
            }
            Op::Finish { .. } => {
                self.outbox.finish(key, None);
                put.finished = true;
            }
            Op::Discard { .. } => {
                self.outbox.discard(key);
                put.ending = Ending::Cut;
                put.finished = true;
            }
            _ => {}
        }
    }

    fn claim(&mut self) -> usize {
        let frames = claim(&mut self.outbox);
        let claimed = frames.len();
        let mut raised = None;
        for frame in frames {
            let closing = frame.has(Flags::FINAL) || matches!(frame.kind, Kind::EndResponse | Kind::ErrorResponse);
            let is_response = frame.header.flags.has(Flags::RESPONSE) && frame.kind != Kind::AckResponse;
            if is_response && closing {
                let request = frame.header.request.as_u128();
                let raise = self.lanes[&request].raise.filter(|raise| !self.receives[*raise].withdrawn);
                if let Some(raise) = raise {
                    let receive = &mut self.receives[raise];
                    receive.count += 1;
                    let expected = (channel_id(receive.channel), receive.count);
                    assert_eq!(raised, Some(expected), "directly before {}", word(&frame));
                }
            }
            raised = None;
            if frame.kind == Kind::AckReceive {
                raised = Some((frame.header.channel, frame.header.value));
            }
            self.take(&frame);
        }
        claimed
    }

    /// The peer judges a frame.
    fn take(&mut self, frame: &Frame) {
        let channel = frame.header.channel;
        match frame.kind {
            Kind::StartReceive | Kind::AckReceive | Kind::EndReceive => {
                let receive = self
                    .receives
                    .iter_mut()
                    .find(|receive| channel_id(receive.channel) == channel && !receive.seen_end)
                    .expect("a frame of a receive that was opened");
                if frame.kind == Kind::StartReceive {
                    assert!(!receive.seen_start);
                    receive.seen_start = true;
                    receive.seen_count = frame.header.value;
                } else {
                    assert!(receive.seen_start);
                }
                if frame.kind == Kind::AckReceive {
                    assert!(frame.header.value > receive.seen_count, "a raise raises");
                    receive.seen_count = frame.header.value;
                }
                receive.seen_end = frame.kind == Kind::EndReceive;
            }
            _ => self.take_of_exchange(frame),
        }
    }

    fn take_of_exchange(&mut self, frame: &Frame) {
        let request = frame.header.request.as_u128();
        let put = &self.lanes[&request];
        let seen = self.seen.entry(request).or_insert_with(|| Seen {
            body: Inbound::new(u64::MAX),
            started: false,
            failed: false,
            acked: 0,
        });
        let name = word(frame);
        assert!(!seen.failed, "{name} behind the error");
        let is_ack = matches!(frame.kind, Kind::AckRequest | Kind::AckResponse);
        if put.way == Way::Request {
            assert!(seen.started || frame.kind == Kind::StartRequest, "{name} before the start");
        } else {
            assert!(!seen.body.is_closed(), "{name} behind the end of the response");
            let needs_start = matches!(frame.kind, Kind::ChunkResponse | Kind::EndResponse);
            assert!(seen.started || !needs_start, "{name} before the start");
        }
        if is_ack {
            assert!(frame.header.value > seen.acked && frame.header.value <= put.acked, "{name}");
            assert_eq!(frame.kind == Kind::AckRequest, put.way == Way::Response);
            seen.acked = frame.header.value;
            return;
        }
        assert_eq!(frame.header.flags.has(Flags::REQUEST), put.way == Way::Request);
        let (offset, body) = match frame.kind {
            Kind::StartRequest | Kind::StartResponse => {
                assert!(!seen.started, "{name} twice");
                seen.started = true;
                (0, StartPayload::split(&frame.payload).unwrap().body)
            }
            Kind::ChunkRequest | Kind::ChunkResponse => (frame.header.value, frame.payload.clone()),
            Kind::EndRequest | Kind::EndResponse => {
                seen.body.close(Some(frame.header.value)).unwrap();
                return;
            }
            _ => {
                if put.way == Way::Response {
                    seen.body.close(None).unwrap();
                }
                seen.failed = true;
                return;
            }
        };
        seen.body.data(offset, body.len()).unwrap_or_else(|violation| panic!("{name}: {}", violation.message));
        for (at, got) in body.iter().enumerate() {
            assert_eq!(*got, byte(request, offset + at as u64), "{name} at {at}");
        }
        if frame.has(Flags::FINAL) {
            seen.body.close(None).unwrap();
        }
    }

    /// Ends all that is open, writes all, and looks whether everything came that should have.
    fn finish(mut self) {
        for place in 0..PLACES {
            self.apply(Op::Finish { place });
        }
        self.outbox.written();
        while self.claim() > 0 {
            self.outbox.written();
        }
        assert!(self.outbox.is_empty());
        assert_eq!(self.outbox.lanes(), 0);
        assert_eq!(self.outbox.body_waiting(), 0);
        assert_eq!((self.outbox.hot.len(), self.outbox.turn.len(), self.outbox.ordered.len()), (0, 0, 0));
        assert_eq!(self.outbox.ordered_stale, 0);
        for (request, put) in &self.lanes {
            let seen = self.seen.get(request);
            let arrived = seen.map_or(0, |seen| seen.body.arrived());
            let closed = seen.is_some_and(|seen| seen.body.is_closed() && !seen.failed);
            let failed = seen.is_some_and(|seen| seen.failed);
            match put.ending {
                Ending::Good => assert!(closed && !failed && arrived == put.pushed, "{request}"),
                Ending::Failed => assert!(failed, "{request}"),
                Ending::None => assert!(!closed && !failed && arrived == put.pushed, "{request}"),
                Ending::Cut => assert!(arrived <= put.pushed, "{request}"),
            }
        }
        for receive in &self.receives {
            assert!(receive.seen_start);
            assert_eq!(receive.seen_end, receive.withdrawn);
            assert!(receive.seen_count <= receive.count);
            if !receive.withdrawn {
                assert_eq!(receive.seen_count, receive.count, "no readiness is lost");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_put_each_lane_arrives_in_order_once_and_closed_once(ops in prop::collection::vec(op(), 1..120)) {
        let mut world = World::default();
        for op in ops {
            world.apply(op);
        }
        world.finish();
    }
}
