//! Bodies of all sizes, both ways.

use bytes::Bytes;
use tieline::{Body, Error, Metadata, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Server, bounded, echo};

/// Bytes that tell their place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_all_sizes_come_back_as_they_were() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        let receiver = client.receive("echo").await.unwrap();
        tokio::spawn(receiver.serve(4, echo));
        for len in [0, 1, 16_000, 16_384, 16_385, 65_536, 100_000, 1 << 20, 5_000_000] {
            let sent = pattern(len);
            let whole = client.send("echo").body(sent.clone()).await.unwrap().bytes(len).await.unwrap();
            assert!(whole == sent, "{len} bytes at once");
            let reader = Body::reader(std::io::Cursor::new(sent.clone()));
            let mut got = Vec::new();
            client.send("echo").body(reader).await.unwrap().read_to_end(&mut got).await.unwrap();
            assert!(got == sent, "{len} bytes of a reader");
        }
        client.close().await;
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_piece_comes_back_before_the_next_is_sent() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        tokio::spawn(client.receive("echo").await.unwrap().serve(1, echo));
        let (mut body, source) = Body::channel();
        let asking = tokio::spawn(client.send("echo").body(source).send());
        body.send("first").await.unwrap();
        let mut response = asking.await.unwrap().unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), "first");
        for number in 0..200 {
            let piece = format!("piece {number}");
            body.write_all(piece.as_bytes()).await.unwrap();
            let mut got = vec![0; piece.len()];
            response.read_exact(&mut got).await.unwrap();
            assert_eq!(got, piece.as_bytes());
        }
        body.finish();
        assert_eq!(response.chunk().await.unwrap(), None);
        server.killed().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_and_trailers_arrive() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        let receiver = client.receive("meta").await.unwrap();
        tokio::spawn(receiver.serve(1, |request: Request| async move {
            assert_eq!(request.metadata().text("question"), Some("6*7"));
            let mut writer = request.respond().meta("answer", "42")?.writer();
            writer.send("forty-two").await?;
            let mut trailer = Metadata::new();
            trailer.push("checked", "yes")?;
            writer.finish_with(trailer).await
        }));
        let mut response = client.send("meta").meta("question", "6*7").await.unwrap();
        assert_eq!(response.metadata().text("answer"), Some("42"));
        let mut text = String::new();
        response.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "forty-two");
        assert_eq!(response.trailer().unwrap().text("checked"), Some("yes"));
        server.killed().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receiver_that_answers_early_ends_a_long_upload() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        let receiver = client.receive("first-byte").await.unwrap();
        tokio::spawn(receiver.serve(1, |mut request: Request| async move {
            let first = request.body().chunk().await?.unwrap_or_default();
            request.reply(first.slice(..1)).await
        }));
        for _ in 0..3 {
            let endless = Body::reader(tokio::io::repeat(b'a'));
            let answer = client.send("first-byte").body(endless).await.unwrap().bytes(10).await.unwrap();
            assert_eq!(answer, "a");
        }
        client.close().await;
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_program_holds_up_nobody_else() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        tokio::spawn(client.receive("echo").await.unwrap().serve(8, echo));
        // Responses that nobody reads fill their windows, and that is all they fill.
        let mut unread = Vec::new();
        for _ in 0..4 {
            let endless = Body::reader(tokio::io::repeat(b'a'));
            let mut response = client.send("echo").body(endless).await.unwrap();
            response.chunk().await.unwrap().unwrap();
            unread.push(response);
        }
        for _ in 0..50 {
            let sent = Bytes::from(pattern(100_000));
            let got = client.send("echo").body(sent.clone()).await.unwrap().collect().await.unwrap();
            assert!(got == sent);
        }
        drop(unread);
        client.close().await;
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_window_is_slow_but_carries_everything() {
    bounded(async {
        let server = Server::start().await;
        let client = tieline::Client::builder().server(&server.address).window(1000).connect().await.unwrap();
        tokio::spawn(client.receive("echo").await.unwrap().serve(1, echo));
        let sent = pattern(300_000);
        let got = client.send("echo").body(sent.clone()).await.unwrap().collect().await.unwrap();
        assert!(got == sent);
        server.killed().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_body_is_told_to_the_receiver() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        let mut receiver = client.receive("x").await.unwrap();
        let (mut body, source) = Body::channel();
        let asking = tokio::spawn(client.send("x").body(source).send());
        let mut request = receiver.next().await.unwrap().unwrap();
        body.send("half").await.unwrap();
        assert_eq!(request.body().chunk().await.unwrap().unwrap(), "half");
        body.abort("the disk is gone");
        assert!(request.body().chunk().await.is_err());
        assert!(request.cancelled().await.message.contains("the disk is gone"));
        assert!(matches!(asking.await.unwrap(), Err(Error::Body { .. })));
        server.killed().await;
    })
    .await;
}
