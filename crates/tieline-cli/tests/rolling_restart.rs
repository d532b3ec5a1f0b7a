//! A server is replaced again and again under load, as `just rolling-restart` and an administrator do it: TERM to the
//! old one, the next one started at once. Nothing is killed, so every request must succeed, with the right bytes, and
//! must have run exactly once.
//!
//! `TIELINE_RESTARTS` says how often; a few times unless set.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use nix::sys::signal::Signal;
use sha2::{Digest, Sha256};
use support::{Running, Server, run, tieline, wait_until};
use tieline::{Body, Client, Request};

/// Restarts unless `TIELINE_RESTARTS` says otherwise.
const RESTARTS: usize = 3;

/// Requests that must have been answered before the next restart.
const BETWEEN: u64 = 24;

/// Threads that run `tieline send`, one after the other.
const COMMANDS: u64 = 4;

/// Requests that programs with the client library have under way, on two clients.
const PROGRAMS: u64 = 12;

/// Longer than anything here takes.
const DRAIN: [&str; 2] = ["--drain", "2m"];

#[test]
fn a_rolling_restart_over_tcp_costs_no_request() {
    rolling_restart("127.0.0.1:0");
}

#[test]
fn a_rolling_restart_over_a_unix_socket_costs_no_request() {
    let folder = tempfile::tempdir().unwrap();
    rolling_restart(&format!("unix:{}", folder.path().join("bus").display()));
}

fn rolling_restart(address: &str) {
    let restarts = std::env::var("TIELINE_RESTARTS").map_or(RESTARTS, |text| text.parse().expect("a number"));
    let mut server = Server::at(address, &DRAIN);
    let address = server.address.clone();
    let load = Load::new(&address);
    let receivers: Vec<_> = ["echo", "echo", "echo", "sum", "sum"].map(|channel| load.receive(channel)).into();
    let workers = load.start();

    let mut drained = Vec::new();
    let mut waiting = Vec::new();
    for number in 0..restarts {
        // One request runs on beyond the restart, another waits beyond it, and all that follow.
        let mut running = load.send("hold", &[]);
        let holder = load.receive("hold");
        running.write("before ");
        running.expect("before ");
        let mut unstarted = load.send("later", &[]);
        unstarted.write(number.to_string());
        waiting.push(unstarted);

        let before = load.done();
        wait_until("requests are answered", || load.done() >= before + BETWEEN);
        server.running.signal(Signal::SIGTERM);
        let old = std::mem::replace(&mut server, Server::at(&address, &DRAIN));

        running.write("behind");
        running.expect("behind");
        running.wait().code(0);
        holder.signal(Signal::SIGTERM);
        holder.wait().code(0);
        drained.push(old.running);
    }
    load.stop();
    for worker in workers {
        worker.join().expect("no request fails");
    }
    for old in drained {
        old.wait().code(0);
    }
    // Their receiver takes them in any order.
    waiting.iter_mut().for_each(Running::close);
    let late = load.receive("later");
    for (number, sender) in waiting.into_iter().enumerate() {
        sender.wait().code(0).wrote(number.to_string());
    }
    for receiver in receivers.into_iter().chain([late]) {
        receiver.signal(Signal::SIGTERM);
        receiver.wait().code(0);
    }
    server.running.signal(Signal::SIGTERM);
    server.running.wait().code(0);
    load.verify(restarts);
}

/// Everybody who sends, and what was run.
#[derive(Clone)]
struct Load {
    address: String,
    /// Where the commands write which request they run.
    runs: PathBuf,
    folder: Arc<tempfile::TempDir>,
    /// The same of the receivers in this process.
    ran: Arc<Mutex<Vec<u64>>>,
    done: Arc<AtomicU64>,
    next: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Load {
    fn new(address: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self {
            address: address.to_owned(),
            runs: folder.path().join("runs"),
            folder,
            ran: Arc::default(),
            done: Arc::default(),
            next: Arc::default(),
            stopped: Arc::default(),
        }
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// A receiver whose commands write down what they run, ready.
    fn receive(&self, channel: &str) -> Running {
        let command = if channel == "sum" { "sha256sum" } else { "cat" };
        let line = format!(
            "[ -z \"$TIELINE_META_NUMBER\" ] || echo $TIELINE_META_NUMBER >> '{}'; exec {command}",
            self.runs.display()
        );
        let mut receive =
            tieline(["receive", channel, "--jobs", "2", "--server", &self.address, "--", "sh", "-c", &line]);
        let running = Running::start(&mut receive);
        running.line_with(" ready");
        running
    }

    fn send(&self, channel: &str, flags: &[&str]) -> Running {
        Running::start(self.command(channel).args(flags).stdin(Stdio::piped()))
    }

    fn command(&self, channel: &str) -> Command {
        tieline(["send", channel, "--server", &self.address])
    }

    /// All senders, and a receiver with the library.
    fn start(&self) -> Vec<JoinHandle<()>> {
        let commands = (0..COMMANDS).map(|_| {
            let load = self.clone();
            thread::spawn(move || load.repeat(|number| load.by_command(number)))
        });
        let load = self.clone();
        let programs = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime can be made").block_on(load.programs());
        });
        commands.chain([programs]).collect()
    }

    fn repeat(&self, mut one: impl FnMut(u64)) {
        while !self.stopped.load(Ordering::SeqCst) {
            one(self.next.fetch_add(1, Ordering::SeqCst));
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// One request by `tieline send`: from a pipe, which can be read once, or from a file.
    fn by_command(&self, number: u64) {
        let body = body(number);
        let (channel, right) = match number % 3 {
            0 => ("sum", format!("{}  -\n", hex(&body)).into_bytes()),
            _ => ("echo", body.to_vec()),
        };
        let mut command = self.command(channel);
        command.arg("--meta").arg(format!("number={number}"));
        let ended = if number.is_multiple_of(2) {
            run(&mut command, &body)
        } else {
            let file = self.folder.path().join(number.to_string());
            fs::write(&file, &body).unwrap();
            let ended = run(command.arg("-i").arg(&file), "");
            fs::remove_file(&file).unwrap();
            ended
        };
        assert!(ended.code_is(0), "request {number}: {}", ended.stderr);
        assert!(ended.stdout == right, "request {number}: the response is wrong");
    }

    async fn programs(&self) {
        let client = || Client::builder().server(&self.address).connect_timeout(None).connect();
        let worker = client().await.expect("the server is there");
        let ran = Arc::clone(&self.ran);
        let handler = move |request: Request| echo(request, Arc::clone(&ran));
        let receiving = tokio::spawn(worker.receive("program").await.expect("a receive").serve(4, handler));
        let mut senders = tokio::task::JoinSet::new();
        let clients = [client().await.expect("the server is there"), worker.clone()];
        for sender in 0..PROGRAMS {
            let (load, client) = (self.clone(), clients[(sender % 2) as usize].clone());
            senders.spawn(async move {
                while !load.stopped.load(Ordering::SeqCst) {
                    load.by_program(&client, load.next.fetch_add(1, Ordering::SeqCst)).await;
                    load.done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        while let Some(ended) = senders.join_next().await {
            ended.expect("no request fails");
        }
        worker.close().await;
        receiving.await.expect("it doesn't panic").expect("the receive is kept");
    }

    /// One request by the library: whole, or pushed piece by piece.
    async fn by_program(&self, client: &Client, number: u64) {
        let whole = body(number);
        let mut request = client.send("program").meta("number", number.to_string());
        request = if number.is_multiple_of(3) { request.idempotent() } else { request };
        let request =
            if number.is_multiple_of(2) { request.body(whole.clone()) } else { request.body(pushed(whole.clone())) };
        let response = patiently(request.send()).await.unwrap_or_else(|error| panic!("request {number}: {error}"));
        let echoed = patiently(response.collect()).await.unwrap_or_else(|error| panic!("request {number}: {error}"));
        assert!(echoed == whole, "request {number}: the response is wrong");
    }

    /// Each request that was answered ran once, and no other ran.
    fn verify(&self, restarts: usize) {
        let mut runs = BTreeMap::<u64, usize>::new();
        let by_commands = fs::read_to_string(&self.runs).unwrap();
        for number in by_commands.lines().map(|line| line.parse().unwrap()) {
            *runs.entry(number).or_default() += 1;
        }
        for number in self.ran.lock().unwrap().iter() {
            *runs.entry(*number).or_default() += 1;
        }
        let done = self.done();
        println!("{restarts} restarts, {done} requests, no error");
        assert_eq!(self.next.load(Ordering::SeqCst), done);
        let wrong: Vec<_> = (0..done).filter(|number| runs.get(number) != Some(&1)).collect();
        assert!(wrong.is_empty(), "these didn't run once: {wrong:?}");
        assert_eq!(runs.len() as u64, done);
    }
}

async fn echo(request: Request, ran: Arc<Mutex<Vec<u64>>>) -> Result<(), tieline::Error> {
    let number = request.metadata().text("number").and_then(|text| text.parse().ok()).expect("a number");
    ran.lock().unwrap().push(number);
    let (mut body, responder) = request.into_parts();
    let mut writer = responder.writer();
    while let Some(piece) = body.chunk().await? {
        writer.send(piece).await?;
    }
    writer.finish().await
}

/// What takes longer hangs.
async fn patiently<T>(act: impl Future<Output = T>) -> T {
    tokio::time::timeout(support::PATIENCE, act).await.expect("it doesn't hang")
}

/// A body that can be read once.
fn pushed(whole: Bytes) -> Body {
    let (mut sender, body) = Body::channel();
    tokio::spawn(async move {
        let mut rest = whole;
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(10_000));
            if sender.send(piece).await.is_err() {
                return;
            }
        }
        sender.finish();
    });
    body
}

/// A request's body, from 1 byte to 8 MiB.
fn body(number: u64) -> Bytes {
    let len = match number % 32 {
        31 => 8 << 20,
        7 | 23 => 300_000,
        rest if rest % 4 == 3 => 20_000,
        rest => 1 + rest as usize * 31,
    };
    let word = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1).to_le_bytes();
    word.iter().copied().cycle().take(len).collect()
}

fn hex(body: &[u8]) -> String {
    Sha256::digest(body).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
