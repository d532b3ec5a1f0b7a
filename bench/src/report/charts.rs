//! Which charts are drawn of the results: bars of each workload's first two figures, lines of what W7 costs as it grows.

use super::chart::{self, Bar, Line};
use super::columns::{self, Better, Column};
use super::stats::{self, Spread};
use crate::compare::{Options, Results};
use crate::plan::{Shape, Workload};
use crate::servers::{ENTRIES, Entry};

/// All charts, by the names of their files.
pub fn all(options: &Options, results: &Results) -> Vec<(String, String)> {
    let mut charts = Vec::new();
    for workload in Workload::ALL {
        if !results.runs.iter().any(|run| run.workload == workload) {
            continue;
        }
        let shapes = workload.shapes(options.effort);
        if workload == Workload::W7 {
            charts.extend(growth(results, &shapes));
            continue;
        }
        for (number, shape) in shapes.iter().enumerate() {
            let columns = columns::of(workload).iter().filter(|column| column.better != Better::Neither);
            for column in columns.take(2) {
                let suffix = if number == 0 { String::new() } else { format!("-{}", number + 1) };
                let name = format!("{workload:?}-{}{suffix}.svg", column.figure).to_lowercase();
                let part = if shapes.len() > 1 { format!("; {}", shape.name()) } else { String::new() };
                let title = format!("{workload:?}: {}{part}", column.title);
                charts.push((name, chart::bars(&title, &bars(results, workload, *shape, column))));
            }
        }
    }
    charts
}

fn median(results: &Results, workload: Workload, shape: Shape, entry: &Entry, figure: &str) -> Option<Spread> {
    let is_it = |run: &&crate::compare::Run| run.workload == workload && run.shape == shape && run.peer == entry.name;
    Spread::of(&stats::values(results.runs.iter().filter(is_it), figure))
}

fn bars(results: &Results, workload: Workload, shape: Shape, column: &Column) -> Vec<Bar> {
    let bar = |entry: &Entry| {
        let spread = median(results, workload, shape, entry, column.figure)?;
        Some(Bar { name: entry.name.to_owned(), rank: entry.rank, spread, label: column.show(spread.median) })
    };
    ENTRIES.iter().filter_map(bar).collect()
}

/// One of a shape's sizes.
type Size = fn(&Shape) -> usize;

/// For each size that grows, a chart of the broker's CPU time a request.
fn growth(results: &Results, shapes: &[Shape]) -> Vec<(String, String)> {
    let Some(&base) = shapes.first() else { return Vec::new() };
    let connections = |shape: &Shape| shape.senders + shape.receivers;
    let sizes: [(&str, &str, Size); 3] = [
        ("in-flight", "requests in flight", |shape| shape.in_flight),
        ("connections", "connections", |shape| shape.senders + shape.receivers),
        ("channels", "channels", |shape| shape.channels),
    ];
    let mut charts = Vec::new();
    for (name, words, size) in sizes {
        // The shapes in which nothing else differs.
        let alone = |shape: &&Shape| {
            (size(shape) == size(&base) || name == "in-flight" || shape.in_flight == base.in_flight)
                && (name == "connections" || connections(shape) == connections(&base))
                && (name == "channels" || shape.channels == base.channels)
        };
        let mut steps: Vec<Shape> = shapes.iter().filter(alone).copied().collect();
        steps.sort_by_key(size);
        let line = |entry: &Entry| {
            let point = |shape: &Shape| Some(median(results, Workload::W7, *shape, entry, "broker_cpu_us")?.median);
            let points: Vec<_> = steps.iter().map(point).collect();
            let is_there = points.iter().any(Option::is_some);
            is_there.then(|| Line { name: entry.name.to_owned(), rank: entry.rank, points })
        };
        let lines: Vec<_> = ENTRIES.iter().filter_map(line).collect();
        let names: Vec<_> = steps.iter().map(|shape| size(shape).to_string()).collect();
        let title = format!("W7: broker's CPU µs a request by {words}");
        charts.push((format!("w7-{name}.svg"), chart::lines(&title, &names, &lines)));
    }
    charts
}
