//! Servers that drain, stop and come back; clients that close.

use std::sync::Arc;
use std::time::Duration;

use tieline::{Client, Code, Error, Outcome, Request, Status};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::{Server, bounded, echo};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_goes_on_when_the_server_comes_back() {
    bounded(async {
        let server = Server::start().await;
        let address = server.address.parse().unwrap();
        let worker = Client::builder().server(&server.address).connect_timeout(None).connect().await.unwrap();
        tokio::spawn(worker.receive("echo").await.unwrap().serve(2, echo));
        let client = Client::builder().server(&server.address).connect_timeout(None).connect().await.unwrap();
        assert_eq!(client.send("echo").body("before").await.unwrap().collect().await.unwrap(), "before");
        server.killed().await;
        let asking = tokio::spawn(client.send("echo").body("after").send());
        let server = Server::on(address).await;
        assert_eq!(asking.await.unwrap().unwrap().collect().await.unwrap(), "after");
        server.killed().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_that_is_connected_says_so() {
    bounded(async {
        let server = Server::start().await;
        for _ in 0..200 {
            let client = server.client().await;
            assert_eq!(*client.status().borrow(), Status::Connected);
            client.close().await;
        }
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_server_lets_running_work_finish() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        let mut receiver = client.receive("x").await.unwrap();
        let asking = tokio::spawn(client.send("x").send());
        let request = receiver.next().await.unwrap().unwrap();
        let mut status = client.status();
        let draining = tokio::spawn(server.drained());
        status.wait_for(|status| *status != Status::Connected).await.unwrap();
        request.reply("finished").await.unwrap();
        assert_eq!(asking.await.unwrap().unwrap().collect().await.unwrap(), "finished");
        draining.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_server_ends_what_runs_with_a_true_outcome() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        let mut receiver = client.receive("x").await.unwrap();
        let asking = tokio::spawn(client.send("x").send());
        let request = receiver.next().await.unwrap().unwrap();
        server.killed().await;
        let error = asking.await.unwrap().unwrap_err();
        assert_ne!(error.outcome(), Outcome::Unstarted, "{error}");
        request.cancelled().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_client_finishes_what_runs() {
    bounded(async {
        let server = Server::start().await;
        let worker = server.client().await;
        let receiver = worker.receive("x").await.unwrap();
        let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let handlers_gate = Arc::clone(&gate);
        let serving = tokio::spawn(receiver.serve(1, move |request: Request| {
            let _ = begun.send(());
            let gate = Arc::clone(&handlers_gate);
            async move {
                gate.acquire().await.unwrap().forget();
                request.reply("finished").await
            }
        }));
        let client = server.client().await;
        let asking = tokio::spawn(client.send("x").send());
        begins.recv().await.unwrap();
        let mut status = worker.status();
        let closing = tokio::spawn({
            let worker = worker.clone();
            async move { worker.close().await }
        });
        status.wait_for(|status| *status == Status::Closed).await.unwrap();
        gate.add_permits(1);
        closing.await.unwrap();
        serving.await.unwrap().unwrap();
        assert_eq!(asking.await.unwrap().unwrap().collect().await.unwrap(), "finished");
        assert!(matches!(worker.send("x").await, Err(Error::Closed)));
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_in_a_servers_place_is_not_waited_for() {
    bounded(async {
        for (answer, words) in [
            ("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "it speaks HTTP there"),
            (
                "220 mail.example ESMTP: ready for whoever has mail for anybody here\r\n",
                "no Tieline server answers there",
            ),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let answering = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                // What the client has sent is read, so that its answer isn't thrown away.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            });
            let client = Client::builder().server(&address).connect_timeout(None).build().unwrap();
            let error = client.send("x").await.unwrap_err();
            assert!(error.is_refusal() && error.is_safe_to_resend(), "{error}");
            assert!(error.code() == Code::UnsupportedVersion && error.to_string().contains(words), "{error}");
            client.close_now();
            answering.await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_out_of_reach_is_told_so() {
    bounded(async {
        let server = Server::start().await;
        let address = server.address.clone();
        server.killed().await;
        let client =
            Client::builder().server(&address).connect_timeout(Some(Duration::from_millis(200))).build().unwrap();
        let error = client.send("x").await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }));
        assert!(error.to_string().contains(&address), "{error}");
    })
    .await;
}
