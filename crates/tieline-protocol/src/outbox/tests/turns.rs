//! Turns: how much one claim takes, and that bulk doesn't hold up something small.

use super::*;

/// More than a claim ever has: a turn, what was small before it, and the most that a last start adds.
const CLAIM_MAX: usize = TURN + 2 * COPY_BELOW + 3 * HEADER_LEN + 2 + crate::metadata::METADATA_MAX;

fn len(frames: &[Frame]) -> usize {
    frames.iter().map(|frame| HEADER_LEN + frame.payload.len()).sum()
}

#[test]
fn a_small_chunk_leaves_within_one_turn_of_a_bulk_body() {
    let mut outbox = outbox();
    let bulk = started_response(&mut outbox, 1);
    let small = started_response(&mut outbox, 2);
    outbox.body(bulk, zeros(1024 * KIB));
    assert_eq!(words(&claim(&mut outbox)), ["chunk+RESPONSE 1 @0 (65536)"]);
    outbox.body(small, text("small"));
    let rest = drain(&mut outbox);
    let at = rest.iter().position(|frame| frame.header.request == exchange(2).request).unwrap();
    assert!(len(&rest[..at]) <= TURN + HEADER_LEN, "{:?}", words(&rest[..at]));
}

#[test]
fn bulk_bodies_take_turns() {
    let mut outbox = outbox();
    let keys: Vec<_> = (1..=3).map(|request| started_response(&mut outbox, request)).collect();
    for key in &keys {
        outbox.body(*key, zeros(192 * KIB));
    }
    let order: Vec<_> = drain(&mut outbox).iter().map(|frame| frame.header.request.as_u128()).collect();
    assert_eq!(order, [1, 2, 3, 1, 2, 3, 1, 2, 3]);
}

#[test]
fn a_claim_takes_about_a_turn_and_small_frames_fill_it() {
    let mut outbox = outbox();
    let keys: Vec<_> = (1..=100).map(|request| started_response(&mut outbox, request)).collect();
    for key in keys {
        outbox.body(key, zeros(KIB));
    }
    let first = claim(&mut outbox);
    assert!((TURN..TURN + 2 * KIB).contains(&len(&first)), "{}", len(&first));
    assert_eq!(first.len() + drain(&mut outbox).len(), 100);
}

#[test]
fn behind_small_frames_a_bulk_body_gets_what_is_left_of_the_turn() {
    let mut outbox = outbox();
    let keys: Vec<_> = (1..=13).map(|request| started_response(&mut outbox, request)).collect();
    for (index, key) in keys.into_iter().enumerate() {
        outbox.body(key, zeros(if index < 12 { 4 * KIB } else { 1024 * KIB }));
    }
    assert!(len(&claim(&mut outbox)) <= TURN + COPY_BELOW + HEADER_LEN);
}

#[test]
fn a_claim_of_two_turns_is_two_full_frames_even_behind_an_ack() {
    let mut outbox = outbox();
    let key = started_response(&mut outbox, 1);
    outbox.body(key, zeros(1024 * KIB));
    for acks in [0, 1, 0] {
        (0..acks).for_each(|_| outbox.ack(key, 7));
        let mut batch = Batch::new();
        outbox.claim_up_to(2 * TURN, &mut batch);
        let full = PAYLOAD_DEFAULT as usize;
        assert_eq!(batch.len(), 2 * (HEADER_LEN + full) + acks * HEADER_LEN);
        outbox.written();
    }
}

#[test]
fn no_claim_is_far_longer_than_a_turn() {
    let mut outbox = outbox();
    outbox.set_payload_max(1024 * 1024);
    let mut metadata = Metadata::new();
    metadata.push("x", vec![0; 16 * KIB - 4]).unwrap();
    for request in 1..=20 {
        let key = outbox.open(exchange(request), Way::Request);
        outbox.start(key, StartFrame { metadata: metadata.clone(), ..start() });
        outbox.body(key, zeros(1024 * KIB));
    }
    let mut total = 0;
    loop {
        let frames = claim(&mut outbox);
        outbox.written();
        if frames.is_empty() {
            break;
        }
        assert!(len(&frames) <= CLAIM_MAX, "{}", len(&frames));
        total += frames.iter().map(|frame| frame.payload.len()).sum::<usize>();
    }
    assert_eq!(total, 20 * (1024 * KIB + 2 + metadata.wire_len()));
}

#[test]
fn a_claim_into_a_batch_that_was_not_written_adds_only_what_fits_the_turn() {
    let mut outbox = outbox();
    let key = started_response(&mut outbox, 1);
    outbox.body(key, zeros(512 * KIB));
    let mut batch = Batch::new();
    for _ in 0..5 {
        outbox.claim(&mut batch);
        assert!(batch.len() <= CLAIM_MAX);
    }
    batch.advance(batch.len() - 1);
    outbox.claim(&mut batch);
    assert!(batch.len() > TURN && batch.len() <= CLAIM_MAX);
}

#[test]
fn no_payload_is_longer_than_the_peer_takes() {
    for payload_max in [32 * KIB, 50_000, 64 * KIB] {
        let mut outbox = outbox();
        outbox.set_payload_max(payload_max as u32);
        let mut metadata = Metadata::new();
        metadata.push("x", vec![0; 10_000]).unwrap();
        let key = outbox.open(exchange(1), Way::Request);
        outbox.start(key, StartFrame { metadata: metadata.clone(), ..start() });
        outbox.body(key, zeros(200_000));
        outbox.close(key, end());
        let frames = drain(&mut outbox);
        assert!(frames.iter().all(|frame| frame.payload.len() <= payload_max));
        assert_eq!(frames[0].payload.len(), payload_max, "the first frame is filled");
        let total: usize = frames.iter().map(|frame| frame.payload.len()).sum();
        assert_eq!(total, 200_000 + 2 + metadata.wire_len());
        assert!(frames.last().unwrap().has(Flags::FINAL));
        assert_eq!(frames.iter().filter(|frame| frame.has(Flags::FINAL)).count(), 1);
    }
}

#[test]
fn a_request_start_takes_its_first_bytes_in_order_and_the_rest_in_its_turn() {
    let mut outbox = outbox();
    let bulk = outbox.open(exchange(1), Way::Request);
    let small = outbox.open(exchange(2), Way::Request);
    outbox.start(bulk, start());
    outbox.body(bulk, zeros(100 * KIB));
    outbox.start(small, start());
    outbox.body(small, text("small"));
    outbox.close(small, end());
    assert_eq!(
        told(&mut outbox),
        [
            "start+REQUEST 1 (65534)".to_owned(),
            "start+REQUEST 2 'small' FINAL".to_owned(),
            "chunk+REQUEST 1 @65534 (36866)".to_owned(),
        ]
    );
}
