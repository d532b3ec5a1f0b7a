//! The load generator: all senders and receivers of one run, in one process, the same for all peers.
//!
//! | module | what it holds |
//! |---|---|
//! | [`closed`] | so many requests under way at any time: W1, W2, W3, W7 |
//! | [`bulk`] | one large body: W4 |
//! | [`uneven`] | work of two kinds: W5 |
//! | [`crowd`] | connections that wait: W6 |
//! | [`isolation`] | one request at a time beside others that stream: W8 |
//! | [`meter`] | what the broker used meanwhile |

pub mod bulk;
pub mod closed;
pub mod crowd;
pub mod isolation;
pub mod meter;
pub mod uneven;

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use anyhow::bail;

use crate::peers::handler::Handler;
use crate::peers::{Peer, gearman::Gearman, relay::Relay, tieline::Tieline};
#[cfg(feature = "peers")]
use crate::peers::{grpc::GRpc, nats::Nats, rabbitmq::RabbitMq, redis::Redis, zeromq::ZeroMq};
use crate::plan::{Plan, Workload};

/// What was measured, by name, with the unit in the name.
pub type Figures = BTreeMap<String, f64>;

/// Runs a plan with the peer that it names.
///
/// # Errors
/// If there is no such peer, or it fails.
pub async fn run(mut plan: Plan) -> anyhow::Result<Figures> {
    // What these prefetch is in their names.
    match plan.peer.as_str() {
        "rabbitmq-1" => plan.shape.prefetch = 1,
        "rabbitmq-64" => plan.shape.prefetch = 64,
        _ => {}
    }
    match plan.peer.as_str() {
        "gearman" => workload::<Gearman>(plan).await,
        #[cfg(feature = "peers")]
        "nats" => workload::<Nats>(plan).await,
        #[cfg(feature = "peers")]
        "redis" => workload::<Redis>(plan).await,
        #[cfg(feature = "peers")]
        "rabbitmq-1" | "rabbitmq-64" => workload::<RabbitMq>(plan).await,
        #[cfg(feature = "peers")]
        "zeromq-proxy" | "zeromq-lru" => workload::<ZeroMq>(plan).await,
        #[cfg(feature = "peers")]
        "grpc" => workload::<GRpc>(plan).await,
        "tieline" | "tieline-base" => workload::<Tieline>(plan).await,
        "relay-fixed" | "relay-pull" | "relay-splice" => workload::<Relay>(plan).await,
        other => bail!("there is no peer {other}"),
    }
}

async fn workload<P: Peer>(plan: Plan) -> anyhow::Result<Figures> {
    match plan.workload {
        Workload::W1 | Workload::W2 | Workload::W3 | Workload::W7 => closed::run::<P>(plan).await,
        Workload::W4 => bulk::run::<P>(plan).await,
        Workload::W5 => uneven::run::<P>(plan).await,
        Workload::W6 => crowd::run::<P>(plan).await,
        Workload::W8 => isolation::run::<P>(plan).await,
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
