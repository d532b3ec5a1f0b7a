//! A server from its listeners to its end: serve, drain, stop.

use std::sync::Arc;

use thiserror::Error;
use tieline_broker::Counts;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::config::{Config, ConfigError};
use crate::control::Control;
use crate::door::Door;
use crate::entrance::Entrance;
use crate::hub::Hub;
use crate::listener::Listener;
use crate::observe::Observe;
use crate::stop::Stop;

/// Why a server could not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// A setting can't be.
    #[error("the configuration is wrong: {0}")]
    Config(#[from] ConfigError),
    /// The system gives no randomness, which the server's hash maps need against hostile ids.
    #[error("the system gives no randomness")]
    Randomness,
}

/// How much a running server holds; for whoever embeds it, and for tests that nothing is left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Status {
    /// Connections that are open.
    pub connections: usize,
    /// Connections that are over and are given the time to read why; at most [`crate::LINGERING_MAX`].
    pub lingering: usize,
    /// What the routing cores hold.
    pub counts: Counts,
    /// Bytes of memory that are promised.
    pub promised: u64,
    /// Handshakes of TLS that failed since the server runs.
    pub handshakes_failed: u64,
}

/// A server that was given its settings and doesn't run yet.
///
/// [`crate::run`] is the short way; this one also gives a [`Watch`].
#[derive(Debug)]
pub struct Server {
    hub: Arc<Hub>,
    stop: Stop,
    tracker: TaskTracker,
}

/// Looks into a running server.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Hub>);

impl Watch {
    /// How much the server holds now.
    pub fn status(&self) -> Status {
        Status {
            connections: self.0.connections(),
            lingering: self.0.lingering(),
            counts: self.0.counts(),
            promised: self.0.promised(),
            handshakes_failed: self.0.handshakes_failed(),
        }
    }
}

impl Server {
    /// Looks at the settings.
    ///
    /// # Errors
    /// If one of them can't be, or the system gives no randomness.
    pub fn new(config: Config, stop: Stop) -> Result<Self, RunError> {
        config.validate()?;
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|_| RunError::Randomness)?;
        let part = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| random[at + i]));
        let id = format!("{:016x}{:016x}", part(16), part(24));
        let hub = Hub::new(config, (part(0), part(8)), id);
        Ok(Self { hub, stop, tracker: TaskTracker::new() })
    }

    /// A view into the server, for as long as one likes.
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.hub))
    }

    /// What the server does, for people: metrics, channels, requests, connections. Take one, and clone it.
    pub fn observe(&self) -> Observe {
        Observe::new(Arc::clone(&self.hub))
    }

    /// A handle to change settings while the server runs.
    pub fn control(&self) -> Control {
        Control(Arc::clone(&self.hub))
    }

    /// A way in for what lives in the same process.
    pub fn entrance(&self) -> Entrance {
        Entrance::new(Arc::clone(&self.hub), self.stop.clone(), self.tracker.clone())
    }

    /// Serves until it is stopped, and returns when every connection is closed. Dropping the future ends the accept
    /// loops and every connection at once.
    pub async fn run(self, listeners: Vec<Listener>) {
        let Self { hub, stop, tracker } = self;
        // Ends the connections' tasks too, should this future be dropped.
        let _guard = stop.now_token().clone().drop_guard();
        // On its own, for the same reason; it ends with the guard at the latest.
        let (ending, token) = (Arc::clone(&hub), stop.now_token().clone());
        tokio::spawn(async move { ending.end_when(token).await });
        let mut tasks = JoinSet::new();
        for shard in 0..hub.shards() {
            let hub = Arc::clone(&hub);
            tasks.spawn(async move { hub.run_timer(shard).await });
        }
        let door = Door::new(Arc::clone(&hub), stop.clone(), tracker.clone());
        let judging = Arc::clone(&hub);
        tasks.spawn(async move { judging.judge_when_access_changes().await });
        let mut accepting = JoinSet::new();
        for listener in listeners {
            accepting.spawn(door.clone().accept(listener));
        }
        stop.wait_drain().await;
        accepting.shutdown().await;
        tracker.close();
        if !stop.is_now() {
            hub.drain();
            let drain = hub.config().drain;
            tokio::select! {
                () = tracker.wait() => {}
                () = stop.wait_now() => {}
                () = tokio::time::sleep(drain) => {
                    tracing::info!(?drain, "work was still running when the drain was over");
                }
            }
        }
        stop.now();
        tracker.wait().await;
        tasks.shutdown().await;
    }
}
