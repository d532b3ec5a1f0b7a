//! Two ends against each other: clients of the real library, each over a stream in memory, and a server made of the
//! real session, core and outboxes. On some of the streams somebody in the middle changes what passes, frame by frame
//! or bit by bit, in either direction.
//!
//! So each end meets a peer that breaks any rule. Whatever comes, nobody panics or hangs, all that programs wait for
//! ends within its time, the core's invariants hold after every step, nothing is left at the end, and a bystander on
//! a stream of its own notices nothing. Time is virtual.

mod link;
mod programs;
mod server;

use std::cell::Cell;
use std::sync::Once;
use std::time::Duration;

use tieline::Client;
use tokio::io::DuplexStream;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::input::Input;
use link::{Meddler, Meddling};
use programs::Plan;
use server::Server;

/// All programs together end within this, or something hangs. Each of their requests has a time-out far below it.
const PATIENCE: Duration = Duration::from_hours(1);

/// A client dials so often at most; then there is no server any more.
const DIALS: usize = 4;

/// Bytes that a stream holds in each direction.
const PIPE: usize = 64 * 1024;

/// Who is at the other end of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Who {
    Sender,
    Receiver,
    Bystander,
}

/// The first byte says on which streams somebody meddles, the next seven what programs do; the rest is the meddling.
///
/// # Panics
/// If an end panics, hangs, leaves something behind or hurts the bystander.
pub fn run(data: &[u8]) {
    watch_panics();
    PANICKED.set(false);
    let mut input = Input::new(data);
    let streams = input.byte();
    let plan = Plan::read(&mut input);
    let meddler = Meddler::new(input.rest());
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async {
        let played = timeout(PATIENCE, play(streams, plan, meddler)).await;
        assert!(played.is_ok(), "somebody hangs");
    });
    drop(runtime);
    assert!(!PANICKED.get(), "a task panicked");
}

async fn play(streams: u8, plan: Plan, meddler: Meddler) {
    let is_quiet = meddler.is_spent();
    let server = Server::new();
    let (dialled, mut accepted) = mpsc::unbounded_channel();
    let accepting = {
        let (server, meddler) = (server.clone(), meddler.clone());
        tokio::task::spawn_local(async move {
            while let Some((who, stream)) = accepted.recv().await {
                let (inward, outward) = match who {
                    Who::Sender => (streams & 1 != 0, streams & 2 != 0),
                    Who::Receiver => (streams & 4 != 0, streams & 8 != 0),
                    Who::Bystander => (false, false),
                };
                let meddling = |meddles: bool| Meddling::new(meddles.then(|| meddler.clone()));
                server.accept(stream, meddling(inward), meddling(outward));
            }
        })
    };
    let clock = tokio::task::spawn_local(server.clone().keep_time());

    let [sender, receiver, bystander] =
        [Who::Sender, Who::Receiver, Who::Bystander].map(|who| client(who, dialled.clone()));
    let receiving = tokio::spawn(programs::receive(receiver.clone(), plan));
    let standing_by = tokio::spawn(programs::stand_by(bystander.clone()));
    let answered = programs::send(&sender, plan).await;
    // Where nobody meddled, all must have gone well.
    assert!(!is_quiet || plan.may_fail() || answered == plan.requests(), "{answered} of {plan:?}");
    let stood_by = standing_by.await;
    assert!(stood_by.is_ok(), "the bystander was hurt");

    for client in [&sender, &receiver, &bystander] {
        // Who waits for an end that somebody took away waits as long as the server lives.
        let closed = timeout(Duration::from_mins(1), client.close()).await;
        assert!(closed.is_ok() || !is_quiet);
        client.close_now();
    }
    receiving.abort();
    let _ = receiving.await;
    accepting.abort();
    clock.abort();
    server.end();
}

/// A client over streams in memory. It isn't connected yet.
fn client(who: Who, dialled: mpsc::UnboundedSender<(Who, DuplexStream)>) -> Client {
    let dials = std::sync::atomic::AtomicUsize::new(0);
    Client::builder()
        .server("in memory")
        .transport(move || {
            let (ours, theirs) = tokio::io::duplex(PIPE);
            let again = dials.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < DIALS;
            let sent = again && dialled.send((who, theirs)).is_ok();
            async move { if sent { Ok(ours) } else { Err(std::io::ErrorKind::ConnectionRefused.into()) } }
        })
        .window(64 * 1024)
        .build()
        .expect("a client")
}

thread_local! {
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// A runtime keeps panics of its tasks to itself; here each of them is a finding.
fn watch_panics() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICKED.set(true);
            before(info);
        }));
    });
}
