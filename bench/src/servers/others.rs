//! The servers of the peers: as their packages install them, in folders of their own, without persistence where that can
//! be chosen, for Tieline has none.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::child::{self, Child, free_port};
use super::{Server, Start};
use crate::plan::Plan;

/// The versions of the peers' servers, of those that are installed as packages; the clients' are in `Cargo.lock`.
pub fn versions() -> Vec<(String, String)> {
    let version = |package: &str| {
        let mut query = std::process::Command::new("dpkg-query");
        query.args(["--show", "--showformat", "${Version}", package]).stderr(Stdio::null());
        let version = String::from_utf8(query.output().ok()?.stdout).ok()?;
        (!version.is_empty()).then(|| (package.to_owned(), version))
    };
    ["nats-server", "redis-server", "rabbitmq-server", "gearman-job-server"].into_iter().filter_map(version).collect()
}

/// What a missing program is told with.
fn missing(program: &str) -> Start {
    Start::Missing(format!("{program} isn't installed: bench/peers.sh gets it"))
}

fn running(port: u16, broker: u32, children: Vec<Child>, folder: Option<tempfile::TempDir>) -> Start {
    Start::Running(Server { addresses: vec![format!("127.0.0.1:{port}")], broker: Some(broker), children, folder })
}

/// NATS.
///
/// # Errors
/// If it doesn't come up.
pub fn nats(plan: &Plan) -> anyhow::Result<Start> {
    if !child::is_installed("nats-server") {
        return Ok(missing("nats-server"));
    }
    let port = free_port()?;
    let mut command = child::command("nats-server", plan.broker_core());
    command.args(["--addr", "127.0.0.1", "--port", &port.to_string()]).stderr(Stdio::null());
    let mut child = Child::start(&mut command)?.ended_by(Signal::SIGTERM);
    child.wait_for_port(port)?;
    Ok(running(port, child.pid(), vec![child], None))
}

/// Redis.
///
/// # Errors
/// If it doesn't come up.
pub fn redis(plan: &Plan) -> anyhow::Result<Start> {
    if !child::is_installed("redis-server") {
        return Ok(missing("redis-server"));
    }
    let (port, folder) = (free_port()?, tempfile::tempdir()?);
    let mut command = child::command("redis-server", plan.broker_core());
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(folder.path()).stdout(Stdio::null());
    let mut child = Child::start(&mut command)?.ended_by(Signal::SIGTERM);
    child.wait_for_port(port)?;
    Ok(running(port, child.pid(), vec![child], Some(folder)))
}

/// Gearman.
///
/// # Errors
/// If it doesn't come up.
pub fn gearman(plan: &Plan) -> anyhow::Result<Start> {
    if !child::is_installed("gearmand") {
        return Ok(missing("gearmand"));
    }
    let port = free_port()?;
    let mut command = child::command("/usr/sbin/gearmand", plan.broker_core());
    command.args(["--listen", "127.0.0.1", "--port", &port.to_string(), "--log-file", "none"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = Child::start(&mut command)?.ended_by(Signal::SIGTERM);
    child.wait_for_port(port)?;
    Ok(running(port, child.pid(), vec![child], None))
}

/// gRPC has none.
///
/// # Errors
/// Never.
pub fn none(_: &Plan) -> anyhow::Result<Start> {
    Ok(Start::Running(Server { addresses: Vec::new(), broker: None, children: Vec::new(), folder: None }))
}

/// RabbitMQ, with a name service of Erlang's nodes of its own, so that nothing is left behind.
///
/// # Errors
/// If it doesn't come up.
pub fn rabbitmq(plan: &Plan) -> anyhow::Result<Start> {
    /// The script that runs the server in the foreground, beside the package's wrapper that changes users.
    const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
    if !std::path::Path::new(SERVER).is_file() || !child::is_installed("epmd") {
        return Ok(missing("rabbitmq-server"));
    }
    let folder = tempfile::tempdir()?;
    let (names, port, nodes) = (free_port()?, free_port()?, free_port()?);
    let mut command = child::command("epmd", None);
    command.args(["-address", "127.0.0.1", "-port", &names.to_string()]).stderr(Stdio::null());
    let mut epmd = Child::start(&mut command)?;
    epmd.wait_for_port(names)?;
    let configuration = folder.path().join("rabbitmq.conf");
    std::fs::write(&configuration, format!("listeners.tcp.local = 127.0.0.1:{port}\nlog.console = false\n"))?;
    std::fs::write(folder.path().join("enabled_plugins"), "[].\n")?;
    let mut command = child::command(SERVER, plan.broker_core());
    command
        .env("HOME", folder.path())
        .env("ERL_EPMD_PORT", names.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODENAME", format!("tieline-bench-{port}@localhost"))
        .env("RABBITMQ_DIST_PORT", nodes.to_string())
        .env("RABBITMQ_CONFIG_FILE", &configuration)
        .env("RABBITMQ_CONF_ENV_FILE", folder.path().join("none"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.path().join("enabled_plugins"))
        .env("RABBITMQ_MNESIA_BASE", folder.path().join("mnesia"))
        .env("RABBITMQ_LOG_BASE", folder.path().join("log"))
        .env("RABBITMQ_LOGS", folder.path().join("log/server.log"))
        // The one above is its name service; it is to start none that would outlive it.
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-start_epmd false")
        .env("RABBITMQ_PID_FILE", folder.path().join("pid"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut server = Child::start(&mut command)?.ended_by(Signal::SIGTERM);
    server.wait_for_port(port)?;
    // It listens a moment before it serves.
    std::thread::sleep(Duration::from_secs(1));
    let broker = machine_of(server.pid());
    Ok(running(port, broker, vec![server, epmd], Some(folder)))
}

/// The Erlang machine: the process itself, or the child that its script started.
fn machine_of(pid: u32) -> u32 {
    let name = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let children = |pid: u32| -> Vec<u32> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    };
    let mut look = vec![pid];
    while let Some(pid) = look.pop() {
        if name(pid).starts_with("beam") {
            return pid;
        }
        look.extend(children(pid));
    }
    pid
}
