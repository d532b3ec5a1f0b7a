//! A request meets exactly one ready receiver, at once, and every frame of it goes there and nowhere else.

use tieline_broker::CoreConfig;
use tieline_protocol::{ChannelId, Code, Flags, Metadata, StartPayload};

use crate::world::frames::*;
use crate::world::words::{code, fault};
use crate::world::*;

const NOTHING: [&str; 0] = [];

#[test]
fn second_receiver_never_sees_first_request() {
    let mut world = World::new();
    let [s, a, b, c] = world.join_all();
    for receiver in [a, b, c] {
        world.send(receiver, receive(CHANNEL, 1));
    }
    world.send(s, request(id(s, 1)).body("one"));
    assert_eq!(world.told(a), ["start+REQUEST 1/1 'one'"]);
    world.send(s, chunk(Request, id(s, 1), 3, "more"));
    world.send(s, end(Request, id(s, 1), 7));
    assert_eq!(world.told(a), ["chunk+REQUEST 1/1 @3 'more' FINAL"]);
    world.send(a, response(id(s, 1)).body("done").last());
    assert_eq!(world.told(s), ["start+RESPONSE 1/1 'done' FINAL"]);
    assert_eq!((world.told(b), world.told(c)), (vec![], vec![]));
    world.assert_at_rest();
}

#[test]
fn a_request_that_waits_meets_a_receiver_at_once_when_one_becomes_ready() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)).body("early"));
    assert_eq!(world.told(r), NOTHING);
    assert_eq!(world.core.counts().waiting, 1);
    world.send(r, receive(CHANNEL, 1));
    assert_eq!(world.told(r), ["start+REQUEST 1/1 'early'"]);
    assert_eq!((world.core.counts().waiting, world.core.counts().busy), (0, 1));
}

#[test]
fn what_came_before_a_receiver_was_there_is_delivered_in_as_few_frames_as_it_fits_in() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)).body("a"));
    for offset in 1..=100 {
        world.send(s, chunk(Request, id(s, 1), offset, "b"));
    }
    world.send(s, end(Request, id(s, 1), 101));
    world.send(r, receive(CHANNEL, 1));
    assert_eq!(world.told(r), ["start+REQUEST 1/1 (101) FINAL"]);
}

#[test]
fn a_small_exchange_is_two_frames_in_and_two_out() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).body("question").last());
    assert_eq!(world.told(r), ["start+REQUEST 1/1 'question' FINAL"]);
    world.send(r, response(id(s, 1)).body("answer").last());
    assert_eq!(world.told(s), ["start+RESPONSE 1/1 'answer' FINAL"]);
    assert_eq!(world.told(r), NOTHING, "who closed the response is told nothing more");
    world.assert_at_rest();
}

#[test]
fn channels_do_not_mix() {
    let mut world = World::new();
    let [s, here, there] = world.join_all();
    world.send(here, receive(CHANNEL, 1));
    world.send(there, receive(ELSEWHERE, 1));
    world.send(s, request(on(ELSEWHERE, id(s, 1))).body("there"));
    assert_eq!(world.told(here), NOTHING);
    assert_eq!(world.told(there), ["start+REQUEST 1/1 on E 'there'"]);
    // The ids name an exchange only together.
    world.send(s, chunk(Request, id(s, 1), 5, "wrong channel"));
    world.send(there, response(id(s, 1)).body("wrong channel"));
    assert_eq!((world.told(here), world.told(there), world.told(s)), (vec![], vec![], vec![]));
    assert_eq!((world.late_frames(s), world.late_frames(there)), (1, 1));
}

#[test]
fn metadata_and_idempotent_are_passed_on_and_no_wait_and_the_limits_are_not() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    let mut metadata = Metadata::new();
    metadata.push("content-type", "text/plain").unwrap();
    metadata.push("never-heard-of", [0xFF, 0]).unwrap();
    let start = request(id(s, 1)).metadata(metadata.clone()).body("x").idempotent().no_wait().wait(50).deadline(700);
    world.send(s, start);
    let frame = world.got_one(r);
    assert_eq!(frame.header.flags, Flags::REQUEST | Flags::IDEMPOTENT);
    assert_eq!(frame.header.value, 700, "no wait, and the deadline that is left");
    assert_eq!(StartPayload::split(&frame.payload).unwrap().metadata, metadata);

    world.send(r, response(id(s, 1)).metadata(metadata.clone()).body("y"));
    let frame = world.got_one(s);
    assert_eq!(StartPayload::split(&frame.payload).unwrap().metadata, metadata);
}

#[test]
fn bodies_with_trailers_arrive_with_them() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    let trailer = metadata(20);
    world.send(s, request(id(s, 1)).body("x"));
    world.send(s, end_with(Request, id(s, 1), 1, &trailer));
    let frames = world.got(r);
    assert_eq!(&frames.last().unwrap().payload, trailer.wire());
    assert_eq!(frames.last().unwrap().header.value, 1);
    world.send(r, response(id(s, 1)).body("yz"));
    world.send(r, end_with(Response, id(s, 1), 2, &trailer));
    let frames = world.got(s);
    assert_eq!(&frames.last().unwrap().payload, trailer.wire());
    assert_eq!(frames.last().unwrap().header.value, 2);
    assert_eq!(world.outcome(id(s, 1)), Complete);
    world.assert_at_rest();
}

#[test]
fn both_directions_run_at_the_same_time() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)));
    assert_eq!(world.told(r), ["start+REQUEST 1/1"]);
    world.send(r, response(id(s, 1)));
    assert_eq!(world.told(s), ["start+RESPONSE 1/1"]);
    for turn in 0..5 {
        world.send(s, chunk(Request, id(s, 1), turn, "q"));
        assert_eq!(world.told(r), [format!("chunk+REQUEST 1/1 @{turn} 'q'")]);
        world.send(r, chunk(Response, id(s, 1), turn, "a"));
        assert_eq!(world.told(s), [format!("chunk+RESPONSE 1/1 @{turn} 'a'")]);
    }
    world.send(s, last_chunk(Request, id(s, 1), 5, ""));
    assert_eq!(world.told(r), ["end+REQUEST 1/1 @5"]);
    world.send(r, last_chunk(Response, id(s, 1), 5, "!"));
    assert_eq!(world.told(s), ["chunk+RESPONSE 1/1 @5 '!' FINAL"]);
    world.assert_at_rest();
}

#[test]
fn a_response_may_wait_for_all_of_the_request() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).body("all").last());
    assert_eq!(world.told(r), ["start+REQUEST 1/1 'all' FINAL"]);
    world.send(r, response(id(s, 1)).body("of"));
    world.send(r, chunk(Response, id(s, 1), 2, " it"));
    world.send(r, end(Response, id(s, 1), 5));
    assert_eq!(world.told(s), ["start+RESPONSE 1/1 'of it' FINAL"]);
    world.assert_at_rest();
}

#[test]
fn an_early_end_of_the_response_ends_the_exchange_everywhere() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 2));
    world.send(s, request(id(s, 1)).body(zeros(INITIAL)));
    world.got(r);
    // The sender has no credit left; the end of the response is what wakes it.
    world.send(r, response(id(s, 1)).body("enough").last());
    assert_eq!(world.told(s), ["start+RESPONSE 1/1 'enough' FINAL"]);
    assert_eq!(world.told(r), NOTHING);
    world.assert_at_rest();
    // An ack that crossed it is late, and harmless.
    world.send(r, ack(Request, id(s, 1), 2 * INITIAL));
    assert_eq!(world.told(s), NOTHING);

    world.send(s, request(id(s, 2)).body("x"));
    world.got(r);
    world.send(r, response(id(s, 2)).last());
    // What the sender wrote meanwhile is within its allowance.
    world.send(s, chunk(Request, id(s, 2), 1, zeros(INITIAL - 1)));
    world.send(s, end(Request, id(s, 2), INITIAL));
    assert_eq!(world.late_frames(s), 2);
    assert_eq!(world.account(s).take_strikes(), 0);
    assert_eq!(world.told(r), NOTHING);
    world.assert_at_rest();
}

#[test]
fn no_wait_fails_at_once_and_says_how_busy_the_receivers_are() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)).no_wait());
    let fault = fault(&world.got_one(s));
    assert_eq!((fault.code, fault.free, fault.busy), (Code::NoReceiver, Some(0), Some(0)));

    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 2)).no_wait());
    assert_eq!(world.told(r), ["start+REQUEST 1/2"], "one that is ready takes it");
    world.send(s, request(id(s, 3)).no_wait());
    let frame = world.got_one(s);
    assert!(frame.has(Flags::UNSTARTED));
    assert_eq!(fault_of(&frame), (Code::NoReceiver, Some(0), Some(1)));
    assert_eq!(world.account(s).take_strikes(), 0, "asking is free");
}

fn fault_of(frame: &tieline_protocol::Frame) -> (Code, Option<u64>, Option<u64>) {
    let fault = fault(frame);
    (fault.code, fault.free, fault.busy)
}

#[test]
fn a_channels_name_is_optional_and_must_be_true() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    let channel = ChannelId::of_name("upper");
    let named = |name: &str| {
        let mut metadata = Metadata::new();
        metadata.push("channel", name).unwrap();
        metadata
    };
    world.send(r, receive_with(channel, 9, &named("upper")));
    for (request_id, name) in [(1, "upper"), (2, "upper")] {
        world.send(s, request(on(channel, id(s, request_id))).metadata(named(name)));
        assert_eq!(world.got(r).len(), 1);
    }
    let long = "x".repeat(256);
    for (request_id, name) in [(3, "Upper"), (4, ""), (5, "lower"), (6, long.as_str())] {
        world.send(s, request(on(channel, id(s, request_id))).metadata(named(name)));
        let frame = world.got_one(s);
        assert_eq!((code(&frame), frame.has(Flags::UNSTARTED)), (Code::ForbiddenChannel, true), "{name:?}");
    }
    world.send(s, receive_with(channel, 1, &named("lower")));
    assert_eq!(code(&world.got_one(s)), Code::ForbiddenChannel);
    assert_eq!(world.told(r), NOTHING);
}

#[test]
fn a_refused_start_leaves_nothing_and_what_follows_it_is_late() {
    let mut config = CoreConfig::default();
    config.requests = 1;
    let mut world = World::with(config, AMPLE);
    let [s] = world.join_all();
    world.send(s, request(id(s, 1)));
    world.send(s, request(id(s, 2)).body("x"));
    assert_eq!(world.told(s), ["error+RESPONSE 1/2 too-many-in-flight UNSTARTED"]);
    world.send(s, chunk(Request, id(s, 2), 1, zeros(INITIAL - 1)));
    world.send(s, end(Request, id(s, 2), INITIAL));
    world.send(s, cancel(id(s, 2)));
    assert_eq!(world.told(s), NOTHING);
    assert_eq!(world.account(s).take_strikes(), 1, "the refusal, and not what its sender couldn't know yet");
    world.send(s, cancel(id(s, 1)));
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 cancelled UNSTARTED"]);
    world.send(s, request(id(s, 3)));
    assert_eq!(world.told(s), NOTHING, "there is room again");
}

#[test]
fn a_client_may_send_to_itself() {
    let mut world = World::new();
    let me = world.join();
    world.send(me, receive(CHANNEL, 1));
    world.send(me, request(id(me, 1)).body("note"));
    assert_eq!(world.told(me), ["start+REQUEST 1/1 'note'"]);
    world.send(me, ack(Request, id(me, 1), 30_000));
    assert_eq!(world.told(me), ["ack+REQUEST 1/1 @30000"]);
    world.send(me, last_chunk(Request, id(me, 1), 4, " to self"));
    assert_eq!(world.told(me), ["chunk+REQUEST 1/1 @4 ' to self' FINAL"]);
    world.send(me, ack(Response, id(me, 1), 30_000));
    assert_eq!(world.told(me), ["ack+RESPONSE 1/1 @30000"]);
    world.send(me, response(id(me, 1)).body("read").last());
    assert_eq!(world.told(me), ["start+RESPONSE 1/1 'read' FINAL"]);
    world.assert_at_rest();
}

#[test]
fn a_client_that_sends_to_itself_and_is_lost_leaves_nothing() {
    let mut world = World::new();
    let [me, other] = world.join_all();
    world.send(me, receive(CHANNEL, 2));
    world.send(me, request(id(me, 1)).idempotent());
    world.settle();
    // The second is in its own outbox, the third waits.
    world.stall(me);
    world.send(me, request(id(me, 2)).idempotent());
    world.send(me, request(id(me, 3)).idempotent());
    world.kill(me);
    world.assert_at_rest();
    world.send(other, receive(CHANNEL, 9));
    assert_eq!(world.told(other), NOTHING, "nobody waits for an answer any more");
}
