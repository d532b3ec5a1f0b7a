//! `tieline-bench`: compares, or plays one of the roles that a comparison needs.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tieline_bench::brokers::{self, Broker};
use tieline_bench::compare::{self, Options};
use tieline_bench::plan::{Effort, Plan, Workload};
use tieline_bench::servers::spinners;
use tieline_bench::{load, machine};

/// Measures Tieline beside what its users would pick instead, and beside what the machine can do at all.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Runs the workloads against every peer that is installed, and writes table, figures and charts
    Compare {
        /// Only these workloads, as W1,W2
        #[arg(long, value_delimiter = ',', value_name = "W,…", ignore_case = true)]
        only: Vec<Workload>,

        /// Only these peers, as tieline,nats
        #[arg(long, value_delimiter = ',', value_name = "NAME,…", value_parser = compare::names())]
        peers: Vec<String>,

        /// How often each peer runs each workload, all in turn
        #[arg(long, default_value_t = 3)]
        rounds: usize,

        /// Shorter runs: enough to see about how fast
        #[arg(long)]
        quick: bool,

        /// Keep no core awake: without this, all but W6 run beside one idle-class spinner a core
        #[arg(long)]
        no_spinners: bool,

        /// Where table, figures and charts go
        #[arg(long, default_value = "target/bench", value_name = "FOLDER")]
        out: PathBuf,
    },
    /// Be a broker, until the process is ended
    #[command(hide = true)]
    Broker { broker: Broker },
    /// Be the load generator for one run, planned in JSON; prints its figures, or why there are none, in JSON
    #[command(hide = true)]
    Load { plan: String },
    /// Keep a core awake
    #[command(hide = true)]
    Spin,
}

fn main() -> anyhow::Result<()> {
    match Args::parse().role {
        Role::Compare { only, peers, rounds, quick, no_spinners, out } => {
            machine::raise_descriptors()?;
            let effort = if quick { Effort::Quick } else { Effort::Full };
            compare::run(&Options { only, peers, rounds: rounds.max(1), effort, has_spinners: !no_spinners, out })
        }
        Role::Broker { broker } => brokers::run(broker),
        Role::Load { plan } => generate(&plan),
        Role::Spin => spinners::spin(),
    }
}

fn generate(plan: &str) -> anyhow::Result<()> {
    let plan: Plan = serde_json::from_str(plan).context("no plan")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ran = runtime.block_on(async { tokio::spawn(load::run(plan)).await })?;
    let told = ran.map_err(|error| format!("{error:#}"));
    println!("{}", serde_json::to_string(&told)?);
    // Connections needn't be closed in good order: the process ends.
    runtime.shutdown_background();
    Ok(())
}
