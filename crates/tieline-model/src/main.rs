//! Explores bounds, and prints what was found. Fails at the first rule that is broken, and if something was never seen.

use std::process::ExitCode;

use clap::Parser;
use tieline_model::bound::Bound;
use tieline_model::bounds::{LARGE, SMALL};
use tieline_model::explore::explore;
use tieline_model::merges::check_merges;

/// Explores every state of the routing core within small bounds.
#[derive(Parser)]
struct Args {
    /// What to explore: `small`, `large`, or the name of a bound; several with commas between them.
    #[arg(long, default_value = "small", value_delimiter = ',')]
    bound: Vec<String>,
    /// How many threads explore; with more than one, the story of a broken rule needn't be the shortest.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Check the checker instead: whether states that are taken for the same go on alike. Takes several times as long.
    #[arg(long)]
    merges: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut bounds = Vec::new();
    for name in &args.bound {
        let named = chosen(name);
        if named.is_empty() {
            let names: Vec<_> = SMALL.iter().chain(LARGE).map(|bound| bound.name).collect();
            eprintln!("no bound is called {name}; there are small, large, {}", names.join(", "));
            return ExitCode::from(64);
        }
        bounds.extend(named);
    }
    if args.merges { merges(&bounds) } else { explore_all(&bounds, args.threads) }
}

fn merges(bounds: &[&'static Bound]) -> ExitCode {
    for bound in bounds {
        match check_merges(bound) {
            Ok(times) => println!("{:<13} {times} times a state was met again, and went on alike", bound.name),
            Err(story) => {
                println!("a state that doesn't go on like another that is taken for the same:\n{story}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn explore_all(bounds: &[&'static Bound], threads: usize) -> ExitCode {
    let mut states = 0;
    for bound in bounds {
        let report = explore(bound, threads);
        println!("{:<13} {}", bound.name, bound.about);
        println!(
            "{:<13} {} states, {} steps, depth {}, {:.1} s",
            "",
            report.states,
            report.steps,
            report.depth,
            report.took.as_secs_f64()
        );
        if let Some(story) = &report.broken {
            println!("\n{story}\n");
        } else {
            report.unseen.iter().for_each(|name| println!("{:<13} never seen: {name}", ""));
        }
        if !report.is_good() {
            return ExitCode::FAILURE;
        }
        states += report.states;
    }
    println!("{states} states in all, each with its end; every rule holds in each");
    ExitCode::SUCCESS
}

fn chosen(name: &str) -> Vec<&'static Bound> {
    match name {
        "small" => SMALL.to_vec(),
        "large" => LARGE.to_vec(),
        _ => SMALL.iter().chain(LARGE).copied().filter(|bound| bound.name == name).collect(),
    }
}
