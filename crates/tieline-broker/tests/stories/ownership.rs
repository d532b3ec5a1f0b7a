//! Only the opener acts in a request's direction and only its assigned receiver in the response's. Whatever else comes
//! changes nothing, and can't be told from a frame about nothing at all.

use tieline_broker::ConnKey;
use tieline_protocol::{Code, ExchangeId, Frame};

use crate::world::frames::*;
use crate::world::*;

/// Every frame of an exchange that a client may write, but for its start.
fn all_frames(id: ExchangeId) -> Vec<Frame> {
    vec![
        chunk(Request, id, 0, "x"),
        chunk(Request, id, 3, "x"),
        last_chunk(Request, id, 3, ""),
        end(Request, id, 3),
        cancel(id),
        ack(Response, id, 1 << 20),
        ack(Request, id, 1 << 20),
        ack(Request, id, u32::MAX as usize),
        response(id).body("mine").last().into(),
        response(id).body("mine").into(),
        chunk(Response, id, 0, "x"),
        chunk(Response, id, 2, "x"),
        last_chunk(Response, id, 2, "x"),
        end(Response, id, 2),
        returned(id),
        error(Response, id, Code::Application),
    ]
}

/// Exchanges of connection 1 in all stages: 1 waits on another channel, 2 is unsent, 3 handed, 4 accepted, 5
/// responding; and connection 2, which has them. The others are strangers: 3 never did anything, 4 returned 3 once.
fn busy_world() -> (World, ConnKey, ConnKey, ConnKey, ConnKey, Vec<ExchangeId>) {
    let mut world = World::new();
    let [s, r, idle, former] = world.join_all();
    let ids = vec![on(ELSEWHERE, id(s, 1)), id(s, 3), id(s, 4), id(s, 5), id(s, 6)];
    world.send(s, request(ids[0]).body("abc"));
    world.send(former, receive(CHANNEL, 1));
    world.send(s, request(ids[1]).body("abc"));
    world.settle();
    world.send(former, returned(ids[1]));
    world.send(r, receive(CHANNEL, 9));
    for id in &ids[2..4] {
        world.send(s, request(*id).body("abc"));
    }
    world.settle();
    world.send(r, ack(Request, ids[2], 20_000));
    world.send(r, response(ids[3]).body("ab"));
    world.settle();
    world.stall(r);
    world.send(s, request(ids[4]).body("abc"));
    for conn in [s, r, idle, former] {
        world.read_so_far(conn);
    }
    (world, s, r, idle, former, ids)
}

#[test]
fn frames_of_strangers_change_nothing_for_anybody() {
    let (mut world, s, r, idle, former, ids) = busy_world();
    let counts = world.core.counts();
    for stranger in [idle, former, r, s] {
        for id in &ids {
            for frame in all_frames(*id) {
                let opens = matches!(
                    frame.kind,
                    tieline_protocol::Kind::ChunkRequest
                        | tieline_protocol::Kind::EndRequest
                        | tieline_protocol::Kind::ErrorRequest
                        | tieline_protocol::Kind::AckResponse
                );
                // The opener's and the receiver's own ways are no stranger's.
                if (stranger == s && opens) || (stranger == r && !opens && *id != ids[0] && *id != ids[4]) {
                    continue;
                }
                let before = world.late_frames(stranger);
                world.send(stranger, frame);
                assert_eq!(world.late_frames(stranger), before + 1);
            }
        }
    }
    assert_eq!(world.core.counts(), counts);
    world.resume(r);
    assert_eq!(world.told(r), ["start+REQUEST 1/6 'abc'"]);
    for conn in [s, idle, former] {
        assert_eq!(world.told(conn).len(), 0);
    }
    // And all goes on as if nothing had been.
    for id in &ids[1..] {
        world.send(s, last_chunk(Request, *id, 3, "!"));
        world.settle();
        if *id == ids[3] {
            world.send(r, last_chunk(Response, *id, 2, "c"));
        } else {
            world.send(r, response(*id).body("abc").last());
        }
        assert_eq!(world.outcome(*id), Complete);
        assert_eq!(world.observer.response_len(*id), Some(3));
    }
}

#[test]
fn what_is_somebody_elses_looks_like_what_never_was() {
    let (mut world, _, _, idle, _, ids) = busy_world();
    let never = id(ConnKey(77), 5);
    let over = {
        let [s, r] = world.join_all();
        let id = on(ELSEWHERE, id(s, 9));
        world.send(s, request(id));
        world.send(s, cancel(id));
        world.send(r, ack(Request, id, 0));
        world.got(s);
        id
    };
    let mut seen = Vec::new();
    for id in ids.iter().copied().chain([never, over]) {
        let mut trace = Vec::new();
        for frame in all_frames(id) {
            let result = world.try_send(idle, frame);
            trace.push((result.is_ok(), world.told(idle), world.account(idle).take_strikes()));
        }
        seen.push(trace);
    }
    assert!(seen.iter().all(|trace| *trace == seen[0]), "{seen:#?}");
}

#[test]
fn ids_from_the_future_break_the_connection_and_ids_of_the_past_are_late() {
    for frame in [chunk as fn(_, _, _, &'static str) -> _, last_chunk] {
        let mut world = World::new();
        let s = world.join();
        world.send(s, request(id(s, 5)));
        world.send(s, frame(Request, id(s, 4), 0, "passed over"));
        assert_eq!(world.late_frames(s), 1);
        assert_eq!(world.send_fatal(s, frame(Request, id(s, 6), 0, "not yet")).code, Code::InvalidFrame);
        world.assert_at_rest();
    }
}

#[test]
fn request_ids_strictly_increase_or_the_connection_dies() {
    for again in [4, 5] {
        let mut world = World::new();
        let s = world.join();
        world.send(s, request(id(s, 5)));
        assert_eq!(world.send_fatal(s, request(id(s, again))).code, Code::DuplicateId);
        world.assert_at_rest();
    }
}

#[test]
fn nobody_opens_requests_under_another_client_id() {
    let mut world = World::new();
    let [a, b] = world.join_all();
    assert_eq!(world.send_fatal(b, request(id(a, 1))).code, Code::InvalidFrame);
}

/// A connection whose hello bore the client id of another, which its receivers know.
#[test]
fn an_impostor_with_anothers_client_id_gets_nothing_of_a_live_request() {
    use tieline_broker::Account;
    use tieline_protocol::Kind;
    let mut world = World::new();
    let [s, r] = world.join_all();
    world.send(r, receive(CHANNEL, 5));
    world.send(s, request(id(s, 1)).body("secret?"));
    world.got(r);
    let impostor = ConnKey(99);
    let line = line::Line::default();
    world.core.join(impostor, line.clone(), Account::new(std::sync::Arc::clone(&world.budget)));
    let start: Frame = request(id(s, 1)).into();
    world.core.from_opener(world.now, impostor, &start).unwrap();
    world.core.take_touched().for_each(|line| line.wake());
    world.core.check();
    world.core.from_opener(world.now, impostor, &cancel(id(s, 1))).unwrap();
    world.core.take_touched().for_each(|line| line.wake());
    assert_eq!(world.told(r).len(), 0, "it is cancelled for nobody");
    world.send(r, response(id(s, 1)).body("secret!").last());
    assert_eq!(world.told(s), ["start+RESPONSE 1/1 'secret!' FINAL"]);
    line.claim();
    let mut bytes = bytes::BytesMut::from(&line.claimed().drain()[..]);
    let mut decoder = tieline_protocol::Decoder::new(tieline_protocol::Role::Server);
    let refusal = decoder.next(&mut bytes).unwrap().unwrap();
    assert_eq!(refusal.kind, Kind::ErrorResponse);
    assert_eq!(words::code(&refusal), Code::DuplicateId);
    assert!(bytes.is_empty(), "and nothing else");
    world.core.disconnect(world.now, impostor);
    line.close();
    world.assert_at_rest();
}
