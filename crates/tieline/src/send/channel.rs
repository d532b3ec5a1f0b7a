//! What a request's channel brings into its start: the channel's id, and the metadata that names it.

use std::cell::RefCell;

use tieline_protocol::id::CHANNEL_NAME_MAX;
use tieline_protocol::{ChannelId, Metadata};

use crate::error::Error;

/// A channel as starts name it.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) id: ChannelId,
    /// The metadata of a start that has no other.
    pub(super) metadata: Metadata,
}

thread_local! {
    /// The channel that this thread sent to last: most programs send to it again, and an id is a hash to compute.
    static LAST: RefCell<Option<(String, Channel)>> = const { RefCell::new(None) };
}

impl Channel {
    /// The channel of this name.
    ///
    /// # Errors
    /// If it is no name for a channel.
    pub(super) fn named(name: &str) -> Result<Self, Error> {
        LAST.with_borrow_mut(|last| match last {
            Some((known, channel)) if known == name => Ok(channel.clone()),
            _ => {
                let metadata = start_metadata(name, &Metadata::new())?;
                let channel = Self { id: ChannelId::of_name(name), metadata };
                *last = Some((name.to_owned(), channel.clone()));
                Ok(channel)
            }
        })
    }
}

/// The metadata of a start on a channel: its name, then the program's.
///
/// A server whose tokens list channels by prefix needs the name, and it is what people read in its lists.
pub(crate) fn start_metadata(channel: &str, more: &Metadata) -> Result<Metadata, Error> {
    if channel.is_empty() || channel.len() > CHANNEL_NAME_MAX {
        return Err(Error::ChannelName { name: channel.to_owned() });
    }
    let mut metadata = Metadata::new();
    metadata.push("channel", channel)?;
    for (name, value) in more.iter() {
        metadata.push(name, value)?;
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_is_the_one_that_is_named_whichever_was_named_before() {
        for name in ["a", "b", "b", "a"] {
            let channel = Channel::named(name).unwrap();
            assert_eq!((channel.id, channel.metadata.text("channel")), (ChannelId::of_name(name), Some(name)));
        }
        assert!(Channel::named("").is_err());
        assert_eq!(Channel::named("a").unwrap().id, ChannelId::of_name("a"));
    }
}
