//! Brokers that the harness brings along: the limits. Each runs in a process of its own.
//!
//! | module | what it holds |
//! |---|---|
//! | [`fixed`] | each sender's connection is tied to one receiver's, byte for byte |
//! | [`splice`] | the same without a copy through user space |
//! | [`pull`] | requests go to receivers that have credit, frame by frame |
//! | `zeromq` | ZeroMQ's usual brokers (feature `peers`) |

pub mod fixed;
pub mod pull;
pub mod splice;
#[cfg(feature = "peers")]
pub mod zeromq;

use std::io::Write as _;
use std::net::TcpListener;

/// Which broker to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Broker {
    /// A fixed pair of connections, by read and write.
    RelayFixed,
    /// A fixed pair of connections, by splice(2).
    RelaySplice,
    /// Requests go to receivers that have credit.
    RelayPull,
    /// ZeroMQ's proxy.
    #[cfg(feature = "peers")]
    #[value(name = "zeromq-proxy")]
    ZeroMqProxy,
    /// ZeroMQ's least-recently-used queue.
    #[cfg(feature = "peers")]
    #[value(name = "zeromq-lru")]
    ZeroMqLru,
}

/// Runs a broker until its process is ended; tells on stdout where it listens: first for senders, then for receivers.
///
/// # Errors
/// If it can't listen.
pub fn run(broker: Broker) -> anyhow::Result<()> {
    match broker {
        Broker::RelayFixed => between(|front, back| fixed::run(front, back, fixed::Copying::default())),
        Broker::RelaySplice => between(|front, back| fixed::run(front, back, splice::Splicing)),
        Broker::RelayPull => between(pull::run),
        #[cfg(feature = "peers")]
        Broker::ZeroMqProxy => zeromq::proxy(),
        #[cfg(feature = "peers")]
        Broker::ZeroMqLru => zeromq::least_recently_used(),
    }
}

fn between(relay: impl FnOnce(&TcpListener, &TcpListener) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let front = TcpListener::bind("127.0.0.1:0")?;
    let back = TcpListener::bind("127.0.0.1:0")?;
    tell(&[front.local_addr()?.to_string(), back.local_addr()?.to_string()]);
    relay(&front, &back)
}

/// Tells where it listens.
fn tell(addresses: &[String]) {
    println!("{}", addresses.join(" "));
    let _ = std::io::stdout().flush();
}
