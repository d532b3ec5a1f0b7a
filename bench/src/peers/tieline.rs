//! Tieline, by its library's public interface.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use bytes::Bytes;
use tieline::{Body, Client, Request};

use super::handler::Handler;
use super::{Peer, Sender, Task};
use crate::payload::{self, Inspector};
use crate::plan::{CHUNK, Plan};

/// See the module.
#[derive(Debug)]
pub struct Tieline;

/// Responses are as large as requests, or far smaller.
const LIMIT: usize = 1 << 20;

async fn connect(plan: &Plan) -> anyhow::Result<Client> {
    let address = plan.addresses.first().context("no address")?;
    Ok(Client::connect(address).await?)
}

impl Peer for Tieline {
    type Sender = TielineSender;
    type Receiver = Vec<Task>;

    async fn receiver(plan: &Plan, number: usize, handler: Handler) -> anyhow::Result<Vec<Task>> {
        let client = connect(plan).await?;
        let places = plan.shape.prefetch;
        let mut tasks = Vec::new();
        for channel in plan.channels_of(number) {
            let receiver = client.receive(Plan::channel(channel)).await?;
            let handler = handler.on(channel);
            let serving = receiver.serve(places, move |request| serve(request, handler));
            tasks.push(Task::spawn("tieline", async move { Ok(serving.await?) }));
        }
        Ok(tasks)
    }

    async fn sender(plan: &Plan, _: usize) -> anyhow::Result<TielineSender> {
        let client = connect(plan).await?;
        Ok(TielineSender { client, channels: (0..plan.shape.channels).map(Plan::channel).collect() })
    }
}

async fn serve(mut request: Request, handler: Handler) -> Result<(), tieline::Error> {
    if handler == Handler::Stop {
        // The request lives on, unread.
        let _request = request;
        return std::future::pending().await;
    }
    if handler == Handler::Inspect {
        let mut inspector = Inspector::default();
        while let Some(piece) = request.body().chunk().await? {
            inspector.add(&piece);
        }
        return request.reply(inspector.verdict()).await;
    }
    let body = request.body().bytes(LIMIT).await?;
    let answer = handler.handle(body).await;
    request.reply(answer).await
}

/// A client that sends.
#[derive(Debug)]
pub struct TielineSender {
    client: Client,
    channels: Vec<String>,
}

impl Sender for TielineSender {
    async fn exchange(&self, channel: usize, body: Bytes) -> anyhow::Result<Bytes> {
        let response = self.client.send(self.channels[channel].as_str()).body(body).await?;
        Ok(response.bytes(LIMIT).await?)
    }

    async fn stream(self: Arc<Self>, total: u64, _: usize) -> anyhow::Result<()> {
        let (mut writer, body) = Body::channel();
        let writing = async move {
            let piece = payload::pattern();
            for _ in 0..total / CHUNK as u64 {
                writer.send(piece.clone()).await?;
            }
            writer.finish();
            anyhow::Ok(())
        };
        let asking = async { anyhow::Ok(self.client.send(self.channels[0].as_str()).body(body).await?) };
        let (response, ()) = tokio::try_join!(asking, writing)?;
        payload::verify_verdict(total, &response.bytes(LIMIT).await?)
    }

    async fn pour(self: Arc<Self>, channel: usize, poured: Arc<AtomicU64>) -> anyhow::Result<()> {
        let (mut writer, body) = Body::channel();
        let writing = async move {
            let piece = payload::pattern();
            loop {
                writer.send(piece.clone()).await?;
                poured.fetch_add(CHUNK as u64, Ordering::Relaxed);
            }
        };
        // Either ends by an error alone.
        let writing: Pin<Box<dyn Future<Output = Result<(), tieline::Error>> + Send>> = Box::pin(writing);
        let asking = self.client.send(self.channels[channel].as_str()).body(body).send();
        tokio::try_join!(asking, writing)?;
        Ok(())
    }
}
