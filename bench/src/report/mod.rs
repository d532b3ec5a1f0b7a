//! What is written of the results.
//!
//! | module | what it holds |
//! |---|---|
//! | [`columns`] | which figures a workload's table has |
//! | [`stats`] | medians, ranges, ratios within a round |
//! | [`chart`], [`charts`] | drawings of them |
//! | [`goals`] | what Tieline is to reach, and whether it does |
//! | [`table`] | the table in Markdown, and where Tieline loses |

pub mod chart;
pub mod charts;
pub mod columns;
pub mod goals;
pub mod stats;
pub mod table;

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::json;

use crate::compare::{Options, Results};
use crate::load::Figures;
use crate::machine;
use crate::plan::Workload;
use crate::servers::others;

/// Writes table, JSON and charts, and prints the table.
///
/// # Errors
/// If a file can't be written.
pub fn write(options: &Options, results: &Results) -> anyhow::Result<()> {
    let folder = &options.out;
    std::fs::create_dir_all(folder).with_context(|| format!("no folder {}", folder.display()))?;
    let markdown = table::all(options, results);
    let json = json!({
        "machine": machine::description(),
        "servers": others::versions().into_iter().collect::<BTreeMap<_, _>>(),
        "rounds": options.rounds,
        "effort": options.effort,
        "spinners": options.has_spinners,
        "missing": results.missing,
        "runs": results.runs,
    });
    std::fs::write(folder.join("table.md"), &markdown)?;
    std::fs::write(folder.join("figures.json"), serde_json::to_string_pretty(&json)?)?;
    for (name, svg) in charts::all(options, results) {
        std::fs::write(folder.join(name), svg)?;
    }
    print!("{markdown}");
    eprintln!("table, figures and charts are in {}", folder.display());
    Ok(())
}

/// One run's figures in a line.
pub fn line(workload: Workload, figures: &Figures) -> String {
    let parts: Vec<_> = columns::of(workload)
        .iter()
        .filter_map(|column| Some(format!("{} {}", column.title, column.show(*figures.get(column.figure)?))))
        .collect();
    parts.join(", ")
}
