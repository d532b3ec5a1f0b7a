//! Receives, and the readiness that rises directly before a response's closing frame.

use super::*;

/// An outbox with an open receive of one, and a response lane that raises it when it closes.
fn serving(started: bool) -> (Outbox, LaneKey) {
    let mut outbox = outbox();
    outbox.start_receive(CHANNEL, 1, &Metadata::new());
    drain(&mut outbox);
    let key = if started { started_response(&mut outbox, 1) } else { outbox.open(exchange(1), Way::Response) };
    outbox.raise_at_close(key, CHANNEL);
    (outbox, key)
}

#[test]
fn a_receive_is_opened_raised_and_withdrawn() {
    let mut outbox = outbox();
    outbox.start_receive(CHANNEL, 2, &Metadata::new());
    assert_eq!(told(&mut outbox), ["start+RECEIVE @2"]);
    outbox.raise_receive(CHANNEL, 3);
    outbox.raise_receive(CHANNEL, 1);
    assert_eq!(told(&mut outbox), ["ack+RECEIVE @6"], "raises that wait are one frame");
    outbox.end_receive(CHANNEL);
    outbox.end_receive(CHANNEL);
    outbox.raise_receive(CHANNEL, 1);
    assert_eq!(told(&mut outbox), ["end+RECEIVE @0"]);
}

#[test]
fn a_receive_that_the_peer_closed_is_not_raised() {
    let mut outbox = outbox();
    outbox.start_receive(CHANNEL, 1, &Metadata::new());
    outbox.raise_receive(CHANNEL, 1);
    outbox.forget_receive(CHANNEL);
    outbox.raise_receive(CHANNEL, 1);
    outbox.end_receive(CHANNEL);
    assert_eq!(told(&mut outbox), ["start+RECEIVE @1"]);
}

#[test]
fn a_raise_of_a_withdrawn_receive_does_not_touch_the_next() {
    let mut outbox = outbox();
    outbox.start_receive(CHANNEL, 1, &Metadata::new());
    outbox.raise_receive(CHANNEL, 1);
    outbox.end_receive(CHANNEL);
    outbox.start_receive(CHANNEL, 5, &Metadata::new());
    outbox.raise_receive(CHANNEL, 2);
    assert_eq!(told(&mut outbox), ["start+RECEIVE @1", "end+RECEIVE @0", "start+RECEIVE @5", "ack+RECEIVE @7"]);
}

#[test]
fn readiness_rises_before_a_response_of_one_frame() {
    let (mut outbox, key) = serving(false);
    outbox.start(key, start());
    outbox.body(key, text("hello"));
    outbox.close(key, end());
    assert_eq!(words(&claim(&mut outbox)), ["ack+RECEIVE @2", "start+RESPONSE 1 'hello' FINAL"]);
}

#[test]
fn readiness_rises_before_the_last_chunk_and_not_earlier() {
    let (mut outbox, key) = serving(true);
    outbox.body(key, zeros(100 * KIB));
    outbox.close(key, end());
    assert_eq!(words(&claim(&mut outbox)), ["chunk+RESPONSE 1 @0 (65536)"]);
    assert_eq!(words(&claim(&mut outbox)), ["ack+RECEIVE @2", "chunk+RESPONSE 1 @65536 (36864) FINAL"]);
}

#[test]
fn readiness_rises_before_an_end() {
    let (mut outbox, key) = serving(true);
    outbox.body(key, text("hello"));
    outbox.close(key, Close::End { trailer: trailer() });
    assert_eq!(told(&mut outbox), ["chunk+RESPONSE 1 @0 'hello'", "ack+RECEIVE @2", "end+RESPONSE 1 @5 (7)"]);
}

#[test]
fn readiness_rises_before_an_error_in_order() {
    let (mut outbox, key) = serving(true);
    outbox.body(key, text("half"));
    outbox.close(key, Close::Error { flags: Flags::NONE, payload: fault(Code::Application) });
    assert_eq!(told(&mut outbox), ["chunk+RESPONSE 1 @0 'half'", "ack+RECEIVE @2", "error+RESPONSE 1 'application'"]);
}

#[test]
fn readiness_rises_before_an_error_that_overtakes() {
    let (mut outbox, key) = serving(true);
    outbox.body(key, text("half"));
    outbox.abort(key, Flags::NONE, fault(Code::Returned));
    assert_eq!(told(&mut outbox), ["ack+RECEIVE @2", "error+RESPONSE 1 'returned'"]);
}

#[test]
fn a_raise_that_waits_is_merged_into_the_one_before_a_closing() {
    let (mut outbox, key) = serving(true);
    outbox.close(key, end());
    outbox.raise_receive(CHANNEL, 3);
    let mut counts = drain(&mut outbox);
    assert_eq!(counts.pop().map(|frame| frame.kind), Some(Kind::EndResponse));
    assert_eq!(counts.last().map(|frame| frame.header.value), Some(5));
}

#[test]
fn a_response_that_outlives_its_receive_raises_nothing() {
    let (mut outbox, key) = serving(true);
    outbox.end_receive(CHANNEL);
    outbox.close(key, end());
    assert_eq!(told(&mut outbox), ["end+RECEIVE @0", "end+RESPONSE 1 @0"]);
}

#[test]
fn a_response_of_a_withdrawn_receive_does_not_raise_the_next() {
    let (mut outbox, key) = serving(true);
    outbox.end_receive(CHANNEL);
    outbox.start_receive(CHANNEL, 1, &Metadata::new());
    outbox.close(key, end());
    assert_eq!(told(&mut outbox), ["end+RECEIVE @0", "start+RECEIVE @1", "end+RESPONSE 1 @0"]);
}

#[test]
fn a_discarded_response_raises_nothing() {
    let (mut outbox, key) = serving(true);
    outbox.close(key, end());
    outbox.discard(key);
    assert_eq!(told(&mut outbox), [""; 0]);
    outbox.raise_receive(CHANNEL, 1);
    assert_eq!(told(&mut outbox), ["ack+RECEIVE @2"]);
}
