//! The `tieline` command; all of it is in the library of the same crate.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    tieline_cli::main()
}
