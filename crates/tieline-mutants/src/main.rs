//! Plants faults in the pure crates, one at a time, and shows that their tests notice each: `just mutants [NAME…]`.
//!
//! | module | what it holds |
//! |---|---|
//! | `expected` | which test is expected to notice each mutant, to be run first |
//! | `suites` | the test binaries, built once, with all mutants in them and none planted |
//! | `run` | one run of one of them, over as soon as a test fails |
//! | `report` | what is printed, and what it comes to |
//!
//! The mutants themselves stand in `tieline_protocol::mutant`. First all suites run with none planted, and must pass.
//! Then each mutant is planted: its expected test runs, and if that doesn't notice it, every suite, the quickest first.
//! The seed of random tests is fixed, so what is noticed once is noticed always.
#![forbid(unsafe_code)]

mod expected;
mod report;
mod run;
mod suites;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tieline_protocol::mutant::{Row, TABLE};

use expected::expected;
use report::{Report, Verdict};
use run::{End, Planted};
use suites::Suite;

/// A single test that is not done by then hangs.
const ONE_TEST: Duration = Duration::from_secs(20);

/// A suite that is not done by then hangs.
const ONE_SUITE: Duration = Duration::from_mins(3);

fn main() -> Result<ExitCode> {
    let rows = chosen(std::env::args().skip(1).collect())?;
    let mut suites = suites::build()?;
    let mut report = Report::begin(&rows);
    control(&mut suites, &mut report)?;
    for row in rows {
        let begun = Instant::now();
        let verdict = verdict(row, &suites)?;
        report.row(row, verdict, begun.elapsed());
    }
    Ok(report.end())
}

/// The mutants with these names; all of them if there is none.
fn chosen(names: Vec<String>) -> Result<Vec<&'static Row>> {
    if names.is_empty() {
        return Ok(TABLE.iter().collect());
    }
    let find = |name: String| match TABLE.iter().find(|row| row.name == name) {
        Some(row) => Ok(row),
        None => bail!("no mutant is called {name}; crates/tieline-protocol/src/mutant.rs has all of them"),
    };
    names.into_iter().map(find).collect()
}

/// Without a mutant all must pass, or the rest means nothing. Sorts the suites, the quickest first.
fn control(suites: &mut [Suite], report: &mut Report) -> Result<()> {
    let mut spent = Vec::new();
    for suite in suites.iter() {
        let begun = Instant::now();
        match suite.run(Planted::Nothing, None, ONE_SUITE)? {
            End::Passed => {}
            end => bail!("{} fails without any mutant: {end:?}", suite.name),
        }
        spent.push((suite.name.clone(), begun.elapsed()));
    }
    report.control(&spent);
    suites.sort_by_key(|suite| spent.iter().find(|(name, _)| *name == suite.name).map(|(_, time)| *time));
    Ok(())
}

fn verdict(row: &'static Row, suites: &[Suite]) -> Result<Verdict> {
    let expected = expected(row.mutant);
    for suite in suites.iter().filter(|suite| suite.name == expected.suite) {
        match suite.run(Planted::Mutant(row.name), Some(expected.test), ONE_TEST)? {
            End::Failed { words, .. } => return Ok(Verdict::Expected { by: expected.test.to_owned(), words }),
            End::Hung if expected.hangs => {
                return Ok(Verdict::Expected { by: expected.test.to_owned(), words: "it never ends".to_owned() });
            }
            End::Hung => return Ok(Verdict::Hung),
            End::Passed | End::Broke(_) => {}
        }
    }
    for suite in suites {
        match suite.run(Planted::Mutant(row.name), None, ONE_SUITE)? {
            End::Failed { test, .. } => return Ok(Verdict::Elsewhere { by: format!("{} {test}", suite.name) }),
            End::Broke(how) => return Ok(Verdict::Elsewhere { by: format!("{} as a whole: {how}", suite.name) }),
            End::Hung => return Ok(Verdict::Hung),
            End::Passed => {}
        }
    }
    for suite in suites {
        if suite.run(Planted::Reached(row.name), None, ONE_SUITE)? != End::Passed {
            return Ok(Verdict::Survived);
        }
    }
    Ok(Verdict::NeverReached)
}
