//! Sees every frame that any client writes or gets, and asserts what must hold for clients whatever happens: the
//! invariants, as far as they can be seen from outside.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::LazyLock;

use tieline_broker::Outcome::Failed;
use tieline_broker::{ConnKey, Totals};
use tieline_protocol::limits::INITIAL_WINDOW;
use tieline_protocol::rules::{Effect, State, effect};
use tieline_protocol::{ChannelId, Code, ExchangeId, Fault, Flags, Frame, Kind, StartLimits, StartPayload};

use super::frames::client;
use super::words::{code, word};

/// How a request ended for its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    /// The error; `None` for a complete response.
    pub(crate) code: Option<Code>,
    pub(crate) unstarted: bool,
}

/// How a hand-out ended for its receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    /// It closed the response, with so many bytes.
    Closed(u64),
    /// It gave the request back.
    Returned,
    /// It was told that the exchange is over.
    Told,
}

/// A request in the eyes of a receiver that got its start.
#[derive(Debug)]
struct HandOut {
    receiver: ConnKey,
    /// Bytes of the request that it got.
    got: u64,
    closed: bool,
    accepted: bool,
    /// Bytes of the response that it wrote, once it has started one.
    response: Option<u64>,
    ended: Option<Ended>,
}

/// A request in the eyes of its sender.
#[derive(Debug)]
struct Request {
    opener: ConnKey,
    idempotent: bool,
    /// Bytes of it that were written.
    sent: u64,
    closed: bool,
    /// Bytes of the response that it got, once that has started.
    response: Option<u64>,
    /// Who answers, if bodies are verified.
    by: Option<ConnKey>,
    outcome: Option<Outcome>,
    hand_outs: Vec<HandOut>,
}

/// A receive in the eyes of its client.
#[derive(Debug)]
struct Receive {
    count: u64,
    starts: u64,
    withdrawn: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    requests: BTreeMap<ExchangeId, Request>,
    receives: BTreeMap<(ConnKey, ChannelId), VecDeque<Receive>>,
    gone: BTreeSet<ConnKey>,
    /// Body bytes come from [`piece`], and responses name who gives them in their metadata.
    pub(crate) verifies: bool,
}

/// A piece of a body, by whom it comes from: bytes that say which body and which offset they are of, so that none can
/// stand in for another.
pub(crate) fn piece(id: ExchangeId, by: ConnKey, offset: u64, len: usize) -> Vec<u8> {
    // A prime, so that bodies repeat at no boundary of a frame or window.
    const NOISE: usize = 65_521;
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| (0..NOISE as u64).map(|n| scramble(n) as u8).collect());
    let body = id.client.as_u128() as u64 ^ (id.request.as_u128() as u64).rotate_left(17) ^ by.0.rotate_left(40);
    let mut from = ((scramble(body) % NOISE as u64 + offset) % NOISE as u64) as usize;
    let mut piece = Vec::with_capacity(len);
    while piece.len() < len {
        let part = (len - piece.len()).min(NOISE - from);
        piece.extend_from_slice(&BYTES[from..from + part]);
        from = 0;
    }
    piece
}

const fn scramble(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (number ^ (number >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9).rotate_left(29)
}

impl Observer {
    /// A connection is gone; what its writer still claims may reach the client all the same.
    pub(crate) fn lost(&mut self, conn: ConnKey) {
        self.gone.insert(conn);
    }

    pub(crate) fn outcome(&self, id: ExchangeId) -> Option<Outcome> {
        self.requests.get(&id)?.outcome
    }

    /// Bytes of the response that came so far.
    pub(crate) fn response_len(&self, id: ExchangeId) -> Option<u64> {
        self.requests.get(&id)?.response
    }

    /// How often the start of a request reached a client.
    pub(crate) fn deliveries(&self, id: ExchangeId) -> usize {
        self.requests.get(&id).map_or(0, |request| request.hand_outs.len())
    }

    // What clients write

    pub(crate) fn client_wrote(&mut self, conn: ConnKey, frame: &Frame) {
        match frame.kind {
            Kind::StartRequest => self.opened(conn, frame),
            Kind::ChunkRequest | Kind::EndRequest => self.wrote_request(conn, frame),
            Kind::StartReceive => self.receives.entry((conn, frame.header.channel)).or_default().push_back(Receive {
                count: frame.header.value,
                starts: 0,
                withdrawn: false,
            }),
            Kind::AckReceive | Kind::EndReceive => {
                let open = self.receives.get_mut(&(conn, frame.header.channel)).and_then(VecDeque::back_mut);
                if let Some(receive) = open.filter(|receive| !receive.withdrawn) {
                    if frame.kind == Kind::EndReceive {
                        receive.withdrawn = true;
                    } else {
                        receive.count = receive.count.max(frame.header.value);
                    }
                }
            }
            _ => self.wrote_response(conn, frame),
        }
    }

    fn opened(&mut self, conn: ConnKey, frame: &Frame) {
        if frame.header.client != client(conn) {
            return;
        }
        let sent = StartPayload::split(&frame.payload).map_or(0, |start| start.body.len() as u64);
        self.requests.entry(frame.header.exchange_id()).or_insert(Request {
            opener: conn,
            idempotent: frame.has(Flags::IDEMPOTENT),
            sent,
            closed: frame.has(Flags::FINAL),
            response: None,
            by: None,
            outcome: None,
            hand_outs: Vec::new(),
        });
    }

    fn wrote_request(&mut self, conn: ConnKey, frame: &Frame) {
        let found = self.requests.get_mut(&frame.header.exchange_id());
        let Some(request) = found.filter(|request| request.opener == conn && !request.closed) else { return };
        if frame.kind == Kind::ChunkRequest {
            if frame.header.value != request.sent {
                return;
            }
            request.sent += frame.payload.len() as u64;
        }
        request.closed |= frame.kind == Kind::EndRequest || frame.has(Flags::FINAL);
    }

    fn wrote_response(&mut self, conn: ConnKey, frame: &Frame) {
        let Some(request) = self.requests.get_mut(&frame.header.exchange_id()) else { return };
        let Some(hand_out) = request.hand_outs.iter_mut().rev().find(|h| h.receiver == conn && h.ended.is_none())
        else {
            return;
        };
        match frame.kind {
            Kind::AckRequest => hand_out.accepted = true,
            Kind::StartResponse if hand_out.response.is_none() => {
                let Ok(start) = StartPayload::split(&frame.payload) else { return };
                hand_out.accepted = true;
                hand_out.response = Some(start.body.len() as u64);
                if frame.has(Flags::FINAL) {
                    hand_out.ended = Some(Ended::Closed(start.body.len() as u64));
                }
            }
            Kind::ChunkResponse if hand_out.response == Some(frame.header.value) => {
                let sent = frame.header.value + frame.payload.len() as u64;
                hand_out.response = Some(sent);
                if frame.has(Flags::FINAL) {
                    hand_out.ended = Some(Ended::Closed(sent));
                }
            }
            Kind::EndResponse if hand_out.response == Some(frame.header.value) => {
                hand_out.ended = Some(Ended::Closed(frame.header.value));
            }
            Kind::ErrorResponse => match Fault::decode(&frame.payload).map(|fault| fault.code) {
                Some(Code::Returned) if !hand_out.accepted => hand_out.ended = Some(Ended::Returned),
                // The program failed, whether or not its number for that is known.
                Some(Code::Application | Code::Internal) => {
                    hand_out.ended = Some(Ended::Closed(hand_out.response.unwrap_or(0)));
                }
                _ => {}
            },
            _ => {}
        }
    }

    // What clients get

    pub(crate) fn client_got(&mut self, conn: ConnKey, frame: &Frame) {
        match frame.kind {
            Kind::EndReceive | Kind::ErrorReceive => self.receive_closed(conn, frame),
            Kind::StartRequest => self.handed_out(conn, frame),
            Kind::ChunkRequest | Kind::EndRequest | Kind::ErrorRequest | Kind::AckResponse => {
                self.receiver_got(conn, frame);
            }
            Kind::AckRequest | Kind::StartResponse | Kind::ChunkResponse | Kind::EndResponse | Kind::ErrorResponse => {
                self.sender_got(conn, frame);
            }
            _ => {}
        }
    }

    fn receive_closed(&mut self, conn: ConnKey, frame: &Frame) {
        let receives = self.receives.get_mut(&(conn, frame.header.channel));
        let receive = receives.and_then(VecDeque::pop_front).expect("what is closed was open");
        // Of a connection that is lost, starts are taken out whatever was said of them.
        if frame.kind == Kind::EndReceive && !self.gone.contains(&conn) {
            assert_eq!(frame.header.value, receive.starts, "end+RECEIVE says how many starts were delivered on it");
        }
    }

    fn handed_out(&mut self, conn: ConnKey, frame: &Frame) {
        let id = frame.header.exchange_id();
        let receives = self.receives.get_mut(&(conn, id.channel));
        let receive = receives.and_then(VecDeque::front_mut).expect("a start comes only on an open receive");
        receive.starts += 1;
        assert!(receive.starts <= receive.count, "a start for each readiness and no more");
        let limits = StartLimits::from_value(frame.header.value);
        assert!(limits.deadline_ms > 0 && limits.wait_ms == 0, "{limits:?}");

        let request = self.requests.get_mut(&id).expect("only requests that were opened are handed out");
        let start = StartPayload::split(&frame.payload).unwrap();
        for before in &request.hand_outs {
            let returned = before.ended == Some(Ended::Returned);
            let lost = request.idempotent && self.gone.contains(&before.receiver);
            assert!(returned || lost, "{id:?} is in the hands of {:?} and of {conn:?}", before.receiver);
        }
        assert!(request.outcome.is_none_or(|outcome| !outcome.unstarted), "{id:?} was called unstarted before");
        assert!(request.hand_outs.len() < 3, "three hand-outs in all");
        assert_eq!(request.idempotent, frame.has(Flags::IDEMPOTENT));
        let closed = frame.has(Flags::FINAL);
        request.hand_outs.push(HandOut {
            receiver: conn,
            got: 0,
            closed: false,
            accepted: false,
            response: None,
            ended: None,
        });
        self.request_bytes(conn, id, &start.body, closed);
    }

    fn receiver_got(&mut self, conn: ConnKey, frame: &Frame) {
        let id = frame.header.exchange_id();
        let request = self.requests.get_mut(&id).expect("only frames of requests that were opened");
        let Some(hand_out) = request.hand_outs.iter_mut().rev().find(|h| h.receiver == conn) else {
            panic!("{conn:?} got a frame of a request that it was never handed: {}", word(frame));
        };
        if let Some(ended) = hand_out.ended {
            assert_ne!(ended, Ended::Told, "nothing comes behind the error: {}", word(frame));
            // It crossed what this receiver ended it with.
            return;
        }
        let state = if hand_out.closed { State::Taken } else { State::Taking };
        assert_eq!(effect(frame.kind, state), Effect::Take, "{} in {state:?}", word(frame));
        match frame.kind {
            Kind::ChunkRequest => {
                assert_eq!(frame.header.value, hand_out.got, "the next byte comes next");
                self.request_bytes(conn, id, &frame.payload, frame.has(Flags::FINAL));
            }
            Kind::EndRequest => {
                assert_eq!(frame.header.value, hand_out.got, "an end tells the true length");
                self.request_bytes(conn, id, &[], true);
            }
            Kind::ErrorRequest => hand_out.ended = Some(Ended::Told),
            _ => {}
        }
    }

    fn request_bytes(&mut self, conn: ConnKey, id: ExchangeId, body: &[u8], closed: bool) {
        let request = self.requests.get_mut(&id).unwrap();
        let hand_out =
            request.hand_outs.last_mut().filter(|h| h.receiver == conn).expect("only the last one gets more");
        if self.verifies {
            assert_eq!(body, piece(id, request.opener, hand_out.got, body.len()), "{id:?} from {}", hand_out.got);
        }
        hand_out.got += body.len() as u64;
        hand_out.closed = closed;
        assert!(hand_out.got <= request.sent);
        if closed {
            assert!(request.closed && hand_out.got == request.sent, "a body that was cut off never looks complete");
        }
    }

    fn sender_got(&mut self, conn: ConnKey, frame: &Frame) {
        let id = frame.header.exchange_id();
        let request = self.requests.get_mut(&id).expect("only frames of requests that were opened");
        assert_eq!(request.opener, conn, "{} reached a stranger", word(frame));
        let state = match (request.outcome, request.response) {
            (Some(_), _) => State::NotMine,
            (None, None) => State::Awaiting,
            (None, Some(_)) => State::Answered,
        };
        assert_eq!(effect(frame.kind, state), Effect::Take, "{} in {state:?}", word(frame));
        let last = frame.has(Flags::FINAL);
        match frame.kind {
            Kind::StartResponse => {
                let start = StartPayload::split(&frame.payload).unwrap();
                request.response = Some(0);
                request.by = start.metadata.text("by").map(|by| ConnKey(by.parse().unwrap()));
                self.response_bytes(id, &start.body, last);
            }
            Kind::ChunkResponse => {
                assert_eq!(request.response, Some(frame.header.value), "the next byte comes next");
                self.response_bytes(id, &frame.payload, last);
            }
            Kind::EndResponse => {
                assert_eq!(request.response, Some(frame.header.value), "an end tells the true length");
                self.response_bytes(id, &[], true);
            }
            Kind::ErrorResponse => {
                let unstarted = frame.has(Flags::UNSTARTED);
                request.outcome = Some(Outcome { code: Some(code(frame)), unstarted });
                let all_returned = request.hand_outs.iter().all(|h| h.ended == Some(Ended::Returned));
                assert!(!unstarted || all_returned, "{id:?} is called unstarted, and a receiver has it");
            }
            _ => {}
        }
    }

    fn response_bytes(&mut self, id: ExchangeId, body: &[u8], closed: bool) {
        let request = self.requests.get_mut(&id).unwrap();
        let got = request.response.unwrap_or(0);
        if self.verifies {
            let by = request.by.expect("responses say who gives them");
            assert_eq!(body, piece(id, by, got, body.len()), "the response to {id:?} from {got}");
        }
        let got = got + body.len() as u64;
        request.response = Some(got);
        if closed {
            request.outcome = Some(Outcome { code: None, unstarted: false });
            let closed_so = |h: &HandOut| h.ended == Some(Ended::Closed(got));
            assert!(request.hand_outs.last().is_some_and(closed_so), "success means that the receiver closed it");
        }
    }

    /// How often what came about, in words.
    /// What the core has counted, when all is over, agrees with what clients were told. Who was gone was told nothing,
    /// and what broke the connection that it came on was no request.
    pub(crate) fn compare(&self, totals: &Totals) {
        let mut told = BTreeMap::<_, u64>::new();
        for outcome in self.requests.values().filter_map(|request| request.outcome) {
            *told.entry(outcome.code.map_or(tieline_broker::Outcome::Complete, Failed)).or_default() += 1;
        }
        for (outcome, told) in &told {
            assert!(totals.outcome(*outcome) >= *told, "{told} were told {}: {totals:?}", outcome.name());
        }
        let all = self.requests.len() as u64;
        assert!(totals.ended() <= all, "{} ended of {all}", totals.ended());
        let untold = self.requests.values().filter(|request| request.outcome.is_none()).count() as u64;
        assert!(totals.ended() + untold >= all, "{} ended and {untold} were told nothing, of {all}", totals.ended());
        let begun = self.requests.values().filter(|request| !request.hand_outs.is_empty()).count() as u64;
        assert!((begun..=all).contains(&totals.wait.count()));
        let again: usize = self.requests.values().map(|request| request.hand_outs.len().saturating_sub(1)).sum();
        assert!(totals.again >= again as u64);
        let sent: u64 = self.requests.values().map(|request| request.sent).sum();
        assert!(totals.request_bytes <= sent, "{} bytes came of {sent}", totals.request_bytes);
        assert_eq!((totals.busy, totals.waiting), (0, 0));
    }

    pub(crate) fn seen(&self) -> BTreeMap<String, u64> {
        let mut seen = BTreeMap::new();
        for request in self.requests.values() {
            let handed = request.hand_outs.len();
            let outcome = match request.outcome {
                None => "sender gone".to_owned(),
                Some(Outcome { code: None, .. }) => "complete".to_owned(),
                Some(Outcome { code: Some(code), unstarted }) => {
                    format!("{code}{}", if unstarted { ", unstarted" } else { "" })
                }
            };
            for what in [format!("delivered {handed} times, then {outcome}"), outcome] {
                *seen.entry(what).or_default() += 1;
            }
            if request.sent > INITIAL_WINDOW {
                *seen.entry("beyond its initial window".to_owned()).or_default() += 1;
            }
            if request.hand_outs.iter().any(|hand_out| hand_out.receiver == request.opener) {
                *seen.entry("delivered to its own sender".to_owned()).or_default() += 1;
            }
        }
        seen
    }

    // The end

    /// With all written and nothing open: everybody who is still there knows how everything ended.
    pub(crate) fn finish(&self) {
        for (id, request) in &self.requests {
            assert!(request.outcome.is_some() || self.gone.contains(&request.opener), "{id:?} was never answered");
            for hand_out in &request.hand_outs {
                let knows = hand_out.ended.is_some() || self.gone.contains(&hand_out.receiver);
                assert!(knows, "{:?} was never told of the end of {id:?}", hand_out.receiver);
            }
        }
        for ((conn, channel), receives) in &self.receives {
            let open = receives.iter().filter(|receive| receive.withdrawn).count();
            assert!(open == 0 || self.gone.contains(conn), "{conn:?} withdrew on {channel:?} and got no answer");
        }
    }
}
