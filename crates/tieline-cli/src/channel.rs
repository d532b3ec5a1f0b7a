//! Channel names on the command line, and `tieline channel NAME`.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use tieline_protocol::ChannelId;
use tieline_protocol::id::CHANNEL_NAME_MAX;

use crate::exit::{self, Failure};

/// A channel's name, 1 to 255 bytes of UTF-8.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Name(String);

impl Name {
    /// The name as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if (1..=CHANNEL_NAME_MAX).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("a channel's name has 1 to {CHANNEL_NAME_MAX} bytes, this one has {}", text.len()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What `tieline channel` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The channel's name
    name: Name,
}

/// Prints the id of a channel, alone on stdout.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    writeln!(io::stdout(), "{}", ChannelId::of_name(args.name.as_str()))
        .map_err(|error| Failure::new(exit::NO_OUTPUT, format!("stdout can't be written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_1_to_255_bytes() {
        assert!("".parse::<Name>().is_err());
        assert!("ü".repeat(128).parse::<Name>().is_err());
        assert_eq!("ü".repeat(127).parse::<Name>().unwrap().as_str().len(), 254);
    }
}
