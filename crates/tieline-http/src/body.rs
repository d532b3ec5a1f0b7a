//! Both bodies of an exchange. Each is moved piece by piece, as the other side makes room.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use futures_core::Stream;
use http_body::Frame;
use tieline::{Error, Response};

use crate::crowd::Place;
use crate::headers;
use crate::pool::Line;

/// The body of a request, as the client library takes it.
pub(crate) fn up(body: Body) -> tieline::Body {
    tieline::Body::stream(body.into_data_stream())
}

/// The body of a response. It keeps its line, which would else be taken for idle, and its place.
pub(crate) fn down(response: Response, kept: (Line, Place)) -> Body {
    Body::new(Down { response, is_over: false, _kept: kept })
}

/// A body that keeps something for as long as it isn't over.
pub(crate) fn holding<T: Send + Unpin + 'static>(body: Body, kept: T) -> Body {
    Body::new(Holding { body, _kept: kept })
}

struct Holding<T> {
    body: Body,
    _kept: T,
}

impl<T: Unpin> http_body::Body for Holding<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

struct Down {
    response: Response,
    is_over: bool,
    _kept: (Line, Place),
}

impl http_body::Body for Down {
    type Data = Bytes;
    type Error = Error;

    /// An error breaks the connection (HTTP/1.1) or resets the stream (HTTP/2): a body that was cut off never looks
    /// complete.
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if let Some(piece) = ready!(Pin::new(&mut self.response).poll_next(cx)) {
            return Poll::Ready(Some(piece.map(Frame::data)));
        }
        self.is_over = true;
        let trailer = self.response.trailer().filter(|trailer| !trailer.is_empty()).map(headers::trailer);
        Poll::Ready(trailer.map(|trailer| Ok(Frame::trailers(trailer))))
    }
}
