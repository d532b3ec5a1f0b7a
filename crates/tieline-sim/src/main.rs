//! `tieline-sim`: runs seeds of the simulator until enough virtual or real time has passed, and says what came of them.
#![forbid(unsafe_code)]
// The one place that looks at a clock: to say how fast the runs are, and to end them.
#![allow(clippy::disallowed_methods)]

mod options;

use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use options::{Options, USAGE};
use tieline_sim::report::summary;
use tieline_sim::run::{Run, run};
use tieline_sim::stats::Stats;

/// Runs of this many simulated hours must have brought everything about that must come about sometimes.
const COMPLETE_HOURS: f64 = 1000.0;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let Some(options) = options else {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    };
    if let Some(seed) = options.seed {
        return one(seed, options.traces);
    }
    many(&options)
}

/// Runs a seed, and tells all of it.
fn one(seed: u64, traces: bool) -> ExitCode {
    println!("tieline-sim --seed {seed}");
    let began = Instant::now();
    let run = run(seed, traces);
    println!("{}", summary(1, &run.stats, began.elapsed()));
    println!("seed {seed}: digest {:016x}", run.digest);
    tell_failure(&run, false)
}

fn tell_failure(run: &Run, short: bool) -> ExitCode {
    let Some(failure) = &run.failure else { return ExitCode::SUCCESS };
    if !short {
        println!("\nwhat seed {} had drawn:\n{}", run.seed, failure.plan);
    }
    println!("\nthe last that happened in seed {}:\n{}", run.seed, failure.last);
    println!("seed {} FAILED: {}", run.seed, failure.what);
    println!("replay it: cargo run --release -p tieline-sim -- --seed {} --trace", run.seed);
    ExitCode::FAILURE
}

/// Runs seeds one behind the other, first those that are given, then fresh ones, until the time is over.
fn many(options: &Options) -> ExitCode {
    // Not a number that anything depends on but which seeds are drawn; they are printed.
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64 >> 10) << 20;
    let (given, fresh) = options.ranges(fresh);
    println!("tieline-sim: seeds {given:?}, then {} on; {}", fresh, options.limits());
    let began = Instant::now();
    let mut total = Stats::default();
    let mut seeds = 0;
    let mut digest = 0_u64;
    for seed in given.chain(fresh..) {
        let hours = total.time.as_secs_f64() / 3600.0;
        if options.is_over(seeds, hours, began.elapsed()) {
            break;
        }
        let run = run(seed, false);
        if run.failure.is_some() {
            total.add(&run.stats);
            println!("{}", summary(seeds + 1, &total, began.elapsed()));
            return tell_failure(&run, false);
        }
        digest = digest.rotate_left(1) ^ run.digest;
        total.add(&run.stats);
        seeds += 1;
    }
    println!("{}", summary(seeds, &total, began.elapsed()));
    println!("{seeds} seeds kept every promise; digest {digest:016x}");
    let hours = total.time.as_secs_f64() / 3600.0;
    let missing = if hours < COMPLETE_HOURS { Vec::new() } else { total.missing() };
    for what in &missing {
        println!("NEVER in all these runs: {what}");
    }
    if options.falls_short(hours) {
        println!("TOO SLOW: {hours:.1} hours were simulated in the time that was given");
    }
    if missing.is_empty() && !options.falls_short(hours) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
