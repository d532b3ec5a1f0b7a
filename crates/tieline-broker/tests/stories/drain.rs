//! The server takes nothing new: receives are closed, what waits fails, what runs goes on.

use tieline_protocol::Code;

use crate::world::frames::*;
use crate::world::*;

const NOTHING: [&str; 0] = [];

#[test]
fn a_drain_ends_receives_and_what_waits_and_lets_go_on_what_runs() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).body("runs"));
    world.send(s, request(id(s, 2)));
    world.send(s, request(on(ELSEWHERE, id(s, 3))));
    world.settle();
    world.drain();
    assert!(world.core.is_draining());
    assert_eq!(world.told(r), ["start+REQUEST 1/1 'runs'", "end+RECEIVE @1"]);
    let mut told = world.told(s);
    told.sort_unstable();
    assert_eq!(told, ["error+RESPONSE 1/2 shutting-down UNSTARTED", "error+RESPONSE 1/3 on E shutting-down UNSTARTED"]);
    world.send(s, last_chunk(Request, id(s, 1), 4, "!"));
    world.send(r, response(id(s, 1)).body("done").last());
    assert_eq!(world.outcome(id(s, 1)), Complete);
    world.assert_at_rest();
    assert_eq!(world.core.counts().channels, 0);
    assert!(world.account(s).is_quiet() && world.account(r).is_quiet());
}

#[test]
fn what_crosses_a_drain_is_refused_as_unstarted() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.drain();
    world.send(s, request(id(s, 1)));
    world.send(s, request(id(s, 2)).no_wait());
    assert_eq!(
        world.told(s),
        ["error+RESPONSE 1/1 shutting-down UNSTARTED", "error+RESPONSE 1/2 shutting-down UNSTARTED"]
    );
    world.send(r, receive(CHANNEL, 1));
    assert_eq!(world.told(r), ["error+RECEIVE shutting-down"]);
    let late = world.join();
    world.send(late, receive(CHANNEL, 1));
    assert_eq!(world.told(late), ["error+RECEIVE shutting-down"], "also on connections that come later");
}

#[test]
fn a_start_that_has_not_left_when_a_drain_begins_is_delivered() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.stall(r);
    world.send(s, request(id(s, 1)).last());
    world.drain();
    world.resume(r);
    assert_eq!(world.told(r), ["start+REQUEST 1/1 FINAL", "end+RECEIVE @1"]);
    world.send(r, response(id(s, 1)).last());
    assert_eq!(world.outcome(id(s, 1)), Complete);
}

#[test]
fn what_comes_back_during_a_drain_is_not_queued_again() {
    let mut world = World::new();
    let [s, a, b] = world.join_all();
    world.send(a, receive(CHANNEL, 1));
    world.send(b, receive(CHANNEL, 3));
    world.send(s, request(id(s, 1)));
    world.send(s, request(id(s, 2)).idempotent());
    world.settle();
    world.stall(b);
    world.send(s, request(id(s, 3)));
    world.drain();
    world.send(a, returned(id(s, 1)));
    world.kill(b);
    assert_eq!(world.outcome(id(s, 1)), Unstarted(Code::ShuttingDown));
    assert_eq!(world.outcome(id(s, 2)), Failed(Code::ShuttingDown), "it may have been seen");
    assert_eq!(world.outcome(id(s, 3)), Unstarted(Code::ShuttingDown));
    world.assert_at_rest();
}

#[test]
fn a_withdrawal_that_crosses_a_drain_gets_no_second_answer() {
    let mut world = World::new();
    let r = world.join();
    world.send(r, receive(CHANNEL, 1));
    world.drain();
    world.send(r, withdraw(CHANNEL));
    world.send(r, raise(CHANNEL, 2));
    assert_eq!(world.told(r), ["end+RECEIVE @0"]);
    assert_eq!(world.told(r), NOTHING);
}

#[test]
fn a_second_drain_changes_nothing() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)));
    world.got(r);
    world.drain();
    world.drain();
    assert_eq!(world.told(r), ["end+RECEIVE @0".replace('0', "1")]);
    assert_eq!(world.told(s), NOTHING);
}
