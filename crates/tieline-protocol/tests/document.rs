//! Holds `docs/protocol.md` and the code together: what stands in it between markers is printed from the code.
//!
//! `TIELINE_BLESS=1` writes those parts anew; the rest of the document is written by hand.

mod support;

#[path = "document/credit.rs"]
mod credit;
#[path = "document/dump.rs"]
mod dump;
#[path = "document/limits.rs"]
mod limits;
#[path = "document/tables.rs"]
mod tables;

use bytes::BytesMut;
use support::story::{self, Connection};
use tieline_protocol::session::{ClientSession, ServerSession};
use tieline_protocol::{Decoder, Role};

/// The parts of the document that are printed: the name in the markers, and the text between them.
fn parts() -> Vec<(&'static str, String)> {
    vec![
        ("types", tables::types()),
        ("flags", tables::flags()),
        ("shapes", tables::shapes()),
        ("effects", tables::effects()),
        ("errors", tables::errors()),
        ("outcomes", tables::outcomes()),
        ("hello", limits::hello()),
        ("limits", limits::limits()),
        ("credit", credit::example()),
        ("channels", dump::channels()),
        ("dump", dump::exchange()),
    ]
}

#[test]
fn what_the_document_prints_is_what_the_code_says() {
    let path = support::path("../../docs/protocol.md");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (name, part) in parts() {
        let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("the document has no {begin}"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("the document has no {end}"));
        text = format!("{before}{begin}\n{}\n\n{end}{after}", part.trim());
    }
    support::compare_or_bless(&path, &text);
}

#[test]
fn every_marker_in_the_document_is_known() {
    let text = std::fs::read_to_string(support::path("../../docs/protocol.md")).unwrap();
    let marked: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("<!-- begin: ")?.strip_suffix(" -->")).collect();
    let known: Vec<_> = parts().iter().map(|(name, _)| *name).collect();
    assert!(marked.iter().all(|name| known.contains(name)), "{marked:?}");
    assert_eq!(marked.len(), known.len());
}

#[test]
fn every_relative_link_of_the_document_leads_somewhere() {
    let text = std::fs::read_to_string(support::path("../../docs/protocol.md")).unwrap();
    let anchor = |heading: &str| {
        heading
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-')
            .map(|c| if c == ' ' { '-' } else { c })
            .collect::<String>()
    };
    let anchors: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect();
    for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
        if let Some(target) = target.strip_prefix('#') {
            assert!(anchors.iter().any(|anchor| anchor == target), "#{target} leads nowhere");
        } else if !target.starts_with("http") {
            assert!(support::path("../../docs").join(target).exists(), "{target} leads nowhere");
        }
    }
}

#[test]
fn every_frame_of_the_exchange_that_is_shown_is_legal_in_its_order() {
    for on in [Connection::Sender, Connection::Receiver] {
        let mut server = ServerSession::new();
        let mut client = ClientSession::new(on.client());
        for step in story::steps().into_iter().filter(|step| step.on == on) {
            let mut bytes = BytesMut::from(&step.frame.to_bytes()[..]);
            let frame = Decoder::new(step.from).next(&mut bytes).unwrap().unwrap();
            assert_eq!(frame, step.frame);
            match step.from {
                Role::Client => drop(server.judge(frame).unwrap()),
                Role::Server => drop(client.judge(frame).unwrap()),
            }
        }
        assert!(server.is_ended() && client.is_ended());
    }
}
