//! The end of a connection: the client is told why, and given the time to read it.

use std::io;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use tieline_protocol::limits::{LINGER, LINGER_BYTES};
use tieline_protocol::outbox::Outbox;
use tieline_protocol::{Code, Frame, Kind, Violation};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Connection, Over, buffer};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Writes what is still to be said, shuts the write half, and reads on for a while: closing with unread bytes
    /// would reset the connection and destroy the error.
    pub(super) async fn farewell(mut self, over: Over) {
        let last_words = match over {
            Over::Refused(violation) => Some(violation),
            Over::Stopped => Some(Violation::new(Code::ShuttingDown, "the server is shutting down at once")),
            Over::Ended => None,
            Over::Lost(_) | Over::GivenUp(_) => return,
        };
        // Whatever happens here, the connection is over.
        let _ = tokio::time::timeout(LINGER, self.linger(last_words)).await;
    }

    async fn linger(&mut self, last_words: Option<Violation>) -> io::Result<()> {
        // What was half written comes first, or the error would stand in the middle of another frame.
        self.write_batch().await?;
        if let Some(violation) = last_words {
            let mut outbox = Outbox::<()>::new();
            outbox.first(error_frame(&violation));
            outbox.claim(&mut self.batch);
            self.write_batch().await?;
        }
        self.read_out().await
    }

    async fn write_batch(&mut self) -> io::Result<()> {
        while !self.batch.is_empty() {
            std::future::poll_fn(|cx| {
                let mut slices = [io::IoSlice::new(&[]); super::SLICES];
                let filled = self.batch.fill(&mut slices);
                Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..filled])
            })
            .await
            .map(|written| self.batch.advance(written))?;
        }
        Ok(())
    }

    /// Shuts the write half, and reads and throws away what still comes.
    async fn read_out(&mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await?;
        let mut left = LINGER_BYTES;
        let mut waste = BytesMut::new();
        while left > 0 {
            waste.clear();
            buffer::make_room(&mut waste, 0);
            let read = std::future::poll_fn(|cx| tokio_util::io::poll_read_buf(Pin::new(&mut self.io), cx, &mut waste))
                .await?;
            if read == 0 {
                break;
            }
            left = left.saturating_sub(read as u64);
        }
        Ok(())
    }
}

/// The frame that tells a client why its connection is over, as bytes.
pub(crate) fn error_bytes(violation: &Violation) -> Bytes {
    error_frame(violation).to_bytes()
}

fn error_frame(violation: &Violation) -> Frame {
    Frame::new(Kind::ErrorConnection, Kind::ErrorConnection.header(), violation.fault().encode())
}
