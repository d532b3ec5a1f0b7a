//! Channels as they are shown, and the order they are shown in.

use std::cmp::Ordering;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;
use tieline_broker::{ChannelLook, Side};
use tieline_protocol::ChannelId;

use super::sample::{Row, Sample};
use super::{BySide, Observe, PAGE_MAX, Rates};

/// A channel as it is shown. Times are in seconds, sizes in bytes.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct ChannelView {
    /// Its id.
    pub id: String,
    /// What people call it, if a client has said so. It may hold any character.
    pub name: Option<String>,
    /// Requests that wait.
    pub waiting: usize,
    /// How long the oldest of them has waited.
    pub oldest_wait_seconds: Option<f64>,
    /// Receives that are open.
    pub receives: usize,
    /// For how many requests its receivers are ready.
    pub free: u64,
    /// Requests in the hands of receivers.
    pub busy: u64,
    /// What happens in a second; nothing if nobody has looked for a while.
    pub rates: Option<Rates>,
    /// How long a request took, at most, for half of those of the last minute or two whose response was complete.
    pub p50_seconds: Option<f64>,
    /// The same, for all but one in a hundred.
    pub p99_seconds: Option<f64>,
    /// Directions whose producer can send nothing now, by who keeps it from it.
    pub stalled: BySide<u32>,
    /// The side that is missing or holds up the most: `receiver` if requests wait and none is open; else that of
    /// `stalled` with the most.
    pub stalled_on: Option<&'static str>,
    /// Requests that ended since the channel was last forgotten; those that were refused aren't among them.
    pub ended: u64,
    /// Those of them whose response was not complete.
    pub failed: u64,
    /// Bytes of requests that came.
    pub request_bytes: u64,
    /// Bytes of responses that came.
    pub response_bytes: u64,
    /// The command that would start a receiver, if requests wait and none is open.
    pub start_one: Option<String>,
}

/// Channels in an order, some of them.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ChannelPage {
    /// How many were found in all.
    pub total: usize,
    /// When they were looked at, in seconds from the start of the server.
    pub taken_seconds: f64,
    /// The channels.
    pub channels: Vec<ChannelView>,
    /// What to ask for as `after` to have those behind them, if there are any.
    pub next: Option<String>,
}

/// The channel that the page was to begin behind isn't there any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the channel of 'after' is not there any more: begin anew")]
pub struct Gone;

/// What channels are ordered by, the largest first; names and ids in their own order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Sort {
    /// By what asks for attention: what waits with no receiver, what waits, what is busy, what ends.
    #[default]
    Attention,
    /// By id.
    Id,
    /// By name, those without one last.
    Name,
    /// By requests that wait.
    Waiting,
    /// By the oldest wait.
    Oldest,
    /// By free receivers.
    Free,
    /// By busy receivers.
    Busy,
    /// By requests a second.
    Rate,
    /// By bytes of requests a second.
    In,
    /// By bytes of responses a second.
    Out,
    /// By the median of how long requests take.
    P50,
    /// By the same for all but one in a hundred.
    P99,
}

impl Sort {
    /// Every order, by its name.
    pub const ALL: [(&'static str, Self); 12] = [
        ("attention", Self::Attention),
        ("id", Self::Id),
        ("name", Self::Name),
        ("waiting", Self::Waiting),
        ("oldest", Self::Oldest),
        ("free", Self::Free),
        ("busy", Self::Busy),
        ("rate", Self::Rate),
        ("in", Self::In),
        ("out", Self::Out),
        ("p50", Self::P50),
        ("p99", Self::P99),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, sort)| *sort == self).map_or("", |(name, _)| name)
    }

    fn compare(self, one: &Row, other: &Row) -> Ordering {
        let rate = |get: fn(Rates) -> f64| {
            let of = |row: &Row| row.rates.map_or(0.0, get);
            of(other).total_cmp(&of(one))
        };
        let (a, b) = (&one.look, &other.look);
        let order = match self {
            Self::Attention => {
                let key = |look: &ChannelLook| (look.waiting > 0 && look.receives == 0, look.waiting, look.busy);
                key(b).cmp(&key(a)).then_with(|| rate(|rates| rates.requests))
            }
            Self::Id => Ordering::Equal,
            Self::Name => (a.name.is_none(), &a.name).cmp(&(b.name.is_none(), &b.name)),
            Self::Waiting => b.waiting.cmp(&a.waiting),
            Self::Oldest => b.oldest.cmp(&a.oldest),
            Self::Free => b.free.cmp(&a.free),
            Self::Busy => b.busy.cmp(&a.busy),
            Self::Rate => rate(|rates| rates.requests),
            Self::In => rate(|rates| rates.request_bytes),
            Self::Out => rate(|rates| rates.response_bytes),
            Self::P50 => b.p50.cmp(&a.p50),
            Self::P99 => b.p99.cmp(&a.p99),
        };
        order.then_with(|| a.id.cmp(&b.id))
    }
}

impl FromStr for Sort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(|(name, _)| name).join(", ");
        let found = Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, sort)| *sort);
        found.ok_or_else(|| format!("'{text}' is no order; there are {}", names()))
    }
}

impl Observe {
    /// At most so many channels, and no more than [`PAGE_MAX`], of those that [`Sample::page`] finds, in an order, behind
    /// another one or from the first.
    ///
    /// # Errors
    /// If that other one isn't there any more.
    pub async fn channels(
        &self,
        sort: Sort,
        find: &str,
        after: Option<ChannelId>,
        limit: usize,
    ) -> Result<ChannelPage, Gone> {
        self.sample().await.page(sort, find, after, limit)
    }
}

impl Row {
    fn is_found_by(&self, find: &str) -> bool {
        let Some(name) = self.look.name.as_deref().filter(|_| !find.is_empty()) else {
            return find.is_empty() || self.look.id.to_string().starts_with(find);
        };
        name.windows(find.len()).any(|part| part.eq_ignore_ascii_case(find.as_bytes()))
            || self.look.id.to_string().starts_with(find)
    }
}

impl Sample {
    /// At most so many channels, and no more than [`PAGE_MAX`], of those whose name holds `find` (whichever the case of
    /// its ASCII letters) or whose id begins with it, in an order, behind another one or from the first.
    ///
    /// # Errors
    /// If that other one isn't in the sample.
    pub fn page(&self, sort: Sort, find: &str, after: Option<ChannelId>, limit: usize) -> Result<ChannelPage, Gone> {
        let limit = limit.min(PAGE_MAX);
        let after = match after {
            None => None,
            Some(id) => Some(self.channels.iter().find(|row| row.look.id == id).ok_or(Gone)?),
        };
        let is_behind = |row: &&Row| after.is_none_or(|after| sort.compare(after, row).is_lt());
        let found: Vec<&Row> = self.channels.iter().filter(|row| row.is_found_by(find)).collect();
        let total = found.len();
        let mut rows: Vec<&Row> = found.into_iter().filter(is_behind).collect();
        let more = rows.len() > limit;
        if more && limit > 0 {
            // Only those that are shown are brought into their order.
            rows.select_nth_unstable_by(limit - 1, |one, other| sort.compare(one, other));
        }
        rows.truncate(limit);
        rows.sort_unstable_by(|one, other| sort.compare(one, other));
        Ok(ChannelPage {
            total,
            taken_seconds: self.taken().as_secs_f64(),
            next: rows.last().filter(|_| more).map(|row| row.look.id.to_string()),
            channels: rows.into_iter().map(|row| ChannelView::new(&row.look, row.rates)).collect(),
        })
    }
}

impl ChannelView {
    pub(super) fn new(look: &ChannelLook, rates: Option<Rates>) -> Self {
        let name = look.name.as_ref().map(|name| String::from_utf8_lossy(name).into_owned());
        let lacks_receiver = look.waiting > 0 && look.receives == 0;
        let seconds = |time: Option<Duration>| time.as_ref().map(Duration::as_secs_f64);
        Self {
            id: look.id.to_string(),
            waiting: look.waiting,
            oldest_wait_seconds: seconds(look.oldest),
            receives: look.receives,
            free: look.free,
            busy: look.busy,
            rates,
            p50_seconds: seconds(look.p50),
            p99_seconds: seconds(look.p99),
            stalled: BySide::of(|by| look.stalled(by)),
            stalled_on: if lacks_receiver { Some(Side::Receiver.name()) } else { stalled_on(look) },
            ended: look.ended,
            failed: look.failed,
            request_bytes: look.request_bytes,
            response_bytes: look.response_bytes,
            start_one: lacks_receiver.then(|| start_one(name.as_deref())),
            name,
        }
    }
}

fn stalled_on(look: &ChannelLook) -> Option<&'static str> {
    let most = Side::ALL.into_iter().max_by_key(|by| look.stalled(*by))?;
    (look.stalled(most) > 0).then(|| most.name())
}

/// The command that starts a receiver of a channel, to be pasted. A name that a shell would read otherwise is quoted, and
/// one that can't be pasted, or isn't known, is left out.
#[must_use]
pub fn start_one(name: Option<&str>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+".contains(c);
    match name {
        Some(name) if name.starts_with('-') || name.chars().any(char::is_control) => {
            "tieline receive CHANNEL -- CMD".to_owned()
        }
        Some(name) if name.chars().all(plain) => format!("tieline receive {name} -- CMD"),
        Some(name) => format!("tieline receive '{}' -- CMD", name.replace('\'', r"'\''")),
        None => "tieline receive CHANNEL -- CMD".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_starts_a_receiver_is_safe_to_paste() {
        for (name, shown) in [
            (Some("upper"), "tieline receive upper -- CMD"),
            (Some("a b;rm x"), "tieline receive 'a b;rm x' -- CMD"),
            (Some("it's"), r"tieline receive 'it'\''s' -- CMD"),
            (Some("--help"), "tieline receive CHANNEL -- CMD"),
            (Some("a\nb"), "tieline receive CHANNEL -- CMD"),
            (None, "tieline receive CHANNEL -- CMD"),
        ] {
            assert_eq!(start_one(name), shown);
        }
    }

    #[test]
    fn every_order_has_a_name_that_is_read_back() {
        for (name, sort) in Sort::ALL {
            assert_eq!((name.parse(), sort.name()), (Ok(sort), name));
        }
        assert!("size".parse::<Sort>().unwrap_err().contains("waiting, oldest"));
    }
}
