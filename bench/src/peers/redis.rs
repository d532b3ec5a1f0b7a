//! Redis, by the crate redis: a list of requests, and for each sender a list of responses. Whoever takes from a list has
//! a connection for that, for it blocks; what is pushed goes pipelined. Receivers take as many at once as they are to
//! prefetch, answer them, and take the next in the same write.

use std::sync::Arc;

use anyhow::Context;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Pipeline, cmd};

use super::handler::Handler;
use super::waiting::Waiting;
use super::{Peer, Sender, Task};
use crate::plan::Plan;

/// See the module.
#[derive(Debug)]
pub struct Redis;

/// What was taken: the list's name and the elements, or nothing.
type Taken = Option<(String, Vec<Vec<u8>>)>;

async fn connect(plan: &Plan) -> anyhow::Result<MultiplexedConnection> {
    let client = Client::open(format!("redis://{}", plan.addresses.first().context("no address")?))?;
    // Who waits for a request waits for as long as it takes.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

/// Takes up to so many elements of the first of these lists that has any.
fn take(lists: &[String], count: usize) -> redis::Cmd {
    let mut take = cmd("BLMPOP");
    take.arg(0).arg(lists.len()).arg(lists).arg("LEFT").arg("COUNT").arg(count);
    take
}

fn responses_of(sender: u64) -> String {
    format!("bench-responses-{sender}")
}

impl Peer for Redis {
    type Sender = RedisSender;
    type Receiver = Task;

    async fn receiver(plan: &Plan, number: usize, handler: Handler) -> anyhow::Result<Task> {
        let mut connection = connect(plan).await?;
        let lists: Vec<_> = plan.channels_of(number).into_iter().map(Plan::channel).collect();
        let prefetch = plan.shape.prefetch;
        Ok(Task::spawn("redis", async move {
            let mut taken: Taken = take(&lists, prefetch).query_async(&mut connection).await?;
            loop {
                let mut answers = Pipeline::new();
                for request in taken.map(|(_, requests)| requests).unwrap_or_default() {
                    let mut request = Bytes::from(request);
                    let (sender, id) = (request.get_u64(), request.get_u64());
                    let answer = with_id(id, &handler.handle(request).await);
                    answers.rpush(responses_of(sender), &answer[..]).ignore();
                }
                answers.add_command(take(&lists, prefetch));
                (taken,) = answers.query_async(&mut connection).await?;
            }
        }))
    }

    async fn sender(plan: &Plan, number: usize) -> anyhow::Result<RedisSender> {
        let number = number as u64;
        let requests = connect(plan).await?;
        let mut responses = connect(plan).await?;
        let waiting = Arc::new(Waiting::default());
        let answering = Arc::clone(&waiting);
        let in_flight = plan.shape.in_flight.max(1);
        let task = Task::spawn("redis", async move {
            let list = [responses_of(number)];
            loop {
                let taken: Taken = take(&list, in_flight).query_async(&mut responses).await?;
                for response in taken.map(|(_, responses)| responses).unwrap_or_default() {
                    let mut response = Bytes::from(response);
                    answering.answer(response.get_u64(), response);
                }
            }
        });
        let lists = (0..plan.shape.channels).map(Plan::channel).collect();
        Ok(RedisSender { number, requests, waiting, lists, _task: task })
    }
}

fn with_id(id: u64, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::with_capacity(8 + body.len());
    bytes.put_u64(id);
    bytes.put_slice(body);
    bytes
}

/// A sender with its list of responses.
#[derive(Debug)]
pub struct RedisSender {
    number: u64,
    requests: MultiplexedConnection,
    waiting: Arc<Waiting>,
    lists: Vec<String>,
    _task: Task,
}

impl Sender for RedisSender {
    async fn exchange(&self, channel: usize, body: Bytes) -> anyhow::Result<Bytes> {
        let (id, answered) = self.waiting.place();
        let mut request = BytesMut::with_capacity(16 + body.len());
        request.put_u64(self.number);
        request.put_u64(id);
        request.put_slice(&body);
        let mut requests = self.requests.clone();
        cmd("RPUSH").arg(&self.lists[channel]).arg(&request[..]).exec_async(&mut requests).await?;
        Ok(answered.await?)
    }
}
