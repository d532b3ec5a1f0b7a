//! The peer: reads what was claimed, and asserts that it is what must come.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;

use bytes::BytesMut;
use tieline_protocol::header::{FrameType, HEADER_LEN};
use tieline_protocol::outbox::{Batch, Close, Way};
use tieline_protocol::{ChannelId, Decoder, Flags, Frame, Kind, Role, StartPayload};

use super::lane::Lane;

/// A receive as its own side keeps it.
#[derive(Debug)]
struct Receive {
    number: u64,
    count: u64,
    /// The highest count that was read.
    told: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reader {
    decoder: Decoder,
    buffer: BytesMut,
    /// Frames that were put in order, with their places.
    ordered: VecDeque<(u64, Frame)>,
    places: u64,
    /// The place of what was read last of those.
    reached: u64,
    receives: BTreeMap<ChannelId, Receive>,
    opened: u64,
    /// The last frame, if it raised a receive.
    raised: Option<ChannelId>,
    pub(super) pong: Option<u64>,
    pub(super) pings: VecDeque<u64>,
}

impl Reader {
    pub(super) fn new(from: Role, payload_max: u32) -> Self {
        let mut decoder = Decoder::new(from);
        decoder.set_payload_max(payload_max);
        Self {
            decoder,
            buffer: BytesMut::new(),
            ordered: VecDeque::new(),
            places: 0,
            reached: 0,
            receives: BTreeMap::new(),
            opened: 0,
            raised: None,
            pong: None,
            pings: VecDeque::new(),
        }
    }

    // What is to come

    pub(super) const fn next_place(&mut self) -> u64 {
        self.places += 1;
        self.places
    }

    pub(super) fn expect_ordered(&mut self, frame: &Frame) {
        let place = self.next_place();
        self.ordered.push_back((place, frame.clone()));
    }

    pub(super) fn refusals_waiting(&self) -> usize {
        let refusals = self.ordered.iter().filter(|(_, frame)| frame.kind == Kind::ErrorResponse);
        refusals.map(|(_, frame)| HEADER_LEN + frame.payload.len()).sum()
    }

    pub(super) fn receive_on(&self, channel: ChannelId) -> Option<u64> {
        self.receives.get(&channel).map(|receive| receive.number)
    }

    pub(super) fn start_receive(&mut self, channel: ChannelId, count: u64) {
        self.opened += 1;
        self.receives.insert(channel, Receive { number: self.opened, count, told: 0 });
        let header = Kind::StartReceive.header().channel(channel).value(count);
        let payload = StartPayload::join(&tieline_protocol::Metadata::new(), &[]);
        self.expect_ordered(&Frame::new(Kind::StartReceive, header, payload));
    }

    pub(super) fn raise_receive(&mut self, channel: ChannelId, more: u64) {
        if let Some(receive) = self.receives.get_mut(&channel) {
            receive.count += more;
        }
    }

    pub(super) fn end_receive(&mut self, channel: ChannelId) {
        if self.receives.remove(&channel).is_some() {
            let header = Kind::EndReceive.header().channel(channel);
            self.expect_ordered(&Frame::new(Kind::EndReceive, header, bytes::Bytes::new()));
        }
    }

    pub(super) fn forget_receive(&mut self, channel: ChannelId) {
        self.receives.remove(&channel);
    }

    // What comes

    /// Reads a claim, as much at a time as the socket takes.
    pub(super) fn read(&mut self, batch: &mut Batch, step: usize, lanes: &mut [Lane]) {
        // A byte at a time shows nothing in the middle of a body, and takes long.
        let step = step.max(batch.len() / 64);
        while !batch.is_empty() {
            let mut slices = [IoSlice::new(&[]); 4];
            let filled = batch.fill(&mut slices);
            let mut room = step;
            for slice in &slices[..filled] {
                let taken = room.min(slice.len());
                self.buffer.extend_from_slice(&slice[..taken]);
                room -= taken;
            }
            batch.advance(step - room);
        }
        while let Some(frame) = self.decoder.next(&mut self.buffer).expect("only legal frames are written") {
            self.frame(&frame, lanes);
            self.raised = (frame.kind == Kind::AckReceive).then_some(frame.header.channel);
        }
        assert!(self.buffer.is_empty(), "whole frames are claimed");
    }

    fn frame(&mut self, frame: &Frame, lanes: &mut [Lane]) {
        match frame.kind {
            Kind::Ping => assert_eq!(self.pings.pop_front(), Some(frame.header.value)),
            Kind::Pong => {
                assert_eq!(self.pong.take(), Some(frame.header.value), "the newest ping is answered, once");
                assert_eq!(self.refusals_waiting(), 0, "a refusal of what came before comes before");
            }
            Kind::AckReceive => self.raise(frame, lanes),
            Kind::StartReceive | Kind::EndReceive => self.in_order(frame),
            _ => {
                let way = way_of(frame.kind);
                let lane = lanes.iter_mut().find(|lane| lane.id == frame.header.exchange_id() && lane.way == way);
                match lane {
                    Some(lane) => self.of_lane(frame, lane),
                    None => self.in_order(frame),
                }
            }
        }
    }

    fn in_order(&mut self, frame: &Frame) {
        let (place, expected) = self.ordered.pop_front().expect("something was put in order");
        assert_eq!(frame, &expected);
        self.reach(place);
    }

    fn reach(&mut self, place: u64) {
        assert!(place > self.reached, "what is ordered comes in the order in which it was put");
        self.reached = place;
    }

    fn raise(&mut self, frame: &Frame, lanes: &[Lane]) {
        let channel = frame.header.channel;
        let receive = self.receives.get_mut(&channel).expect("only an open receive is raised");
        let closing = lanes.iter().filter(|lane| lane.raise == Some((channel, receive.number))).count() as u64;
        let count = frame.header.value;
        assert!(count >= receive.told && count <= receive.count + closing, "{count} of {receive:?}");
        receive.told = count;
    }

    fn of_lane(&mut self, frame: &Frame, lane: &mut Lane) {
        assert!(!lane.silent, "{:?} of a lane that was taken out", frame.kind);
        let error_behind_end = frame.kind == Kind::ErrorRequest && lane.end_read;
        let frame_type = FrameType::from_byte(frame.header.frame_type).expect("a legal frame has a type");
        if frame_type == FrameType::Ack {
            assert!(!lane.is_over() && (lane.way == Way::Response || lane.start_read), "an ack in its place");
            assert_eq!(lane.ack.take(), Some(frame.header.value), "the highest grant leaves, once");
            return;
        }
        assert!(!lane.is_over() && (!lane.end_read || error_behind_end), "{:?} behind the end", frame.kind);
        let in_request = lane.way == Way::Request;
        match frame_type {
            FrameType::Start => {
                let start = StartPayload::split(&frame.payload).expect("a start has metadata");
                assert!(!lane.start_read && !lane.start_dropped && lane.put, "a lane starts once");
                assert_eq!(start.metadata, lane.metadata);
                lane.start_read = true;
                if in_request {
                    self.reach(lane.place);
                }
                self.body(lane, &start.body, frame.has(Flags::FINAL));
            }
            FrameType::Chunk => {
                assert!(lane.start_read, "a start comes first");
                assert_eq!(frame.header.value, lane.read, "the next byte comes next");
                self.body(lane, &frame.payload, frame.has(Flags::FINAL));
            }
            FrameType::End => {
                assert!(lane.start_read && frame.header.value == lane.read);
                self.end(lane, &frame.payload);
            }
            _ => self.error(lane, frame),
        }
    }

    fn body(&mut self, lane: &mut Lane, body: &[u8], is_final: bool) {
        assert!(lane.read + body.len() as u64 <= lane.pushed, "nothing that wasn't put");
        assert!(lane.body(lane.read, body.len()) == body, "the bytes that were put");
        lane.read += body.len() as u64;
        if is_final {
            self.end(lane, &[]);
        }
    }

    fn end(&mut self, lane: &mut Lane, trailer: &[u8]) {
        assert_eq!(lane.read, lane.pushed, "a body that was cut off never looks complete");
        match lane.closing.take() {
            Some(Close::End { trailer: expected }) => assert_eq!(trailer, expected),
            other => panic!("ended in good order, and it was to be {other:?}"),
        }
        lane.end_read = true;
        self.closed(lane);
    }

    fn error(&mut self, lane: &mut Lane, frame: &Frame) {
        match lane.closing.take() {
            Some(Close::Error { flags, payload }) => {
                assert_eq!(payload, frame.payload);
                assert_eq!(frame.has(Flags::UNSTARTED), flags.has(Flags::UNSTARTED));
            }
            other => panic!("ended by an error, and it was to be {other:?}"),
        }
        assert_eq!(lane.read, lane.pushed, "an error in order comes behind the body");
        assert!(lane.start_read || lane.way == Way::Response, "a request starts before it fails");
        lane.error_read = true;
        self.closed(lane);
    }

    /// The closing frame was read: what it raises came directly before it.
    fn closed(&mut self, lane: &mut Lane) {
        let Some((channel, number)) = lane.raise.take() else { return };
        if let Some(receive) = self.receives.get_mut(&channel).filter(|receive| receive.number == number) {
            receive.count += 1;
            assert_eq!((self.raised, receive.told), (Some(channel), receive.count), "raised right before the closing");
        }
    }

    /// All was read: every lane has had its end, unless it was taken out.
    pub(super) fn finish(&self, lanes: &[Lane]) {
        assert!(self.ordered.is_empty() && self.pings.is_empty() && self.pong.is_none());
        for lane in lanes {
            assert!(lane.silent || lane.is_over() || lane.end_read, "{lane:?} was never closed");
            assert!(lane.silent || lane.closing.is_none());
        }
    }
}

/// The way of a lane that frames of this kind belong to: an ack travels beside the other direction's body.
const fn way_of(kind: Kind) -> Way {
    match kind {
        Kind::StartRequest | Kind::ChunkRequest | Kind::EndRequest | Kind::ErrorRequest | Kind::AckResponse => {
            Way::Request
        }
        _ => Way::Response,
    }
}
