//! The peers: how each connects, asks and answers, as its users would do it for speed.
//!
//! | module | what it holds |
//! |---|---|
//! | [`handler`] | what a receiver does with a request, the same for all |
//! | [`tieline`] | Tieline, by its library |
//! | [`relay`] | the limits: minimal relays of length-prefixed frames |
//! | [`outbox`] | what a connection of the relays has to write |
//! | [`gearman`] | Gearman, by its binary protocol |
//! | `nats`, `redis`, `rabbitmq`, `zeromq`, `grpc` | the others, by their clients (feature `peers`) |
//! | [`waiting`] | who waits for which answer |

pub mod gearman;
#[cfg(feature = "peers")]
pub mod grpc;
pub mod handler;
#[cfg(feature = "peers")]
pub mod nats;
pub mod outbox;
#[cfg(feature = "peers")]
pub mod rabbitmq;
#[cfg(feature = "peers")]
pub mod redis;
pub mod relay;
pub mod tieline;
pub mod waiting;
#[cfg(feature = "peers")]
pub mod zeromq;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::payload;
use crate::plan::{CHUNK, Plan};
use handler::Handler;

/// One peer's client side. Both ends live in the load generator.
pub trait Peer: 'static {
    /// A sender's connection.
    type Sender: Sender;
    /// What keeps a receiver's connection.
    type Receiver: Send + 'static;

    /// Connects the receiver with this number; it serves its channels until it is dropped. When this resolves, a
    /// request finds it.
    fn receiver(
        plan: &Plan,
        number: usize,
        handler: Handler,
    ) -> impl Future<Output = anyhow::Result<Self::Receiver>> + Send;

    /// Connects the sender with this number.
    fn sender(plan: &Plan, number: usize) -> impl Future<Output = anyhow::Result<Self::Sender>> + Send;
}

/// A sender's connection. Any number of tasks may use it at once.
pub trait Sender: Sized + Send + Sync + 'static {
    /// Sends a request to whoever receives on the channel, and gives the response.
    fn exchange(&self, channel: usize, body: Bytes) -> impl Future<Output = anyhow::Result<Bytes>> + Send;

    /// Sends one body of so many bytes (a multiple of [`CHUNK`]) to one receiver, which inspects it. Peers that have no
    /// bodies of any size get it in pieces, each acknowledged, with as many under way as the plan says.
    fn stream(self: Arc<Self>, total: u64, in_flight: usize) -> impl Future<Output = anyhow::Result<()>> + Send {
        in_pieces(self, total, in_flight)
    }

    /// Sends an endless body on the channel, as fast as it is taken; counts its bytes. For peers that have bodies of any
    /// size.
    fn pour(
        self: Arc<Self>,
        channel: usize,
        poured: Arc<AtomicU64>,
    ) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = (channel, poured);
        async { anyhow::bail!("this peer doesn't stream") }
    }
}

async fn in_pieces<S: Sender>(sender: Arc<S>, total: u64, in_flight: usize) -> anyhow::Result<()> {
    let left = Arc::new(AtomicU64::new(total / CHUNK as u64));
    let mut tasks = JoinSet::new();
    for _ in 0..in_flight {
        let (sender, left) = (Arc::clone(&sender), Arc::clone(&left));
        tasks.spawn(async move {
            let piece = payload::pattern();
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                payload::verify_verdict(CHUNK as u64, &sender.exchange(0, piece.clone()).await?)?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// A task that is ended when this is dropped.
#[derive(Debug)]
pub struct Task(tokio::task::JoinHandle<()>);

impl Task {
    /// Runs a receiver; what ends it too early is told.
    pub fn spawn(what: &'static str, future: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> Self {
        Self(tokio::spawn(async move {
            if let Err(error) = future.await {
                eprintln!("{what}: {error:#}");
            }
        }))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
