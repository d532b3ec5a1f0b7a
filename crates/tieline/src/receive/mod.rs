//! Receiving requests.
//!
//! | module | what it holds |
//! |---|---|
//! | [`core`] | what a receiver has across connections, and its readiness |
//! | [`serve`], [`places`] | handlers instead of a loop, and the tasks that run them |
//! | [`request`] | a request and its body |
//! | [`respond`] | the answer |
//! | [`resting`] | how long a receiver isn't ready that gave a request back |

pub(crate) mod core;
mod places;
pub(crate) mod request;
pub(crate) mod respond;
mod resting;
mod serve;

use std::future::{IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use tieline_protocol::Metadata;

use crate::client::Client;
use crate::conn::Conn;
use crate::error::Error;
use crate::send::channel::start_metadata;
use core::Core;
use request::Request;

/// A receiver in the making: say what it is like, then await it.
///
/// ```
/// # async fn example(client: tieline::Client) -> Result<(), tieline::Error> {
/// let mut receiver = client.receive("upper").await?;
/// while let Some(mut request) = receiver.next().await? {
///     let body = request.body().bytes(1 << 20).await?;
///     request.reply(body.to_ascii_uppercase()).await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a receiver is opened when it is awaited"]
pub struct ReceiveBuilder {
    client: Client,
    channel: String,
    metadata: Metadata,
    wrong: Option<Error>,
    ready: u32,
}

impl ReceiveBuilder {
    pub(crate) fn new(client: Client, channel: String) -> Self {
        Self { client, channel, metadata: Metadata::new(), wrong: None, ready: 1 }
    }

    /// How many requests are taken from the server in advance of [`Receiver::next`]; 1 unless set, and at least 1.
    ///
    /// With 1, a program that works on a request holds no other. More saves the way to the server and back between
    /// short requests, but what waits here waits for this program, even if another receiver is free.
    pub fn ready(mut self, requests: u32) -> Self {
        self.ready = requests.max(1);
        self
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

    /// Opens the receiver; the same as awaiting it. It resolves when the server has taken the receive: a request
    /// sent after that finds it ready.
    ///
    /// # Errors
    /// If the server refuses it, or isn't reached within the client's connect time-out.
    ///
    /// # Cancellation safety
    /// Dropping the future withdraws the receive; requests that came meanwhile are returned.
    pub async fn open(self) -> Result<Receiver, Error> {
        if let Some(error) = self.wrong {
            return Err(error);
        }
        let metadata = start_metadata(&self.channel, &self.metadata)?;
        let core = Core::new(self.channel.into(), metadata, u64::from(self.ready));
        self.client.hub().register(&core)?;
        // From here on, dropping it withdraws what was opened.
        let receiver = Receiver { client: self.client, core };
        receiver.opened().await?;
        Ok(receiver)
    }
}

impl IntoFuture for ReceiveBuilder {
    type Output = Result<Receiver, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

/// Takes the requests of a channel, one after the other or with [handlers](Self::serve).
///
/// It survives the loss of its connection. It is ready for a request only when the program asks for one, so a busy
/// program is given none that a free one could run. Dropping it withdraws it: requests that came and weren't taken
/// are returned, and go to other receivers; those that were taken run on.
#[derive(Debug)]
pub struct Receiver {
    client: Client,
    core: Arc<Core>,
}

impl Receiver {
    /// The channel's name.
    pub fn channel(&self) -> &str {
        self.core.name_str()
    }

    /// The next request; `None` once the client is closed.
    ///
    /// # Errors
    /// If the server refuses the receive, or the client.
    ///
    /// # Cancellation safety
    /// No request is lost when the future is dropped: one that has come is there for the next call.
    pub async fn next(&mut self) -> Result<Option<Request>, Error> {
        poll_fn(|cx| self.poll_request(cx, false)).await
    }

    /// Withdraws the receiver, and waits until the server has closed it. Requests that came and weren't taken are
    /// returned.
    ///
    /// # Cancellation safety
    /// The withdrawal is made at the first poll, and stands.
    pub async fn close(self) {
        self.withdraw().await;
    }

    async fn withdraw(&self) {
        self.client.hub().deregister(&self.core);
        let conn: Option<Arc<Conn>> = self.core.close();
        if let Some(conn) = conn {
            poll_fn(|cx| conn.poll_withdrawn(self.core.channel(), cx)).await;
        }
    }

    /// Waits until the receive is open and taken by the server.
    async fn opened(&self) -> Result<(), Error> {
        loop {
            let conn = self.client.hub().connection().await?;
            // If the connection is gone meanwhile, or its server drains, the next is waited for.
            let is_taken =
                conn.attach(&self.core) && conn.round_trip().await.is_ok() && self.core.is_attached_to(&conn);
            if let Some(error) = self.core.failure() {
                return Err(error);
            }
            if is_taken {
                return Ok(());
            }
        }
    }

    fn poll_request(&self, cx: &Context<'_>, is_served: bool) -> Poll<Result<Option<Request>, Error>> {
        loop {
            let Some(incoming) = ready!(self.core.poll_next(cx))? else { return Poll::Ready(Ok(None)) };
            // One that is over already isn't worth the program's time.
            if let Some((link, whole)) = incoming.conn.hand_over(incoming.id, is_served) {
                return Poll::Ready(Ok(Some(Request::new(link, whole))));
            }
        }
    }
}

impl Stream for Receiver {
    type Item = Result<Request, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_request(cx, false).map(Result::transpose)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.client.hub().deregister(&self.core);
        self.core.close();
    }
}
