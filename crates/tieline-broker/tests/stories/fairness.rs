//! Who is next: senders in turn, each first in first out; ready receivers in turn.

use tieline_broker::{ConnKey, CoreConfig};
use tieline_protocol::Frame;

use crate::world::frames::*;
use crate::world::*;

/// Who opened the requests that these frames hand out.
fn openers(frames: &[Frame]) -> Vec<u64> {
    frames.iter().map(|frame| frame.header.client.as_u128() as u64).collect()
}

fn numbers(frames: &[Frame]) -> Vec<u128> {
    frames.iter().map(|frame| frame.header.request.as_u128()).collect()
}

fn open(world: &mut World, s: ConnKey, requests: std::ops::RangeInclusive<u128>) {
    for n in requests {
        world.send(s, request(id(s, n)).last());
    }
}

#[test]
fn a_sender_with_ten_thousand_requests_delays_anothers_one_by_one_place() {
    let mut config = CoreConfig::default();
    config.channel_places = 100_000;
    let mut world = World::with(config, 1 << 40);
    world.checks = false;
    let [greedy, modest, r] = world.join_all();
    open(&mut world, greedy, 1..=10_000);
    open(&mut world, modest, 1..=1);
    world.send(r, receive(CHANNEL, 1));
    world.send(r, raise(CHANNEL, 2));
    assert_eq!(openers(&world.got(r)), [greedy.0, modest.0]);
    world.core.check();
}

#[test]
fn senders_are_served_in_turn_and_each_first_in_first_out() {
    let mut world = World::new();
    let [a, b, c, r] = world.join_all();
    open(&mut world, a, 1..=3);
    open(&mut world, b, 1..=2);
    open(&mut world, c, 1..=1);
    world.send(r, receive(CHANNEL, 6));
    let frames = world.got(r);
    assert_eq!(openers(&frames), [1, 2, 3, 1, 2, 1]);
    assert_eq!(numbers(&frames), [1, 1, 1, 2, 2, 3]);
}

#[test]
fn a_receiver_that_asks_for_64_does_not_take_the_work_of_one_that_asks_for_one() {
    let mut world = World::new();
    let [s, wide, narrow] = world.join_all();
    world.send(wide, receive(CHANNEL, 64));
    world.send(narrow, receive(CHANNEL, 1));
    open(&mut world, s, 1..=2);
    assert_eq!(numbers(&world.got(wide)), [1]);
    assert_eq!(numbers(&world.got(narrow)), [2]);
    world.send(narrow, raise(CHANNEL, 2));
    open(&mut world, s, 3..=5);
    assert_eq!(numbers(&world.got(narrow)), [4], "in turn again");
    assert_eq!(numbers(&world.got(wide)), [3, 5]);
}

#[test]
fn a_returned_request_is_the_first_of_its_sender_and_its_sender_is_next() {
    let mut world = World::new();
    let [a, b, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    open(&mut world, a, 1..=3);
    open(&mut world, b, 1..=2);
    assert_eq!(numbers(&world.got(r)), [1]);
    // Two more of a and two of b wait, and it would be a's turn, then b's.
    world.send(r, returned(id(a, 1)));
    world.send(r, raise(CHANNEL, 5));
    let frames = world.got(r);
    assert_eq!(openers(&frames), [1, 2, 1, 2]);
    assert_eq!(numbers(&frames), [1, 1, 2, 2]);
}

#[test]
fn readiness_that_is_given_back_does_not_lose_its_turn() {
    let mut world = World::new();
    let [s, a, b] = world.join_all();
    world.send(a, receive(CHANNEL, 1));
    world.send(b, receive(CHANNEL, 1));
    world.stall(a);
    world.send(s, request(id(s, 1)));
    world.send(s, cancel(id(s, 1)));
    world.resume(a);
    world.send(s, request(id(s, 2)));
    assert_eq!(numbers(&world.got(a)), [2], "a was first, and never got the first request");
    assert!(world.got(b).is_empty());
}

#[test]
fn one_connection_may_hold_a_quarter_of_the_free_places_of_a_channel_and_others_still_find_some() {
    let mut config = CoreConfig::default();
    config.channel_places = 1000;
    let mut world = World::with(config, AMPLE);
    world.checks = false;
    let [greedy, modest] = world.join_all();
    open(&mut world, greedy, 1..=300);
    let refused = world.told(greedy);
    // x = (1000 - x) / 4
    assert_eq!(refused.len(), 100);
    assert!(refused.iter().all(|word| word.contains("channel-full UNSTARTED")));
    assert!(refused[0].contains("1/201"), "{}", refused[0]);
    open(&mut world, modest, 1..=160);
    assert_eq!(world.told(modest).len(), 0, "a quarter of the 800 that are left, for this one");
    world.core.check();
}

#[test]
fn a_full_channel_refuses_and_drops_nothing_that_waits() {
    let mut config = CoreConfig::default();
    config.channel_places = 3;
    let mut world = World::with(config, AMPLE);
    let [a, b, r] = world.join_all();
    open(&mut world, a, 1..=3);
    open(&mut world, b, 1..=1);
    assert_eq!(world.told(b), ["error+RESPONSE 2/1 channel-full UNSTARTED"]);
    assert_eq!(world.account(b).take_strikes(), 1);
    world.send(r, receive(CHANNEL, 4));
    assert_eq!(numbers(&world.got(r)), [1, 2, 3]);
    open(&mut world, b, 2..=2);
    assert_eq!(numbers(&world.got(r)), [2], "what a ready receiver takes needs no place");
}

#[test]
fn few_places_are_for_anybody_up_to_the_last() {
    let mut config = CoreConfig::default();
    config.channel_places = 70;
    let mut world = World::with(config, AMPLE);
    let [a, b] = world.join_all();
    open(&mut world, a, 1..=65);
    assert_eq!(world.told(a).len(), 1, "64 are anybody's");
    open(&mut world, b, 1..=7);
    assert_eq!(world.told(b).len(), 1, "and then the channel is full");
}

#[test]
fn a_receiver_that_reads_nothing_holds_up_nobody_else() {
    let mut world = World::new();
    let [s, slow, r] = world.join_all();
    world.send(slow, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)));
    world.settle();
    world.send(slow, ack(Request, id(s, 1), 500_000));
    world.stall(slow);
    for turn in 0..8 {
        world.send(s, chunk(Request, id(s, 1), turn * 60_000, zeros(60_000)));
    }
    // The same sender, the same channel, another receiver.
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 2)).body("small").last());
    assert_eq!(world.told(r), ["start+REQUEST 1/2 'small' FINAL"]);
    world.send(r, response(id(s, 2)).last());
    assert_eq!(world.outcome(id(s, 2)), Complete);
    assert_eq!(world.outcome(id(s, 1)), Open);
}

#[test]
fn bulk_holds_up_something_small_on_the_same_connection_by_one_turn_at_the_most() {
    let mut world = World::new();
    let [bulk, small, r] = world.join_all();
    world.send(r, receive(CHANNEL, 2));
    world.send(bulk, request(id(bulk, 1)));
    world.send(small, request(id(small, 1)));
    world.settle();
    world.send(r, ack(Request, id(bulk, 1), 1_000_000));
    world.got(r);
    world.stall(r);
    for turn in 0..16 {
        world.send(bulk, chunk(Request, id(bulk, 1), turn * 60_000, zeros(60_000)));
    }
    world.claim(r);
    world.send(small, last_chunk(Request, id(small, 1), 0, "small"));
    world.resume(r);
    let words = world.told(r);
    let place = words.iter().position(|word| word.contains("'small'")).unwrap();
    assert!(place <= 2, "{words:?}");
}

#[test]
fn a_sender_that_reads_nothing_holds_up_nobody_elses_answers() {
    let mut world = World::new();
    let [slow, s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 2));
    world.send(slow, request(id(slow, 1)));
    world.send(s, request(id(s, 1)));
    world.settle();
    world.stall(slow);
    world.send(r, response(id(slow, 1)).body(zeros(INITIAL)));
    world.send(r, response(id(s, 1)).body("answer").last());
    assert_eq!(world.told(s), ["start+RESPONSE 2/1 'answer' FINAL"]);
    // Nor does it stop its own other business.
    world.send(slow, request(id(slow, 2)));
    world.send(r, raise(CHANNEL, 3));
    world.settle();
    assert_eq!(world.observer.deliveries(id(slow, 2)), 1);
}
