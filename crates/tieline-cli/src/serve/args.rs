//! What `tieline serve` is told on its command line.

use std::path::PathBuf;

use super::settings::Settings;

/// The flags of `tieline serve`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) settings: Settings,

    /// Read settings from this TOML file; its keys are the names of the flags. Flags and TIELINE_* come first
    #[arg(long, value_name = "FILE", env = "TIELINE_CONFIG")]
    pub(super) config: Option<PathBuf>,

    /// Explain the configuration and the memory that it adds up to, and end
    #[arg(long)]
    pub(super) check: bool,

    /// Allow addresses that other machines reach without both TLS and tokens
    #[arg(long)]
    pub(super) insecure: bool,
}
