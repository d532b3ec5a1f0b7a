//! Scenes of one connection: its task, others that have frames for it, and a far end that reads them.
//!
//! All but the task is as in production. The task is [`Writing`], which does what `Connection::poll_write` does and
//! nothing else; change both together.
//!
//! Both faults of this kind that were made here are found in less than a second. To see it, plant one: take the line that
//! stores `quiet` out of `Peer::stir` (a late wake-up fails, in the plain order), or out of `Peer::borrow` (what two write
//! fails, with one departure). Like this, any change to those flags can be tried.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use shuttle::future::block_on;
use shuttle::thread;
use tieline_broker::{Account, Budget, ConnKey, Port};
use tieline_protocol::outbox::Batch;
use tieline_protocol::{Decoder, Frame, Kind, Role, Time};
use tokio::io::AsyncWrite;

use super::Fake;
use super::explore::explore;
use crate::access::Source;
use crate::connection::SLICES;
use crate::peer::{Peer, PeerPort};
use crate::socket::Plain;
use crate::sync::{AtomicBool, AtomicU64, Ordering};

const NOW: Time = Time::ZERO;

/// Shorter than a frame, so that each finds the socket full.
const TIGHT: usize = 40;

/// So much that it never is.
const WIDE: usize = 10_000;

/// How somebody who has put a frame has it written.
#[derive(Clone, Copy)]
enum How {
    /// As after a step that brought news for one.
    Writes,
    /// As after a step that brought news for many, and by timers.
    Wakes,
}

/// How the connection is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    /// It ends when all has come.
    Last,
    /// Its end is said at any time: then it ends when all has come.
    Early,
    /// The server ends at once, at any time.
    Stopped,
}

#[derive(Clone, Copy)]
struct Scene {
    /// Somebody has put a frame and the mark, and is about to have it written: the task may do so before.
    late: Option<How>,
    /// Who puts frames for the connection, and how many each.
    producers: &'static [(How, u64)],
    /// Frames that the task reads and answers itself.
    own: u64,
    capacity: usize,
    over: Over,
}

/// What all threads of a scene have in common.
struct World {
    peer: Arc<Peer>,
    fake: Arc<Fake>,
    /// Frames that will still be put.
    engaged: AtomicU64,
    /// Frames that the task may read.
    readable: AtomicU64,
    is_stopped: AtomicBool,
}

impl World {
    /// As a step of a core does it: the frame lies in the outbox, then the mark is set. Whether somebody is to be woken.
    ///
    /// That less is under way then is noted in between. A core does so earlier or later; scenes of `connection` have that.
    fn put(&self, producer: u64, number: u64) -> bool {
        let port = PeerPort(Arc::clone(&self.peer));
        let header = Kind::Pong.header().value(producer << 32 | number);
        port.with(|o| o.ordered(Frame::new(Kind::Pong, header, Bytes::new())));
        self.engaged.fetch_sub(1, Ordering::AcqRel);
        port.mark()
    }

    fn produce(&self, how: How, producer: u64, number: u64) {
        if self.put(producer, number) {
            self.tell(how);
        }
    }

    fn tell(&self, how: How) {
        match how {
            Writes => drop(self.peer.write_news(NOW)),
            Wakes => self.peer.wake(),
        }
    }
}

/// The connection's task.
struct Writing {
    world: Arc<World>,
    socket: Plain<()>,
    batch: Batch,
    claimed: usize,
    /// Frames that it has answered itself.
    own: u64,
}

impl Writing {
    fn run(mut self) {
        let is_stopped = block_on(poll_fn(|cx| self.poll(cx)));
        let peer = Arc::clone(&self.world.peer);
        block_on(poll_fn(|cx| peer.poll_take_over(&mut self.batch, cx)));
        assert!(is_stopped || self.batch.is_empty(), "what was left is to be written before the end");
        peer.clear();
        block_on(poll_fn(|cx| {
            while !self.batch.is_empty() {
                if self.poll_socket(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        }));
    }

    /// Whether it was stopped, when it is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.world.is_stopped.load(Ordering::SeqCst) {
            return Poll::Ready(true);
        }
        loop {
            self.poll_write(cx);
            if self.world.readable.load(Ordering::SeqCst) == 0 {
                break;
            }
            self.world.readable.fetch_sub(1, Ordering::SeqCst);
            self.own += 1;
            if self.world.put(0, self.own) {
                self.world.peer.unmark();
            }
        }
        if self.is_finished() {
            return Poll::Ready(false);
        }
        if self.world.is_stopped.load(Ordering::SeqCst) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn is_finished(&self) -> bool {
        self.world.peer.is_ended()
            && self.world.engaged.load(Ordering::Acquire) == 0
            && self.batch.is_empty()
            && self.world.peer.is_all_written()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) {
        loop {
            if self.batch.is_empty() {
                if self.world.peer.is_quiet() {
                    return;
                }
                self.world.peer.claim(NOW, &mut self.batch, cx);
                self.claimed = self.batch.len();
                if self.batch.is_empty() {
                    return;
                }
            }
            if self.poll_socket(cx).is_pending() {
                self.world.peer.full();
                return;
            }
            if self.batch.is_empty() {
                self.world.peer.wrote(self.claimed);
            }
        }
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = self.batch.fill(&mut slices);
        Pin::new(&mut self.socket).poll_write_vectored(cx, &slices[..filled]).map(|written| {
            self.batch.advance(written.unwrap());
        })
    }
}

/// The far end: all frames come whole, once, and those of each producer in their order.
struct Far {
    world: Arc<World>,
    buffer: BytesMut,
    decoder: Decoder,
    /// How many came of each.
    came: Vec<u64>,
}

impl Far {
    /// Reads until so many frames have come, or the connection is closed.
    fn read(&mut self, all: u64) {
        while self.came.iter().sum::<u64>() < all {
            let bytes = self.world.fake.read();
            if bytes.is_empty() {
                break;
            }
            self.buffer.extend_from_slice(&bytes);
            while let Some(frame) = self.decoder.next(&mut self.buffer).unwrap() {
                let came = &mut self.came[(frame.header.value >> 32) as usize];
                *came += 1;
                assert_eq!(*came, frame.header.value & 0xffff_ffff, "frames come in order, each once");
            }
        }
    }
}

fn play(scene: Scene) {
    let fake = Fake::new(scene.capacity);
    let peer = Peer::new(ConnKey(1), Account::new(Budget::new(1 << 20)), Source::Unknown);
    let socket = Plain::fake((), &fake);
    peer.share(socket.writer());
    let all =
        u64::from(scene.late.is_some()) + scene.own + scene.producers.iter().map(|(_, frames)| frames).sum::<u64>();
    let world = Arc::new(World {
        peer,
        fake,
        // One more at the end.
        engaged: AtomicU64::new(all + u64::from(scene.over == Over::Last)),
        readable: AtomicU64::new(0),
        is_stopped: AtomicBool::new(false),
    });
    let is_marked = scene.late.map(|_| world.put(1, 1));
    let task = Writing { world: Arc::clone(&world), socket, batch: Batch::new(), claimed: 0, own: 0 };
    let task = thread::spawn(move || task.run());
    let mut others = Vec::new();
    if let Some(how) = scene.late {
        assert_eq!(is_marked, Some(true));
        let world = Arc::clone(&world);
        others.push(thread::spawn(move || world.tell(how)));
    }
    for (producer, &(how, frames)) in (2..).zip(scene.producers) {
        let world = Arc::clone(&world);
        others.push(thread::spawn(move || (1..=frames).for_each(|number| world.produce(how, producer, number))));
    }
    if scene.own > 0 {
        let world = Arc::clone(&world);
        others.push(thread::spawn(move || {
            for _ in 0..scene.own {
                world.readable.fetch_add(1, Ordering::SeqCst);
                // As the reading half wakes it.
                world.peer.rouse();
            }
        }));
    }
    match scene.over {
        Over::Last => {}
        Over::Early => {
            let world = Arc::clone(&world);
            others.push(thread::spawn(move || {
                world.peer.end();
                world.peer.wake();
            }));
        }
        Over::Stopped => {
            let world = Arc::clone(&world);
            others.push(thread::spawn(move || {
                world.is_stopped.store(true, Ordering::SeqCst);
                world.peer.rouse();
            }));
        }
    }
    let mut far = Far {
        world: Arc::clone(&world),
        buffer: BytesMut::new(),
        decoder: Decoder::new(Role::Server),
        came: vec![0; scene.producers.len() + 2],
    };
    far.read(all);
    if scene.over == Over::Last {
        assert_eq!(far.came.iter().sum::<u64>(), all);
        for other in others.drain(..) {
            other.join().unwrap();
        }
        // It isn't stuck: one more comes by itself.
        world.produce(Writes, 0, scene.own + 1);
        far.read(all + 1);
        world.peer.end();
        world.peer.wake();
    }
    far.read(u64::MAX);
    task.join().unwrap();
    for other in others {
        other.join().unwrap();
    }
    assert!(far.buffer.is_empty(), "no frame is cut off");
    let came = far.came.iter().sum::<u64>();
    match scene.over {
        Over::Last => assert_eq!(came, all + 1),
        Over::Early => assert_eq!(came, all),
        Over::Stopped => {}
    }
}

use How::{Wakes, Writes};

fn all(name: &str, scene: Scene) {
    explore(name, 2, 4_000, move || play(scene));
}

/// For larger ones.
fn most(name: &str, scene: Scene) {
    explore(name, 1, 10_000, move || play(scene));
}

const SCENE: Scene = Scene { late: None, producers: &[], own: 0, capacity: TIGHT, over: Over::Last };

#[test]
fn what_is_written_in_the_place_of_a_task_arrives() {
    all("two write", Scene { producers: &[(Writes, 1), (Writes, 1)], ..SCENE });
    all("late to write", Scene { late: Some(Writes), producers: &[(Writes, 1)], ..SCENE });
    most("two write, one is late", Scene { late: Some(Writes), producers: &[(Writes, 1), (Writes, 1)], ..SCENE });
}

#[test]
fn what_a_task_is_woken_for_arrives() {
    all("late to wake", Scene { late: Some(Wakes), producers: &[(Writes, 1)], ..SCENE });
    all("late to wake, never full", Scene { late: Some(Wakes), producers: &[(Writes, 1)], capacity: WIDE, ..SCENE });
    all("one wakes, one is late", Scene { late: Some(Writes), producers: &[(Wakes, 2)], ..SCENE });
}

#[test]
fn what_others_write_arrives_while_the_task_reads_and_answers() {
    let scene = Scene { producers: &[(Writes, 1), (Wakes, 1)], own: 1, ..SCENE };
    all("the task answers", scene);
    all("the task answers, never full", Scene { capacity: WIDE, ..scene });
    most("the task answers, one is late", Scene { late: Some(Writes), producers: &[(Writes, 1)], own: 1, ..SCENE });
}

#[test]
fn an_end_that_is_said_at_any_time_is_noticed_once_all_is_written() {
    let scene = Scene { late: Some(Writes), producers: &[(Writes, 1)], over: Over::Early, ..SCENE };
    all("it ends", scene);
    all("it ends, never full", Scene { capacity: WIDE, ..scene });
    most("it ends, late to wake", Scene { late: Some(Wakes), ..scene });
}

#[test]
fn a_stop_at_any_time_ends_it_and_cuts_no_frame_off() {
    let scene = Scene { late: Some(Writes), producers: &[(Writes, 1)], over: Over::Stopped, ..SCENE };
    all("it is stopped", scene);
    all("it is stopped, never full", Scene { capacity: WIDE, ..scene });
    most("it is stopped, late to wake", Scene { late: Some(Wakes), ..scene });
}
