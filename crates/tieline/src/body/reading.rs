//! An incoming body as a program reads it: piece by piece, or by the byte.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tieline_protocol::Metadata;
use tokio::io::ReadBuf;

use crate::conn::{Pieces, Rest};
use crate::error::Error;

/// What comes next of a body: a piece, its end, or an error.
pub(crate) type NextPiece = Poll<Option<Result<Bytes, Error>>>;

/// Where the pieces come from.
pub(crate) trait Incoming {
    /// With the last piece, or with the end, `end` is the metadata behind the body.
    fn poll_piece(&mut self, cx: &Context<'_>, end: &mut Option<Metadata>) -> NextPiece;
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Reading<I> {
    pub(crate) incoming: I,
    /// What was taken from there already, together with the end.
    came: Pieces,
    /// What a reader by the byte left of a piece.
    rest: Bytes,
    received: u64,
    /// What follows the last piece, which was read.
    end: Option<Metadata>,
    /// There once the body was read to its end.
    trailer: Option<Metadata>,
}

impl<I: Incoming> Reading<I> {
    /// A body that comes from `incoming`, or of which all that wasn't read is there.
    pub(crate) fn new(incoming: I, whole: Option<Rest>) -> Self {
        let (came, end) = match whole {
            Some(Rest { pieces, trailer }) => (pieces, Some(trailer)),
            None => (Pieces::default(), None),
        };
        Self { incoming, came, rest: Bytes::new(), received: 0, end, trailer: None }
    }

    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    pub(crate) const fn trailer(&self) -> Option<&Metadata> {
        self.trailer.as_ref()
    }

    /// Whether all of the body was taken from where it comes.
    pub(crate) const fn is_taken(&self) -> bool {
        self.end.is_some() || self.trailer.is_some()
    }

    /// The next piece, or what a reader by the byte left of the last.
    pub(crate) fn poll_chunk(&mut self, cx: &Context<'_>) -> NextPiece {
        let piece = ready!(self.poll_piece(cx));
        if let Some(Ok(piece)) = &piece {
            self.received += piece.len() as u64;
        }
        Poll::Ready(piece)
    }

    /// Fills `buf` from the front of what comes next.
    pub(crate) fn poll_read(&mut self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(piece) = ready!(self.poll_piece(cx)) {
            self.rest = piece?;
            let part = self.rest.split_to(buf.remaining().min(self.rest.len()));
            buf.put_slice(&part);
            self.received += part.len() as u64;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_piece(&mut self, cx: &Context<'_>) -> NextPiece {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.rest))));
        }
        if let Some(piece) = self.came.pop() {
            return Poll::Ready(Some(Ok(piece)));
        }
        if self.trailer.is_some() {
            return Poll::Ready(None);
        }
        if self.end.is_none()
            && let Some(piece) = ready!(self.incoming.poll_piece(cx, &mut self.end))
        {
            return Poll::Ready(Some(piece));
        }
        self.trailer = Some(self.end.take().unwrap_or_default());
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// A body of one piece.
    struct One(Option<Bytes>);

    impl Incoming for One {
        fn poll_piece(&mut self, _: &Context<'_>, _: &mut Option<Metadata>) -> NextPiece {
            Poll::Ready(self.0.take().map(Ok))
        }
    }

    #[test]
    fn a_piece_may_be_read_in_part_and_the_rest_as_a_piece() {
        let cx = Context::from_waker(Waker::noop());
        let mut reading = Reading::new(One(Some(Bytes::from_static(b"abcde"))), None);
        let mut space = [0; 2];
        let mut buf = ReadBuf::new(&mut space);
        assert!(reading.poll_read(&cx, &mut buf).is_ready());
        assert_eq!((buf.filled(), reading.received()), (&b"ab"[..], 2));
        let Poll::Ready(Some(Ok(rest))) = reading.poll_chunk(&cx) else { panic!("the rest") };
        assert_eq!((&rest[..], reading.received(), reading.trailer()), (&b"cde"[..], 5, None));
        assert!(matches!(reading.poll_chunk(&cx), Poll::Ready(None)));
        assert_eq!(reading.trailer(), Some(&Metadata::new()));
        assert!(matches!(reading.poll_chunk(&cx), Poll::Ready(None)));
    }
}
