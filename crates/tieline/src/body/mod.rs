//! What a request carries: bytes, a reader, a stream, or whatever a program pushes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`source`] | where a body's pieces come from |
//! | [`channel`] | a body that a program pushes |
//! | [`reading`] | an incoming body as a program reads it |
//! | [`collect`] | a body that is collected whole, at either end |

pub(crate) mod channel;
pub(crate) mod collect;
pub(crate) mod reading;
pub(crate) mod source;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use tokio::io::AsyncRead;

use channel::BodySender;
use source::{BoxSource, ReaderSource, StreamSource};

/// The body of a request.
///
/// A *replayable* body can be sent again, as often as that is safe; see [`Retry`](crate::Retry). Of a body that can be
/// read only once, the library keeps what it has read until a receiver has begun with the request (at most 16 KiB, and
/// what the source gave at once), unless it is never sent again. So that one too can be, if nothing was started.
///
/// ```
/// use tieline::Body;
///
/// assert!(Body::from("text").is_replayable());
/// assert!(Body::replayable(|| &b"read anew each time"[..]).is_replayable());
/// assert!(!Body::reader(&b"read once"[..]).is_replayable());
/// ```
pub struct Body(Repr);

enum Repr {
    Whole(Bytes),
    Anew(Arc<dyn Fn() -> BoxSource + Send + Sync>),
    Once(BoxSource),
    /// A body that was read.
    Spent,
}

/// A body as one attempt to send it takes it.
pub(crate) enum Attempt {
    Whole(Bytes),
    Source(BoxSource),
}

impl Body {
    /// No body.
    pub const fn empty() -> Self {
        Self(Repr::Whole(Bytes::new()))
    }

    /// A body that is read from `reader`, to its end, as the receiver makes room for it.
    pub fn reader(reader: impl AsyncRead + Send + 'static) -> Self {
        Self(Repr::Once(Box::pin(ReaderSource::new(reader))))
    }

    /// A body of the pieces of a stream. An error of the stream cancels the request.
    pub fn stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self(Repr::Once(Box::pin(StreamSource::new(stream))))
    }

    /// A body of what is pushed into the other end.
    pub fn channel() -> (BodySender, Self) {
        let (sender, source) = channel::pipe();
        (sender, Self(Repr::Once(Box::pin(source))))
    }

    /// A body that is opened anew for each attempt to send it.
    pub fn replayable<F, R>(open: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: AsyncRead + Send + 'static,
    {
        Self(Repr::Anew(Arc::new(move || Box::pin(ReaderSource::new(open())))))
    }

    /// Whether the body can be sent more than once, however much of it was sent before.
    pub fn is_replayable(&self) -> bool {
        matches!(self.0, Repr::Whole(_) | Repr::Anew(_))
    }

    /// Whether there is a body for another attempt.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self.0, Repr::Spent)
    }

    /// Puts back a body that can be read only once, and was read by an attempt that came to nothing.
    pub(crate) fn put_back(&mut self, body: Attempt) {
        if !self.is_there() {
            self.0 = match body {
                Attempt::Whole(bytes) => Repr::Whole(bytes),
                Attempt::Source(source) => Repr::Once(source),
            };
        }
    }

    /// The body for one attempt.
    pub(crate) fn attempt(&mut self) -> Attempt {
        match &self.0 {
            Repr::Whole(bytes) => Attempt::Whole(bytes.clone()),
            Repr::Anew(open) => Attempt::Source(open()),
            Repr::Once(_) | Repr::Spent => match std::mem::replace(&mut self.0, Repr::Spent) {
                Repr::Once(source) => Attempt::Source(source),
                _ => Attempt::Whole(Bytes::new()),
            },
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Repr::Anew(_) => f.write_str("Body(replayable)"),
            Repr::Once(_) => f.write_str("Body(stream)"),
            Repr::Spent => f.write_str("Body(spent)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Repr::Whole(bytes))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}
