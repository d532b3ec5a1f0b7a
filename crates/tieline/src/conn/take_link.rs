//! A program's hand on a request that it took.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use tieline_protocol::limits::{INITIAL_WINDOW, initial_credit};
use tieline_protocol::metadata::TRAILER_MAX;
use tieline_protocol::{Code, ExchangeId, Fault, Metadata, MetadataError};

use super::Conn;
use super::effects::Effects;
use super::flows::{Over, Rest};
use super::ids::ByRequest;
use super::state::{Key, State};
use super::takes::{Answer, Answered, Hand, Head, unanswered};
use crate::error::Error;
use crate::receive::core::Core;

impl Conn {
    /// Hands a request to the program, with its body if all of it has come; `None` if it is over already.
    pub(crate) fn hand_over(self: Arc<Self>, id: ExchangeId, is_served: bool) -> Option<(TakeLink, Option<Rest>)> {
        let (head, whole) = self.step(|state, _| {
            let take = state.takes.get_mut(&ByRequest(id)).filter(|take| take.flows.over.is_none())?;
            take.hand = if is_served { Hand::Served } else { Hand::Taken };
            take.has_place = is_served;
            // Nothing is granted before the program reads: until then it may give the request back.
            Some((take.head.take()?, take.flows.inflow.take_rest()))
        })?;
        Some((TakeLink { conn: self, id, head, is_released: AtomicBool::new(false), owed: OnceLock::new() }, whole))
    }

    /// Returns a request that the program hasn't seen.
    pub(crate) fn give_back(&self, id: ExchangeId) {
        self.step(|state, fx| state.give_back(id, fx));
    }
}

/// A program's hand on a request that it took; when the last is dropped, what isn't answered fails.
#[derive(Debug)]
pub(crate) struct TakeLink {
    conn: Arc<Conn>,
    id: ExchangeId,
    head: Head,
    /// The connection keeps nothing of it any more.
    is_released: AtomicBool,
    /// Whose place comes back with this, because the request was given back.
    owed: OnceLock<Arc<Core>>,
}

impl TakeLink {
    pub(crate) const fn head(&self) -> &Head {
        &self.head
    }

    pub(crate) fn poll_chunk(
        &self,
        cx: &Context<'_>,
        end: &mut Option<Metadata>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        self.conn.step(|state, fx| match state.flows(Key::Take(self.id)) {
            Some((flows, outbox)) => flows.poll_chunk(outbox, fx, cx, end),
            None => Poll::Ready(Some(Err(Error::Over))),
        })
    }

    /// The program doesn't want what is left of the body.
    pub(crate) fn discard_body(&self) {
        self.conn.step(|state, _| {
            if let Some(take) = state.takes.get_mut(&ByRequest(self.id)).filter(|_| !self.is_released()) {
                take.flows.inflow.discard();
            }
        });
    }

    /// Returns the request, of which nothing was begun, and withdraws its receive; opened again with what is given.
    ///
    /// # Errors
    /// If it is over, or was accepted.
    pub(crate) fn hand_back(&self) -> Result<Withdrawn, Error> {
        let back = self.conn.step(|state, fx| {
            let back = state.hand_back(self.id, fx)?;
            // The same request may come again on this connection: from here on, this is no hand on it.
            self.is_released.store(true, Ordering::Relaxed);
            Ok::<_, Error>(back)
        })?;
        if back.had_place {
            let _ = self.owed.set(Arc::clone(&back.core));
        }
        Ok(Withdrawn { conn: Arc::clone(&self.conn), core: back.core })
    }

    /// Starts the response, if that wasn't done, with the metadata that is left in `head`.
    pub(crate) fn start(&self, head: &mut Option<Metadata>) -> Result<(), Error> {
        self.conn.step(|state, fx| {
            if let Some(metadata) = head.take() {
                state.start_response(self.id, metadata, fx);
            }
            match state.takes.get(&ByRequest(self.id)).and_then(|take| take.flows.over.as_ref()) {
                Some(Over::Failed(error)) => Err(error.clone()),
                _ => Ok(()),
            }
        })
    }

    /// How many bytes can be sent now, at least one; a response with this head has yet to be started.
    pub(crate) fn poll_room(&self, cx: &Context<'_>, head: Option<&Metadata>) -> Poll<Result<usize, Error>> {
        self.conn.step(|state, _| match state.flows(Key::Take(self.id)) {
            Some((flows, _)) if let Some(metadata) = head => {
                let first = initial_credit(INITIAL_WINDOW, metadata.wire_len()) as usize;
                Poll::Ready(Ok(first.max(flows.outflow.credit()).max(1)))
            }
            Some((flows, outbox)) => flows.poll_room(outbox, cx),
            None => Poll::Ready(Err(Error::Over)),
        })
    }

    /// Sends what there is room for, from the front of `piece`; starts the response before, in the same step.
    pub(crate) fn poll_push(
        &self,
        cx: &Context<'_>,
        head: &mut Option<Metadata>,
        piece: &mut Bytes,
    ) -> Poll<Result<(), Error>> {
        self.conn.step(|state, fx| {
            if let Some(metadata) = head.take() {
                state.start_response(self.id, metadata, fx);
            }
            match state.flows(Key::Take(self.id)) {
                Some((flows, outbox)) => flows.poll_push(outbox, fx, cx, piece),
                None => Poll::Ready(Err(Error::Over)),
            }
        })
    }

    /// Closes the response, in one step with its start where that wasn't sent: a small response is one frame. Then
    /// waits as [`poll_answered`](Self::poll_answered).
    ///
    /// # Errors
    /// If the trailer is too long; nothing was done then. As `poll_answered`.
    pub(crate) fn poll_answer(
        &self,
        cx: &Context<'_>,
        head: &mut Option<Metadata>,
        answer: Answer,
    ) -> Poll<Result<(), Error>> {
        if let Answer::End { trailer, .. } = &answer
            && trailer.wire_len() > TRAILER_MAX
        {
            return Poll::Ready(Err(MetadataError::TooLong.into()));
        }
        self.conn.step(|state, fx| {
            let head = head.take().filter(|_| matches!(answer, Answer::End { .. }));
            match state.answer(self.id, head, answer, fx) {
                Answered::Kept => state.poll_answered(self.id, cx),
                Answered::Gone => {
                    self.is_released.store(true, Ordering::Relaxed);
                    Poll::Ready(Ok(()))
                }
            }
        })
    }

    /// Waits until all of the response is in the connection's hands.
    pub(crate) fn poll_answered(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.conn.step(|state, _| state.poll_answered(self.id, cx))
    }

    /// Waits until the exchange is over, and how.
    pub(crate) fn poll_over(&self, cx: &Context<'_>) -> Poll<Over> {
        self.conn.step(|state, _| match state.flows(Key::Take(self.id)) {
            Some((flows, _)) => flows.poll_over(cx),
            None => Poll::Ready(Over::Done),
        })
    }

    /// The program has let go of the way to answer.
    pub(crate) fn drop_responder(&self) {
        self.conn.step(|state, fx| {
            if !self.is_released() {
                state.drop_responder(self.id, fx);
            }
        });
    }

    /// The handler is done: what it dropped unanswered fails with its words; what it passed on goes on.
    pub(crate) fn settle(self: Arc<Self>, failure: Option<String>) {
        if self.is_released() {
            return;
        }
        match Arc::try_unwrap(self) {
            // Nobody else has a hand on it: letting go of it is the same step.
            Ok(last) => {
                last.is_released.store(true, Ordering::Relaxed);
                last.conn.step(|state, fx| {
                    state.settle_take(last.id, failure, fx);
                    state.release_take(last.id, fx);
                });
            }
            Err(shared) => shared.conn.step(|state, fx| {
                if !shared.is_released() {
                    state.settle_take(shared.id, failure, fx);
                }
            }),
        }
    }

    /// It is set under the connection's lock. Whoever looks without that and doesn't see it yet finds nothing to do, so no
    /// order is needed; where the request may have come again, it is looked at under the lock.
    fn is_released(&self) -> bool {
        self.is_released.load(Ordering::Relaxed)
    }
}

impl Drop for TakeLink {
    fn drop(&mut self) {
        if !self.is_released() {
            self.conn.step(|state, fx| state.release_take(self.id, fx));
        }
        if let Some(core) = self.owed.take() {
            core.raise(1);
        }
    }
}

/// A receive that isn't open for a while; dropped, it is opened again, if its receiver still wants it.
#[derive(Debug)]
pub(crate) struct Withdrawn {
    conn: Arc<Conn>,
    core: Arc<Core>,
}

impl Withdrawn {
    /// Waits for as long as a receiver should rest that can't begin what it was given, or until it is closed.
    pub(crate) async fn rest(self) {
        self.core.rest().await;
    }
}

impl Drop for Withdrawn {
    fn drop(&mut self) {
        // On another connection it was opened with that.
        self.conn.attach(&self.core);
    }
}

impl State {
    fn poll_answered(&mut self, id: ExchangeId, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        match self.takes.get_mut(&ByRequest(id)) {
            Some(take) => take.flows.poll_closed(cx),
            None => Poll::Ready(Err(Error::Over)),
        }
    }

    fn settle_take(&mut self, id: ExchangeId, failure: Option<String>, fx: &mut Effects) {
        let Some(take) = self.takes.get_mut(&ByRequest(id)) else { return };
        if std::mem::replace(&mut take.hand, Hand::Taken) == Hand::Dropped && !take.flows.outflow.closed {
            let fault = failure.map_or_else(unanswered, |words| Fault::because(Code::Application, words));
            self.answer(id, None, Answer::Fault(fault), fx);
        }
    }
}
