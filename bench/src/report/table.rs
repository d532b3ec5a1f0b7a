//! The table in Markdown: for each workload its peers, for each peer medians, ranges and ratios to Tieline; then where
//! Tieline loses.

use std::fmt::Write as _;

use super::columns::{self, Better, Column};
use super::goals;
use super::stats::{self, Spread};
use crate::compare::{Options, Results, Run};
use crate::machine;
use crate::plan::{Effort, Shape, Workload};
use crate::servers::{ENTRIES, Entry, Rank, others};

/// What ratios are to.
const OURS: &str = "tieline";

/// All of it.
pub fn all(options: &Options, results: &Results) -> String {
    let mut text = format!(
        "Medians of {} rounds (least to most), and in brackets the median of the ratios to Tieline within a round.\n{}.\n",
        options.rounds,
        machine::description(),
    );
    for (package, version) in others::versions() {
        let _ = write!(text, "{package} {version}. ");
    }
    text.push('\n');
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
    for (rank, words) in [(Rank::Peer, "To peers:"), (Rank::Limit, "To what the machine can do at all:")] {
        let of_rank: String = losses.iter().filter(|(of, _)| *of == rank).map(|(_, loss)| loss.as_str()).collect();
        if !of_rank.is_empty() {
            let _ = write!(text, "{words}\n\n{of_rank}\n");
        }
    }
    text
}

fn of_shape(text: &mut String, losses: &mut Vec<(Rank, String)>, workload: Workload, shape: Shape, runs: &[&Run]) {
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
) -> Option<(Rank, String)> {
    let ratio = ratio(column, theirs, ours)?;
    let is_lost = match column.better {
        Better::More => ratio > 1.0,
        Better::Less => ratio < 1.0,
        Better::Neither => false,
    };
    let shape = if workload.shapes(Effort::Quick).len() > 1 { format!(" ({})", shape.name()) } else { String::new() };
    let text = || format!("- {workload:?}{shape}, {}: {} has {ratio:.2} times Tieline's\n", column.title, entry.name);
    is_lost.then(|| (entry.rank, text()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Figures;

    fn run(peer: &str, round: usize, rate: f64, cpu: f64) -> Run {
        let figures = Figures::from([("requests_per_s".to_owned(), rate), ("broker_cpu_us".to_owned(), cpu)]);
        let shape = Workload::W2.shapes(Effort::Full)[0];
        Run { workload: Workload::W2, shape, peer: peer.to_owned(), round, figures, failure: None }
    }

    fn options() -> Options {
        let out = std::path::PathBuf::new();
        Options { only: Vec::new(), peers: Vec::new(), rounds: 2, effort: Effort::Full, has_spinners: false, out }
    }

    #[test]
    fn losses_are_named_by_whose_they_are_and_gains_are_not() {
        let mut runs = vec![run("tieline", 0, 100.0, 5.0), run("tieline", 1, 50.0, 5.0)];
        runs.extend([run("nats", 0, 80.0, 4.0), run("nats", 1, 40.0, 4.0)]);
        runs.extend([run("relay-pull", 0, 200.0, 6.0), run("relay-pull", 1, 100.0, 6.0)]);
        let text = all(&options(), &Results { runs, ..Results::default() });
        assert!(text.contains("| nats | 60 (40 to 80) [0.80] | 4.0 (4.0 to 4.0) [0.80] |"), "{text}");
        let (peers, limits) = text.split_once("To what the machine can do at all:").expect("both");
        assert!(peers.contains("- W2, broker CPU µs a request: nats has 0.80 times Tieline's"), "{text}");
        assert!(!peers.contains("requests/s: nats") && !peers.contains("relay-pull has"), "{text}");
        assert!(limits.contains("- W2, requests/s: relay-pull has 2.00 times Tieline's"), "{text}");
    }

    #[test]
    fn what_failed_is_said_and_has_no_row() {
        let failed = Run { figures: Figures::new(), failure: Some("it broke".to_owned()), ..run("redis", 0, 0.0, 0.0) };
        let text = all(&options(), &Results { runs: vec![run("tieline", 0, 1.0, 1.0), failed], ..Results::default() });
        assert!(text.contains("Failed: redis in W2, round 1: it broke."), "{text}");
        assert!(!text.contains("| redis |") && text.contains("Nowhere"), "{text}");
    }
}
