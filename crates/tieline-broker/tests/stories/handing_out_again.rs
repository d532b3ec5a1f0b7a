//! A hand-out that brought no response: returned, or its receiver lost. Who gets the request then, from where, and
//! what its sender is told if nobody may.

use tieline_broker::ConnKey;
use tieline_protocol::{Code, Fault};

use crate::world::frames::*;
use crate::world::*;

const NOTHING: [&str; 0] = [];

/// A sender and two receivers with one receive each for one request; the first to take is the second value.
pub(crate) fn sender_and_two_receivers(world: &mut World) -> (ConnKey, ConnKey, ConnKey) {
    let [s, a, b] = world.join_all();
    world.send(a, receive(CHANNEL, 1));
    world.send(b, receive(CHANNEL, 1));
    (s, a, b)
}

#[test]
fn a_returned_request_goes_to_another_receiver_from_its_first_byte() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.send(s, request(id(s, 1)).body("hello"));
    assert_eq!(world.told(a), ["start+REQUEST 1/1 'hello'"]);
    world.send(s, chunk(Request, id(s, 1), 5, " world"));
    assert_eq!(world.told(a), ["chunk+REQUEST 1/1 @5 ' world'"]);
    world.send(a, returned(id(s, 1)));
    assert_eq!(world.told(a), NOTHING, "who returned it hears no more of it");
    assert_eq!(world.told(b), ["start+REQUEST 1/1 'hello world'"]);
    world.send(s, last_chunk(Request, id(s, 1), 11, "!"));
    assert_eq!(world.told(b), ["chunk+REQUEST 1/1 @11 '!' FINAL"]);
    world.send(b, response(id(s, 1)).body("hi").last());
    assert_eq!(world.told(s), ["start+RESPONSE 1/1 'hi' FINAL"], "its sender notices nothing");
    world.assert_at_rest();
}

#[test]
fn the_end_and_trailer_that_came_are_handed_out_again_too() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.send(s, request(id(s, 1)).metadata(metadata(40)).body("x"));
    world.send(s, end_with(Request, id(s, 1), 1, &metadata(20)));
    let first = world.got(a);
    world.send(a, returned(id(s, 1)));
    let second = world.got(b);
    let bytes = |frames: &[tieline_protocol::Frame]| frames.iter().map(|f| f.payload.clone()).collect::<Vec<_>>();
    assert_eq!(first.len(), 2);
    assert_eq!(bytes(&first), bytes(&second));
}

#[test]
fn a_return_in_the_midst_of_writing_discards_the_rest_of_that_hand_out() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.send(s, request(id(s, 1)).body("12345"));
    world.claim(a);
    world.deliver(a);
    world.stall(a);
    world.send(s, chunk(Request, id(s, 1), 5, "6789"));
    world.send(s, ack(Response, id(s, 1), 50_000));
    // The start has left, so the receiver may answer it whatever is written.
    world.send(a, returned(id(s, 1)));
    world.resume(a);
    assert_eq!(world.told(a), ["start+REQUEST 1/1 '12345'"], "nothing of the old hand-out follows");
    assert_eq!(world.told(b), ["start+REQUEST 1/1 '123456789'", "ack+RESPONSE 1/1 @50000"]);
}

#[test]
fn each_hand_out_gets_the_senders_highest_grant_right_behind_its_start() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    let [c] = world.join_all();
    world.send(c, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).body("x"));
    world.send(s, ack(Response, id(s, 1), 100_000));
    world.send(s, ack(Response, id(s, 1), 90_000));
    assert_eq!(world.told(a), ["start+REQUEST 1/1 'x'", "ack+RESPONSE 1/1 @100000"]);
    world.send(a, returned(id(s, 1)));
    assert_eq!(world.told(b), ["start+REQUEST 1/1 'x'", "ack+RESPONSE 1/1 @100000"]);
    world.send(s, ack(Response, id(s, 1), 200_000));
    assert_eq!(world.told(b), ["ack+RESPONSE 1/1 @200000"]);
    world.send(b, returned(id(s, 1)));
    assert_eq!(world.told(c), ["start+REQUEST 1/1 'x'", "ack+RESPONSE 1/1 @200000"]);
    // And it counts: the third may send all of it at once, beyond its initial window.
    world.send(c, response(id(s, 1)).body(zeros(60_000)));
    world.send(c, last_chunk(Response, id(s, 1), 60_000, zeros(60_000)));
    assert_eq!(world.outcome(id(s, 1)), Complete);
    world.assert_at_rest();
}

#[test]
fn a_grant_that_came_while_the_request_waited_is_not_lost() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)));
    world.send(s, ack(Response, id(s, 1), 40_000));
    world.send(r, receive(CHANNEL, 1));
    assert_eq!(world.told(r), ["start+REQUEST 1/1", "ack+RESPONSE 1/1 @40000"]);
}

// Who gets it

#[test]
fn who_returned_it_gets_it_again_only_if_nobody_else_is_ready() {
    let mut world = World::new();
    let [s, a, b] = world.join_all();
    world.send(a, receive(CHANNEL, 3));
    world.send(s, request(id(s, 1)));
    assert_eq!(world.told(a).len(), 1);
    world.send(a, returned(id(s, 1)));
    assert_eq!(world.told(a).len(), 1, "nobody else is there");
    world.send(b, receive(CHANNEL, 1));
    world.send(a, returned(id(s, 1)));
    assert_eq!(world.told(a), NOTHING);
    assert_eq!(world.told(b).len(), 1);
}

#[test]
fn a_returned_request_waits_for_the_next_that_becomes_ready() {
    let mut world = World::new();
    let [s, a, b] = world.join_all();
    world.send(a, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).wait(10));
    world.got(a);
    world.send(a, returned(id(s, 1)));
    assert_eq!(world.core.counts().waiting, 1);
    assert_eq!(world.told(s), NOTHING);
    world.advance(60_000);
    assert_eq!(world.told(s), NOTHING, "its wait was over for good once a byte of it had left");
    world.send(b, receive(CHANNEL, 1));
    assert_eq!(world.told(b), ["start+REQUEST 1/1"]);
}

#[test]
fn a_start_that_had_not_left_a_lost_receiver_never_leaves_it() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.send(s, request(id(s, 1)).body("once").last());
    // `kill` lets the writer go on after the core was told.
    world.kill(a);
    assert_eq!(world.told(b), ["start+REQUEST 1/1 'once' FINAL"]);
    assert_eq!(world.observer.deliveries(id(s, 1)), 1);
}

#[test]
fn a_pinned_start_goes_on_to_another_when_its_receiver_is_lost() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.stall(a);
    world.send(s, request(id(s, 1)).body("once").last());
    world.send(a, withdraw(CHANNEL));
    world.kill(a);
    assert_eq!(world.told(b), ["start+REQUEST 1/1 'once' FINAL"]);
    world.send(b, response(id(s, 1)).last());
    assert_eq!(world.outcome(id(s, 1)), Complete);
}

#[test]
fn what_a_lost_receiver_had_is_handed_on_in_the_order_in_which_it_came() {
    let mut world = World::new();
    let [s, a, b] = world.join_all();
    world.send(a, receive(CHANNEL, 4));
    for n in 1..=4 {
        world.send(s, request(id(s, n)).body("x").last());
    }
    world.send(b, receive(CHANNEL, 2));
    world.kill(a);
    assert_eq!(world.told(b), ["start+REQUEST 1/1 'x' FINAL", "start+REQUEST 1/2 'x' FINAL"]);
    world.send(b, raise(CHANNEL, 4));
    assert_eq!(world.told(b), ["start+REQUEST 1/3 'x' FINAL", "start+REQUEST 1/4 'x' FINAL"]);
}

#[test]
fn readiness_that_a_lost_sender_gives_back_goes_to_the_living() {
    let mut to_the_living = 0;
    for seed in 1..100 {
        let mut world = World::new();
        let [dead, s, r] = world.join_all();
        world.send(r, receive(CHANNEL, 1));
        world.stall(r);
        world.send(dead, request(id(dead, 1)));
        world.send(dead, request(id(dead, 2)));
        world.send(s, request(id(s, 1)));
        // A writer that claims at any moment finds nothing of the dead sender's second request to claim.
        world.race(r, seed * 0x9E37_79B9);
        world.kill(dead);
        world.resume(r);
        match world.told(r)[..] {
            [ref one] if one == "start+REQUEST 2/1" => to_the_living += 1,
            [ref start, ref error] if start == "start+REQUEST 1/1" && error == "error+REQUEST 1/1 sender-lost" => {}
            ref words => panic!("{words:?}"),
        }
    }
    assert!(to_the_living > 10, "the writer isn't always first");
}

// What its sender is told

#[test]
fn without_another_hand_out_the_sender_learns_at_once_that_nothing_ran() {
    let mut world = World::new();
    let [s, a] = world.join_all();
    world.send(a, receive(CHANNEL, 9));
    world.send(s, request(id(s, 1)).last());
    for _ in 0..3 {
        assert_eq!(world.told(a), ["start+REQUEST 1/1 FINAL"], "three hand-outs in all");
        world.send(a, returned(id(s, 1)));
    }
    assert_eq!(world.told(a), NOTHING);
    assert_eq!(world.outcome(id(s, 1)), Unstarted(Code::NoReceiver));
    world.assert_at_rest();
}

#[test]
fn hand_outs_whose_start_never_left_count_among_the_three() {
    let mut world = World::new();
    let [s] = world.join_all();
    world.send(s, request(id(s, 1)).idempotent());
    for _ in 0..3 {
        assert_eq!(world.told(s), NOTHING);
        let [r] = world.join_all();
        world.send(r, receive(CHANNEL, 1));
        world.kill(r);
    }
    assert_eq!(world.outcome(id(s, 1)), Unstarted(Code::NoReceiver));
    assert_eq!(world.observer.deliveries(id(s, 1)), 0);
}

#[test]
fn a_receiver_lost_with_a_start_that_left_is_told_as_it_is() {
    for answer in [None, Some(ack(Request, id(ConnKey(1), 1), 10)), Some(response(id(ConnKey(1), 1)).body("x").into())]
    {
        let mut world = World::new();
        let (s, a, b) = sender_and_two_receivers(&mut world);
        world.send(s, request(id(s, 1)));
        world.got(a);
        if let Some(answer) = answer {
            world.send(a, answer);
        }
        world.kill(a);
        assert_eq!(world.outcome(id(s, 1)), Failed(Code::ReceiverLost));
        assert_eq!(world.told(b), NOTHING, "who may have begun, may have begun: nobody else runs it");
        world.assert_at_rest();
    }
}

#[test]
fn claimed_is_left_even_if_it_was_never_written() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.send(s, request(id(s, 1)));
    world.claim(a);
    world.kill_silently(a);
    assert_eq!(world.outcome(id(s, 1)), Failed(Code::ReceiverLost));
    assert_eq!(world.told(b), NOTHING);
}

/// How a hand-out ends that brings no response.
#[derive(Clone, Copy, Debug)]
enum Without {
    Returned,
    LostUnsent,
    Lost,
}

#[test]
fn unstarted_is_said_exactly_when_every_hand_out_was_returned_or_never_left() {
    use Without::{Lost, LostUnsent, Returned};
    let ways = [Returned, LostUnsent, Lost];
    for first in ways {
        for second in ways {
            for third in ways {
                let ends = [first, second, third];
                let mut world = World::new();
                let s = world.join();
                world.send(s, request(id(s, 1)).idempotent().last());
                for end in ends {
                    assert_eq!(world.outcome(id(s, 1)), Open, "{ends:?}");
                    let r = world.join();
                    world.send(r, receive(CHANNEL, 1));
                    match end {
                        Returned => {
                            world.got(r);
                            world.send(r, returned(id(s, 1)));
                        }
                        LostUnsent => world.kill(r),
                        Lost => {
                            world.got(r);
                            world.kill(r);
                        }
                    }
                }
                let seen = ends.iter().any(|end| matches!(end, Lost));
                let code = if matches!(third, Lost) { Code::ReceiverLost } else { Code::NoReceiver };
                let expected = if seen { Failed(code) } else { Unstarted(code) };
                assert_eq!(world.outcome(id(s, 1)), expected, "{ends:?}");
                world.assert_at_rest();
            }
        }
    }
}

#[test]
fn unstarted_is_true_of_a_cancel_and_a_deadline_too() {
    for deadline in [false, true] {
        for lost in [false, true] {
            let mut world = World::new();
            let [s, r] = world.join_all();
            world.send(s, request(id(s, 1)).idempotent().deadline(1000));
            world.send(r, receive(CHANNEL, 1));
            world.got(r);
            if lost {
                world.kill(r);
            } else {
                world.send(r, returned(id(s, 1)));
            }
            let code = if deadline {
                world.advance(1000);
                Code::DeadlineExceeded
            } else {
                world.send(s, cancel(id(s, 1)));
                Code::Cancelled
            };
            let expected = if lost { Failed(code) } else { Unstarted(code) };
            assert_eq!(world.outcome(id(s, 1)), expected, "{code}, lost: {lost}");
        }
    }
}

// NO_WAIT

#[test]
fn no_wait_goes_to_another_that_is_ready_at_that_moment_or_fails() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.send(s, request(id(s, 1)).no_wait());
    world.got(a);
    world.send(a, raise(CHANNEL, 9));
    world.send(a, returned(id(s, 1)));
    assert_eq!(world.told(b), ["start+REQUEST 1/1"]);
    // Now only one is ready that has returned it already.
    world.send(b, returned(id(s, 1)));
    assert_eq!(world.told(a), NOTHING);
    assert_eq!(world.outcome(id(s, 1)), Unstarted(Code::NoReceiver));
}

#[test]
fn no_wait_never_waits_for_another_when_its_receiver_is_lost() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 2));
    world.send(s, request(id(s, 1)).no_wait());
    world.send(s, request(id(s, 2)));
    world.kill(r);
    assert_eq!(world.outcome(id(s, 1)), Unstarted(Code::NoReceiver));
    assert_eq!(world.outcome(id(s, 2)), Open, "the other one waits");
    world.core.check();
}

// What may be returned

#[test]
fn a_request_can_be_returned_only_before_it_was_accepted() {
    for accept in [ack(Request, id(ConnKey(1), 1), 0), response(id(ConnKey(1), 1)).into()] {
        let mut world = World::new();
        let (s, a, b) = sender_and_two_receivers(&mut world);
        world.send(s, request(id(s, 1)).idempotent());
        world.got(a);
        world.send(a, accept);
        world.send(a, returned(id(s, 1)));
        assert_eq!(world.told(a), ["error+REQUEST 1/1 invalid-frame"], "who breaks the rule is told which");
        assert_eq!(world.outcome(id(s, 1)), Failed(Code::ReceiverLost));
        assert_eq!(world.told(b), NOTHING);
        world.assert_at_rest();
    }
}

#[test]
fn words_that_come_with_a_return_go_nowhere() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.send(s, request(id(s, 1)));
    world.got(a);
    world.send(a, error_with(Response, id(s, 1), &Fault::because(Code::Returned, "no room").with_detail("full")));
    assert_eq!(world.told(s), NOTHING);
    assert_eq!(world.told(b), ["start+REQUEST 1/1"]);
}

#[test]
fn frames_of_an_old_hand_out_do_not_touch_the_new_one() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.send(s, request(id(s, 1)).body("x"));
    world.got(a);
    world.send(a, returned(id(s, 1)));
    let before = world.late_frames(a);
    world.send(a, ack(Request, id(s, 1), 100_000));
    world.send(a, response(id(s, 1)).body("from the old one").last());
    world.send(a, error(Response, id(s, 1), Code::Application));
    world.send(a, returned(id(s, 1)));
    assert_eq!(world.late_frames(a), before + 4);
    assert_eq!(world.told(s), NOTHING);
    assert_eq!(world.told(b), ["start+REQUEST 1/1 'x'"]);
}

#[test]
fn a_start_that_has_not_left_cannot_be_answered() {
    let mut world = World::new();
    let [s, a] = world.join_all();
    world.send(a, receive(CHANNEL, 3));
    world.stall(a);
    world.send(s, request(id(s, 1)).body("x"));
    // Whoever answers this guesses, or speaks of an earlier hand-out.
    world.send(a, returned(id(s, 1)));
    world.send(a, ack(Request, id(s, 1), 50_000));
    world.send(a, response(id(s, 1)).last());
    assert_eq!(world.late_frames(a), 3);
    assert_eq!(world.told(s), NOTHING);
    world.resume(a);
    assert_eq!(world.told(a), ["start+REQUEST 1/1 'x'"]);
    world.send(a, response(id(s, 1)).last());
    assert_eq!(world.outcome(id(s, 1)), Complete);
}
