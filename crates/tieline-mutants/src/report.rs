//! What is printed while mutants are planted, and what it comes to.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tieline_protocol::mutant::Row;

/// What became of one mutant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// A test failed.
    Caught { by: String, expected: bool },
    /// Everything passes with it.
    Survived,
    /// Everything passes with it, for no test comes by its place.
    NeverReached,
    /// A run didn't end, and this mutant isn't one that is known to do that: a test should say what is wrong.
    Hung,
}

/// The table, as it grows.
#[derive(Debug)]
pub(crate) struct Report {
    begun: Instant,
    width: usize,
    mutants: usize,
    caught: usize,
    elsewhere: usize,
}

impl Report {
    pub(crate) fn begin(rows: &[&Row]) -> Self {
        let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        Self { begun: Instant::now(), width, mutants: rows.len(), caught: 0, elsewhere: 0 }
    }

    /// The suites passed without a mutant, in so much time.
    pub(crate) fn control(&self, suites: &[(String, Duration)]) {
        println!("Without a mutant all pass:");
        for (name, time) in suites {
            println!("  {:6.2} s  {name}", time.as_secs_f64());
        }
        println!("\n{:width$}  {:>6}  caught by", "mutant", "s", width = self.width);
    }

    pub(crate) fn row(&mut self, row: &Row, verdict: Verdict, spent: Duration) {
        let words = match verdict {
            Verdict::Caught { by, expected } => {
                self.caught += 1;
                self.elsewhere += usize::from(!expected);
                by + if expected { "" } else { "  (another test than the expected one)" }
            }
            Verdict::Survived => format!("NOBODY, though tests come by its place. {}", row.fault),
            Verdict::NeverReached => format!("NOBODY: no test comes by its place. {}", row.fault),
            Verdict::Hung => format!("a run that doesn't end; a test should fail instead. {}", row.fault),
        };
        println!("{:width$}  {:6.2}  {words}", row.name, spent.as_secs_f64(), width = self.width);
    }

    /// Says what it comes to.
    pub(crate) fn end(self) -> ExitCode {
        println!(
            "\n{} of {} mutants caught, in {:.0} s",
            self.caught,
            self.mutants,
            self.begun.elapsed().as_secs_f64()
        );
        if self.elsewhere > 0 {
            println!("{} by another test than `expected` names, which only takes longer", self.elsewhere);
        }
        if self.caught == self.mutants { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
