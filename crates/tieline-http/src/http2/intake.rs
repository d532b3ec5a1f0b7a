//! Both ends of a request's body: what takes it from `h2` as it comes, and what gives it to its consumer.
//!
//! ```text
//! h2 ──frames──▶ Intake ──copied──▶ Blocks ──▶ Upload ──▶ consumer
//!  ▲                                              │
//!  └───────────────── window ─────────────────────┘
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::{FlowControl, RecvStream};
use http_body::Frame;

use super::blocks::Blocks;

/// The two ends of a body; who is to be woken for it stands in `woken`.
pub(super) fn intake(mut stream: RecvStream, woken: Woken) -> (Intake, Upload) {
    let window = stream.flow_control().clone();
    let shared = Arc::new(Mutex::new(State::default()));
    (Intake { stream, shared: Arc::clone(&shared), woken, has_trailers: false }, Upload { shared, window })
}

/// The consumers of a connection's bodies that have something to take. They are woken together, once all that came is
/// there: a consumer that is woken for each piece costs more than its bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Woken(Arc<Mutex<Vec<Waker>>>);

impl Woken {
    fn note(&self, consumer: Option<Waker>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(consumer);
    }

    /// Wakes all of them.
    pub(super) fn wake(&self) {
        let consumers = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        consumers.into_iter().for_each(Waker::wake);
    }
}

#[derive(Debug, Default)]
struct State {
    blocks: Blocks,
    /// Nothing more comes, and whether all has come.
    ended: Option<Result<(), h2::Error>>,
    /// Nobody takes it any more.
    is_unwanted: bool,
    intake: Option<Waker>,
    upload: Option<Waker>,
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes what comes, until it is all or nobody wants it; polled by the connection's task, turn by turn.
#[derive(Debug)]
pub(super) struct Intake {
    stream: RecvStream,
    shared: Arc<Mutex<State>>,
    woken: Woken,
    /// The data are over.
    has_trailers: bool,
}

impl Intake {
    /// Takes all that is there; how it ended, once it has.
    fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        while !self.has_trailers {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    let mut state = lock(&self.shared);
                    state.blocks.push(&data);
                    let consumer = state.upload.take();
                    drop(state);
                    self.woken.note(consumer);
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => self.has_trailers = true,
            }
        }
        // They are read and mean nothing.
        self.stream.poll_trailers(cx).map_ok(drop)
    }
}

impl Future for Intake {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.shared);
        if state.is_unwanted {
            return Poll::Ready(());
        }
        state.intake = Some(cx.waker().clone());
        drop(state);
        let ended = ready!(self.poll_all(cx));
        let mut state = lock(&self.shared);
        state.ended = Some(ended);
        let consumer = state.upload.take();
        drop(state);
        self.woken.note(consumer);
        Poll::Ready(())
    }
}

/// An intake that ends before the body does ends it: the connection is over.
impl Drop for Intake {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.ended.get_or_insert(Err(h2::Reason::CANCEL.into()));
        let upload = state.upload.take();
        drop(state);
        if let Some(upload) = upload {
            upload.wake();
        }
    }
}

/// The body as its consumer has it. What is taken of it gives room to its client.
#[derive(Debug)]
pub(super) struct Upload {
    shared: Arc<Mutex<State>>,
    window: FlowControl,
}

impl Upload {
    /// The next block; `None` at the end.
    pub(super) fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let mut state = lock(&self.shared);
        let Some(block) = state.blocks.pop() else {
            return match state.ended.replace(Ok(())) {
                Some(Ok(())) => Poll::Ready(None),
                Some(Err(error)) => Poll::Ready(Some(Err(error))),
                None => {
                    state.ended = None;
                    state.upload = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        };
        drop(state);
        // It fails if the stream is over: then nobody waits for room.
        let _ = self.window.release_capacity(block.len());
        Poll::Ready(Some(Ok(block)))
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.poll_block(cx).map_ok(Frame::data)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.is_unwanted = true;
        let blocks = std::mem::take(&mut state.blocks);
        let intake = state.intake.take();
        drop(state);
        let _ = self.window.release_capacity(blocks.len());
        if let Some(intake) = intake {
            intake.wake();
        }
    }
}
