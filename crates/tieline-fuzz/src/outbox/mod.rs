//! The outbox under any sequence of what its users may do, read by a peer that knows what must come: each lane's bytes
//! in order and once, its ends as they were decided, and no memory held for what is over.

mod lane;
mod reader;

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use tieline_protocol::outbox::{Batch, Charge, Close, Outbox, StartFrame, Way};
use tieline_protocol::{
    ChannelId, ClientId, Code, ExchangeId, Fault, Flags, Frame, Kind, Metadata, RequestId, Role, StartLimits,
};

use crate::input::Input;
use lane::Lane;
use reader::Reader;

/// All that may be promised, in bytes; little enough to be refused now and then.
const MEMORY: u64 = 256 * 1024;

/// Bytes that were promised, of a sum that everybody sees.
#[derive(Debug)]
struct Held {
    bytes: u64,
    sum: Rc<Cell<u64>>,
}

impl Charge for Held {
    fn held(&self) -> u64 {
        self.bytes
    }

    fn keep(&mut self, bytes: u64) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.bytes -= surplus;
        self.sum.set(self.sum.get() - surplus);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keep(0);
    }
}

struct Play {
    outbox: Outbox<Held>,
    role: Role,
    lanes: Vec<Lane>,
    reader: Reader,
    sum: Rc<Cell<u64>>,
    opened: u128,
}

/// The first byte says who writes and how long payloads may be; the rest are acts.
///
/// # Panics
/// If the peer gets what it must not get, or something is left at the end.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let how = input.byte();
    let role = if how.is_multiple_of(2) { Role::Server } else { Role::Client };
    let payload_max = [32 * 1024, 64 * 1024, 1024 * 1024][usize::from(how / 2) % 3];
    let mut outbox = Outbox::new();
    outbox.set_payload_max(payload_max);
    let reader = Reader::new(role, payload_max);
    let mut play = Play { outbox, role, lanes: Vec::new(), reader, sum: Rc::default(), opened: 0 };
    while !input.is_empty() {
        play.act(&mut input);
        play.check();
    }
    play.end();
}

impl Play {
    fn act(&mut self, input: &mut Input<'_>) {
        match input.byte() % 24 {
            0 | 1 => self.open(input),
            2..=4 => self.body(input),
            5 => self.close(input),
            6 => self.abort(input),
            7 => self.ack(input),
            8 => self.retract(input),
            9 => self.finish(input),
            10 => self.discard(input),
            11 | 12 => self.promise(input),
            13 => self.raise_at_close(input),
            14 | 15 => self.receive(input),
            16 => self.first(input),
            17 => self.refuse(input),
            18..=21 => self.claim(input),
            _ => self.written(),
        }
    }

    /// One of the lanes that their users aren't done with.
    fn lane(&mut self, input: &mut Input<'_>) -> Option<&mut Lane> {
        let mut live: Vec<_> = self.lanes.iter_mut().filter(|lane| !lane.finished).collect();
        let pick = input.byte();
        if live.is_empty() { None } else { Some(live.swap_remove(usize::from(pick) % live.len())) }
    }

    fn open(&mut self, input: &mut Input<'_>) {
        self.opened += 1;
        let id = ExchangeId {
            client: ClientId::from_u128(7),
            request: RequestId::from_u128(self.opened),
            channel: ChannelId::from_u128(9),
        };
        let how = input.byte();
        let way = if how.is_multiple_of(2) { Way::Request } else { Way::Response };
        let mut metadata = Metadata::new();
        for _ in 0..how / 2 % 4 {
            let _ = metadata.push("about", vec![b'm'; input.length() / 16]);
        }
        let lane = Lane::new(self.outbox.open(id, way), id, way, metadata);
        self.lanes.push(lane);
        // A response may have to wait for its program; its acks don't.
        if way == Way::Request || how & 0x80 == 0 {
            self.start(self.lanes.len() - 1);
        }
    }

    fn start(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        let (flags, value) = match lane.way {
            Way::Request => (Flags::IDEMPOTENT, StartLimits { wait_ms: 0, deadline_ms: 5 }.to_value()),
            Way::Response => (Flags::NONE, 0),
        };
        (lane.put, lane.started) = (true, true);
        if lane.way == Way::Request {
            lane.place = self.reader.next_place();
        }
        self.outbox.start(lane.key, StartFrame { flags, value, metadata: lane.metadata.clone() });
    }

    fn body(&mut self, input: &mut Input<'_>) {
        let Some(index) = self.pick(input) else { return };
        if !self.lanes[index].started {
            return self.start(index);
        }
        let len = input.length();
        let lane = &mut self.lanes[index];
        let piece = lane.push(len);
        self.outbox.body(lane.key, piece);
    }

    fn close(&mut self, input: &mut Input<'_>) {
        let how = input.byte();
        let Some(lane) = self.lane(input) else { return };
        let close = if how.is_multiple_of(3) || !lane.started {
            Close::Error { flags: Flags::NONE, payload: Fault::new(Code::Application).encode() }
        } else {
            let mut trailer = Metadata::new();
            if how % 3 == 1 {
                let _ = trailer.push("took", vec![b't'; usize::from(how)]);
            }
            Close::End { trailer: trailer.wire().clone() }
        };
        // A response that fails needs no start.
        lane.started = true;
        lane.close(close.clone());
        let key = lane.key;
        self.outbox.close(key, close);
    }

    fn abort(&mut self, input: &mut Input<'_>) {
        let how = input.byte();
        let role = self.role;
        let Some(lane) = self.lane(input) else { return };
        let unstarted = role == Role::Server && lane.way == Way::Response && how.is_multiple_of(2);
        let payload = Fault::because(Code::Cancelled, format!("for the reason {how}")).encode();
        let flags = Flags::UNSTARTED.when(unstarted);
        lane.abort(flags, payload.clone());
        let key = lane.key;
        self.outbox.abort(key, flags, payload);
    }

    fn ack(&mut self, input: &mut Input<'_>) {
        let to = u64::from(input.u16());
        let Some(lane) = self.lane(input) else { return };
        lane.ack(to);
        let key = lane.key;
        self.outbox.ack(key, to);
    }

    fn retract(&mut self, input: &mut Input<'_>) {
        // Only requests are handed out, and so only requests are taken back.
        let Some(lane) = self.lane(input).filter(|lane| lane.way == Way::Request) else { return };
        let left = lane.has_left();
        let key = lane.key;
        if !left {
            lane.silence();
        }
        assert_eq!(self.outbox.retract(key), !left, "taken out if nothing of it has left, and only then");
    }

    /// As the core does: what isn't closed is aborted before its user is done with it.
    fn finish(&mut self, input: &mut Input<'_>) {
        let bytes = u64::from(input.u16());
        let sum = Rc::clone(&self.sum);
        let Some(lane) = self.lane(input) else { return };
        let key = lane.key;
        let payload = Fault::new(Code::Cancelled).encode();
        let abort = !lane.is_closed();
        if abort {
            lane.abort(Flags::NONE, payload.clone());
        }
        lane.finish();
        if abort {
            self.outbox.abort(key, Flags::NONE, payload);
        }
        let admission = (bytes > 0).then(|| reserve(&sum, bytes)).flatten();
        self.outbox.finish(key, admission);
    }

    fn discard(&mut self, input: &mut Input<'_>) {
        let Some(lane) = self.lane(input) else { return };
        let key = lane.key;
        lane.silence();
        self.outbox.discard(key);
    }

    fn promise(&mut self, input: &mut Input<'_>) {
        let to = u64::from(input.u16()) * 4;
        let sum = Rc::clone(&self.sum);
        let hungry = input.one_in(4);
        let Some(lane) = self.lane(input) else { return };
        let key = lane.key;
        let granted = self.outbox.promise(key, to, |held, beyond| {
            let more = beyond.saturating_sub(held.as_ref().map_or(0, Charge::held));
            let Some(mut reserved) = reserve(&sum, more) else { return false };
            match held {
                Some(held) => held.bytes += std::mem::take(&mut reserved.bytes),
                None => *held = Some(reserved),
            }
            true
        });
        self.outbox.set_hungry(key, hungry);
        let lane = self.lanes.iter_mut().find(|lane| lane.key == key);
        if let Some(lane) = lane.filter(|_| granted) {
            lane.promised = lane.promised.max(to);
        }
    }

    fn raise_at_close(&mut self, input: &mut Input<'_>) {
        let channel = ChannelId::from_u128(1 + input.pick(2) as u128);
        let receive = self.reader.receive_on(channel);
        if self.role == Role::Server {
            return;
        }
        let Some(lane) = self.lane(input).filter(|lane| !lane.is_closed()) else { return };
        lane.raise = receive.map(|number| (channel, number));
        let key = lane.key;
        self.outbox.raise_at_close(key, channel);
    }

    /// What a client does with its receives; a server answers them.
    fn receive(&mut self, input: &mut Input<'_>) {
        let how = input.byte();
        let channel = ChannelId::from_u128(1 + u128::from(how / 8 % 2));
        let more = u64::from(how / 16);
        if self.role == Role::Server {
            let frame = Frame::new(Kind::EndReceive, Kind::EndReceive.header().channel(channel), Bytes::new());
            self.reader.expect_ordered(&frame);
            return self.outbox.ordered(frame);
        }
        let open = self.reader.receive_on(channel).is_some();
        match how % 8 {
            0 | 1 if !open => {
                self.reader.start_receive(channel, more);
                self.outbox.start_receive(channel, more, &Metadata::new());
            }
            6 => {
                self.reader.end_receive(channel);
                self.outbox.end_receive(channel);
            }
            7 => {
                self.reader.forget_receive(channel);
                self.outbox.forget_receive(channel);
            }
            _ => {
                self.reader.raise_receive(channel, more);
                self.outbox.raise_receive(channel, more);
            }
        }
    }

    fn first(&mut self, input: &mut Input<'_>) {
        let nonce = u64::from(input.byte());
        if nonce.is_multiple_of(2) {
            self.reader.pong = Some(nonce);
            self.outbox.pong(nonce);
        } else {
            self.reader.pings.push_back(nonce);
            self.outbox.first(Frame::new(Kind::Ping, Kind::Ping.header().value(nonce), Bytes::new()));
        }
    }

    fn refuse(&mut self, input: &mut Input<'_>) {
        let message = "x".repeat(input.length().min(300));
        if self.role == Role::Client {
            return;
        }
        let id = ExchangeId {
            client: ClientId::from_u128(7),
            request: RequestId::from_u128(1 << 90),
            channel: ChannelId::from_u128(9),
        };
        let payload = Fault::because(Code::ChannelFull, message).encode();
        let frame = Frame::new(Kind::ErrorResponse, Kind::ErrorResponse.header().exchange(id), payload);
        self.reader.expect_ordered(&frame);
        let reads_too_little = !self.outbox.refuse(frame);
        assert_eq!(reads_too_little, self.reader.refusals_waiting() > 256 * 1024);
    }

    fn claim(&mut self, input: &mut Input<'_>) {
        let nothing = self.outbox.is_empty();
        let mut batch = Batch::new();
        self.outbox.claim(&mut batch);
        assert!(batch.len() <= (64 + 16 + 4 + 1) * 1024, "{} bytes in a claim", batch.len());
        assert!(!nothing || batch.is_empty(), "an empty outbox gives nothing");
        assert!(!batch.is_empty() || self.outbox.is_empty(), "what waits is given");
        self.reader.read(&mut batch, 1 + input.length(), &mut self.lanes);
    }

    fn written(&mut self) {
        self.outbox.written();
        for (id, way) in self.outbox.take_progress() {
            assert!(self.lanes.iter().any(|lane| lane.id == id && lane.way == way && lane.read > 0));
        }
    }

    fn pick(&mut self, input: &mut Input<'_>) -> Option<usize> {
        let key = self.lane(input)?.key;
        self.lanes.iter().position(|lane| lane.key == key)
    }

    fn check(&self) {
        assert!(self.sum.get() <= MEMORY);
        for lane in self.lanes.iter().filter(|lane| !lane.finished) {
            assert_eq!(self.outbox.waiting(lane.key) as u64, lane.pushed - lane.read, "what wasn't claimed waits");
            assert_eq!(self.outbox.has_left(lane.key), lane.has_left());
            assert!(self.outbox.covered(lane.key) >= lane.promised, "what is promised is held");
        }
    }

    /// Everything is closed and read to its end; nothing may be left then.
    fn end(&mut self) {
        let mut nothing = Input::new(&[]);
        while self.lanes.iter().any(|lane| !lane.finished) {
            self.finish(&mut nothing);
        }
        while !self.outbox.is_empty() {
            self.claim(&mut Input::new(&[7, 255]));
        }
        self.written();
        assert_eq!((self.outbox.lanes(), self.outbox.body_waiting()), (0, 0), "nothing is left of what is over");
        assert_eq!(self.sum.get(), 0, "all that was promised is given back");
        self.reader.finish(&self.lanes);
    }
}

fn reserve(sum: &Rc<Cell<u64>>, bytes: u64) -> Option<Held> {
    let after = sum.get() + bytes;
    (after <= MEMORY).then(|| {
        sum.set(after);
        Held { bytes, sum: Rc::clone(sum) }
    })
}
