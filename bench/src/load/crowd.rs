//! A crowd of connections that wait: what each costs the broker in memory, and all of them in CPU time while idle.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinSet;

use super::Figures;
use crate::machine::Process;
use crate::payload::{self, Bodies};
use crate::peers::handler::Handler;
use crate::peers::{Peer, Sender};
use crate::plan::{Effort, Plan};

/// Connections that are made at the same time.
const AT_ONCE: usize = 16;

/// Until what was allocated to greet them is given back, if ever.
const SETTLE: Duration = Duration::from_secs(3);

/// Runs it.
///
/// # Errors
/// If there is no broker, or not all can connect and be asked.
pub async fn run<P: Peer>(plan: Plan) -> anyhow::Result<Figures> {
    let broker = Process::new(plan.broker.context("no broker")?);
    let sender = P::sender(&plan, 0).await?;
    let plan = Arc::new(plan);
    let mut receivers = vec![P::receiver(&plan, 0, Handler::Echo).await?];
    ask(&sender, &plan, 1).await?;
    let before = broker.memory()?;
    let mut joining = JoinSet::new();
    for number in 1..plan.shape.receivers {
        if joining.len() >= AT_ONCE
            && let Some(receiver) = joining.join_next().await
        {
            receivers.push(receiver??);
        }
        let plan = Arc::clone(&plan);
        joining.spawn(async move { P::receiver(&plan, number, Handler::Echo).await });
    }
    while let Some(receiver) = joining.join_next().await {
        receivers.push(receiver??);
    }
    // They do wait for requests: some of them are asked.
    ask(&sender, &plan, plan.shape.channels.min(20)).await?;
    tokio::time::sleep(SETTLE).await;
    let grown = broker.memory()?.saturating_sub(before);
    let (cpu, since) = (broker.cpu()?, Instant::now());
    tokio::time::sleep(Duration::from_secs(if plan.effort == Effort::Quick { 3 } else { 20 })).await;
    let idle = broker.cpu()?.saturating_sub(cpu).as_secs_f64() / since.elapsed().as_secs_f64();
    let others = receivers.len() - 1;
    // They are closed by the process's end.
    std::mem::forget((receivers, sender));
    Ok(Figures::from([
        ("connections".to_owned(), others as f64),
        ("kib_a_connection".to_owned(), grown as f64 / 1024.0 / others as f64),
        ("idle_cpu_ms_per_s".to_owned(), idle * 1e3),
    ]))
}

async fn ask<S: Sender>(sender: &S, plan: &Plan, channels: usize) -> anyhow::Result<()> {
    let mut bodies = Bodies::new(0, plan.shape.size);
    for channel in 0..channels {
        let body = bodies.next_body();
        payload::verify(&body, &sender.exchange(channel, body.clone()).await?)?;
    }
    Ok(())
}
