//! A comparison of the relays, as a user runs it: every role of the harness is played, and nothing is left running.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn compare(only: &str, peers: &[&str], out: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieline-bench"));
    command.args(["compare", "--quick", "--rounds", "1", "--only", only, "--peers", &peers.join(","), "--out"]);
    let status = command.arg(out).status().expect("the harness runs");
    assert!(status.success());
    let figures = std::fs::read_to_string(out.join("figures.json")).expect("figures");
    serde_json::from_str(&figures).expect("they are JSON")
}

#[test]
fn each_relay_answers_every_request_and_carries_every_byte() {
    let out = tempfile::tempdir().expect("a folder");
    let results = compare("W2,W4", &["relay-fixed", "relay-splice", "relay-pull"], out.path());
    let runs = results["runs"].as_array().expect("runs");
    // Pulling has no W4.
    assert_eq!(runs.len(), 5, "{runs:?}");
    for run in runs {
        assert_eq!(run["failure"], Value::Null, "{run}");
        assert_eq!(run["figures"]["errors"], 0.0, "{run}");
        let rate = if run["workload"] == "W2" { "requests_per_s" } else { "gb_per_s" };
        assert!(run["figures"][rate].as_f64() > Some(0.0), "{run}");
    }
    let table = std::fs::read_to_string(out.path().join("table.md")).expect("a table");
    assert!(table.contains("| relay-pull |") && table.contains("Where Tieline loses"), "{table}");
    assert!(out.path().join("w2-requests_per_s.svg").is_file());
}
