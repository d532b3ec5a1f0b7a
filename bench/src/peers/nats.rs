//! NATS, by async-nats: receivers subscribe in a queue group, senders ask by request and reply.

use anyhow::Context;
use async_nats::Client;
use bytes::Bytes;
use tokio_stream::StreamExt;

use super::handler::Handler;
use super::{Peer, Sender, Task};
use crate::plan::Plan;

/// See the module.
#[derive(Debug)]
pub struct Nats;

async fn connect(plan: &Plan) -> anyhow::Result<Client> {
    let address = plan.addresses.first().context("no address")?;
    Ok(async_nats::connect(address).await?)
}

impl Peer for Nats {
    type Sender = NatsSender;
    type Receiver = Vec<Task>;

    async fn receiver(plan: &Plan, number: usize, handler: Handler) -> anyhow::Result<Vec<Task>> {
        let client = connect(plan).await?;
        let mut tasks = Vec::new();
        for channel in plan.channels_of(number) {
            let mut requests = client.queue_subscribe(Plan::channel(channel), "receivers".to_owned()).await?;
            let client = client.clone();
            tasks.push(Task::spawn("nats", async move {
                while let Some(request) = requests.next().await {
                    let reply = request.reply.context("a request that wants no reply")?;
                    client.publish(reply, handler.handle(request.payload).await).await?;
                }
                Ok(())
            }));
        }
        // What it sends to itself comes back when the server has taken all that was said before.
        let inbox = client.new_inbox();
        let mut echo = client.subscribe(inbox.clone()).await?;
        client.publish(inbox, Bytes::new()).await?;
        echo.next().await.context("the server closed the connection")?;
        Ok(tasks)
    }

    async fn sender(plan: &Plan, _: usize) -> anyhow::Result<NatsSender> {
        Ok(NatsSender { client: connect(plan).await?, subjects: (0..plan.shape.channels).map(Plan::channel).collect() })
    }
}

/// A client that asks.
#[derive(Debug)]
pub struct NatsSender {
    client: Client,
    subjects: Vec<String>,
}

impl Sender for NatsSender {
    async fn exchange(&self, channel: usize, body: Bytes) -> anyhow::Result<Bytes> {
        Ok(self.client.request(self.subjects[channel].clone(), body).await?.payload)
    }
}
