//! On which channels responses are large, so that the next one is granted its window with the request's start.
//!
//! A response that fits into the initial window needs no grant, and a grant ahead would be a frame for nothing. One that
//! doesn't fit stands still until the sender's grant has come back to the receiver; granted ahead, it needn't. The
//! server's memory is reserved for it from the hand-out on, so no more is granted than the last one was long.

use tieline_protocol::ChannelId;
use tieline_protocol::limits::INITIAL_WINDOW;

use super::ids::IdMap;

/// Channels that are remembered; beyond, all are forgotten, and learned anew.
const CHANNELS_MAX: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// How far to grant on a channel whose last response was large.
    channels: IdMap<ChannelId, u64>,
}

impl Ahead {
    /// What to grant with a start on the channel; `None` where responses are small, or not known.
    pub(super) fn grant(&self, channel: ChannelId) -> Option<u64> {
        if self.channels.is_empty() { None } else { self.channels.get(&channel).copied() }
    }

    /// A response of `length` bytes, its metadata included, was complete; `window` is the most that is granted.
    pub(super) fn learn(&mut self, channel: ChannelId, length: u64, window: u64) {
        if length <= INITIAL_WINDOW {
            if !self.channels.is_empty() {
                self.channels.remove(&channel);
            }
            return;
        }
        if self.channels.len() >= CHANNELS_MAX && !self.channels.contains_key(&channel) {
            self.channels.clear();
        }
        // So much more that the next may be a little longer, and ends before it is worth a grant.
        let to = length.next_multiple_of(INITIAL_WINDOW).saturating_add(INITIAL_WINDOW);
        self.channels.insert(channel, to.min(window));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    #[test]
    fn only_what_was_large_the_last_time_is_granted_ahead() {
        let (one, other) = (ChannelId::of_name("one"), ChannelId::of_name("other"));
        let mut ahead = Ahead::default();
        ahead.learn(one, 16 * KIB, 1024 * KIB);
        assert_eq!(ahead.grant(one), None);
        ahead.learn(one, 64 * KIB, 1024 * KIB);
        assert_eq!((ahead.grant(one), ahead.grant(other)), (Some(80 * KIB), None));
        ahead.learn(one, 5 * KIB, 1024 * KIB);
        assert_eq!(ahead.grant(one), None);
    }

    #[test]
    fn no_more_than_a_window_is_granted_ahead() {
        let channel = ChannelId::of_name("one");
        let mut ahead = Ahead::default();
        ahead.learn(channel, u64::MAX - 16 * KIB, 1024 * KIB);
        assert_eq!(ahead.grant(channel), Some(1024 * KIB));
    }

    #[test]
    fn many_channels_do_not_pile_up() {
        let mut ahead = Ahead::default();
        for number in 0..10 * CHANNELS_MAX {
            ahead.learn(ChannelId::of_name(&number.to_string()), 64 * KIB, 1024 * KIB);
            assert!(ahead.channels.len() <= CHANNELS_MAX);
        }
    }
}
