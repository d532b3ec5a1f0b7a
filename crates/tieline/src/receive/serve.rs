//! Serving a channel: handlers run in tasks, in a fixed number of places.

use std::fmt;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, ready};

use super::Receiver;
use super::places::Places;
use super::request::Request;
use crate::error::Error;

impl Receiver {
    /// Runs a handler for each request, at most `concurrency` at once (at least one), until the client is closed.
    ///
    /// The receiver is ready for as many requests as it has free places, and for one more with the frame that closes
    /// a response, so that the next request is under way at once. A handler that fails, or that neither answers its
    /// request nor passes it on, fails the request with its words. A place is free again when its handler has
    /// returned; work behind the answer belongs into a task of its own. Each place is a task, which is kept and runs one
    /// handler after the other.
    ///
    /// ```
    /// # async fn example(client: tieline::Client) -> Result<(), tieline::Error> {
    /// let receiver = client.receive("upper").await?;
    /// receiver
    ///     .serve(4, |mut request: tieline::Request| async move {
    ///         let body = request.body().bytes(1 << 20).await?;
    ///         request.reply(body.to_ascii_uppercase()).await
    ///     })
    ///     .await
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the server refuses the receive, or the client. Handlers that run are waited for before.
    ///
    /// # Cancellation safety
    /// Dropping the future withdraws the receiver and aborts its handlers; their requests fail. To stop in good
    /// order, use [`serve_until`](Self::serve_until).
    pub async fn serve<H, F, E>(self, concurrency: usize, handler: H) -> Result<(), Error>
    where
        H: Fn(Request) -> F + Send,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        self.serve_until(concurrency, handler, pending()).await
    }

    /// As [`serve`](Self::serve), until `stop` resolves: then the receiver is withdrawn, what wasn't taken is
    /// returned, and the handlers that run are waited for.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    ///
    /// # Cancellation safety
    /// As [`serve`](Self::serve).
    pub async fn serve_until<H, F, E>(
        self,
        concurrency: usize,
        handler: H,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), Error>
    where
        H: Fn(Request) -> F + Send,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        let concurrency = concurrency.max(1);
        self.core.serve(concurrency as u64);
        let mut places = Places::new(concurrency);
        let mut stop = pin!(stop);
        let result = loop {
            tokio::select! {
                biased;
                () = &mut stop => break Ok(()),
                next = poll_fn(|cx| self.poll_placed(cx, &places)) => match next {
                    Ok(Some(request)) => {
                        let link = request.link();
                        let handling = handler(request);
                        places.run(async move {
                            let failure = handling.await.err().map(|error| format!("{error:#}"));
                            link.settle(failure);
                        });
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                },
            }
        };
        self.withdraw().await;
        places.close().await;
        result
    }

    /// The next request, as soon as it has a place.
    ///
    /// A handler's return wakes nobody unless a request waits for its place: it is noticed when the next request comes.
    /// So a handler that answers and returns wakes one task, the connection's, which its own thread then runs; to wake
    /// a second is to wake another thread.
    fn poll_placed<F: Future<Output = ()> + Send + 'static>(
        &self,
        cx: &Context<'_>,
        places: &Places<F>,
    ) -> Poll<Result<Option<Request>, Error>> {
        if !places.has_room() {
            ready!(self.core.poll_arrived(cx));
            ready!(places.poll_room(cx));
        }
        self.poll_request(cx, true)
    }
}
