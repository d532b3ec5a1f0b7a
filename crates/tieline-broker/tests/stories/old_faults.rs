//! The faults of the earlier implementation, by name, as far as they can be seen at the core. It sent every frame to
//! all receivers of a channel.

use tieline_broker::ConnKey;
use tieline_protocol::{Code, Flags};

use crate::world::frames::*;
use crate::world::observer::piece;
use crate::world::*;

/// So many senders with one request each and as many receivers, all interleaved chunk by chunk in both directions;
/// asserts that each sender gets its own answer.
fn client_multiple_concurrent(count: usize) {
    const CHUNKS: usize = 7;
    let mut world = World::new();
    world.observer.verifies = true;
    let senders: Vec<_> = (0..count).map(|_| world.join()).collect();
    let receivers: Vec<_> = (0..count).map(|_| world.join()).collect();
    for r in &receivers {
        world.send(*r, receive(CHANNEL, 1));
    }
    for s in &senders {
        world.send(*s, request(id(*s, 1)).body(piece(id(*s, 1), *s, 0, 3)));
    }
    for turn in 0..CHUNKS {
        for s in &senders {
            let offset = 3 + turn * 5;
            let body = piece(id(*s, 1), *s, offset as u64, 5);
            let write = if turn + 1 == CHUNKS { last_chunk } else { chunk };
            world.send(*s, write(Request, id(*s, 1), offset, body));
        }
        world.settle();
    }
    // Whoever has a request answers it; the observer knows who gets what, and compares every byte.
    let pairs: Vec<_> = receivers
        .iter()
        .map(|r| {
            let frames = world.got(*r);
            let request = frames[0].header.exchange_id();
            assert!(frames.iter().all(|frame| frame.header.exchange_id() == request), "one request each");
            assert!(frames.last().unwrap().has(Flags::FINAL));
            (*r, request)
        })
        .collect();
    for (r, request) in &pairs {
        let mut by = tieline_protocol::Metadata::new();
        by.push("by", r.0.to_string()).unwrap();
        world.send(*r, response(*request).metadata(by));
    }
    for turn in 0..CHUNKS {
        for (r, request) in &pairs {
            let offset = turn * 11;
            let body = piece(*request, *r, offset as u64, 11);
            let write = if turn + 1 == CHUNKS { last_chunk } else { chunk };
            world.send(*r, write(Response, *request, offset, body));
        }
        world.settle();
    }
    for s in &senders {
        assert_eq!(world.outcome(id(*s, 1)), Complete);
        assert_eq!(world.observer.response_len(id(*s, 1)), Some(77));
        assert_eq!(world.observer.deliveries(id(*s, 1)), 1);
    }
    world.observer.finish();
    world.assert_at_rest();
}

#[test]
fn client_multiple_concurrent_3_senders_and_3_receivers_complete() {
    client_multiple_concurrent(3);
}

#[test]
fn client_multiple_concurrent_4_senders_and_4_receivers_get_correct_replies() {
    client_multiple_concurrent(4);
}

#[test]
fn one_sender_is_never_handed_anothers_answer() {
    let mut world = World::new();
    let [a, b, r] = world.join_all();
    world.send(r, receive(CHANNEL, 2));
    // The same request id on both: ids name a request only together with its opener.
    world.send(a, request(id(a, 1)).body("from a").last());
    world.send(b, request(id(b, 1)).body("from b").last());
    world.got(r);
    world.send(r, response(id(b, 1)).body("to b"));
    world.send(r, response(id(a, 1)).body("to a"));
    world.send(r, end(Response, id(b, 1), 4));
    world.send(r, end(Response, id(a, 1), 4));
    assert_eq!(world.told(a), ["start+RESPONSE 1/1 'to a' FINAL"]);
    assert_eq!(world.told(b), ["start+RESPONSE 2/1 'to b' FINAL"]);
}

#[test]
fn a_sequential_request_needs_no_time_to_pass() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 1));
    let began = world.now;
    for n in 1..=100 {
        world.send(s, request(id(s, n)).last());
        assert_eq!(world.got(r).len(), 1);
        world.send(r, raise(CHANNEL, n as u64 + 1));
        world.send(r, response(id(s, n)).last());
        assert_eq!(world.outcome(id(s, n)), Complete);
    }
    assert_eq!(world.now, began);
}

#[test]
fn a_thousand_idle_receivers_cost_nothing() {
    let mut world = World::new();
    world.checks = false;
    let [s, mine] = world.join_all();
    world.send(mine, receive(CHANNEL, 1));
    let idle: Vec<_> = (0..1000).map(|_| world.join()).collect();
    for r in &idle {
        world.send(*r, receive(CHANNEL, 1));
    }
    world.settle();
    assert_eq!(world.core.next_expiry(), None, "no timer is set for them");
    assert!(world.core.take_touched().next().is_none(), "nothing is put out to them");
    assert_eq!((world.core.counts().receives, world.core.counts().timers), (1001, 0));
    assert_eq!(world.budget.held(), 0);
    for _ in 0..100 {
        world.advance(1000);
        assert!(world.core.take_touched().next().is_none());
    }
    // And a request wakes one of them, not all.
    world.send(s, request(id(s, 1)).last());
    assert_eq!(world.got(mine).len(), 1);
    for r in &idle {
        assert!(world.read_so_far(*r).is_empty());
    }
    world.core.check();
}

#[test]
fn time_outs_are_enforced() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)).wait(20));
    world.send(s, request(id(s, 2)).deadline(30));
    world.advance(20);
    assert_eq!(world.outcome(id(s, 1)), Unstarted(Code::WaitLimit));
    world.send(r, receive(CHANNEL, 1));
    world.settle();
    world.advance(10);
    assert_eq!(world.outcome(id(s, 2)), Failed(Code::DeadlineExceeded));
    world.assert_at_rest();
}

#[test]
fn closed_connections_are_released() {
    let mut world = World::new();
    for round in 0..50 {
        let [s, a, b] = world.join_all();
        world.send(a, receive(CHANNEL, 3));
        world.send(s, request(id(s, 1)));
        world.send(s, request(id(s, 2)).idempotent());
        world.send(s, request(on(ELSEWHERE, id(s, 3))));
        world.got(a);
        world.send(b, receive(CHANNEL, 1));
        let order = [[s, a, b], [a, b, s], [b, s, a]][round % 3];
        for conn in order {
            world.kill(conn);
        }
        assert_eq!(world.core.counts(), tieline_broker::Counts::default());
        assert_eq!(world.budget.held(), 0);
        assert_eq!(world.core.next_expiry(), None);
    }
}

#[test]
fn a_full_queue_answers_whoever_it_refuses() {
    let mut config = tieline_broker::CoreConfig::default();
    config.channel_places = 2;
    let mut world = World::with(config, AMPLE);
    let [s, r] = world.join_all();
    for n in 1..=4 {
        world.send(s, request(id(s, n)).body("x"));
    }
    // A full queue blocks nothing either: chunks and cancels of what waits are taken.
    world.send(s, chunk(Request, id(s, 1), 1, "y"));
    world.send(s, cancel(id(s, 2)));
    assert_eq!(
        world.told(s),
        [
            "error+RESPONSE 1/2 cancelled UNSTARTED",
            "error+RESPONSE 1/3 channel-full UNSTARTED",
            "error+RESPONSE 1/4 channel-full UNSTARTED",
        ]
    );
    world.send(r, receive(CHANNEL, 9));
    assert_eq!(world.told(r), ["start+REQUEST 1/1 'xy'"]);
}

// And the mistakes of the remedy that was proposed for them.

#[test]
fn a_dead_receiver_is_assigned_nothing() {
    let mut world = World::new();
    let [s, dead, r] = world.join_all();
    world.send(dead, receive(CHANNEL, 5));
    world.send(r, receive(CHANNEL, 1));
    world.kill(dead);
    world.send(s, request(id(s, 1)).no_wait());
    assert_eq!(world.told(r), ["start+REQUEST 1/1"]);
    world.send(s, request(id(s, 2)).no_wait());
    assert_eq!(world.outcome(id(s, 2)), Unstarted(Code::NoReceiver));
}

#[test]
fn a_late_frame_is_never_sent_to_others() {
    let mut world = World::new();
    let conns: [ConnKey; 5] = world.join_all();
    let [s, r, ..] = conns;
    for conn in &conns[1..] {
        world.send(*conn, receive(CHANNEL, 1));
    }
    world.send(s, request(id(s, 1)));
    world.got(r);
    world.send(r, response(id(s, 1)).last());
    world.settle();
    for conn in conns {
        world.read_so_far(conn);
    }
    world.send(s, chunk(Request, id(s, 1), 0, "late"));
    world.send(r, chunk(Response, id(s, 1), 0, "late"));
    for conn in conns {
        assert_eq!(world.told(conn).len(), 0);
    }
}

#[test]
fn death_cancel_and_time_out_leak_no_assignment() {
    for ending in 0..3 {
        let mut world = World::new();
        let [s, r] = world.join_all();
        world.send(r, receive(CHANNEL, 100));
        for n in 1..=50 {
            world.send(s, request(id(s, n)).deadline(1000));
        }
        world.settle();
        assert_eq!(world.core.counts().busy, 50);
        match ending {
            0 => world.kill(r),
            1 => (1..=50).for_each(|n| world.send(s, cancel(id(s, n)))),
            _ => world.advance(1000),
        }
        world.assert_at_rest();
    }
}
