//! The test binaries: built once, with all mutants in them and none planted.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The packages whose tests are to notice mutants. One more is all it takes to let its tests join.
const PACKAGES: &[&str] = &["tieline-protocol", "tieline-broker"];

/// Turns the mutants on in all pure crates.
const FEATURE: &str = "tieline-broker/mutants";

/// One test binary.
#[derive(Debug)]
pub(crate) struct Suite {
    /// Its package and its target: `tieline-broker/stories`.
    pub(crate) name: String,
    pub(crate) binary: PathBuf,
    /// Where cargo would run it.
    pub(crate) directory: PathBuf,
}

/// Builds all suites.
pub(crate) fn build() -> Result<Vec<Suite>> {
    let mut command = Command::new(cargo());
    command.args(["test", "--no-run", "--message-format=json-render-diagnostics", "--features", FEATURE]);
    for package in PACKAGES {
        command.args(["-p", package]);
    }
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
    let output = command.stderr(Stdio::inherit()).output().context("cargo doesn't run")?;
    ensure!(output.status.success(), "the tests don't build");
    let text = String::from_utf8(output.stdout).context("cargo writes text")?;
    let suites: Vec<_> = text.lines().filter_map(suite).collect();
    ensure!(!suites.is_empty(), "cargo names no test binary");
    Ok(suites)
}

/// The test binary that a line of cargo's tells of, if it does.
fn suite(line: &str) -> Option<Suite> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_test = message["reason"] == "compiler-artifact" && message["profile"]["test"] == true;
    let binary = message["executable"].as_str().filter(|_| is_test)?;
    let directory = Path::new(message["manifest_path"].as_str()?).parent()?;
    let package = directory.file_name()?.to_str()?;
    // The tests within a library's source have no name of their own.
    let target = if message["target"]["kind"][0] == "test" { message["target"]["name"].as_str()? } else { "src" };
    Some(Suite { name: format!("{package}/{target}"), binary: binary.into(), directory: directory.into() })
}

/// The cargo that runs this, or else the one in the path.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
