//! Who follows a request learns its life once it is over: what happened when, and how it ended.

use std::sync::{Arc, Mutex};

use tieline_broker::{ConnKey, Follower, Life, Moment, Outcome};
use tieline_protocol::{Code, Frame, Time};

use crate::world::frames::*;
use crate::world::*;

/// Keeps what it is told.
#[derive(Clone, Default, Debug)]
struct Lives(Arc<Mutex<Vec<Life>>>);

impl Follower for Lives {
    fn over(self: Box<Self>, life: Life) {
        self.0.lock().unwrap().push(life);
    }
}

impl Lives {
    /// A request comes that is followed.
    fn follow(&self, world: &mut World, conn: ConnKey, frame: impl Into<Frame>) {
        world.follower = Some(Box::new(self.clone()));
        world.send(conn, frame);
        assert!(world.follower.is_none(), "it was followed");
    }

    /// The one life that is over.
    #[track_caller]
    fn one(&self, world: &mut World) -> Life {
        world.core.take_lives().into_iter().flatten().for_each(tieline_broker::Told::tell);
        let mut lives = std::mem::take(&mut *self.0.lock().unwrap());
        assert_eq!(lives.len(), 1);
        lives.remove(0)
    }

    #[track_caller]
    fn none(&self, world: &mut World) {
        world.core.take_lives().into_iter().flatten().for_each(tieline_broker::Told::tell);
        assert!(self.0.lock().unwrap().is_empty());
    }
}

/// What happened, and how many milliseconds after it came.
fn moments(life: &Life) -> Vec<(u128, Moment)> {
    life.moments.iter().map(|(at, moment)| (since(life, *at), *moment)).collect()
}

fn since(life: &Life, at: Time) -> u128 {
    at.since(life.came).as_millis()
}

#[test]
fn a_life_has_all_that_happened_and_when() {
    let (mut world, lives) = (World::new(), Lives::default());
    let [s, r] = world.join_all();
    lives.follow(&mut world, s, request(id(s, 1)).body(zeros(5)));
    world.advance(10);
    world.send(r, receive(CHANNEL, 1));
    world.got(r);
    world.advance(10);
    world.send(r, ack(Request, id(s, 1), 1000));
    world.advance(10);
    world.send(s, chunk(Request, id(s, 1), 5, zeros(2)));
    world.send(s, end(Request, id(s, 1), 7));
    world.advance(10);
    world.send(r, response(id(s, 1)).body(zeros(100)));
    world.advance(10);
    world.send(r, chunk(Response, id(s, 1), 100, zeros(11)));
    lives.none(&mut world);
    world.send(r, end(Response, id(s, 1), 111));
    let life = lives.one(&mut world);
    let expected =
        [(10, Moment::HandedOut), (20, Moment::Accepted), (30, Moment::RequestComplete), (40, Moment::FirstByte)];
    assert_eq!(moments(&life), expected);
    assert_eq!(since(&life, life.ended), 50);
    assert_eq!((life.outcome, life.is_unstarted), (Outcome::Complete, false));
    assert_eq!((life.request_bytes, life.response_bytes), (7, 111));
}

#[test]
fn a_request_that_moves_on_tells_of_each_receiver() {
    let (mut world, lives) = (World::new(), Lives::default());
    let [s, first, second, third] = world.join_all();
    world.send(first, receive(CHANNEL, 1));
    lives.follow(&mut world, s, request(id(s, 1)).idempotent().last());
    world.got(first);
    world.advance(1);
    world.send(first, returned(id(s, 1)));
    world.send(second, receive(CHANNEL, 1));
    world.got(second);
    world.advance(1);
    world.kill(second);
    world.send(third, receive(CHANNEL, 1));
    world.got(third);
    world.send(third, error(Response, id(s, 1), Code::Application));
    let life = lives.one(&mut world);
    let expected = [
        (0, Moment::RequestComplete),
        (0, Moment::HandedOut),
        (1, Moment::Returned),
        (1, Moment::HandedOut),
        (2, Moment::ReceiverLost),
        (2, Moment::HandedOut),
    ];
    assert_eq!(moments(&life), expected);
    assert_eq!((life.outcome, life.is_unstarted), (Outcome::Failed(Code::Application), false));
}

#[test]
fn a_request_that_nobody_had_ends_unstarted_and_one_that_is_refused_too() {
    let (mut world, lives) = (World::new(), Lives::default());
    let [s, r] = world.join_all();
    lives.follow(&mut world, s, request(id(s, 1)).wait(5).last());
    world.advance(5);
    let life = lives.one(&mut world);
    assert_eq!((life.outcome, life.is_unstarted), (Outcome::Failed(Code::WaitLimit), true));
    assert_eq!((since(&life, life.ended), moments(&life)), (5, vec![(0, Moment::RequestComplete)]));

    lives.follow(&mut world, s, request(id(s, 2)).no_wait().body(zeros(3)).last());
    let life = lives.one(&mut world);
    assert_eq!((life.outcome, life.is_unstarted), (Outcome::Failed(Code::NoReceiver), true));
    assert_eq!((life.request_bytes, life.moments), (3, vec![]));

    // One that a receiver had may have run.
    world.send(r, receive(CHANNEL, 1));
    lives.follow(&mut world, s, request(id(s, 3)).last());
    world.got(r);
    world.kill(s);
    let life = lives.one(&mut world);
    assert_eq!((life.outcome, life.is_unstarted), (Outcome::Failed(Code::SenderLost), false));
}

#[test]
fn nobody_is_told_of_requests_that_nobody_follows() {
    let (mut world, lives) = (World::new(), Lives::default());
    let [s, r] = world.join_all();
    world.send(s, request(id(s, 1)).last());
    lives.follow(&mut world, s, request(id(s, 2)).last());
    world.send(s, cancel(id(s, 1)));
    lives.none(&mut world);
    world.send(r, receive(CHANNEL, 1));
    world.got(r);
    world.send(r, response(id(s, 2)).last());
    assert_eq!(lives.one(&mut world).outcome, Outcome::Complete);
    world.assert_at_rest();
}
