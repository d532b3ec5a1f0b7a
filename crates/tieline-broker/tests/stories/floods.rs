//! What costs the server and not the peer: refusals, cancels, withdrawals and late frames are bounded, paid for, or held
//! against whoever causes them; and what an honest client brings about is free.

use tieline_broker::{Account, Budget, ConnKey, CoreConfig, FLOOD_BURST};
use tieline_protocol::limits::REFUSALS_MAX;

use crate::world::frames::*;
use crate::world::*;

fn pair(world: &mut World) -> (ConnKey, ConnKey) {
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1000));
    (s, r)
}

#[test]
fn a_pinned_start_is_paid_for_until_it_is_written_though_its_sender_is_gone() {
    let mut world = World::new();
    let r = world.join();
    world.stall(r);
    for round in 1..=3 {
        let s = world.join();
        world.send(r, receive(CHANNEL, 10));
        for n in 1..=10 {
            world.send(s, request(id(s, n)).metadata(metadata(INITIAL)));
        }
        world.send(r, withdraw(CHANNEL));
        world.kill(s);
        assert!(world.budget.held() >= round * 10 * INITIAL as u64, "16 KiB of metadata each wait to be written");
    }
    world.resume(r);
    let frames = world.got(r);
    assert_eq!(frames.len(), 3 * (10 + 10 + 1), "each start, its error, and the ends of the receives");
    world.assert_at_rest();
}

#[test]
fn a_connection_that_does_not_read_its_refusals_is_struck_out() {
    let mut world = World::new();
    let s = world.join();
    world.stall(s);
    let mut n = 0;
    let mut strikes = 0;
    while strikes <= FLOOD_BURST {
        n += 1;
        assert!(n < 5000, "refusals pile up without bound");
        world.send(s, request(id(s, n)).no_wait());
        strikes += world.account(s).take_strikes();
    }
    assert!(n as usize * 64 >= REFUSALS_MAX / 2, "but not for a few: {n}");
}

#[test]
fn a_connection_that_does_not_read_the_closings_of_its_receives_is_struck_out() {
    let mut world = World::new();
    world.checks = false;
    let r = world.join();
    world.stall(r);
    let mut rounds = 0;
    loop {
        rounds += 1;
        world.send(r, receive(CHANNEL, 1));
        world.send(r, withdraw(CHANNEL));
        let strikes = world.account(r).take_strikes();
        if strikes > FLOOD_BURST {
            break;
        }
        // So slowly that it is never a flood, each of these is forgiven.
        assert_eq!(strikes, 1);
        assert!(rounds < 10_000, "closings pile up without bound");
    }
    assert!(rounds > CoreConfig::default().receives, "but not for as many as it may have open: {rounds}");
}

#[test]
fn cancelling_in_a_loop_piles_up_no_work_and_is_held_against_the_sender() {
    let mut world = World::new();
    let (s, r) = pair(&mut world);
    world.stall(r);
    for n in 1..=200 {
        world.send(s, request(id(s, n)).body(zeros(INITIAL)));
        world.send(s, cancel(id(s, n)));
        world.settle();
    }
    assert_eq!(world.account(s).take_strikes(), 200);
    world.resume(r);
    assert_eq!(world.told(r).len(), 0);
    world.assert_at_rest();
    // Behind the accept it is a sender's good right.
    world.send(s, request(id(s, 201)));
    world.got(r);
    world.send(r, ack(Request, id(s, 201), 1));
    world.send(s, cancel(id(s, 201)));
    assert_eq!(world.account(s).take_strikes(), 0);
}

#[test]
fn late_frames_within_the_credit_of_an_ended_exchange_are_free_and_others_are_not() {
    let mut world = World::new();
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)).body("ab"));
    world.got(r);
    world.send(r, ack(Request, id(s, 1), 20_000));
    world.send(r, response(id(s, 1)).last());
    world.got(s);
    // Tokens of a model are that small: each is a frame, and together they are within the credit.
    for offset in 2..5002 {
        world.send(s, chunk(Request, id(s, 1), offset, "x"));
    }
    world.send(s, chunk(Request, id(s, 1), 5002, zeros(20_000 - 5002)));
    world.send(s, end(Request, id(s, 1), 20_000));
    for _ in 0..4 {
        world.send(s, ack(Response, id(s, 1), 5));
    }
    assert_eq!(world.account(s).take_strikes(), 0);
    world.send(s, chunk(Request, id(s, 1), 20_000, "x"));
    world.send(s, end(Request, id(s, 1), 20_001));
    assert_eq!(world.account(s).take_strikes(), 2);
    assert_eq!(world.late_frames(s), 5000 + 1 + 5 + 2);

    // The receiver's, of an exchange that was cancelled under it.
    world.send(s, request(id(s, 2)));
    world.got(r);
    world.send(r, response(id(s, 2)));
    world.send(s, cancel(id(s, 2)));
    for offset in 0..1000 {
        world.send(r, chunk(Response, id(s, 2), offset, "x"));
    }
    world.send(r, last_chunk(Response, id(s, 2), 1000, zeros(INITIAL - 1000)));
    world.send(r, ack(Request, id(s, 2), 5));
    assert_eq!(world.account(r).take_strikes(), 0);
}

#[test]
fn a_late_start_of_a_response_counts_as_its_metadata_and_body() {
    for (beyond, strikes) in [(0, 0), (1, 1)] {
        let mut world = World::new();
        let (s, r) = pair(&mut world);
        world.send(s, request(id(s, 1)));
        world.got(r);
        world.send(s, cancel(id(s, 1)));
        world.send(r, response(id(s, 1)).metadata(metadata(400)).body(zeros(INITIAL - 400 + beyond)));
        assert_eq!(world.account(r).take_strikes(), strikes, "{beyond} bytes beyond the credit");
    }
}

#[test]
fn accounts_without_a_budget_admit_nothing() {
    let budget = Budget::new(0);
    let account = Account::new(budget);
    assert_eq!((account.held(), account.requests()), (0, 0));
    let mut world = World::with(CoreConfig::default(), 0);
    let s = world.join();
    world.send(s, request(id(s, 1)));
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 overloaded UNSTARTED"]);
}
