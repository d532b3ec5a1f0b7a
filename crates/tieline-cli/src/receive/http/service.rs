//! A request's way through the service.
//!
//! ```text
//!                         status 2xx          its body ends as announced
//!  connecting ───▶ asking ──────────▶ answering ───────────────────────▶ the response ends
//!      │             │ other status       │ it doesn't
//!      ▼             ▼                    ▼
//!  the request     the response fails, with what is known of why
//!  is given back
//! ```
//!
//! At any time the request may be over for another reason: then the connection is closed, which tells the service.
//! Each request has a connection of its own, so that what finds none was certainly not seen by the service.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, Method, Response, Version};
use hyper_util::rt::TokioIo;
use tieline::{
    Code, Fault, Metadata, Request, RequestBody, RequestId, Responder, ResponseWriter, TlsOptions, TlsTrouble,
};
use tieline_protocol::trace::TRACEPARENT;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::args::ServiceArgs;
use super::body::Up;
use super::pace::{LONGEST, Pace};
use super::{Taking, added, connecting, headers};
use crate::exit::Failure;
use crate::otel::Otel;
use crate::terminal::{say, short};
use crate::tls;
use crate::trace::Position;
use crate::units::Size;
use crate::web::{Dialer, NoConnection, Stream, Url};

/// How much of the body of a status that isn't 2xx goes to the sender, in bytes. (An error's frame keeps the end of a detail
/// that is too long for it; here the beginning matters.)
const DETAIL: usize = 768;

/// How long that is waited for.
const DETAIL_WITHIN: Duration = Duration::from_secs(2);

/// A service that answers a channel's requests.
pub(crate) struct Service {
    channel: String,
    dialer: Dialer,
    method: Method,
    buffer: Option<u64>,
    trusts_close: bool,
    /// What each request has beside its own headers.
    added: HeaderMap,
    /// Set when requests must end at once.
    now: CancellationToken,
    otel: Otel,
}

/// A response that has begun, with the task that moves its bytes.
struct Begun {
    response: Response<Incoming>,
    /// Dropping it closes the connection.
    _connection: JoinSet<()>,
}

impl Service {
    /// The service at `url`, as it was asked for.
    ///
    /// # Errors
    /// If what is said of TLS, or the file of headers, can't be used.
    pub(crate) fn new(
        channel: &str,
        url: Url,
        args: &ServiceArgs,
        now: CancellationToken,
        otel: Otel,
    ) -> Result<Self, Failure> {
        let tls = args.http_ca.as_ref().map(|file| TlsOptions::new().authority_file(file));
        Ok(Self {
            channel: channel.to_owned(),
            dialer: Dialer::new(url, tls)?,
            method: args.method.clone(),
            buffer: args.buffer.map(|size| size.0),
            trusts_close: args.trust_close,
            added: args.http_header_file.as_deref().map(added::read).transpose()?.unwrap_or_default(),
            now,
            otel,
        })
    }

    /// Waits until the service can be connected to.
    ///
    /// # Errors
    /// If the service and this side don't trust each other.
    pub(super) async fn is_there(&self, pace: Pace) -> Result<(), Failure> {
        let url = self.dialer.url();
        let is_steady = pace.row(Instant::now()) < 2;
        let absent = |error: &NoConnection| {
            if is_steady {
                say(format!("{}  waiting for {url}: {error}", self.channel));
            }
        };
        connecting::until_it_can(&self.dialer, absent).await.map_err(|(trouble, reason)| {
            let failure = tls::refused(&url.to_string(), &reason, "");
            match trouble {
                TlsTrouble::UnknownAuthority => failure.line("trust its authority:  --http-ca FILE"),
                _ => failure,
            }
        })
    }

    /// Answers one request, or gives it back if the service can't be connected to.
    pub(super) async fn answer(&self, request: Request, taking: &Taking) {
        let connected = tokio::select! {
            connected = self.dialer.connect() => connected,
            over = request.cancelled() => return self.note(request.id(), &over.message),
            over = self.told_to_end() => Err(NoConnection::Yet(over.message)),
        };
        match connected {
            Ok(stream) => self.answer_over(stream, request).await,
            Err(error) => self.give_back(request, &error, taking).await,
        }
    }

    /// The service has seen nothing of the request, so that somebody else may take it.
    async fn give_back(&self, request: Request, error: &NoConnection, taking: &Taking) {
        if !taking.stop.is_cancelled() {
            taking.stop.cancel();
            let (channel, url) = (&self.channel, self.dialer.url());
            match taking.pace.row(Instant::now()) {
                0 => say(format!("{channel}  {url} can't be reached: {error}; taking no more until it can")),
                1 => {
                    let most = LONGEST.as_secs();
                    say(format!(
                        "{channel}  {url} comes and goes: {error}; taking one now and then, after pauses of up to {most} s"
                    ));
                }
                _ => {}
            }
        }
        self.note(request.id(), "given back: the service has seen nothing of it");
        // One that is over needs nobody.
        let _ = request.give_back().await;
    }

    async fn answer_over(&self, stream: Box<dyn Stream>, request: Request) {
        let id = request.id();
        let traced = self.otel.processing(&self.channel, Position::of_request(&request));
        let mut head = self.head(&request);
        if let Some(Ok(own)) = traced.own().map(|own| HeaderValue::from_bytes(&own.to_bytes())) {
            head.insert(TRACEPARENT, own);
        }
        let (body, responder) = request.into_parts();
        let begun = tokio::select! {
            begun = self.ask(stream, head, body) => begun,
            over = responder.cancelled() => Err(over),
            over = self.told_to_end() => Err(over),
        };
        let told = match begun {
            Ok(begun) => self.pass_on(begun, responder).await,
            Err(fault) => Err((fault, responder.writer())),
        };
        let mut failed = None;
        if let Err((fault, writer)) = told {
            let after = match writer.bytes_sent() {
                0 => String::new(),
                bytes => format!(", after {} of response", Size(bytes)),
            };
            let fault = Fault { message: format!("{}{after}", fault.message), ..fault };
            self.note(id, &fault.message);
            // If the request is over for another reason, its sender knows.
            let _ = writer.fail_with(fault.clone()).await;
            failed = Some(fault);
        }
        traced.processed(id, failed.as_ref());
    }

    /// The request's headers.
    fn head(&self, request: &Request) -> HeaderMap {
        let mut head = HeaderMap::new();
        headers::write(request.metadata(), &mut head);
        head.insert(header::HOST, self.dialer.url().authority.clone());
        head.insert(header::USER_AGENT, HeaderValue::from_static(concat!("tieline/", env!("CARGO_PKG_VERSION"))));
        // What else the request has is its own, and isn't among them. Each name's own values are in place of what stands
        // there; several of one name are all kept.
        head.extend(self.added.clone());
        let remaining = request.remaining().map(|left| format!("{}ms", left.as_millis()));
        let facts = [
            ("tieline-channel", Some(self.channel.clone())),
            ("tieline-request-id", Some(request.id().to_string())),
            ("tieline-timeout", remaining),
        ];
        for (name, value) in facts {
            // A channel's name may hold what a header can't.
            if let Some(Ok(value)) = value.map(HeaderValue::try_from) {
                head.insert(name, value);
            }
        }
        head
    }

    /// Sends the request to the service, up to the beginning of a response that is one.
    async fn ask(&self, stream: Box<dyn Stream>, head: HeaderMap, body: RequestBody) -> Result<Begun, Fault> {
        let up = Up::read(body, self.buffer).await.map_err(|error| failed(error.to_string()))?;
        let lost = |error: hyper::Error| failed(format!("the service gave no response: {}", words(&error)));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        let mut moving = JoinSet::new();
        moving.spawn(async move {
            // How it ended is told where the response is read.
            let _ = connection.await;
        });
        let length = up.length();
        let mut request = hyper::Request::new(up);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.dialer.url().path.clone();
        *request.headers_mut() = head;
        match length {
            // Also of an empty body, of which nothing would be said.
            Some(length) => request.headers_mut().insert(header::CONTENT_LENGTH, length.into()),
            // Also with a method that seldom has a body: unsaid, that of a GET would be left out.
            None => request.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked")),
        };
        let response = sender.send_request(request).await.map_err(lost)?;
        if length.is_none() && response.version() == Version::HTTP_10 && response.status().is_success() {
            return Err(failed(
                "the service speaks HTTP/1.0, which knows no chunks, so it can't have read the request (--buffer SIZE \
                 gives one a length)",
            ));
        }
        let begun = Begun { response, _connection: moving };
        self.judge(begun).await
    }

    /// Whether what the service says is a response to be passed on.
    async fn judge(&self, begun: Begun) -> Result<Begun, Fault> {
        let status = begun.response.status();
        if !status.is_success() {
            let fault = failed(format!("the service answered with status {status}"));
            let detail = timeout(DETAIL_WITHIN, beginning(begun.response.into_body())).await.unwrap_or_default();
            return Err(if detail.is_empty() { fault } else { fault.with_detail(detail) });
        }
        if !self.trusts_close && self.method != Method::HEAD && ends_with_the_connection(&begun.response) {
            return Err(failed(
                "the service's response has neither a length nor chunks, so its end can't be told from the service's \
                 death (--trust-close takes it as it is)",
            ));
        }
        Ok(begun)
    }

    /// Passes the response on, as it comes.
    async fn pass_on(&self, begun: Begun, responder: Responder) -> Result<(), (Fault, ResponseWriter)> {
        let Begun { response, _connection } = begun;
        let (head, mut body) = response.into_parts();
        let metadata = match headers::read(&head.headers) {
            Ok(metadata) => metadata,
            Err(error) => return Err((failed(format!("the headers of the response: {error}")), responder.writer())),
        };
        let mut writer = responder.metadata(metadata).writer();
        match self.copy(&mut body, &mut writer).await {
            Ok(trailer) => {
                if let Err(error) = writer.finish_with(trailer).await {
                    say(format!("{}  {error}", self.channel));
                }
                Ok(())
            }
            Err(fault) => Err((fault, writer)),
        }
    }

    /// Passes the response's body on to its end; returns the metadata that stands behind it.
    async fn copy(&self, body: &mut Incoming, writer: &mut ResponseWriter) -> Result<Metadata, Fault> {
        let mut trailer = Metadata::new();
        let mut first = now_or_later(body).await;
        if first.is_none() && writer.flush().await.is_err() {
            // The head goes ahead of a body that isn't there yet.
            return Err(writer.cancelled().await);
        }
        loop {
            let waited = async {
                match first.take() {
                    Some(frame) => frame,
                    None => next(body).await,
                }
            };
            let frame = tokio::select! {
                biased;
                frame = waited => frame,
                over = writer.cancelled() => return Err(over),
                over = self.told_to_end() => return Err(over),
            };
            let Some(frame) = frame else { return Ok(trailer) };
            let frame = frame.map_err(|error| failed(format!("the service broke off: {}", words(&error))))?;
            match frame.into_data() {
                Ok(bytes) => {
                    let sent = tokio::select! {
                        sent = writer.send(bytes) => sent,
                        over = self.told_to_end() => return Err(over),
                    };
                    if sent.is_err() {
                        return Err(writer.cancelled().await);
                    }
                }
                Err(frame) => {
                    let fields = frame.into_trailers().unwrap_or_default();
                    trailer = headers::read(&fields).map_err(|error| failed(format!("the trailers: {error}")))?;
                }
            }
        }
    }

    async fn told_to_end(&self) -> Fault {
        self.now.cancelled().await;
        failed("its receiver was told to end at once")
    }

    fn note(&self, id: RequestId, words: &str) {
        say(format!("{}  {}  {words}", self.channel, short(id)));
    }
}

/// The next frame of a body; `None` at its end.
type Next = Option<hyper::Result<hyper::body::Frame<Bytes>>>;

async fn next(body: &mut Incoming) -> Next {
    poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}

/// The same, if it is there; `None` if not.
async fn now_or_later(body: &mut Incoming) -> Option<Next> {
    poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
        Poll::Ready(next) => Poll::Ready(Some(next)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// The beginning of a body, as text.
async fn beginning(mut body: Incoming) -> String {
    let mut read = Vec::new();
    while read.len() < DETAIL
        && let Some(Ok(frame)) = next(&mut body).await
    {
        if let Ok(bytes) = frame.into_data() {
            read.extend_from_slice(&bytes[..bytes.len().min(DETAIL - read.len())]);
        }
    }
    String::from_utf8_lossy(&read).trim_end().to_owned()
}

/// Whether nothing but the connection's end says where the response ends.
fn ends_with_the_connection(response: &Response<Incoming>) -> bool {
    let headers = response.headers();
    let has_end = headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING);
    !has_end && !response.body().is_end_stream()
}

fn failed(words: impl Into<String>) -> Fault {
    Fault::because(Code::Application, words)
}

/// What an error says, with what is behind it.
fn words(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
