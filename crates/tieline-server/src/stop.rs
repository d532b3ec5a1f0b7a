//! How whoever embeds a server tells it to stop.

use tokio_util::sync::CancellationToken;

/// Stops a server: gently, at once, or first the one and then the other. Clones stop the same server.
///
/// ```
/// let stop = tieline_server::Stop::new();
/// stop.drain();
/// assert!(stop.is_draining());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Stop {
    drain: CancellationToken,
    now: CancellationToken,
}

impl Stop {
    /// A handle to pass to [`crate::run`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes no new work, lets running work finish for as long as the configured drain, then ends.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Ends at once; whoever has work under way is told.
    pub fn now(&self) {
        self.now.cancel();
    }

    /// Whether the server was told to drain.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Whether the server was told to end at once.
    pub fn is_now(&self) -> bool {
        self.now.is_cancelled()
    }

    /// Waits until the server is told to drain or to end. Cancel safe.
    pub async fn wait_drain(&self) {
        tokio::select! {
            () = self.drain.cancelled() => {}
            () = self.now.cancelled() => {}
        }
    }

    /// Waits until the server is told to end at once. Cancel safe.
    pub async fn wait_now(&self) {
        self.now.cancelled().await;
    }

    pub(crate) fn now_token(&self) -> &CancellationToken {
        &self.now
    }
}
