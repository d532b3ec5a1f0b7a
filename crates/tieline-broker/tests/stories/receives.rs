//! Receives: counts, withdrawal, and the number that both sides agree on.

use tieline_broker::{ADMISSION, CoreConfig, RECEIVES_MIN};
use tieline_protocol::{ChannelId, Code, Kind, StartPayload};

use crate::world::frames::*;
use crate::world::words::code;
use crate::world::*;

const NOTHING: [&str; 0] = [];

#[test]
fn each_start_uses_one_readiness_and_counts_are_absolute() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    for n in 1..=4 {
        world.send(s, request(id(s, n)));
    }
    assert_eq!(world.told(r).len(), 1);
    for (count, more) in [(1, 0), (0, 0), (2, 1), (2, 0), (1, 0), (4, 2)] {
        world.send(r, raise(CHANNEL, count));
        assert_eq!(world.told(r).len(), more, "raised to {count}");
    }
    world.send(r, withdraw(CHANNEL));
    assert_eq!(world.told(r), ["end+RECEIVE @4"]);
}

#[test]
fn a_count_of_zero_makes_nobody_ready() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 0));
    world.send(s, request(id(s, 1)));
    assert_eq!(world.told(r), NOTHING);
    world.send(r, raise(CHANNEL, u64::MAX));
    assert_eq!(world.told(r), ["start+REQUEST 1/1"]);
}

#[test]
fn counts_may_add_up_to_more_than_a_number_holds() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, u64::MAX));
    world.send(r, receive(ELSEWHERE, u64::MAX));
    world.send(s, receive(CHANNEL, u64::MAX));
    world.send(s, request(id(s, 1)));
    assert_eq!(world.told(r), ["start+REQUEST 1/1"]);
    // What is counted for people is checked after each step.
    world.send(s, withdraw(CHANNEL));
    world.send(r, withdraw(ELSEWHERE));
}

#[test]
fn nothing_but_a_receive_makes_a_receiver_ready() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)));
    world.send(s, request(id(s, 2)));
    world.got(r);
    world.send(r, ack(Request, id(s, 1), 100));
    world.send(r, response(id(s, 1)).body("x"));
    world.send(r, chunk(Response, id(s, 1), 1, "x"));
    world.send(r, end(Response, id(s, 1), 2));
    assert_eq!(world.told(r), NOTHING, "not the accept, not the answer, not its end");
    world.send(r, raise(CHANNEL, 2));
    assert_eq!(world.told(r), ["start+REQUEST 1/2"]);
    // A cancel behind the hand-out gives back nothing either.
    world.send(s, request(id(s, 3)));
    world.send(s, cancel(id(s, 2)));
    assert_eq!(world.told(r), ["error+REQUEST 1/2 cancelled"]);
}

#[test]
fn a_start_that_has_not_left_is_taken_out_whole_and_its_readiness_used_for_the_next() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.stall(r);
    world.send(s, request(id(s, 1)).body("gone"));
    world.send(s, request(id(s, 2)).body("next"));
    world.send(s, cancel(id(s, 1)));
    world.resume(r);
    assert_eq!(world.told(r), ["start+REQUEST 1/2 'next'"]);
    assert_eq!(world.outcome(id(s, 1)), Unstarted(Code::Cancelled));
    world.send(r, withdraw(CHANNEL));
    assert_eq!(world.told(r), ["end+RECEIVE @1"], "one start was delivered, not two");
}

#[test]
fn readiness_is_given_back_once_also_with_more_ready() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 2));
    world.stall(r);
    world.send(s, request(id(s, 1)));
    world.send(s, request(id(s, 2)));
    world.send(s, cancel(id(s, 2)));
    world.send(s, cancel(id(s, 1)));
    for n in 3..=6 {
        world.send(s, request(id(s, n)));
    }
    world.resume(r);
    assert_eq!(world.told(r), ["start+REQUEST 1/3", "start+REQUEST 1/4"]);
    world.send(r, withdraw(CHANNEL));
    assert_eq!(world.told(r), ["end+RECEIVE @2"]);
}

#[test]
fn what_was_handed_out_before_a_withdrawal_goes_on() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 5));
    world.send(s, request(id(s, 1)));
    world.send(r, withdraw(CHANNEL));
    assert_eq!(world.told(r), ["start+REQUEST 1/1", "end+RECEIVE @1"]);
    world.send(s, request(id(s, 2)));
    assert_eq!(world.told(r), NOTHING);
    world.send(s, last_chunk(Request, id(s, 1), 0, "more"));
    assert_eq!(world.told(r), ["chunk+REQUEST 1/1 @0 'more' FINAL"]);
    world.send(r, response(id(s, 1)).last());
    assert_eq!(world.outcome(id(s, 1)), Complete);
    // And may be returned, too.
    world.send(r, receive(CHANNEL, 1));
    world.send(r, withdraw(CHANNEL));
    assert_eq!(world.told(r), ["start+REQUEST 1/2", "end+RECEIVE @1"]);
    world.send(r, returned(id(s, 2)));
    assert_eq!(world.core.counts().waiting, 1);
}

#[test]
fn once_a_withdrawal_is_answered_no_start_before_it_is_taken_out() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 3));
    world.stall(r);
    world.send(s, request(id(s, 1)).body("a").idempotent());
    world.send(s, request(id(s, 2)).body("b"));
    world.send(r, withdraw(CHANNEL));
    world.send(s, cancel(id(s, 1)));
    world.resume(r);
    assert_eq!(
        world.told(r),
        ["start+REQUEST 1/1 IDEMPOTENT", "error+REQUEST 1/1 cancelled", "start+REQUEST 1/2 'b'", "end+RECEIVE @2",],
        "delivered and followed by its error, in order"
    );
    assert_eq!(world.outcome(id(s, 1)), Failed(Code::Cancelled), "it was delivered, so nobody can say unstarted");
}

#[test]
fn a_start_stays_pinned_when_the_next_receive_is_open() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.stall(r);
    world.send(s, request(id(s, 1)));
    world.send(r, withdraw(CHANNEL));
    world.send(r, receive(CHANNEL, 2));
    world.send(s, request(id(s, 2)));
    world.send(s, cancel(id(s, 1)));
    world.send(s, request(id(s, 3)));
    world.send(s, request(id(s, 4)));
    world.resume(r);
    assert_eq!(
        world.told(r),
        [
            "start+REQUEST 1/1",
            "error+REQUEST 1/1 cancelled",
            "end+RECEIVE @1",
            "start+REQUEST 1/2",
            "start+REQUEST 1/3"
        ],
        "the old start gives no readiness to the new receive"
    );
    world.send(r, withdraw(CHANNEL));
    assert_eq!(world.told(r), ["end+RECEIVE @2"]);
}

#[test]
fn starts_and_ends_of_receives_leave_in_the_order_in_which_they_were_decided() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.stall(r);
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).body(zeros(INITIAL)));
    world.send(r, withdraw(CHANNEL));
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 2)));
    world.send(r, withdraw(CHANNEL));
    world.resume(r);
    let words = world.told(r);
    assert_eq!(words[0], "start+REQUEST 1/1 (16384)");
    assert_eq!(words[1..], ["end+RECEIVE @1", "start+REQUEST 1/2", "end+RECEIVE @1"]);
}

#[test]
fn a_raise_or_withdrawal_without_a_receive_is_late_and_gets_no_answer() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, raise(CHANNEL, 5));
    world.send(r, withdraw(CHANNEL));
    world.send(s, request(id(s, 1)));
    assert_eq!(world.told(r), NOTHING);
    assert_eq!(world.late_frames(r), 2);
    world.send(r, receive(CHANNEL, 0));
    world.send(r, withdraw(CHANNEL));
    world.send(r, raise(CHANNEL, 5));
    assert_eq!(world.told(r), ["end+RECEIVE @0"]);
    assert_eq!(world.late_frames(r), 3);
}

#[test]
fn a_second_receive_on_a_channel_is_fatal_until_the_first_is_withdrawn() {
    let mut world = World::new();
    let [r, other] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(r, receive(ELSEWHERE, 1));
    world.send(r, withdraw(CHANNEL));
    world.send(r, receive(CHANNEL, 1));
    let violation = world.send_fatal(r, receive(CHANNEL, 1));
    assert_eq!(violation.code, Code::InvalidFrame);
    assert!(world.is_alive(other));
    assert_eq!(world.core.counts().receives, 0);
}

#[test]
fn receives_beyond_the_limit_are_refused_with_one_error() {
    let mut config = CoreConfig::default();
    config.receives = 1;
    let mut world = World::with(config, AMPLE);
    let [r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(r, receive(ELSEWHERE, 1));
    assert_eq!(world.told(r), ["error+RECEIVE on E too-many-in-flight"]);
    assert_eq!(world.account(r).take_strikes(), 1);
    world.send(r, withdraw(CHANNEL));
    world.send(r, receive(ELSEWHERE, 1));
    assert_eq!(world.told(r), ["end+RECEIVE @0"], "the refused one isn't open, so it can be opened");
}

#[test]
fn places_for_receives_are_shared_and_memory_that_requests_have_spent_takes_none() {
    let mut world = World::with(CoreConfig::default(), ADMISSION);
    let [s, greedy, late] = world.join_all();
    world.send(s, request(id(s, 1)));
    world.send(s, request(id(s, 2)));
    assert_eq!(world.told(s), ["error+RESPONSE 1/2 overloaded UNSTARTED"], "the memory for requests is spent");
    for number in 0..RECEIVES_MIN {
        world.send(greedy, receive(ChannelId::from_u128((1 << 64) + u128::from(number)), 1));
    }
    let refused = world.told(greedy).iter().filter(|told| told.contains("overloaded")).count() as u64;
    assert!((RECEIVES_MIN / 2..RECEIVES_MIN).contains(&refused), "{refused} of {RECEIVES_MIN} are refused");
    world.send(late, receive(CHANNEL, 1));
    assert_eq!(world.told(late).len(), 1, "it is handed what waits");
    world.kill(greedy);
    for number in 0..RECEIVES_MIN / 8 {
        world.send(late, receive(ChannelId::from_u128((1 << 64) + u128::from(number)), 1));
    }
    assert_eq!(world.told(late), NOTHING, "the places of whoever is gone are free again");
}

#[test]
fn a_receive_has_no_body_and_whole_metadata() {
    for payload in [&[0, 0, b'x'][..], &[0, 4, 1, b'A']] {
        let mut world = World::new();
        let [r] = world.join_all();
        let mut frame = receive(CHANNEL, 1);
        frame.payload = bytes::Bytes::copy_from_slice(payload);
        frame.header.length = payload.len() as u32;
        assert_eq!(world.send_fatal(r, frame).code, Code::InvalidFrame);
    }
}

#[test]
fn the_end_of_a_connection_withdraws_all_its_receives_and_what_it_has_goes_on() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 2));
    world.send(r, receive(ELSEWHERE, 1));
    world.send(s, request(id(s, 1)));
    world.send(r, request(on(ELSEWHERE, id(r, 1))));
    world.send(r, end_connection());
    let mut words = world.told(r);
    words.sort_unstable();
    assert_eq!(
        words,
        ["end+RECEIVE @1", "end+RECEIVE on E @1", "start+REQUEST 1/1", "start+REQUEST 2/1 on E"],
        "each is answered, once"
    );
    world.send(s, request(id(s, 2)));
    assert_eq!(world.told(r), NOTHING);
    assert!(!world.account(r).is_quiet());
    world.send(r, response(id(s, 1)).last());
    world.send(r, response(on(ELSEWHERE, id(r, 1))).last());
    assert_eq!(world.outcome(id(s, 1)), Complete);
    assert!(world.account(r).is_quiet(), "so the connection may close");
    assert!(world.try_send(r, receive(CHANNEL, 1)).is_err(), "nothing is started behind the end");
}

#[test]
fn withdrawing_in_a_loop_is_held_against_whoever_does_it() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.stall(r);
    for _ in 0..100 {
        world.send(r, receive(CHANNEL, 1));
        world.send(r, withdraw(CHANNEL));
    }
    assert_eq!(world.account(r).take_strikes(), 100, "each answer costs memory as long as it isn't read");
    world.resume(r);
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)));
    world.send(r, withdraw(CHANNEL));
    assert_eq!(world.account(r).take_strikes(), 0, "a receive that brought something is free");
    let frames = world.got(r);
    assert_eq!(frames.len(), 102);
    assert!(frames.iter().filter(|frame| frame.kind == Kind::EndReceive).all(|frame| frame.header.value <= 1));
}

#[test]
fn a_receives_metadata_concerns_nobody_else() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive_with(CHANNEL, 1, &metadata(500)));
    world.send(s, request(id(s, 1)));
    let frame = world.got_one(r);
    assert!(StartPayload::split(&frame.payload).unwrap().metadata.is_empty());
    assert_eq!(world.told(s), NOTHING);
    world.send(r, response(id(s, 1)).last());
    assert_eq!(world.told(s), ["start+RESPONSE 1/1 FINAL"]);
}

#[test]
fn refusals_are_closed_with_their_reason() {
    let mut world = World::new();
    let [r] = world.join_all();
    world.drain();
    world.send(r, receive(CHANNEL, 1));
    let frame = world.got_one(r);
    assert_eq!((frame.kind, code(&frame)), (Kind::ErrorReceive, Code::ShuttingDown));
}
