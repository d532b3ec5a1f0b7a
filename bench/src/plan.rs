//! What is run: the workloads, their shapes, and the plan of one run that the load generator is given.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A workload of the comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Workload {
    /// Latency: one request at a time, 128 B each way.
    W1,
    /// Throughput: 64 in flight over 4 sender and 4 receiver connections, 128 B each way.
    W2,
    /// Large requests: 64 KiB each way, 16 in flight.
    W3,
    /// One body of 1 GiB.
    W4,
    /// Uneven work: 400 requests, 8 receivers; 95 % take 1 ms, 5 % take 200 ms.
    W5,
    /// 5,000 waiting connections on 500 channels.
    W6,
    /// Scaling: W2 with more in flight, more connections, more channels.
    W7,
    /// Isolation: W1 beside a request that streams at full speed and one whose consumer has stopped.
    W8,
}

impl Workload {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [Self::W1, Self::W2, Self::W3, Self::W4, Self::W5, Self::W6, Self::W7, Self::W8];

    /// What it is, for the table.
    pub const fn title(self) -> &'static str {
        match self {
            Self::W1 => "W1 latency: one request at a time, 128 B each way",
            Self::W2 => "W2 throughput: 64 in flight over 4 sender and 4 receiver connections, 128 B each way",
            Self::W3 => "W3 large requests: 64 KiB each way, 16 in flight over 4 and 4 connections",
            Self::W4 => "W4 one large body",
            Self::W5 => "W5 uneven work: 400 requests, 8 receivers; 95 % take 1 ms, 5 % take 200 ms; 32 in flight",
            Self::W6 => "W6 connections that wait on 500 channels",
            Self::W7 => "W7 scaling: W2 with more in flight, more connections, more channels",
            Self::W8 => "W8 isolation: W1 while one request streams at full speed and another's consumer has stopped",
        }
    }

    /// The shapes that it is run in. All but scaling have one.
    pub fn shapes(self, effort: Effort) -> Vec<Shape> {
        let w2 =
            Shape { senders: 4, receivers: 4, channels: 1, in_flight: 64, size: 128, prefetch: 16, cores: Cores::Any };
        let one = Shape { senders: 1, receivers: 1, in_flight: 1, prefetch: 1, ..w2 };
        match self {
            Self::W1 => [Cores::Any, Cores::Apart].map(|cores| Shape { cores, ..one }).to_vec(),
            Self::W8 => [Cores::Any, Cores::Apart].map(|cores| Shape { cores, channels: 3, ..one }).to_vec(),
            Self::W2 => vec![w2],
            Self::W3 => vec![Shape { in_flight: 16, size: 64 * 1024, ..w2 }],
            Self::W4 => vec![Shape { senders: 1, receivers: 1, in_flight: 8, size: CHUNK, ..w2 }],
            Self::W5 => vec![Shape { receivers: 8, in_flight: 32, prefetch: 1, ..w2 }],
            Self::W6 => {
                let (receivers, channels) = if effort == Effort::Quick { (500, 50) } else { (5000, 500) };
                vec![Shape { senders: 1, receivers, channels, in_flight: 1, prefetch: 1, ..w2 }]
            }
            Self::W7 => scaling(w2),
        }
    }
}

/// W7: one size grows at a time; the first shape is what the others are compared with.
fn scaling(w2: Shape) -> Vec<Shape> {
    let mut shapes = vec![w2];
    // What is in flight is what receivers are ready for, together.
    shapes.extend([1, 8, 512, 4096].map(|in_flight| Shape { in_flight, prefetch: (in_flight / 4).max(1), ..w2 }));
    shapes.extend([2, 50, 250, 1000].map(|half| Shape { senders: half, receivers: half, ..w2 }));
    shapes.extend([100, 1000, 10_000].map(|channels| Shape { channels, ..w2 }));
    shapes.push(Shape { senders: 1000, receivers: 1000, channels: 10_000, ..w2 });
    shapes
}

/// Pieces in which a large body is sent.
pub const CHUNK: usize = 256 * 1024;

/// How much of each workload is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Effort {
    /// Enough for figures.
    Full,
    /// Enough to see that it works, and about how fast.
    Quick,
}

/// Where broker and load generator run.
///
/// One request at a time is several times as fast if the scheduler happens to keep both on one core, where no other has
/// to be woken. Which it does changes from run to run, so that medians are chance. On cores of their own they are as
/// they would be on machines of their own, and figures repeat.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Cores {
    /// Wherever the scheduler has them.
    Any,
    /// The broker on the first core, the load generator on the second.
    Apart,
}

/// How many of what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shape {
    /// Connections of senders.
    pub senders: usize,
    /// Connections of receivers.
    pub receivers: usize,
    /// Channels (queues, subjects, functions); each has receivers, and requests go to them in turn.
    pub channels: usize,
    /// Requests that are under way at any time.
    pub in_flight: usize,
    /// Bytes of a request, and of its response.
    pub size: usize,
    /// Requests that a receiver's connection takes at once, where the peer lets it choose.
    pub prefetch: usize,
    /// Where broker and load generator run.
    pub cores: Cores,
}

impl Shape {
    /// What tells it from the workload's other shapes.
    pub fn name(&self) -> String {
        match (self.in_flight, self.cores) {
            (1, Cores::Any) if self.senders == 1 => return "broker and clients on any core".to_owned(),
            (1, Cores::Apart) => return "broker and clients on cores of their own".to_owned(),
            _ => {}
        }
        format!(
            "{} in flight, {} connections, {} channels",
            self.in_flight,
            self.senders + self.receivers,
            self.channels
        )
    }
}

/// What the load generator is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The peer, by its name in the table.
    pub peer: String,
    /// What to run.
    pub workload: Workload,
    /// How much of it.
    pub effort: Effort,
    /// In which shape.
    pub shape: Shape,
    /// Where the broker listens; the first is for senders, the last for receivers, of those that tell them apart.
    pub addresses: Vec<String>,
    /// The broker's process, if there is a broker.
    pub broker: Option<u32>,
    /// Other processes that were started on purpose: spinners.
    pub beside: Vec<u32>,
}

impl Plan {
    /// The name of a channel.
    pub fn channel(index: usize) -> String {
        format!("bench-{index}")
    }

    /// The core that the broker is kept on.
    pub fn broker_core(&self) -> Option<usize> {
        (self.shape.cores == Cores::Apart).then_some(0)
    }

    /// The core that the load generator is kept on; the broker's, if there is no other.
    pub fn load_core(&self) -> Option<usize> {
        (self.shape.cores == Cores::Apart).then_some(1.min(crate::machine::cores() - 1))
    }

    /// How long to run before anything is measured.
    pub const fn warm_up(&self) -> Duration {
        match self.effort {
            Effort::Full => Duration::from_secs(1),
            Effort::Quick => Duration::from_millis(500),
        }
    }

    /// How long to measure.
    pub const fn window(&self) -> Duration {
        match self.effort {
            Effort::Full => Duration::from_secs(4),
            Effort::Quick => Duration::from_millis(1500),
        }
    }

    /// How long one run may take in all.
    pub const fn limit(&self) -> Duration {
        match self.workload {
            // Some servers take tens of milliseconds to greet a connection.
            Workload::W6 => Duration::from_mins(5),
            Workload::W7 => Duration::from_secs(90),
            _ => Duration::from_secs(40),
        }
    }

    /// The channels that a receiver's connection serves: its share, and at least one.
    pub fn channels_of(&self, receiver: usize) -> Vec<usize> {
        let Shape { channels, receivers, .. } = self.shape;
        if channels <= receivers {
            return vec![receiver % channels];
        }
        (receiver..channels).step_by(receivers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_a_receiver_and_each_receiver_a_channel() {
        for (receivers, channels) in [(4, 1), (4, 100), (1000, 10_000), (5000, 500), (3, 3), (7, 10)] {
            let shape =
                Shape { senders: 1, receivers, channels, in_flight: 1, size: 1, prefetch: 1, cores: Cores::Any };
            let plan = Plan {
                peer: String::new(),
                workload: Workload::W2,
                effort: Effort::Quick,
                shape,
                addresses: Vec::new(),
                broker: None,
                beside: Vec::new(),
            };
            let mut served = vec![0; channels];
            for receiver in 0..receivers {
                let own = plan.channels_of(receiver);
                assert!(!own.is_empty());
                for channel in own {
                    served[channel] += 1;
                }
            }
            assert!(served.iter().all(|&times| times > 0), "{receivers} receivers, {channels} channels");
        }
    }
}
