//! The task that sends the rest of a request's body while the response is read.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tieline_protocol::limits::INITIAL_WINDOW;

use crate::body::source::BoxSource;
use crate::conn::{SendLink, Uploader};

/// The beginning of a body, as far as its source had it at once.
#[derive(Debug, Default)]
pub(crate) struct Beginning {
    pub(crate) bytes: Bytes,
    pub(crate) is_complete: bool,
}

/// Takes what the source has without waiting, up to the initial window: so a small body travels in its start.
pub(crate) async fn begin(source: &mut BoxSource) -> io::Result<Beginning> {
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut len = 0;
    let is_complete = poll_fn(|cx| {
        while len < INITIAL_WINDOW as usize {
            match source.as_mut().poll_piece(cx) {
                Poll::Pending => return Poll::Ready(Ok(false)),
                Poll::Ready(None) => return Poll::Ready(Ok(true)),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(Some(Ok(piece))) => {
                    len += piece.len();
                    pieces.push(piece);
                }
            }
        }
        Poll::Ready(Ok(false))
    })
    .await?;
    let bytes = if pieces.len() == 1 { pieces.swap_remove(0) } else { pieces.concat().into() };
    Ok(Beginning { bytes, is_complete })
}

/// Sends the rest in the background. It ends by itself when all is sent, or when nothing more is wanted.
pub(crate) fn spawn(link: &SendLink, source: BoxSource) {
    let mut upload = Upload { to: link.uploader(), source, piece: Bytes::new() };
    tokio::spawn(poll_fn(move |cx| upload.poll(cx)));
}

struct Upload {
    to: Uploader,
    source: BoxSource,
    /// What was read and not sent yet.
    piece: Bytes,
}

impl Upload {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.piece.is_empty() {
                // The exchange's end stops an upload quietly: the response says how it ended.
                if ready!(self.to.poll_push(cx, &mut self.piece)).is_err() {
                    return Poll::Ready(());
                }
                continue;
            }
            match self.source.as_mut().poll_piece(cx) {
                Poll::Ready(Some(Ok(piece))) => self.piece = piece,
                Poll::Ready(Some(Err(error))) => {
                    self.to.fail(error);
                    return Poll::Ready(());
                }
                Poll::Ready(None) => {
                    self.to.finish();
                    return Poll::Ready(());
                }
                Poll::Pending => return self.to.poll_unwanted(cx),
            }
        }
    }
}
