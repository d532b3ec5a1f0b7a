//! In which order frames of different classes leave, and what each class merges.

use super::*;

#[test]
fn the_four_classes_leave_in_their_order_however_they_were_put() {
    let mut outbox = outbox();
    let acked = started_response(&mut outbox, 1);
    let bulk = started_response(&mut outbox, 2);
    let new = outbox.open(exchange(3), Way::Request);

    outbox.body(bulk, text("bulk"));
    outbox.start(new, start());
    outbox.ack(acked, 100);
    outbox.pong(7);
    outbox.first(Frame::new(Kind::Ping, Kind::Ping.header().value(9), Bytes::new()));

    assert_eq!(
        told(&mut outbox),
        ["ping @9", "ping+RESPONSE @7", "ack+REQUEST 1 @100", "start+REQUEST 3", "chunk+RESPONSE 2 @0 'bulk'"]
    );
}

#[test]
fn an_abort_overtakes_starts_and_bodies_of_others() {
    let mut outbox = outbox();
    let bulk = started_request(&mut outbox, 1);
    let doomed = started_request(&mut outbox, 2);
    let new = outbox.open(exchange(3), Way::Request);
    outbox.body(bulk, text("bulk"));
    outbox.start(new, start());
    outbox.abort(doomed, Flags::NONE, fault(Code::Cancelled));
    assert_eq!(told(&mut outbox), ["error+REQUEST 2 'cancelled'", "start+REQUEST 3", "chunk+REQUEST 1 @0 'bulk'"]);
}

#[test]
fn receives_and_request_starts_leave_in_the_order_in_which_they_were_decided() {
    let mut outbox = outbox();
    let first = outbox.open(exchange(1), Way::Request);
    let second = outbox.open(exchange(2), Way::Request);
    outbox.start(second, start());
    outbox.start_receive(CHANNEL, 1, &Metadata::new());
    outbox.start(first, start());
    outbox.raise_receive(CHANNEL, 2);
    outbox.end_receive(CHANNEL);
    assert_eq!(
        told(&mut outbox),
        ["start+REQUEST 2", "start+RECEIVE @1", "start+REQUEST 1", "end+RECEIVE @0"],
        "a raise says nothing once the receive is withdrawn"
    );
}

#[test]
fn the_answer_to_a_ping_is_something_to_write() {
    let mut outbox = outbox();
    outbox.pong(7);
    assert!(!outbox.is_empty(), "or its writer would not be woken for it");
    assert_eq!(told(&mut outbox), ["ping+RESPONSE @7"]);
}

#[test]
fn of_several_acks_that_wait_only_the_highest_leaves() {
    let mut outbox = outbox();
    let key = started_response(&mut outbox, 1);
    for to in [100, 300, 200] {
        outbox.ack(key, to);
    }
    assert_eq!(told(&mut outbox), ["ack+REQUEST 1 @300"]);
    outbox.ack(key, 400);
    assert_eq!(told(&mut outbox), ["ack+REQUEST 1 @400"]);
}

#[test]
fn an_ack_stands_behind_the_request_start_that_it_belongs_to() {
    let mut outbox = outbox();
    let other = outbox.open(exchange(1), Way::Request);
    let key = outbox.open(exchange(2), Way::Request);
    outbox.ack(key, 100);
    assert!(outbox.is_empty(), "nothing of an exchange precedes its start");
    assert!(claim(&mut outbox).is_empty());
    outbox.start(other, start());
    outbox.start(key, start());
    outbox.ack(key, 200);
    assert_eq!(told(&mut outbox), ["start+REQUEST 1", "start+REQUEST 2", "ack+RESPONSE 2 @200"]);
}

#[test]
fn an_error_stands_behind_the_request_start_that_it_belongs_to() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Request);
    outbox.start(key, start());
    outbox.body(key, text("body"));
    outbox.abort(key, Flags::NONE, fault(Code::Cancelled));
    assert_eq!(told(&mut outbox), ["start+REQUEST 1", "error+REQUEST 1 'cancelled'"]);
}

#[test]
fn an_ack_of_the_request_may_precede_the_start_of_the_response() {
    let mut outbox = outbox();
    let key = outbox.open(exchange(1), Way::Response);
    outbox.ack(key, 100);
    assert_eq!(told(&mut outbox), ["ack+REQUEST 1 @100"]);
}

#[test]
fn no_ack_follows_the_frame_that_ends_the_exchange_on_its_way() {
    let mut outbox = outbox();
    let answered = started_response(&mut outbox, 1);
    outbox.close(answered, end());
    let failed = started_request(&mut outbox, 2);
    outbox.abort(failed, Flags::NONE, fault(Code::Cancelled));
    drain(&mut outbox);
    outbox.ack(answered, 100);
    outbox.ack(failed, 100);
    assert_eq!(told(&mut outbox), [""; 0]);

    let complete = started_request(&mut outbox, 3);
    outbox.close(complete, end());
    drain(&mut outbox);
    outbox.ack(complete, 100);
    assert_eq!(told(&mut outbox), ["ack+RESPONSE 3 @100"], "the response still comes, and needs credit");
}

#[test]
fn only_the_newest_ping_is_answered() {
    let mut outbox = outbox();
    for nonce in [1, 2, 3] {
        outbox.pong(nonce);
    }
    assert_eq!(told(&mut outbox), ["ping+RESPONSE @3"]);
    assert!(outbox.is_empty());
}

fn refusal() -> Frame {
    Frame::new(Kind::ErrorReceive, Kind::ErrorReceive.header().channel(CHANNEL), zeros(KIB - HEADER_LEN))
}

#[test]
fn refusals_that_nobody_reads_are_bounded() {
    let mut outbox = outbox();
    let taken = (0..2 * REFUSALS_MAX / KIB).take_while(|_| outbox.refuse(refusal())).count();
    assert_eq!(taken, REFUSALS_MAX / KIB);
}

#[test]
fn refusals_that_are_read_are_not_counted_for_ever() {
    let mut outbox = outbox();
    let mut batch = Batch::new();
    // The peer reads as fast as it is refused, but the queue is never quite empty.
    for _ in 0..REFUSALS_MAX / KIB / 2 {
        assert!(outbox.refuse(refusal()));
    }
    for round in 0..100 {
        for _ in 0..TURN / KIB {
            assert!(outbox.refuse(refusal()), "round {round}");
        }
        outbox.claim(&mut batch);
        assert_eq!(batch.drain().len(), TURN);
        outbox.written();
        assert!(!outbox.is_empty());
    }
}

#[test]
fn the_answer_to_a_ping_stands_behind_the_refusals_of_what_came_before_it() {
    let mut outbox = outbox();
    let header = Kind::ErrorResponse.header().exchange(exchange(1));
    assert!(outbox.refuse(Frame::new(Kind::ErrorResponse, header, fault(Code::Overloaded))));
    outbox.pong(7);
    assert_eq!(told(&mut outbox), ["error+RESPONSE 1 'overloaded'", "ping+RESPONSE @7"]);
}
