//! A frame that has passed the rules, and the decoder that makes frames of a stream of bytes.

use std::fmt;
use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::Code;
use crate::fault::Violation;
use crate::header::{Flags, HEADER_LEN, Header, VERSION};
use crate::limits::{PAYLOAD_DEFAULT, SLICE_FROM};
use crate::metadata::{METADATA_MAX, Metadata};
use crate::mutant::{Mutant, planted};
use crate::rules::{self, Kind, Role};

/// A frame whose header is legal by itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Its header.
    pub header: Header,
    /// What stands behind the header.
    pub payload: Bytes,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Frame");
        text.field("kind", &self.kind).field("header", &self.header);
        // A hello's payload holds secrets.
        match self.kind {
            Kind::Hello | Kind::HelloAnswer => text.finish_non_exhaustive(),
            _ => text.field("payload", &self.payload).finish(),
        }
    }
}

impl Frame {
    /// A frame of this header and payload; sets the header's length.
    ///
    /// # Panics
    /// If the header bears a type and direction that [`rules::SHAPES`] doesn't have.
    pub fn new(kind: Kind, mut header: Header, payload: Bytes) -> Self {
        debug_assert_eq!(header.frame_type, kind.shape().frame_type as u8);
        header.length = payload.len() as u32;
        Self { kind, header, payload }
    }

    /// Whether the frame bears this flag.
    pub fn has(&self, flag: Flags) -> bool {
        self.header.flags.has(flag)
    }

    /// The bytes on the wire.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER_LEN + self.payload.len());
        out.put_slice(&self.header.encode());
        out.put_slice(&self.payload);
        out.freeze()
    }
}

/// The payload of a `start`: metadata, then the first bytes of the body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartPayload {
    /// What describes the body.
    pub metadata: Metadata,
    /// The body's first bytes; maybe none, maybe all.
    pub body: Bytes,
}

impl StartPayload {
    /// Splits a payload, without a copy.
    ///
    /// # Errors
    /// If the metadata doesn't fit into the payload or doesn't parse.
    pub fn split(payload: &Bytes) -> Result<Self, Violation> {
        let metadata = Self::metadata(payload)?;
        let body = payload.slice(metadata.end..);
        Ok(Self { metadata: parse(payload.slice(metadata))?, body })
    }

    /// Takes a payload apart: the metadata is in memory of its own, so whoever keeps it keeps no more.
    ///
    /// # Errors
    /// As [`split`](Self::split).
    pub fn take_apart(mut payload: Bytes) -> Result<Self, Violation> {
        let range = Self::metadata(&payload)?;
        let metadata = parse(Bytes::copy_from_slice(&payload[range.clone()]))?;
        payload.advance(range.end);
        Ok(Self { metadata, body: payload })
    }

    /// Where the metadata stands.
    fn metadata(payload: &Bytes) -> Result<Range<usize>, Violation> {
        let Some((len, rest)) = payload.split_first_chunk::<2>() else {
            return Err(Violation::invalid("a start begins with the length of its metadata, in two bytes"));
        };
        let len = usize::from(u16::from_be_bytes(*len));
        if len > rest.len() + usize::from(planted(Mutant::MetadataOneByteTooLong)) {
            return Err(Violation::invalid(format!(
                "the start names {len} bytes of metadata, and {} bytes follow",
                rest.len()
            )));
        }
        Ok(2..2 + len)
    }

    /// The payload with this metadata and body.
    pub fn join(metadata: &Metadata, body: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(2 + metadata.wire_len() + body.len());
        out.put_u16(metadata.wire_len() as u16);
        out.put_slice(metadata.wire());
        out.put_slice(body);
        out.freeze()
    }
}

fn parse(metadata: Bytes) -> Result<Metadata, Violation> {
    Metadata::parse(metadata, METADATA_MAX).map_err(|error| Violation::invalid(error.to_string()))
}

/// Makes frames of bytes, however they were split on the way.
///
/// It judges each header before it waits for the payload, so a declared length alone never makes anybody
/// allocate. Bytes stay in the caller's buffer until their frame is complete.
#[derive(Clone, Debug)]
pub struct Decoder {
    from: Role,
    payload_max: u32,
    /// The header of a frame whose payload isn't complete. In a box: of ten thousand connections few are within a frame.
    head: Option<Box<(Kind, Header)>>,
}

impl Decoder {
    /// A decoder of what `from` sends.
    pub const fn new(from: Role) -> Self {
        Self { from, payload_max: PAYLOAD_DEFAULT, head: None }
    }

    /// Takes payloads up to this length, in bytes, from now on.
    pub fn set_payload_max(&mut self, bytes: u32) {
        self.payload_max = bytes;
    }

    /// The next frame, if the buffer holds all of it; what was used is taken from the buffer's front.
    ///
    /// # Errors
    /// If the bytes are no legal frame. The stream is out of step then; nothing more can be decoded.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, Violation> {
        let (kind, header) = if let Some(head) = &self.head {
            **head
        } else {
            let Some(bytes) = buffer.first_chunk::<HEADER_LEN>() else {
                return judge_early(buffer).map(|()| None);
            };
            let header = Header::decode(bytes);
            let kind = rules::check(&header, self.from, self.payload_max)?;
            buffer.advance(HEADER_LEN);
            (kind, header)
        };
        let length = header.length as usize;
        if buffer.len() < length {
            if self.head.is_none() && !planted(Mutant::HeaderForgotten) {
                self.head = Some(Box::new((kind, header)));
            }
            return Ok(None);
        }
        self.head = None;
        let payload = if length == 0 {
            Bytes::new()
        } else if length < SLICE_FROM {
            // A slice would keep the whole read buffer alive for few bytes.
            let copy = Bytes::copy_from_slice(&buffer[..length]);
            buffer.advance(length);
            copy
        } else {
            buffer.split_to(length).freeze()
        };
        Ok(Some(Frame { kind, header, payload }))
    }

    /// How many bytes the buffer lacks for the frame that has begun, at most; a hint for reading.
    pub fn lacks(&self, buffer: &BytesMut) -> usize {
        let wanted = self.head.as_ref().map_or(HEADER_LEN, |head| head.1.length as usize);
        wanted.saturating_sub(buffer.len())
    }

    /// Whether a frame has begun and isn't complete.
    pub fn is_within_frame(&self, buffer: &BytesMut) -> bool {
        self.head.is_some() || !buffer.is_empty()
    }
}

/// Garbage on the port is told so by its first byte, not after 64.
fn judge_early(buffer: &BytesMut) -> Result<(), Violation> {
    match buffer.first() {
        Some(&version) if version != VERSION => Err(Violation::new(
            Code::UnsupportedVersion,
            format!("the first byte of a frame is its version, {VERSION}; this was {version:#04x}"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ChannelId, ClientId, ExchangeId, RequestId};
    use proptest::prelude::*;

    fn exchange() -> ExchangeId {
        ExchangeId {
            client: ClientId::from_u128(1),
            request: RequestId::from_u128(2),
            channel: ChannelId::from_u128(3),
        }
    }

    fn chunk(offset: u64, body: &[u8]) -> Frame {
        let header = Kind::ChunkRequest.header().exchange(exchange()).value(offset);
        Frame::new(Kind::ChunkRequest, header, Bytes::copy_from_slice(body))
    }

    #[test]
    fn a_declared_length_of_4_gib_is_refused_before_anything_is_kept_for_it() {
        let mut frame = chunk(0, b"x");
        frame.header.length = u32::MAX;
        let mut buffer = BytesMut::from(&frame.to_bytes()[..]);
        let violation = Decoder::new(Role::Client).next(&mut buffer).unwrap_err();
        assert_eq!(violation.code, Code::TooLarge);
    }

    #[test]
    fn garbage_is_refused_by_its_first_byte() {
        let mut buffer = BytesMut::from(&b"GET / HTTP/1.1\r\n"[..]);
        assert_eq!(Decoder::new(Role::Client).next(&mut buffer).unwrap_err().code, Code::UnsupportedVersion);
    }

    #[test]
    fn a_header_without_its_payload_is_a_frame_that_has_begun() {
        let mut decoder = Decoder::new(Role::Client);
        let mut buffer = BytesMut::from(&chunk(0, b"abc").to_bytes()[..HEADER_LEN]);
        assert!(decoder.is_within_frame(&buffer));
        assert_eq!(decoder.next(&mut buffer), Ok(None));
        assert!(decoder.is_within_frame(&buffer), "the header was taken from the buffer");
        assert_eq!(decoder.lacks(&buffer), 3);
        buffer.extend_from_slice(b"ab");
        assert_eq!(decoder.lacks(&buffer), 1);
        buffer.extend_from_slice(b"c");
        assert_eq!(decoder.next(&mut buffer), Ok(Some(chunk(0, b"abc"))));
        assert!(!decoder.is_within_frame(&buffer));
    }

    #[test]
    fn metadata_that_is_longer_than_its_start_is_refused() {
        assert!(StartPayload::split(&Bytes::from_static(&[0, 5, 1, b'a'])).is_err());
        assert!(StartPayload::split(&Bytes::from_static(&[0, 5, 1, b'a', 0, 0])).is_err(), "by one byte");
        assert!(StartPayload::split(&Bytes::from_static(&[0])).is_err());
        let mut metadata = Metadata::new();
        metadata.push("a", "b").unwrap();
        let payload = StartPayload::join(&metadata, b"body");
        let start = StartPayload { metadata, body: Bytes::from_static(b"body") };
        assert_eq!(StartPayload::split(&payload), Ok(start.clone()));
        assert_eq!(StartPayload::take_apart(payload), Ok(start));
    }

    #[test]
    fn a_payload_that_is_kept_pins_at_most_twice_its_length() {
        for length in [1, SLICE_FROM - 1, SLICE_FROM, PAYLOAD_DEFAULT as usize] {
            // Two whole frames of the usual greatest length are read at once.
            let mut buffer = BytesMut::with_capacity(2 * (HEADER_LEN + PAYLOAD_DEFAULT as usize));
            buffer.extend_from_slice(&chunk(7, &vec![9; length]).to_bytes());
            let frame = Decoder::new(Role::Client).next(&mut buffer).unwrap().unwrap();
            // One that shares the read buffer isn't alone in its memory, as long as the buffer is there.
            let shares = !frame.payload.is_unique();
            assert_eq!(shares, length >= PAYLOAD_DEFAULT as usize, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_frames(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9000), 1..6),
            cuts in prop::collection::vec(1usize..5000, 1..40),
        ) {
            let frames: Vec<_> = bodies.iter().map(|body| chunk(7, body)).collect();
            let wire: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
            let mut decoder = Decoder::new(Role::Client);
            let mut buffer = BytesMut::new();
            let mut got = Vec::new();
            let mut rest = &wire[..];
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                buffer.extend_from_slice(now);
                while let Some(frame) = decoder.next(&mut buffer).unwrap() {
                    got.push(frame);
                }
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(got, frames);
            prop_assert!(!decoder.is_within_frame(&buffer));
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = BytesMut::from(&bytes[..]);
            if let Some(first) = bytes.first_mut() { *first = 1; }
            let mut decoder = Decoder::new(Role::Client);
            while let Ok(Some(_)) = decoder.next(&mut bytes) {}
        }

        #[test]
        fn headers_come_back_from_their_bytes(bytes in any::<[u8; 32]>(), more in any::<[u8; 32]>()) {
            let mut all = [0; HEADER_LEN];
            all[..32].copy_from_slice(&bytes);
            all[32..].copy_from_slice(&more);
            prop_assert_eq!(Header::decode(&all).encode(), all);
        }
    }
}
