//! The ways in which an exchange ends, in every stage: each side is told once, in the words that are true for it, and
//! nothing is left.

use tieline_broker::ConnKey;
use tieline_protocol::{Code, Fault, Flags};

use crate::world::frames::*;
use crate::world::words::{fault, word};
use crate::world::*;

const NOTHING: [&str; 0] = [];

/// Where a request is when something happens to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Waiting,
    /// In the receiver's outbox.
    Unsent,
    /// In its outbox behind the end of its receive.
    Pinned,
    Handed,
    Accepted,
    Responding,
    /// The request's body is closed, too.
    RespondingToAll,
}

use Stage::{Accepted, Handed, Pinned, Responding, RespondingToAll, Unsent, Waiting};

const STAGES: [Stage; 7] = [Waiting, Unsent, Pinned, Handed, Accepted, Responding, RespondingToAll];

/// A request of connection 1, `abc` so far, in a stage; the receiver is connection 2. Both have read all there is.
fn world_with(stage: Stage) -> (World, ConnKey, ConnKey) {
    let mut world = World::new();
    let [s, r] = world.join_all();
    let id = id(s, 1);
    if stage != Waiting {
        world.send(r, receive(CHANNEL, 1));
    }
    if matches!(stage, Unsent | Pinned) {
        world.stall(r);
    }
    world.send(s, request(id).body("abc"));
    if stage == Pinned {
        world.send(r, withdraw(CHANNEL));
    }
    world.settle();
    if stage == Accepted {
        world.send(r, ack(Request, id, 30_000));
    }
    if matches!(stage, Responding | RespondingToAll) {
        world.send(r, response(id).body("xyz"));
    }
    if stage == RespondingToAll {
        world.send(s, end(Request, id, 3));
    }
    world.got(s);
    world.settle();
    world.read_so_far(r);
    (world, s, r)
}

/// What a stalled receiver gets first, once it reads.
fn resumed(world: &mut World, r: ConnKey) -> Vec<String> {
    world.resume(r);
    world.told(r)
}

#[test]
fn a_cancel_is_answered_once_in_every_stage() {
    for stage in STAGES {
        let (mut world, s, r) = world_with(stage);
        world.send(s, cancel(id(s, 1)));
        let nobody_saw_it = matches!(stage, Waiting | Unsent);
        let flag = if nobody_saw_it { " UNSTARTED" } else { "" };
        assert_eq!(world.told(s), [format!("error+RESPONSE 1/1 cancelled{flag}")], "{stage:?}");
        let expected: &[&str] = match stage {
            Waiting | Unsent => &[],
            Pinned => &["start+REQUEST 1/1", "error+REQUEST 1/1 cancelled", "end+RECEIVE @1"],
            _ => &["error+REQUEST 1/1 cancelled"],
        };
        assert_eq!(resumed(&mut world, r), expected, "{stage:?}");
        world.assert_at_rest();
        // A second one is late.
        world.send(s, cancel(id(s, 1)));
        assert_eq!((world.told(s), world.told(r)), (vec![], vec![]), "{stage:?}");
        assert_eq!(world.late_frames(s), 1);
    }
}

#[test]
fn the_reason_of_a_cancel_reaches_the_receiver_and_the_sender_is_told_cancelled() {
    let (mut world, s, r) = world_with(Responding);
    world.send(s, error_with(Request, id(s, 1), &Fault::because(Code::Application, "changed my mind")));
    let told = fault(&world.got_one(r));
    assert_eq!((told.code, told.message.as_str()), (Code::Application, "changed my mind"));
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 cancelled"]);
}

#[test]
fn the_loss_of_a_sender_ends_its_request_in_every_stage() {
    for stage in STAGES {
        let (mut world, s, r) = world_with(stage);
        world.kill(s);
        let expected: &[&str] = match stage {
            Waiting | Unsent => &[],
            Pinned => &["start+REQUEST 1/1", "error+REQUEST 1/1 sender-lost", "end+RECEIVE @1"],
            _ => &["error+REQUEST 1/1 sender-lost"],
        };
        assert_eq!(resumed(&mut world, r), expected, "{stage:?}");
        world.assert_at_rest();
        if stage == Unsent {
            let other = world.join();
            world.send(other, request(id(other, 1)));
            assert_eq!(world.told(r), ["start+REQUEST 3/1"], "its readiness was given back");
        }
    }
}

#[test]
fn the_loss_of_a_receiver_ends_what_it_may_have_begun_and_nothing_else() {
    for stage in STAGES {
        let (mut world, s, r) = world_with(stage);
        world.kill(r);
        let waits = matches!(stage, Waiting | Unsent | Pinned);
        if waits {
            assert_eq!(world.told(s), NOTHING, "{stage:?}");
            assert_eq!(world.core.counts().waiting, 1, "{stage:?}");
            world.send(s, cancel(id(s, 1)));
            assert_eq!(world.told(s), ["error+RESPONSE 1/1 cancelled UNSTARTED"], "{stage:?}");
        } else {
            assert_eq!(world.told(s), ["error+RESPONSE 1/1 receiver-lost"], "{stage:?}");
        }
        world.assert_at_rest();
    }
}

#[test]
fn the_loss_of_both_leaves_nothing() {
    for stage in STAGES {
        for sender_first in [true, false] {
            let (mut world, s, r) = world_with(stage);
            let order = if sender_first { [s, r] } else { [r, s] };
            for conn in order {
                world.kill(conn);
            }
            world.assert_at_rest();
            assert_eq!(world.core.counts(), tieline_broker::Counts::default(), "{stage:?}");
        }
    }
}

#[test]
fn the_loss_of_a_bystander_changes_nothing() {
    for stage in STAGES {
        let (mut world, s, r) = world_with(stage);
        let bystander = world.join();
        world.send(bystander, request(on(ELSEWHERE, id(bystander, 1))));
        let before = world.core.counts();
        world.kill(bystander);
        let after = world.core.counts();
        assert_eq!((before.busy, before.waiting - 1, before.receives), (after.busy, after.waiting, after.receives));
        assert_eq!(world.told(s), NOTHING);
        world.stall(r);
    }
}

#[test]
fn an_error_of_the_receivers_program_travels_behind_the_body_it_had_sent() {
    let (mut world, s, r) = world_with(Handed);
    world.stall(s);
    world.send(r, response(id(s, 1)).body("half"));
    world.send(r, chunk(Response, id(s, 1), 4, " of it"));
    world.send(r, error_with(Response, id(s, 1), &Fault::because(Code::Application, "then I fell")));
    world.resume(s);
    let frames = world.got(s);
    let words: Vec<_> = frames.iter().map(word).collect();
    assert_eq!(words, ["start+RESPONSE 1/1 'half of it'", "error+RESPONSE 1/1 application"]);
    assert_eq!(fault(&frames[1]).message, "then I fell");
    assert_eq!(world.told(r), NOTHING, "who closed the response is told nothing more");
    world.assert_at_rest();
}

#[test]
fn an_error_of_the_program_may_come_first_and_is_an_accept() {
    for stage in [Handed, Accepted] {
        let (mut world, s, r) = world_with(stage);
        world.send(r, error(Response, id(s, 1), Code::Application));
        assert_eq!(world.told(s), ["error+RESPONSE 1/1 application"], "without UNSTARTED: it was seen");
        assert_eq!(world.told(r), NOTHING);
        world.assert_at_rest();
    }
}

#[test]
fn an_application_error_is_not_handed_out_again_though_idempotent() {
    let mut world = World::new();
    let [s, a, b] = world.join_all();
    world.send(a, receive(CHANNEL, 1));
    world.send(b, receive(CHANNEL, 1));
    world.send(s, request(id(s, 1)).idempotent());
    world.got(a);
    world.send(a, error(Response, id(s, 1), Code::Application));
    assert_eq!(world.outcome(id(s, 1)), Failed(Code::Application));
    assert_eq!(world.told(b), NOTHING);
}

#[test]
fn a_cancel_overtakes_and_discards_what_is_queued_both_ways() {
    let (mut world, s, r) = world_with(Responding);
    world.stall(s);
    world.stall(r);
    world.send(r, chunk(Response, id(s, 1), 3, zeros(8000)));
    world.send(s, chunk(Request, id(s, 1), 3, zeros(8000)));
    world.send(s, cancel(id(s, 1)));
    world.resume(s);
    world.resume(r);
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 cancelled"]);
    assert_eq!(world.told(r), ["error+REQUEST 1/1 cancelled"]);
    world.assert_at_rest();
}

#[test]
fn a_servers_error_overtakes_the_bulk_of_others_too() {
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 2));
    world.send(s, request(id(s, 1)));
    world.send(s, request(id(s, 2)));
    world.got(r);
    world.send(r, ack(Request, id(s, 1), 500_000));
    world.got(s);
    world.stall(r);
    for turn in 0..8 {
        world.send(s, chunk(Request, id(s, 1), turn * 60_000, zeros(60_000)));
    }
    world.send(s, cancel(id(s, 2)));
    world.resume(r);
    assert_eq!(world.told(r)[0], "error+REQUEST 1/2 cancelled");
}

#[test]
fn an_end_of_the_response_that_came_first_answers_the_cancel() {
    let (mut world, s, r) = world_with(Responding);
    world.stall(s);
    world.send(r, end(Response, id(s, 1), 3));
    world.send(s, cancel(id(s, 1)));
    world.resume(s);
    assert_eq!(world.told(s), ["end+RESPONSE 1/1 @3"]);
    assert_eq!(world.outcome(id(s, 1)), Complete);
    assert_eq!(world.told(r), NOTHING);
}

#[test]
fn one_error_may_stand_behind_the_end_of_a_request() {
    let (mut world, s, r) = world_with(Handed);
    world.send(s, last_chunk(Request, id(s, 1), 3, "!"));
    assert_eq!(world.told(r), ["chunk+REQUEST 1/1 @3 '!' FINAL"]);
    world.send(s, cancel(id(s, 1)));
    assert_eq!(world.told(r), ["error+REQUEST 1/1 cancelled"]);
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 cancelled"]);
    world.assert_at_rest();
}

#[test]
fn codes_that_clients_may_not_send_break_the_exchange_and_unknown_ones_are_internal() {
    for code in [Code::Returned, Code::DeadlineExceeded, Code::ReceiverLost, Code::ShuttingDown] {
        let (mut world, s, r) = world_with(Handed);
        world.send(s, error(Request, id(s, 1), code));
        assert_eq!(world.told(s), ["error+RESPONSE 1/1 invalid-frame"], "{code}");
        assert_eq!(world.told(r), ["error+REQUEST 1/1 sender-lost"], "{code}");
        world.assert_at_rest();
    }
    for code in [Code::Cancelled, Code::NoReceiver, Code::SenderLost, Code::DeadlineExceeded] {
        let (mut world, s, r) = world_with(Handed);
        world.send(r, error(Response, id(s, 1), code));
        assert_eq!(world.told(r), ["error+REQUEST 1/1 invalid-frame"], "{code}");
        assert_eq!(world.told(s), ["error+RESPONSE 1/1 receiver-lost"], "{code}");
        world.assert_at_rest();
    }
    let unknown = bytes::Bytes::from_static(&[0x7F, 0xFF]);
    let (mut world, s, r) = world_with(Handed);
    let mut frame = error(Response, id(s, 1), Code::Application);
    frame.payload = unknown.clone();
    world.send(r, frame);
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 internal"]);
    world.assert_at_rest();
    let (mut world, s, r) = world_with(Handed);
    let mut frame = cancel(id(s, 1));
    frame.payload = unknown;
    world.send(s, frame);
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 cancelled"], "from a sender it has the effect of a cancel");
    assert_eq!(world.told(r), ["error+REQUEST 1/1 internal"]);
    world.assert_at_rest();
}

#[test]
fn nobody_but_the_server_says_unstarted() {
    let (mut world, s, r) = world_with(Handed);
    let mut frame = error(Response, id(s, 1), Code::Application);
    frame.header.flags |= Flags::UNSTARTED;
    assert_eq!(world.send_fatal(r, frame).code, Code::InvalidFrame);
    assert_eq!(world.outcome(id(s, 1)), Failed(Code::ReceiverLost));
}

#[test]
fn payloads_that_cannot_be_read_break_the_connection() {
    let unreadable = |s| {
        let mut error = cancel(id(s, 1));
        error.payload = bytes::Bytes::from_static(&[0, 15, 9]);
        error.header.length = 3;
        let mut start: tieline_protocol::Frame = request(id(s, 2)).into();
        start.payload = bytes::Bytes::from_static(&[0, 9, 1]);
        start.header.length = 3;
        [error, start]
    };
    for which in 0..2 {
        let (mut world, s, r) = world_with(Handed);
        assert_eq!(world.send_fatal(s, unreadable(s)[which].clone()).code, Code::InvalidFrame);
        assert_eq!(world.told(r), ["error+REQUEST 1/1 sender-lost"]);
        world.assert_at_rest();
    }
    let (mut world, s, r) = world_with(Handed);
    let mut frame: tieline_protocol::Frame = response(id(s, 1)).into();
    frame.payload = bytes::Bytes::from_static(&[0, 9, 1]);
    frame.header.length = 3;
    assert_eq!(world.send_fatal(r, frame).code, Code::InvalidFrame);
    assert_eq!(world.outcome(id(s, 1)), Failed(Code::ReceiverLost));
}

#[test]
fn a_trailer_that_is_no_metadata_never_looks_like_an_end() {
    let broken = |of, s| {
        let mut frame = end(of, id(s, 1), 3);
        frame.payload = bytes::Bytes::from_static(&[1, b'A', 0, 0]);
        frame.header.length = 4;
        frame
    };
    let (mut world, s, r) = world_with(Handed);
    assert_eq!(world.send_fatal(s, broken(Request, s)).code, Code::InvalidFrame);
    assert_eq!(world.told(r), ["error+REQUEST 1/1 sender-lost"]);
    let (mut world, s, r) = world_with(Responding);
    assert_eq!(world.send_fatal(r, broken(Response, s)).code, Code::InvalidFrame);
    assert_eq!(world.told(s), ["error+RESPONSE 1/1 receiver-lost"]);
}

#[test]
fn an_exchange_that_is_over_can_be_followed_by_the_next_at_once() {
    for stage in STAGES {
        let (mut world, s, r) = world_with(stage);
        world.send(s, cancel(id(s, 1)));
        world.resume(r);
        world.settle();
        world.read_so_far(r);
        world.send(r, raise(CHANNEL, 9));
        world.send(r, withdraw(CHANNEL));
        world.send(r, receive(CHANNEL, 1));
        world.settle();
        world.read_so_far(r);
        world.read_so_far(s);
        world.send(s, request(id(s, 2)).body("next").last());
        assert_eq!(world.told(r), ["start+REQUEST 1/2 'next' FINAL"], "{stage:?}");
        world.send(r, response(id(s, 2)).last());
        assert_eq!(world.told(s), ["start+RESPONSE 1/2 FINAL"], "{stage:?}");
        world.assert_at_rest();
    }
}

#[test]
fn long_words_of_an_error_are_cut_to_fit() {
    let (mut world, s, r) = world_with(Handed);
    let long = Fault::because(Code::Application, "m".repeat(300)).with_detail("d".repeat(3000));
    let mut frame = error(Response, id(s, 1), Code::Application);
    let mut payload = vec![0, Code::Application.number() as u8];
    let mut about = tieline_protocol::Metadata::new();
    about.push("message", &long.message).unwrap();
    about.push("detail", long.detail.as_deref().unwrap()).unwrap();
    payload.extend_from_slice(about.wire());
    frame.header.length = payload.len() as u32;
    frame.payload = payload.into();
    world.send(r, frame);
    let frame = world.got_one(s);
    assert!(frame.payload.len() <= 1024);
    assert_eq!(fault(&frame).message, long.message);
}

#[test]
fn a_lost_sender_s_requests_end_in_short_steps_and_those_that_wait_go_first() {
    let mut world = World::new();
    let [s, r, other] = world.join_all();
    world.send(r, receive(CHANNEL, 3));
    for n in 1..=10 {
        world.send(s, request(id(s, n)));
    }
    world.send(other, request(id(other, 1)));
    assert_eq!(world.got(r).len(), 3);
    world.core.end_connection(s);
    let mut steps = 0;
    loop {
        let before = world.core.counts();
        let more = world.core.abandon_some(world.now, s, 4);
        let after = world.core.counts();
        steps += 1;
        assert!(before.waiting + before.busy - after.waiting - after.busy <= 4, "a step is short");
        assert!(after.busy == 3 || after.waiting == 1, "those that wait end before those that are in hand");
        if !more {
            break;
        }
    }
    assert_eq!(steps, 3, "7 that waited in two, and 3 in hand");
    assert_eq!(world.core.counts().waiting, 1, "and the other's still waits");
    world.kill_silently(s);
    world.settle();
    assert_eq!(
        world.told(r),
        ["error+REQUEST 1/1 sender-lost", "error+REQUEST 1/2 sender-lost", "error+REQUEST 1/3 sender-lost"]
    );
}
