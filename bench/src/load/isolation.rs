//! Isolation: one request at a time, alone; then again while on the same two connections one request streams as fast as it
//! can, and another streams to a consumer that has stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;

use super::{Connected, Figures, closed};
use crate::peers::handler::{FAST, Handler, STOPPED};
use crate::peers::{Peer, Sender};
use crate::plan::Plan;

/// Runs it.
///
/// # Errors
/// If the peer can't be reached, or can't stream.
pub async fn run<P: Peer>(plan: Plan) -> anyhow::Result<Figures> {
    let connected = Connected::<P>::new(&plan, Handler::ByChannel).await?;
    let alone = closed::measure(&plan, &connected.senders, 1).await?;
    let poured = Arc::new(AtomicU64::new(0));
    let mut beside = JoinSet::new();
    beside.spawn(Arc::clone(&connected.senders[0]).pour(FAST, Arc::clone(&poured)));
    beside.spawn(Arc::clone(&connected.senders[0]).pour(STOPPED, Arc::default()));
    let since = Instant::now();
    let measuring = closed::measure(&plan, &connected.senders, 1);
    let mut figures = tokio::select! {
        figures = measuring => figures?,
        Some(ended) = beside.join_next() => {
            ended??;
            anyhow::bail!("what was to stream all the while has ended");
        }
    };
    let gigabytes = poured.load(Ordering::Relaxed) as f64 / 1e9;
    figures.insert("streamed_gb_per_s".to_owned(), gigabytes / since.elapsed().as_secs_f64());
    for name in ["p50_us", "p99_us"] {
        figures.insert(format!("alone_{name}"), alone[name]);
    }
    figures.insert("p99_over_alone".to_owned(), figures["p99_us"] / alone["p99_us"]);
    // They run until the process ends.
    beside.detach_all();
    Ok(figures)
}
