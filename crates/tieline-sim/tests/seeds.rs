//! A quick share of the simulation. `just sim-soak` runs the long ones, in release.

use tieline_sim::cells::{Blow, CELLS, Cell, Stage};
use tieline_sim::run::run;
use tieline_sim::stats::Stats;

/// So many seeds take some seconds in a debug build.
const SEEDS: std::ops::Range<u64> = 1..13;

#[test]
fn whatever_a_seed_draws_every_promise_is_kept() {
    let mut total = Stats::default();
    for seed in SEEDS {
        let run = run(seed, false);
        if let Some(failure) = &run.failure {
            panic!("seed {seed}: {}\n{}\nreplay it: just sim {seed}", failure.what, failure.last);
        }
        total.add(&run.stats);
    }
    // The runs are no runs of nothing.
    assert!(total.time.as_secs() > 3600 && total.requests > 500, "{total:#?}");
    assert!(total.outcomes.get("complete").is_some_and(|complete| *complete > 200), "{total:#?}");
}

#[test]
fn a_seed_replays_bit_for_bit() {
    for seed in [4, 7] {
        let (first, second) = (run(seed, false), run(seed, false));
        assert_eq!(first.digest, second.digest);
        assert_eq!(first.stats.events, second.stats.events);
        assert_eq!(first.stats.outcomes, second.stats.outcomes);
    }
    assert_ne!(run(4, false).digest, run(7, false).digest);
}

#[test]
fn every_state_meets_every_blow_or_a_reason_says_why_not() {
    assert_eq!(CELLS.len(), Stage::ALL.len() * Blow::ALL.len());
    let impossible: Vec<_> = CELLS.iter().filter_map(Cell::why_not).collect();
    assert_eq!(impossible.len(), 2);
    assert!(impossible.iter().all(|why| !why.is_empty()));
    // Nothing has come about yet, so all that can is missing.
    assert!(Stats::default().missing().len() > CELLS.len() - impossible.len());
}

#[test]
fn nothing_that_the_simulator_is_built_from_reads_a_clock_or_draws_random_numbers() {
    let manifest = include_str!("../Cargo.toml");
    let dependencies = manifest.split("[dependencies]").nth(1).and_then(|rest| rest.split('[').next()).unwrap_or("");
    let names: Vec<_> = dependencies.lines().filter_map(|line| line.split_once('.')).map(|(name, _)| name).collect();
    assert_eq!(names, ["bytes", "tieline-broker", "tieline-protocol"], "what is pure, and holds only what is pure");
}
