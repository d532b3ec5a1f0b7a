//! One large body, from one sender to one receiver, which looks at it and answers with what it saw.

use std::sync::Arc;

use super::meter::Meter;
use super::{Connected, Figures};
use crate::peers::handler::Handler;
use crate::peers::{Peer, Sender};
use crate::plan::{Effort, Plan};

const MIB: f64 = 1_048_576.0;

/// Runs it.
///
/// # Errors
/// If the peer can't be reached, or something else arrives than was sent.
pub async fn run<P: Peer>(plan: Plan) -> anyhow::Result<Figures> {
    let connected = Connected::<P>::new(&plan, Handler::Inspect).await?;
    let total: u64 = if plan.effort == Effort::Quick { 1 << 28 } else { 1 << 30 };
    let sender = &connected.senders[0];
    // Buffers of sockets grow with use.
    Arc::clone(sender).stream(total / 16, plan.shape.in_flight).await?;
    let meter = Meter::start(&plan)?;
    Arc::clone(sender).stream(total, plan.shape.in_flight).await?;
    let used = meter.stop()?;
    let gigabytes = total as f64 / 1e9;
    let mut figures = used.figures();
    figures.insert("gb_per_s".to_owned(), gigabytes / used.elapsed.as_secs_f64());
    figures.insert("errors".to_owned(), 0.0);
    if let Some(cpu) = used.cpu {
        figures.insert("broker_cpu_ms_per_gb".to_owned(), cpu.as_secs_f64() * 1e3 / gigabytes);
    }
    if let Some(grown) = used.grown {
        figures.insert("grown_mib".to_owned(), grown as f64 / MIB);
    }
    Ok(figures)
}
