//! A request from its head to the end of its response.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, header};
use bytes::Bytes;
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http_body::Body as _;

use super::intake::Upload;
use super::tunnel::{OnTunnel, Tunnel};
use crate::connection::{self, Caller};

/// Has a request answered. A client that resets it cancels it, for the future of its answer is dropped.
pub(super) async fn answer(router: Router, caller: Caller, request: Request<Upload>, mut reply: SendResponse<Bytes>) {
    let (mut parts, upload) = request.into_parts();
    let (body, tunnel) = if parts.extensions.get::<Protocol>().is_some() {
        let (hand_over, wanted) = OnTunnel::new();
        parts.extensions.insert(wanted);
        (Body::empty(), Some((hand_over, upload)))
    } else {
        (Body::new(upload), None)
    };
    let mut answering = pin!(connection::answer(router, caller, Request::from_parts(parts, body), false));
    let answered = poll_fn(|cx| match answering.as_mut().poll(cx) {
        Poll::Pending if reply.poll_reset(cx).is_ready() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
        Poll::Ready(Ok(response)) => Poll::Ready(Some(response)),
    });
    let Some(response) = answered.await else { return };
    let (mut parts, body) = response.into_parts();
    complete(&mut parts.headers);
    let is_success = parts.status.is_success();
    let is_whole = body.is_end_stream();
    if let Some(length) = body.size_hint().exact().filter(|_| !is_whole && tunnel.is_none()) {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    let head = axum::http::Response::from_parts(parts, ());
    let tunnel = tunnel.filter(|_| is_success);
    let stream = match reply.send_response(head, is_whole && tunnel.is_none()) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "a response of HTTP/2 can't be sent");
            return reply.send_reset(Reason::INTERNAL_ERROR);
        }
    };
    if let Some((hand_over, upload)) = tunnel {
        // If nobody waits for it, it ends here.
        let _ = hand_over.send(Tunnel::new(stream, upload));
    } else if !is_whole {
        send(body, stream).await;
    }
}

/// What every response has, and what none may have.
fn complete(headers: &mut HeaderMap) {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE] {
        headers.remove(name);
    }
    let now = httpdate::fmt_http_date(SystemTime::now());
    if let Ok(now) = HeaderValue::try_from(now) {
        headers.entry(header::DATE).or_insert(now);
    }
}

/// Sends a body, piece by piece as there is room. One that fails resets the stream: what was cut off never looks complete.
async fn send(mut body: Body, mut stream: SendStream<Bytes>) {
    loop {
        let next = poll_fn(|cx| match stream.poll_reset(cx) {
            Poll::Ready(_) => Poll::Ready(None),
            Poll::Pending => Pin::new(&mut body).poll_frame(cx).map(Some),
        });
        let frame = match next.await {
            None => return,
            Some(None) => return drop(stream.send_data(Bytes::new(), true)),
            Some(Some(Err(error))) => {
                tracing::debug!(%error, "a response of HTTP/2 is broken off");
                return stream.send_reset(Reason::INTERNAL_ERROR);
            }
            Some(Some(Ok(frame))) => frame,
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                let Ok(trailers) = frame.into_trailers() else { continue };
                return drop(stream.send_trailers(trailers));
            }
        };
        let is_last = body.is_end_stream();
        if !data.is_empty() {
            // No more than this: what is reserved for a stream is taken from the others.
            stream.reserve_capacity(1);
            if !poll_fn(|cx| poll_room(&mut stream, cx)).await {
                return;
            }
        }
        if stream.send_data(data, is_last).is_err() || is_last {
            return;
        }
    }
}

/// Waits for room for a byte of what was reserved; whether there will ever be some.
pub(super) fn poll_room(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<bool> {
    if stream.poll_reset(cx).is_ready() {
        return Poll::Ready(false);
    }
    while stream.capacity() == 0 {
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Poll::Ready(false),
        }
    }
    Poll::Ready(true)
}
