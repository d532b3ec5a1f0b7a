//! `tieline-gates`: measures the gates, prints the table, and fails if a promise is broken.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tieline_gates::gates::{self, Effort, NAMES};
use tieline_gates::row::{self, Row, Verdict};
use tieline_gates::{cases, process};

/// Measures what Tieline promises of safety in numbers, on the real server. Without names: all gates.
#[derive(Parser)]
struct Args {
    /// The gates to measure
    #[arg(value_parser = NAMES.map(|(name, _)| name))]
    gates: Vec<String>,

    /// A tenth of everything, to see that the gates themselves work
    #[arg(long)]
    quick: bool,

    /// Write the rows to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Instead: print the table of the hostile cases from the lines that the tests wrote to this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gates", "quick", "json"])]
    cases: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(path) = args.cases {
        print!("{}", cases::table(&std::fs::read_to_string(&path).context("no file of cases")?)?);
        return Ok(ExitCode::SUCCESS);
    }
    let effort = if args.quick { Effort::Quick } else { Effort::Full };
    process::raise_descriptors()?;
    let mut rows = Vec::new();
    for (name, what) in NAMES {
        if !args.gates.is_empty() && !args.gates.iter().any(|wanted| wanted == name) {
            continue;
        }
        eprintln!("{name}: {what}");
        let measured = gates::run(name, effort).await.unwrap_or_else(|error| {
            vec![Row::new(what, "–", "it can be measured").measured(format!("{error:#}"), Verdict::Broken)]
        });
        for row in &measured {
            eprintln!("  {}: {}", row.what, row.measured);
        }
        rows.extend(measured);
    }
    print!("{}", row::table(&rows));
    if let Some(path) = args.json {
        std::fs::write(path, serde_json::to_string_pretty(&row::json(&rows))?)?;
    }
    Ok(if row::is_broken(&rows) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
