//! How a direction starts, ends, and is cut off.

use super::*;

#[test]
fn a_lane_that_is_finished_still_delivers_what_it_has_from_its_start_on() {
    for way in [Way::Request, Way::Response] {
        let mut outbox = outbox();
        let key = outbox.open(exchange(1), way);
        outbox.start(key, start());
        outbox.finish(key, None);
        assert_eq!(drain(&mut outbox).len(), 1);
        assert_eq!(outbox.lanes(), 0);
    }
}

#[test]
fn a_small_request_is_one_frame() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Request);
    outbox.start(key, start());
    outbox.body(key, text("hel"));
    outbox.body(key, text("lo"));
    outbox.close(key, end());
    assert_eq!(told(&mut outbox), ["start+REQUEST 1 'hello' FINAL"]);
    assert!(outbox.has_closed(key));
}

#[test]
fn a_small_response_is_one_frame() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Response);
    outbox.start(key, start());
    outbox.body(key, text("hello"));
    outbox.close(key, end());
    assert_eq!(told(&mut outbox), ["start+RESPONSE 1 'hello' FINAL"]);
}

#[test]
fn an_empty_body_is_one_start() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Request);
    outbox.start(key, start());
    outbox.close(key, end());
    assert_eq!(told(&mut outbox), ["start+REQUEST 1 FINAL"]);
}

#[test]
fn a_start_carries_its_flags_value_and_metadata() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Request);
    let mut metadata = Metadata::new();
    metadata.push("a", "b").unwrap();
    let flags = Flags::IDEMPOTENT | Flags::NO_WAIT;
    outbox.start(key, StartFrame { flags, value: 0x0000_0005_0000_0006, metadata: metadata.clone() });
    outbox.body(key, text("x"));
    let frames = drain(&mut outbox);
    assert_eq!(frames[0].header.flags, Flags::REQUEST | flags);
    assert_eq!(frames[0].header.value, 0x0000_0005_0000_0006);
    assert_eq!(StartPayload::split(&frames[0].payload), Ok(StartPayload { metadata, body: text("x") }));
}

#[test]
fn a_body_that_is_closed_while_its_last_chunk_waits_ends_with_that_chunk() {
    let mut outbox = outbox();
    let key = started_request(&mut outbox, 1);
    outbox.body(key, text("one"));
    assert_eq!(told(&mut outbox), ["chunk+REQUEST 1 @0 'one'"]);
    outbox.body(key, text("two"));
    outbox.close(key, end());
    assert_eq!(told(&mut outbox), ["chunk+REQUEST 1 @3 'two' FINAL"]);
}

#[test]
fn a_body_that_is_closed_when_all_has_left_ends_with_an_end_that_says_its_length() {
    let mut outbox = outbox();
    let key = started_response(&mut outbox, 1);
    outbox.body(key, text("hello"));
    drain(&mut outbox);
    outbox.close(key, end());
    assert_eq!(told(&mut outbox), ["end+RESPONSE 1 @5"]);
}

#[test]
fn a_trailer_needs_an_end_of_its_own() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Response);
    outbox.start(key, start());
    outbox.body(key, text("hello"));
    outbox.close(key, Close::End { trailer: trailer() });
    let frames = drain(&mut outbox);
    assert_eq!(words(&frames), ["start+RESPONSE 1 'hello'", "end+RESPONSE 1 @5 (7)"]);
    assert_eq!(frames[1].payload, trailer());
}

#[test]
fn an_error_put_in_order_travels_behind_the_body() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Response);
    outbox.start(key, start());
    outbox.body(key, text("half"));
    outbox.close(key, Close::Error { flags: Flags::NONE, payload: fault(Code::Application) });
    assert_eq!(told(&mut outbox), ["start+RESPONSE 1 'half'", "error+RESPONSE 1 'application'"]);
}

#[test]
fn nothing_is_taken_behind_a_closing() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Response);
    outbox.start(key, start());
    outbox.close(key, end());
    outbox.body(key, text("late"));
    outbox.close(key, Close::Error { flags: Flags::NONE, payload: fault(Code::Internal) });
    assert_eq!(told(&mut outbox), ["start+RESPONSE 1 FINAL"]);
    outbox.body(key, text("late"));
    outbox.close(key, end());
    outbox.abort(key, Flags::NONE, fault(Code::Internal));
    assert_eq!(told(&mut outbox), [""; 0]);
}

#[test]
fn an_abort_discards_the_body_that_waits() {
    let mut outbox = outbox();
    let key = started_response(&mut outbox, 1);
    outbox.body(key, zeros(100 * KIB));
    outbox.close(key, end());
    assert_eq!(words(&claim(&mut outbox)), ["chunk+RESPONSE 1 @0 (65536)"]);
    outbox.abort(key, Flags::NONE, fault(Code::DeadlineExceeded));
    assert_eq!(outbox.waiting(key), 0);
    assert_eq!(told(&mut outbox), ["error+RESPONSE 1 'deadline-exceeded'"]);
}

#[test]
fn an_abort_of_a_response_drops_a_start_that_waits() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Response);
    outbox.start(key, start());
    outbox.body(key, text("never seen"));
    outbox.abort(key, Flags::NONE, fault(Code::ReceiverLost));
    assert_eq!(told(&mut outbox), ["error+RESPONSE 1 'receiver-lost'"]);
}

#[test]
fn an_abort_needs_no_start_of_a_response() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Response);
    outbox.abort(key, Flags::NONE, fault(Code::WaitLimit));
    assert_eq!(told(&mut outbox), ["error+RESPONSE 1 'wait-limit'"]);
}

#[test]
fn a_request_that_was_complete_can_still_be_cancelled_once() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Request);
    outbox.start(key, start());
    outbox.close(key, end());
    assert_eq!(told(&mut outbox), ["start+REQUEST 1 FINAL"]);
    outbox.abort(key, Flags::NONE, fault(Code::Cancelled));
    assert_eq!(told(&mut outbox), ["error+REQUEST 1 'cancelled'"]);
    outbox.abort(key, Flags::NONE, fault(Code::SenderLost));
    assert_eq!(told(&mut outbox), [""; 0], "nobody is told twice that it is over");
}

#[test]
fn a_request_that_failed_in_order_is_not_failed_again() {
    let mut outbox = outbox();
    let key = started_request(&mut outbox, 1);
    outbox.close(key, Close::Error { flags: Flags::NONE, payload: fault(Code::Application) });
    assert_eq!(told(&mut outbox), ["error+REQUEST 1 'application'"]);
    outbox.abort(key, Flags::NONE, fault(Code::Cancelled));
    assert_eq!(told(&mut outbox), [""; 0]);
}

#[test]
fn a_second_abort_before_the_first_has_left_is_still_one_frame() {
    let mut outbox = outbox();
    let key = started_request(&mut outbox, 1);
    outbox.abort(key, Flags::NONE, fault(Code::Cancelled));
    outbox.abort(key, Flags::NONE, fault(Code::SenderLost));
    assert_eq!(drain(&mut outbox).len(), 1);
}
