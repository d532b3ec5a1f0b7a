//! What is printed while mutants are planted, and what it comes to.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tieline_protocol::mutant::Row;

use crate::run::SEED;

/// The most that is printed of a panic's words, in bytes.
const WORDS: usize = 100;

/// What became of one mutant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// The expected test failed, with these words.
    Expected { by: String, words: String },
    /// Another test failed.
    Elsewhere { by: String },
    /// Everything passes with it.
    Survived,
    /// Everything passes with it, for no test comes by its place.
    NeverReached,
    /// A run didn't end, and this mutant isn't one that is known to do that: a test should say what is wrong.
    Hung,
}

/// Words enough to see whether a test failed for the right reason.
fn cut(words: &str) -> &str {
    &words[..words.floor_char_boundary(WORDS)]
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
        println!("Without a mutant all pass (random tests draw from seed {SEED}):");
        for (name, time) in suites {
            println!("  {:6.2} s  {name}", time.as_secs_f64());
        }
        println!("\n{:width$}  {:>6}  caught by", "mutant", "s", width = self.width);
    }

    pub(crate) fn row(&mut self, row: &Row, verdict: Verdict, spent: Duration) {
        let words = match verdict {
            Verdict::Expected { by, words } => {
                self.caught += 1;
                format!("{by}: {}", cut(&words))
            }
            Verdict::Elsewhere { by } => {
                self.caught += 1;
                self.elsewhere += 1;
                format!("{by} (not the expected test)")
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
