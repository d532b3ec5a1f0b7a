//! Which channels a token may use: exact names, prefixes, or all.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use tieline_protocol::id::CHANNEL_NAME_MAX;
use tieline_protocol::{ChannelId, Metadata};

/// Some channels, as they are written in a tokens file: a name, the beginning of names (`img-*`), or all (`*`).
///
/// ```
/// use tieline_server::ChannelPattern;
/// let images: ChannelPattern = "img-*".parse().unwrap();
/// assert!(images.matches("img-small") && images.matches("img-") && !images.matches("img"));
/// assert!("*-img".parse::<ChannelPattern>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelPattern(Kind);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    Any,
    Prefix(String),
    Exact(String),
}

/// A pattern that means nothing.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum PatternError {
    /// It is empty, or longer than any name.
    #[error("a channel's name has 1 to {CHANNEL_NAME_MAX} bytes, this one has {0}")]
    Length(usize),
    /// A `*` stands elsewhere than at the end.
    #[error("'{0}': a '*' may only stand at the end: NAME, PREFIX* or *")]
    Star(String),
}

impl FromStr for ChannelPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            return Ok(Self(Kind::Any));
        }
        let (name, is_prefix) = text.strip_suffix('*').map_or((text, false), |name| (name, true));
        if name.contains('*') {
            return Err(PatternError::Star(text.to_owned()));
        }
        if !(1..=CHANNEL_NAME_MAX).contains(&name.len()) {
            return Err(PatternError::Length(name.len()));
        }
        Ok(Self(if is_prefix { Kind::Prefix(name.to_owned()) } else { Kind::Exact(name.to_owned()) }))
    }
}

impl fmt::Display for ChannelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Any => f.write_str("*"),
            Kind::Prefix(name) => write!(f, "{name}*"),
            Kind::Exact(name) => f.write_str(name),
        }
    }
}

impl ChannelPattern {
    /// Whether the channel of this name is one of those. Names are compared byte for byte.
    pub fn matches(&self, name: &str) -> bool {
        match &self.0 {
            Kind::Any => true,
            Kind::Prefix(prefix) => name.starts_with(prefix.as_str()),
            Kind::Exact(exact) => name == exact,
        }
    }

    /// Whether all channels of the other are among these.
    fn covers(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Any, _) => true,
            (_, Kind::Any) | (Kind::Exact(_), Kind::Prefix(_)) => false,
            (Kind::Prefix(mine), Kind::Prefix(theirs)) => theirs.starts_with(mine.as_str()),
            (_, Kind::Exact(name)) => self.matches(name),
        }
    }
}

/// Whether the channel of a start is one of these. It must be named in the start's metadata, and by its true name,
/// unless all channels are meant.
pub(super) fn allow(patterns: &[ChannelPattern], channel: ChannelId, metadata: &Metadata) -> bool {
    if patterns.iter().any(|pattern| pattern.0 == Kind::Any) {
        return true;
    }
    let Some(name) = metadata.text("channel") else { return false };
    patterns.iter().any(|pattern| pattern.matches(name))
        && (1..=CHANNEL_NAME_MAX).contains(&name.len())
        && ChannelId::of_name(name) == channel
}

/// Whether everything that `before` allowed is still allowed by `now`.
pub(super) fn still_allow(now: &[ChannelPattern], before: &[ChannelPattern]) -> bool {
    before.iter().all(|old| now.iter().any(|new| new.covers(old)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<ChannelPattern> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn allows(texts: &[&str], named: Option<&str>, id: &str) -> bool {
        let mut metadata = Metadata::new();
        if let Some(name) = named {
            metadata.push("channel", name).unwrap();
        }
        allow(&patterns(texts), ChannelId::of_name(id), &metadata)
    }

    #[test]
    fn a_star_is_all_alone_or_ends_a_prefix_and_means_nothing_elsewhere() {
        for good in ["*", "img-*", "a", "ä*", " ", "img"] {
            assert_eq!(good.parse::<ChannelPattern>().unwrap().to_string(), good);
        }
        for bad in ["", "**", "*a", "a*b", "a**", "*-*", &"x".repeat(256), &format!("{}*", "x".repeat(256))] {
            assert!(bad.parse::<ChannelPattern>().is_err(), "{bad}");
        }
        assert!("x".repeat(255).parse::<ChannelPattern>().is_ok());
    }

    #[test]
    fn names_are_compared_byte_for_byte() {
        assert!(allows(&["img-*"], Some("img-1"), "img-1"));
        assert!(allows(&["img-*"], Some("img-"), "img-"));
        assert!(!allows(&["img-*"], Some("img"), "img"));
        assert!(!allows(&["img-*"], Some("IMG-1"), "IMG-1"));
        assert!(!allows(&["thumbs"], Some("thumbs2"), "thumbs2"));
        assert!(!allows(&["thumbs"], Some("thumb"), "thumb"));
        assert!(!allows(&[], Some("thumbs"), "thumbs"));
        // `é` in one code point and in two are two names.
        assert!(!allows(&["caf\u{e9}"], Some("cafe\u{301}"), "cafe\u{301}"));
    }

    #[test]
    fn the_name_must_be_there_and_true_unless_all_channels_are_allowed() {
        assert!(!allows(&["img-*"], None, "img-1"));
        assert!(!allows(&["img-*"], Some("img-1"), "secret"), "a name that doesn't hash to the id opens nothing");
        assert!(!allows(&["thumbs"], Some("thumbs"), "secret"));
        assert!(allows(&["thumbs", "*"], None, "secret"));
    }

    #[test]
    fn taking_something_away_is_noticed_and_adding_is_not() {
        let still = |now: &[&str], before: &[&str]| still_allow(&patterns(now), &patterns(before));
        assert!(still(&["*"], &["a", "b*", "*"]));
        assert!(still(&["a*"], &["a", "ab", "ab*", "a*"]));
        assert!(still(&["a", "b"], &["a"]));
        assert!(still(&[], &[]));
        assert!(!still(&["a"], &["a", "b"]));
        assert!(!still(&["a"], &["a*"]));
        assert!(!still(&["ab*"], &["a*"]));
        assert!(!still(&["a*"], &["*"]));
        assert!(!still(&[], &["a"]));
    }
}
