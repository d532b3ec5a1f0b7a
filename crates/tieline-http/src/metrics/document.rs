//! The table of metrics as it is printed into `docs/metrics.md`.

use std::fmt::Write as _;

use super::table::{Kind, METRICS, Metric};

/// The table, or that of the metrics by channel.
pub fn metrics_table(by_channel: bool) -> String {
    let mut text = String::from("| metric | kind | unit | label | meaning |\n|---|---|---|---|---|\n");
    for Metric { name, kind, unit, label, meaning, .. } in METRICS.iter().filter(|m| m.by_channel == by_channel) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        };
        let label = label.map_or("–".to_owned(), |label| format!("`{label}`"));
        // A String takes whatever is written.
        let _ = writeln!(text, "| `{name}` | {kind} | {} | {label} | {meaning} |", unit.unwrap_or("–"));
    }
    text
}
