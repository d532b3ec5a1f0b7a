//! The gates, by name, in the order of the table.

mod crowd;
mod crumbs;
mod flood;
mod hello;
mod http;
mod idle;
mod metrics;
mod silent;
mod stalled;
mod waiting;

use crate::row::{Row, Verdict};

/// How much is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effort {
    /// What the table promises.
    Full,
    /// A tenth of it, to see that the gates themselves work.
    Quick,
}

impl Effort {
    /// A number, or a tenth of it.
    pub fn of(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Quick => full.div_ceil(10),
        }
    }
}

/// The names of the gates, in order, with what each measures.
pub const NAMES: [(&str, &str); 11] = [
    ("idle", "user-space memory an idle connection"),
    ("stalled", "10,000 requests stalled by their consumers"),
    ("silent", "how soon a lost peer is noticed"),
    ("hello", "how long a stranger may take to greet"),
    ("waiting", "15,000 receivers that wait"),
    ("flood", "100,000 starts and cancels a second"),
    ("crowd", "1,000 attackers among 100 honest clients"),
    ("http", "what a request by HTTP may hold"),
    ("crumbs", "bodies by HTTP/2 that come as single bytes"),
    ("metrics", "a scrape of 10,000 channels"),
    ("kill", "says where the kill soak is"),
];

/// Runs one gate.
///
/// # Errors
/// If it could not be measured, or something came out wrong; that is a broken promise too.
pub async fn run(name: &str, effort: Effort) -> anyhow::Result<Vec<Row>> {
    match name {
        "idle" => idle::run(effort).await,
        "stalled" => stalled::run(effort).await,
        "silent" => silent::run(effort).await,
        "hello" => hello::run().await,
        "waiting" => waiting::run(effort).await,
        "flood" => flood::run(effort).await,
        "crowd" => crowd::run(effort).await,
        "http" => http::run(effort).await,
        "crumbs" => crumbs::run(effort).await,
        "metrics" => metrics::run(effort).await,
        "kill" => Ok(vec![
            Row::new(
                "processes killed under load",
                "TigerBeetle's Vortex: 1 min by default",
                "10 min, thousands of kills, no unexplained outcome",
            )
            .measured("`just kill-soak 600`", Verdict::Elsewhere),
        ]),
        other => anyhow::bail!("there is no gate '{other}'"),
    }
}
