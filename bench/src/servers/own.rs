//! The brokers that the harness brings along, and Tieline's server.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, bail};

use super::child::{self, Child};
use super::{Server, Start};
use crate::plan::Plan;

/// A broker of the harness, in the role of this name.
///
/// # Errors
/// If it can't be started.
pub fn relay(role: &str, plan: &Plan) -> anyhow::Result<Start> {
    let mut command = child::command(std::env::current_exe()?, plan.broker_core());
    let mut child = Child::start(command.args(["broker", role]).stdout(Stdio::piped()))?;
    let words = |line: &str| Some(line.split(' ').map(str::to_owned).collect());
    let addresses = Child::line(child.stdout()?, words)?;
    Ok(Start::Running(Server { addresses, broker: Some(child.pid()), children: vec![child], folder: None }))
}

/// Tieline's server: what `TIELINE_BINARY` names, or what lies beside this program.
///
/// # Errors
/// If it can't be started.
pub fn tieline(plan: &Plan) -> anyhow::Result<Start> {
    serve(binary()?, plan)
}

/// Another build of it.
///
/// # Errors
/// If it can't be started.
pub fn tieline_base(plan: &Plan) -> anyhow::Result<Start> {
    match std::env::var_os("TIELINE_BASE_BINARY") {
        Some(binary) => serve(binary.into(), plan),
        None => Ok(Start::Missing("TIELINE_BASE_BINARY isn't set".to_owned())),
    }
}

fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("TIELINE_BINARY") {
        return Ok(path.into());
    }
    let beside = std::env::current_exe()?.with_file_name("tieline");
    if !beside.exists() {
        bail!("there is no {}: build it first (cargo build --release -p tieline-cli)", beside.display());
    }
    Ok(beside)
}

/// Builds Tieline's server, if this program was run by cargo: a comparison with an old one would mislead.
///
/// # Errors
/// If it doesn't build.
pub fn build() -> anyhow::Result<()> {
    let Some(cargo) = std::env::var_os("CARGO").filter(|_| std::env::var_os("TIELINE_BINARY").is_none()) else {
        return Ok(());
    };
    let mut build = std::process::Command::new(cargo);
    build.args(["build", "--quiet", "--locked", "-p", "tieline-cli"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    if !build.status().context("cargo can't be run")?.success() {
        bail!("tieline doesn't build");
    }
    Ok(())
}

/// Channels that a connection may receive on unless the server is told otherwise.
const RECEIVES: usize = 1024;

fn serve(binary: PathBuf, plan: &Plan) -> anyhow::Result<Start> {
    let mut command = child::command(binary, plan.broker_core());
    command.args(["serve", "--no-http", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped());
    let receives = plan.channels_of(0).len();
    if receives > RECEIVES {
        command.args(["--receives", &receives.to_string()]);
    }
    let mut child = Child::start(&mut command)?;
    let address = |line: &str| line.split_once("tcp://").map(|(_, address)| address.trim().to_owned());
    let address = Child::line(child.stderr()?, address)?;
    Ok(Start::Running(Server {
        addresses: vec![address],
        broker: Some(child.pid()),
        children: vec![child],
        folder: None,
    }))
}
