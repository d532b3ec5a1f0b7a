//! The summary of many runs, for people.

use std::fmt::Write;
use std::time::Duration;

use crate::cells::{Blow, CELLS, Cell, Stage};
use crate::stats::{SOMETIMES, Stats};

/// What many runs came to, in a few tables.
pub fn summary(seeds: u64, stats: &Stats, wall: Duration) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let _ = write(&mut out, seeds, stats, wall);
    out
}

fn write(out: &mut String, seeds: u64, stats: &Stats, wall: Duration) -> std::fmt::Result {
    let hours = stats.time.as_secs_f64() / 3600.0;
    let times = stats.time.as_secs_f64() / wall.as_secs_f64().max(0.001);
    writeln!(
        out,
        "{seeds} seeds, {hours:.1} simulated hours in {:.1} s: {times:.0} times real time",
        wall.as_secs_f64()
    )?;
    writeln!(
        out,
        "{} requests, {} connections, {} frames (and {} pings of floods), {} MiB, {} steps of cores checked, {} events",
        stats.requests,
        stats.connections,
        stats.frames,
        stats.noise,
        stats.bytes >> 20,
        stats.steps,
        stats.events
    )?;
    writeln!(out, "\nrequests by outcome")?;
    for (how, count) in &stats.outcomes {
        writeln!(out, "{count:>10}  {how}")?;
    }
    writeln!(out, "\nfaults")?;
    for (fault, count) in &stats.faults {
        writeln!(out, "{count:>10}  {}", fault.words())?;
    }
    writeln!(out, "\nsometimes")?;
    for (what, words) in SOMETIMES {
        writeln!(out, "{:>10}  {words}", stats.seen[*what as usize])?;
    }
    write_matrix(out, stats)
}

fn write_matrix(out: &mut String, stats: &Stats) -> std::fmt::Result {
    write!(out, "\n{:<34}", "states × blows")?;
    for blow in Blow::ALL {
        write!(out, "{:>15}", blow.words())?;
    }
    for stage in Stage::ALL {
        write!(out, "\n{:<34}", stage.words())?;
        for blow in Blow::ALL {
            let cell = CELLS.iter().find(|cell| cell.stage == stage && cell.blow == blow);
            if cell.is_some_and(Cell::is_possible) {
                write!(out, "{:>15}", stats.cells[stage as usize][blow as usize])?;
            } else {
                write!(out, "{:>15}", "impossible")?;
            }
        }
    }
    writeln!(out)?;
    for cell in CELLS {
        if let Some(why) = cell.why_not() {
            writeln!(out, "impossible: {} × {}: {why}", cell.stage.words(), cell.blow.words())?;
        }
    }
    Ok(())
}
