//! `tieline token new NAME`: draws a token, prints it once, and puts what the server needs of it into the tokens file.

use std::io::{self, Write};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::ArgGroup;
use tieline_server::{ChannelPattern, TokenDigest};
use toml::value::Datetime;

use super::entry::{Entry, Patterns, Rate, TokenName};
use super::{append, expiry, file};
use crate::exit::{self, Failure};
use crate::terminal::say;

/// What a token begins with, so that it is known for what it is wherever it turns up.
const PREFIX: &str = "tieline_";

/// What `tieline token new` is told.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
#[command(group(ArgGroup::new("rights").args(["send", "receive", "watch"]).required(true).multiple(true)))]
pub(super) struct Args {
    /// What people call it: who has it, what it is for
    name: TokenName,

    /// A channel that requests may be sent to: NAME, PREFIX* or *; may be repeated
    #[arg(long, value_name = "CHANNEL")]
    send: Vec<ChannelPattern>,

    /// A channel that requests may be received from: NAME, PREFIX* or *; may be repeated
    #[arg(long, value_name = "CHANNEL")]
    receive: Vec<ChannelPattern>,

    /// May see what the server does: /metrics, /api, the dashboard and `tieline top`
    #[arg(long)]
    watch: bool,

    /// Connections at once [default: as many as the server allows]
    #[arg(long, value_name = "N")]
    connections: Option<NonZeroU64>,

    /// Requests in flight, over all its connections [default: as many as each connection may have]
    #[arg(long, value_name = "N")]
    requests: Option<NonZeroU64>,

    /// Bytes that the server reads in a second from all its connections, 64KiB and more [default: as they come]
    #[arg(long, value_name = "SIZE")]
    bytes_per_second: Option<Rate>,

    /// Until when it is good: 2027-01-01T00:00:00Z
    #[arg(long, value_name = "DATE", value_parser = expiry::parse)]
    expires: Option<Datetime>,

    /// Add the entry to this tokens file, whole or not at all; it is made if it isn't there [default: to stderr]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Shown under `--help` and in the man page.
const HELP: &str = "\
The token goes to stdout, this once: nothing keeps it. Give it to a client in a file that only its owner can read, with \
--token-file, or in the variable TIELINE_TOKEN. A server that runs learns of it by SIGHUP.";

/// Makes a token.
///
/// # Errors
/// If the file can't be written, or has a token of that name, or the token can't be printed; then nothing was changed.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    let token = draw()?;
    let entry = Entry {
        name: args.name,
        sha256: TokenDigest::of(token.as_bytes()),
        send: Patterns(args.send),
        receive: Patterns(args.receive),
        watch: args.watch,
        connections: args.connections,
        requests: args.requests,
        bytes_per_second: args.bytes_per_second,
        expires: args.expires,
    };
    let is_over = |date| expiry::moment(date).is_ok_and(|moment| moment <= SystemTime::now());
    if let Some(date) = args.expires.filter(|date| is_over(*date)) {
        say(format!("tieline: {date} is over: nobody gets in with this token"));
    }
    // First the token: one that no file knows is worth nothing, while the entry of one that nobody has keeps its name.
    if let Some(path) = &args.file {
        return append::append(path, &entry, || print(&token));
    }
    let shown = file::show(&entry).map_err(|error| Failure::new(exit::INTERNAL, error.to_string()))?;
    print(&token)?;
    say(shown.trim_end());
    Ok(())
}

/// Writes the token to stdout; it has left when this returns.
fn print(token: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{token}").and_then(|()| stdout.flush()).map_err(|error| {
        Failure::new(exit::NO_OUTPUT, format!("stdout can't be written: {error}")).line("no token was made")
    })
}

/// 256 random bits in hexadecimal digits.
fn draw() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(exit::INTERNAL, format!("the system gives no randomness: {error}")))?;
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(PREFIX.chars().chain(digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_256_bits_and_no_two_are_the_same() {
        let token = draw().unwrap();
        assert!(token.len() == PREFIX.len() + 64 && token.starts_with(PREFIX), "{token}");
        assert_ne!(token, draw().unwrap());
    }
}
