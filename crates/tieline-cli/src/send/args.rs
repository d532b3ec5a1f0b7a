//! What `tieline send` is told on its command line.

use std::path::PathBuf;

use tieline_protocol::Metadata;

use crate::channel::Name;
use crate::reach::Reach;
use crate::units::Span;

/// The flags of `tieline send`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The channel to send to
    pub(super) channel: Name,

    /// Read the body from this file [default: stdin]
    #[arg(short, long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,

    /// Write the response to this file, which appears only when the response is complete [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// How long it may wait for a receiver [default: as long as --timeout]
    #[arg(long, value_name = "DURATION", conflicts_with = "no_wait")]
    pub(super) wait: Option<Span>,

    /// How long all of it may take [default: the server's longest]
    #[arg(long, value_name = "DURATION")]
    pub(super) timeout: Option<Span>,

    /// Fail at once if no receiver is ready
    #[arg(long)]
    pub(super) no_wait: bool,

    /// Running it twice does no harm: it may be given to another receiver when one is lost
    #[arg(long)]
    pub(super) idempotent: bool,

    /// How often it may be sent again by itself, where that is safe. What was begun needs an input that can be read
    /// again (a file) [default: 3 if idempotent; else only what was not started because its connection was lost]
    #[arg(long, value_name = "N")]
    pub(super) retry: Option<u32>,

    /// Metadata for the receiver; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = entry)]
    pub(super) meta: Vec<(String, String)>,

    /// Cancel it when no byte has moved, either way, for so long
    #[arg(long, value_name = "DURATION")]
    pub(super) stall: Option<Span>,

    #[command(flatten)]
    pub(super) reach: Reach,
}

/// A piece of metadata as it is written on the command line.
fn entry(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
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
        for bad in ["size", "=1", "Size=1", "a b=1"] {
            assert!(entry(bad).is_err(), "{bad}");
        }
    }
}
