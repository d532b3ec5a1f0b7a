//! Idempotent requests: handed out again also when a receiver is lost that may have begun, until something was passed
//! to the sender; and what the server keeps for that.

use tieline_broker::{ADMISSION, CoreConfig};
use tieline_protocol::Code;

use crate::handing_out_again::sender_and_two_receivers;
use crate::world::frames::*;
use crate::world::*;

const NOTHING: [&str; 0] = [];

#[test]
fn an_idempotent_request_goes_on_to_another_as_long_as_nothing_was_passed_to_its_sender() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.send(s, request(id(s, 1)).body("abc").idempotent());
    world.got(a);
    // An accept within the initial window passes nothing to the sender.
    world.send(a, ack(Request, id(s, 1), INITIAL));
    world.send(s, chunk(Request, id(s, 1), 3, "def"));
    assert_eq!(world.told(s), NOTHING);
    world.kill(a);
    assert_eq!(world.told(b), ["start+REQUEST 1/1 'abcdef' IDEMPOTENT"]);
    world.send(s, last_chunk(Request, id(s, 1), 6, "!"));
    world.got(b);
    world.send(b, response(id(s, 1)).last());
    assert_eq!(world.outcome(id(s, 1)), Complete);
    world.assert_at_rest();
}

#[test]
fn a_grant_beyond_the_initial_window_binds_an_idempotent_request_to_its_receiver() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.send(s, request(id(s, 1)).body("abc").idempotent());
    world.got(a);
    world.send(a, ack(Request, id(s, 1), INITIAL + 1));
    assert_eq!(world.told(s), ["ack+REQUEST 1/1 @16385"]);
    world.kill(a);
    assert_eq!(world.outcome(id(s, 1)), Failed(Code::ReceiverLost));
    assert_eq!(world.told(b), NOTHING);
}

#[test]
fn metadata_narrows_the_initial_window_so_a_grant_up_to_all_of_it_binds() {
    let mut world = World::new();
    let (s, a, _b) = sender_and_two_receivers(&mut world);
    world.send(s, request(id(s, 1)).metadata(metadata(1000)).idempotent());
    world.got(a);
    world.send(a, ack(Request, id(s, 1), INITIAL - 1000));
    assert_eq!(world.told(s), NOTHING);
    world.send(a, ack(Request, id(s, 1), INITIAL));
    assert_eq!(world.told(s), ["ack+REQUEST 1/1 @16384"]);
    world.kill(a);
    assert_eq!(world.outcome(id(s, 1)), Failed(Code::ReceiverLost));
}

#[test]
fn a_frame_of_the_response_binds_an_idempotent_request_to_its_receiver() {
    let mut world = World::new();
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.stall(s);
    world.send(s, request(id(s, 1)).idempotent());
    world.got(a);
    world.send(a, response(id(s, 1)));
    // Put into the sender's outbox is passed, though nobody has written it.
    world.kill(a);
    world.resume(s);
    assert_eq!(world.outcome(id(s, 1)), Failed(Code::ReceiverLost));
    assert_eq!(world.told(b), NOTHING);
}

#[test]
fn an_idempotent_request_whose_receiver_was_lost_and_who_waits_no_longer_has_a_wait() {
    let mut world = World::new();
    let [s, a] = world.join_all();
    world.send(a, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).idempotent().wait(10).deadline(1000));
    world.got(a);
    world.kill(a);
    world.advance(500);
    assert_eq!(world.outcome(id(s, 1)), Open);
    world.advance(500);
    assert_eq!(world.outcome(id(s, 1)), Failed(Code::DeadlineExceeded));
}

#[test]
fn what_is_kept_is_let_go_once_it_cannot_be_handed_out_again() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).body(zeros(INITIAL)));
    world.got(r);
    // After the accept more comes than an initial window; `check` would refuse to see that kept.
    world.send(r, ack(Request, id(s, 1), 10 * INITIAL));
    for turn in 1..10 {
        world.send(s, chunk(Request, id(s, 1), turn * INITIAL, zeros(INITIAL)));
    }
    world.send(s, end(Request, id(s, 1), 10 * INITIAL));
    world.got(r);
    world.send(r, response(id(s, 1)).last());
    world.assert_at_rest();
}

#[test]
fn a_grant_that_waits_for_memory_dies_with_the_receiver_that_gave_it() {
    let mut world = World::with(CoreConfig::default(), 2 * ADMISSION);
    let (s, a, b) = sender_and_two_receivers(&mut world);
    world.send(s, request(id(s, 1)).idempotent());
    world.send(s, request(on(ELSEWHERE, id(s, 2))));
    world.got(a);
    world.send(a, ack(Request, id(s, 1), 1_000_000));
    assert_eq!((world.told(s), world.core.counts().hungry), (vec![], 1), "all memory is admitted");
    world.kill(a);
    assert_eq!(world.told(b), ["start+REQUEST 1/1 IDEMPOTENT"], "nothing was passed, so another gets it");
    assert_eq!(world.core.counts().hungry, 0);
    world.send(b, ack(Request, id(s, 1), INITIAL));
    world.send(s, cancel(on(ELSEWHERE, id(s, 2))));
    assert_eq!(world.told(s), ["error+RESPONSE 1/2 on E cancelled UNSTARTED"], "and no grant that nobody stands for");
    world.send(b, ack(Request, id(s, 1), INITIAL + 1));
    assert_eq!(world.told(s), ["ack+REQUEST 1/1 @16385"]);
    world.send(b, response(id(s, 1)).last());
    world.assert_at_rest();
}
