//! Tokens on the command line: the file that `serve` reads, `tieline token new`, and where a client's own comes from.
//!
//! | module | what it holds |
//! |---|---|
//! | [`file`] | the tokens file |
//! | [`entry`] | one token in it |
//! | [`expiry`] | dates |
//! | [`append`] | adding an entry to the file, whole or not at all |
//! | [`mint`] | `tieline token new` |
//! | [`own`] | the token of `send` and `receive` |

mod append;
mod entry;
mod expiry;
pub(crate) mod file;
mod mint;
pub(crate) mod own;

use crate::exit::Failure;

/// What `tieline token` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with tokens.
#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Make a token: it is printed once, and only its SHA-256 goes into the tokens file
    New(mint::Args),
}

/// Does it.
///
/// # Errors
/// As the command says.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::New(args) => mint::run(args),
    }
}
