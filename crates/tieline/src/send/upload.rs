//! A request's body on its way: its beginning, the task that sends the rest while the response is read, and what is kept
//! to send it again.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::body::Attempt;
use crate::body::source::{BoxSource, Rewound};
use crate::conn::{SendLink, Uploader};

/// The beginning of a body, as far as its source had it at once.
#[derive(Debug, Default)]
pub(crate) struct Beginning {
    pub(crate) bytes: Bytes,
    pub(crate) is_complete: bool,
}

/// Takes what the source has without waiting, up to the initial window: so a small body waits for no grant.
pub(crate) async fn begin(source: &mut BoxSource, window: u64) -> io::Result<Beginning> {
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut len = 0;
    let is_complete = poll_fn(|cx| {
        while (len as u64) < window {
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

/// What an upload keeps of a body that can be read only once, so that it can be sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keep {
    /// Nothing: the body can be opened anew.
    Nothing,
    /// What was read before a receiver began with the request.
    UntilAccepted,
    /// The same, and beyond that as much as an initial window: the request may run twice.
    First,
}

/// The body of a request that is under way.
pub(crate) enum UnderWay {
    /// All of it was in the start.
    Whole(Bytes),
    Rest(JoinHandle<Option<BoxSource>>),
}

impl UnderWay {
    /// Begins to send what isn't in the start.
    pub(crate) fn new(
        link: &SendLink,
        (beginning, rest): (Beginning, Option<BoxSource>),
        keep: Keep,
        hold: Option<Duration>,
    ) -> Self {
        match rest {
            None => Self::Whole(beginning.bytes),
            Some(rest) => Self::Rest(spawn(link, beginning.bytes, rest, keep, hold)),
        }
    }

    /// The body as it was before, once its request is over; `None` if it can't be had any more.
    pub(crate) async fn back(self) -> Option<Attempt> {
        match self {
            Self::Whole(bytes) => Some(Attempt::Whole(bytes)),
            Self::Rest(upload) => upload.await.ok().flatten().map(Attempt::Source),
        }
    }
}

/// Sends the rest in the background. It ends by itself when all is sent, or when nothing more is wanted, and gives the
/// body back, if it kept what it had read of it.
fn spawn(
    link: &SendLink,
    beginning: Bytes,
    rest: BoxSource,
    keep: Keep,
    hold: Option<Duration>,
) -> JoinHandle<Option<BoxSource>> {
    let kept = (keep != Keep::Nothing).then(|| Kept { len: beginning.len(), pieces: vec![beginning] });
    let mut upload = Upload { to: link.uploader(), source: Some(rest), piece: Bytes::new(), keep, kept };
    tokio::spawn(async move {
        // A body that nobody came to want isn't touched.
        let is_wanted = match hold {
            None => true,
            Some(limit) => timeout(limit, poll_fn(|cx| upload.poll_held(cx))).await.unwrap_or(true),
        };
        if is_wanted {
            poll_fn(|cx| upload.poll(cx)).await;
        }
        let kept = upload.kept?;
        Some(Box::pin(Rewound::new(kept.pieces, upload.source)) as BoxSource)
    })
}

struct Upload {
    to: Uploader,
    /// `None` once it was read to its end.
    source: Option<BoxSource>,
    /// What was read and not sent yet.
    piece: Bytes,
    keep: Keep,
    kept: Option<Kept>,
}

/// All that was read so far.
struct Kept {
    pieces: Vec<Bytes>,
    len: usize,
}

impl Upload {
    /// Waits until a receiver has begun, or the request is over; whether it still wants the body.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        // In this order: what comes in between wakes.
        if self.to.poll_unwanted(cx).is_ready() {
            return Poll::Ready(false);
        }
        if self.to.is_accepted() { Poll::Ready(true) } else { Poll::Pending }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.piece.is_empty() {
                // The exchange's end stops an upload quietly: the response says how it ended.
                if ready!(self.to.poll_push(cx, &mut self.piece)).is_err() {
                    return Poll::Ready(());
                }
                self.keep_less();
                continue;
            }
            let Some(source) = &mut self.source else { return Poll::Ready(()) };
            match source.as_mut().poll_piece(cx) {
                Poll::Ready(Some(Ok(piece))) => self.take(piece),
                Poll::Ready(Some(Err(error))) => {
                    self.kept = None;
                    self.to.fail(error);
                    return Poll::Ready(());
                }
                Poll::Ready(None) => {
                    self.source = None;
                    self.to.finish();
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    self.keep_less();
                    return self.to.poll_unwanted(cx);
                }
            }
        }
    }

    fn take(&mut self, piece: Bytes) {
        if let Some(kept) = &mut self.kept {
            kept.len += piece.len();
            kept.pieces.push(piece.clone());
        }
        self.piece = piece;
    }

    /// Lets go of what was read once the request can't be sent again, or more was granted than is kept. Before that,
    /// credit bounds what is kept.
    fn keep_less(&mut self) {
        let is_too_much = |kept: &Kept| self.keep != Keep::First || kept.len as u64 > self.to.initial_window();
        if self.kept.as_ref().is_some_and(is_too_much) && self.to.is_accepted() {
            self.kept = None;
        }
    }
}
