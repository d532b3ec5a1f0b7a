//! Responses to stdout in the order of their files: what comes before its turn waits.

use std::collections::BTreeMap;
use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::job::{Done, Result};
use super::spool::Kept;
use crate::exit::{self, Failure};

/// How far a file may be ahead of the oldest that isn't over. (What waits takes a few hundred bytes each, beside its
/// response.)
const AHEAD: u64 = 10_000;

/// How much of what waits is kept in memory, in bytes; the rest goes to files.
const IN_MEMORY: usize = 32 << 20;

/// The order of what is written.
pub(super) struct Order<W> {
    writer: W,
    /// Whose turn it is.
    next: u64,
    waiting: BTreeMap<u64, Done>,
    in_memory: usize,
}

impl<W: AsyncWrite + Unpin> Order<W> {
    /// Nothing was written; the first file is `first`.
    pub(super) fn new(writer: W, first: u64) -> Self {
        Self { writer, next: first, waiting: BTreeMap::new(), in_memory: 0 }
    }

    /// Whether the file with this number may be begun.
    pub(super) fn has_room_for(&self, seq: u64) -> bool {
        seq < self.next + AHEAD
    }

    /// A file is over. It is written by [`written`](Self::written) when its turn has come.
    ///
    /// # Errors
    /// If the response can be kept neither in memory nor in a file.
    pub(super) async fn put(&mut self, mut done: Done) -> Result<()> {
        if let Ok(Some(kept)) = &mut done.ended
            && done.seq != self.next
        {
            if self.in_memory + kept.in_memory() > IN_MEMORY {
                let in_memory = std::mem::replace(kept, Kept::Memory(Vec::new()));
                *kept = in_memory.out_of_memory().await.map_err(|error| unwritable("a temporary file", &error))?;
            }
            self.in_memory += kept.in_memory();
            done.counted = kept.in_memory();
        }
        self.waiting.insert(done.seq, done);
        Ok(())
    }

    /// Writes the response whose turn it is, and returns its file; `None` if that isn't over.
    ///
    /// # Errors
    /// If it can't be written.
    pub(super) async fn written(&mut self) -> Result<Option<Done>> {
        match self.waiting.remove(&self.next) {
            Some(done) => {
                self.next += 1;
                self.write(done).await.map(Some)
            }
            None => Ok(None),
        }
    }

    /// As [`written`](Self::written), leaving out files that will not come any more.
    ///
    /// # Errors
    /// If it can't be written.
    pub(super) async fn written_of_the_rest(&mut self) -> Result<Option<Done>> {
        match self.waiting.pop_first() {
            Some((_, done)) => self.write(done).await.map(Some),
            None => Ok(None),
        }
    }

    async fn write(&mut self, mut done: Done) -> Result<Done> {
        self.in_memory -= done.counted;
        if let Ok(kept) = &mut done.ended
            && let Some(kept) = kept.take()
        {
            let written = async {
                kept.write_to(&mut self.writer).await?;
                self.writer.flush().await
            };
            written.await.map_err(|error| unwritable("stdout", &error))?;
        }
        Ok(done)
    }
}

fn unwritable(what: &str, error: &io::Error) -> Failure {
    Failure::new(exit::NO_OUTPUT, format!("{what} can't be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(seq: u64, text: &str) -> Done {
        Done::for_test(seq, Ok(Some(Kept::Memory(text.as_bytes().to_vec()))))
    }

    #[tokio::test]
    async fn responses_come_out_in_order_and_a_failed_one_leaves_nothing() {
        let mut order = Order::new(Vec::new(), 1);
        order.put(done(3, "three")).await.unwrap();
        assert!(order.written().await.unwrap().is_none());
        order.put(Done::for_test(2, Err(Failure::silent(1)))).await.unwrap();
        order.put(done(1, "one")).await.unwrap();
        for seq in 1..=3 {
            assert_eq!(order.written().await.unwrap().unwrap().seq, seq);
        }
        assert_eq!((order.writer, order.in_memory), (b"onethree".to_vec(), 0));
    }

    #[tokio::test]
    async fn what_waits_for_one_that_never_comes_is_still_written() {
        let mut order = Order::new(Vec::new(), 1);
        for (seq, text) in [(5, "five"), (2, "two")] {
            order.put(done(seq, text)).await.unwrap();
        }
        assert_eq!(order.written_of_the_rest().await.unwrap().unwrap().seq, 2);
        assert_eq!(order.written_of_the_rest().await.unwrap().unwrap().seq, 5);
        assert!(order.written_of_the_rest().await.unwrap().is_none());
        assert_eq!(order.writer, b"twofive");
    }

    #[tokio::test]
    async fn what_waits_fills_files_not_the_memory() {
        let mut order = Order::new(Vec::new(), 0);
        let text = "x".repeat(1 << 20);
        for seq in (1..=40).rev() {
            order.put(done(seq, &text)).await.unwrap();
        }
        assert_eq!(order.in_memory, IN_MEMORY);
        order.put(done(0, "")).await.unwrap();
        while order.written().await.unwrap().is_some() {}
        assert_eq!((order.writer.len(), order.in_memory), (40 << 20, 0));
    }

    #[tokio::test]
    async fn nobody_runs_far_ahead_of_the_oldest() {
        let mut order = Order::new(Vec::new(), 1);
        assert!(order.has_room_for(AHEAD));
        assert!(!order.has_room_for(AHEAD + 1));
        order.put(done(1, "")).await.unwrap();
        order.written().await.unwrap();
        assert!(order.has_room_for(AHEAD + 1));
    }
}
