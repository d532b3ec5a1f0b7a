//! Many channels and many receivers, from within the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tieline::{Client, Request};
use tokio::runtime::Runtime;

/// Clients that receive on each channel; they end when it is dropped.
pub(crate) struct Load {
    runtime: Runtime,
    channels: usize,
    sender: Client,
    answered: Arc<AtomicU64>,
}

impl Load {
    /// As many receivers on as many channels, over one connection for each thousand or so of them.
    pub(crate) fn start(address: &str, channels: usize, receivers: usize) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let answered = Arc::new(AtomicU64::new(0));
        let sender = runtime.block_on(async {
            // A connection has one receive on a channel, so the second round needs others.
            for first in (0..receivers).step_by(channels / 2) {
                let client = Client::connect(address).await.expect("the server is there");
                for receiver in first..receivers.min(first + channels / 2) {
                    let answered = Arc::clone(&answered);
                    let receives = client.receive(name(receiver % channels)).await.expect("a receive");
                    tokio::spawn(receives.serve(1, move |request: Request| {
                        let answered = Arc::clone(&answered);
                        async move {
                            answered.fetch_add(1, Ordering::Relaxed);
                            request.reply("done").await
                        }
                    }));
                }
            }
            Client::connect(address).await.expect("the server is there")
        });
        Self { runtime, channels, sender, answered }
    }

    /// Sends to one channel after the other, to each about once a second, as long as this lives.
    pub(crate) fn run(&self) {
        for first in 0..8 {
            let (sender, channels) = (self.sender.clone(), self.channels);
            let pause = Duration::from_secs(8) / u32::try_from(channels).expect("a few thousand");
            self.runtime.spawn(async move {
                let mut ticks = tokio::time::interval(pause);
                for number in (first..).step_by(8) {
                    if let Ok(response) = sender.send(name(number % channels)).body("work").await {
                        let _ = response.bytes(1024).await;
                    }
                    ticks.tick().await;
                }
            });
        }
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

fn name(number: usize) -> String {
    format!("channel-{number:04}")
}
