//! How long the bystander's small exchanges took, alone and under attack. Nothing is asserted of them here: they are
//! written down, if a file for them is named, and `just hostile` makes a table of it.

use std::io::Write as _;
use std::time::Duration;

/// Small exchanges of the bystander before the attack, if figures are wanted.
pub const ROUNDS_ALONE: usize = 20;

/// See the module.
#[derive(Default)]
pub struct Figures {
    pub alone: Vec<Duration>,
    pub under: Vec<Duration>,
}

impl Figures {
    /// Names the file, to which a line in JSON is added for each case.
    const VARIABLE: &str = "TIELINE_HOSTILE_FIGURES";

    pub fn are_wanted() -> bool {
        std::env::var_os(Self::VARIABLE).is_some()
    }

    pub fn write(&self, class: &str, name: &str, transport: &str) {
        let Some(path) = std::env::var_os(Self::VARIABLE) else { return };
        let micros = |spans: &[Duration]| spans.iter().map(|span| span.as_micros() as u64).collect::<Vec<_>>();
        let line = serde_json::json!({
            "class": class,
            "case": name,
            "transport": transport,
            "alone_us": micros(&self.alone),
            "under_us": micros(&self.under),
        });
        // One write, so that lines of tests beside each other don't mix.
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
