//! One connection: which HTTP it speaks, its clocks, its drain, and its end.

use std::io;
use std::pin::pin;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use bytes::{Bytes, BytesMut};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tieline_protocol::limits::{LINGER, LINGER_BYTES};
use tieline_server::{HTTP_BUFFER, Source, Stop};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::body;
use crate::config::Clocks;
use crate::crowd::Place;
use crate::http2;
use crate::refusal::{OwnError, SLOW, TLS_WANTED};
use crate::wire::Wire;

/// What an HTTP/2 client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The head of a request (HTTP/1.1) and what is buffered of either body, in bytes, at most.
pub(crate) const BUFFER: usize = HTTP_BUFFER as usize;

/// Whom a connection is with. Whoever keeps a clone keeps the connection's place.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) source: Source,
    pub(crate) is_tls: bool,
    pub(crate) clocks: Clocks,
    pub(crate) place: Place,
}

/// Serves one connection until it is over.
pub(crate) async fn serve<S>(mut io: S, caller: Caller, router: Router, stop: Stop)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let clocks = caller.clocks;
    let front = tokio::select! {
        front = timeout(clocks.head, sniff(&mut io)) => front,
        () = stop.wait_drain() => return,
    };
    // Else nothing came, or too little to tell what it is.
    let Ok(Ok(front)) = front else { return };
    let is_http2 = front[..] == *PREFACE;
    // What speaks HTTP/2 reads 8 KiB at once, what speaks HTTP/1.1 as much as there is.
    let read_ahead = if is_http2 { BUFFER } else { 0 };
    let wire = Wire::new(io, front, clocks.stall, read_ahead);
    let is_slow = if is_http2 {
        http2::serve(wire.clone(), caller, router, stop).await;
        false
    } else {
        serve_http1(wire.clone(), caller, router, stop).await
    };
    // Somebody else has it: a WebSocket.
    let Some((io, is_asked)) = wire.take_back() else { return };
    // Whatever happens here, the connection is over.
    let _ = timeout(LINGER, part(io, (is_slow && is_asked).then_some(SLOW))).await;
}

/// Sees to it that TLS is spoken; whoever speaks plain HTTP is told so.
pub(crate) async fn see_tls(stream: TcpStream, clocks: Clocks) -> Option<TcpStream> {
    let mut first = [0];
    match timeout(clocks.head, stream.peek(&mut first)).await {
        // The first byte of TLS.
        Ok(Ok(1..)) if first[0] == 22 => Some(stream),
        Ok(Ok(1..)) => {
            let _ = timeout(LINGER, part(stream, Some(TLS_WANTED))).await;
            None
        }
        _ => None,
    }
}

/// Reads until it is clear which protocol is spoken; what was read.
async fn sniff<S: AsyncRead + Unpin>(io: &mut S) -> io::Result<Bytes> {
    let mut front = BytesMut::with_capacity(PREFACE.len());
    while front.len() < PREFACE.len() && PREFACE.starts_with(&front) {
        let left = PREFACE.len() - front.len();
        if io.take(left as u64).read_buf(&mut front).await? == 0 {
            break;
        }
    }
    Ok(front.freeze())
}

/// Whether it ended because the head of a request didn't come in time.
async fn serve_http1<S>(wire: Wire<S>, caller: Caller, router: Router, stop: Stop) -> bool
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(caller.clocks.head).max_buf_size(BUFFER);
    let is_ending = stop.clone();
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let request = request.map(Body::new);
        let is_last = is_ending.is_draining();
        answer(router.clone(), caller.clone(), request, is_last)
    });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(wire), service).with_upgrades());
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stop.wait_drain() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    ended.is_err_and(|error| error.is_timeout())
}

/// Has the router answer a request.
pub(crate) async fn answer(
    router: Router,
    caller: Caller,
    mut request: Request,
    is_last: bool,
) -> Result<axum::response::Response, std::convert::Infallible> {
    use hyper_util::service::TowerToHyperService;
    let place = caller.place.clone();
    request.extensions_mut().insert(caller);
    let mut response = hyper::service::Service::call(&TowerToHyperService::new(router), request).await?;
    if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| body::holding(body, place)))
}

/// Closes a connection so that what was said arrives: closing with unread bytes would reset it.
async fn part<S: AsyncRead + AsyncWrite + Unpin>(mut io: S, last_words: Option<OwnError>) -> io::Result<()> {
    if let Some(error) = last_words {
        let status = StatusCode::from_u16(error.status).unwrap_or_default();
        let (name, sentence) = (error.name, error.sentence);
        let head = format!(
            "HTTP/1.1 {status}\r\ntieline-error: {name}\r\ntieline-outcome: unstarted\r\n\
             content-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{sentence}\n",
            sentence.len() + 1,
        );
        io.write_all(head.as_bytes()).await?;
    }
    io.shutdown().await?;
    let mut left = LINGER_BYTES;
    let mut waste = [0; 4096];
    while left > 0 {
        let read = io.read(&mut waste).await?;
        if read == 0 {
            break;
        }
        left = left.saturating_sub(read as u64);
    }
    Ok(())
}
