//! A crowd: attackers of every class, each at it again and again, and the honest clients among them.
//!
//! | module | what it holds |
//! |---|---|
//! | `honest` | clients with the library, which send and answer, and look at every byte |
//! | `breakers` | attackers that break rules, and are told so |
//! | `hoarders` | attackers that take what they may and give nothing back |
//! | `floods` | attackers that are loud |

mod breakers;
mod floods;
mod hoarders;
mod honest;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// The channel of the honest ones, known to everybody.
pub const CHANNEL: &str = "a crowded channel";

/// One attack takes no longer than this, however busy the machine is; who is at it then, leaves.
const ATTACK: Duration = Duration::from_mins(2);

/// Between two attacks of one attacker: it reads what it was told, and dials again.
const PAUSE: Duration = Duration::from_millis(100);

/// What attackers are told that greet too late.
const LATE: &str = "hello was not complete in time";

/// An attack; an error is something that should not have happened.
type Attack = fn(SocketAddr, u64) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// How large a crowd is.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Attackers, who take turns at the classes.
    pub attackers: usize,
    /// Honest clients, of which half send and half receive.
    pub honest: usize,
    /// Requests of each honest sender.
    pub requests: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Honest requests whose response was theirs, bit by bit.
    pub right: usize,
    /// What went wrong: with honest requests, and with what attackers were told.
    pub wrong: Vec<String>,
    /// How often an attacker was told that its hello came too late. On a machine that is busy with a thousand of them
    /// some find no time to greet; that is true, and no fault.
    pub late: u64,
    /// Classes of attack of which none came to its end.
    pub missing: Vec<&'static str>,
    /// How often each class was played to its end.
    pub attacks: BTreeMap<&'static str, u64>,
    /// How long the honest requests took.
    pub samples: Vec<Duration>,
    /// How long all of it took.
    pub took: Duration,
}

/// Every class of attack by its name.
pub fn classes() -> Vec<(&'static str, Attack)> {
    [breakers::CLASSES, hoarders::CLASSES, floods::CLASSES].concat()
}

/// Lets the crowd at the server, until every honest request is over and every class was played; all are gone behind it.
///
/// # Errors
/// If the honest clients don't reach the server.
pub async fn run(server: SocketAddr, crowd: Crowd) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let receivers = honest::receivers(server, crowd.honest / 2).await?;
    let classes = classes();
    let played: Arc<Vec<AtomicU64>> = Arc::new(classes.iter().map(|_| AtomicU64::new(0)).collect());
    let (over, late) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut attackers = JoinSet::new();
    for number in 0..crowd.attackers {
        let which = number % classes.len();
        let (name, attack) = classes[which];
        let (played, over, late) = (Arc::clone(&played), Arc::clone(&over), Arc::clone(&late));
        attackers.spawn(async move {
            let mut wrong = None;
            let mut round = 0;
            while !over.load(Relaxed) && wrong.is_none() {
                round += 1;
                match tokio::time::timeout(ATTACK, attack(server, number as u64 * 1000 + round)).await {
                    Ok(Ok(())) => {
                        played[which].fetch_add(1, Relaxed);
                    }
                    Ok(Err(error)) if format!("{error:#}").contains(LATE) => {
                        late.fetch_add(1, Relaxed);
                    }
                    Ok(Err(error)) => wrong = Some(format!("{name}: {error:#}")),
                    Err(_) => wrong = Some(format!("{name}: it never came to its end")),
                }
                tokio::time::sleep(PAUSE).await;
            }
            wrong
        });
    }
    let mut outcome = honest::send_all(server, crowd.honest - crowd.honest / 2, crowd.requests).await?;
    // Whoever is slow may still play once.
    let patience = Instant::now() + ATTACK;
    while played.iter().any(|count| count.load(Relaxed) == 0) && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    over.store(true, Relaxed);
    while let Some(wrong) = attackers.join_next().await {
        outcome.wrong.extend(wrong?);
    }
    drop(receivers);
    for ((name, _), count) in classes.iter().zip(played.iter()) {
        outcome.attacks.insert(name, count.load(Relaxed));
    }
    outcome.missing = outcome.attacks.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    outcome.late = late.load(Relaxed);
    outcome.took = began.elapsed();
    Ok(outcome)
}
