//! The table of effects, walked against the core: for every frame in every state of the server's tables the state is
//! built, the frame sent, and what happens is what the table says.

use tieline_broker::ConnKey;
use tieline_protocol::rules::{EFFECTS, Effect, State};
use tieline_protocol::session::ServerSession;
use tieline_protocol::{Code, Frame, Kind};

use crate::world::frames::*;
use crate::world::*;

/// A connection that is about to get a frame in a state, and the other side of the exchange, if there is one.
struct Scene {
    world: World,
    actor: ConnKey,
    other: Option<ConnKey>,
    /// What the ids of the frame name.
    id: tieline_protocol::ExchangeId,
    /// Where the bodies are that the actor writes.
    offset: usize,
}

fn scene(state: State) -> Scene {
    let mut world = World::new();
    let [s, r] = world.join_all();
    let id = id(s, 5);
    let scene = |world, actor, other, offset| Scene { world, actor, other, id, offset };
    match state {
        State::NoReceive | State::Future => scene(world, s, None, 0),
        State::Receiving => {
            world.send(s, receive(CHANNEL, 1));
            scene(world, s, None, 0)
        }
        State::Gone => {
            world.send(s, request(id));
            world.send(s, cancel(id));
            scene(world, s, None, 0)
        }
        State::Sending | State::Sent => {
            world.send(r, receive(CHANNEL, 1));
            world.send(s, request(id).body("abc"));
            if state == State::Sent {
                world.send(s, end(Request, id, 3));
            }
            scene(world, s, Some(r), 3)
        }
        State::Stranger => {
            let other = world.join();
            world.send(r, receive(CHANNEL, 1));
            world.send(s, request(id).body("abc"));
            scene(world, other, None, 0)
        }
        State::Handed | State::Accepted | State::Responding => {
            world.send(r, receive(CHANNEL, 1));
            world.send(s, request(id).body("abc"));
            world.settle();
            if state == State::Accepted {
                world.send(r, ack(Request, id, 100));
            }
            if state == State::Responding {
                world.send(r, response(id).body("xy"));
            }
            scene(world, r, Some(s), if state == State::Responding { 2 } else { 0 })
        }
        _ => unreachable!("not a state of the core"),
    }
}

/// Frames of a kind that would be in order if the state allowed them.
fn frames(kind: Kind, scene: &Scene) -> Vec<Frame> {
    let (id, at) = (scene.id, scene.offset);
    match kind {
        Kind::StartReceive => vec![receive(CHANNEL, 1)],
        Kind::AckReceive => vec![raise(CHANNEL, 2)],
        Kind::EndReceive => vec![withdraw(CHANNEL)],
        Kind::StartRequest => vec![request(id).into(), request(id).body("x").last().into()],
        Kind::ChunkRequest => vec![chunk(Request, id, at, "x"), last_chunk(Request, id, at, "")],
        Kind::EndRequest => vec![end(Request, id, at), end_with(Request, id, at, &metadata(9))],
        Kind::ErrorRequest => vec![cancel(id), error(Request, id, Code::Application)],
        Kind::AckRequest => vec![ack(Request, id, 0), ack(Request, id, 50_000)],
        Kind::StartResponse => vec![response(id).into(), response(id).body("x").last().into()],
        Kind::ChunkResponse => vec![chunk(Response, id, at, "x"), last_chunk(Response, id, at, "x")],
        Kind::EndResponse => vec![end(Response, id, at)],
        Kind::ErrorResponse => vec![error(Response, id, Code::Application)],
        Kind::AckResponse => vec![ack(Response, id, 0), ack(Response, id, 50_000)],
        _ => unreachable!("not a frame of an exchange or a receive"),
    }
}

/// What became of a frame, as far as it can be seen from outside.
fn observed(scene: &mut Scene, frame: Frame) -> Effect {
    let world = &mut scene.world;
    world.settle();
    world.read_so_far(scene.actor);
    let before = (world.late_frames(scene.actor), world.core.counts());
    let other = world.join();
    if world.try_send(scene.actor, frame).is_err() {
        return Effect::FailConnection;
    }
    assert!(world.is_alive(other));
    if world.late_frames(scene.actor) > before.0 {
        assert_eq!(world.told(scene.actor).len(), 0, "nobody is told of a late frame");
        assert_eq!(world.core.counts().busy, before.1.busy);
        assert_eq!(world.core.counts().waiting, before.1.waiting);
        return Effect::Late;
    }
    let told = world.told(scene.actor);
    if told.iter().any(|word| word.contains("invalid-frame")) {
        assert_eq!(told.len(), 1, "{told:?}");
        let other = scene.other.expect("somebody has the other side");
        let lost = world.told(other);
        assert!(lost.last().is_some_and(|word| word.ends_with("-lost")), "the innocent side is told so: {lost:?}");
        assert_eq!(world.core.counts().busy, 0, "the exchange is over");
        return Effect::FailExchange;
    }
    Effect::Take
}

#[test]
fn every_frame_in_every_state_has_the_effect_that_the_table_says() {
    let mut walked = 0;
    let tables = EFFECTS.iter().filter(|table| table.title.starts_with("The server") && table.title != CONNECTION);
    for table in tables {
        for (kind, effects) in table.rows {
            for (state, expected) in table.states.iter().zip(*effects) {
                let variants = frames(*kind, &scene(*state)).len();
                for variant in 0..variants {
                    let mut scene = scene(*state);
                    let frame = frames(*kind, &scene)[variant].clone();
                    let effect = observed(&mut scene, frame.clone());
                    assert_eq!(effect, *expected, "{} in {state:?}", words::word(&frame));
                    walked += 1;
                }
            }
        }
    }
    assert!(walked > 70, "{walked}");
}

const CONNECTION: &str = "The server, of a connection";

#[test]
fn every_frame_in_every_state_of_a_connection_has_the_effect_that_the_table_says() {
    let table = EFFECTS.iter().find(|table| table.title == CONNECTION).unwrap();
    for (kind, effects) in table.rows {
        for (state, expected) in table.states.iter().zip(*effects) {
            let mut session = ServerSession::new();
            let me = ConnKey(1);
            if *state != State::BeforeHello {
                session.judge(hello(me)).unwrap();
                session.judge(request(id(me, 4)).into()).unwrap();
            }
            if *state == State::Ended {
                session.judge(end_connection()).unwrap();
            }
            let frame = match kind {
                Kind::Hello => hello(me),
                Kind::Ping | Kind::Pong => Frame::new(*kind, kind.header(), bytes::Bytes::new()),
                Kind::EndConnection => end_connection(),
                Kind::ErrorConnection => {
                    Frame::new(*kind, kind.header(), tieline_protocol::Fault::new(Code::Internal).encode())
                }
                Kind::StartRequest => request(id(me, 5)).into(),
                _ => frames(*kind, &Scene { id: id(me, 4), ..scene(State::NoReceive) })[0].clone(),
            };
            let effect = if session.judge(frame).is_ok() { Effect::Take } else { Effect::FailConnection };
            assert_eq!(effect, *expected, "{kind:?} in {state:?}");
        }
    }
}

#[test]
fn what_breaks_an_exchange_in_one_stage_leaves_others_of_the_same_connection_alone() {
    for state in [State::Sent, State::Handed, State::Responding] {
        let mut scene = scene(state);
        let world = &mut scene.world;
        world.settle();
        let [s, r] = world.join_all();
        world.send(r, receive(ELSEWHERE, 1));
        let bystander = on(ELSEWHERE, id(s, 1));
        world.send(s, request(bystander).body("by"));
        world.settle();
        let frame = match state {
            State::Sent => chunk(Request, scene.id, 3, "x"),
            State::Handed => chunk(Response, scene.id, 0, "x"),
            _ => response(scene.id).into(),
        };
        world.send(scene.actor, frame);
        assert!(world.is_alive(scene.actor));
        world.send(r, response(bystander).last());
        assert_eq!(world.outcome(bystander), Complete);
    }
}
