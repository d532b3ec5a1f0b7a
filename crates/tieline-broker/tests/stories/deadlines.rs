//! Waits and deadlines: counted from a request's arrival, forwarded as what is left, true in what they tell.

use std::time::Duration;

use tieline_broker::CoreConfig;
use tieline_protocol::{Code, StartLimits};

use crate::world::frames::*;
use crate::world::*;

const NOTHING: [&str; 0] = [];

#[test]
fn the_forwarded_start_has_the_deadline_that_is_left_rounded_up() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)).wait(900).deadline(1000));
    world.advance(300);
    world.now = world.now + Duration::from_micros(1);
    world.send(r, receive(CHANNEL, 1));
    let limits = StartLimits::from_value(world.got_one(r).header.value);
    assert_eq!(limits, StartLimits { wait_ms: 0, deadline_ms: 700 }, "699.999 ms are left");
}

#[test]
fn the_last_nanosecond_is_forwarded_as_a_millisecond_and_never_as_none() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)).deadline(1));
    world.now = world.now + Duration::from_nanos(999_999);
    world.send(r, receive(CHANNEL, 1));
    assert_eq!(world.got_one(r).header.value, 1);
}

#[test]
fn longer_deadlines_and_none_are_cut_to_the_servers_longest() {
    let mut config = CoreConfig::default();
    config.deadline = Duration::from_secs(5);
    let mut world = World::with(config, AMPLE);
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 4));
    for (n, deadline, left) in [(1, 0, 5000), (2, 5001, 5000), (3, u32::MAX, 5000), (4, 4999, 4999)] {
        world.send(s, request(id(s, n)).deadline(deadline));
        assert_eq!(world.got_one(r).header.value, left);
    }
    world.advance(5000);
    for n in 1..=4 {
        assert_eq!(world.outcome(id(s, n)), Failed(Code::DeadlineExceeded));
    }
}

#[test]
fn a_request_that_waits_ends_by_its_wait_and_not_before() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)).wait(50).deadline(1000));
    world.advance(49);
    assert_eq!(world.told(s), NOTHING);
    world.advance(1);
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 wait-limit UNSTARTED"]);
    world.send(r, receive(CHANNEL, 1));
    assert_eq!(world.told(r), NOTHING);
    world.assert_at_rest();
}

#[test]
fn without_a_wait_it_waits_as_long_as_its_deadline() {
    for wait in [0, 100, 200] {
        let mut world = World::new();
        let s = world.join();
        world.send(s, request(id(s, 1)).wait(wait).deadline(100));
        world.advance(100);
        assert_eq!(world.told(s), ["error+RESPONSE 1/1 deadline-exceeded UNSTARTED"]);
        world.assert_at_rest();
    }
}

#[test]
fn a_start_that_never_left_and_is_lost_with_its_receiver_isnt_handed_out_behind_its_wait() {
    let mut world = World::new();
    let [s, r, other] = world.join_all();
    world.send(s, request(id(s, 1)).wait(50).deadline(1000));
    world.stall(r);
    world.send(r, receive(CHANNEL, 1));
    world.send(r, withdraw(CHANNEL));
    world.advance(50);
    assert_eq!(world.told(s), NOTHING, "the start will be delivered, for its receive is closed");
    world.kill(r);
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 wait-limit UNSTARTED"]);
    world.send(other, receive(CHANNEL, 1));
    assert_eq!(world.told(other), NOTHING);
    world.assert_at_rest();
}

#[test]
fn a_start_that_leaves_behind_the_wait_for_its_receive_was_closed_in_time_is_answered() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)).wait(50).deadline(1000).last());
    world.stall(r);
    world.send(r, receive(CHANNEL, 1));
    world.send(r, withdraw(CHANNEL));
    world.advance(50);
    world.resume(r);
    assert_eq!(world.told(r), ["start+REQUEST 1/1 FINAL", "end+RECEIVE @1"]);
    world.send(r, response(id(s, 1)).last());
    assert_eq!(world.outcome(id(s, 1)), Complete);
    world.assert_at_rest();
}

#[test]
fn the_wait_is_over_for_good_once_a_byte_of_the_start_has_left() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).wait(50).deadline(1000));
    world.claim(r);
    world.advance(50);
    assert_eq!(world.told(s), NOTHING);
    world.advance(949);
    assert_eq!(world.told(s), NOTHING);
    world.advance(1);
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 deadline-exceeded"]);
    assert_eq!(world.told(r), ["start+REQUEST 1/1", "error+REQUEST 1/1 deadline-exceeded"]);
    world.assert_at_rest();
}

#[test]
fn a_wait_that_passes_before_the_start_has_left_takes_it_back() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.stall(r);
    world.send(s, request(id(s, 1)).wait(50));
    world.send(s, request(id(s, 2)));
    world.advance(50);
    assert_eq!(world.outcome(id(s, 1)), Unstarted(Code::WaitLimit));
    world.resume(r);
    assert_eq!(world.told(r), ["start+REQUEST 1/2"], "the readiness is the next one's");
    world.send(r, withdraw(CHANNEL));
    assert_eq!(world.told(r), ["end+RECEIVE @1"]);
}

#[test]
fn a_wait_goes_on_when_a_receiver_is_lost_before_the_start_has_left() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.stall(r);
    world.send(s, request(id(s, 1)).wait(50));
    world.advance(10);
    world.kill(r);
    world.advance(39);
    assert_eq!(world.outcome(id(s, 1)), Open);
    world.advance(1);
    assert_eq!(world.outcome(id(s, 1)), Unstarted(Code::WaitLimit));
}

#[test]
fn a_deadline_that_passes_before_the_start_has_left_takes_it_back() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.stall(r);
    world.send(s, request(id(s, 1)).deadline(50).body("x"));
    world.advance(50);
    assert_eq!(world.outcome(id(s, 1)), Unstarted(Code::DeadlineExceeded));
    world.resume(r);
    assert_eq!(world.told(r), NOTHING);
    world.send(s, request(id(s, 2)));
    assert_eq!(world.told(r), ["start+REQUEST 1/2"]);
}

#[test]
fn a_pinned_start_whose_deadline_passes_is_delivered_with_its_error() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.stall(r);
    world.send(s, request(id(s, 1)).wait(20).deadline(50).body("x"));
    world.send(r, withdraw(CHANNEL));
    world.advance(20);
    assert_eq!(world.told(s), NOTHING, "nobody can say any more that it is not handed out");
    world.advance(30);
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 deadline-exceeded"]);
    world.resume(r);
    assert_eq!(
        world.told(r),
        ["start+REQUEST 1/1", "error+REQUEST 1/1 deadline-exceeded", "end+RECEIVE @1"],
        "without its body, which would be for nothing"
    );
    world.assert_at_rest();
}

#[test]
fn what_passed_its_wait_or_deadline_is_never_handed_out_though_the_timer_is_late() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)).wait(10));
    world.send(s, request(id(s, 2)).deadline(10));
    world.send(s, request(id(s, 3)));
    world.drift(10);
    world.send(r, receive(CHANNEL, 1));
    assert_eq!(world.told(r), ["start+REQUEST 1/3"]);
    assert_eq!(world.outcome(id(s, 1)), Unstarted(Code::WaitLimit));
    assert_eq!(world.outcome(id(s, 2)), Unstarted(Code::DeadlineExceeded));
}

#[test]
fn what_passed_its_deadline_is_not_handed_out_again_though_the_timer_is_late() {
    let mut world = World::new();
    let [s, a, b] = world.join_all();
    world.send(a, receive(CHANNEL, 1));
    world.send(b, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).deadline(10));
    world.got(a);
    world.drift(10);
    world.send(a, returned(id(s, 1)));
    assert_eq!(world.told(b), NOTHING);
    assert_eq!(world.outcome(id(s, 1)), Unstarted(Code::DeadlineExceeded));
}

#[test]
fn the_deadline_ends_an_exchange_in_every_stage_and_both_sides_are_told_once() {
    for stage in 0..4 {
        let mut world = World::new();
        let [s, r] = world.join_all();
        world.send(r, receive(CHANNEL, 1));
        world.send(s, request(id(s, 1)).body("abc").deadline(100));
        world.got(r);
        match stage {
            1 => world.send(r, ack(Request, id(s, 1), 100_000)),
            2 => world.send(r, response(id(s, 1)).body("x")),
            3 => world.send(s, last_chunk(Request, id(s, 1), 3, "def")),
            _ => {}
        }
        world.got(r);
        world.got(s);
        world.advance(100);
        assert_eq!(world.told(s), ["error+RESPONSE 1/1 deadline-exceeded"], "{stage}");
        assert_eq!(world.told(r), ["error+REQUEST 1/1 deadline-exceeded"], "{stage}");
        world.assert_at_rest();
        world.advance(100);
        assert_eq!((world.told(s), world.told(r)), (vec![], vec![]));
    }
}

#[test]
fn there_is_no_time_limit_on_work_but_the_deadline() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).wait(1));
    world.got(r);
    world.advance(23 * 3600 * 1000);
    assert_eq!(world.told(s), NOTHING);
    world.send(r, response(id(s, 1)).last());
    assert_eq!(world.outcome(id(s, 1)), Complete);
}

#[test]
fn timers_are_set_by_requests_alone_and_the_earliest_counts() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(ELSEWHERE, 5));
    assert_eq!(world.core.next_expiry(), None);
    world.send(s, request(id(s, 1)).deadline(500));
    world.send(s, request(id(s, 2)).wait(100));
    let in_ms = |world: &World| world.core.next_expiry().map(|due| due.since(world.now).as_millis());
    assert_eq!(in_ms(&world), Some(100));
    world.advance(100);
    assert_eq!(in_ms(&world), Some(400));
    world.advance(400);
    assert_eq!(in_ms(&world), None);
}
