//! The committed file: what each scenario cost when somebody last said that it may.

use std::fmt;

use anyhow::{Context, Result};

use super::{Cost, Machine};

/// See the module.
#[derive(Clone, PartialEq, Debug)]
pub struct Baseline {
    /// Where it was counted.
    pub machine: Machine,
    /// By scenario, in their order.
    pub costs: Vec<(String, Cost)>,
}

impl Baseline {
    /// What a scenario cost.
    pub fn of(&self, name: &str) -> Option<Cost> {
        self.costs.iter().find(|(scenario, _)| scenario == name).map(|(_, cost)| *cost)
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// Names the line that is no such line.
    pub fn read(text: &str) -> Result<Self> {
        let mut machine = Machine { compiler: String::new(), library: String::new() };
        let mut costs = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(compiler) = line.strip_prefix("compiler: ") {
                compiler.clone_into(&mut machine.compiler);
            } else if let Some(library) = line.strip_prefix("library: ") {
                library.clone_into(&mut machine.library);
            } else {
                costs.push(cost(line).with_context(|| format!("this line of the baseline is none: {line}"))?);
            }
        }
        Ok(Self { machine, costs })
    }
}

fn cost(line: &str) -> Option<(String, Cost)> {
    let mut words = line.split_whitespace();
    let name = words.next()?.to_owned();
    let own = words.next()?.parse().ok()?;
    let allocations = words.next()?.parse().ok()?;
    let all = words.next()?.parse().ok()?;
    words.next().is_none().then_some((name, Cost { own, allocations, all }))
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Instructions of the usual ways through the pure crates, of one each; `just instructions` compares."
        )?;
        writeln!(f, "# Written by `just instructions-bless`: say in the commit why a number rose.")?;
        writeln!(f, "compiler: {}", self.machine.compiler)?;
        writeln!(f, "library: {}", self.machine.library)?;
        writeln!(f, "# {:<24}{:>10}{:>13}{:>20}", "scenario", "Rust code", "allocations", "with the C library")?;
        for (name, cost) in &self.costs {
            writeln!(f, "{name:<26}{:>10}{:>13.2}{:>20}", cost.own, cost.allocations, cost.all)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_comes_back_from_its_text() {
        let machine = Machine { compiler: "rustc 1, here".to_owned(), library: "glibc 2, avx2".to_owned() };
        let costs = [("one".to_owned(), Cost { own: 100, allocations: 2.25, all: 150 })];
        let baseline = Baseline { machine, costs: costs.into() };
        assert_eq!(Baseline::read(&baseline.to_string()).unwrap(), baseline);
        assert!(Baseline::read("one 100 2.25").is_err());
        assert!(Baseline::read("one 100 2.25 150 7").is_err());
    }
}
