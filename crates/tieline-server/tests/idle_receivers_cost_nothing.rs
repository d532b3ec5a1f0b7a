//! The earlier implementation used both cores for 1,000 idle receivers: it asked each of them every 10 ms. Alone in its
//! process, so that the process's CPU time is the server's.

mod common;

use std::time::Duration;

use common::{TestServer, channel};

const RECEIVERS: u128 = 1_000;
const SPAN: Duration = Duration::from_secs(10);

/// One ping each is all that may happen in the span. Handling them, at both ends, takes well under this.
const CPU_MAX: Duration = Duration::from_millis(500);

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_thousand_idle_receivers_on_one_channel_cost_nothing() {
    let server = TestServer::start().await;
    let mut clients = Vec::new();
    for n in 0..RECEIVERS {
        let mut client = server.client(1 + n).await;
        client.receive(channel("idle"), 1).await;
        client.settle().await;
        clients.push(client);
    }
    server.until("all wait", |status| status.counts.receives == RECEIVERS as usize).await;
    let before = cpu_time();
    tokio::time::sleep(SPAN).await;
    let used = cpu_time().saturating_sub(before);
    assert!(used <= CPU_MAX, "{used:?} of CPU in {SPAN:?} for {RECEIVERS} idle receivers");
    assert_eq!(server.watch.status().counts.receives, RECEIVERS as usize, "and all still wait");
    drop(clients);
    server.until_empty().await;
    server.end().await;
}

/// CPU time of this process, user and system.
#[cfg(target_os = "linux")]
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = &stat[stat.rfind(')').unwrap() + 2..];
    let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    // The kernel counts in hundredths of a second whatever its own tick is.
    Duration::from_millis(ticks * 10)
}
