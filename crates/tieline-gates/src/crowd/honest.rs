//! The honest clients of a crowd: they use the library as programs do, and look at every byte.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tieline::{Client, Retry};
use tokio::task::{JoinHandle, JoinSet};

use super::{CHANNEL, Outcome};
use crate::bystander::turn_over;
use crate::raw::pattern;

/// Bodies of every kind: empty, small, as long as the first window and a byte longer, and longer than several.
const LENGTHS: [usize; 7] = [0, 1, 100, 16_384, 16_385, 70_000, 200_000];

/// A receiver takes so many at once: more places than there are attackers that hold one.
const PLACES: usize = 64;

/// Those that answer; they leave when this is dropped.
pub(super) struct Receivers(Vec<JoinHandle<()>>);

impl Drop for Receivers {
    fn drop(&mut self) {
        for serving in &self.0 {
            serving.abort();
        }
    }
}

/// So many receivers, each with a connection of its own.
pub(super) async fn receivers(server: SocketAddr, count: usize) -> anyhow::Result<Receivers> {
    let mut serving = Vec::new();
    for _ in 0..count {
        let client = Client::connect(&server.to_string()).await?;
        let receiver = client.receive(CHANNEL).await?;
        serving.push(tokio::spawn(async move {
            // Attackers' requests fail in its hands; that is its daily life.
            let _ = receiver.serve(PLACES, turn_over).await;
            drop(client);
        }));
    }
    Ok(Receivers(serving))
}

/// So many senders, each with a connection of its own and this many requests; what came of them.
pub(super) async fn send_all(server: SocketAddr, count: usize, requests: u64) -> anyhow::Result<Outcome> {
    let mut senders = JoinSet::new();
    for number in 0..count as u64 {
        let client =
            Client::builder().server(server.to_string()).connect_timeout(Some(Duration::from_mins(1))).build()?;
        senders.spawn(async move {
            let mut results = Vec::new();
            for round in 0..requests {
                results.push(send(&client, number * 1000 + round).await.map_err(|error| format!("{error:#}")));
            }
            results
        });
    }
    let mut outcome = Outcome::default();
    while let Some(results) = senders.join_next().await {
        for result in results? {
            match result {
                Ok(took) => {
                    outcome.right += 1;
                    outcome.samples.push(took);
                }
                Err(words) => outcome.wrong.push(format!("an honest request: {words}")),
            }
        }
    }
    Ok(outcome)
}

/// One request; how long it took.
async fn send(client: &Client, seed: u64) -> anyhow::Result<Duration> {
    let asked = pattern(seed, LENGTHS[(seed % LENGTHS.len() as u64) as usize]);
    let wanted: Vec<u8> = asked.iter().map(|byte| !byte).collect();
    let began = Instant::now();
    // Refusals for want of memory or of a place are part of life in a crowd; sending again is what clients do then.
    let patient = Retry::up_to(50).backoff(Duration::from_millis(20), Duration::from_secs(1));
    let response = client.send(CHANNEL).retry(patient).body(asked).await?;
    let got = response.bytes(1 << 20).await?;
    ensure!(got == wanted, "the response of request {seed} is another's");
    Ok(began.elapsed())
}
