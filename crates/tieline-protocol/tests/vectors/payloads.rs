//! Vectors of what stands in payloads: metadata and faults; and of channel names.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tieline_protocol::id::CHANNEL_NAMESPACE;
use tieline_protocol::{ChannelId, Code, Fault, Metadata, MetadataError};

use crate::form;
use crate::support::hex;

pub(crate) fn channels() -> Value {
    let longest = "x".repeat(255);
    let names =
        ["upper", "Upper", "thumbs", "a", "a channel with spaces", "größe", "日本語", "e\u{301}", "\u{e9}", &longest];
    json!({
        "namespace": CHANNEL_NAMESPACE.to_string(),
        "names": names.map(|name| json!({ "name": name, "id": ChannelId::of_name(name).to_string() })),
    })
}

pub(crate) fn check_channels(channels: &Value) {
    assert_eq!(form::text(&channels["namespace"]).parse(), Ok(CHANNEL_NAMESPACE));
    for vector in form::list(&channels["names"]) {
        assert_eq!(ChannelId::of_name(form::text(&vector["name"])).to_string(), form::text(&vector["id"]));
    }
}

pub(crate) fn metadata() -> Value {
    let of = |entries: &[(&str, &[u8])]| {
        let mut metadata = Metadata::new();
        for (name, value) in entries {
            metadata.push(name, value).unwrap();
        }
        metadata
    };
    let valid = [
        ("no entries", of(&[])),
        ("one entry", of(&[("content-type", b"text/plain")])),
        ("an empty value", of(&[("x", b"")])),
        ("a value of any bytes", of(&[("bytes", &[0, 0xff, 0x0a, 0x80])])),
        ("a name that stands twice, in order", of(&[("a", b"1"), ("b", b"2"), ("a", b"3")])),
        ("all kinds of signs in a name", of(&[("!\"#$%&'()*+,-./09:;<>?@[\\]^_`az{|}~", b"v")])),
        ("a name of 255 bytes", of(&[(&"n".repeat(255), b"v")])),
        ("a value of 300 bytes", of(&[("v", &[0x55; 300])])),
    ];
    let invalid: [(&str, &[u8], u64, &str); 10] = [
        ("an empty name", &[0, 0, 0], 16384, "name"),
        ("an upper-case letter in a name", &[1, b'X', 0, 0], 16384, "name"),
        ("a space in a name", &[3, b'a', b' ', b'b', 0, 0], 16384, "name"),
        ("an equals sign in a name", &[1, b'=', 0, 0], 16384, "name"),
        ("a control character in a name", &[1, 0x7f, 0, 0], 16384, "name"),
        ("a name that isn't ASCII", &[2, 0xc3, 0xbc, 0, 0], 16384, "name"),
        ("an end within a name", &[5, b'a', b'b'], 16384, "truncated"),
        ("an end within the length of a value", &[1, b'a', 0], 16384, "truncated"),
        ("an end within a value", &[1, b'a', 0, 2, b'v'], 16384, "truncated"),
        ("one byte more than its place allows", &[1, b'a', 0, 1, b'v'], 4, "too-long"),
    ];
    json!({
        "valid": valid.map(|(name, metadata)| json!({
            "name": name,
            "hex": hex(metadata.wire()),
            "entries": form::entries(&metadata),
        })),
        "invalid": invalid.map(|(name, bytes, limit, error)| json!({
            "name": name,
            "hex": hex(bytes),
            "limit": limit,
            "error": error,
        })),
    })
}

pub(crate) fn check_metadata(metadata: &Value) {
    for vector in form::list(&metadata["valid"]) {
        let wire = form::bytes(&vector["hex"]);
        let decoded = Metadata::parse(wire.clone(), usize::MAX).unwrap();
        let encoded = form::metadata(&vector["entries"]);
        assert_eq!(decoded, encoded, "{}", vector["name"]);
        assert_eq!(form::entries(&decoded), vector["entries"]);
        assert_eq!(encoded.wire(), &wire);
    }
    for vector in form::list(&metadata["invalid"]) {
        let wanted = match form::text(&vector["error"]) {
            "name" => MetadataError::Name,
            "truncated" => MetadataError::Truncated,
            "too-long" => MetadataError::TooLong,
            other => panic!("metadata is never {other}"),
        };
        let limit = form::number(&vector["limit"]) as usize;
        assert_eq!(Metadata::parse(form::bytes(&vector["hex"]), limit), Err(wanted), "{}", vector["name"]);
    }
}

pub(crate) fn faults() -> Value {
    let mut refused = Fault::because(Code::NoReceiver, "no receiver is ready").with_receivers(0, 3);
    refused.retry_after = Some(Duration::from_millis(1500));
    let failed = Fault::because(Code::Application, "exit status 3").with_detail("resize: not a PNG file\nresize: bye");
    let words = |entries: &[(&str, &str)]| {
        let mut metadata = Metadata::new();
        for (name, value) in entries {
            metadata.push(name, value).unwrap();
        }
        metadata.wire().clone()
    };
    let with = |number: u16, metadata: &[u8]| [&number.to_be_bytes()[..], metadata].concat();
    let valid = [
        ("a code alone", Fault::new(Code::Overloaded).encode().to_vec()),
        ("a message and numbers", refused.encode().to_vec()),
        ("a message and detail", failed.encode().to_vec()),
        ("an unknown code", with(999, &words(&[("message", "what?")]))),
        ("the code that never travels", with(25, b"")),
        ("the code 0", with(0, b"")),
        ("an unknown name", with(23, &words(&[("colour", "red"), ("message", "no")]))),
        ("a number that is none", with(11, &words(&[("retry-after", "soon")]))),
        ("numbers with a sign and a leading zero", with(12, &words(&[("free", "+1"), ("busy", "03")]))),
        ("entries in another order", with(12, &words(&[("busy", "3"), ("free", "0"), ("message", "none here")]))),
        ("a message that is the table's sentence", with(4, &words(&[("message", Code::Unauthorized.sentence())]))),
    ];
    let invalid: [(&str, &[u8]); 3] =
        [("no bytes", &[]), ("half a code", &[0]), ("metadata that ends too early", &[0, 1, 9])];
    json!({
        "valid": valid.map(|(name, payload)| {
            let fault = Fault::decode(&Bytes::from(payload.clone())).unwrap();
            json!({
                "name": name,
                "hex": hex(&payload),
                "fault": form::fault(&fault),
                "canonical": fault.encode() == payload,
            })
        }),
        "invalid": invalid.map(|(name, payload)| json!({ "name": name, "hex": hex(payload) })),
    })
}

pub(crate) fn check_faults(faults: &Value) {
    for vector in form::list(&faults["valid"]) {
        let payload = form::bytes(&vector["hex"]);
        let fault = form::to_fault(&vector["fault"]);
        assert_eq!(Fault::decode(&payload).unwrap(), fault, "{}", vector["name"]);
        assert_eq!(vector["canonical"], fault.encode() == payload, "{}", vector["name"]);
    }
    for vector in form::list(&faults["invalid"]) {
        assert_eq!(Fault::decode(&form::bytes(&vector["hex"])), None, "{}", vector["name"]);
    }
}
