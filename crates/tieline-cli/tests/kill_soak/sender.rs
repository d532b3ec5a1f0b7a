//! A sender process: a client that has some requests under way at any time, and writes down what it is told of each.
//!
//! The stage speaks to it by lines on stdin: `quiet` (finish what runs, start nothing), `heal` (send some more, which
//! must succeed). It answers `quiet` and `healed` on stdout when that is done. The end of stdin ends it.

use std::io::{BufRead, Cursor, stdin};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tieline::{Body, Client, Error, Retry};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::journal::Journal;
use crate::plan::{Checker, Direction, HEALED, Limit, Plan, Source};
use crate::rng::Rng;

/// Requests under way at once.
const WORKERS: u64 = 4;
/// What each worker sends when nothing is killed any more.
const HEALING: u64 = 8;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
enum Phase {
    Wild,
    Quiet,
    Heal,
    End,
}

/// Runs until stdin ends. Its requests' numbers begin at `base`.
pub(crate) async fn run(server: &str, base: u64, journal: Journal) {
    let client = Client::builder()
        .server(server)
        .connect_timeout(Some(Duration::from_secs(30)))
        .build()
        .expect("the address is right");
    let numbers = Arc::new(AtomicU64::new(base));
    let mut phase = phases();

    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (client, journal, phase, numbers) = (client.clone(), journal.clone(), phase.clone(), Arc::clone(&numbers));
        workers.spawn(async move {
            while *phase.borrow() == Phase::Wild {
                one(&client, Plan::of(numbers.fetch_add(1, Ordering::Relaxed)), &journal).await;
            }
        });
    }
    workers.join_all().await;
    println!("quiet");

    let _ = phase.wait_for(|phase| *phase >= Phase::Heal).await;
    if *phase.borrow() == Phase::Heal {
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS {
            let (client, journal, numbers) = (client.clone(), journal.clone(), Arc::clone(&numbers));
            workers.spawn(async move {
                for _ in 0..HEALING {
                    let number = numbers.fetch_add(1, Ordering::Relaxed) | HEALED;
                    one(&client, Plan::of(number), &journal).await;
                }
            });
        }
        workers.join_all().await;
        println!("healed");
        let _ = phase.wait_for(|phase| *phase >= Phase::End).await;
    }
    client.close().await;
}

/// What the stage says.
fn phases() -> watch::Receiver<Phase> {
    let (say, phase) = watch::channel(Phase::Wild);
    std::thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            say.send_replace(if line == "heal" { Phase::Heal } else { Phase::Quiet });
        }
        say.send_replace(Phase::End);
    });
    phase
}

/// Sends one request; writes down that it is sent, and the one thing that came of it.
async fn one(client: &Client, plan: Plan, journal: &Journal) {
    journal.note(plan.number, "open", "");
    let told = match plan.dropped_after {
        None => exchange(client, &plan).await,
        Some(limit) => match timeout(limit, exchange(client, &plan)).await {
            Ok(told) => told,
            Err(_) => return journal.note(plan.number, "dropped", ""),
        },
    };
    match told {
        Ok(()) => journal.note(plan.number, "ok", ""),
        Err(Told::Wrong(words)) => journal.note(plan.number, "wrong", &words),
        Err(Told::Error(error)) => {
            let what = format!("error:{}:{}", error.code(), error.outcome());
            journal.note(plan.number, &what, &error.to_string());
        }
    }
}

enum Told {
    Error(Error),
    /// The response isn't what it must be.
    Wrong(String),
}

impl From<Error> for Told {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

async fn exchange(client: &Client, plan: &Plan) -> Result<(), Told> {
    let mut send = client.send(plan.channel.name()).meta("number", format!("{:x}", plan.number)).body(body(plan));
    send = match plan.limit {
        Limit::None => send,
        Limit::Wait(limit) => send.wait(limit),
        Limit::Timeout(limit) => send.timeout(limit),
        Limit::NoWait => send.no_wait(),
    };
    if plan.is_idempotent {
        send = send.idempotent();
    }
    if let Some(times) = plan.retries {
        send = send.retry(Retry::up_to(times).backoff(Duration::from_millis(10), Duration::from_millis(300)));
    }
    let mut response = send.await?;
    let mut checker = Checker::new(plan, Direction::Response);
    let mut rng = Rng::new(plan.number);
    while let Some(piece) = response.chunk().await? {
        checker.piece(&piece).map_err(Told::Wrong)?;
        pause(plan, &mut rng).await;
    }
    checker.end().map_err(Told::Wrong)
}

fn body(plan: &Plan) -> Body {
    let bytes = plan.body(Direction::Request);
    match plan.source {
        Source::Whole => bytes.into(),
        Source::Replayable => {
            let bytes = Bytes::from(bytes);
            Body::replayable(move || Cursor::new(bytes.clone()))
        }
        Source::Streamed => {
            let (mut sender, body) = Body::channel();
            let plan = *plan;
            tokio::spawn(async move {
                let mut rng = Rng::new(plan.number);
                let mut rest = Bytes::from(bytes);
                while let ControlFlow::Continue(piece) = cut(&mut rest, &mut rng) {
                    if sender.send(piece).await.is_err() {
                        return;
                    }
                    pause(&plan, &mut rng).await;
                }
                sender.finish();
            });
            body
        }
    }
}

/// The next piece of a body, of any size.
pub(crate) fn cut(rest: &mut Bytes, rng: &mut Rng) -> ControlFlow<(), Bytes> {
    if rest.is_empty() {
        return ControlFlow::Break(());
    }
    let most = [100, 10_000, 100_000][rng.below(3) as usize];
    ControlFlow::Continue(rest.split_to(rest.len().min(rng.below(most) as usize + 1)))
}

/// Slow requests are slow here.
pub(crate) async fn pause(plan: &Plan, rng: &mut Rng) {
    if plan.is_slow && rng.percent(20) {
        sleep(rng.millis(1, 60)).await;
    }
}
