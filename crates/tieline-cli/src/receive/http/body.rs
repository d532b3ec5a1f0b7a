//! A request's body on its way up to the service: whole, with its length, or in chunks as it comes.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use hyper::body::{Body, Frame, SizeHint};
use tieline::{Error, RequestBody};

/// What is read of a body that is there at once, to give it a length, in bytes.
const AT_ONCE: usize = 64 * 1024;

/// A body for the service.
pub(super) enum Up {
    /// All of it.
    Whole(Bytes),
    /// What has come, and what is to come.
    Coming(Bytes, RequestBody),
}

impl Up {
    /// Reads what is there at once, or waits for up to `buffer` bytes; a body that ends within that has a length.
    ///
    /// # Errors
    /// If the request is over.
    pub(super) async fn read(mut body: RequestBody, buffer: Option<u64>) -> Result<Self, Error> {
        let limit = buffer.map_or(AT_ONCE, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let mut read = BytesMut::new();
        while read.len() < limit {
            let next = poll_fn(|cx| match Pin::new(&mut body).poll_next(cx) {
                Poll::Pending if buffer.is_none() => Poll::Ready(Next::Later),
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(piece)) => Poll::Ready(Next::Piece(piece)),
                Poll::Ready(None) => Poll::Ready(Next::End),
            });
            match next.await {
                Next::Piece(piece) => read.extend_from_slice(&piece?),
                Next::End => return Ok(Self::Whole(read.freeze())),
                Next::Later => break,
            }
        }
        Ok(Self::Coming(read.freeze(), body))
    }

    /// Its length, if all of it is there.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => Some(bytes.len() as u64),
            Self::Coming(..) => None,
        }
    }
}

/// What a look at a body finds.
enum Next {
    Piece(Result<Bytes, Error>),
    End,
    Later,
}

impl Body for Up {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let (read, body) = match self.get_mut() {
            Self::Whole(read) => (read, None),
            Self::Coming(read, body) => (read, Some(body)),
        };
        if !read.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(read)))));
        }
        match body {
            Some(body) => Pin::new(body).poll_next(cx).map(|piece| piece.map(|piece| piece.map(Frame::data))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}
