//! A server that drains and its successor at the same address, with a request in each stage of its life.

use std::net::SocketAddr;

use bytes::Bytes;
use tieline::{Body, BodySender, Client, Receiver, Request, RequestBody, Response, ResponseWriter};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{Server, bounded};

/// How far a request has come when its server is told to drain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// No receiver is free.
    Waiting,
    /// A receiver's program has it, and hasn't looked at it.
    Taken,
    /// Half of its body was read.
    Uploading,
    /// All of it was read, and half of the response has come.
    Responding,
    /// Both bodies are half way.
    Both,
}

const STAGES: [Stage; 5] = [Stage::Waiting, Stage::Taken, Stage::Uploading, Stage::Responding, Stage::Both];

/// More than is sent before anything is granted, and more than a window.
const HALF: usize = 1_500_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_in_any_stage_costs_no_request_and_the_next_is_served_beside_it() {
    for stage in STAGES {
        for idempotent in [false, true] {
            bounded(story(stage, idempotent)).await;
        }
    }
}

async fn story(stage: Stage, idempotent: bool) {
    let old = Server::start().await;
    let address = old.address.parse().unwrap();
    let (sender, worker) = (old.client().await, old.client().await);
    let (push, body) = Body::channel();
    let request = sender.send("x").body(body);
    let asking = tokio::spawn(if idempotent { request.idempotent() } else { request }.send());
    let mut exchange = Exchange { push, asking, taken: None };
    let mut receiver = None;
    if stage == Stage::Waiting {
        exchange.push(1).await;
    } else {
        let mut opened = worker.receive("x").await.unwrap();
        exchange.take(opened.next().await.unwrap().unwrap());
        receiver = Some(opened);
    }
    let mut response = None;
    if matches!(stage, Stage::Uploading | Stage::Responding | Stage::Both) {
        exchange.through(HALF).await;
    }
    if stage == Stage::Responding {
        exchange.through(HALF - 1).await;
    }
    if matches!(stage, Stage::Responding | Stage::Both) {
        response = Some(exchange.back(HALF).await);
    }

    old.stop.drain();
    let new = successor(address).await;
    let mut receiver = match receiver {
        Some(receiver) => receiver,
        None => worker.receive("x").await.unwrap(),
    };
    if stage == Stage::Waiting {
        exchange.take(receiver.next().await.unwrap().unwrap());
        exchange.through(2 * HALF - 1).await;
    } else {
        // The receiver is there for the next one, though the old one isn't done.
        beside(&sender, &mut receiver).await;
        assert_eq!(exchange.asking.is_finished(), response.is_some());
        exchange
            .through(match stage {
                Stage::Taken => 2 * HALF,
                Stage::Responding => 1,
                _ => HALF,
            })
            .await;
    }
    exchange.finish(response).await;
    // Waits for the old one: it ends by itself, long before its drain is over.
    old.drained().await;
    new.killed().await;
}

/// Listens where a draining server listened.
async fn successor(address: SocketAddr) -> Server {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Server::with(address.to_string(), listener.into()),
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// One request more, which must be served at once.
async fn beside(sender: &Client, receiver: &mut Receiver) {
    let asking = tokio::spawn(sender.send("x").body("beside").send());
    let mut request = receiver.next().await.unwrap().unwrap();
    assert_eq!(request.body().bytes(9).await.unwrap(), "beside");
    request.reply("done").await.unwrap();
    assert_eq!(asking.await.unwrap().unwrap().bytes(9).await.unwrap(), "done");
}

/// A request whose both ends the test holds.
struct Exchange {
    push: BodySender,
    asking: JoinHandle<Result<Response, tieline::Error>>,
    taken: Option<(RequestBody, ResponseWriter)>,
}

impl Exchange {
    fn take(&mut self, request: Request) {
        assert!(self.taken.is_none(), "it is handed out once");
        let (body, responder) = request.into_parts();
        self.taken = Some((body, responder.writer()));
    }

    async fn push(&mut self, bytes: usize) {
        self.push.send(Bytes::from(vec![7; bytes])).await.unwrap();
    }

    /// Moves bytes of the request to its receiver.
    async fn through(&mut self, bytes: usize) {
        let (body, _) = self.taken.as_mut().unwrap();
        let pushed = self.push.send(Bytes::from(vec![7; bytes]));
        // What was pushed while it waited comes first.
        let mut read = vec![0; bytes];
        let (pushed, read_all) = tokio::join!(pushed, body.read_exact(&mut read));
        pushed.unwrap();
        read_all.unwrap();
        assert!(read.iter().all(|byte| *byte == 7));
    }

    /// Moves the first bytes of the response to the sender.
    async fn back(&mut self, bytes: usize) -> Response {
        let (_, writer) = self.taken.as_mut().unwrap();
        let asking = &mut self.asking;
        let read = async {
            let mut response = asking.await.unwrap().unwrap();
            response.read_exact(&mut vec![0; bytes]).await.unwrap();
            response
        };
        let (written, response) = tokio::join!(writer.send(vec![9; bytes]), read);
        written.unwrap();
        response
    }

    /// Brings both bodies to their end.
    async fn finish(self, response: Option<Response>) {
        let Self { push, asking, taken } = self;
        let (mut body, mut writer) = taken.unwrap();
        push.finish();
        while body.chunk().await.unwrap().is_some() {}
        let read = async {
            let response = match response {
                Some(response) => response,
                None => asking.await.unwrap().unwrap(),
            };
            response.collect().await.unwrap()
        };
        let written = async {
            writer.send(vec![9; HALF]).await.unwrap();
            writer.finish().await.unwrap();
        };
        let (rest, ()) = tokio::join!(read, written);
        assert_eq!(rest.len(), HALF);
    }
}
