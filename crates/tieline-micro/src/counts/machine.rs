//! What the counts depend on beside the source.
//!
//! The compiler decides over Rust code. How many instructions the C library takes for an allocation or a copy depends on
//! its version and on the processor that it finds; valgrind shows every program the same one, as far as the real one can
//! be that.

use std::process::Command;

use anyhow::{Context, Result};

use super::run::valgrind;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// The compiler's version, and the target.
    pub compiler: String,
    /// The C library's version, valgrind's, and what it makes of the processor.
    pub library: String,
}

impl Machine {
    /// This one.
    ///
    /// # Errors
    /// If valgrind isn't there.
    pub fn this() -> Result<Self> {
        let told = |mut command: Command| {
            let output = command.output().ok().filter(|output| output.status.success())?;
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let mut libc = Command::new("getconf");
        libc.arg("GNU_LIBC_VERSION");
        let mut version = Command::new(valgrind()?);
        version.arg("--version");
        let libc = told(libc).unwrap_or_else(|| "another C library".to_owned());
        let valgrind = told(version).context("valgrind doesn't tell its version")?;
        Ok(Self {
            compiler: env!("TIELINE_COMPILER").to_owned(),
            library: format!("{libc}, {valgrind}, {}", processor()),
        })
    }
}

/// The level of the processor that valgrind passes on to the C library.
#[cfg(target_arch = "x86_64")]
fn processor() -> &'static str {
    if std::is_x86_feature_detected!("avx2") {
        "avx2"
    } else if std::is_x86_feature_detected!("avx") {
        "avx"
    } else {
        "sse"
    }
}

#[cfg(not(target_arch = "x86_64"))]
const fn processor() -> &'static str {
    std::env::consts::ARCH
}
