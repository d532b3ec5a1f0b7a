//! A row of the table: what others do, what is promised here, what was measured, and whether that is kept.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

/// What became of a gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The promise is kept.
    Kept,
    /// It isn't.
    Broken,
    /// It can't be measured yet, or is measured elsewhere.
    Elsewhere,
}

impl Verdict {
    /// Kept, if this is true.
    pub const fn of(kept: bool) -> Self {
        if kept { Self::Kept } else { Self::Broken }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Kept => "pass",
            Self::Broken => "FAIL",
            Self::Elsewhere => "-",
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is measured.
    pub what: String,
    /// What others do.
    pub others: &'static str,
    /// What is promised here.
    pub promise: &'static str,
    /// What was measured, for people.
    pub measured: String,
    /// What was measured, by name and with units in the names, for machines.
    pub figures: Map<String, Value>,
    /// Whether the promise is kept.
    pub verdict: Verdict,
}

impl Row {
    /// A row without figures.
    pub fn new(what: impl Into<String>, others: &'static str, promise: &'static str) -> Self {
        Self {
            what: what.into(),
            others,
            promise,
            measured: String::new(),
            figures: Map::new(),
            verdict: Verdict::Elsewhere,
        }
    }

    /// What was measured, and what that means.
    #[must_use]
    pub fn measured(mut self, words: impl Into<String>, verdict: Verdict) -> Self {
        self.measured = words.into();
        self.verdict = verdict;
        self
    }

    /// Adds a figure.
    #[must_use]
    pub fn figure(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.figures.insert(name.to_owned(), value.into());
        self
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "others": self.others,
            "promise": self.promise,
            "measured": self.measured,
            "verdict": self.verdict.word(),
            "figures": self.figures,
        })
    }
}

/// The table in Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from("| | others | promised | measured | |\n|---|---|---|---|---|\n");
    for row in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            row.what,
            row.others,
            row.promise,
            row.measured,
            row.verdict.word()
        );
    }
    text
}

/// The table in JSON: a list of rows.
pub fn json(rows: &[Row]) -> Value {
    rows.iter().map(Row::json).collect()
}

/// Whether a promise is broken.
pub fn is_broken(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.verdict == Verdict::Broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_the_same_to_people_and_machines() {
        let rows = [Row::new("a", "b", "c").measured("d", Verdict::Broken).figure("e_ms", 5)];
        assert!(table(&rows).ends_with("| a | b | c | d | FAIL |\n"));
        assert_eq!(json(&rows)[0]["figures"]["e_ms"], 5);
        assert_eq!(json(&rows)[0]["verdict"], "FAIL");
        assert!(is_broken(&rows));
        assert!(!is_broken(&[Row::new("a", "b", "c").measured("d", Verdict::Kept)]));
    }
}
