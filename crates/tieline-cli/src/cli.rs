//! The command line as a whole; each command's own flags stand with the command.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use crate::{bench, cert, channel, demo, generate, map, receive, send, serve, token, top};

/// A message bus for requests: streams each request to exactly one free receiver, and its response back.
#[derive(Parser, Debug)]
#[command(name = "tieline", version, arg_required_else_help = true, after_help = EXIT_STATUS)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What `tieline` can do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run the server
    Serve(serve::Args),
    /// Send a request: its body from stdin, the response to stdout
    Send(send::Args),
    /// Answer requests with a program: stdin the request's body, stdout the response
    Receive(receive::Args),
    /// Send many files, so many at a time: the pool as a distributed xargs
    Map(map::Args),
    /// Show what a server is doing: channels, who is free, what waits, how fast
    Top(top::Args),
    /// Measure how fast a channel answers, and who limits it
    Bench(bench::Args),
    /// Make certificates for TLS
    Cert(cert::Args),
    /// Make tokens, by which a server knows its clients
    Token(token::Args),
    /// Print the id of a channel
    Channel(channel::Args),
    /// See it work: a server, receivers and senders in one process, everything checked
    Demo(demo::Args),
    /// Write a shell's completions to stdout
    Completions(generate::CompletionsArgs),
    /// Write the man page to stdout, or all pages into a folder
    Man(generate::ManArgs),
}

/// Shown under `--help` and in the man page.
const EXIT_STATUS: &str = "\
Exit status:
    0  the whole response came
    1  the receiver's program failed, or it was lost when it may have started: sending again may repeat its effects
    2  the command line is wrong
   66  the input can't be read
   69  server out of reach, or no receiver with --no-wait: nothing was started, safe to send again
   74  the output can't be written
   75  never handed out (wait or time-out passed in the queue, channel full, overloaded, shutting down): safe to send again
   76  protocol error
   77  not authorized: the token, or over TLS the certificate of either side
   78  configuration
  124  deadline passed after the request was handed out";

/// The error with what is meant most often by a command line of `receive` that lacks `--`.
pub(crate) fn with_tip(mut error: clap::Error, words: impl Iterator<Item = OsString>) -> clap::Error {
    let words: Vec<_> = words.skip(1).collect();
    let is_receive = words.first().is_some_and(|word| word == "receive") && !words.iter().any(|word| word == "--");
    let tip = match error.kind() {
        ErrorKind::UnknownArgument if is_receive && !is_flag(&error) => {
            "the command stands behind --, as in: -- sed -u s/a/b/"
        }
        ErrorKind::MissingRequiredArgument if is_receive && lacks_command(&error) => {
            "say what answers: -- CMD, or --http URL for a service that exists"
        }
        _ => return error,
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}

/// Whether what isn't known was meant as a flag.
fn is_flag(error: &clap::Error) -> bool {
    matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::String(word)) if word.starts_with('-'))
}

fn lacks_command(error: &clap::Error) -> bool {
    matches!(error.get(ContextKind::InvalidArg), Some(ContextValue::Strings(lacking)) if lacking == &["<CMD>..."])
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_description_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
