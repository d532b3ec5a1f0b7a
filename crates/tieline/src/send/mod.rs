//! Sending a request: what it is made of, and its attempts.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cancel`] | being told to cancel |
//! | [`channel`] | what its channel brings into a start |
//! | [`notice`] | telling the id of a request that is sent |
//! | [`retry`] | which requests are sent again |
//! | [`upload`] | the body, beside the response |

mod cancel;
pub(crate) mod channel;
mod notice;
pub(crate) mod retry;
mod upload;

use std::future::{IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tieline_protocol::time::millis_up;
use tieline_protocol::trace::{TRACEPARENT, TRACESTATE, is_trace_state};
use tieline_protocol::{ChannelId, Code, Fault, Flags, Metadata, RequestId, StartLimits, TraceParent};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};

use crate::body::source::BoxSource;
use crate::body::{Attempt, Body};
use crate::client::Client;
use crate::conn::{Conn, Head, NewSend, SendLink, cancelled};
use crate::error::{Error, Outcome};
use crate::link::Hub;
use crate::response::Response;
use cancel::Cancel;
use channel::Channel;
use notice::Notice;
use retry::{Retry, Tries};
use upload::{Beginning, Keep, UnderWay};

/// How long the server may be late with its verdict on a request whose time is up, before this side cancels it.
const SLACK: Duration = Duration::from_secs(1);

/// A request in the making: say what it carries, then await it.
///
/// It resolves when the response has started; the body goes up in the background meanwhile and after.
///
/// ```
/// # use std::time::Duration;
/// # async fn example(client: tieline::Client) -> Result<(), tieline::Error> {
/// let response = client
///     .send("resize")
///     .content_type("image/png")
///     .meta("width", "128")
///     .timeout(Duration::from_secs(30))
///     .body(vec![0; 100_000])
///     .await?;
/// let small = response.bytes(1 << 20).await?;
/// # Ok(()) }
/// ```
///
/// # Cancellation safety
/// Dropping the future cancels the request. What hadn't left this process was never sent; otherwise the server and
/// the receiver are told. Nobody is told then what became of it; [`cancel_when`](Self::cancel_when) says that too.
#[derive(Debug)]
#[must_use = "a request is sent when it is awaited"]
pub struct SendRequest {
    client: Client,
    channel: String,
    channel_id: ChannelId,
    metadata: Metadata,
    /// The first thing that was wrong, to be told when the request is sent.
    wrong: Option<Error>,
    timeout: Option<Duration>,
    wait: Option<Duration>,
    flags: Flags,
    retry: Retry,
    body: Body,
    /// How long the body is left unread, at most, while no receiver has begun.
    hold: Option<Duration>,
    notice: Notice,
    cancel: Cancel,
}

impl SendRequest {
    pub(crate) fn new(client: Client, channel: String) -> Self {
        let (named, wrong) = match Channel::named(&channel) {
            Ok(named) => (named, None),
            Err(error) => (Channel { id: ChannelId::NIL, metadata: Metadata::new() }, Some(error)),
        };
        Self {
            client,
            channel,
            channel_id: named.id,
            metadata: named.metadata,
            wrong,
            timeout: None,
            wait: None,
            flags: Flags::NONE,
            retry: Retry::default(),
            body: Body::empty(),
            hold: None,
            notice: Notice::default(),
            cancel: Cancel::never(),
        }
    }

    /// Adds an entry to the metadata.
    pub fn meta(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Err(error) = self.metadata.push(name, value) {
            self.wrong.get_or_insert(error.into());
        }
        self
    }

    /// Adds all entries of `metadata`.
    #[expect(clippy::needless_pass_by_value, reason = "callers make it for this")]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        for (name, value) in metadata.iter() {
            self = self.meta(name, value);
        }
        self
    }

    /// Says what the body is, as a media type.
    pub fn content_type(self, value: &str) -> Self {
        self.meta("content-type", value)
    }

    /// Gives the request its position in a trace: the span that whoever works on it belongs under. Nothing is passed on by
    /// itself: a receiver that sends requests of its own, for one that it has, hands on [`Request::trace`].
    ///
    /// ```
    /// # async fn example(client: tieline::Client, request: tieline::Request) -> Result<(), tieline::Error> {
    /// let mut next = client.send("store");
    /// if let Some(parent) = request.trace() {
    ///     next = next.trace(parent).trace_state(request.trace_state().unwrap_or_default());
    /// }
    /// next.await?;
    /// # Ok(()) }
    /// ```
    ///
    /// It is the metadata `traceparent`, of which the first counts: say it once.
    ///
    /// [`Request::trace`]: crate::Request::trace
    pub fn trace(self, parent: TraceParent) -> Self {
        self.meta(TRACEPARENT, parent.to_bytes())
    }

    /// Adds what tracing systems have to say beside [`trace`](Self::trace). What W3C Trace Context doesn't allow as a
    /// `tracestate` is left out, as it demands.
    pub fn trace_state(self, state: &str) -> Self {
        if is_trace_state(state.as_bytes()) { self.meta(TRACESTATE, state) } else { self }
    }

    /// The deadline for all of it, from now to the last byte of the response. None of its own unless set: the
    /// server's longest holds.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How long it may wait until it is first handed out to a receiver. As long as the deadline unless set.
    pub fn wait(mut self, limit: Duration) -> Self {
        self.wait = Some(limit);
        self
    }

    /// Fails at once if no receiver is ready.
    pub fn no_wait(mut self) -> Self {
        self.flags |= Flags::NO_WAIT;
        self
    }

    /// Running it twice does no harm: it may be handed out, or sent, again although it may have run.
    pub fn idempotent(mut self) -> Self {
        self.flags |= Flags::IDEMPOTENT;
        self
    }

    /// When it is sent again if it fails.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// What it carries; nothing unless set.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Leaves the body unread until a receiver is known to have begun with the request, or `limit` has passed. For a body
    /// whose source should not be set going for a request that is refused, as a client of HTTP that asked for
    /// *100-continue*. The limit is needed: not every receiver that has begun can be [known](Outcome::Unknown) to have.
    pub fn hold_body(mut self, limit: Duration) -> Self {
        self.hold = Some(limit);
        self
    }

    /// Tells `notice` the request's id once it has one, each time that it is sent: before its response comes, or in place
    /// of it. With it, people find the request in logs.
    pub fn on_id(mut self, notice: impl Fn(RequestId) + Send + 'static) -> Self {
        self.notice = Notice::to(notice);
        self
    }

    /// Cancels the request when `signal` resolves, if its response hasn't started by then, and waits for the server's
    /// word on what became of it, for at most a second. The error's code is *cancelled* then, and its
    /// [outcome](Error::outcome) is known more often than when the future is dropped: a request that only waited is
    /// unstarted.
    ///
    /// Once the response has started, the signal means nothing any more: drop the [`Response`]. The outcome is
    /// [accepted](Outcome::Accepted).
    ///
    /// ```
    /// # async fn example(client: tieline::Client, ctrl_c: tokio::sync::oneshot::Receiver<()>) {
    /// let asking = client.send("resize").body("…").cancel_when(async {
    ///     let _ = ctrl_c.await;
    /// });
    /// if let Err(error) = asking.await {
    ///     println!("{error}");
    /// }
    /// # }
    /// ```
    pub fn cancel_when(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.cancel = Cancel::when(signal);
        self
    }

    /// Sends the request; the same as awaiting it.
    ///
    /// # Errors
    /// If the request ended before its response started; [`Error::outcome`] says whether it may have run.
    ///
    /// # Cancellation safety
    /// See [`SendRequest`].
    pub async fn send(mut self) -> Result<Response, Error> {
        if let Some(error) = self.wrong.take() {
            return Err(error);
        }
        let clock = Clock::start(self.timeout, self.wait);
        let mut tries = Tries::new(self.retry, self.flags.has(Flags::IDEMPOTENT));
        let mut outcome = Outcome::Unstarted;
        loop {
            let error = match self.attempt(&clock).await {
                Ok(response) => return Ok(response),
                // What an earlier try may have started, a later one doesn't undo.
                Err(error) => error.after(outcome),
            };
            outcome = error.outcome();
            let Some(pause) = tries.again(&error).filter(|_| self.body.is_there()) else { return Err(error) };
            tracing::debug!(channel = self.channel, %error, ?pause, "sending again");
            if clock.first_limit().is_some_and(|limit| Instant::now() + pause >= limit) {
                return Err(error);
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.cancel.called() => return Err(cancelled(outcome)),
            }
        }
    }

    async fn attempt(&mut self, clock: &Clock) -> Result<Response, Error> {
        let mut cancel = std::mem::replace(&mut self.cancel, Cancel::never());
        let opened = tokio::select! {
            biased;
            opened = self.open_in_time(clock) => opened,
            () = cancel.called() => Err(cancelled(Outcome::Unstarted)),
        };
        self.cancel = cancel;
        let (mut link, body) = opened?;
        self.notice.tell(link.request());
        let body = UnderWay::new(&link, body, self.keep(), self.hold);
        let head = tokio::select! {
            biased;
            head = head(&mut link, clock.deadline) => head,
            () = self.cancel.called() => Err(cancel::verdict(&link).await),
        };
        match head {
            Ok(head) => Ok(Response::new(link, head, clock.deadline.map(|deadline| deadline + SLACK))),
            Err(error) => {
                if let Some(body) = body.back().await {
                    self.body.put_back(body);
                }
                Err(error)
            }
        }
    }

    async fn open_in_time(&mut self, clock: &Clock) -> Result<Opened, Error> {
        match clock.first_limit() {
            None => self.open(clock).await,
            Some(limit) => match timeout_at(limit, self.open(clock)).await {
                Ok(opened) => opened,
                Err(_) => Err(clock.passed()),
            },
        }
    }

    /// What is to be kept of the body while it is sent.
    fn keep(&self) -> Keep {
        if self.body.is_there() || self.retry.is_never() {
            Keep::Nothing
        } else if self.flags.has(Flags::IDEMPOTENT) {
            Keep::First
        } else {
            Keep::UntilAccepted
        }
    }

    /// Puts the start onto a connection; gives what was read of the body for it, and the rest to send.
    async fn open(&mut self, clock: &Clock) -> Result<Opened, Error> {
        // The body is touched only once there is a connection to put it on.
        let (mut conn, mut place) = find_place(self.client.hub()).await?;
        let (beginning, source) = match self.body.attempt() {
            Attempt::Whole(bytes) => (Beginning { bytes, is_complete: true }, None),
            Attempt::Source(source) if self.hold.is_some() => (Beginning::default(), Some(source)),
            Attempt::Source(mut source) => {
                let beginning = upload::begin(&mut source, conn.initial_window())
                    .await
                    .map_err(|error| Error::Body { source: Arc::new(error), outcome: Outcome::Unstarted })?;
                let rest = (!beginning.is_complete).then_some(source);
                (beginning, rest)
            }
        };
        loop {
            let new = NewSend {
                channel: self.channel_id,
                metadata: self.metadata.clone(),
                flags: self.flags,
                limits: clock.left(),
                body: beginning.bytes.clone(),
                is_complete: beginning.is_complete,
                place,
            };
            if let Some(link) = conn.open_send(new) {
                return Ok((link, (beginning, source)));
            }
            (conn, place) = find_place(self.client.hub()).await?;
        }
    }
}

impl IntoFuture for SendRequest {
    type Output = Result<Response, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// A request that was started, what was read of its body for that, and the rest.
type Opened = (SendLink, (Beginning, Option<BoxSource>));

/// The response's beginning.
async fn head(link: &mut SendLink, deadline: Option<Instant>) -> Result<Head, Error> {
    let head = poll_fn(|cx| link.poll_head(cx));
    match deadline {
        None => head.await,
        Some(deadline) => match timeout_at(deadline + SLACK, head).await {
            Ok(head) => head,
            Err(_) => Err(link.time_out()),
        },
    }
}

/// A connection with a place for the request. The request's own limits are the caller's to watch.
async fn find_place(hub: &Arc<Hub>) -> Result<(Arc<Conn>, OwnedSemaphorePermit), Error> {
    loop {
        let conn = hub.connection().await?;
        if let Some(place) = conn.place().await {
            return Ok((conn, place));
        }
    }
}

/// A request's time, over all attempts.
#[derive(Debug)]
struct Clock {
    deadline: Option<Instant>,
    wait_until: Option<Instant>,
}

impl Clock {
    fn start(timeout: Option<Duration>, wait: Option<Duration>) -> Self {
        let at = |span: Option<Duration>| span.and_then(|span| Instant::now().checked_add(span));
        Self { deadline: at(timeout), wait_until: at(wait) }
    }

    /// When the request may no longer be started.
    fn first_limit(&self) -> Option<Instant> {
        match (self.deadline, self.wait_until) {
            (Some(deadline), Some(wait)) => Some(deadline.min(wait)),
            (limit, None) | (None, limit) => limit,
        }
    }

    /// What is left of the limits, as a start carries them; a limit that was set is never sent as none.
    fn left(&self) -> StartLimits {
        if self.deadline.is_none() && self.wait_until.is_none() {
            return StartLimits::default();
        }
        let now = Instant::now();
        let ms =
            |limit: Option<Instant>| limit.map_or(0, |limit| millis_up(limit.saturating_duration_since(now)).max(1));
        StartLimits { wait_ms: ms(self.wait_until), deadline_ms: ms(self.deadline) }
    }

    /// The error of a request whose time passed before it was started.
    fn passed(&self) -> Error {
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Error::TimedOut { outcome: Outcome::Unstarted };
        }
        let words = "the request's wait passed before there was a connection with a place for it";
        Error::Failed { fault: Fault::because(Code::WaitLimit, words), outcome: Outcome::Unstarted }
    }
}
