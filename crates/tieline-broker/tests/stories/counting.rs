//! What is counted for people agrees with what happened, and what they can look at with what there is.

use std::time::Duration;

use tieline_broker::{ChannelLook, ConnKey, Outcome, Side};
use tieline_protocol::{ChannelId, Code, ExchangeId, Metadata};

use crate::world::frames::*;
use crate::world::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn failed(code: Code) -> Outcome {
    Outcome::Failed(code)
}

fn look(world: &World, channel: ChannelId) -> ChannelLook {
    world.core.look_channel(world.now, channel).expect("something needs the channel")
}

/// Answers a request whole.
fn answer(world: &mut World, r: ConnKey, s: ConnKey, n: u128, body: usize) {
    world.got(r);
    world.send(r, response(id(s, n)).body(zeros(body)).last());
    world.got(s);
}

#[test]
fn every_request_is_counted_once_by_how_it_ended() {
    let mut world = World::new();
    let [s, r, gone] = world.join_all();
    world.send(s, request(id(s, 1)).no_wait().last());
    world.send(s, request(id(s, 2)).wait(5).last());
    world.advance(5);
    world.send(s, request(id(s, 3)).last());
    world.send(s, cancel(id(s, 3)));
    world.send(gone, request(id(gone, 1)).last());
    world.kill(gone);
    world.send(r, receive(CHANNEL, 9));
    for n in 4..=6 {
        world.send(s, request(id(s, n)).last());
    }
    answer(&mut world, r, s, 4, 0);
    world.send(r, error(Response, id(s, 5), Code::Application));
    world.got(s);
    world.kill(r);
    let totals = world.core.totals();
    for (outcome, count) in [
        (failed(Code::NoReceiver), 1),
        (failed(Code::WaitLimit), 1),
        (failed(Code::Cancelled), 1),
        (failed(Code::SenderLost), 1),
        (Outcome::Complete, 1),
        (failed(Code::Application), 1),
        (failed(Code::ReceiverLost), 1),
    ] {
        assert_eq!(totals.outcome(outcome), count, "{}", outcome.name());
    }
    assert_eq!(totals.ended(), 7);
    assert_eq!(totals.duration.count(), 6, "one was refused");
    assert_eq!((totals.wait.count(), totals.first_byte.count(), totals.again), (3, 1, 0));
    assert_eq!(Outcome::all().map(|outcome| totals.outcome(outcome)).sum::<u64>(), totals.ended());
}

#[test]
fn a_request_that_is_handed_out_again_has_waited_once() {
    let mut world = World::new();
    let [s, r, other] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.advance(10);
    world.send(s, request(id(s, 1)).last());
    world.got(r);
    world.send(r, returned(id(s, 1)));
    world.advance(10);
    assert_eq!(look(&world, CHANNEL).oldest, Some(ms(10)), "since it came, not since it came back");
    world.send(other, receive(CHANNEL, 1));
    answer(&mut world, other, s, 1, 0);
    let totals = world.core.totals();
    assert_eq!((totals.wait.count(), totals.wait.sum(), totals.again), (1, Duration::ZERO, 1));
    assert_eq!((totals.first_byte.sum(), totals.duration.sum()), (ms(10), ms(10)));
}

#[test]
fn times_run_from_when_a_request_came() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)).last());
    world.advance(100);
    world.send(r, receive(CHANNEL, 1));
    world.got(r);
    world.advance(200);
    world.send(r, response(id(s, 1)));
    world.got(s);
    world.advance(300);
    world.send(r, end(Response, id(s, 1), 0));
    let totals = world.core.totals();
    assert_eq!([totals.wait.sum(), totals.first_byte.sum(), totals.duration.sum()], [ms(100), ms(300), ms(600)]);
    let median = look(&world, CHANNEL).p50.expect("one has ended");
    assert!(median > ms(400) && median < ms(900), "{median:?}");
    world.drift(120_000);
    assert_eq!(look(&world, CHANNEL).p50, None, "nothing has ended lately");
}

#[test]
fn bytes_are_counted_as_they_come_by_direction_and_channel() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 2));
    world.send(r, receive(ELSEWHERE, 2));
    world.send(s, request(id(s, 1)).body(zeros(100)));
    world.send(s, chunk(Request, id(s, 1), 100, zeros(50)));
    world.send(s, request(on(ELSEWHERE, id(s, 2))).body(zeros(7)).last());
    world.got(r);
    world.send(r, response(id(s, 1)).body(zeros(1000)));
    world.send(r, chunk(Response, id(s, 1), 1000, zeros(1)));
    let totals = world.core.totals();
    assert_eq!((totals.request_bytes, totals.response_bytes), (157, 1001));
    let here = look(&world, CHANNEL);
    assert_eq!((here.request_bytes, here.response_bytes, here.free, here.busy), (150, 1001, 1, 1));
    assert_eq!(look(&world, ELSEWHERE).request_bytes, 7);
}

#[test]
fn who_does_not_take_a_body_stalls_its_producer_and_nobody_else_does() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)).body(zeros(INITIAL)));
    world.advance(50);
    assert_eq!(world.core.look_request(&id(s, 1)).unwrap().request_stalled, None, "it waits, which is no stall");
    world.send(r, receive(CHANNEL, 1));
    world.got(r);
    let since = world.now;
    world.advance(100);
    let request = world.core.look_request(&id(s, 1)).unwrap();
    assert_eq!((request.request_stalled, request.response_stalled), (Some((Side::Receiver, since)), None));
    assert_eq!(look(&world, CHANNEL).stalled(Side::Receiver), 1);
    world.send(r, ack(Request, id(s, 1), 2 * INITIAL));
    assert_eq!(world.core.totals().stalled(Side::Receiver), ms(100));
    world.advance(100);
    world.send(r, response(id(s, 1)).body(zeros(INITIAL)));
    world.advance(30);
    assert_eq!(look(&world, CHANNEL).stalled(Side::Sender), 1);
    world.send(s, cancel(id(s, 1)));
    let totals = world.core.totals();
    assert_eq!(Side::ALL.map(|by| totals.stalled(by)), [ms(30), ms(100), ms(0)]);
    assert_eq!(look(&world, CHANNEL).stalled(Side::Sender), 0);
}

#[test]
fn a_body_that_is_closed_is_not_stalled() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).body(zeros(INITIAL)));
    world.advance(10);
    world.send(s, end(Request, id(s, 1), INITIAL));
    world.advance(10);
    assert_eq!(world.core.totals().stalled(Side::Receiver), ms(10));
    assert_eq!(look(&world, CHANNEL).stalled(Side::Receiver), 0);
}

#[test]
fn a_grant_that_finds_no_memory_stalls_by_memory() {
    // What two need; the last quarter is not for grants.
    let mut world = World::with(tieline_broker::CoreConfig::default(), 2 * tieline_broker::ADMISSION);
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 2));
    world.send(s, request(on(ELSEWHERE, id(s, 1))));
    world.send(s, request(id(s, 2)).body(zeros(INITIAL)));
    world.got(r);
    world.send(r, ack(Request, id(s, 2), 5 * INITIAL));
    world.stall(r);
    let body = world.core.look_request(&id(s, 2)).unwrap().standing.request;
    world.send(s, chunk(Request, id(s, 2), INITIAL, zeros((body.granted - body.arrived) as usize)));
    assert_eq!(world.core.counts().hungry, 1);
    world.advance(10);
    world.send(s, cancel(id(s, 2)));
    let totals = world.core.totals();
    assert_eq!((totals.stalled(Side::Memory), totals.stalled(Side::Receiver)), (ms(10), ms(0)));
}

#[test]
fn dropped_frames_are_told_apart_by_whether_their_exchange_is_open() {
    let mut world = World::new();
    let [s, r, other] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)));
    world.got(r);
    world.send(other, chunk(Response, id(s, 1), 0, "x"));
    answer(&mut world, r, s, 1, 0);
    world.send(s, chunk(Request, id(s, 1), 0, "x"));
    world.send(r, chunk(Response, id(s, 1), 0, "x"));
    let totals = world.core.totals();
    assert_eq!((totals.foreign, totals.late), (1, 2));
}

#[test]
fn a_channel_is_known_by_its_name_from_the_first_frame_that_says_it() {
    let named = |name: &str| {
        let mut metadata = Metadata::new();
        metadata.push("channel", name).unwrap();
        (ChannelId::of_name(name), metadata)
    };
    let mut world = World::new();
    let [s, r] = world.join_all();
    let (upper, metadata) = named("upper");
    world.send(r, receive_with(upper, 1, &metadata));
    assert_eq!(look(&world, upper).name.as_deref(), Some(&b"upper"[..]));
    let (thumbs, metadata) = named("thumbs");
    world.send(s, request(on(thumbs, id(s, 1))).metadata(metadata));
    assert_eq!(look(&world, thumbs).name.as_deref(), Some(&b"thumbs"[..]));
    world.send(r, receive(CHANNEL, 1));
    assert_eq!(look(&world, CHANNEL).name, None);
}

#[test]
fn a_walk_in_steps_sees_every_channel_once_and_no_step_does_more_than_it_may() {
    let mut world = World::new();
    world.checks = false;
    let [s, other] = world.join_all();
    let channels: Vec<_> = (0..300).map(|n| ChannelId::from_u128(0x1000 + n)).collect();
    for (n, channel) in (1..).zip(&channels) {
        world.send(s, request(on(*channel, id(s, n))));
        world.got(s);
    }
    world.send(other, request(on(channels[0], id(other, 1))));
    let (mut seen, mut place, mut steps) = (Vec::new(), Some(0), 0);
    while let Some(from) = place {
        let before = seen.len();
        place = world.core.look_channels(world.now, from, 64, |look| seen.push(look.id));
        assert!(seen.len() - before <= 64 / 2 + 1, "a channel with one who waits is two");
        steps += 1;
    }
    assert!(steps >= 300 / 32, "{steps}");
    seen.sort_unstable();
    assert_eq!(seen, channels);
}

#[test]
fn a_receiver_shows_what_it_has_in_hand_and_a_channel_who_has_which_request() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 3));
    world.send(r, receive(ELSEWHERE, 1));
    for n in 1..=2 {
        world.send(s, request(id(s, n)).body("hello").last());
    }
    world.send(s, request(on(ELSEWHERE, id(s, 3))));
    let receiver = world.core.look_receiver(r, CHANNEL, 100).unwrap();
    assert_eq!((receiver.free, receiver.busy, receiver.used), (1, 2, 2));
    assert_eq!(world.core.look_receiver(s, CHANNEL, 100), None);
    let mut requests = Vec::new();
    let is_here = |id: &ExchangeId| id.channel == CHANNEL;
    let rest = world.core.look_requests(is_here, 0, 1000, |look| {
        requests.push((look.standing.id, look.standing.receiver, look.standing.request.arrived, look.request_held));
        true
    });
    assert_eq!((rest, requests.len()), (None, 2));
    assert!(requests.contains(&(id(s, 2), Some(r), 5, 5)), "nothing has left yet: {requests:?}");
    let mut first = Vec::new();
    world.core.look_requests(is_here, 0, 1000, |look| {
        first.push(look.standing.id);
        false
    });
    assert_eq!(first.len(), 1, "no more than asked for");
}
