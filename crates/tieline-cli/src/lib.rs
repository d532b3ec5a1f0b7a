//! The `tieline` command, as a library: so that what reads people's words can be tried from outside
//! ([`try_configuration`]). Each command has its module; here they are only called, and what fails is said.
#![forbid(unsafe_code)]

mod address;
mod bench;
mod cert;
mod channel;
mod cli;
mod configuration;
mod demo;
mod exit;
mod files;
mod generate;
mod map;
mod nearest;
#[cfg_attr(not(feature = "otel"), path = "otel/absent.rs")]
mod otel;
mod reach;
mod receive;
mod send;
mod serve;
mod signals;
mod strangers;
mod terminal;
mod tls;
mod token;
mod toml_file;
mod top;
mod trace;
mod units;
mod web;

use std::io;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use tokio::runtime::Builder;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};
use crate::exit::Failure;

pub use crate::configuration::try_configuration;

/// The program: takes its words from the command line, and gives the exit status.
pub fn main() -> ExitCode {
    if let Some(code) = own_processes() {
        return code;
    }
    let mut command = Cli::command();
    let flags = command.try_get_matches_from_mut(std::env::args_os()).unwrap_or_else(|error| {
        cli::with_tip(error, std::env::args_os()).exit();
    });
    for note in strangers::notes(&command, std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())) {
        terminal::say(format!("tieline: {note}"));
    }
    let ended = Cli::from_arg_matches(&flags).map_err(|error| error.exit()).and_then(|cli| run(cli, &flags));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.words.is_empty() {
                terminal::say(format!("tieline: {failure}"));
            }
            ExitCode::from(failure.status)
        }
    }
}

/// The processes that `receive` starts of this binary; they have no command line that people use.
fn own_processes() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    match args.next()?.to_str()? {
        receive::shim::WORD => Some(receive::shim::run(args)),
        receive::guard::WORD => Some(receive::guard::run(args.next().as_deref().and_then(std::ffi::OsStr::to_str))),
        _ => None,
    }
}

fn run(cli: Cli, flags: &ArgMatches) -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(terminal::shows_colour())
        .with_env_filter(EnvFilter::try_from_env("TIELINE_LOG").unwrap_or_else(|_| EnvFilter::new("error")))
        .init();
    match cli.command {
        Command::Serve(args) => {
            let flags = flags.subcommand_matches("serve").unwrap_or(flags);
            serve::run(args, flags)
        }
        Command::Send(args) => block_on(&mut Builder::new_current_thread(), send::run(args)),
        // One thread, which lives to the end: the kernel takes the end of the thread that started a command for
        // the end of its parent.
        Command::Receive(args) => block_on(&mut Builder::new_current_thread(), receive::run(args)),
        Command::Map(args) => block_on(&mut Builder::new_current_thread(), map::run(args)),
        Command::Bench(args) => block_on(&mut Builder::new_multi_thread(), bench::run(args)),
        Command::Top(args) => block_on(&mut Builder::new_current_thread(), top::run(args)),
        Command::Demo(args) => block_on(&mut Builder::new_multi_thread(), demo::run(args)),
        Command::Cert(args) => cert::run(&args),
        Command::Token(args) => token::run(args),
        Command::Channel(args) => channel::run(&args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
    }
}

fn block_on(runtime: &mut Builder, work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = runtime.enable_all().build().map_err(|error| Failure::new(exit::INTERNAL, error.to_string()))?;
    let ended = runtime.block_on(work);
    // A thread that still waits for somebody to type must not keep the process.
    runtime.shutdown_background();
    ended
}
