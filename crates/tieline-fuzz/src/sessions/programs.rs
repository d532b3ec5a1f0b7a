//! What programs do with their clients.

use std::time::Duration;

use bytes::Bytes;
use tieline::{Client, Error, Request};
use tokio::time::{sleep, timeout};

use crate::input::Input;

/// Long enough for a response.
const LIMIT: usize = 1 << 20;

/// What sender and receiver are to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    requests: u8,
    length: usize,
    pieces: u8,
    /// How the sender treats its requests.
    manner: u8,
    /// How the receiver answers.
    answer: u8,
}

impl Plan {
    pub(super) fn read(input: &mut Input<'_>) -> Self {
        let plan = Self {
            requests: 1 + input.byte() % 3,
            length: input.length().min(40_000),
            pieces: input.byte() % 4,
            manner: input.byte() % 6,
            answer: input.byte() % 7,
        };
        input.byte();
        plan
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.into()
    }

    /// Whether one of the programs gives up or fails by itself.
    pub(super) fn may_fail(&self) -> bool {
        self.manner >= 4 || self.answer >= 4
    }

    fn body(&self, request: u8) -> Bytes {
        let byte = |at: usize| (at / 3) as u8 ^ request;
        (0..self.length).map(byte).collect()
    }
}

/// Sends the requests, all at once; how many were answered well.
pub(super) async fn send(client: &Client, plan: Plan) -> usize {
    let mut sending = tokio::task::JoinSet::new();
    for request in 0..plan.requests {
        let client = client.clone();
        sending.spawn(async move { one(client, plan, request).await.is_ok() });
    }
    sending.join_all().await.into_iter().filter(|answered| *answered).count()
}

async fn one(client: Client, plan: Plan, request: u8) -> Result<(), Error> {
    let body = plan.body(request);
    let mut send = client.send("x").timeout(Duration::from_secs(20)).meta("n", [request]);
    if plan.manner == 1 {
        send = send.idempotent();
    }
    if plan.pieces == 0 {
        send = send.body(body);
    } else {
        let (mut to, streamed) = tieline::Body::channel();
        send = send.body(streamed);
        let pieces = usize::from(plan.pieces);
        let len = (body.len() / pieces).max(1);
        tokio::spawn(async move {
            for piece in body.chunks(len) {
                to.send(Bytes::copy_from_slice(piece)).await?;
                sleep(Duration::from_millis(5)).await;
            }
            to.finish();
            Ok::<(), Error>(())
        });
    }
    let began = Duration::from_millis(u64::from(plan.pieces) * 5);
    if plan.manner == 5 {
        // The future is dropped in the middle of things.
        return match timeout(began, send.send()).await {
            Ok(response) => response.map(drop),
            Err(_) => Ok(()),
        };
    }
    let mut response = send.send().await?;
    if plan.manner == 4 {
        response.chunk().await?;
        return Ok(());
    }
    if plan.manner == 2 {
        sleep(Duration::from_millis(50)).await;
    }
    response.bytes(LIMIT).await.map(drop)
}

/// Receives on the sender's channel until there is nothing more to receive.
pub(super) async fn receive(client: Client, plan: Plan) {
    // A receive that was refused may be taken when it is tried again.
    for _ in 0..3 {
        let Ok(receiver) = client.receive("x").await else { continue };
        let _ = receiver.serve(2, move |request| answer(request, plan)).await;
    }
}

async fn answer(mut request: Request, plan: Plan) -> Result<(), Error> {
    match plan.answer {
        0 | 1 => {
            let body = request.body().bytes(LIMIT).await?;
            request.reply(body).await
        }
        2 => request.reply("early").await,
        3 => {
            let (mut body, responder) = request.into_parts();
            let mut response = responder.start().await?;
            while let Some(piece) = body.chunk().await? {
                response.send(piece).await?;
            }
            response.finish().await
        }
        4 => request.fail("no").await,
        5 => {
            sleep(Duration::from_secs(30)).await;
            request.reply("late").await
        }
        _ => Ok(()),
    }
}

/// Sends to itself, on a channel of its own; all of it must go well, whatever happens to others.
pub(super) async fn stand_by(client: Client) {
    let receiver = client.receive("y").await.expect("a receiver");
    let serving = tokio::spawn(receiver.serve(1, |mut request: Request| async move {
        let body = request.body().bytes(LIMIT).await?;
        request.reply(body).await
    }));
    for round in 1..=3 {
        let body = vec![round; 7000 * usize::from(round)];
        let response = client.send("y").timeout(Duration::from_secs(5)).body(body.clone()).await.expect("a response");
        assert!(response.bytes(LIMIT).await.expect("a body") == body, "the bystander's body");
        sleep(Duration::from_secs(3)).await;
    }
    serving.abort();
}
