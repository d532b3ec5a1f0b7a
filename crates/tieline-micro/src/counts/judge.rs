//! Compares what was counted with the baseline: what has risen by more than 3 % fails.

use std::fmt;

use super::{Baseline, Cost, Machine};

/// A rise by more than this part fails; a fall by more asks for a new baseline.
const TOLERANCE: f64 = 0.03;

/// What is to be thought of a scenario.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// As before.
    Same,
    /// It costs less; the baseline should say so, or the next rise goes unnoticed.
    Fallen,
    /// It isn't in the baseline.
    New,
    /// It costs more.
    Risen,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Same => "",
            Self::Fallen => "fallen",
            Self::New => "NEW",
            Self::Risen => "RISEN",
        }
    }
}

/// What of a cost can be compared between the machine of the baseline and this one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scope {
    /// Nothing: the compilers differ.
    Nothing,
    /// Rust code and allocations: the C libraries differ.
    Rust,
    Everything,
}

/// The comparison, a row a scenario.
#[derive(Clone, Debug)]
pub struct Table {
    scope: Scope,
    before: Machine,
    now: Machine,
    rows: Vec<(String, Option<Cost>, Cost, Verdict)>,
}

impl Table {
    /// Compares.
    pub fn new(baseline: &Baseline, now: &Baseline) -> Self {
        let scope = if baseline.machine.compiler != now.machine.compiler {
            Scope::Nothing
        } else if baseline.machine.library != now.machine.library {
            Scope::Rust
        } else {
            Scope::Everything
        };
        let rows = now.costs.iter().map(|(name, cost)| {
            let before = baseline.of(name);
            (name.clone(), before, *cost, judge(before, *cost, scope))
        });
        Self { scope, before: baseline.machine.clone(), now: now.machine.clone(), rows: rows.collect() }
    }

    /// The gravest of all verdicts.
    pub fn verdict(&self) -> Verdict {
        self.rows.iter().map(|(.., verdict)| *verdict).max().unwrap_or(Verdict::Same)
    }

    /// Whether nobody may pass with this.
    pub fn fails(&self) -> bool {
        self.verdict() >= Verdict::New
    }
}

fn judge(before: Option<Cost>, now: Cost, scope: Scope) -> Verdict {
    if scope == Scope::Nothing {
        return Verdict::Same;
    }
    let Some(before) = before else { return Verdict::New };
    let mut changes = vec![change(before.own as f64, now.own as f64), change(before.allocations, now.allocations)];
    if scope == Scope::Everything {
        changes.push(change(before.all as f64, now.all as f64));
    }
    if changes.iter().any(|change| *change > TOLERANCE) {
        Verdict::Risen
    } else if changes.iter().any(|change| *change < -TOLERANCE) {
        Verdict::Fallen
    } else {
        Verdict::Same
    }
}

/// By which part a number has changed.
fn change(before: f64, now: f64) -> f64 {
    if before == 0.0 { if now == 0.0 { 0.0 } else { f64::INFINITY } } else { (now - before) / before }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "of one each {:>36} {:>29} {:>29}", "Rust code", "allocations", "with the C library")?;
        for (name, before, now, verdict) in &self.rows {
            write!(f, "{name:<24}")?;
            write_change(f, before.map(|cost| cost.own as f64), now.own as f64, 0)?;
            write_change(f, before.map(|cost| cost.allocations), now.allocations, 2)?;
            write_change(f, before.map(|cost| cost.all as f64), now.all as f64, 0)?;
            writeln!(f, "  {}", verdict.word())?;
        }
        let (before, now) = (&self.before, &self.now);
        match self.scope {
            Scope::Everything => {}
            Scope::Rust => writeln!(
                f,
                "the C library isn't compared: the baseline has {}, this is {}",
                before.library, now.library
            )?,
            Scope::Nothing => writeln!(
                f,
                "NOTHING IS JUDGED: the baseline is of {}, this is {}.\nTo compare, bless the commit before the change \
                 with this compiler.",
                before.compiler, now.compiler
            )?,
        }
        match self.verdict() {
            Verdict::Same => Ok(()),
            Verdict::Fallen => {
                writeln!(f, "what has fallen by more than 3 % wants a new baseline: `just instructions-bless`")
            }
            Verdict::New => writeln!(f, "what is new wants a baseline: `just instructions-bless`"),
            Verdict::Risen => writeln!(
                f,
                "a rise of more than 3 % fails. Find it with `callgrind_annotate` and the files in target/callgrind; if \
                 it is worth its price, `just instructions-bless` and say why in the commit"
            ),
        }
    }
}

fn write_change(f: &mut fmt::Formatter<'_>, before: Option<f64>, now: f64, digits: usize) -> fmt::Result {
    let Some(before) = before else { return write!(f, "{:>11}{now:>11.digits$}{:>8}", "–", "") };
    write!(f, "{before:>11.digits$}{now:>11.digits$}{:>+7.1}%", 100.0 * change(before, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(compiler: &str, library: &str, cost: Cost) -> Baseline {
        let machine = Machine { compiler: compiler.to_owned(), library: library.to_owned() };
        Baseline { machine, costs: vec![("one".to_owned(), cost)] }
    }

    const BEFORE: Cost = Cost { own: 1000, allocations: 10.0, all: 2000 };

    fn verdict(now: Cost, compiler: &str, library: &str) -> Verdict {
        Table::new(&baseline("rustc 1", "glibc 2", BEFORE), &baseline(compiler, library, now)).verdict()
    }

    #[test]
    fn a_rise_beyond_3_percent_fails_and_a_fall_beyond_asks() {
        for (own, expected) in
            [(1030, Verdict::Same), (1031, Verdict::Risen), (970, Verdict::Same), (969, Verdict::Fallen)]
        {
            assert_eq!(verdict(Cost { own, ..BEFORE }, "rustc 1", "glibc 2"), expected, "{own}");
        }
        let table = Table::new(&baseline("c", "l", BEFORE), &baseline("c", "l", Cost { own: 1031, ..BEFORE }));
        assert!(table.fails());
        assert!(table.to_string().contains("RISEN"), "{table}");
        assert!(!Table::new(&baseline("c", "l", BEFORE), &baseline("c", "l", Cost { own: 9, ..BEFORE })).fails());
    }

    #[test]
    fn one_allocation_more_or_another_copy_is_a_rise_too() {
        assert_eq!(verdict(Cost { allocations: 11.0, ..BEFORE }, "rustc 1", "glibc 2"), Verdict::Risen);
        assert_eq!(verdict(Cost { all: 2061, ..BEFORE }, "rustc 1", "glibc 2"), Verdict::Risen);
        // What rose in one and fell in another has risen.
        assert_eq!(verdict(Cost { own: 500, all: 2061, ..BEFORE }, "rustc 1", "glibc 2"), Verdict::Risen);
    }

    #[test]
    fn another_c_library_leaves_rust_code_to_be_judged_and_another_compiler_nothing() {
        assert_eq!(verdict(Cost { all: 9000, ..BEFORE }, "rustc 1", "glibc 3"), Verdict::Same);
        assert_eq!(verdict(Cost { own: 1031, ..BEFORE }, "rustc 1", "glibc 3"), Verdict::Risen);
        assert_eq!(verdict(Cost { own: 9000, ..BEFORE }, "rustc 2", "glibc 2"), Verdict::Same);
        let table = Table::new(&baseline("rustc 1", "l", BEFORE), &baseline("rustc 2", "l", BEFORE));
        assert!(table.to_string().contains("NOTHING IS JUDGED"), "{table}");
    }

    #[test]
    fn a_scenario_without_a_baseline_fails_until_it_has_one() {
        let mut before = baseline("c", "l", BEFORE);
        before.costs.clear();
        let table = Table::new(&before, &baseline("c", "l", BEFORE));
        assert!(table.fails() && table.verdict() == Verdict::New, "{table}");
    }
}
