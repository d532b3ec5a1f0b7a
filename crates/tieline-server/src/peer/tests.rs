//! Who writes to a connection's socket, and that there is one at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tieline_broker::{Account, Budget, ConnKey, Port};
use tieline_protocol::outbox::Batch;
use tieline_protocol::{Decoder, Frame, Kind, Role, Time};
use tokio::io::AsyncReadExt;
use tokio::net::{UnixStream, unix};

use super::{Peer, PeerPort};
use crate::access::Source;
use crate::socket::Plain;

const NOW: Time = Time::ZERO;

/// A task that counts how often it was woken.
#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A connection whose task is the test.
struct World {
    peer: Arc<Peer>,
    socket: Option<Plain<unix::OwnedReadHalf>>,
    far: UnixStream,
    task: Arc<Task>,
    waker: Waker,
    batch: Batch,
    decoder: Decoder,
    buffer: BytesMut,
}

impl World {
    fn new() -> Self {
        let (near, far) = UnixStream::pair().unwrap();
        let peer = Peer::new(ConnKey(1), Account::new(Budget::new(1 << 20)), Source::Unknown);
        let socket = Plain::from(near);
        peer.share(socket.writer());
        let task = Arc::new(Task::default());
        Self {
            peer,
            socket: Some(socket),
            far,
            waker: Waker::from(Arc::clone(&task)),
            task,
            batch: Batch::new(),
            decoder: Decoder::new(Role::Server),
            buffer: BytesMut::new(),
        }
    }

    fn put(&self, number: u64) {
        self.peer.with(|o| o.ordered(Frame::new(Kind::Pong, Kind::Pong.header().value(number), Bytes::new())));
    }

    /// Since when what was claimed waits.
    fn claim(&mut self) -> Time {
        self.peer.claim(Time::ZERO + Duration::from_secs(9), &mut self.batch, &Context::from_waker(&self.waker))
    }

    fn woken(&self) -> usize {
        self.task.0.load(Ordering::SeqCst)
    }

    /// The task writes what it has to the end.
    fn write(&mut self) {
        let claimed = self.batch.len();
        let all = self.batch.drain();
        let writer = self.socket.as_ref().unwrap().writer();
        assert_eq!(writer.try_write(&[std::io::IoSlice::new(&all)]).unwrap(), claimed);
        self.peer.wrote(claimed);
    }

    async fn next(&mut self) -> u64 {
        loop {
            if let Some(frame) = self.decoder.next(&mut self.buffer).unwrap() {
                return frame.header.value;
            }
            assert_ne!(self.far.read_buf(&mut self.buffer).await.unwrap(), 0);
        }
    }

    fn nothing_came(&self) -> bool {
        self.far.try_read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

#[tokio::test]
async fn news_for_a_task_that_rests_are_written_at_once_and_it_rests_on() {
    let mut world = World::new();
    world.claim();
    for number in [1, 2, 3] {
        world.put(number);
        assert!(world.peer.write_news(NOW).is_some());
        assert_eq!(world.next().await, number);
    }
    assert_eq!(world.woken(), 0);
}

#[tokio::test]
async fn nobody_writes_between_two_halves_of_what_the_task_has_claimed() {
    let mut world = World::new();
    // It rested; then it was polled for another reason, found something, and wrote the half of it.
    world.claim();
    world.put(1);
    world.claim();
    assert!(!world.batch.is_empty());
    world.put(2);
    assert!(world.peer.write_news(NOW).is_none());
    assert!(world.nothing_came());
    world.write();
    world.claim();
    world.write();
    assert_eq!((world.next().await, world.next().await), (1, 2));
}

#[tokio::test]
async fn while_somebody_writes_neither_the_task_nor_others_do_and_what_came_meanwhile_wakes_the_task() {
    let mut world = World::new();
    world.claim();
    world.put(1);
    let (socket, batch) = world.peer.borrow().unwrap();
    world.put(2);
    assert!(world.peer.borrow().is_none());
    world.claim();
    assert!(world.batch.is_empty() && !world.peer.is_all_written());
    assert!(world.peer.write(&socket, batch, NOW).is_some());
    assert_eq!(world.woken(), 1);
    assert!(world.peer.borrow().is_none(), "it was woken, and looks by itself");
    world.claim();
    world.write();
    assert_eq!((world.next().await, world.next().await), (1, 2));
}

#[tokio::test]
async fn what_a_full_socket_leaves_is_the_tasks_and_comes_before_all_else() {
    let mut world = World::new();
    world.claim();
    let mut put = 0;
    while world.peer.lock().left.is_none() {
        assert_eq!(world.woken(), 0);
        for _ in 0..100 {
            put += 1;
            world.put(put);
        }
        assert_eq!(world.peer.write_news(NOW).is_none(), world.peer.lock().left.is_some());
    }
    assert!(!world.peer.is_all_written());
    world.put(put + 1);
    assert!(world.peer.write_news(NOW).is_none());
    assert_eq!(world.woken(), 0, "there is no room");
    let mut taken = 0;
    while world.woken() == 0 {
        taken += 1;
        assert_eq!(world.next().await, taken);
        tokio::task::yield_now().await;
    }
    assert_eq!(world.claim(), NOW, "it waits since then");
    while taken < put + 1 {
        // As the task does: what was left, then what waits, as far as the socket takes it.
        if world.batch.is_empty() {
            world.claim();
        }
        let mut slices = [std::io::IoSlice::new(&[]); 16];
        let filled = world.batch.fill(&mut slices);
        let written = world.socket.as_ref().unwrap().writer().try_write(&slices[..filled]).unwrap_or(0);
        world.batch.advance(written);
        taken += 1;
        assert_eq!(world.next().await, taken);
    }
}

#[tokio::test]
async fn a_task_that_is_over_takes_over_what_was_left_once_nobody_writes() {
    let mut world = World::new();
    world.claim();
    world.put(1);
    let (socket, batch) = world.peer.borrow().unwrap();
    let waker = world.waker.clone();
    let cx = Context::from_waker(&waker);
    assert_eq!(world.peer.poll_take_over(&mut world.batch, &cx), Poll::Pending);
    // The socket takes nothing.
    let filler = vec![0; 1 << 20];
    while socket.try_write(&[std::io::IoSlice::new(&filler)]).is_ok() {}
    assert!(world.peer.write(&socket, batch, NOW).is_none());
    assert_eq!(world.woken(), 1, "though the socket has no room");
    assert_eq!(world.peer.poll_take_over(&mut world.batch, &cx), Poll::Ready(()));
    assert!(!world.batch.is_empty());
    world.put(2);
    assert!(world.peer.write_news(NOW).is_none(), "from now on only the task writes");
}

#[tokio::test]
async fn a_task_whose_connection_ends_looks_each_time_by_itself() {
    let mut world = World::new();
    world.claim();
    world.peer.end();
    world.put(1);
    assert!(world.peer.write_news(NOW).is_none());
    assert_eq!(world.woken(), 1);
}

#[tokio::test]
async fn others_that_know_a_connection_dont_keep_its_socket_open() {
    let mut world = World::new();
    world.claim();
    world.put(1);
    world.socket = None;
    assert_eq!(world.far.read(&mut [0]).await.unwrap(), 0, "it is closed");
    assert!(world.peer.write_news(NOW).is_none());
}

#[tokio::test]
async fn a_task_that_rests_needs_to_look_only_if_something_was_put_that_nobody_has_written() {
    let mut world = World::new();
    assert!(!world.peer.is_quiet(), "it has never looked");
    world.claim();
    assert!(world.peer.is_quiet());
    world.put(1);
    assert!(!world.peer.is_quiet());
    let (socket, batch) = world.peer.borrow().unwrap();
    world.claim();
    assert!(!world.peer.is_quiet(), "somebody writes");
    assert!(world.peer.write(&socket, batch, NOW).is_some());
    assert!(world.peer.is_quiet());
    // As the core puts things.
    let port = PeerPort(Arc::clone(&world.peer));
    port.with(|o| o.ordered(Frame::new(Kind::Pong, Kind::Pong.header().value(2), Bytes::new())));
    assert!(port.mark() && !world.peer.is_quiet());
    let (socket, batch) = world.peer.borrow().unwrap();
    world.put(3);
    assert!(world.peer.write(&socket, batch, NOW).is_some());
    assert!(!world.peer.is_quiet(), "more came meanwhile");
    world.claim();
    assert!(!world.peer.is_quiet(), "it has claimed something");
    world.write();
    world.claim();
    assert!(world.peer.is_quiet());
    world.peer.end();
    assert!(!world.peer.is_quiet());
}

#[tokio::test]
async fn a_task_that_was_woken_for_what_it_had_written_by_then_rests_again() {
    let mut world = World::new();
    world.claim();
    let port = PeerPort(Arc::clone(&world.peer));
    world.put(1);
    assert!(port.mark());
    // Before it is woken for that, it runs for another reason, and writes it.
    world.claim();
    world.write();
    world.claim();
    assert!(world.peer.is_quiet());
    world.peer.wake();
    assert_eq!(world.woken(), 1);
    assert!(!world.peer.is_quiet(), "it looks again");
    world.claim();
    // So others may write again.
    world.put(2);
    assert!(port.mark());
    assert!(world.peer.write_news(NOW).is_some());
    assert_eq!((world.next().await, world.next().await), (1, 2));
}

#[tokio::test]
async fn a_task_looks_for_what_was_left_of_a_frame_whose_mark_is_not_set_yet() {
    let mut world = World::new();
    world.claim();
    let port = PeerPort(Arc::clone(&world.peer));
    assert!(world.peer.is_quiet());
    // Somebody has put a frame; before the mark is set, another comes by and borrows.
    port.with(|o| o.ordered(Frame::new(Kind::Pong, Kind::Pong.header().value(1), Bytes::new())));
    let (socket, batch) = world.peer.borrow().unwrap();
    assert!(!world.peer.is_quiet());
    let filler = vec![0; 1 << 20];
    while socket.try_write(&[std::io::IoSlice::new(&filler)]).is_ok() {}
    assert!(world.peer.write(&socket, batch, NOW).is_none());
    assert!(!world.peer.is_quiet(), "the rest is the task's");
    assert!(port.mark());
    assert!(world.peer.write_news(NOW).is_none());
    world.claim();
    assert!(!world.batch.is_empty());
}
