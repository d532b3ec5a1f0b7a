//! Memory: charged with what is promised, within the budget, given back whatever way an exchange ends. A spent budget
//! makes windows small and stalls nothing.

use tieline_broker::{ADMISSION, ConnKey, CoreConfig, admission};
use tieline_protocol::flow::{Outbound, Window};
use tieline_protocol::limits::WINDOW_DEFAULT;
use tieline_protocol::{Code, ExchangeId, Kind, Time};

use crate::world::frames::*;
use crate::world::words::code;
use crate::world::*;

const WINDOW: usize = WINDOW_DEFAULT as usize;

fn pair(world: &mut World) -> (ConnKey, ConnKey) {
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1000));
    (s, r)
}

// Admissions

#[test]
fn an_exchange_holds_its_admission_until_its_last_byte_is_written() {
    let mut world = World::new();
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)));
    assert_eq!((world.budget.held(), world.account(s).held(), world.account(r).held()), (ADMISSION, ADMISSION, 0));
    world.got(r);
    world.stall(s);
    world.send(r, response(id(s, 1)).body("unread").last());
    assert_eq!(world.core.counts().busy, 0);
    assert_eq!(world.account(s).requests(), 0);
    assert_eq!(world.budget.held(), ADMISSION, "the response is still held");
    world.claim(s);
    assert_eq!(world.budget.held(), ADMISSION, "claimed isn't written");
    world.resume(s);
    world.assert_at_rest();
}

#[test]
fn the_error_that_ends_an_exchange_is_paid_for_until_it_is_written() {
    let mut world = World::new();
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)));
    world.got(r);
    world.stall(s);
    world.send(s, cancel(id(s, 1)));
    world.settle();
    assert_eq!((world.core.counts().busy, world.budget.held()), (0, ADMISSION), "the answer lies in its 4 KiB");
    world.resume(s);
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 cancelled"]);
    world.assert_at_rest();
}

#[test]
fn a_sender_that_is_lost_gives_everything_back() {
    let mut world = World::new();
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)));
    world.send(s, request(id(s, 2)));
    world.send(r, ack(Request, id(s, 1), WINDOW));
    world.got(r);
    world.send(r, ack(Request, id(s, 1), WINDOW));
    world.send(s, ack(Response, id(s, 2), WINDOW));
    assert!(world.budget.held() > 2 * (ADMISSION + WINDOW as u64 - INITIAL as u64) - 1);
    world.kill(s);
    world.assert_at_rest();
}

#[test]
fn an_admission_beyond_the_budget_is_overloaded_and_told_when_to_come_back() {
    let mut world = World::with(CoreConfig::default(), 3 * ADMISSION + 5);
    let s = world.join();
    for n in 1..=4 {
        world.send(s, request(id(s, n)));
    }
    let frame = world.got_one(s);
    assert_eq!((code(&frame), frame.header.request.as_u128()), (Code::Overloaded, 4));
    assert!(words::fault(&frame).retry_after.is_some());
    world.send(s, cancel(id(s, 1)));
    world.got(s);
    world.send(s, request(id(s, 5)));
    assert_eq!(world.told(s).len(), 0, "what was given back can be had");
}

#[test]
fn one_connection_has_64_admissions_or_a_quarter_of_what_is_free() {
    let mut world = World::with(CoreConfig::default(), 1000 * ADMISSION);
    world.checks = false;
    let [greedy, modest] = world.join_all();
    for n in 1..=300 {
        world.send(greedy, request(id(greedy, n)));
    }
    assert_eq!(world.told(greedy).len(), 100, "x = (1000 - x) / 4");
    for n in 1..=150 {
        world.send(modest, request(id(modest, n)));
    }
    assert_eq!(world.told(modest).len(), 0);

    let mut world = World::with(CoreConfig::default(), 100 * ADMISSION);
    world.checks = false;
    let [greedy, modest] = world.join_all();
    for n in 1..=70 {
        world.send(greedy, request(id(greedy, n)));
        world.send(modest, request(id(modest, n)));
    }
    assert_eq!(world.told(greedy).len() + world.told(modest).len(), 40);
    assert_eq!(world.budget.held(), 100 * ADMISSION);
}

// Grants

#[test]
fn a_grant_beyond_the_initial_window_is_reserved_for_whoever_granted_and_given_back_as_bytes_are_written() {
    let mut world = World::new();
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)));
    world.got(r);
    world.send(r, ack(Request, id(s, 1), 100_000));
    assert_eq!(world.account(r).held(), 100_000 - INITIAL as u64);
    assert_eq!(world.account(s).held(), ADMISSION);
    world.got(s);
    world.stall(r);
    world.send(s, chunk(Request, id(s, 1), 0, zeros(30_000)));
    assert_eq!(world.account(r).held(), 100_000 - INITIAL as u64, "held here is still promised");
    world.resume(r);
    world.settle();
    assert_eq!(world.account(r).held(), 100_000 - INITIAL as u64 - 30_000);
    world.send(s, chunk(Request, id(s, 1), 30_000, zeros(60_000)));
    world.settle();
    assert_eq!(world.account(r).held(), 0, "what is left is covered by the admission");
    world.send(s, ack(Response, id(s, 1), 50_000));
    assert_eq!(world.account(s).held(), ADMISSION + 50_000 - INITIAL as u64);
    world.send(r, response(id(s, 1)).last());
    world.assert_at_rest();
}

#[test]
fn a_request_that_waits_again_holds_its_admission_and_nothing_of_its_last_hand_out() {
    let mut world = World::new();
    let [s, r, next] = world.join_all();
    world.send(s, request(id(s, 1)).idempotent().last());
    world.send(s, ack(Response, id(s, 1), 100_000));
    world.send(r, receive(CHANNEL, 1));
    world.got(r);
    assert_eq!(world.account(s).held(), admission(0) + 100_000 - INITIAL as u64);
    world.kill(r);
    assert_eq!(world.account(s).held(), admission(0), "nobody was promised anything, and nothing came");
    world.send(next, receive(CHANNEL, 1));
    assert_eq!(world.told(next), ["start+REQUEST 1/1 IDEMPOTENT FINAL", "ack+RESPONSE 1/1 @100000"]);
    assert_eq!(world.account(s).held(), admission(0) + 100_000 - INITIAL as u64);
    world.send(next, response(id(s, 1)).body("done").last());
    world.assert_at_rest();
}

#[test]
fn what_a_slow_receiver_has_waiting_never_exceeds_what_was_promised() {
    let mut world = World::new();
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)));
    world.got(r);
    world.send(r, ack(Request, id(s, 1), 60_000));
    world.got(s);
    world.stall(r);
    world.send(s, chunk(Request, id(s, 1), 0, zeros(60_000)));
    assert_eq!(world.account(r).held() + INITIAL as u64, 60_000);
    world.send(s, chunk(Request, id(s, 1), 60_000, "x"));
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 flow-control"]);
    world.resume(r);
    world.assert_at_rest();
}

/// A budget of which `bytes` may be used before the last quarter begins, which is for admissions alone.
fn beside_the_last_quarter(bytes: u64) -> u64 {
    bytes * 4 / 3
}

#[test]
fn grants_leave_the_last_quarter_of_the_budget_to_admissions() {
    let mut world = World::with(CoreConfig::default(), 200 * ADMISSION);
    let [s, first, second, other] = world.join_all();
    // Each may hold 64 admissions' worth for its grants, so it takes both to come to the last quarter.
    for r in [first, second] {
        world.send(r, receive(CHANNEL, 30));
    }
    for n in 1..=60 {
        world.send(s, request(id(s, n)));
    }
    world.settle();
    for n in 1..=60 {
        world.send(if n % 2 == 1 { first } else { second }, ack(Request, id(s, n), WINDOW));
    }
    assert_eq!(world.budget.held(), 150 * ADMISSION, "grants took all that they may");
    for n in 1..=50 {
        world.send(other, request(id(other, n)));
    }
    assert_eq!(world.core.counts().waiting, 50, "whoever comes is admitted all the same");
}

#[test]
fn what_cannot_be_reserved_now_is_passed_on_later_unasked() {
    let mut world = World::with(CoreConfig::default(), beside_the_last_quarter(2 * ADMISSION + 10_000));
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)));
    world.send(s, request(id(s, 2)));
    world.got(r);
    world.send(r, ack(Request, id(s, 1), WINDOW));
    assert_eq!(world.told(s), [format!("ack+REQUEST 1/1 @{}", INITIAL + 10_000)], "as much as there is");
    assert_eq!(world.core.counts().hungry, 1);
    world.send(r, response(id(s, 2)).last());
    let told = world.told(s);
    let expected = format!("ack+REQUEST 1/1 @{}", INITIAL + 10_000 + ADMISSION as usize);
    assert_eq!(told, ["start+RESPONSE 1/2 FINAL".to_owned(), expected]);
    assert_eq!(world.budget.held(), 2 * ADMISSION + 10_000, "and not a byte of the last quarter");
    world.send(s, cancel(id(s, 1)));
    world.assert_at_rest();
}

#[test]
fn a_lower_grant_takes_nothing_from_one_that_waits_for_memory() {
    let mut world = World::with(CoreConfig::default(), beside_the_last_quarter(2 * ADMISSION));
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)));
    world.send(s, request(id(s, 2)));
    world.got(r);
    for to in [30_000, 20_000] {
        world.send(r, ack(Request, id(s, 1), to));
    }
    assert_eq!((world.told(s).len(), world.core.counts().hungry), (0, 1));
    world.send(s, cancel(id(s, 2)));
    assert_eq!(world.told(s), ["error+RESPONSE 1/2 cancelled", "ack+REQUEST 1/1 @30000"]);
}

#[test]
fn a_producer_that_stands_still_is_granted_even_little() {
    let mut world = World::with(CoreConfig::default(), beside_the_last_quarter(ADMISSION));
    let (s, r) = pair(&mut world);
    world.stall(r);
    let about = 5000;
    world.send(s, request(id(s, 1)).metadata(metadata(about)).body(zeros(INITIAL - about - 1)));
    world.claim(r);
    world.deliver(r);
    world.send(r, ack(Request, id(s, 1), WINDOW));
    assert_eq!(world.told(s).len(), 0, "it has a byte of credit, and less than a step is free");
    world.send(s, chunk(Request, id(s, 1), INITIAL - about - 1, "x"));
    world.claim(r);
    world.deliver(r);
    world.send(r, ack(Request, id(s, 1), WINDOW));
    assert_eq!(world.told(s), [format!("ack+REQUEST 1/1 @{INITIAL}")], "what is left of the initial window");
}

#[test]
fn memory_that_comes_free_is_shared_in_turn_by_connection() {
    let mut world = World::with(CoreConfig::default(), beside_the_last_quarter(4 * ADMISSION));
    let [s, a, b] = world.join_all();
    world.send(a, receive(CHANNEL, 2));
    world.send(s, request(id(s, 1)));
    world.send(s, request(id(s, 2)));
    world.send(b, receive(CHANNEL, 2));
    world.send(s, request(id(s, 3)));
    world.send(s, request(id(s, 4)));
    world.settle();
    // Nothing is free, so whatever is granted waits: two of a's directions, then one of b's.
    for n in [1, 2] {
        world.send(a, ack(Request, id(s, n), INITIAL + 40_000));
    }
    world.send(b, ack(Request, id(s, 3), INITIAL + 40_000));
    assert_eq!(world.core.counts().hungry, 3);
    assert_eq!(world.told(s).len(), 0);
    // One admission comes free: a is first; then the next is b's.
    world.send(s, cancel(id(s, 4)));
    assert_eq!(
        world.told(s)[1..],
        [format!("ack+REQUEST 1/1 @{}", INITIAL + ADMISSION as usize)],
        "the first in turn gets what there is"
    );
    world.send(s, cancel(id(s, 2)));
    let told = world.told(s);
    assert_eq!(told[1], format!("ack+REQUEST 1/3 @{}", INITIAL + ADMISSION as usize), "{told:?}");
}

#[test]
fn memory_that_comes_free_is_offered_once_to_those_who_have_spent_their_share() {
    let mut world = World::with(CoreConfig::default(), 200 * ADMISSION);
    let [s, r, other] = world.join_all();
    world.send(r, receive(CHANNEL, 5));
    for n in 1..=5 {
        world.send(s, request(id(s, n)));
    }
    world.settle();
    for n in 1..=5 {
        world.send(r, ack(Request, id(s, n), WINDOW));
    }
    let hungry = world.core.counts().hungry;
    assert!(hungry > 0 && world.account(r).held() == 64 * ADMISSION, "its share is spent, and much is free");
    world.got(s);
    world.send(other, request(id(other, 1)));
    world.send(other, cancel(id(other, 1)));
    assert_eq!((world.core.counts().hungry, world.told(s).len()), (hungry, 0), "what came free isn't for them");
}

#[test]
fn crumbs_of_memory_are_not_passed_on_one_by_one() {
    let mut world = World::with(CoreConfig::default(), beside_the_last_quarter(ADMISSION + 100));
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)));
    world.got(r);
    world.send(r, ack(Request, id(s, 1), WINDOW));
    assert_eq!(world.told(s).len(), 0, "100 bytes, and the producer has credit");
    for turn in 0..20 {
        world.send(s, chunk(Request, id(s, 1), turn * 500, zeros(500)));
        world.settle();
    }
    let grants = world.told(s);
    assert_eq!(grants.len(), 1, "in steps of half an initial window: {grants:?}");
}

/// Sends a body through to a receiver that consumes all that comes, and back again; how many grants the sender got.
fn carry(world: &mut World, id: ExchangeId, s: ConnKey, r: ConnKey, len: u64) -> usize {
    let mut out = Outbound::new(INITIAL as u64);
    let mut window = Window::new(WINDOW as u64, INITIAL as u64);
    let mut grants = 0;
    if let Some(to) = window.open(0, || Time::ZERO) {
        world.send(r, ack(Request, id, to as usize));
    }
    while out.sent() < len {
        let mut moved = false;
        for frame in world.got(s) {
            assert_eq!(frame.kind, Kind::AckRequest);
            grants += 1;
            moved = true;
            out.granted(frame.header.value);
        }
        let credit = out.credit().min(len - out.sent()).min(64 * 1024);
        if credit > 0 {
            moved = true;
            world.send(s, chunk(Request, id, out.sent() as usize, zeros(credit as usize)));
            out.spend(credit);
        }
        for frame in world.got(r) {
            moved = true;
            let bytes = frame.payload.len() as u64;
            if let Some(to) = window.consume(bytes, frame.header.value + bytes, || Time::ZERO) {
                world.send(r, ack(Request, id, to as usize));
            }
        }
        assert!(moved, "stalled at {} of {len} bytes", out.sent());
        assert!(world.budget.held() <= world.budget.total());
    }
    world.send(s, end(Request, id, len as usize));
    world.settle();
    grants
}

#[test]
fn a_body_of_10_mib_passes_with_a_budget_for_hardly_more_than_admissions() {
    for spare in [0, 1, 5000, 100_000] {
        let mut world = World::with(CoreConfig::default(), ADMISSION + spare);
        let (s, r) = pair(&mut world);
        world.send(s, request(id(s, 1)));
        world.got(r);
        carry(&mut world, id(s, 1), s, r, 10 << 20);
        world.send(r, response(id(s, 1)).last());
        assert_eq!(world.outcome(id(s, 1)), Complete, "{spare}");
        world.assert_at_rest();
    }
}

#[test]
fn a_response_of_1_mib_passes_with_a_budget_for_nothing_but_admissions() {
    let mut world = World::with(CoreConfig::default(), ADMISSION);
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)).last());
    world.got(r);
    let mut out = Outbound::new(INITIAL as u64);
    let mut window = Window::new(WINDOW as u64, INITIAL as u64);
    world.send(s, ack(Response, id(s, 1), window.open(INITIAL as u64, || Time::ZERO).unwrap() as usize));
    world.send(r, response(id(s, 1)));
    while out.sent() < 1 << 20 {
        let before = out.sent();
        for frame in world.got(r) {
            out.granted(frame.header.value);
        }
        let credit = out.credit().min(64 * 1024);
        if credit > 0 {
            world.send(r, chunk(Response, id(s, 1), out.sent() as usize, zeros(credit as usize)));
            out.spend(credit);
        }
        for frame in world.got(s) {
            if frame.kind == Kind::ChunkResponse {
                let bytes = frame.payload.len() as u64;
                if let Some(to) = window.consume(bytes, frame.header.value + bytes, || Time::ZERO) {
                    world.send(s, ack(Response, id(s, 1), to as usize));
                }
            }
        }
        assert!(out.sent() > before, "stalled at {before} bytes");
    }
    world.send(r, end(Response, id(s, 1), out.sent() as usize));
    assert_eq!(world.outcome(id(s, 1)), Complete);
    world.assert_at_rest();
}

#[test]
fn one_that_is_hungry_does_not_hold_up_another() {
    // All of the budget is admitted, and every direction wants a window; each goes on all the same.
    let mut world = World::with(CoreConfig::default(), 8 * ADMISSION);
    let (s, r) = pair(&mut world);
    for n in 1..=8 {
        world.send(s, request(id(s, n)));
    }
    world.got(r);
    for n in 1..=8 {
        world.send(r, ack(Request, id(s, n), WINDOW));
        world.send(s, ack(Response, id(s, n), WINDOW));
    }
    for n in 2..=8 {
        world.got(r);
        world.got(s);
        carry_with_grants(&mut world, id(s, n), s, r, 200_000);
        assert_eq!(world.core.counts().busy, 9 - n as usize);
    }
}

/// Like [`carry`], among exchanges whose grants come meanwhile; then the response ends it.
fn carry_with_grants(world: &mut World, id: ExchangeId, s: ConnKey, r: ConnKey, len: usize) {
    let (mut sent, mut granted) = (0, INITIAL);
    while sent < len {
        let credit = (granted - sent).min(len - sent).min(60_000);
        if credit > 0 {
            world.send(s, chunk(Request, id, sent, zeros(credit)));
            sent += credit;
        }
        world.got(r);
        world.send(r, ack(Request, id, sent + WINDOW));
        let before = granted;
        for frame in world.got(s).iter().filter(|frame| frame.header.exchange_id() == id) {
            granted = frame.header.value as usize;
        }
        assert!(credit > 0 || granted > before, "stalled at {sent}");
    }
    world.send(r, response(id).last());
    assert_eq!(world.outcome(id), Complete);
}

#[test]
fn what_no_longer_needs_memory_does_not_wait_for_it() {
    let mut world = World::with(CoreConfig::default(), ADMISSION);
    let (s, r) = pair(&mut world);
    world.send(s, request(id(s, 1)));
    world.got(r);
    world.send(r, ack(Request, id(s, 1), WINDOW));
    assert_eq!(world.core.counts().hungry, 1);
    world.send(s, end(Request, id(s, 1), 0));
    assert_eq!(world.core.counts().hungry, 0, "its body is closed");
    world.send(s, ack(Response, id(s, 1), WINDOW));
    assert_eq!(world.core.counts().hungry, 1);
    world.send(s, cancel(id(s, 1)));
    world.assert_at_rest();
}
