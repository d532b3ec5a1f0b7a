//! Bodies over TLS, both ways.

use tieline::Body;
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
        let (client, worker) = (server.client().await, server.client().await);
        tokio::spawn(worker.receive("echo").await.unwrap().serve(4, echo));
        for len in [0, 1, 16_384, 16_385, 65_536, 1 << 20, 20_000_000] {
            let sent = pattern(len);
            let reader = Body::reader(std::io::Cursor::new(sent.clone()));
            let mut got = Vec::new();
            client.send("echo").body(reader).await.unwrap().read_to_end(&mut got).await.unwrap();
            assert!(got == sent, "{len} bytes");
        }
        client.close().await;
        worker.close().await;
        server.drained().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_bodies_at_once_share_a_connection() {
    bounded(async {
        let server = Server::start().await;
        let client = server.client().await;
        tokio::spawn(client.receive("echo").await.unwrap().serve(16, echo));
        let mut asking = tokio::task::JoinSet::new();
        for number in 0..50 {
            let client = client.clone();
            asking.spawn(async move {
                let sent = pattern(100_000 + number);
                let got = client.send("echo").body(sent.clone()).await.unwrap().collect().await.unwrap();
                assert!(got == sent);
            });
        }
        while let Some(asked) = asking.join_next().await {
            asked.unwrap();
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
        for number in 0..100 {
            let piece = format!("piece {number}");
            body.write_all(piece.as_bytes()).await.unwrap();
            let mut got = vec![0; piece.len()];
            response.read_exact(&mut got).await.unwrap();
            assert_eq!(got, piece.as_bytes());
        }
        body.finish();
        assert_eq!(response.chunk().await.unwrap(), None);
        client.close().await;
        server.drained().await;
    })
    .await;
}
