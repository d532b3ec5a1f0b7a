//! RabbitMQ, by lapin: a queue a channel, direct reply-to, and a prefetch that is acknowledged one by one.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio_stream::StreamExt;

use super::handler::Handler;
use super::waiting::Waiting;
use super::{Peer, Sender, Task};
use crate::plan::Plan;

/// See the module.
#[derive(Debug)]
pub struct RabbitMq;

/// The pseudo-queue of direct reply-to.
const REPLIES: &str = "amq.rabbitmq.reply-to";

async fn connect(plan: &Plan) -> anyhow::Result<(Connection, Channel)> {
    let address = format!("amqp://guest:guest@{}/%2f", plan.addresses.first().context("no address")?);
    let connection = Connection::connect(&address, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

async fn declare(channel: &Channel, queue: &str) -> anyhow::Result<()> {
    let options = QueueDeclareOptions { durable: false, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, FieldTable::default()).await?;
    Ok(())
}

impl Peer for RabbitMq {
    type Sender = RabbitMqSender;
    type Receiver = (Connection, Vec<Task>);

    async fn receiver(plan: &Plan, number: usize, handler: Handler) -> anyhow::Result<Self::Receiver> {
        let (connection, channel) = connect(plan).await?;
        channel.basic_qos(plan.shape.prefetch as u16, BasicQosOptions::default()).await?;
        let mut tasks = Vec::new();
        for number in plan.channels_of(number) {
            let queue = Plan::channel(number);
            declare(&channel, &queue).await?;
            let consume = BasicConsumeOptions::default();
            let tag = ShortString::from("");
            let mut requests = channel.basic_consume(queue.into(), tag, consume, FieldTable::default()).await?;
            let channel = channel.clone();
            tasks.push(Task::spawn("rabbitmq", async move {
                while let Some(request) = requests.next().await {
                    let request = request?;
                    let reply = request.properties.reply_to().clone().context("a request that wants no reply")?;
                    let id = request.properties.correlation_id().clone().context("a request without an id")?;
                    let answer = handler.handle(request.data.clone().into()).await;
                    let properties = BasicProperties::default().with_correlation_id(id);
                    let options = BasicPublishOptions::default();
                    channel.basic_publish(ShortString::from(""), reply, options, &answer, properties).await?;
                    request.ack(BasicAckOptions::default()).await?;
                }
                Ok(())
            }));
        }
        Ok((connection, tasks))
    }

    async fn sender(plan: &Plan, _: usize) -> anyhow::Result<RabbitMqSender> {
        let (connection, channel) = connect(plan).await?;
        let consume = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let tag = ShortString::from("");
        let mut replies = channel.basic_consume(REPLIES.into(), tag, consume, FieldTable::default()).await?;
        let waiting = Arc::new(Waiting::default());
        let answering = Arc::clone(&waiting);
        let task = Task::spawn("rabbitmq", async move {
            while let Some(reply) = replies.next().await {
                let reply = reply?;
                let id = reply.properties.correlation_id().as_ref().context("a reply without an id")?;
                answering.answer(id.as_str().parse()?, reply.data.into());
            }
            Ok(())
        });
        let queues = (0..plan.shape.channels).map(|number| Plan::channel(number).into()).collect();
        Ok(RabbitMqSender { _connection: connection, channel, waiting, queues, _task: task })
    }
}

/// A sender's connection.
#[derive(Debug)]
pub struct RabbitMqSender {
    _connection: Connection,
    channel: Channel,
    waiting: Arc<Waiting>,
    queues: Vec<ShortString>,
    _task: Task,
}

impl Sender for RabbitMqSender {
    async fn exchange(&self, channel: usize, body: Bytes) -> anyhow::Result<Bytes> {
        let (id, answered) = self.waiting.place();
        let properties =
            BasicProperties::default().with_reply_to(REPLIES.into()).with_correlation_id(id.to_string().into());
        let queue = self.queues[channel].clone();
        let options = BasicPublishOptions::default();
        self.channel.basic_publish(ShortString::from(""), queue, options, &body, properties).await?;
        Ok(answered.await?)
    }
}
