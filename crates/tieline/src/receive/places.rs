//! The places of a receiver that serves: tasks that are kept, each of which runs one handler after the other.
//!
//! A task for each request would be made, registered and thrown away with it. Here a place that is free waits with room for
//! the next handler, so that to run one is to put it there and to wake its task.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::task::JoinSet;

use crate::conn::effects::register;

/// Room for a handler's future, kept when there is none in it.
type Room<F> = Pin<Box<Option<F>>>;

/// See the module. Dropping it aborts the handlers that run.
#[derive(Debug)]
pub(super) struct Places<F> {
    shared: Arc<Shared<F>>,
    tasks: JoinSet<()>,
    most: usize,
}

#[derive(Debug)]
struct Shared<F>(Mutex<State<F>>);

#[derive(Debug)]
struct State<F> {
    places: Vec<Place<F>>,
    /// Places whose tasks wait for a handler, the one that ran last at the end.
    free: Vec<usize>,
    /// Places whose tasks panicked; they need others.
    dead: Vec<usize>,
    busy: usize,
    /// Who waits for a free place.
    waiter: Option<Waker>,
    is_closed: bool,
}

#[derive(Debug)]
struct Place<F> {
    /// There while the place is free, or its task hasn't seen yet that it isn't.
    room: Option<Room<F>>,
    worker: Option<Waker>,
}

impl<F: Future<Output = ()> + Send + 'static> Places<F> {
    /// So many places, none of which has a task yet.
    pub(super) fn new(most: usize) -> Self {
        let state =
            State { places: Vec::new(), free: Vec::new(), dead: Vec::new(), busy: 0, waiter: None, is_closed: false };
        Self { shared: Arc::new(Shared(Mutex::new(state))), tasks: JoinSet::new(), most }
    }

    /// Whether there is a free place.
    pub(super) fn has_room(&self) -> bool {
        self.shared.lock().busy < self.most
    }

    /// Waits for a free place. Nobody is woken by a handler's return but who waits here.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.shared.lock();
        if state.busy < self.most {
            return Poll::Ready(());
        }
        register(&mut state.waiter, cx);
        Poll::Pending
    }

    /// Runs a handler. There must be room for it.
    pub(super) fn run(&mut self, handler: F) {
        let mut state = self.shared.lock();
        state.busy += 1;
        if let Some(place) = state.free.pop().and_then(|number| state.places.get_mut(number)) {
            // A free place has room.
            place.room.get_or_insert_with(|| Box::pin(None)).set(Some(handler));
            let worker = place.worker.take();
            drop(state);
            if let Some(worker) = worker {
                worker.wake();
            }
            return;
        }
        let number = state.dead.pop().unwrap_or_else(|| {
            state.places.push(Place { room: None, worker: None });
            state.places.len() - 1
        });
        drop(state);
        // Tasks end before the places are closed only by a panic, which isn't the receiver's business.
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(Worker { shared: Arc::clone(&self.shared), number, room: Some(Box::pin(Some(handler))) });
    }

    /// Waits until the handlers that run have returned.
    pub(super) async fn close(mut self) {
        let workers: Vec<_> = {
            let mut state = self.shared.lock();
            state.is_closed = true;
            state.places.iter_mut().filter_map(|place| place.worker.take()).collect()
        };
        workers.into_iter().for_each(Waker::wake);
        while self.tasks.join_next().await.is_some() {}
    }
}

impl<F> Shared<F> {
    fn lock(&self) -> MutexGuard<'_, State<F>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a place back, if `room` says that it was used, and waits for its next handler; `None` once it is closed.
    fn poll_next(&self, number: usize, room: Option<Room<F>>, cx: &Context<'_>) -> Poll<Option<Room<F>>> {
        let mut state = self.lock();
        let mut waiter = None;
        if room.is_some() {
            state.busy -= 1;
            state.free.push(number);
            waiter = state.waiter.take();
        }
        let is_closed = state.is_closed;
        let Some(place) = state.places.get_mut(number) else { return Poll::Ready(None) };
        if room.is_some() {
            place.room = room;
        }
        let next = place.room.take_if(|room| room.is_some());
        // What was put here before the places were closed is run.
        let next = if next.is_some() || is_closed {
            Poll::Ready(next)
        } else {
            register(&mut place.worker, cx);
            Poll::Pending
        };
        drop(state);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        next
    }

    /// The task of a place ended within a handler.
    fn lost(&self, number: usize) {
        let waiter = {
            let mut state = self.lock();
            state.busy -= 1;
            state.dead.push(number);
            state.waiter.take()
        };
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

/// The task of a place.
struct Worker<F> {
    shared: Arc<Shared<F>>,
    number: usize,
    /// The handler that runs.
    room: Option<Room<F>>,
}

impl<F: Future<Output = ()>> Future for Worker<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(room) = &mut self.room {
                if let Some(handler) = room.as_mut().as_pin_mut() {
                    ready!(handler.poll(cx));
                }
                // What the handler still has is dropped before its place is free.
                room.set(None);
            }
            let used = self.room.take();
            match ready!(self.shared.poll_next(self.number, used, cx)) {
                Some(room) => self.room = Some(room),
                None => return Poll::Ready(()),
            }
        }
    }
}

impl<F> Drop for Worker<F> {
    fn drop(&mut self) {
        if self.room.take().is_some() {
            self.shared.lost(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::sync::oneshot;

    use super::*;

    type Handler = Pin<Box<dyn Future<Output = ()> + Send>>;

    #[tokio::test]
    async fn a_place_is_used_again_by_the_same_task() {
        let mut places: Places<Handler> = Places::new(1);
        let (send, mut ids) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..3 {
            poll_fn(|cx| places.poll_room(cx)).await;
            let send = send.clone();
            places.run(Box::pin(async move { send.send(tokio::task::id()).unwrap() }));
        }
        let first = ids.recv().await.unwrap();
        assert_eq!((ids.recv().await.unwrap(), ids.recv().await.unwrap()), (first, first));
        places.close().await;
    }

    #[tokio::test]
    async fn the_place_of_a_handler_that_panics_is_free_again() {
        let mut places: Places<Handler> = Places::new(1);
        places.run(Box::pin(async { panic!("on purpose") }));
        assert!(!places.has_room());
        poll_fn(|cx| places.poll_room(cx)).await;
        let (done, is_done) = oneshot::channel();
        places.run(Box::pin(async { done.send(()).unwrap() }));
        is_done.await.unwrap();
        places.close().await;
    }

    #[tokio::test]
    async fn closing_waits_for_the_handlers_that_run() {
        let mut places: Places<Handler> = Places::new(2);
        let (finish, finished) = oneshot::channel::<()>();
        let (done, mut is_done) = oneshot::channel();
        places.run(Box::pin(async {}));
        places.run(Box::pin(async {
            finished.await.unwrap();
            done.send(()).unwrap();
        }));
        let closing = tokio::spawn(places.close());
        tokio::task::yield_now().await;
        assert!(is_done.try_recv().is_err());
        finish.send(()).unwrap();
        closing.await.unwrap();
        is_done.await.unwrap();
    }

    #[tokio::test]
    async fn what_was_begun_before_the_closing_is_run() {
        let mut places: Places<Handler> = Places::new(1);
        places.run(Box::pin(async {}));
        poll_fn(|cx| places.poll_room(cx)).await;
        let (done, mut is_done) = oneshot::channel();
        places.run(Box::pin(async { done.send(()).unwrap() }));
        places.close().await;
        is_done.try_recv().unwrap();
    }

    #[tokio::test]
    async fn dropping_the_places_drops_the_handlers() {
        let mut places: Places<Handler> = Places::new(1);
        let (held, dropped) = oneshot::channel::<()>();
        places.run(Box::pin(async move {
            let _held = held;
            std::future::pending::<()>().await;
        }));
        drop(places);
        assert!(dropped.await.is_err());
    }
}
