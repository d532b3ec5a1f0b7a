//! `tieline demo`: see it work. It verifies everything that it shows, and fails if anything is wrong.
//!
//! [`stage`] is the bus with its receivers; each act is a module of its own: [`files`], [`waves`], [`big`], [`loss`].
//! [`memory`] and [`digest`] are what the acts measure with.

mod big;
mod digest;
mod files;
mod loss;
mod memory;
mod stage;
mod waves;

use std::io::{self, Write};
use std::time::Instant;

use self::stage::Stage;
use crate::exit::{self, Failure};
use crate::units::Size;

/// What `tieline demo` is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The size of the big body
    #[arg(long, value_name = "SIZE", default_value = BIG)]
    big: Size,
}

/// Enough to show in any process's memory, and over in some seconds. A build without optimization is slow at
/// digests, not at Tieline's own work.
const BIG: &str = if cfg!(debug_assertions) { "128MiB" } else { "3GiB" };

/// Runs the demo.
///
/// # Errors
/// If what it shows isn't what it should be.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let begun = Instant::now();
    let played = tokio::select! {
        played = play(&args) => played,
        _ = tokio::signal::ctrl_c() => return Err(Failure::silent(exit::INTERRUPTED)),
    };
    played.map_err(|error| Failure::new(exit::FAILED, format!("the demo went wrong: {error:#}")))?;
    show(format!("\nAll of it was checked, and all is well ({:.1} s).", begun.elapsed().as_secs_f64()));
    Ok(())
}

async fn play(args: &Args) -> anyhow::Result<()> {
    let stage = Stage::open().await?;
    show(format!("A server, receivers and senders, all in this process ({}); one receiver has its own.", stage.server));
    files::play(&stage).await?;
    waves::play(&stage).await?;
    big::play(&stage, args.big).await?;
    loss::play(&stage).await?;
    stage.close().await
}

/// Shows the heading of an act.
fn heading(text: &str) {
    show(format!("\n{text}"));
}

/// Shows a line: what a demo shows is its payload. That nobody reads it is no error.
fn show(line: impl AsRef<str>) {
    let _ = writeln!(io::stdout().lock(), "{}", line.as_ref());
}
