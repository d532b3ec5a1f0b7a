//! Holds `vectors/v1.json` and the code together: the file is what the code prints, and every vector in it is read
//! back from the file alone, as a client in another language would, encoded and decoded.
//!
//! `TIELINE_BLESS=1` writes the file anew. Its format is described in `docs/protocol.md`.

mod support;

#[path = "vectors/form.rs"]
mod form;
#[path = "vectors/frames.rs"]
mod frames;
#[path = "vectors/payloads.rs"]
mod payloads;
#[path = "vectors/sequences.rs"]
mod sequences;
#[path = "vectors/wrong.rs"]
mod wrong;

use serde_json::{Value, json};
use support::story;
use tieline_protocol::rules::SHAPES;
use tieline_protocol::{Decoder, Frame, Role};

const FILE: &str = "vectors/v1.json";

fn printed() -> Value {
    json!({
        "format": 1,
        "protocol": 1,
        "channels": payloads::channels(),
        "metadata": payloads::metadata(),
        "faults": payloads::faults(),
        "frames": frames::all().iter().map(frames::to_json).collect::<Vec<_>>(),
        "invalid": wrong::frames(),
        "orders": wrong::orders(),
        "streams": sequences::streams(),
    })
}

/// The file, as anybody would read it.
fn file() -> Value {
    serde_json::from_str(&std::fs::read_to_string(support::path(FILE)).unwrap()).unwrap()
}

/// Decodes the bytes of one frame.
fn decode(from: Role, bytes: &[u8]) -> Frame {
    let mut buffer = bytes::BytesMut::from(bytes);
    let frame = Decoder::new(from).next(&mut buffer).unwrap().expect("a whole frame");
    assert!(buffer.is_empty());
    frame
}

#[test]
fn the_file_is_what_the_code_prints() {
    let mut text = serde_json::to_string_pretty(&printed()).unwrap();
    text.push('\n');
    support::compare_or_bless(&support::path(FILE), &text);
}

#[test]
fn every_frame_of_the_file_is_decoded_and_encoded_as_it_says() {
    let file = file();
    let frames = form::list(&file["frames"]);
    for vector in frames {
        frames::check(vector);
    }
    for shape in SHAPES {
        for (role, allowed) in [(Role::Client, shape.from_client), (Role::Server, shape.from_server)] {
            let there =
                frames.iter().any(|vector| vector["kind"] == shape.kind.name() && form::role(&vector["from"]) == role);
            assert_eq!(there, allowed.is_some(), "{} from a {role:?}", shape.kind.name());
        }
    }
}

#[test]
fn every_wrong_frame_of_the_file_is_refused_as_it_says() {
    let file = file();
    form::list(&file["invalid"]).iter().for_each(wrong::check_frame);
    form::list(&file["orders"]).iter().for_each(wrong::check_order);
}

#[test]
fn every_payload_of_the_file_means_what_it_says() {
    let file = file();
    payloads::check_channels(&file["channels"]);
    payloads::check_metadata(&file["metadata"]);
    payloads::check_faults(&file["faults"]);
}

#[test]
fn every_stream_of_the_file_gives_its_frames_however_it_is_cut() {
    form::list(&file()["streams"]).iter().for_each(sequences::check);
}

#[test]
fn names_of_vectors_are_unique() {
    let file = file();
    for list in [&file["frames"], &file["invalid"], &file["orders"], &file["streams"]] {
        let mut names: Vec<_> = form::list(list).iter().map(|vector| form::text(&vector["name"])).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
    assert_eq!(story::REQUEST.as_u128(), 1);
}
