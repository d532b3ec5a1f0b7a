//! A connection of HTTP/2. What comes of bodies is taken from `h2` at once, a turn's worth at a time, and kept in blocks:
//! there, each frame costs hundreds of bytes and the read buffer that it lies in, however small it is. The window is
//! given back when the consumer takes a block, so a body costs what its window says, and no frame is too small.
//!
//! | module | what it holds |
//! |---|---|
//! | [`blocks`] | what came of a body, side by side |
//! | [`intake`] | both ends of that: from `h2`, and as a body |
//! | [`heart`] | asks whether the client is there |
//! | [`stream`] | a request from its head to the end of its response |
//! | [`tunnel`] | a stream as a stream of bytes, for WebSockets |

mod blocks;
mod heart;
mod intake;
mod stream;
mod tunnel;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use h2::RecvStream;
use h2::server::{Builder, Connection, SendResponse};
use tieline_server::{HTTP2_TURN, HTTP2_WINDOW, Stop};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::connection::{BUFFER, Caller};
use crate::wire::Wire;
use heart::Heart;
use intake::{Intake, Woken, intake};
pub(crate) use tunnel::OnTunnel;

/// Requests at once on one connection.
const STREAMS: u32 = 64;

/// What is taken of one body before it is wanted, in bytes: so much that a client sends on while what it sent before is on
/// its way through.
const WINDOW: u32 = HTTP2_WINDOW as u32;

/// Headers of a request, as many as HTTP/1.1 may have: short ones take far more memory than they are long.
const HEADERS: usize = 100;

/// Turns until others of this thread have theirs.
const TURNS: usize = 32;

/// Serves one connection until it is over.
pub(crate) async fn serve<S>(wire: Wire<S>, caller: Caller, router: Router, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS)
        // For WebSockets beside requests (RFC 8441).
        .enable_connect_protocol()
        .initial_window_size(WINDOW)
        // Enough for all streams, so that none waits for another's consumer.
        .initial_connection_window_size(STREAMS * WINDOW)
        .max_send_buffer_size(BUFFER)
        .max_header_list_size(BUFFER as u32);
    let clocks = caller.clocks;
    let greeting = timeout(clocks.head, builder.handshake::<_, Bytes>(wire.clone()));
    let Ok(Ok(mut connection)) = greeting.await else { return };
    let heart = connection.ping_pong().map(|ping| Heart::new(ping, clocks.head));
    let place = caller.place.clone();
    let mut serving =
        Serving { connection, wire, bodies: FuturesUnordered::new(), woken: Woken::default(), heart, caller, router };
    let mut ending = pin!(async {
        tokio::select! {
            // An idle connection of HTTP/1.1 ends as one whose head doesn't come.
            () = place.idles(clocks.idle) => {}
            () = stop.wait_drain() => {}
        }
    });
    let mut is_ending = false;
    let ended = poll_fn(|cx| {
        if !is_ending && ending.as_mut().poll(cx).is_ready() {
            is_ending = true;
            serving.connection.graceful_shutdown();
        }
        let polled = serving.poll(cx);
        serving.woken.wake();
        polled
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, "a connection of HTTP/2 broke");
    }
}

struct Serving<S> {
    connection: Connection<Wire<S>, Bytes>,
    wire: Wire<S>,
    /// What takes the bodies of requests.
    bodies: FuturesUnordered<Intake>,
    /// The consumers that have something to take of them.
    woken: Woken,
    heart: Option<Heart>,
    caller: Caller,
    router: Router,
}

impl<S> Serving<S>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    /// In turns: a little is read, then what came of bodies is taken. So no more than a turn ever waits in `h2`.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        let came = self.wire.came();
        if self.heart.as_mut().is_some_and(|heart| heart.poll_stopped(cx, came)) {
            self.connection.abrupt_shutdown(h2::Reason::NO_ERROR);
        }
        let mut begun = 0;
        for _ in 0..TURNS {
            self.wire.begin_turn(HTTP2_TURN as usize);
            loop {
                match self.connection.poll_accept(cx) {
                    Poll::Ready(Some(Ok((request, reply)))) => {
                        begun += 1;
                        self.begin(request, reply);
                    }
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(None) => return Poll::Ready(Ok(())),
                    Poll::Pending => break,
                }
            }
            while let Poll::Ready(Some(())) = self.bodies.poll_next_unpin(cx) {}
            if !self.wire.is_turn_over() {
                return Poll::Pending;
            }
            // Requests that were reset are to be over before others take their places.
            if begun >= STREAMS {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn begin(&mut self, request: Request<RecvStream>, mut reply: SendResponse<Bytes>) {
        let (parts, body) = request.into_parts();
        if parts.headers.len() > HEADERS {
            // Without words, as over HTTP/1.1. If it can't be sent, nobody is there to read it.
            let mut refusal = Response::new(());
            *refusal.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            let _ = reply.send_response(refusal, true);
            return;
        }
        let (taking, body) = intake(body, self.woken.clone());
        self.bodies.push(taking);
        let request = Request::from_parts(parts, body);
        tokio::spawn(stream::answer(self.router.clone(), self.caller.clone(), request, reply));
    }
}
