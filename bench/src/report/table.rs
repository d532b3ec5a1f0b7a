//! The table in Markdown: for each workload its peers, for each peer medians, ranges and ratios to Tieline; then where
//! Tieline loses.

use std::fmt::Write as _;

use super::columns::{self, Better, Column};
use super::goals;
use super::stats::{self, Spread};
use crate::compare::{Options, Results, Run};
use crate::plan::{Effort, Shape, Workload};
use crate::servers::{ENTRIES, Entry, Rank};

/// What ratios are to.
const OURS: &str = "tieline";

/// All of it.
pub fn all(options: &Options, results: &Results) -> String {
    let mut text = format!(
        "Medians of {} rounds (least to most), and in brackets the median of the ratios to Tieline within a round.\n",
        options.rounds
    );
    let mut losses = Vec::new();
    for workload in Workload::ALL {
        let runs: Vec<_> = results.runs.iter().filter(|run| run.workload == workload).collect();
        if runs.is_empty() {
            continue;
        }
        let _ = write!(text, "\n### {}\n", workload.title());
        for shape in workload.shapes(options.effort) {
            let runs: Vec<_> = runs.iter().copied().filter(|run| run.shape == shape).collect();
            of_shape(&mut text, &mut losses, workload, shape, &runs);
        }
    }
    if options.effort == Effort::Quick {
        text.push_str("\nThese were short runs (`--quick`): enough to look at, not to quote.\n");
    }
    for (name, what) in &results.missing {
        let _ = writeln!(text, "\nSkipped: {name}, {what}.");
    }
    for run in &results.runs {
        if let Some(why) = &run.failure {
            let _ = writeln!(text, "\nFailed: {} in {:?}, round {}: {why}.", run.peer, run.workload, run.round + 1);
        }
    }
    let goals = goals::table(options, results);
    if !goals.is_empty() {
        let _ = write!(text, "\n### What Tieline is to reach\n\n{goals}");
    }
    text.push_str("\n### Where Tieline loses\n\n");
    if losses.is_empty() {
        text.push_str("Nowhere, by the medians of what was run.\n");
    }
    text.push_str(&losses.concat());
    text
}

fn of_shape(text: &mut String, losses: &mut Vec<String>, workload: Workload, shape: Shape, runs: &[&Run]) {
    let columns = columns::of(workload);
    let titles: Vec<_> = columns.iter().map(|column| column.title).collect();
    if workload.shapes(Effort::Quick).len() > 1 {
        let _ = write!(text, "\n{}\n", shape.name());
    }
    let _ = write!(text, "\n| | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(columns.len()));
    let of = |name: &str| runs.iter().copied().filter(|run| run.peer == name).collect::<Vec<_>>();
    let ours = of(OURS);
    for entry in ENTRIES {
        let theirs = of(entry.name);
        if theirs.iter().all(|run| run.failure.is_some()) {
            continue;
        }
        let cells: Vec<_> = columns.iter().map(|column| cell(column, &theirs, &ours, entry.name)).collect();
        let _ = writeln!(text, "| {} | {} |", entry.name, cells.join(" | "));
        if entry.name != OURS {
            losses.extend(columns.iter().filter_map(|column| loss(workload, shape, entry, column, &theirs, &ours)));
        }
    }
}

fn cell(column: &Column, theirs: &[&Run], ours: &[&Run], name: &str) -> String {
    let Some(spread) = Spread::of(&stats::values(theirs.iter().copied(), column.figure)) else {
        return "–".to_owned();
    };
    let mut cell = column.show(spread.median);
    if column.better == Better::Neither {
        return cell;
    }
    if theirs.len() > 1 {
        let _ = write!(cell, " ({} to {})", column.show(spread.least), column.show(spread.most));
    }
    if name != OURS
        && let Some(ratio) = ratio(column, theirs, ours)
    {
        let _ = write!(cell, " [{ratio:.2}]");
    }
    cell
}

fn ratio(column: &Column, theirs: &[&Run], ours: &[&Run]) -> Option<f64> {
    let ratios = stats::ratios(theirs.iter().copied(), ours.iter().copied(), column.figure);
    Spread::of(&ratios).map(|spread| spread.median)
}

fn loss(
    workload: Workload,
    shape: Shape,
    entry: &Entry,
    column: &Column,
    theirs: &[&Run],
    ours: &[&Run],
) -> Option<String> {
    let ratio = ratio(column, theirs, ours)?;
    let is_lost = match column.better {
        Better::More => ratio > 1.0,
        Better::Less => ratio < 1.0,
        Better::Neither => false,
    };
    let which = if entry.rank == Rank::Limit { "a limit" } else { "a peer" };
    let shape = if workload.shapes(Effort::Quick).len() > 1 { format!(" ({})", shape.name()) } else { String::new() };
    is_lost.then(|| {
        format!("- {workload:?}{shape}, {}: {} ({which}) has {ratio:.2} times Tieline's\n", column.title, entry.name)
    })
}
