//! The stage of the demo: a server in this process, and whoever connects to it.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use tieline::{Client, Request};
use tieline_server::{Config, Server, Stop, Watch};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStderr, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Nothing here takes long; what takes so long will not come any more.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// The server, with a view into it.
pub(super) struct Stage {
    /// Its address.
    pub(super) server: String,
    watch: Watch,
    stop: Stop,
    serving: JoinHandle<()>,
}

impl Stage {
    /// Starts the server on a free port.
    pub(super) async fn open() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port on loopback")?;
        let address = listener.local_addr()?;
        let stop = Stop::new();
        let server = Server::new(Config::default(), stop.clone())?;
        let watch = server.watch();
        let serving = tokio::spawn(server.run(vec![listener.into()]));
        Ok(Self { server: format!("tcp://{address}"), watch, stop, serving })
    }

    /// A client, on a connection of its own.
    pub(super) async fn client(&self) -> anyhow::Result<Client> {
        Client::builder().server(&self.server).connect().await.context("a client can't connect")
    }

    /// A receiver in this process that echoes every request, and says its name in the response's metadata.
    pub(super) async fn echo(&self, channel: &str, name: &str) -> anyhow::Result<Receiver> {
        let client = self.client().await?;
        let receiver = client.receive(channel).open().await?;
        let taken = Arc::new(AtomicUsize::new(0));
        let finish = CancellationToken::new();
        let handler = {
            let (name, taken) = (name.to_owned(), Arc::clone(&taken));
            move |request| {
                taken.fetch_add(1, Relaxed);
                echo(request, name.clone())
            }
        };
        let stop = finish.clone();
        let serving = tokio::spawn(async move {
            let served = receiver.serve_until(1, handler, stop.cancelled()).await;
            client.close().await;
            served
        });
        Ok(Receiver { taken, finish, serving })
    }

    /// A receiver that is a process of its own: `tieline receive`, as anybody would run it.
    pub(super) async fn process(&self, channel: &str, command: &[&str]) -> anyhow::Result<Process> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["receive", channel, "--server", &self.server, "--"])
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("tieline receive can't be started")?;
        let stderr = child.stderr.take().context("a child without its stderr")?;
        let mut process = Process { child, lines: BufReader::new(stderr).lines() };
        process.wait_for(&format!("{channel}  1 ready")).await?;
        Ok(process)
    }

    /// Waits until so many requests run and so many wait.
    pub(super) async fn wait_until(&self, busy: usize, waiting: usize) -> anyhow::Result<()> {
        let until = async {
            loop {
                let counts = self.watch.status().counts;
                if (counts.busy, counts.waiting) == (busy, waiting) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, until).await.with_context(|| format!("not {busy} requests run and {waiting} wait"))
    }

    /// Ends the server, once it is seen that nothing is left behind.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        let Self { watch, stop, serving, .. } = self;
        stop.drain();
        timeout(PATIENCE, serving).await.context("the server doesn't end")??;
        let left = watch.status();
        ensure!(left == tieline_server::Status::default(), "the server ended, but holds on to something: {left:?}");
        Ok(())
    }
}

/// A receiver in this process.
pub(super) struct Receiver {
    /// How many requests it took.
    taken: Arc<AtomicUsize>,
    finish: CancellationToken,
    serving: JoinHandle<Result<(), tieline::Error>>,
}

impl Receiver {
    /// Ends it, and says how many requests it took.
    pub(super) async fn close(self) -> anyhow::Result<usize> {
        self.finish.cancel();
        timeout(PATIENCE, self.serving).await.context("a receiver doesn't end")???;
        Ok(self.taken.load(Relaxed))
    }
}

/// A receiver in a process of its own.
pub(super) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
}

impl Process {
    /// Waits until it says this line.
    pub(super) async fn wait_for(&mut self, line: &str) -> anyhow::Result<()> {
        self.wait_for_start(line).await.and_then(|said| {
            ensure!(said == line, "the receiver said '{said}'");
            Ok(())
        })
    }

    /// Waits for a line that begins so, and returns it.
    pub(super) async fn wait_for_start(&mut self, start: &str) -> anyhow::Result<String> {
        let said = async {
            while let Some(said) = self.lines.next_line().await? {
                if said.starts_with(start) {
                    return Ok(said);
                }
            }
            Err(anyhow!("the receiver ended before it said '{start}'"))
        };
        timeout(PATIENCE, said).await.with_context(|| format!("the receiver doesn't say '{start}'"))?
    }

    /// SIGKILL, which nothing can catch.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("the receiver can't be killed")
    }
}

/// Answers a request with its own body, as it comes.
async fn echo(request: Request, name: String) -> Result<(), tieline::Error> {
    let (mut body, responder) = request.into_parts();
    let mut writer = responder.meta("receiver", name)?.writer();
    while let Some(bytes) = body.chunk().await? {
        writer.send(bytes).await?;
    }
    writer.finish().await
}
