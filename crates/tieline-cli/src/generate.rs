//! `tieline completions` and `tieline man`: made from the command line's own description.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::{self, Failure};

/// What `tieline completions` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell to write completions for
    shell: Shell,
}

/// What `tieline man` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct ManArgs {
    /// Write a page for each command into this folder, instead of the main page to stdout
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes a shell's completions to stdout.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tieline", &mut text);
    io::stdout().write_all(&text).map_err(|error| cannot_write("stdout", &error))
}

/// Writes the man page to stdout, or all pages into a folder.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let Some(folder) = &args.out else {
        let mut page = Vec::new();
        return clap_mangen::Man::new(Cli::command())
            .render(&mut page)
            .and_then(|()| io::stdout().write_all(&page))
            .map_err(|error| cannot_write("stdout", &error));
    };
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .map_err(|error| cannot_write(&folder.display().to_string(), &error))
}

fn cannot_write(what: &str, error: &io::Error) -> Failure {
    Failure::new(exit::NO_OUTPUT, format!("{what} can't be written: {error}"))
}
