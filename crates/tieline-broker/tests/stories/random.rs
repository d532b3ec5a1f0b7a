//! Random sequences of what clients, writers, links and time do. The observer checks what every client gets, the core
//! checks itself after every step; then all is healed, and everything must come to its end without time passing.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tieline_broker::ADMISSION;
use tieline_protocol::Flags;

use crate::play::{BREAKS, CHANNELS, CLIENTS, MEDDLES, Op, Play, SOMETIMES};
use crate::world::frames::*;

fn flags() -> impl Strategy<Value = Flags> {
    (prop::bool::weighted(0.1), prop::bool::weighted(0.4), prop::bool::weighted(0.4)).prop_map(
        |(no_wait, idempotent, last)| {
            Flags::NO_WAIT.when(no_wait) | Flags::IDEMPOTENT.when(idempotent) | Flags::FINAL.when(last)
        },
    )
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0usize..100, 2 => 100usize..5000, 1 => 5000usize..70_000]
}

fn op() -> impl Strategy<Value = Op> {
    let client = 0..CLIENTS;
    let pick = 0..8usize;
    let channel = 0..CHANNELS.len();
    let which = (client.clone(), pick.clone());
    let metadata = prop_oneof![3 => Just(0usize), 1 => 8usize..600, 1 => Just(INITIAL)];
    let limit = prop_oneof![3 => Just(0u32), 1 => 1u32..200];
    let ms = prop_oneof![4 => 0u64..5, 1 => 5u64..100];
    let many = prop_oneof![3 => 1u64..3, 1 => 0u64..9];
    prop_oneof![
        16 => (client.clone(), channel.clone(), metadata.clone(), length(), flags(), limit.clone(), limit).prop_map(
            |(client, channel, metadata, body, flags, wait, deadline)| {
                Op::Open { client, channel, metadata, body, flags, wait, deadline }
            }
        ),
        12 => (which.clone(), length(), any::<bool>())
            .prop_map(|((client, pick), len, last)| Op::Chunk { client, pick, len, last }),
        3 => which.clone().prop_map(|(client, pick)| Op::EndRequest { client, pick }),
        3 => which.clone().prop_map(|(client, pick)| Op::Cancel { client, pick }),
        5 => (which.clone(), length()).prop_map(|((client, pick), ahead)| Op::GrantResponse { client, pick, ahead }),
        8 => (client.clone(), channel.clone(), many.clone())
            .prop_map(|(client, channel, count)| Op::Receive { client, channel, count }),
        8 => (client.clone(), channel.clone(), many)
            .prop_map(|(client, channel, more)| Op::Raise { client, channel, more }),
        4 => (client.clone(), channel).prop_map(|(client, channel)| Op::Withdraw { client, channel }),
        8 => (which.clone(), length()).prop_map(|((client, pick), ahead)| Op::GrantRequest { client, pick, ahead }),
        12 => (which.clone(), metadata, length(), any::<bool>())
            .prop_map(|((client, pick), metadata, len, last)| Op::Respond { client, pick, metadata, len, last }),
        3 => which.clone().prop_map(|(client, pick)| Op::EndResponse { client, pick }),
        2 => which.clone().prop_map(|(client, pick)| Op::FailResponse { client, pick }),
        8 => which.clone().prop_map(|(client, pick)| Op::Return { client, pick }),
        2 => (which, 0..BREAKS).prop_map(|((client, pick), how)| Op::Break { client, pick, how }),
        2 => (client.clone(), client.clone(), pick, 0..MEDDLES)
            .prop_map(|(client, victim, pick, how)| Op::Meddle { client, victim, pick, how }),
        1 => client.clone().prop_map(|client| Op::EndConnection { client }),
        3 => (client.clone(), any::<bool>()).prop_map(|(client, silently)| Op::Kill { client, silently }),
        3 => client.clone().prop_map(|client| Op::Stall { client }),
        3 => client.clone().prop_map(|client| Op::Resume { client }),
        4 => client.clone().prop_map(|client| Op::Claim { client }),
        6 => client.clone().prop_map(|client| Op::Write { client }),
        10 => client.prop_map(|client| Op::Flush { client }),
        6 => Just(Op::Settle),
        4 => ms.clone().prop_map(|ms| Op::Advance { ms }),
        2 => ms.prop_map(|ms| Op::Drift { ms }),
        1 => prop::bool::weighted(0.1).prop_map(|drain| if drain { Op::Drain } else { Op::Settle }),
    ]
}

#[test]
fn whatever_clients_do_the_invariants_hold_and_nothing_is_left() {
    let runs = (
        prop::collection::vec(op(), 1..250),
        prop_oneof![1 => 2u64..9, 1 => Just(10_000u64)],
        prop_oneof![Just(0u64), any::<u64>()],
        any::<bool>(),
    );
    let seen = RefCell::new(BTreeMap::<String, u64>::new());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let cases = config.cases;
    let result = TestRunner::new(config).run(&runs, |(ops, admissions, race, healed)| {
        let mut play = Play::new(admissions * ADMISSION, race);
        for op in &ops {
            play.run(op);
        }
        for (what, times) in play.end(healed) {
            *seen.borrow_mut().entry(what).or_default() += times;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let seen = seen.into_inner();
    for what in SOMETIMES.iter().filter(|_| cases >= 256) {
        assert!(seen.contains_key(*what), "in all these runs, never: {what}; but {seen:#?}");
    }
}
