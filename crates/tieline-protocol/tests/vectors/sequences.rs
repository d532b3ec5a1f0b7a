//! Vectors of streams: what one side sends on a connection, cut in odd places.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use tieline_protocol::{Decoder, Flags, Frame, Kind, Role};

use crate::form;
use crate::frames::of_exchange;
use crate::support::hex;
use crate::support::story::{self, Connection};

fn sent(on: Connection, from: Role) -> Vec<Frame> {
    story::steps().into_iter().filter(|step| step.on == on && step.from == from).map(|step| step.frame).collect()
}

fn bulk() -> Vec<Frame> {
    let body: Vec<u8> = (0..600u32).map(|at| (at * 7) as u8).collect();
    vec![
        of_exchange(Kind::ChunkRequest, 0, Flags::NONE, Bytes::copy_from_slice(&body[..1])),
        of_exchange(Kind::ChunkRequest, 1, Flags::NONE, Bytes::copy_from_slice(&body[1..300])),
        of_exchange(Kind::AckResponse, 65_536, Flags::NONE, Bytes::new()),
        of_exchange(Kind::ChunkRequest, 300, Flags::FINAL, Bytes::copy_from_slice(&body[300..])),
    ]
}

pub(crate) fn streams() -> Value {
    use Connection::{Receiver, Sender};
    let all: Vec<(&str, Role, Vec<Frame>, &[usize])> = vec![
        ("a sender, all in one piece", Role::Client, sent(Sender, Role::Client), &[usize::MAX]),
        ("a server to its sender, frame by frame and a byte too many", Role::Server, sent(Sender, Role::Server), &[65]),
        (
            "a receiver, cut by the numbers of Fibonacci",
            Role::Client,
            sent(Receiver, Role::Client),
            &[1, 2, 3, 5, 8, 13, 21, 34, 55],
        ),
        (
            "a server to its receiver, header and payload apart",
            Role::Server,
            sent(Receiver, Role::Server),
            &[64, 211, 64, 47, 63, 1],
        ),
        ("a body, with cuts within headers and payloads", Role::Client, bulk(), &[100, 7, 64]),
        ("a body, byte by byte at first", Role::Client, bulk(), &[1, 1, 1, 1, 1, 1, 59, 1, 64, 400]),
    ];
    all.into_iter()
        .map(|(name, from, frames, cuts)| {
            let bytes: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
            let mut pieces = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (piece, behind) = rest.split_at((*cut).min(rest.len()));
                pieces.push(hex(piece));
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            json!({
                "name": name,
                "from": form::role_name(from),
                "pieces": pieces,
                "frames": frames.iter().map(|frame| hex(&frame.to_bytes())).collect::<Vec<_>>(),
            })
        })
        .collect()
}

pub(crate) fn check(vector: &Value) {
    let mut decoder = Decoder::new(form::role(&vector["from"]));
    let mut buffer = BytesMut::new();
    let mut got = Vec::new();
    for piece in form::list(&vector["pieces"]) {
        buffer.extend_from_slice(&form::bytes(piece));
        while let Some(frame) = decoder.next(&mut buffer).unwrap() {
            got.push(frame.to_bytes());
        }
    }
    assert!(!decoder.is_within_frame(&buffer), "{}", vector["name"]);
    let wanted: Vec<_> = form::list(&vector["frames"]).iter().map(form::bytes).collect();
    assert_eq!(got, wanted, "{}", vector["name"]);
}
