//! What may still be taken out, and that nothing is left behind.

use super::*;

#[test]
fn a_start_that_was_not_claimed_is_taken_out_whole() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Request);
    outbox.start(key, start());
    outbox.body(key, text("body"));
    outbox.ack(key, 100);
    outbox.close(key, end());
    assert!(!outbox.has_left(key));
    assert!(outbox.retract(key));
    assert!(outbox.is_empty(), "there is nothing to wake a writer for");
    assert_eq!(told(&mut outbox), [""; 0]);
    assert_eq!(outbox.lanes(), 0);
}

#[test]
fn a_start_that_was_claimed_is_not_taken_back_even_if_the_socket_has_not_taken_it() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Request);
    outbox.start(key, start());
    outbox.body(key, zeros(100 * KIB));
    assert_eq!(claim(&mut outbox).len(), 1);
    assert!(outbox.has_left(key));
    assert!(!outbox.retract(key));
    outbox.written();
    assert_eq!(words(&drain(&mut outbox)), [format!("chunk+REQUEST 1 @{} (36866)", 64 * KIB - 2)]);
}

#[test]
fn a_retracted_start_leaves_the_others_in_their_order() {
    let mut outbox = outbox();
    let keys: Vec<_> = (1..=5)
        .map(|request| {
            let key = outbox.open(exchange(request), Way::Request);
            outbox.start(key, start());
            key
        })
        .collect();
    assert!(outbox.retract(keys[1]));
    assert!(outbox.retract(keys[3]));
    assert_eq!(told(&mut outbox), ["start+REQUEST 1", "start+REQUEST 3", "start+REQUEST 5"]);
}

#[test]
fn retracted_starts_do_not_pile_up_while_nothing_is_claimed() {
    let mut outbox = outbox();
    let kept = outbox.open(exchange(1), Way::Request);
    outbox.start(kept, start());
    for request in 2..10_002 {
        let key = outbox.open(exchange(request), Way::Request);
        outbox.start(key, start());
        outbox.ack(key, 5);
        assert!(outbox.retract(key));
        assert!(outbox.ordered.len() < 100 && outbox.hot.len() < 100 && outbox.turn.len() < 100);
    }
    assert_eq!(outbox.lanes(), 1);
    assert_eq!(told(&mut outbox), ["start+REQUEST 1"]);
}

#[test]
fn discarded_lanes_do_not_pile_up_while_nothing_is_claimed() {
    let mut outbox = outbox();
    for request in 1..10_001 {
        let way = if request % 2 == 0 { Way::Request } else { Way::Response };
        let key = outbox.open(exchange(request), way);
        outbox.start(key, start());
        outbox.body(key, text("body"));
        outbox.ack(key, 5);
        outbox.discard(key);
        assert!(outbox.ordered.len() < 100 && outbox.hot.len() < 100 && outbox.turn.len() < 100);
    }
    assert_eq!(outbox.lanes(), 0);
    assert_eq!(told(&mut outbox), [""; 0]);
}

#[test]
fn a_key_of_a_lane_that_is_gone_hits_no_stranger() {
    let mut outbox = outbox();
    let old = outbox.open(exchange(1), Way::Request);
    outbox.start(old, start());
    outbox.retract(old);
    let new = outbox.open(exchange(2), Way::Request);
    outbox.start(new, start());

    outbox.body(old, text("late"));
    outbox.ack(old, 1);
    outbox.close(old, end());
    outbox.abort(old, Flags::NONE, fault(Code::Cancelled));
    outbox.discard(old);
    outbox.finish(old, None);
    assert!(!outbox.retract(old), "what is gone can't be taken back");
    assert!(outbox.has_left(old) && outbox.has_closed(old));
    assert_eq!(outbox.waiting(old), 0);
    assert_eq!(told(&mut outbox), ["start+REQUEST 2"]);
}

#[test]
fn a_finished_lane_goes_when_its_last_byte_is_written() {
    let mut outbox = outbox();
    let key = started_request(&mut outbox, 1);
    outbox.body(key, text("hello"));
    outbox.close(key, end());
    outbox.finish(key, None);
    assert_eq!(outbox.lanes(), 1);
    assert_eq!(words(&claim(&mut outbox)), ["chunk+REQUEST 1 @0 'hello' FINAL"]);
    assert_eq!(outbox.lanes(), 1, "claimed is not written");
    outbox.written();
    assert_eq!(outbox.lanes(), 0);
}

#[test]
fn a_lane_that_is_finished_when_all_is_written_goes_at_once() {
    let mut outbox = outbox();
    let key = started_request(&mut outbox, 1);
    outbox.close(key, end());
    drain(&mut outbox);
    assert_eq!(outbox.lanes(), 1);
    outbox.finish(key, None);
    assert_eq!(outbox.lanes(), 0);
}

#[test]
fn a_finished_lane_acks_no_more() {
    let mut outbox = outbox();
    let key = started_response(&mut outbox, 1);
    outbox.ack(key, 5);
    outbox.body(key, text("hello"));
    outbox.close(key, end());
    outbox.finish(key, None);
    assert_eq!(told(&mut outbox), ["chunk+RESPONSE 1 @0 'hello' FINAL"]);
    assert_eq!(outbox.lanes(), 0);
}

#[test]
fn a_discarded_lane_waits_only_for_what_was_claimed() {
    let mut outbox = outbox();
    let key = started_response(&mut outbox, 1);
    outbox.body(key, zeros(200 * KIB));
    claim(&mut outbox);
    outbox.discard(key);
    assert_eq!(outbox.body_waiting(), 0);
    assert_eq!(outbox.lanes(), 1);
    outbox.written();
    assert_eq!(outbox.lanes(), 0);
    assert!(outbox.is_empty());
}

#[test]
fn a_finished_abort_is_still_delivered() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Request);
    outbox.start(key, start());
    outbox.abort(key, Flags::NONE, fault(Code::Cancelled));
    outbox.finish(key, None);
    assert_eq!(told(&mut outbox), ["start+REQUEST 1", "error+REQUEST 1 'cancelled'"]);
    assert_eq!(outbox.lanes(), 0);
}
