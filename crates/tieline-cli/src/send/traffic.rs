//! How many bytes have moved, and when the last one did: for the progress line, the joblog and `--stall`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

/// The bytes of one send, counted on both ways.
#[derive(Debug)]
pub(crate) struct Traffic {
    begun: Instant,
    up: AtomicU64,
    down: AtomicU64,
    /// When the last byte moved, in ms since `begun`.
    last: AtomicU64,
}

impl Traffic {
    /// Nothing has moved yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { begun: Instant::now(), up: 0.into(), down: 0.into(), last: 0.into() })
    }

    /// Bytes of the request's body that were taken from the input.
    pub(crate) fn up(&self) -> u64 {
        self.up.load(Relaxed)
    }

    /// Bytes of the response's body that came.
    pub(crate) fn down(&self) -> u64 {
        self.down.load(Relaxed)
    }

    /// How long it has been going on.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Bytes came down.
    pub(crate) fn count_down(&self, bytes: usize) {
        self.down.fetch_add(bytes as u64, Relaxed);
        self.moved();
    }

    /// The request begins anew.
    fn restart(&self) {
        self.up.store(0, Relaxed);
        self.down.store(0, Relaxed);
        self.moved();
    }

    fn count_up(&self, bytes: usize) {
        self.up.fetch_add(bytes as u64, Relaxed);
        self.moved();
    }

    fn moved(&self) {
        self.last.store(self.elapsed().as_millis() as u64, Relaxed);
    }

    /// Waits until no byte has moved for `limit`.
    pub(crate) async fn stalled(&self, limit: Duration) {
        loop {
            let last = self.begun + Duration::from_millis(self.last.load(Relaxed));
            if last.elapsed() >= limit {
                return;
            }
            tokio::time::sleep_until(last + limit).await;
        }
    }
}

/// A reader whose bytes are counted as going up.
pub(crate) struct Counted<R> {
    inner: R,
    traffic: Arc<Traffic>,
}

impl<R> Counted<R> {
    /// Counts what is read from `inner`, from 0.
    pub(crate) fn new(inner: R, traffic: Arc<Traffic>) -> Self {
        traffic.restart();
        Self { inner, traffic }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.traffic.count_up(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_reader_that_begins_anew_is_counted_anew() {
        let traffic = Traffic::new();
        for _ in 0..2 {
            let mut all = Vec::new();
            Counted::new(&b"seven b"[..], Arc::clone(&traffic)).read_to_end(&mut all).await.unwrap();
            assert_eq!(traffic.up(), 7);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_either_way_puts_the_stall_off() {
        let traffic = Traffic::new();
        let limit = Duration::from_mins(1);
        let stalled = tokio::spawn({
            let traffic = Arc::clone(&traffic);
            async move { traffic.stalled(limit).await }
        });
        tokio::time::sleep(limit / 2).await;
        traffic.count_down(1);
        stalled.await.unwrap();
        assert_eq!(traffic.elapsed(), limit / 2 + limit);
    }
}
