//! Being told to cancel, and what the server says to that.

use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;

use crate::conn::SendLink;
use crate::error::Error;

/// How long the server's word on a cancelled request is waited for.
const VERDICT_WITHIN: Duration = Duration::from_secs(1);

/// The signal by which a program cancels its request.
pub(super) struct Cancel(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Cancel {
    pub(super) const fn never() -> Self {
        Self(None)
    }

    pub(super) fn when(signal: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::pin(signal)))
    }

    /// Waits for the signal. It is given once: whoever hears it ends the request.
    pub(super) async fn called(&mut self) {
        match &mut self.0 {
            Some(signal) => signal.await,
            None => pending().await,
        }
        self.0 = None;
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Cancel(on a signal)" } else { "Cancel(never)" })
    }
}

/// Cancels a request; what became of it, as far as the server says so in time.
pub(super) async fn verdict(link: &SendLink) -> Error {
    link.cancel();
    timeout(VERDICT_WITHIN, poll_fn(|cx| link.poll_verdict(cx))).await.unwrap_or_else(|_| link.verdict())
}
