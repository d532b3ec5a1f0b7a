//! The load generator: all senders and receivers of one run, in one process, the same for all peers.
//!
//! | module | what it holds |
//! |---|---|
//! | [`closed`] | so many requests under way at any time: W1, W2, W3, W7 |
//! | [`bulk`] | one large body: W4 |
//! | [`meter`] | what the broker used meanwhile |

pub mod bulk;
pub mod closed;
pub mod meter;

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use anyhow::bail;

use crate::peers::handler::Handler;
use crate::peers::{Peer, relay::Relay, tieline::Tieline};
use crate::plan::{Plan, Workload};

/// What was measured, by name, with the unit in the name.
pub type Figures = BTreeMap<String, f64>;

/// Runs a plan with the peer that it names.
///
/// # Errors
/// If there is no such peer, or it fails.
pub async fn run(plan: Plan) -> anyhow::Result<Figures> {
    match plan.peer.as_str() {
        "tieline" => workload::<Tieline>(plan).await,
        "relay-fixed" | "relay-pull" | "relay-splice" | "relay-threads" => workload::<Relay>(plan).await,
        other => bail!("there is no peer {other}"),
    }
}

async fn workload<P: Peer>(plan: Plan) -> anyhow::Result<Figures> {
    match plan.workload {
        Workload::W1 | Workload::W2 | Workload::W3 | Workload::W7 => closed::run::<P>(plan).await,
        Workload::W4 => bulk::run::<P>(plan).await,
        other => bail!("{other:?} isn't there yet"),
    }
}

/// The connections of a run.
///
/// They are closed by the process's end: to close them in an order would be seen by the others as a loss.
struct Connected<P: Peer> {
    senders: ManuallyDrop<Vec<Arc<P::Sender>>>,
    _receivers: ManuallyDrop<Vec<P::Receiver>>,
}

impl<P: Peer> Connected<P> {
    /// Receivers first, so that each sender finds them. One at a time, so that relays that pair them know the order.
    async fn new(plan: &Plan, handler: Handler) -> anyhow::Result<Self> {
        let mut receivers = Vec::new();
        for number in 0..plan.shape.receivers {
            receivers.push(P::receiver(plan, number, handler).await?);
        }
        let mut senders = Vec::new();
        for number in 0..plan.shape.senders {
            senders.push(Arc::new(P::sender(plan, number).await?));
        }
        Ok(Self { senders: ManuallyDrop::new(senders), _receivers: ManuallyDrop::new(receivers) })
    }
}
