//! A header by itself: it prints as it was read, and the rules' verdict on it is that of a second reading of
//! `docs/protocol.md`, written here without their table.

use tieline_protocol::header::HEADER_LEN;
use tieline_protocol::{Code, Flags, Header, Role, rules};

/// Longest payloads as a hello may name them.
const PAYLOADS: [u32; 3] = [32 * 1024, 64 * 1024, 1024 * 1024];

/// Reads the first 64 bytes as a header.
///
/// # Panics
/// If the header doesn't print as it was read, or is judged wrongly.
pub fn run(data: &[u8]) {
    let Some(bytes) = data.first_chunk::<HEADER_LEN>() else { return };
    let header = Header::decode(bytes);
    assert_eq!(&header.encode(), bytes);
    // Whatever bits there are, they can be shown.
    assert!(!header.flags.to_string().is_empty());
    for from in [Role::Client, Role::Server] {
        for payload_max in PAYLOADS {
            judge(&header, from, payload_max);
        }
    }
}

fn judge(header: &Header, from: Role, payload_max: u32) {
    let expected = expected(header, from, payload_max);
    match rules::check(header, from, payload_max) {
        Ok(kind) => {
            assert_eq!(expected, Ok(()), "{header:?} from a {from:?} was let through");
            let shape = kind.shape();
            assert_eq!((shape.kind, shape.frame_type as u8), (kind, header.frame_type));
            assert_eq!(shape.direction, header.flags.among(Flags::DIRECTIONS));
            let plain = kind.header();
            assert_eq!((plain.version, plain.frame_type), (header.version, header.frame_type));
        }
        Err(violation) => {
            assert_eq!(Err(violation.code), expected, "{header:?} from a {from:?}: {}", violation.message);
            assert!(!violation.message.is_empty());
        }
    }
}

/// What the document says of a header.
fn expected(header: &Header, from: Role, payload_max: u32) -> Result<(), Code> {
    if header.version != 1 {
        return Err(Code::UnsupportedVersion);
    }
    let ok = |fits: bool| if fits { Ok(()) } else { Err(Code::InvalidFrame) };
    let flags = header.flags.bits();
    let (direction, extra) = (flags & 0x000d, flags & !0x000d);
    let exchange = (true, true, true);
    let (from_client, from_server) = (from == Role::Client, from == Role::Server);
    // Flags besides, ids (request, client, channel), whether the value may be other than 0, shortest, longest.
    let (extras, ids, valued, least, most) = match (header.frame_type, direction) {
        (1, 0) if from_client => (0, (false, true, false), false, 0, 16_384),
        (1, 8) if from_server => (0, (false, true, false), false, 0, 16_384),
        (8, 0 | 8) => (0, (false, false, false), true, 0, 0),
        (6, 0) => (0, (false, false, false), false, 0, 0),
        (3, 0) => (0, (false, false, false), false, 2, 4096),
        (4, 4) if from_client => (0, (false, false, true), true, 2, 16_386),
        (7, 4) if from_client => (0, (false, false, true), true, 0, 0),
        (6, 4) => (0, (false, false, true), from_server, 0, 0),
        (3, 4) if from_server => (0, (false, false, true), false, 2, 4096),
        (4, 1) if from_client => (0x0130, exchange, true, 2, payload_max),
        (4, 1) => (0x0120, exchange, true, 2, payload_max),
        (5, 1 | 8) => (0x0100, exchange, true, u32::from(flags & 0x0100 == 0), payload_max),
        (6, 1 | 8) => (0, exchange, true, 0, 1024),
        (3, 8) if from_server => (0x0040, exchange, false, 2, 4096),
        (3, 1 | 8) => (0, exchange, false, 2, 4096),
        (7, 1 | 8) => (0, exchange, true, 0, 0),
        (4, 8) => (0x0100, exchange, false, 2, payload_max),
        _ => return Err(Code::InvalidFrame),
    };
    ok(extra & !extras == 0)?;
    ok(ids == (!header.request.is_nil(), !header.client.is_nil(), !header.channel.is_nil()))?;
    ok(valued || header.value == 0)?;
    if header.length > most {
        return Err(Code::TooLarge);
    }
    ok(header.length >= least)
}
