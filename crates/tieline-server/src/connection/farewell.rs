//! The end of a connection: the client is told why, and given the time to read it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tieline_protocol::limits::{LINGER, LINGER_BYTES};
use tieline_protocol::outbox::{Batch, Outbox};
use tieline_protocol::{Code, Frame, Kind, Violation};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Connection, Over, buffer};
use crate::hub::Hub;

/// Connections that are over and are given the time to read why, at most. Each has its file descriptor still, beside
/// those that are counted as connections. One more is told why and closed at once: a crowd of strangers that stay
/// where they were refused must not use up what newcomers need.
pub const LINGERING_MAX: usize = 256;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Writes what is still to be said, and waits until the client has read it.
    pub(super) async fn farewell(self, over: Over) {
        let (last_words, hub) = match over {
            Over::Refused(violation) => (Some(violation), Some(self.hub)),
            Over::Ended => (None, Some(self.hub)),
            // All end at once, and no others come: there are no more than there were connections.
            Over::Stopped => (Some(Violation::new(Code::ShuttingDown, "the server is shutting down at once")), None),
            Over::Lost(_) | Over::GivenUp(_) => return,
        };
        linger(self.io, self.batch, last_words, hub).await;
    }
}

/// Tells somebody who gets no connection why.
pub(crate) async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(io: S, why: Violation, hub: Arc<Hub>) {
    linger(io, Batch::new(), Some(why), Some(hub)).await;
}

/// Closes a connection behind words that are on their way already.
pub(crate) async fn close<S: AsyncRead + AsyncWrite + Unpin>(io: S, hub: Arc<Hub>) {
    linger(io, Batch::new(), None, Some(hub)).await;
}

/// Writes the rest of a batch and the last words, shuts the write half, and reads on for a while: closing with unread
/// bytes would reset the connection and destroy the error. `hub` bounds how many do so at once.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(
    mut io: S,
    mut batch: Batch,
    last_words: Option<Violation>,
    hub: Option<Arc<Hub>>,
) {
    let place = hub.as_ref().map(|hub| hub.lingering.try_acquire());
    // Without a place there is still what can be done without waiting.
    let span = if matches!(place, Some(Err(_))) { Duration::ZERO } else { LINGER };
    let lingering = async {
        // What was half written comes first, or the error would stand in the middle of another frame.
        write(&mut io, &mut batch).await?;
        if let Some(violation) = last_words {
            let mut outbox = Outbox::<()>::new();
            let header = Kind::ErrorConnection.header();
            outbox.first(Frame::new(Kind::ErrorConnection, header, violation.fault().encode()));
            outbox.claim(&mut batch);
            write(&mut io, &mut batch).await?;
        }
        read_out(&mut io).await
    };
    // Whatever happens here, the connection is over.
    let _: Result<io::Result<()>, _> = tokio::time::timeout(span, lingering).await;
}

async fn write<S: AsyncWrite + Unpin>(io: &mut S, batch: &mut Batch) -> io::Result<()> {
    while !batch.is_empty() {
        let written = std::future::poll_fn(|cx| {
            let mut slices = [io::IoSlice::new(&[]); super::SLICES];
            let filled = batch.fill(&mut slices);
            Pin::new(&mut *io).poll_write_vectored(cx, &slices[..filled])
        })
        .await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        batch.advance(written);
    }
    Ok(())
}

/// Shuts the write half, and reads and throws away what still comes.
async fn read_out<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S) -> io::Result<()> {
    std::future::poll_fn(|cx| Pin::new(&mut *io).poll_shutdown(cx)).await?;
    let mut left = LINGER_BYTES;
    let mut waste = BytesMut::new();
    while left > 0 {
        let read = std::future::poll_fn(|cx| {
            buffer::make_room(&mut waste, 0);
            let read = tokio_util::io::poll_read_buf(Pin::new(&mut *io), cx, &mut waste);
            // Nobody wants what came; and who waits here holds no buffer.
            waste.clear();
            buffer::put_away(&mut waste);
            read
        })
        .await?;
        if read == 0 {
            break;
        }
        left = left.saturating_sub(read as u64);
    }
    Ok(())
}
