//! Bodies that are left alone until somebody wants them, and ids that are told whatever comes of a request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tieline::{Body, Code};

use crate::{Server, bounded, echo};

/// A body of one piece that notes whether anybody has looked at it.
fn watched() -> (Arc<AtomicBool>, Body) {
    struct Watched(Arc<AtomicBool>, Option<Bytes>);
    impl Stream for Watched {
        type Item = Result<Bytes, std::io::Error>;
        fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Option<Self::Item>> {
            self.0.store(true, Ordering::SeqCst);
            Poll::Ready(self.1.take().map(Ok))
        }
    }
    let seen = Arc::new(AtomicBool::new(false));
    (Arc::clone(&seen), Body::stream(Watched(seen, Some(Bytes::from_static(b"held")))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_body_is_never_looked_at_for_a_request_that_is_refused() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        let (seen, body) = watched();
        let error = client.send("nobody").no_wait().body(body).hold_body(Duration::from_mins(1)).await.unwrap_err();
        assert_eq!((error.code(), seen.load(Ordering::SeqCst)), (Code::NoReceiver, false));
        server.killed().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_body_is_sent_once_a_receiver_has_begun_or_the_limit_has_passed() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        let (seen, body) = watched();
        // Nobody is there, so the limit ends the hold: at once.
        let waiting = tokio::spawn(client.send("early").body(body).hold_body(Duration::ZERO).send());
        while !seen.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        tokio::spawn(client.receive("early").await.unwrap().serve(1, echo));
        assert_eq!(waiting.await.unwrap().unwrap().collect().await.unwrap(), "held");
        // Longer than the story may last: that it ends shows what ended the hold. The receiver begins with its response,
        // for that is always told.
        let mut receiver = client.receive("begins").await.unwrap();
        let (_, body) = watched();
        let asking = tokio::spawn(client.send("begins").body(body).hold_body(Duration::from_hours(1)).send());
        let (mut body, responder) = receiver.next().await.unwrap().unwrap().into_parts();
        let mut writer = responder.start().await.unwrap();
        writer.send(body.bytes(100).await.unwrap()).await.unwrap();
        writer.finish().await.unwrap();
        let response = asking.await.unwrap().unwrap();
        assert_eq!(response.collect().await.unwrap(), "held");
        server.killed().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_id_of_a_request_is_told_also_if_it_fails() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        tokio::spawn(client.receive("there").await.unwrap().serve(1, echo));
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let response = client.send("there").on_id(move |id| tell.lock().unwrap().push(id)).await.unwrap();
        assert_eq!(*told.lock().unwrap(), [response.request_id()]);
        let tell = Arc::clone(&told);
        client.send("nobody").no_wait().on_id(move |id| tell.lock().unwrap().push(id)).await.unwrap_err();
        assert_eq!(told.lock().unwrap().len(), 2);
        server.killed().await;
    })
    .await;
}
