//! `tieline-micro`: counts the instructions of the usual ways through the pure crates, and fails if one has risen.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use tieline_micro::counts::{Baseline, Machine, Table, count};
use tieline_micro::scenario::{SCENARIOS, Scenario};

const USAGE: &str = "\
usage: tieline-micro [check [SCENARIO]... | bless | list | once SCENARIO]

  check  counts, and compares with the committed baseline (all scenarios, or those that are named); fails if one has
         risen by more than 3 %
  bless  counts, and writes the baseline
  list   names the scenarios
  once   goes the way of one scenario; what runs under valgrind";

fn main() -> Result<ExitCode> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => check(SCENARIOS),
        ["check", ref names @ ..] => check(&named(names)?),
        ["bless"] => bless(),
        ["list"] => {
            for scenario in SCENARIOS {
                println!("{:<24}{}", scenario.name, scenario.what);
            }
            Ok(ExitCode::SUCCESS)
        }
        ["once", name] => {
            Scenario::of(name).with_context(|| format!("there is no scenario {name}"))?.count();
            Ok(ExitCode::SUCCESS)
        }
        _ => bail!("{USAGE}"),
    }
}

fn named(names: &[&str]) -> Result<Vec<Scenario>> {
    if names.is_empty() {
        return Ok(SCENARIOS.to_vec());
    }
    let scenario = |name: &&str| Scenario::of(name).copied().with_context(|| format!("there is no scenario {name}"));
    names.iter().map(scenario).collect()
}

fn check(scenarios: &[Scenario]) -> Result<ExitCode> {
    let file = file();
    let text = std::fs::read_to_string(&file).with_context(|| format!("{} can't be read", file.display()))?;
    let table = Table::new(&Baseline::read(&text)?, &count_all(scenarios)?);
    print!("{table}");
    Ok(if table.fails() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn bless() -> Result<ExitCode> {
    let counted = count_all(SCENARIOS)?;
    print!("{counted}");
    std::fs::write(file(), counted.to_string()).context("the baseline can't be written")?;
    Ok(ExitCode::SUCCESS)
}

fn count_all(scenarios: &[Scenario]) -> Result<Baseline> {
    ensure!(!cfg!(debug_assertions), "only what is optimized is worth counting: build with --release");
    let machine = Machine::this()?;
    let program = std::env::current_exe().context("this program can't find itself")?;
    // Beside the folder of the profile that it was built with.
    let folder = program.parent().and_then(Path::parent).unwrap_or(Path::new(".")).join("callgrind");
    let costs = scenarios.iter().map(|scenario| Ok((scenario.name.to_owned(), count(scenario, &program, &folder)?)));
    Ok(Baseline { machine, costs: costs.collect::<Result<_>>()? })
}

/// The committed baseline.
fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt")
}
