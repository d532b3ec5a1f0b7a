//! Each scenario does what it says: what the server writes is what clients are to get.

use bytes::BytesMut;
use tieline_protocol::{Decoder, Kind, Role};

use super::*;
use crate::wire::Wire;

/// The kinds of the frames that each of the first places gets in one run.
fn heard(name: &str, places: usize) -> Vec<Vec<Kind>> {
    let scenario = Scenario::of(name).unwrap();
    let mut course = (scenario.start)();
    for _ in 0..3 {
        course.run();
    }
    (0..places).for_each(|place| course.rig().unwrap().listen(place));
    course.run();
    (0..places).map(|place| kinds(&course.rig().unwrap().heard(place))).collect()
}

fn kinds(bytes: &[u8]) -> Vec<Kind> {
    let mut buffer = BytesMut::from(bytes);
    let mut decoder = Decoder::new(Role::Server);
    let frames = std::iter::from_fn(|| decoder.next(&mut buffer).unwrap());
    let kinds = frames.map(|frame| frame.kind).collect();
    assert!(buffer.is_empty());
    kinds
}

#[test]
fn a_small_exchange_is_one_frame_each_way() {
    assert_eq!(heard("small-exchange", 2), [[Kind::StartResponse], [Kind::StartRequest]]);
    assert_eq!(heard("small-exchange-16", 2), [[Kind::StartResponse; 16], [Kind::StartRequest; 16]]);
}

#[test]
fn a_framed_exchange_has_all_its_frames() {
    use Kind::*;
    let to_sender = vec![AckRequest, StartResponse, ChunkResponse, EndResponse];
    assert_eq!(heard("framed-exchange", 2), [to_sender, vec![StartRequest, ChunkRequest, EndRequest]]);
}

#[test]
fn whoever_is_answered_in_a_long_line_is_the_next_in_turn() {
    let mut course = Waiting::new(100);
    for turn in 0..50 {
        (0..16).for_each(|place| course.rig().unwrap().listen(place));
        course.run();
        let heard: Vec<_> = (0..16).map(|place| kinds(&course.rig().unwrap().heard(place))).collect();
        let is_answered = |place: &usize| heard[*place] == [Kind::StartResponse];
        assert_eq!((0..8).filter(is_answered).collect::<Vec<_>>(), [turn % 8]);
        assert_eq!(heard[8], [Kind::StartRequest]);
        assert_eq!(course.rig().unwrap().counts().waiting, 100);
    }
}

#[test]
fn chunks_pass_whole_and_grants_come_back_for_half_a_window() {
    assert_eq!(heard("chunk-16k", 2), [vec![Kind::AckRequest; 4], vec![Kind::ChunkRequest; 32]]);
    assert_eq!(heard("chunk-64k", 2), [vec![Kind::AckRequest; 4], vec![Kind::ChunkRequest; 8]]);
}

#[test]
fn receives_cancels_and_hellos_are_answered() {
    assert_eq!(heard("receive", 2)[1], [Kind::EndReceive]);
    assert_eq!(heard("cancel", 1)[0], [Kind::ErrorResponse]);
    let mut rig = Rig::with_connections(2);
    assert_eq!(rig.counts().connections, 0, "the core knows nobody who only greeted");
    rig.leave(1);
    rig.greet(1, &mut Wire::default());
}

#[test]
fn the_crowd_is_as_large_as_it_says() {
    let mut course = (Scenario::of("small-exchange-crowd").unwrap().start)();
    course.run();
    let counts = course.rig().unwrap().counts();
    assert_eq!((counts.channels, counts.receives, counts.busy), (10_000, 10_000, 0));
}
