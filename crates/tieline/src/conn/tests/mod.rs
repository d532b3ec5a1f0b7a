//! With nothing open, nothing is left: no entry, no lane, no place taken.

mod growth;

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tieline_protocol::outbox::Batch;
use tieline_protocol::{
    ChannelId, ClientId, Code, ExchangeId, Fault, Flags, Frame, Kind, Metadata, RequestId, StartLimits, StartPayload,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::driver::drive;
use super::state::Loss;
use super::{Conn, Greeting, NewSend, SendLink};
use crate::receive::core::Core;

const PLACES: usize = 16 * 1024;

/// A body that is longer than the initial window.
static LONG: [u8; 100_000] = [7; 100_000];

/// A connection that the server has greeted.
fn greeted() -> Arc<Conn> {
    let conn = Conn::new(&Greeting { metadata: Metadata::new(), window: 1 << 20 }).unwrap();
    let mut header = Kind::HelloAnswer.header();
    header.client = conn.step(|state, _| state.session.client());
    take_in(&conn, Frame::new(Kind::HelloAnswer, header, Bytes::new()));
    conn
}

fn take_in(conn: &Conn, frame: Frame) {
    conn.step(|state, fx| state.take_in(frame, fx)).unwrap();
}

/// Writes all that waits.
fn write(conn: &Conn) {
    let mut batch = Batch::new();
    loop {
        conn.step(|state, _| state.outbox.claim(&mut batch));
        if batch.is_empty() {
            return;
        }
        batch.drain();
        conn.step(|state, _| state.outbox.written());
    }
}

async fn send(conn: &Arc<Conn>, body: &'static [u8], is_complete: bool) -> SendLink {
    let place = conn.place().await.unwrap();
    let new = NewSend {
        channel: ChannelId::of_name("x"),
        metadata: Metadata::new(),
        flags: Flags::NONE,
        limits: StartLimits::default(),
        body: Bytes::from_static(body),
        is_complete,
        place,
    };
    conn.open_send(new).unwrap()
}

fn of_exchange(kind: Kind, id: ExchangeId, flags: Flags, payload: Bytes) -> Frame {
    let mut header = kind.header().exchange(id);
    header.flags |= flags;
    Frame::new(kind, header, payload)
}

fn response(conn: &Conn, link: &SendLink, flags: Flags) -> Frame {
    let client = conn.step(|state, _| state.session.client());
    let id = ExchangeId { client, request: link.request(), channel: ChannelId::of_name("x") };
    of_exchange(Kind::StartResponse, id, flags, StartPayload::join(&Metadata::new(), b"body"))
}

#[track_caller]
fn assert_nothing_is_left(conn: &Conn) {
    conn.step(|state, _| {
        assert_eq!((state.open, state.sends.len(), state.takes.len(), state.receives.len()), (0, 0, 0, 0));
        assert_eq!((state.outbox.lanes(), state.outbox.body_waiting()), (0, 0));
    });
    assert_eq!(conn.permits.available_permits(), PLACES);
}

/// Polls a driver once; all that it has written so far.
fn poll_driver(driver: &mut (impl Future<Output = ()> + Unpin), wire: &Writes) -> Vec<usize> {
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(driver).poll(&mut cx).is_pending());
    wire.0.lock().unwrap().clone()
}

/// A socket from which nothing comes, and which notes the length of each write.
#[derive(Clone, Default)]
struct Writes(Arc<Mutex<Vec<usize>>>);

impl AsyncRead for Writes {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Writes {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().push(bytes.len());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_becomes_ready_together_leaves_in_one_write_and_a_request_alone_at_once() {
    let conn = greeted();
    write(&conn);
    let wire = Writes::default();
    let mut driver = pin!(drive(wire.clone(), Arc::clone(&conn)));
    let alone = send(&conn, b"alone", true).await;
    let writes = poll_driver(&mut driver, &wire);
    assert_eq!(writes.len(), 1, "it has nobody to wait for");

    let _second = send(&conn, b"second", true).await;
    assert_eq!(poll_driver(&mut driver, &wire), writes, "others may have something to send");
    let _third = send(&conn, b"third", true).await;
    let (many, last) = (poll_driver(&mut driver, &wire), writes[0] * 2);
    assert_eq!(many.len(), 2, "both left at once");
    assert!(many[1] >= last, "{many:?}");

    // The program's wish to end waits for nobody.
    drop(alone);
    conn.kill();
    assert!(driver.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

#[tokio::test]
async fn nothing_is_left_of_a_request_that_was_answered() {
    let conn = greeted();
    let link = send(&conn, b"whole", true).await;
    write(&conn);
    take_in(&conn, response(&conn, &link, Flags::FINAL));
    drop(link);
    assert_nothing_is_left(&conn);
}

#[tokio::test]
async fn nothing_is_left_of_a_request_that_was_answered_early() {
    let conn = greeted();
    let link = send(&conn, &LONG, true).await;
    write(&conn);
    // A grant puts more of the body into the outbox than is ever written.
    let mut ack = response(&conn, &link, Flags::NONE).header;
    ack = Kind::AckRequest.header().exchange(ack.exchange_id()).value(1 << 20);
    take_in(&conn, Frame::new(Kind::AckRequest, ack, Bytes::new()));
    take_in(&conn, response(&conn, &link, Flags::FINAL));
    drop(link);
    assert_nothing_is_left(&conn);
}

#[tokio::test]
async fn nothing_is_left_of_requests_that_were_cancelled() {
    let conn = greeted();
    // One that never left.
    drop(send(&conn, b"", true).await);
    assert_nothing_is_left(&conn);
    // And one that did: the server has the last word.
    let link = send(&conn, b"begun", false).await;
    write(&conn);
    let answer = response(&conn, &link, Flags::FINAL);
    drop(link);
    write(&conn);
    assert_eq!(conn.permits.available_permits(), PLACES - 1);
    take_in(&conn, answer);
    assert_nothing_is_left(&conn);
}

#[tokio::test]
async fn nothing_is_left_of_requests_that_were_taken() {
    let conn = greeted();
    let core = Core::new("x".into(), Metadata::new(), 4);
    assert!(conn.attach(&core));
    let id = |number| ExchangeId {
        client: ClientId::from_u128(9),
        request: RequestId::from_u128(number),
        channel: ChannelId::of_name("x"),
    };
    for number in 1..=4 {
        let payload = StartPayload::join(&Metadata::new(), b"body");
        take_in(&conn, of_exchange(Kind::StartRequest, id(number), Flags::NONE, payload));
    }
    // One is dropped, one is cancelled in hand, one before it was taken, and one returned.
    let first = Arc::clone(&conn).hand_over(id(1), false).unwrap();
    let second = Arc::clone(&conn).hand_over(id(2), true).unwrap();
    drop(first);
    for number in [2, 3] {
        let payload = Fault::new(Code::Cancelled).encode();
        take_in(&conn, of_exchange(Kind::ErrorRequest, id(number), Flags::NONE, payload));
    }
    drop(second);
    core.close();
    write(&conn);
    take_in(&conn, Frame::new(Kind::EndReceive, Kind::EndReceive.header().channel(core.channel()), Bytes::new()));
    assert_nothing_is_left(&conn);
}

#[tokio::test]
async fn lost_connection_keeps_only_what_programs_still_hold() {
    let conn = greeted();
    let core = Core::new("x".into(), Metadata::new(), 4);
    assert!(conn.attach(&core));
    let mut link = send(&conn, b"", true).await;
    write(&conn);
    conn.step(|state, fx| state.lose(Loss::Lost("for good".to_owned()), fx));
    assert!(matches!(link.poll_head(&Context::from_waker(Waker::noop())), Poll::Ready(Err(_))));
    assert_eq!(conn.step(|state, _| (state.sends.len(), state.receives.len(), state.open)), (1, 0, 0));
    drop(link);
    assert_nothing_is_left(&conn);
    assert!(conn.place().await.is_none(), "nothing is started here any more");
}
