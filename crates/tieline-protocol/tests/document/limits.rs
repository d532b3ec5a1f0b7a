//! The table of limits, with the reasons that stand as comments in the code, and what a server's hello tells.

use std::time::Duration;

use tieline_protocol::limits::{
    CLOCK_JUMP, COPY_BELOW, EARLY_STARTS, EXCHANGE_OVERHEAD, FRAME_PACE, FRAME_WITHIN, HAND_OUTS_MAX, HANDSHAKE_MAX,
    HELLO_MAX, HELLO_WITHIN, INITIAL_DEFAULT, INITIAL_MAX, INITIAL_WINDOW, LINGER, LINGER_BYTES, PAYLOAD_DEFAULT,
    PAYLOAD_MAX, PAYLOAD_MIN, PING_AFTER, REFUSALS_MAX, SILENCE_MAX, SLICE_FROM, ServerLimits, TLS_QUEUE, TURN,
    TURN_BULK, UNSENT_MAX, WINDOW_DEFAULT, WINDOW_FIRST, WINDOW_MAX,
};
use tieline_protocol::metadata::{METADATA_MAX, TRAILER_MAX};
use tieline_protocol::{Metadata, fault, id};

use crate::tables::table;

/// A constant's name and comment, as they stand in a source file.
fn commented(source: &'static str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let mut comment = Vec::new();
    for line in source.lines() {
        if let Some(words) = line.strip_prefix("/// ") {
            comment.push(words);
        } else if let Some(rest) = line.strip_prefix("pub const ").filter(|rest| !rest.starts_with("fn ")) {
            let name = rest.split(':').next().unwrap();
            found.push((name, comment.join(" ").replace("[`", "`").replace("`]", "`")));
            comment.clear();
        } else {
            comment.clear();
        }
    }
    found
}

/// A number with its thousands apart, and in KiB or MiB where that is even.
fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match number {
        _ if number > 0 && number.is_multiple_of(1 << 20) => format!("{grouped} ({} MiB)", number >> 20),
        _ if number > 0 && number.is_multiple_of(1 << 10) => format!("{grouped} ({} KiB)", number >> 10),
        _ => grouped,
    }
}

fn seconds(span: Duration) -> String {
    format!("{} s", span.as_secs())
}

pub(crate) fn limits() -> String {
    let values = [
        ("INITIAL_WINDOW", number(INITIAL_WINDOW)),
        ("INITIAL_DEFAULT", number(INITIAL_DEFAULT)),
        ("INITIAL_MAX", number(INITIAL_MAX)),
        ("PAYLOAD_DEFAULT", number(PAYLOAD_DEFAULT.into())),
        ("PAYLOAD_MIN", number(PAYLOAD_MIN.into())),
        ("PAYLOAD_MAX", number(PAYLOAD_MAX.into())),
        ("HELLO_MAX", number(HELLO_MAX.into())),
        ("WINDOW_FIRST", number(WINDOW_FIRST)),
        ("WINDOW_DEFAULT", number(WINDOW_DEFAULT)),
        ("WINDOW_MAX", number(WINDOW_MAX)),
        ("EXCHANGE_OVERHEAD", number(EXCHANGE_OVERHEAD)),
        ("TURN", number(TURN as u64)),
        ("TURN_BULK", number(TURN_BULK as u64)),
        ("UNSENT_MAX", number(UNSENT_MAX as u64)),
        ("COPY_BELOW", number(COPY_BELOW as u64)),
        ("SLICE_FROM", number(SLICE_FROM as u64)),
        ("REFUSALS_MAX", number(REFUSALS_MAX as u64)),
        ("EARLY_STARTS", number(EARLY_STARTS as u64)),
        ("HELLO_WITHIN", seconds(HELLO_WITHIN)),
        ("HANDSHAKE_MAX", number(HANDSHAKE_MAX as u64)),
        ("TLS_QUEUE", number(TLS_QUEUE as u64)),
        ("PING_AFTER", seconds(PING_AFTER)),
        ("SILENCE_MAX", seconds(SILENCE_MAX)),
        ("FRAME_WITHIN", seconds(FRAME_WITHIN)),
        ("FRAME_PACE", number(FRAME_PACE)),
        ("CLOCK_JUMP", seconds(CLOCK_JUMP)),
        ("HAND_OUTS_MAX", number(HAND_OUTS_MAX.into())),
        ("LINGER", seconds(LINGER)),
        ("LINGER_BYTES", number(LINGER_BYTES)),
        ("METADATA_MAX", number(METADATA_MAX as u64)),
        ("TRAILER_MAX", number(TRAILER_MAX as u64)),
        ("ERROR_MAX", number(fault::ERROR_MAX as u64)),
        ("ERROR_WRITTEN_MAX", number(fault::ERROR_WRITTEN_MAX as u64)),
        ("CHANNEL_NAME_MAX", number(id::CHANNEL_NAME_MAX as u64)),
    ];
    let own = commented(include_str!("../../src/limits.rs"));
    let others = [
        commented(include_str!("../../src/metadata.rs")),
        commented(include_str!("../../src/fault.rs")),
        commented(include_str!("../../src/id.rs")),
    ];
    for (name, _) in &own {
        assert!(values.iter().any(|(listed, _)| listed == name), "{name} is missing in the document's table of limits");
    }
    let all: Vec<_> = own.into_iter().chain(others.into_iter().flatten()).collect();
    table(
        &["limit", "value", "meaning"],
        values.into_iter().map(|(name, value)| {
            let reason = all.iter().find(|(known, _)| *known == name).expect("the constant is in the code");
            assert!(!reason.1.is_empty(), "{name} has no comment");
            vec![format!("`{name}`"), value, reason.1.clone()]
        }),
    )
}

pub(crate) fn hello() -> String {
    let mut written = Metadata::new();
    ServerLimits::default().write(&mut written);
    let about = |name: &str| match name {
        "payload" => {
            (format!("{PAYLOAD_MIN} to {PAYLOAD_MAX}"), "The longest payload of a frame, in bytes, in both directions.")
        }
        "window" => (
            format!("{INITIAL_WINDOW} to {WINDOW_MAX}"),
            "The largest window, in bytes: how far a grant may be ahead of what was forwarded to whoever gives it.",
        ),
        "initial" => (
            format!("{INITIAL_WINDOW} to {INITIAL_MAX}"),
            "The [initial window](#credit) of a request, in bytes: how much may be sent of it before a grant.",
        ),
        "requests" => ("1 and more".to_owned(), "Requests in flight that this connection may have opened."),
        "receives" => ("1 and more".to_owned(), "Receives that this connection may have open."),
        "deadline" => (
            "1 and more".to_owned(),
            "The longest deadline, in milliseconds; longer ones, and requests that name none, are cut to it.",
        ),
        "ping" => (
            format!("1 to {}", PING_AFTER.as_millis()),
            "How long a peer may be unheard of before it is sent a ping, in milliseconds.",
        ),
        _ => panic!("hello says '{name}', and the document doesn't"),
    };
    table(
        &["name", "allowed", "if missing", "meaning"],
        written.iter().map(|(name, value)| {
            let (range, meaning) = about(name);
            vec![format!("`{name}`"), range, String::from_utf8(value.to_vec()).unwrap(), meaning.to_owned()]
        }),
    )
}
