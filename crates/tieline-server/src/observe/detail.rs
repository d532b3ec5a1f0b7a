//! One channel with its requests and receivers; one request with who has it, and what it waits for.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use tieline_broker::{Body, ConnKey, Progress, RequestLook, Side};
use tieline_protocol::limits::INITIAL_WINDOW;
use tieline_protocol::{ChannelId, ExchangeId, RequestId, Time};

use super::{ChannelView, Observe, PAGE_MAX, Party};

/// Requests, of all channels, and connections that are looked at in one step, while others wait.
const STEP: usize = 1024;

/// Of what a receiver has in hand, at most so many are looked at.
const IN_HAND_MAX: usize = 4096;

/// A channel with who takes part in it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ChannelDetail {
    /// The channel.
    pub channel: ChannelView,
    /// Some of its requests, at most as many as were asked for.
    pub requests: Vec<RequestView>,
    /// Some of its receivers, free and busy, at most as many as were asked for.
    pub receivers: Vec<ReceiverView>,
}

/// A receiver of a channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ReceiverView {
    /// Who it is.
    #[serde(flatten)]
    pub party: Party,
    /// For how many requests it is ready.
    pub free: u64,
    /// Requests of the channel that it has in hand.
    pub busy: usize,
    /// How many it was handed out in all, on this receive.
    pub handed_out: u64,
}

/// Names a request on all surfaces: `CLIENT.REQUEST.CHANNEL`, the request in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct RequestName(pub ExchangeId);

/// Where a request is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits on its channel.
    Waiting,
    /// It was handed out, and no byte of it has left.
    HandedOut,
    /// It has left to a receiver whose program hasn't taken it yet.
    Sent,
    /// The receiver's program has it.
    Accepted,
    /// The response has started.
    Responding,
}

/// A request as it is shown. Times are in seconds, sizes in bytes.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct RequestView {
    /// Names it.
    pub id: RequestName,
    /// Its id at its client, by which logs name it.
    pub request_id: String,
    /// Its channel's id.
    pub channel: String,
    /// Where it is.
    pub state: State,
    /// Who sent it.
    pub sender: Option<Party>,
    /// Who has it, if it isn't waiting.
    pub receiver: Option<Party>,
    /// How long ago it came.
    pub age_seconds: f64,
    /// For how long it waited until it was handed out to whoever has it, since it came; nothing while it waits.
    pub waited_seconds: Option<f64>,
    /// From when it came until its response started; nothing before.
    pub first_byte_seconds: Option<f64>,
    /// When it must be over.
    pub deadline_in_seconds: f64,
    /// How often it was handed out.
    pub hand_outs: u8,
    /// Whether running it twice does no harm.
    pub idempotent: bool,
    /// Its body.
    pub request: BodyView,
    /// The response's body.
    pub response: BodyView,
}

/// A body on its way.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct BodyView {
    /// Bytes that came from its producer.
    pub bytes: u64,
    /// Bytes of them that haven't left to its consumer.
    pub held: u64,
    /// Bytes that the producer may still send.
    pub credit: u64,
    /// Whether all of it has come.
    pub closed: bool,
    /// Who keeps the producer from sending, if somebody does.
    pub stalled_on: Option<&'static str>,
    /// For how long.
    pub stalled_seconds: Option<f64>,
}

impl fmt::Display for RequestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExchangeId { client, request, channel } = &self.0;
        write!(f, "{client}.{:x}.{channel}", request.as_u128())
    }
}

impl FromStr for RequestName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "'{text}' names no request: that is its id, or CLIENT.REQUEST.CHANNEL, as /api/channels/… shows both"
            )
        };
        let mut parts = text.split('.');
        let (Some(client), Some(request), Some(channel), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let request = match request.len() {
            1..=32 if request.bytes().all(|digit| digit.is_ascii_hexdigit()) => u128::from_str_radix(request, 16).ok(),
            _ => None,
        };
        Ok(Self(ExchangeId {
            client: client.parse().map_err(|_| wrong())?,
            request: RequestId::from_u128(request.ok_or_else(wrong)?),
            channel: channel.parse().map_err(|_| wrong())?,
        }))
    }
}

impl Serialize for RequestName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<Progress> for State {
    fn from(progress: Progress) -> Self {
        match progress {
            Progress::Waiting => Self::Waiting,
            Progress::HandedInside => Self::HandedOut,
            Progress::HandedLeft => Self::Sent,
            Progress::Accepted => Self::Accepted,
            Progress::Responding => Self::Responding,
        }
    }
}

impl Observe {
    /// One channel with at most so many of its requests and receivers, and no more than [`PAGE_MAX`] of each; `None` if
    /// nothing needs it.
    pub async fn channel(&self, id: ChannelId, limit: usize) -> Option<ChannelDetail> {
        let limit = limit.min(PAGE_MAX);
        let rates = self.sample().await.channels.iter().find(|row| row.look.id == id).and_then(|row| row.rates);
        let shard = self.hub.shard_of(id);
        let now = self.now();
        let look = self.hub.look(shard, |core| core.look_channel(now, id))?;
        Some(ChannelDetail {
            channel: ChannelView::new(&look, rates),
            requests: self.requests(shard, |exchange| exchange.channel == id, limit).await,
            receivers: self.receivers(id, limit.min(look.receives)).await,
        })
    }

    /// One request; `None` if it is over, or never was.
    pub fn request(&self, name: RequestName) -> Option<RequestView> {
        let shard = self.hub.shard_of(name.0.channel);
        self.hub.look(shard, |core| core.look_request(&name.0)).map(|look| self.show(&look))
    }

    /// Requests with an id, which is how their clients name them, and at most so many: each client makes its own ids, so
    /// several may have the same.
    pub async fn requests_with(&self, id: RequestId, limit: usize) -> Vec<RequestView> {
        let mut found = Vec::new();
        for shard in 0..self.hub.shards() {
            found.extend(self.requests(shard, |exchange| exchange.request == id, limit - found.len()).await);
        }
        found
    }

    /// At most so many of the requests in a shard that are wanted.
    async fn requests(&self, shard: usize, is_wanted: impl Fn(&ExchangeId) -> bool, limit: usize) -> Vec<RequestView> {
        let mut looks = Vec::new();
        let mut place = (limit > 0).then_some(0);
        while let Some(from) = place {
            place = self.hub.look(shard, |core| {
                core.look_requests(&is_wanted, from, STEP, |look| {
                    looks.push(look);
                    looks.len() < limit
                })
            });
            tokio::task::yield_now().await;
        }
        looks.iter().map(|look| self.show(look)).collect()
    }

    async fn receivers(&self, channel: ChannelId, limit: usize) -> Vec<ReceiverView> {
        let shard = self.hub.shard_of(channel);
        let (mut receivers, mut from) = (Vec::new(), ConnKey(0));
        while receivers.len() < limit {
            let peers = self.hub.peers_from(from, STEP);
            let Some(last) = peers.last() else { break };
            from = ConnKey(last.key.0 + 1);
            self.hub.look(shard, |core| {
                for peer in &peers {
                    if receivers.len() < limit
                        && let Some(look) = core.look_receiver(peer.key, channel, IN_HAND_MAX)
                    {
                        receivers.push((Party::new(peer), look));
                    }
                }
            });
            tokio::task::yield_now().await;
        }
        let view = |(party, look): (Party, tieline_broker::ReceiverLook)| ReceiverView {
            party,
            free: look.free,
            busy: look.busy,
            handed_out: look.used,
        };
        receivers.into_iter().map(view).collect()
    }

    fn show(&self, look: &RequestLook) -> RequestView {
        let (now, standing) = (self.now(), &look.standing);
        // The receiver has its initial window from the moment that it is handed the request.
        let least = if standing.receiver.is_some() && look.answered.is_none() { INITIAL_WINDOW } else { 0 };
        let response = Body { granted: standing.response.granted.max(least), ..standing.response };
        let until = |moment: Option<Time>| moment.map(|moment| moment.since(look.came).as_secs_f64());
        RequestView {
            id: RequestName(standing.id),
            request_id: standing.id.request.to_string(),
            channel: standing.id.channel.to_string(),
            state: standing.progress.into(),
            sender: self.party(standing.opener),
            receiver: standing.receiver.and_then(|receiver| self.party(receiver)),
            age_seconds: now.since(look.came).as_secs_f64(),
            waited_seconds: until(look.handed),
            first_byte_seconds: until(look.answered),
            deadline_in_seconds: standing.deadline.since(now).as_secs_f64(),
            hand_outs: standing.hand_outs,
            idempotent: look.idempotent,
            request: body(standing.request, look.request_held, standing.request_closed, look.request_stalled, now),
            // A response that is closed ends its request.
            response: body(response, look.response_held, false, look.response_stalled, now),
        }
    }
}

fn body(body: Body, held: u64, closed: bool, stalled: Option<(Side, Time)>, now: Time) -> BodyView {
    BodyView {
        bytes: body.arrived,
        held,
        credit: if closed { 0 } else { body.granted.saturating_sub(body.arrived) },
        closed,
        stalled_on: stalled.map(|(by, _)| by.name()),
        stalled_seconds: stalled.map(|(_, since)| now.since(since).as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use tieline_protocol::ClientId;

    use super::*;

    #[test]
    fn the_name_of_a_request_is_read_as_it_is_written() {
        let id = ExchangeId {
            client: ClientId::from_u128(7),
            request: RequestId::from_u128(0xab),
            channel: ChannelId::of_name("upper"),
        };
        let name = RequestName(id);
        assert_eq!(name.to_string(), "00000000-0000-0000-0000-000000000007.ab.e07762b9-4b5b-5901-bd99-93b2cd49bd32");
        assert_eq!(name.to_string().parse(), Ok(name));
        for wrong in ["", "ab", "a.b.c", &format!("{name}.1"), &name.to_string().replace(".ab.", ".+b.")] {
            assert!(wrong.parse::<RequestName>().is_err(), "{wrong}");
        }
    }
}
