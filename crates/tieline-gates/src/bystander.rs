//! An honest sender and an honest receiver with the client library, whose small requests are timed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tieline::{Client, Request};
use tokio::task::JoinHandle;

use crate::raw::pattern;

/// The channel of the bystander.
const CHANNEL: &str = "bystander";

/// Bytes of a small request and of its response.
const SMALL: usize = 200;

/// See the module.
#[derive(Debug)]
pub struct Bystander {
    client: Client,
    serving: JoinHandle<()>,
    round: u64,
}

impl Bystander {
    /// Two connections, and a receiver that turns every byte over.
    ///
    /// # Errors
    /// If the server isn't reached.
    pub async fn arrive(server: SocketAddr) -> anyhow::Result<Self> {
        let worker = Client::connect(&server.to_string()).await?;
        let receiver = worker.receive(CHANNEL).await?;
        let serving = tokio::spawn(async move {
            let _worker = worker;
            let _ = receiver.serve(8, turn_over).await;
        });
        let client = Client::connect(&server.to_string()).await?;
        Ok(Self { client, serving, round: 0 })
    }

    /// Small requests one behind the other for this long, with a short pause between; how long each took.
    ///
    /// # Errors
    /// If one fails, or is answered wrong.
    pub async fn work(&mut self, span: Duration) -> anyhow::Result<Vec<Duration>> {
        let began = Instant::now();
        let mut samples = Vec::new();
        while began.elapsed() < span {
            self.round += 1;
            let asked = pattern(self.round, SMALL);
            let wanted: Vec<u8> = asked.iter().map(|byte| !byte).collect();
            let start = Instant::now();
            let response = self.client.send(CHANNEL).body(asked).await?;
            let got = response.bytes(SMALL).await?;
            samples.push(start.elapsed());
            ensure!(got == wanted, "the bystander's response is another's");
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        Ok(samples)
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers with every byte turned over.
///
/// # Errors
/// If the request is over before.
pub async fn turn_over(mut request: Request) -> Result<(), tieline::Error> {
    let body = request.body().bytes(64 << 20).await?;
    request.reply(body.iter().map(|byte| !byte).collect::<Vec<_>>()).await
}
