//! Metadata and the payloads that are made of it: what is valid is read back entry by entry, what isn't is refused for
//! the reason that a second, plainer reading finds.

use bytes::Bytes;
use tieline_protocol::fault::{ERROR_MAX, ERROR_WRITTEN_MAX};
use tieline_protocol::limits::ServerLimits;
use tieline_protocol::metadata::{METADATA_MAX, TRAILER_MAX};
use tieline_protocol::{Fault, Metadata, MetadataError};

/// What the places of metadata allow.
const LIMITS: [usize; 4] = [METADATA_MAX, TRAILER_MAX, ERROR_MAX, 16];

type Entry<'a> = (&'a [u8], &'a [u8]);

/// The first byte says where the metadata stands, the rest is its wire form.
///
/// # Panics
/// If it is read otherwise than it was written.
pub fn run(data: &[u8]) {
    let Some((place, wire)) = data.split_first() else { return };
    let limit = LIMITS[usize::from(*place) % LIMITS.len()];
    let wire = Bytes::copy_from_slice(wire);
    let parsed = Metadata::parse(wire.clone(), limit);
    match (expected(&wire, limit), parsed) {
        (Ok(entries), Ok(metadata)) => valid(&metadata, &wire, &entries),
        (Err(error), Err(refusal)) => assert_eq!(refusal, error),
        (expected, parsed) => panic!("{parsed:?}, and by the document {expected:?}"),
    }
    fault(&wire);
}

fn expected(wire: &[u8], limit: usize) -> Result<Vec<Entry<'_>>, MetadataError> {
    if wire.len() > limit {
        return Err(MetadataError::TooLong);
    }
    let (mut entries, mut at) = (Vec::new(), 0);
    while at < wire.len() {
        let name_end = at + 1 + usize::from(wire[at]);
        if wire.len() < name_end + 2 {
            return Err(MetadataError::Truncated);
        }
        let value_at = name_end + 2;
        let value_end = value_at + usize::from(wire[name_end]) * 256 + usize::from(wire[name_end + 1]);
        if wire.len() < value_end {
            return Err(MetadataError::Truncated);
        }
        let name = &wire[at + 1..name_end];
        let is_allowed = |byte: &u8| (0x21..=0x7e).contains(byte) && !byte.is_ascii_uppercase() && *byte != b'=';
        if name.is_empty() || !name.iter().all(is_allowed) {
            return Err(MetadataError::Name);
        }
        entries.push((name, &wire[value_at..value_end]));
        at = value_end;
    }
    Ok(entries)
}

fn valid(metadata: &Metadata, wire: &Bytes, entries: &[Entry<'_>]) {
    assert_eq!((metadata.wire(), metadata.wire_len(), metadata.is_empty()), (wire, wire.len(), entries.is_empty()));
    let read: Vec<Entry<'_>> = metadata.iter().map(|(name, value)| (name.as_bytes(), value)).collect();
    assert_eq!(read, entries);
    let mut again = Metadata::new();
    for (name, value) in metadata.iter() {
        again.push(name, value).expect("what was read may be written");
        let first = entries.iter().find(|(other, _)| *other == name.as_bytes()).map(|(_, value)| *value);
        assert_eq!(metadata.get(name), first, "the first entry of a name counts");
        assert_eq!(metadata.number(name), first.and_then(number), "{name}");
    }
    assert_eq!(&again, metadata);
    assert_eq!(metadata.get("no such name, for it has spaces"), None);
    if let Ok(limits) = ServerLimits::read(metadata) {
        let mut written = Metadata::new();
        limits.write(&mut written);
        assert_eq!(ServerLimits::read(&written), Ok(limits));
    }
}

/// A decimal number as the document has it.
fn number(value: &[u8]) -> Option<u64> {
    let starts_well = value == b"0" || matches!(value, [b'1'..=b'9', ..]);
    if !starts_well {
        return None;
    }
    value.iter().try_fold(0_u64, |number, digit| match digit {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// The bytes as the payload of an error: what is written of it is read the same, as far as it isn't cut.
fn fault(payload: &Bytes) {
    let Some(fault) = Fault::decode(payload) else {
        assert!(payload.len() < 2 || Metadata::parse(payload.slice(2..), ERROR_MAX).is_err());
        return;
    };
    let written = fault.encode();
    assert!(written.len() <= ERROR_WRITTEN_MAX, "{} bytes of an error", written.len());
    let again = Fault::decode(&written).expect("what is written can be read");
    assert_eq!(again.encode(), written, "an error that is passed on doesn't change on its way");
    assert_eq!((again.code, again.retry_after), (fault.code, fault.retry_after));
    assert_eq!((again.free, again.busy), (fault.free, fault.busy));
    assert!(fault.message.starts_with(&again.message));
    match (&fault.detail, &again.detail) {
        (Some(detail), Some(cut)) => assert!(detail.ends_with(cut.as_str())),
        (detail, cut) => assert_eq!(detail, cut),
    }
}
