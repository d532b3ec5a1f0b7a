//! One token in the file: its name, its SHA-256, and what it may do.

use std::fmt::Display;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tieline_server::{ChannelPattern, TokenDigest, TokenRule};
use toml::value::Datetime;

use super::expiry;
use crate::units::Size;

/// The longest name of a token, in bytes.
const NAME_MAX: usize = 64;

/// What people call a token.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct TokenName(String);

impl FromStr for TokenName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !(1..=NAME_MAX).contains(&text.len()) || text.chars().any(char::is_control) {
            return Err(format!("a token's name has 1 to {NAME_MAX} bytes and no control characters"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TokenName {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for TokenName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// See the module.
#[derive(Deserialize, Serialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Entry {
    pub(super) name: TokenName,
    #[serde(deserialize_with = "parsed", serialize_with = "shown")]
    pub(super) sha256: TokenDigest,
    #[serde(default)]
    pub(super) send: Patterns,
    #[serde(default)]
    pub(super) receive: Patterns,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) watch: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connections: Option<NonZeroU64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requests: Option<NonZeroU64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes_per_second: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Datetime>,
}

impl Entry {
    /// What the server makes of it.
    ///
    /// # Errors
    /// If its expiry isn't a moment.
    pub(super) fn rule(&self) -> Result<TokenRule, String> {
        let mut rule = TokenRule::new(self.name.as_str(), self.sha256);
        rule.send.clone_from(&self.send.0);
        rule.receive.clone_from(&self.receive.0);
        rule.watch = self.watch;
        rule.connections = self.connections.map(NonZeroU64::get);
        rule.requests = self.requests.map(NonZeroU64::get);
        rule.bytes_per_second = self.bytes_per_second.map(|rate| rate.0);
        rule.expires = self.expires.map(expiry::moment).transpose()?;
        Ok(rule)
    }
}

/// A list of channels, as strings.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Patterns(pub(super) Vec<ChannelPattern>);

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(de::Error::custom)).collect::<Result<_, _>>().map(Self)
    }
}

impl Serialize for Patterns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ChannelPattern::to_string))
    }
}

/// Bytes a second that can work.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Rate(pub(super) NonZeroU64);

impl TryFrom<Size> for Rate {
    type Error = String;

    fn try_from(size: Size) -> Result<Self, String> {
        let least = tieline_server::BYTES_PER_SECOND_MIN;
        NonZeroU64::new(size.0)
            .filter(|bytes| bytes.get() >= least)
            .map(Self)
            .ok_or_else(|| format!("{size} a second are too few; at least {}", Size(least)))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_from(text.parse::<Size>()?)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Size::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.get())
    }
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

fn shown<S: Serializer, T: Display>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
