//! Credit: each direction has its own window, grants pass through the server, and who exceeds them is told so.

use tieline_broker::ConnKey;
use tieline_protocol::Code;
use tieline_protocol::limits::WINDOW_DEFAULT;

use crate::world::frames::*;
use crate::world::words::code;
use crate::world::*;

const NOTHING: [&str; 0] = [];
const WINDOW: usize = WINDOW_DEFAULT as usize;

/// A request that a receiver has, with so much metadata and body.
fn handed(world: &mut World, about: usize, body: usize) -> (ConnKey, ConnKey) {
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 9));
    world.send(s, request(id(s, 1)).metadata(metadata(about)).body(zeros(body)));
    world.got(r);
    (s, r)
}

#[test]
fn the_initial_window_may_be_used_to_the_last_byte_and_no_further() {
    for about in [0, 1000, INITIAL] {
        let mut world = World::new();
        let (s, r) = handed(&mut world, about, 0);
        let credit = INITIAL - about;
        if credit > 0 {
            world.send(s, chunk(Request, id(s, 1), 0, zeros(credit)));
            assert_eq!(world.got(r).len(), 1);
        }
        world.send(s, chunk(Request, id(s, 1), credit, "x"));
        assert_eq!(world.told(s), ["error+RESPONSE 1/1 flow-control"]);
        assert_eq!(world.told(r), ["error+REQUEST 1/1 sender-lost"]);
        world.assert_at_rest();
    }
}

#[test]
fn a_start_that_is_larger_than_its_window_is_refused_before_anything_is_kept() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 9));
    world.send(s, request(id(s, 1)).metadata(metadata(1000)).body(zeros(INITIAL - 1000)));
    assert_eq!(world.got(r).len(), 1);
    world.send(s, request(id(s, 2)).metadata(metadata(1000)).body(zeros(INITIAL - 999)));
    assert_eq!(world.told(s), ["error+RESPONSE 1/2 flow-control UNSTARTED"]);
    assert_eq!(world.told(r), NOTHING);
}

#[test]
fn a_request_that_waits_has_its_initial_window_and_no_more() {
    let mut world = World::new();
    let s = world.join();
    world.send(s, request(id(s, 1)).body(zeros(INITIAL)));
    world.send(s, chunk(Request, id(s, 1), INITIAL, "x"));
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 flow-control UNSTARTED"]);
    world.assert_at_rest();
}

#[test]
fn the_response_has_an_initial_window_of_its_own() {
    for about in [0, 1000] {
        let mut world = World::new();
        let (s, r) = handed(&mut world, 0, INITIAL);
        let credit = INITIAL - about;
        world.send(r, response(id(s, 1)).metadata(metadata(about)).body(zeros(credit)));
        world.got(s);
        world.send(r, chunk(Response, id(s, 1), credit, "x"));
        assert_eq!(world.told(r), ["error+REQUEST 1/1 flow-control"]);
        assert_eq!(world.told(s), ["error+RESPONSE 1/1 receiver-lost"]);
        world.assert_at_rest();
    }
    let mut world = World::new();
    let (s, r) = handed(&mut world, 0, 0);
    world.send(r, response(id(s, 1)).metadata(metadata(8)).body(zeros(INITIAL - 7)));
    assert_eq!(world.told(r), ["error+REQUEST 1/1 flow-control"]);
    assert_eq!(world.outcome(id(s, 1)), Failed(Code::ReceiverLost));
}

#[test]
fn grants_pass_through_and_repeated_or_older_ones_change_nothing() {
    let mut world = World::new();
    let (s, r) = handed(&mut world, 0, 10);
    for (to, passed) in [(INITIAL, false), (50_000, true), (50_000, false), (20_000, false), (0, false), (50_001, true)]
    {
        world.send(r, ack(Request, id(s, 1), to));
        let expected = if passed { vec![format!("ack+REQUEST 1/1 @{to}")] } else { vec![] };
        assert_eq!(world.told(s), expected);
    }
    for turn in 0..2 {
        world.send(s, chunk(Request, id(s, 1), 10 + turn * 24_995, zeros(24_995)));
    }
    world.send(s, chunk(Request, id(s, 1), 50_000, "y"));
    assert_eq!(world.told(s), NOTHING);
    world.send(s, chunk(Request, id(s, 1), 50_001, "z"));
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 flow-control"]);
}

#[test]
fn the_sender_grants_the_response_in_the_same_way() {
    let mut world = World::new();
    let (s, r) = handed(&mut world, 0, 0);
    world.send(s, ack(Response, id(s, 1), 50_000));
    assert_eq!(world.told(r), ["ack+RESPONSE 1/1 @50000"]);
    world.send(r, response(id(s, 1)).body(zeros(40_000)));
    world.send(s, ack(Response, id(s, 1), 60_000));
    assert_eq!(world.told(r), ["ack+RESPONSE 1/1 @60000"]);
    world.send(r, chunk(Response, id(s, 1), 40_000, zeros(20_000)));
    world.settle();
    assert_eq!(world.observer.response_len(id(s, 1)), Some(60_000));
    world.send(r, chunk(Response, id(s, 1), 60_000, "x"));
    assert_eq!(world.told(r), ["error+REQUEST 1/1 flow-control"]);
}

#[test]
fn of_many_grants_that_wait_for_a_slow_sender_the_newest_leaves() {
    let mut world = World::new();
    let (s, r) = handed(&mut world, 0, 0);
    world.stall(s);
    for to in (20_000..30_000).step_by(10) {
        world.send(r, ack(Request, id(s, 1), to));
    }
    world.resume(s);
    assert_eq!(world.told(s), ["ack+REQUEST 1/1 @29990"]);
}

#[test]
fn a_grant_may_be_one_window_ahead_and_not_a_byte_more() {
    for over in [0, 1] {
        let mut world = World::new();
        let (s, r) = handed(&mut world, 0, 100);
        world.send(r, ack(Request, id(s, 1), 100 + WINDOW + over));
        if over == 0 {
            assert_eq!(world.told(s), [format!("ack+REQUEST 1/1 @{}", 100 + WINDOW)]);
        } else {
            assert_eq!(world.told(r), ["error+REQUEST 1/1 flow-control"], "an error, never a silent clamp");
            assert_eq!(world.told(s), ["error+RESPONSE 1/1 receiver-lost"]);
            world.assert_at_rest();
        }

        let mut world = World::new();
        let (s, r) = handed(&mut world, 0, 0);
        world.send(r, response(id(s, 1)).body(zeros(50)));
        world.got(s);
        world.send(s, ack(Response, id(s, 1), 50 + WINDOW + over));
        if over == 0 {
            assert_eq!(world.told(r), [format!("ack+RESPONSE 1/1 @{}", 50 + WINDOW)]);
        } else {
            assert_eq!(world.told(s), ["error+RESPONSE 1/1 flow-control"]);
            assert_eq!(world.told(r), ["error+REQUEST 1/1 sender-lost"]);
            world.assert_at_rest();
        }
    }
}

#[test]
fn what_still_waits_for_the_consumer_does_not_count_as_forwarded() {
    let arrived = 60_000;
    for over in [0, 1] {
        // A receiver that reads nothing and grants on: what the server holds for it must not exceed a window.
        let mut world = World::new();
        let (s, r) = handed(&mut world, 0, 0);
        world.send(r, ack(Request, id(s, 1), arrived));
        world.got(s);
        world.stall(r);
        world.send(s, chunk(Request, id(s, 1), 0, zeros(arrived)));
        world.send(r, ack(Request, id(s, 1), WINDOW + over));
        assert_eq!(world.told(s), [["error+RESPONSE 1/1 receiver-lost"], ["ack+REQUEST 1/1 @1048576"]][1 - over]);
        if over == 0 {
            world.resume(r);
            world.settle();
            world.send(r, ack(Request, id(s, 1), arrived + WINDOW));
            assert_eq!(world.told(s), [format!("ack+REQUEST 1/1 @{}", arrived + WINDOW)]);
        }

        let mut world = World::new();
        let (s, r) = handed(&mut world, 0, 0);
        world.send(s, ack(Response, id(s, 1), arrived));
        world.got(r);
        world.stall(s);
        world.send(r, response(id(s, 1)).body(zeros(arrived)));
        world.send(s, ack(Response, id(s, 1), WINDOW + over));
        assert_eq!(world.told(r), [["error+REQUEST 1/1 sender-lost"], ["ack+RESPONSE 1/1 @1048576"]][1 - over]);
        if over == 0 {
            world.resume(s);
            world.settle();
            world.send(s, ack(Response, id(s, 1), arrived + WINDOW));
            assert_eq!(world.told(r), [format!("ack+RESPONSE 1/1 @{}", arrived + WINDOW)]);
        }
    }
}

#[test]
fn grants_at_the_end_of_the_numbers_are_judged_and_not_added_up() {
    let mut world = World::new();
    let (s, r) = handed(&mut world, 0, 0);
    let mut frame = ack(Request, id(s, 1), 0);
    frame.header.value = u64::MAX;
    world.send(r, frame);
    assert_eq!(code(&world.got_one(r)), Code::FlowControl);

    let mut world = World::new();
    let s = world.join();
    world.send(s, request(id(s, 1)));
    let mut frame = ack(Response, id(s, 1), 0);
    frame.header.value = u64::MAX;
    world.send(s, frame);
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 flow-control UNSTARTED"]);
    world.assert_at_rest();
}

#[test]
fn offsets_must_be_the_next_and_ends_must_tell_the_true_length() {
    let wrong = |s| {
        [
            chunk(Request, id(s, 1), 4, "gap"),
            chunk(Request, id(s, 1), 2, "again"),
            end(Request, id(s, 1), 2),
            end(Request, id(s, 1), 4),
            last_chunk(Request, id(s, 1), 4, ""),
        ]
    };
    for which in 0..5 {
        let mut world = World::new();
        let (s, r) = handed(&mut world, 0, 3);
        world.send(s, wrong(s)[which].clone());
        assert_eq!(world.told(s), ["error+RESPONSE 1/1 invalid-frame"]);
        assert_eq!(world.told(r), ["error+REQUEST 1/1 sender-lost"], "a body that was cut off never looks complete");
        world.assert_at_rest();
    }
    let wrong = |s| {
        [
            chunk(Response, id(s, 1), 4, "gap"),
            chunk(Response, id(s, 1), 2, "again"),
            end(Response, id(s, 1), 2),
            end(Response, id(s, 1), 4),
            last_chunk(Response, id(s, 1), 4, ""),
        ]
    };
    for which in 0..5 {
        let mut world = World::new();
        let (s, r) = handed(&mut world, 0, 0);
        world.send(r, response(id(s, 1)).body("abc"));
        world.got(s);
        world.send(r, wrong(s)[which].clone());
        assert_eq!(world.told(r), ["error+REQUEST 1/1 invalid-frame"]);
        assert_eq!(world.told(s), ["error+RESPONSE 1/1 receiver-lost"]);
        world.assert_at_rest();
    }
}

#[test]
fn nothing_but_an_error_follows_the_end_of_a_request_however_it_was_closed() {
    for closing in 0..3 {
        for behind in [chunk(Request, id(ConnKey(1), 1), 3, "more"), end(Request, id(ConnKey(1), 1), 3)] {
            let mut world = World::new();
            let [s, r] = world.join_all();
            world.send(r, receive(CHANNEL, 1));
            let start = request(id(s, 1)).body("ab");
            match closing {
                0 => world.send(s, request(id(s, 1)).body("abc").last()),
                1 => {
                    world.send(s, start);
                    world.send(s, last_chunk(Request, id(s, 1), 2, "c"));
                }
                _ => {
                    world.send(s, start);
                    world.send(s, chunk(Request, id(s, 1), 2, "c"));
                    world.send(s, end(Request, id(s, 1), 3));
                }
            }
            world.got(r);
            world.send(r, ack(Request, id(s, 1), WINDOW));
            assert_eq!(world.told(s), NOTHING, "nothing is granted of a body that is closed");
            world.send(s, behind);
            assert_eq!(world.told(s), ["error+RESPONSE 1/1 invalid-frame"]);
            assert_eq!(world.told(r), ["error+REQUEST 1/1 sender-lost"]);
            world.assert_at_rest();
        }
    }
}

#[test]
fn a_grant_behind_the_end_of_a_body_is_harmless_and_goes_nowhere() {
    let mut world = World::new();
    let (s, r) = handed(&mut world, 0, 3);
    world.send(s, end(Request, id(s, 1), 3));
    world.got(r);
    world.send(r, ack(Request, id(s, 1), 60_000));
    assert_eq!((world.told(s), world.told(r)), (vec![], vec![]));
    world.send(r, response(id(s, 1)).last());
    assert_eq!(world.outcome(id(s, 1)), Complete);
}

#[test]
fn chunks_may_be_joined_and_split_on_the_way() {
    let mut world = World::new();
    let (s, r) = handed(&mut world, 0, 0);
    world.send(r, ack(Request, id(s, 1), WINDOW));
    world.stall(r);
    let mut sent = 0;
    while sent < 200_000 {
        let len = (sent % 4999 + 1).min(200_000 - sent);
        world.send(s, chunk(Request, id(s, 1), sent, zeros(len)));
        sent += len;
    }
    world.send(s, end(Request, id(s, 1), sent));
    world.resume(r);
    let frames = world.got(r);
    assert!(frames.len() <= 5, "{}", frames.len());
    assert_eq!(frames.iter().map(|frame| frame.payload.len()).sum::<usize>(), 200_000);
}

#[test]
fn a_sender_without_credit_is_nobody_elses_trouble() {
    let mut world = World::new();
    let (s, r) = handed(&mut world, 0, INITIAL);
    let other = world.join();
    for (opener, n) in [(s, 2), (other, 1)] {
        world.send(opener, request(id(opener, n)).body("small").last());
        assert_eq!(world.got(r).len(), 1);
        world.send(r, response(id(opener, n)).last());
        assert_eq!(world.outcome(id(opener, n)), Complete);
    }
    assert_eq!(world.outcome(id(s, 1)), Open);
}
