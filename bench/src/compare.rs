//! The runs in their order: in each round every peer runs once, and each round begins with another one.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc;

use anyhow::Context;
use serde::Serialize;

use crate::load::Figures;
use crate::plan::{Effort, Plan, Shape, Workload};
use crate::report;
use crate::servers::child::{self, Child};
use crate::servers::{self, ENTRIES, Entry, Start, own, spinners};

/// What is compared, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only these workloads, if there are any.
    pub only: Vec<Workload>,
    /// Only these peers, if there are any.
    pub peers: Vec<String>,
    /// How often each peer runs.
    pub rounds: usize,
    /// How long each run is.
    pub effort: Effort,
    /// Cores are kept awake, in workloads where it matters.
    pub has_spinners: bool,
    /// Where the results go.
    pub out: PathBuf,
}

/// The names of all peers.
pub fn names() -> Vec<&'static str> {
    ENTRIES.iter().map(|entry| entry.name).collect()
}

/// One run of one peer.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    /// The workload.
    pub workload: Workload,
    /// Its shape.
    pub shape: Shape,
    /// The peer's name.
    pub peer: String,
    /// The round.
    pub round: usize,
    /// What was measured; nothing if it failed.
    pub figures: Figures,
    /// Why it failed.
    pub failure: Option<String>,
}

/// All that was run.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// Every run, in its order.
    pub runs: Vec<Run>,
    /// Peers that aren't installed, and what is missing.
    pub missing: BTreeMap<String, String>,
}

/// Runs all of it, and writes what came of it.
///
/// # Errors
/// If nothing could be run, or the results can't be written.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if options.peers.is_empty() || options.peers.iter().any(|name| name == "tieline") {
        own::build()?;
    }
    let mut results = Results::default();
    for workload in Workload::ALL {
        if !options.only.is_empty() && !options.only.contains(&workload) {
            continue;
        }
        eprintln!("{}", workload.title());
        let spinners = if options.has_spinners && is_awake(workload) { spinners::start()? } else { Vec::new() };
        for round in 0..options.rounds {
            for entry in in_turn(options, workload, round) {
                for shape in workload.shapes(options.effort) {
                    if shape.channels == 1 || workload != Workload::W7 || entry.has_channels {
                        one(options, workload, shape, entry, round, &spinners, &mut results);
                    }
                }
            }
        }
    }
    report::write(options, &results)
}

/// Workloads in which cores would fall asleep between messages: all but the one that measures what an idle broker does.
fn is_awake(workload: Workload) -> bool {
    workload != Workload::W6
}

/// The peers that can do it, beginning with another one each round.
fn in_turn(options: &Options, workload: Workload, round: usize) -> Vec<&'static Entry> {
    let is_wanted = |entry: &&Entry| {
        let is_named = options.peers.iter().any(|name| name == entry.name);
        let is_usual = options.peers.is_empty() && entry.name != "tieline-base";
        entry.workloads.contains(&workload) && (is_named || is_usual)
    };
    let mut entries: Vec<_> = ENTRIES.iter().filter(is_wanted).collect();
    let first = round % entries.len().max(1);
    entries.rotate_left(first);
    entries
}

fn one(
    options: &Options,
    workload: Workload,
    shape: Shape,
    entry: &Entry,
    round: usize,
    spinners: &[Child],
    results: &mut Results,
) {
    if results.missing.contains_key(entry.name) {
        return;
    }
    let plan = Plan {
        peer: entry.name.to_owned(),
        workload,
        effort: options.effort,
        shape,
        addresses: Vec::new(),
        broker: None,
        beside: spinners.iter().map(Child::pid).collect(),
    };
    let measured = match entry.start(&plan) {
        Ok(Start::Missing(what)) => {
            eprintln!("  {}: skipped, {what}", entry.name);
            results.missing.insert(entry.name.to_owned(), what);
            return;
        }
        Ok(Start::Running(server)) => generate(plan, &server),
        Err(error) => Err(error),
    };
    let (figures, failure) = match measured {
        Ok(figures) => (figures, None),
        Err(error) => (Figures::new(), Some(format!("{error:#}"))),
    };
    match &failure {
        None => eprintln!("  round {}, {}: {}", round + 1, entry.name, report::line(workload, &figures)),
        Some(why) => eprintln!("  round {}, {}: failed, {why}", round + 1, entry.name),
    }
    results.runs.push(Run { workload, shape, peer: entry.name.to_owned(), round, figures, failure });
}

/// Runs the load generator against a server, for a bounded time.
fn generate(mut plan: Plan, server: &servers::Server) -> anyhow::Result<Figures> {
    plan.addresses.clone_from(&server.addresses);
    plan.broker = server.broker;
    let mut command = child::command(std::env::current_exe()?, plan.load_core());
    command.arg("load").arg(serde_json::to_string(&plan)?).stdout(Stdio::piped());
    let mut child = Child::start(&mut command)?;
    let mut stdout = child.stdout()?;
    let (told, tells) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = stdout.read_to_string(&mut text);
        // Nobody may wait any more.
        let _ = told.send(text);
    });
    let text = tells.recv_timeout(plan.limit()).context("it took too long")?;
    let told: Result<Figures, String> = serde_json::from_str(text.trim()).context("the load generator failed")?;
    told.map_err(anyhow::Error::msg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another_peer_and_has_all_of_them() {
        let options = Options {
            only: Vec::new(),
            peers: Vec::new(),
            rounds: 3,
            effort: Effort::Quick,
            has_spinners: false,
            out: PathBuf::new(),
        };
        let names = |round| in_turn(&options, Workload::W1, round).iter().map(|entry| entry.name).collect::<Vec<_>>();
        let (first, second) = (names(0), names(1));
        assert_eq!(first[1], second[0]);
        assert_eq!(first.len(), second.len());
        assert!(first.iter().all(|name| second.contains(name)));
        assert!(!first.contains(&"tieline-base"));
    }
}
