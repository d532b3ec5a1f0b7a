//! How a request is sent: its limits, what may be sent again, its metadata. The flags that `send` and `map` share.

use tieline::{Client, Retry, SendRequest};
use tieline_protocol::Metadata;
use tieline_protocol::trace::TRACEPARENT;

use crate::channel::Name;
use crate::otel::{Otel, Traced};
use crate::trace::Position;
use crate::units::{Span, some_time};

/// How often an idempotent request is sent again unless told otherwise: enough for a server that starts anew.
const RETRIES_IF_IDEMPOTENT: u32 = 3;

/// The flags that say how requests are sent.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Manner {
    /// How long it may wait for a receiver [default: as long as --timeout]
    #[arg(long, value_name = "DURATION", conflicts_with = "no_wait")]
    pub(crate) wait: Option<Span>,

    /// How long all of it may take [default: the server's longest]
    #[arg(long, value_name = "DURATION", value_parser = some_time)]
    pub(crate) timeout: Option<Span>,

    /// Fail at once if no receiver is ready
    #[arg(long)]
    pub(crate) no_wait: bool,

    /// Running it twice does no harm: it may be given to another receiver when one is lost
    #[arg(long)]
    pub(crate) idempotent: bool,

    /// How often it may be sent again by itself, where that is safe. What was begun needs an input that can be read
    /// again (a file) [default: 3 if idempotent; else only what was not started because its connection was lost]
    #[arg(long, value_name = "N")]
    pub(crate) retry: Option<u32>,

    /// Metadata for the receiver; may be repeated. TRACEPARENT and TRACESTATE of the environment, the position in a trace,
    /// are added to it, unless it has a traceparent
    #[arg(long, value_name = "NAME=VALUE", value_parser = entry)]
    pub(crate) meta: Vec<(String, String)>,

    /// Cancel it when no byte has moved, either way, for so long
    #[arg(long, value_name = "DURATION", value_parser = some_time)]
    pub(crate) stall: Option<Span>,
}

impl Manner {
    /// The work that a request is, in the trace that the environment names; unless the metadata names another.
    pub(crate) fn traced(&self, otel: &Otel, channel: &Name) -> Traced {
        if self.meta.iter().any(|(name, _)| name == TRACEPARENT) {
            return Traced::elsewhere();
        }
        otel.sending(channel.as_str(), Position::of_environment())
    }

    /// A request on `channel` as it was asked for, at this position of a trace, without its body.
    pub(crate) fn request(&self, client: &Client, channel: &Name, position: Option<&Position>) -> SendRequest {
        let mut request = client.send(channel.as_str());
        for (name, value) in &self.meta {
            request = request.meta(name, value);
        }
        if let Some(position) = position {
            request = position.give(request);
        }
        if let Some(wait) = self.wait {
            request = request.wait(wait.0);
        }
        if let Some(limit) = self.timeout {
            request = request.timeout(limit.0);
        }
        if self.no_wait {
            request = request.no_wait();
        }
        if self.idempotent {
            request = request.idempotent();
        }
        match self.retries() {
            Some(times) => request.retry(Retry::up_to(times)),
            None => request,
        }
    }

    /// How often it may be sent again; `None` leaves it to the library.
    pub(crate) fn retries(&self) -> Option<u32> {
        // The library by itself sends again only what is certainly unstarted; this was said to be safe as well.
        self.retry.or((self.idempotent && !self.no_wait).then_some(RETRIES_IF_IDEMPOTENT))
    }
}

/// A piece of metadata as it is written on the command line.
fn entry(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name == "channel" {
        return Err("the metadata 'channel' is the name of the channel that it is sent to".to_owned());
    }
    Metadata::new().push(name, value).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_a_lower_case_name_and_any_value() {
        assert_eq!(entry("size=a=b").unwrap(), ("size".into(), "a=b".into()));
        assert_eq!(entry("empty=").unwrap().1, "");
        for bad in ["size", "=1", "Size=1", "a b=1", "channel=other"] {
            assert!(entry(bad).is_err(), "{bad}");
        }
    }
}
