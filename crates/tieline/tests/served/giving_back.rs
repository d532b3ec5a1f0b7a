//! Requests that a receiver gives back: who gets them then, and what their senders are told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tieline::{Body, Code, Error, Outcome, Request};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::{Server, bounded, echo};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_that_is_given_back_is_answered_by_another_receiver() {
    bounded(async {
        let server = Server::start().await;
        let (first, second, client) = (server.client().await, server.client().await, server.client().await);
        let refused = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&refused);
        tokio::spawn(first.receive("x").await.unwrap().serve(2, move |request: Request| {
            counter.fetch_add(1, Ordering::SeqCst);
            request.give_back()
        }));
        let asking = tokio::spawn(client.send("x").body("job").send());
        while refused.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        tokio::spawn(second.receive("x").await.unwrap().serve(1, echo));
        assert_eq!(asking.await.unwrap().unwrap().collect().await.unwrap(), "job");
        // Also one of which a part has come, more than its sender may send without a grant.
        for _ in 0..20 {
            let long = vec![7; 300_000];
            let body = Body::reader(std::io::Cursor::new(long.clone()));
            assert!(client.send("x").body(body).await.unwrap().collect().await.unwrap() == long);
        }
        server.killed().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_that_every_hand_gives_back_ends_unstarted_after_three() {
    bounded(async {
        let server = Server::start().await;
        let worker = server.client().await;
        let (seen, mut hands) = mpsc::unbounded_channel();
        tokio::spawn(worker.receive("x").await.unwrap().serve(8, move |request: Request| {
            let _ = seen.send(());
            request.give_back()
        }));
        let error = server.client().await.send("x").body("job").await.unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::NoReceiver, Outcome::Unstarted), "{error}");
        for _ in 0..3 {
            hands.recv().await.unwrap();
        }
        assert!(hands.try_recv().is_err());
        server.killed().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_that_does_not_wait_and_is_given_back_fails_at_once_as_unstarted() {
    bounded(async {
        let server = Server::start().await;
        let worker = server.client().await;
        tokio::spawn(worker.receive("x").await.unwrap().serve(1, |request: Request| request.give_back()));
        let error = server.client().await.send("x").no_wait().await.unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::NoReceiver, Outcome::Unstarted), "{error}");
        server.killed().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_load_are_answered_once_or_known_to_be_unstarted_whoever_gives_some_back() {
    bounded(async {
        let server = Server::start().await;
        let runs = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..2 {
            let (worker, runs, hands) = (server.client().await, Arc::clone(&runs), Arc::new(AtomicUsize::new(0)));
            tokio::spawn(worker.receive("x").await.unwrap().serve(4, move |mut request: Request| {
                let (runs, hand) = (Arc::clone(&runs), hands.fetch_add(1, Ordering::SeqCst));
                async move {
                    if hand % 20 == 7 && hand < 60 {
                        return request.give_back().await;
                    }
                    let body = request.body().bytes(1 << 20).await?;
                    runs.lock().unwrap().push(body.clone());
                    request.reply(body).await
                }
            }));
        }
        let client = server.client().await;
        let mut asking = JoinSet::new();
        for number in 0..200_usize {
            let (client, body) = (client.clone(), number.to_string().repeat(1 + number * 10));
            asking.spawn(
                async move { Ok::<_, Error>((client.send("x").body(body.clone()).await?.collect().await?, body)) },
            );
        }
        while let Some(asked) = asking.join_next().await {
            match asked.unwrap() {
                Ok((got, sent)) => assert!(got == sent),
                Err(error) => assert_eq!(error.outcome(), Outcome::Unstarted, "{error}"),
            }
        }
        let mut ran = std::mem::take(&mut *runs.lock().unwrap());
        let count = ran.len();
        ran.sort_unstable();
        ran.dedup();
        assert_eq!(ran.len(), count, "some ran twice");
        assert!(count > 150, "{count} ran");
        server.killed().await;
    })
    .await;
}
