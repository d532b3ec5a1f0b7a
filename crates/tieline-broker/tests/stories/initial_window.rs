//! The initial window of a request is the server's to choose, and is paid for by what was promised or came.

use tieline_broker::{ADMISSION, ConnKey, CoreConfig, SHARE_MIN, admission};

use crate::world::frames::*;
use crate::world::*;

const NOTHING: [&str; 0] = [];

/// What a request may bring before it is granted anything, here.
const LARGE: usize = 80 * KIB;

fn config() -> CoreConfig {
    let mut config = CoreConfig::default();
    config.initial = LARGE as u64;
    config
}

fn world() -> World {
    World::with(config(), AMPLE)
}

fn pair(world: &mut World) -> (ConnKey, ConnKey) {
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 9));
    (s, r)
}

/// What admitting it reserves as long as it isn't complete.
const UNFINISHED: u64 = admission(LARGE as u64);

#[test]
fn a_request_within_the_initial_window_passes_without_a_grant() {
    let mut world = world();
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)).metadata(metadata(1000)).body(zeros(60 * KIB)));
    world.send(s, last_chunk(Request, id(s, 1), 60 * KIB, zeros(4 * KIB)));
    let got: usize = world.got(r).iter().map(|frame| frame.payload.len()).sum();
    assert_eq!(got, 2 + 1000 + 64 * KIB);
    assert_eq!(world.told(s), NOTHING);
    world.send(r, response(id(s, 1)).body("done").last());
    assert_eq!(world.told(s), ["start+RESPONSE 1/1 'done' FINAL"]);
    world.assert_at_rest();
}

#[test]
fn a_large_initial_window_may_be_used_to_the_last_byte_and_no_further() {
    for about in [0, 1000, 16 * KIB] {
        for waits in [false, true] {
            let mut world = world();
            let [s, r] = world.join_all();
            if !waits {
                world.send(r, receive(CHANNEL, 1));
            }
            world.send(s, request(id(s, 1)).metadata(metadata(about)));
            let credit = LARGE - about;
            world.send(s, chunk(Request, id(s, 1), 0, zeros(credit / 2)));
            world.send(s, chunk(Request, id(s, 1), credit / 2, zeros(credit - credit / 2)));
            assert_eq!(world.told(s), NOTHING, "{about}");
            world.send(s, chunk(Request, id(s, 1), credit, "x"));
            let unstarted = if waits { " UNSTARTED" } else { "" };
            assert_eq!(world.told(s), [format!("error+RESPONSE 1/1 flow-control{unstarted}")]);
            world.assert_at_rest();
        }
    }
}

#[test]
fn a_response_has_the_least_initial_window_whatever_a_request_has() {
    let mut world = world();
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)).last());
    world.got(r);
    world.send(r, response(id(s, 1)).body(zeros(INITIAL)));
    world.got(s);
    world.send(r, chunk(Response, id(s, 1), INITIAL, "x"));
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 receiver-lost"]);
    assert_eq!(world.told(r), ["error+REQUEST 1/1 flow-control"]);
}

#[test]
fn a_request_is_charged_its_initial_window_until_it_is_complete_and_then_what_came_of_it() {
    let mut world = world();
    let s = world.join();
    world.send(s, request(id(s, 1)).metadata(metadata(1000)).body(zeros(5000)));
    assert_eq!(world.budget.held(), UNFINISHED);
    world.send(s, chunk(Request, id(s, 1), 5000, zeros(5000)));
    assert_eq!(world.budget.held(), UNFINISHED, "the rest is promised still");
    world.send(s, end(Request, id(s, 1), 10_000));
    assert_eq!(world.budget.held(), admission(11_000));
    world.send(s, request(id(s, 2)).metadata(metadata(1000)).body(zeros(60_000)).last());
    assert_eq!(world.budget.held(), admission(11_000) + admission(61_000), "it came whole");
    world.send(s, cancel(id(s, 1)));
    world.send(s, cancel(id(s, 2)));
    world.got(s);
    world.assert_at_rest();
}

#[test]
fn a_body_that_ends_gives_back_what_was_granted_beyond_it() {
    let mut world = world();
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)));
    world.got(r);
    world.send(r, ack(Request, id(s, 1), 500_000));
    assert_eq!(world.account(r).held(), 500_000 - LARGE as u64);
    world.stall(r);
    world.send(s, chunk(Request, id(s, 1), 0, zeros(50_000)));
    world.send(s, chunk(Request, id(s, 1), 50_000, zeros(50_000)));
    world.send(s, end(Request, id(s, 1), 100_000));
    assert_eq!(world.account(r).held(), 100_000 - LARGE as u64, "what came and wasn't written is held still");
    assert_eq!(world.account(s).held(), UNFINISHED);
    world.resume(r);
    world.settle();
    assert_eq!(world.account(r).held(), 0);
    world.send(r, response(id(s, 1)).last());
    world.assert_at_rest();
}

#[test]
fn a_grant_within_the_initial_window_is_paid_for() {
    let mut world = world();
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)).metadata(metadata(1000)));
    world.got(r);
    world.send(r, ack(Request, id(s, 1), LARGE));
    assert_eq!(world.told(s), [format!("ack+REQUEST 1/1 @{LARGE}")]);
    assert_eq!(world.account(r).held(), 0);
    world.send(r, ack(Request, id(s, 1), LARGE + 1));
    assert_eq!(world.account(r).held(), 1);
}

#[test]
fn a_large_request_is_handed_out_again_whole() {
    let mut world = world();
    let [s, lost, next] = world.join_all();
    world.send(lost, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).idempotent().body(zeros(60 * KIB)));
    world.send(s, chunk(Request, id(s, 1), 60 * KIB, zeros(20 * KIB)));
    assert_eq!(world.got(lost).iter().map(|frame| frame.payload.len()).sum::<usize>(), 2 + LARGE);
    world.kill(lost);
    world.send(next, receive(CHANNEL, 1));
    assert_eq!(world.got(next).iter().map(|frame| frame.payload.len()).sum::<usize>(), 2 + LARGE);
    assert_eq!(world.budget.held(), UNFINISHED);
    world.send(next, response(id(s, 1)).last());
    assert_eq!(world.told(s), ["start+RESPONSE 1/1 FINAL"]);
    world.assert_at_rest();
}

#[test]
fn what_crosses_the_refusal_of_its_start_is_not_held_against_its_sender() {
    let mut world = world();
    let s = world.join();
    world.send(s, request(id(s, 1)).no_wait());
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 no-receiver UNSTARTED"]);
    for part in 0..2 {
        world.send(s, chunk(Request, id(s, 1), part * LARGE / 2, zeros(LARGE / 2)));
    }
    assert_eq!((world.late_frames(s), world.account(s).take_strikes()), (2, 0));
    world.send(s, chunk(Request, id(s, 1), LARGE, "x"));
    assert_eq!(world.account(s).take_strikes(), 1, "beyond its initial window");
}

#[test]
fn small_requests_that_came_whole_do_not_wait_for_the_room_of_large_ones() {
    // As much as any connection may hold, however little is free.
    let mut world = World::with(config(), SHARE_MIN);
    world.checks = false;
    let s = world.join();
    let small = SHARE_MIN / admission(100);
    let large = SHARE_MIN / UNFINISHED;
    assert!(small > 2 * SHARE_MIN / ADMISSION * 8 / 9 && large > 20, "{small} small ones, {large} large ones");
    for n in 1..=u128::from(small) + 5 {
        world.send(s, request(id(s, n)).body(zeros(100)).last());
    }
    assert_eq!(world.told(s).len(), 5, "refused");
    let mut world = World::with(config(), SHARE_MIN);
    world.checks = false;
    let s = world.join();
    for n in 1..=u128::from(large) + 5 {
        world.send(s, request(id(s, n)).body(zeros(100)));
    }
    assert_eq!(world.told(s).len(), 5, "refused");
}
