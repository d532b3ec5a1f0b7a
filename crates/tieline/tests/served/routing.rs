//! Who gets which request, and what each side is told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tieline::{Code, Error, Outcome, Request, Retry};
use tokio::net::UnixListener;
use tokio::sync::Barrier;

use crate::{Server, bounded, echo};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_requests_of_many_senders_get_their_own_answers() {
    bounded(async {
        let server = Server::start().await;
        for _ in 0..4 {
            let worker = server.client().await;
            tokio::spawn(worker.receive("echo").await.unwrap().serve(8, echo));
        }
        let mut tasks = Vec::new();
        for sender in 0..4 {
            let client = server.client().await;
            for number in 0..250 {
                let client = client.clone();
                tasks.push(tokio::spawn(async move {
                    let body = format!("{sender}/{number}/").repeat(1 + number * 20);
                    let got = client.send("echo").body(body.clone()).await?.collect().await?;
                    assert!(got == body);
                    Ok::<_, Error>(())
                }));
            }
        }
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_of_several_receivers_work_at_the_same_time_and_never_too_many() {
    bounded(async {
        let server = Server::start().await;
        let together = Arc::new(Barrier::new(3));
        let busiest = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let worker = server.client().await;
            let (together, busiest) = (Arc::clone(&together), Arc::clone(&busiest));
            let working = Arc::new(AtomicUsize::new(0));
            tokio::spawn(worker.receive("job").await.unwrap().serve(1, move |request: Request| {
                let (together, busiest, working) = (Arc::clone(&together), Arc::clone(&busiest), Arc::clone(&working));
                async move {
                    busiest.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    together.wait().await;
                    working.fetch_sub(1, Ordering::SeqCst);
                    request.reply("done").await
                }
            }));
        }
        // Nine jobs in three waves: each wave needs all three receivers.
        let client = server.client().await;
        let jobs: Vec<_> = (0..9).map(|_| tokio::spawn(client.send("job").send())).collect();
        for job in jobs {
            job.await.unwrap().unwrap().collect().await.unwrap();
        }
        assert_eq!(busiest.load(Ordering::SeqCst), 1);
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unix_socket_will_do() {
    bounded(async {
        let dir = std::env::temp_dir().join(format!("tieline-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("bus.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = Server::with(format!("unix:{}", path.display()), listener.into());
        let client = server.client().await;
        tokio::spawn(client.receive("echo").await.unwrap().serve(1, echo));
        assert_eq!(client.send("echo").body("hi").await.unwrap().collect().await.unwrap(), "hi");
        server.killed().await;
        std::fs::remove_dir_all(&dir).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_receiver_no_wait_fails_at_once_and_a_wait_fails_later() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        let error = client.send("nobody").no_wait().await.unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::NoReceiver, Outcome::Unstarted));
        let error = client.send("nobody").wait(Duration::from_millis(50)).await.unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::WaitLimit, Outcome::Unstarted));
        server.killed().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_receiver_is_ready_for_a_request_that_does_not_wait() {
    bounded(async {
        let server = Server::start().await;
        let worker = server.client().await;
        let client = server.client().await;
        for round in 0..20 {
            let mut receiver = worker.receive("x").await.unwrap();
            let asking = tokio::spawn(client.send("x").no_wait().send());
            receiver.next().await.unwrap().unwrap().reply("here").await.unwrap();
            assert_eq!(asking.await.unwrap().unwrap().collect().await.unwrap(), "here", "round {round}");
            receiver.close().await;
        }
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn returned_request_is_taken_by_another_receiver() {
    bounded(async {
        let server = Server::start().await;
        let first = server.client().await;
        let never_takes = first.receive("x").await.unwrap();
        let client = server.client().await;
        let asking = tokio::spawn(client.send("x").body("job").send());
        let second = server.client().await;
        let mut receiver = second.receive("x").ready(1).await.unwrap();
        // Wherever the request went, it is there for the second once the first is gone.
        never_takes.close().await;
        let mut request = receiver.next().await.unwrap().unwrap();
        assert_eq!(request.body().bytes(9).await.unwrap(), "job");
        request.reply("done").await.unwrap();
        asking.await.unwrap().unwrap();
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_reaches_the_receiver() {
    bounded(async {
        let server = Server::start().await;
        let worker = server.client().await;
        let mut receiver = worker.receive("x").await.unwrap();
        let client = server.client().await;
        let asking = tokio::spawn(client.send("x").send());
        let request = receiver.next().await.unwrap().unwrap();
        asking.abort();
        assert_eq!(request.cancelled().await.code, Code::Cancelled);
        // The receiver is as good as before.
        let asking = tokio::spawn(client.send("x").send());
        receiver.next().await.unwrap().unwrap().reply("next").await.unwrap();
        assert_eq!(asking.await.unwrap().unwrap().collect().await.unwrap(), "next");
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_receiver_is_told_to_the_sender_and_an_idempotent_request_goes_to_another() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        for is_idempotent in [false, true] {
            let doomed = server.client().await;
            let mut receiver = doomed.receive("x").await.unwrap();
            let mut send = client.send("x").retry(Retry::none());
            if is_idempotent {
                send = send.idempotent();
            }
            let asking = tokio::spawn(send.send());
            let _request = receiver.next().await.unwrap().unwrap();
            let other = server.client().await;
            let mut second = other.receive("x").await.unwrap();
            doomed.close_now();
            if is_idempotent {
                second.next().await.unwrap().unwrap().reply("second").await.unwrap();
                assert_eq!(asking.await.unwrap().unwrap().collect().await.unwrap(), "second");
            } else {
                let error = asking.await.unwrap().unwrap_err();
                assert_eq!((error.code(), error.is_safe_to_resend()), (Code::ReceiverLost, false));
            }
            second.close().await;
        }
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_sender_is_told_to_the_receiver() {
    bounded(async {
        let server = Server::start().await;
        let worker = server.client().await;
        let mut receiver = worker.receive("x").await.unwrap();
        let client = server.client().await;
        let _asking = tokio::spawn(client.send("x").retry(Retry::none()).send());
        let request = receiver.next().await.unwrap().unwrap();
        client.close_now();
        assert_eq!(request.cancelled().await.code, Code::SenderLost);
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadline_ends_the_request_on_both_sides() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        let mut receiver = client.receive("x").await.unwrap();
        let asking = tokio::spawn(client.send("x").timeout(Duration::from_millis(200)).send());
        let request = receiver.next().await.unwrap().unwrap();
        assert!(request.remaining().unwrap() <= Duration::from_millis(200));
        assert_eq!(request.cancelled().await.code, Code::DeadlineExceeded);
        assert_eq!(asking.await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failure_of_the_program_arrives_with_its_words() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        let receiver = client.receive("x").await.unwrap();
        tokio::spawn(receiver.serve(1, |_request: Request| async { Err("not a PNG file") }));
        let error = client.send("x").await.unwrap_err();
        assert_eq!((error.code(), error.outcome()), (Code::Application, Outcome::Accepted));
        assert!(error.to_string().contains("not a PNG file"), "{error}");
        server.killed().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_run_once() {
    bounded(async {
        let server = Server::start().await;
        let (seen, mut runs) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..3 {
            let worker = server.client().await;
            let seen = seen.clone();
            tokio::spawn(worker.receive("x").await.unwrap().serve(2, move |mut request: Request| {
                let seen = seen.clone();
                async move {
                    let body = request.body().bytes(100).await?;
                    let _ = seen.send(body);
                    request.reply("").await
                }
            }));
        }
        let client = server.client().await;
        let asking: Vec<_> =
            (0..300).map(|number| tokio::spawn(client.send("x").body(number.to_string()).send())).collect();
        for request in asking {
            request.await.unwrap().unwrap();
        }
        let mut distinct = BTreeSet::new();
        for _ in 0..300 {
            assert!(distinct.insert(runs.recv().await.unwrap()));
        }
        assert!(runs.try_recv().is_err());
        server.drained().await;
    })
    .await;
}
