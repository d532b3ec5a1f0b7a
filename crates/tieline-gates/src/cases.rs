//! The table of the hostile cases: class, number of cases, and how the bystander fared.
//!
//! The tests of `tieline-server` write a line of JSON for each case that they play, where `TIELINE_HOSTILE_FIGURES`
//! names a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use crate::stats::{percentile, span};

/// What the lines of one class add up to.
#[derive(Default)]
struct Class {
    cases: BTreeSet<String>,
    played: usize,
    alone: Vec<Duration>,
    under: Vec<Duration>,
}

/// The table, of such lines.
///
/// # Errors
/// If a line is none of them.
pub fn table(lines: &str) -> anyhow::Result<String> {
    let mut classes = BTreeMap::<String, Class>::new();
    let mut all = Class::default();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).context("a line that isn't JSON")?;
        let text = |key: &str| line[key].as_str().with_context(|| format!("a line without '{key}'"));
        let spans = |key: &str| {
            let micros = line[key].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(Value::as_u64);
            micros.map(Duration::from_micros).collect::<Vec<_>>()
        };
        for class in [classes.entry(text("class")?.to_owned()).or_default(), &mut all] {
            class.cases.insert(format!("{}: {}", text("class")?, text("case")?));
            class.played += 1;
            class.alone.extend(spans("alone_us"));
            class.under.extend(spans("under_us"));
        }
    }
    let mut out = String::from(
        "| class | cases | played | alone: median | p99 | under attack: median | p99 |\n|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for (name, class) in classes.iter().map(|(name, class)| (name.as_str(), class)).chain([("all", &all)]) {
        let of = |samples: &[Duration], percent| {
            if samples.is_empty() { "–".into() } else { span(percentile(samples, percent)) }
        };
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {} | {} |",
            class.cases.len(),
            class.played,
            of(&class.alone, 50.0),
            of(&class.alone, 99.0),
            of(&class.under, 50.0),
            of(&class.under, 99.0)
        );
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_counted_once_however_often_they_are_played() {
        let line = |transport| {
            format!(
                r#"{{"class":"ids","case":"a \"thief\"","transport":"{transport}","alone_us":[100],"under_us":[300]}}"#
            )
        };
        let table = table(&format!("{}\n{}\n", line("tcp"), line("unix"))).unwrap();
        assert!(table.contains("| ids | 1 | 2 | 100 µs | 100 µs | 300 µs | 300 µs |"), "{table}");
        assert!(table.contains("| all | 1 | 2 |"));
    }
}
